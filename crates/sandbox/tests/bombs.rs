//! Modules made to be slow, greedy or deadly to compile: each is refused in time, and the host lives on.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::time::{Duration, Instant};

use common::modules::{LIMITS, call, check, core, reply_data};
use greensand_types::CallStatus;
use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    Instruction, MemArg, MemArgTarget, MemorySection, MemoryType, Module, RefType, TableSection, TableType,
    TypeSection, ValType,
};

/// How long a refusal may take: the limit of a build, and what a busy machine adds.
const IN_TIME: Duration = Duration::from_secs(45);

/// A module of the contract whose entry has these locals and this body, and `further` functions beside it.
fn module(locals: u32, further: u32, body: impl FnOnce(&mut Function)) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I32, ValType::I32], [ValType::I64]);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    functions.function(0).function(1);
    let mut alloc = Function::new([]);
    alloc.instruction(&Instruction::I32Const(4096)).instruction(&Instruction::End);
    code.function(&alloc);
    let mut entry = Function::new([(locals, ValType::I32)]);
    body(&mut entry);
    entry.instruction(&Instruction::I64Const(0)).instruction(&Instruction::End);
    code.function(&entry);
    for _ in 0..further {
        functions.function(0);
        code.function(&alloc);
    }
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("gs_alloc", ExportKind::Func, 0).export("gs_invoke", ExportKind::Func, 1);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memory()).section(&exports).section(&code);
    module.finish()
}

fn memory() -> MemorySection {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    memories
}

/// Checks that a module is refused in time with these words, and that a good one runs after it.
#[track_caller]
fn check_refused(wasm: &[u8], words: &str) {
    let begun = Instant::now();
    let outcome = call(wasm);
    check(&outcome, CallStatus::Invalid, words);
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
    let (data, packed) = reply_data(0, 0, "", "1");
    assert_eq!(call(&core(&data, &format!("(i64.const {packed})"))).value().unwrap().get(), "1");
}

/// Locals of which each is changed under a condition of its own, all in loops: each is alive everywhere.
fn locals_that_meet(count: u32) -> Vec<u8> {
    module(count, 0, |entry| {
        entry.instruction(&Instruction::Loop(BlockType::Empty));
        for local in 2..count + 2 {
            entry.instruction(&Instruction::LocalGet(0)).instruction(&Instruction::If(BlockType::Empty));
            entry.instruction(&Instruction::LocalGet(local)).instruction(&Instruction::I32Const(1));
            entry.instruction(&Instruction::I32Add).instruction(&Instruction::LocalSet(local));
            entry.instruction(&Instruction::End);
        }
        entry.instruction(&Instruction::LocalGet(2)).instruction(&Instruction::BrIf(0));
        entry.instruction(&Instruction::End);
    })
}

/// Locals that change their places in every round of a loop, and a way out of it after each change.
fn locals_that_rotate(count: u32, exits: u32) -> Vec<u8> {
    module(count, 0, |entry| {
        for _ in 0..exits {
            entry.instruction(&Instruction::Block(BlockType::Empty));
        }
        entry.instruction(&Instruction::Loop(BlockType::Empty));
        for exit in 0..exits {
            for local in (2..count + 1).step_by(exits as usize) {
                entry.instruction(&Instruction::LocalGet(local + 1)).instruction(&Instruction::LocalSet(local));
            }
            entry.instruction(&Instruction::LocalGet(0)).instruction(&Instruction::BrIf(exit + 1));
        }
        entry.instruction(&Instruction::LocalGet(1)).instruction(&Instruction::BrIf(0));
        entry.instruction(&Instruction::End);
        for _ in 0..exits {
            for local in (2..count + 1).step_by(exits as usize) {
                entry.instruction(&Instruction::LocalGet(local)).instruction(&Instruction::LocalSet(local + 1));
            }
            entry.instruction(&Instruction::End);
        }
    })
}

fn nested_loops(count: u32) -> Vec<u8> {
    module(1, 0, |entry| {
        for _ in 0..count {
            entry.instruction(&Instruction::Loop(BlockType::Empty));
            entry.instruction(&Instruction::LocalGet(0)).instruction(&Instruction::LocalSet(2));
        }
        for _ in 0..count {
            entry.instruction(&Instruction::LocalGet(2)).instruction(&Instruction::BrIf(0));
            entry.instruction(&Instruction::End);
        }
    })
}

fn conditions(count: u32) -> Vec<u8> {
    module(1, 0, |entry| {
        for _ in 0..count {
            entry.instruction(&Instruction::LocalGet(2)).instruction(&Instruction::If(BlockType::Empty));
            entry.instruction(&Instruction::LocalGet(0)).instruction(&Instruction::LocalSet(2));
            entry.instruction(&Instruction::End);
        }
    })
}

/// Loads of which every value is still needed at the end.
fn live_loads(count: i32) -> Vec<u8> {
    module(0, 0, |entry| {
        let place = |offset| MemArg { offset, align: 2, target: MemArgTarget::default(), ordering: None };
        for index in 0..count {
            entry.instruction(&Instruction::LocalGet(0));
            entry.instruction(&Instruction::I32Load(place(u64::from(index.unsigned_abs()) % 15_000 * 4)));
        }
        for _ in 1..count {
            entry.instruction(&Instruction::I32Add);
        }
        entry.instruction(&Instruction::Drop);
    })
}

fn jump_table(targets: usize) -> Vec<u8> {
    module(0, 0, |entry| {
        entry.instruction(&Instruction::Block(BlockType::Empty)).instruction(&Instruction::LocalGet(0));
        entry.instruction(&Instruction::BrTable(vec![0; targets].into(), 0)).instruction(&Instruction::End);
    })
}

#[test]
fn what_is_above_a_bound_is_refused_with_its_count() {
    for (wasm, words) in [
        (locals_that_meet(20_000), "function 1 of the module has 20000 locals, the limit is 10000"),
        (nested_loops(3_000), "257 loops in one another, the limit is 256"),
        (conditions(100_000), "has 32769 blocks, the limit is 32768"),
        (module(0, 200_000, |_| {}), "has 200002 functions, the limit is 50000"),
        (jump_table(200_000), "has 200000 jump targets, the limit is 65536"),
        (vec![0; 20 << 20], "has 20971520 bytes, the limit is 16777216"),
        (core("", &"(nop)".repeat(1_100_000)), "the limit is 1048576"),
    ] {
        let begun = Instant::now();
        check_refused(&wasm, words);
        assert!(begun.elapsed() < Duration::from_secs(20), "{words}: {:?}", begun.elapsed());
    }
}

#[test]
fn tables_and_globals_are_bounded() {
    let mut tables = TableSection::new();
    let table =
        TableType { element_type: RefType::FUNCREF, minimum: 10_000_000, maximum: None, table64: false, shared: false };
    tables.table(table);
    let mut wasm = Module::new();
    wasm.section(&tables);
    check_refused(&wasm.finish(), "10000000 elements in a table, the limit is 65536");
    let mut globals = GlobalSection::new();
    let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    for _ in 0..200_000 {
        globals.global(ty, &wasm_encoder::ConstExpr::i32_const(0));
    }
    let mut wasm = Module::new();
    wasm.section(&globals);
    check_refused(&wasm.finish(), "200000 globals, the limit is 10000");
}

#[test]
fn what_slips_below_the_bounds_ends_with_its_compiler() {
    // Each is either compiled within the limits of a build or refused by name; what no case may do is take the host.
    for (name, wasm) in [
        ("locals", locals_that_meet(9_999)),
        ("rotating locals", locals_that_rotate(9_999, 100)),
        ("loads", live_loads(100_000)),
        ("loops", nested_loops(256)),
        ("conditions", conditions(32_768)),
    ] {
        let begun = Instant::now();
        let outcome = call(&wasm);
        let message = outcome.failure().map_or("", |failure| &failure.message);
        eprintln!("{name}: {:?} {message}", begun.elapsed());
        match outcome.status() {
            // It was compiled, and what it does is its own affair.
            CallStatus::Error | CallStatus::Timeout => {}
            CallStatus::Invalid => assert!(
                message.starts_with("compiling the module was stopped: it took more than")
                    || message.starts_with("the module cannot be compiled"),
                "{outcome:?}"
            ),
            CallStatus::Ok | CallStatus::Memory | CallStatus::OutputLimit | CallStatus::Denied => panic!("{outcome:?}"),
        }
        assert!(begun.elapsed() < IN_TIME + LIMITS.wall, "{:?}", begun.elapsed());
    }
    let (data, packed) = reply_data(0, 0, "", "1");
    assert_eq!(call(&core(&data, &format!("(i64.const {packed})"))).value().unwrap().get(), "1");
}

#[test]
fn who_asks_again_for_what_was_refused_is_told_at_once() {
    let wasm = locals_that_meet(9_000);
    let first = call(&wasm);
    let begun = Instant::now();
    let again = call(&wasm);
    assert_eq!(first.ending, again.ending);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
