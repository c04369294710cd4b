//! The static check of a module: can everything that a call changes be found and put back?
//!
//! The state of an instance is its memory, its globals, its tables and which of its segments were dropped. Pages and
//! globals can be restored from outside; tables and segments cannot. So the check reads every instruction, and a module
//! passes if
//!
//! - it has one memory of its own, not shared; imports nothing but functions; has no start function;
//! - no instruction changes a table or drops a segment (so tables are as large and hold what they did at the start);
//! - its mutable globals are numbers. Each is then exported under a name that no guest may use, for the host to write.
//!
//! Proposals that would bring further state (threads, exceptions, collected objects, stacks) are off in the engine,
//! which refuses to compile such a module at all.

use serde::{Deserialize, Serialize};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{BinaryReaderError, FunctionBody, Global, Operator, Parser, Payload, TypeRef, ValType};

/// What the names of the exports begin with by which the host reaches mutable globals.
const RESERVED: &str = "gs:global:";

/// Whether an instance of an image can be made as new after a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recycling {
    /// Everything that a call can change is known.
    Possible {
        /// How many mutable globals there are.
        globals: u32,
    },
    /// Something is not; every call has a fresh instance.
    Refused {
        /// What it is.
        reason: String,
    },
}

/// A module with its verdict.
pub(crate) struct Audited {
    pub(crate) recycling: Recycling,
    /// The module to compile: with its mutable globals in reach if it passed, else as it was.
    pub(crate) module: Vec<u8>,
}

/// Returns the name by which the host reaches a mutable global, counted from 0.
pub(crate) fn global_name(index: u32) -> String {
    format!("{RESERVED}{index}")
}

/// Checks a module, and brings its mutable globals into reach if it passes.
pub(crate) fn audit(module: Vec<u8>) -> Audited {
    let checked = survey(&module).and_then(|survey| {
        let globals = u32::try_from(survey.mutable_globals.len()).expect("an index of a global has 32 bits");
        Ok((globals, with_globals_in_reach(&module, &survey)?))
    });
    match checked {
        Ok((globals, module)) => Audited { recycling: Recycling::Possible { globals }, module },
        Err(Refusal(reason)) => Audited { recycling: Recycling::Refused { reason }, module },
    }
}

/// Why a module does not pass.
struct Refusal(String);

impl Refusal {
    fn new(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl From<BinaryReaderError> for Refusal {
    fn from(error: BinaryReaderError) -> Self {
        Self(format!("the module cannot be read: {error}"))
    }
}

/// What the check found.
#[derive(Default)]
struct Survey {
    memories: usize,
    globals: u32,
    /// The indices of the mutable globals.
    mutable_globals: Vec<u32>,
    has_exports: bool,
}

fn survey(module: &[u8]) -> Result<Survey, Refusal> {
    let mut survey = Survey::default();
    for payload in Parser::new(0).parse_all(module) {
        survey.look_at(payload?)?;
    }
    match (survey.memories, survey.has_exports) {
        (1, true) => Ok(survey),
        (1, false) => Err(Refusal::new("it exports nothing")),
        (count, _) => Err(Refusal(format!("it has {count} memories of its own"))),
    }
}

impl Survey {
    fn look_at(&mut self, payload: Payload<'_>) -> Result<(), Refusal> {
        match payload {
            Payload::ImportSection(imports) => imports.into_imports().try_for_each(|import| check_import(import?.ty)),
            Payload::MemorySection(memories) => memories.into_iter().try_for_each(|memory| {
                self.memories += 1;
                if memory?.shared { Err(Refusal::new("its memory is shared")) } else { Ok(()) }
            }),
            Payload::GlobalSection(globals) => globals.into_iter().try_for_each(|global| self.look_at_global(&global?)),
            Payload::ExportSection(exports) => {
                self.has_exports = true;
                exports.into_iter().try_for_each(|export| {
                    let is_reserved = export?.name.starts_with(RESERVED);
                    if is_reserved { Err(Refusal::new("it uses a name that is the host's")) } else { Ok(()) }
                })
            }
            Payload::StartSection { .. } => Err(Refusal::new("it has a start function")),
            Payload::CodeSectionEntry(body) => check_body(&body),
            // Types, functions, tables and segments change by instructions only; custom sections do nothing.
            _ => Ok(()),
        }
    }

    fn look_at_global(&mut self, global: &Global<'_>) -> Result<(), Refusal> {
        let index = self.globals;
        self.globals += 1;
        match (global.ty.mutable, global.ty.content_type) {
            (false, _) => Ok(()),
            (true, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128) => {
                self.mutable_globals.push(index);
                Ok(())
            }
            (true, ValType::Ref(_)) => Err(Refusal::new("it has a mutable global that holds a reference")),
        }
    }
}

fn check_import(ty: TypeRef) -> Result<(), Refusal> {
    match ty {
        TypeRef::Func(_) | TypeRef::FuncExact(_) => Ok(()),
        TypeRef::Memory(_) => Err(Refusal::new("it imports a memory")),
        TypeRef::Table(_) => Err(Refusal::new("it imports a table")),
        TypeRef::Global(_) => Err(Refusal::new("it imports a global")),
        TypeRef::Tag(_) => Err(Refusal::new("it imports a tag")),
    }
}

fn check_body(body: &FunctionBody<'_>) -> Result<(), Refusal> {
    for operator in body.get_operators_reader()? {
        let forbidden = match operator? {
            Operator::TableSet { .. } => "table.set",
            Operator::TableGrow { .. } => "table.grow",
            Operator::TableFill { .. } => "table.fill",
            Operator::TableCopy { .. } => "table.copy",
            Operator::TableInit { .. } => "table.init",
            Operator::ElemDrop { .. } => "elem.drop",
            Operator::DataDrop { .. } => "data.drop",
            // `memory.init` reads a segment, and what it writes is a page like any other.
            _ => continue,
        };
        return Err(Refusal(format!("it has the instruction `{forbidden}`")));
    }
    Ok(())
}

/// Returns the module with its mutable globals exported, everything else byte for byte as it was.
fn with_globals_in_reach(module: &[u8], survey: &Survey) -> Result<Vec<u8>, Refusal> {
    let mut rewritten = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::ExportSection(old) = payload {
            let mut exports = ExportSection::new();
            for export in old {
                let unreadable = |error| Refusal(format!("its exports cannot be read: {error}"));
                RoundtripReencoder.parse_export(&mut exports, export?).map_err(unreadable)?;
            }
            for (count, index) in (0..).zip(&survey.mutable_globals) {
                exports.export(&global_name(count), ExportKind::Global, *index);
            }
            rewritten.section(&exports);
        } else if let Some((id, range)) = payload.as_section() {
            let place = |at| usize::try_from(at).ok();
            let data = place(range.start).zip(place(range.end)).and_then(|(start, end)| module.get(start..end));
            let data = data.ok_or_else(|| Refusal("a section of it lies outside of it".into()))?;
            rewritten.section(&RawSection { id, data });
        }
    }
    Ok(rewritten.finish())
}

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, ExternType};

    use super::*;

    fn verdict(parts: &str) -> Recycling {
        let text = format!("(module {parts})");
        audit(wat::parse_str(&text).unwrap()).recycling
    }

    /// Checks that a module with these parts is refused, and why.
    #[track_caller]
    fn check_refused(parts: &str, why: &str) {
        let Recycling::Refused { reason } = verdict(parts) else { panic!("{parts} passes") };
        assert!(reason.contains(why), "{reason}");
    }

    const MEMORY: &str = r#"(memory (export "memory") 1)"#;

    #[test]
    fn what_changes_only_pages_and_numbers_passes() {
        let parts = r#"
            (import "a" "f" (func (param i32)))
            (memory (export "memory") 1)
            (table 4 funcref)
            (elem (i32.const 1) func $f)
            (data $passive "abc")
            (data (i32.const 8) "abc")
            (global i32 (i32.const 1))
            (global (mut i32) (i32.const 2))
            (global $wide (mut v128) (v128.const i64x2 3 4))
            (func $f (export "f")
              (global.set 1 (i32.const 9))
              (memory.init $passive (i32.const 0) (i32.const 0) (i32.const 3))
              (memory.copy (i32.const 0) (i32.const 8) (i32.const 3))
              (drop (memory.grow (i32.const 1)))
              (drop (table.get (i32.const 1)))
              (call_indirect (i32.const 1)))"#;
        assert_eq!(verdict(parts), Recycling::Possible { globals: 2 });
    }

    #[test]
    fn every_mutable_global_comes_into_reach_and_nothing_else_changes() {
        let text = r#"(module (memory (export "memory") 1) (global (mut i64) (i64.const 5)) (global i32 (i32.const 1))
            (global (export "own") (mut f32) (f32.const 1)) (func (export "f") (global.set 0 (i64.const 1)))
            (@custom "note" "kept"))"#;
        let original = wat::parse_str(text).unwrap();
        let audited = audit(original.clone());
        let module = wasmtime::Module::new(&Engine::default(), &audited.module).unwrap();
        let names: Vec<_> = module.exports().map(|export| export.name().to_owned()).collect();
        assert_eq!(names, ["memory", "own", "f", "gs:global:0", "gs:global:1"]);
        let is_mutable_global = |name: &str| match module.get_export(name) {
            Some(ExternType::Global(ty)) => ty.mutability() == wasmtime::Mutability::Var,
            _ => false,
        };
        assert!((0..2).all(|index| is_mutable_global(&global_name(index))));
        let sections = |module: &[u8]| -> Vec<_> {
            let sections = Parser::new(0).parse_all(module).filter_map(|payload| payload.unwrap().as_section());
            sections
                .filter(|(id, _)| *id != 7)
                .map(|(id, range)| (id, module[range.start as usize..range.end as usize].to_vec()))
                .collect()
        };
        assert_eq!(sections(&audited.module), sections(&original));
    }

    #[test]
    fn instructions_that_change_tables_or_drop_segments_are_refused() {
        let table = r#"(table $t 4 funcref) (table $u 4 funcref) (elem $e func $f) (data $d "abc")"#;
        for (name, code) in [
            ("table.set", "(table.set $t (i32.const 0) (ref.null func))"),
            ("table.grow", "(drop (table.grow $t (ref.null func) (i32.const 1)))"),
            ("table.fill", "(table.fill $t (i32.const 0) (ref.null func) (i32.const 1))"),
            ("table.copy", "(table.copy $t $u (i32.const 0) (i32.const 0) (i32.const 1))"),
            ("table.init", "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))"),
            ("elem.drop", "(elem.drop $e)"),
            ("data.drop", "(data.drop $d)"),
        ] {
            // Wherever it stands: in the last function, in the dead branch of a block.
            let hidden = format!("(func) (func $f (if (i32.const 0) (then (block {code}))))");
            check_refused(&format!("{MEMORY} {table} {hidden}"), &format!("`{name}`"));
        }
    }

    #[test]
    fn other_memories_are_refused() {
        check_refused(r#"(func (export "f"))"#, "0 memories");
        check_refused(r#"(memory 1) (memory 1) (func (export "f"))"#, "2 memories");
        check_refused(r#"(import "a" "m" (memory 1)) (func (export "f"))"#, "imports a memory");
        check_refused(r#"(memory (export "memory") 1 1 shared)"#, "shared");
    }

    #[test]
    fn state_from_elsewhere_is_refused() {
        check_refused(&format!(r#"(import "a" "t" (table 1 funcref)) {MEMORY}"#), "imports a table");
        check_refused(&format!(r#"(import "a" "g" (global (mut i32))) {MEMORY}"#), "imports a global");
        check_refused(&format!(r#"(import "a" "t" (tag)) {MEMORY}"#), "imports a tag");
    }

    #[test]
    fn globals_that_hold_references_are_refused() {
        check_refused(&format!("{MEMORY} (global (mut funcref) (ref.null func))"), "holds a reference");
        check_refused(&format!("{MEMORY} (global (mut externref) (ref.null extern))"), "holds a reference");
        assert_eq!(verdict(&format!("{MEMORY} (global funcref (ref.null func))")), Recycling::Possible { globals: 0 });
    }

    #[test]
    fn start_functions_and_reserved_names_are_refused() {
        check_refused(&format!("{MEMORY} (func $f) (start $f)"), "start function");
        check_refused(&format!(r#"{MEMORY} (func (export "gs:global:7"))"#), "the host's");
    }

    #[test]
    fn what_is_no_module_is_refused_and_left_alone() {
        let whole = wat::parse_str(format!("(module {MEMORY} (func (drop (i32.const 1))))")).unwrap();
        for length in 0..whole.len() {
            let audited = audit(whole[..length].to_vec());
            // A cut at the end of a section may still be a module; it has no export of a memory then, or no code.
            if let Recycling::Refused { .. } = audited.recycling {
                assert_eq!(audited.module, whole[..length]);
            }
        }
        let Recycling::Refused { reason } = audit(b"\0asm\x0d\0\x01\0".to_vec()).recycling else { panic!() };
        assert!(!reason.is_empty());
    }
}
