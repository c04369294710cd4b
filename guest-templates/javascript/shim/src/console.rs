//! What a console method writes: its arguments as text, with the placeholders of its first one filled in.

use crate::engine::{Value, q};
use crate::host;
use crate::inspect;
use crate::number;
use crate::realm::state;

/// Writes one message to a stream.
pub fn write(stream: i32, arguments: &[Value]) {
    let indent = " ".repeat(state(|state| state.indent));
    let mut line = format!("{indent}{}", message(arguments).replace('\n', &format!("\n{indent}")));
    line.push('\n');
    host::write(stream, line.as_bytes());
}

/// Changes how far messages are indented, by a group that begins or ends.
pub fn indent(by: isize) {
    const MOST: usize = 80;
    state(|state| state.indent = state.indent.saturating_add_signed(by).min(MOST));
}

/// The text of a message.
pub fn message(arguments: &[Value]) -> String {
    let Some((first, rest)) = arguments.split_first() else { return String::new() };
    let (mut text, rest) = match first.as_text() {
        Some(format) if !rest.is_empty() => filled(&format.escaped(), rest),
        _ => (shown(first), rest),
    };
    for value in rest {
        text.push(' ');
        text.push_str(&shown(value));
    }
    text
}

/// A text as it is, anything else as [`inspect::inspect`] shows it.
fn shown(value: &Value) -> String {
    value.as_text().map_or_else(|| inspect::inspect(value), |text| text.escaped())
}

/// Fills `%s`, `%d`, `%i`, `%f`, `%j`, `%o`, `%O` and `%c`; gives the arguments that are left.
fn filled<'a>(format: &str, mut rest: &'a [Value]) -> (String, &'a [Value]) {
    let mut out = String::new();
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        let kind = characters.peek().copied();
        match (character, kind, rest.split_first()) {
            ('%', Some('%'), _) => out.push('%'),
            ('%', Some(kind @ ('s' | 'd' | 'i' | 'f' | 'j' | 'o' | 'O' | 'c')), Some((value, others))) => {
                out.push_str(&placed(kind, value));
                rest = others;
            }
            _ => {
                out.push(character);
                continue;
            }
        }
        characters.next();
    }
    (out, rest)
}

fn placed(kind: char, value: &Value) -> String {
    match kind {
        'c' => String::new(),
        's' => shown(value),
        'd' | 'i' | 'f' => {
            let is_big = matches!(value.tag(), q::JS_TAG_BIG_INT | q::JS_TAG_SHORT_BIG_INT);
            let text = value.as_text().and_then(|text| text.as_str()?.trim().parse::<f64>().ok());
            match value.as_number().or(text) {
                _ if is_big => inspect::inspect(value),
                Some(number) => number::text(if kind == 'i' { number.trunc() } else { number }),
                None => "NaN".into(),
            }
        }
        _ => inspect::inspect(value),
    }
}
