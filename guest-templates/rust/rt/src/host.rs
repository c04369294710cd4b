//! What was granted to the function: other functions, and input files.

use std::error::Error;
use std::fmt;
use std::sync::Mutex;

use crate::{Fault, FromJson, Reader, ToJson, Writer};

#[link(wasm_import_module = "greensand")]
unsafe extern "C" {
    #[link_name = "call"]
    fn host_call(name: *const u8, name_len: usize, arguments: *const u8, arguments_len: usize) -> u64;
    fn file_size(name: *const u8, name_len: usize) -> i64;
    fn file_read(name: *const u8, name_len: usize, offset: i64, into: *mut u8, len: usize) -> i32;
    #[link_name = "file_names"]
    fn host_file_names() -> usize;
    fn take(into: *mut u8);
}

/// What the host said when it last refused a function that is not granted.
static REFUSAL: Mutex<String> = Mutex::new(String::new());

/// A call of another function that gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// No function of that name is granted.
    NotGranted(String),
    /// The function failed.
    Failed(String),
    /// Its arguments or its result do not fit the types.
    Types(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NotGranted(text) | Self::Failed(text) | Self::Types(text)) = self;
        formatter.write_str(text)
    }
}

impl Error for CallError {}

/// Calls a granted function with a tuple (by position; `()` for none) or a map (by name) of arguments.
///
/// # Errors
/// When it is not granted, fails, or returns something of another type.
pub fn call<T: FromJson>(name: &str, arguments: impl ToJson) -> Result<T, CallError> {
    let mut writer = Writer::new(usize::MAX, false);
    arguments.to_json(&mut writer).map_err(|fault| match fault {
        Fault::NoForm(mismatch) => CallError::Types(mismatch.text("arguments")),
        Fault::TooLarge => CallError::Types("the arguments are too large".into()),
        Fault::Raised(message) => CallError::Failed(message),
    })?;
    let mut arguments = writer.into_bytes();
    // The tuple of no arguments.
    if arguments == b"null" {
        arguments = b"[]".to_vec();
    }
    // SAFETY: the host reads both ranges, which are borrowed for as long as the call takes.
    let answer = unsafe { host_call(name.as_ptr(), name.len(), arguments.as_ptr(), arguments.len()) };
    let reply = taken((answer & 0xffff_ffff) as usize);
    match answer >> 32 {
        0 => T::from_json(&mut Reader::new(&reply)).map_err(|mismatch| CallError::Types(mismatch.text("result"))),
        1 => Err(CallError::Failed(reply)),
        _ => {
            if let Ok(mut refusal) = REFUSAL.lock() {
                refusal.clone_from(&reply);
            }
            Err(CallError::NotGranted(reply))
        }
    }
}

/// Returns a granted input file, or nothing when there is none of that name.
pub fn read_file(name: &str) -> Option<Vec<u8>> {
    // SAFETY: the host reads the name, which is borrowed for as long as the call takes.
    let size = usize::try_from(unsafe { file_size(name.as_ptr(), name.len()) }).ok()?;
    let mut bytes = vec![0; size];
    // SAFETY: as above; and the host writes at most as many bytes as there are.
    let read = unsafe { file_read(name.as_ptr(), name.len(), 0, bytes.as_mut_ptr(), size) };
    bytes.truncate(usize::try_from(read).unwrap_or(0));
    Some(bytes)
}

/// Returns the names of the granted input files, sorted.
pub fn file_names() -> Vec<String> {
    // SAFETY: the call has no arguments.
    let names = taken(unsafe { host_file_names() });
    Vec::from_json(&mut Reader::new(&names)).unwrap_or_default()
}

/// Says whether a message reports a function that was refused.
pub(crate) fn reports_refusal(message: &str) -> bool {
    REFUSAL.lock().is_ok_and(|refusal| !refusal.is_empty() && message.contains(refusal.as_str()))
}

fn taken(length: usize) -> String {
    let mut reply = vec![0; length];
    // SAFETY: the host writes the waiting reply, whose length is that of the room.
    unsafe { take(reply.as_mut_ptr()) };
    String::from_utf8_lossy(&reply).into_owned()
}
