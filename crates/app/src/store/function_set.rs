//! A function set as a folder that people can read: `function-set.json`, and for each function its signature with its
//! examples (`NAME.json`) and its source (`NAME.py`, or whatever the language's files end in).
//!
//! What is read back is a draft: it may have been edited, and admission has to let it in again. In a set that a run
//! wrote, every function must still have the id that `function-set.json` says. A folder without that file is a set that a
//! person wrote: every `NAME.json` in it is a function.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use greensand_types::{ContentId, Example, FunctionDraft, FunctionSet, FunctionSignature, JsonText, ValidatedFunction};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StoreError;
use super::files::{open_to_readers, read_json, read_text, replace, replace_json};

/// The file that says which functions a set has. Its name is no identifier, so that no function's file takes it.
pub(super) const SET_FILE: &str = "function-set.json";
const SET_FORMAT: u32 = 1;
const FUNCTION_FORMAT: u32 = 1;

/// A function set as it was read back.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSet {
    /// The folder.
    pub path: PathBuf,
    /// The id that it was written under; none, if a person wrote it.
    pub id: Option<ContentId>,
    /// The set that it was made from.
    pub parent: Option<ContentId>,
    /// The functions in the order of their names.
    pub functions: Vec<FunctionDraft>,
}

#[derive(Serialize, Deserialize)]
struct SetFile {
    format: u32,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    functions: Vec<SetEntry>,
}

#[derive(Serialize, Deserialize)]
struct SetEntry {
    name: String,
    id: String,
    signature: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionFile {
    format: u32,
    name: String,
    description: String,
    parameters: Value,
    language: String,
    source: String,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default)]
    examples: Vec<ExampleEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExampleEntry {
    arguments: JsonText,
    result: JsonText,
}

/// Writes a set into a folder, which is made.
///
/// The folder appears whole: it is written beside its place and moved there. One that is there already stays.
pub(super) fn write_set(folder: &Path, set: &FunctionSet) -> Result<(), StoreError> {
    if folder.exists() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(StoreError::write(parent))?;
    let staging = tempfile::Builder::new().prefix(".new-").tempdir_in(parent).map_err(StoreError::write(parent))?;
    let mut taken = BTreeSet::new();
    let mut functions = Vec::new();
    for function in set.iter() {
        let stem = file_stem(function, &mut taken);
        write_function(staging.path(), &stem, function)?;
        functions.push(SetEntry {
            name: function.name().to_string(),
            id: function.id().to_string(),
            signature: format!("{stem}.json"),
        });
    }
    let file = SetFile {
        format: SET_FORMAT,
        id: set.id().to_string(),
        parent: set.parent().map(|parent| parent.to_string()),
        functions,
    };
    replace_json(&staging.path().join(SET_FILE), &file)?;
    open_to_readers(staging.path()).map_err(StoreError::write(folder))?;
    std::fs::rename(staging.path(), folder).map_err(StoreError::write(folder))?;
    // The folder has moved away, so that there is nothing left to remove.
    let _ = staging.keep();
    Ok(())
}

/// Names that differ in case only would be one file on some disks.
fn file_stem(function: &ValidatedFunction, taken: &mut BTreeSet<String>) -> String {
    let name = function.name().as_str();
    if taken.insert(name.to_lowercase()) { name.to_owned() } else { format!("{name}-{}", function.id().short()) }
}

fn write_function(folder: &Path, stem: &str, function: &ValidatedFunction) -> Result<(), StoreError> {
    let draft = function.draft();
    let extension = crate::paths::guest(&draft.language).and_then(|guest| guest.extensions.first()).unwrap_or(&"txt");
    let source = format!("{stem}.{extension}");
    let file = FunctionFile {
        format: FUNCTION_FORMAT,
        name: draft.signature.name().to_string(),
        description: draft.signature.description().into(),
        parameters: draft.signature.parameters().clone().into(),
        language: draft.language.to_string(),
        source: source.clone(),
        packages: draft.packages.clone(),
        examples: draft
            .examples
            .iter()
            .map(|example| ExampleEntry { arguments: example.arguments.clone(), result: example.result.clone() })
            .collect(),
    };
    replace(&folder.join(source), draft.source.as_bytes())?;
    replace_json(&folder.join(format!("{stem}.json")), &file)
}

/// Reads a set back from its folder.
///
/// # Errors
/// When the folder cannot be read, a file is damaged, or a function of a run is not the one that was written.
pub fn load_set(folder: &Path) -> Result<StoredSet, StoreError> {
    let set_file = folder.join(SET_FILE);
    if !set_file.is_file() {
        return load_written_by_hand(folder);
    }
    let file: SetFile = read_json(&set_file, SET_FORMAT)?;
    let id_of =
        |text: &str| text.parse::<ContentId>().map_err(|error| StoreError::damaged(&set_file, error.to_string()));
    let mut functions = Vec::new();
    for entry in &file.functions {
        let draft = load_function(folder, &entry.signature)?;
        if draft.content_id() != id_of(&entry.id)? || draft.signature.name().as_str() != entry.name {
            return Err(StoreError::Changed { path: folder.to_owned(), function: entry.name.clone() });
        }
        functions.push(draft);
    }
    let parent = file.parent.as_deref().map(id_of).transpose()?;
    Ok(StoredSet { path: folder.to_owned(), id: Some(id_of(&file.id)?), parent, functions })
}

fn load_written_by_hand(folder: &Path) -> Result<StoredSet, StoreError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(StoreError::read(folder))? {
        let name = entry.map_err(StoreError::read(folder))?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && !name.starts_with('.') {
            names.push(name);
        }
    }
    // The empty set has a name of its own; a folder without functions is a mistake in the path.
    if names.is_empty() {
        return Err(StoreError::NoFunctions { path: folder.to_owned() });
    }
    names.sort();
    let functions = names.iter().map(|name| load_function(folder, name)).collect::<Result<_, _>>()?;
    Ok(StoredSet { path: folder.to_owned(), id: None, parent: None, functions })
}

fn load_function(folder: &Path, signature: &str) -> Result<FunctionDraft, StoreError> {
    let path = inside(folder, signature)?;
    let file: FunctionFile = read_json(&path, FUNCTION_FORMAT)?;
    let damaged = |reason: String| StoreError::damaged(&path, reason);
    let name = file.name.parse().map_err(|error: greensand_types::FunctionNameError| damaged(error.to_string()))?;
    let signature = FunctionSignature::new(name, file.description, file.parameters);
    let source = read_text(&inside(folder, &file.source)?)?;
    Ok(FunctionDraft {
        signature: signature.map_err(|error| damaged(error.to_string()))?,
        language: file.language.parse().map_err(|error: greensand_types::LanguageError| damaged(error.to_string()))?,
        source: source.into(),
        packages: file.packages,
        examples: file
            .examples
            .into_iter()
            .map(|example| Example { arguments: example.arguments, result: example.result })
            .collect(),
    })
}

/// A file beside another, whatever its name says: a set must not read from elsewhere.
fn inside(folder: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let is_plain = Path::new(name).file_name().is_some_and(|file| file == name);
    if is_plain {
        Ok(folder.join(name))
    } else {
        Err(StoreError::damaged(folder, format!("`{name}` is not the name of a file in it")))
    }
}

#[cfg(test)]
mod tests {
    use greensand_types::Action;
    use serde_json::json;

    use super::*;

    fn function(name: &str, source: &str) -> ValidatedFunction {
        let parameters = json!({"properties": {"b": {"type": "number", "maximum": 0.1}, "a": {}}, "required": ["a"]});
        let draft = FunctionDraft {
            signature: FunctionSignature::new(name.parse().unwrap(), "Says \"x\".".into(), parameters).unwrap(),
            language: "python".parse().unwrap(),
            source: source.into(),
            packages: vec!["one".into()],
            examples: vec![Example {
                arguments: JsonText::parse("{\"a\": [1, 123456789012345678901234567890]}").unwrap(),
                result: JsonText::parse("null").unwrap(),
            }],
        };
        ValidatedFunction::admitted(draft)
    }

    fn set(functions: &[(&str, &str)]) -> FunctionSet {
        functions
            .iter()
            .fold(FunctionSet::empty(), |set, (name, source)| set.apply(Action::Add(function(name, source))).unwrap())
    }

    /// Writes a set and returns where, with what keeps the folder alive.
    fn written(set: &FunctionSet) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sets").join("set");
        write_set(&path, set).unwrap();
        (folder, path)
    }

    fn names(path: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_set_comes_back_as_it_was() {
        let set = set(&[("f", "def f(a):\r\n\treturn 'ü'"), ("g", ""), ("function_set", "x\n\n")]);
        let (_folder, path) = written(&set);
        let stored = load_set(&path).unwrap();
        assert_eq!((stored.id, stored.parent), (Some(set.id()), set.parent()));
        let drafts: Vec<_> = set.iter().map(|function| function.draft().clone()).collect();
        assert_eq!(stored.functions, drafts);
    }

    #[test]
    fn names_that_differ_in_case_have_files_of_their_own() {
        let set = set(&[("Sum", "1"), ("sum", "2")]);
        let (_folder, path) = written(&set);
        let lower: std::collections::BTreeSet<_> = names(&path).iter().map(|name| name.to_lowercase()).collect();
        assert_eq!(lower.len(), 5, "{lower:?}");
        assert_eq!(load_set(&path).unwrap().functions.len(), 2);
    }

    #[test]
    fn a_folder_appears_whole_and_nothing_is_left_beside_it() {
        let (folder, path) = written(&set(&[("f", "1")]));
        assert_eq!(names(folder.path().join("sets").as_path()), ["set"]);
        assert_eq!(names(&path), ["f.json", "f.py", SET_FILE]);
        write_set(&path, &set(&[("f", "1")])).unwrap();
    }

    /// Writes a set, changes a file of it, and returns what reading it says.
    fn check_changed(file: &str, change: impl Fn(&str) -> String) -> String {
        let (_folder, path) = written(&set(&[("f", "1")]));
        let file = path.join(file);
        std::fs::write(&file, change(&std::fs::read_to_string(&file).unwrap())).unwrap();
        load_set(&path).unwrap_err().to_string()
    }

    #[test]
    fn what_was_changed_is_noticed() {
        assert!(check_changed("f.py", |_| "2".into()).starts_with("function `f` in `"));
        assert!(check_changed("f.json", |text| text.replace("null", "1")).contains("was changed after it was written"));
        assert!(check_changed("f.json", |text| text.replace("Says", "Tells")).contains("was changed"));
        assert!(check_changed("f.json", |text| text.replace("{", "")).contains("f.json:"));
        assert!(
            check_changed("f.json", |text| text.replace("\"format\": 1", "\"format\": 9")).contains("has format 9")
        );
        assert!(check_changed(SET_FILE, |text| text.replace("f.json", "g.json")).starts_with("read `"));
        assert!(check_changed(SET_FILE, |text| text.replace("\"id\": \"", "\"id\": \"x")).contains("64 hex digits"));
    }

    #[test]
    fn a_set_reads_only_files_of_its_own_folder() {
        for name in ["../f.json", "/etc/passwd", "..", "sub/f.json", ""] {
            let error = check_changed(SET_FILE, |text| text.replace("f.json", name));
            assert!(error.ends_with("is not the name of a file in it"), "{error}");
            let error = check_changed("f.json", |text| text.replace("f.py", name));
            assert!(error.ends_with("is not the name of a file in it"), "{error}");
        }
    }

    #[test]
    fn a_set_without_its_list_is_one_that_a_person_wrote() {
        let (_folder, path) = written(&set(&[("f", "1"), ("g", "2")]));
        std::fs::remove_file(path.join(SET_FILE)).unwrap();
        std::fs::write(path.join("f.py"), "edited").unwrap();
        let stored = load_set(&path).unwrap();
        assert_eq!((stored.id, stored.functions.len()), (None, 2));
        assert_eq!(&*stored.functions[0].source, "edited");
        std::fs::write(path.join("g.json"), "{\"format\": 1, \"nam\": \"g\"}").unwrap();
        assert!(
            load_set(&path)
                .unwrap_err()
                .to_string()
                .contains("g.json:1: not what was written there: unknown field `nam`")
        );
    }
}
