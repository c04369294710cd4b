//! `template.toml`: what the host must know of this folder.

pub const FILE: &str = "template.toml";

/// The content of the file for these artefacts.
pub fn text(guest: &[u8], library: &[u8]) -> String {
    let (guest_digest, library_digest) = (blake3::hash(guest).to_hex(), blake3::hash(library).to_hex());
    format!(
        r#"# Written by the builder. See README.md.
name = "python"
aliases = ["py", "python3"]
extensions = ["py"]
version = "CPython 3.14.0"
contract = 2
memory_mb = 128
kind = "interpreter"

[guest]
file = "{guest_file}"
blake3 = "{guest_digest}"
size = {guest_size}

[library]
file = "{library_file}"
blake3 = "{library_digest}"
size = {library_size}
"#,
        guest_file = crate::GUEST,
        guest_size = guest.len(),
        library_file = crate::LIBRARY,
        library_size = library.len(),
    )
}
