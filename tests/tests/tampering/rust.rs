//! What Rust can forge: with `unsafe`, the whole of its instance. The reply is then a lie about nothing but its own call.

use greensand_types::CallStatus::{Error, Invalid, Timeout};

use crate::{Attempt, check, ends, returns};

#[test]
fn rust_does_not_lie_about_its_values() {
    check("rust", values());
}

#[test]
fn rust_does_not_lie_about_its_end() {
    check("rust", endings());
}

#[test]
fn rust_does_not_get_into_the_code_around_it() {
    check("rust", builds());
}

/// Ends the call with a reply of the function's own: kind, flags and message, then a payload.
fn forged(kind: u32, flags: u32, length: u32, rest: &str) -> String {
    format!(
        "#[link(wasm_import_module = \"greensand\")] unsafe extern \"C\" {{ fn finish(reply: *const u8, len: usize) -> !; }}\n\
         pub fn f() -> u32 {{\n\
             let mut reply = Vec::new();\n\
             for number in [{kind}u32, {flags}, {length}] {{ reply.extend(number.to_le_bytes()); }}\n\
             reply.extend({rest:?}.as_bytes());\n\
             unsafe {{ finish(reply.as_ptr(), reply.len()) }}\n\
         }}\n"
    )
}

/// An allocator of the function's own, with this as its `alloc`.
fn allocator(alloc: &str) -> String {
    format!(
        "use std::alloc::{{GlobalAlloc, Layout, System}};\n\
         struct Mine;\n\
         unsafe impl GlobalAlloc for Mine {{\n\
             unsafe fn alloc(&self, layout: Layout) -> *mut u8 {{ {alloc} }}\n\
             unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {{ unsafe {{ System.dealloc(at, layout) }} }}\n\
         }}\n\
         #[global_allocator] static MINE: Mine = Mine;\n\
         #[link(wasm_import_module = \"greensand\")] unsafe extern \"C\" {{ fn finish(reply: *const u8, len: usize) -> !; }}\n\
         pub fn f() -> Vec<u32> {{ let _ = finish as usize; (1..4).collect() }}\n"
    )
}

fn values() -> Vec<Attempt> {
    vec![
        returns("the reply is the function's own", forged(0, 0, 0, "42"), "42"),
        returns("an allocator of its own", allocator("unsafe { System.alloc(layout) }"), "[1,2,3]"),
        returns(
            "all memory is taken and given to nobody",
            "pub fn f() -> bool { while core::arch::wasm32::memory_grow::<0>(16) != usize::MAX {} true }\n",
            "true",
        ),
        returns(
            "names of the code around",
            "mod rt { pub fn answer() {} } mod greensand2 {} fn call() {} fn take() {} struct Arguments; #[allow(dead_code)] struct Returned;\n\
             macro_rules! format { ($($t:tt)*) => { compile_error!(\"ours\") } } macro_rules! greensand { () => {} }\n\
             pub fn f(arguments: u8, argument_0: u8, rt: u8) -> u8 { arguments + argument_0 + rt }\n",
            "6",
        )
        .with("[1,2,3]"),
        returns(
            "names of the prelude",
            "#[allow(dead_code)] pub enum Option { None, Some(i32) } pub struct Ok(pub i32); pub struct Err;\n\
             pub fn f() -> i32 { let Ok(n) = Ok(5); let _ = (Err, Option::Some(1), Option::None); n }\n",
            "5",
        ),
        returns("an error type that nobody else sees", "struct Mine; pub fn f(a: i32) -> Result<i32, Mine> { if a > 0 { Ok(a) } else { Err(Mine) } }\n", "5").with("[5]"),
        returns("a macro of the whole crate", "#[macro_export] macro_rules! double { ($x:expr) => { $x * 2 } } pub mod m { pub fn g() -> i32 { crate::double!(4) } }\npub fn f() -> i32 { crate::m::g() }\n", "8"),
        returns("a tag of one's own", "use std::collections::BTreeMap;\npub fn f() -> BTreeMap<String, String> { BTreeMap::from([(\"$type\".into(), \"set\".into()), (\"a\".into(), \"b\".into())]) }\n",
            "{\"$type\": \"map\", \"$entries\": [[\"$type\",\"set\"],[\"a\",\"b\"]]}").tagged(),
        returns("a tag within a value", "pub fn f(v: serde_json::Value) -> (serde_json::Value, u8) { (v, 1) }\n", "[[{\"$type\": \"map\", \"$entries\": [[\"$type\",1]]}],1]").with("[[{\"$type\":1}]]").tagged(),
    ]
}

fn endings() -> Vec<Attempt> {
    vec![
        ends("a reply says that memory is gone", forged(1, 1, 4, "mine"), Error, "mine"),
        ends("a reply says that something was refused", forged(1, 2, 4, "mine"), Error, "mine"),
        ends("a reply is longer than itself", forged(1, 0, 1 << 30, "mine"), Error, "reply"),
        ends("a reply is of no kind", forged(99, 0, 0, ""), Error, "reply"),
        ends("a result is no JSON", forged(0, 0, 0, "{\"a\":"), Invalid, "not well-formed JSON"),
        ends("an allocator gives nothing", allocator("core::ptr::null_mut()"), Error, ""),
        ends("an allocator loops", allocator("let _ = layout; loop { core::hint::black_box(0); }"), Timeout, ""),
        ends("an allocator panics", allocator("let _ = layout; panic!(\"mine\")"), Error, ""),
        ends(
            "an allocator ends the call before it has begun",
            allocator("let _ = layout; unsafe { finish(core::ptr::null(), 0) }"),
            Error,
            "",
        ),
        ends(
            "a panic says nothing",
            "pub fn f() { std::panic::set_hook(Box::new(|_| {})); panic!(\"mine\") }\n",
            Error,
            "",
        ),
        ends(
            "a panic goes on without end",
            "pub fn f() { std::panic::set_hook(Box::new(|_| loop { core::hint::black_box(0); })); panic!(\"mine\") }\n",
            Timeout,
            "",
        ),
        ends(
            "a panic is an exit",
            "pub fn f() { std::panic::set_hook(Box::new(|_| std::process::exit(0))); panic!(\"mine\") }\n",
            Error,
            "ended",
        ),
        ends(
            "a panic is caught, which is not possible",
            "pub fn f() -> bool { std::panic::catch_unwind(|| panic!(\"mine\")).is_err() }\n",
            Error,
            "panicked: mine",
        ),
        ends("an exit", "pub fn f() { std::process::exit(0) }\n", Error, "status 0"),
        ends("an abort", "pub fn f() { std::process::abort() }\n", Error, ""),
        ends(
            "an instruction that ends everything",
            "pub fn f() { core::arch::wasm32::unreachable() }\n",
            Error,
            "ended its instance",
        ),
        ends("a thread", "pub fn f() { let _ = std::thread::spawn(|| {}).join(); }\n", Error, "panicked"),
        ends(
            "what is left of a result loops",
            "pub struct D(u8); impl Drop for D { fn drop(&mut self) { loop { core::hint::black_box(self.0); } } }\n\
              pub fn f() -> Result<u8, String> { let _d = D(1); Ok(1) }\n",
            Timeout,
            "",
        ),
        ends(
            "an error fails to say what it is",
            "pub struct E; impl std::fmt::Display for E { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { panic!(\"mine\") } }\n\
              pub fn f() -> Result<u8, E> { Err(E) }\n",
            Error,
            "panicked: mine",
        ),
        ends(
            "a value writes itself as what is no JSON",
            "pub struct V; impl greensand::ToJson for V { fn to_json(&self, w: &mut greensand::Writer) -> Result<(), greensand::Fault> { w.raw(\"{]\") } }\n\
              pub fn f() -> V { V }\n",
            Invalid,
            "not well-formed JSON",
        ),
        ends(
            "something runs before everything",
            "#[used] #[unsafe(link_section = \".init_array\")] static BEFORE: extern \"C\" fn() = before;\n\
              extern \"C\" fn before() { loop { core::hint::black_box(0); } }\npub fn f() -> u8 { 1 }\n",
            Timeout,
            "",
        ),
        ends(
            "a pointer to nowhere",
            "pub fn f() -> u8 { unsafe { core::ptr::read_volatile(0xffff_fff0 as *const u8) } }\n",
            Error,
            "outside of its memory",
        ),
        ends(
            "a call of nothing",
            "pub fn f() { let nothing: fn() = unsafe { core::mem::transmute(0xffff_usize) }; nothing() }\n",
            Error,
            "no function",
        ),
    ]
}

fn builds() -> Vec<Attempt> {
    let import = |module: &str, name: &str| {
        format!(
            "#[link(wasm_import_module = \"{module}\")] unsafe extern \"C\" {{ #[link_name = \"{name}\"] fn mine(a: i32) -> i32; }}\n\
             pub fn f() -> i32 {{ unsafe {{ mine(1) }} }}\n"
        )
    };
    vec![
        ends(
            "the way in is written twice",
            "#[unsafe(no_mangle)] pub extern \"C\" fn gs_invoke(_: u32, _: u32) -> u64 { 0 }\npub fn f() {}\n",
            Invalid,
            "error",
        ),
        ends(
            "so is the way in under another name",
            "#[unsafe(export_name = \"gs_alloc\")] pub extern \"C\" fn mine(_: u32) -> u32 { 0 }\npub fn f() {}\n",
            Invalid,
            "error",
        ),
        ends(
            "the module around is there already",
            "mod greensand_entry {}\npub fn f() {}\n",
            Invalid,
            "greensand_entry",
        ),
        ends("attributes of the whole crate", "#![no_main]\npub fn f() {}\n", Invalid, "`#![no_main]`"),
        ends(
            "nothing of the language is imported",
            "#![no_implicit_prelude]\npub fn f() {}\n",
            Invalid,
            "`#![no_implicit_prelude]`",
        ),
        ends("a file of the machine", "include!(\"/etc/passwd\");\npub fn f() {}\n", Invalid, "error"),
        ends(
            "a file of the machine as a module",
            "#[path = \"/etc/passwd\"] mod m;\npub fn f() {}\n",
            Invalid,
            "error",
        ),
        ends("itself, again and again", "pub mod m { include!(\"user.rs\"); }\npub fn f() {}\n", Invalid, "error"),
        ends("the compiler", "extern crate rustc_driver;\npub fn f() {}\n", Invalid, "error"),
        ends("a comment that is not closed", "pub fn f() {}\n/* ", Invalid, ""),
        ends("an import that nobody offers", import("env", "system"), Invalid, "env"),
        ends("an import of another type", import("greensand", "clock"), Invalid, "clock"),
        ends(
            "a function for one compiler and a function for another",
            "#[cfg(any())] pub fn f(a: i64, b: i64) -> i64 { a - b }\npub fn f(b: i64, a: i64) -> i64 { a - b }\n",
            Invalid,
            "`cfg`",
        )
        .with("{\"a\":3,\"b\":1}"),
        ends("a parameter for one compiler", "pub fn f(#[cfg(any())] a: i64, b: i64) -> i64 { b }\n", Invalid, "`cfg`")
            .with("[1]"),
    ]
}
