//! Answers with places for what the conditions captured.
//!
//! `${1}` and `${name}` stand for a group of the rule's `question`, `${last.1}` and `${last.name}` for one of its `last`;
//! `${json:..}` is the same as JSON; `$$` is a dollar. Which groups there are is known when the script is read, so a
//! place that nothing can fill is a mistake of the script, never a surprise of the run.

use greensand_types::JsonText;
use regex::{Captures, Regex};
use serde_json::Value;

use crate::text::quotable;

/// The expressions whose groups a template may name.
#[derive(Clone, Copy, Default)]
pub(super) struct Patterns<'r> {
    pub(super) question: Option<&'r Regex>,
    pub(super) last: Option<&'r Regex>,
}

/// What the expressions captured in one request.
#[derive(Default)]
pub(super) struct Found<'t> {
    pub(super) question: Option<Captures<'t>>,
    pub(super) last: Option<Captures<'t>>,
}

/// Text with places.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Place(Place),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    pattern: Pattern,
    group: usize,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Pattern {
    Question,
    Last,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Text,
    Json,
}

/// Where the text of a template ends up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Within {
    /// In a text of its own.
    Text,
    /// In JSON that the script spells out: captures are escaped as inside a JSON string.
    Json,
}

impl Template {
    /// Reads a template. Its mistakes are told as sentences.
    pub(super) fn parse(text: &str, patterns: Patterns<'_>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            plain.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(place) = after.strip_prefix('{') {
                let (name, behind) = place.split_once('}').ok_or("a `${` has no `}`; write `$$` for a dollar")?;
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(Piece::Place(Place::parse(name, patterns)?));
                rest = behind;
            } else {
                plain.push('$');
                rest = after.strip_prefix('$').unwrap_or(after);
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self(pieces))
    }

    pub(super) fn render(&self, found: &Found<'_>, within: Within) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Place(place) => match (place.form, within) {
                    (Form::Json, _) => text.push_str(&as_json(place.fill(found))),
                    (Form::Text, Within::Text) => text.push_str(place.fill(found)),
                    (Form::Text, Within::Json) => text.push_str(&escaped(place.fill(found))),
                },
            }
        }
        text
    }
}

impl Place {
    fn parse(text: &str, patterns: Patterns<'_>) -> Result<Self, String> {
        let (form, name) = match text.strip_prefix("json:") {
            Some(name) => (Form::Json, name),
            None => (Form::Text, text),
        };
        let (pattern, condition, regex, group) = match name.strip_prefix("last.") {
            Some(group) => (Pattern::Last, "last", patterns.last, group),
            None => (Pattern::Question, "question", patterns.question, name),
        };
        let shown = quotable(text, 80);
        let Some(regex) = regex else {
            return Err(format!("`${{{shown}}}` needs the condition `{condition}`, which the rule does not have"));
        };
        let by_number = group.parse().ok().filter(|number| *number < regex.captures_len());
        let group = by_number.or_else(|| regex.capture_names().position(|known| known == Some(group)));
        let group = group.ok_or_else(|| format!("`${{{shown}}}`: `{condition}` has no such group"))?;
        Ok(Self { pattern, group, form })
    }

    /// A group that took no part in the match is empty.
    fn fill<'f>(&self, found: &'f Found<'_>) -> &'f str {
        let captures = match self.pattern {
            Pattern::Question => &found.question,
            Pattern::Last => &found.last,
        };
        captures.as_ref().and_then(|captures| captures.get(self.group)).map_or("", |group| group.as_str())
    }
}

/// The arguments of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Arguments {
    /// JSON that the script spells out, well-formed or not.
    Spelled(Template),
    /// A value whose texts are templates.
    Built(Built),
}

/// A JSON value with places.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Built {
    Fixed(Value),
    Text(Template),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Arguments {
    pub(super) fn render(&self, found: &Found<'_>) -> String {
        match self {
            Self::Spelled(template) => template.render(found, Within::Json),
            Self::Built(built) => {
                let mut text = String::new();
                built.write(found, &mut text);
                text
            }
        }
    }
}

impl Built {
    /// Writes the value as text, so that captured numbers keep every digit.
    fn write(&self, found: &Found<'_>, text: &mut String) {
        match self {
            Self::Fixed(value) => text.push_str(&value.to_string()),
            // A text that is one `${json:..}` and nothing else becomes the value itself.
            Self::Text(template)
                if let [Piece::Place(place)] = &template.0[..]
                    && place.form == Form::Json =>
            {
                text.push_str(&as_json(place.fill(found)));
            }
            Self::Text(template) => text.push_str(&quoted(&template.render(found, Within::Text))),
            Self::List(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index == 0 { "" } else { "," });
                    item.write(found, text);
                }
                text.push(']');
            }
            Self::Object(entries) => {
                text.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    text.push_str(if index == 0 { "" } else { "," });
                    text.push_str(&quoted(key));
                    text.push(':');
                    value.write(found, text);
                }
                text.push('}');
            }
        }
    }
}

/// Returns a capture as it is when it is JSON, and as a JSON string otherwise.
fn as_json(text: &str) -> String {
    JsonText::parse(text).map_or_else(|_| quoted(text), |json| json.get().to_owned())
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn escaped(text: &str) -> String {
    let quoted = quoted(text);
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = r"(?P<who>\w+) has (\d+)( left)?";

    fn parse(text: &str) -> Result<Template, String> {
        let question = Regex::new(QUESTION).unwrap();
        let last = Regex::new("value: (.*)").unwrap();
        Template::parse(text, Patterns { question: Some(&question), last: Some(&last) })
    }

    fn check(text: &str, within: Within, expected: &str) {
        let question = Regex::new(QUESTION).unwrap().captures("Ann has 007");
        let last = Regex::new("(?s)value: (.*)").unwrap().captures("value: \"a\"\n");
        assert_eq!(parse(text).unwrap().render(&Found { question, last }, within), expected);
    }

    #[test]
    fn places_are_filled() {
        check("${who} ${1}: ${2}", Within::Text, "Ann Ann: 007");
        check("[${0}] [${last.1}] [${3}]", Within::Text, "[Ann has 007] [\"a\"\n] []");
    }

    #[test]
    fn dollars_are_plain_unless_they_open_a_place() {
        check(r"$x$ costs $5, $${1}, \boxed{${2}}$", Within::Text, r"$x$ costs $5, ${1}, \boxed{007}$");
        check("$$", Within::Text, "$");
        check("", Within::Text, "");
    }

    #[test]
    fn captures_are_escaped_where_the_script_spells_json() {
        check(r#"{"a": "${last.1}"}"#, Within::Json, r#"{"a": "\"a\"\n"}"#);
        check(r#"{"a": ${json:last.1}, "b": ${json:2}}"#, Within::Json, r#"{"a": "a", "b": "007"}"#);
    }

    #[test]
    fn what_no_group_can_fill_is_a_mistake() {
        for text in ["${4}", "${whom}", "${last.2}", "${last.who}", "${}", "${1", "${ 1 }", "${json:9}", "${-1}"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let mistake = Template::parse("${last.1}", Patterns::default()).unwrap_err();
        assert!(mistake.contains("needs the condition `last`"), "{mistake}");
    }

    #[test]
    fn a_place_alone_can_become_any_json_value() {
        let question = Regex::new(r"(\d+) (\w+) (.*)").unwrap();
        let digits = "123456789012345678901234567890";
        let text = format!("{digits} ab [1, {{}}]");
        let found = Found { question: question.captures(&text), last: None };
        let built = |text| {
            let patterns = Patterns { question: Some(&question), last: None };
            Arguments::Built(Built::Text(Template::parse(text, patterns).unwrap())).render(&found)
        };
        assert_eq!(built("${json:1}"), digits);
        assert_eq!(built("${1}"), format!("\"{digits}\""));
        assert_eq!(built("${json:2}"), "\"ab\"");
        assert_eq!(built("${json:3}"), "[1, {}]");
        assert_eq!(built("n=${json:1}"), format!("\"n={digits}\""));
    }
}
