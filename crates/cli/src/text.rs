//! Makes text from outside safe for a person to read.
//!
//! Messages of guests, replies of models, names out of files: each may hold control characters that move the cursor, retitle
//! the terminal or reverse the direction of writing. Whatever a person reads passes through here; JSON for machines does not
//! need to, for it escapes by itself.

use std::borrow::Cow;

use greensand_types::one_line;

/// Returns a text on one line, with everything that could act on a terminal spelt out.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape(text, |character| character.is_control() || is_direction(character))
}

/// Returns a text that may span lines: line ends and tabs stay, all else is spelt out.
pub(crate) fn block(text: &str) -> Cow<'_, str> {
    escape(text, |character| (character.is_control() && !matches!(character, '\n' | '\t')) || is_direction(character))
}

/// Returns JSON that means the same, with everything that could act on a terminal as `\u` escapes.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    let acts = |character: char| (character.is_control() && character != '\n') || is_direction(character);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            // Outside of strings these are white space, and inside JSON has none.
            '\t' | '\r' => escaped.push(' '),
            character if acts(character) => escaped.push_str(&format!("\\u{:04x}", character as u32)),
            character => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// Returns at most `most` characters of a text on one line, the cut shown.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let joined = one_line(text);
    let safe = line(&joined);
    if safe.chars().count() <= most {
        return safe.into_owned();
    }
    safe.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn escape(text: &str, acts: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' if acts(character) => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' if acts(character) => escaped.push_str("\\t"),
            character if acts(character) => escaped.extend(character.escape_unicode()),
            character => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// Says whether a character changes the direction of what follows, or breaks a line that is none.
fn is_direction(character: char) -> bool {
    matches!(
        character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_spelt_out() {
        assert_eq!(line("a\u{1b}[2Jb\nc\td\u{202e}e\u{9b}1m"), "a\\u{1b}[2Jb\\nc\\td\\u{202e}e\\u{9b}1m");
        assert_eq!(block("a\n\tb\r\u{7}"), "a\n\tb\\r\\u{7}");
        assert_eq!(line("plain ünï 漢"), "plain ünï 漢");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let text = "[1,\t\"\u{7f}\u{9b}\u{202e}ü\"]";
        let escaped = json(text);
        assert_eq!(escaped, "[1, \"\\u007f\\u009b\\u202eü\"]");
        let (left, right): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(&escaped).unwrap());
        assert_eq!(left, right);
    }

    #[test]
    fn long_lines_show_their_cut() {
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
    }
}
