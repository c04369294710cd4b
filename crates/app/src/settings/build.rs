//! From merged layers to [`Settings`]: what settings imply for each other, and the plain values.

use std::path::{Path, PathBuf};
use std::time::Duration;

use greensand_llm::{Sampling, TokenLimitField};
use greensand_sandbox::InstanceMode;
use greensand_types::{Encoding, Language};
use toml::Value;

use super::keys::{INSTANCES, KEYS};
use super::layer::{Layer, Sourced};
use super::value::to_json;
use super::{
    AgentSection, BudgetSection, EmbeddingsSection, FunctionsSection, LimitsSection, ModelSection, SandboxSection,
    ScorerSection, SettingSource, Settings, SettingsError, Share, SplitSection, TaskFiles, TasksSection,
    TrainingSection,
};
use crate::spend::{Caps, Money, Price};

/// Builds the plain values. Kinds were checked as the layers were read.
pub(super) fn build(mut values: Layer, root: &Path) -> Result<Settings, SettingsError> {
    inherit_model(&mut values);
    inherit_embeddings(&mut values)?;
    leave_script_for_model(&mut values);
    let layer = Reader(&values);
    let settings = Settings {
        name: layer.text("project.name").unwrap_or_else(|| name_of(root)),
        runs_dir: layer.path("project.runs").unwrap_or_else(|| root.join("runs")),
        tasks: tasks(&layer)?,
        assistant: model(&layer, "model")?,
        optimizer: model(&layer, "optimizer.model")?,
        optimizer_uses_tools: layer.text("optimizer.protocol").as_deref() != Some("text"),
        embeddings: embeddings(&layer)?,
        agent: agent(&layer)?,
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
            false_accepts: layer.number("training.false_accepts").unwrap_or(0.05),
            repeats: layer.count("training.repeats"),
            max_trials: layer.count("training.max_trials"),
            jobs: layer.integer("training.jobs").and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or(1),
            seed: layer.integer("training.seed").unwrap_or(0),
            prompt_tokens: layer.count("training.prompt_tokens"),
            max_missing: layer.number("training.max_missing").unwrap_or(0.0),
            final_test: layer.switch("training.final_test"),
            credit_at_end: layer.text("training.credit").as_deref() == Some("end"),
        },
        budget: BudgetSection {
            caps: Caps {
                max_usd: layer.number("budget.max_usd").map(Money::of_dollars),
                max_tokens: layer.integer("budget.max_tokens"),
                max_calls: layer.integer("budget.max_calls"),
                no_cap: layer.switch("budget.no_cap"),
            },
            prices: layer.path("budget.prices"),
        },
        limits: LimitsSection {
            wall: Duration::from_millis(layer.integer("limits.wall_ms").unwrap_or(0)),
            memory_bytes: layer.integer("limits.memory_mb").map(|mebibytes| mebibytes << 20),
            max_argument_bytes: layer.integer("limits.max_arg_bytes").unwrap_or(0),
            max_result_bytes: layer.integer("limits.max_result_bytes").unwrap_or(0),
            max_stdout_bytes: layer.integer("limits.max_stdout_bytes").unwrap_or(0),
            max_stderr_bytes: layer.integer("limits.max_stderr_bytes").unwrap_or(0),
            build_wall: Duration::from_millis(layer.integer("limits.build_wall_ms").unwrap_or(0)),
            build_memory_bytes: layer.integer("limits.build_memory_mb").map_or(0, |mebibytes| mebibytes << 20),
        },
        functions: FunctionsSection {
            language: layer.language("functions.language")?,
            packages: layer.texts("functions.packages"),
            allowed_packages: layer.texts("functions.allowed_packages"),
            refuses_memorised: layer.text("functions.memorised").as_deref() == Some("refuse"),
            replay: layer.text("functions.replay").unwrap_or_default(),
            may_call_each_other: layer.switch("functions.may_call_each_other"),
            active: layer.count("functions.active"),
            retire_after: layer.count("functions.retire_after"),
            initial: layer.path("functions.initial"),
        },
        sandbox: SandboxSection {
            instances: layer.text(INSTANCES).and_then(|word| InstanceMode::of(&word)).unwrap_or_default(),
        },
        values: Layer::new(),
    };
    Ok(Settings { values, ..settings })
}

/// A model that was asked for by flag or environment is never answered by a script, unless that layer or a later one
/// asks for the script, too.
fn leave_script_for_model(values: &mut Layer) {
    // The project file and the defaults are one: together they are what the project is.
    let layer = |sourced: &Sourced| match sourced.source {
        SettingSource::Default | SettingSource::File { .. } | SettingSource::Run { .. } => 0,
        SettingSource::Environment { .. } => 1,
        SettingSource::Flag { .. } => 2,
    };
    for (backend, model) in [("model.backend", "model.model"), ("optimizer.model.backend", "optimizer.model.model")] {
        let (Some(chosen), Some(asked)) = (values.get(backend), values.get(model)) else { continue };
        let is_hosted = chosen.value.as_str() == Some("openai_compatible");
        if layer(asked) > layer(chosen) && !is_hosted {
            let source = asked.source.clone();
            values.insert(backend, Sourced { value: Value::String("openai_compatible".into()), source });
        }
    }
}

/// What `[optimizer.model]` does not say is as in `[model]`. The price of one model says nothing of another, or of the same
/// elsewhere.
fn inherit_model(values: &mut Layer) {
    let value = |key: &str| values.get(key).map(|sourced| &sourced.value);
    let is_other = ["backend", "model", "base_url"].into_iter().any(|name| {
        let own = value(&format!("optimizer.model.{name}"));
        own.is_some() && own != value(&format!("model.{name}"))
    });
    let has_price = values.keys().any(|key| key.starts_with("optimizer.model.") && key.ends_with("_price"));
    for key in KEYS {
        if key.name.ends_with("_price") && (is_other || has_price) {
            continue;
        }
        let Some(inherited) = key.name.strip_prefix("optimizer.").and_then(|name| values.get(name)) else { continue };
        let inherited = inherited.clone();
        values.entry(key.name).or_insert(inherited);
    }
}

/// The section of the model of embeddings, and what of it is as in `[model]` where it does not say so.
const EMBEDDINGS: &str = "embeddings.";
const INHERITED_BY_EMBEDDINGS: [&str; 9] = [
    "base_url",
    "api_key_env",
    "request_timeout_s",
    "connect_timeout_s",
    "deadline_s",
    "max_retries",
    "max_concurrency",
    "max_reply_bytes",
    "proxy",
];

/// A section that names no model is a mistake; without a section there is nothing to be inherited.
fn inherit_embeddings(values: &mut Layer) -> Result<(), SettingsError> {
    if !values.contains_key("embeddings.model") {
        return match values.keys().find(|key| key.starts_with(EMBEDDINGS)) {
            None => Ok(()),
            Some(key) => Err(SettingsError::Missing {
                key: "embeddings.model".into(),
                reason: format!("`{key}` is set, and there is no default model"),
                remedy: "name a model under `[embeddings]`, as the endpoint calls it, or leave the section out".into(),
            }),
        };
    }
    for key in KEYS {
        let Some(name) = key.name.strip_prefix(EMBEDDINGS) else { continue };
        let Some(inherited) = values.get(format!("model.{name}").as_str()) else { continue };
        if INHERITED_BY_EMBEDDINGS.contains(&name) {
            let inherited = inherited.clone();
            values.entry(key.name).or_insert(inherited);
        }
    }
    Ok(())
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
                key: "tasks.file",
                other,
                reason: "tasks come either from one file that is split, or from a file for each split",
                remedy: "leave out one of the two",
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

fn agent(layer: &Reader<'_>) -> Result<AgentSection, SettingsError> {
    let code_tool = match layer.text("agent.code_tool").as_deref() {
        None | Some("none") => None,
        Some(_) => Some(layer.language("agent.code_tool")?),
    };
    let run_fenced_blocks = layer.switch("agent.run_fenced_blocks");
    if run_fenced_blocks && code_tool.is_none() {
        return Err(SettingsError::Conflict {
            place: layer.0["agent.run_fenced_blocks"].source.clone(),
            key: "agent.run_fenced_blocks",
            other: "agent.code_tool",
            reason: "fenced blocks are run by the code tool, and there is none",
            remedy: "give `agent.code_tool` a language, such as \"python\", or set `agent.run_fenced_blocks` to `false`",
        });
    }
    Ok(AgentSection {
        instructions: layer.path("agent.instructions"),
        uses_tools: layer.text("agent.protocol").as_deref() != Some("text"),
        prompt_tokens: layer.count("agent.prompt_tokens"),
        max_turns: layer.count("agent.max_turns"),
        max_failed_calls: layer.count("agent.max_failed_calls"),
        code_tool,
        run_fenced_blocks,
        encoding: match layer.text("agent.encoding").as_deref() {
            Some("strict") => Encoding::Strict,
            _ => Encoding::Tagged,
        },
    })
}

fn model(layer: &Reader<'_>, section: &str) -> Result<ModelSection, SettingsError> {
    let key = |name: &str| format!("{section}.{name}");
    let seconds = |name: &str| Duration::from_secs(layer.integer(&key(name)).unwrap_or(0));
    Ok(ModelSection {
        backend: layer.text(&key("backend")).unwrap_or_default(),
        model: layer.text(&key("model")),
        base_url: layer.text(&key("base_url")).unwrap_or_default(),
        api_key_env: layer.text(&key("api_key_env")).unwrap_or_default(),
        request_timeout: seconds("request_timeout_s"),
        connect_timeout: seconds("connect_timeout_s"),
        deadline: seconds("deadline_s"),
        max_retries: layer.count(&key("max_retries")),
        max_concurrency: layer.count(&key("max_concurrency")),
        token_limit_field: match layer.text(&key("token_limit_field")).as_deref() {
            Some("max_completion_tokens") => TokenLimitField::MaxCompletionTokens,
            _ => TokenLimitField::MaxTokens,
        },
        max_reply_bytes: layer.integer(&key("max_reply_bytes")).unwrap_or(0),
        proxy: layer.text(&key("proxy")),
        script: layer.path(&key("script")),
        latency: Duration::from_millis(layer.integer(&key("latency_ms")).unwrap_or(0)),
        run: layer.path(&key("run")),
        price: price(layer, section)?,
        sampling: Sampling {
            temperature: layer.number(&key("temperature")),
            max_tokens: layer.integer(&key("max_tokens")).and_then(|tokens| u32::try_from(tokens).ok()),
            seed: layer.integer(&key("seed")),
        },
    })
}

/// Bytes of a text that are sent where the settings say nothing: what nearly every endpoint takes, whatever its tokens are.
const TEXT_BYTES: u64 = 8_000;

fn embeddings(layer: &Reader<'_>) -> Result<Option<EmbeddingsSection>, SettingsError> {
    if layer.text("embeddings.model").is_none() {
        return Ok(None);
    }
    let most = layer.integer("embeddings.max_text_bytes").unwrap_or(TEXT_BYTES);
    Ok(Some(EmbeddingsSection {
        model: ModelSection { backend: "openai_compatible".into(), ..model(layer, "embeddings")? },
        max_text_bytes: usize::try_from(most).unwrap_or(usize::MAX),
    }))
}

/// Reads the price of a model: all of it, or none. Vectors have no reply that could cost anything.
fn price(layer: &Reader<'_>, section: &str) -> Result<Option<Price>, SettingsError> {
    let key = |name: &str| format!("{section}.{name}_price");
    let dollars = |name: &str| layer.number(&key(name)).map(Money::of_dollars);
    if section == "embeddings" {
        let of_input = |input| Price { input, cached_input: input, output: Money::ZERO };
        return Ok(dollars("input").map(of_input));
    }
    let names = ["input", "cached_input", "output"];
    let [input, cached_input, output] = names.map(dollars);
    let missing = |name: &str| SettingsError::Missing {
        key: key(name),
        reason: "another price of the model is set, and half a price is none".into(),
        remedy: "set `input_price` and `output_price`, in dollars for a million tokens; 0 is free".into(),
    };
    match (input, output) {
        (Some(input), Some(output)) => Ok(Some(Price { input, cached_input: cached_input.unwrap_or(input), output })),
        (None, None) if cached_input.is_none() => Ok(None),
        (None, _) => Err(missing("input")),
        (Some(_), None) => Err(missing("output")),
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
            nearest: None,
        })
    }
}

fn name_of(root: &Path) -> String {
    let name = root.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    name.unwrap_or_else(|| "project".into())
}
