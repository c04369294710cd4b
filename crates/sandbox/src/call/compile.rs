//! A file of a package, compiled by the guest that will run it.

use std::error::Error;

use greensand_types::Limits;

use super::guest::guarded_store;
use super::state::CallState;
use super::wire::{Form, Reply, ReplyKind, Request};
use crate::image::Image;
use crate::ticker::Ticker;

/// The optional export that compiles a file.
const COMPILE: &str = "gs_compile";

/// Compiles one file on a fresh instance. Nothing is returned for a file that is to stay as it is.
///
/// # Errors
/// When the guest takes no packages, or does not give an answer.
pub(crate) fn compile_file(
    image: &Image,
    ticker: &Ticker,
    limits: &Limits,
    path: &str,
    content: &[u8],
) -> Result<Option<Vec<u8>>, Box<dyn Error + Send + Sync>> {
    let _ticking = ticker.run();
    let mut store = guarded_store(image.engine(), CallState::of_start(limits, image.library().cloned()));
    let instance = image.instantiate(&mut store)?;
    let no_answer = || format!("the guest gave no answer to `{path}`");
    let request = Request {
        form: Form::Source,
        is_tagged: false,
        max_result: u64::MAX,
        seed: 0,
        code: content,
        entry: path.as_bytes(),
        arguments: &[],
    };
    let request = request.encode().ok_or_else(no_answer)?;
    let length = u32::try_from(request.len())?;
    let memory = instance.get_memory(&mut store, "memory").ok_or_else(no_answer)?;
    let Ok(compile) = instance.get_typed_func::<(u32, u32), i64>(&mut store, COMPILE) else {
        return Err("the language takes no packages".into());
    };
    let pointer = instance.get_typed_func::<u32, u32>(&mut store, "gs_alloc")?.call(&mut store, length)?;
    memory.write(&mut store, pointer as usize, &request)?;
    let packed = compile.call(&mut store, (pointer, length)).map_err(|error| match store.data().stop_reason() {
        Some(reason) => format!("compiling `{path}` was stopped: {reason}").into(),
        None => Box::<dyn Error + Send + Sync>::from(error),
    })?;
    let reply = Reply::decode(memory.data(&store), packed).ok_or_else(no_answer)?;
    match reply.kind {
        ReplyKind::Returned => Ok((!reply.payload.is_empty()).then(|| reply.payload.to_vec())),
        ReplyKind::Raised
        | ReplyKind::BadSource
        | ReplyKind::BadEntry
        | ReplyKind::BadArguments
        | ReplyKind::BadResult
        | ReplyKind::TooLarge
        | ReplyKind::Exited => Err(format!("`{path}`: {}", String::from_utf8_lossy(reply.message)).into()),
    }
}
