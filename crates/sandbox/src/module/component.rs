//! Components: the world of `wit/function.wit`, and one call of what implements it.

use std::ops::Range;

use greensand_types::{CallEnding, CallOutcome, Failure as Words, HostFault};
use wasmtime::component::{Component, ComponentExportIndex, HasSelf, Linker};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use self::world::greensand::function::host;
use self::world::greensand::function::types::{self, Failure, FailureKind};
use self::world::{Function, FunctionPre};
use super::refusal::ModuleRefusal;
use crate::call::{
    Answer, CallState, Finish, GuestCall, LONGEST_MESSAGE, PIECE, Reply, ReplyKind, Verb, ending, guarded_store,
    outcome, readable,
};
use crate::worker::Cancellation;

/// What one crossing between guest and host may carry, in bytes.
const CROSSING_BYTES: usize = 16 << 20;

mod world {
    #![allow(missing_docs, unreachable_pub, reason = "written by a macro from the documented world")]
    wasmtime::component::bindgen!({
        path: "wit",
        world: "function",
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// A component that exports an entry.
pub(crate) struct ComponentFunction {
    prepared: FunctionPre<CallState>,
    /// The export that describes entries, if there is one.
    describe: Option<ComponentExportIndex>,
}

impl ComponentFunction {
    /// Links a component.
    ///
    /// # Errors
    /// When it imports what there is nothing for, or lacks the export `call`.
    pub(super) fn open(linker: &Linker<CallState>, component: &Component) -> Result<Self, ModuleRefusal> {
        let refused = |error: wasmtime::Error| ModuleRefusal::WrongWorld(format!("{error:#}"));
        let prepared = linker.instantiate_pre(component).and_then(FunctionPre::new).map_err(refused)?;
        Ok(Self { prepared, describe: component.get_export_index(None, "describe") })
    }

    /// Returns where its code lies.
    pub(super) fn image_range(&self) -> Range<*const u8> {
        self.prepared.instance_pre().component().image_range()
    }

    /// Says whether it describes its entries.
    pub(super) fn describes(&self) -> bool {
        self.describe.is_some()
    }

    /// Runs one call on fresh instances; its wall clock starts here.
    ///
    /// # Errors
    /// When the host could not do its part.
    pub(super) fn run(&self, call: &GuestCall, cancellation: &Cancellation) -> Result<CallOutcome, HostFault> {
        let state = CallState::of_call(&call.limits, &call.grants, call.seed, None, cancellation.clone());
        let state = state.reaching(call, cancellation);
        let mut store = guarded_store(self.prepared.engine(), state.for_component());
        store.set_hostcall_fuel(CROSSING_BYTES);
        let answer = self.enter(&mut store, call);
        let ending = finish(&mut store, call, answer)?;
        // Dropping the instances is part of the call, so it happens before the clock is read for the last time.
        outcome(ending, store.into_data(), None)
    }

    fn enter(&self, store: &mut Store<CallState>, call: &GuestCall) -> Result<Result<String, Failure>, Broken> {
        let instance = self.prepared.instance_pre().instantiate(&mut *store).map_err(Broken::before_entry)?;
        let answer = match self.describe {
            Some(describe) if call.verb == Verb::Describe => {
                let describe = instance.get_typed_func::<(&str,), (Result<String, Failure>,)>(&mut *store, describe);
                let describe = describe.map_err(Broken::before_entry)?;
                describe.call(store, (&call.entry,)).map(|(answer,)| answer)
            }
            Some(_) | None => {
                let arguments = call.arguments.as_ref().map_or("[]", |arguments| arguments.get());
                let function = Function::new(&mut *store, &instance).map_err(Broken::before_entry)?;
                function.call_call(store, &call.entry, arguments)
            }
        };
        answer.map_err(|error| Broken { error, was_entered: true })
    }
}

/// A call of a component that did not come back.
struct Broken {
    error: wasmtime::Error,
    /// Whether its instances were there.
    was_entered: bool,
}

impl Broken {
    fn before_entry(error: wasmtime::Error) -> Self {
        Self { error, was_entered: false }
    }
}

fn finish(
    store: &mut Store<CallState>,
    call: &GuestCall,
    answer: Result<Result<String, Failure>, Broken>,
) -> Result<CallEnding, HostFault> {
    // A component that came back between the last tick and now may have overdrawn its clock.
    let _ = store.data_mut().check_clock();
    store.data_mut().check_output();
    let state = store.data();
    let finish = match &answer {
        Ok(Ok(result)) => Finish::Reply(reply(ReplyKind::Returned, None, "", result)),
        Ok(Err(failure)) => {
            let kind = match failure.kind {
                FailureKind::Raised | FailureKind::OutOfMemory | FailureKind::Refused => ReplyKind::Raised,
                FailureKind::BadEntry => ReplyKind::BadEntry,
                FailureKind::BadArguments => ReplyKind::BadArguments,
                FailureKind::BadResult => ReplyKind::BadResult,
            };
            Finish::Reply(reply(kind, Some(failure.kind), &failure.message, &failure.trace))
        }
        Err(Broken { error, was_entered }) => match error.downcast_ref::<Trap>() {
            Some(trap) => Finish::Trapped(*trap),
            None if state.was_stopped() => Finish::NoRoom,
            // One that runs has lived through what it was refused.
            None if !was_entered && state.was_ended() => Finish::NoRoom,
            None if error.is::<PoolConcurrencyLimitError>() => {
                return Err(HostFault::new(format!("run a component: {error:#}")));
            }
            None => return Ok(broken(error)),
        },
    };
    Ok(ending(state, &call.limits, &finish))
}

/// What came over the border did not keep the rules of the component model, or of WASI.
fn broken(error: &wasmtime::Error) -> CallEnding {
    let message = format!("the component broke its contract: {}", error.root_cause());
    CallEnding::Raised(Words::new(readable(message.as_bytes(), LONGEST_MESSAGE)))
}

fn reply<'a>(kind: ReplyKind, failure: Option<FailureKind>, message: &'a str, payload: &'a str) -> Reply<'a> {
    Reply {
        kind,
        is_out_of_memory: failure == Some(FailureKind::OutOfMemory),
        is_refusal: failure == Some(FailureKind::Refused),
        message: message.as_bytes(),
        payload: payload.as_bytes(),
    }
}

/// Adds the interface `host` to a linker.
///
/// # Errors
/// Never with a fresh linker.
pub(super) fn link_host(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    host::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
    types::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
}

impl types::Host for CallState {}

impl host::Host for CallState {
    fn call(&mut self, name: String, arguments: String) -> wasmtime::Result<Result<String, host::CallFailure>> {
        let answer = self.call_granted(&name, &arguments).map_err(|stop| self.end(stop))?;
        Ok(match answer {
            Answer::Returned(result) => Ok(result.get().to_owned()),
            Answer::Failed(message) => Err(host::CallFailure::Failed(message)),
            Answer::NotGranted(message) => Err(host::CallFailure::NotGranted(message)),
        })
    }

    fn file_names(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.files().iter().map(|(name, _)| name.to_string()).collect())
    }

    fn file_size(&mut self, name: String) -> wasmtime::Result<Option<u64>> {
        Ok(self.files().get(&name).map(|bytes| bytes.len() as u64))
    }

    fn read_file(&mut self, name: String, offset: u64, length: u32) -> wasmtime::Result<Vec<u8>> {
        let Some(file) = self.files().get(&name) else { return Ok(Vec::new()) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
        let part = &file[start..];
        // A list may be lowered at once, so that it is as long as a piece between two looks at the clock.
        Ok(part[..part.len().min(length as usize).min(PIECE)].to_vec())
    }

    fn refused(&mut self, capability: String) -> wasmtime::Result<()> {
        self.note_refused(&capability);
        Ok(())
    }
}
