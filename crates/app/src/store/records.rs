//! The stored forms of the values that flow. The conversions are in `convert`.
//!
//! Journal and report hold these and nothing else. Fields may be added; to rename or to reinterpret one is a new
//! format number. JSON of functions and models is stored as text, as it was written.

use greensand_llm::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum MessageRecord {
    /// Instructions.
    System {
        /// What it says.
        text: String,
    },
    /// The task, or what the user proxy says.
    User {
        /// What it says.
        text: String,
    },
    /// A reply.
    Assistant {
        /// What it says.
        text: String,
        /// The calls that it asks for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<CallRequestRecord>,
    },
    /// The answer to a call.
    Tool {
        /// Which call.
        call: String,
        /// What the model reads.
        content: String,
    },
}

/// A call as a model wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallRequestRecord {
    /// Which call.
    pub id: String,
    /// The function.
    pub name: String,
    /// The arguments as text; they may not be JSON.
    pub arguments: String,
}

/// A call with what became of it: refused, or run to an outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallRecord {
    /// The call.
    #[serde(flatten)]
    pub call: CallRequestRecord,
    /// Why it was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeRecord>,
}

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeRecord {
    /// The class of the outcome.
    pub status: String,
    /// The value, as the function returned it; only with `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Standard output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// Standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// Which of the two outputs were cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncated: Vec<String>,
    /// Wall clock in microseconds.
    pub wall_us: u64,
    /// Peak memory in bytes.
    pub peak_memory_bytes: u64,
    /// Bytes that left the guest.
    pub output_bytes: u64,
}

/// A verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictRecord {
    /// 0 to 1.
    pub score: f64,
    /// Whether the task counts as solved.
    pub solved: bool,
    /// The answer that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Why.
    pub feedback: String,
}

/// What replies cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageRecord {
    /// Replies.
    pub requests: u64,
    /// Tokens of the prompts, those from the endpoint's cache included.
    pub prompt_tokens: u64,
    /// Those of them that the endpoint had in its cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// Tokens of the replies, hidden reasoning included.
    pub completion_tokens: u64,
    /// Those of them that were hidden reasoning.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
}

impl UsageRecord {
    /// Adds what other replies cost.
    pub(crate) fn add(&mut self, usage: Self) {
        let Self { requests, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens } = usage;
        self.requests = self.requests.saturating_add(requests);
        self.prompt_tokens = self.prompt_tokens.saturating_add(prompt_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(cached_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(completion_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(reasoning_tokens);
    }

    /// Says whether nothing was asked for.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// A closed conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationRecordLine {
    /// The epoch of the evaluation.
    pub epoch: u32,
    /// The split of the task.
    pub split: String,
    /// The function set.
    pub set: String,
    /// The task.
    pub task: String,
    /// Which attempt at the task.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeat: u32,
    /// The messages.
    pub messages: Vec<MessageRecord>,
    /// The calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallRecord>,
    /// The verdict.
    pub verdict: VerdictRecord,
    /// What the replies cost.
    pub usage: UsageRecord,
}

/// A task that got no score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissingRecord {
    /// The epoch of the evaluation.
    pub epoch: u32,
    /// The split of the task.
    pub split: String,
    /// The function set.
    pub set: String,
    /// The task.
    pub task: String,
    /// Which attempt at the task.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeat: u32,
    /// Why.
    pub reason: String,
}

/// An evaluation that begins, or that is over and has its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvaluationRecord {
    /// The epoch.
    pub epoch: u32,
    /// The split.
    pub split: String,
    /// The function set.
    pub set: String,
    /// How many tasks.
    pub tasks: usize,
    /// The first trial of each task.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first_trial: u32,
    /// How many trials of each task.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub trials: u32,
    /// Trials that are solved.
    #[serde(default)]
    pub solved: usize,
    /// Tasks without a score.
    #[serde(default)]
    pub missing: usize,
    /// Function calls.
    #[serde(default)]
    pub calls: usize,
    /// The mean score of the measured tasks, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Its standard error over the tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// From where to where the true score lies with a confidence of 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

impl EvaluationRecord {
    /// Returns how many conversations were to be held: tasks, times trials.
    pub fn attempts(&self) -> usize {
        self.tasks.saturating_mul(self.trials as usize)
    }
}

/// A proposed action with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposalRecord {
    /// The verb, as the model wrote it.
    pub action: String,
    /// The function, as the model named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Whether it was applied.
    pub applied: bool,
    /// The id of the function that was added or that took the place of another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The gate that refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Why it was refused, or why the model removed a function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a person should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A step of the optimizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRecord {
    /// The epoch.
    pub epoch: u32,
    /// The set that it started from.
    pub parent: String,
    /// The set that it proposes.
    pub candidate: String,
    /// Every action in order.
    pub proposals: Vec<ProposalRecord>,
    /// Why it ended: `terminated`, `actions_spent`, `retries_spent`, or `failed`.
    pub end: String,
    /// What failed, if it ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the replies cost.
    pub usage: UsageRecord,
}

/// How a set was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// It is the initial set.
    Baseline,
    /// It is the best now.
    Accepted,
    /// The best set stays.
    RolledBack,
    /// More trials of both sets are measured before it is decided.
    Undecided,
    /// The step changed nothing.
    Unchanged,
    /// Too many scores are missing.
    NotCompared,
}

/// A decision of the training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionRecord {
    /// The epoch.
    pub epoch: u32,
    /// The set that was judged.
    pub set: String,
    /// How.
    pub decision: DecisionKind,
    /// Its score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The score that it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<f64>,
    /// Why, in a sentence.
    pub reason: String,
    /// How the two sets compare, task by task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<ComparisonRecord>,
    /// The best set, with which both roles are registered from here on.
    pub registered: String,
}

/// A rewriting of the instructions, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstructionsRecord {
    /// The epoch.
    pub epoch: u32,
    /// The new instructions; none, if the model would change nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether they took the place of the old ones.
    pub accepted: bool,
    /// Why.
    pub reason: String,
}

/// How two sets compare on the same tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonRecord {
    /// The mean difference, candidate minus best.
    pub difference: f64,
    /// Its standard error; none for a single task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// From where to where the true difference lies with a confidence of 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// Tasks that both sets have a score for.
    pub tasks: usize,
    /// Tasks on which the candidate scores higher.
    pub gained: usize,
    /// Tasks on which it scores lower.
    pub lost: usize,
    /// Trials of each task that a score is the mean of.
    pub trials: u32,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopRecord {
    /// `max_epochs` or `patience` at the end of a training, `measured` at that of every other work; `too_much_missing`,
    /// `budget_spent`, `interrupted`, or `failed` where it can be taken up again.
    pub kind: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// A reply of a model with the request that it answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyRecord {
    /// Which of the two models.
    pub role: String,
    /// The epoch.
    pub epoch: u32,
    /// The task, if it is the assistant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Which reply of the conversation or step, from 0.
    pub turn: u32,
    /// Which draw of the same request.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeat: u32,
    /// The id of the request.
    pub request: String,
    /// The identity of the backend that replied: endpoint and model, or script.
    #[serde(default)]
    pub backend: String,
    /// The run that paid for it, if that was another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_by: Option<String>,
    /// What the reply says.
    pub text: String,
    /// The calls that it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallRequestRecord>,
    /// Why it ended.
    pub finish: String,
    /// What it cost.
    pub usage: UsageRecord,
}

impl StopRecord {
    /// Says whether the run is over by its own rules, so that nothing is left to take up again.
    pub fn is_the_end(&self) -> bool {
        matches!(self.kind.as_str(), "max_epochs" | "patience" | "measured")
    }
}

impl ReplyRecord {
    /// Says whether it is of a role.
    pub fn is_of(&self, role: Role) -> bool {
        self.role == role.as_str()
    }
}

/// What came of running a function, or of looking at its source, under the id of what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeptOutcomeRecord {
    /// The id of the invocation, with every bound and seed in it.
    pub call: String,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeRecord>,
    /// What a source defines, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<DescriptionRecord>,
}

/// What a source defines under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DescriptionRecord {
    /// The parameters in order.
    pub parameters: Vec<ParameterRecord>,
    /// The first line of the documentation.
    pub documentation: String,
}

/// A parameter as its source defines it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParameterRecord {
    /// Its name.
    pub name: String,
    /// `positional_only`, `positional`, `named_only`, `rest` or `named_rest`.
    pub kind: String,
    /// Whether a call must give it.
    pub required: bool,
}

/// The vector of a text, as a model of embeddings gave it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingRecord {
    /// The epoch.
    pub epoch: u32,
    /// The identity of the model: endpoint and model.
    pub backend: String,
    /// The id of the text.
    pub text: String,
    /// Its numbers, each as four bytes with the lowest first, in Base64.
    pub vector: String,
    /// The id of the request that it came with and what that cost; with the first of its vectors only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<EmbeddingPayment>,
}

/// What a request for vectors cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingPayment {
    /// The id of the request.
    pub request: String,
    /// What it cost.
    pub usage: UsageRecord,
    /// The run that paid for it, if that was another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_by: Option<String>,
}

/// A request is about to be sent to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SentRecord {
    /// Which of the models: `assistant`, `optimizer` or `embeddings`.
    pub role: String,
    /// The epoch.
    pub epoch: u32,
    /// The id of the request.
    pub request: String,
    /// About how many tokens its prompt has.
    pub prompt_tokens: u64,
    /// How many tokens its reply is taken to have at most.
    pub completion_tokens: u64,
}

/// A request that was sent cost nothing: it was refused, or never went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GivenBackRecord {
    /// The id of the request.
    pub request: String,
}

/// Somebody begins to work on a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SittingRecord {
    /// When, in UTC (RFC 3339).
    pub at: String,
    /// The version of the program.
    pub version: String,
    /// The command line.
    pub command: Vec<String>,
}

/// That work ends. A sitting without an end was killed, or is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SittingEndRecord {
    /// When, in UTC (RFC 3339).
    pub at: String,
    /// How it ended.
    pub stop: StopRecord,
}
