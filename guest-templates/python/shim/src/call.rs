//! Running a function: its top level, its entry with the arguments, and what came of it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error;
use crate::interpreter::{Interpreter, leave};
use crate::json_in::{self, Arguments, Refusal};
use crate::json_out::{self, Failure, qualified_name};
use crate::python::{
    self, Object, PyCallable_Check, PyEval_EvalCode, PyException_GetTraceback, PyTuple_Size, PyType_GetFlags,
    PyType_GetSlot, Raised, flag,
};
use crate::source::{self, Compiled, FILE_NAME};
use crate::text;
use crate::wire::{Encoding, Kind, OUT_OF_MEMORY, Reply, Request};

/// The name under which the function's module can be imported while it runs.
const MODULE: &str = "function";
const MAIN_MODULE: &str = "__main__";
/// Where the files of packages lie, as `__file__` says.
const LIBRARY: &str = "/lib/python/";

/// `gs_prepare`.
pub fn prepare(request: &Request<'_>) -> Reply {
    let compiled = match source::compile(request.code) {
        Ok(compiled) => compiled,
        Err(reply) => return reply,
    };
    source::pack(&compiled).map_or_else(|Raised| error::reply(compiled.source), Reply::returned)
}

/// `gs_invoke`.
pub fn invoke(interpreter: &Interpreter, request: &Request<'_>) -> Reply {
    with_entry(interpreter, request, |entry, namespace| {
        let arguments = match json_in::arguments(request.arguments) {
            Ok(arguments) => arguments,
            Err(Refusal::Message(message)) => return Ok(Reply::new(Kind::BadArguments, message)),
            Err(Refusal::Raised) => return Err(Raised),
        };
        let result = match call(interpreter, &entry, namespace, &arguments)? {
            Ok(result) => result,
            Err(message) => return Ok(Reply::new(Kind::BadArguments, message)),
        };
        let result = settled(interpreter, result)?;
        let reply = returned(&result, request.encoding, request.max_result);
        leave(result);
        leave(arguments.positional);
        if let Some(named) = arguments.named {
            leave(named);
        }
        reply
    })
}

/// `gs_describe`.
pub fn describe(interpreter: &Interpreter, request: &Request<'_>) -> Reply {
    with_entry(interpreter, request, |entry, _| {
        let parameters = interpreter.describe.call_with(&entry)?;
        returned(&parameters, Encoding::Strict, usize::MAX)
    })
}

/// `gs_run`.
pub fn run(interpreter: &Interpreter, request: &Request<'_>) -> Reply {
    let source = match source::readable(request.code) {
        Ok(source) => source,
        Err(reply) => return reply,
    };
    // Compiled first without the split, so that a syntax error is worded as everywhere else.
    if let Err(Raised) = source::compile_text(source, FILE_NAME) {
        return source::bad_source(source);
    }
    run_script(interpreter, source, request).unwrap_or_else(|Raised| error::reply(source))
}

fn run_script(interpreter: &Interpreter, source: &str, request: &Request<'_>) -> Result<Reply, Raised> {
    let parts = interpreter.split_script.call_with(&Object::text(source)?)?;
    let (statements, last) = (python::tuple_item(&parts, 0)?, python::tuple_item(&parts, 1)?);
    interpreter.seed_random(request.seed)?;
    let namespace = interpreter.new_module(MAIN_MODULE)?;
    evaluate(&statements, &namespace)?;
    let value = if last.is_none() { last } else { evaluate(&last, &namespace)? };
    let reply = returned(&value, Encoding::Tagged, request.max_result);
    leave(value);
    reply
}

/// Runs the top level of the request's code and goes on with the entry.
fn with_entry(
    interpreter: &Interpreter,
    request: &Request<'_>,
    then: impl FnOnce(Object, &Object) -> Result<Reply, Raised>,
) -> Reply {
    let compiled = match source::load(request) {
        Ok(compiled) => compiled,
        Err(reply) => return reply,
    };
    let reply = top_level(interpreter, &compiled, request).and_then(|entry| match entry {
        Ok((entry, namespace)) => then(entry, &namespace),
        Err(reply) => Ok(reply),
    });
    reply.unwrap_or_else(|Raised| error::reply(compiled.source))
}

fn top_level(
    interpreter: &Interpreter,
    compiled: &Compiled<'_>,
    request: &Request<'_>,
) -> Result<Result<(Object, Object), Reply>, Raised> {
    if compiled.may_import {
        interpreter.seed_random(request.seed)?;
    }
    let namespace = interpreter.new_module(MODULE)?;
    evaluate(&compiled.code, &namespace)?;
    let mut name = Object::text(request.entry)?;
    if !request.entry.is_ascii() {
        name = interpreter.normalised.call_with(&name)?;
    }
    let Some(entry) = python::lookup(&namespace, &name)? else {
        let name = text::one_line(request.entry, 100);
        return Ok(Err(Reply::new(Kind::BadEntry, format!("there is no `{name}` at the top level of the source"))));
    };
    if unsafe { PyCallable_Check(entry.pointer()) } == 0 {
        let (name, kind) = (text::one_line(request.entry, 100), qualified_name(entry.kind()));
        return Ok(Err(Reply::new(Kind::BadEntry, format!("`{name}` is of type `{kind}`, which cannot be called"))));
    }
    Ok(Ok((entry, namespace)))
}

fn evaluate(code: &Object, namespace: &Object) -> Result<Object, Raised> {
    Object::owned(unsafe { PyEval_EvalCode(code.pointer(), namespace.pointer(), namespace.pointer()) })
}

/// Calls the entry. Arguments that do not fit it are a message, told apart from an error in the body.
fn call(
    interpreter: &Interpreter,
    entry: &Object,
    namespace: &Object,
    arguments: &Arguments,
) -> Result<Result<Object, String>, Raised> {
    if let Some(code) = code_to_evaluate(interpreter, entry, arguments)? {
        return entry.call(&python::tuple([code, namespace.clone()])?, None).map(Ok);
    }
    let is_plain_function = entry.kind() == python::function_type();
    if !is_plain_function {
        let named = arguments.named.clone().unwrap_or_else(Object::none);
        let args = python::tuple([entry.clone(), arguments.positional.clone(), named])?;
        let complaint = interpreter.check_arguments.call(&args, None)?;
        if !complaint.is_none() {
            return Ok(Err(text::one_line(&json_out::escaped(&complaint)?, text::MAX_MESSAGE)));
        }
    }
    match entry.call(&arguments.positional, arguments.named.as_ref()) {
        Ok(result) => Ok(Ok(result)),
        Err(Raised) if is_plain_function => {
            let exception = error::take().ok_or(Raised)?;
            // CPython binds the arguments before it makes the function's frame, and every exception that comes
            // out of a frame has a traceback. So one without it means that the body never ran.
            let traceback = Object::owned(unsafe { PyException_GetTraceback(exception.pointer()) });
            if traceback.is_err() && exception.kind() == python::type_error() {
                let message = error::message(&exception);
                return Ok(Err(message.strip_prefix("TypeError: ").unwrap_or(&message).into()));
            }
            unsafe { python::PyErr_SetRaisedException(exception.into_pointer()) };
            Err(Raised)
        }
        Err(Raised) => Err(Raised),
    }
}

/// The only argument of an entry that is `eval` or `exec`. These take the namespace from the frame that calls them, and
/// the entry is called from none.
fn code_to_evaluate(
    interpreter: &Interpreter,
    entry: &Object,
    arguments: &Arguments,
) -> Result<Option<Object>, Raised> {
    let is_evaluator = (0..2)
        .any(|at| python::tuple_item(&interpreter.evaluators, at).is_ok_and(|one| one.pointer() == entry.pointer()));
    if !is_evaluator || arguments.named.is_some() || unsafe { PyTuple_Size(arguments.positional.pointer()) } != 1 {
        return Ok(None);
    }
    python::tuple_item(&arguments.positional, 0).map(Some)
}

/// Waits for a result that is a coroutine or another awaitable.
fn settled(interpreter: &Interpreter, result: Object) -> Result<Object, Raised> {
    const HOLDS_A_VALUE: u32 = flag::LONG | flag::LIST | flag::TUPLE | flag::TEXT | flag::DICT;
    const AWAIT_SLOT: i32 = 77;
    let kind = result.kind();
    if result.is_none() || unsafe { PyType_GetFlags(kind) } & HOLDS_A_VALUE != 0 {
        return Ok(result);
    }
    if unsafe { PyType_GetSlot(kind, AWAIT_SLOT) }.is_null() {
        return Ok(result);
    }
    interpreter.wait_for.call_with(&result)
}

fn returned(value: &Object, encoding: Encoding, most: usize) -> Result<Reply, Raised> {
    match json_out::encode(value, encoding, most) {
        Ok(json) => Ok(Reply::returned(json)),
        Err(Failure::NoForm(message)) => Ok(Reply::new(Kind::BadResult, message)),
        Err(Failure::TooLarge) => {
            Ok(Reply::new(Kind::TooLarge, format!("the result is larger than {most} bytes as JSON")))
        }
        Err(Failure::Raised) => Err(Raised),
    }
}

/// `gs_compile`: a file of a package, with its path as the entry. What is no code, or does not compile, is left as it is: an
/// empty reply. Tests are left too: a function seldom imports them, and they take as long as the rest.
pub fn compile_file(request: &Request<'_>) -> Reply {
    let path = request.entry;
    let Some(stem) = path.strip_suffix(".py") else { return Reply::returned(Vec::new()) };
    if !cfg!(feature = "compiler") && stem.split('/').any(|part| part == "tests") {
        return Reply::returned(Vec::new());
    }
    let code = source::readable(request.code).and_then(|source| {
        let file_name = if cfg!(feature = "compiler") { path.into() } else { [LIBRARY, path].concat() };
        let code = source::compile_text(source, &file_name).map_err(|Raised| source::bad_source(source))?;
        source::marshalled(&code).map_err(|Raised| error::reply(source))
    });
    match code {
        Ok(code) => {
            let is_package = stem.rsplit('/').next() == Some("__init__");
            let mut module = Vec::from([u8::from(is_package)]);
            module.extend(code.as_bytes().unwrap_or_default());
            Reply::returned(module)
        }
        Err(reply) if cfg!(feature = "compiler") || reply.flags & OUT_OF_MEMORY != 0 => reply,
        Err(_) => Reply::returned(Vec::new()),
    }
}
