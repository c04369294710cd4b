//! Source text to code that is ready to run, and the compiled form that the host keeps between calls.
//!
//! Source is a script, in sloppy mode as an author expects who writes no `import`; what is no script but a module is a
//! module. How to reach the entry is compiled with it: of a script by a second script that names it, of a module by an
//! export that is added at its end. The entry is a name of the language, or there is none.
//!
//! The compiled form, all lengths as `u32`: `u8 what it is, length of the code, length of the way to the entry, length of
//! the table of positions, code, way, table, source`. Code is the engine's own bytecode.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};

use crate::engine::{Thrown, Value, context, q, take_exception};
use crate::error;
use crate::realm;
use crate::text;
use crate::wire::{Form, Kind, Reply, Request};

/// The file name of the function's code in traces.
pub const FILE_NAME: &CStr = if cfg!(feature = "typescript") { c"function.ts" } else { c"function.js" };
/// The file name of the shim's own code; traces leave it out.
pub const OWN_FILE_NAME: &CStr = c"<greensand>";

/// The export by which the entry of a module is reached.
pub const ENTRY_EXPORT: &CStr = c"greensand entry";

/// Code that is ready to run, and where it comes from.
pub struct Program<'a> {
    pub code: Value,
    pub what: What,
    /// Gives the entry of a script, when it is run after it.
    pub way: Option<Value>,
    pub origin: Origin<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    Script,
    Module,
}

/// What the author wrote, and where the code stands in it.
#[derive(Clone)]
pub struct Origin<'a> {
    pub source: &'a str,
    /// See [`crate::lines`].
    pub positions: Cow<'a, [u8]>,
}

/// JavaScript made of the author's source.
pub struct Readable<'a> {
    pub code: Cow<'a, str>,
    pub origin: Origin<'a>,
}

/// Gets the request's code ready to run.
pub fn load<'a>(request: &Request<'a>) -> Result<Program<'a>, Reply> {
    match request.form {
        Form::Source => compile(request.code, request.entry),
        Form::Compiled => unpack(request.code).map_err(|Thrown| {
            if realm::state(|state| state.refused_an_import) {
                return error::reply(&Origin { source: "", positions: Cow::Borrowed(&[]) });
            }
            drop(take_exception());
            Reply::new(Kind::BadSource, "the compiled form is damaged")
        }),
    }
}

/// Compiles source, and the way to its entry.
pub fn compile<'a>(source: &'a [u8], entry: &str) -> Result<Program<'a>, Reply> {
    let Readable { code, origin } = readable(source)?;
    let script = unit(&code, FILE_NAME, q::JS_EVAL_TYPE_GLOBAL);
    let refused_script = match script {
        Ok(script) => {
            let way = way_to(entry);
            return Ok(Program { code: script, what: What::Script, way, origin });
        }
        Err(Thrown) => take_exception(),
    };
    match module(&code, entry) {
        Ok(module) => Ok(Program { code: module, what: What::Module, way: None, origin }),
        Err(Thrown) if realm::state(|state| state.refused_an_import) => Err(error::reply(&origin)),
        Err(Thrown) => Err(error::refused_source([refused_script, take_exception()], &origin)),
    }
}

/// The script that gives the value of a name at the top level of another.
fn way_to(entry: &str) -> Option<Value> {
    if !is_identifier(entry) {
        return None;
    }
    let way = unit(&format!("typeof {entry}===\"undefined\"?undefined:{entry}"), OWN_FILE_NAME, q::JS_EVAL_TYPE_GLOBAL);
    way.inspect_err(|Thrown| drop(take_exception())).ok()
}

fn module(code: &str, entry: &str) -> Result<Value, Thrown> {
    // First as it is: an unfinished statement must not be finished by what is added.
    let plain = unit(code, FILE_NAME, q::JS_EVAL_TYPE_MODULE);
    match plain {
        Ok(plain) if is_identifier(entry) => {
            let name = ENTRY_EXPORT.to_str().unwrap_or_default();
            let code = format!("{code}\n;export {{ {entry} as \"{name}\" }};");
            let module = unit(&code, FILE_NAME, q::JS_EVAL_TYPE_MODULE);
            Ok(module.inspect_err(|Thrown| drop(take_exception())).unwrap_or(plain))
        }
        other => other,
    }
}

/// Compiles one text without running it.
pub fn unit(code: &str, file_name: &CStr, flags: u32) -> Result<Value, Thrown> {
    let mut ended = Vec::with_capacity(code.len() + 1);
    ended.extend(code.as_bytes());
    ended.push(0);
    let flags = (flags | q::JS_EVAL_FLAG_COMPILE_ONLY) as c_int;
    let (text, length) = (ended.as_ptr().cast(), code.len() as _);
    Value::owned(unsafe { q::JS_Eval(context(), text, length, file_name.as_ptr(), flags) })
}

/// Whether a text can be a name. Words of the language can too, and then do not compile.
fn is_identifier(name: &str) -> bool {
    let is_first = |character: char| character.is_alphabetic() || matches!(character, '_' | '$');
    name.starts_with(is_first) && name.chars().all(|character| is_first(character) || character.is_numeric())
}

/// Checks the bytes of a source and makes JavaScript of it.
pub fn readable(source: &[u8]) -> Result<Readable<'_>, Reply> {
    let source = str::from_utf8(source).map_err(|at| {
        Reply::new(Kind::BadSource, format!("the source is not UTF-8: invalid at byte {}", at.valid_up_to()))
    })?;
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    if let Some(at) = source.find('\0') {
        return Err(Reply::new(Kind::BadSource, format!("the source has a NUL character at byte {at}")));
    }
    #[cfg(feature = "typescript")]
    {
        let javascript = crate::typescript::to_javascript(source)
            .map_err(|refusal| bad_source(&refusal.message, refusal.position, source))?;
        let origin = Origin { source, positions: Cow::Owned(javascript.positions) };
        Ok(Readable { code: Cow::Owned(javascript.code), origin })
    }
    #[cfg(not(feature = "typescript"))]
    Ok(Readable { code: Cow::Borrowed(source), origin: Origin { source, positions: Cow::Borrowed(&[]) } })
}

/// The reply for source that does not parse, with the line at fault.
pub fn bad_source(message: &str, position: Option<(u32, u32)>, source: &str) -> Reply {
    let message = text::one_line(message, 500);
    let Some((line, column)) = position else { return Reply::new(Kind::BadSource, message) };
    let mut reply = Reply::new(Kind::BadSource, format!("line {line}, column {column}: {message}"));
    reply.payload = excerpt(source, line, column).into_bytes();
    reply
}

/// The line at fault with a mark below the column.
fn excerpt(source: &str, line: u32, column: u32) -> String {
    let Some(text) = line_of(source, line) else { return String::new() };
    let text = text.trim_end();
    let indent = text.chars().take_while(|character| character.is_whitespace()).count();
    let shown = text::one_line(text.trim_start(), 200);
    let mark = (column as usize).saturating_sub(1 + indent);
    if mark > shown.chars().count() {
        return format!("    {shown}\n");
    }
    format!("    {shown}\n    {:mark$}^\n", "")
}

/// A line of a text, counted from 1.
pub fn line_of(source: &str, line: u32) -> Option<&str> {
    source.lines().nth((line as usize).checked_sub(1)?)
}

/// The compiled form of a program.
pub fn pack(program: &Program<'_>) -> Result<Vec<u8>, Thrown> {
    let code = bytecode(&program.code)?;
    let way = program.way.as_ref().map(bytecode).transpose()?.unwrap_or_default();
    let Origin { source, positions } = &program.origin;
    let mut form = Vec::with_capacity(13 + code.len() + way.len() + positions.len() + source.len());
    form.push(u8::from(program.what == What::Module));
    form.extend([code.len(), way.len(), positions.len()].into_iter().flat_map(|length| (length as u32).to_le_bytes()));
    form.extend(code);
    form.extend(way);
    form.extend(&positions[..]);
    form.extend(source.as_bytes());
    Ok(form)
}

fn unpack(form: &[u8]) -> Result<Program<'_>, Thrown> {
    let (what, rest) = form.split_first().ok_or(Thrown)?;
    let (lengths, rest) = rest.split_first_chunk::<12>().ok_or(Thrown)?;
    let length = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| lengths[4 * at + byte])) as usize;
    let (code, rest) = rest.split_at_checked(length(0)).ok_or(Thrown)?;
    let (way, rest) = rest.split_at_checked(length(1)).ok_or(Thrown)?;
    let (positions, source) = rest.split_at_checked(length(2)).ok_or(Thrown)?;
    let (what, tag) = match what {
        0 => (What::Script, q::JS_TAG_FUNCTION_BYTECODE),
        _ => (What::Module, q::JS_TAG_MODULE),
    };
    let code = from_bytecode(code, tag)?;
    let way = (!way.is_empty()).then(|| from_bytecode(way, q::JS_TAG_FUNCTION_BYTECODE)).transpose()?;
    let origin = Origin { source: str::from_utf8(source).map_err(|_| Thrown)?, positions: Cow::Borrowed(positions) };
    Ok(Program { code, what, way, origin })
}

fn bytecode(code: &Value) -> Result<Vec<u8>, Thrown> {
    let mut length: q::size_t = 0;
    let flags = q::JS_WRITE_OBJ_BYTECODE as c_int;
    let bytes = unsafe { q::JS_WriteObject(context(), &mut length, code.raw(), flags) };
    if bytes.is_null() {
        return Err(Thrown);
    }
    let copy = unsafe { std::slice::from_raw_parts(bytes, length as usize) }.to_vec();
    unsafe { q::js_free(context(), bytes.cast()) };
    Ok(copy)
}

fn from_bytecode(bytes: &[u8], tag: i32) -> Result<Value, Thrown> {
    let flags = q::JS_READ_OBJ_BYTECODE as c_int;
    let code = Value::owned(unsafe { q::JS_ReadObject(context(), bytes.as_ptr(), bytes.len() as _, flags) })?;
    if code.tag() == tag { Ok(code) } else { Err(Thrown) }
}
