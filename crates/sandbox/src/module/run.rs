use greensand_types::{CallEnding, CallOutcome, Encoding, HostFault, JsonText};
use wasmtime::{Instance, InstancePre, Store};

use super::inspect::CoreShape;
use super::modules::OpenModule;
use crate::call::{CallState, Finish, Form, Guest, GuestCall, Reply, Request, Verb, ending, outcome, unfinished};
use crate::worker::Cancellation;

/// What a module that does not describe its entries is taken to say of each: it takes anything.
const ANYTHING: &str = r#"{"parameters": [{"name": "arguments", "kind": "rest", "required": false}], "doc": ""}"#;

/// Runs one call on a fresh instance of a module; its wall clock starts here, and somebody ticks.
///
/// # Errors
/// When the host could not do its part. Whatever the module does is an answer.
pub(crate) fn run(
    module: &OpenModule,
    call: &GuestCall,
    cancellation: &Cancellation,
) -> Result<CallOutcome, HostFault> {
    match call.verb {
        // That it is open says that it compiles.
        Verb::Prepare => return returned("null"),
        Verb::Describe if !module.describes() => return returned(ANYTHING),
        Verb::Run => return Ok(CallOutcome::invalid("a module is no script: name one of its entries")),
        Verb::Describe | Verb::Invoke => {}
    }
    match module {
        OpenModule::Core { prepared, shape } => run_core(prepared, *shape, call, cancellation),
        OpenModule::Component(function) => function.run(call, cancellation),
    }
}

fn run_core(
    prepared: &InstancePre<CallState>,
    shape: CoreShape,
    call: &GuestCall,
    cancellation: &Cancellation,
) -> Result<CallOutcome, HostFault> {
    let (starts_with, limit) = (shape.memory_bytes, call.limits.memory_bytes);
    if starts_with > limit {
        let message = format!("the memory of the module starts with {starts_with} bytes, the limit is {limit}");
        return Ok(CallOutcome::invalid(message));
    }
    let state = CallState::of_call(&call.limits, &call.grants, call.seed, None, cancellation.clone());
    let state = state.reaching(call, cancellation);
    let engine = prepared.module().engine();
    let guest = Guest::instantiate_with(engine, state, |store| instantiate(prepared, shape, store));
    let mut guest = match guest {
        Ok(guest) => guest,
        Err((error, mut state)) => {
            let _ = state.check_clock();
            let ending = ending(&state, &call.limits, &unfinished(&state, error)?);
            return outcome(ending, *state, None);
        }
    };
    let entered = match request(call).encode() {
        Some(request) => guest.enter(call.verb, &request),
        None => Ok(None),
    };
    // A module that came back between the last tick and now may have overdrawn its clock.
    let _ = guest.state().check_clock();
    let (memory, state) = guest.memory_and_state();
    let finish = match entered {
        Ok(Some(packed)) => Reply::decode(memory, packed).map_or(Finish::NoReply, Finish::Reply),
        Ok(None) => Finish::NoRoom,
        Err(error) => unfinished(state, error)?,
    };
    let ending = ending(state, &call.limits, &finish);
    outcome(ending, guest.into_state(), None)
}

fn instantiate(
    prepared: &InstancePre<CallState>,
    shape: CoreShape,
    store: &mut Store<CallState>,
) -> wasmtime::Result<Instance> {
    let instance = prepared.instantiate(&mut *store)?;
    if shape.initialises {
        instance.get_typed_func::<(), ()>(&mut *store, "_initialize")?.call(store, ())?;
    }
    Ok(instance)
}

/// The request of a call: without code, which the module itself is.
fn request(call: &GuestCall) -> Request<'_> {
    Request {
        form: Form::Source,
        is_tagged: call.encoding == Encoding::Tagged,
        max_result: call.limits.max_result_bytes,
        seed: call.seed,
        code: &[],
        entry: call.entry.as_bytes(),
        arguments: call.arguments.as_ref().map_or(&[], |arguments| arguments.get().as_bytes()),
    }
}

fn returned(json: &str) -> Result<CallOutcome, HostFault> {
    let value = JsonText::parse(json).map_err(|error| HostFault::caused_by("answer for a module", error))?;
    Ok(CallOutcome { ending: CallEnding::Returned(value), ..CallOutcome::invalid("") })
}
