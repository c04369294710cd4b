use std::time::Duration;

use greensand_types::{BoxFuture, ContentId};

use super::parse::{Script, parse_script};
use super::rule::{Answer, Condition, Conditions, Rule};
use crate::{
    BackendEntry, ChatReply, ChatRequest, ModelBackend, ModelError, ModelErrorKind, OpenBackendError, SettingEntry,
};

pub(crate) const ENTRY: BackendEntry = BackendEntry {
    name: "scripted",
    summary: "rules in a file: the first that matches a request answers it; needs no key and no network",
    settings: &[
        SettingEntry { name: "script", summary: "the file with the rules (TOML)", is_required: true },
        SettingEntry {
            name: "latency_ms",
            summary: "milliseconds before each reply, for benchmarks; default what the script says, or 0",
            is_required: false,
        },
    ],
};

/// A script and how it is played.
#[derive(Debug, Clone)]
pub struct ScriptedSettings {
    /// The text of the script.
    pub script: String,
    /// Where it came from, for messages.
    pub origin: String,
    /// The time before each reply that names none itself; zero means what the script says.
    pub latency: Duration,
}

pub(crate) struct Scripted {
    origin: String,
    digest: ContentId,
    script: Script,
    latency: Duration,
}

impl Scripted {
    pub(crate) fn open(settings: ScriptedSettings) -> Result<Self, OpenBackendError> {
        let ScriptedSettings { script, origin, latency } = settings;
        let mut digest = ContentId::of("script");
        digest.field(script.as_bytes());
        let script = parse_script(&script, &origin)?;
        let latency = if latency.is_zero() { script.latency } else { latency };
        Ok(Self { origin, digest: digest.finish(), script, latency })
    }

    async fn answer(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        let Some(rule) = self.rules().iter().find(|rule| rule.conditions.all_hold(request)) else {
            return Err(self.exhausted(request));
        };
        pause(self.wait(rule)).await;
        match &rule.answer {
            Answer::Reply(reply) => Ok(reply.render(&rule.conditions.captures(request), request)),
            Answer::Fault(kind) => {
                let message = format!("`{}:{}` fails with `{}`, as scripted", self.origin, rule.line, kind.as_str());
                Err(ModelError::new(*kind, message))
            }
        }
    }

    /// Returns the time before the answer of a rule.
    pub(super) fn wait(&self, rule: &Rule) -> Duration {
        rule.latency.unwrap_or(self.latency)
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.script.rules
    }

    fn exhausted(&self, request: &ChatRequest) -> ModelError {
        let message = format!("no rule of `{}` answers {}", self.origin, request.place());
        let error = ModelError::new(ModelErrorKind::Exhausted, message);
        let only_miss = |conditions: &Conditions| {
            let mut misses = Condition::ALL.into_iter().filter(|condition| !conditions.holds(*condition, request));
            misses.next().filter(|_| misses.next().is_none())
        };
        match self.rules().iter().find_map(|rule| Some((rule.line, only_miss(&rule.conditions)?))) {
            Some((line, condition)) => error.with_hint(format!(
                "the rule at line {line} fits but for its `{}`; change it, or add a rule",
                condition.as_str()
            )),
            None => error.with_hint("add a rule to the script"),
        }
    }
}

/// Waits, and is not late.
///
/// The timer of the async runtime wakes one to two milliseconds late, which a benchmark would count against whatever it
/// measures. A sleeping thread is more exact; there are no more of them than requests at a time. A thread cannot be
/// cancelled, though, and holds the end of the program up, so long waits are left to the timer.
async fn pause(time: Duration) {
    if time.is_zero() {
        return;
    }
    if time > LONGEST_EXACT_PAUSE {
        return tokio::time::sleep(time).await;
    }
    // An error means that the runtime is shutting down, and nobody waits for the reply.
    let _ = tokio::task::spawn_blocking(move || std::thread::sleep(time)).await;
}

const LONGEST_EXACT_PAUSE: Duration = Duration::from_millis(200);

impl ModelBackend for Scripted {
    fn label(&self) -> String {
        format!("{} {}", ENTRY.name, self.origin)
    }

    fn identity(&self) -> String {
        format!("{} {}", ENTRY.name, self.digest.short())
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(self.answer(request))
    }
}
