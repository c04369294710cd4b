//! The imports by which a guest reaches what it was granted: functions and input files.

use wasmtime::Caller;

use super::granted::Answer;
use super::host::{PIECE, with_name, with_range};
use super::state::{CallState, Stop};

/// Calls a granted function; returns its status, and the length of the reply that now waits for `take`.
pub(super) fn call(
    mut caller: Caller<'_, CallState>,
    name: u32,
    name_length: u32,
    arguments: u32,
    arguments_length: u32,
) -> wasmtime::Result<i64> {
    let name = with_name(&mut caller, "call", name, name_length, |name, _| Ok(name.to_owned()))?;
    let arguments = with_range(&mut caller, "call", arguments, arguments_length, |bytes, state| {
        let text = || str::from_utf8(bytes).map_err(|_| Answer::Failed("the arguments are not UTF-8 text".into()));
        Ok(state.granted.check_length(&name, bytes.len()).and_then(|()| text()).map(str::to_owned))
    })?;
    let state = caller.data_mut();
    let answer = match arguments {
        Ok(arguments) => state.call_granted(&name, &arguments).map_err(|stop| state.end(stop))?,
        Err(refusal) => refusal,
    };
    let (status, reply) = match answer {
        Answer::Returned(result) => (0, result.get().as_bytes().to_vec()),
        Answer::Failed(message) => (1, message.into_bytes()),
        Answer::NotGranted(message) => (2, message.into_bytes()),
    };
    let length = wait_for_take(state, reply).map_err(|stop| state.end(stop))?;
    Ok(status << 32 | i64::from(length))
}

/// Copies the waiting reply. Without one there is nothing to copy.
pub(super) fn take(mut caller: Caller<'_, CallState>, into: u32) -> wasmtime::Result<()> {
    let reply = std::mem::take(&mut caller.data_mut().granted.waiting);
    let length = u32::try_from(reply.len()).unwrap_or(u32::MAX);
    with_range(&mut caller, "take", into, length, |bytes, _| {
        bytes.copy_from_slice(&reply);
        Ok(())
    })
}

/// Returns the size of a granted file, or -1.
pub(super) fn file_size(mut caller: Caller<'_, CallState>, name: u32, name_length: u32) -> wasmtime::Result<i64> {
    with_name(&mut caller, "file_size", name, name_length, |name, state| {
        let size = state.files().get(name).map(|bytes| bytes.len());
        Ok(size.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1))
    })
}

/// Copies a part of a granted file and returns how many bytes there were, or -1 when there is no such file.
pub(super) fn file_read(
    mut caller: Caller<'_, CallState>,
    name: u32,
    name_length: u32,
    offset: i64,
    into: u32,
    length: u32,
) -> wasmtime::Result<i32> {
    let file =
        with_name(&mut caller, "file_read", name, name_length, |name, state| Ok(state.files().get(name).cloned()))?;
    let Some(file) = file else { return Ok(-1) };
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
    let part = &file[start..];
    // What is said to have been read must fit the answer.
    let part = &part[..part.len().min(length as usize).min(i32::MAX as usize)];
    let copied = u32::try_from(part.len()).unwrap_or(u32::MAX);
    with_range(&mut caller, "file_read", into, copied, |bytes, state| {
        for (to, from) in bytes.chunks_mut(PIECE).zip(part.chunks(PIECE)) {
            to.copy_from_slice(from);
            state.clock.stop().map_or(Ok(()), Err)?;
        }
        Ok(())
    })?;
    Ok(copied.cast_signed())
}

/// Returns the length of the names of the granted files as a JSON array, which now waits for `take`.
pub(super) fn file_names(mut caller: Caller<'_, CallState>) -> wasmtime::Result<u32> {
    let state = caller.data_mut();
    let names: Vec<&str> = state.files().iter().map(|(name, _)| name.as_str()).collect();
    let names = serde_json::to_vec(&names).expect("texts are JSON");
    wait_for_take(state, names).map_err(|stop| state.end(stop))
}

/// Keeps a reply until the guest takes it.
fn wait_for_take(state: &mut CallState, reply: Vec<u8>) -> Result<u32, Stop> {
    // A length that its half of the answer cannot hold: far above every limit of results.
    let length = u32::try_from(reply.len()).map_err(|_| Stop::Fault("a reply to the guest is too long".into()))?;
    state.granted.waiting = reply;
    Ok(length)
}
