//! A guest language that is small enough to be read at a glance: one definition per line,
//! `def NAME(PARAMETERS): EXPRESSION`, over whole numbers with `+ - *`, parameters, `raise`, `loop`, `hang` and `greedy`.
//! A line `boom` fails when the top level runs; `#` begins a comment.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use greensand_types::{
    BoxFuture, CallEnding, CallOutcome, CallUsage, DescribeOutcome, Entry, Failure, FunctionDescription,
    FunctionRuntime, HostFault, Invocation, JsonText, KeptText, Language, LimitKind, Limits, Parameter, ParameterKind,
    SourceText,
};
use serde_json::Value;

/// The runtime of the toy language. It counts what it is asked for, and can be broken.
#[derive(Default)]
pub struct Toy {
    pub asked: Mutex<Vec<String>>,
    pub is_broken: bool,
}

struct Definition {
    name: String,
    parameters: Vec<Parameter>,
    body: Vec<String>,
}

impl Toy {
    /// What was asked for, such as `compile`, `describe f`, `invoke f {"a":1}`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn note(&self, what: String) -> Result<(), HostFault> {
        self.asked.lock().unwrap().push(what);
        if self.is_broken { Err(HostFault::new("the engine is gone")) } else { Ok(()) }
    }
}

impl FunctionRuntime for Toy {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(async move {
            let Entry::Function(entry) = &invocation.entry else {
                return Ok(ended(CallEnding::Invalid(Failure::new("toy has no scripts"))));
            };
            self.note(format!("invoke {entry} {}", invocation.arguments))?;
            Ok(ended(run(&invocation.source.text, entry, &invocation.arguments)))
        })
    }

    fn compile(&self, source: SourceText, _: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(async move {
            self.note("compile".into())?;
            Ok(ended(match parse(&source.text) {
                Ok(_) => CallEnding::Returned(JsonText::parse("null").unwrap()),
                Err(message) => CallEnding::Invalid(Failure::new(message)),
            }))
        })
    }

    fn describe(
        &self,
        source: SourceText,
        entry: String,
        _: Limits,
    ) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
        Box::pin(async move {
            self.note(format!("describe {entry}"))?;
            Ok(match find(&source.text, &entry) {
                Ok(definition) => DescribeOutcome::Described(FunctionDescription {
                    parameters: definition.parameters,
                    documentation: String::new(),
                }),
                Err(ending) => DescribeOutcome::Failed(ended(ending)),
            })
        })
    }

    fn default_limits(&self, language: &Language) -> Option<Limits> {
        (language.as_str() == "toy").then_some(Limits::DEFAULT)
    }
}

fn ended(ending: CallEnding) -> CallOutcome {
    let usage = CallUsage { wall: Duration::from_millis(1), ..CallUsage::default() };
    CallOutcome { ending, stdout: KeptText::default(), stderr: KeptText::default(), usage }
}

/// The definitions of a source; `None` is a line that fails when it runs.
fn parse(source: &str) -> Result<Vec<Option<Definition>>, String> {
    let lines = source.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| match line {
            "boom" => Ok(None),
            line => definition(line).map(Some).ok_or_else(|| format!("SyntaxError: line {number}: `{line}`")),
        })
        .collect()
}

fn definition(line: &str) -> Option<Definition> {
    let (name, rest) = line.strip_prefix("def ")?.split_once('(')?;
    let (parameters, body) = rest.split_once("):")?;
    let names: Vec<&str> = parameters.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let positional_only = names.iter().position(|name| *name == "/").unwrap_or(0);
    let parameter = |(index, name): (usize, &&str)| {
        let (name, default) = name.split_once('=').map_or((*name, None), |(name, default)| (name, Some(default)));
        let kind = if index < positional_only { ParameterKind::PositionalOnly } else { ParameterKind::Positional };
        Parameter { name: name.to_owned(), kind, is_required: default.is_none() }
    };
    let parameters = names.iter().enumerate().filter(|(_, name)| **name != "/").map(parameter).collect();
    let body: Vec<String> = body.split_whitespace().map(str::to_owned).collect();
    (!body.is_empty()).then(|| Definition { name: name.trim().to_owned(), parameters, body })
}

fn find(source: &str, entry: &str) -> Result<Definition, CallEnding> {
    let definitions = parse(source).map_err(|message| CallEnding::Invalid(Failure::new(message)))?;
    let mut found = None;
    for definition in definitions {
        match definition {
            None => return Err(CallEnding::Raised(Failure::new("boom at the top level"))),
            Some(definition) if definition.name == entry => found = Some(definition),
            Some(_) => {}
        }
    }
    found.ok_or_else(|| CallEnding::Invalid(Failure::new(format!("`{entry}` is not defined"))))
}

fn run(source: &str, entry: &str, arguments: &JsonText) -> CallEnding {
    let definition = match find(source, entry) {
        Ok(definition) => definition,
        Err(ending) => return ending,
    };
    let arguments = match arguments.to_value() {
        Ok(arguments) => arguments,
        Err(error) => return CallEnding::Invalid(Failure::new(error.to_string())),
    };
    let values = match bind(&definition, &arguments) {
        Ok(values) => values,
        Err(message) => return CallEnding::Invalid(Failure::new(message)),
    };
    match definition.body[0].as_str() {
        "raise" => CallEnding::Raised(Failure {
            message: definition.body[1..].join(" "),
            trace: Some(format!("line 1, in {entry}")),
        }),
        "loop" => CallEnding::LimitHit(LimitKind::Wall, Failure::new("the call took longer than 2 s")),
        // Hangs for every argument but 0, which it gives back.
        "hang" if values.get("a") != Some(&0) => {
            CallEnding::LimitHit(LimitKind::Wall, Failure::new("it took too long"))
        }
        "hang" => CallEnding::Returned(JsonText::from_value(&0.into())),
        "greedy" => CallEnding::LimitHit(LimitKind::Memory, Failure::new("the call needed more than 64 MiB")),
        _ => match evaluate(&definition.body, &values) {
            Some(value) => CallEnding::Returned(JsonText::from_value(&value.into())),
            None => CallEnding::Raised(Failure::new(format!("cannot compute `{}`", definition.body.join(" ")))),
        },
    }
}

fn bind(definition: &Definition, arguments: &Value) -> Result<BTreeMap<String, i64>, String> {
    let mut values = BTreeMap::new();
    let number = |value: &Value| value.as_i64().ok_or_else(|| format!("`{value}` is not a whole number"));
    match arguments {
        Value::Object(named) => {
            for (name, value) in named {
                if definition.parameters.iter().all(|parameter| parameter.name != *name) {
                    return Err(format!("unknown argument `{name}`"));
                }
                values.insert(name.clone(), number(value)?);
            }
        }
        Value::Array(placed) => {
            for (parameter, value) in definition.parameters.iter().zip(placed) {
                values.insert(parameter.name.clone(), number(value)?);
            }
        }
        other => return Err(format!("`{other}` are no arguments")),
    }
    let missing = definition.parameters.iter().find(|p| p.is_required && !values.contains_key(&p.name));
    missing.map_or(Ok(values), |parameter| Err(format!("missing argument `{}`", parameter.name)))
}

/// From left to right, without precedence: `a + b * 2` is `(a + b) * 2`.
fn evaluate(body: &[String], values: &BTreeMap<String, i64>) -> Option<i64> {
    let value = |word: &String| word.parse().ok().or_else(|| values.get(word).copied());
    let mut total: i64 = value(body.first()?)?;
    for pair in body[1..].chunks(2) {
        let operand: i64 = value(pair.get(1)?)?;
        total = match pair[0].as_str() {
            "+" => total.checked_add(operand)?,
            "-" => total.checked_sub(operand)?,
            "*" => total.checked_mul(operand)?,
            _ => return None,
        };
    }
    Some(total)
}
