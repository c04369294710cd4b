//! The final answer within a reply.
//!
//! In this order: the last `\boxed{..}` (or `\fbox{..}`) whose braces are closed; what follows the last "answer is",
//! "answer:" or "####"; the last display formula if the reply ends with one; the last line that says anything.
//! Emphasis, code marks and a final full stop around it are dropped. Every search is one pass over the text.

/// Where a final answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Box,
    Marker,
    LastLine,
}

/// A final answer and where it was found. The text may be empty only if the reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FinalAnswer<'a> {
    pub(super) text: &'a str,
    pub(super) place: Place,
}

/// Finds the final answer of a reply.
pub(super) fn final_answer(reply: &str) -> FinalAnswer<'_> {
    if let Some(text) = last_box(reply) {
        return FinalAnswer { text, place: Place::Box };
    }
    if let Some(text) = after_marker(reply) {
        return FinalAnswer { text, place: Place::Marker };
    }
    let text = last_display(reply).unwrap_or_else(|| last_line(reply));
    FinalAnswer { text: undressed(text), place: Place::LastLine }
}

/// Returns the content of the box that opens last among those that are closed and not empty.
fn last_box(reply: &str) -> Option<&str> {
    let bytes = reply.as_bytes();
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut last: Option<&str> = None;
    let mut last_start = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => {
                let name_end = at + 1 + bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
                let is_box = matches!(&reply[at + 1..name_end], "boxed" | "fbox");
                let next = name_end + bytes[name_end..].iter().take_while(|byte| **byte == b' ').count();
                match bytes.get(next) {
                    Some(b'{') if is_box => {
                        open.push((next + 1, true));
                        at = next + 1;
                    }
                    Some(byte) if is_box && next > name_end && !byte.is_ascii_whitespace() => {
                        let end = reply[next..].find([' ', '\n', '$']).map_or(reply.len(), |end| next + end);
                        if next >= last_start && end > next {
                            (last, last_start) = (Some(&reply[next..end]), next);
                        }
                        at = next;
                    }
                    // A name, or an escaped character such as `\{`, which is no brace.
                    _ if name_end > at + 1 => at = name_end,
                    _ => at += 2,
                }
            }
            b'{' => {
                open.push((at + 1, false));
                at += 1;
            }
            b'}' => {
                if let Some((start, true)) = open.pop()
                    && start >= last_start
                    && !reply[start..at].trim().is_empty()
                {
                    (last, last_start) = (Some(reply[start..at].trim()), start);
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    last
}

/// Returns what follows the last marker, on its line or else on the next one.
fn after_marker(reply: &str) -> Option<&str> {
    const MARKERS: [&str; 6] = ["answer is", "answers are", "answer:", "answer**:", "answer :", "####"];
    let lower = reply.to_ascii_lowercase();
    let end = MARKERS.iter().filter_map(|marker| lower.rfind(marker).map(|at| at + marker.len())).max()?;
    let rest = reply[end..].trim_start_matches([':', ' ', '\t', '*']);
    let line = rest.lines().map(str::trim).find(|line| !undressed(line).is_empty())?;
    Some(undressed(first_sentence(line)))
}

/// Cuts what is said after a full stop that ends a sentence.
fn first_sentence(line: &str) -> &str {
    let starts_sentence = |at: usize| line[at + 2..].starts_with(|c: char| c.is_ascii_uppercase());
    line.match_indices(". ").find(|(at, _)| starts_sentence(*at)).map_or(line, |(at, _)| &line[..at])
}

/// Returns the display formula that a reply ends with.
fn last_display(reply: &str) -> Option<&str> {
    let text = reply.trim().trim_end_matches('.');
    if let Some(body) = text.strip_suffix("\\]") {
        return body.rfind("\\[").map(|at| &body[at + 2..]);
    }
    let body = text.strip_suffix("$$")?;
    body.rfind("$$").map(|at| &body[at + 2..])
}

fn last_line(reply: &str) -> &str {
    reply.lines().rev().map(str::trim).find(|line| !undressed(line).is_empty()).unwrap_or_default()
}

/// Drops emphasis, code marks, list marks and a final full stop around a text.
fn undressed(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let before = text;
        text = text.trim_matches(['`', '\u{200b}']).trim();
        for mark in ["**", "__", "*"] {
            if let Some(inner) = text.strip_prefix(mark).and_then(|text| text.strip_suffix(mark)) {
                text = inner.trim();
            }
        }
        text = text.strip_suffix("**").filter(|inner| !inner.contains("**")).unwrap_or(text);
        if !text.ends_with("..") {
            text = text.strip_suffix('.').unwrap_or(text).trim();
        }
        if text == before {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: &str, expected: &str) {
        assert_eq!(final_answer(reply).text, expected, "{reply}");
    }

    #[test]
    fn the_last_closed_box_wins() {
        check("\\boxed{1} and then \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}");
        check("\\fbox{ 7 }", "7");
        check("so \\boxed 5 dollars", "5");
        check("\\boxed{x = \\boxed{5}}", "5");
        check("\\boxed{\\left\\{1,2\\right\\}}", "\\left\\{1,2\\right\\}");
        check("\\boxed{1} \\boxed{} \\boxed{\\frac{1}{2", "1");
    }

    #[test]
    fn a_marker_is_found_where_there_is_no_box() {
        check("The answer is 42. I am sure.", "42");
        check("**Final Answer:** 3.5", "3.5");
        check("The final answer is:\n\n**12**\n\nGood luck!", "12");
        check("#### 1,234", "1,234");
        check("The ANSWER IS $x=5$.", "$x=5$");
    }

    #[test]
    fn else_it_is_the_last_formula_or_line() {
        check("Thus\n\\[\n  x\n\\]", "x");
        check("Thus $$1+\n1$$.", "1+\n1");
        check("so\n\n`42`.\n\n", "42");
        check("", "");
        check("...", "...");
    }

    #[test]
    fn hostile_replies_are_read_in_one_pass() {
        for unit in ["\\boxed{", "{", "}", "\\", "$$", "answer is", "\\boxed ", "**", "`", "\\[", ". A"] {
            let start = std::time::Instant::now();
            final_answer(&unit.repeat(200_000));
            assert!(start.elapsed().as_secs() < 5, "{unit}");
        }
    }
}
