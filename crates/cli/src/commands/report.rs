use std::path::{Path, PathBuf};

use clap::Args;
use greensand_app::page::{ReportPage, write_page};
use greensand_app::store::RunFolder;

use super::common;
use crate::failure::{Ending, Failure};
use crate::terminal::{DIM, Terminal};
use crate::text;

/// Write a run as a page for the browser: scores, steps with their reasons and changes, functions, refusals, spend.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Where the page is written; `-` is standard output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "text"])]
    html: Option<PathBuf>,

    /// Prints the data of the page as JSON instead
    #[arg(long, conflicts_with = "text")]
    json: bool,

    /// Prints the report as text instead
    #[arg(long)]
    text: bool,
}

const HELP: &str = "\
Without a flag the page is `report.html` in the run folder. It is one file that asks for nothing and runs nothing, and it
holds its data once more as JSON, in the element `greensand-report`. Texts of more than 16000 characters are cut in their middle.
A run that is under way or was stopped has a page, too.

Examples:
  greensand report runs/RUN
  greensand report runs/RUN --html page.html
  greensand report runs/RUN --json | jq '.steps[].diff.functions[].name'";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let run = RunFolder::open(&arguments.run)?;
    if arguments.json {
        common::write_json(&ReportPage::of(&run)?, terminal)?;
    } else if arguments.text {
        common::write_text(&text::block(&run.report()?.to_text()), terminal)?;
    } else if arguments.html.as_deref() == Some(Path::new("-")) {
        common::write_text(&ReportPage::of(&run)?.to_html(), terminal)?;
    } else {
        let page = write_page(&run, arguments.html.as_deref())?;
        common::write_text(&format!("{}\n", common::shown(&page)), terminal)?;
        terminal.say(format_args!("{DIM}open it in a browser{DIM:#}"));
    }
    Ok(Ending::Done)
}
