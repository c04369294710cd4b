use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

/// The name of an input file: parts with `/` between them, none of them empty, `.` or `..`.
///
/// At most 255 bytes, without control characters and `\`: what every file system can show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the folders that the name stands in: `a` and `a/b` for `a/b/c`.
    fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(end, _)| &self.0[..end])
    }
}

/// A text that is not the name of an input file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not the name of an input file: use 1 to {max} bytes with `/` between the parts, and no `.`, `..`, \
     empty part, `\\` or control character",
    max = FileName::MAX_LEN
)]
pub struct FileNameError {
    name: String,
}

impl FromStr for FileName {
    type Err = FileNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_good_part = |part: &str| !matches!(part, "" | "." | "..");
        let is_bad_character = |character: char| character.is_control() || character == '\\';
        if text.len() <= Self::MAX_LEN && !text.contains(is_bad_character) && text.split('/').all(is_good_part) {
            return Ok(Self(text.to_owned()));
        }
        Err(FileNameError {
            name: text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Borrow<str> for FileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The files that a call may read, by name: bytes in memory, never files of the host. Clones share them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputFiles(Option<Arc<BTreeMap<FileName, Arc<[u8]>>>>);

/// A file that does not fit the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputFilesError {
    /// Two files of one name.
    #[error("input file `{0}` is given twice")]
    Twice(FileName),
    /// One name is a file and a folder.
    #[error("input file `{file}` would be the folder of input file `{inside}`")]
    FileAndFolder {
        /// The file.
        file: FileName,
        /// A file that would stand in it.
        inside: FileName,
    },
}

impl InputFiles {
    /// Adds a file.
    ///
    /// # Errors
    /// When its name is taken, or when one of the two would be the folder of the other.
    pub fn insert(&mut self, name: FileName, bytes: impl Into<Arc<[u8]>>) -> Result<(), InputFilesError> {
        let files = self.0.get_or_insert_default();
        if files.contains_key(&name) {
            return Err(InputFilesError::Twice(name));
        }
        let above = name.folders().find_map(|folder| files.get_key_value(folder));
        if let Some(file) = above.map(|(file, _)| file.clone()) {
            return Err(InputFilesError::FileAndFolder { file, inside: name });
        }
        let folder = format!("{name}/");
        let next = files.range::<str, _>((Bound::Included(folder.as_str()), Bound::Unbounded)).next();
        if let Some((inside, _)) = next.filter(|(inside, _)| inside.as_str().starts_with(&folder)) {
            return Err(InputFilesError::FileAndFolder { inside: inside.clone(), file: name });
        }
        Arc::make_mut(files).insert(name, bytes.into());
        Ok(())
    }

    /// Returns the content of a file.
    pub fn get(&self, name: &str) -> Option<&Arc<[u8]>> {
        self.0.as_ref()?.get(name)
    }

    /// Returns the files in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&FileName, &Arc<[u8]>)> {
        self.0.iter().flat_map(|files| files.iter())
    }

    /// Says whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Returns how many bytes all files have together.
    pub fn total_bytes(&self) -> u64 {
        self.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_names() {
        for name in ["a", "data.csv", "a/b/c", "...", "a b", "é", ".hidden", &"x".repeat(255)] {
            assert!(name.parse::<FileName>().is_ok(), "{name}");
        }
        for name in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\\b", "a\0", "a\nb", &"x".repeat(256)] {
            assert!(name.parse::<FileName>().is_err(), "{name:?}");
        }
    }

    fn insert(files: &mut InputFiles, name: &str) -> Result<(), String> {
        files.insert(name.parse().unwrap(), name.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn files_are_found_by_their_names_in_order() {
        let mut files = InputFiles::default();
        for name in ["b", "a/b", "a-c", "a/a"] {
            insert(&mut files, name).unwrap();
        }
        assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a-c", "a/a", "a/b", "b"]);
        assert_eq!(files.get("a/b").map(|bytes| &**bytes), Some(b"a/b".as_slice()));
        assert_eq!((files.get("a"), files.total_bytes()), (None, 10));
    }

    #[test]
    fn no_name_is_taken_twice_or_a_file_and_a_folder() {
        let mut files = InputFiles::default();
        insert(&mut files, "a/b/c").unwrap();
        insert(&mut files, "a/b-c").unwrap();
        assert_eq!(insert(&mut files, "a/b/c").unwrap_err(), "input file `a/b/c` is given twice");
        for folder in ["a", "a/b"] {
            let expected = format!("input file `{folder}` would be the folder of input file `a/b");
            assert!(insert(&mut files, folder).unwrap_err().starts_with(&expected));
        }
        let inside = insert(&mut files, "a/b/c/d").unwrap_err();
        assert_eq!(inside, "input file `a/b/c` would be the folder of input file `a/b/c/d`");
        assert_eq!(files.iter().count(), 2);
    }
}
