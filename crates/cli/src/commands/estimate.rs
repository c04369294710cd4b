use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use greensand_app::open_project;
use greensand_app::spend::{Amount, Estimate, estimate, tokens_text};

use super::common::{self, ModelFlags};
use crate::failure::{Ending, Failure};
use crate::terminal::{BOLD, DIM, Terminal};
use crate::text;

/// Say what a training will take in calls, tokens and money, before anything is spent.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The project folder, or its project file
    #[arg(value_name = "PROJECT")]
    project: PathBuf,

    #[command(flatten)]
    flags: ModelFlags,

    /// Sets any setting of the project file, such as training.epochs=5; may be given again
    #[arg(long = "set", visible_alias = "setting", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Prints the estimate as JSON
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Nothing is sent. What is expected follows from the means of earlier runs of the project; without any, from assumptions that are
said. The worst case of calls follows from the settings: tasks, epochs, turns, actions and retries.

Examples:
  greensand estimate examples/quickstart
  greensand estimate my-agent --model gpt-4.1-mini
  greensand estimate my-agent --model gpt-4.1-mini --set training.epochs=5 --json | jq .total";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let overrides = arguments.flags.overrides(&arguments.settings)?;
    let project = open_project(&arguments.project, &overrides, &environment)?;
    let estimate = estimate(&project)?;
    if arguments.json {
        common::write_json(&estimate, terminal)?;
        return Ok(Ending::Done);
    }
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_estimate(&mut out, &estimate);
    let caps = project.settings.budget.caps.describe();
    let _ = writeln!(out, "\n{DIM}budget: {caps}{DIM:#}");
    common::write_text(&out, terminal)?;
    Ok(Ending::Done)
}

fn write_estimate(out: &mut String, estimate: &Estimate) -> std::fmt::Result {
    writeln!(out, "{BOLD}training of {}{BOLD:#}: what it will take\n", text::line(&estimate.project))?;
    let head = ["", "", "expected", "", "", "worst case", "", ""];
    write_row(out, head.map(str::to_owned))?;
    let names = ["phase", "model", "calls", "tokens", "money", "calls", "tokens", "money"];
    write_row(out, names.map(str::to_owned))?;
    for phase in &estimate.phases {
        let (expected, worst) = (cells(&phase.range.expected), cells(&phase.range.worst));
        write_numbers(out, &phase.phase, &phase.role, expected, worst)?;
    }
    write_numbers(out, "all", "", cells(&estimate.total.expected), cells(&estimate.total.worst))?;
    writeln!(out, "\nexpected: {}", text::line(&estimate.basis))?;
    for assumption in &estimate.assumptions {
        writeln!(out, "{}", text::line(assumption))?;
    }
    writeln!(out, "assistant: {}", text::line(&estimate.prices.assistant.describe()))?;
    writeln!(out, "optimizer: {}", text::line(&estimate.prices.optimizer.describe()))
}

fn write_numbers(
    out: &mut String,
    phase: &str,
    role: &str,
    [calls, tokens, money]: [String; 3],
    [worst_calls, worst_tokens, worst_money]: [String; 3],
) -> std::fmt::Result {
    let (phase, role) = (phase.to_owned(), role.to_owned());
    write_row(out, [phase, role, calls, tokens, money, worst_calls, worst_tokens, worst_money])
}

fn write_row(out: &mut String, cells: [String; 8]) -> std::fmt::Result {
    let [phase, role, calls, tokens, money, worst_calls, worst_tokens, worst_money] = cells;
    let line = format!(
        "  {phase:<18} {role:<9} {calls:>8} {tokens:>8} {money:>9}   {worst_calls:>10} {worst_tokens:>8} {worst_money:>9}"
    );
    writeln!(out, "{}", line.trim_end())
}

fn cells(amount: &Amount) -> [String; 3] {
    let tokens = tokens_text(amount.tokens());
    let tokens = tokens.trim_end_matches(" tokens").trim_end_matches(" token").to_owned();
    let money = amount.nano_usd.map_or_else(|| "unknown".into(), |money| money.to_string());
    [amount.calls.to_string(), tokens, money]
}
