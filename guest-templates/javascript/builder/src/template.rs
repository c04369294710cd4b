//! `template.toml`: what the host must know of a folder.

use crate::shim::Language;

pub const FILE: &str = "template.toml";

/// The content of the file for this artefact.
pub fn text(language: Language, guest: &[u8]) -> String {
    let (aliases, extensions, version) = match language {
        Language::JavaScript => (r#"["js", "ecmascript", "node"]"#, r#"["js", "mjs", "cjs"]"#, "QuickJS-NG 0.16.2"),
        Language::TypeScript => (r#"["ts"]"#, r#"["ts", "mts", "cts"]"#, "QuickJS-NG 0.16.2, Oxc 0.146.0"),
    };
    format!(
        r#"# Written by the builder in `../javascript`. See README.md.
name = "{name}"
aliases = {aliases}
extensions = {extensions}
version = "{version}"
contract = 2
memory_mb = 64
kind = "interpreter"

[guest]
file = "{file}"
blake3 = "{digest}"
size = {size}
"#,
        name = language.name(),
        file = crate::GUEST,
        digest = blake3::hash(guest).to_hex(),
        size = guest.len(),
    )
}
