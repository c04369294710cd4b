use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use greensand_app::store::{RunFolder, StoreError};
use greensand_app::{ProjectError, RunState, RunStatus, SettingsError, find_runs};

use super::common;
use crate::failure::{Ending, Failure};
use crate::terminal::{BAD, BOLD, DIM, GOOD, Terminal, WARN};
use crate::text;

/// Say where a run stands: whether it goes on, how far it has come, and what to do next.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// A run folder, or a project or folder of runs, whose last runs are listed
    #[arg(value_name = "RUN", default_value = ".")]
    run: PathBuf,

    /// Prints it as JSON: an object for a run, an array for several
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
A run is `running`, `finished` by its own rules and for good, `stopped` by its budget, `interrupted`, `failed`, `crashed` (its
process is gone and left no word), `waiting`: a fork that nobody has worked on, or `damaged`. All but those that run, are
finished or damaged go on with `greensand resume RUN`; one that its budget stopped wants a higher cap.

Examples:
  greensand status runs/RUN
  greensand status my-agent
  greensand status runs/RUN --json | jq -r .state";

/// How many runs are listed; the last ones.
const LISTED: usize = 10;

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    if let Ok(run) = RunFolder::open(&arguments.run) {
        let status = RunStatus::of(&run)?;
        match arguments.json {
            true => common::write_json(&status, terminal)?,
            false => common::write_text(&status_text(&status), terminal)?,
        }
        return Ok(Ending::Done);
    }
    if !arguments.run.exists() {
        return Err(StoreError::Missing { path: arguments.run.clone() }.into());
    }
    let runs = find_runs(&arguments.run, &common::environment()?).map_err(|error| match &error {
        ProjectError::Settings(SettingsError::NoProjectFile { .. }) => {
            Failure::from(error).hint("name a run, a project, or a folder of runs")
        }
        _ => Failure::from(error),
    })?;
    let statuses: Vec<_> = runs.iter().skip(runs.len().saturating_sub(LISTED)).map(RunStatus::of_listed).collect();
    if arguments.json {
        common::write_json(&statuses, terminal)?;
    } else if statuses.is_empty() {
        terminal.say(format_args!("there is no run yet; `greensand train PROJECT` makes one"));
    } else {
        let lines: Vec<_> = statuses.iter().map(line_of).collect();
        common::write_text(&lines.concat(), terminal)?;
        if runs.len() > LISTED {
            terminal.say(format_args!("{DIM}and {} earlier ones{DIM:#}", runs.len() - LISTED));
        }
    }
    Ok(Ending::Done)
}

fn line_of(status: &RunStatus) -> String {
    let score = status.best_score.map_or_else(String::new, |score| format!("  best {}", percent(score)));
    let epoch = status.epoch.map_or_else(String::new, |epoch| format!("  epoch {epoch}"));
    let problem = status.problem.as_ref().map_or_else(String::new, |problem| format!("  {}", text::line(problem)));
    let kind = if status.kind.trains() { String::new() } else { format!("  {}", status.kind.as_str()) };
    format!("{}  {}{kind}{epoch}{score}{problem}\n", state_words(status.state), common::shown(&status.run))
}

fn status_text(status: &RunStatus) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_status(&mut out, status);
    out
}

fn write_status(out: &mut String, status: &RunStatus) -> std::fmt::Result {
    let run = common::shown(&status.run);
    let pid = status.pid.map_or_else(String::new, |pid| format!(", process {pid}"));
    writeln!(out, "{BOLD}{run}{BOLD:#}")?;
    let (state, kind) = (state_words(status.state), status.kind.as_str());
    writeln!(out, "{state}{pid}, `{kind}`, begun {}", text::line(&status.started))?;
    if let Some(stop) = &status.stop {
        let what = if status.state == RunState::Finished { "it is over" } else { "it ended" };
        writeln!(out, "{what} ({}): {}", text::line(&stop.kind), text::line(&stop.reason))?;
    }
    if let Some(epoch) = status.epoch {
        let most = status.max_epochs.map_or_else(String::new, |most| format!(" of at most {most}"));
        writeln!(out, "epoch {epoch}{most}")?;
    }
    if let Some(measuring) = &status.measuring {
        let tally = &measuring.tally;
        let missing = if tally.missing > 0 { format!(", {} missing", tally.missing) } else { String::new() };
        let (split, done, total) = (text::line(&measuring.split), tally.done, tally.total);
        writeln!(out, "measuring on {split}: {done} of {total} tasks, {} solved{missing}", tally.solved)?;
    }
    if let Some(best) = status.best_score {
        let from = status.initial_score.map_or_else(String::new, |score| format!(", from {}", percent(score)));
        writeln!(out, "best score {}{from}", percent(best))?;
    }
    for (role, usage) in [("assistant", status.assistant_usage), ("optimizer", status.optimizer_usage)] {
        let (replies, prompt, reply) = (usage.requests, usage.prompt_tokens, usage.completion_tokens);
        writeln!(out, "{role}: {replies} replies, {prompt} prompt tokens, {reply} reply tokens")?;
    }
    if let Some(money) = status.money_words() {
        writeln!(out, "spent {money}")?;
    }
    if status.state == RunState::Finished {
        writeln!(out, "nothing is left to resume; `greensand fork` begins a new run from a step of it")?;
    }
    match &status.next {
        Some(next) => writeln!(out, "{DIM}next: {}{DIM:#}", text::line(next)),
        None => Ok(()),
    }
}

fn state_words(state: RunState) -> String {
    let style = match state {
        RunState::Running | RunState::Finished => GOOD,
        RunState::Stopped | RunState::Interrupted | RunState::Waiting => WARN,
        RunState::Failed | RunState::Crashed | RunState::Damaged => BAD,
    };
    let by = if state == RunState::Stopped { ": budget" } else { "" };
    format!("{style}{}{by}{style:#}", state.as_str())
}

fn percent(score: f64) -> String {
    format!("{:.1} %", score * 100.0)
}
