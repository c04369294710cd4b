/// Keeps the first `head` and the last `tail` characters of a text that has more, and says between them how many are left
/// out.
pub fn keep_ends(text: &str, head: usize, tail: usize) -> String {
    let length = text.chars().count();
    let Some(left_out) = length.checked_sub(head.saturating_add(tail)).filter(|left_out| *left_out > 0) else {
        return text.to_owned();
    };
    let place = |character: usize| text.char_indices().nth(character).map_or(text.len(), |(at, _)| at);
    format!("{} [.. {left_out} characters left out ..] {}", &text[..place(head)], &text[place(length - tail)..])
}

/// Puts the lines of a text on one: each follows the one before after `; `, or after a blank where that one ends in a mark.
/// Blank lines are left out.
pub fn one_line(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !joined.is_empty() {
            joined.push_str(if joined.ends_with([':', ';', ',', '.', '?', '!', '(', '[', '{']) { " " } else { "; " });
        }
        joined.push_str(line);
    }
    joined
}

/// Returns a count with its noun, whose plural ends in `s`: `1 task`, `2 tasks`.
pub fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_to_stand_on_one() {
        for (text, expected) in [
            ("", ""),
            ("one", "one"),
            ("looked at:\nin one\nin another\n\nmend it", "looked at: in one; in another; mend it"),
            ("\n it is so.\r\n\n Then this ", "it is so. Then this"),
        ] {
            assert_eq!(one_line(text), expected);
        }
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "call")), ["0 calls", "1 call", "2 calls"]);
    }

    #[test]
    fn a_cut_keeps_both_ends_and_says_how_much_is_missing() {
        assert_eq!(keep_ends("héllo", 2, 3), "héllo");
        assert_eq!(keep_ends("héllo", usize::MAX, 1), "héllo");
        assert_eq!(keep_ends("héllö", 2, 1), "hé [.. 2 characters left out ..] ö");
        assert_eq!(keep_ends("héllö", 0, 0), " [.. 5 characters left out ..] ");
        assert_eq!(keep_ends("", 0, 0), "");
    }
}
