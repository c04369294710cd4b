//! JSON Schemas of what this program reads and writes, made from the types and the list of settings.
//!
//! They are kept in `schemas/` beside this crate's manifest, where a test compares them with these. Members that are not
//! described are allowed in what the program writes, as a later one may add some; a project file has none but those here.

use schemars::{JsonSchema, schema_for};
use serde_json::Value;

use crate::RunStatus;
use crate::events::EventLine;
use crate::page::ReportPage;
use crate::store::{JournalEvent, Manifest, Report};

/// A line of a journal.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "its form is all that is wanted of it")]
struct JournalLine {
    /// The number of the line, from 0.
    seq: u64,
    /// What happened.
    #[schemars(flatten)]
    event: JournalEvent,
}

/// What has a schema, with what it describes.
pub const SCHEMAS: &[(&str, &str)] = &[
    ("project", "the project file, greensand.toml"),
    ("manifest", "manifest.json of a run folder"),
    ("journal", "a line of journal.jsonl, replies.jsonl, outcomes.jsonl or sittings.jsonl of a run folder"),
    ("report", "report.json of a run folder, and what `show --json` prints"),
    ("events", "a line of what `train --json` and `eval --json` print, and of events.jsonl of a run folder"),
    ("status", "what `status RUN --json` and `stop RUN --json` print"),
    ("page", "what `report RUN --json` prints, and what a page holds"),
];

/// Returns the schema of that name.
pub fn schema(name: &str) -> Option<Value> {
    let mut schema = match name {
        "project" => crate::settings::project_schema(),
        "manifest" => schema_for!(Manifest).into(),
        "journal" => schema_for!(JournalLine).into(),
        "report" => schema_for!(Report).into(),
        "events" => schema_for!(EventLine).into(),
        "status" => schema_for!(RunStatus).into(),
        "page" => schema_for!(ReportPage).into(),
        _ => return None,
    };
    let (_, of_what) = SCHEMAS.iter().find(|(known, _)| *known == name)?;
    schema["title"] = format!("greensand {name}: {of_what}").into();
    Some(schema)
}
