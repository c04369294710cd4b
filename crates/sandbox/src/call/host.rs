//! What a guest may import: the functions of the guest contract, and a stub for everything else.
//!
//! Every range comes from the guest and is checked against its memory. Work that grows with a length given by the
//! guest is done in pieces, with a look at the clock between them: the ticker cannot interrupt the host.

use std::ops::Range;

use wasmtime::{Caller, Engine, Extern, ExternType, Linker, Module};

use super::reach;
use super::state::{CallState, Stop, Stream};

/// The module name of the imports.
const MODULE: &str = "greensand";

/// How much is filled between two looks at the clock, in bytes.
pub(crate) const PIECE: usize = 1 << 20;

/// The longest name of a library module or of a capability that is looked at, in bytes.
const LONGEST_NAME: u32 = 1024;

/// Builds the imports of a module: the contract, and a stub that ends in `denied` for each further function.
///
/// # Errors
/// When the module imports what no stub can be made for: a memory, a table or a global.
pub(crate) fn link(engine: &Engine, module: &Module) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::<CallState>::new(engine);
    // A module may import one function twice, and the contract takes the place of its stubs.
    linker.allow_shadowing(true);
    for import in module.imports() {
        let name = format!("{}.{}", import.module(), import.name());
        let ExternType::Func(ty) = import.ty() else {
            return Err(wasmtime::Error::msg(format!("the guest imports `{name}`, which is no function")));
        };
        linker.func_new(import.module(), import.name(), ty, move |mut caller, _, _| {
            Err(caller.data_mut().end(Stop::Denied(name.clone())))
        })?;
    }
    link_contract(&mut linker)?;
    Ok(linker)
}

/// Adds the imports of the guest contract to a linker.
///
/// # Errors
/// Never, with a linker that allows shadowing or has none of them.
pub(crate) fn link_contract(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "write", write)?;
    linker.func_wrap(MODULE, "clock", |caller: Caller<'_, CallState>| caller.data().clock.now())?;
    linker.func_wrap(MODULE, "sleep", |mut caller: Caller<'_, CallState>, nanoseconds: i64| {
        let slept = caller.data_mut().sleep(nanoseconds);
        slept.map_err(|stop| caller.data_mut().end(stop))
    })?;
    linker.func_wrap(MODULE, "random", random)?;
    linker.func_wrap(MODULE, "module_size", module_size)?;
    linker.func_wrap(MODULE, "module_read", module_read)?;
    linker.func_wrap(MODULE, "call", reach::call)?;
    linker.func_wrap(MODULE, "take", reach::take)?;
    linker.func_wrap(MODULE, "file_size", reach::file_size)?;
    linker.func_wrap(MODULE, "file_read", reach::file_read)?;
    linker.func_wrap(MODULE, "file_names", reach::file_names)?;
    linker.func_wrap(MODULE, "refused", refused)?;
    linker.func_wrap(MODULE, "finish", |mut caller: Caller<'_, CallState>, pointer: u32, length: u32| {
        Err::<(), _>(caller.data_mut().finish(pointer, length))
    })?;
    Ok(())
}

fn write(mut caller: Caller<'_, CallState>, stream: i32, pointer: u32, length: u32) -> wasmtime::Result<()> {
    with_range(&mut caller, "write", pointer, length, |bytes, state| {
        let stream = if stream == 2 { Stream::Stderr } else { Stream::Stdout };
        state.write(stream, bytes)
    })
}

/// Fills a range of the guest's memory with the randomness of the call.
pub(crate) fn random(mut caller: Caller<'_, CallState>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    with_range(&mut caller, "random", pointer, length, |bytes, state| {
        for piece in bytes.chunks_mut(PIECE) {
            state.random.fill(piece).map_err(|error| Stop::Fault(format!("read the host's entropy: {error}")))?;
            state.clock.stop().map_or(Ok(()), Err)?;
        }
        Ok(())
    })
}

fn module_size(mut caller: Caller<'_, CallState>, pointer: u32, length: u32) -> wasmtime::Result<i32> {
    with_name(&mut caller, "module_size", pointer, length, |name, state| {
        let size = state.library.as_ref().and_then(|library| library.size(name));
        Ok(size.and_then(|size| i32::try_from(size).ok()).unwrap_or(-1))
    })
}

fn module_read(mut caller: Caller<'_, CallState>, pointer: u32, length: u32, into: u32) -> wasmtime::Result<()> {
    let module = with_name(&mut caller, "module_read", pointer, length, |name, state| match &state.library {
        Some(library) => library.read(name).map_err(|error| Stop::Fault(format!("read module `{name}`: {error}"))),
        None => Ok(None),
    })?;
    // A name that does not exist has no size either, so a guest that keeps the contract never asks for it.
    let Some(module) = module else {
        return Err(caller.data_mut().end(Stop::BadRange("module_read")));
    };
    let length = u32::try_from(module.len()).unwrap_or(u32::MAX);
    with_range(&mut caller, "module_read", into, length, |bytes, _| {
        bytes.copy_from_slice(&module);
        Ok(())
    })
}

fn refused(mut caller: Caller<'_, CallState>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    with_range(&mut caller, "refused", pointer, length.min(LONGEST_NAME), |bytes, state| {
        state.note_refused(&String::from_utf8_lossy(bytes));
        Ok(())
    })
}

/// Runs host work on a name that the guest gives. A text that cannot be a name is the empty one.
pub(super) fn with_name<T>(
    caller: &mut Caller<'_, CallState>,
    import: &'static str,
    pointer: u32,
    length: u32,
    work: impl FnOnce(&str, &mut CallState) -> Result<T, Stop>,
) -> wasmtime::Result<T> {
    with_range(caller, import, pointer, length, |bytes, state| {
        let bytes = if bytes.len() > LONGEST_NAME as usize { &[] } else { &*bytes };
        work(std::str::from_utf8(bytes).unwrap_or_default(), state)
    })
}

/// Runs host work on a range of the guest's memory, and ends the guest if the range or the work says so.
pub(crate) fn with_range<T>(
    caller: &mut Caller<'_, CallState>,
    import: &'static str,
    pointer: u32,
    length: u32,
    work: impl FnOnce(&mut [u8], &mut CallState) -> Result<T, Stop>,
) -> wasmtime::Result<T> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(caller.data_mut().end(Stop::BadRange(import)));
    };
    let (memory, state) = memory.data_and_store_mut(caller);
    let result = match memory.get_mut(range(pointer, length)) {
        Some(bytes) => work(bytes, state),
        None => Err(Stop::BadRange(import)),
    };
    result.map_err(|stop| state.end(stop))
}

fn range(pointer: u32, length: u32) -> Range<usize> {
    let start = pointer as usize;
    start..start.saturating_add(length as usize)
}
