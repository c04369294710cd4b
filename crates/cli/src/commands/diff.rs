use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use greensand_app::store::RunFolder;
use greensand_app::{Change, SetDiff, diff_sets};
use greensand_types::counted;

use super::common;
use crate::failure::{Ending, Failure};
use crate::terminal::{BAD, BOLD, GOOD, Terminal};
use crate::text;

/// Compare two function sets of a run, source by source.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// The set before: `initial`, `best`, an id or its beginning
    #[arg(value_name = "A", default_value = "initial")]
    before: String,

    /// The set after
    #[arg(value_name = "B", default_value = "best")]
    after: String,

    /// Prints the differences as JSON
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Examples:
  greensand diff runs/RUN
  greensand diff runs/RUN initial best
  greensand diff runs/RUN 1a2b3c4d5e6f 99aa --json";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let run = RunFolder::open(&arguments.run)?;
    let (before, after) = (run.load_set(&arguments.before)?, run.load_set(&arguments.after)?);
    let diff = diff_sets(&before, &after);
    if arguments.json {
        common::write_json(&diff, terminal)?;
        return Ok(Ending::Done);
    }
    write(&diff, terminal)?;
    Ok(Ending::Done)
}

fn write(diff: &SetDiff, terminal: &Terminal) -> Result<(), Failure> {
    let mut out = terminal.out();
    for function in &diff.functions {
        let change = match function.change {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Revised => "revised",
        };
        writeln!(out, "{BOLD}function {} {change}{BOLD:#}", text::line(&function.name))?;
        for line in function.text.lines() {
            let line = text::block(line);
            match line.as_bytes().first() {
                Some(b'+') => writeln!(out, "{GOOD}{line}{GOOD:#}")?,
                Some(b'-') => writeln!(out, "{BAD}{line}{BAD:#}")?,
                _ => writeln!(out, "{line}")?,
            }
        }
        writeln!(out)?;
    }
    writeln!(out, "{} changed, {} alike", counted(diff.functions.len(), "function"), diff.unchanged)?;
    Ok(out.flush()?)
}
