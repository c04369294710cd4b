//! Runs that are stopped, killed at every moment, taken up again, replayed, and forked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use greensand_app::store::{Reopening, RunFolder, StoreError};
use greensand_app::{
    Environment, Eras, Event, ForkError, Interrupt, ModelBackend, ModelError, ModelErrorKind, Overrides, RecordedRun,
    RecordedRunError, RunEnding, Silent, TrainError, TrainErrorKind, TrainReport, fork,
};
use greensand_llm::{ChatReply, ChatRequest, Role};
use greensand_types::{BoxFuture, FunctionRuntime};

use crate::support::*;

fn overrides(settings: &[&str]) -> Overrides {
    let mut overrides = Overrides::new();
    for setting in settings {
        overrides.set(setting).unwrap();
    }
    overrides
}

/// Opens a run again, with models that remember what they are asked.
struct Again {
    recorded: RecordedRun,
    eras: Eras,
    assistant: Arc<Listening>,
    optimizer: Arc<Listening>,
}

impl Again {
    fn open(run: &Path, settings: &[&str]) -> Self {
        let environment = Environment::of([], run);
        let recorded = RecordedRun::open(run, &overrides(settings), &environment).unwrap();
        let runtime: Arc<dyn FunctionRuntime> = Arc::new(TableRuntime);
        let mut equipment = recorded.equipment(&runtime, &environment).unwrap().first().clone();
        let assistant = Listening::to(&equipment.assistant);
        let optimizer = Listening::to(&equipment.optimizer);
        equipment.assistant = Arc::clone(&assistant) as Arc<dyn ModelBackend>;
        equipment.optimizer = Arc::clone(&optimizer) as Arc<dyn ModelBackend>;
        Self { recorded, eras: Eras::one(equipment), assistant, optimizer }
    }

    fn resume(&self) -> Result<TrainReport, TrainError> {
        again(&self.recorded, &self.eras, Reopening::Resume).map(trained)
    }

    fn replay(&self) -> Result<TrainReport, TrainError> {
        again(&self.recorded, &self.eras, Reopening::Replay).map(trained)
    }

    fn asked(&self) -> Vec<String> {
        let both = [&self.assistant, &self.optimizer];
        both.iter().flat_map(|model| model.requests.lock().unwrap().iter().map(key).collect::<Vec<_>>()).collect()
    }
}

fn key(request: &ChatRequest) -> String {
    request.digest().to_string()
}

/// Everything that a run leaves and that must not depend on whether it was stopped: journal, report, best set.
fn state(run: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for name in ["journal.jsonl", "best", "report.json", "report.txt", "manifest.json"] {
        files.insert(name.to_owned(), std::fs::read_to_string(run.join(name)).unwrap());
    }
    for set in RunFolder::open(run).unwrap().sets().unwrap() {
        for entry in std::fs::read_dir(run.join("sets").join(&set)).unwrap() {
            let path = entry.unwrap().path();
            files.insert(
                format!("{set}/{}", path.file_name().unwrap().display()),
                std::fs::read_to_string(&path).unwrap(),
            );
        }
    }
    files
}

#[track_caller]
fn check_state(run: &Path, expected: &BTreeMap<String, String>) {
    let found = state(run);
    assert!(found.keys().eq(expected.keys()), "{:?} {:?}", found.keys(), expected.keys());
    for (file, text) in expected {
        let mut lines = found[file].lines().zip(text.lines()).enumerate();
        if let Some((number, (found, expected))) = lines.find(|(_, (found, expected))| found != expected) {
            panic!("{}/{file}:{}:\n{found}\n{expected}", run.display(), number + 1);
        }
        assert_eq!(found[file].len(), text.len(), "{}/{file}", run.display());
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn kept(run: &Path) -> Vec<String> {
    let run = RunFolder::open(run).unwrap();
    let of = |role| run.replies(role).unwrap().into_iter().map(|reply| reply.request.to_string()).collect::<Vec<_>>();
    Role::ALL.into_iter().flat_map(of).collect()
}

/// The state of a run folder at every event of a run, as a process that is killed there leaves it.
fn snapshots(folder: &Folder, jobs: usize, into: &Path) -> (PathBuf, Vec<PathBuf>) {
    let (project, equipment) = folder.open(&[&format!("training.jobs={jobs}")]);
    let run = Mutex::new(None::<PathBuf>);
    let taken = Mutex::new(Vec::new());
    let observer = Watching(|event: &Event<'_>| {
        if let Event::RunOpened { folder, .. } = event {
            *run.lock().unwrap() = Some((*folder).to_owned());
        }
        let Some(run) = run.lock().unwrap().clone() else { return };
        let mut taken = taken.lock().unwrap();
        let snapshot = into.join(taken.len().to_string()).join(run.file_name().unwrap());
        copy(&run, &snapshot);
        taken.push(snapshot);
    });
    let done = train(&project, &equipment, &observer, &Interrupt::new()).unwrap();
    (done.folder.path().to_owned(), taken.into_inner().unwrap())
}

fn check_resumed(whole: &Path, left: &Path, jobs: usize) {
    let before = kept(left);
    let again = Again::open(left, &[&format!("training.jobs={jobs}")]);
    let done = again.resume().unwrap_or_else(|error| panic!("{}: {:?}", left.display(), error.kind));
    assert_eq!(done.ending, RunEnding::Finished);
    check_state(left, &state(whole));
    let asked = again.asked();
    assert!(asked.iter().all(|request| !before.contains(request)), "{} pays twice", left.display());
    let (mut all, mut expected) = (kept(left), kept(whole));
    assert_eq!(all.len(), before.len() + asked.len(), "{}", left.display());
    all.sort();
    expected.sort();
    assert_eq!(all, expected, "{}", left.display());
}

#[test]
fn a_run_that_was_killed_at_any_moment_comes_to_the_same_end_and_pays_nothing_twice() {
    for (jobs, later) in [(1, 1), (3, 2)] {
        let (folder, into) = (story(), tempfile::tempdir().unwrap());
        let (whole, left) = snapshots(&folder, jobs, into.path());
        assert!(left.len() > 60, "{}", left.len());
        for left in left.into_iter().step_by(jobs) {
            check_resumed(&whole, &left, later);
        }
    }
}

#[test]
fn a_run_whose_journal_was_cut_after_any_line_comes_to_the_same_end() {
    let folder = story();
    let whole = folder.train(&[]).unwrap().folder;
    let journal = std::fs::read_to_string(whole.path().join("journal.jsonl")).unwrap();
    let ends: Vec<usize> = journal.match_indices('\n').map(|(at, _)| at + 1).collect();
    let into = tempfile::tempdir().unwrap();
    for (line, end) in ends.iter().enumerate() {
        // In the middle of the next line, too: replies and outcomes are ahead of the journal.
        for cut in [*end, (*end + 17).min(journal.len())] {
            let left = into.path().join(format!("{line}-{cut}")).join(whole.name());
            copy(whole.path(), &left);
            std::fs::write(left.join("journal.jsonl"), &journal[..cut]).unwrap();
            for file in ["replies.jsonl", "outcomes.jsonl", "sittings.jsonl"] {
                let mut torn = std::fs::read(left.join(file)).unwrap();
                torn.extend(b"{\"seq\":9999,\"event\":\"rep");
                std::fs::write(left.join(file), torn).unwrap();
            }
            let again = Again::open(&left, &[]);
            again.resume().unwrap();
            check_state(&left, &state(whole.path()));
            assert!(again.asked().is_empty(), "every reply was kept");
        }
    }
}

#[test]
fn an_interrupt_at_any_event_loses_nothing() {
    let folder = story();
    let whole = folder.train(&["training.jobs=2"]).unwrap();
    let (project, equipment) = folder.open(&["training.jobs=2"]);
    let total = {
        let count = Mutex::new(0);
        let counting = Watching(|_: &Event<'_>| *count.lock().unwrap() += 1);
        train(&project, &equipment, &counting, &Interrupt::new()).unwrap();
        count.into_inner().unwrap()
    };
    for at in (1..total).step_by(5) {
        let (interrupt, seen) = (Interrupt::new(), Mutex::new(0));
        let observer = Watching(|_: &Event<'_>| {
            let mut seen = seen.lock().unwrap();
            *seen += 1;
            if *seen == at {
                interrupt.raise();
            }
        });
        let left = train(&project, &equipment, &observer, &interrupt).unwrap();
        let kind = left.report.stop.as_ref().map(|stop| stop.kind.clone());
        let expected = if left.ending == RunEnding::Finished { "patience" } else { "interrupted" };
        assert_eq!(kind.as_deref(), Some(expected), "{at}");
        assert_eq!(RunFolder::open(left.folder.path()).unwrap().report().unwrap(), left.report, "{at}");
        let done = Again::open(left.folder.path(), &[]).resume().unwrap();
        assert_eq!((done.report.epochs, done.report.test), (whole.report.epochs.clone(), whole.report.test.clone()));
        assert_eq!(done.report.optimizer_usage, whole.report.optimizer_usage, "{at}");
        assert_eq!(done.report.assistant_usage, whole.report.assistant_usage, "{at}");
    }
}

/// Fails with a kind of fault at some requests of a role, by their number from 0.
struct FailsAt {
    backend: Arc<dyn ModelBackend>,
    kind: ModelErrorKind,
    at: std::ops::Range<usize>,
    seen: Mutex<usize>,
}

impl ModelBackend for FailsAt {
    fn label(&self) -> String {
        self.backend.label()
    }

    fn identity(&self) -> String {
        self.backend.identity()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        let mut seen = self.seen.lock().unwrap();
        *seen += 1;
        if self.at.contains(&(*seen - 1)) {
            let error = ModelError::new(self.kind, "no");
            return Box::pin(async move { Err(error) });
        }
        self.backend.chat(request)
    }
}

#[test]
fn a_model_that_failed_can_be_asked_again_later() {
    use ModelErrorKind::{Authentication, TimedOut, Unreachable};
    let whole = story().train(&[]).unwrap().report;
    let faults = [
        (Role::Assistant, Authentication, 3..4),
        (Role::Assistant, Unreachable, 0..9),
        (Role::Assistant, Unreachable, 30..60),
        (Role::Optimizer, TimedOut, 0..1),
        (Role::Optimizer, TimedOut, 3..4),
    ];
    for (role, kind, at) in faults {
        let folder = story();
        let (project, mut equipment) = folder.open(&[]);
        let model = match role {
            Role::Assistant => &mut equipment.assistant,
            Role::Optimizer => &mut equipment.optimizer,
        };
        *model = Arc::new(FailsAt { backend: Arc::clone(model), kind, at: at.clone(), seen: Mutex::new(0) });
        let ended = train(&project, &equipment, &Silent, &Interrupt::new());
        assert!(!matches!(ended, Ok(TrainReport { ending: RunEnding::Finished, .. })), "{role} {kind:?} {at:?}");
        let run = folder.runs().remove(0);
        let stopped = RunFolder::open(&run).unwrap().report().unwrap();
        assert!(stopped.stop.is_some());
        let done = Again::open(&run, &[]).resume().unwrap();
        assert_eq!((done.report.epochs, done.report.test), (whole.epochs.clone(), whole.test.clone()), "{role} {at:?}");
        assert_eq!(done.report.stop, whole.stop);
    }
}

#[test]
fn a_finished_run_replays_to_the_same_bytes_whatever_is_done_at_one_time() {
    let folder = story();
    let done = folder.train(&["training.jobs=4"]).unwrap();
    let before = state(done.folder.path());
    for jobs in ["training.jobs=1", "training.jobs=7"] {
        let again = Again::open(done.folder.path(), &[jobs]);
        let report = again.replay().unwrap().report;
        assert_eq!(report, done.report);
        assert!(again.asked().is_empty(), "a replay asks nobody");
    }
    check_state(done.folder.path(), &before);
    let sittings = std::fs::read_to_string(done.folder.path().join("sittings.jsonl")).unwrap();
    assert_eq!(sittings.lines().count(), 3);
}

#[test]
fn a_replay_of_a_run_with_missing_tasks_makes_no_fault_again() {
    let fails = "[[rule]]\nrole = \"assistant\"\ntask = \"validation-3-3\"\nfail = \"unreachable\"\n";
    let rules = [fails, ASSISTANT, &writes(1, "add_function", "sum"), SILENT_OPTIMIZER];
    let folder = Folder::new("[training]\npatience = 1\nmax_missing = 0.25\n", &rules);
    let done = folder.train(&[]).unwrap();
    assert_eq!(Again::open(done.folder.path(), &[]).replay().unwrap().report, done.report);
    assert_eq!(Again::open(done.folder.path(), &[]).resume().unwrap().report, done.report);
}

#[test]
fn a_replay_of_an_unfinished_run_goes_to_its_end_and_says_so() {
    let (folder, into) = (story(), tempfile::tempdir().unwrap());
    let (_, left) = snapshots(&folder, 2, into.path());
    for left in left.iter().step_by(5) {
        let error = Again::open(left, &[]).replay().unwrap_err();
        assert!(is_end(&error.kind), "{}: {:?}", left.display(), error.kind);
    }
}

fn is_end(kind: &TrainErrorKind) -> bool {
    matches!(kind, TrainErrorKind::Store(error) if matches!(**error, StoreError::EndOfRecord { .. }))
        || matches!(kind, TrainErrorKind::Optimizer(error) if error.kind() == ModelErrorKind::Exhausted)
}

#[test]
fn an_edited_journal_is_named_by_its_first_line_that_comes_out_otherwise() {
    for (from, to, line) in [("\"score\":0.25", "\"score\":0.75", 7), ("the mean score is higher", "luck", 22)] {
        let folder = story();
        let run = folder.train(&[]).unwrap().folder.path().to_owned();
        let path = run.join("journal.jsonl");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        for ended in [Again::open(&run, &[]).replay(), Again::open(&run, &[]).resume()] {
            let TrainErrorKind::Store(error) = ended.unwrap_err().kind else { panic!() };
            let text = error.to_string();
            assert!(text.contains(&format!("journal.jsonl:{line}: the run goes another way here")), "{text}");
        }
    }
}

#[test]
fn a_damaged_file_of_a_run_names_its_line() {
    for file in ["journal.jsonl", "replies.jsonl", "outcomes.jsonl"] {
        let folder = story();
        let run = folder.train(&[]).unwrap().folder.path().to_owned();
        let text = std::fs::read_to_string(run.join(file)).unwrap();
        std::fs::write(run.join(file), text.replacen("\"seq\":1,", "\"seq\":1;", 1)).unwrap();
        let TrainErrorKind::Store(error) = Again::open(&run, &[]).resume().unwrap_err().kind else { panic!() };
        assert!(error.to_string().contains(&format!("{file}:2: not a journal line")), "{error}");
    }
}

#[test]
fn a_finished_run_is_taken_up_again_without_any_effect() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    let before = state(done.folder.path());
    let again = Again::open(done.folder.path(), &[]);
    assert_eq!(again.resume().unwrap().report, done.report);
    check_state(done.folder.path(), &before);
    assert!(again.asked().is_empty());
}

#[test]
fn what_would_make_another_run_of_it_is_refused() {
    let folder = story();
    let run = folder.train(&["training.epochs=1"]).unwrap().folder.path().to_owned();
    let environment = Environment::of([], folder.path());
    let open = |settings: &[&str]| RecordedRun::open(&run, &overrides(settings), &environment);
    assert!(
        matches!(open(&["training.epochs=9"]), Err(RecordedRunError::Fixed { key, .. }) if key == "training.epochs")
    );
    assert!(open(&["training.jobs=9", "model.max_retries=3", "sandbox.instances=fresh"]).is_ok());
    // Settings are those of the manifest, whatever the project file says by now.
    std::fs::write(folder.path().join("greensand.toml"), "broken").unwrap();
    assert_eq!(open(&[]).unwrap().project.settings.training.epochs, 1);
    let tasks = folder.path().join("tasks/train.jsonl");
    let text = std::fs::read_to_string(&tasks).unwrap();
    std::fs::write(&tasks, text.replace("What is", "Say")).unwrap();
    assert!(matches!(open(&[]), Err(RecordedRunError::Changed { .. })));
}

#[test]
fn a_run_is_taken_up_by_one_process_at_a_time() {
    let folder = story();
    let run = folder.train(&[]).unwrap().folder.path().to_owned();
    let lock = std::fs::File::open(run.join("lock")).unwrap();
    lock.lock().unwrap();
    let TrainErrorKind::Store(error) = Again::open(&run, &[]).resume().unwrap_err().kind else { panic!() };
    assert!(matches!(*error, StoreError::InUse { .. }), "{error}");
}

fn forked(run: &Path, at: u32, settings: &[&str]) -> Result<RunFolder, ForkError> {
    fork(run, at, &overrides(settings), &Environment::of([], run))
}

#[test]
fn a_run_goes_on_where_its_project_was_moved_to() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    let name = done.folder.path().file_name().unwrap().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("other-name");
    std::fs::rename(folder.path(), &moved).unwrap();
    let run = moved.join("runs").join(name);
    let again = Again::open(&run, &[]);
    assert_eq!(again.replay().unwrap().report, done.report);
    assert!(again.asked().is_empty());
    // A fork of it is made there, and finds what it needs there, too.
    let fork = forked(&run, 1, &["training.patience=1"]).unwrap();
    assert!(fork.path().starts_with(&moved), "{}", fork.path().display());
    resume_fork(&fork);
}

#[test]
fn a_project_that_only_lost_its_file_is_where_it_was() {
    let folder = story();
    let outer = folder.path().join("inner/runs");
    let setting = format!("project.runs={}", outer.display());
    let done = folder.train(&[&setting]).unwrap();
    // Another project file nearer to the run says nothing of this one.
    std::fs::rename(folder.path().join("greensand.toml"), folder.path().join("inner/greensand.toml")).unwrap();
    assert_eq!(Again::open(done.folder.path(), &[]).replay().unwrap().report, done.report);
}

#[test]
fn a_journal_that_goes_on_behind_its_end_is_damaged() {
    let folder = story();
    let run = folder.train(&[]).unwrap().folder;
    let journal = run.path().join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let last = text.lines().last().unwrap();
    let more = last.replacen(
        &format!("\"seq\":{}", text.lines().count() - 1),
        &format!("\"seq\":{}", text.lines().count()),
        1,
    );
    assert_ne!(more, last);
    std::fs::write(&journal, format!("{text}{more}\n")).unwrap();
    for ended in [Again::open(run.path(), &[]).replay(), Again::open(run.path(), &[]).resume()] {
        let TrainErrorKind::Store(error) = ended.unwrap_err().kind else { panic!() };
        assert!(error.to_string().contains("journal.jsonl"), "{error}");
    }
}

/// Opens a fork with all its eras.
fn resume_fork(run: &RunFolder) -> TrainReport {
    let (recorded, eras) = reopened(run.path());
    trained(again(&recorded, &eras, Reopening::Resume).unwrap())
}

#[test]
fn a_fork_changes_what_follows_a_step_and_pays_for_nothing_else() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    let run = done.folder.path();
    // With less patience the run ends after its first fruitless epoch.
    let shorter = resume_fork(&forked(run, 4, &["training.patience=1"]).unwrap());
    assert_eq!(decisions(&shorter.report), ["Baseline 25", "Accepted 50", "Accepted 100", "RolledBack 50"]);
    // With more it goes on where the run ended.
    let longer = resume_fork(&forked(run, 5, &["training.patience=4"]).unwrap());
    assert_eq!(decisions(&longer.report).len(), 7);
    assert_eq!(longer.report.stop.unwrap().kind, "patience");
    for fork in [&shorter.folder, &longer.folder] {
        let paid = std::fs::read_to_string(fork.path().join("replies.jsonl")).unwrap();
        let own = paid.lines().skip(1).filter(|line| !line.contains("\"paid_by\"")).count();
        assert!(own <= 2, "{own}");
        // A fork is a run like any other: it can be killed, resumed, replayed and forked itself.
        let (recorded, eras) = reopened(fork.path());
        again(&recorded, &eras, Reopening::Replay).unwrap();
    }
    let third = resume_fork(&forked(longer.folder.path(), 2, &["training.epochs=2"]).unwrap());
    assert_eq!(decisions(&third.report), ["Baseline 25", "Accepted 50", "Accepted 100"]);
    assert_eq!(third.report.stop.unwrap().kind, "max_epochs");
}

#[test]
fn a_fork_at_the_beginning_measures_anew_and_asks_only_what_is_new() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    let fork = forked(done.folder.path(), 0, &["scorer.name=exact"]).unwrap();
    let again = Again::open(fork.path(), &[]);
    let report = again.resume().unwrap().report;
    assert_eq!(decisions(&report), decisions(&done.report));
    assert!(again.asked().is_empty());
    assert_eq!((report.assistant_usage.requests, report.optimizer_usage.requests), (0, 0), "another run paid for it");
}

#[test]
fn a_fork_that_cannot_be_is_refused_and_leaves_nothing() {
    let folder = story();
    let run = folder.train(&[]).unwrap().folder.path().to_owned();
    let error = forked(&run, 9, &[]).unwrap_err();
    assert!(matches!(error, ForkError::TooFar { at: 9, last: Some(4), .. }), "{error}");
    let error = forked(&run, 2, &["agent.max_turns=3"]).unwrap_err();
    assert!(matches!(&error, ForkError::Measuring { key, at: 2 } if key == "agent.max_turns"), "{error}");
    assert!(forked(&run, 2, &["training.pateince=3"]).is_err());
    assert_eq!(folder.runs().len(), 1);
}

#[test]
fn a_fork_at_the_beginning_measures_the_initial_set_under_the_new_settings_too() {
    let folder = story();
    let done = folder.train(&["training.epochs=1"]).unwrap();
    let again = resume_fork(&forked(done.folder.path(), 0, &["training.repeats=2"]).unwrap());
    let trials: Vec<_> = again.report.epochs.iter().map(|epoch| epoch.scores[0].trials).collect();
    assert_eq!(trials, [2, 2]);
}

#[test]
fn instructions_that_were_changed_since_are_refused() {
    let folder = story();
    let file = folder.path().join("instructions.txt");
    std::fs::write(&file, "Think.").unwrap();
    let setting = format!("agent.instructions={}", file.display());
    let run = folder.train(&[&setting, "training.epochs=1"]).unwrap().folder.path().to_owned();
    let environment = Environment::of([], folder.path());
    let open = || RecordedRun::open(&run, &Overrides::new(), &environment);
    assert!(open().is_ok());
    std::fs::write(&file, "Think twice.").unwrap();
    assert!(matches!(open(), Err(RecordedRunError::Changed { path, .. }) if path.ends_with("instructions.txt")));
    // Nor are scores from before and after the change mixed by a fork; one that measures anew takes the new text.
    let refused = forked(&run, 1, &["training.epochs=3"]).unwrap_err();
    assert!(matches!(refused, ForkError::Recorded(RecordedRunError::Changed { .. })), "{refused}");
    resume_fork(&forked(&run, 0, &[]).unwrap());
}

/// Changes the manifest of a run.
fn edit_manifest(run: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = run.join("manifest.json");
    let mut manifest = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut manifest);
    std::fs::write(&path, manifest.to_string()).unwrap();
}

#[test]
fn a_run_of_another_program_goes_on_and_says_what_is_another() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    let run = done.folder.path();
    assert_eq!(Again::open(run, &[]).resume().unwrap().report.warnings, Vec::<String>::new());
    edit_manifest(run, |manifest| manifest["version"] = "0.0.9".into());
    let warnings = Again::open(run, &[]).resume().unwrap().report.warnings;
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.contains("begun with greensand 0.0.9, and this is greensand 0.1.0"), "{warning}");
}

#[test]
fn packages_that_were_locked_otherwise_are_refused() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    let run = done.folder.path();
    edit_manifest(run, |manifest| manifest["lock"] = "0123".into());
    let opened = RecordedRun::open(run, &Overrides::new(), &Environment::of([], run));
    assert!(matches!(opened, Err(RecordedRunError::Changed { path, .. }) if path.ends_with("greensand.lock")));
    assert!(forked(run, 1, &[]).is_err());
    resume_fork(&forked(run, 0, &[]).unwrap());
}
