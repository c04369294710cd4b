//! What a component may be made of.

use wasmparser::{CanonicalFunction, CanonicalOption, ComponentType, ComponentTypeRef, Payload};

use super::inspect::not_wasm;
use super::refusal::ModuleRefusal;

/// What components may import, in words.
const OFFERED: &str = "`greensand:function/host@1` and the interfaces of `wasi:cli/imports@0.2`";

/// The interfaces that are offered, with the version that whoever imports one must be compatible with.
const INTERFACES: &[(&str, &str)] = &[
    ("greensand:function/host", "1."),
    ("greensand:function/types", "1."),
    ("wasi:cli/environment", "0.2."),
    ("wasi:cli/exit", "0.2."),
    ("wasi:cli/stderr", "0.2."),
    ("wasi:cli/stdin", "0.2."),
    ("wasi:cli/stdout", "0.2."),
    ("wasi:cli/terminal-input", "0.2."),
    ("wasi:cli/terminal-output", "0.2."),
    ("wasi:cli/terminal-stderr", "0.2."),
    ("wasi:cli/terminal-stdin", "0.2."),
    ("wasi:cli/terminal-stdout", "0.2."),
    ("wasi:clocks/monotonic-clock", "0.2."),
    ("wasi:clocks/wall-clock", "0.2."),
    ("wasi:filesystem/preopens", "0.2."),
    ("wasi:filesystem/types", "0.2."),
    ("wasi:io/error", "0.2."),
    ("wasi:io/poll", "0.2."),
    ("wasi:io/streams", "0.2."),
    ("wasi:random/insecure", "0.2."),
    ("wasi:random/insecure-seed", "0.2."),
    ("wasi:random/random", "0.2."),
    ("wasi:sockets/instance-network", "0.2."),
    ("wasi:sockets/ip-name-lookup", "0.2."),
    ("wasi:sockets/network", "0.2."),
    ("wasi:sockets/tcp", "0.2."),
    ("wasi:sockets/tcp-create-socket", "0.2."),
    ("wasi:sockets/udp", "0.2."),
    ("wasi:sockets/udp-create-socket", "0.2."),
];

/// Checks a part of a component, at whatever depth; only what the outermost one imports is imported from the host.
///
/// Two things are refused that the component model has and functions do not need: resource types of one's own, whose
/// handles live in the host's memory without a limit, and texts in another encoding, which the host would convert.
///
/// # Errors
/// When it is made of what is not offered.
pub(super) fn check_parts(payload: &Payload<'_>, is_outermost: bool) -> Result<(), ModuleRefusal> {
    match payload {
        Payload::ComponentImportSection(section) if is_outermost => {
            for import in section.clone() {
                let import = import.map_err(not_wasm)?;
                // A type is only a name for something: it gives the component nothing that it could call.
                let is_type = matches!(import.ty, ComponentTypeRef::Type(_));
                if !is_type && !is_offered(import.name.name) {
                    return Err(ModuleRefusal::UnknownImport { import: import.name.name.into(), offered: OFFERED });
                }
            }
        }
        Payload::ComponentTypeSection(section) => {
            for ty in section.clone() {
                if let ComponentType::Resource { .. } = ty.map_err(not_wasm)? {
                    return Err(ModuleRefusal::NotAllowed("resource types of its own"));
                }
            }
        }
        Payload::ComponentCanonicalSection(section) => {
            for function in section.clone() {
                match function.map_err(not_wasm)? {
                    CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
                        check_encoding(&options)?;
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_offered(import: &str) -> bool {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    INTERFACES.iter().any(|(offered, compatible)| interface == *offered && version.starts_with(compatible))
}

fn check_encoding(options: &[CanonicalOption]) -> Result<(), ModuleRefusal> {
    let is_other = |option: &CanonicalOption| matches!(option, CanonicalOption::UTF16 | CanonicalOption::CompactUTF16);
    if options.iter().any(is_other) {
        return Err(ModuleRefusal::NotAllowed("texts in another encoding than UTF-8"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_offered_by_name_and_version() {
        for import in ["wasi:cli/stdout@0.2.0", "wasi:io/poll@0.2.12", "greensand:function/host@1.0.0"] {
            assert!(is_offered(import), "{import}");
        }
        for import in
            ["wasi:cli/stdout", "wasi:cli/stdout@0.3.0", "wasi:cli/run@0.2.0", "wasi:http/types@0.2.0", "f", ""]
        {
            assert!(!is_offered(import), "{import}");
        }
    }
}
