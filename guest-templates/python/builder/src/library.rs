//! One input of the link: a WebAssembly module taken apart.
//!
//! [`Library::parse`] reads either the shim (an ordinary module at fixed addresses) or one of the
//! position-independent shared libraries of the origin (a `dylink.0` section says how much memory
//! and how many table slots it wants). Nothing is resolved here: [`crate::link`] decides where a
//! library lies and what its imports mean.

use std::collections::BTreeMap;

use wasmparser::{
    BinaryReader, ConstExpr, DataKind, Dylink0Subsection, ElementItems, ElementKind, ExternalKind, FuncType,
    FunctionBody, KnownCustom, MemInfo, Name, Operator, Parser, Payload, TypeRef,
};
use wasmtime::error::Context;
use wasmtime::{Result, bail};

/// A module, ready to be linked.
pub struct Library<'a> {
    pub name: &'a str,
    pub layout: Option<MemInfo>,
    pub types: Vec<FuncType>,
    pub function_imports: Vec<FunctionImport<'a>>,
    /// Type index of each function defined here.
    pub function_types: Vec<u32>,
    pub bodies: Vec<FunctionBody<'a>>,
    pub global_imports: Vec<(&'a str, &'a str)>,
    pub globals: Vec<Global<'a>>,
    pub function_exports: BTreeMap<&'a str, u32>,
    pub global_exports: BTreeMap<&'a str, u32>,
    pub start: Option<u32>,
    pub elements: Vec<Element<'a>>,
    pub data: Vec<(ConstExpr<'a>, &'a [u8])>,
    pub function_names: BTreeMap<u32, &'a str>,
}

pub struct FunctionImport<'a> {
    pub module: &'a str,
    pub name: &'a str,
    pub ty: u32,
}

pub struct Global<'a> {
    pub mutable: bool,
    pub init: ConstExpr<'a>,
}

pub struct Element<'a> {
    pub offset: ConstExpr<'a>,
    pub functions: Vec<u32>,
}

impl<'a> Library<'a> {
    pub fn parse(name: &'a str, wasm: &'a [u8]) -> Result<Library<'a>> {
        let mut library = Library {
            name,
            layout: None,
            types: Vec::new(),
            function_imports: Vec::new(),
            function_types: Vec::new(),
            bodies: Vec::new(),
            global_imports: Vec::new(),
            globals: Vec::new(),
            function_exports: BTreeMap::new(),
            global_exports: BTreeMap::new(),
            start: None,
            elements: Vec::new(),
            data: Vec::new(),
            function_names: BTreeMap::new(),
        };
        for payload in Parser::new(0).parse_all(wasm) {
            library.add(payload?).with_context(|| format!("parse `{name}`"))?;
        }
        Ok(library)
    }

    /// Type of a function by its index in this module, imported or defined.
    pub fn type_of(&self, function: u32) -> &FuncType {
        let imported = self.function_imports.len();
        let ty = match (function as usize).checked_sub(imported) {
            None => self.function_imports[function as usize].ty,
            Some(defined) => self.function_types[defined],
        };
        &self.types[ty as usize]
    }

    fn add(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::TypeSection(reader) => {
                self.types = reader.into_iter_err_on_gc_types().collect::<Result<_, _>>()?;
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(ty) => {
                            self.function_imports.push(FunctionImport { module: import.module, name: import.name, ty });
                        }
                        TypeRef::Global(_) => self.global_imports.push((import.module, import.name)),
                        // The only memory and the only table are the linked module's own.
                        TypeRef::Memory(_) | TypeRef::Table(_) => {}
                        other => bail!("import of an unsupported kind: {other:?}"),
                    }
                }
            }
            Payload::FunctionSection(reader) => self.function_types = reader.into_iter().collect::<Result<_, _>>()?,
            Payload::GlobalSection(reader) => {
                for global in reader {
                    let global = global?;
                    self.globals.push(Global { mutable: global.ty.mutable, init: global.init_expr });
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    match export.kind {
                        ExternalKind::Func => drop(self.function_exports.insert(export.name, export.index)),
                        ExternalKind::Global => drop(self.global_exports.insert(export.name, export.index)),
                        _ => {}
                    }
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => {
                for element in reader {
                    let element = element?;
                    let ElementKind::Active { offset_expr: offset, .. } = element.kind else {
                        bail!("an element segment that is not active");
                    };
                    let ElementItems::Functions(functions) = element.items else {
                        bail!("an element segment of expressions");
                    };
                    let functions = functions.into_iter().collect::<Result<_, _>>()?;
                    self.elements.push(Element { offset, functions });
                }
            }
            Payload::DataSection(reader) => {
                for data in reader {
                    let data = data?;
                    let DataKind::Active { offset_expr, .. } = data.kind else {
                        bail!("a data segment that is not active");
                    };
                    self.data.push((offset_expr, data.data));
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Dylink0(reader) => {
                    for subsection in reader {
                        if let Dylink0Subsection::MemInfo(layout) = subsection? {
                            self.layout = Some(layout);
                        }
                    }
                }
                KnownCustom::Name(reader) => {
                    for names in reader {
                        if let Name::Function(names) = names? {
                            self.function_names =
                                names.into_iter().map(|n| n.map(|n| (n.index, n.name))).collect::<Result<_, _>>()?;
                        }
                    }
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}

/// Evaluates a constant expression of `i32.const`, `i32.add`, `i32.sub` and `global.get`.
pub fn evaluate(expression: &ConstExpr<'_>, global: impl Fn(u32) -> Result<u32>) -> Result<u32> {
    let mut stack: Vec<u32> = Vec::new();
    for operator in operators(expression) {
        match operator? {
            Operator::I32Const { value } => stack.push(value.cast_unsigned()),
            Operator::GlobalGet { global_index } => stack.push(global(global_index)?),
            Operator::I32Add => binary(&mut stack, u32::wrapping_add)?,
            Operator::I32Sub => binary(&mut stack, u32::wrapping_sub)?,
            Operator::End => {}
            other => bail!("a constant expression with {other:?}"),
        }
    }
    match stack[..] {
        [value] => Ok(value),
        _ => bail!("a constant expression that leaves {} values", stack.len()),
    }
}

fn binary(stack: &mut Vec<u32>, operation: fn(u32, u32) -> u32) -> Result<()> {
    let (Some(right), Some(left)) = (stack.pop(), stack.pop()) else {
        bail!("a constant expression that lacks an operand");
    };
    stack.push(operation(left, right));
    Ok(())
}

fn operators<'a>(expression: &ConstExpr<'a>) -> impl Iterator<Item = wasmparser::Result<Operator<'a>>> {
    let reader: BinaryReader<'a> = expression.get_binary_reader();
    wasmparser::OperatorsReader::new(reader).into_iter()
}
