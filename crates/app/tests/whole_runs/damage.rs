//! Run folders of which a file is gone or damaged: what nothing rests on stops nothing, and else the hint is true.

use std::path::Path;

use greensand_app::store::Reopening;
use greensand_app::{TrainError, TrainReport};

use crate::support::*;

/// A run that a cap stopped before its second epoch.
fn stopped() -> (Folder, std::path::PathBuf) {
    let folder =
        Folder::new("[training]\nepochs = 2", &[ASSISTANT, &writes(1, "add_function", "sum"), SILENT_OPTIMIZER]);
    let run = folder.train(&["budget.max_calls=10"]).unwrap().folder.path().to_owned();
    (folder, run)
}

fn again_with(run: &Path, how: Reopening) -> Result<TrainReport, TrainError> {
    let (recorded, eras) = reopened_with(run, &["budget.max_calls=1000"]);
    again(&recorded, &eras, how).map(trained)
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Gone,
    Empty,
    Overwritten,
}

fn damage(path: &Path, damage: Damage) {
    match damage {
        Damage::Gone => std::fs::remove_file(path).unwrap(),
        Damage::Empty => std::fs::write(path, "").unwrap(),
        Damage::Overwritten => std::fs::write(path, "\0{not what was there\n").unwrap(),
    }
}

const ALL: [Damage; 3] = [Damage::Gone, Damage::Empty, Damage::Overwritten];

#[test]
fn a_run_goes_on_without_its_lock_its_sittings_or_whatever_is_made_again() {
    for file in ["lock", "sittings.jsonl", "process.json", "best", "report.json", "report.txt"] {
        for how in ALL {
            let (_folder, run) = stopped();
            damage(&run.join(file), how);
            let error = again_with(&run, Reopening::Replay).map(|report| report.ending).unwrap_err();
            assert!(error.to_string().contains("the run would go on"), "{file}, {how:?}: {error}");
            let done = again_with(&run, Reopening::Resume).unwrap_or_else(|error| panic!("{file}, {how:?}: {error:?}"));
            assert!(done.report.stop.unwrap().is_the_end(), "{file}, {how:?}");
            again_with(&run, Reopening::Replay).unwrap();
        }
    }
}

#[test]
fn sittings_that_cannot_be_read_are_set_aside() {
    let (_folder, run) = stopped();
    damage(&run.join("sittings.jsonl"), Damage::Overwritten);
    let done = again_with(&run, Reopening::Resume).unwrap();
    assert_eq!(std::fs::read_to_string(run.join("sittings.damaged.jsonl")).unwrap(), "\0{not what was there\n");
    assert!(done.report.warnings.iter().any(|warning| warning.contains("sittings.damaged.jsonl")), "{done:?}");
}

#[test]
fn what_was_paid_for_is_not_asked_for_again_because_its_file_is_damaged() {
    for file in ["journal.jsonl", "replies.jsonl", "outcomes.jsonl"] {
        for how in ALL {
            let (_folder, run) = stopped();
            damage(&run.join(file), how);
            let error = again_with(&run, Reopening::Resume).unwrap_err();
            assert!(error.to_string().contains(file), "{file}, {how:?}: {error}");
            assert!(!error.can_go_on(), "{file}, {how:?}: to resume it would end alike");
            let hint = error.hint().unwrap();
            assert!(hint.starts_with(&format!("put `{file}` back")), "{file}, {how:?}: {hint}");
        }
    }
}

#[test]
fn what_was_sent_may_be_deleted_as_the_hint_says() {
    let (_folder, run) = stopped();
    let sent = run.join("sent.jsonl");
    damage(&sent, Damage::Overwritten);
    let error = again_with(&run, Reopening::Resume).unwrap_err();
    assert!(error.hint().unwrap().contains("delete `"), "{error}");
    damage(&sent, Damage::Gone);
    again_with(&run, Reopening::Resume).unwrap();
}

/// Ends a process when the test does.
struct Sleeper(std::process::Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_lock_that_was_taken_away_from_a_process_that_lives_lets_nobody_in() {
    let (_folder, run) = stopped();
    std::fs::remove_file(run.join("lock")).unwrap();
    let sleeper = Sleeper(std::process::Command::new("sleep").arg("60").spawn().unwrap());
    let pid = sleeper.0.id();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(19).unwrap().to_owned();
    let mut process: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(run.join("process.json")).unwrap()).unwrap();
    let started = process["started"].as_str().unwrap().to_owned();
    let own = std::fs::read_to_string("/proc/self/stat").unwrap();
    let own_ticks = own.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(19).unwrap().to_owned();
    process["pid"] = pid.into();
    process["started"] = started.replace(&own_ticks, &ticks).into();
    std::fs::write(run.join("process.json"), process.to_string()).unwrap();
    let error = again_with(&run, Reopening::Resume).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    drop(sleeper);
    again_with(&run, Reopening::Resume).unwrap();
}
