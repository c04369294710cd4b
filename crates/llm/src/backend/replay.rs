//! Replies of an earlier run, given again.
//!
//! A reply is found by [`ChatRequest::digest`]. A run may ask the same thing more than once; the replies to it are
//! given in the order in which they were recorded, each once. A request that was never recorded, or once more often
//! than recorded, is [`ModelErrorKind::Exhausted`]: the run has diverged from its record, and the message says where.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use greensand_types::{BoxFuture, ContentId};

use super::{BackendEntry, ModelBackend, SettingEntry};
use crate::{ChatReply, ChatRequest, ModelError, ModelErrorKind};

pub(super) const ENTRY: BackendEntry = BackendEntry {
    name: "replay",
    summary: "the replies of an earlier run, from its journal; needs no key and no network",
    settings: &[SettingEntry { name: "run", summary: "the run whose replies are given again", is_required: true }],
};

/// A reply with the request that it answered.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedReply {
    /// The digest of the request.
    pub request: ContentId,
    /// The reply.
    pub reply: ChatReply,
}

/// The replies to give again.
#[derive(Debug, Clone)]
pub struct ReplaySettings {
    /// The replies, in the order of the record.
    pub records: Vec<RecordedReply>,
    /// Where they came from, for messages.
    pub origin: String,
}

pub(super) struct Replay {
    origin: String,
    replies: Mutex<HashMap<ContentId, Replies>>,
}

struct Replies {
    recorded: usize,
    left: VecDeque<ChatReply>,
}

impl Replay {
    pub(super) fn open(settings: ReplaySettings) -> Self {
        let mut replies = HashMap::<_, Replies>::new();
        for record in settings.records {
            let entry = replies.entry(record.request).or_insert(Replies { recorded: 0, left: VecDeque::new() });
            entry.recorded += 1;
            entry.left.push_back(record.reply);
        }
        Self { origin: settings.origin, replies: Mutex::new(replies) }
    }

    fn take(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        let digest = request.digest();
        // The queues hold after every operation on them, so a panic elsewhere cannot have broken them.
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = match replies.get_mut(&digest) {
            Some(entry) => match entry.left.pop_front() {
                Some(reply) => return Ok(reply),
                None => entry.recorded,
            },
            None => 0,
        };
        let what = match recorded {
            0 => "holds no reply to".to_owned(),
            1 => "holds one reply, already given, to".to_owned(),
            count => format!("holds {count} replies, all given, to"),
        };
        Err(ModelError::new(
            ModelErrorKind::Exhausted,
            format!("`{}` {what} {} (request `{}`)", self.origin, request.place(), digest.short()),
        )
        .with_hint("settings, task set or program differ from those of the recorded run"))
    }
}

impl ModelBackend for Replay {
    fn label(&self) -> String {
        format!("{} {}", ENTRY.name, self.origin)
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(async move { self.take(request) })
    }
}

#[cfg(test)]
mod tests {
    use greensand_types::{Message, TokenUsage};

    use super::*;
    use crate::{FinishReason, Role, Sampling};

    fn request(turn: u32) -> ChatRequest {
        ChatRequest {
            role: Role::Assistant,
            task: Some("sum-1".parse().unwrap()),
            turn,
            epoch: 2,
            repeat: 0,
            functions: vec!["add".parse().unwrap()],
            messages: vec![Message::User { text: "1+1?".into() }],
            tools: Vec::new(),
            sampling: Sampling::default(),
        }
    }

    fn reply(text: &str) -> ChatReply {
        ChatReply {
            text: text.into(),
            calls: Vec::new(),
            finish: FinishReason::Stop,
            usage: TokenUsage { requests: 1, prompt_tokens: 5, completion_tokens: 1, ..TokenUsage::default() },
        }
    }

    fn replay(records: &[(u32, &str)]) -> Replay {
        let records = records
            .iter()
            .map(|(turn, text)| RecordedReply { request: request(*turn).digest(), reply: reply(text) })
            .collect();
        Replay::open(ReplaySettings { records, origin: "run a1b2".into() })
    }

    #[test]
    fn replies_to_one_request_come_in_the_order_of_the_record() {
        let replay = replay(&[(0, "first"), (1, "other"), (0, "second")]);
        assert_eq!(replay.take(&request(0)).unwrap(), reply("first"));
        assert_eq!(replay.take(&request(0)).unwrap(), reply("second"));
        assert_eq!(replay.take(&request(1)).unwrap(), reply("other"));
    }

    #[test]
    fn what_was_not_recorded_is_exhausted_and_says_where() {
        let replay = replay(&[(0, "first")]);
        let error = replay.take(&request(3)).unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Exhausted);
        assert!(error.to_string().contains("`run a1b2` holds no reply to role `assistant`, task `sum-1`, turn 3"));
        replay.take(&request(0)).unwrap();
        let error = replay.take(&request(0)).unwrap_err();
        assert!(error.to_string().contains("holds one reply, already given"), "{error}");
    }
}
