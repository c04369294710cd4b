//! The lexical part of JSON, both ways: strings and numbers, without any Python object.
//!
//! The host has checked that arguments are well-formed JSON, so what does not fit is only ever `None`, never a
//! panic. A `\ud800` without its partner is kept, in the three bytes that Python's `surrogatepass` reads back.

use alloc::borrow::Cow;
use alloc::vec::Vec;

/// A number as it is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Number<'a> {
    pub text: &'a [u8],
    pub is_integer: bool,
}

/// Reads the number at the beginning of `text`.
pub fn number(text: &[u8]) -> Option<Number<'_>> {
    let end = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let text = &text[..end.unwrap_or(text.len())];
    let is_integer = !text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    text.iter().any(u8::is_ascii_digit).then_some(Number { text, is_integer })
}

/// Reads the string whose opening quote was read before; gives its content and its length with the closing quote.
pub fn string(text: &[u8]) -> Option<(Cow<'_, [u8]>, usize)> {
    let plain = text.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    if text[plain] == b'"' {
        return Some((Cow::Borrowed(&text[..plain]), plain + 1));
    }
    let mut content = text[..plain].to_vec();
    let mut at = plain;
    loop {
        let stop = at + text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        content.extend(&text[at..stop]);
        if text[stop] == b'"' {
            return Some((Cow::Owned(content), stop + 1));
        }
        at = stop + 2;
        match text.get(stop + 1)? {
            b'b' => content.push(8),
            b'f' => content.push(12),
            b'n' => content.push(b'\n'),
            b'r' => content.push(b'\r'),
            b't' => content.push(b'\t'),
            b'u' => {
                let mut unit = u32::from(hexadecimal(text.get(at..at + 4)?)?);
                at += 4;
                if let (0xd800..0xdc00, Some([b'\\', b'u', digits @ ..])) = (unit, text.get(at..at + 6))
                    && let Some(low @ 0xdc00..0xe000) = hexadecimal(digits)
                {
                    unit = 0x1_0000 + ((unit - 0xd800) << 10) + (u32::from(low) - 0xdc00);
                    at += 6;
                }
                push_scalar(&mut content, unit);
            }
            other => content.push(*other),
        }
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |value: u16, digit| Some(value << 4 | (*digit as char).to_digit(16)? as u16))
}

/// Appends a code point as UTF-8, surrogates too.
fn push_scalar(content: &mut Vec<u8>, value: u32) {
    match char::from_u32(value) {
        Some(character) => content.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => {
            content.extend([0xe0 | (value >> 12) as u8, 0x80 | (value >> 6 & 0x3f) as u8, 0x80 | (value & 0x3f) as u8])
        }
    }
}

/// Appends `text` as a JSON string.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !matches!(byte, b'"' | b'\\' | 0..0x20) {
            continue;
        }
        out.extend(&bytes[done..at]);
        done = at + 1;
        match byte {
            b'"' => out.extend(b"\\\""),
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend(b"\\u00");
                out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        }
    }
    out.extend(&bytes[done..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_string(json: &str, expected: &[u8]) {
        let (content, length) = string(&json.as_bytes()[1..]).expect("a string");
        assert_eq!(&*content, expected);
        assert_eq!(length, json.len() - 1);
    }

    #[test]
    fn strings_are_unescaped() {
        check_string(r#""plain""#, b"plain");
        check_string(r#""a\n\"\\\/\u0041\u00e9""#, "a\n\"\\/Aé".as_bytes());
        check_string(r#""\ud83d\ude00!""#, "😀!".as_bytes());
    }

    #[test]
    fn a_lone_surrogate_is_kept() {
        check_string(r#""\ud800x""#, b"\xed\xa0\x80x");
        check_string(r#""\ud800\u0041""#, b"\xed\xa0\x80A");
    }

    #[test]
    fn broken_strings_are_none() {
        for text in ["", "abc", "\\", "\\u12", "\\u12g4\""] {
            assert_eq!(string(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn numbers_tell_integers_from_floats() {
        assert_eq!(number(b"-12,"), Some(Number { text: b"-12", is_integer: true }));
        assert_eq!(number(b"1e5]"), Some(Number { text: b"1e5", is_integer: false }));
        assert_eq!(number(b"-"), None);
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = Vec::new();
        push_string(&mut out, "a\"\\\n\u{1}é\u{7f}");
        assert_eq!(core::str::from_utf8(&out), Ok("\"a\\\"\\\\\\n\\u0001é\u{7f}\""));
    }
}
