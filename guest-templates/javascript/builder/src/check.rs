//! What the host relies on, checked on the bytes of a built module: one memory, one table of fixed size, one mutable
//! global, nothing that changes a table or drops a segment, no imports but the contract's.

use anyhow::{Result, bail, ensure};
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef, Validator};

const EXPORTS: [&str; 7] = ["memory", "gs_init", "gs_alloc", "gs_prepare", "gs_describe", "gs_invoke", "gs_run"];

pub fn module(wasm: &[u8]) -> Result<()> {
    Validator::new().validate_all(wasm)?;
    let (mut memories, mut tables, mut mutable_globals) = (0, 0, 0);
    let mut exports: Vec<String> = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let is_function = matches!(import.ty, TypeRef::Func(_));
                    ensure!(is_function && import.module == "greensand", "import `{}.{}`", import.module, import.name);
                }
            }
            Payload::MemorySection(section) => memories += section.count(),
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?.ty;
                    tables += 1;
                    ensure!(table.maximum == Some(table.initial), "a table that can grow");
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    mutable_globals += usize::from(global?.ty.mutable);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export?.name.to_owned());
                }
            }
            Payload::CodeSectionEntry(body) => instructions(&body)?,
            _ => {}
        }
    }
    ensure!(
        (memories, tables, mutable_globals) == (1, 1, 1),
        "{memories} memories, {tables} tables, {mutable_globals} mutable globals"
    );
    match EXPORTS.iter().find(|name| !exports.iter().any(|export| export == *name)) {
        Some(missing) => bail!("no export `{missing}`"),
        None => Ok(()),
    }
}

fn instructions(body: &FunctionBody<'_>) -> Result<()> {
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. }
            | Operator::MemoryInit { .. } => bail!("an instruction that changes a table or drops a segment"),
            _ => {}
        }
    }
    Ok(())
}
