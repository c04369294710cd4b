use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use greensand_app::store::StoreError;
use greensand_app::{Overrides, RecordedRun, Silent, TrainError, TrainErrorKind, prepare, replay};
use greensand_types::FunctionRuntime;

use super::common;
use super::packages;
use crate::failure::{Ending, Failure};
use crate::interrupt;
use crate::terminal::{GOOD, Terminal};

/// Do a run again from its folder, offline, and check that every line of its journal comes out the same.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// How many tasks are solved at once
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
}

const HELP: &str = "\
No model is asked and nothing is written. The replies and the outcomes of calls come from the folder; everything else
(prompts, scores, steps, decisions) is computed anew and compared. The exit code is 0 when all of it came out the same, and
1 with the first line that did not.

Examples:
  greensand replay runs/RUN
  greensand replay runs/RUN --jobs 1";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let mut overrides = Overrides::new();
    if let Some(jobs) = arguments.jobs {
        overrides.flag("--jobs", "training.jobs", jobs.to_string());
    }
    let recorded = RecordedRun::open(&arguments.run, &overrides, &environment)?;
    let sandbox = packages::open_project_sandbox(&recorded.project, &environment, terminal)?;
    prepare(&sandbox, &recorded.project.settings, &Silent)?;
    let runtime: Arc<dyn FunctionRuntime> = Arc::new(sandbox);
    let eras = recorded.equipment(&runtime, &environment)?;
    let interrupt = interrupt::on_signals(*terminal)?;
    let run = common::shown(&arguments.run);
    let replayed = common::block_on_all(replay(&recorded, &eras, &Silent, &interrupt))?;
    match replayed {
        Ok(_) => {
            let text = format!("{GOOD}the same{GOOD:#}: every line of {run} came out alike\n");
            common::write_text(&text, terminal)?;
            Ok(Ending::Done)
        }
        Err(TrainError { kind: TrainErrorKind::Store(error), .. }) if is_end(&error) => {
            let text = format!("{GOOD}the same{GOOD:#}, as far as it goes: {run} was not finished\n");
            common::write_text(&text, terminal)?;
            terminal.say(format_args!("go on with it: greensand resume {run}"));
            Ok(Ending::Done)
        }
        Err(TrainError { kind, .. }) => Err(Failure::from(TrainError { kind, run: None })),
    }
}

fn is_end(error: &StoreError) -> bool {
    matches!(error, StoreError::EndOfRecord { .. })
}
