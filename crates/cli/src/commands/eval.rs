use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use greensand_app::{Equipment, EvalReport, Event, Observer, SetSource, Split, evaluate, open_project, prepare};

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
SET of `RUN:SET` is `best`, `initial`, or the beginning of an id, as `greensand show RUN` lists them.
Every function of the set passes admission again before it is used.
`train` looks at the test split only when it is over. Whoever chooses by a test score has no unseen tasks left.
What was measured is printed, also when the work could not go on. The exit code is then 1 after Ctrl-C, and 3 when the
model fails or too many tasks have no score, and 4 when the budget is spent. A model that costs money needs a cap.

Examples:
  greensand eval my-agent --set runs/RUN --split test --max-usd 1
  greensand eval my-agent --set runs/RUN:initial --split test --json | tail -n 1 | jq .report.score
  greensand eval examples/quickstart --set empty --split validation";

/// The most unsolved tasks that are listed; JSON has all.
const LISTED: usize = 20;

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let overrides = arguments.flags.overrides(&arguments.setting)?;
    let project = open_project(&arguments.project, &overrides, &environment)?;
    let sandbox = packages::open_project_sandbox(&project, &environment, terminal)?;
    let equipment = Equipment::open(&project, Arc::new(sandbox.clone()), &environment)?;
    let progress = Progress::new("eval", terminal);
    let measured = prepare(&sandbox, &project.settings, &progress).map_err(Failure::from).and_then(|()| {
        let interrupt = interrupt::on_signals(*terminal)?;
        common::block_on_all(async {
            let loaded = SetSource::parse(&arguments.set).load(&sandbox, equipment.admission()).await?;
            for warning in &loaded.warnings {
                progress.event(Event::Warning { message: warning });
            }
            let split = arguments.split;
            Ok::<_, Failure>(evaluate(&project, &equipment, &loaded.set, split, &progress, &interrupt).await?)
        })
    });
    progress.finish();
    let report = measured??;
    common::write_text_of(&report_text(&report), terminal)?;
    let json = serde_json::to_value(&report).map_err(|error| Failure::bug(error.to_string()))?;
    if let Some(error) = report.error {
        return Err(Failure::from(error).with_report(&json));
    }
    let ending = if report.interrupted { Ending::No } else { Ending::Done };
    common::write_finished(ending, None, &json, terminal)?;
    Ok(ending)
}

fn report_text(report: &EvalReport) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut out, report);
    out
}

fn write_report(out: &mut String, report: &EvalReport) -> std::fmt::Result {
    let score = report.score.map_or_else(|| "no score".into(), |score| format!("{:.1} %", score * 100.0));
    let set = report.set.get(..12).unwrap_or(&report.set);
    let measured = report.results.iter().filter(|task| task.score.is_some()).count();
    writeln!(
        out,
        "{BOLD}{}{BOLD:#} {score}  {} of {measured} solved, {} calls",
        report.split, report.solved, report.calls
    )?;
    if report.missing > 0 {
        writeln!(out, "{} of {} tasks have no score: a request or the host failed", report.missing, report.tasks)?;
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
