use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use greensand_app::{CompareDone, Equipment, compare, open_project, prepare};

use super::common::{self, ModelFlags};
use super::packages;
use crate::failure::{Ending, Failure};
use crate::interrupt;
use crate::progress::Progress;
use crate::terminal::{DIM, Terminal};

/// Compare learned functions with the model alone, with a vote over its draws, and with rewritten instructions.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The project folder, or its project file
    #[arg(value_name = "PROJECT")]
    project: PathBuf,

    #[command(flatten)]
    flags: ModelFlags,

    /// The most epochs, of functions and of instructions
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,

    /// Sets any setting of the project file, such as training.patience=2; may be given again
    #[arg(long = "set", visible_alias = "setting", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Prints events as lines of JSON; the last one has the report
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Functions are learned first, as by `greensand train`. The replies of both models that this took are what the other ways may take:
the vote as many draws of each task as they pay for (15 at most), the instructions as many rewritings, judged by the same rule.
All four are scored on the same tasks, of the test split where there is one, and compared task by task. It is kept as a run,
which `greensand resume` goes on with. The exit codes are those of `greensand train`.

Examples:
  greensand compare examples/quickstart
  greensand compare my-agent --model gpt-4.1-mini --max-usd 10
  greensand compare my-agent --model M --max-usd 10 --json | tail -n 1 | jq '.report.arms[] | {name, score}'";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let mut overrides = arguments.flags.overrides(&arguments.settings)?;
    if let Some(epochs) = arguments.epochs {
        overrides.flag("--epochs", "training.epochs", epochs.to_string());
    }
    let mut project = open_project(&arguments.project, &overrides, &environment)?;
    project.command = common::command_line();
    let sandbox = packages::open_project_sandbox(&project, &environment, terminal)?;
    let equipment = Equipment::open(&project, Arc::new(sandbox.clone()), &environment)?;
    let progress = Progress::new("compare", terminal);
    let done = (|| {
        prepare(&sandbox, &project.settings, &progress)?;
        let interrupt = interrupt::on_signals(*terminal)?;
        common::block_on_all(compare(&project, &equipment, &progress, &interrupt))?.map_err(Failure::from)
    })();
    progress.finish();
    conclude(&done?, terminal)
}

/// Writes what was found.
pub(super) fn conclude(done: &CompareDone, terminal: &Terminal) -> Result<Ending, Failure> {
    common::write_text_of(&done.report.to_text(), terminal)?;
    common::write_finished(Ending::Done, Some(done.folder.path()), &done.report, terminal)?;
    terminal.say(format_args!("\n{DIM}the run is in {}{DIM:#}", common::shown(done.folder.path())));
    Ok(Ending::Done)
}
