//! What goes wrong between us and a model.
//!
//! A [`ModelError`] is a fault of the connection, of the endpoint or of the settings; what a model *says*, however
//! useless, is never one. Its kind tells the caller whether to go on without this reply
//! ([`ModelError::is_transient`]) or to stop before every other request fails alike
//! ([`ModelError::concerns_every_request`]). Retries have been made by the time anyone sees it.

use std::error::Error;

/// The kinds of fault, by what one can do about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelErrorKind {
    /// No connection, or one that broke.
    Unreachable,
    /// No whole reply within the deadline.
    TimedOut,
    /// The endpoint still said "too many requests" after every retry.
    RateLimited,
    /// The endpoint says that nothing is left of what the key may spend.
    QuotaSpent,
    /// The endpoint answered with another error.
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// The endpoint wants a key, or another one.
    Authentication,
    /// The endpoint has no such model.
    UnknownModel,
    /// The conversation is longer than the context of the model.
    ContextOverflow,
    /// What came back is not a chat completion.
    BadReply,
    /// The script or the journal has no reply to this request.
    Exhausted,
    /// Our own budget does not cover the request, which was not sent.
    BudgetSpent,
}

impl ModelErrorKind {
    /// Returns the word for the kind, as it stands in scripts and journals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::RateLimited => "rate_limited",
            Self::QuotaSpent => "quota_spent",
            Self::Refused { .. } => "refused",
            Self::Authentication => "authentication",
            Self::UnknownModel => "unknown_model",
            Self::ContextOverflow => "context_overflow",
            Self::BadReply => "bad_reply",
            Self::Exhausted => "exhausted",
            Self::BudgetSpent => "budget_spent",
        }
    }
}

/// A request that got no reply.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    kind: ModelErrorKind,
    message: String,
    hint: Option<String>,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
    was_not_sent: bool,
}

impl ModelError {
    /// A fault of a kind, told in a sentence.
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None, was_not_sent: false }
    }

    /// Says that no byte of the request was sent: no connection came about.
    #[must_use]
    pub fn before_sending(mut self) -> Self {
        self.was_not_sent = true;
        self
    }

    /// Adds what the person at the terminal can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the kind of fault.
    pub fn kind(&self) -> ModelErrorKind {
        self.kind
    }

    /// Returns what to do about it, if there is something to do.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Says whether the endpoint may have made a reply, and billed it, that never came here. A request that was refused, or
    /// was never sent, costs nothing.
    pub fn may_have_been_billed(&self) -> bool {
        match self.kind {
            ModelErrorKind::Unreachable | ModelErrorKind::TimedOut | ModelErrorKind::BadReply => !self.was_not_sent,
            ModelErrorKind::RateLimited
            | ModelErrorKind::QuotaSpent
            | ModelErrorKind::Refused { .. }
            | ModelErrorKind::Authentication
            | ModelErrorKind::UnknownModel
            | ModelErrorKind::ContextOverflow
            | ModelErrorKind::Exhausted
            | ModelErrorKind::BudgetSpent => false,
        }
    }

    /// Says whether the same request may get a reply later.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            ModelErrorKind::Unreachable
            | ModelErrorKind::TimedOut
            | ModelErrorKind::RateLimited
            | ModelErrorKind::BadReply => true,
            ModelErrorKind::Refused { status } => status >= 500,
            ModelErrorKind::QuotaSpent
            | ModelErrorKind::Authentication
            | ModelErrorKind::UnknownModel
            | ModelErrorKind::ContextOverflow
            | ModelErrorKind::Exhausted
            | ModelErrorKind::BudgetSpent => false,
        }
    }

    /// Says whether every other request to this backend will fail alike: a wrong key, a model that is not there, a
    /// spent quota, a spent budget.
    pub fn concerns_every_request(&self) -> bool {
        match self.kind {
            ModelErrorKind::QuotaSpent
            | ModelErrorKind::Authentication
            | ModelErrorKind::UnknownModel
            | ModelErrorKind::BudgetSpent => true,
            ModelErrorKind::Unreachable
            | ModelErrorKind::TimedOut
            | ModelErrorKind::RateLimited
            | ModelErrorKind::Refused { .. }
            | ModelErrorKind::ContextOverflow
            | ModelErrorKind::BadReply
            | ModelErrorKind::Exhausted => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_or_never_sent_was_not_billed() {
        let billed = |kind| ModelError::new(kind, "m").may_have_been_billed();
        for kind in [ModelErrorKind::TimedOut, ModelErrorKind::Unreachable, ModelErrorKind::BadReply] {
            assert!(billed(kind), "{kind:?}");
            assert!(!ModelError::new(kind, "m").before_sending().may_have_been_billed(), "{kind:?}");
        }
        let refusals = [
            ModelErrorKind::RateLimited,
            ModelErrorKind::QuotaSpent,
            ModelErrorKind::Refused { status: 500 },
            ModelErrorKind::Authentication,
            ModelErrorKind::BudgetSpent,
        ];
        assert!(refusals.into_iter().all(|kind| !billed(kind)));
    }
}
