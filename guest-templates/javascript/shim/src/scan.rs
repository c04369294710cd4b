//! The lexical part of JSON, both ways: strings and numbers, without any value of the engine.
//!
//! The host has checked that arguments are well-formed JSON, so what does not fit is only ever `None`, never a panic.

use std::borrow::Cow;

/// A number as it is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Number<'a> {
    pub text: &'a str,
    pub is_integer: bool,
}

/// Reads the number at the beginning of `text`.
pub fn number(text: &[u8]) -> Option<Number<'_>> {
    let end = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let text = &text[..end.unwrap_or(text.len())];
    let is_integer = !text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    let text = str::from_utf8(text).ok()?;
    text.bytes().any(|byte| byte.is_ascii_digit()).then_some(Number { text, is_integer })
}

/// The content of a string.
#[derive(Debug, PartialEq, Eq)]
pub enum Content<'a> {
    Text(Cow<'a, str>),
    /// What has a lone surrogate, as UTF-16.
    Units(Vec<u16>),
}

/// Reads the string whose opening quote was read before; gives its content and its length with the closing quote.
pub fn string(text: &[u8]) -> Option<(Content<'_>, usize)> {
    let plain = text.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    if text[plain] == b'"' {
        return Some((Content::Text(Cow::Borrowed(str::from_utf8(&text[..plain]).ok()?)), plain + 1));
    }
    let mut content = str::from_utf8(&text[..plain]).ok()?.to_owned();
    let mut at = plain;
    loop {
        let stop = at + text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        content.push_str(str::from_utf8(&text[at..stop]).ok()?);
        if text[stop] == b'"' {
            return Some((Content::Text(Cow::Owned(content)), stop + 1));
        }
        match escape(&text[stop + 1..])? {
            (Ok(character), length) => {
                content.push(character);
                at = stop + 1 + length;
            }
            (Err(_), _) => return units(content.encode_utf16().collect(), text, stop),
        }
    }
}

/// Goes on with a string at its first lone surrogate.
fn units(mut content: Vec<u16>, text: &[u8], mut at: usize) -> Option<(Content<'_>, usize)> {
    loop {
        let stop = at + text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        content.extend(str::from_utf8(&text[at..stop]).ok()?.encode_utf16());
        if text[stop] == b'"' {
            return Some((Content::Units(content), stop + 1));
        }
        let (character, length) = escape(&text[stop + 1..])?;
        match character {
            Ok(character) => content.extend(character.encode_utf16(&mut [0; 2]).iter()),
            Err(surrogate) => content.push(surrogate),
        }
        at = stop + 1 + length;
    }
}

/// Reads an escape after its backslash; gives the character, or the lone surrogate, and the length.
fn escape(text: &[u8]) -> Option<(Result<char, u16>, usize)> {
    let character = match text.first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = hexadecimal(text.get(1..5)?)?;
            if let (0xd800..0xdc00, Some([b'\\', b'u', digits @ ..])) = (unit, text.get(5..11))
                && let Some(low @ 0xdc00..0xe000) = hexadecimal(digits)
            {
                let scalar = 0x1_0000 + ((u32::from(unit) - 0xd800) << 10) + (u32::from(low) - 0xdc00);
                return Some((Ok(char::from_u32(scalar)?), 11));
            }
            return Some((char::from_u32(u32::from(unit)).ok_or(unit), 5));
        }
        other => char::from(*other),
    };
    Some((Ok(character), 1))
}

fn hexadecimal(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |value: u16, digit| Some(value << 4 | char::from(*digit).to_digit(16)? as u16))
}

/// The text of bytes that are UTF-8 but for surrogates in three bytes, which become `\ud800`.
pub fn with_surrogates_escaped(mut bytes: &[u8]) -> String {
    let mut out = String::new();
    loop {
        match str::from_utf8(bytes) {
            Ok(rest) => {
                out.push_str(rest);
                return out;
            }
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                out.push_str(str::from_utf8(valid).unwrap_or_default());
                let skipped = match rest {
                    [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
                        let unit = 0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f);
                        out.push_str(&format!("\\u{unit:04x}"));
                        3
                    }
                    _ => {
                        out.push('\u{fffd}');
                        1
                    }
                };
                bytes = &rest[skipped..];
            }
        }
    }
}

/// Appends `text` as a JSON string.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
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
            _ => out.extend([b'\\', b'u', b'0', b'0', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
    }
    out.extend(&bytes[done..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_string(json: &str, expected: Content<'_>) {
        let (content, length) = string(&json.as_bytes()[1..]).expect("a string");
        assert_eq!(content, expected);
        assert_eq!(length, json.len() - 1);
    }

    #[test]
    fn strings_are_unescaped() {
        check_string(r#""plain""#, Content::Text("plain".into()));
        check_string(r#""a\n\"\\\/\u0041\u00e9""#, Content::Text("a\n\"\\/Aé".into()));
        check_string(r#""\ud83d\ude00!""#, Content::Text("😀!".into()));
    }

    #[test]
    fn a_lone_surrogate_makes_a_string_of_units() {
        check_string(r#""\ud800x""#, Content::Units(vec![0xd800, 0x78]));
        check_string(r#""ä\ud800\u0041😀""#, Content::Units(vec![0xe4, 0xd800, 0x41, 0xd83d, 0xde00]));
    }

    #[test]
    fn broken_strings_are_none() {
        for text in ["", "abc", "\\", "\\u12", "\\u12g4\""] {
            assert_eq!(string(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn numbers_tell_integers_from_floats() {
        assert_eq!(number(b"-12,"), Some(Number { text: "-12", is_integer: true }));
        assert_eq!(number(b"1e5]"), Some(Number { text: "1e5", is_integer: false }));
        assert_eq!(number(b"-"), None);
    }

    #[test]
    fn surrogates_become_escapes() {
        assert_eq!(with_surrogates_escaped(b"a\xed\xa0\x80b\xed\xbf\xbf"), "a\\ud800b\\udfff");
        assert_eq!(with_surrogates_escaped("ä😀".as_bytes()), "ä😀");
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = Vec::new();
        push_string(&mut out, "a\"\\\n\u{1}é\u{7f}");
        assert_eq!(str::from_utf8(&out), Ok("\"a\\\"\\\\\\n\\u0001é\u{7f}\""));
    }
}
