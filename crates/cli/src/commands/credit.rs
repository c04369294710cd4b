use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use greensand_app::{RecordedRun, credit, prepare};
use greensand_types::FunctionRuntime;

use super::common::{self, AgainFlags};
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

    #[command(flatten)]
    flags: AgainFlags,

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
    let recorded = RecordedRun::open(&arguments.run, &arguments.flags.overrides()?, &environment)?;
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
