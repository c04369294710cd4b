//! The guest languages of Greensand: one folder each, and their list.
//!
//! A [`GuestTemplate`] is what the sandbox needs of a language: its names, the contract that its module keeps
//! (`ABI.md` beside this crate), its default memory, and its built module and library with their digests. What a
//! folder's `template.toml` says becomes a constant when this crate is built; [`TEMPLATES`] lists them.
//!
//! Adding a language is a folder and a line in [`TEMPLATES`]. Nothing here runs anything.

macro_rules! template {
    ($language:literal) => {
        &include!(concat!(env!("OUT_DIR"), "/", $language, ".rs"))
    };
}

/// Every guest language, in the order in which they are shown.
pub static TEMPLATES: &[&GuestTemplate] = &[template!("python")];

/// A guest language: a core WebAssembly module that keeps the guest contract, and what is said of it.
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
    /// The version of the guest contract that the module keeps.
    pub contract: u32,
    /// The memory that a call gets unless its limits say otherwise, in bytes.
    pub default_memory_bytes: u64,
    /// The module as it is before its initialisation has run.
    pub guest: Artefact,
    /// The modules of the language's library: a tar, one file each.
    pub library: Option<Artefact>,
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
            for artefact in [Some(&template.guest), template.library.as_ref()].into_iter().flatten() {
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
