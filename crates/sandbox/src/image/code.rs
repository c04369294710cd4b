//! Native code of modules in the cache folder, beside the images and by the same rules.

use std::io::{Read, Seek};
use std::path::PathBuf;

use greensand_types::ContentId;
use serde::{Deserialize, Serialize};

use super::ImageStore;
use super::make::NativeCode;
use super::native::VerifiedCode;
use super::store::{Piece, read_sealed, write_sealed};

/// The largest module that is read back, in bytes.
const LARGEST_BUILT: u64 = 64 << 20;

/// The layout of an entry. Another number makes another key, so that old and new hosts ignore each other's entries.
const FORMAT: u32 = 1;

/// Which code is asked for: that of one module, compiled in one way for one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CodeKey(ContentId);

impl CodeKey {
    /// The key of a module's code. `way` is everything beside the engine that decides how it is compiled.
    pub(crate) fn new(engine: &[u8; 32], way: &str, module: &[u8]) -> Self {
        let mut id = ContentId::of("module");
        id.field(&FORMAT.to_le_bytes()).field(engine).field(way.as_bytes()).field(blake3::hash(module).as_bytes());
        Self(id.finish())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    module: String,
    code: Piece,
}

/// The entry of a module that was built from a source.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BuiltEntry {
    built: String,
    code: Piece,
}

impl ImageStore {
    /// Finds the code of a module. What does not verify is as good as missing.
    pub(crate) fn find_code(&self, key: CodeKey) -> Option<VerifiedCode> {
        let folder_key = self.key.as_ref().ok()?;
        let entry = read_sealed::<Entry>(&self.code_path(key), folder_key).ok().flatten()?;
        // A whole entry of another module, moved into this one's place.
        if entry.module != key.0.to_string() {
            return None;
        }
        self.open_code(&entry.code).ok()
    }

    /// Keeps the code of a module.
    ///
    /// # Errors
    /// Why it could not be kept, in words.
    pub(crate) fn keep_code(&self, key: CodeKey, code: &NativeCode) -> Result<(), String> {
        let folder_key = self.key.as_ref().map_err(Clone::clone)?;
        let kept = self.write_code(code.bytes()).and_then(|code| {
            let entry = Entry { module: key.0.to_string(), code };
            write_sealed(&self.code_path(key), folder_key, &entry)
        });
        kept.map_err(|error| format!("write to `{}`: {error}", self.folder.display()))?;
        self.prune_if_due(code.bytes().len() as u64);
        Ok(())
    }

    /// Finds a module that was built from a source. What does not verify is as good as missing.
    pub(crate) fn find_built(&self, id: ContentId) -> Option<Vec<u8>> {
        let folder_key = self.key.as_ref().ok()?;
        let entry = read_sealed::<BuiltEntry>(&self.built_path(id), folder_key).ok().flatten()?;
        if entry.built != id.to_string() {
            return None;
        }
        let mut module = Vec::new();
        let mut file = self.open_piece(&entry.code).ok()?;
        file.rewind().ok()?;
        file.take(LARGEST_BUILT).read_to_end(&mut module).ok()?;
        Some(module)
    }

    /// Keeps a module that was built from a source. It is WebAssembly, which nobody maps.
    ///
    /// # Errors
    /// Why it could not be kept, in words.
    pub(crate) fn keep_built(&self, id: ContentId, module: &[u8]) -> Result<(), String> {
        let folder_key = self.key.as_ref().map_err(Clone::clone)?;
        let kept = self.write_code(module).and_then(|code| {
            let entry = BuiltEntry { built: id.to_string(), code };
            write_sealed(&self.built_path(id), folder_key, &entry)
        });
        kept.map_err(|error| format!("write to `{}`: {error}", self.folder.display()))?;
        self.prune_if_due(module.len() as u64);
        Ok(())
    }

    fn built_path(&self, id: ContentId) -> PathBuf {
        self.folder.join(format!("{}.built", id.short()))
    }

    /// Returns the path of an entry.
    pub(super) fn code_path(&self, key: CodeKey) -> PathBuf {
        self.folder.join(format!("{}.module", key.0.short()))
    }
}
