//! Modules that are made for whoever reads them: deep, wide, sparse, above the pool, or ended before they began.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::modules::{LIMITS, TEMPLATE, call, check, core_with, reply_data, settings, source};
use futures::executor::block_on;
use greensand_sandbox::{Sandbox, SandboxSettings};
use greensand_types::{CallStatus, Entry, FunctionRuntime, Invocation, JsonText};

/// A binary that is a header and one section.
fn binary(header: &[u8; 8], section: u8, content: &[u8]) -> Vec<u8> {
    let length = leb(content.len());
    [header.as_slice(), &[section], &length, content].concat()
}

fn leb(number: usize) -> Vec<u8> {
    let mut left = number;
    let mut bytes = Vec::new();
    loop {
        let low = (left & 0x7f) as u8;
        left >>= 7;
        if left == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

const MODULE: &[u8; 8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8; 8] = b"\0asm\x0d\0\x01\0";
const MODULE_TYPES: u8 = 1;
const MODULE_IMPORTS: u8 = 2;
const COMPONENT_TYPES: u8 = 7;

#[test]
fn types_in_one_another_take_no_stack_of_the_host() {
    // Each level is the type of an instance that declares one type.
    let nested =
        |levels: usize| binary(COMPONENT, COMPONENT_TYPES, &[&[1], [0x42, 1, 1].repeat(levels).as_slice()].concat());
    check(&call(&nested(1_000_000)), CallStatus::Invalid, "bytes of declared types");
    check(&call(&nested(100_000)), CallStatus::Invalid, "is not WebAssembly");
    // The type of a component that declares one.
    let nested = binary(COMPONENT, COMPONENT_TYPES, &[&[1], [0x41, 1, 1].repeat(100_000).as_slice()].concat());
    check(&call(&nested), CallStatus::Invalid, "is not WebAssembly");
}

#[test]
fn types_that_would_take_many_times_their_bytes_are_refused_by_their_count() {
    let wide = [[0x60].as_slice(), &leb(1000), &[0x7f; 1000], &[0]].concat();
    let many = binary(MODULE, MODULE_TYPES, &[leb(16_000), wide.repeat(16_000)].concat());
    check(&call(&many), CallStatus::Invalid, "parameters and results, the limit is 200000");
    let group = [[1, 0x4e].as_slice(), &leb(900_000), &[0x60, 0, 0].repeat(900_000)].concat();
    check(&call(&binary(MODULE, MODULE_TYPES, &group)), CallStatus::Invalid, "types in groups");
    let groups = [leb(20_001), [0x4e, 0].repeat(20_001)].concat();
    check(&call(&binary(MODULE, MODULE_TYPES, &groups)), CallStatus::Invalid, "20001 types, the limit is 20000");
    // One name of a module that stands for many imports, each of a name of its own.
    let name = [leb(100_000), vec![b'n'; 100_000]].concat();
    let items = [leb(10_000), [[1, b'i'].as_slice(), &[0, 0]].concat().repeat(10_000)].concat();
    let compact = [[1].as_slice(), &name, &[0, 0x7f], &items].concat();
    check(&call(&binary(MODULE, MODULE_IMPORTS, &compact)), CallStatus::Invalid, "imports in groups");
    // The type of an instance that declares as many types of lists as it likes.
    let declares = [[1, 0x42].as_slice(), &leb(1_000_000), &[1, 0x70, 0x7f].repeat(1_000_000)].concat();
    let wide = binary(COMPONENT, COMPONENT_TYPES, &declares);
    check(&call(&wide), CallStatus::Invalid, "bytes of declared types, the limit is 524288");
}

#[test]
fn a_component_of_more_than_a_call_is_given_is_invalid_and_not_compiled_again() {
    let text = |wat: &str| wat::parse_str(format!("(component {wat})")).unwrap();
    let instances = "(core instance (instantiate $m))".repeat(33);
    let many = text(&format!("(core module $m) {instances}"));
    check(&call(&many), CallStatus::Invalid, "33 instances of core modules, the limit is 32");
    let memories = "(core module (memory 1))".repeat(5);
    check(&call(&text(&memories)), CallStatus::Invalid, "5 memories, the limit is 4");
    // What no count of declarations shows: components of many instances, made many times.
    let inner = "(core instance (instantiate $m))".repeat(10);
    let outer = "(instance (instantiate $c))".repeat(5);
    let product = text(&format!("(component $c (core module $m (func)) {inner}) {outer}"));
    let cache = tempfile::tempdir().unwrap();
    let outcome = |settings: SandboxSettings| {
        let sandbox = Sandbox::open(settings).unwrap();
        let arguments = JsonText::parse("[]").unwrap();
        let invocation = Invocation::new(source(&product), Entry::Function("f".into()), arguments, LIMITS);
        block_on(sandbox.invoke(invocation)).unwrap()
    };
    check(&outcome(settings(cache.path())), CallStatus::Invalid, "50 core module instances");
    // Another process is told by the code that was kept: there is no compiler that could be asked.
    let without = SandboxSettings { helper: None, ..settings(cache.path()) };
    check(&outcome(without), CallStatus::Invalid, "50 core module instances");
}

#[test]
fn a_module_with_holes_in_its_data_takes_little_code_and_finds_its_data() {
    let (data, packed) = reply_data(0, 0, "", "7");
    let end = 47 * 65_536;
    let text = format!(
        r#"(module (memory (export "memory") 48) {data} (data (i32.const {end}) "8")
            (func (export "gs_alloc") (param i32) (result i32) (i32.const 4096))
            (func (export "gs_invoke") (param i32 i32) (result i64)
              (i32.store8 (i32.const 112) (i32.load8_u (i32.const {end}))) (i64.const {packed})))"#
    );
    let cache = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::open(settings(cache.path())).unwrap();
    let arguments = JsonText::parse("[]").unwrap();
    let wasm = wat::parse_str(&text).unwrap();
    let invocation = Invocation::new(source(&wasm), Entry::Function("f".into()), arguments, LIMITS);
    let outcome = block_on(sandbox.invoke(invocation)).unwrap();
    assert_eq!(outcome.value().unwrap_or_else(|| panic!("{outcome:?}")).get(), "8");
    let kept: u64 = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(kept < 256 << 10, "{kept} bytes are kept of a module of {}", wasm.len());
}

#[test]
fn a_guest_that_ends_itself_before_it_is_entered_is_at_fault_itself() {
    let (data, packed) = reply_data(0, 0, "", "1");
    let import = r#"(import "greensand" "finish" (func $finish (param i32 i32)))"#;
    let finish = "(call $finish (i32.const 100) (i32.const 13))";
    let body = format!("(i64.const {packed})");
    // As it is asked, it counts.
    let asked = core_with(import, &data, &format!("{finish} (unreachable)"));
    assert_eq!(call(&asked).status(), CallStatus::Ok);
    let start = core_with(import, &format!("{data} (func $s {finish}) (start $s)"), &body);
    let initialise = core_with(import, &format!(r#"{data} (func (export "_initialize") {finish})"#), &body);
    let alloc = wat::parse_str(format!(
        r#"(module {import} (memory (export "memory") 2) {data}
            (func (export "gs_alloc") (param i32) (result i32) {finish} (i32.const 4096))
            (func (export "gs_invoke") (param i32 i32) (result i64) {body}))"#
    ));
    for wasm in [start, initialise, alloc.unwrap()] {
        check(&call(&wasm), CallStatus::Error, "its reply is malformed");
    }
}

#[test]
fn clocks_that_nobody_can_add_up_are_long_ones() {
    let (data, packed) = reply_data(0, 0, "", "1");
    // Nobody else asks for this module, so that it is compiled within these limits.
    let wasm = core_with("", &format!("{data} (func (nop) (nop) (nop))"), &format!("(i64.const {packed})"));
    let limits = greensand_types::Limits { wall: Duration::MAX, build_wall: Duration::MAX, ..LIMITS };
    let started = Instant::now();
    let outcome = common::modules::call_with(&wasm, limits);
    assert_eq!(outcome.status(), CallStatus::Ok, "{outcome:?} of {} in {:?}", TEMPLATE.name, started.elapsed());
}
