//! Exceptions as replies: one line that says what happened, and a trace in the function's own lines.
//!
//! Everything here is robust against the exception: its text may be huge, fail or hold control characters, its type
//! may have any name, its chain may be a circle. No Python code runs but the exception's own `__str__`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::interpreter::leave;
use crate::json_out::{escaped, qualified_name};
use crate::libc::EACCES;
use crate::memory;
use crate::python::{
    self, Object, PyErr_GetRaisedException, PyException_GetCause, PyException_GetContext, PyException_GetTraceback,
    PyFrame_GetCode, PyList_GetItemRef, PyList_Size, PyObject_Str, PyTuple_Size, PyType_GetFlags, PyUnicode_GetLength,
    PyUnicode_Substring, Raised, flag,
};
use crate::source::{FILE_NAME, OWN_FILE_NAME};
use crate::text::{self, MAX_MESSAGE, MAX_TRACE};
use crate::wire::{Kind, OUT_OF_MEMORY, REFUSED, Reply};

/// Takes the exception that is set in the interpreter.
pub fn take() -> Option<Object> {
    Object::owned(unsafe { PyErr_GetRaisedException() }).ok()
}

/// The reply for the exception that left the function. `source` is the function's text, for the trace.
pub fn reply(source: &str) -> Reply {
    let Some(exception) = take() else {
        return Reply::new(Kind::Raised, "SystemError: failed without an exception");
    };
    let kind = exception.kind();
    let mut reply = Reply::new(Kind::Raised, message(&exception));
    if python::derives(kind, python::system_exit()) {
        reply.kind = Kind::Exited;
        reply.message = format!("the function ended the interpreter: {}", reply.message);
    } else if python::derives(kind, python::memory_error()) {
        reply.flags |= OUT_OF_MEMORY;
        if memory::was_missing() {
            ask_for_too_much();
        }
    } else if is_refusal(&exception) {
        reply.flags |= REFUSED;
    }
    reply.payload = trace(&exception, source).into_bytes();
    python::clear();
    leave(exception);
    reply
}

/// Asks the host for more memory than there can be.
///
/// CPython itself refuses what is larger than the address space (`[0] * 10**9`) and never asks for it. The host
/// believes in its own refusals only, so it is given the occasion.
fn ask_for_too_much() {
    const WHOLE_ADDRESS_SPACE: usize = 1 << 16;
    core::arch::wasm32::memory_grow(0, WHOLE_ADDRESS_SPACE);
}

/// Whether this is how Python reports a refused capability: `PermissionError`, or another `OSError` made of one
/// (`urllib` wraps it).
fn is_refusal(exception: &Object) -> bool {
    if !python::derives(exception.kind(), python::os_error()) {
        return false;
    }
    let context = || Object::owned(unsafe { PyException_GetContext(exception.pointer()) });
    is_permission_error(exception)
        || context().is_ok_and(|inner| python::derives(inner.kind(), python::os_error()) && is_permission_error(&inner))
}

fn is_permission_error(exception: &Object) -> bool {
    const EPERM: i32 = 63;
    let number = exception.attribute(c"errno").ok().filter(|number| !number.is_none());
    let number = number.map(|number| unsafe { python::PyLong_AsLong(number.pointer()) });
    python::clear();
    matches!(number, Some(EACCES | EPERM))
}

/// `ValueError: x must be positive`, or the name alone when there is no text.
pub fn message(exception: &Object) -> String {
    let mut message = qualified_name(exception.kind());
    let text = message_text(exception);
    python::clear();
    match text {
        Ok(text) if text.is_empty() => {}
        Ok(text) => {
            message.push_str(": ");
            text::push_escaped(&mut message, &text::without_addresses(&text));
        }
        Err(Raised) => message.push_str(": <its text could not be made>"),
    }
    text::bounded(&message, MAX_MESSAGE).into_owned()
}

/// The exception's text. A huge one is cut before it is copied.
fn message_text(exception: &Object) -> Result<String, Raised> {
    const MOST: isize = MAX_MESSAGE as isize;
    let text = Object::owned(unsafe { PyObject_Str(exception.pointer()) })?;
    let length = unsafe { PyUnicode_GetLength(text.pointer()) };
    if length <= 2 * MOST {
        return escaped(&text);
    }
    let part = |start, end| Object::owned(unsafe { PyUnicode_Substring(text.pointer(), start, end) });
    Ok([escaped(&part(0, MOST)?)?, escaped(&part(length - MOST, length)?)?].concat())
}

/// Python's traceback, with the exceptions that led to it.
fn trace(exception: &Object, source: &str) -> String {
    let out = chain_text(exception, source, 0);
    python::clear();
    text::bounded(&out, MAX_TRACE).into_owned()
}

/// The exceptions that led to this one, and this one; `level` counts the groups that it is in.
fn chain_text(exception: &Object, source: &str, level: usize) -> String {
    const MOST_EXCEPTIONS: usize = 6;
    let mut chain: Vec<(Object, &str)> = Vec::new();
    let mut current = Some((exception.clone(), ""));
    while let Some((exception, relation)) = current.take() {
        let seen = chain.iter().any(|(other, _)| other.pointer() == exception.pointer());
        if seen || chain.len() == MOST_EXCEPTIONS {
            break;
        }
        current = origin(&exception);
        chain.push((exception, relation));
    }
    let mut out = String::new();
    for (exception, relation) in chain.iter().rev() {
        push_frames(&mut out, exception, source);
        out.push_str(&message(exception));
        out.push('\n');
        push_notes(&mut out, exception);
        push_group(&mut out, exception, source, level);
        out.push_str(relation);
        if out.len() > 4 * MAX_TRACE {
            break;
        }
    }
    out
}

/// What was added to the exception by `add_note`.
fn push_notes(out: &mut String, exception: &Object) {
    const MOST_NOTES: isize = 16;
    let notes = exception.attribute(c"__notes__");
    let Some(notes) = notes.ok().filter(|notes| unsafe { PyType_GetFlags(notes.kind()) } & flag::LIST != 0) else {
        python::clear();
        return;
    };
    for at in 0..unsafe { PyList_Size(notes.pointer()) }.min(MOST_NOTES) {
        let note = Object::owned(unsafe { PyList_GetItemRef(notes.pointer(), at) });
        let note = note.ok().filter(|note| unsafe { PyType_GetFlags(note.kind()) } & flag::TEXT != 0);
        if let Some(Ok(note)) = note.map(|note| escaped(&note)) {
            note.lines().for_each(|line| out.extend([&text::one_line(line, MAX_MESSAGE), "\n"]));
        }
    }
    python::clear();
}

/// The exceptions that a group holds, each behind a bar.
fn push_group(out: &mut String, exception: &Object, source: &str, level: usize) {
    const MOST_LEVELS: usize = 3;
    const MOST_MEMBERS: isize = 8;
    if level >= MOST_LEVELS || !python::derives(exception.kind(), python::base_exception_group()) {
        return;
    }
    let members = exception.attribute(c"exceptions");
    let Some(members) = members.ok().filter(|members| unsafe { PyType_GetFlags(members.kind()) } & flag::TUPLE != 0)
    else {
        python::clear();
        return;
    };
    let count = unsafe { PyTuple_Size(members.pointer()) };
    for at in 0..count.min(MOST_MEMBERS) {
        let Ok(member) = python::tuple_item(&members, at) else { break };
        out.push_str(&format!("  +---------------- {} ----------------\n", at + 1));
        let member = chain_text(&member, source, level + 1);
        member.lines().for_each(|line| out.extend(["  | ", line, "\n"]));
    }
    if count > MOST_MEMBERS {
        out.push_str(&format!("  +---------------- and {} more\n", count - MOST_MEMBERS));
    }
    python::clear();
}

/// The exception that led to this one, and the words that join them.
fn origin(exception: &Object) -> Option<(Object, &'static str)> {
    if let Ok(cause) = Object::owned(unsafe { PyException_GetCause(exception.pointer()) }) {
        return Some((cause, "\nThe above exception was the direct cause of the following exception:\n\n"));
    }
    let context = Object::owned(unsafe { PyException_GetContext(exception.pointer()) }).ok()?;
    let suppressed = exception.attribute(c"__suppress_context__").ok()?;
    if suppressed.pointer() == python::py_true() {
        return None;
    }
    Some((context, "\nDuring handling of the above exception, another exception occurred:\n\n"))
}

fn push_frames(out: &mut String, exception: &Object, source: &str) {
    const SHOWN_REPEATS: usize = 3;
    let Ok(mut entry) = Object::owned(unsafe { PyException_GetTraceback(exception.pointer()) }) else { return };
    let (mut previous, mut repeats) = (String::new(), 0);
    let mut in_event_loop = false;
    loop {
        let frame = Frame::of(&entry);
        // The event loop was started by the shim; the function's own frames come after its.
        in_event_loop = frame.as_ref().is_ok_and(|frame| {
            frame.file == OWN_FILE_NAME || in_event_loop && frame.file.starts_with("<stdlib>/asyncio/")
        });
        if let Ok(frame) = frame
            && !in_event_loop
            && !frame.file.starts_with("<frozen importlib")
        {
            if previous.is_empty() {
                out.push_str("Traceback (most recent call last):\n");
            }
            let frame = frame.text(source);
            repeats = if frame == previous { repeats + 1 } else { push_repeats(out, repeats, SHOWN_REPEATS) };
            if repeats < SHOWN_REPEATS {
                out.push_str(&frame);
            }
            previous = frame;
        }
        match entry.attribute(c"tb_next") {
            Ok(next) if !next.is_none() => entry = next,
            _ => break,
        }
    }
    push_repeats(out, repeats, SHOWN_REPEATS);
}

/// Says how many equal frames were left out; gives the count to go on with.
fn push_repeats(out: &mut String, repeats: usize, shown: usize) -> usize {
    if repeats >= shown {
        out.push_str(&format!("  [Previous line repeated {} more times]\n", repeats + 1 - shown));
    }
    0
}

/// One entry of a traceback.
struct Frame {
    file: String,
    line: i32,
    name: String,
}

impl Frame {
    fn of(entry: &Object) -> Result<Frame, Raised> {
        let frame = entry.attribute(c"tb_frame")?;
        let code = Object::owned(unsafe { PyFrame_GetCode(frame.pointer()) })?;
        Ok(Frame {
            file: escaped(&code.attribute(c"co_filename")?)?,
            line: entry.integer_attribute(c"tb_lineno").unwrap_or_default(),
            name: escaped(&code.attribute(c"co_name")?)?,
        })
    }

    /// The frame as Python prints it, with the line of the function's source.
    fn text(&self, source: &str) -> String {
        let (file, name) = (text::one_line(&self.file, 200), text::one_line(&self.name, 200));
        let mut text = format!("  File \"{file}\", line {}, in {name}\n", self.line);
        if self.file == FILE_NAME
            && let Some(line) = usize::try_from(self.line - 1).ok().and_then(|line| source.lines().nth(line))
        {
            text.push_str("    ");
            text.push_str(&text::one_line(line.trim(), 200));
            text.push('\n');
        }
        text
    }
}
