//! What a function finds beside the language: console, timers, randomness, granted functions and files.
//!
//! The natives here are handed to `bootstrap.js`, which makes the globals of them when the guest starts. What asks for a
//! capability that no function has (`require("fs")`, `fetch`) tells the host and throws an error whose `code` is
//! `ERR_ACCESS_DENIED`.

use std::ffi::{CStr, c_char, c_int, c_void};

use crate::console;
use crate::engine::{Thrown, Value, class, context, q, runtime, throw};
use crate::error::{self, REFUSED_CODE};
use crate::host::{self, Capability, Granted};
use crate::jobs;
use crate::json_in::{self, Refusal};
use crate::json_out::{self, Failure};
use crate::realm::{realm, state};
use crate::source::{self, OWN_FILE_NAME};
use crate::text;
use crate::wire::Encoding;

const BOOTSTRAP: &str = include_str!("bootstrap.js");

type Native = fn(&[Value]) -> Result<Value, Thrown>;

/// The natives that `bootstrap.js` gets, by the names it uses.
const NATIVES: &[(&str, q::JSCFunction)] = &[
    ("write", Some(glue::write)),
    ("indent", Some(glue::indent)),
    ("random", Some(glue::random)),
    ("randomBytes", Some(glue::random_bytes)),
    ("now", Some(glue::now)),
    ("addTimer", Some(glue::add_timer)),
    ("removeTimer", Some(glue::remove_timer)),
    ("encodeText", Some(glue::encode_text)),
    ("decodeText", Some(glue::decode_text)),
    ("classOf", Some(glue::class_of)),
    ("refuseModule", Some(glue::refuse_module)),
    ("refuseNetwork", Some(glue::refuse_network)),
    ("call", Some(glue::call)),
    ("callNamed", Some(glue::call_named)),
    ("readFile", Some(glue::read_file)),
    ("fileNames", Some(glue::file_names)),
];

/// Runs `bootstrap.js`.
pub fn define() -> Result<(), Thrown> {
    let natives = Value::object()?;
    for (name, function) in NATIVES {
        // All have the name that traces leave out.
        natives.define_hidden(name, Value::native(*function, OWN_FILE_NAME, 0)?)?;
    }
    let bootstrap = source::unit(BOOTSTRAP, OWN_FILE_NAME, q::JS_EVAL_TYPE_GLOBAL)?;
    let bootstrap = Value::owned(unsafe { q::JS_EvalFunction(context(), bootstrap.into_raw()) })?;
    let module = realm().module.clone();
    let require = bootstrap.call(&Value::UNDEFINED, &[natives, module])?;
    // `typeof require` is "undefined", as where there is none; whoever calls it all the same learns why it fails.
    unsafe { q::JS_SetIsHTMLDDA(context(), require.raw()) };
    Ok(())
}

/// Lets every `import` fail, with the reason.
pub fn refuse_modules() {
    unsafe { q::JS_SetModuleLoaderFunc(runtime(), Some(keep_name), Some(load_module), std::ptr::null_mut()) }
}

/// The state of the generator behind `Math.random` for a seed.
pub fn seeded(seed: u64) -> [u64; 4] {
    let mut state = seed;
    [0; 4].map(|_: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    })
}

/// Defines each native with the engine's signature around the function of the same name below.
macro_rules! glue {
    ($($name:ident),+ $(,)?) => {
        mod glue {
            use super::{Native, Thrown, Value, q};

            $(pub unsafe extern "C" fn $name(
                _: *mut q::JSContext,
                _: q::JSValue,
                count: i32,
                arguments: *mut q::JSValue,
            ) -> q::JSValue {
                unsafe { run(super::$name, count, arguments) }
            })+

            /// # Safety
            /// `arguments` points to `count` values, as the engine gives them.
            unsafe fn run(native: Native, count: i32, arguments: *mut q::JSValue) -> q::JSValue {
                let borrowed = |at| Value::borrowed(unsafe { *arguments.add(at) });
                let arguments: Vec<Value> = (0..usize::try_from(count).unwrap_or_default()).map(borrowed).collect();
                match native(&arguments) {
                    Ok(value) => value.into_raw(),
                    Err(Thrown) => q::JS_EXCEPTION,
                }
            }
        }
    };
}

glue!(
    write,
    indent,
    random,
    random_bytes,
    now,
    add_timer,
    remove_timer,
    encode_text,
    decode_text,
    class_of,
    refuse_module,
    refuse_network,
    call,
    call_named,
    read_file,
    file_names,
);

fn argument(arguments: &[Value], at: usize) -> Value {
    arguments.get(at).cloned().unwrap_or(Value::UNDEFINED)
}

fn text_argument(arguments: &[Value], at: usize) -> Result<String, Thrown> {
    match arguments.get(at).and_then(Value::as_text) {
        Some(text) => Ok(text.escaped()),
        None => Err(fail("the name must be a text", None)),
    }
}

fn fail(message: &str, code: Option<&str>) -> Thrown {
    match error::new_error(message, code) {
        Ok(error) => throw(error),
        Err(Thrown) => Thrown,
    }
}

fn refuse(what: Capability, message: &str) -> Thrown {
    host::refused(what);
    fail(message, Some(REFUSED_CODE))
}

/// `write(stream, arguments...)`
fn write(arguments: &[Value]) -> Result<Value, Thrown> {
    if let Some((stream, rest)) = arguments.split_first() {
        let is_error = stream.as_integer() == Some(host::STDERR);
        console::write(if is_error { host::STDERR } else { host::STDOUT }, rest);
    }
    Ok(Value::UNDEFINED)
}

/// `indent(by)`
fn indent(arguments: &[Value]) -> Result<Value, Thrown> {
    console::indent(argument(arguments, 0).as_integer().unwrap_or_default() as isize);
    Ok(Value::UNDEFINED)
}

/// `Math.random`: xoshiro256**.
fn random(_: &[Value]) -> Result<Value, Thrown> {
    let word = state(|state| {
        let [a, b, c, d] = &mut state.random;
        let word = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        word
    });
    Ok(Value::number((word >> 11) as f64 / (1_u64 << 53) as f64))
}

/// `randomBytes(count)`
fn random_bytes(arguments: &[Value]) -> Result<Value, Thrown> {
    const MOST: f64 = 65536.0;
    let count = argument(arguments, 0).as_number().unwrap_or_default().clamp(0.0, MOST) as usize;
    let mut bytes = vec![0; count];
    host::fill_random(&mut bytes);
    Value::bytes(&bytes)
}

/// `now()`: milliseconds since the call began.
fn now(_: &[Value]) -> Result<Value, Thrown> {
    let started = state(|state| state.started);
    Ok(Value::number((host::clock() - started) as f64 / 1e6))
}

/// `addTimer(callback, milliseconds, repeats, arguments)`
fn add_timer(arguments: &[Value]) -> Result<Value, Thrown> {
    let callback = argument(arguments, 0);
    if !callback.is_function() {
        return Err(fail("the callback of a timer must be a function", None));
    }
    let milliseconds = argument(arguments, 1).as_number().unwrap_or_default();
    let repeats = argument(arguments, 2).as_boolean() == Some(true);
    let rest = arguments.get(3..).unwrap_or_default().to_vec();
    Ok(Value::number(f64::from(jobs::add_timer(callback, rest, milliseconds, repeats))))
}

/// `removeTimer(id)`
fn remove_timer(arguments: &[Value]) -> Result<Value, Thrown> {
    if let Some(id) = argument(arguments, 0).as_number() {
        jobs::remove_timer(id as u32);
    }
    Ok(Value::UNDEFINED)
}

/// `encodeText(text)`: UTF-8, a lone surrogate as the replacement character.
fn encode_text(arguments: &[Value]) -> Result<Value, Thrown> {
    let Some(text) = argument(arguments, 0).as_text() else { return Value::bytes(&[]) };
    match text.as_str() {
        Some(text) => Value::bytes(text.as_bytes()),
        None => {
            let mut bytes = text.bytes().to_vec();
            let is_surrogate = |at: usize, bytes: &[u8]| matches!(bytes[at..], [0xed, 0xa0..=0xbf, _, ..]);
            for at in 0..bytes.len() {
                if is_surrogate(at, &bytes) {
                    bytes[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
                }
            }
            Value::bytes(&bytes)
        }
    }
}

/// `decodeText(bytes, isFatal)`
fn decode_text(arguments: &[Value]) -> Result<Value, Thrown> {
    let bytes = argument(arguments, 0);
    let bytes = bytes.as_bytes().unwrap_or_default();
    match str::from_utf8(bytes) {
        Ok(text) => Value::text(text),
        Err(_) if argument(arguments, 1).as_boolean() == Some(true) => {
            Err(fail("the bytes are not valid UTF-8", Some("ERR_ENCODING_INVALID_ENCODED_DATA")))
        }
        Err(_) => Value::text(&String::from_utf8_lossy(bytes)),
    }
}

/// `classOf(value)`: what `structuredClone` must know of an object and cannot ask it.
fn class_of(arguments: &[Value]) -> Result<Value, Thrown> {
    let value = argument(arguments, 0);
    let raw = value.raw();
    let is = |holds: bool, name: &'static str| holds.then_some(name);
    let name = unsafe {
        is(value.is_proxy(), "Proxy")
            .or_else(|| is(value.is_function(), "Function"))
            .or_else(|| is(value.class() == class::ARRAY, "Array"))
            .or_else(|| is(value.class() == class::OBJECT, "Object"))
            .or_else(|| is(value.class() == class::ERROR, "Error"))
            .or_else(|| is(q::JS_IsDate(raw), "Date"))
            .or_else(|| is(q::JS_IsRegExp(raw), "RegExp"))
            .or_else(|| is(q::JS_IsMap(raw), "Map"))
            .or_else(|| is(q::JS_IsSet(raw), "Set"))
            .or_else(|| is(q::JS_IsArrayBuffer(raw), "ArrayBuffer"))
            .or_else(|| is(q::JS_GetTypedArrayType(raw) >= 0, "TypedArray"))
    };
    Value::text(name.unwrap_or("Other"))
}

/// `refuseModule(name)`: always throws.
fn refuse_module(arguments: &[Value]) -> Result<Value, Thrown> {
    Err(refuse_to_load(&text_argument(arguments, 0)?))
}

/// `refuseNetwork(what)`: always throws.
fn refuse_network(arguments: &[Value]) -> Result<Value, Thrown> {
    let what = text_argument(arguments, 0)?;
    Err(refuse(Capability::Network, &format!("{what} is not available: functions have no network")))
}

/// Modules of other runtimes, and what they would give access to.
const REFUSED_MODULES: [(Capability, &[&str], &str); 3] = [
    (Capability::Filesystem, &["fs", "fs/promises", "fs-extra", "graceful-fs"], "functions have no file system"),
    (
        Capability::Network,
        &[
            "http",
            "https",
            "http2",
            "net",
            "tls",
            "dgram",
            "dns",
            "dns/promises",
            "axios",
            "node-fetch",
            "undici",
            "ws",
        ],
        "functions have no network",
    ),
    (
        Capability::Process,
        &["child_process", "process", "cluster", "worker_threads", "os", "vm"],
        "functions have no processes",
    ),
];

fn refuse_to_load(name: &str) -> Thrown {
    let bare = name.strip_prefix("node:").unwrap_or(name);
    let shown = text::one_line(name, 200);
    match REFUSED_MODULES.iter().find(|(_, names, _)| names.contains(&bare)) {
        Some((what, _, why)) => refuse(*what, &format!("cannot load the module `{shown}`: {why}")),
        None => fail(
            &format!("cannot load the module `{shown}`: a function is one source without modules"),
            Some("MODULE_NOT_FOUND"),
        ),
    }
}

/// Called by the engine for the name of a module: it stays what it is.
unsafe extern "C" fn keep_name(
    context: *mut q::JSContext,
    _: *const c_char,
    name: *const c_char,
    _: *mut c_void,
) -> *mut c_char {
    let name = unsafe { CStr::from_ptr(name) };
    unsafe { q::js_strdup(context, name.as_ptr()) }
}

/// Called by the engine for the content of a module.
unsafe extern "C" fn load_module(
    context: *mut q::JSContext,
    name: *const c_char,
    _: *mut c_void,
) -> *mut q::JSModuleDef {
    unsafe extern "C" fn nothing(_: *mut q::JSContext, _: *mut q::JSModuleDef) -> c_int {
        0
    }
    if state(|state| state.is_preparing) {
        // Source is only checked: whether it may import is found out when it runs.
        return unsafe { q::JS_NewCModule(context, name, Some(nothing)) };
    }
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    state(|state| state.refused_an_import = true);
    let Thrown = refuse_to_load(&name);
    std::ptr::null_mut()
}

/// `call(name, arguments...)`
fn call(arguments: &[Value]) -> Result<Value, Thrown> {
    let name = text_argument(arguments, 0)?;
    let list = Value::array()?;
    for (at, value) in arguments.iter().skip(1).enumerate() {
        list.define_item(u32::try_from(at).unwrap_or(u32::MAX), value.clone())?;
    }
    call_granted(&name, &list)
}

/// `callNamed(name, arguments)`
fn call_named(arguments: &[Value]) -> Result<Value, Thrown> {
    let name = text_argument(arguments, 0)?;
    let named = argument(arguments, 1);
    match named.is_object() {
        true => call_granted(&name, &named),
        false => Err(fail("the arguments must be an object", None)),
    }
}

fn call_granted(name: &str, arguments: &Value) -> Result<Value, Thrown> {
    const MOST: usize = 16 << 20;
    let arguments = match json_out::encode(arguments, "arguments", Encoding::Strict, MOST) {
        Ok(json) => json,
        Err(Failure::NoForm(message)) => return Err(fail(&message, None)),
        Err(Failure::TooLarge) => return Err(fail("the arguments are too large", None)),
        Err(Failure::Thrown) => return Err(Thrown),
    };
    match host::call(name, &arguments) {
        Granted::Returned(json) => json_in::value(&json).map_err(|refusal| match refusal {
            Refusal::Message(message) => fail(&message, None),
            Refusal::Thrown => Thrown,
        }),
        Granted::Failed(message) => Err(fail(&message, Some("ERR_FUNCTION_FAILED"))),
        Granted::Refused(message) => Err(fail(&message, Some(REFUSED_CODE))),
    }
}

/// `readFile(name)`: its bytes.
fn read_file(arguments: &[Value]) -> Result<Value, Thrown> {
    let name = text_argument(arguments, 0)?;
    match host::file(&name) {
        Some(content) => Value::bytes(&content),
        None => {
            let name = text::one_line(&name, 200);
            Err(fail(&format!("there is no input file `{name}`"), Some("ENOENT")))
        }
    }
}

/// `fileNames()`
fn file_names(_: &[Value]) -> Result<Value, Thrown> {
    let names = host::file_names();
    json_in::value(&names).map_err(|_| fail("the names of the input files cannot be read", None))
}
