use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use greensand_app::{RecordedRun, RunDone, prepare, resume};
use greensand_types::FunctionRuntime;

use super::common::{self, AgainFlags};
use super::packages;
use crate::detach;
use crate::failure::{Ending, Failure};
use crate::interrupt;
use crate::progress::Progress;
use crate::terminal::Terminal;

/// Go on with a run that was stopped, killed, or cut off; nothing that was paid for is paid again.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    #[command(flatten)]
    flags: AgainFlags,

    /// Goes on in the background, and returns as soon as the run is taken up
    #[arg(long)]
    detach: bool,

    /// Prints events as lines of JSON; the last one has the report
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Settings and tasks are those of the run; a file of tasks that was changed since is refused. The result is the same, byte by
byte, as if the run had never been stopped. To go on with other settings, fork the run.
Exit codes and `--detach` are those of `greensand train`.

Caps hold for the run as a whole: what it has spent before counts, at the prices that it began with. A run that was stopped by
a cap goes on with a higher one.

Examples:
  greensand resume runs/RUN
  greensand resume runs/RUN --detach
  greensand resume runs/RUN --max-usd 10
  greensand resume runs/RUN --jobs 2 --set model.max_retries=10";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let mut recorded = RecordedRun::open(&arguments.run, &arguments.flags.overrides()?, &environment)?;
    if arguments.detach {
        return detach::start(recorded.folder.path(), terminal);
    }
    recorded.project.command = common::command_line();
    let sandbox = packages::open_project_sandbox(&recorded.project, &environment, terminal)?;
    let runtime: Arc<dyn FunctionRuntime> = Arc::new(sandbox.clone());
    let eras = recorded.equipment(&runtime, &environment)?;
    let progress = Progress::new("resume", terminal);
    let begun = prepare(&sandbox, &recorded.project.settings, &progress).map_err(Failure::from);
    let interrupt = begun.and_then(|()| interrupt::on_signals(*terminal)).inspect_err(|_| progress.finish())?;
    let done = common::block_on_all(resume(&recorded, &eras, &progress, &interrupt))?;
    progress.finish();
    match done? {
        RunDone::Trained(report) => super::train::conclude(&report, terminal),
        RunDone::Evaluated(done) => super::eval::conclude(*done, terminal),
        RunDone::Noise(done) => super::noise::conclude(&done, terminal),
        RunDone::Compared(done) => super::compare::conclude(&done, terminal),
    }
}
