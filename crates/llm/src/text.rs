//! Text from outside, made fit for messages to people.

/// Returns text that is safe to quote in one line: at most `max_chars` characters, control characters and those that
/// reorder or hide text written as escapes.
pub(crate) fn quotable(text: &str, max_chars: usize) -> String {
    let mut quoted = String::new();
    let mut characters = text.trim().chars();
    for character in characters.by_ref().take(max_chars) {
        if hides(character) {
            quoted.extend(character.escape_default());
        } else {
            quoted.push(character);
        }
    }
    if characters.next().is_some() {
        quoted.push('…');
    }
    quoted
}

fn hides(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Returns the candidate that a person most likely meant, if one is near.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is quadratic in the length, and nobody misspells a hundred characters.
    let name = name.chars().take(64).collect::<String>().to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 2).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_bounded_and_cannot_steer_a_terminal() {
        assert_eq!(quotable("a\u{1b}[31mb\nc", 80), "a\\u{1b}[31mb\\nc");
        assert_eq!(quotable("user\u{202e}txt", 80), "user\\u{202e}txt");
        assert_eq!(quotable(&"x".repeat(100), 3), "xxx…");
        assert_eq!(quotable("  plain é  ", 80), "plain é");
    }

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["openai_compatible", "scripted", "replay"];
        assert_eq!(nearest("script", names), Some("scripted"));
        assert_eq!(nearest("Repaly", names), Some("replay"));
        assert_eq!(nearest("quantum", names), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), names), None);
    }
}
