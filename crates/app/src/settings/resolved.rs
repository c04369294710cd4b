use std::path::PathBuf;
use std::time::Duration;

use greensand_llm::{Sampling, TokenLimitField};
use greensand_sandbox::InstanceMode;
use greensand_types::{Encoding, Language, Limits};

use super::SettingSource;
use super::keys::KEYS;
use super::layer::Layer;
use super::value::to_json;
use crate::spend::{Caps, Price};

/// The settings of a project, resolved: plain values, each of its kind.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What run folders are called after.
    pub name: String,
    /// Where run folders are made.
    pub runs_dir: PathBuf,
    /// Where the tasks are.
    pub tasks: TasksSection,
    /// The model that solves tasks.
    pub assistant: ModelSection,
    /// The model that changes functions.
    pub optimizer: ModelSection,
    /// Whether the optimizer's model is offered tools; else it writes text.
    pub optimizer_uses_tools: bool,
    /// The model of embeddings, if there is one.
    pub embeddings: Option<EmbeddingsSection>,
    /// How a task is solved.
    pub agent: AgentSection,
    /// How an answer is judged.
    pub scorer: ScorerSection,
    /// How long and how the training goes.
    pub training: TrainingSection,
    /// How much may be spent.
    pub budget: BudgetSection,
    /// The bounds of one call.
    pub limits: LimitsSection,
    /// What functions may be.
    pub functions: FunctionsSection,
    /// How functions run.
    pub sandbox: SandboxSection,
    pub(super) values: Layer,
}

/// `[sandbox]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxSection {
    /// Where the instance of a call comes from.
    pub instances: InstanceMode,
}

/// `[tasks]`
#[derive(Debug, Clone, PartialEq)]
pub struct TasksSection {
    /// The files.
    pub files: TaskFiles,
    /// The member that holds the id of a task.
    pub id_key: String,
    /// The members that may hold the question; the first that a line has.
    pub question_keys: Vec<String>,
    /// The members that may hold the target; the first that a line has.
    pub target_keys: Vec<String>,
}

/// Where the splits come from.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskFiles {
    /// Files for each split.
    PerSplit {
        /// Those of *train*.
        train: Vec<PathBuf>,
        /// Those of *validation*; may be none.
        validation: Vec<PathBuf>,
        /// Those of *test*; may be none.
        test: Vec<PathBuf>,
    },
    /// Files whose tasks are dealt out here.
    Divided {
        /// The files.
        files: Vec<PathBuf>,
        /// How they are dealt out.
        split: SplitSection,
    },
}

/// `[tasks.split]`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitSection {
    /// For *train*.
    pub train: Share,
    /// For *validation*.
    pub validation: Share,
    /// For *test*.
    pub test: Share,
    /// The seed of the shuffle.
    pub seed: u64,
}

/// A part of the tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// So many tasks.
    Count(usize),
    /// So large a fraction of all, 0 to below 1. The sum of it and the fractions before is what is rounded.
    Fraction(f64),
}

/// `[model]` or `[optimizer.model]`
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSection {
    /// The name of the backend.
    pub backend: String,
    /// The model, as the endpoint calls it.
    pub model: Option<String>,
    /// The address of the endpoint.
    pub base_url: String,
    /// The environment variable that holds the key.
    pub api_key_env: String,
    /// The longest wait for one attempt.
    pub request_timeout: Duration,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for a reply with all attempts, from when it is first sent.
    pub deadline: Duration,
    /// How often a failed request is sent again.
    pub max_retries: u32,
    /// The most requests that may be under way at the endpoint.
    pub max_concurrency: u32,
    /// Whether the limit of tokens is sent as `max_completion_tokens`.
    pub token_limit_field: TokenLimitField,
    /// The largest reply in bytes.
    pub max_reply_bytes: u64,
    /// The address of a proxy.
    pub proxy: Option<String>,
    /// The file of a script.
    pub script: Option<PathBuf>,
    /// How long a scripted reply takes, where the script does not say; zero for what it says.
    pub latency: Duration,
    /// The run folder whose replies are given again.
    pub run: Option<PathBuf>,
    /// What it costs; without it, the tables of prices are asked.
    pub price: Option<Price>,
    /// How replies are drawn.
    pub sampling: Sampling,
}

/// `[embeddings]`
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingsSection {
    /// The model and its endpoint; what is of chats alone says nothing.
    pub model: ModelSection,
    /// The most bytes of a text that are sent.
    pub max_text_bytes: usize,
}

/// `[agent]`
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSection {
    /// The file whose text replaces the built-in instructions.
    pub instructions: Option<PathBuf>,
    /// Whether functions are offered as tools; else they are called by text.
    pub uses_tools: bool,
    /// About how many tokens a request may have.
    pub prompt_tokens: u32,
    /// The most replies for one task.
    pub max_turns: u32,
    /// The most calls that may fail for one task.
    pub max_failed_calls: u32,
    /// The language of the built-in tool that runs code.
    pub code_tool: Option<Language>,
    /// Whether fenced blocks are run.
    pub run_fenced_blocks: bool,
    /// How results are told to the model.
    pub encoding: Encoding,
}

/// `[scorer]`
#[derive(Debug, Clone, PartialEq)]
pub struct ScorerSection {
    /// Which scorer.
    pub name: String,
    /// What it takes.
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// `[training]`
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSection {
    /// The most epochs.
    pub epochs: u32,
    /// The most fruitless epochs in a row.
    pub patience: u32,
    /// The most applied actions of one step.
    pub max_actions_per_step: u32,
    /// The most new attempts after a refused action.
    pub max_retries: u32,
    /// The name of the acceptance strategy.
    pub acceptance: String,
    /// How often a candidate that is no better may be accepted by chance.
    pub false_accepts: f64,
    /// How many independent trials of each task make a score.
    pub repeats: u32,
    /// The most trials that an indecisive comparison buys.
    pub max_trials: u32,
    /// Tasks that are solved at one time.
    pub jobs: usize,
    /// The seed of the run.
    pub seed: u64,
    /// The most tokens of a prompt to the optimizer.
    pub prompt_tokens: u32,
    /// The share of tasks that may be missing.
    pub max_missing: f64,
    /// Whether the test split is scored at the end.
    pub final_test: bool,
    /// Whether the best set is measured without each of its functions at the end.
    pub credit_at_end: bool,
}

/// `[budget]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BudgetSection {
    /// The most that may be spent.
    pub caps: Caps,
    /// A file of prices.
    pub prices: Option<PathBuf>,
}

/// `[limits]`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitsSection {
    /// Wall clock of a call.
    pub wall: Duration,
    /// Memory of a call in bytes; without it, what the language needs.
    pub memory_bytes: Option<u64>,
    /// Arguments in bytes.
    pub max_argument_bytes: u64,
    /// The result in bytes.
    pub max_result_bytes: u64,
    /// Standard output in bytes.
    pub max_stdout_bytes: u64,
    /// Standard error in bytes.
    pub max_stderr_bytes: u64,
    /// Compiling a function.
    pub build_wall: Duration,
    /// Memory of the compiler in bytes.
    pub build_memory_bytes: u64,
}

impl LimitsSection {
    /// Returns the limits of a call, given the default limits of its language.
    pub fn for_language(&self, defaults: Limits) -> Limits {
        Limits {
            wall: self.wall,
            memory_bytes: self.memory_bytes.unwrap_or(defaults.memory_bytes),
            max_argument_bytes: self.max_argument_bytes,
            max_result_bytes: self.max_result_bytes,
            max_stdout_bytes: self.max_stdout_bytes,
            max_stderr_bytes: self.max_stderr_bytes,
            build_wall: self.build_wall,
            build_memory_bytes: self.build_memory_bytes,
        }
    }
}

/// `[functions]`
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionsSection {
    /// The language of new functions.
    pub language: Language,
    /// The packages that are made ready for functions, as requirements: names, perhaps with versions.
    pub packages: Vec<String>,
    /// The names of those that functions may import; without any, all that are ready.
    pub allowed_packages: Vec<String>,
    /// Whether a function that carries training answers is refused, not only warned of.
    pub refuses_memorised: bool,
    /// What becomes of a revision that answers recorded calls otherwise: `off`, `warn` or `refuse`.
    pub replay: String,
    /// Whether functions may call the others of their set.
    pub may_call_each_other: bool,
    /// The most functions that a task is offered; 0 for all.
    pub active: u32,
    /// The epochs without a call after which a function is proposed for removal; 0 for never.
    pub retire_after: u32,
    /// The folder of the initial set.
    pub initial: Option<PathBuf>,
}

/// One setting with where its value comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingValue<'a> {
    /// The key.
    pub key: &'static str,
    /// The value.
    pub value: serde_json::Value,
    /// Where it comes from.
    pub source: &'a SettingSource,
}

impl Settings {
    /// Returns every setting that has a value, in the order of `defaults.toml`. None of them is a secret.
    pub fn values(&self) -> impl Iterator<Item = SettingValue<'_>> {
        KEYS.iter().filter_map(|key| {
            let sourced = self.values.get(key.name)?;
            Some(SettingValue { key: key.name, value: to_json(&sourced.value), source: &sourced.source })
        })
    }
}
