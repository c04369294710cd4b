//! The schemas beside this crate's manifest: those that the types give, and true of what a run writes.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use greensand_app::events::EventLine;
use greensand_app::page::ReportPage;
use greensand_app::schema::{SCHEMAS, schema};
use greensand_app::{Interrupt, RunStatus};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{ASSISTANT, Folder, Watching, train, writes};

fn file_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(format!("{name}.schema.json"))
}

#[test]
fn the_schemas_that_are_kept_are_those_of_the_types() {
    for (name, _) in SCHEMAS {
        let made = serde_json::to_string_pretty(&schema(name).unwrap()).unwrap() + "\n";
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(file_of(name), &made).unwrap();
        }
        let kept = std::fs::read_to_string(file_of(name)).unwrap_or_default();
        assert!(kept == made, "`schemas/{name}.schema.json` is out of date: run this test with BLESS=1");
    }
    let kept = std::fs::read_dir(file_of("x").parent().unwrap()).unwrap().count();
    assert_eq!(kept, SCHEMAS.len(), "a schema is kept that nothing makes");
}

fn validator(name: &str) -> Validator {
    jsonschema::validator_for(&schema(name).unwrap()).unwrap()
}

#[track_caller]
fn check(name: &str, validator: &Validator, value: &Value) {
    if let Err(error) = validator.validate(value) {
        panic!("{name}: {error} at {}: {value}", error.instance_path());
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn what_a_run_writes_is_as_its_schemas_say() {
    let stops = "[[rule]]\nrole = \"optimizer\"\nreply.text = \"TERMINATE\"\n";
    let rules = [writes(1, "add_function", "wrong"), writes(2, "revise_function", "sum")];
    let folder = Folder::new("[training]\nepochs = 3", &[ASSISTANT, &rules[0], &rules[1], stops]);
    let (project, equipment) = folder.open(&[]);
    let events = Mutex::new(vec![serde_json::to_value(EventLine::opened("train")).unwrap()]);
    let watching =
        Watching(|event: &_| events.lock().unwrap().push(serde_json::to_value(EventLine::from(event)).unwrap()));
    let run = train(&project, &equipment, &watching, &Interrupt::new()).unwrap().folder;

    let line_of = validator("journal");
    let mut kinds = std::collections::BTreeSet::new();
    for file in ["journal.jsonl", "replies.jsonl", "outcomes.jsonl", "sittings.jsonl"] {
        let text = std::fs::read_to_string(run.path().join(file)).unwrap();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            check(file, &line_of, &line);
            kinds.insert(line["event"].as_str().unwrap().to_owned());
        }
    }
    for kind in ["opened", "evaluation_started", "conversation", "step", "decision", "stopped", "reply", "outcome"] {
        assert!(kinds.contains(kind), "the run has no line `{kind}`: {kinds:?}");
    }
    check("manifest", &validator("manifest"), &json(&run.path().join("manifest.json")));
    check("report", &validator("report"), &json(&run.path().join("report.json")));
    let event = validator("events");
    let events = events.into_inner().unwrap();
    assert!(events.len() > 20, "{events:?}");
    events.iter().for_each(|line| check("events", &event, line));
    check("status", &validator("status"), &serde_json::to_value(RunStatus::of(&run).unwrap()).unwrap());
    check("page", &validator("page"), &serde_json::to_value(ReportPage::of(&run).unwrap()).unwrap());
}

#[test]
fn a_line_that_no_run_writes_is_not_as_its_schema_says() {
    let line = validator("journal");
    assert!(line.is_valid(&json!({"seq": 0, "event": "opened", "data": {"format": 1, "run": "r"}})));
    for wrong in [
        json!({"seq": 0, "event": "opened", "data": {"format": "1", "run": "r"}}),
        json!({"seq": 0, "event": "opened", "data": {"run": "r"}}),
        json!({"seq": -1, "event": "opened", "data": {"format": 1, "run": "r"}}),
        json!({"seq": 0, "event": "fancy", "data": {}}),
        json!({"event": "opened", "data": {"format": 1, "run": "r"}}),
    ] {
        assert!(!line.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn project_files_are_as_their_schema_says_and_mistakes_are_not() {
    let project = validator("project");
    let parse = |text: &str| -> Value { serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap() };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["defaults.toml", "../../examples/quickstart/greensand.toml"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        check(file, &project, &parse(&text));
        // What stands there as an example must be allowed as well.
        if file == "defaults.toml" {
            let is_setting = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
            let all = text.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line));
            check("examples", &project, &parse(&all.collect::<Vec<_>>().join("\n")));
        }
    }
    for wrong in [
        "[training]\nepoch = 3",
        "[training]\nepochs = 0",
        "[training]\nepochs = \"3\"",
        "[trainign]\nepochs = 3",
        "[scorer]\nname = \"exactly\"",
        "[tasks.split]\ntrain = 1.5",
        "[model]\nbase_url = \"ftp://x\"",
        "[project]\nname = \" \"",
    ] {
        assert!(!project.is_valid(&parse(wrong)), "{wrong}");
    }
}
