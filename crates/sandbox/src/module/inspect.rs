//! A look at the bytes of a module before anything compiles it.
//!
//! Compilers are fast for code that compilers emit, and slow without bound for code made to be slow. So whatever
//! makes work grow faster than the bytes do is counted first, in one pass; what is above a bound is refused with its
//! count, before it is read further. What the pass keeps is bounded by the same counts, so that looking at a module
//! costs a small multiple of its bytes, whatever they say. The bounds lie far above what honest compilers emit. What
//! still takes too long or too much ends with the process that compiles it.

use std::ops::Range;

use wasmparser::{
    BinaryReaderError, CompositeInnerType, Encoding, ExternalKind, FuncType, FunctionBody, Imports, Instance, Operator,
    Parser, Payload, TypeRef, TypeSectionReader,
};

use super::contract::{Contract, Signature};
use super::parts::check_parts;
use super::refusal::ModuleRefusal;
use crate::call::{COMPONENT_MEMORIES, COMPONENT_PARTS};

/// What is compiled at most. Every number is per module, or per component with all that is in it.
pub(super) mod bounds {
    /// Bytes of the binary.
    pub(crate) const BYTES: u64 = 16 << 20;
    /// Functions with a body.
    pub(super) const FUNCTIONS: u64 = 50_000;
    /// Bytes of one body.
    pub(super) const BODY_BYTES: u64 = 1 << 20;
    /// Locals of one function, parameters apart.
    pub(super) const LOCALS: u64 = 10_000;
    /// Blocks, loops and conditions of one function.
    pub(super) const BLOCKS: u64 = 32_768;
    /// Loops of one function that lie in one another.
    pub(super) const NESTED_LOOPS: u64 = 256;
    /// Targets of all jump tables of one function.
    pub(super) const JUMPS: u64 = 65_536;
    /// Types, whatever of.
    pub(super) const TYPES: u64 = 20_000;
    /// Parameters and results of all types.
    pub(super) const PARAMETERS: u64 = 200_000;
    /// Bytes of all declarations of types in a component: they are read whole, and take many times that in memory.
    pub(super) const TYPE_BYTES: u64 = 512 << 10;
    /// Imports and exports, each.
    pub(super) const NAMES: u64 = 10_000;
    /// Globals.
    pub(super) const GLOBALS: u64 = 10_000;
    /// Segments of data and of elements, each.
    pub(super) const SEGMENTS: u64 = 50_000;
    /// Elements that one table starts with.
    pub(super) const TABLE_ELEMENTS: u64 = 65_536;
    /// Core modules and components within a component.
    pub(super) const PARTS: u64 = 64;
}

/// What a look at a module found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inspected {
    /// A core module that keeps the contract.
    Core(CoreShape),
    /// A component.
    Component,
}

impl Inspected {
    /// Says whether it is a component.
    pub(super) fn is_component(self) -> bool {
        match self {
            Self::Core(_) => false,
            Self::Component => true,
        }
    }
}

/// What is asked of a core module when it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CoreShape {
    /// The memory that it starts with, in bytes.
    pub(super) memory_bytes: u64,
    /// Whether it wants to be initialised.
    pub(super) initialises: bool,
    /// Whether it says what its entries take.
    pub(super) describes: bool,
}

/// Looks at a binary.
///
/// # Errors
/// When it is no WebAssembly, is above a bound, or is a core module that breaks the contract.
pub(super) fn inspect(wasm: &[u8], contract: &Contract) -> Result<Inspected, ModuleRefusal> {
    at_most("bytes", wasm.len() as u64, bounds::BYTES)?;
    let mut counts = Counts::default();
    let mut core = Core::default();
    let (mut outer, mut depth) = (None, 0_u32);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(not_wasm)?;
        match payload {
            Payload::Version { encoding, .. } => {
                outer.get_or_insert(encoding);
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        counts.count(&payload)?;
        match outer {
            Some(Encoding::Module) => core.read(&payload, wasm)?,
            Some(Encoding::Component) => check_parts(&payload, depth == 1)?,
            None => {}
        }
    }
    match outer {
        Some(Encoding::Module) => core.check(contract).map(Inspected::Core),
        Some(Encoding::Component) => Ok(Inspected::Component),
        None => Err(ModuleRefusal::NotWasm("it is empty".into())),
    }
}

/// Says that a binary cannot be read.
pub(super) fn not_wasm(error: BinaryReaderError) -> ModuleRefusal {
    ModuleRefusal::NotWasm(format!("{} at byte {}", error.message(), error.offset()))
}

fn at_most(what: &'static str, found: u64, limit: u64) -> Result<(), ModuleRefusal> {
    if found > limit { Err(ModuleRefusal::TooMuch { what, found, limit }) } else { Ok(()) }
}

/// Sums over everything in the binary.
#[derive(Debug, Default)]
struct Counts {
    functions: u64,
    bodies: u32,
    types: u64,
    type_bytes: u64,
    memories: u64,
    tables: u64,
    instances: u64,
    globals: u64,
    imports: u64,
    exports: u64,
    data: u64,
    elements: u64,
    parts: u64,
}

impl Counts {
    fn count(&mut self, payload: &Payload<'_>) -> Result<(), ModuleRefusal> {
        let add = |sum: &mut u64, count: u32, what, limit| {
            *sum += u64::from(count);
            at_most(what, *sum, limit)
        };
        match payload {
            Payload::FunctionSection(section) => {
                add(&mut self.functions, section.count(), "functions", bounds::FUNCTIONS)
            }
            Payload::TypeSection(section) => add(&mut self.types, section.count(), "types", bounds::TYPES),
            Payload::CoreTypeSection(section) => {
                add(&mut self.types, section.count(), "types", bounds::TYPES)?;
                self.add_type_bytes(section.range())
            }
            Payload::ComponentTypeSection(section) => {
                add(&mut self.types, section.count(), "types", bounds::TYPES)?;
                self.add_type_bytes(section.range())
            }
            Payload::GlobalSection(section) => add(&mut self.globals, section.count(), "globals", bounds::GLOBALS),
            Payload::ImportSection(section) => add(&mut self.imports, section.count(), "imports", bounds::NAMES),
            Payload::ComponentImportSection(section) => {
                add(&mut self.imports, section.count(), "imports", bounds::NAMES)
            }
            Payload::ExportSection(section) => add(&mut self.exports, section.count(), "exports", bounds::NAMES),
            Payload::ComponentExportSection(section) => {
                add(&mut self.exports, section.count(), "exports", bounds::NAMES)
            }
            Payload::ComponentAliasSection(section) => {
                add(&mut self.exports, section.count(), "aliases", bounds::NAMES)
            }
            Payload::ComponentCanonicalSection(section) => {
                add(&mut self.functions, section.count(), "functions", bounds::FUNCTIONS)
            }
            Payload::DataSection(section) => add(&mut self.data, section.count(), "data segments", bounds::SEGMENTS),
            Payload::ElementSection(section) => {
                add(&mut self.elements, section.count(), "element segments", bounds::SEGMENTS)
            }
            Payload::InstanceSection(section) => {
                add(&mut self.parts, section.count(), "parts", bounds::PARTS)?;
                for instance in section.clone() {
                    let is_made = matches!(instance.map_err(not_wasm)?, Instance::Instantiate { .. });
                    add(&mut self.instances, u32::from(is_made), "instances of core modules", COMPONENT_PARTS as u64)?;
                }
                Ok(())
            }
            Payload::ComponentInstanceSection(section) => add(&mut self.parts, section.count(), "parts", bounds::PARTS),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                add(&mut self.parts, 1, "parts", bounds::PARTS)
            }
            Payload::MemorySection(section) => {
                add(&mut self.memories, section.count(), "memories", COMPONENT_MEMORIES as u64)
            }
            Payload::TableSection(section) => {
                add(&mut self.tables, section.count(), "tables", COMPONENT_PARTS as u64)?;
                count_table_elements(section)
            }
            Payload::CodeSectionEntry(body) => {
                self.bodies += 1;
                count_body(self.bodies - 1, body)
            }
            // The rest is names, ends and what the validator refuses.
            _ => Ok(()),
        }
    }

    fn add_type_bytes(&mut self, range: Range<u64>) -> Result<(), ModuleRefusal> {
        self.type_bytes += bytes(&range);
        at_most("bytes of declared types", self.type_bytes, bounds::TYPE_BYTES)
    }
}

fn bytes(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

fn count_table_elements(section: &wasmparser::TableSectionReader<'_>) -> Result<(), ModuleRefusal> {
    for table in section.clone() {
        at_most("elements in a table", table.map_err(not_wasm)?.ty.initial, bounds::TABLE_ELEMENTS)?;
    }
    Ok(())
}

fn count_body(function: u32, body: &FunctionBody<'_>) -> Result<(), ModuleRefusal> {
    let at_most = |what, found: u64, limit| {
        if found > limit { Err(ModuleRefusal::TooMuchIn { function, what, found, limit }) } else { Ok(()) }
    };
    at_most("bytes", bytes(&body.range()), bounds::BODY_BYTES)?;
    let mut locals = 0;
    for group in body.get_locals_reader().map_err(not_wasm)? {
        locals += u64::from(group.map_err(not_wasm)?.0);
        at_most("locals", locals, bounds::LOCALS)?;
    }
    let (mut blocks, mut jumps) = (0, 0);
    // One entry per open block: whether it is a loop.
    let mut open = Vec::new();
    let mut open_loops = 0;
    for operator in body.get_operators_reader().map_err(not_wasm)? {
        match operator.map_err(not_wasm)? {
            Operator::Block { .. } | Operator::If { .. } => {
                blocks += 1;
                open.push(false);
            }
            Operator::Loop { .. } => {
                blocks += 1;
                open_loops += 1;
                at_most("loops in one another", open_loops, bounds::NESTED_LOOPS)?;
                open.push(true);
            }
            Operator::End => open_loops -= u64::from(open.pop() == Some(true)),
            Operator::BrTable { targets } => {
                jumps += u64::from(targets.len());
                at_most("jump targets", jumps, bounds::JUMPS)?;
            }
            _ => continue,
        }
        at_most("blocks", blocks, bounds::BLOCKS)?;
    }
    Ok(())
}

/// What decides whether a core module keeps the contract.
#[derive(Debug, Default)]
struct Core {
    types: Vec<Option<FuncType>>,
    /// The parameters and results of all of them.
    parameters: u64,
    /// The type of every function, imported ones first.
    functions: Vec<u32>,
    imports: Vec<(String, Option<u32>)>,
    exports: Vec<(String, ExternalKind, u32)>,
    memories: Vec<u64>,
    tables: u64,
}

impl Core {
    fn read(&mut self, payload: &Payload<'_>, wasm: &[u8]) -> Result<(), ModuleRefusal> {
        match payload {
            Payload::TypeSection(section) => self.read_types(section, wasm)?,
            Payload::ImportSection(section) => {
                for group in section.clone() {
                    // One module's name that stands for many imports would be kept for each of them.
                    let Imports::Single(_, import) = group.map_err(not_wasm)? else {
                        return Err(ModuleRefusal::NotCompiled(
                            "it has imports in groups, which are part of no proposal that is on".into(),
                        ));
                    };
                    let ty = match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => Some(ty),
                        _ => None,
                    };
                    self.functions.extend(ty);
                    self.imports.push((format!("{}.{}", import.module, import.name), ty));
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    self.functions.push(ty.map_err(not_wasm)?);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    let memory = memory.map_err(not_wasm)?;
                    self.memories.push(memory.initial.saturating_mul(1 << memory.page_size_log2.unwrap_or(16).min(16)));
                }
            }
            Payload::TableSection(section) => self.tables += u64::from(section.count()),
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    let export = export.map_err(not_wasm)?;
                    self.exports.push((export.name.to_owned(), export.kind, export.index));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads the types, one by one: those that refer to one another in groups come with garbage collection, which is off.
    fn read_types(&mut self, section: &TypeSectionReader<'_>, wasm: &[u8]) -> Result<(), ModuleRefusal> {
        const GROUP: u8 = 0x4e;
        let mut groups = section.clone().into_iter();
        loop {
            // A group is refused before it is read: it may hold a million types.
            let at = usize::try_from(groups.original_position()).ok();
            if groups.len() > 0 && at.and_then(|at| wasm.get(at)) == Some(&GROUP) {
                return Err(ModuleRefusal::NotCompiled(
                    "it has types in groups, which are part of no proposal that is on".into(),
                ));
            }
            let Some(group) = groups.next() else { return Ok(()) };
            for ty in group.map_err(not_wasm)?.into_types() {
                let CompositeInnerType::Func(ty) = ty.composite_type.inner else {
                    self.types.push(None);
                    continue;
                };
                self.parameters += (ty.params().len() + ty.results().len()) as u64;
                at_most("parameters and results", self.parameters, bounds::PARAMETERS)?;
                self.types.push(Some(ty));
            }
        }
    }

    fn check(&self, contract: &Contract) -> Result<CoreShape, ModuleRefusal> {
        at_most("memories", self.memories.len() as u64, 1)?;
        at_most("tables", self.tables, 1)?;
        for (import, ty) in &self.imports {
            let signature = ty.map(|ty| self.signature(ty));
            contract.check_import(import, signature)?;
        }
        let memory = self.export("memory").filter(|(kind, _)| *kind == ExternalKind::Memory);
        let (Some(_), Some(&memory_bytes)) = (memory, self.memories.first()) else {
            return Err(ModuleRefusal::MissingExport { export: "memory", expected: "its memory" });
        };
        for (export, expected) in contract.wanted_exports() {
            self.check_export(export, expected)?.ok_or(ModuleRefusal::MissingExport { export, expected })?;
        }
        let mut optional = [false; 2];
        for ((export, expected), is_there) in contract.optional_exports().into_iter().zip(&mut optional) {
            *is_there = self.check_export(export, expected)?.is_some();
        }
        Ok(CoreShape { memory_bytes, initialises: optional[0], describes: optional[1] })
    }

    fn export(&self, name: &str) -> Option<(ExternalKind, u32)> {
        let export = self.exports.iter().find(|(found, ..)| found == name);
        export.map(|(_, kind, index)| (*kind, *index))
    }

    /// Finds an exported function of the contract, and refuses one of another type.
    fn check_export(&self, export: &'static str, expected: &'static str) -> Result<Option<()>, ModuleRefusal> {
        let Some((kind, index)) = self.export(export) else { return Ok(None) };
        let found = match self.functions.get(index as usize) {
            Some(&ty) if matches!(kind, ExternalKind::Func | ExternalKind::FuncExact) => self.signature(ty),
            _ => return Err(ModuleRefusal::WrongExport { export, found: "no function".into(), expected }),
        };
        if found.to_string() == expected {
            return Ok(Some(()));
        }
        Err(ModuleRefusal::WrongExport { export, found: found.to_string(), expected })
    }

    fn signature(&self, ty: u32) -> Signature {
        self.types.get(ty as usize).and_then(Option::as_ref).map(Signature::of).unwrap_or_default()
    }
}
