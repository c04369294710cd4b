//! The guest languages of Greensand: one folder each, and their list.
//!
//! A [`GuestTemplate`] is what the sandbox needs of a language: its names, the contract that its module keeps
//! (`ABI.md` beside this crate), its default memory, and by its [`GuestKind`] how a source becomes something that
//! runs. What a folder's `template.toml` says becomes a constant when this crate is built; [`TEMPLATES`] lists them.
//!
//! Adding a language is a folder and a line in [`TEMPLATES`]. Nothing here runs anything.

mod recipe;

pub use recipe::{Recipe, Requirement, Runtime};

macro_rules! template {
    ($language:literal) => {
        &include!(concat!(env!("OUT_DIR"), "/", $language, ".rs"))
    };
}

/// Every guest language, in the order in which they are shown.
pub static TEMPLATES: &[&GuestTemplate] =
    &[template!("python"), template!("javascript"), template!("typescript"), template!("rust"), template!("wasm")];

/// A guest language, and what is said of it.
#[derive(Debug)]
pub struct GuestTemplate {
    /// The canonical name.
    pub name: &'static str,
    /// Other names by which people and models call it.
    pub aliases: &'static [&'static str],
    /// Endings of its source files, without the dot; the first is the usual one.
    pub extensions: &'static [&'static str],
    /// The language implementation and its version, for people.
    pub version: &'static str,
    /// The version of the guest contract that its modules keep.
    pub contract: u32,
    /// The memory that a call gets unless its limits say otherwise, in bytes.
    pub default_memory_bytes: u64,
    /// How a source becomes something that runs.
    pub kind: GuestKind,
}

/// How the sources of a language become something that runs.
#[derive(Debug)]
pub enum GuestKind {
    /// One guest module runs every source.
    Interpreter {
        /// The module as it is before its initialisation has run.
        guest: Artefact,
        /// The modules of the language's library: a tar, one file each.
        library: Option<Artefact>,
    },
    /// A compiler of the user's machine turns every source into a module of its own.
    Compiled {
        /// A guest that reads sources and says what to compile, so that no untrusted text is parsed outside of wasm.
        front: Artefact,
        /// How the compiler is found and called.
        recipe: &'static Recipe,
    },
    /// The source is a module that keeps the contract.
    Module,
}

/// The artefacts of which the image of a language is made.
#[derive(Debug, Clone, Copy)]
pub struct ImageParts<'a> {
    /// The module as it is before its initialisation has run.
    pub guest: &'a Artefact,
    /// The modules of the language's library.
    pub library: Option<&'a Artefact>,
}

/// A built file of a guest, compressed with zstd.
pub struct Artefact {
    /// The compressed bytes.
    pub bytes: &'static [u8],
    /// The BLAKE3 digest of the compressed bytes, as 64 hex digits.
    pub blake3: &'static str,
}

impl std::fmt::Debug for Artefact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Artefact({} bytes, {})", self.bytes.len(), self.blake3)
    }
}

impl GuestTemplate {
    /// Returns what its image is made of, or nothing for a language without a guest of its own.
    pub fn image(&self) -> Option<ImageParts<'_>> {
        match &self.kind {
            GuestKind::Interpreter { guest, library } => Some(ImageParts { guest, library: library.as_ref() }),
            GuestKind::Compiled { front, recipe: _ } => Some(ImageParts { guest: front, library: None }),
            GuestKind::Module => None,
        }
    }

    /// Says whether a text is the name of the language or one of its aliases, in any case.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

/// Returns the language of a name or alias.
pub fn find(name_or_alias: &str) -> Option<&'static GuestTemplate> {
    TEMPLATES.iter().copied().find(|template| template.is_called(name_or_alias))
}

/// Returns the language of a file ending, given without its dot.
pub fn by_extension(extension: &str) -> Option<&'static GuestTemplate> {
    TEMPLATES.iter().copied().find(|template| template.extensions.iter().any(|own| own.eq_ignore_ascii_case(extension)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_folder_with_a_template_is_listed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
        let names = folders.filter(|path| path.join("template.toml").is_file());
        let names: BTreeSet<_> = names.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(names, TEMPLATES.iter().map(|template| template.name.to_owned()).collect());
    }

    #[test]
    fn every_artefact_has_its_digest() {
        for template in TEMPLATES {
            let Some(parts) = template.image() else { continue };
            for artefact in [Some(parts.guest), parts.library].into_iter().flatten() {
                let digest = blake3::hash(artefact.bytes).to_hex();
                assert_eq!(digest.as_str(), artefact.blake3, "{}", template.name);
            }
        }
    }

    #[test]
    fn names_aliases_and_endings_are_unique() {
        let mut seen = BTreeSet::new();
        for template in TEMPLATES {
            assert!(seen.insert(template.name), "{}", template.name);
            assert!(template.aliases.iter().all(|alias| seen.insert(alias)), "{}", template.name);
            assert!(find(template.name).is_some_and(|found| std::ptr::eq(found, *template)));
        }
        let endings: Vec<_> = TEMPLATES.iter().flat_map(|template| template.extensions).collect();
        assert_eq!(endings.iter().collect::<BTreeSet<_>>().len(), endings.len());
    }
}
