use std::sync::Arc;

use greensand_types::{CallEnding, CallOutcome, CallUsage, Encoding, Grants, HostFault, JsonText, Limits};
use wasmtime::{Instance, Memory, Store, Trap, UpdateDeadline};

use super::outcome::{Finish, ending};
use super::state::{CallState, Stop};
use super::wire::{Reply, ReplyKind, Request, Verb};
use crate::image::Image;
use crate::ticker::Ticker;
use crate::worker::Cancellation;

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
}

/// Runs one call on a fresh instance of an image; its wall clock starts here.
///
/// # Errors
/// When the host could not do its part. Whatever the guest does is an answer.
pub(crate) fn run(
    image: &Image,
    ticker: &Ticker,
    call: &GuestCall,
    cancellation: &Cancellation,
) -> Result<CallOutcome, HostFault> {
    let _ticking = ticker.run();
    let state =
        CallState::of_call(&call.limits, &call.grants, call.seed, image.library().cloned(), cancellation.clone());
    let mut store = guarded_store(image.engine(), state);
    let entered = enter(&mut store, image, call);
    let ending = finish(&mut store, call, entered)?;
    // Dropping the instance is part of the call, so it happens before the clock is read.
    let state = store.into_data();
    if let Some(Stop::Fault(reason)) = state.stop {
        return Err(HostFault::new(reason));
    }
    let result_len = match &ending {
        CallEnding::Returned(result) => result.get().len() as u64,
        CallEnding::Raised(_) | CallEnding::LimitHit(..) | CallEnding::Denied(_) | CallEnding::Invalid(_) => 0,
    };
    let usage = CallUsage {
        peak_memory_bytes: state.memory.peak(),
        output_bytes: result_len + state.stdout.len() + state.stderr.len(),
        wall: state.clock.elapsed(),
    };
    Ok(CallOutcome { ending, stdout: state.stdout.into_text(), stderr: state.stderr.into_text(), usage })
}

/// Returns a store whose guest is held to the limits in its state.
pub(crate) fn guarded_store(engine: &wasmtime::Engine, state: CallState) -> Store<CallState> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| {
        context.data_mut().check_clock()?;
        Ok(UpdateDeadline::Continue(1))
    });
    store
}

/// What the guest gave back, before it is looked at.
struct Entered {
    memory: Memory,
    /// The packed place of the reply; nothing when there was no room for the request.
    reply: Option<i64>,
}

fn enter(store: &mut Store<CallState>, image: &Image, call: &GuestCall) -> wasmtime::Result<Entered> {
    let instance = image.instantiate(store)?;
    let memory = exported_memory(store, &instance)?;
    let request = Request {
        is_tagged: call.encoding == Encoding::Tagged,
        max_result: call.limits.max_result_bytes,
        seed: call.seed,
        code: call.source.as_bytes(),
        entry: call.entry.as_bytes(),
        arguments: call.arguments.as_ref().map_or(&[], |arguments| arguments.get().as_bytes()),
    };
    let no_room = Ok(Entered { memory, reply: None });
    let Some(request) = request.encode() else { return no_room };
    let Ok(length) = u32::try_from(request.len()) else { return no_room };
    let alloc = instance.get_typed_func::<u32, u32>(&mut *store, "gs_alloc")?;
    let pointer = alloc.call(&mut *store, length)?;
    if pointer == 0 || memory.write(&mut *store, pointer as usize, &request).is_err() {
        return no_room;
    }
    drop(request);
    let verb = instance.get_typed_func::<(u32, u32), i64>(&mut *store, call.verb.export())?;
    let reply = verb.call(&mut *store, (pointer, length))?;
    Ok(Entered { memory, reply: Some(reply) })
}

fn exported_memory(store: &mut Store<CallState>, instance: &Instance) -> wasmtime::Result<Memory> {
    let missing = || wasmtime::Error::msg("the guest exports no memory");
    instance.get_memory(store, "memory").ok_or_else(missing)
}

fn finish(
    store: &mut Store<CallState>,
    call: &GuestCall,
    entered: wasmtime::Result<Entered>,
) -> Result<CallEnding, HostFault> {
    // A guest that came back between the last tick and now may have overdrawn its clock.
    let _ = store.data_mut().check_clock();
    match entered {
        Ok(Entered { memory, reply }) => {
            let (bytes, state) = memory.data_and_store_mut(store);
            let finish = match reply.map(|packed| Reply::decode(bytes, packed)) {
                Some(Some(reply)) => Finish::Reply(without_compiled_form(call.verb, reply)),
                Some(None) => Finish::NoReply,
                None => Finish::NoRoom,
            };
            Ok(ending(state, &call.limits, &finish))
        }
        Err(error) => {
            let state = store.data();
            let finish = match error.downcast_ref::<Trap>() {
                Some(trap) => Finish::Trapped(*trap),
                None if state.stop.is_some() || state.memory.was_refused() => Finish::NoRoom,
                None => return Err(HostFault::caused_by("run an instance", error.into_boxed_dyn_error())),
            };
            Ok(ending(state, &call.limits, &finish))
        }
    }
}

/// A source that compiles answers `null`: the compiled form is for the guest alone, and is not kept yet.
fn without_compiled_form(verb: Verb, reply: Reply<'_>) -> Reply<'_> {
    if verb == Verb::Prepare && reply.kind == ReplyKind::Returned {
        return Reply { payload: b"null", ..reply };
    }
    reply
}
