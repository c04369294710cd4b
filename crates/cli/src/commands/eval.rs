use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use greensand_app::store::{EvalReport, TaskReport};
use greensand_app::{Equipment, EvalDone, EvaluateError, SetSource, Split, evaluate, open_project, prepare};

use super::common::{self, ModelFlags};
use super::packages;
use crate::failure::{Ending, Failure};
use crate::interrupt;
use crate::progress::Progress;
use crate::terminal::{BOLD, DIM, Terminal};
use crate::text;

/// Measure a function set on a split of a project.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The project folder, or its project file
    #[arg(value_name = "PROJECT")]
    project: PathBuf,

    /// The function set: a run folder (its best set), RUN:SET, the folder of a set, or `empty`
    #[arg(long, value_name = "SET")]
    set: String,

    /// The tasks: train, validation or test
    #[arg(long, value_name = "SPLIT")]
    split: Split,

    #[command(flatten)]
    flags: ModelFlags,

    /// Sets any setting of the project file, such as limits.wall_ms=500; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    setting: Vec<String>,

    /// Prints events as lines of JSON; the last one has the report, with every task
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
SET of `RUN:SET` is `best`, `initial`, or the beginning of an id, as `greensand show RUN` lists
them. Every function of the set passes admission again before it is used.
`train` looks at the test split only when it is over. Whoever chooses by a test score has no
unseen tasks left.
Each task is tried `training.repeats` times. What was measured is printed with its interval, also
when the work could not go on, and kept as a run, which `greensand resume` goes on with. The exit
code is then 1 after Ctrl-C, 3 when the model fails or too many tasks have no score, and 4 when the
budget is spent. A model that costs money needs a cap.

Examples:
  greensand eval my-agent --set runs/RUN --split test --max-usd 1
  greensand eval my-agent --set runs/RUN:initial --split test --json | tail -n 1 | jq .report.score
  greensand eval my-agent --set runs/RUN --split validation --setting training.repeats=5
  greensand eval examples/quickstart --set empty --split validation";

/// The most unsolved tasks that are listed; JSON has all.
const LISTED: usize = 20;

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let overrides = arguments.flags.overrides(&arguments.setting)?;
    let mut project = open_project(&arguments.project, &overrides, &environment)?;
    project.command = common::command_line();
    let sandbox = packages::open_project_sandbox(&project, &environment, terminal)?;
    let equipment = Equipment::open(&project, Arc::new(sandbox.clone()), &environment)?;
    let progress = Progress::new("eval", terminal);
    let done = (|| {
        prepare(&sandbox, &project.settings, &progress)?;
        let interrupt = interrupt::on_signals(*terminal)?;
        let (set, split) = (SetSource::parse(&arguments.set), arguments.split);
        let evaluated = evaluate(&project, &equipment, &set, split, &progress, &interrupt);
        common::block_on_all(evaluated)?.map_err(Failure::from)
    })();
    progress.finish();
    conclude(done?, terminal)
}

/// Writes what was found, and says what to do next.
pub(super) fn conclude(done: EvalDone, terminal: &Terminal) -> Result<Ending, Failure> {
    let EvalDone { folder, report, error } = done;
    common::write_text_of(&report_text(&report), terminal)?;
    let run = common::shown(folder.path());
    let ending = match error {
        None => Ending::Done,
        Some(EvaluateError::Interrupted) => Ending::No,
        Some(error) => {
            let flag = if let EvaluateError::BudgetSpent(spent) = &error { spent.raised_flag() } else { String::new() };
            let resume = format!("greensand resume {run} {flag}");
            let first =
                error.hint().filter(|_| flag.is_empty()).map(|hint| format!("{hint}; then ")).unwrap_or_default();
            return Err(Failure::from(error)
                .hint(format!("{first}`{}` goes on; nothing is paid for twice", resume.trim_end()))
                .of_run(Some(folder.path()))
                .with_report(&report));
        }
    };
    common::write_finished(ending, Some(folder.path()), &report, terminal)?;
    terminal.say(format_args!("\n{DIM}the run is in {run}{DIM:#}"));
    if ending == Ending::No {
        terminal.say(format_args!("{DIM}go on with it: greensand resume {run}{DIM:#}"));
    }
    Ok(ending)
}

fn report_text(report: &EvalReport) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut out, report);
    out
}

fn write_report(out: &mut String, report: &EvalReport) -> std::fmt::Result {
    let percent = |score: f64| format!("{:.1} %", score * 100.0);
    let score = report.score.map_or_else(|| "no score".into(), percent);
    let interval = report.interval.map(|[low, high]| format!(" (95 %: {} to {})", percent(low), percent(high)));
    let set = report.set.get(..12).unwrap_or(&report.set);
    let attempts = report.results.iter().map(|task| task.trials.len().max(1)).sum::<usize>();
    let measured = report.results.iter().flat_map(scores_of).count();
    writeln!(
        out,
        "{BOLD}{}{BOLD:#} {score}{}  {} of {measured} solved, {} calls",
        report.split,
        interval.unwrap_or_default(),
        report.solved,
        report.calls
    )?;
    let what = if report.trials > 1 { "trials" } else { "tasks" };
    if report.trials > 1 {
        writeln!(out, "{} trials of each of {} tasks", report.trials, report.tasks)?;
    }
    if report.missing > 0 {
        writeln!(out, "{} of {attempts} {what} have no score: a request or the host failed", report.missing)?;
    }
    let unreached = report.results.iter().filter(|task| !task.reached).count();
    if unreached > 0 {
        let why = if report.interrupted { "interrupted" } else { "stopped" };
        writeln!(out, "{why}: {unreached} of {} tasks were not reached", report.tasks)?;
    }
    writeln!(
        out,
        "set {set}, {} replies, {} prompt tokens, {} reply tokens",
        report.usage.requests, report.usage.prompt_tokens, report.usage.completion_tokens
    )?;
    let unsolved: Vec<_> = report.results.iter().filter(|task| task.reached && !task.solved).collect();
    for task in unsolved.iter().take(LISTED) {
        let answer = task.answer.as_deref().map_or_else(|| "no answer".into(), |answer| text::shortened(answer, 40));
        writeln!(
            out,
            "  {}  {answer}  {DIM}{}{DIM:#}",
            text::shortened(&task.id, 60),
            text::shortened(&task.feedback, 160)
        )?;
    }
    if unsolved.len() > LISTED {
        writeln!(out, "  and {} more that were not solved; `--json` has them", unsolved.len() - LISTED)?;
    }
    Ok(())
}

/// Returns the scores that a task has.
fn scores_of(task: &TaskReport) -> impl Iterator<Item = f64> {
    let single = task.score.filter(|_| task.trials.is_empty());
    task.trials.iter().copied().chain([single]).flatten()
}
