use std::path::{Path, PathBuf};
use std::time::Duration;

use greensand_llm::{Sampling, TokenLimitField};
use greensand_types::{Encoding, Language, Limits};
use toml::Value;

use super::keys::KEYS;
use super::layer::{Layer, Sourced};
use super::{SettingSource, SettingsError};

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
    /// How a task is solved.
    pub agent: AgentSection,
    /// How an answer is judged.
    pub scorer: ScorerSection,
    /// How long and how the training goes.
    pub training: TrainingSection,
    /// The bounds of one call.
    pub limits: LimitsSection,
    /// What functions may be.
    pub functions: FunctionsSection,
    values: Layer,
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
    /// So large a fraction of all, 0 to below 1, rounded to the nearest number of tasks.
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
    /// The longest wait for a reply with all attempts.
    pub deadline: Duration,
    /// How often a failed request is sent again.
    pub max_retries: u32,
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
    /// How replies are drawn.
    pub sampling: Sampling,
}

/// `[agent]`
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSection {
    /// The file whose text replaces the built-in instructions.
    pub instructions: Option<PathBuf>,
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
        }
    }
}

/// `[functions]`
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionsSection {
    /// The language of new functions.
    pub language: Language,
    /// The packages that functions may import.
    pub packages: Vec<String>,
    /// Whether a function that carries training answers is refused, not only warned of.
    pub refuses_memorised: bool,
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

/// Builds the plain values. Kinds were checked as the layers were read.
pub(super) fn build(mut values: Layer, root: &Path) -> Result<Settings, SettingsError> {
    inherit_model(&mut values);
    leave_script_for_model(&mut values);
    let layer = Reader(&values);
    let settings = Settings {
        name: layer.text("project.name").unwrap_or_else(|| name_of(root)),
        runs_dir: layer.path("project.runs").unwrap_or_else(|| root.join("runs")),
        tasks: tasks(&layer)?,
        assistant: model(&layer, "model"),
        optimizer: model(&layer, "optimizer.model"),
        optimizer_uses_tools: layer.text("optimizer.protocol").as_deref() != Some("text"),
        agent: AgentSection {
            instructions: layer.path("agent.instructions"),
            max_turns: layer.count("agent.max_turns"),
            max_failed_calls: layer.count("agent.max_failed_calls"),
            code_tool: match layer.text("agent.code_tool").as_deref() {
                None | Some("none") => None,
                Some(_) => Some(layer.language("agent.code_tool")?),
            },
            run_fenced_blocks: layer.switch("agent.run_fenced_blocks"),
            encoding: match layer.text("agent.encoding").as_deref() {
                Some("strict") => Encoding::Strict,
                _ => Encoding::Tagged,
            },
        },
        scorer: ScorerSection {
            name: layer.text("scorer.name").unwrap_or_default(),
            options: match layer.value("scorer.options").map(to_json) {
                Some(serde_json::Value::Object(options)) => options,
                _ => serde_json::Map::new(),
            },
        },
        training: TrainingSection {
            epochs: layer.count("training.epochs"),
            patience: layer.count("training.patience"),
            max_actions_per_step: layer.count("training.max_actions_per_step"),
            max_retries: layer.count("training.max_retries"),
            acceptance: layer.text("training.acceptance").unwrap_or_default(),
            jobs: layer.integer("training.jobs").and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or(1),
            seed: layer.integer("training.seed").unwrap_or(0),
            prompt_tokens: layer.count("training.prompt_tokens"),
            max_missing: layer.number("training.max_missing").unwrap_or(0.0),
            final_test: layer.switch("training.final_test"),
        },
        limits: LimitsSection {
            wall: Duration::from_millis(layer.integer("limits.wall_ms").unwrap_or(0)),
            memory_bytes: layer.integer("limits.memory_mb").map(|mebibytes| mebibytes << 20),
            max_argument_bytes: layer.integer("limits.max_arg_bytes").unwrap_or(0),
            max_result_bytes: layer.integer("limits.max_result_bytes").unwrap_or(0),
            max_stdout_bytes: layer.integer("limits.max_stdout_bytes").unwrap_or(0),
            max_stderr_bytes: layer.integer("limits.max_stderr_bytes").unwrap_or(0),
        },
        functions: FunctionsSection {
            language: layer.language("functions.language")?,
            packages: layer.texts("functions.packages"),
            refuses_memorised: layer.text("functions.memorised").as_deref() == Some("refuse"),
            initial: layer.path("functions.initial"),
        },
        values: Layer::new(),
    };
    Ok(Settings { values, ..settings })
}

/// A model that was asked for by flag is never answered by a script, unless a flag asks for that too.
fn leave_script_for_model(values: &mut Layer) {
    let is_flag =
        |sourced: Option<&Sourced>| sourced.is_some_and(|sourced| matches!(sourced.source, SettingSource::Flag { .. }));
    for (backend, model) in [("model.backend", "model.model"), ("optimizer.model.backend", "optimizer.model.model")] {
        let Some(chosen) = values.get(backend) else { continue };
        let is_hosted = chosen.value.as_str() == Some("openai_compatible");
        if is_flag(values.get(model)) && !is_flag(Some(chosen)) && !is_hosted {
            let source = values[model].source.clone();
            values.insert(backend, Sourced { value: Value::String("openai_compatible".into()), source });
        }
    }
}

/// What `[optimizer.model]` does not say is as in `[model]`.
fn inherit_model(values: &mut Layer) {
    for key in KEYS {
        let Some(inherited) = key.name.strip_prefix("optimizer.").and_then(|name| values.get(name)) else { continue };
        let inherited = inherited.clone();
        values.entry(key.name).or_insert(inherited);
    }
}

fn tasks(layer: &Reader<'_>) -> Result<TasksSection, SettingsError> {
    let split_keys = ["tasks.train", "tasks.validation", "tasks.test"];
    let files = layer.paths("tasks.file");
    let files = if files.is_empty() {
        let [train, validation, test] = split_keys.map(|key| layer.paths(key));
        if train.is_empty() {
            return Err(SettingsError::Missing {
                key: "tasks.train".into(),
                reason: "there are no tasks to train on".into(),
                remedy: "name a file of JSON lines in the project file, such as `train = \"tasks/train.jsonl\"` under `[tasks]`".into(),
            });
        }
        TaskFiles::PerSplit { train, validation, test }
    } else {
        if let Some(other) = split_keys.into_iter().find(|key| layer.0.contains_key(key)) {
            return Err(SettingsError::Conflict {
                place: layer.0["tasks.file"].source.clone(),
                key: "tasks.file".into(),
                other: other.into(),
                reason: "tasks come either from one file that is split, or from a file for each split".into(),
            });
        }
        let share = |key| layer.share(key).unwrap_or(Share::Count(0));
        let split = SplitSection {
            train: share("tasks.split.train"),
            validation: share("tasks.split.validation"),
            test: share("tasks.split.test"),
            seed: layer.integer("tasks.split.seed").unwrap_or(0),
        };
        TaskFiles::Divided { files, split }
    };
    Ok(TasksSection {
        files,
        id_key: layer.text("tasks.id_key").unwrap_or_default(),
        question_keys: layer.texts("tasks.question_key"),
        target_keys: layer.texts("tasks.target_key"),
    })
}

fn model(layer: &Reader<'_>, section: &str) -> ModelSection {
    let key = |name: &str| format!("{section}.{name}");
    let seconds = |name: &str| Duration::from_secs(layer.integer(&key(name)).unwrap_or(0));
    ModelSection {
        backend: layer.text(&key("backend")).unwrap_or_default(),
        model: layer.text(&key("model")),
        base_url: layer.text(&key("base_url")).unwrap_or_default(),
        api_key_env: layer.text(&key("api_key_env")).unwrap_or_default(),
        request_timeout: seconds("request_timeout_s"),
        connect_timeout: seconds("connect_timeout_s"),
        deadline: seconds("deadline_s"),
        max_retries: layer.count(&key("max_retries")),
        token_limit_field: match layer.text(&key("token_limit_field")).as_deref() {
            Some("max_completion_tokens") => TokenLimitField::MaxCompletionTokens,
            _ => TokenLimitField::MaxTokens,
        },
        max_reply_bytes: layer.integer(&key("max_reply_bytes")).unwrap_or(0),
        proxy: layer.text(&key("proxy")),
        script: layer.path(&key("script")),
        latency: Duration::from_millis(layer.integer(&key("latency_ms")).unwrap_or(0)),
        run: layer.path(&key("run")),
        sampling: Sampling {
            temperature: layer.number(&key("temperature")),
            max_tokens: layer.integer(&key("max_tokens")).and_then(|tokens| u32::try_from(tokens).ok()),
            seed: layer.integer(&key("seed")),
        },
    }
}

/// Reads values that are of their kinds. Absent is absent; a test makes sure that the defaults leave out only options.
struct Reader<'a>(&'a Layer);

impl Reader<'_> {
    fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).map(|sourced| &sourced.value)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.value(key)?.as_str().map(str::to_owned)
    }

    fn texts(&self, key: &str) -> Vec<String> {
        let items = self.value(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    fn paths(&self, key: &str) -> Vec<PathBuf> {
        self.texts(key).into_iter().map(PathBuf::from).collect()
    }

    fn integer(&self, key: &str) -> Option<u64> {
        u64::try_from(self.value(key)?.as_integer()?).ok()
    }

    fn count(&self, key: &str) -> u32 {
        self.integer(key).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.value(key)?.as_float()
    }

    fn switch(&self, key: &str) -> bool {
        self.value(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn share(&self, key: &str) -> Option<Share> {
        match self.value(key)? {
            Value::Float(fraction) => Some(Share::Fraction(*fraction)),
            value => Some(Share::Count(usize::try_from(value.as_integer()?).ok()?)),
        }
    }

    fn language(&self, key: &str) -> Result<Language, SettingsError> {
        let text = self.text(key).unwrap_or_default();
        text.parse().map_err(|_| SettingsError::WrongValue {
            place: self.0.get(key).map_or(SettingSource::Default, |sourced| sourced.source.clone()),
            key: key.into(),
            expected: "the name of a guest language, such as \"python\"".into(),
            found: super::value::describe(&Value::String(text)),
        })
    }
}

fn name_of(root: &Path) -> String {
    let name = root.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    name.unwrap_or_else(|| "project".into())
}

fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(switch) => (*switch).into(),
        Value::Datetime(time) => time.to_string().into(),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect(),
    }
}
