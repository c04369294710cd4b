use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use greensand_app::{Equipment, NoiseDone, SetSource, noise, open_project, prepare};

use super::common::{self, ModelFlags};
use super::packages;
use crate::failure::{Ending, Failure};
use crate::interrupt;
use crate::progress::Progress;
use crate::terminal::{DIM, Terminal};

/// Measure an unchanged set twice, and say the smallest improvement that the tasks of a project can show.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The project folder, or its project file
    #[arg(value_name = "PROJECT")]
    project: PathBuf,

    /// The function set: a run folder (its best set), RUN:SET, the folder of a set, or `empty`
    #[arg(long, value_name = "SET", default_value = "empty")]
    set: String,

    #[command(flatten)]
    flags: ModelFlags,

    /// Sets any setting of the project file, such as training.repeats=2; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    setting: Vec<String>,

    /// Prints events as lines of JSON; the last one has the report
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
The tasks are those that acceptance is decided on: validation, or train where there is none. Each of the two measurements asks in
draws of its own, so what differs between them is chance. An improvement that is smaller than what is printed passes for
chance, or chance for it: add tasks, or set training.repeats. It is kept as a run, which `greensand resume` goes on with. The exit
codes are those of `greensand eval`.

Examples:
  greensand noise my-agent --model gpt-4.1-mini --max-usd 1
  greensand noise my-agent --set runs/RUN --setting training.repeats=3
  greensand noise examples/quickstart --json | tail -n 1 | jq .report.smallest_effects";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let overrides = arguments.flags.overrides(&arguments.setting)?;
    let mut project = open_project(&arguments.project, &overrides, &environment)?;
    project.command = common::command_line();
    let sandbox = packages::open_project_sandbox(&project, &environment, terminal)?;
    let equipment = Equipment::open(&project, Arc::new(sandbox.clone()), &environment)?;
    let progress = Progress::new("noise", terminal);
    let done = (|| {
        prepare(&sandbox, &project.settings, &progress)?;
        let interrupt = interrupt::on_signals(*terminal)?;
        let set = SetSource::parse(&arguments.set);
        common::block_on_all(noise(&project, &equipment, &set, &progress, &interrupt))?.map_err(Failure::from)
    })();
    progress.finish();
    conclude(&done?, terminal)
}

/// Writes what was found.
pub(super) fn conclude(done: &NoiseDone, terminal: &Terminal) -> Result<Ending, Failure> {
    common::write_text_of(&done.report.to_text(), terminal)?;
    common::write_finished(Ending::Done, Some(done.folder.path()), &done.report, terminal)?;
    terminal.say(format_args!("\n{DIM}the run is in {}{DIM:#}", common::shown(done.folder.path())));
    Ok(Ending::Done)
}
