//! Starting CPython, once, while the image is made: [`start`].
//!
//! No file is read. `encodings`, which CPython needs before anything can be imported, is given as frozen modules;
//! everything else comes through the finder in `bootstrap.py`, which asks the host. After the imports the call path is
//! warmed, so that CPython's inline caches are in the snapshot, and all objects are moved out of the collector's sight.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::call;
use crate::host;
use crate::host_module;
use crate::python::{
    self, Frozen, Object, Py_InitializeFromInitConfig, PyDict_DelItemString, PyDict_SetItem, PyDict_SetItemString,
    PyEval_GetBuiltins, PyImport_GetModuleDict, PyImport_ImportModule, PyInitConfig, PyInitConfig_AddModule,
    PyInitConfig_Create, PyInitConfig_SetInt, PyInitConfig_SetStr, PyInitConfig_SetStrList,
    PyLong_FromUnsignedLongLong, PyModule_GetDict, PyModule_NewObject, Raised,
};
use crate::source::{self, OWN_FILE_NAME};
use crate::wire::{Encoding, Form, Request};

/// What a call needs of the running interpreter.
pub struct Interpreter {
    modules: Object,
    seed: Object,
    pub wait_for: Object,
    pub check_arguments: Object,
    pub describe: Object,
    pub split_script: Object,
    /// `eval` and `exec`.
    pub evaluators: Object,
    /// Writes a name as Python's parser does.
    pub normalised: Object,
}

/// The one interpreter of the instance.
struct Slot(UnsafeCell<Option<Interpreter>>);

// SAFETY: the guest has one thread, and `start` is over before the first call.
unsafe impl Sync for Slot {}

static INTERPRETER: Slot = Slot(UnsafeCell::new(None));

/// The interpreter, once it was started.
pub fn running() -> Option<&'static Interpreter> {
    unsafe { (*INTERPRETER.0.get()).as_ref() }
}

/// Whether the image is still being made.
static WARMING: AtomicBool = AtomicBool::new(true);

/// Leaves an object behind. An instance lives for one call, so tearing down what a call made would be lost time, and a
/// deeply nested value would run out of stack. Only the warm-up cleans up behind itself.
pub fn leave(object: Object) {
    if !WARMING.load(Ordering::Relaxed) {
        core::mem::forget(object);
    }
}

impl Interpreter {
    /// Makes an empty module that can be imported under `name`, and gives its namespace.
    pub fn new_module(&self, name: &str) -> Result<Object, Raised> {
        let name = Object::text(name)?;
        let module = Object::owned(unsafe { PyModule_NewObject(name.pointer()) })?;
        let namespace = Object::borrowed(unsafe { PyModule_GetDict(module.pointer()) })?;
        let builtins = unsafe { PyEval_GetBuiltins() };
        python::check(unsafe { PyDict_SetItemString(namespace.pointer(), c"__builtins__".as_ptr(), builtins) })?;
        python::check(unsafe { PyDict_SetItem(self.modules.pointer(), name.pointer(), module.pointer()) })?;
        Ok(namespace)
    }

    /// Seeds the generator behind the functions of `random`.
    pub fn seed_random(&self, seed: u64) -> Result<(), Raised> {
        let seed = Object::owned(unsafe { PyLong_FromUnsignedLongLong(seed) })?;
        self.seed.call_with(&seed).map(drop)
    }
}

/// Starts the interpreter and gets it ready for calls. Any failure is a fault of the build, so it ends in a trap.
pub fn start() {
    configure(Start::Whole);
    let Ok(interpreter) = bootstrap() else { fail() };
    let interpreter = unsafe { (*INTERPRETER.0.get()).insert(interpreter) };
    warm(interpreter);
    WARMING.store(false, Ordering::Relaxed);
    if freeze().is_err() {
        fail()
    }
}

/// Starts just enough of CPython to compile source text.
pub fn start_compiler() {
    configure(Start::Core);
}

/// How much of CPython is started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Whole,
    Core,
}

/// A made-up place of the standard library. Nothing is ever read from it.
const LIBRARY: &CStr = c"/lib/python";

fn configure(start: Start) {
    let integers: &[(&CStr, i64)] = &[
        (c"_init_main", i64::from(start == Start::Whole)),
        (c"buffered_stdio", 0),
        (c"configure_locale", 0),
        (c"hash_seed", 0),
        (c"install_signal_handlers", 0),
        (c"int_max_str_digits", 0),
        (c"parse_argv", 0),
        (c"pathconfig_warnings", 0),
        (c"site_import", 0),
        (c"use_environment", 0),
        (c"use_hash_seed", 1),
        (c"user_site_directory", 0),
        (c"utf8_mode", 1),
        (c"write_bytecode", 0),
    ];
    let texts: &[(&CStr, &CStr)] = &[
        (c"base_exec_prefix", c"/"),
        (c"base_executable", c""),
        (c"base_prefix", c"/"),
        (c"exec_prefix", c"/"),
        (c"executable", c""),
        (c"filesystem_encoding", c"utf-8"),
        (c"filesystem_errors", c"surrogateescape"),
        (c"prefix", c"/"),
        (c"program_name", c""),
        (c"stdio_encoding", c"utf-8"),
        (c"stdio_errors", c"backslashreplace"),
        (c"stdlib_dir", LIBRARY),
    ];
    unsafe {
        let config = PyInitConfig_Create();
        for (name, value) in integers {
            expect(config, PyInitConfig_SetInt(config, name.as_ptr(), *value));
        }
        for (name, value) in texts {
            expect(config, PyInitConfig_SetStr(config, name.as_ptr(), value.as_ptr()));
        }
        let (argv, paths) = ([c"".as_ptr()], [LIBRARY.as_ptr()]);
        expect(config, PyInitConfig_SetStrList(config, c"argv".as_ptr(), argv.len(), argv.as_ptr()));
        expect(config, PyInitConfig_SetStrList(config, c"module_search_paths".as_ptr(), paths.len(), paths.as_ptr()));
        expect(config, PyInitConfig_AddModule(config, c"_greensand".as_ptr(), host_module::create));
        if start == Start::Whole {
            freeze_encodings();
        }
        expect(config, Py_InitializeFromInitConfig(config));
    }
}

fn expect(config: *mut PyInitConfig, status: i32) {
    if status < 0 {
        let mut message: *const c_char = core::ptr::null();
        unsafe { python::PyInitConfig_GetError(config, &mut message) };
        if !message.is_null() {
            host::write(2, unsafe { CStr::from_ptr(message) }.to_bytes());
        }
        core::arch::wasm32::unreachable()
    }
}

/// Ends the making of the image; the exception goes to stderr, for whoever builds the guest.
fn fail() -> ! {
    let reply = crate::error::reply("");
    host::write(2, &reply.payload);
    core::arch::wasm32::unreachable()
}

/// Gives CPython the modules that it imports before the finder exists.
fn freeze_encodings() {
    let names = ["encodings", "encodings.aliases", "encodings.utf_8"];
    let mut table: Vec<Frozen> = Vec::new();
    for name in names {
        let Some(content) = host::module(name) else { continue };
        let content = content.leak();
        let name = CString::new(name).unwrap_or_default().into_raw();
        if let Some((is_package, code)) = content.split_first() {
            table.push(Frozen {
                name,
                code: code.as_ptr(),
                size: code.len() as i32,
                is_package: i32::from(*is_package),
            });
        }
    }
    table.push(Frozen { name: core::ptr::null(), code: core::ptr::null(), size: 0, is_package: 0 });
    let modules: *mut *const Frozen = python::frozen_modules().cast();
    unsafe { *modules = table.leak().as_ptr() };
}

/// The name of what the host says about the packages of the image, where it has any.
const PACKAGES: &str = ":packages";

/// Runs `bootstrap.py`, and `packages.py` where there are packages, and takes from it what calls need.
fn bootstrap() -> Result<Interpreter, Raised> {
    let modules = Object::borrowed(unsafe { PyImport_GetModuleDict() })?;
    let code = source::compile_text(include_str!("bootstrap.py"), OWN_FILE_NAME)?;
    let namespace = Object::owned(unsafe { python::PyDict_New() })?;
    let builtins = unsafe { PyEval_GetBuiltins() };
    python::check(unsafe { PyDict_SetItemString(namespace.pointer(), c"__builtins__".as_ptr(), builtins) })?;
    let name = Object::text("_greensand_bootstrap")?;
    python::check(unsafe { PyDict_SetItemString(namespace.pointer(), c"__name__".as_ptr(), name.pointer()) })?;
    Object::owned(unsafe { python::PyEval_EvalCode(code.pointer(), namespace.pointer(), namespace.pointer()) })?;
    if host::module_size(PACKAGES).is_some() {
        let code = source::compile_text(include_str!("packages.py"), OWN_FILE_NAME)?;
        Object::owned(unsafe { python::PyEval_EvalCode(code.pointer(), namespace.pointer(), namespace.pointer()) })?;
    }
    let take = |name: &str| python::lookup(&namespace, &Object::text(name)?)?.ok_or(Raised);
    Ok(Interpreter {
        modules,
        seed: take("seed_random")?,
        wait_for: take("wait_for")?,
        check_arguments: take("check_arguments")?,
        describe: take("describe")?,
        split_script: take("split_script")?,
        evaluators: take("EVALUATORS")?,
        normalised: take("normalised")?,
    })
}

/// Calls what calls use, so that the snapshot holds specialised code; then removes every trace of it.
fn warm(interpreter: &Interpreter) {
    const ROUNDS: usize = 30;
    for (source, entry, arguments) in WARM_UP {
        let request = |form, code| Request {
            form,
            encoding: Encoding::Strict,
            max_result: 1 << 20,
            seed: 0,
            code,
            entry,
            arguments: arguments.as_bytes(),
        };
        let compiled = call::prepare(&request(Form::Source, source.as_bytes())).payload;
        for _ in 0..ROUNDS {
            call::invoke(interpreter, &request(Form::Source, source.as_bytes()));
            call::invoke(interpreter, &request(Form::Compiled, &compiled));
        }
    }
    unsafe { PyDict_DelItemString(interpreter.modules.pointer(), c"function".as_ptr()) };
    python::clear();
}

const WARM_UP: [(&str, &str, &str); 5] = [
    ("def f(a, b):\n    return a + b\n", "f", "[1, 2]"),
    ("def f(a, b):\n    return {'sum': a + b, 'parts': [a, b, 0.5, None, True, 'x']}\n", "f", r#"{"a": 1, "b": 2}"#),
    (
        "import math\nfrom collections import Counter\n\n\
         def f(words):\n    counts = Counter(w.lower() for w in words)\n    \
         return sorted((n, w, math.sqrt(n)) for w, n in counts.items())\n",
        "f",
        r#"[["a", "B", "b"]]"#,
    ),
    ("def f():\n    return {1}\n", "f", "[]"),
    ("def f():\n    raise ValueError('no')\n", "f", "[]"),
];

/// Collects garbage and hides what is left from later collections, so that they touch no page of the image.
fn freeze() -> Result<(), Raised> {
    let collector = Object::owned(unsafe { PyImport_ImportModule(c"gc".as_ptr()) })?;
    for name in [c"collect", c"freeze"] {
        let function = collector.attribute(name)?;
        Object::owned(unsafe { python::PyObject_CallNoArgs(function.pointer()) })?;
    }
    Ok(())
}
