//! Bounds on what a page holds, whatever the run folder holds.

use std::borrow::Cow;

use greensand_types::keep_ends;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How many characters of a text are kept at its beginning and at its end. Where the texts are too many for that, it is the
/// next of these.
const KEPT: [(usize, usize); 4] = [(12_000, 4_000), (1_500, 500), (150, 50), (30, 10)];

/// How many bytes of JSON a page has room for, escapes included. Its sections say most of it once more.
const MOST_BYTES: usize = 8 << 20;

/// Returns the value with every long text in it cut in the middle, which the text then says.
///
/// It goes over the JSON of the value, so that a field that is added later is bounded as well.
pub(super) fn bounded<T: Serialize + DeserializeOwned>(value: &T) -> serde_json::Result<T> {
    let mut json = serde_json::to_value(value)?;
    for kept in KEPT {
        cut(&mut json, kept);
        if embedded_json(&json)?.len() <= MOST_BYTES {
            break;
        }
    }
    serde_json::from_value(json)
}

fn cut(value: &mut Value, (head, tail): (usize, usize)) {
    match value {
        Value::String(text) if text.len() > head + tail => *text = keep_ends(text, head, tail),
        Value::Array(values) => values.iter_mut().for_each(|value| cut(value, (head, tail))),
        Value::Object(members) => members.values_mut().for_each(|value| cut(value, (head, tail))),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Spells out what a reader of HTML would not see, or would see in another order: control characters other than line ends
/// and tabs, and marks that change the direction of writing.
pub(super) fn spelt_out(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut spelt = String::with_capacity(text.len() + 64);
    for character in text.chars() {
        match is_hidden(character) {
            true => spelt.extend(character.escape_unicode()),
            false => spelt.push(character),
        }
    }
    Cow::Owned(spelt)
}

/// Returns a value as JSON that may stand in a script element: nothing in it ends the element or is hidden.
pub(super) fn embedded_json(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    let mut embedded = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        // Outside of its strings JSON has none of these, and within strings an escape means the same.
        if matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') || is_hidden(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                embedded.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            embedded.push(character);
        }
    }
    Ok(embedded)
}

fn is_hidden(character: char) -> bool {
    (character.is_control() && !matches!(character, '\n' | '\t'))
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_in_the_middle_wherever_they_stand() {
        let long = format!("a{}z", "ü".repeat(100_000));
        let value = serde_json::json!({"one": [{"two": long}], "short": "ü"});
        let cut: Value = bounded(&value).unwrap();
        let text = cut["one"][0]["two"].as_str().unwrap();
        assert!(text.starts_with("aü") && text.ends_with("üz"), "an end is lost");
        assert!(text.contains("[.. 84002 characters left out ..]"), "{}", &text[..200]);
        assert_eq!(cut["short"], "ü");
    }

    #[test]
    fn many_long_texts_are_cut_further_until_the_page_has_room_for_them() {
        let texts = vec![format!("a{}z", "x".repeat(20_000)); 4_000];
        let value = serde_json::json!({ "texts": texts, "short": "as it is" });
        let cut: Value = bounded(&value).unwrap();
        let room = embedded_json(&cut).unwrap().len();
        assert!(room <= MOST_BYTES, "{room}");
        let text = cut["texts"][3_999].as_str().unwrap();
        assert!(text.starts_with("ax") && text.ends_with("xz") && text.len() > 1_000, "{text}");
        assert_eq!(cut["short"], "as it is");
    }

    #[test]
    fn hidden_characters_are_spelt_out_and_lines_stay() {
        assert_eq!(spelt_out("a\u{202e}b\u{7}\u{200b}\n\tü漢"), "a\\u{202e}b\\u{7}\\u{200b}\n\tü漢");
    }

    #[test]
    fn embedded_json_means_the_same_and_ends_no_element() {
        let text = "</script><!-- \u{2028}\u{202e}\u{e0001}&amp; ü \0";
        let json = embedded_json(&text).unwrap();
        assert!(json.bytes().all(|byte| byte >= 32) && !json.contains(['<', '>', '&', '\u{202e}']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
