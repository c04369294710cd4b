//! Text for people and models: bounded, on one line where it must be, without control characters.

use std::borrow::Cow;

/// Longest message of a reply, in bytes.
pub const MAX_MESSAGE: usize = 4 * 1024;
/// Longest trace of a reply, in bytes.
pub const MAX_TRACE: usize = 16 * 1024;

const GAP: &str = " … ";

/// The text itself, or its beginning and end when it is longer than `most` bytes.
pub fn bounded(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let half = most.saturating_sub(GAP.len()) / 2;
    let (head, tail) = (floor(text, half), ceil(text, text.len() - half));
    Cow::Owned([&text[..head], GAP, &text[tail..]].concat())
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// Appends `text` with control characters (line ends too) and direction marks as escapes.
pub fn push_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => out.push_str(&format!("\\x{:02x}", character as u32)),
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                out.push_str(&format!("\\u{:04x}", character as u32))
            }
            _ => out.push(character),
        }
    }
}

/// One line of user text: [`push_escaped`] of what is left after cutting it to `most` bytes.
pub fn one_line(text: &str, most: usize) -> String {
    let mut out = String::new();
    push_escaped(&mut out, &bounded(text, most));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_keeps_its_beginning_and_end() {
        let text = "ä".repeat(100);
        let cut = bounded(&text, 25);
        assert_eq!(cut, "äääää … äääää");
        assert_eq!(bounded("short", 25), "short");
    }

    #[test]
    fn control_characters_become_escapes() {
        assert_eq!(one_line("a\x1b[2J\n\u{202e}b\u{85}", 100), "a\\x1b[2J\\n\\u202eb\\x85");
    }
}
