//! Making a project: a commented project file, example tasks, and a README.
//!
//! The project file is `defaults.toml` with every default commented out, so that a project sets only what it
//! means to, and what only a project can say filled in. Nothing that exists is overwritten.

use std::path::{Path, PathBuf};

use crate::settings::{DEFAULTS, PROJECT_FILE};

/// The files beside the project file.
const FILES: &[(&str, &str)] = &[
    ("tasks/train.jsonl", include_str!("template/tasks/train.jsonl")),
    ("tasks/validation.jsonl", include_str!("template/tasks/validation.jsonl")),
    ("tasks/test.jsonl", include_str!("template/tasks/test.jsonl")),
    ("README.md", include_str!("template/README.md")),
    (".gitignore", include_str!("template/gitignore")),
];

/// A project that could not be made. What was written until then stays.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is something else in its place.
    #[error("`{}` is a file, not a folder for a project", path.display())]
    NoFolder {
        /// What is there.
        path: PathBuf,
    },
    /// A file is there already.
    #[error("`{}` exists already, and is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Something could not be written.
    #[error("write `{}`", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl InitError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. } | Self::NoFolder { .. } => Some("choose another folder: `greensand init DIR`".into()),
            Self::Write { .. } => None,
        }
    }
}

/// Writes a new project into a folder, which is made if it is missing. Returns the files.
///
/// # Errors
/// When one of the files exists, before anything is written; or when one cannot be written.
pub fn write_project(folder: &Path) -> Result<Vec<PathBuf>, InitError> {
    if folder.exists() && !folder.is_dir() {
        return Err(InitError::NoFolder { path: folder.to_owned() });
    }
    let project_file = (PROJECT_FILE, project_file(&name_of(folder)));
    let files = std::iter::once((project_file.0, project_file.1.as_str())).chain(FILES.iter().copied());
    let files: Vec<(PathBuf, &str)> = files.map(|(name, text)| (folder.join(name), text)).collect();
    // A dangling link is something that exists, too.
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        return Err(InitError::Exists { path: path.clone() });
    }
    for (path, text) in &files {
        write(path, text)?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn write(path: &Path, text: &str) -> Result<(), InitError> {
    let write = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = std::fs::File::create_new(path)?;
        std::io::Write::write_all(&mut file, text.as_bytes())
    };
    write().map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => InitError::Exists { path: path.to_owned() },
        _ => InitError::Write { path: path.to_owned(), source },
    })
}

fn name_of(folder: &Path) -> String {
    let path = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    path.file_name().map_or_else(|| "project".into(), |name| name.to_string_lossy().into_owned())
}

/// What a new project says for itself: a line of the defaults, and what takes its place.
const FILLED_IN: &[(&str, &str)] = &[
    ("# train = \"tasks/train.jsonl\"", "train = \"tasks/train.jsonl\""),
    ("# validation = \"tasks/validation.jsonl\"", "validation = \"tasks/validation.jsonl\""),
    ("# test = \"tasks/test.jsonl\"", "test = \"tasks/test.jsonl\""),
    ("name = \"exact\"", "name = \"number\""),
];

fn project_file(name: &str) -> String {
    let mut text = String::from(
        "# A Greensand project. A line that is commented out shows a setting with its default, or one that has none.\n\
         # The environment (GREENSAND_TRAINING_EPOCHS for `training.epochs`) and flags (`--set training.epochs=5`) go\n\
         # before this file.\n",
    );
    let name_line = format!("name = {}", toml::Value::from(name));
    // The head of the defaults is about the defaults.
    let body = DEFAULTS.find("[project]").map_or(DEFAULTS, |start| &DEFAULTS[start..]);
    for line in body.lines() {
        let filled = FILLED_IN.iter().find(|(default, _)| *default == line).map(|(_, filled)| *filled);
        if line == "[project]" {
            text.push('\n');
        }
        match filled {
            Some(filled) => text.push_str(filled),
            None if line == "# name = \"ledger\"" => text.push_str(&name_line),
            None if is_setting(line) => {
                text.push_str("# ");
                text.push_str(line);
            }
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn is_setting(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(['#', '['])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Environment, Overrides, Split, open_project};

    #[test]
    fn a_new_project_is_one_that_opens() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("my \"agent\"");
        let files = write_project(&folder).unwrap();
        assert_eq!(files.len(), 6);
        let environment = Environment::of([], &folder);
        let project = open_project(&folder, &Overrides::new(), &environment).unwrap();
        assert_eq!((&*project.settings.name, &*project.settings.scorer.name), ("my \"agent\"", "number"));
        assert!(Split::ALL.iter().all(|split| project.tasks.get(*split).len() >= 6));
        assert!(project.tasks.warnings().is_empty());
    }

    #[test]
    fn a_new_project_sets_only_what_is_its_own() {
        let table: toml::Table = toml::from_str(&project_file("x")).unwrap();
        let set = table.iter().filter(|(_, section)| {
            section.as_table().is_some_and(|section| section.values().any(|value| !value.is_table()))
        });
        let set: Vec<_> = set.map(|(name, _)| name.as_str()).collect();
        assert_eq!(set, ["project", "tasks", "scorer"]);
        for (default, _) in FILLED_IN {
            assert!(DEFAULTS.lines().any(|line| line == *default), "{default}");
        }
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_half_made() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("README.md"), "mine").unwrap();
        let error = write_project(folder.path()).unwrap_err();
        assert!(matches!(error, InitError::Exists { .. }), "{error}");
        assert!(!folder.path().join(PROJECT_FILE).exists());
    }
}
