//! What a compiler says of a source, made fit to be shown: bounded, escaped, and without paths of the machine.

use std::path::Path;

use greensand_guest_templates::Recipe;
use greensand_types::Failure;

use crate::call::{LONGEST_MESSAGE, LONGEST_TRACE, readable};

/// How the lines of a compiler's diagnostics begin that are looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    error: &'static str,
    place: &'static str,
}

impl Marks {
    pub(super) fn of(recipe: &'static Recipe) -> Self {
        Self { error: recipe.error_mark, place: recipe.place_mark }
    }
}

/// What a compiler says of a source.
#[derive(Debug)]
pub(super) struct Diagnosis {
    /// The first error as the message, everything that was said as the trace.
    pub(super) failure: Failure,
    /// Whether the first error points at a place in the source.
    pub(super) is_placed: bool,
}

/// Reads what is wrong with a source.
pub(super) fn read(marks: Marks, said: &[u8], hidden: &[(&Path, &str)]) -> Diagnosis {
    let mut said = readable(said, 4 * LONGEST_TRACE);
    for (path, word) in hidden {
        said = said.replace(&*path.to_string_lossy(), word);
    }
    let lines: Vec<&str> = said.lines().collect();
    let error = lines.iter().position(|line| line.starts_with(marks.error));
    let Some(error) = error else {
        let trace = Some(readable(said.as_bytes(), LONGEST_TRACE)).filter(|trace| !trace.is_empty());
        let failure = Failure { message: "the source does not compile".into(), trace };
        return Diagnosis { failure, is_placed: false };
    };
    // The place of the first error stands before the next one.
    let rest = lines[error + 1..].iter().take_while(|line| !line.starts_with(marks.error));
    let place = rest.filter_map(|line| line.trim_start().strip_prefix(marks.place)).find_map(place);
    let message = match place {
        Some((line, column)) => format!("{} (line {line}, column {column})", lines[error]),
        None => lines[error].to_owned(),
    };
    let message = readable(message.as_bytes(), LONGEST_MESSAGE);
    let failure = Failure { message, trace: Some(readable(said.as_bytes(), LONGEST_TRACE)) };
    Diagnosis { failure, is_placed: place.is_some() }
}

/// Reads a line and a column with a colon between.
fn place(text: &str) -> Option<(u32, u32)> {
    let (line, column) = text.split_once(':')?;
    Some((line.parse().ok()?, column.trim_end().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks { error: "wrong", place: "at x:" };

    fn check(said: &str, message: &str) -> Failure {
        let diagnosis = read(MARKS, said.as_bytes(), &[(Path::new("/secret/place"), "<tool>")]);
        assert_eq!(diagnosis.failure.message, message);
        assert_eq!(diagnosis.is_placed, message.contains("(line"));
        diagnosis.failure
    }

    #[test]
    fn the_first_error_is_the_message_with_its_own_place() {
        check("note\nwrong: a\n  at x:3:14\nwrong: b\n at x:1:1", "wrong: a (line 3, column 14)");
        check("wrong: a\nwrong: b\n at x:1:1", "wrong: a");
        check("wrong: a\n at x:no:1", "wrong: a");
        check("killed", "the source does not compile");
    }

    #[test]
    fn no_path_and_no_control_character_is_left() {
        let failure = check("wrong: /secret/place/lib \u{1b}[2J", "wrong: <tool>/lib \\u{1b}[2J");
        assert!(!failure.trace.unwrap().contains("secret"));
    }
}
