//! Starts the engine, and keeps what the shim must find unchanged while a function runs.
//!
//! A function may replace any global and any method of a prototype. So the shim calls only intrinsics that it took
//! when the realm was fresh ([`Realm`]); what belongs to one call is in [`State`].

use std::sync::{Mutex, MutexGuard, OnceLock};

use crate::engine::{self, Atom, Thrown, Value, class, q};
use crate::error;
use crate::globals;
use crate::host;
use crate::jobs;
use crate::memory;

/// Depth of the engine's own stack, below the linker's 2 MiB, so that recursion ends in an error of the language.
const ENGINE_STACK: u64 = 3 << 19;
/// Cycles are looked for when this much is in use; below, a collection would only touch pages.
const COLLECTION_THRESHOLD: u64 = 8 << 20;

/// The intrinsics and names that the shim uses.
pub struct Realm {
    pub big_int: Value,
    pub function_text: Value,
    pub date_text: Value,
    pub expression_text: Value,
    pub map_for_each: Value,
    pub set_for_each: Value,
    pub error_stack: Value,
    pub symbol_description: Value,
    /// The `module` of CommonJS, as it was made.
    pub module: Value,
    pub names: Names,
}

/// Names of properties that the shim reads.
pub struct Names {
    pub name: Atom,
    pub message: Atom,
    pub stack: Atom,
    pub code: Atom,
    pub cause: Atom,
    pub errors: Atom,
    pub constructor: Atom,
    pub exports: Atom,
    pub length: Atom,
}

/// What belongs to one call.
#[derive(Default)]
pub struct State {
    pub random: [u64; 4],
    pub started: i64,
    pub timers: Vec<jobs::Timer>,
    pub timers_made: u32,
    pub rejections: Vec<jobs::Rejection>,
    /// Source is only looked at, not run: imports are let through until it is.
    pub is_preparing: bool,
    /// The source could not be loaded because it imports something.
    pub refused_an_import: bool,
    /// Spaces before a line of the console.
    pub indent: usize,
}

static REALM: OnceLock<Realm> = OnceLock::new();
static STATE: Mutex<Option<State>> = Mutex::new(None);

pub fn realm() -> &'static Realm {
    REALM.get().expect("`gs_init` comes first")
}

/// Changes the state of the call. No code of the function may run meanwhile.
pub fn state<T>(with: impl FnOnce(&mut State) -> T) -> T {
    let mut state: MutexGuard<'_, Option<State>> = STATE.lock().unwrap_or_else(|broken| broken.into_inner());
    with(state.get_or_insert_default())
}

/// Starts the engine.
pub fn start() {
    // SAFETY: the runtime and its one context are made once and never freed.
    unsafe {
        let runtime = q::JS_NewRuntime2(&memory::ENGINE_FUNCTIONS, std::ptr::null_mut());
        q::JS_SetMaxStackSize(runtime, ENGINE_STACK as _);
        q::JS_SetGCThreshold(runtime, COLLECTION_THRESHOLD as _);
        engine::set_context(q::JS_NewContext(runtime));
        q::JS_SetHostPromiseRejectionTracker(runtime, Some(jobs::track_rejection), std::ptr::null_mut());
    }
    globals::refuse_modules();
    let realm = intrinsics().expect("a fresh realm has the intrinsics");
    check_classes().expect("the engine numbers its classes as the shim expects");
    assert!(REALM.set(realm).is_ok(), "`gs_init` runs once");
    if let Err(Thrown) = globals::define() {
        panic!("the globals cannot be made: {}", error::message(&engine::take_exception()));
    }
    memory::keep_reserve();
}

/// Makes the snapshot small and quiet: what the rehearsals left is collected.
pub fn settle_down() {
    unsafe { q::JS_RunGC(engine::runtime()) };
    state(|state| *state = State::default());
}

/// Gets ready for the one call of this instance.
pub fn begin_call(seed: u64) {
    unsafe { q::JS_UpdateStackTop(engine::runtime()) };
    memory::begin_call();
    let started = host::clock();
    state(|state| {
        *state = State { random: globals::seeded(seed), started, ..State::default() };
    });
}

fn intrinsics() -> Result<Realm, Thrown> {
    let global = Value::owned(unsafe { q::JS_GetGlobalObject(engine::context()) })?;
    let method = |owner: &std::ffi::CStr, name: &std::ffi::CStr| {
        global.get_named(owner)?.get_named(c"prototype")?.get_named(name)
    };
    let getter = |owner: &std::ffi::CStr, name: &str| {
        let owner = global.get_named(owner)?.get_named(c"prototype")?;
        match owner.own(&Atom::new(name)?)? {
            Some(engine::Property::Accessor { getter }) => Ok(getter),
            _ => Err(Thrown),
        }
    };
    let module = Value::object()?;
    module.define(&Atom::new("exports")?, Value::object()?)?;
    let name = Atom::new;
    Ok(Realm {
        big_int: global.get_named(c"BigInt")?,
        function_text: method(c"Function", c"toString")?,
        date_text: method(c"Date", c"toISOString")?,
        expression_text: method(c"RegExp", c"toString")?,
        map_for_each: method(c"Map", c"forEach")?,
        set_for_each: method(c"Set", c"forEach")?,
        error_stack: getter(c"Error", "stack")?,
        symbol_description: getter(c"Symbol", "description")?,
        module,
        names: Names {
            name: name("name")?,
            message: name("message")?,
            stack: name("stack")?,
            code: name("code")?,
            cause: name("cause")?,
            errors: name("errors")?,
            constructor: name("constructor")?,
            exports: name("exports")?,
            length: name("length")?,
        },
    })
}

/// Compares the numbers of classes that the shim relies on with objects of each class.
fn check_classes() -> Result<(), Thrown> {
    let error = Value::owned(unsafe { q::JS_NewError(engine::context()) })?;
    let samples = [(Value::object()?, class::OBJECT), (Value::array()?, class::ARRAY), (error, class::ERROR)];
    if samples.iter().any(|(sample, class)| sample.class() != *class) {
        return Err(Thrown);
    }
    Ok(())
}
