//! Text of a guest, made fit for a person: bounded, and without control characters.

/// Returns guest bytes as text of at most `limit` bytes: cut in the middle if longer, control characters escaped.
///
/// New lines and tabs stay. Marks that reorder or hide text on a screen are escaped like control characters.
pub(crate) fn readable(bytes: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(cut_to(bytes, limit.saturating_mul(2)).as_ref()).into_owned();
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_plain(character) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_default());
        }
    }
    cut_in_the_middle(escaped, limit)
}

fn is_plain(character: char) -> bool {
    match character {
        '\n' | '\t' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => false,
        _ => !character.is_control(),
    }
}

/// Bounds the work on bytes that will be cut anyway: keeps the two ends.
fn cut_to(bytes: &[u8], limit: usize) -> std::borrow::Cow<'_, [u8]> {
    if bytes.len() <= 2 * limit {
        return bytes.into();
    }
    [&bytes[..limit], &bytes[bytes.len() - limit..]].concat().into()
}

fn cut_in_the_middle(text: String, limit: usize) -> String {
    const MARK: &str = " [...] ";
    if text.len() <= limit {
        return text;
    }
    let room = limit.saturating_sub(MARK.len());
    let head = text.floor_char_boundary(room - room / 3);
    let tail = text.ceil_char_boundary(text.len() - room / 3);
    format!("{}{MARK}{}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(readable(b"a\x1b[2J\x00b\r\n\tc", 100), "a\\u{1b}[2J\\u{0}b\\r\n\tc");
        assert_eq!(readable("a\u{202e}b\u{9b}".as_bytes(), 100), "a\\u{202e}b\\u{9b}");
        assert_eq!(readable("na\u{ef}ve \u{20ac}".as_bytes(), 100), "na\u{ef}ve \u{20ac}");
    }

    #[test]
    fn long_text_keeps_both_ends_within_the_limit() {
        for (bytes, limit) in [
            ("\u{20ac}".repeat(10_000).into_bytes(), 100),
            (vec![0; 1_000_000], 4096),
            (vec![0xff; 1_000_000], 4096),
            ([b"begin ".as_slice(), &[b'x'; 100_000], b" end"].concat(), 64),
        ] {
            let text = readable(&bytes, limit);
            assert!(text.len() <= limit && text.contains("[...]"), "{text}");
        }
        let text = readable(&[b"begin ".as_slice(), &[b'x'; 100_000], b" end"].concat(), 64);
        assert!(text.starts_with("begin ") && text.ends_with(" end"));
    }
}
