//! The class of an ending: the host's own flags first, then what the reply says of itself.
//!
//! A reply is text of the guest. It can only choose among the endings that the host's flags leave open: without a
//! refused growth there is no `memory`, without a refused capability no `denied`, whatever the guest claims.

use greensand_types::{CallEnding, Failure, JsonText, LimitKind, Limits};
use wasmtime::Trap;

use super::state::{CallState, Stop, Stream};
use super::text::readable;
use super::wire::{Reply, ReplyKind};

/// What is shown of a guest's message, in bytes.
pub(crate) const LONGEST_MESSAGE: usize = 4 << 10;

/// What is shown of a guest's trace, in bytes.
pub(crate) const LONGEST_TRACE: usize = 16 << 10;

/// What came back from a guest.
pub(crate) enum Finish<'a> {
    /// A reply that keeps the contract.
    Reply(Reply<'a>),
    /// Something that is no reply.
    NoReply,
    /// Nothing: there was no room for the request, or for the instance itself.
    NoRoom,
    /// Nothing: its code trapped.
    Trapped(Trap),
}

/// Returns the ending of a call, by the host's flags and then by what came back.
pub(crate) fn ending(state: &CallState, limits: &Limits, finish: &Finish<'_>) -> CallEnding {
    if let Some(stop) = &state.stop {
        return stopped(stop, limits);
    }
    match finish {
        Finish::Reply(reply) => replied(state, limits, reply),
        Finish::NoReply => raised("the guest broke its contract: its reply is malformed"),
        // A guest may stumble over a refused growth in any way: give up, call a null pointer, unwind what it had built
        // until its stack ends.
        Finish::NoRoom | Finish::Trapped(_) if state.memory.was_refused() => memory_hit(limits, None),
        Finish::NoRoom => raised("the guest has no room for the call"),
        Finish::Trapped(trap) => raised(trap_words(*trap)),
    }
}

fn replied(state: &CallState, limits: &Limits, reply: &Reply<'_>) -> CallEnding {
    match reply.kind {
        ReplyKind::Returned if reply.payload.len() as u64 <= limits.max_result_bytes => returned(reply.payload),
        ReplyKind::Returned | ReplyKind::TooLarge => {
            let message = format!("the result is larger than {} bytes", limits.max_result_bytes);
            CallEnding::LimitHit(LimitKind::Output, Failure::new(message))
        }
        ReplyKind::Raised => {
            let failure = failure(reply);
            match &state.refused_capability {
                _ if reply.is_out_of_memory && state.memory.was_refused() => memory_hit(limits, failure.trace),
                Some(capability) if reply.is_refusal => {
                    let message = format!("`{capability}` is not granted to functions: {}", failure.message);
                    CallEnding::Denied(Failure { message, ..failure })
                }
                Some(_) | None => CallEnding::Raised(failure),
            }
        }
        ReplyKind::Exited => CallEnding::Raised(failure(reply)),
        ReplyKind::BadSource | ReplyKind::BadEntry | ReplyKind::BadArguments | ReplyKind::BadResult => {
            CallEnding::Invalid(failure(reply))
        }
    }
}

fn returned(payload: &[u8]) -> CallEnding {
    let result = std::str::from_utf8(payload).ok().and_then(|text| JsonText::parse(text).ok());
    let bad = || CallEnding::Invalid(Failure::new("the result is not well-formed JSON"));
    result.map_or_else(bad, CallEnding::Returned)
}

fn stopped(stop: &Stop, limits: &Limits) -> CallEnding {
    match stop {
        Stop::Wall => {
            let message = format!("the function used its {} ms of wall clock", limits.wall.as_millis());
            CallEnding::LimitHit(LimitKind::Wall, Failure::new(message))
        }
        Stop::Output(stream) => {
            let (name, limit) = match stream {
                Stream::Stdout => ("standard output", limits.max_stdout_bytes),
                Stream::Stderr => ("standard error", limits.max_stderr_bytes),
            };
            let message = format!("the function wrote more than {limit} bytes to {name}");
            CallEnding::LimitHit(LimitKind::Output, Failure::new(message))
        }
        Stop::Denied(import) => {
            let import = readable(import.as_bytes(), LONGEST_MESSAGE);
            CallEnding::Denied(Failure::new(format!("the function called `{import}`, which is not granted")))
        }
        Stop::BadRange(import) => {
            raised(&format!("the guest broke its contract: it handed a range outside of its memory to `{import}`"))
        }
        Stop::Exited(status) => raised(&format!("the function ended its instance with status {status}")),
        // The caller of this function never shows these two: nobody waits, or the host is at fault.
        Stop::Abandoned => raised("the call was abandoned"),
        Stop::Fault(reason) => raised(reason),
    }
}

fn memory_hit(limits: &Limits, trace: Option<String>) -> CallEnding {
    let bytes = limits.memory_bytes;
    let amount = if bytes.is_multiple_of(1 << 20) { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") };
    let message = format!("the function needed more than its {amount} of memory");
    CallEnding::LimitHit(LimitKind::Memory, Failure { message, trace })
}

/// Returns what a reply says went wrong.
pub(super) fn failure(reply: &Reply<'_>) -> Failure {
    let message = match reply.message {
        [] => "the function failed without a message".to_owned(),
        message => readable(message, LONGEST_MESSAGE),
    };
    let trace = (!reply.payload.is_empty()).then(|| readable(reply.payload, LONGEST_TRACE));
    Failure { message, trace }
}

fn raised(message: &str) -> CallEnding {
    CallEnding::Raised(Failure::new(message))
}

/// Says in plain words why the guest's code could not go on.
fn trap_words(trap: Trap) -> &'static str {
    match trap {
        Trap::StackOverflow => "the function used up its stack",
        Trap::UnreachableCodeReached => "the function ended its instance",
        Trap::MemoryOutOfBounds => "the function reached outside of its memory",
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature => {
            "the function called something that is no function"
        }
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => {
            "the function stopped at an impossible integer operation"
        }
        // The enum is open; the rest needs proposals that the engine does not offer.
        _ => "the function stopped at a faulty instruction",
    }
}
