//! The way in and out, for the code that is written around a function: the guest contract, from this side.

use std::fmt::{Debug, Display};
use std::io::Write;
use std::panic::PanicHookInfo;

use crate::{Fault, FromJson, Mismatch, Reader, ToJson, Writer, host};

#[link(wasm_import_module = "greensand")]
unsafe extern "C" {
    fn finish(reply: *const u8, len: usize) -> !;
}

/// The file in which the user's text stands.
const USER_FILE: &str = "user.rs";

/// The longest message of a reply, in bytes.
const LONGEST_MESSAGE: usize = 4 << 10;

const RETURNED: u32 = 0;
const RAISED: u32 = 1;
const BAD_ARGUMENTS: u32 = 4;
const BAD_RESULT: u32 = 5;
const TOO_LARGE: u32 = 6;

/// What a call is asked for, beside its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    is_tagged: bool,
    max_result: usize,
}

/// What comes of a call.
pub type Answer = Result<Vec<u8>, Failure>;

/// A call that returns nothing.
#[derive(Debug)]
pub struct Failure {
    kind: u32,
    message: String,
}

/// The arguments of a call, taken one by one in the order of the parameters.
pub struct Arguments<'a> {
    parameters: &'a [&'a str],
    /// The text of each argument that is given.
    given: Vec<Option<&'a str>>,
    next: usize,
    wanted: Wanted,
}

/// Makes room that is never freed: the instance lives for one call.
pub fn alloc(len: u32) -> u32 {
    let mut room: Vec<u8> = Vec::new();
    if room.try_reserve_exact(len as usize).is_err() {
        return 0;
    }
    room.leak().as_mut_ptr() as u32
}

/// Answers a request: reads the arguments for these parameters, and has `call` take them and call the function.
///
/// # Safety
/// `pointer` and `len` must be those of a request that lies in room of [`alloc`].
pub unsafe fn invoke(pointer: u32, len: u32, parameters: &[&str], call: fn(&mut Arguments<'_>) -> Answer) -> u64 {
    std::panic::set_hook(Box::new(panicked));
    // SAFETY: the caller vouches for the range.
    let request = unsafe { std::slice::from_raw_parts(pointer as *const u8, len as usize) };
    let answer = arguments(request, parameters).and_then(|mut arguments| call(&mut arguments));
    // The standard library keeps what has no new line yet; where it cannot be written, the host has ended the call.
    let _ = std::io::stdout().flush();
    let reply = match answer {
        Ok(payload) => reply(RETURNED, 0, "", &payload),
        Err(failure) => reply(failure.kind, 0, &failure.message, &[]),
    }
    .leak();
    (reply.as_ptr() as u64) << 32 | reply.len() as u64
}

/// Writes the value that the function returned.
pub fn answer<T: ToJson + ?Sized>(arguments: &Arguments<'_>, value: &T) -> Answer {
    let Wanted { is_tagged, max_result } = arguments.wanted;
    let mut writer = Writer::new(max_result, is_tagged);
    match value.to_json(&mut writer) {
        Ok(()) => Ok(writer.into_bytes()),
        Err(Fault::NoForm(mismatch)) => Err(Failure { kind: BAD_RESULT, message: mismatch.text("result") }),
        Err(Fault::TooLarge) => Err(Failure { kind: TOO_LARGE, message: "the result is too large".into() }),
        Err(Fault::Raised(message)) => Err(raised(message)),
    }
}

/// The failure of a function that returned an error.
pub fn raised(message: String) -> Failure {
    Failure { kind: RAISED, message }
}

/// An error, to be put into words by the best of the traits that it has: write `(&&&Returned(&error)).words()`.
pub struct Returned<'a, E>(pub &'a E);

/// The words of an error that can be displayed.
pub trait ByDisplay {
    /// Puts it into words.
    fn words(&self) -> String;
}

impl<E: Display> ByDisplay for &&Returned<'_, E> {
    fn words(&self) -> String {
        self.0.to_string()
    }
}

/// The words of an error that can only be debugged.
pub trait ByDebug {
    /// Puts it into words.
    fn words(&self) -> String;
}

impl<E: Debug> ByDebug for &Returned<'_, E> {
    fn words(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// The words of an error without any.
pub trait ByNothing {
    /// Puts it into words.
    fn words(&self) -> String;
}

impl<E> ByNothing for Returned<'_, E> {
    fn words(&self) -> String {
        "the function returned an error without words".into()
    }
}

impl Arguments<'_> {
    /// Takes the argument of the next parameter.
    pub fn take<T: FromJson>(&mut self) -> Result<T, Failure> {
        let index = self.next;
        self.next += 1;
        let name = self.parameters[index];
        match self.given[index] {
            Some(text) => T::from_json(&mut Reader::new(text)).map_err(|mismatch| bad(mismatch.text(name))),
            None => T::missing().ok_or_else(|| bad(format!("argument `{name}` is missing"))),
        }
    }
}

/// Reads a request and sorts the arguments by parameter.
fn arguments<'a>(request: &'a [u8], parameters: &'a [&'a str]) -> Result<Arguments<'a>, Failure> {
    const HEAD: usize = 32;
    let field = |index: usize| {
        let bytes = request.get(index * 4..index * 4 + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes) as usize
    };
    let (flags, max_result, code, entry, length) = (field(1), field(2), field(3), field(4), field(5));
    let text = request.get(HEAD + code + entry..).and_then(|rest| rest.get(..length));
    let text = text.and_then(|text| std::str::from_utf8(text).ok()).ok_or_else(|| bad("the request is malformed"))?;
    let mut given = vec![None; parameters.len()];
    let mut reader = Reader::new(text);
    let sorted = match reader.peek() {
        b'{' => reader.object("arguments", |reader, name| by_name(reader, name, parameters, &mut given)),
        _ => reader.array("arguments", |reader, index| by_position(reader, index, &mut given)),
    };
    sorted.map_err(|mismatch| bad(mismatch.message()))?;
    let wanted = Wanted { is_tagged: flags & 1 != 0, max_result };
    Ok(Arguments { parameters, given, next: 0, wanted })
}

fn by_name<'a>(
    reader: &mut Reader<'a>,
    name: &str,
    parameters: &[&str],
    given: &mut [Option<&'a str>],
) -> Result<(), Mismatch> {
    let Some(index) = parameters.iter().position(|parameter| *parameter == name) else {
        let known: Vec<_> = parameters.iter().map(|parameter| format!("`{parameter}`")).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        return Err(Mismatch::new(format!("there is no parameter {name:?}; there are: {known}")));
    };
    match given[index].replace(reader.value()) {
        None => Ok(()),
        Some(_) => Err(Mismatch::new(format!("argument `{name}` is given twice"))),
    }
}

fn by_position<'a>(reader: &mut Reader<'a>, index: usize, given: &mut [Option<&'a str>]) -> Result<(), Mismatch> {
    let count = given.len();
    match given.get_mut(index) {
        Some(place) => *place = Some(reader.value()),
        None => {
            let plural = if count == 1 { "" } else { "s" };
            return Err(Mismatch::new(format!("the function takes {count} argument{plural}, and there are more")));
        }
    }
    Ok(())
}

fn bad(message: impl Into<String>) -> Failure {
    Failure { kind: BAD_ARGUMENTS, message: message.into() }
}

/// Ends the call with what a panic says. There is no unwinding here, so it cannot return.
fn panicked(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a value that is no text");
    let place = panic.location().map(|place| match place.file() {
        file if file.ends_with(USER_FILE) => format!("line {}, column {}", place.line(), place.column()),
        file => format!("{}:{}", file.find("library/").map_or(file, |start| &file[start..]), place.line()),
    });
    let reply = reply(RAISED, 0, &format!("panicked: {}", cut(message)), place.unwrap_or_default().as_bytes());
    // SAFETY: the reply lies in memory of its own, and nothing runs after this.
    unsafe { finish(reply.as_ptr(), reply.len()) }
}

fn reply(kind: u32, flags: u32, message: &str, payload: &[u8]) -> Vec<u8> {
    let message = cut(message);
    let refusal = if kind == RAISED && host::reports_refusal(message) { 2 } else { 0 };
    let length = message.len() as u32;
    let head = [kind, flags | refusal, length].map(u32::to_le_bytes);
    [head.as_flattened(), message.as_bytes(), payload].concat()
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_MESSAGE)]
}
