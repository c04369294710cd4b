//! What a module may import and must export, as `guest-templates/ABI.md` says.

use std::collections::BTreeMap;
use std::fmt;

use wasmtime::{Extern, ExternType, Linker, Store};

use super::refusal::ModuleRefusal;
use crate::call::CallState;

/// What modules may import, in words.
const OFFERED: &str = "the functions of `greensand` and `wasi_snapshot_preview1`";

/// What a core module must export beside its memory, with its type.
const WANTED: [(&str, &str); 2] = [("gs_alloc", "(i32) -> (i32)"), ("gs_invoke", "(i32, i32) -> (i64)")];

/// What it may export: its initialisation, and the description of its entries.
const OPTIONAL: [(&str, &str); 2] = [("_initialize", "() -> ()"), ("gs_describe", "(i32, i32) -> (i64)")];

/// The type of a function, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Signature {
    parameters: Vec<String>,
    results: Vec<String>,
}

impl Signature {
    /// Reads a type of a module.
    pub(super) fn of(ty: &wasmparser::FuncType) -> Self {
        let words = |types: &[wasmparser::ValType]| types.iter().map(ToString::to_string).collect();
        Self { parameters: words(ty.params()), results: words(ty.results()) }
    }

    fn of_host(ty: &wasmtime::FuncType) -> Self {
        Self {
            parameters: ty.params().map(|ty| ty.to_string()).collect(),
            results: ty.results().map(|ty| ty.to_string()).collect(),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({}) -> ({})", self.parameters.join(", "), self.results.join(", "))
    }
}

/// The contract with core modules. What may be imported is what the linker holds.
#[derive(Debug)]
pub(super) struct Contract {
    imports: BTreeMap<String, Signature>,
}

impl Contract {
    /// Reads what a linker offers.
    pub(super) fn of(linker: &Linker<CallState>, mut store: Store<CallState>) -> Self {
        let offered: Vec<(String, Extern)> =
            linker.iter(&mut store).map(|(module, name, item)| (format!("{module}.{name}"), item)).collect();
        let imports = offered.into_iter().filter_map(|(import, item)| match item.ty(&store) {
            ExternType::Func(ty) => Some((import, Signature::of_host(&ty))),
            _ => None,
        });
        Self { imports: imports.collect() }
    }

    /// Checks an import of a module; one that is no function has no signature.
    pub(super) fn check_import(&self, import: &str, found: Option<Signature>) -> Result<(), ModuleRefusal> {
        let Some(expected) = self.imports.get(import) else {
            return Err(ModuleRefusal::UnknownImport { import: import.into(), offered: OFFERED });
        };
        if found.as_ref() == Some(expected) {
            return Ok(());
        }
        let found = found.map_or_else(|| "no function".to_owned(), |found| found.to_string());
        Err(ModuleRefusal::WrongImport { import: import.into(), found, expected: expected.to_string() })
    }

    /// Returns the functions that a module must export, with their types.
    pub(super) fn wanted_exports(&self) -> [(&'static str, &'static str); 2] {
        WANTED
    }

    /// Returns the functions that it may export: initialisation, description.
    pub(super) fn optional_exports(&self) -> [(&'static str, &'static str); 2] {
        OPTIONAL
    }
}
