//! A static linker for WebAssembly: the shim and the shared libraries become one core module.
//!
//! [`link`] gives each library its place in the only memory and the only table, resolves every
//! import to a direct call or a constant, and drops what nothing reaches. Three rules go beyond an
//! ordinary link:
//!
//! - **The shim wins.** A function that the shim exports replaces every function of that name,
//!   also for calls inside the library that defines it. So `write` of the shim serves `printf` of libc.
//! - **`address` imports.** The shim imports `address::X` to learn where the data symbol `X` lies;
//!   the call becomes a constant.
//! - **No other world.** Only imports of the guest contract stay imports. What else the libraries would ask for (WASI)
//!   becomes a function that traps; the shim stands in for everything that can be reached in practice.
//! - **One initialiser.** The exported `gs_init` first runs each library's start function, data relocations
//!   and constructors, then the shim's own `gs_init`.
//!
//! The result has one mutable global, the stack pointer; anything else is refused, because the host
//! restores instances by it.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::reencode::{Error as ReencodeError, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction, MemorySection, MemoryType, Module, NameMap,
    NameSection, RefType, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{FuncType, Operator};
use wasmtime::error::Context;
use wasmtime::{Result, bail, ensure};

use crate::library::{Library, evaluate};

const PAGE: u32 = 65_536;
/// The module of the contract's imports.
const HOST: &str = "greensand";
/// Exports of the result; each is a function of the shim.
const EXPORT_PREFIX: &str = "gs_";

/// How the result is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FunctionNames {
    Dropped,
    Kept,
}

/// A function of the result: (library, index in that library).
type Place = (usize, u32);

/// What a function index of an input means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target<'a> {
    Defined(Place),
    Imported(&'a str, &'a str),
    /// A call that becomes a constant.
    Constant(u32),
}

struct Link<'a> {
    libraries: &'a [Library<'a>],
    memory_bases: Vec<u32>,
    table_bases: Vec<u32>,
    memory_end: u32,
    /// Function at each slot of the table; slot 0 stays empty.
    table: BTreeMap<u32, Target<'a>>,
    slots: BTreeMap<Target<'a>, u32>,
    table_end: u32,
    /// Per library: functions that the shim replaces, with the shim's.
    replaced: Vec<BTreeMap<u32, u32>>,
    stack_pointer: u32,
    stack_top: u32,
}

/// Links `libraries` into one module. The first is the shim.
pub fn link(libraries: &[Library<'_>], names: FunctionNames) -> Result<Vec<u8>> {
    let mut link = Link::place(libraries)?;
    link.fill_table()?;
    let reached = link.reach()?;
    link.emit(&reached, names)
}

impl<'a> Link<'a> {
    fn place(libraries: &'a [Library<'a>]) -> Result<Link<'a>> {
        let shim = &libraries[0];
        let (stack_pointer, global) = shim
            .globals
            .iter()
            .enumerate()
            .find(|(_, global)| global.mutable)
            .context("find the stack pointer of the shim")?;
        let no_globals = |_| bail!("an initial value that needs another global");
        let stack_top = evaluate(&global.init, no_globals)?;
        let heap_base = shim.global_exports.get("__heap_base").context("find `__heap_base` of the shim")?;
        let mut memory_end = evaluate(&shim.globals[*heap_base as usize].init, no_globals)?;
        let mut table_end = 1;
        for element in &shim.elements {
            table_end = table_end.max(evaluate(&element.offset, no_globals)? + element.functions.len() as u32);
        }
        let (mut memory_bases, mut table_bases) = (vec![0], vec![0]);
        for library in &libraries[1..] {
            let layout = library.layout.as_ref().with_context(|| format!("find `dylink.0` of `{}`", library.name))?;
            let align = 16.max(1 << layout.memory_alignment);
            memory_end = memory_end.next_multiple_of(align);
            table_end = table_end.next_multiple_of(1 << layout.table_alignment);
            memory_bases.push(memory_end);
            table_bases.push(table_end);
            memory_end += layout.memory_size;
            table_end += layout.table_size;
        }
        let memory_end = memory_end.next_multiple_of(16);
        let (table, slots) = (BTreeMap::new(), BTreeMap::new());
        let stack_pointer = stack_pointer as u32;
        let replaced = libraries.iter().enumerate().map(|(at, library)| {
            let exports = library.function_exports.iter().filter(|_| at > 0);
            exports.filter_map(|(name, function)| Some((*function, *shim.function_exports.get(name)?))).collect()
        });
        Ok(Link {
            libraries,
            memory_bases,
            table_bases,
            memory_end,
            table,
            slots,
            table_end,
            replaced: replaced.collect(),
            stack_pointer,
            stack_top,
        })
    }

    /// Finds a name among the exported functions, the shim's first.
    fn find(&self, name: &str) -> Option<Place> {
        self.libraries.iter().enumerate().find_map(|(at, library)| Some((at, *library.function_exports.get(name)?)))
    }

    fn target(&self, (at, function): Place) -> Result<Target<'a>> {
        let library = &self.libraries[at];
        let found = match library.function_imports.get(function as usize) {
            None => match self.replaced[at].get(&function) {
                Some(shim) => (0, *shim),
                None => return Ok(Target::Defined((at, function))),
            },
            Some(import) if import.module == "address" => {
                let address = self.data_address(import.name)?;
                return Ok(Target::Constant(
                    address.with_context(|| format!("find the data symbol `{}`", import.name))?,
                ));
            }
            Some(import) => {
                let place = match import.module {
                    "env" => self.find(import.name),
                    module => {
                        self.libraries[0].function_exports.get(&*format!("{module}#{}", import.name)).map(|f| (0, *f))
                    }
                };
                match place {
                    Some(place) => place,
                    None => return Ok(Target::Imported(import.module, import.name)),
                }
            }
        };
        let (asked, given) = (library.type_of(function), self.libraries[found.0].type_of(found.1));
        let name = library.function_names.get(&function).copied().unwrap_or("?");
        ensure!(
            asked == given,
            "`{}` uses `{name}` as {asked:?}, `{}` has {given:?}",
            library.name,
            self.libraries[found.0].name
        );
        if found == (at, function) { Ok(Target::Defined(found)) } else { self.target(found) }
    }

    fn data_address(&self, name: &str) -> Result<Option<u32>> {
        // The bounds of the whole, which the shim knows only for itself.
        match name {
            "__stack_high" => return Ok(Some(self.stack_top)),
            "__stack_low" => return Ok(Some(0)),
            "__heap_base" => return Ok(Some(self.memory_end)),
            "__heap_end" => return Ok(Some(self.memory_end.next_multiple_of(PAGE))),
            _ => {}
        }
        for (at, library) in self.libraries.iter().enumerate() {
            if let Some(global) = library.global_exports.get(name) {
                // Exported data symbols hold their offset from the library's base.
                return Ok(Some(self.memory_bases[at] + self.global(at, *global)?));
            }
        }
        Ok(None)
    }

    /// Value of a global, by its index in the library. All but the stack pointer are constants.
    fn global(&self, at: usize, global: u32) -> Result<u32> {
        let library = &self.libraries[at];
        let Some((module, name)) = library.global_imports.get(global as usize) else {
            let defined = &library.globals[global as usize - library.global_imports.len()];
            ensure!(!defined.mutable, "`{}` has a mutable global", library.name);
            return evaluate(&defined.init, |other| self.global(at, other));
        };
        match (*module, *name) {
            ("env", "__memory_base") => Ok(self.memory_bases[at]),
            ("env", "__table_base") => Ok(self.table_bases[at]),
            ("GOT.mem", name) => self.data_address(name)?.with_context(|| format!("find the data symbol `{name}`")),
            ("GOT.func", name) => {
                let place = self.find(name).with_context(|| format!("find the function `{name}`"))?;
                let target = self.target(place)?;
                self.slots.get(&target).copied().with_context(|| format!("find a table slot for `{name}`"))
            }
            _ => bail!("`{}` imports the global `{module}` `{name}`", library.name),
        }
    }

    fn is_stack_pointer(&self, at: usize, global: u32) -> bool {
        match self.libraries[at].global_imports.get(global as usize) {
            Some(import) => *import == ("env", "__stack_pointer"),
            None => at == 0 && global == self.stack_pointer,
        }
    }

    fn fill_table(&mut self) -> Result<()> {
        for at in 0..self.libraries.len() {
            for element in &self.libraries[at].elements {
                let base = evaluate(&element.offset, |global| self.global(at, global))?;
                for (slot, function) in (base..).zip(&element.functions) {
                    let target = self.target((at, *function))?;
                    self.table.insert(slot, target);
                    self.slots.entry(target).or_insert(slot);
                }
            }
        }
        let wanted: BTreeSet<&str> = self
            .libraries
            .iter()
            .flat_map(|l| &l.global_imports)
            .filter(|(m, _)| *m == "GOT.func")
            .map(|(_, n)| *n)
            .collect();
        for name in wanted {
            let place = self.find(name).with_context(|| format!("find the function `{name}`"))?;
            let target = self.target(place)?;
            if !self.slots.contains_key(&target) {
                self.table.insert(self.table_end, target);
                self.slots.insert(target, self.table_end);
                self.table_end += 1;
            }
        }
        Ok(())
    }

    /// Functions that run before the shim's `gs_init`, in order.
    fn initialisers(&self) -> Vec<Place> {
        let libraries = || self.libraries.iter().enumerate().rev().filter(|(at, _)| *at > 0);
        let exported = |at: usize, library: &Library<'_>, name| library.function_exports.get(name).map(|f| (at, *f));
        let mut places: Vec<Place> = Vec::new();
        places.extend(libraries().filter_map(|(at, library)| Some((at, library.start?))));
        places.extend(libraries().filter_map(|(at, library)| exported(at, library, "__wasm_apply_data_relocs")));
        for (at, library) in libraries() {
            places.extend(exported(at, library, "_initialize").or_else(|| exported(at, library, "__wasm_call_ctors")));
        }
        places.extend(exported(0, &self.libraries[0], "_initialize"));
        places
    }

    fn reach(&self) -> Result<BTreeSet<Target<'a>>> {
        let shim = &self.libraries[0];
        let exports = shim.function_exports.iter().filter(|(name, _)| name.starts_with(EXPORT_PREFIX));
        let mut waiting: Vec<Target<'a>> = exports.map(|(_, function)| Target::Defined((0, *function))).collect();
        waiting.extend(self.initialisers().into_iter().map(Target::Defined));
        waiting.extend(self.table.values());
        let mut reached = BTreeSet::new();
        while let Some(target) = waiting.pop() {
            if !reached.insert(target) {
                continue;
            }
            let Target::Defined((at, function)) = target else { continue };
            let library = &self.libraries[at];
            let body = &library.bodies[function as usize - library.function_imports.len()];
            for operator in body.get_operators_reader()? {
                match operator? {
                    Operator::Call { function_index } | Operator::RefFunc { function_index } => {
                        let next = self.target((at, function_index))?;
                        if !reached.contains(&next) {
                            waiting.push(next);
                        }
                    }
                    operator => refuse_table_changes(&operator).with_context(|| format!("link `{}`", library.name))?,
                }
            }
        }
        Ok(reached)
    }

    fn emit(&self, reached: &BTreeSet<Target<'a>>, names: FunctionNames) -> Result<Vec<u8>> {
        let mut types = Types::default();
        let mut imports = ImportSection::new();
        let mut functions = FunctionSection::new();
        let mut indices: BTreeMap<Target<'a>, u32> = BTreeMap::new();
        let mut name_map = NameMap::new();

        for target in reached {
            let Target::Imported(HOST, name) = *target else { continue };
            imports.import(HOST, name, EntityType::Function(types.index(self.import_type(HOST, name)?)?));
            indices.insert(*target, indices.len() as u32);
        }
        for target in reached {
            let Target::Imported(module, name) = *target else { continue };
            if module != HOST {
                functions.function(types.index(self.import_type(module, name)?)?);
                name_map.append(indices.len() as u32, &format!("{module} {name}"));
                indices.insert(*target, indices.len() as u32);
            }
        }
        for target in reached {
            let Target::Defined((at, function)) = *target else { continue };
            functions.function(types.index(self.libraries[at].type_of(function))?);
            if let Some(name) = self.libraries[at].function_names.get(&function) {
                name_map.append(indices.len() as u32, name);
            }
            indices.insert(*target, indices.len() as u32);
        }
        let initialise = indices.len() as u32;
        functions.function(types.index(&FuncType::new([], []))?);

        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        for (name, function) in &self.libraries[0].function_exports {
            if name.starts_with(EXPORT_PREFIX) {
                let own = indices[&Target::Defined((0, *function))];
                exports.export(name, ExportKind::Func, if *name == "gs_init" { initialise } else { own });
            }
        }

        let mut code = CodeSection::new();
        let mut trap = Function::new([]);
        trap.instruction(&Instruction::Unreachable).instruction(&Instruction::End);
        for target in reached {
            if matches!(target, Target::Imported(module, _) if *module != HOST) {
                code.function(&trap);
            }
        }
        for target in reached {
            let Target::Defined((at, function)) = *target else { continue };
            let library = &self.libraries[at];
            let body = library.bodies[function as usize - library.function_imports.len()].clone();
            let mut rewriter = Rewriter { link: self, at, types: &mut types, indices: &indices };
            rewriter
                .parse_function_body(&mut code, body)
                .map_err(|error| wasmtime::format_err!("rewrite function {function} of `{}`: {error}", library.name))?;
        }
        let shim_init = self.libraries[0].function_exports.get("gs_init").context("find `gs_init` of the shim")?;
        let mut body = Function::new([]);
        for place in self.initialisers().into_iter().chain([(0, *shim_init)]) {
            body.instruction(&Instruction::Call(indices[&Target::Defined(place)]));
        }
        body.instruction(&Instruction::End);
        code.function(&body);

        let mut module = Module::new();
        module.section(&types.section);
        module.section(&imports);
        module.section(&functions);
        module.section(&self.table_section());
        module.section(&self.memory_section());
        module.section(&self.global_section());
        module.section(&exports);
        module.section(&self.element_section(&indices));
        module.section(&code);
        module.section(&self.data_section()?);
        if names == FunctionNames::Kept {
            let mut section = NameSection::new();
            section.functions(&name_map);
            module.section(&section);
        }
        let wasm = module.finish();
        wasmparser::Validator::new().validate_all(&wasm).context("validate the linked module")?;
        Ok(wasm)
    }

    fn import_type(&self, module: &str, name: &str) -> Result<&FuncType> {
        let ty = self.libraries.iter().find_map(|library| {
            let import =
                library.function_imports.iter().find(|import| (import.module, import.name) == (module, name))?;
            Some(&library.types[import.ty as usize])
        });
        ty.with_context(|| format!("find the import `{module}` `{name}`"))
    }

    fn table_section(&self) -> TableSection {
        let mut section = TableSection::new();
        let size = u64::from(self.table_end);
        section.table(TableType {
            element_type: RefType::FUNCREF,
            minimum: size,
            maximum: Some(size),
            table64: false,
            shared: false,
        });
        section
    }

    fn memory_section(&self) -> MemorySection {
        let mut section = MemorySection::new();
        let minimum = u64::from(self.memory_end.div_ceil(PAGE));
        section.memory(MemoryType { minimum, maximum: None, memory64: false, shared: false, page_size_log2: None });
        section
    }

    fn global_section(&self) -> GlobalSection {
        let mut section = GlobalSection::new();
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        section.global(ty, &ConstExpr::i32_const(self.stack_top.cast_signed()));
        section
    }

    fn element_section(&self, indices: &BTreeMap<Target<'a>, u32>) -> ElementSection {
        let mut section = ElementSection::new();
        let mut run: Vec<u32> = Vec::new();
        let mut start = 0;
        for (slot, target) in &self.table {
            if start + run.len() as u32 != *slot {
                flush(&mut section, start, &mut run);
                start = *slot;
            }
            run.push(indices[target]);
        }
        flush(&mut section, start, &mut run);
        section
    }

    fn data_section(&self) -> Result<DataSection> {
        let mut section = DataSection::new();
        for (at, library) in self.libraries.iter().enumerate() {
            for (offset, bytes) in &library.data {
                let offset = evaluate(offset, |global| self.global(at, global))?;
                section.active(0, &ConstExpr::i32_const(offset.cast_signed()), bytes.iter().copied());
            }
        }
        Ok(section)
    }
}

/// The host restores memory and globals after a call, so nothing else may change.
fn refuse_table_changes(operator: &Operator<'_>) -> Result<()> {
    match operator {
        Operator::TableSet { .. }
        | Operator::TableGrow { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. }
        | Operator::ElemDrop { .. }
        | Operator::MemoryInit { .. }
        | Operator::DataDrop { .. } => bail!("an instruction that changes more than memory: {operator:?}"),
        _ => Ok(()),
    }
}

fn flush(section: &mut ElementSection, start: u32, run: &mut Vec<u32>) {
    if !run.is_empty() {
        let functions = Elements::Functions(std::mem::take(run).into());
        section.active(None, &ConstExpr::i32_const(start.cast_signed()), functions);
    }
}

/// The types of the result, each once.
#[derive(Default)]
struct Types {
    section: TypeSection,
    indices: BTreeMap<String, u32>,
}

impl Types {
    fn index(&mut self, ty: &FuncType) -> Result<u32> {
        let key = format!("{ty:?}");
        if let Some(index) = self.indices.get(&key) {
            return Ok(*index);
        }
        let value_types = |types: &[wasmparser::ValType]| -> Result<Vec<ValType>> {
            types
                .iter()
                .map(|ty| ValType::try_from(*ty).map_err(|_| wasmtime::format_err!("a type that is not plain")))
                .collect()
        };
        self.section.ty().function(value_types(ty.params())?, value_types(ty.results())?);
        let index = self.indices.len() as u32;
        self.indices.insert(key, index);
        Ok(index)
    }
}

/// Rewrites the bodies of one library: indices move, known globals and addresses become constants.
struct Rewriter<'l, 'a> {
    link: &'l Link<'a>,
    at: usize,
    types: &'l mut Types,
    indices: &'l BTreeMap<Target<'a>, u32>,
}

impl Reencode for Rewriter<'_, '_> {
    type Error = wasmtime::Error;

    fn type_index(&mut self, ty: u32) -> Result<u32, ReencodeError<wasmtime::Error>> {
        let ty = &self.link.libraries[self.at].types[ty as usize];
        self.types.index(ty).map_err(ReencodeError::UserError)
    }

    fn function_index(&mut self, function: u32) -> Result<u32, ReencodeError<wasmtime::Error>> {
        let target = self.link.target((self.at, function)).map_err(ReencodeError::UserError)?;
        Ok(self.indices[&target])
    }

    fn global_index(&mut self, global: u32) -> Result<u32, ReencodeError<wasmtime::Error>> {
        if self.link.is_stack_pointer(self.at, global) {
            return Ok(0);
        }
        Err(ReencodeError::UserError(wasmtime::format_err!("global {global} is written to")))
    }

    fn instruction<'b>(&mut self, operator: Operator<'b>) -> Result<Instruction<'b>, ReencodeError<wasmtime::Error>> {
        match operator {
            Operator::GlobalGet { global_index } if !self.link.is_stack_pointer(self.at, global_index) => {
                let value = self.link.global(self.at, global_index).map_err(ReencodeError::UserError)?;
                Ok(Instruction::I32Const(value.cast_signed()))
            }
            Operator::Call { function_index } => {
                let target = self.link.target((self.at, function_index)).map_err(ReencodeError::UserError)?;
                match target {
                    Target::Constant(value) => Ok(Instruction::I32Const(value.cast_signed())),
                    target => Ok(Instruction::Call(self.indices[&target])),
                }
            }
            other => wasm_encoder::reencode::utils::instruction(self, other),
        }
    }
}
