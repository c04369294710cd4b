use std::sync::Arc;
use std::time::Instant;

use greensand_types::{CallEnding, CallOutcome, CallUsage, Encoding, Failure, Grants, HostFault, JsonText, Limits};
use wasmtime::Trap;

use super::nesting::Nesting;
use super::outcome::{Finish, ending, failure};
use super::state::{CallState, Stop};
use super::wire::{Form, Reply, ReplyKind, Request, Verb};
use crate::image::Image;
use crate::module::{self, OpenModule};
use crate::prepared::{Preparation, Prepared, PreparedCache, PreparedKey, PreparedUse};
use crate::slot::{InstanceMode, InstanceUse, Slots};
use crate::ticker::Ticker;
use crate::worker::Cancellation;

/// The largest compiled form that the host takes, in bytes; a source whose form is larger runs as it is.
const LARGEST_FORM: usize = 16 << 20;

/// One thing that a guest is asked to do, already checked at the door.
#[derive(Debug)]
pub(crate) struct GuestCall {
    pub(crate) verb: Verb,
    pub(crate) source: Arc<str>,
    pub(crate) entry: String,
    pub(crate) arguments: Option<JsonText>,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
    pub(crate) encoding: Encoding,
    pub(crate) seed: u64,
    pub(crate) nesting: Nesting,
}

/// What calls share: the tick that bounds them, the sources that were compiled before, the guests that can be used again.
pub(crate) struct Executor {
    ticker: Ticker,
    prepared: PreparedCache,
    slots: Slots,
}

impl Executor {
    /// An executor whose cache of compiled sources keeps up to so many bytes.
    pub(crate) fn new(ticker: Ticker, prepared_bytes: u64, instances: InstanceMode) -> Self {
        Self { ticker, prepared: PreparedCache::new(prepared_bytes), slots: Slots::new(instances) }
    }

    /// Says how instances come about.
    pub(crate) fn instance_use(&self) -> InstanceUse {
        self.slots.used()
    }

    /// Returns what is kept of compiled sources.
    pub(crate) fn prepared_use(&self) -> PreparedUse {
        self.prepared.used()
    }

    /// Runs one call on clean guests of an image; its wall clock starts here.
    ///
    /// # Errors
    /// When the host could not do its part. Whatever the guest does is an answer.
    pub(crate) fn run(
        &self,
        image: &Image,
        call: &GuestCall,
        cancellation: &Cancellation,
    ) -> Result<CallOutcome, HostFault> {
        let _ticking = self.ticker.run();
        let running = Running { slots: &self.slots, image, call, cancellation, taken: Instant::now() };
        match running.code(&self.prepared)? {
            Code::Source => running.enter(None),
            Code::Prepared(prepared) => running.enter(Some(&prepared)),
            Code::Ended(outcome) => Ok(outcome),
        }
    }
}

impl Executor {
    /// Runs one call on a clean guest that gets the source as it is; for guests whose compiled form is not for themselves.
    ///
    /// # Errors
    /// When the host could not do its part. Whatever the guest does is an answer.
    pub(crate) fn run_source(
        &self,
        image: &Image,
        call: &GuestCall,
        cancellation: &Cancellation,
    ) -> Result<CallOutcome, HostFault> {
        let _ticking = self.ticker.run();
        Running { slots: &self.slots, image, call, cancellation, taken: Instant::now() }.enter(None)
    }

    /// Has a guest compile the source of a call, and returns the compiled form; a source that has none is told by the
    /// outcome, which is never that of a value.
    ///
    /// # Errors
    /// When the host could not do its part. Whatever the guest does is an answer.
    pub(crate) fn compiled_form(
        &self,
        image: &Image,
        call: &GuestCall,
        cancellation: &Cancellation,
    ) -> Result<Result<Vec<u8>, CallOutcome>, HostFault> {
        let _ticking = self.ticker.run();
        let running = Running { slots: &self.slots, image, call, cancellation, taken: Instant::now() };
        match running.prepare()? {
            (Some(Preparation::Compiled(form)), _, state) if state.stop.is_none() => Ok(Ok(form)),
            // Whatever becomes of reading a source, it says that the source cannot be called.
            (_, ending, state) => {
                let outcome = outcome(as_invalid(ending), state, None)?;
                Ok(Err(outcome))
            }
        }
    }

    /// Runs one call on a fresh instance of a module; its wall clock starts here.
    ///
    /// # Errors
    /// When the host could not do its part. Whatever the module does is an answer.
    pub(crate) fn run_module(
        &self,
        module: &OpenModule,
        call: &GuestCall,
        cancellation: &Cancellation,
    ) -> Result<CallOutcome, HostFault> {
        let _ticking = self.ticker.run();
        module::run(module, call, cancellation)
    }
}

/// A call that a worker has taken.
struct Running<'a> {
    slots: &'a Slots,
    image: &'a Image,
    call: &'a GuestCall,
    cancellation: &'a Cancellation,
    taken: Instant,
}

/// What a call goes on with.
enum Code {
    Source,
    Prepared(Arc<Prepared>),
    /// The call ended while its source was prepared.
    Ended(CallOutcome),
}

impl Running<'_> {
    /// Finds what the call's source was compiled to, compiling it if need be.
    fn code(&self, cache: &PreparedCache) -> Result<Code, HostFault> {
        if cache.is_off() || !self.call.verb.takes_compiled_form() {
            return Ok(Code::Source);
        }
        let key = PreparedKey::new(self.image.id(), &self.call.source, &self.call.entry);
        if let Some(prepared) = cache.get(&key, self.call.limits.memory_bytes) {
            return Ok(Code::Prepared(prepared));
        }
        let (preparation, ending, state) = self.prepare()?;
        match preparation {
            _ if state.stop.is_some() => Ok(Code::Ended(outcome(ending, state, None)?)),
            Some(preparation) if !state.was_refused_anything() => {
                let prepared = Arc::new(state.into_prepared(preparation));
                cache.keep(key, prepared.clone());
                Ok(Code::Prepared(prepared))
            }
            // Whatever it was, the same source meets it again, or does not.
            Some(_) | None => Ok(Code::Source),
        }
    }

    /// Has a clean guest compile the source.
    fn prepare(&self) -> Result<(Option<Preparation>, CallEnding, CallState), HostFault> {
        let library = self.image.library().cloned();
        let state = CallState::of_preparation(&self.call.limits, library, self.cancellation.clone());
        let request = Request {
            form: Form::Source,
            is_tagged: false,
            max_result: u64::MAX,
            seed: 0,
            code: self.call.source.as_bytes(),
            entry: self.call.entry.as_bytes(),
            arguments: &[],
        };
        let ((preparation, ending), state) = self.on_guest(state, Verb::Prepare, &request, |state, finish| {
            (preparation(finish), ending(state, &self.call.limits, finish))
        })?;
        Ok((preparation, ending, state))
    }

    /// Has a clean guest do what the call asks for.
    fn enter(&self, prepared: Option<&Prepared>) -> Result<CallOutcome, HostFault> {
        let call = self.call;
        let library = self.image.library().cloned();
        let state = CallState::of_call(&call.limits, &call.grants, call.seed, library, self.cancellation.clone());
        let mut state = state.reaching(call, self.cancellation);
        let (form, code) = match prepared {
            None => (Form::Source, call.source.as_bytes()),
            Some(prepared) => {
                // Where there is no room for it, the call has ended, as it would have while compiling.
                let written = state.write_again(prepared);
                match &prepared.preparation {
                    _ if written.is_err() => {
                        let ending = ending(&state, &call.limits, &Finish::NoReply);
                        return outcome(ending, state.since(self.taken), Some(prepared));
                    }
                    Preparation::Invalid(failure) => {
                        let ending = CallEnding::Invalid(failure.clone());
                        return outcome(ending, state.since(self.taken), Some(prepared));
                    }
                    Preparation::Compiled(form) => (Form::Compiled, form.as_slice()),
                }
            }
        };
        let request = Request {
            form,
            is_tagged: call.encoding == Encoding::Tagged,
            max_result: call.limits.max_result_bytes,
            seed: call.seed,
            code,
            entry: call.entry.as_bytes(),
            arguments: call.arguments.as_ref().map_or(&[], |arguments| arguments.get().as_bytes()),
        };
        let (ending, state) = self.on_guest(state, call.verb, &request, |state, finish| match finish {
            Finish::Reply(reply) => {
                ending(state, &call.limits, &Finish::Reply(without_compiled_form(call.verb, *reply)))
            }
            Finish::NoReply | Finish::NoRoom | Finish::Trapped(_) => ending(state, &call.limits, finish),
        })?;
        outcome(ending, state, prepared)
    }

    /// Enters a clean guest, and reads what came back.
    fn on_guest<T>(
        &self,
        state: CallState,
        verb: Verb,
        request: &Request<'_>,
        read: impl FnOnce(&CallState, &Finish<'_>) -> T,
    ) -> Result<(T, CallState), HostFault> {
        let mut slot = match self.slots.take(self.image, state.since(self.taken)) {
            Ok(slot) => slot,
            Err((error, mut state)) => {
                let _ = state.check_clock();
                let finish = unfinished(&state, error)?;
                return Ok((read(&state, &finish), *state));
            }
        };
        let guest = slot.guest();
        let entered = request.encode().map_or(Ok(None), |request| guest.enter(verb, &request));
        // A guest that came back between the last tick and now may have overdrawn its clock.
        let _ = guest.state().check_clock();
        let (memory, state) = guest.memory_and_state();
        let finish = match entered {
            Ok(Some(packed)) => Reply::decode(memory, packed).map_or(Finish::NoReply, Finish::Reply),
            Ok(None) => Finish::NoRoom,
            Err(error) => unfinished(state, error)?,
        };
        let result = read(state, &finish);
        // One that ended where it was never unwound.
        let came_back = matches!(finish, Finish::Reply(_)) && state.last_reply().is_none();
        // To restore or drop the instance is part of the call, so it happens before the clock is read for the last time.
        Ok((result, self.slots.leave(slot, came_back)?))
    }
}

/// Says why a guest did not come back.
///
/// # Errors
/// When that is no fault of the guest.
pub(crate) fn unfinished(state: &CallState, error: wasmtime::Error) -> Result<Finish<'static>, HostFault> {
    match error.downcast_ref::<Trap>() {
        Some(trap) => Ok(Finish::Trapped(*trap)),
        None if state.was_ended() => Ok(Finish::NoRoom),
        // It handed over a reply before it was asked anything.
        None if state.has_finished() => Ok(Finish::NoReply),
        None => Err(HostFault::caused_by("run an instance", error.into_boxed_dyn_error())),
    }
}

/// The ending of a call whose source could not even be read.
fn as_invalid(ending: CallEnding) -> CallEnding {
    match ending {
        CallEnding::Returned(_) => CallEnding::Invalid(Failure::new("the source could not be read")),
        CallEnding::Raised(failure) | CallEnding::LimitHit(_, failure) | CallEnding::Denied(failure) => {
            CallEnding::Invalid(Failure {
                message: format!("the source could not be read: {}", failure.message),
                ..failure
            })
        }
        CallEnding::Invalid(failure) => CallEnding::Invalid(failure),
    }
}

/// Reads what a preparation gave, if every call would find the same.
fn preparation(finish: &Finish<'_>) -> Option<Preparation> {
    let Finish::Reply(reply) = finish else { return None };
    match reply.kind {
        ReplyKind::Returned if reply.payload.len() > LARGEST_FORM => None,
        ReplyKind::Returned => Some(Preparation::Compiled(reply.payload.to_vec())),
        ReplyKind::BadSource | ReplyKind::BadEntry => Some(Preparation::Invalid(failure(reply))),
        ReplyKind::Raised
        | ReplyKind::BadArguments
        | ReplyKind::BadResult
        | ReplyKind::TooLarge
        | ReplyKind::Exited => None,
    }
}

/// Puts the outcome of a call together; its wall clock is read here for the last time.
///
/// # Errors
/// When the host could not do its part.
pub(crate) fn outcome(
    ending: CallEnding,
    state: CallState,
    prepared: Option<&Prepared>,
) -> Result<CallOutcome, HostFault> {
    if let Some(Stop::Fault(reason)) = state.stop {
        return Err(HostFault::new(reason));
    }
    let result_len = match &ending {
        CallEnding::Returned(result) => result.get().len() as u64,
        CallEnding::Raised(_) | CallEnding::LimitHit(..) | CallEnding::Denied(_) | CallEnding::Invalid(_) => 0,
    };
    let usage = CallUsage {
        // What the compiler needed counts whether it ran now or before.
        peak_memory_bytes: state.memory.peak().max(prepared.map_or(0, |prepared| prepared.peak_memory)),
        output_bytes: result_len + state.stdout.len() + state.stderr.len(),
        wall: state.clock.elapsed(),
    };
    Ok(CallOutcome { ending, stdout: state.stdout.into_text(), stderr: state.stderr.into_text(), usage })
}

/// A source that compiles answers `null`: the compiled form is for the guest alone.
fn without_compiled_form(verb: Verb, reply: Reply<'_>) -> Reply<'_> {
    if verb == Verb::Prepare && reply.kind == ReplyKind::Returned {
        return Reply { payload: b"null", ..reply };
    }
    reply
}
