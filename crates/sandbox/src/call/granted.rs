//! The functions that a call may call: those of the host, and other learned ones.
//!
//! A function that fails is no end of its caller: the caller is told with a message and goes on. What ends the caller is
//! only what is its own: its wall clock, of which everything that it calls takes its part, and faults of the host.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::time::{Duration, Instant};

use greensand_types::{
    CallEnding, CallOutcome, Encoding, FunctionName, GrantedFunction, GrantedFunctions, Grants, HostFault,
    HostFunctionError, HostGrant, InputFiles, JsonKind, JsonText, LearnedGrant, Limits, keep_ends,
};

use super::nesting::Nesting;
use super::run::GuestCall;
use super::state::{CallState, Stop};
use super::wait::{Waited, wait};
use super::wire::Verb;
use crate::worker::Cancellation;

/// The longest time that clocks can add up to; whoever grants more waits as long.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What is kept of each end of a message for the caller, in characters.
const MESSAGE_END: usize = 2 << 10;

/// What a call may reach beyond its own memory, and what it has used of that.
#[derive(Debug, Default)]
pub(super) struct Granted {
    limits: Limits,
    functions: GrantedFunctions,
    files: InputFiles,
    /// How often each host function was called.
    host_calls: BTreeMap<FunctionName, u32>,
    /// How many learned functions were called.
    learned_calls: u64,
    seed: u64,
    nesting: Nesting,
    cancellation: Cancellation,
    /// What the guest has not taken yet of what it asked for last.
    pub(super) waiting: Vec<u8>,
}

/// What became of a call that a guest asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The function returned.
    Returned(JsonText),
    /// It failed, or could not be called as asked; the caller reads why.
    Failed(String),
    /// It is not granted.
    NotGranted(String),
}

impl Granted {
    /// What a call may reach.
    pub(super) fn to_call(call: &GuestCall, cancellation: &Cancellation) -> Self {
        Self {
            limits: call.limits,
            functions: call.grants.functions.clone(),
            files: call.grants.files.clone(),
            seed: call.seed,
            nesting: call.nesting.clone(),
            cancellation: cancellation.clone(),
            ..Self::default()
        }
    }

    /// Notes that the call has slept on its virtual clock.
    pub(super) fn note_slept(&self, nanoseconds: i64) {
        self.nesting.note_slept(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)));
    }

    /// Refuses arguments of this length if they are longer than those of any call.
    pub(super) fn check_length(&self, name: &str, length: usize) -> Result<(), Answer> {
        let limit = self.limits.max_argument_bytes;
        if length as u64 <= limit {
            return Ok(());
        }
        let name = name.escape_debug();
        Err(Answer::Failed(shortened(&format!("the arguments of `{name}` have {length} bytes, the limit is {limit}"))))
    }
}

impl CallState {
    /// Returns the input files of the call.
    pub(crate) fn files(&self) -> &InputFiles {
        &self.granted.files
    }

    /// Calls a granted function and waits for its answer.
    ///
    /// # Errors
    /// When the call that asks for it must end.
    pub(crate) fn call_granted(&mut self, name: &str, arguments: &str) -> Result<Answer, Stop> {
        if let Err(refusal) = self.granted.check_length(name, arguments.len()) {
            return Ok(refusal);
        }
        let found = self.granted.functions.get(name).map(|(name, function)| (name.clone(), function.clone()));
        let Some((name, function)) = found else { return Ok(self.not_granted(name)) };
        let arguments = match checked_arguments(arguments) {
            Ok(arguments) => arguments,
            Err(reason) => return Ok(Answer::Failed(reason.into())),
        };
        let answer = match function {
            GrantedFunction::Host(grant) => self.call_host(name, &grant, arguments)?,
            GrantedFunction::Learned(grant) => self.call_learned(&name, grant, arguments)?,
        };
        // Whatever it answered, it may have taken all that was left.
        self.clock.stop().map_or(Ok(answer), Err)
    }

    fn not_granted(&mut self, name: &str) -> Answer {
        let mut message = format!("no function `{}` is granted", name.escape_debug());
        for (index, (name, _)) in self.granted.functions.iter().enumerate() {
            let before = if index == 0 { "; granted: " } else { ", " };
            let _ = write!(message, "{before}`{name}`");
        }
        self.note_refused(name);
        Answer::NotGranted(shortened(&message))
    }

    fn call_host(&mut self, name: FunctionName, grant: &HostGrant, arguments: JsonText) -> Result<Answer, Stop> {
        let calls = self.granted.host_calls.entry(name.clone()).or_default();
        if *calls >= grant.most_calls {
            let most = grant.most_calls;
            return Ok(Answer::Failed(format!("host function `{name}` may be called {most} times in one call")));
        }
        *calls += 1;
        let until = Instant::now() + grant.wall.min(self.clock.left()).min(LONGEST_WAIT);
        match wait(until, &self.clock, || grant.function.call(arguments)) {
            Waited::Answered(Ok(result)) => Ok(self.bounded(&name, result)),
            Waited::Answered(Err(HostFunctionError::Failed(message))) => Ok(Answer::Failed(shortened(&message))),
            Waited::Answered(Err(HostFunctionError::Fault(fault))) => {
                Err(Stop::Fault(format!("call host function `{name}`: {}", with_causes(&fault))))
            }
            Waited::Panicked(message) => Err(Stop::Fault(format!("host function `{name}` panicked: {message}"))),
            Waited::Late => self.clock.stop().map_or_else(
                || Ok(Answer::Failed(format!("host function `{name}` used its {} ms", grant.wall.as_millis()))),
                Err,
            ),
        }
    }

    /// Holds a result of the host to the limit of every result of this call.
    fn bounded(&self, name: &FunctionName, result: JsonText) -> Answer {
        let (length, limit) = (result.get().len() as u64, self.granted.limits.max_result_bytes);
        if length > limit {
            return Answer::Failed(format!(
                "the result of host function `{name}` has {length} bytes, the limit is {limit}"
            ));
        }
        Answer::Returned(result)
    }

    /// Runs another learned function on this thread, within what is left of this call.
    fn call_learned(&mut self, name: &FunctionName, grant: LearnedGrant, arguments: JsonText) -> Result<Answer, Stop> {
        let nesting = match self.granted.nesting.enter() {
            Ok(nesting) => nesting,
            Err(reason) => return Ok(Answer::Failed(reason)),
        };
        let LearnedGrant { source, entry, limits } = grant;
        let own = &self.granted.limits;
        let limits = Limits {
            wall: limits.wall.min(self.clock.left()),
            // All instances of a call that exist at once keep together to its limit.
            memory_bytes: limits.memory_bytes.min(self.memory.left()),
            max_argument_bytes: limits.max_argument_bytes.min(own.max_argument_bytes),
            max_result_bytes: limits.max_result_bytes.min(own.max_result_bytes),
            ..limits
        };
        let length = arguments.get().len() as u64;
        if length > limits.max_argument_bytes {
            let limit = limits.max_argument_bytes;
            return Ok(Answer::Failed(format!("the arguments of `{name}` have {length} bytes, the limit is {limit}")));
        }
        self.granted.learned_calls += 1;
        let call = GuestCall {
            verb: Verb::Invoke,
            source: source.text.clone(),
            entry,
            arguments: Some(arguments),
            limits,
            grants: Grants { functions: self.granted.functions.learned_only(), ..Grants::default() },
            encoding: Encoding::Strict,
            seed: mixed(self.granted.seed, self.granted.learned_calls),
            nesting: nesting.clone(),
        };
        let slept_before = nesting.slept();
        let outcome = nesting.run(&source, call, &self.granted.cancellation);
        self.clock.pass(nesting.slept().saturating_sub(slept_before));
        let outcome =
            outcome.map_err(|fault| Stop::Fault(format!("call function `{name}`: {}", with_causes(&fault))))?;
        self.memory.note_nested(outcome.usage.peak_memory_bytes);
        Ok(answer_of(name, &outcome))
    }
}

fn answer_of(name: &FunctionName, outcome: &CallOutcome) -> Answer {
    match &outcome.ending {
        CallEnding::Returned(result) => Answer::Returned(result.clone()),
        CallEnding::Raised(failure)
        | CallEnding::LimitHit(_, failure)
        | CallEnding::Denied(failure)
        | CallEnding::Invalid(failure) => {
            let status = outcome.status();
            Answer::Failed(shortened(&format!("function `{name}` ended with `{status}`: {}", failure.message)))
        }
    }
}

fn checked_arguments(text: &str) -> Result<JsonText, &'static str> {
    let arguments = JsonText::parse(text).map_err(|_| "the arguments are not well-formed JSON")?;
    match arguments.kind() {
        JsonKind::Array | JsonKind::Object => Ok(arguments),
        JsonKind::Null | JsonKind::Bool | JsonKind::Number | JsonKind::String => {
            Err("the arguments must be a JSON object (by name) or array (by position)")
        }
    }
}

fn shortened(message: &str) -> String {
    match message {
        "" => "it failed without a message".to_owned(),
        message => keep_ends(message, MESSAGE_END, MESSAGE_END),
    }
}

/// Returns the seed of the n-th call that a call makes, by the finaliser of splitmix64.
fn mixed(seed: u64, nth: u64) -> u64 {
    let mut bits = seed.wrapping_add(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn with_causes(fault: &HostFault) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_a_call_has_a_seed_of_its_own() {
        let mut seeds: Vec<u64> = (0..100).flat_map(|seed| (1..100).map(move |nth| mixed(seed, nth))).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 100 * 99);
    }

    #[test]
    fn only_arrays_and_objects_are_arguments() {
        assert!(checked_arguments(" [1] ").is_ok() && checked_arguments("{\"a\":1}").is_ok());
        for bad in ["", "[1,]", "1", "null", "\"[]\""] {
            assert!(checked_arguments(bad).is_err(), "{bad}");
        }
    }
}
