//! Writing and reading whole files.

use std::io::{Read, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// Puts a file in its place, whole: readers see the old one or the new one, never a part.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        open_to_readers(file.path())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(StoreError::write(path))
}

/// Gives a temporary file or folder the mode that ordinary new ones mostly have.
#[cfg(unix)]
pub(super) fn open_to_readers(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(super) fn open_to_readers(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Writes a value as JSON for people: indented, with a line end.
pub(super) fn replace_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| StoreError::Write { path: path.to_owned(), source: error.into() })?;
    text.push(b'\n');
    replace(path, &text)
}

/// The largest manifest, signature or source that is read.
const LARGEST: u64 = 64 << 20;

/// Reads a text of bounded length.
pub(super) fn read_text(path: &Path) -> Result<String, StoreError> {
    let file = std::fs::File::open(path).map_err(StoreError::read(path))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(StoreError::read(path))?;
    if bytes.len() as u64 > LARGEST {
        return Err(StoreError::damaged(path, format!("larger than {} MiB", LARGEST >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| StoreError::damaged(path, "not UTF-8 text"))
}

/// Reads a JSON value whose format number this program knows.
///
/// The number is looked at first: a file of a later format is named as such, however different it is.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, known: u32) -> Result<T, StoreError> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        format: u32,
    }
    let text = read_text(path)?;
    let damaged = |error: serde_json::Error| StoreError::Damaged {
        path: path.to_owned(),
        line: Some(error.line()),
        reason: format!("not what was written there: {error}"),
    };
    let Numbered { format } = serde_json::from_str(&text).map_err(damaged)?;
    if format > known {
        return Err(StoreError::NewerFormat { path: path.to_owned(), found: format, known });
    }
    serde_json::from_str(&text).map_err(damaged)
}
