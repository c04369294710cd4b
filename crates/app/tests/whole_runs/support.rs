//! A whole project in a temporary folder: tasks, a script for both models, and a runtime of three functions.
//!
//! The runtime is no sandbox but a table: a source is `NAME(a, b) = BODY`, and the body is one of `sum`, `wrong`
//! (the sum and one), `fault` (the host fails). What runs in the sandbox is tested over the whole workspace.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use greensand_app::store::{JournalEvent, Reopening, Report, RunFolder};
use greensand_app::{
    Environment, Equipment, Eras, Event, Interrupt, ModelBackend, ModelError, Observer, Overrides, Project,
    RecordedRun, RunDone, Silent, TrainError, TrainReport, open_project,
};
use greensand_llm::{ChatReply, ChatRequest};
use greensand_types::{
    BoxFuture, CallEnding, CallOutcome, CallUsage, DescribeOutcome, FunctionDescription, FunctionRuntime, HostFault,
    Invocation, JsonText, KeptText, Language, Limits, Parameter, ParameterKind, SourceText,
};

pub(crate) struct TableRuntime;

/// Opens a run again, with what it was made with.
pub(crate) fn reopened(run: &Path) -> (RecordedRun, Eras) {
    reopened_with(run, &[])
}

/// Opens a run again, with some settings that it may have anew.
pub(crate) fn reopened_with(run: &Path, settings: &[&str]) -> (RecordedRun, Eras) {
    let environment = Environment::of([], run);
    let mut overrides = Overrides::new();
    for setting in settings {
        overrides.set(setting).unwrap();
    }
    let recorded = RecordedRun::open(run, &overrides, &environment).unwrap();
    let runtime: Arc<dyn FunctionRuntime> = Arc::new(TableRuntime);
    let eras = recorded.equipment(&runtime, &environment).unwrap();
    (recorded, eras)
}

/// Takes a run up again, or does it again, quietly.
pub(crate) fn again(recorded: &RecordedRun, eras: &Eras, how: Reopening) -> Result<RunDone, TrainError> {
    let interrupt = Interrupt::new();
    match how {
        Reopening::Resume => block_on(greensand_app::resume(recorded, eras, &Silent, &interrupt)),
        Reopening::Replay => block_on(greensand_app::replay(recorded, eras, &Silent, &interrupt)),
    }
}

/// Takes what a training left.
pub(crate) fn trained(done: RunDone) -> TrainReport {
    let RunDone::Trained(report) = done else { panic!("it was no training: {done:?}") };
    *report
}

fn outcome(value: &str) -> CallOutcome {
    CallOutcome {
        ending: CallEnding::Returned(JsonText::parse(value).unwrap()),
        stdout: KeptText::default(),
        stderr: KeptText::default(),
        usage: CallUsage::default(),
    }
}

impl FunctionRuntime for TableRuntime {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(async move {
            let arguments = invocation.arguments.to_value().unwrap();
            let number = |name: &str| arguments[name].as_i64().unwrap_or_default();
            let sum = number("a") + number("b");
            match invocation.source.text.rsplit("= ").next() {
                Some("sum") => Ok(outcome(&sum.to_string())),
                Some("wrong") => Ok(outcome(&(sum + i64::from(sum > 9)).to_string())),
                _ => Err(HostFault::new("the host is out of memory")),
            }
        })
    }

    fn compile(&self, _source: SourceText, _limits: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(async { Ok(outcome("null")) })
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

/// The rules of an assistant that adds with `add` where it has it, and guesses 3 where it has not.
pub(crate) const ASSISTANT: &str = r#"
[[rule]]
role = "assistant"
turn = 0
functions = ["add"]
question = '(\d+) \+ (\d+)'
[[rule.reply.calls]]
name = "add"
arguments = { a = "${json:1}", b = "${json:2}" }
[[rule]]
role = "assistant"
last = 'value: (\d+)'
reply.text = 'The answer is \boxed{${last.1}}.'
[[rule]]
role = "assistant"
reply.text = 'The answer is \boxed{3}.'
reply.prompt_tokens = 10
reply.completion_tokens = 2
"#;

/// An optimizer that has nothing to say.
pub(crate) const SILENT_OPTIMIZER: &str = "
[[rule]]
role = \"optimizer\"
reply.text = \"TERMINATE\"
";

/// A rule under which the optimizer writes `add` with a body, in an epoch.
pub(crate) fn writes(epoch: u32, tool: &str, body: &str) -> String {
    format!(
        r#"
[[rule]]
role = "optimizer"
turn = 0
epoch = {epoch}
[[rule.reply.calls]]
name = "{tool}"
[rule.reply.calls.arguments]
name = "add"
description = "Adds two numbers, written in epoch {epoch}."
language = "python"
source = "add(a, b) = {body}"
packages = []
parameters = {{ type = "object", required = ["a", "b"], properties = {{ a = {{ type = "integer" }}, b = {{ type = "integer" }} }} }}
examples = [{{ arguments = {{ a = 1, b = 1 }}, result = 2 }}]
"#
    )
}

/// An optimizer that writes a function with a fault, mends it, breaks it again, and then has nothing to say.
pub(crate) fn story() -> Folder {
    let rules = [
        ASSISTANT,
        &writes(1, "add_function", "wrong"),
        &writes(2, "revise_function", "sum"),
        &writes(3, "revise_function", "wrong"),
        SILENT_OPTIMIZER,
    ];
    Folder::new("[training]\npatience = 2\n", &rules)
}

/// A project folder that is removed when this goes.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(settings: &str, rules: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path().join("tasks")).unwrap();
        // Sums up to 9 are right with `wrong`, larger ones are not; 1 + 2 is solved by guessing.
        folder.tasks("train", &[(1, 2), (4, 4), (8, 9), (5, 7)]);
        folder.tasks("validation", &[(2, 1), (3, 3), (7, 9), (6, 7)]);
        folder.tasks("test", &[(0, 3), (2, 3), (9, 9), (6, 9)]);
        let project = format!(
            "[project]\nname = \"sums\"\n[tasks]\ntrain = \"tasks/train.jsonl\"\nvalidation = \"tasks/validation.jsonl\"\n\
             test = \"tasks/test.jsonl\"\n[agent]\ncode_tool = \"none\"\n[model]\nbackend = \"scripted\"\nscript = \"script.toml\"\n\
             {settings}\n"
        );
        std::fs::write(folder.path().join("greensand.toml"), project).unwrap();
        std::fs::write(folder.path().join("script.toml"), format!("format = 1\n{}", rules.concat())).unwrap();
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    fn tasks(&self, split: &str, sums: &[(i64, i64)]) {
        let line = |(a, b): &(i64, i64)| {
            format!("{{\"id\":\"{split}-{a}-{b}\",\"question\":\"What is {a} + {b}?\",\"target\":{}}}\n", a + b)
        };
        let text: String = sums.iter().map(line).collect();
        std::fs::write(self.path().join(format!("tasks/{split}.jsonl")), text).unwrap();
    }

    pub(crate) fn open(&self, settings: &[&str]) -> (Project, Equipment) {
        let environment = Environment::of([], self.path());
        let mut overrides = Overrides::new();
        for setting in settings {
            overrides.set(setting).unwrap();
        }
        let project = open_project(self.path(), &overrides, &environment).unwrap();
        let equipment = Equipment::open(&project, Arc::new(TableRuntime), &environment).unwrap();
        (project, equipment)
    }

    pub(crate) fn train(&self, settings: &[&str]) -> Result<TrainReport, TrainError> {
        let (project, equipment) = self.open(settings);
        train(&project, &equipment, &greensand_app::Silent, &Interrupt::new())
    }

    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let runs = RunFolder::list(&self.path().join("runs")).unwrap();
        runs.into_iter().map(|run| run.folder.path().to_owned()).collect()
    }
}

pub(crate) fn train(
    project: &Project,
    equipment: &Equipment,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<TrainReport, TrainError> {
    block_on(greensand_app::train(project, equipment, observer, interrupt))
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Calls a function at every event.
pub(crate) struct Watching<F: Fn(&Event<'_>) + Send + Sync>(pub(crate) F);

impl<F: Fn(&Event<'_>) + Send + Sync> Observer for Watching<F> {
    fn event(&self, event: Event<'_>) {
        (self.0)(&event);
    }
}

/// A backend that remembers what it was asked.
pub(crate) struct Listening {
    backend: Arc<dyn ModelBackend>,
    pub(crate) requests: Mutex<Vec<ChatRequest>>,
}

impl Listening {
    pub(crate) fn to(backend: &Arc<dyn ModelBackend>) -> Arc<Self> {
        Arc::new(Self { backend: Arc::clone(backend), requests: Mutex::new(Vec::new()) })
    }
}

impl ModelBackend for Listening {
    fn label(&self) -> String {
        self.backend.label()
    }

    fn identity(&self) -> String {
        self.backend.identity()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        self.requests.lock().unwrap().push(request.clone());
        self.backend.chat(request)
    }
}

/// Says of each epoch what was decided, with the score in percent.
pub(crate) fn decisions(report: &Report) -> Vec<String> {
    let word = |decision: &greensand_app::store::DecisionRecord| {
        let score = decision.score.map(|score| format!(" {:.0}", score * 100.0)).unwrap_or_default();
        format!("{:?}{score}", decision.decision)
    };
    report.epochs.iter().map(|epoch| epoch.decision.as_ref().map_or("None".into(), word)).collect()
}

pub(crate) fn events(folder: &RunFolder) -> Vec<JournalEvent> {
    folder.journal().unwrap().map(Result::unwrap).collect()
}

/// A model that says something else about a task in every other draw, and counts what it is asked.
pub(crate) struct Fickle {
    backend: Arc<dyn ModelBackend>,
    task: &'static str,
    text: &'static str,
    asked: Mutex<usize>,
}

impl Fickle {
    /// Takes the place of the assistant's model.
    pub(crate) fn in_place_of_assistant(
        equipment: &mut Equipment,
        task: &'static str,
        text: &'static str,
    ) -> Arc<Self> {
        let backend = Arc::clone(&equipment.assistant);
        let fickle = Arc::new(Self { backend, task, text, asked: Mutex::new(0) });
        equipment.assistant = Arc::clone(&fickle) as Arc<dyn ModelBackend>;
        fickle
    }

    pub(crate) fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

impl ModelBackend for Fickle {
    fn label(&self) -> String {
        self.backend.label()
    }

    fn identity(&self) -> String {
        self.backend.identity()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        *self.asked.lock().unwrap() += 1;
        Box::pin(async move {
            let mut reply = self.backend.chat(request).await?;
            if request.repeat % 2 == 1 && request.task.as_ref().is_some_and(|task| task.as_str() == self.task) {
                reply.text = self.text.into();
            }
            Ok(reply)
        })
    }
}
