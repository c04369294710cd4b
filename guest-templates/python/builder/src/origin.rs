//! The pinned origin: one package of the crate registry, of which only the digest-checked files below are used.
//!
//! The package is a command-line tool for components that carries CPython for WebAssembly as shared
//! libraries, and the standard library as source text. Its own code is not built or run. Cargo fetches it from whatever
//! registry it is configured for; because every file is checked, the place does not matter.

use std::path::PathBuf;
use std::process::Command;

use wasmtime::error::Context;
use wasmtime::{Result, bail, ensure};

pub const PACKAGE: &str = "componentize-py";
pub const VERSION: &str = "0.25.1";

/// The shared libraries to link, in the order in which symbols are looked for, with the digest of each file.
pub const LIBRARIES: [File; 6] = [
    File { name: "libpython3.14.so.zst", blake3: "28c3a9487ee6bb92d2655d6b3bc22f84340c84e9b37388b3e189f159f2b70f1e" },
    File {
        name: "libwasi-emulated-signal.so.zst",
        blake3: "748c6e577eb4de0181ddc010ff0b926ffff223d8d727ccd0dbe349a59934e6e0",
    },
    File {
        name: "libwasi-emulated-getpid.so.zst",
        blake3: "e470eb6a3f519084af0c46b4c016fb887cdc8b2d4ac540ecb55623bae40e26e6",
    },
    File {
        name: "libwasi-emulated-process-clocks.so.zst",
        blake3: "7af7fd4dfecafc6cc7842dae47c11398b071090e798ed4c11e8fb50407a703a4",
    },
    File {
        name: "libwasi-emulated-mman.so.zst",
        blake3: "08e4929dcb35f9e6c7bb5ad6c539035f899ad4f374c644bba15db7654efa72fe",
    },
    File { name: "libc.so.zst", blake3: "55760633f54382f79b3402222323ea90ec2577591c1d0bde82351e880f1766d4" },
];

/// The standard library as source text.
pub const STANDARD_LIBRARY: File =
    File { name: "python-lib.tar.zst", blake3: "c35653071fd0a0bf6d4f5b6c22a4a5c8a8dcabc152d16dda5b80860b9d86cb67" };

/// A file of the package and what it must be.
pub struct File {
    pub name: &'static str,
    pub blake3: &'static str,
}

/// The unpacked package.
pub struct Origin {
    folder: PathBuf,
}

impl Origin {
    /// Finds the package where cargo unpacked it, and has cargo fetch it when it is not there.
    pub fn find() -> Result<Origin> {
        if let Some(folder) = unpacked()? {
            return Ok(Origin { folder });
        }
        // `cargo info` is the one command that downloads a package without all that it depends on.
        let package = format!("{PACKAGE}@{VERSION}");
        let output =
            Command::new("cargo").args(["info", &package]).current_dir("/").output().context("run `cargo info`")?;
        ensure!(output.status.success(), "cargo cannot fetch `{package}`: {}", String::from_utf8_lossy(&output.stderr));
        match unpacked()? {
            Some(folder) => Ok(Origin { folder }),
            None => bail!("find the unpacked package `{package}` in cargo's home; pass its folder with `--origin`"),
        }
    }

    pub fn at(folder: PathBuf) -> Origin {
        Origin { folder }
    }

    /// Reads and decompresses a file after checking its digest.
    pub fn read(&self, file: &File) -> Result<Vec<u8>> {
        let path = self.folder.join(file.name);
        let compressed = std::fs::read(&path).with_context(|| format!("read `{}`", path.display()))?;
        let digest = blake3::hash(&compressed).to_hex();
        ensure!(
            digest.as_str() == file.blake3,
            "`{}` of `{PACKAGE}` {VERSION} has the digest {digest}, expected {}",
            file.name,
            file.blake3
        );
        zstd::decode_all(&compressed[..]).with_context(|| format!("decompress `{}`", file.name))
    }
}

fn unpacked() -> Result<Option<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("find cargo's home")?;
    let sources = home.join("registry").join("src");
    let Ok(registries) = std::fs::read_dir(&sources) else { return Ok(None) };
    for registry in registries {
        let folder = registry?.path().join(format!("{PACKAGE}-{VERSION}"));
        if folder.join(STANDARD_LIBRARY.name).is_file() {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}
