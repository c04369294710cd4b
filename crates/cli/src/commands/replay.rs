use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use greensand_app::store::StoreError;
use greensand_app::{
    Environment, Observer, Overrides, RecordedRun, RunDone, RunEnding, Sandbox, Silent, TrainError, TrainErrorKind,
    prepare, replay,
};
use greensand_types::FunctionRuntime;
use serde::Serialize;

use super::common;
use super::packages;
use crate::failure::{Ending, Failure};
use crate::interrupt;
use crate::progress::Progress;
use crate::terminal::{Answers, GOOD, Terminal};

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

    /// Prints events as lines of JSON; the last one says how far everything came out alike
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
No model is asked and nothing is written. The replies and the outcomes of calls come from the folder; everything else
(prompts, scores, steps, decisions) is computed anew and compared. The exit code is 0 when all of it came out the same, and
1 with the first line that did not, or when it was interrupted.
With `--json` the report of the last line has `same`, which is always true where nothing failed, and `is_whole`: false for a run
that was not finished.

Examples:
  greensand replay runs/RUN
  greensand replay runs/RUN --jobs 1
  greensand replay runs/RUN --json | tail -n 1 | jq .report";

/// What came of a replay, for programs.
#[derive(Debug, Serialize)]
struct Replayed {
    /// Whether every line came out as it stands there.
    same: bool,
    /// Whether the run was finished, so that nothing is left to go on with.
    is_whole: bool,
}

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let mut overrides = Overrides::new();
    if let Some(jobs) = arguments.jobs {
        overrides.flag("--jobs", "training.jobs", jobs.to_string());
    }
    let recorded = RecordedRun::open(&arguments.run, &overrides, &environment)?;
    let sandbox = packages::open_project_sandbox(&recorded.project, &environment, terminal)?;
    // To a person, what happens a second time looks as if it happened.
    let progress = (terminal.answers() == Answers::Json).then(|| Progress::new("replay", terminal));
    let observer: &dyn Observer = progress.as_ref().map_or(&Silent, |progress| progress);
    let replayed = replay_with(&recorded, sandbox, observer, &environment, terminal);
    if let Some(progress) = &progress {
        progress.finish();
    }
    conclude(replayed?, &arguments.run, terminal)
}

fn replay_with(
    recorded: &RecordedRun,
    sandbox: Sandbox,
    observer: &dyn Observer,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Result<RunDone, TrainError>, Failure> {
    prepare(&sandbox, &recorded.project.settings, observer)?;
    let runtime: Arc<dyn FunctionRuntime> = Arc::new(sandbox);
    let eras = recorded.equipment(&runtime, environment)?;
    let interrupt = interrupt::on_signals(*terminal)?;
    common::block_on_all(replay(recorded, &eras, observer, &interrupt))
}

fn conclude(replayed: Result<RunDone, TrainError>, path: &Path, terminal: &Terminal) -> Result<Ending, Failure> {
    let run = common::shown(path);
    let (text, is_whole) = match replayed {
        Ok(RunDone::Trained(report)) if report.ending == RunEnding::Interrupted => {
            return Err(Failure::no("interrupted: nothing came out otherwise until then").of_run(Some(path)));
        }
        Ok(_) => (format!("{GOOD}the same{GOOD:#}: every line of {run} came out alike\n"), true),
        Err(TrainError { kind: TrainErrorKind::Store(error), .. }) if is_end(&error) => {
            (format!("{GOOD}the same{GOOD:#}, as far as it goes: {run} was not finished\n"), false)
        }
        // Nothing was worked on, so that there is nothing new to show or to go on with.
        Err(TrainError { kind, .. }) => {
            return Err(Failure::from(TrainError { kind, run: None }).of_run(Some(path)));
        }
    };
    common::write_text_of(&text, terminal)?;
    common::write_finished(Ending::Done, Some(path), &Replayed { same: true, is_whole }, terminal)?;
    if !is_whole {
        terminal.say(format_args!("go on with it: greensand resume {run}"));
    }
    Ok(Ending::Done)
}

fn is_end(error: &StoreError) -> bool {
    matches!(error, StoreError::EndOfRecord { .. })
}
