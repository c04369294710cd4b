//! Whole training runs through the backend `openai_compatible`: sockets, sandbox, admission, scorers and run folder are
//! those of `greensand train`; only the model is a closure.
//!
//! The agent is to learn checksums: each digit times its place. In its head the model adds the digits up, which is right
//! for one digit only. [`Model`] stands in for both roles and misbehaves as servers and models do: every task has a
//! [`Habit`] of its own, and the optimizer needs several replies for one function. What one request can meet is tested
//! in `openai_wire.rs`; here is shown that a run goes on, learns, and never takes a fault for a score.

#![expect(clippy::unwrap_used, reason = "a run that cannot be set up has failed")]

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use greensand_app::store::{ConversationRecordLine, DecisionKind, JournalEvent, MessageRecord, Report, RunFolder};
use greensand_app::{
    Environment, Equipment, Interrupt, Overrides, Project, RecordedRun, RunDone, RunEnding, Sandbox, SetSource, Silent,
    Split, TrainError, TrainReport, evaluate, open_project, open_sandbox, prepare, replay, train,
};
use greensand_tests::chat_server::{ChatServer, RecordedRequest, Scenario};
use greensand_types::FunctionRuntime;
use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: &str = "sk-test-5f1c0a77e2";

/// The key of the optimizer, where it has one of its own.
const OPTIMIZER_KEY: &str = "sk-other-77e25f1c0a";
const QUESTION: &str = "What is the checksum of ";
const FUNCTION: &str = "checksum";
const SOURCE: &str = "\
def checksum(number):
    return sum(int(digit) * place for place, digit in enumerate(str(number), start=1))
";

// The tasks -----------------------------------------------------------------------------------------------------------

/// What goes wrong in a task: on the way to the model at its first request, or in what the model says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    Plain,
    RateLimited,
    ServerError,
    CutInBody,
    CutBefore,
    /// The first reply is empty.
    Empty,
    /// Never calls anything, and never comes to an answer.
    ProseOnly,
    /// Without the function, it runs code of its own.
    OwnCode,
    /// The first call is cut off in the middle of its arguments.
    MalformedArguments,
    /// The first call names the parameter wrong.
    WrongParameter,
    /// The first call names the function wrong.
    WrongFunction,
    /// The first reply has two calls; the answer to the first is the one that counts.
    TwoCalls,
}

const TRAIN: &[(u64, Habit)] = &[
    (7, Habit::Plain),
    (3141, Habit::OwnCode),
    (59265, Habit::RateLimited),
    (35897, Habit::ServerError),
    (93238, Habit::CutInBody),
    (46264, Habit::Empty),
];
const VALIDATION: &[(u64, Habit)] =
    &[(5, Habit::Plain), (2718, Habit::MalformedArguments), (28182, Habit::CutBefore), (84590, Habit::ProseOnly)];
const TEST: &[(u64, Habit)] =
    &[(6, Habit::RateLimited), (57721, Habit::WrongFunction), (15664, Habit::WrongParameter), (90153, Habit::TwoCalls)];

fn habit(number: u64) -> Habit {
    let mut tasks = [TRAIN, VALIDATION, TEST].into_iter().flatten();
    tasks.find(|(known, _)| *known == number).map(|(_, habit)| *habit).unwrap()
}

fn digits(number: u64) -> impl Iterator<Item = u64> {
    number.to_string().into_bytes().into_iter().map(|digit| u64::from(digit - b'0'))
}

fn target(number: u64) -> u64 {
    digits(number).zip(1..).map(|(digit, place)| digit * place).sum()
}

fn task_lines(tasks: &[(u64, Habit)]) -> String {
    let line = |(number, _): &(u64, Habit)| {
        json!({ "id": format!("n{number}"), "question": format!("{QUESTION}{number}?"), "target": target(*number) })
            .to_string()
    };
    tasks.iter().map(line).collect::<Vec<_>>().join("\n")
}

// The model -----------------------------------------------------------------------------------------------------------

/// Both roles behind one endpoint, which wants the key.
#[derive(Default)]
struct Model {
    /// The bodies of requests so far: one that comes again is a new attempt.
    seen: Mutex<HashSet<String>>,
    /// How many attempts got no reply.
    faults: AtomicUsize,
}

impl Model {
    fn serve(self: &Arc<Self>) -> ChatServer {
        let model = Arc::clone(self);
        ChatServer::start(move |request| model.answer(request))
    }

    fn answer(&self, request: &RecordedRequest) -> Scenario {
        if request.header("authorization") != Some(&format!("Bearer {KEY}")) {
            return Scenario::error(401, "this endpoint wants a key");
        }
        let (fault, reply) = if is_assistant(request) { assistant(request) } else { optimizer(request) };
        let is_first = self.seen.lock().unwrap().insert(request.body.to_string());
        match fault.filter(|_| is_first) {
            Some(fault) => {
                self.faults.fetch_add(1, Ordering::SeqCst);
                fault
            }
            None => reply,
        }
    }
}

fn is_assistant(request: &RecordedRequest) -> bool {
    request.question().starts_with(QUESTION)
}

/// Returns how many replies the conversation has.
fn turn(request: &RecordedRequest) -> usize {
    request.messages().iter().filter(|message| message["role"] == "assistant").count()
}

fn rate_limited() -> Scenario {
    Scenario::error(429, "slow down").header("retry-after", "0")
}

fn server_error() -> Scenario {
    Scenario::status(500, "<html>Internal Server Error</html>")
}

fn empty() -> Scenario {
    Scenario::message(json!({ "role": "assistant", "content": null }), "stop")
}

/// Returns the fault that the first attempt meets, and the reply.
fn assistant(request: &RecordedRequest) -> (Option<Scenario>, Scenario) {
    let number = request.question().trim_start_matches(QUESTION).trim_end_matches('?').parse().unwrap();
    let habit = habit(number);
    let fault = match habit {
        Habit::RateLimited => Some(rate_limited()),
        Habit::ServerError => Some(server_error()),
        Habit::CutInBody => Some(Scenario::text("It is").cut_in_body()),
        Habit::CutBefore => Some(Scenario::text("It is").cut_before()),
        Habit::Plain
        | Habit::Empty
        | Habit::ProseOnly
        | Habit::OwnCode
        | Habit::MalformedArguments
        | Habit::WrongParameter
        | Habit::WrongFunction
        | Habit::TwoCalls => None,
    };
    (fault.filter(|_| turn(request) == 0), assistant_reply(request, number, habit))
}

fn assistant_reply(request: &RecordedRequest, number: u64, habit: Habit) -> Scenario {
    let tools = request.tool_names();
    let answers = request.messages().rsplit(|message| message["role"] != "tool").next().unwrap_or_default();
    let arguments = json!({ "number": number }).to_string();
    if let Some(answer) = answers.first().and_then(|message| message["content"].as_str()) {
        return match answer.strip_prefix("value: ").and_then(|value| value.lines().next()) {
            Some(value) => Scenario::text(&format!("The checksum is \\boxed{{{value}}}.")),
            None => Scenario::calls([(FUNCTION, arguments.as_str())]),
        };
    }
    let is_first = turn(request) == 0;
    let knows = tools.iter().any(|tool| tool == FUNCTION);
    match habit {
        Habit::ProseOnly => Scenario::text("That depends on what one calls a checksum; let us say it is rather large."),
        Habit::Empty if is_first => empty(),
        Habit::OwnCode if !knows => {
            let code = json!({ "code": format!("sum(int(digit) for digit in '{number}')") }).to_string();
            Scenario::calls([("run_python", code.as_str())])
        }
        _ if !knows => Scenario::text(&format!("I add the digits: \\boxed{{{}}}", digits(number).sum::<u64>())),
        Habit::MalformedArguments => Scenario::calls([(FUNCTION, &arguments[..arguments.len() - 1])]),
        Habit::WrongParameter => Scenario::calls([(FUNCTION, arguments.replace("number", "numbr").as_str())]),
        Habit::WrongFunction => Scenario::calls([("check_sum", arguments.as_str())]),
        Habit::TwoCalls => Scenario::calls([(FUNCTION, arguments.as_str()), (FUNCTION, "{\"number\": 1}")]),
        Habit::Plain
        | Habit::RateLimited
        | Habit::ServerError
        | Habit::CutInBody
        | Habit::CutBefore
        | Habit::Empty
        | Habit::OwnCode => Scenario::calls([(FUNCTION, arguments.as_str())]),
    }
}

fn definition() -> Value {
    json!({
        "name": FUNCTION,
        "description": "Gives the checksum of a number: the sum of its digits, each times its place from the left.",
        "parameters": {
            "type": "object", "properties": { "number": { "type": "integer" } }, "required": ["number"],
        },
        "source": SOURCE,
        "examples": [{ "arguments": { "number": 12 }, "result": 5 }, { "arguments": { "number": 305 }, "result": 18 }],
    })
}

/// In the first step: an empty reply, a call that is cut off, the function, the end. After that nothing but prose.
fn optimizer(request: &RecordedRequest) -> (Option<Scenario>, Scenario) {
    let definition = definition().to_string();
    let knows = request.question().contains("def checksum");
    match turn(request) {
        0 if knows => (Some(server_error().cut_before()), Scenario::text("The functions do what they are to do.")),
        0 => (Some(server_error()), empty()),
        1 => (Some(rate_limited()), Scenario::calls([("add_function", &definition[..definition.len() / 2])])),
        2 => (Some(empty().cut_in_body()), Scenario::calls([("add_function", definition.as_str())])),
        _ => (None, Scenario::text("TERMINATE")),
    }
}

// Running -------------------------------------------------------------------------------------------------------------

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| open_sandbox(&environment(Path::new("."))).unwrap());

/// The images of all suites are kept in one folder of the build.
fn environment(current_dir: &Path) -> Environment {
    let variables = [
        ("GREENSAND_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/images")),
        ("OPENAI_API_KEY", KEY),
        ("OPTIMIZER_KEY", OPTIMIZER_KEY),
    ];
    Environment::of(variables, current_dir)
}

fn new_project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    let splits = [("train", TRAIN), ("validation", VALIDATION), ("test", TEST)];
    let mut settings =
        "[project]\nname = \"checksums\"\n[scorer]\nname = \"number\"\n[training]\npatience = 2\njobs = 4\n\
                        [tasks]\n"
            .to_owned();
    for (split, tasks) in splits {
        settings.push_str(&format!("{split} = \"{split}.jsonl\"\n"));
        write(&format!("{split}.jsonl"), task_lines(tasks));
    }
    write("greensand.toml", settings);
    folder
}

/// Opens a project as `--backend`, `--model`, `--base-url` and `--set` do.
fn open(folder: &TempDir, base_url: &str, settings: &[&str]) -> (Project, Equipment) {
    let environment = environment(folder.path());
    let mut overrides = Overrides::new();
    overrides.backend("openai_compatible").model("test-model").base_url(base_url);
    for setting in settings {
        overrides.set(setting).unwrap();
    }
    let project = open_project(folder.path(), &overrides, &environment).unwrap();
    prepare(&SANDBOX, &project.settings, &Silent).unwrap();
    let equipment = Equipment::open(&project, Arc::new(SANDBOX.clone()), &environment).unwrap();
    (project, equipment)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

fn train_in(folder: &TempDir, base_url: &str, settings: &[&str]) -> Result<TrainReport, TrainError> {
    let (project, equipment) = open(folder, base_url, settings);
    block_on(train(&project, &equipment, &Silent, &Interrupt::new()))
}

/// What a run against a server left; its folder lives as long as this.
struct Run {
    project: TempDir,
    folder: RunFolder,
    report: Report,
    /// How it ended: by its own rules, or an error with its causes and what to do.
    ending: Result<RunEnding, String>,
    requests: Vec<RecordedRequest>,
}

fn run_against(server: &ChatServer, settings: &[&str]) -> Run {
    let project = new_project();
    let trained = train_in(&project, &server.base_url(), settings);
    let (folder, ending) = match trained {
        Ok(trained) => (trained.folder, Ok(trained.ending)),
        Err(error) => (RunFolder::open(error.run().unwrap()).unwrap(), Err(told(&error))),
    };
    check_that_the_key_is_nowhere_in(folder.path());
    let report = folder.report().unwrap();
    Run { project, folder, report, ending, requests: server.requests() }
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

fn check_that_the_key_is_nowhere_in(folder: &Path) {
    let mut files = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
                continue;
            }
            files += 1;
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            let shows_key = text.contains(KEY) || text.contains(OPTIMIZER_KEY);
            assert!(!shows_key, "the key stands in {}", path.display());
        }
    }
    assert!(files >= 4, "{files} files are no run");
}

impl Run {
    fn events(&self) -> Vec<JournalEvent> {
        self.folder.journal().unwrap().map(Result::unwrap).collect()
    }

    fn conversations(&self) -> Vec<ConversationRecordLine> {
        let of_event = |event| match event {
            JournalEvent::Conversation(line) => Some(*line),
            _ => None,
        };
        self.events().into_iter().filter_map(of_event).collect()
    }

    /// The conversation about a number under the best set.
    fn conversation(&self, number: u64) -> ConversationRecordLine {
        let (best, task) = (self.report.best.as_deref(), format!("n{number}"));
        let mut lines = self.conversations().into_iter();
        lines.find(|line| line.task == task && Some(line.set.as_str()) == best).unwrap()
    }

    /// Each epoch: how its set was judged, with its score in percent.
    fn decisions(&self) -> Vec<(DecisionKind, Option<i32>)> {
        let decision = |epoch: &greensand_app::store::EpochReport| {
            let decision = epoch.decision.clone().unwrap();
            #[expect(clippy::cast_possible_truncation, reason = "a score is between 0 and 1")]
            (decision.decision, decision.score.map(|score| (score * 100.0).round() as i32))
        };
        self.report.epochs.iter().map(decision).collect()
    }

    fn stop_kind(&self) -> &str {
        &self.report.stop.as_ref().unwrap().kind
    }

    fn optimizer_requests(&self) -> Vec<&RecordedRequest> {
        self.requests.iter().filter(|request| !is_assistant(request)).collect()
    }
}

// A run in spite of everything ----------------------------------------------------------------------------------------

/// The run that most tests look at, and how many of its attempts got no reply.
static TRAINED: LazyLock<(Run, usize)> = LazyLock::new(|| {
    let model = Arc::new(Model::default());
    let run = run_against(&model.serve(), &[]);
    (run, model.faults.load(Ordering::SeqCst))
});

#[test]
fn a_run_learns_in_spite_of_every_fault() {
    let (run, _) = &*TRAINED;
    assert_eq!(run.ending, Ok(RunEnding::Finished));
    assert_eq!(
        run.decisions(),
        [
            (DecisionKind::Baseline, Some(25)),
            (DecisionKind::Accepted, Some(75)),
            (DecisionKind::Unchanged, None),
            (DecisionKind::Unchanged, None),
        ]
    );
    assert_eq!(run.stop_kind(), "patience");
    let test = run.report.test.as_ref().unwrap();
    let (initial, best) = (test.initial.as_ref().unwrap(), test.best.as_ref().unwrap());
    assert_eq!((initial.score, best.score), (Some(0.25), Some(1.0)));
    let [function] = run.report.functions.as_slice() else { panic!("{:?}", run.report.functions) };
    assert_eq!((function.name.as_str(), function.since_epoch), (FUNCTION, Some(1)));
    let best = run.folder.load_set("best").unwrap();
    assert_eq!(fs::read_to_string(best.path.join("checksum.py")).unwrap(), SOURCE);
}

#[test]
fn every_fault_of_a_server_is_tried_again_and_costs_no_score() {
    let (run, faults) = &*TRAINED;
    // Five tasks under two sets, three replies of the first step, and one of each other.
    assert_eq!(*faults, 2 * 5 + 3 + 2);
    let usage = run.report.assistant_usage.requests + run.report.optimizer_usage.requests;
    assert_eq!(run.requests.len(), usize::try_from(usage).unwrap() + faults, "each attempt gets a reply or a fault");
    assert!(!run.events().iter().any(|event| matches!(event, JournalEvent::Missing(_))));
    assert_eq!(run.report.warnings, Vec::<String>::new());
    let measured: Vec<_> = run.report.epochs.iter().flat_map(|epoch| &epoch.scores).collect();
    assert_eq!(measured.iter().map(|record| record.missing).collect::<Vec<_>>(), [0, 0, 0, 0]);
}

/// Checks the calls about a number under the best set: each ran to a value, or was refused with a reason.
fn check_calls(number: u64, expected: &[Result<u64, &str>]) {
    let line = TRAINED.0.conversation(number);
    assert_eq!(line.calls.len(), expected.len(), "{line:?}");
    for (call, expected) in line.calls.iter().zip(expected) {
        match (expected, &call.refused, &call.outcome) {
            (Ok(value), None, Some(outcome)) => {
                assert_eq!(outcome.value, Some(value.to_string()), "{line:?}");
            }
            (Err(reason), Some(refused), None) => {
                assert!(refused.contains(reason), "{refused}");
                let is_told = |message: &MessageRecord| matches!(message, MessageRecord::Tool { content, .. } if content == &format!("refused: {refused}"));
                assert!(line.messages.iter().any(is_told), "the model is told: {line:?}");
            }
            _ => panic!("{expected:?} is not {call:?}"),
        }
    }
    assert!(line.verdict.solved, "{line:?}");
}

#[test]
fn calls_run_in_the_sandbox_and_bad_ones_are_told_and_mended() {
    check_calls(3141, &[Ok(target(3141))]);
    check_calls(2718, &[Err("not JSON"), Ok(target(2718))]);
    check_calls(57721, &[Err("did you mean `checksum`?"), Ok(target(57721))]);
    check_calls(15664, &[Err("argument `number` is missing"), Ok(target(15664))]);
    check_calls(90153, &[Ok(target(90153)), Ok(1)]);
}

#[test]
fn code_of_the_model_runs_before_there_is_a_function() {
    let lines = TRAINED.0.conversations();
    let line = lines.iter().find(|line| line.task == "n3141").unwrap();
    let [call] = line.calls.as_slice() else { panic!("{line:?}") };
    assert_eq!(call.call.name, "run_python");
    assert_eq!(call.outcome.as_ref().unwrap().value.as_deref(), Some("9"));
    assert!(!line.verdict.solved, "adding the digits up is not enough: {line:?}");
}

#[test]
fn a_call_that_was_cut_off_goes_back_as_an_object_that_servers_take() {
    let resent = TRAINED.0.requests.iter().find(|request| {
        request.question() == format!("{QUESTION}2718?") && request.last_text().starts_with("refused: ")
    });
    let messages = resent.unwrap().messages();
    let arguments = messages[messages.len() - 2]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    let arguments: Value = serde_json::from_str(arguments).unwrap();
    assert_eq!(arguments, json!({ "malformed_arguments": "{\"number\":2718" }));
}

#[test]
fn an_empty_reply_is_asked_again_and_prose_without_an_answer_is_a_verdict() {
    let line = TRAINED.0.conversation(46264);
    let nudge = |message: &&MessageRecord| matches!(message, MessageRecord::User { text } if text.contains("empty"));
    assert_eq!((line.messages.iter().filter(nudge).count(), line.verdict.solved), (1, true), "{line:?}");
    for line in TRAINED.0.conversations().iter().filter(|line| line.task == "n84590") {
        assert_eq!((line.calls.len(), line.verdict.score), (0, 0.0), "{line:?}");
    }
}

#[test]
fn the_optimizer_is_told_what_was_wrong_with_its_replies() {
    let (run, _) = &*TRAINED;
    let step = run.report.epochs[1].step.as_ref().unwrap();
    let proposals: Vec<_> =
        step.proposals.iter().map(|proposal| (&*proposal.action, proposal.gate.as_deref())).collect();
    assert_eq!(proposals, [("unusable reply", Some("form")), ("add", Some("form")), ("add", None)]);
    assert_eq!(step.end, "terminated");
    let requests = run.optimizer_requests();
    let told = |role: &str, text: &str| {
        assert!(
            requests.iter().any(|request| request.last_role() == role && request.last_text().contains(text)),
            "{text}"
        );
    };
    told("user", "your reply was empty");
    told("tool", "refused at gate `form`: the arguments are not JSON");
    told("tool", "applied; add `checksum`");
}

#[test]
fn the_key_is_sent_with_every_request() {
    let (run, _) = &*TRAINED;
    let bearer = format!("Bearer {KEY}");
    assert!(run.requests.iter().all(|request| request.header("authorization") == Some(&bearer)));
    assert!(run.requests.iter().all(|request| request.body["model"] == "test-model"));
}

#[test]
fn the_learned_set_is_measured_again_through_the_endpoint() {
    let (run, _) = &*TRAINED;
    let server = Arc::new(Model::default()).serve();
    let (project, equipment) = open(&run.project, &server.base_url(), &[]);
    let measure = |set: &str| {
        let source = SetSource::parse(&format!("{}:{set}", run.folder.path().display()));
        block_on(evaluate(&project, &equipment, &source, Split::Test, &Silent, &Interrupt::new())).unwrap().report
    };
    let test = run.report.test.clone().unwrap();
    for (set, trained) in [("initial", test.initial.unwrap()), ("best", test.best.unwrap())] {
        let report = measure(set);
        assert_eq!((report.set, report.score, report.missing), (trained.set, trained.score, 0));
        assert_eq!((report.solved, report.calls), (trained.solved, trained.calls), "{set}");
    }
}

#[test]
fn the_run_can_be_replayed_without_the_endpoint() {
    let (run, _) = &*TRAINED;
    let recorded = format!("model.run={}", run.folder.path().display());
    let settings = ["model.backend=replay", "optimizer.model.backend=replay", &recorded];
    let replayed = train_in(&run.project, "http://127.0.0.1:9/v1", &settings).unwrap();
    // How long a call took is of the machine, not of the run; and that a replay is free has another reason.
    let timeless = |report: &Report| {
        let mut report = Report { run: run.report.run.clone(), ..report.clone() };
        report.functions.iter_mut().for_each(|function| function.mean_wall_us = None);
        report.spend.prices = None;
        report
    };
    assert_eq!(timeless(&replayed.report), timeless(&run.report));
}

#[test]
fn an_optimizer_without_tool_calls_writes_the_function_as_text() {
    let server = ChatServer::start(|request| {
        if is_assistant(request) {
            return assistant(request).1;
        }
        assert_eq!(request.tool_names(), Vec::<String>::new());
        let mut action = definition();
        action["action"] = "add_function".into();
        match turn(request) {
            0 => Scenario::text(&format!("It lacks a function.\n```json\n{action:#}\n```\nThat should do.\nTERMINATE")),
            _ => Scenario::text("TERMINATE"),
        }
    });
    let run = run_against(&server, &["optimizer.protocol=text", "training.epochs=1", "training.final_test=false"]);
    assert_eq!(run.decisions(), [(DecisionKind::Baseline, Some(25)), (DecisionKind::Accepted, Some(75))]);
}

/// Replies as [`assistant`] does, of a model that has no tool calls: it sees the functions in its first message.
fn assistant_by_text(request: &RecordedRequest) -> Scenario {
    assert_eq!(request.tool_names(), Vec::<String>::new(), "an endpoint without tools refuses them");
    if let Some(value) = request.last_text().strip_prefix("Your call of `checksum` came to this.\nvalue: ") {
        return Scenario::text(&format!("The checksum is \\boxed{{{value}}}."));
    }
    let number: u64 = request.question().trim_start_matches(QUESTION).trim_end_matches('?').parse().unwrap();
    let system = request.messages()[0]["content"].as_str().unwrap();
    if !system.contains("- `checksum`: Gives the checksum") {
        return Scenario::text(&format!("I add the digits: \\boxed{{{}}}", digits(number).sum::<u64>()));
    }
    let call = json!({ "call": FUNCTION, "arguments": { "number": number } });
    match (number % 2, turn(request)) {
        // Every other one forgets a brace at first.
        (0, 0) => Scenario::text(&format!("```json\n{}\n```", call.to_string().trim_end_matches('}'))),
        _ => Scenario::text(&format!("I use the function.\n```json\n{call:#}\n```")),
    }
}

#[test]
fn two_models_without_tool_calls_train_each_other() {
    let server = ChatServer::start(|request| {
        if is_assistant(request) {
            return assistant_by_text(request);
        }
        assert_eq!(request.tool_names(), Vec::<String>::new());
        let mut action = definition();
        action["action"] = "add_function".into();
        match turn(request) {
            0 => Scenario::text(&format!("<think>\nWhat now?\n</think>\n```json\n{action:#}\n```\nTERMINATE")),
            _ => Scenario::text("TERMINATE"),
        }
    });
    let run = run_against(
        &server,
        &["optimizer.protocol=text", "agent.protocol=text", "training.epochs=1", "training.final_test=false"],
    );
    let decisions = run.decisions();
    assert_eq!(decisions[1], (DecisionKind::Accepted, Some(100)), "{decisions:?}");
}

#[test]
fn each_role_has_its_own_endpoint_model_and_key() {
    let assistants = ChatServer::start(|request| assistant(request).1);
    let optimizers = ChatServer::start(|request| optimizer(request).1);
    let project = new_project();
    let optimizer_url = format!("optimizer.model.base_url={}", optimizers.base_url());
    let settings = [
        optimizer_url.as_str(),
        "optimizer.model.model=other-model",
        "optimizer.model.api_key_env=OPTIMIZER_KEY",
        "training.epochs=1",
        "training.final_test=false",
    ];
    let trained = train_in(&project, &assistants.base_url(), &settings).unwrap();
    check_that_the_key_is_nowhere_in(trained.folder.path());
    for (server, key, model, is_for_assistant) in
        [(&assistants, KEY, "test-model", true), (&optimizers, OPTIMIZER_KEY, "other-model", false)]
    {
        let requests = server.requests();
        assert!(!requests.is_empty());
        for request in requests {
            assert_eq!(request.header("authorization"), Some(format!("Bearer {key}").as_str()));
            assert_eq!((request.body["model"].as_str(), is_assistant(&request)), (Some(model), is_for_assistant));
        }
    }
}

#[test]
fn an_exceeded_context_shortens_the_prompt_and_is_met_again_by_a_replay() {
    let server = ChatServer::start(|request| {
        if is_assistant(request) {
            return assistant(request).1;
        }
        match (request.question().contains("was shortened"), turn(request)) {
            (false, _) => Scenario::error(400, "This model's maximum context length is 1024 tokens."),
            (true, 0) => Scenario::calls([("add_function", definition().to_string().as_str())]),
            (true, _) => Scenario::text("TERMINATE"),
        }
    });
    let run = run_against(&server, &["training.epochs=1", "training.final_test=false"]);
    assert_eq!(run.decisions()[1].0, DecisionKind::Accepted);
    let sizes: Vec<usize> = run
        .optimizer_requests()
        .iter()
        .map(|request| request.messages().iter().map(|message| message.to_string().len()).sum())
        .collect();
    assert!(sizes.len() == 3 && sizes[1] < sizes[0], "{sizes:?}");
    assert_eq!(run.report.optimizer_usage.requests, 2, "what did not fit was not paid for");

    let environment = environment(run.project.path());
    let recorded = RecordedRun::open(run.folder.path(), &Overrides::new(), &environment).unwrap();
    let runtime: Arc<dyn FunctionRuntime> = Arc::new(SANDBOX.clone());
    let eras = recorded.equipment(&runtime, &environment).unwrap();
    let RunDone::Trained(again) = block_on(replay(&recorded, &eras, &Silent, &Interrupt::new())).unwrap() else {
        panic!()
    };
    assert_eq!(again.report, run.report, "what did not fit is known without asking");
    assert_eq!(server.requests().len(), run.requests.len());
}

// Models that are of no use -------------------------------------------------------------------------------------------

/// Checks that a run ended by its own rules, with patience spent and nothing learned.
fn check_that_nothing_was_learned(run: &Run) {
    assert_eq!((&run.ending, run.stop_kind()), (&Ok(RunEnding::Finished), "patience"));
    assert_eq!(run.decisions()[1..], [(DecisionKind::Unchanged, None), (DecisionKind::Unchanged, None)]);
    assert_eq!((run.report.functions.len(), &run.report.best), (0, &run.report.initial));
    assert!(run.folder.load_set("best").unwrap().functions.is_empty());
}

#[test]
fn a_model_that_answers_in_prose_only_ends_by_patience() {
    let server = ChatServer::start(|_| Scenario::text("I would rather not commit myself."));
    let run = run_against(&server, &[]);
    check_that_nothing_was_learned(&run);
    assert_eq!(run.decisions()[0], (DecisionKind::Baseline, Some(0)));
    assert_eq!(run.optimizer_requests().len(), 2, "prose ends a step; it is not argued with");
}

#[test]
fn a_model_whose_calls_are_never_whole_runs_out_of_retries_and_then_of_patience() {
    let server = ChatServer::start(|request| match request.tool_names().first() {
        Some(tool) => Scenario::calls([(tool.as_str(), "{\"source\": \"def f(")]),
        None => Scenario::text("\\boxed{5}"),
    });
    let run = run_against(&server, &["agent.max_failed_calls=1"]);
    check_that_nothing_was_learned(&run);
    // Without tools it answers, and for one task rightly.
    assert_eq!(run.decisions()[0], (DecisionKind::Baseline, Some(25)));
    assert!(run.conversations().iter().all(|line| line.calls.len() == 2 && line.calls[1].refused.is_some()));
    for epoch in &run.report.epochs[1..] {
        let step = epoch.step.as_ref().unwrap();
        assert_eq!((step.end.as_str(), step.proposals.len()), ("retries_spent", 3));
    }
}

// Servers that are of no use ------------------------------------------------------------------------------------------

/// Checks that a run kept nothing that looks like a score, and says how it ended.
fn check_that_nothing_was_scored(run: &Run, stop_kind: &str) {
    assert_eq!(run.stop_kind(), stop_kind);
    assert_eq!((run.report.epochs.len(), &run.report.test, &run.report.best), (0, &None, &None));
    let scored = |event: &JournalEvent| {
        matches!(event, JournalEvent::Conversation(_) | JournalEvent::EvaluationDone(_) | JournalEvent::Decision(_))
    };
    assert!(!run.events().iter().any(scored), "{:?}", run.events());
    assert!(run.folder.load_set("initial").unwrap().functions.is_empty(), "the folder can be read");
    assert_eq!(run.folder.manifest().unwrap().project, "checksums");
}

#[test]
fn an_endpoint_that_always_fails_ends_the_run_without_a_score() {
    // The endpoint is so careless as to repeat the key, which must not get into the run folder.
    let server = ChatServer::start(|_| Scenario::error(500, &format!("no route for Bearer {KEY}")));
    let run = run_against(&server, &["model.max_retries=1", "training.jobs=1"]);
    check_that_nothing_was_scored(&run, "too_much_missing");
    assert_eq!((run.ending.clone(), run.requests.len()), (Ok(RunEnding::TooMuchMissing), 2));
    let reason = &run.report.stop.as_ref().unwrap().reason;
    for part in ["1 of 4 tasks of validation", "task `n5`", "(status 500)", "(after 2 attempts)", "Bearer [key]"] {
        assert!(reason.contains(part), "no {part} in: {reason}");
    }
}

#[test]
fn what_every_request_would_meet_is_an_error_at_once() {
    for (scenario, says) in [
        (Scenario::error(401, &format!("Incorrect API key provided: {KEY}")), ["refused the key", "`OPENAI_API_KEY`"]),
        (Scenario::error(404, "The model `test-model` does not exist"), ["has no model `test-model`", "check `model`"]),
        (
            Scenario::status(429, r#"{"error":{"message":"spent","code":"insufficient_quota"}}"#),
            ["the quota of the key is spent", "look at the account"],
        ),
    ] {
        let server = ChatServer::start(move |_| scenario.clone());
        let run = run_against(&server, &["training.jobs=1"]);
        check_that_nothing_was_scored(&run, "failed");
        assert_eq!(run.requests.len(), 1, "it is not tried again");
        let error = run.ending.unwrap_err();
        assert!(says.iter().all(|part| error.contains(part)) && !error.contains(KEY), "{error}");
        assert!(run.report.stop.unwrap().reason.contains(says[0]));
    }
}

#[test]
fn an_optimizer_that_gives_no_reply_is_an_error_and_no_early_stop() {
    for (scenario, says, requests) in [
        (server_error(), "(status 500)", 1),
        (Scenario::text("late").cut_before(), "the connection to", 1),
        (Scenario::error(401, "no"), "refused the key", 1),
        // The prompt is written again with half of it; what is shorter yet is no prompt any more.
        (Scenario::error(400, "maximum context length exceeded"), "maximum context length exceeded", 2),
    ] {
        let server = ChatServer::start(move |request| match is_assistant(request) {
            true => assistant(request).1,
            false => scenario.clone(),
        });
        let run = run_against(&server, &["model.max_retries=0"]);
        let error = run.ending.clone().unwrap_err();
        assert!(error.contains("the optimizer's model") && error.contains(says), "{error}");
        assert_eq!((run.stop_kind(), run.optimizer_requests().len()), ("failed", requests));
        // What was measured before is kept.
        assert_eq!(run.report.epochs[0].decision.as_ref().unwrap().score, Some(0.25));
        assert_eq!(run.report.best, run.report.initial);
        assert_eq!(run.report.epochs.len(), 1, "the step is made again when the run is resumed");
    }
}

#[test]
fn a_task_whose_requests_all_fail_is_missing_and_no_zero() {
    let server = ChatServer::start(|request| match is_assistant(request) {
        true if request.question().contains("84590") => server_error(),
        true => assistant(request).1,
        false => optimizer(request).1,
    });
    let run = run_against(&server, &["model.max_retries=0", "training.max_missing=0.25", "training.patience=1"]);
    assert_eq!(run.ending, Ok(RunEnding::Finished));
    // The fourth task would be wrong: of the three that are left, one is right at first, and then all.
    assert_eq!(run.decisions()[..2], [(DecisionKind::Baseline, Some(33)), (DecisionKind::Accepted, Some(100))]);
    let missing = |event: &JournalEvent| matches!(event, JournalEvent::Missing(record) if record.task == "n84590");
    assert_eq!(run.events().iter().filter(|event| missing(event)).count(), 2);
}
