//! The method as an object with its three verbs, for programs that have a conversation loop of their own.
//!
//! [`Optimizer`] ties [`Training`] to [`propose`]: conversations are recorded under the set that is registered now;
//! [`Optimizer::step`] judges that set by them, accepts it or rolls it back, and proposes the next one. Whoever wants
//! evaluation, journal and resume ready-made uses `greensand-app` instead.

use std::collections::HashSet;
use std::sync::Arc;

use greensand_llm::ModelBackend;
use greensand_types::{
    Conversation, ConversationRecord, FunctionRuntime, FunctionSet, Registration, StepReport, TaskId, Verdict,
};

use crate::evidence::EvidenceBook;
use crate::step::{StepError, StepInput, StepSettings, propose};
use crate::training::{Decision, Measurement, Next, StopReason, Training, TrainingError, TrainingSettings};

/// Asks a person whether a conversation solved its task; nothing when there is nobody to ask.
pub type AskVerdict = Box<dyn Fn(&Conversation) -> Option<bool> + Send + Sync>;

/// The rules of an optimizer.
#[derive(Debug, Clone)]
pub struct OptimizerSettings {
    /// What is accepted, and when it is enough.
    pub training: TrainingSettings,
    /// How the next set is proposed.
    pub step: StepSettings,
}

/// A conversation that cannot be recorded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// Nobody said whether it solved its task.
    #[error(
        "the conversation about task `{0}` has no verdict, and there is nobody to ask; pass `is_satisfied`, or attach \
         a terminal"
    )]
    MissingVerdict(TaskId),
    /// It was held under another set than the one that is registered now.
    #[error("the conversation about task `{task}` was held under set {found}; registered is set {expected}")]
    OtherSet {
        /// The task.
        task: TaskId,
        /// The set of the conversation, in short.
        found: String,
        /// The set that is registered, in short.
        expected: String,
    },
    /// The initial set was measured on other tasks.
    #[error("task `{0}` is not among those that the initial set was measured on")]
    UnknownTask(TaskId),
    /// Its score is not one that can be compared.
    #[error("the score of the conversation about task `{task}` is `{score}`; a score is a number from 0 to 1")]
    NotAScore {
        /// The task.
        task: TaskId,
        /// What stands there.
        score: f64,
    },
}

/// A step that gives no registration. What was recorded is kept: the step can be made again.
#[derive(Debug, thiserror::Error)]
pub enum OptimizerError {
    /// Nothing was recorded under the registered set.
    #[error("no conversation is recorded under set {set}; record at least one before a step")]
    NoRecords {
        /// The set, in short.
        set: String,
    },
    /// The step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The records do not fit the run.
    #[error(transparent)]
    Training(#[from] TrainingError),
}

/// Trains a function set from recorded conversations.
///
/// ```
/// # use std::sync::Arc;
/// # use greensand_llm::{BackendSettings, ScriptedSettings, open_backend};
/// # use greensand_optimizer::{Optimizer, OptimizerSettings, StepSettings, TrainingSettings};
/// # use greensand_types::*;
/// # /// Doubles: a runtime for this page. The real one is the sandbox.
/// # struct Doubling;
/// # fn outcome(ending: CallEnding) -> CallOutcome {
/// #     CallOutcome { ending, stdout: KeptText::default(), stderr: KeptText::default(), usage: CallUsage::default() }
/// # }
/// # impl FunctionRuntime for Doubling {
/// #     fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
/// #         Box::pin(async move {
/// #             let x = invocation.arguments.to_value().unwrap()["x"].as_i64().unwrap();
/// #             Ok(outcome(CallEnding::Returned(JsonText::from_value(&(2 * x).into()))))
/// #         })
/// #     }
/// #     fn compile(&self, _: SourceText, _: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
/// #         Box::pin(async { Ok(outcome(CallEnding::Returned(JsonText::parse("null").unwrap()))) })
/// #     }
/// #     fn describe(&self, _: SourceText, _: String, _: Limits) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
/// #         Box::pin(async {
/// #             let x = Parameter { name: "x".into(), kind: ParameterKind::Positional, is_required: true };
/// #             Ok(DescribeOutcome::Described(FunctionDescription { parameters: vec![x], documentation: String::new() }))
/// #         })
/// #     }
/// #     fn default_limits(&self, _: &Language) -> Option<Limits> { Some(Limits::DEFAULT) }
/// # }
/// # let script = r#"
/// # format = 1
/// # [[rule]]
/// # role = "optimizer"
/// # without = ["double"]
/// # [[rule.reply.calls]]
/// # name = "add_function"
/// # arguments = '''{"name": "double", "description": "Twice x.", "source": "def double(x): return 2 * x",
/// #   "parameters": {"properties": {"x": {"type": "integer"}}, "required": ["x"]},
/// #   "examples": [{"arguments": {"x": 4}, "result": 8}]}'''
/// # [[rule]]
/// # role = "optimizer"
/// # [rule.reply]
/// # text = "TERMINATE"
/// # "#;
/// # let scripted = ScriptedSettings { script: script.into(), origin: "doc".into(), latency: Default::default() };
/// # let backend = open_backend(BackendSettings::Scripted(scripted)).unwrap();
/// # let runtime = Arc::new(Doubling);
/// # let task = Arc::new(Task { id: "t".parse().unwrap(), question: "2 * 21?".into(), target: "42".into(), metadata: Default::default() });
/// # futures::executor::block_on(async {
/// let settings = OptimizerSettings {
///     training: TrainingSettings::default(),
///     step: StepSettings::new("python".parse()?),
/// };
/// let mut optimizer = Optimizer::new(settings, Arc::new(FunctionSet::empty()), backend, runtime);
///
/// // Solve each task with both roles registered, and say how it went.
/// let mut history = Conversation::open(Arc::clone(&task), optimizer.registration().set_id());
/// history.say(Message::User { text: task.question.clone() })?;
/// history.say(Message::Assistant { text: "41".into(), calls: vec![] })?;
/// optimizer.record_one_conversation(history, Some(false))?;
///
/// // The step answers with what both roles are to be registered with from now on.
/// let registration = optimizer.step().await?;
/// let tools: Vec<&str> = registration.register_for_llm().map(|signature| signature.name().as_str()).collect();
/// assert_eq!(tools, ["double"]);
/// assert!(registration.register_for_executor("double").is_some());
/// assert!(optimizer.best().is_empty(), "a set that has not been measured is never the best one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Optimizer {
    settings: OptimizerSettings,
    initial: Arc<FunctionSet>,
    backend: Arc<dyn ModelBackend>,
    runtime: Arc<dyn FunctionRuntime>,
    ask: Option<AskVerdict>,
    state: State,
}

/// What [`Optimizer::reset_optimizer`] forgets.
struct State {
    training: Training,
    /// The tasks of the first measurement, in the order in which they were recorded.
    tasks: Vec<TaskId>,
    /// Recorded under the registered set, not judged yet.
    recorded: Vec<ConversationRecord>,
    /// Recorded under the best set.
    best_records: Vec<ConversationRecord>,
    evidence: EvidenceBook,
    last_decision: Option<Decision>,
    last_report: Option<StepReport>,
}

impl State {
    fn new(settings: &OptimizerSettings, initial: &Arc<FunctionSet>) -> Self {
        Self {
            training: Training::new(settings.training.clone(), Arc::clone(initial)),
            tasks: Vec::new(),
            recorded: Vec::new(),
            best_records: Vec::new(),
            evidence: EvidenceBook::new(),
            last_decision: None,
            last_report: None,
        }
    }

    /// Judges the registered set if it waits for that; a fault leaves everything as it was.
    fn judge(&mut self) -> Result<(), OptimizerError> {
        let Next::Evaluate { set, epoch, trials } = self.training.next() else {
            return Ok(());
        };
        if self.recorded.is_empty() {
            return Err(OptimizerError::NoRecords { set: set.id().short() });
        }
        let tasks = if self.tasks.is_empty() { tasks_of(&self.recorded) } else { self.tasks.clone() };
        // However often a task was recorded, only the mean of its scores enters a comparison.
        let scores = |task| vec![mean_score(&self.recorded, task); trials.len()];
        let scores = tasks.iter().map(scores).collect();
        let decision = self.training.measured(Measurement { set: set.id(), scores })?;
        self.tasks = tasks;
        let recorded = std::mem::take(&mut self.recorded);
        self.evidence.note_all(&set, epoch, &recorded);
        let Some(decision) = decision else { return Ok(()) };
        match decision {
            Decision::Baseline { .. } | Decision::Accepted { .. } => self.best_records = recorded,
            // The best set's records stay; those of a set that is not registered any more end with it.
            Decision::RolledBack { .. }
            | Decision::Undecided { .. }
            | Decision::Unchanged
            | Decision::NotCompared { .. } => {}
        }
        self.last_decision = Some(decision);
        Ok(())
    }
}

/// The tasks of conversations, each once, in the order in which they were recorded.
fn tasks_of(records: &[ConversationRecord]) -> Vec<TaskId> {
    let mut seen = HashSet::new();
    records.iter().map(|record| &record.task.id).filter(|task| seen.insert(*task)).cloned().collect()
}

impl Optimizer {
    /// Makes an optimizer that starts from a set; the first step measures it by what was recorded.
    pub fn new(
        settings: OptimizerSettings,
        initial: Arc<FunctionSet>,
        backend: Arc<dyn ModelBackend>,
        runtime: Arc<dyn FunctionRuntime>,
    ) -> Self {
        let state = State::new(&settings, &initial);
        Self { settings, initial, backend, runtime, ask: None, state }
    }

    /// Sets whom to ask for a missing verdict. This crate reads no terminal; the caller does, where one is attached.
    #[must_use]
    pub fn asking(mut self, ask: AskVerdict) -> Self {
        self.ask = Some(ask);
        self
    }

    /// Records a conversation that was held under the registered set.
    ///
    /// # Errors
    /// When there is no verdict and nobody to ask, or the conversation belongs to another set or task.
    pub fn record_one_conversation(
        &mut self,
        history: Conversation,
        is_satisfied: Option<bool>,
    ) -> Result<(), RecordError> {
        let verdict = is_satisfied.or_else(|| self.ask.as_ref().and_then(|ask| ask(&history)));
        let verdict = match verdict {
            Some(true) => Verdict::satisfied(last_words(&history), "said to be right by whoever recorded it"),
            Some(false) => Verdict::unsatisfied(Some(last_words(&history)), "said to be wrong by whoever recorded it"),
            None => return Err(RecordError::MissingVerdict(history.task().id.clone())),
        };
        self.record(history.close(verdict))
    }

    /// Records a conversation that has its verdict, such as one of `greensand-agent`.
    ///
    /// # Errors
    /// When the conversation belongs to another set or task, or its score is not a number from 0 to 1.
    pub fn record(&mut self, record: ConversationRecord) -> Result<(), RecordError> {
        let registered = self.registration().set_id();
        if record.set != registered {
            return Err(RecordError::OtherSet {
                task: record.task.id.clone(),
                found: record.set.short(),
                expected: registered.short(),
            });
        }
        let score = record.verdict.score;
        if !(0.0..=1.0).contains(&score) {
            return Err(RecordError::NotAScore { task: record.task.id.clone(), score });
        }
        let state = &mut self.state;
        if !state.tasks.is_empty() && !state.tasks.contains(&record.task.id) {
            return Err(RecordError::UnknownTask(record.task.id.clone()));
        }
        state.recorded.push(record);
        Ok(())
    }

    /// Judges the registered set by what was recorded, proposes the next one, and returns what to register now.
    ///
    /// When the run is over (see [`Optimizer::stop_reason`]) that is the best set.
    ///
    /// # Errors
    /// When nothing was recorded under a set that waits for its measurement, or the step fails. The records are kept.
    pub async fn step(&mut self) -> Result<Registration, OptimizerError> {
        self.state.judge()?;
        if let Next::Propose { epoch } = self.state.training.next() {
            self.keep_recorded_as_best(epoch - 1);
            let training = &self.state.training;
            let input = StepInput {
                best: training.best(),
                records: &self.state.best_records,
                evidence: &self.state.evidence,
                failures: training.failures(),
                success_rate: training.best_score().unwrap_or(0.0),
                epoch,
            };
            let report = propose(input, &*self.backend, &*self.runtime, &self.settings.step).await?;
            if let Some(decision) = self.state.training.proposed(&report)? {
                self.state.last_decision = Some(decision);
            }
            self.state.last_report = Some(report);
        }
        Ok(self.registration())
    }

    /// Forgets every record, decision and set; what is registered is the initial set.
    pub fn reset_optimizer(&mut self) {
        self.state = State::new(&self.settings, &self.initial);
    }

    /// Returns what both roles are to be registered with now: the set to be measured, or the best one.
    pub fn registration(&self) -> Registration {
        match self.state.training.next() {
            Next::Evaluate { set, .. } => Registration::of(set),
            Next::Propose { .. } | Next::Finished(_) => Registration::of(Arc::clone(self.best())),
        }
    }

    /// Returns the best set; it has been measured, unless the initial set still waits for it.
    pub fn best(&self) -> &Arc<FunctionSet> {
        self.state.training.best()
    }

    /// Returns the training run, with its scores and failures.
    pub fn training(&self) -> &Training {
        &self.state.training
    }

    /// Returns why the run is over, if it is.
    pub fn stop_reason(&self) -> Option<StopReason> {
        match self.state.training.next() {
            Next::Finished(reason) => Some(reason),
            Next::Evaluate { .. } | Next::Propose { .. } => None,
        }
    }

    /// Returns what was decided last.
    pub fn last_decision(&self) -> Option<&Decision> {
        self.state.last_decision.as_ref()
    }

    /// Returns what the last step did.
    pub fn last_report(&self) -> Option<&StepReport> {
        self.state.last_report.as_ref()
    }

    /// After a step that changed nothing the best set is used again: newer conversations take the place of older ones.
    /// Its scores stay: measuring until one is lucky is no improvement.
    fn keep_recorded_as_best(&mut self, epoch: u32) {
        let state = &mut self.state;
        let newer = std::mem::take(&mut state.recorded);
        state.evidence.note_all(state.training.best(), epoch, &newer);
        state.best_records.retain(|record| newer.iter().all(|newer| newer.task.id != record.task.id));
        state.best_records.extend(newer);
        let place = |task: &TaskId| state.tasks.iter().position(|known| known == task);
        state.best_records.sort_by_key(|record| place(&record.task.id));
    }
}

/// The mean over the conversations about a task; a task without any is missing data.
fn mean_score(records: &[ConversationRecord], task: &TaskId) -> Option<f64> {
    let scores: Vec<f64> =
        records.iter().filter(|record| record.task.id == *task).map(|record| record.verdict.score).collect();
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

fn last_words(history: &Conversation) -> String {
    use greensand_types::Message;
    let said = history.messages().iter().rev().find_map(|message| match message {
        Message::Assistant { text, .. } => Some(text.clone()),
        Message::System { .. } | Message::User { .. } | Message::Tool { .. } => None,
    });
    said.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use greensand_types::Task;

    use super::*;
    use crate::step::StepSettings;

    fn record(id: &str, set: &FunctionSet, score: f64) -> ConversationRecord {
        let task = Task {
            id: id.parse().unwrap(),
            question: String::new(),
            target: String::new(),
            metadata: serde_json::Map::new(),
        };
        let verdict = Verdict { score, ..Verdict::unsatisfied(None, "") };
        Conversation::open(Arc::new(task), set.id()).close(verdict)
    }

    #[test]
    fn a_measurement_that_is_refused_fixes_no_tasks() {
        let step = StepSettings::new("python".parse().unwrap());
        let initial = Arc::new(FunctionSet::empty());
        let mut state = State::new(&OptimizerSettings { training: TrainingSettings::default(), step }, &initial);
        // Nothing that was recorded is like this; the state holds all the same.
        state.recorded = vec![record("odd", &initial, f64::NAN)];
        assert!(matches!(state.judge(), Err(OptimizerError::Training(TrainingError::NotAScore { .. }))));
        assert!(state.tasks.is_empty() && state.recorded.len() == 1);
        state.recorded = vec![record("b", &initial, 1.0), record("a", &initial, 0.0), record("b", &initial, 0.0)];
        state.judge().unwrap();
        assert_eq!(state.tasks, ["b".parse().unwrap(), "a".parse().unwrap()]);
    }
}
