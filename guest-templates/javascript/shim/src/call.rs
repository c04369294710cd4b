//! Running a function: its top level, its entry with the arguments, and what came of it.

use crate::documentation;
use crate::engine::{Atom, Thrown, Value, context, q, take_exception, throw};
use crate::error;
use crate::inspect;
use crate::jobs;
use crate::json_in::{self, Arguments, Refusal};
use crate::json_out::{self, Failure};
use crate::parameters::{self, Callable, Parameter};
use crate::realm::{realm, state};
use crate::scan::push_string;
use crate::source::{self, ENTRY_EXPORT, FILE_NAME, Origin, Program, What};
use crate::text;
use crate::wire::{Encoding, Form, Kind, Reply, Request};

/// `gs_prepare`.
pub fn prepare(request: &Request<'_>) -> Reply {
    state(|state| state.is_preparing = true);
    match source::compile(request.code, request.entry) {
        Ok(program) => source::pack(&program).map_or_else(|Thrown| error::reply(&program.origin), Reply::returned),
        Err(reply) => reply,
    }
}

/// `gs_invoke`.
pub fn invoke(request: &Request<'_>) -> Reply {
    with_entry(request, |Entry { value: entry, callable }, _| {
        let arguments = match json_in::arguments(request.arguments) {
            Ok(arguments) => arguments,
            Err(Refusal::Message(message)) => return Ok(Reply::new(Kind::BadArguments, message)),
            Err(Refusal::Thrown) => return Err(Thrown),
        };
        let arguments = match fitted(callable, arguments, request.entry)? {
            Ok(arguments) => arguments,
            Err(message) => return Ok(Reply::new(Kind::BadArguments, message)),
        };
        let mut result = entry.call(&Value::UNDEFINED, &arguments)?;
        if result.is_promise() {
            result = jobs::settled(result).map_err(|unsettled| error::unsettled(unsettled, request.entry))?;
        }
        let reply = returned(&result, request.encoding, request.max_result)?;
        // What the function left to be done at once still is, after its result has been written.
        jobs::run_ready();
        jobs::report_rejections();
        Ok(reply)
    })
}

/// `gs_describe`.
pub fn describe(request: &Request<'_>) -> Reply {
    with_entry(request, |Entry { value: entry, callable }, origin| {
        let mut json = b"{\"parameters\":[".to_vec();
        for (at, (name, kind, is_required)) in described(entry, callable)?.into_iter().enumerate() {
            json.extend(if at > 0 { &b",{\"name\":"[..] } else { b"{\"name\":" });
            push_string(&mut json, &name);
            json.extend(format!(",\"kind\":\"{kind}\",\"required\":{is_required}}}").as_bytes());
        }
        json.extend(b"],\"doc\":");
        let documentation = documentation::of(origin.source, request.entry);
        push_string(&mut json, &text::one_line(&documentation, 500));
        json.push(b'}');
        Ok(Reply::returned(json))
    })
}

/// `gs_run`.
pub fn run(request: &Request<'_>) -> Reply {
    let readable = match source::readable(request.code) {
        Ok(readable) => readable,
        Err(reply) => return reply,
    };
    let compiled = |flags| source::unit(&readable.code, FILE_NAME, flags).map_err(|Thrown| take_exception());
    let script = match compiled(q::JS_EVAL_TYPE_GLOBAL) {
        Ok(script) => Ok((script, What::Script)),
        Err(refusal) => match compiled(q::JS_EVAL_TYPE_GLOBAL | q::JS_EVAL_FLAG_ASYNC) {
            Ok(script) => Ok((script, What::Script)),
            Err(_) => compiled(q::JS_EVAL_TYPE_MODULE)
                .map(|module| (module, What::Module))
                .map_err(|module_refusal| [refusal, module_refusal]),
        },
    };
    let (code, what) = match script {
        Ok(script) => script,
        Err([_, refusal]) if state(|state| state.refused_an_import) => {
            throw(refusal);
            return error::reply(&readable.origin);
        }
        Err(refusals) => return error::refused_source(refusals, &readable.origin),
    };
    let reply = run_script(code, what, request);
    reply.unwrap_or_else(|Thrown| error::reply(&readable.origin))
}

fn run_script(code: Value, what: What, request: &Request<'_>) -> Result<Reply, Thrown> {
    let mut value = evaluated(code)?;
    let is_asynchronous = value.is_promise();
    if is_asynchronous {
        value = jobs::settled(value).map_err(|unsettled| jobs::raise(unsettled, "the script"))?;
        // The engine wraps the value of a script that waits.
        value = match what {
            What::Script => value.get_named(c"value")?,
            What::Module => Value::UNDEFINED,
        };
    }
    if value.is_promise() {
        value =
            jobs::settled(value).map_err(|unsettled| jobs::raise(unsettled, "the promise of the last statement"))?;
    }
    jobs::run_all();
    jobs::report_rejections();
    returned(&value, Encoding::Tagged, request.max_result)
}

/// Calls a function that a source gives, for the sake of the call alone.
pub fn rehearse(source: &str, arguments: &[u8]) {
    let request = Request {
        form: Form::Source,
        encoding: Encoding::Strict,
        max_result: 1 << 20,
        seed: 0,
        code: source.as_bytes(),
        entry: "",
        arguments,
    };
    let Ok(program) = source::compile(request.code, "") else { return };
    let Ok(form) = source::pack(&program) else { return };
    let Ok(program) = source::load(&Request { form: Form::Compiled, code: &form, ..request }) else {
        return;
    };
    let origin = program.origin.clone();
    let rehearsed = evaluated(program.code).and_then(|entry| {
        let arguments = json_in::arguments(arguments).map_err(|_| Thrown)?;
        let arguments = fitted(&callable(&entry)?, arguments, "")?.map_err(|_| Thrown)?;
        let mut result = entry.call(&Value::UNDEFINED, &arguments)?;
        if result.is_promise() {
            result = jobs::settled(result).map_err(|unsettled| error::unsettled(unsettled, ""))?;
        }
        returned(&result, Encoding::Strict, 1 << 20)
    });
    drop(rehearsed.unwrap_or_else(|Thrown| error::reply(&origin)));
}

/// The entry of a function, and what it takes.
struct Entry {
    value: Value,
    callable: Callable,
}

/// Runs the top level of the request's code and goes on with the entry.
fn with_entry(request: &Request<'_>, then: impl FnOnce(&Entry, &Origin<'_>) -> Result<Reply, Thrown>) -> Reply {
    let program = match source::load(request) {
        Ok(program) => program,
        Err(reply) => return reply,
    };
    let origin = program.origin.clone();
    let reply = top_level(program, request.entry).and_then(|entry| match entry {
        Some(value) if value.is_function() => {
            let callable = callable(&value)?;
            if callable == Callable::Class {
                return Ok(not_callable("a class", request.entry));
            }
            then(&Entry { value, callable }, &origin)
        }
        Some(other) => Ok(not_callable(&inspect::short(&other), request.entry)),
        None => {
            let name = text::one_line(request.entry, 100);
            Ok(Reply::new(Kind::BadEntry, format!("there is no `{name}` at the top level of the source")))
        }
    });
    reply.unwrap_or_else(|Thrown| error::reply(&origin))
}

fn not_callable(what: &str, entry: &str) -> Reply {
    let name = text::one_line(entry, 100);
    Reply::new(Kind::BadEntry, format!("`{name}` is {what}, which cannot be called"))
}

/// Runs the top level; gives the value of the entry.
fn top_level(program: Program<'_>, entry: &str) -> Result<Option<Value>, Thrown> {
    let Program { code, what, way, .. } = program;
    let found = match what {
        What::Script => {
            evaluated(code)?;
            jobs::run_ready();
            way.map(evaluated).transpose()?.filter(|value| !value.is_undefined())
        }
        What::Module => module_entry(code, entry)?,
    };
    match found {
        Some(found) => Ok(Some(found)),
        None => common_js_entry(entry),
    }
}

fn evaluated(code: Value) -> Result<Value, Thrown> {
    Value::owned(unsafe { q::JS_EvalFunction(context(), code.into_raw()) })
}

fn module_entry(module: Value, entry: &str) -> Result<Option<Value>, Thrown> {
    let definition = unsafe { q::JS_VALUE_GET_PTR(module.raw()) }.cast::<q::JSModuleDef>();
    if unsafe { q::JS_ResolveModule(context(), module.raw()) } < 0 {
        return Err(Thrown);
    }
    let done = evaluated(module)?;
    if done.is_promise() {
        jobs::settled(done).map_err(|unsettled| jobs::raise(unsettled, "the top level of the source"))?;
    }
    let exports = Value::owned(unsafe { q::JS_GetModuleNamespace(context(), definition) })?;
    let own = exports.get_named(ENTRY_EXPORT)?;
    if !own.is_undefined() {
        return Ok(Some(own));
    }
    let exported = exports.get(&Atom::new(entry)?)?;
    Ok(Some(exported).filter(|value| !value.is_undefined()))
}

/// What a source in the style of CommonJS exports under the name, or as a whole under `default`.
fn common_js_entry(entry: &str) -> Result<Option<Value>, Thrown> {
    let Some(exports) = realm().module.own_data(&realm().names.exports) else { return Ok(None) };
    if entry == "default" && exports.is_function() {
        return Ok(Some(exports));
    }
    Ok(exports.own_data(&Atom::new(entry)?))
}

fn callable(function: &Value) -> Result<Callable, Thrown> {
    let text = realm().function_text.call(function, &[])?;
    let text = text.content()?;
    Ok(text.as_str().map_or(Callable::Unknown, parameters::of))
}

/// The arguments in the order of the parameters, or why they do not fit.
fn fitted(callable: &Callable, arguments: Arguments, name: &str) -> Result<Result<Vec<Value>, String>, Thrown> {
    let name = text::one_line(name, 100);
    let parameters = match callable {
        Callable::Function(parameters) => parameters,
        Callable::Class | Callable::Unknown => {
            return Ok(match arguments {
                Arguments::ByPosition(positional) => Ok(positional),
                Arguments::ByName(_) => Err(format!("the parameters of `{name}` have no names")),
            });
        }
    };
    Ok(match arguments {
        Arguments::ByPosition(positional) => by_position(positional, parameters, &name),
        Arguments::ByName(named) => match parameters::only_pattern(parameters) {
            Some(properties) => taken_apart(named, properties, &name)?,
            None => by_name(named, parameters, &name),
        },
    })
}

fn by_position(positional: Vec<Value>, parameters: &[Parameter], name: &str) -> Result<Vec<Value>, String> {
    let given = positional.len();
    let takes_rest = parameters.iter().any(|parameter| parameter.is_rest);
    // A parameter without a default after one with a default is required too.
    let required = parameters.iter().rposition(|parameter| parameter.is_required).map_or(0, |at| at + 1);
    if given < required {
        let missing: Vec<String> = (given..required)
            .filter(|at| parameters[*at].is_required)
            .map(|at| format!("`{}`", shown_name(&parameters[at], at)))
            .collect();
        if !missing.is_empty() {
            let plural = if missing.len() == 1 { "" } else { "s" };
            return Err(format!("{name}() misses the argument{plural} {}", missing.join(", ")));
        }
    }
    if given > parameters.len() && !takes_rest {
        let most = parameters.len();
        let plural = if most == 1 { "" } else { "s" };
        let at_most = if required < most { "at most " } else { "" };
        let were = if given == 1 { "was" } else { "were" };
        return Err(format!("{name}() takes {at_most}{most} argument{plural}, but {given} {were} given"));
    }
    Ok(positional)
}

fn by_name(mut named: Vec<(String, Value)>, parameters: &[Parameter], name: &str) -> Result<Vec<Value>, String> {
    check_names(&named, parameters, name)?;
    let mut arguments = Vec::with_capacity(parameters.len());
    for (at, parameter) in parameters.iter().enumerate().filter(|(_, parameter)| !parameter.is_rest) {
        let found = named.iter().position(|(given, _)| *given == parameter.name && !parameter.name.is_empty());
        match found {
            Some(found) => arguments.push(named.swap_remove(found).1),
            None if parameter.is_required => {
                return Err(format!("{name}() misses the argument `{}`", shown_name(parameter, at)));
            }
            None => arguments.push(Value::UNDEFINED),
        }
    }
    Ok(arguments)
}

/// One object for a function whose only parameter takes an object apart.
fn taken_apart(
    named: Vec<(String, Value)>,
    properties: &[Parameter],
    name: &str,
) -> Result<Result<Vec<Value>, String>, Thrown> {
    let takes_rest = properties.iter().any(|property| property.is_rest);
    if !takes_rest && let Err(message) = check_names(&named, properties, name) {
        return Ok(Err(message));
    }
    let is_given = |property: &&Parameter| named.iter().any(|(given, _)| *given == property.name);
    if let Some(missing) = properties.iter().find(|property| property.is_required && !is_given(property)) {
        return Ok(Err(format!("{name}() misses the argument `{}`", missing.name)));
    }
    let object = Value::object()?;
    for (key, value) in named {
        object.define(&Atom::new(&key)?, value)?;
    }
    Ok(Ok(vec![object]))
}

fn check_names(named: &[(String, Value)], parameters: &[Parameter], name: &str) -> Result<(), String> {
    for (given, _) in named {
        let parameter = parameters.iter().find(|parameter| parameter.name == *given && !given.is_empty());
        let given = text::one_line(given, 100);
        match parameter {
            Some(parameter) if parameter.is_rest => {
                return Err(format!("{name}() takes `{given}` by position only: it stands for any further arguments"));
            }
            Some(_) => {}
            None => return Err(format!("{name}() has no parameter `{given}`")),
        }
    }
    Ok(())
}

/// The name of a parameter, or its place when it is a pattern.
fn shown_name(parameter: &Parameter, at: usize) -> String {
    if parameter.name.is_empty() { format!("argument{}", at + 1) } else { parameter.name.clone() }
}

/// Name, kind and whether it is required, of each parameter.
fn described(entry: &Value, callable: &Callable) -> Result<Vec<(String, &'static str, bool)>, Thrown> {
    let Callable::Function(parameters) = callable else {
        let length = entry.own_data(&realm().names.length).and_then(|length| length.as_number()).unwrap_or_default();
        let count = length.clamp(0.0, 20.0) as usize;
        return Ok((1..=count).map(|at| (format!("argument{at}"), "positional_only", true)).collect());
    };
    if let Some(properties) = parameters::only_pattern(parameters) {
        let described = |property: &Parameter| {
            let kind = if property.is_rest { "named_rest" } else { "named_only" };
            (property.name.clone(), kind, property.is_required)
        };
        return Ok(properties.iter().map(described).collect());
    }
    let last_required = parameters.iter().rposition(|parameter| parameter.is_required);
    let described = |(at, parameter): (usize, &Parameter)| {
        let kind = match parameter {
            Parameter { is_rest: true, .. } => "rest",
            Parameter { name, .. } if name.is_empty() => "positional_only",
            Parameter { .. } => "positional",
        };
        let is_required = parameter.is_required && last_required.is_some_and(|last| at <= last);
        (shown_name(parameter, at), kind, is_required)
    };
    Ok(parameters.iter().enumerate().map(described).collect())
}

fn returned(value: &Value, encoding: Encoding, most: usize) -> Result<Reply, Thrown> {
    match json_out::encode(value, "result", encoding, most) {
        Ok(json) => Ok(Reply::returned(json)),
        Err(Failure::NoForm(message)) => Ok(Reply::new(Kind::BadResult, message)),
        Err(Failure::TooLarge) => {
            Ok(Reply::new(Kind::TooLarge, format!("the result is larger than {most} bytes as JSON")))
        }
        Err(Failure::Thrown) => Err(Thrown),
    }
}
