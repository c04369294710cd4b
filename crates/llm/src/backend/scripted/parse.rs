use std::time::Duration;

use greensand_types::{FunctionName, TokenUsage};
use regex::{Regex, RegexBuilder};
use toml::de::{DeTable, DeValue};

use super::rule::{Answer, Call, Condition, Conditions, Reply, Rule};
use super::table::{Document, Table, Value};
use super::template::{Arguments, Built, Patterns, Template};
use crate::text::quotable;
use crate::{FinishReason, ModelErrorKind, OpenBackendError, Role};

/// The format that this program reads.
const FORMAT: i64 = 1;

/// The largest compiled expression, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// The longest latency, in milliseconds.
const MAX_LATENCY_MS: u32 = 600_000;

const FAULTS: [(&str, ModelErrorKind); 9] = {
    use ModelErrorKind as Kind;
    [
        ("unreachable", Kind::Unreachable),
        ("timed_out", Kind::TimedOut),
        ("rate_limited", Kind::RateLimited),
        ("context_overflow", Kind::ContextOverflow),
        ("quota_spent", Kind::QuotaSpent),
        ("authentication", Kind::Authentication),
        ("unknown_model", Kind::UnknownModel),
        ("bad_reply", Kind::BadReply),
        ("refused", Kind::Refused { status: 400 }),
    ]
};

/// A script that has been read.
pub(super) struct Script {
    pub(super) rules: Vec<Rule>,
    /// The time before each reply whose rule names none.
    pub(super) latency: Duration,
}

type Read<T> = Result<T, OpenBackendError>;

/// Reads a script.
pub(super) fn parse_script(text: &str, origin: &str) -> Read<Script> {
    let document = Document { origin, text };
    let parsed = DeTable::parse(text)
        .map_err(|error| document.mistake(error.span().unwrap_or(0..0), quotable(error.message(), 300)))?;
    let table = Table { document, span_start: 0, entries: parsed.get_ref() };
    table.only(&["format", "latency_ms", "rule"])?;
    let Some(format) = table.get("format") else {
        return Err(table.mistake(format!("`format` is missing; write `format = {FORMAT}` at the top")));
    };
    match format.integer()? {
        FORMAT => {}
        other => return Err(format.mistake(format!("this program reads format {FORMAT}, found {other}"))),
    }
    let latency = table.get("latency_ms").map(latency).transpose()?.unwrap_or_default();
    let rules = match table.get("rule") {
        Some(rules) => rules.array()?.map(|value| rule(value.table()?)).collect::<Read<_>>()?,
        None => Vec::new(),
    };
    Ok(Script { rules, latency })
}

fn latency(value: Value<'_>) -> Read<Duration> {
    value.count(MAX_LATENCY_MS).map(|milliseconds| Duration::from_millis(milliseconds.into()))
}

fn rule(table: Table<'_>) -> Read<Rule> {
    let known: Vec<_> = Condition::ALL.iter().map(|condition| condition.as_str()).chain(["reply", "fail"]).collect();
    table.only(&known)?;
    let conditions = conditions(table)?;
    let (answer, latency) = match (table.get("reply"), table.get("fail")) {
        (Some(value), None) => reply(value.table()?, conditions.patterns())?,
        (None, Some(value)) => (Answer::Fault(value.word(&FAULTS)?), None),
        (Some(_), Some(value)) => return Err(value.mistake("a rule has either a `reply` or a `fail`")),
        (None, None) => return Err(table.mistake("the rule answers nothing; add a `[rule.reply]`")),
    };
    Ok(Rule { line: table.document.line(table.span_start), conditions, answer, latency })
}

fn conditions(table: Table<'_>) -> Read<Conditions> {
    let number = |value: Value<'_>| value.count(u32::MAX);
    let numbers = |key| table.get(key).map(|value| value.one_or_many(number)).transpose();
    let names = |key| match table.get(key) {
        Some(value) => value.one_or_many(function_name),
        None => Ok(Vec::new()),
    };
    let expression = |key| table.get(key).map(regex).transpose();
    let roles = Role::ALL.map(|role| (role.as_str(), role));
    Ok(Conditions {
        role: table.get("role").map(|value| value.word(&roles)).transpose()?,
        task: table.get("task").map(|value| value.one_or_many(glob)).transpose()?,
        turn: numbers("turn")?,
        epoch: numbers("epoch")?,
        functions: names("functions")?,
        without: names("without")?,
        question: expression("question")?,
        last: expression("last")?,
    })
}

fn function_name(value: Value<'_>) -> Read<FunctionName> {
    value.string()?.parse().map_err(|error| value.mistake(format!("{error}")))
}

fn regex(value: Value<'_>) -> Read<Regex> {
    RegexBuilder::new(value.string()?).size_limit(MAX_REGEX_BYTES).build().map_err(|error| {
        // The text of a syntax error draws the expression first; its last line says what is wrong.
        let text = error.to_string();
        value.mistake(format!("not a regular expression: {}", quotable(text.lines().last().unwrap_or(""), 200)))
    })
}

/// `*` stands for any text, `?` for any character.
fn glob(value: Value<'_>) -> Read<Regex> {
    let mut expression = r"(?s)\A".to_owned();
    for character in value.string()?.chars() {
        match character {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push_str(r"\z");
    RegexBuilder::new(&expression)
        .size_limit(MAX_REGEX_BYTES)
        .build()
        .map_err(|_| value.mistake("this pattern is too large"))
}

fn reply(table: Table<'_>, patterns: Patterns<'_>) -> Read<(Answer, Option<Duration>)> {
    table.only(&["text", "calls", "finish", "latency_ms", "prompt_tokens", "completion_tokens"])?;
    if table.get("text").is_none() && table.get("calls").is_none() {
        return Err(table.mistake("the reply is empty; write `text = \"\"` if it should be"));
    }
    let text = match table.get("text") {
        Some(value) => template(value, patterns)?,
        None => template_of("", patterns).map_err(|reason| table.mistake(reason))?,
    };
    let calls = match table.get("calls") {
        Some(calls) => calls.array()?.map(|value| call(value.table()?, patterns)).collect::<Read<_>>()?,
        None => Vec::new(),
    };
    let tokens = |key| match table.get(key) {
        Some(value) => value.count(u32::MAX).map(u64::from),
        None => Ok(0),
    };
    let usage = TokenUsage {
        requests: 1,
        prompt_tokens: tokens("prompt_tokens")?,
        completion_tokens: tokens("completion_tokens")?,
        ..TokenUsage::default()
    };
    let finish = table.get("finish").map(|value| value.string()).transpose()?.map(FinishReason::from);
    let latency = table.get("latency_ms").map(latency).transpose()?;
    Ok((Answer::Reply(Reply { text, calls, finish, usage }), latency))
}

fn call(table: Table<'_>, patterns: Patterns<'_>) -> Read<Call> {
    table.only(&["id", "name", "arguments"])?;
    let text = |key| table.get(key).map(|value| value.string().map(str::to_owned)).transpose();
    let Some(name) = text("name")? else {
        return Err(table.mistake("the call has no `name`"));
    };
    let arguments = match table.get("arguments") {
        Some(value) if value.value.get_ref().is_str() => Arguments::Spelled(template(value, patterns)?),
        Some(value) => Arguments::Built(built(value, patterns)?),
        None => Arguments::Built(Built::Object(Vec::new())),
    };
    Ok(Call { id: text("id")?.unwrap_or_default(), name, arguments })
}

fn template(value: Value<'_>, patterns: Patterns<'_>) -> Read<Template> {
    template_of(value.string()?, patterns).map_err(|reason| value.mistake(reason))
}

fn template_of(text: &str, patterns: Patterns<'_>) -> Result<Template, String> {
    Template::parse(text, patterns)
}

/// Turns a TOML value into JSON; its texts are templates.
fn built(value: Value<'_>, patterns: Patterns<'_>) -> Read<Built> {
    Ok(match value.value.get_ref() {
        DeValue::String(_) => Built::Text(template(value, patterns)?),
        DeValue::Integer(_) => Built::Fixed(value.integer()?.into()),
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            Built::Fixed(number.ok_or_else(|| value.mistake("JSON has no such number"))?.into())
        }
        DeValue::Boolean(boolean) => Built::Fixed((*boolean).into()),
        DeValue::Datetime(datetime) => Built::Fixed(datetime.to_string().into()),
        DeValue::Array(_) => Built::List(value.array()?.map(|item| built(item, patterns)).collect::<Read<_>>()?),
        DeValue::Table(entries) => {
            let entry = |(key, item): (&'_ toml::Spanned<_>, _)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                let item = Value { document: value.document, key: value.key, value: item };
                Ok((key.to_string(), built(item, patterns)?))
            };
            Built::Object(entries.iter().map(entry).collect::<Read<_>>()?)
        }
    })
}
