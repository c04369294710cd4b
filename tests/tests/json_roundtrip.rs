//! Any JSON goes through a function of any language and comes back without loss.
//!
//! Values are made from a fixed seed, so that every run checks the same ones: deep and wide, every kind of text (astral,
//! control characters, names that an object of some language has already), integers of hundreds of digits, floats in every
//! spelling. Each is written by this suite, sent by position and by name, strict and tagged, and read back by this suite;
//! it is compared by value, where the row of the language says what may differ (`src/languages.rs`).

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;
use std::time::Duration;

use futures::executor::block_on;
use greensand_sandbox::{GuestTemplate, Sandbox, SandboxSettings};
use greensand_tests::compilers::{compiling, missing};
use greensand_tests::languages::{KeyOrder, LanguageSources, Numbers, languages_of};
use greensand_types::{CallStatus, Encoding, Entry, FunctionRuntime, Invocation, JsonText, Limits, SourceText};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How many random values each language gets, each of them four times.
const CASES: u32 = 400;

/// The largest integer below which every integer is a float.
const SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

#[test]
fn any_json_goes_through_every_language_without_loss() {
    let sandbox = open();
    let can_run = |language: &&GuestTemplate| language.image().is_some() && missing(&sandbox, language).is_none();
    for language in languages_of(sandbox.languages().filter(can_run).map(|language| language.name)) {
        for value in hard_values() {
            round_trip(&sandbox, language, &value).unwrap_or_else(|difference| panic!("{difference}"));
        }
        // Found values are printed shrunk; they go to `hard_values` by hand.
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let checked = runner.run(&json(), |value| round_trip(&sandbox, language, &value).map_err(TestCaseError::fail));
        checked.unwrap_or_else(|found| panic!("{found}"));
    }
}

/// What a language makes of JSON that languages differ about: the value that comes back, or a part of the refusal.
type Edge = Result<&'static str, &'static str>;

/// JSON at the edge, and what becomes of it; the table in `guest-templates/README.md` says the same.
struct EdgeCase {
    json: String,
    python: Edge,
    /// TypeScript too.
    javascript: Edge,
    rust: Edge,
}

fn edges() -> Vec<EdgeCase> {
    let edge = |json: &str, python, javascript, rust| EdgeCase { json: json.into(), python, javascript, rust };
    let same = |json: &'static str| edge(json, Ok(json), Ok(json), Ok(json));
    let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
    let too_deep = Err("nested deeper than 500");
    vec![
        same(r#"{"__class__":2,"__proto__":{"polluted":true},"constructor":1}"#),
        // What a name is worth the last time counts, as nearly everywhere.
        edge(r#"{"a":1,"b":0,"a":2}"#, Ok(r#"{"a":2,"b":0}"#), Ok(r#"{"a":2,"b":0}"#), Ok(r#"{"a":2,"b":0}"#)),
        edge(r#"{"2":0,"1":0}"#, Ok(r#"{"2":0,"1":0}"#), Ok(r#"{"1":0,"2":0}"#), Ok(r#"{"1":0,"2":0}"#)),
        // An integer has no sign of nothing; a language with one kind of number makes a float of it.
        edge("-0", Ok("0"), Ok("-0.0"), Ok("-0")),
        same("-0.0"),
        edge("1e400", Err("out of the range"), Err("out of the range"), Ok("1e+400")),
        edge("1e-400", Ok("0.0"), Ok("0"), Ok("1e-400")),
        same("9007199254740993"),
        same("-123456789012345678901234567890"),
        edge("1.0", Ok("1.0"), Ok("1"), Ok("1.0")),
        edge("0.1000", Ok("0.1"), Ok("0.1"), Ok("0.1000")),
        edge("9007199254740993.0", Ok("9007199254740992.0"), Ok("9.007199254740992e+15"), Ok("9007199254740993.0")),
        edge(r#""\ud800""#, Err("lone surrogate"), Err("lone surrogate"), Err("surrogate")),
        edge(r#"{"\udc00":1}"#, Err("lone surrogate"), Err("lone surrogate"), Err("surrogate")),
        edge(r#""\ud83d\ude00""#, Ok("\"😀\""), Ok("\"😀\""), Ok("\"😀\"")),
        EdgeCase { json: deep(1000), python: too_deep, javascript: too_deep, rust: Ok("") },
        EdgeCase { json: deep(1001), python: too_deep, javascript: too_deep, rust: Err("nested deeper than 1000") },
        EdgeCase { json: deep(200_000), python: too_deep, javascript: too_deep, rust: Err("nested deeper than 1000") },
    ]
}

#[test]
fn json_that_languages_differ_about_becomes_what_is_documented() {
    let sandbox = open();
    let can_run = |language: &&GuestTemplate| language.image().is_some() && missing(&sandbox, language).is_none();
    let mut wrong = Vec::new();
    for language in languages_of(sandbox.languages().filter(can_run).map(|language| language.name)) {
        for case in edges() {
            let expected = match language.name {
                "python" => case.python,
                "javascript" | "typescript" => case.javascript,
                "rust" => case.rust,
                other => panic!("nothing is documented of `{other}`"),
            };
            let arguments = format!("[{}]", case.json);
            let outcome =
                block_on(sandbox.invoke(invocation(&sandbox, language, &arguments, Encoding::Strict))).unwrap();
            let is_as_documented = match expected {
                // What is too long to be written here twice comes back as it was sent.
                Ok("") => outcome.value().is_some_and(|value| value.get() == case.json),
                Ok(text) => outcome.value().is_some_and(|value| value.get() == text),
                Err(message) => {
                    outcome.status() == CallStatus::Invalid && outcome.failure().unwrap().message.contains(message)
                }
            };
            if !is_as_documented {
                let (json, outcome) = (shortened(&case.json), shortened(&format!("{outcome:?}")));
                wrong.push(format!("{}: {json} became {outcome}", language.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// JSON as this suite writes and compares it.
#[derive(Clone, PartialEq)]
enum Json {
    Null,
    Bool(bool),
    /// Digits with an optional sign.
    Integer(String),
    Float(f64),
    /// A number in a spelling of its own, with what it is worth.
    Spelled(&'static str, f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(|integer| Json::Integer(integer.to_string())),
        "-?[1-9][0-9]{0,200}".prop_map(Json::Integer),
        any::<f64>().prop_filter("JSON has no infinities", |float| float.is_finite()).prop_map(Json::Float),
        text().prop_map(Json::Text),
    ];
    leaf.prop_recursive(8, 96, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Json::Array),
            vec((text(), inner), 0..6).prop_map(|fields| Json::Object(without_doubles(fields))),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-c0-9]{0,3}",
        proptest::sample::select(HARD_TEXTS).prop_map(str::to_owned),
        vec(any::<char>(), 0..40).prop_map(|characters| characters.into_iter().collect()),
    ]
}

/// Names that mean something to some language, and characters that something stumbles over.
const HARD_TEXTS: &[&str] = &[
    "",
    " ",
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "toJSON",
    "hasOwnProperty",
    "length",
    "then",
    "self",
    "__class__",
    "__dict__",
    "$type",
    "$text",
    "$items",
    "value",
    "null",
    "NaN",
    "0",
    "01",
    "-0",
    "4294967295",
    "a\0",
    "\0",
    "\u{1}\u{1f}\u{7f}",
    "\u{80}\u{9f}",
    "\u{2028}\u{2029}",
    "\u{feff}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{1f468}\u{200d}\u{1f469}",
    "e\u{301}",
    "\u{e9}",
    "\u{d7ff}\u{e000}",
    "\"\\/\u{8}\u{c}\n\r\t",
    "\\u0041",
    "\\ud800",
    "</script>",
    "\u{202e}",
    "{\"a\":1}",
];

fn hard_values() -> Vec<Json> {
    let nested = |depth: usize, wrap: fn(Json) -> Json| (0..depth).fold(Json::Null, |inner, _| wrap(inner));
    let pair = |key: &str, value: Json| (key.to_owned(), value);
    let mut values = vec![
        Json::Array(HARD_TEXTS.iter().map(|text| Json::Text((*text).to_owned())).collect()),
        Json::Object(HARD_TEXTS.iter().map(|text| pair(text, Json::Text((*text).to_owned()))).collect()),
        // Looks like what the tagged encoding writes, and is a plain object all the same.
        Json::Object(vec![pair("$type", Json::Text("set".into())), pair("$items", Json::Array(vec![Json::Null]))]),
        nested(200, |inner| Json::Array(vec![inner])),
        nested(200, |inner| Json::Object(vec![("a".into(), inner)])),
        Json::Text("x\u{1f600}\u{0}".repeat(20_000)),
        Json::Array((0..5_000).map(|index| Json::Integer(index.to_string())).collect()),
        Json::Integer("9".repeat(1_000)),
    ];
    let integers = [
        "0",
        "-1",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
    ];
    values.extend(integers.map(|digits| Json::Integer(digits.into())));
    let floats = [0.0, -0.0, 0.1, 1.0, -1.5, 1e21, 1e-7, 5e-324, f64::MIN_POSITIVE, f64::MAX, f64::MIN, 1e15 + 0.3];
    values.extend(floats.map(Json::Float));
    let spelled = [("1E5", 1e5), ("1.50", 1.5), ("1e+2", 100.0), ("-0.0e-9", -0.0), ("2.5E-3", 0.0025), ("1e22", 1e22)];
    values.extend(spelled.map(|(text, worth)| Json::Spelled(text, worth)));
    values
}

/// Sends a value through the identity in every way there is.
fn round_trip(sandbox: &Sandbox, language: &LanguageSources, value: &Json) -> Result<(), String> {
    for (spelling, encoding) in [(Spelling::Plain, Encoding::Strict), (Spelling::Escaped, Encoding::Tagged)] {
        let written = written(value, spelling);
        for arguments in [format!("[{written}]"), format!("{{\"value\":{written}}}")] {
            let outcome = block_on(sandbox.invoke(invocation(sandbox, language, &arguments, encoding))).unwrap();
            let Some(returned) = outcome.value() else {
                return Err(format!("{}: {outcome:?} of {}", language.name, shortened(&arguments)));
            };
            let returned = match encoding {
                Encoding::Strict => read(returned.get()),
                Encoding::Tagged => without_tags(read(returned.get()))?,
            };
            if !is_same(value, &returned, language) {
                let (sent, got) = (shortened(&written), format!("{returned:?}"));
                return Err(format!("{}: sent {sent}, got {}", language.name, shortened(&got)));
            }
        }
    }
    Ok(())
}

fn invocation(sandbox: &Sandbox, language: &LanguageSources, arguments: &str, encoding: Encoding) -> Invocation {
    let name = language.name.parse().unwrap();
    let limits = Limits { wall: Duration::from_secs(30), ..sandbox.default_limits(&name).unwrap() };
    let source = SourceText { language: name, text: language.identity.into(), packages: Vec::new() };
    let arguments = JsonText::parse(arguments).unwrap();
    Invocation { encoding, ..Invocation::new(source, Entry::Function("f".into()), arguments, limits) }
}

fn open() -> Sandbox {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    let settings = SandboxSettings { workers: 1, ..SandboxSettings::new(cache) };
    Sandbox::open(compiling(env!("CARGO_BIN_EXE_helper"), settings)).unwrap()
}

/// Says whether what came back is what was sent, as far as the language promises it.
fn is_same(sent: &Json, returned: &Json, language: &LanguageSources) -> bool {
    match (sent, returned) {
        (Json::Array(sent), Json::Array(returned)) => {
            let mut pairs = sent.iter().zip(returned);
            sent.len() == returned.len() && pairs.all(|(sent, returned)| is_same(sent, returned, language))
        }
        (Json::Object(sent), Json::Object(returned)) => {
            let keys = |fields: &[(String, Json)]| fields.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
            let is_in_order = language.key_order == KeyOrder::Own || keys(sent) == keys(returned);
            let by_key: BTreeMap<_, _> = returned.iter().map(|(key, value)| (key, value)).collect();
            let is_there = |(key, value): &(String, Json)| {
                by_key.get(key).is_some_and(|returned| is_same(value, returned, language))
            };
            sent.len() == returned.len() && is_in_order && sent.iter().all(is_there)
        }
        (Json::Integer(_) | Json::Float(_) | Json::Spelled(..), Json::Integer(_) | Json::Float(_)) => {
            is_same_number(sent, returned, language.numbers)
        }
        (sent, returned) => sent == returned,
    }
}

fn is_same_number(sent: &Json, returned: &Json, numbers: Numbers) -> bool {
    match (sent, returned) {
        (Json::Integer(sent), Json::Integer(returned)) => sent == returned,
        (Json::Float(sent) | Json::Spelled(_, sent), Json::Float(returned)) => sent.to_bits() == returned.to_bits(),
        (_, _) if numbers == Numbers::TwoKinds => false,
        (Json::Float(sent) | Json::Spelled(_, sent), Json::Integer(returned)) => {
            returned.parse::<f64>().unwrap().to_bits() == sent.to_bits()
        }
        (Json::Integer(sent), Json::Float(returned)) => {
            returned.abs() <= SAFE_INTEGER && sent.parse::<f64>().unwrap().to_bits() == returned.to_bits()
        }
        _ => false,
    }
}

// Writing and reading ---------------------------------------------------------------------------------------------

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// Text as it is.
    Plain,
    /// Every unit of UTF-16 as an escape; some white space.
    Escaped,
}

fn written(value: &Json, spelling: Spelling) -> String {
    let mut out = String::new();
    write(&mut out, value, spelling);
    out
}

fn write(out: &mut String, value: &Json, spelling: Spelling) {
    let space = if spelling == Spelling::Escaped { " " } else { "" };
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Json::Integer(digits) => out.push_str(digits),
        Json::Spelled(text, _) => out.push_str(text),
        Json::Float(float) => out.push_str(&serde_json::to_string(float).unwrap()),
        Json::Text(text) => write_text(out, text, spelling),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                out.push_str(space);
                write(out, item, spelling);
            }
            out.push(']');
        }
        Json::Object(fields) => {
            out.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_text(out, key, spelling);
                out.push_str(space);
                out.push(':');
                write(out, value, spelling);
            }
            out.push('}');
        }
    }
}

fn write_text(out: &mut String, text: &str, spelling: Spelling) {
    match spelling {
        Spelling::Plain => out.push_str(&serde_json::to_string(text).unwrap()),
        Spelling::Escaped => {
            out.push('"');
            text.encode_utf16().for_each(|unit| write!(out, "\\u{unit:04x}").unwrap());
            out.push('"');
        }
    }
}

/// Reads what a function returned, with every digit.
fn read(text: &str) -> Json {
    match text.as_bytes()[0] {
        b'n' => Json::Null,
        b't' | b'f' => Json::Bool(serde_json::from_str(text).unwrap()),
        b'"' => Json::Text(serde_json::from_str(text).unwrap()),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).unwrap();
            Json::Array(items.into_iter().map(|item| read(item.get())).collect())
        }
        b'{' => {
            let Fields(fields) = serde_json::from_str(text).unwrap();
            Json::Object(fields.into_iter().map(|(key, value)| (key, read(value.get()))).collect())
        }
        _ if text.contains(['.', 'e', 'E']) || text == "-0" => Json::Float(text.parse().unwrap()),
        _ => Json::Integer(text.to_owned()),
    }
}

/// Undoes what the tagged encoding does to an object that has a key `$type` of its own: it becomes a list of entries, so
/// that nobody takes it for a tag. One that was left as it is would be a lie.
fn without_tags(value: Json) -> Result<Json, String> {
    let fields = match value {
        Json::Array(items) => return items.into_iter().map(without_tags).collect::<Result<_, _>>().map(Json::Array),
        Json::Object(fields) => fields,
        plain => return Ok(plain),
    };
    if !fields.iter().any(|(key, _)| key == "$type") {
        let fields = fields.into_iter().map(|(key, value)| Ok((key, without_tags(value)?)));
        return fields.collect::<Result<_, String>>().map(Json::Object);
    }
    let entries = match fields.as_slice() {
        [(first, Json::Text(_)), (second, Json::Array(entries))] if (&**first, &**second) == ("$type", "$entries") => {
            entries
        }
        fields => return Err(format!("{} would be taken for a tag", shortened(&format!("{fields:?}")))),
    };
    let entries = entries.iter().map(|entry| match entry {
        Json::Array(pair) => match pair.as_slice() {
            [Json::Text(key), value] => Ok((key.clone(), without_tags(value.clone())?)),
            _ => Err(format!("{entry:?} is no entry with a key")),
        },
        _ => Err(format!("{entry:?} is no entry")),
    });
    entries.collect::<Result<_, String>>().map(Json::Object)
}

/// An object as it was written: in order, doubled keys and all.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn without_doubles(fields: Vec<(String, Json)>) -> Vec<(String, Json)> {
    let mut kept: Vec<(String, Json)> = Vec::new();
    for (key, value) in fields {
        if kept.iter().all(|(earlier, _)| *earlier != key) {
            kept.push((key, value));
        }
    }
    kept
}

impl fmt::Debug for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&written(self, Spelling::Plain))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(400).collect()
}

// The suite itself ------------------------------------------------------------------------------------------------

#[test]
fn a_loss_is_noticed() {
    let [exact, one_kind] = ["python", "javascript"].map(|name| languages_of([name])[0]);
    let check = |sent: Json, returned: &str, in_exact: bool, in_one_kind: bool| {
        let found = [exact, one_kind].map(|language| is_same(&sent, &read(returned), language));
        assert_eq!(found, [in_exact, in_one_kind], "{sent:?} {returned}");
    };
    let integer = |digits: &str| Json::Integer(digits.into());
    check(integer("9007199254740993"), "9007199254740992", false, false);
    check(integer("9007199254740993"), "9007199254740992.0", false, false);
    check(integer("1"), "1", true, true);
    check(integer("1"), "1.0", false, true);
    check(integer("1"), "true", false, false);
    check(Json::Float(1.0), "1", false, true);
    check(Json::Float(-0.0), "0", false, false);
    check(Json::Float(-0.0), "-0", true, true);
    check(Json::Float(1e21), "1000000000000000000000", false, true);
    check(Json::Text("\u{e9}".into()), "\"e\u{301}\"", false, false);
    let object = Json::Object(vec![("b".into(), Json::Null), ("1".into(), Json::Null)]);
    check(object.clone(), r#"{"1":null,"b":null}"#, false, true);
    check(object.clone(), r#"{"b":null}"#, false, false);
    check(object, r#"{"b":null,"1":null,"1":null}"#, false, false);
}

#[test]
fn both_spellings_read_back_as_what_was_written() {
    for value in hard_values() {
        if let Json::Spelled(..) = value {
            continue;
        }
        for spelling in [Spelling::Plain, Spelling::Escaped] {
            let text: Box<RawValue> = serde_json::from_str(&written(&value, spelling)).unwrap();
            assert!(is_same(&value, &read(text.get()), languages_of(["python"])[0]), "{spelling:?}");
        }
    }
}
