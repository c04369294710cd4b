//! Whole training runs in which vectors choose the functions that a task is offered.
//!
//! The project has three functions and a cap of one. By their words the first by name would be offered, which is wrong;
//! by the vectors of the server it is the one that adds. Functions are rows of a table here, and no sandbox is needed. What one
//! request can meet is tested in `embeddings_wire.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use greensand_app::doctor::{Grade, ModelRequests, examine_project};
use greensand_app::store::RunFolder;
use greensand_app::{
    Environment, Equipment, Interrupt, Overrides, RecordedRun, RunDone, RunEnding, Silent, TrainError, TrainReport,
    fork, open_project, open_sandbox, replay, resume, train,
};
use greensand_tests::chat_server::{ChatServer, RecordedRequest, Scenario};
use greensand_types::{
    BoxFuture, CallEnding, CallOutcome, CallUsage, DescribeOutcome, FunctionDescription, FunctionRuntime, HostFault,
    Invocation, JsonText, KeptText, Language, Limits, Parameter, ParameterKind, SourceText,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: &str = "sk-test-9b1f6c2e";

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

// A project whose functions are rows of a table -----------------------------------------------------------------------

struct TableRuntime;

impl FunctionRuntime for TableRuntime {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(async move {
            let arguments = invocation.arguments.to_value().unwrap();
            let number = |name: &str| arguments[name].as_i64().unwrap_or_default();
            let body = invocation.source.text.rsplit("= ").next().unwrap();
            Ok(returned(result(body, number("a"), number("b"))))
        })
    }

    fn compile(&self, _source: SourceText, _limits: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(async { Ok(returned(0)) })
    }

    fn describe(
        &self,
        _source: SourceText,
        _entry: String,
        _limits: Limits,
    ) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
        let parameter =
            |name: &str| Parameter { name: name.into(), kind: ParameterKind::Positional, is_required: true };
        let parameters = vec![parameter("a"), parameter("b")];
        Box::pin(async {
            Ok(DescribeOutcome::Described(FunctionDescription { parameters, documentation: String::new() }))
        })
    }

    fn default_limits(&self, language: &Language) -> Option<Limits> {
        (language.as_str() == "python").then_some(Limits::DEFAULT)
    }
}

fn result(body: &str, a: i64, b: i64) -> i64 {
    match body {
        "sum" => a + b,
        "product" => a * b,
        "difference" => a - b,
        _ => 2 * (a + b),
    }
}

fn returned(value: i64) -> CallOutcome {
    CallOutcome {
        ending: CallEnding::Returned(JsonText::parse(&value.to_string()).unwrap()),
        stdout: KeptText::default(),
        stderr: KeptText::default(),
        usage: CallUsage::default(),
    }
}

fn definition(name: &str, description: &str, body: &str) -> Value {
    json!({
        "name": name, "description": description,
        "parameters": { "type": "object", "required": ["a", "b"],
            "properties": { "a": { "type": "integer" }, "b": { "type": "integer" } } },
        "source": format!("{name}(a, b) = {body}"),
        "examples": [{ "arguments": { "a": 7, "b": 3 }, "result": result(body, 7, 3) }],
    })
}

/// The vector of a text: what is about sums points one way, what is about products the other.
fn vector(text: &str) -> [f64; 2] {
    match text {
        text if text.starts_with("What is") || text.starts_with("gamma") => [0.9, 0.1],
        text if text.starts_with("delta") => [0.8, 0.4],
        _ => [0.1, 0.9],
    }
}

/// Both models and that of the vectors. The optimizer adds a function in its first step, and has then nothing to say.
fn answer(request: &RecordedRequest) -> Scenario {
    if request.path == "/v1/embeddings" {
        let vectors: Vec<[f64; 2]> = request.texts().iter().map(|text| vector(text)).collect();
        return Scenario::vectors(6, vectors.iter().map(<[f64; 2]>::as_slice));
    }
    if !request.question().starts_with("What is") {
        let is_first = request.last_role() != "tool" && !request.body.to_string().contains("delta");
        let delta = definition("delta", "Adds, too.", "twice the sum").to_string();
        return if is_first {
            Scenario::calls([("add_function", delta.as_str())])
        } else {
            Scenario::text("TERMINATE")
        };
    }
    if let Some(value) = request.last_text().strip_prefix("value: ") {
        return Scenario::text(&format!("The answer is \\boxed{{{}}}.", value.lines().next().unwrap()));
    }
    let numbers: Vec<i64> = request.question().split([' ', '?']).filter_map(|word| word.parse().ok()).collect();
    let arguments = json!({ "a": numbers[0], "b": numbers[1] }).to_string();
    match request.tool_names().first() {
        Some(tool) => Scenario::calls([(tool.as_str(), arguments.as_str())]),
        None => Scenario::text("I have no function: \\boxed{0}"),
    }
}

/// Returns the texts that vectors were asked of, request by request.
fn embedded(requests: &[RecordedRequest]) -> Vec<String> {
    requests.iter().filter(|request| request.path == "/v1/embeddings").flat_map(RecordedRequest::texts).collect()
}

struct Project(TempDir);

impl Project {
    fn new(server: &ChatServer, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        for (split, sums) in [("train", [(1, 2), (4, 4), (8, 9)]), ("validation", [(2, 1), (3, 3), (7, 9)])] {
            let line = |(a, b): &(i64, i64)| json!({ "id": format!("{split}-{a}"), "question": format!("What is {a} plus {b} ?"), "target": a + b });
            let lines: Vec<String> = sums.iter().map(|sum| line(sum).to_string()).collect();
            write(&format!("{split}.jsonl"), lines.join("\n"));
        }
        fs::create_dir(folder.path().join("functions")).unwrap();
        for (name, body) in [("alpha", "product"), ("beta", "difference"), ("gamma", "sum")] {
            let mut function = definition(name, &format!("The {name}."), body);
            write(&format!("functions/{name}.py"), function["source"].as_str().unwrap().to_owned());
            function["source"] = format!("{name}.py").into();
            function["format"] = 1.into();
            function["language"] = "python".into();
            write(&format!("functions/{name}.json"), function.to_string());
        }
        let base_url = server.base_url();
        write(
            "greensand.toml",
            format!(
                "[project]\nname = \"sums\"\n[tasks]\ntrain = \"train.jsonl\"\nvalidation = \"validation.jsonl\"\n\
                 [scorer]\nname = \"number\"\n[agent]\ncode_tool = \"none\"\n\
                 [model]\nmodel = \"test-model\"\nbase_url = \"{base_url}\"\n\
                 [functions]\nactive = 1\ninitial = \"functions\"\n[training]\nepochs = 2\npatience = 1\njobs = 2\n\
                 {settings}\n"
            ),
        );
        Self(folder)
    }

    fn train(&self, settings: &[&str]) -> Result<TrainReport, TrainError> {
        self.train_until(settings, &Interrupt::new())
    }

    fn train_until(&self, settings: &[&str], interrupt: &Interrupt) -> Result<TrainReport, TrainError> {
        let environment = environment(self.0.path());
        let project = open_project(self.0.path(), &overrides(settings), &environment).unwrap();
        let equipment = Equipment::open(&project, Arc::new(TableRuntime), &environment).unwrap();
        block_on(train(&project, &equipment, &Silent, interrupt))
    }

    fn runs(&self) -> Vec<PathBuf> {
        let runs = RunFolder::list(&self.0.path().join("runs")).unwrap();
        runs.into_iter().map(|run| run.folder.path().to_owned()).collect()
    }
}

const WITH_EMBEDDINGS: &str = "[embeddings]\nmodel = \"test-embedder\"\n";

fn environment(current_dir: &Path) -> Environment {
    Environment::of([("OPENAI_API_KEY", KEY)], current_dir)
}

fn overrides(settings: &[&str]) -> Overrides {
    let mut overrides = Overrides::new();
    for setting in settings {
        overrides.set(setting).unwrap();
    }
    overrides
}

fn again(run: &Path, how: Again) -> Result<TrainReport, TrainError> {
    let environment = environment(run);
    let recorded = RecordedRun::open(run, &Overrides::new(), &environment).unwrap();
    let runtime: Arc<dyn FunctionRuntime> = Arc::new(TableRuntime);
    let eras = recorded.equipment(&runtime, &environment).unwrap();
    let (observer, interrupt) = (Silent, Interrupt::new());
    let done = match how {
        Again::Resume => block_on(resume(&recorded, &eras, &observer, &interrupt)),
        Again::Replay => block_on(replay(&recorded, &eras, &observer, &interrupt)),
    };
    done.map(|done| match done {
        RunDone::Trained(trained) => *trained,
        other => panic!("{other:?}"),
    })
}

#[derive(Clone, Copy)]
enum Again {
    Resume,
    Replay,
}

fn told(error: &TrainError) -> String {
    let mut text = format!("{error} (hint: {})", error.hint().unwrap_or_default());
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Returns the functions that the assistant was offered in its first requests.
fn offered(requests: &[RecordedRequest]) -> BTreeSet<Vec<String>> {
    let first =
        requests.iter().filter(|request| request.question().starts_with("What is") && request.last_role() == "user");
    first.map(RecordedRequest::tool_names).collect()
}

/// Returns the journal but for its first line, which has the name of the run.
fn journal(run: &Path) -> String {
    fs::read_to_string(run.join("journal.jsonl")).unwrap().split_once('\n').unwrap().1.to_owned()
}

/// Returns the vectors of a run by the ids of their texts, as they are kept.
fn kept(run: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(run.join("embeddings.jsonl")).unwrap();
    let lines = text.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap()["data"].clone());
    lines.map(|data| (data["text"].to_string(), data["vector"].to_string())).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { drop(fs::copy(&path, &target)) }
    }
}

// Whole runs ----------------------------------------------------------------------------------------------------------

#[test]
fn vectors_decide_what_is_offered_and_each_text_is_asked_for_once() {
    let server = ChatServer::start(answer);
    let project = Project::new(&server, WITH_EMBEDDINGS);
    let trained = project.train(&[]).unwrap();
    let requests = server.requests();
    assert_eq!(offered(&requests), BTreeSet::from([vec!["gamma".to_owned()]]));
    let report = trained.folder.report().unwrap();
    assert_eq!(report.epochs[0].scores[0].score, Some(1.0));
    let mut asked = embedded(&requests);
    let count = asked.len();
    asked.sort();
    asked.dedup();
    // Three functions at first and one that was added; the questions of validation and of train.
    assert_eq!((count, asked.len()), (4 + 6, 10), "{asked:?}");
    assert!(asked.contains(&"delta delta Adds, too. a b".to_owned()), "{asked:?}");
    assert_eq!(kept(trained.folder.path()).len(), 10);
    let calls = requests.iter().filter(|request| request.path == "/v1/embeddings").count() as u64;
    assert_eq!((report.embeddings_usage.requests, report.embeddings_usage.prompt_tokens), (calls, 6 * calls));
    assert_eq!(report.spend.total().calls, requests.len() as u64);
    assert!(report.to_text().contains("\n  embeddings $0 (free: "), "{}", report.to_text());
}

#[test]
fn without_a_model_of_embeddings_words_decide_and_nothing_more_is_asked_or_kept() {
    let server = ChatServer::start(answer);
    let project = Project::new(&server, "");
    let trained = project.train(&[]).unwrap();
    assert_eq!(offered(&server.requests()), BTreeSet::from([vec!["alpha".to_owned()]]));
    assert!(embedded(&server.requests()).is_empty());
    assert!(!trained.folder.path().join("embeddings.jsonl").exists());
    let report = fs::read_to_string(trained.folder.path().join("report.json")).unwrap();
    let manifest = fs::read_to_string(trained.folder.path().join("manifest.json")).unwrap();
    assert!(!report.contains("embeddings") && !manifest.contains("embeddings"));
}

#[test]
fn a_set_within_the_cap_is_offered_whole_and_nothing_is_asked_of_it() {
    let server = ChatServer::start(answer);
    let project = Project::new(&server, WITH_EMBEDDINGS);
    project.train(&["functions.active=4"]).unwrap();
    assert!(embedded(&server.requests()).is_empty());
}

#[test]
fn the_offers_are_the_same_for_any_number_of_jobs() {
    let server = ChatServer::start(answer);
    let journals: BTreeSet<String> = ["training.jobs=1", "training.jobs=7"]
        .iter()
        .map(|jobs| {
            let project = Project::new(&server, WITH_EMBEDDINGS);
            journal(project.train(&[*jobs]).unwrap().folder.path())
        })
        .collect();
    assert_eq!(journals.len(), 1);
}

/// The run is copied whenever a request is under way: each copy is what a `kill -9` at that moment leaves.
#[test]
fn killed_at_every_request_a_run_comes_to_the_same_end_and_pays_for_no_vector_twice() {
    let copies = tempfile::tempdir().unwrap();
    let runs = Arc::new(Mutex::new(None::<PathBuf>));
    let (watched, target) = (Arc::clone(&runs), copies.path().to_owned());
    let server = ChatServer::start(move |request| {
        if let Some(runs) = &*watched.lock().unwrap() {
            for run in RunFolder::list(runs).unwrap() {
                copy(run.folder.path(), &target.join(format!("{:03}", request.number)));
            }
        }
        answer(request)
    });
    let project = Project::new(&server, WITH_EMBEDDINGS);
    *runs.lock().unwrap() = Some(project.0.path().join("runs"));
    let whole = project.train(&["training.jobs=1"]).unwrap();
    *runs.lock().unwrap() = None;
    let (expected, vectors) = (journal(whole.folder.path()), kept(whole.folder.path()));
    let mut killed: Vec<PathBuf> = fs::read_dir(copies.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    killed.sort();
    assert!(killed.len() > 15, "{killed:?}");
    for run in killed {
        let before = kept(&run);
        let asked = server.requests().len();
        again(&run, Again::Resume).unwrap();
        assert_eq!(journal(&run), expected, "{}", run.display());
        assert_eq!(kept(&run), vectors, "{}", run.display());
        let asked = embedded(&server.requests()[asked..]);
        assert_eq!(before.len() + asked.len(), vectors.len(), "{}: {asked:?}", run.display());
    }
}

#[test]
fn a_torn_last_vector_is_asked_for_again_and_a_damaged_earlier_one_names_itself() {
    let server = ChatServer::start(answer);
    let project = Project::new(&server, WITH_EMBEDDINGS);
    let run = project.train(&[]).unwrap().folder.path().to_owned();
    let (path, expected) = (run.join("embeddings.jsonl"), journal(&run));
    let text = fs::read_to_string(&path).unwrap();
    // As if the run had been killed over the first answer: the journal is not further than its first evaluation.
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&path, format!("{}\n{}\n{}", lines[0], lines[1], &lines[2][..lines[2].len() / 2])).unwrap();
    let first: Vec<String> =
        fs::read_to_string(run.join("journal.jsonl")).unwrap().lines().take(2).map(str::to_owned).collect();
    fs::write(run.join("journal.jsonl"), first.join("\n") + "\n").unwrap();
    let asked = server.requests().len();
    again(&run, Again::Resume).unwrap();
    assert_eq!(embedded(&server.requests()[asked..]).len(), 9, "one of ten was whole");
    assert_eq!(journal(&run), expected);

    fs::write(&path, text.replacen("\"vector\":\"", "\"vector\":7,\"v\":\"", 1)).unwrap();
    check_lost(&run, "embeddings.jsonl:2");
    fs::remove_file(&path).unwrap();
    check_lost(&run, "embeddings.jsonl");
}

/// A run that has lost its vectors does not go on: what was paid for would be asked for again.
#[track_caller]
fn check_lost(run: &Path, said: &str) {
    let error = again(run, Again::Resume).unwrap_err();
    assert!(told(&error).contains(said), "{}", told(&error));
    assert!(error.hint().unwrap().starts_with("put `embeddings.jsonl` back from a copy"), "{}", told(&error));
}

#[test]
fn a_replay_takes_the_vectors_from_the_run_and_never_asks() {
    let server = ChatServer::start(answer);
    let project = Project::new(&server, WITH_EMBEDDINGS);
    let run = project.train(&[]).unwrap().folder.path().to_owned();
    let asked = server.requests().len();
    assert_eq!(again(&run, Again::Replay).unwrap().ending, RunEnding::Finished);
    assert_eq!(server.requests().len(), asked);
    let path = run.join("embeddings.jsonl");
    let opened = fs::read_to_string(&path).unwrap().lines().next().unwrap().to_owned() + "\n";
    fs::write(&path, opened).unwrap();
    let error = again(&run, Again::Replay).unwrap_err();
    assert!(told(&error).contains("the run did not ask this before: vectors of 3 texts"), "{}", told(&error));
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn a_fork_has_the_vectors_of_the_run_it_comes_from_and_pays_only_for_its_own() {
    let server = ChatServer::start(answer);
    let project = Project::new(&server, WITH_EMBEDDINGS);
    let run = project.train(&[]).unwrap().folder.path().to_owned();
    let asked = server.requests().len();
    let forked = fork(&run, 0, &overrides(&["training.seed=7"]), &environment(&run)).unwrap();
    again(forked.path(), Again::Resume).unwrap();
    assert!(embedded(&server.requests()[asked..]).is_empty());
    let report = forked.report().unwrap();
    assert_eq!((report.embeddings_usage.requests, kept(forked.path()).len()), (0, kept(&run).len()));
    // Without embeddings there is nothing to take over.
    let forked = fork(&run, 0, &overrides(&["functions.active=0"]), &environment(&run)).unwrap();
    assert!(forked.path().join("embeddings.jsonl").exists());
    // Another model knows nothing of the vectors of this one.
    let forked = fork(&run, 0, &overrides(&["embeddings.model=other"]), &environment(&run)).unwrap();
    let asked = server.requests().len();
    again(forked.path(), Again::Resume).unwrap();
    assert_eq!(embedded(&server.requests()[asked..]).len(), kept(&run).len());
}

// Faults --------------------------------------------------------------------------------------------------------------

/// Trains against a server whose vectors are of a scenario; returns what was told and the requests.
fn fails(scenario: Scenario, settings: &[&str]) -> (String, Vec<RecordedRequest>, Project) {
    let server = ChatServer::start(move |request| match request.path.as_str() {
        "/v1/embeddings" => scenario.clone(),
        _ => answer(request),
    });
    let project = Project::new(&server, WITH_EMBEDDINGS);
    let text = match project.train(settings) {
        Ok(trained) => format!("{:?}", trained.ending),
        Err(error) => told(&error),
    };
    (text, server.requests(), project)
}

#[test]
fn a_wrong_key_stops_the_run_at_once_and_words_never_take_the_place_of_vectors() {
    let (text, requests, _) = fails(Scenario::error(401, "who are you?"), &[]);
    assert!(text.contains("get the vectors of functions") && text.contains("refused the key"), "{text}");
    assert_eq!(requests.len(), 1);
}

#[test]
fn a_fault_that_stays_leaves_the_tasks_missing_and_stops_the_run_without_a_score() {
    let (text, requests, project) = fails(Scenario::status(500, "no"), &["embeddings.max_retries=0"]);
    assert_eq!(text, "TooMuchMissing");
    assert_eq!(requests.len(), 1);
    let report = RunFolder::open(&project.runs()[0]).unwrap().report().unwrap();
    let reason = report.stop.unwrap().reason;
    assert!(
        reason.contains("tasks of validation could not be worked on; the first: get the vectors of functions: "),
        "{reason}"
    );
    assert!(report.epochs.iter().all(|epoch| epoch.scores.is_empty()));
}

#[test]
fn doctor_asks_the_model_of_embeddings_for_a_vector() {
    let cache = tempfile::tempdir().unwrap();
    let variables = [("GREENSAND_CACHE", cache.path().to_str().unwrap()), ("OPENAI_API_KEY", KEY)];
    let findings = |answer: fn(&RecordedRequest) -> Scenario| {
        let server = ChatServer::start(answer);
        let project = Project::new(&server, WITH_EMBEDDINGS);
        let environment = Environment::of(variables, project.0.path());
        let sandbox = open_sandbox(&environment).unwrap();
        let (overrides, requests) = (Overrides::new(), ModelRequests::Allowed);
        let looked = examine_project(project.0.path(), &overrides, &sandbox, requests, &environment);
        let findings = block_on(looked);
        let of_embeddings = findings.into_iter().find(|finding| finding.name == "model embeddings").unwrap();
        (of_embeddings.grade, of_embeddings.detail, embedded(&server.requests()))
    };
    let (grade, found, asked) = findings(|_| Scenario::vectors(1, [&[1.0][..]]));
    assert_eq!((grade, asked), (Grade::Good, vec!["ready".to_owned()]), "{found}");
    let (grade, found, _) = findings(|_| Scenario::text("I am a chat"));
    assert!(grade == Grade::Failed && found.contains("is not a list of embeddings"), "{grade:?} {found}");
}

#[test]
fn a_fault_that_passes_leaves_no_trace_in_what_comes_out() {
    let seen = Mutex::new(BTreeSet::new());
    let server = ChatServer::start(move |request| {
        let is_first = seen.lock().unwrap().insert(request.body.to_string());
        match request.path.as_str() {
            "/v1/embeddings" if is_first => Scenario::error(429, "slow down").header("retry-after", "0"),
            _ => answer(request),
        }
    });
    let plain = ChatServer::start(answer);
    let journals: BTreeSet<String> = [&server, &plain]
        .map(|server| {
            let project = Project::new(server, WITH_EMBEDDINGS);
            journal(project.train(&[]).unwrap().folder.path())
        })
        .into();
    assert_eq!(journals.len(), 1);
}

#[test]
fn an_interrupt_is_heeded_while_vectors_are_under_way_and_the_run_goes_on_from_there() {
    let interrupt = Interrupt::new();
    let raised = interrupt.clone();
    let server = ChatServer::start(move |request| {
        // The functions have their vectors; those of the questions are on their way.
        let is_late = request.path == "/v1/embeddings" && request.number == 1;
        if is_late {
            raised.raise();
        }
        answer(request).after(if is_late { Duration::from_secs(20) } else { Duration::ZERO })
    });
    let project = Project::new(&server, WITH_EMBEDDINGS);
    let begun = Instant::now();
    let stopped = project.train_until(&[], &interrupt).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!((stopped.ending, kept(stopped.folder.path()).len()), (RunEnding::Interrupted, 3));
    assert_eq!(again(stopped.folder.path(), Again::Resume).unwrap().ending, RunEnding::Finished);
    assert_eq!(embedded(&server.requests()).len(), 10 + 3, "only what was under way is asked for again");
    // It may have been billed, and counts.
    let text = fs::read_to_string(stopped.folder.path().join("sent.jsonl")).unwrap();
    assert_eq!(text.matches("\"role\":\"embeddings\"").count(), 5, "{text}");
}

#[test]
fn what_costs_money_is_not_asked_without_a_cap_and_never_beyond_it() {
    let priced = ["embeddings.input_price=1000"];
    let good = Scenario::vectors(60, [&[1.0, 0.0][..], &[0.0, 1.0], &[0.5, 0.5]]);
    let (text, requests, _) = fails(good.clone(), &priced);
    assert!(text.contains("the model of the embeddings costs money"), "{text}");
    assert_eq!(requests.len(), 0);
    // The functions take more than 60 tokens as they are estimated: six cents, and nothing is sent.
    let (text, requests, _) = fails(good.clone(), &[priced[0], "budget.max_usd=0.01"]);
    assert!(text.starts_with("BudgetSpent"), "{text}");
    assert_eq!(requests.len(), 0);
    // Tokens for the functions and not for the questions.
    let (text, requests, _) = fails(good, &["budget.max_tokens=100"]);
    assert!(text.starts_with("BudgetSpent"), "{text}");
    assert_eq!(embedded(&requests).len(), 3);
    assert_eq!(requests.len(), 1);
}
