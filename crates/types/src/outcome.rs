use std::fmt;
use std::time::Duration;

use crate::JsonText;

/// What became of one call. A fault of the guest is a value here, never an error of the host.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct CallOutcome {
    /// How the call ended.
    pub ending: CallEnding,
    /// What was kept of standard output.
    pub stdout: KeptText,
    /// What was kept of standard error.
    pub stderr: KeptText,
    /// What the call used.
    pub usage: CallUsage,
}

/// How a call ended. Decided by the host's own flags, never by text of the guest.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEnding {
    /// The entry returned a value.
    Returned(JsonText),
    /// The guest raised, panicked, trapped, overflowed its stack, or ended its instance.
    Raised(Failure),
    /// A limit ended the call.
    LimitHit(LimitKind, Failure),
    /// A capability was asked for that was not granted.
    Denied(Failure),
    /// Source, entry, arguments or result break the contract.
    Invalid(Failure),
}

/// Which limit ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// Wall clock.
    Wall,
    /// Memory of the instance.
    Memory,
    /// Standard output, standard error or the result.
    Output,
}

/// What went wrong, in words. The text comes from the guest where the guest failed: escape it before a person reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// One line.
    pub message: String,
    /// Where in the user's source, if known.
    pub trace: Option<String>,
}

impl Failure {
    /// A failure without a trace.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), trace: None }
    }
}

/// Output that was kept, up to its limit. Bytes that are not UTF-8 are replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptText {
    /// What was kept.
    pub text: String,
    /// Whether more was written than is kept.
    pub is_truncated: bool,
}

/// What one call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallUsage {
    /// Real time from the moment a worker took the call to its outcome.
    pub wall: Duration,
    /// Largest linear memory and tables of the instance, in bytes.
    pub peak_memory_bytes: u64,
    /// Bytes of result, standard output and standard error that left the guest.
    pub output_bytes: u64,
}

/// The class of an outcome, as it stands in answers, journals and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallStatus {
    /// A value was returned.
    Ok,
    /// The guest failed.
    Error,
    /// The wall clock ran out.
    Timeout,
    /// The memory limit ended it.
    Memory,
    /// Too much output.
    OutputLimit,
    /// A capability was not granted.
    Denied,
    /// The contract was broken.
    Invalid,
}

impl CallStatus {
    /// Every class.
    pub const ALL: [Self; 7] =
        [Self::Ok, Self::Error, Self::Timeout, Self::Memory, Self::OutputLimit, Self::Denied, Self::Invalid];

    /// Returns the word for the class.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::OutputLimit => "output_limit",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
        }
    }
}

impl fmt::Display for CallStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl CallOutcome {
    /// An outcome of a call that never reached an instance.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self {
            ending: CallEnding::Invalid(Failure::new(message)),
            stdout: KeptText::default(),
            stderr: KeptText::default(),
            usage: CallUsage::default(),
        }
    }

    /// Returns the class.
    pub fn status(&self) -> CallStatus {
        match &self.ending {
            CallEnding::Returned(_) => CallStatus::Ok,
            CallEnding::Raised(_) => CallStatus::Error,
            CallEnding::LimitHit(LimitKind::Wall, _) => CallStatus::Timeout,
            CallEnding::LimitHit(LimitKind::Memory, _) => CallStatus::Memory,
            CallEnding::LimitHit(LimitKind::Output, _) => CallStatus::OutputLimit,
            CallEnding::Denied(_) => CallStatus::Denied,
            CallEnding::Invalid(_) => CallStatus::Invalid,
        }
    }

    /// Returns the value of a call that returned one.
    pub fn value(&self) -> Option<&JsonText> {
        match &self.ending {
            CallEnding::Returned(value) => Some(value),
            CallEnding::Raised(_) | CallEnding::LimitHit(..) | CallEnding::Denied(_) | CallEnding::Invalid(_) => None,
        }
    }

    /// Returns what went wrong in a call that returned no value.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.ending {
            CallEnding::Returned(_) => None,
            CallEnding::Raised(failure)
            | CallEnding::LimitHit(_, failure)
            | CallEnding::Denied(failure)
            | CallEnding::Invalid(failure) => Some(failure),
        }
    }
}
