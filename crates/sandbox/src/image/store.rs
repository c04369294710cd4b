//! The cache folder: images between processes.
//!
//! An image is three files: native code and library, each named by its digest, and an *entry* named by language and
//! key that holds both digests and the library's index. The entry carries a MAC under a key that lies in the same
//! folder and never leaves it, so that a file from elsewhere is never taken for one of ours; code is mapped only
//! after the digest of the very descriptor that is mapped has matched.
//!
//! Files are written beside their place and renamed into it: a crash, a full disk or two processes at once leave
//! either the old state or a whole new one. Whatever does not verify is made anew. The folder must belong to this
//! user alone; it protects against other users and foreign files, not against this user.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use greensand_types::ContentId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::PackageSet;
use super::library::{Index, Library};
use super::make::MadeImage;
use super::native::VerifiedCode;
use super::prune::Written;
use crate::slot::Recycling;

/// The layout of an entry. Another number makes another key, so that old and new hosts ignore each other's entries.
const FORMAT: u32 = 2;

/// The longest entry that is read, in bytes: some hundred times what one with a whole standard library takes.
const LONGEST_ENTRY: u64 = 16 << 20;

/// How long one process waits for another that makes the same image, before it makes its own.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The cache folder of a sandbox.
#[derive(Debug, Clone)]
pub(crate) struct ImageStore {
    pub(super) folder: PathBuf,
    /// The key of the folder, or why nothing can be kept in it.
    pub(super) key: Result<[u8; 32], String>,
    /// What was written since the folder was last pruned.
    pub(super) written: Arc<Written>,
}

/// A cache folder that others could tamper with.
#[derive(Debug, thiserror::Error)]
pub enum UnsafeCacheError {
    /// It belongs to somebody else.
    #[error("cache folder `{}` belongs to user {owner}, not to user {user}: name another folder, or change its owner", folder.display())]
    ForeignOwner {
        /// The folder.
        folder: PathBuf,
        /// Whom it belongs to.
        owner: u32,
        /// Who runs this process.
        user: u32,
    },
    /// Others may write to it.
    #[error("cache folder `{}` can be written by others (mode {mode:o}): run `chmod 700` on it, or name another folder", folder.display())]
    WritableByOthers {
        /// The folder.
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no folder.
    #[error("`{}` is not a folder: name another cache folder", .0.display())]
    NotAFolder(PathBuf),
}

/// Which image is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ImageKey<'a> {
    pub(super) language: &'a str,
    pub(super) id: ContentId,
}

impl<'a> ImageKey<'a> {
    /// The key of an image: everything that decides what its code is.
    pub(super) fn new(
        template: &'a greensand_guest_templates::GuestTemplate,
        packages: Option<&PackageSet>,
        engine: &[u8; 32],
    ) -> Self {
        let mut id = ContentId::of("image");
        id.field(&FORMAT.to_le_bytes()).field(engine).field(&template.contract.to_le_bytes());
        let parts = template.image();
        id.field(parts.map_or("", |parts| parts.guest.blake3).as_bytes());
        id.field(parts.and_then(|parts| parts.library).map_or("", |library| library.blake3).as_bytes());
        if let Some(set) = packages {
            let mut digests: Vec<&str> = set.packages.iter().map(|bundle| bundle.digest.as_str()).collect();
            digests.sort_unstable();
            id.field(b"packages");
            for digest in digests {
                id.field(digest.as_bytes());
            }
        }
        Self { language: template.name, id: id.finish() }
    }
}

/// An image as it was found in the cache.
pub(super) struct StoredImage {
    pub(super) code: VerifiedCode,
    pub(super) recycling: Recycling,
    pub(super) library: Option<Library>,
    pub(super) bytes: u64,
}

/// What the cache holds under a key.
pub(super) enum Lookup {
    Found(StoredImage),
    Missing,
    /// Something that does not verify.
    Invalid(String),
}

#[derive(Serialize, Deserialize)]
struct Entry {
    language: String,
    image: String,
    recycling: Recycling,
    code: Piece,
    library: Option<LibraryPiece>,
}

/// A file that an entry names.
#[derive(Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) file: String,
    pub(super) bytes: u64,
    #[serde(with = "super::hex")]
    pub(super) digest: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct LibraryPiece {
    file: String,
    bytes: u64,
    modules: Index,
}

impl ImageStore {
    /// Opens a cache folder, making it where it is missing.
    ///
    /// A folder that cannot be made, read or written is no error: images then stay in memory, and reports say why.
    ///
    /// # Errors
    /// When others could tamper with the folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, UnsafeCacheError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        let key = match fs::metadata(folder) {
            Ok(metadata) => {
                check_owner(folder, &metadata)?;
                folder_key(folder).map_err(|error| format!("`{}`: {error}", folder.display()))
            }
            Err(error) => {
                let error = made.err().unwrap_or(error);
                Err(format!("make `{}`: {error}", folder.display()))
            }
        };
        Ok(Self { folder: folder.to_owned(), key, written: Arc::default() })
    }

    /// Returns the path of an entry.
    pub(super) fn entry_path(&self, key: ImageKey<'_>) -> PathBuf {
        self.folder.join(format!("{}-{}.image", key.language, key.id.short()))
    }

    /// Looks an image up and verifies it.
    pub(super) fn find(&self, key: ImageKey<'_>) -> Lookup {
        let Ok(folder_key) = &self.key else { return Lookup::Missing };
        match self.read_entry(key, folder_key) {
            Ok(Some(entry)) => match self.open_pieces(key, &entry) {
                Ok(image) => Lookup::Found(image),
                Err(error) => Lookup::Invalid(error.to_string()),
            },
            Ok(None) => Lookup::Missing,
            Err(error) => Lookup::Invalid(error.to_string()),
        }
    }

    /// Keeps an image; returns how many bytes it takes.
    ///
    /// # Errors
    /// Why it could not be kept, in words.
    pub(super) fn keep(&self, key: ImageKey<'_>, made: &MadeImage) -> Result<u64, String> {
        let code = made.code.bytes();
        let folder_key = self.key.as_ref().map_err(Clone::clone)?;
        let describe = |error: io::Error| format!("write to `{}`: {error}", self.folder.display());
        let code = self.write_code(code).map_err(describe)?;
        let library = match made.library.as_deref().and_then(Library::parts) {
            Some((modules, bytes)) => {
                let file = format!("{}.library", &blake3::hash(bytes).to_hex()[..32]);
                self.write_piece(&file, bytes).map_err(describe)?;
                Some(LibraryPiece { file, bytes: bytes.len() as u64, modules: modules.clone() })
            }
            None => None,
        };
        let bytes = code.bytes + library.as_ref().map_or(0, |library| library.bytes);
        let entry = Entry {
            language: key.language.to_owned(),
            image: key.id.to_string(),
            recycling: made.recycling.clone(),
            code,
            library,
        };
        write_sealed(&self.entry_path(key), folder_key, &entry).map_err(describe)?;
        self.prune();
        Ok(bytes)
    }

    /// Waits for other processes that make images here, until they are done or have taken too long.
    ///
    /// The lock only saves work: whoever does not get it makes the image as well, and the last rename wins.
    pub(super) fn lock(&self) -> Option<File> {
        self.key.as_ref().ok()?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let path = self.folder.join("lock");
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            return None;
        }
        let lock = options.open(path).ok()?;
        let until = Instant::now() + LONGEST_WAIT;
        loop {
            match lock.try_lock() {
                Ok(()) => return Some(lock),
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(Duration::from_millis(20)),
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return None,
            }
        }
    }

    fn read_entry(&self, key: ImageKey<'_>, folder_key: &[u8; 32]) -> io::Result<Option<Entry>> {
        let Some(entry) = read_sealed::<Entry>(&self.entry_path(key), folder_key)? else { return Ok(None) };
        if entry.language != key.language || entry.image != key.id.to_string() {
            return Err(invalid("the entry is that of another image"));
        }
        Ok(Some(entry))
    }

    fn open_pieces(&self, key: ImageKey<'_>, entry: &Entry) -> io::Result<StoredImage> {
        let code = self.open_code(&entry.code)?;
        let mut bytes = entry.code.bytes;
        let library = match &entry.library {
            Some(piece) => {
                let file = open_regular(&self.folder.join(&piece.file))?;
                if file.metadata()?.len() != piece.bytes {
                    return Err(invalid("the library is not what was kept"));
                }
                bytes += piece.bytes;
                Some(Library::in_file(piece.modules.clone(), file, self.entry_path(key)))
            }
            None => None,
        };
        Ok(StoredImage { code, recycling: entry.recycling.clone(), library, bytes })
    }

    /// Opens the native code of an entry, if it is what was kept.
    pub(super) fn open_code(&self, piece: &Piece) -> io::Result<VerifiedCode> {
        Ok(VerifiedCode::new(self.open_piece(piece)?))
    }

    /// Opens the code of an entry, if it is what was kept.
    pub(super) fn open_piece(&self, piece: &Piece) -> io::Result<File> {
        let mut code = open_regular(&self.folder.join(&piece.file))?;
        if code.metadata()?.len() != piece.bytes || digest_of(&mut code)? != piece.digest {
            return Err(invalid("the native code is not what was kept"));
        }
        Ok(code)
    }

    /// Writes native code.
    pub(super) fn write_code(&self, code: &[u8]) -> io::Result<Piece> {
        let digest = blake3::hash(code);
        let file = format!("{}.code", &digest.to_hex()[..32]);
        self.write_piece(&file, code)?;
        Ok(Piece { file, bytes: code.len() as u64, digest: *digest.as_bytes() })
    }

    /// Writes a file that is named by its content, always anew: one that lies there may be damaged.
    fn write_piece(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        replace(&self.folder.join(name), bytes)
    }
}

/// Reads an entry that carries the MAC of the folder, and marks it as used; nothing when there is none.
pub(super) fn read_sealed<T: DeserializeOwned>(path: &Path, folder_key: &[u8; 32]) -> io::Result<Option<T>> {
    let entry = look_at_sealed(path, folder_key);
    if let Ok(Some(_)) = &entry {
        // Only the order in which entries are pruned depends on it.
        let _ = open_regular(path).and_then(|file| file.set_modified(SystemTime::now()));
    }
    entry
}

/// Reads an entry that carries the MAC of the folder; nothing when there is none.
pub(super) fn look_at_sealed<T: DeserializeOwned>(path: &Path, folder_key: &[u8; 32]) -> io::Result<Option<T>> {
    let mut sealed = Vec::new();
    match open_regular(path) {
        Ok(file) => Read::take(file, LONGEST_ENTRY).read_to_end(&mut sealed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let not_ours = || invalid("the entry was not written by this host");
    let (mac, body) = sealed.split_at_checked(64).ok_or_else(not_ours)?;
    let body = body.strip_prefix(b"\n").ok_or_else(not_ours)?;
    // Comparing two `Hash`es takes the same time wherever they differ.
    if blake3::Hash::from_hex(mac).map_err(|_| not_ours())? != seal(folder_key, body) {
        return Err(not_ours());
    }
    Ok(Some(serde_json::from_slice(body)?))
}

/// Writes an entry with the MAC of the folder.
pub(super) fn write_sealed(path: &Path, folder_key: &[u8; 32], entry: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(entry)?;
    replace(path, &[seal(folder_key, &body).to_hex().as_bytes(), b"\n", &body].concat())
}

pub(super) fn seal(folder_key: &[u8; 32], body: &[u8]) -> blake3::Hash {
    blake3::keyed_hash(folder_key, body)
}

fn digest_of(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(*hasher.finalize().as_bytes()),
            length => hasher.update(&buffer[..length]),
        };
    }
}

fn check_owner(folder: &Path, metadata: &fs::Metadata) -> Result<(), UnsafeCacheError> {
    let user = rustix::process::geteuid().as_raw();
    let folder = folder.to_owned();
    if !metadata.is_dir() {
        return Err(UnsafeCacheError::NotAFolder(folder));
    }
    if metadata.uid() != user {
        return Err(UnsafeCacheError::ForeignOwner { folder, owner: metadata.uid(), user });
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(UnsafeCacheError::WritableByOthers { folder, mode: metadata.mode() & 0o7777 });
    }
    Ok(())
}

/// Reads the key of the folder, or makes one. A key that others could read, or of a wrong length, is replaced.
fn folder_key(folder: &Path) -> io::Result<[u8; 32]> {
    let path = folder.join("key");
    for _ in 0..2 {
        if let Some(key) = read_key(&path)? {
            return Ok(key);
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&key)?;
        file.as_file().sync_all()?;
        // Another process may have made one meanwhile: then its key is read in the second round.
        match file.persist_noclobber(&path) {
            Ok(_) => return Ok(key),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error),
        }
    }
    read_key(&path)?.ok_or_else(|| invalid("the key of the cache cannot be read back"))
}

fn read_key(path: &Path) -> io::Result<Option<[u8; 32]>> {
    let mut file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let mut key = Vec::new();
    Read::take(&mut file, 33).read_to_end(&mut key)?;
    let is_ours_alone = metadata.mode() & 0o077 == 0 && metadata.uid() == rustix::process::geteuid().as_raw();
    match key.try_into() {
        Ok(key) if is_ours_alone => Ok(Some(key)),
        Ok(_) | Err(_) => {
            fs::remove_file(path)?;
            Ok(None)
        }
    }
}

/// Opens a file for reading, and nothing else that may lie in its place: to open a pipe would wait for ever.
fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(invalid("something that is no file lies in the place of one"));
    }
    File::open(path)
}

/// Puts a file into its place whole or not at all, readable by its owner only.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| invalid("a path without a folder"))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

pub(super) fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
