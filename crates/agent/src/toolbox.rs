//! What the assistant may call, and what a call of it means to the runtime.
//!
//! A [`Toolbox`] is made once per task from the registration: the tool list for the model, and the way from a
//! [`FunctionCall`] (text, nothing in it checked) to an [`Invocation`], or to a reason that the model can act on. The
//! arguments stay text; only their top level is looked at, so that numbers keep their digits.

use std::collections::BTreeMap;

use greensand_llm::ToolDefinition;
use greensand_types::{
    ContentId, Encoding, Entry, FunctionCall, FunctionName, FunctionSignature, GrantedFunctions, Grants, Invocation,
    JsonText, Language, Limits, Registration, SourceText, TaskId, ValidatedFunction,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::{AgentSettings, prompt};

/// What one task may call.
#[derive(Debug, Clone)]
pub(crate) struct Toolbox {
    registration: Registration,
    code_tool: Option<CodeTool>,
    limits: BTreeMap<Language, Limits>,
    /// What a learned function may call: all of the set, or nothing.
    functions: GrantedFunctions,
    encoding: Encoding,
    seed: u64,
    repeat: u32,
}

/// The built-in tool that runs code of the assistant's own.
#[derive(Debug, Clone)]
struct CodeTool {
    name: String,
    language: Language,
}

impl Toolbox {
    pub(crate) fn new(
        registration: Registration,
        settings: &AgentSettings,
        repeat: u32,
        default_limits: &dyn Fn(&Language) -> Option<Limits>,
    ) -> Self {
        let functions = registration.set().iter().map(|function| &function.draft().language);
        let blocks = settings.fenced_blocks.iter().map(|blocks| &blocks.language);
        let languages = functions.chain(blocks).chain(settings.code_tool.iter());
        let limits: BTreeMap<Language, Limits> = languages
            .map(|language| {
                let limits = settings.limits.get(language).copied().or_else(|| default_limits(language));
                (language.clone(), limits.unwrap_or_default())
            })
            .collect();
        let code_tool = settings.code_tool.as_ref().and_then(|language| {
            let name = code_tool_name(language);
            let is_taken = registration.register_for_executor(&name).is_some();
            (!is_taken).then(|| CodeTool { name, language: language.clone() })
        });
        let functions = match settings.may_call_each_other {
            true => registration.set().to_grants(|language| limits.get(language).copied().unwrap_or_default()),
            false => GrantedFunctions::default(),
        };
        Self { registration, code_tool, limits, functions, encoding: settings.encoding, seed: settings.seed, repeat }
    }

    /// Returns the names of the learned functions.
    pub(crate) fn functions(&self) -> Vec<FunctionName> {
        self.registration.register_for_llm().map(|signature| signature.name().clone()).collect()
    }

    /// Returns the tool list: the learned functions in the order of their names, then the built-in tool.
    pub(crate) fn tools(&self) -> Vec<ToolDefinition> {
        let learned = self.registration.register_for_llm().map(|signature| ToolDefinition {
            name: signature.name().to_string(),
            description: signature.description().to_owned(),
            parameters: Value::Object(signature.parameters().clone()),
        });
        let built_in = self.code_tool.iter().map(|tool| ToolDefinition {
            name: tool.name.clone(),
            description: prompt::run_code(&tool.language),
            parameters: json!({
                "type": "object",
                "properties": {"code": {"type": "string", "description": "the whole script"}},
                "required": ["code"],
                "additionalProperties": false,
            }),
        });
        learned.chain(built_in).collect()
    }

    /// Turns a call into what the runtime is to run.
    ///
    /// # Errors
    /// When there is no such function, or when the arguments do not fit: the reason is for the model.
    pub(crate) fn plan(&self, call: &FunctionCall, task: &TaskId, index: usize) -> Result<Invocation, String> {
        let seed = self.seed_of(task, index);
        if let Some(function) = self.registration.register_for_executor(&call.name) {
            return self.plan_function(function, call, seed);
        }
        match &self.code_tool {
            Some(tool) if tool.name == call.name => Ok(self.script(&tool.language, code_argument(call)?, seed)),
            Some(_) | None => Err(self.unknown(&call.name)),
        }
    }

    /// Turns a fenced block into what the runtime is to run.
    pub(crate) fn plan_block(&self, language: &Language, code: String, task: &TaskId, index: usize) -> Invocation {
        self.script(language, code, self.seed_of(task, index))
    }

    fn seed_of(&self, task: &TaskId, index: usize) -> u64 {
        call_seed(self.seed, self.repeat, task, index)
    }

    fn plan_function(
        &self,
        function: &ValidatedFunction,
        call: &FunctionCall,
        seed: u64,
    ) -> Result<Invocation, String> {
        let draft = function.draft();
        let arguments = read_arguments(&call.arguments)?;
        check_arguments(&draft.signature, &arguments)?;
        let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        Ok(Invocation {
            grants: Grants { functions: self.functions.clone(), ..Grants::default() },
            encoding: self.encoding,
            seed,
            ..Invocation::new(
                SourceText {
                    language: draft.language.clone(),
                    text: draft.source.clone(),
                    packages: draft.packages.clone(),
                },
                Entry::Function(function.name().to_string()),
                JsonText::parse(text).map_err(|error| error.to_string())?,
                self.limits_of(&draft.language),
            )
        })
    }

    fn script(&self, language: &Language, code: String, seed: u64) -> Invocation {
        Invocation {
            encoding: self.encoding,
            seed,
            ..Invocation::new(
                SourceText { language: language.clone(), text: code.into(), packages: Vec::new() },
                Entry::Script,
                JsonText::from_value(&json!([])),
                self.limits_of(language),
            )
        }
    }

    fn limits_of(&self, language: &Language) -> Limits {
        self.limits.get(language).copied().unwrap_or_default()
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<String> = self.tools().into_iter().map(|tool| tool.name).collect();
        let name = shown(name);
        if known.is_empty() {
            return format!("there is no function `{name}`, and no other; answer without calls");
        }
        format!("there is no function `{name}`; {} functions are: {}", suggestion(&name, &known), list(&known))
    }
}

/// Returns the name under which the built-in tool that runs code of a language is offered to the model.
///
/// No learned function should have it: the model would see two tools of one name.
pub fn code_tool_name(language: &Language) -> String {
    format!("run_{}", language.as_str().replace('-', "_"))
}

/// Derives the seed of a call from what identifies it, so that a run repeats whatever ran beside it.
fn call_seed(seed: u64, repeat: u32, task: &TaskId, index: usize) -> u64 {
    let mut id = ContentId::of("seed of a call");
    id.field(&seed.to_le_bytes()).field(task.as_str().as_bytes()).field(&(index as u64).to_le_bytes());
    if repeat > 0 {
        id.field(&repeat.to_le_bytes());
    }
    let digits = id.finish().to_string();
    u64::from_str_radix(&digits[..16], 16).expect("a content id is hex digits")
}

fn read_arguments(text: &str) -> Result<BTreeMap<String, Box<RawValue>>, String> {
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(text).map_err(|error| {
        let found = match JsonText::parse(text) {
            Ok(json) => format!("found {}", json.kind().with_article()),
            Err(_) => format!("found text that is not JSON ({error}); NaN and Infinity are not JSON either"),
        };
        format!("the arguments must be one JSON object, such as {{\"name\": value}}: {found}")
    })
}

fn check_arguments(signature: &FunctionSignature, arguments: &BTreeMap<String, Box<RawValue>>) -> Result<(), String> {
    let parameters: Vec<(&str, bool)> = signature.parameter_names().collect();
    let names: Vec<String> = parameters.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing = parameters.iter().find(|(name, is_required)| *is_required && !arguments.contains_key(*name));
    if let Some((missing, _)) = missing {
        return Err(format!("argument `{missing}` is missing; the parameters are: {}", list(&names)));
    }
    let takes_others = !matches!(signature.parameters().get("additionalProperties"), None | Some(Value::Bool(false)));
    let Some(unknown) = arguments.keys().find(|key| !takes_others && !names.contains(key)) else {
        return Ok(());
    };
    let unknown = shown(unknown);
    if names.is_empty() {
        return Err(format!("there is no parameter `{unknown}`; `{}` takes none", signature.name()));
    }
    Err(format!("there is no parameter `{unknown}`; {} parameters are: {}", suggestion(&unknown, &names), list(&names)))
}

fn code_argument(call: &FunctionCall) -> Result<String, String> {
    let arguments = read_arguments(&call.arguments)?;
    if let Some(unknown) = arguments.keys().find(|key| *key != "code") {
        return Err(format!("there is no parameter `{}`; the only one is `code`", shown(unknown)));
    }
    let code = arguments.get("code").ok_or("argument `code` is missing: the script as a string")?;
    serde_json::from_str(code.get()).map_err(|_| "argument `code` must be a string".to_owned())
}

fn list(names: &[String]) -> String {
    const MOST: usize = 40;
    let mut text = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(&format!(" and {} more", names.len() - MOST));
    }
    text
}

/// Begins the sentence that lists what is known.
fn suggestion(name: &str, known: &[String]) -> String {
    nearest(name, known).map_or_else(|| "the".to_owned(), |nearest| format!("did you mean `{nearest}`? The"))
}

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let (distance, nearest) = known.iter().map(|known| (distance(known), known)).min()?;
    (distance <= 1 + nearest.len() / 3).then_some(nearest)
}

/// Makes text of the model fit to stand between backticks.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() || c == '`' { '\u{fffd}' } else { c }).collect()
}
