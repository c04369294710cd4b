use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use greensand_app::store::RunFolder;
use greensand_app::{RunStatus, stop_run};

use super::common;
use crate::failure::{Ending, Failure};
use crate::terminal::Terminal;

/// Ask the process that works on a run to stop, and wait until it has written down what there is.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// How many seconds it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,

    /// Prints where the run then stands as JSON
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
It is as if Ctrl-C were pressed where the run was started. A run that nobody works on is left as it is. The process is only
asked if it is the one that took the run, and not a later one with its number.

Examples:
  greensand stop runs/RUN";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let run = RunFolder::open(&arguments.run)?;
    let was_running = stop_run(&run, Duration::from_secs(arguments.wait))?;
    let status = RunStatus::of(&run)?;
    if arguments.json {
        common::write_json(&status, terminal)?;
        return Ok(Ending::Done);
    }
    let (run, state) = (common::shown(&status.run), status.state.as_str());
    common::write_text(&format!("{state}\n"), terminal)?;
    if !was_running {
        terminal.say(format_args!("nobody worked on it"));
    }
    if status.state.can_go_on() {
        terminal.say(format_args!("go on with it: greensand resume {run}"));
    }
    Ok(Ending::Done)
}
