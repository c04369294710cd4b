use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use greensand_app::{Overrides, RecordedRun, credit, prepare};
use greensand_types::FunctionRuntime;

use super::common::{self, BudgetFlags};
use super::packages;
use crate::failure::{Ending, Failure};
use crate::interrupt;
use crate::progress::Progress;
use crate::terminal::Terminal;

/// Measure what each function of a run's best set is worth: the set without it, on the same tasks.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// How many tasks are solved at once
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,

    #[command(flatten)]
    budget: BudgetFlags,

    /// Sets a setting that does not change what comes out, such as model.deadline_s=900; may be given again
    #[arg(long = "set", visible_alias = "setting", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Prints events as lines of JSON while it works, and what came out as the last
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Each function costs one measurement on the validation tasks (on train, where there are none). Requests that the run asked before
cost nothing: those of the whole set, and those of tasks that were not offered the function. Stopped and begun again, it goes
on where it was. The effect is the mean score with the function, less that without it, with its standard error over tasks.
The result is kept in the run, and `greensand show` and `greensand report` show it.

Caps hold for the run as a whole: what it has spent before counts.

Examples:
  greensand credit runs/RUN
  greensand credit runs/RUN --max-usd 10
  greensand credit runs/RUN --jobs 16 --json | tail -1 | jq '.report.functions[] | {name, effect, verdict}'";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let recorded = RecordedRun::open(&arguments.run, &overrides(arguments)?, &environment)?;
    let sandbox = packages::open_project_sandbox(&recorded.project, &environment, terminal)?;
    let runtime: Arc<dyn FunctionRuntime> = Arc::new(sandbox.clone());
    let eras = recorded.equipment(&runtime, &environment)?;
    let progress = Progress::new("credit", terminal);
    let measured = (|| {
        prepare(&sandbox, &recorded.project.settings, &progress)?;
        let interrupt = interrupt::on_signals(*terminal)?;
        common::block_on_all(credit(&recorded, &eras, &progress, &interrupt))?.map_err(Failure::from)
    })();
    progress.finish();
    let report = measured?;
    common::write_text_of(&report.to_text(), terminal)?;
    common::write_finished(Ending::Done, Some(&arguments.run), &report, terminal)?;
    Ok(Ending::Done)
}

fn overrides(arguments: &Arguments) -> Result<Overrides, Failure> {
    let mut overrides = Overrides::new();
    for assignment in &arguments.settings {
        overrides.set(assignment)?;
    }
    if let Some(jobs) = arguments.jobs {
        overrides.flag("--jobs", "training.jobs", jobs.to_string());
    }
    arguments.budget.add_to(&mut overrides);
    Ok(overrides)
}
