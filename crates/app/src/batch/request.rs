use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use greensand_types::{
    Encoding, Entry, FileName, FunctionRuntime, Grants, InputFiles, Invocation, JsonKind, JsonText, Language, Limits,
    SourceText, Tenant,
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::limits::{did_you_mean, nearest, set_limit, shortened};
use crate::paths;

/// More keys than this in one object are refused before they are looked at.
const MAX_KEYS: usize = 64;

/// The longest id, in bytes: the answer keeps it for as long as it waits.
const MAX_ID_BYTES: usize = 1 << 10;

/// More packages than this, or longer names, are refused before they are kept.
const MAX_PACKAGES: usize = 64;
const MAX_PACKAGE_BYTES: usize = 128;

/// What a message keeps of the line that it is about, in bytes.
const MAX_MESSAGE_BYTES: usize = 1 << 10;

const KEYS: &[&str] =
    &["id", "language", "source", "entry", "args", "packages", "seed", "encoding", "limits", "tenant", "files"];

/// A line that asks for one call.
#[derive(Debug)]
pub(super) struct Request {
    /// How the caller names it: a string, a number or `null`, in the caller's spelling.
    id: JsonText,
    language: Language,
    source: Arc<str>,
    entry: String,
    arguments: JsonText,
    packages: Vec<String>,
    seed: u64,
    encoding: Encoding,
    limits: Vec<(String, String)>,
    tenant: Tenant,
    files: InputFiles,
    line: u64,
}

/// A line that asks for nothing that can be run.
#[derive(Debug)]
pub(super) struct BadRequest {
    /// The id, if it could be read; else `null`.
    pub(super) id: JsonText,
    /// What is wrong with the line.
    pub(super) message: String,
}

impl Request {
    /// Reads a line. Values below the top are kept as text, so that no depth of nesting needs stack.
    pub(super) fn parse(line: &[u8]) -> Result<Self, BadRequest> {
        let mut fields = Fields::default();
        let read = match std::str::from_utf8(line) {
            Ok(text) => fields.read(text),
            Err(error) => Err(format!("is not UTF-8 text: byte {} is wrong", error.valid_up_to() + 1)),
        };
        let id = fields.id();
        let request = read.and_then(|()| Self::from_fields(&fields));
        request.map_err(|message| BadRequest::new(id.unwrap_or_else(|_| null()), message))
    }

    fn from_fields(fields: &Fields<'_>) -> Result<Self, String> {
        if let Some((key, _)) = fields.0.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
            let nearest = did_you_mean(nearest(key, KEYS.iter().copied()));
            return Err(format!("has an unknown key `{}`{nearest}", shortened(key)));
        }
        let mut seed = 0;
        let mut limits = Vec::new();
        for (key, value) in fields.object("limits")?.0 {
            match key.as_str() {
                // Every call is deterministic; callers that ask for it need not know that.
                "deterministic" if parse("limits.deterministic", value)? => {}
                "deterministic" => return Err("asks for `limits.deterministic` to be false: every call is".into()),
                "seed" => seed = parse("limits.seed", value)?,
                _ => limits.push((key, value.get().to_owned())),
            }
        }
        Ok(Self {
            id: fields.id()?,
            language: fields.language()?,
            source: fields.required::<String>("source")?.into(),
            entry: fields.required("entry")?,
            arguments: fields.arguments()?,
            packages: fields.optional::<PackageNames>("packages")?.unwrap_or_default().0,
            seed: fields.optional("seed")?.unwrap_or(seed),
            encoding: fields.encoding()?,
            limits,
            tenant: fields.tenant()?,
            files: fields.files()?,
            line: 1,
        })
    }

    /// Says on which line the request stands.
    pub(super) fn at_line(self, line: u64) -> Self {
        Self { line, ..self }
    }

    /// Turns the request into its id and a call, whose limits start from the defaults of the language.
    pub(super) fn into_invocation(
        self,
        runtime: &dyn FunctionRuntime,
        languages: &[String],
    ) -> Result<(JsonText, Invocation), BadRequest> {
        let limits = match self.limits(runtime, languages) {
            Ok(limits) => limits,
            Err(message) => return Err(BadRequest::new(self.id, message).at_line(self.line)),
        };
        let invocation = Invocation {
            encoding: self.encoding,
            seed: self.seed,
            tenant: self.tenant,
            grants: Grants { files: self.files, ..Grants::default() },
            ..Invocation::new(
                SourceText { language: self.language, text: self.source, packages: self.packages },
                Entry::Function(self.entry),
                self.arguments,
                limits,
            )
        };
        Ok((self.id, invocation))
    }

    fn limits(&self, runtime: &dyn FunctionRuntime, languages: &[String]) -> Result<Limits, String> {
        let Some(mut limits) = runtime.default_limits(&self.language) else {
            let nearest = did_you_mean(nearest(self.language.as_str(), languages.iter().map(String::as_str)));
            let (language, known) = (&self.language, listed(languages));
            return Err(format!("asks for `{language}`, which is no guest language: use {known}{nearest}"));
        };
        for (name, value) in &self.limits {
            set_limit(&mut limits, name, value).map_err(|error| format!("cannot have its limits: {error}"))?;
        }
        Ok(limits)
    }
}

impl BadRequest {
    /// A line with this id, as far as it is known. Of the message so much is kept as a reader needs.
    pub(super) fn new(id: JsonText, mut message: String) -> Self {
        if message.len() > MAX_MESSAGE_BYTES {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
            message.push('…');
            message.shrink_to_fit();
        }
        Self { id, message }
    }

    /// Says on which line the bad request stands.
    pub(super) fn at_line(self, line: u64) -> Self {
        Self { message: format!("line {line} {}", self.message), id: self.id }
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

pub(super) fn null() -> JsonText {
    JsonText::from_value(&serde_json::Value::Null)
}

/// The keys and values of an object, in order, each value as the text that was written.
///
/// They are collected as they are read, so that the id of a line that breaks off later is still known.
#[derive(Default)]
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn read(&mut self, text: &'a str) -> Result<(), String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = (&mut *self).deserialize(&mut reader).and_then(|()| reader.end());
        read.map_err(|error| not_an_object(&error))?;
        if self.0.len() > MAX_KEYS {
            return Err(format!("has more than {MAX_KEYS} keys"));
        }
        for (index, (key, _)) in self.0.iter().enumerate() {
            if self.0[..index].iter().any(|(earlier, _)| earlier == key) {
                return Err(format!("has the key `{}` twice", shortened(key)));
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    fn optional<T: serde::Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, String> {
        self.get(name).map(|value| parse(name, value)).transpose()
    }

    fn required<T: serde::Deserialize<'a>>(&self, name: &str) -> Result<T, String> {
        self.optional(name)?.ok_or_else(|| format!("has no `{name}`"))
    }

    fn object(&self, name: &str) -> Result<Fields<'a>, String> {
        let mut fields = Fields::default();
        if let Some(value) = self.get(name) {
            fields.read(value.get()).map_err(|message| format!("has no good `{name}`: it {message}"))?;
        }
        Ok(fields)
    }

    fn id(&self) -> Result<JsonText, String> {
        let Some(id) = self.get("id") else { return Ok(null()) };
        let length = id.get().len();
        if length > MAX_ID_BYTES {
            return Err(format!("has an `id` of {length} bytes: the most is {MAX_ID_BYTES}"));
        }
        let id: JsonText = parse("id", id)?;
        match id.kind() {
            JsonKind::Null | JsonKind::Number | JsonKind::String => Ok(id),
            JsonKind::Bool | JsonKind::Array | JsonKind::Object => {
                Err("has an `id` that is neither a string nor a number".into())
            }
        }
    }

    /// The language, by its name or an alias.
    fn language(&self) -> Result<Language, String> {
        let name = self.required::<String>("language")?;
        let guest = paths::guest_languages().into_iter().find(|guest| guest.aliases.contains(&name.as_str()));
        Language::from_str(guest.map_or(name.as_str(), |guest| guest.name)).map_err(|error| error.to_string())
    }

    fn arguments(&self) -> Result<JsonText, String> {
        let arguments: JsonText = self.required("args")?;
        match arguments.kind() {
            JsonKind::Array | JsonKind::Object => Ok(arguments),
            JsonKind::Null | JsonKind::Bool | JsonKind::Number | JsonKind::String => {
                Err("has `args` that are neither an array (by position) nor an object (by name)".into())
            }
        }
    }

    fn tenant(&self) -> Result<Tenant, String> {
        match self.optional::<String>("tenant")? {
            None => Ok(Tenant::default()),
            Some(name) => Tenant::from_str(&name).map_err(|error| format!("has a wrong `tenant`: {error}")),
        }
    }

    fn files(&self) -> Result<InputFiles, String> {
        let mut files = InputFiles::default();
        for (name, content) in self.object("files")?.0 {
            let wrong = |reason: &dyn fmt::Display| format!("has wrong `files`: {reason}");
            let file_name = FileName::from_str(&name).map_err(|error| wrong(&error))?;
            let bytes = file_content(content).map_err(|reason| wrong(&format_args!("`{file_name}` {reason}")))?;
            files.insert(file_name, bytes).map_err(|error| wrong(&error))?;
        }
        Ok(files)
    }

    fn encoding(&self) -> Result<Encoding, String> {
        match self.optional::<String>("encoding")?.as_deref() {
            None | Some("strict") => Ok(Encoding::Strict),
            Some("tagged") => Ok(Encoding::Tagged),
            Some(other) => Err(format!("has the encoding `{}`: use `strict` or `tagged`", shortened(other))),
        }
    }
}

/// Names of packages, so few and short that a line cannot make them take more than itself.
#[derive(Debug, Default)]
struct PackageNames(Vec<String>);

impl<'de> serde::Deserialize<'de> for PackageNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self::default())
    }
}

impl<'de> Visitor<'de> for PackageNames {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of names")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut names: A) -> Result<Self, A::Error> {
        while let Some(name) = names.next_element::<String>()? {
            if self.0.len() == MAX_PACKAGES || name.len() > MAX_PACKAGE_BYTES {
                let most = format!("at most {MAX_PACKAGES} names of at most {MAX_PACKAGE_BYTES} bytes");
                return Err(A::Error::custom(most));
            }
            self.0.push(name);
        }
        Ok(self)
    }
}

/// Reads the content of a file: `{"text": ..}` or `{"base64": ..}`.
fn file_content(content: &RawValue) -> Result<Vec<u8>, String> {
    let mut fields = Fields::default();
    fields.read(content.get())?;
    match fields.0.as_slice() {
        [(key, text)] if key == "text" => parse::<String>("text", text).map(String::into_bytes),
        [(key, text)] if key == "base64" => {
            let text: String = parse("base64", text)?;
            BASE64.decode(text).map_err(|error| format!("has a wrong `base64`: {error}"))
        }
        _ => Err("is neither {\"text\": ..} nor {\"base64\": ..}".into()),
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(name: &str, value: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(value.get()).map_err(|error| format!("has a wrong `{name}`: {}", without_place(&error)))
}

fn not_an_object(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => "is not a JSON object".into(),
        _ => format!("is not JSON: {} (column {})", without_place(error), error.column()),
    }
}

/// Returns the message without the place at its end: the line is always 1 there, which would mislead.
fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

impl<'de> DeserializeSeed<'de> for &mut Fields<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Fields<'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key()? {
            let value = map.next_value()?;
            if self.0.len() <= MAX_KEYS {
                self.0.push((key, value));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#""language": "any", "source": "s", "entry": "f""#;

    /// Reads a line; a bad one gives its id and its message.
    fn check(line: &str) -> Result<Request, (String, String)> {
        Request::parse(line.as_bytes()).map_err(|bad| (bad.id.get().to_owned(), bad.message))
    }

    fn refuses(line: &str, id: &str, message: &str) {
        let (found_id, found) = check(line).expect_err(line);
        assert_eq!(found_id, id, "{line}");
        assert!(found.contains(message), "{line}\n  says: {found}\n  not:  {message}");
    }

    #[test]
    fn a_request_keeps_the_spelling_of_ids_and_arguments() {
        let line = format!(r#"{{"id": 10000000000000000000000001, {GOOD}, "args": [1.50, 123456789012345678901]}}"#);
        let request = check(&line).unwrap();
        assert_eq!(request.id.get(), "10000000000000000000000001");
        assert_eq!(request.arguments.get(), "[1.50, 123456789012345678901]");
        assert_eq!((request.encoding, request.seed), (Encoding::Strict, 0));
    }

    #[test]
    fn a_language_has_aliases() {
        let language = |name: &str| {
            let line = format!(r#"{{"language": "{name}", "source": "s", "entry": "f", "args": []}}"#);
            check(&line).unwrap().language.to_string()
        };
        for (name, expected) in [("js", "javascript"), ("rs", "rust"), ("python", "python"), ("other", "other")] {
            assert_eq!(language(name), expected);
        }
    }

    #[test]
    fn a_seed_may_stand_in_either_place() {
        let seed = |rest: &str| check(&format!(r#"{{{GOOD}, "args": [], {rest}}}"#)).unwrap().seed;
        assert_eq!(seed(r#""seed": 3"#), 3);
        assert_eq!(seed(r#""limits": {"deterministic": true, "seed": 7}"#), 7);
        let undetermined = format!(r#"{{{GOOD}, "args": [], "limits": {{"deterministic": false}}}}"#);
        refuses(&undetermined, "null", "every call is");
        assert_eq!(seed(r#""seed": 3, "limits": {"seed": 7}"#), 3);
    }

    #[test]
    fn a_tenant_and_files_are_read() {
        let request = check(&format!(
            r#"{{{GOOD}, "args": [], "tenant": "team a", "files": {{"a/b.txt": {{"text": "\u20ac"}}, "c": {{"base64": "AP8="}}}}}}"#
        ));
        let request = request.unwrap();
        assert_eq!(request.tenant.name(), Some("team a"));
        let files: Vec<_> = request.files.iter().map(|(name, bytes)| (name.as_str(), bytes.to_vec())).collect();
        assert_eq!(files, [("a/b.txt", "\u{20ac}".as_bytes().to_vec()), ("c", vec![0, 255])]);
        for (files, message) in [
            (r#"{"../a": {"text": ""}}"#, "`../a` is not the name of an input file"),
            (r#"{"a": {"text": ""}, "a/b": {"text": ""}}"#, "`a` would be the folder of input file `a/b`"),
            (r#"{"a": {"base64": "?"}}"#, "`a` has a wrong `base64`"),
            (r#"{"a": {"text": "", "base64": ""}}"#, "neither"),
            (r#"{"a": {}}"#, "neither"),
            (r#"{"a": "x"}"#, "`a` is not a JSON object"),
            ("[]", "no good `files`"),
        ] {
            refuses(&format!(r#"{{{GOOD}, "args": [], "files": {files}}}"#), "null", message);
        }
        refuses(&format!(r#"{{{GOOD}, "args": [], "tenant": ""}}"#), "null", "wrong `tenant`: a tenant has a name");
        refuses(&format!(r#"{{{GOOD}, "args": [], "tenant": 5}}"#), "null", "wrong `tenant`");
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for key in ["args", "id", "limits", "unknown", "source", "packages"] {
            let _ = check(&format!(r#"{{{GOOD}, "{key}": {deep}}}"#));
        }
        assert!(check(&format!(r#"{{{GOOD}, "args": {deep}}}"#)).is_ok());
        let objects = r#"{"a":"#.repeat(100_000) + "1" + &"}".repeat(100_000);
        assert!(check(&format!(r#"{{{GOOD}, "args": {objects}}}"#)).is_ok());
        refuses(&deep, "null", "is not a JSON object");
    }

    #[test]
    fn the_id_of_a_bad_line_is_kept_where_it_can_be_read() {
        refuses(r#"{"id": "a", "source": 1, "language": "x", "entry": "f", "args": []}"#, r#""a""#, "wrong `source`");
        refuses(r#"{"id": 7, "source": "unfinished"#, "7", "is not JSON: EOF");
        refuses(r#"{"id": [7]}"#, "null", "neither a string nor a number");
        refuses(r#"{"id": 1, "id": 2}"#, "1", "key `id` twice");
        refuses("nonsense", "null", "is not JSON: expected ident (column 2)");
    }

    #[test]
    fn what_is_missing_wrong_or_unknown_is_named() {
        for (line, message) in [
            (r#"{}"#.to_owned(), "has no `language`"),
            (format!("{{{GOOD}}}"), "has no `args`"),
            (format!(r#"{{{GOOD}, "args": 5}}"#), "neither an array"),
            (format!(r#"{{{GOOD}, "args": [], "sorce": ""}}"#), "unknown key `sorce`; did you mean `source`?"),
            (format!(r#"{{{GOOD}, "args": [], "args": []}}"#), "key `args` twice"),
            (format!(r#"{{{GOOD}, "args": [], "seed": -1}}"#), "wrong `seed`"),
            (format!(r#"{{{GOOD}, "args": [], "encoding": "loose"}}"#), "use `strict` or `tagged`"),
            (format!(r#"{{{GOOD}, "args": [], "limits": 5}}"#), "no good `limits`: it is not a JSON object"),
            (format!(r#"{{{GOOD}, "args": [], "packages": ["a", 1]}}"#), "wrong `packages`"),
            (format!(r#"{{{GOOD}, "args": []}} {{}}"#), "trailing characters"),
            (r#"{"language": "Py thon", "source": "", "entry": "", "args": []}"#.into(), "not the name of a language"),
            (r#"{"language": "a", "source": "\ud800", "entry": "", "args": []}"#.into(), "wrong `source`"),
            ("[1]".into(), "is not a JSON object"),
            ("\"text\"".into(), "is not a JSON object"),
        ] {
            refuses(&line, "null", message);
        }
    }

    #[test]
    fn what_is_kept_of_a_bad_line_is_short() {
        let long = "x".repeat(1 << 20);
        refuses(&format!(r#"{{"id": "{long}"}}"#), "null", "has an `id` of 1048578 bytes: the most is 1024");
        refuses(&format!(r#"{{{GOOD}, "args": [], "packages": ["{long}"]}}"#), "null", "at most 64 names");
        let names = format!("[{}\"\"]", "\"\",".repeat(1 << 16));
        refuses(&format!(r#"{{{GOOD}, "args": [], "packages": {names}}}"#), "null", "at most 64 names");
        for key in ["seed", "encoding", "tenant", "language", "limits"] {
            let line = format!(r#"{{"source": "s", "entry": "f", "args": [], "{key}": "{long}"}}"#);
            let (_, message) = check(&line).expect_err(key);
            assert!(message.len() < 2 * MAX_MESSAGE_BYTES, "{key}: {} bytes", message.len());
        }
    }

    #[test]
    fn a_flood_of_keys_costs_no_time() {
        let keys: Vec<String> = (0..200_000).map(|index| format!(r#""k{index}": 0"#)).collect();
        refuses(&format!("{{{}}}", keys.join(",")), "null", "more than 64 keys");
    }

    #[test]
    fn bytes_that_are_not_text_are_refused() {
        let bad = Request::parse(b"{\"id\": \xff}").unwrap_err();
        assert_eq!(bad.message, "is not UTF-8 text: byte 8 is wrong");
    }
}
