//! Gate `duplicate`: the draft does not repeat a function of the set.
//!
//! A repeat has the same normalised source under another name, or the same shape of parameters and the same results on the
//! examples of both. A revision must change something that the assistant can notice.

use greensand_types::{
    FunctionDraft, FunctionName, FunctionSet, FunctionSignature, Gate, HostFault, JsonKind, JsonText, ValidatedFunction,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::examples::Calls;
use super::refusal::{Stop, refuse};
use super::same_value::same_value;

/// Refuses a draft that repeats another function of the set, or, as a revision, its own present state.
pub(crate) async fn check(draft: &FunctionDraft, set: &FunctionSet, calls: &Calls<'_>) -> Result<(), Stop> {
    let name = draft.signature.name();
    let source = normal_source(&draft.source, name);
    for present in set.iter() {
        let other = present.draft();
        let is_same_source = other.language == draft.language && normal_source(&other.source, present.name()) == source;
        if present.name() == name {
            if is_same_source && other.signature == draft.signature && other.packages == draft.packages {
                return refuse(
                    Gate::Duplicate,
                    format!("this is what `{name}` is already: same signature, same source"),
                );
            }
        } else if is_same_source {
            return refuse(
                Gate::Duplicate,
                format!("the source is that of `{}`; call that one, or revise it", present.name()),
            );
        } else if gives_the_same(draft, present, calls).await? {
            return refuse(
                Gate::Duplicate,
                format!(
                    "it gives the same results as `{}` on the examples of both; revise that one, or add an example on \
                     which the two differ",
                    present.name()
                ),
            );
        }
    }
    Ok(())
}

/// Says whether each of the two gives the results of the other's examples.
async fn gives_the_same(
    draft: &FunctionDraft,
    present: &ValidatedFunction,
    calls: &Calls<'_>,
) -> Result<bool, HostFault> {
    let other = present.draft();
    if shape(&draft.signature) != shape(&other.signature) {
        return Ok(false);
    }
    Ok(gives(other, draft, calls).await? && gives(draft, other, calls).await?)
}

/// Says whether `function` gives the results of the examples of `of`.
async fn gives(function: &FunctionDraft, of: &FunctionDraft, calls: &Calls<'_>) -> Result<bool, HostFault> {
    for example in &of.examples {
        let Some(arguments) = renamed(&example.arguments, &of.signature, &function.signature) else {
            return Ok(false);
        };
        let outcome = calls.run(function, arguments).await?;
        if !outcome.value().is_some_and(|value| same_value(value, &example.result)) {
            return Ok(false);
        }
    }
    Ok(!of.examples.is_empty())
}

/// The types of the parameters in order, with whether each is required: names and descriptions do not count.
fn shape(signature: &FunctionSignature) -> Vec<(Value, bool)> {
    let properties = signature.parameters().get("properties").and_then(Value::as_object);
    let type_of = |name: &str| {
        properties.and_then(|properties| properties.get(name)?.get("type")).cloned().unwrap_or(Value::Null)
    };
    signature.parameter_names().map(|(name, is_required)| (type_of(name), is_required)).collect()
}

/// Gives arguments by name the names of another signature of the same shape: by name where both have the same ones, else by place.
fn renamed(arguments: &JsonText, from: &FunctionSignature, to: &FunctionSignature) -> Option<JsonText> {
    if arguments.kind() != JsonKind::Object || has_same_names(from, to) {
        return Some(arguments.clone());
    }
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(arguments.get()).ok()?;
    let places: BTreeMap<&str, &str> =
        from.parameter_names().zip(to.parameter_names()).map(|((from, _), (to, _))| (from, to)).collect();
    let renamed: Option<BTreeMap<&str, &RawValue>> =
        fields.iter().map(|(name, value)| Some((*places.get(name.as_str())?, *value))).collect();
    JsonText::parse(&serde_json::to_string(&renamed?).ok()?).ok()
}

fn has_same_names(left: &FunctionSignature, right: &FunctionSignature) -> bool {
    let names = |signature: &FunctionSignature| {
        let properties = signature.parameters().get("properties").and_then(Value::as_object);
        let mut names: Vec<String> = properties.map(Map::keys).into_iter().flatten().cloned().collect();
        names.sort();
        names
    };
    names(left) == names(right)
}

/// Writes a source without what does not change it in any language that we know: blank lines, lines that are nothing but a
/// comment after `# `, the width of an indent and of white space in lines without quotes, and the function's own name.
///
/// It is not a parser. What it cannot see as equal (a comment behind code, or after `//`, which divides in some languages)
/// is left to the comparison of results; what it calls equal though it is not would need a text over several lines that
/// differs in such a line or indent.
fn normal_source(source: &str, name: &FunctionName) -> String {
    let mut indents: Vec<usize> = Vec::new();
    let mut normal = String::new();
    for line in source.lines() {
        let code = line.trim();
        // `#x` and `#[x]` are code in some languages, and `//` divides in others.
        if code.is_empty() || code == "#" || code.starts_with("# ") {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        while indents.last().is_some_and(|outer| *outer > indent) {
            indents.pop();
        }
        if indent > 0 && indents.last() != Some(&indent) {
            indents.push(indent);
        }
        normal.push_str(&"\t".repeat(indents.len()));
        // White space inside of a text is part of it.
        let code = match code.contains(['"', '\'', '`']) {
            true => code.to_owned(),
            false => code.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        normal.push_str(&without_name(&code, name.as_str()));
        normal.push('\n');
    }
    normal
}

fn without_name(line: &str, name: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        out.push_str(before);
        // The end of what is already written, not of `before`: the name may follow itself without a gap.
        let stands_alone = !out.chars().next_back().is_some_and(is_part) && !after.chars().next().is_some_and(is_part);
        out.push_str(if stands_alone { "\u{1}" } else { name });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_source(left: (&str, &str), right: (&str, &str), expected: bool) {
        let normal = |(name, source): (&str, &str)| normal_source(source, &name.parse().unwrap());
        assert_eq!(normal(left) == normal(right), expected, "{left:?} {right:?}");
    }

    #[test]
    fn spacing_comment_lines_and_the_own_name_do_not_make_another_source() {
        let plain = ("f", "def f(a):\n    if a:\n        return f(a - 1)\n    return 0\n");
        let other = ("g", "# the same\ndef g(a):\n\n  if  a:\n    # down\n    return g(a -  1)\n  return 0");
        check_source(plain, other, true);
    }

    #[test]
    fn what_changes_the_meaning_makes_another_source() {
        check_source(
            ("f", "def f(a):\n  if a:\n    a = 1\n  return a"),
            ("f", "def f(a):\n  if a:\n    a = 1\n    return a"),
            false,
        );
        check_source(("f", "def f(a): return a // 2"), ("f", "def f(a): return a // 3"), false);
        check_source(("f", "def f(a): return ff(a)"), ("g", "def g(a): return gg(a)"), false);
        check_source(("f", "def f(): return '#1'"), ("f", "def f(): return '#2'"), false);
        check_source(("f", "def f(a): return a.split('  ')"), ("f", "def f(a): return a.split(' ')"), false);
        check_source(
            ("f", "def f(a):\n  return (a\n    // 2\n  )"),
            ("f", "def f(a):\n  return (a\n    // 3\n  )"),
            false,
        );
        check_source(("f", "class C {\n  #rate = 2;\n}"), ("f", "class C {\n  #rate = 3;\n}"), false);
    }
}
