//! The modules of a language's library, by name.
//!
//! A guest asks for a module at run time, mostly for none: so the library stays in its file and only the index is
//! read when an image is opened. A module is checked against its digest in the (authenticated) index on every read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a module lies in its file, and what it must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) length: u32,
    #[serde(with = "super::hex")]
    pub(super) digest: [u8; 32],
}

/// Module names with their places.
pub(super) type Index = BTreeMap<String, Place>;

/// The library of an open image.
#[derive(Debug, Default)]
pub(crate) struct Library {
    index: Index,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Memory(Vec<u8>),
    File {
        file: File,
        /// The cache entry that names the file.
        entry: PathBuf,
    },
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Library {
    /// Reads the modules out of a tar.
    ///
    /// # Errors
    /// When it is not a tar of files with names that are text.
    pub(super) fn from_tar(tar: &[u8]) -> io::Result<Self> {
        let mut index = Index::new();
        let mut bytes = Vec::new();
        for entry in tar::Archive::new(tar).entries()? {
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let bad_name = || io::Error::new(io::ErrorKind::InvalidData, "a module whose name is no text");
            let name = entry.path()?.to_str().ok_or_else(bad_name)?.to_owned();
            let offset = bytes.len();
            entry.read_to_end(&mut bytes)?;
            let module = &bytes[offset..];
            let length = u32::try_from(module.len()).map_err(io::Error::other)?;
            let digest = *blake3::hash(module).as_bytes();
            index.insert(name, Place { offset: offset as u64, length, digest });
        }
        Ok(Self { index, bytes: Bytes::Memory(bytes) })
    }

    /// Adds modules to a library that lies in memory. One whose name is taken is left out.
    ///
    /// # Errors
    /// When the library does not lie in memory, or a module is too long.
    pub(super) fn extend(&mut self, modules: Vec<(String, Vec<u8>)>) -> io::Result<()> {
        let Bytes::Memory(bytes) = &mut self.bytes else {
            return Err(io::Error::other("modules are added while an image is made"));
        };
        for (name, module) in modules {
            let length = u32::try_from(module.len()).map_err(io::Error::other)?;
            let place = Place { offset: bytes.len() as u64, length, digest: *blake3::hash(&module).as_bytes() };
            if let Entry::Vacant(vacant) = self.index.entry(name) {
                vacant.insert(place);
                bytes.extend(module);
            }
        }
        Ok(())
    }

    /// A library whose modules lie in a file of the cache. The entry is removed when the file turns out to be changed,
    /// so that the next start makes the image anew.
    pub(super) fn in_file(index: Index, file: File, entry: PathBuf) -> Self {
        Self { index, bytes: Bytes::File { file, entry } }
    }

    /// Returns the index and the modules, when they are in memory.
    pub(super) fn parts(&self) -> Option<(&Index, &[u8])> {
        match &self.bytes {
            Bytes::Memory(bytes) => Some((&self.index, bytes)),
            Bytes::File { .. } => None,
        }
    }

    /// Returns the length of a module in bytes.
    pub(crate) fn size(&self, name: &str) -> Option<u32> {
        self.index.get(name).map(|place| place.length)
    }

    /// Returns a module, or nothing when there is none of that name.
    ///
    /// # Errors
    /// When its file cannot be read, or no longer holds what the index says.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(place) = self.index.get(name) else { return Ok(None) };
        let mut module = vec![0; place.length as usize];
        match &self.bytes {
            Bytes::Memory(bytes) => {
                let start = usize::try_from(place.offset).map_err(io::Error::other)?;
                let held = bytes.get(start..start + module.len());
                module.copy_from_slice(held.ok_or(io::ErrorKind::UnexpectedEof)?);
            }
            Bytes::File { file, entry } => {
                let read = file.read_exact_at(&mut module, place.offset);
                if read.is_err() || blake3::hash(&module) != place.digest {
                    // If that fails, whoever reads the message has the folder to remove.
                    let _ = fs::remove_file(entry);
                    read?;
                    let reason = "the cached library was changed; the next start makes it anew";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
                }
            }
        }
        Ok(Some(module))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn library() -> Library {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in [("a", "first"), ("b.c", ""), ("d", "third")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        Library::from_tar(&tar.into_inner().unwrap()).unwrap()
    }

    fn check(library: &Library) {
        for (name, content) in [("a", "first"), ("b.c", ""), ("d", "third")] {
            assert_eq!(library.size(name), Some(content.len() as u32));
            assert_eq!(library.read(name).unwrap().unwrap(), content.as_bytes());
        }
        assert_eq!(library.size("e"), None);
        assert_eq!(library.read("e").unwrap(), None);
    }

    #[test]
    fn modules_are_the_same_in_memory_and_in_a_file() {
        let library = library();
        check(&library);
        let (index, bytes) = library.parts().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        check(&Library::in_file(index.clone(), file, PathBuf::new()));
    }

    #[test]
    fn a_changed_module_is_refused() {
        let library = library();
        let (index, _) = library.parts().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"firstTHIRD").unwrap();
        let entry = tempfile::NamedTempFile::new().unwrap();
        let library = Library::in_file(index.clone(), file, entry.path().to_owned());
        assert!(library.read("a").is_ok() && entry.path().exists());
        assert!(library.read("d").is_err() && !entry.path().exists());
    }
}
