use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use greensand_app::store::RunFolder;

use super::common;
use crate::failure::{Ending, Failure};
use crate::terminal::{BOLD, DIM, Terminal};
use crate::text;

/// Show a run: scores per epoch, what was accepted, rolled back or refused and why, and the functions with evidence.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Adds the sources of the best set
    #[arg(long)]
    sources: bool,

    /// Adds every setting of the run, with where its value came from
    #[arg(long)]
    settings: bool,

    /// Prints the report as JSON
    #[arg(long, conflicts_with_all = ["sources", "settings"])]
    json: bool,
}

const HELP: &str = "\
It reads the journal, so that a run that is under way or was stopped can be shown, too.

Examples:
  greensand show examples/quickstart/runs/RUN
  greensand show runs/RUN --sources
  greensand show runs/RUN --json | jq '.epochs[].decision'";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let run = RunFolder::open(&arguments.run)?;
    let report = run.report()?;
    if arguments.json {
        common::write_json(&report, terminal)?;
        return Ok(Ending::Done);
    }
    let mut text = text::block(&report.to_text()).into_owned();
    if arguments.settings {
        text.push_str(&settings(&run)?);
    }
    if arguments.sources {
        text.push_str(&sources(&run)?);
    }
    common::write_text(&text, terminal)?;
    Ok(Ending::Done)
}

fn settings(run: &RunFolder) -> Result<String, Failure> {
    let mut out = format!("\n{BOLD}settings{BOLD:#}\n");
    for setting in run.manifest()?.settings {
        let value = text::shortened(&setting.value.to_string(), 60);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {} = {value}  {DIM}{}{DIM:#}", text::line(&setting.key), text::line(&setting.source));
    }
    Ok(out)
}

fn sources(run: &RunFolder) -> Result<String, Failure> {
    let mut out = String::new();
    for function in run.load_set("best")?.functions {
        let _ = writeln!(
            out,
            "\n{BOLD}{}{BOLD:#}: {}",
            function.signature.name(),
            text::line(function.signature.description())
        );
        let _ = writeln!(out, "{}", text::block(function.source.trim_end()));
    }
    Ok(out)
}
