use clap::Args;
use clap::builder::PossibleValuesParser;
use greensand_app::schema::{SCHEMAS, schema};

use super::common;
use crate::failure::{Ending, Failure};
use crate::terminal::Terminal;

/// Print the JSON Schema of a file or an output of this program.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// What to describe
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(SCHEMAS.iter().map(|(name, _)| *name)))]
    name: String,
}

const HELP: &str = "\
project: greensand.toml. manifest, report: of a run folder. journal: a line of journal.jsonl, replies.jsonl, outcomes.jsonl or
sittings.jsonl. events: a line of `train --json` or events.jsonl. status, page: what `status --json` and `report --json` print.
An editor that knows TOML completes and checks a project file whose first line is `#:schema ./greensand.schema.json`.

Examples:
  greensand schema project > my-agent/greensand.schema.json
  greensand schema journal";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let schema = schema(&arguments.name).ok_or_else(|| Failure::bug("a schema that is listed is not made"))?;
    common::write_json(&schema, terminal)?;
    Ok(Ending::Done)
}
