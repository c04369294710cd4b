//! Source text to code objects, and the compiled form that the host keeps between calls.
//!
//! The compiled form is CPython's marshalled code followed by the source, which traces quote:
//! `u32 length of the code, u8 whether it may import, code, source`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error;
use crate::json_out::escaped;
use crate::python::{
    self, CompilerFlags, MARSHAL_VERSION, Object, Py_CompileStringExFlags, PyMarshal_ReadObjectFromString,
    PyMarshal_WriteObjectToString, Raised,
};
use crate::text;
use crate::wire::{Form, Kind, OUT_OF_MEMORY, Reply, Request};

/// The file name of the function's code in traces.
pub const FILE_NAME: &str = "<function>";
/// The file name of the shim's own Python code; traces leave it out.
pub const OWN_FILE_NAME: &str = "<greensand>";

/// `Py_file_input`: a sequence of statements.
const STATEMENTS: i32 = 257;

/// Code that is ready to run, and its text.
pub struct Compiled<'a> {
    pub code: Object,
    pub source: &'a str,
    /// Whether the code may reach a module. What cannot needs no seeded generator.
    pub may_import: bool,
}

/// Gets the request's code ready to run.
pub fn load<'a>(request: &Request<'a>) -> Result<Compiled<'a>, Reply> {
    match request.form {
        Form::Source => compile(request.code),
        Form::Compiled => unpack(request.code).map_err(|Raised| {
            python::clear();
            Reply::new(Kind::BadSource, "the compiled form is damaged")
        }),
    }
}

/// Compiles the source of a function.
pub fn compile(source: &[u8]) -> Result<Compiled<'_>, Reply> {
    let source = readable(source)?;
    match compile_text(source, FILE_NAME) {
        Ok(code) => Ok(Compiled { code, source, may_import: may_import(source) }),
        Err(Raised) => Err(bad_source(source)),
    }
}

/// Looks for the words without which source text reaches no module, wherever they stand. Names that are not ASCII may be read as
/// other ones by the language.
fn may_import(source: &str) -> bool {
    const WORDS: [&str; 9] = ["import", "exec", "eval", "__", "getattr", "globals", "locals", "vars", "breakpoint"];
    !source.is_ascii() || WORDS.iter().any(|word| source.contains(word))
}

/// Source text that the compiler can be given: UTF-8, without NUL, something in it.
pub fn readable(source: &[u8]) -> Result<&str, Reply> {
    let source = str::from_utf8(source).map_err(|at| {
        Reply::new(Kind::BadSource, format!("the source is not UTF-8: invalid at byte {}", at.valid_up_to()))
    })?;
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    match source.find('\0') {
        Some(at) => Err(Reply::new(Kind::BadSource, format!("the source has a NUL character at byte {at}"))),
        None => Ok(source),
    }
}

/// Compiles text without NUL under a file name.
pub fn compile_text(source: &str, file_name: &str) -> Result<Object, Raised> {
    const SOURCE_IS_UTF8: i32 = 0x100;
    const IGNORE_ENCODING_COMMENT: i32 = 0x800;
    let source = ended(source);
    let file_name = ended(file_name);
    let mut flags = CompilerFlags { flags: SOURCE_IS_UTF8 | IGNORE_ENCODING_COMMENT, feature_version: 14 };
    Object::owned(unsafe {
        Py_CompileStringExFlags(source.as_ptr().cast(), file_name.as_ptr().cast(), STATEMENTS, &mut flags, 0)
    })
}

fn ended(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes
}

/// The compiled form of `source`.
pub fn pack(compiled: &Compiled<'_>) -> Result<Vec<u8>, Raised> {
    let code = marshalled(&compiled.code)?;
    let code = code.as_bytes()?;
    let mut form = Vec::with_capacity(5 + code.len() + compiled.source.len());
    form.extend((code.len() as u32).to_le_bytes());
    form.push(u8::from(compiled.may_import));
    form.extend(code);
    form.extend(compiled.source.as_bytes());
    Ok(form)
}

pub fn marshalled(code: &Object) -> Result<Object, Raised> {
    Object::owned(unsafe { PyMarshal_WriteObjectToString(code.pointer(), MARSHAL_VERSION) })
}

pub fn unmarshalled(code: &[u8]) -> Result<Object, Raised> {
    Object::owned(unsafe { PyMarshal_ReadObjectFromString(code.as_ptr(), code.len() as isize) })
}

fn unpack(form: &[u8]) -> Result<Compiled<'_>, Raised> {
    let (length, rest) = form.split_first_chunk::<4>().ok_or(Raised)?;
    let (may_import, rest) = rest.split_first().ok_or(Raised)?;
    let (code, source) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(Raised)?;
    let code = unmarshalled(code)?;
    if code.kind() != python::code_type() {
        return Err(Raised);
    }
    Ok(Compiled { code, source: str::from_utf8(source).map_err(|_| Raised)?, may_import: *may_import != 0 })
}

/// The reply for source that the compiler refused with the exception now set.
pub fn bad_source(source: &str) -> Reply {
    let Some(exception) = error::take() else {
        return Reply::new(Kind::BadSource, "the source does not compile");
    };
    if !python::derives(exception.kind(), python::syntax_error()) {
        let mut reply = Reply::new(Kind::BadSource, error::message(&exception));
        if exception.kind() == python::memory_error() {
            // The parser calls source that is nested too deep a `MemoryError` too, but with a text.
            match reply.message == "MemoryError" {
                true => (reply.kind, reply.flags) = (Kind::Raised, OUT_OF_MEMORY),
                false => reply.message = "the source is nested too deep for Python's parser".into(),
            }
        }
        return reply;
    }
    let line = exception.integer_attribute(c"lineno").ok();
    let column = exception.integer_attribute(c"offset").ok();
    let words = exception.attribute(c"msg").and_then(|words| escaped(&words)).unwrap_or_default();
    python::clear();
    let words = text::one_line(&words, 500);
    let (Some(line), Some(column)) = (line, column) else {
        return Reply::new(Kind::BadSource, words);
    };
    let mut reply = Reply::new(Kind::BadSource, format!("line {line}, column {column}: {words}"));
    reply.payload = excerpt(source, line, column).into_bytes();
    reply
}

/// The line at fault with a mark below the column.
fn excerpt(source: &str, line: i32, column: i32) -> String {
    let Some(text) = usize::try_from(line - 1).ok().and_then(|line| source.lines().nth(line)) else {
        return String::new();
    };
    let text = text.trim_end();
    let indent = text.chars().take_while(|character| character.is_whitespace()).count() as i32;
    let shown = text::one_line(text.trim_start(), 200);
    let mark = usize::try_from(column - 1 - indent).unwrap_or_default();
    if mark > shown.chars().count() {
        return format!("    {shown}\n");
    }
    format!("    {shown}\n    {:mark$}^\n", "")
}
