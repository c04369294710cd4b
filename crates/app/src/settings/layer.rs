//! The layers that settings come in: defaults, project file, environment, flags.
//!
//! Each reader turns its form into a [`Layer`] of checked values with their sources. A later layer wins, key by key.
//! Paths become relative to the place that names them: the folder of the file, or the current folder.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::keys::{self, KEYS, Key, Kind};
use super::value::{check, from_json, parse_text, parse_toml};
use super::{Overrides, SettingSource, SettingsError};
use crate::Environment;
use crate::store::ManifestSetting;

/// A value with its source.
#[derive(Debug, Clone)]
pub(super) struct Sourced {
    pub(super) value: Value,
    pub(super) source: SettingSource,
}

/// The settings that one place gives.
pub(super) type Layer = BTreeMap<&'static str, Sourced>;

/// How a TOML text is pointed at.
#[derive(Debug, Clone, Copy)]
pub(super) enum TomlOrigin<'a> {
    /// The compiled-in defaults.
    Defaults,
    /// A project file.
    File(&'a Path),
}

impl TomlOrigin<'_> {
    fn at(self, line: usize) -> SettingSource {
        match self {
            Self::Defaults => SettingSource::Default,
            Self::File(path) => SettingSource::File { path: path.to_owned(), line },
        }
    }
}

/// Reads a TOML text; paths in it are relative to `base`.
pub(super) fn read_toml(text: &str, origin: TomlOrigin<'_>, base: &Path) -> Result<Layer, SettingsError> {
    let path = match origin {
        TomlOrigin::Defaults => Path::new("defaults.toml"),
        TomlOrigin::File(path) => path,
    };
    let syntax = |error: toml::de::Error| SettingsError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, &span)),
        reason: error.message().trim_end_matches('.').to_owned(),
    };
    let document = DeTable::parse(text).map_err(syntax)?;
    let values: toml::Table = toml::from_str(text).map_err(syntax)?;
    let mut reader = TomlReader { text, origin, base, layer: Layer::new() };
    reader.read_table("", document.get_ref(), &values)?;
    Ok(reader.layer)
}

struct TomlReader<'a> {
    text: &'a str,
    origin: TomlOrigin<'a>,
    base: &'a Path,
    layer: Layer,
}

impl TomlReader<'_> {
    fn read_table(&mut self, prefix: &str, spans: &DeTable<'_>, values: &toml::Table) -> Result<(), SettingsError> {
        for (name, span) in spans {
            let Some(value) = values.get(name.get_ref().as_ref()) else { continue };
            let key =
                if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            let source = self.origin.at(line_of(self.text, &name.span()));
            match (keys::find(&key), span.get_ref(), value) {
                (Some(known), _, value) => {
                    let value = check(known, value.clone(), &source, self.base)?;
                    self.layer.insert(known.name, Sourced { value, source });
                }
                (None, DeValue::Table(spans), Value::Table(values)) if is_table(&key) => {
                    self.read_table(&key, spans, values)?;
                }
                (None, _, _) if is_table(&key) => {
                    return Err(SettingsError::WrongValue {
                        place: source,
                        key,
                        expected: "a table of settings".into(),
                        found: super::value::describe(value),
                        nearest: None,
                    });
                }
                (None, _, _) => return Err(unknown(source, key)),
            }
        }
        Ok(())
    }
}

/// Reads the variables whose names begin with `GREENSAND_`.
pub(super) fn read_environment(environment: &Environment) -> Result<Layer, SettingsError> {
    let mut layer = Layer::new();
    for (variable, text) in environment.settings() {
        let source = SettingSource::Environment { variable: variable.to_owned() };
        let Some(key) = KEYS.iter().find(|key| variable_of(key) == variable) else {
            let nearest = KEYS
                .iter()
                .map(variable_of)
                .min_by_key(|known| strsim::damerau_levenshtein(variable, known))
                .filter(|known| strsim::damerau_levenshtein(variable, known) <= 6);
            return Err(SettingsError::UnknownKey { place: source, key: variable.to_owned(), nearest });
        };
        let value = check(key, parse_text(key, text), &source, environment.current_dir())?;
        layer.insert(key.name, Sourced { value, source });
    }
    Ok(layer)
}

/// Reads the settings that a run was made with; relative paths of them begin in the folder that they were given in.
pub(super) fn read_recorded(
    run: &Path,
    settings: &[ManifestSetting],
    directory: &Path,
) -> Result<Layer, SettingsError> {
    let mut layer = Layer::new();
    for setting in settings {
        let source = SettingSource::Run { folder: run.to_owned() };
        let Some(key) = keys::find(&setting.key) else { return Err(unknown(source, setting.key.clone())) };
        let value = check(key, from_json(&setting.value), &source, directory)?;
        layer.insert(key.name, Sourced { value, source });
    }
    Ok(layer)
}

/// Reads flags. A member of an open table joins what the layers `below` have in it.
pub(super) fn read_overrides(
    overrides: &Overrides,
    environment: &Environment,
    below: &Layer,
) -> Result<Layer, SettingsError> {
    let mut layer = Layer::new();
    for entry in &overrides.entries {
        let source = SettingSource::Flag { flag: entry.flag.clone() };
        if let Some((key, member)) = member_of_table(&entry.key) {
            let table = layer.remove(key.name).or_else(|| below.get(key.name).cloned()).map(|sourced| sourced.value);
            let mut table = table.and_then(|value| value.try_into::<toml::Table>().ok()).unwrap_or_default();
            table.insert(member.to_owned(), parse_toml(&entry.text));
            layer.insert(key.name, Sourced { value: Value::Table(table), source });
            continue;
        }
        let Some(key) = keys::find(&entry.key) else { return Err(unknown(source, entry.key.clone())) };
        let value = check(key, parse_text(key, &entry.text), &source, environment.current_dir())?;
        layer.insert(key.name, Sourced { value, source });
    }
    Ok(layer)
}

/// Reads `scorer.options.NAME` as a table and a member of it.
fn member_of_table(key: &str) -> Option<(&'static Key, &str)> {
    let tables = KEYS.iter().filter(|known| matches!(known.kind, Kind::Table));
    tables.into_iter().find_map(|known| Some((known, key.strip_prefix(known.name)?.strip_prefix('.')?)))
}

/// Returns the environment variable of a setting.
pub(super) fn variable_of(key: &Key) -> String {
    format!("GREENSAND_{}", key.name.to_ascii_uppercase().replace('.', "_"))
}

fn unknown(place: SettingSource, key: String) -> SettingsError {
    let nearest = keys::nearest(&key).map(str::to_owned);
    SettingsError::UnknownKey { place, key, nearest }
}

fn is_table(key: &str) -> bool {
    KEYS.iter().any(|known| known.name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
        && !keys::find(key).is_some_and(|known| matches!(known.kind, Kind::Table))
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let end = span.start.min(text.len());
    1 + text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count()
}
