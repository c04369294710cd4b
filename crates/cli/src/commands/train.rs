use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use greensand_app::store::DecisionKind;
use greensand_app::{Equipment, Project, RunEnding, Sandbox, TrainReport, open_project, prepare, train};

use super::common::{self, ModelFlags};
use super::packages;
use crate::detach;
use crate::failure::{Ending, Failure};
use crate::interrupt;
use crate::progress::Progress;
use crate::terminal::{DIM, Terminal};
use crate::text;

/// Train the functions of a project's agent.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The project folder, or its project file
    #[arg(value_name = "PROJECT")]
    project: PathBuf,

    #[command(flatten)]
    flags: ModelFlags,

    /// The most epochs
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,

    /// How many epochs in a row may bring nothing before the training stops
    #[arg(long, value_name = "N")]
    patience: Option<u32>,

    /// Sets any setting of the project file, such as training.patience=2; may be given again
    #[arg(long = "set", visible_alias = "setting", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Starts the run in the background, and returns as soon as it has its folder
    #[arg(long)]
    detach: bool,

    /// Prints events as lines of JSON; the last one has the report
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Ctrl-C stops: the run folder keeps everything, and `greensand resume` goes on with it. A second Ctrl-C stops at once.
With `--detach` the run goes on in a session of its own, with its events in `events.jsonl` and its talk in `talk.txt` of the
run folder; `greensand status` says where it stands, and `greensand stop RUN` asks it to stop.
The exit code is 0 when the training ended by its own rules, 1 when it was stopped or the disk is full, 2 when flags, settings
or tasks are wrong, 3 when the model fails, 4 when the budget is spent, 70 for a bug; with `--detach`, 0 when it began.
A model that costs money needs a cap: `--max-usd`, `--max-tokens` or `--max-calls`; they hold for all models together, and
`greensand resume` goes on with a higher one; `greensand estimate` says what a training will take before anything is spent.

Examples:
  greensand train examples/quickstart
  greensand train my-agent --model gpt-4.1-mini --max-usd 5 --jobs 16
  greensand train my-agent --model qwen3 --base-url http://localhost:11434/v1
  greensand train my-agent --detach
  greensand train my-agent --epochs 5 --set limits.wall_ms=500 --json | tail -n 1 | jq .report";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let mut overrides = arguments.flags.overrides(&arguments.settings)?;
    if let Some(epochs) = arguments.epochs {
        overrides.flag("--epochs", "training.epochs", epochs.to_string());
    }
    if let Some(patience) = arguments.patience {
        overrides.flag("--patience", "training.patience", patience.to_string());
    }
    let mut project = open_project(&arguments.project, &overrides, &environment)?;
    if arguments.detach {
        return detach::start(&project.settings.runs_dir, terminal);
    }
    project.command = common::command_line();
    let sandbox = packages::open_project_sandbox(&project, &environment, terminal)?;
    let equipment = Equipment::open(&project, Arc::new(sandbox.clone()), &environment)?;
    let progress = Progress::new("train", terminal);
    let report = work(&project, &sandbox, &equipment, &progress, terminal);
    progress.finish();
    conclude(&report?, terminal)
}

/// Returns the epoch whose two sets lack too many scores together, if that is why the run is over.
fn could_not_compare(report: &TrainReport) -> Option<u32> {
    let last = report.report.epochs.last()?;
    let decision = last.decision.as_ref()?;
    (decision.decision == DecisionKind::NotCompared).then_some(last.epoch)
}

/// Writes what came out of a training, and says what to do next.
pub(super) fn conclude(report: &TrainReport, terminal: &Terminal) -> Result<Ending, Failure> {
    common::write_text_of(&text::block(&report.report.to_text()), terminal)?;
    let ending = match report.ending {
        RunEnding::Finished => Ending::Done,
        RunEnding::Interrupted => Ending::No,
        RunEnding::BudgetSpent(spent) => {
            let run = common::shown(report.folder.path());
            return Err(Failure::budget(spent.to_string())
                .hint(format!("`greensand resume {run} {}` goes on; nothing is paid for twice", spent.raised_flag()))
                .of_run(Some(report.folder.path()))
                .with_report(&report.report));
        }
        RunEnding::TooMuchMissing => {
            let reason = report.report.stop.as_ref().map(|stop| stop.reason.clone());
            let run = common::shown(report.folder.path());
            return Err(Failure::model(reason.unwrap_or_else(|| "too many tasks have no score".into()))
                .hint(match could_not_compare(report) {
                    // The faults stand in the journal: the epoch is made again by another run.
                    Some(epoch) => format!("see to the causes in the report, then `greensand fork {run} --at {epoch}`"),
                    None => format!("see to the first cause in the report, then `greensand resume {run}`"),
                })
                .of_run(Some(report.folder.path()))
                .with_report(&report.report));
        }
    };
    common::write_finished(ending, Some(report.folder.path()), &report.report, terminal)?;
    tell_next(report, terminal);
    Ok(ending)
}

fn work(
    project: &Project,
    sandbox: &Sandbox,
    equipment: &Equipment,
    progress: &Progress,
    terminal: &Terminal,
) -> Result<TrainReport, Failure> {
    prepare(sandbox, &project.settings, progress)?;
    // Until here nothing is written that must stay readable, and a signal ends the process.
    let interrupt = interrupt::on_signals(*terminal)?;
    Ok(common::block_on_all(train(project, equipment, progress, &interrupt))??)
}

fn tell_next(report: &TrainReport, terminal: &Terminal) {
    let run = common::shown(report.folder.path());
    terminal.say(format_args!("\n{DIM}the run is in {run}{DIM:#}"));
    if report.ending == RunEnding::Interrupted {
        terminal.say(format_args!("{DIM}go on with it: greensand resume {run}{DIM:#}"));
    }
    if let Some(function) = report.report.functions.first() {
        let name = text::line(&function.name);
        terminal.say(format_args!("{DIM}try: greensand show {run} --sources{DIM:#}"));
        terminal.say(format_args!("{DIM}     greensand call {run} {name} --args JSON{DIM:#}"));
    }
}
