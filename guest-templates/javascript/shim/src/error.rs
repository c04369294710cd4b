//! Exceptions as replies: one line that says what happened, and a trace in the function's own lines.
//!
//! Everything here is robust against the exception: it may be any value, its properties may be accessors that throw, its
//! text may be huge, its chain of causes a circle. No code of the function runs.

use crate::engine::{Thrown, Value, class, q, take_exception};
use crate::inspect;
use crate::jobs::{self, Unsettled};
use crate::lines;
use crate::memory;
use crate::realm::realm;
use crate::source::{self, FILE_NAME, OWN_FILE_NAME, Origin};
use crate::text::{self, MAX_MESSAGE, MAX_TRACE};
use crate::wire::{Kind, OUT_OF_MEMORY, REFUSED, Reply};

/// The `code` of the error by which the shim reports a refused capability.
pub const REFUSED_CODE: &str = "ERR_ACCESS_DENIED";

/// The reply for the exception that left the function.
pub fn reply(origin: &Origin<'_>) -> Reply {
    let exception = take_exception();
    if is_out_of_memory(&exception) {
        memory::release_reserve();
        if !exception.is_null() {
            memory::ask_for_too_much();
        }
        let mut reply = Reply::new(Kind::Raised, message(&exception));
        reply.flags = OUT_OF_MEMORY;
        return reply;
    }
    jobs::report_rejections();
    let mut reply = Reply::new(Kind::Raised, message(&exception));
    let code = exception.data(&realm().names.code).and_then(|code| code.as_text());
    if code.is_some_and(|code| code.as_str() == Some(REFUSED_CODE)) {
        reply.flags = REFUSED;
    }
    reply.payload = trace(&exception, origin).into_bytes();
    drop(take_exception());
    reply
}

/// Whether this is the engine's own error, or `null`, which it throws when there is no room even for that. A function can
/// throw either too: so the engine must have been refused memory in this call, whatever the error says.
fn is_out_of_memory(exception: &Value) -> bool {
    let is = |value: Option<Value>, text: &str| {
        value.and_then(|value| value.as_text()).is_some_and(|value| value.as_str() == Some(text))
    };
    let names = &realm().names;
    let is_named_so = || {
        exception.class_if_object() == Some(class::ERROR)
            && is(exception.own_data(&names.message), "out of memory")
            && is(exception.data(&names.name), "InternalError")
    };
    memory::was_refused() && (exception.is_null() || is_named_so())
}

/// An error of the shim for the function, with a `code` when there is one.
pub fn new_error(message: &str, code: Option<&str>) -> Result<Value, Thrown> {
    let names = &realm().names;
    let error = Value::owned(unsafe { q::JS_NewError(crate::engine::context()) })?;
    error.define(&names.message, Value::text(message)?)?;
    if let Some(code) = code {
        error.define(&names.code, Value::text(code)?)?;
    }
    Ok(error)
}

/// `TypeError: x is not a function`, or what was thrown when it is no error.
pub fn message(exception: &Value) -> String {
    if !is_error(exception) {
        return text::bounded(&format!("uncaught {}", one_line(&inspect::inspect(exception))), MAX_MESSAGE)
            .into_owned();
    }
    let mut message = name(exception);
    if let Some(text) = exception.data(&realm().names.message) {
        let text = match text.as_text() {
            Some(text) => one_line(&text.escaped()),
            None => one_line(&inspect::inspect(&text)),
        };
        if !text.is_empty() {
            message.push_str(": ");
            message.push_str(&text);
        }
    }
    text::bounded(&message, MAX_MESSAGE).into_owned()
}

fn is_error(value: &Value) -> bool {
    let is_foreign_error = || {
        value.class_if_object() == Some(class::OBJECT)
            && value.data(&realm().names.message).is_some_and(|text| text.is_text())
            && value.data(&realm().names.name).is_some_and(|text| text.is_text())
    };
    value.class_if_object() == Some(class::ERROR) || is_dom_exception(value) || is_foreign_error()
}

fn is_dom_exception(value: &Value) -> bool {
    value.is_object() && !value.is_proxy() && inspect::class_name(value) == "DOMException"
}

fn one_line(text: &str) -> String {
    text::one_line(text, 2 * MAX_MESSAGE)
}

/// The name of an error. A class of the function's own that does not set one is named by its constructor.
fn name(exception: &Value) -> String {
    let name = exception.data(&realm().names.name).and_then(|name| name.as_text()).map(|name| name.escaped());
    match name {
        Some(name) if name != "Error" && !name.is_empty() => text::one_line(&name, 200),
        _ => {
            let class = inspect::class_name(exception);
            if class == "Object" || class.is_empty() { "Error".into() } else { class }
        }
    }
}

/// The error with its frames, and the errors that caused it.
fn trace(exception: &Value, origin: &Origin<'_>) -> String {
    const MOST_CAUSES: usize = 6;
    let mut out = String::new();
    let mut seen: Vec<Value> = Vec::new();
    let mut current = Some(exception.clone());
    while let Some(exception) = current.take() {
        if seen.iter().any(|other| other.is(&exception)) || seen.len() == MOST_CAUSES {
            break;
        }
        if !seen.is_empty() {
            out.push_str("caused by: ");
        }
        out.push_str(&message(&exception));
        out.push('\n');
        push_frames(&mut out, &exception, origin);
        push_parts(&mut out, &exception);
        current = exception.own_data(&realm().names.cause);
        seen.push(exception);
    }
    text::bounded(&out, MAX_TRACE).into_owned()
}

/// The errors that an `AggregateError` holds.
fn push_parts(out: &mut String, exception: &Value) {
    const MOST: u32 = 10;
    let Some(errors) = exception.own_data(&realm().names.errors) else { return };
    if errors.class_if_object() != Some(class::ARRAY) {
        return;
    }
    let length = errors.length().unwrap_or_default();
    for at in 0..MOST.min(u32::try_from(length).unwrap_or_default()) {
        if let Ok(error) = errors.item(at) {
            out.push_str(&format!("    [{at}] {}\n", message(&error)));
        }
    }
}

fn push_frames(out: &mut String, exception: &Value, origin: &Origin<'_>) {
    const SHOWN_REPEATS: usize = 3;
    let Some(stack) = stack(exception) else { return };
    let (mut previous, mut repeats) = (String::new(), 0);
    for line in stack.lines() {
        let Some(frame) = frame(line, origin) else { continue };
        repeats = if frame == previous { repeats + 1 } else { 0 };
        if repeats < SHOWN_REPEATS {
            out.push_str(&frame);
        } else if repeats == SHOWN_REPEATS {
            out.push_str("    [the same again]\n");
        }
        previous = frame;
    }
}

/// The engine's own record of where an error was made, whatever the function did to the property.
fn stack(exception: &Value) -> Option<String> {
    if !exception.is_object() || exception.is_proxy() {
        return None;
    }
    let own = exception.own_data(&realm().names.stack);
    let stack = own.or_else(|| {
        if exception.class() != class::ERROR {
            return None;
        }
        realm().error_stack.call(exception, &[]).inspect_err(|Thrown| drop(take_exception())).ok()
    });
    stack?.as_text().map(|stack| text::bounded(&stack.escaped(), MAX_TRACE).into_owned())
}

/// One line of the engine's record, in the lines of the author; `None` for the shim's own frames.
fn frame(line: &str, origin: &Origin<'_>) -> Option<String> {
    let own = OWN_FILE_NAME.to_str().unwrap_or_default();
    let line = line.trim();
    if line.contains(own) || !line.starts_with("at ") {
        return None;
    }
    let shown = text::one_line(line, 300);
    let Some((before, line_number, column, after)) = position(&shown) else { return Some(format!("    {shown}\n")) };
    let (line_number, column) = lines::original(&origin.positions, line_number, column);
    let before = before.replacen("at <eval> (", "at top level (", 1);
    let mut frame = format!("    {before}:{line_number}:{column}{after}\n");
    if let Some(text) = source::line_of(origin.source, line_number) {
        frame.push_str(&format!("        {}\n", text::one_line(text.trim(), 200)));
    }
    Some(frame)
}

/// Takes `at f (function.js:3:5)` apart where it names a place in the function's file.
fn position(line: &str) -> Option<(&str, u32, u32, &str)> {
    let file = FILE_NAME.to_str().unwrap_or_default();
    let at = line.rfind(file)? + file.len();
    let (before, rest) = line.split_at(at);
    let (numbers, after) = match rest.find(')') {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    let (line_number, column) = numbers.strip_prefix(':')?.split_once(':')?;
    Some((before, line_number.parse().ok()?, column.parse().ok()?, after))
}

/// The reply for source that was refused as a script and as a module: by the refusal that came further.
pub fn refused_source(refusals: [Value; 2], origin: &Origin<'_>) -> Reply {
    let place = |refusal: &Value| {
        let stack = stack(refusal)?;
        let (_, line, column, _) = position(stack.lines().next()?)?;
        Some((line, column))
    };
    let [script, module] = &refusals;
    if let Some(exhausted) = refusals.iter().find(|refusal| is_out_of_memory(refusal)) {
        crate::engine::throw(exhausted.clone());
        return reply(origin);
    }
    let refusal = match (place(script), place(module)) {
        // Without a place it is not the text that was at fault, but what the engine can take of it.
        (Some(_), None) => module,
        (script_place, module_place) if module_place > script_place && script_place.is_some() => module,
        _ => script,
    };
    let position = place(refusal).map(|(line, column)| lines::original(&origin.positions, line, column));
    let message = message(refusal);
    let message = message.strip_prefix("SyntaxError: ").unwrap_or(&message);
    source::bad_source(message, position, origin.source)
}

/// The exception for a promise that gave no value.
pub fn unsettled(unsettled: Unsettled, entry: &str) -> Thrown {
    let name = text::one_line(entry, 100);
    jobs::raise(unsettled, &format!("the promise of `{name}`"))
}
