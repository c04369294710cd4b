//! The list of settings: the one place that says which keys exist and what each may hold.
//!
//! Readers of files, environment and flags check against it, so that a value is of its kind once it is in a layer.
//! What a key means stands in `defaults.toml`, beside its default; a test keeps the two lists equal.

use greensand_agent::SCORERS;
use greensand_llm::BACKENDS;
use greensand_optimizer::STRATEGIES;
use greensand_sandbox::InstanceMode;

/// What a setting may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A text that is not empty.
    Text,
    /// The name of an environment variable.
    VariableName,
    /// An address of an endpoint.
    Url,
    /// A file or folder; relative to the place that names it.
    Path,
    /// One path or a list of them.
    PathList,
    /// One text or a list of them.
    TextList,
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A number within bounds.
    Number(f64, f64),
    /// A whole number, or a fraction below 1.
    Share,
    /// `true` or `false`.
    Switch,
    /// One of some words.
    Choice(fn() -> Vec<&'static str>),
    /// A table whose keys belong to somebody else.
    Table,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind }
}

const COUNT: Kind = Kind::Integer(1, 1_000_000);
const BYTES: Kind = Kind::Integer(0, 64 << 20);
/// Dollars for a million tokens.
const PRICE: Kind = Kind::Number(0.0, 1e6);
const SECONDS: Kind = Kind::Integer(1, 86_400);
/// TOML has no integers beyond 64 bits with sign.
const SEED: Kind = Kind::Integer(0, i64::MAX);

/// Every setting, in the order of `defaults.toml`.
pub(super) static KEYS: &[Key] = &[
    key("project.name", Kind::Text),
    key("project.runs", Kind::Path),
    key("tasks.train", Kind::PathList),
    key("tasks.validation", Kind::PathList),
    key("tasks.test", Kind::PathList),
    key("tasks.file", Kind::PathList),
    key("tasks.split.train", Kind::Share),
    key("tasks.split.validation", Kind::Share),
    key("tasks.split.test", Kind::Share),
    key("tasks.split.seed", SEED),
    key("tasks.id_key", Kind::Text),
    key("tasks.question_key", Kind::TextList),
    key("tasks.target_key", Kind::TextList),
    key("model.backend", Kind::Choice(backends)),
    key("model.model", Kind::Text),
    key("model.base_url", Kind::Url),
    key("model.api_key_env", Kind::VariableName),
    key("model.request_timeout_s", SECONDS),
    key("model.connect_timeout_s", SECONDS),
    key("model.deadline_s", SECONDS),
    key("model.max_retries", Kind::Integer(0, 100)),
    key("model.max_concurrency", Kind::Integer(1, 4096)),
    key("model.token_limit_field", Kind::Choice(token_limit_fields)),
    key("model.max_reply_bytes", Kind::Integer(1024, 1 << 30)),
    key("model.proxy", Kind::Url),
    key("model.script", Kind::Path),
    key("model.latency_ms", Kind::Integer(0, 600_000)),
    key("model.run", Kind::Path),
    key("model.input_price", PRICE),
    key("model.cached_input_price", PRICE),
    key("model.output_price", PRICE),
    key("model.temperature", Kind::Number(0.0, 10.0)),
    key("model.max_tokens", Kind::Integer(1, 10_000_000)),
    key("model.seed", SEED),
    key("optimizer.protocol", Kind::Choice(|| vec!["tools", "text"])),
    key("optimizer.model.backend", Kind::Choice(backends)),
    key("optimizer.model.model", Kind::Text),
    key("optimizer.model.base_url", Kind::Url),
    key("optimizer.model.api_key_env", Kind::VariableName),
    key("optimizer.model.request_timeout_s", SECONDS),
    key("optimizer.model.connect_timeout_s", SECONDS),
    key("optimizer.model.deadline_s", SECONDS),
    key("optimizer.model.max_retries", Kind::Integer(0, 100)),
    key("optimizer.model.max_concurrency", Kind::Integer(1, 4096)),
    key("optimizer.model.token_limit_field", Kind::Choice(token_limit_fields)),
    key("optimizer.model.max_reply_bytes", Kind::Integer(1024, 1 << 30)),
    key("optimizer.model.proxy", Kind::Url),
    key("optimizer.model.script", Kind::Path),
    key("optimizer.model.latency_ms", Kind::Integer(0, 600_000)),
    key("optimizer.model.run", Kind::Path),
    key("optimizer.model.input_price", PRICE),
    key("optimizer.model.cached_input_price", PRICE),
    key("optimizer.model.output_price", PRICE),
    key("optimizer.model.temperature", Kind::Number(0.0, 10.0)),
    key("optimizer.model.max_tokens", Kind::Integer(1, 10_000_000)),
    key("optimizer.model.seed", SEED),
    key("embeddings.model", Kind::Text),
    key("embeddings.base_url", Kind::Url),
    key("embeddings.api_key_env", Kind::VariableName),
    key("embeddings.request_timeout_s", SECONDS),
    key("embeddings.connect_timeout_s", SECONDS),
    key("embeddings.deadline_s", SECONDS),
    key("embeddings.max_retries", Kind::Integer(0, 100)),
    key("embeddings.max_concurrency", Kind::Integer(1, 4096)),
    key("embeddings.max_reply_bytes", Kind::Integer(1024, 1 << 30)),
    key("embeddings.proxy", Kind::Url),
    key("embeddings.max_text_bytes", Kind::Integer(64, 1_000_000)),
    key("embeddings.input_price", PRICE),
    key("agent.instructions", Kind::Path),
    key("agent.protocol", Kind::Choice(|| vec!["tools", "text"])),
    key("agent.prompt_tokens", Kind::Integer(1000, 10_000_000)),
    key("agent.max_turns", COUNT),
    key("agent.max_failed_calls", COUNT),
    key("agent.code_tool", Kind::Text),
    key("agent.run_fenced_blocks", Kind::Switch),
    key("agent.encoding", Kind::Choice(|| vec!["tagged", "strict"])),
    key("scorer.name", Kind::Choice(scorers)),
    key("scorer.options", Kind::Table),
    key("training.epochs", COUNT),
    key("training.patience", COUNT),
    key("training.max_actions_per_step", COUNT),
    key("training.max_retries", Kind::Integer(0, 1000)),
    key("training.acceptance", Kind::Choice(strategies)),
    key("training.false_accepts", Kind::Number(0.0, 0.5)),
    key("training.repeats", Kind::Integer(1, 1000)),
    key("training.max_trials", Kind::Integer(1, 1000)),
    key("training.jobs", Kind::Integer(1, 4096)),
    key("training.seed", SEED),
    key("training.prompt_tokens", Kind::Integer(1000, 10_000_000)),
    key("training.max_missing", Kind::Number(0.0, 1.0)),
    key("training.final_test", Kind::Switch),
    key("training.credit", Kind::Choice(|| vec!["off", "end"])),
    key("budget.max_usd", Kind::Number(0.0, 1e9)),
    key("budget.max_tokens", Kind::Integer(0, i64::MAX)),
    key("budget.max_calls", Kind::Integer(0, i64::MAX)),
    key("budget.no_cap", Kind::Switch),
    key("budget.prices", Kind::Path),
    key("limits.wall_ms", Kind::Integer(1, 600_000)),
    key("limits.memory_mb", Kind::Integer(1, 4096)),
    key("limits.max_arg_bytes", Kind::Integer(2, 64 << 20)),
    key("limits.max_result_bytes", Kind::Integer(1, 64 << 20)),
    key("limits.max_stdout_bytes", BYTES),
    key("limits.max_stderr_bytes", BYTES),
    key("limits.build_wall_ms", Kind::Integer(1, 600_000)),
    key("limits.build_memory_mb", Kind::Integer(64, 16_384)),
    key("functions.language", Kind::Text),
    key("functions.packages", Kind::TextList),
    key("functions.allowed_packages", Kind::TextList),
    key("functions.memorised", Kind::Choice(|| vec!["warn", "refuse"])),
    key("functions.replay", Kind::Choice(|| vec!["off", "warn", "refuse"])),
    key("functions.may_call_each_other", Kind::Switch),
    key("functions.active", Kind::Integer(0, 10_000)),
    key("functions.retire_after", Kind::Integer(0, 1_000_000)),
    key("functions.initial", Kind::Path),
    key(INSTANCES, Kind::Choice(instance_modes)),
];

/// Settings that decide how fast, how long and for how much money a run may work, and nothing of what comes out: a run that is
/// taken up again may have others. A key that ends in a point is a whole table.
const FREE: &[&str] = &["project.runs", "training.jobs", "sandbox.", "budget."];

/// The same, of each of the two models and of that of embeddings.
const FREE_OF_MODELS: &[&str] = &[
    "api_key_env",
    "request_timeout_s",
    "connect_timeout_s",
    "deadline_s",
    "max_retries",
    "max_reply_bytes",
    "max_concurrency",
    "proxy",
    "latency_ms",
    "run",
];

/// Settings that decide how tasks are worked on and scored.
const MEASURING: &[&str] = &[
    "tasks.",
    "model.",
    "embeddings.",
    "agent.",
    "scorer.",
    "limits.",
    "training.seed",
    "training.repeats",
    "functions.active",
    "functions.initial",
    "functions.may_call_each_other",
    "functions.packages",
];

/// Says whether a setting may change from one sitting of a run to the next.
pub(crate) fn is_free(key: &str) -> bool {
    let of_model = key.strip_prefix("optimizer.").unwrap_or(key).strip_prefix("model.");
    let of_embeddings = key.strip_prefix("embeddings.");
    is_among(FREE, key) || of_model.or(of_embeddings).is_some_and(|name| FREE_OF_MODELS.contains(&name))
}

/// Says whether scores from before and after a change of a setting would not compare.
pub(crate) fn is_measuring(key: &str) -> bool {
    is_among(MEASURING, key) && !is_free(key)
}

fn is_among(keys: &[&str], key: &str) -> bool {
    keys.iter().any(|known| *known == key || (known.ends_with('.') && key.starts_with(known)))
}

/// The setting that decides where the instances of calls come from.
pub(crate) const INSTANCES: &str = "sandbox.instances";

fn backends() -> Vec<&'static str> {
    BACKENDS.iter().map(|entry| entry.name).collect()
}

fn token_limit_fields() -> Vec<&'static str> {
    vec!["max_tokens", "max_completion_tokens"]
}

fn scorers() -> Vec<&'static str> {
    SCORERS.iter().map(|entry| entry.name).collect()
}

fn instance_modes() -> Vec<&'static str> {
    InstanceMode::ALL.iter().map(|mode| mode.as_str()).collect()
}

fn strategies() -> Vec<&'static str> {
    STRATEGIES.iter().map(|entry| entry.name).collect()
}

/// Returns the setting of a name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Returns the word that is most like another, if one is like it at all.
pub(super) fn nearest_word(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let written: String = word.chars().take(80).collect::<String>().to_lowercase();
    let distance = |known: &&str| strsim::damerau_levenshtein(&written, known);
    let best = known.iter().copied().min_by_key(distance)?;
    (distance(&best) <= written.chars().count().max(4) / 2).then_some(best)
}

/// Returns the known setting or table that is most like a name, if one is like it at all.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let written: String = name.chars().take(80).collect();
    let distance = |known: &str| strsim::damerau_levenshtein(&written, known);
    let keys = KEYS.iter().map(|key| {
        // A key that was written without its table is near to the same key in any table.
        let last = key.name.rsplit('.').next().unwrap_or(key.name);
        (distance(key.name).min(distance(last) + 1), key.name)
    });
    let tables = KEYS.iter().filter_map(|key| Some(key.name.rsplit_once('.')?.0)).map(|table| (distance(table), table));
    let (distance, best) = keys.chain(tables).min_by_key(|(distance, _)| *distance)?;
    // A table where a value was meant is near to itself.
    (distance > 0 && distance <= written.chars().count().max(4) / 2).then_some(best)
}
