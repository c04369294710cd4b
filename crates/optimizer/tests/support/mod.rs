//! What the suites share: a small guest language, a model that says what it is told to, and builders of records.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each suite uses its own part of this module")]

mod model;
mod toy;

use std::sync::{Arc, LazyLock};

use greensand_optimizer::{EvidenceBook, FailedSet, StepInput, StepSettings};
use greensand_types::{
    Action, CallAnswer, CallEnding, CallOutcome, CallUsage, Conversation, ConversationRecord, Example, ExecutedCall,
    Failure, FunctionCall, FunctionDraft, FunctionSet, FunctionSignature, JsonText, KeptText, Language, Message, Task,
    ValidatedFunction, Verdict,
};
use serde_json::{Value, json};

pub use futures::executor::block_on;
pub use model::{Model, call, calls, length, silent, text};
pub use toy::Toy;

pub fn toy() -> Language {
    "toy".parse().unwrap()
}

pub fn settings() -> StepSettings {
    StepSettings::new(toy())
}

/// What a first step starts from, of which nothing is known but these records.
pub fn step_input<'a>(best: &'a Arc<FunctionSet>, records: &'a [ConversationRecord]) -> StepInput<'a> {
    static NOTHING: LazyLock<EvidenceBook> = LazyLock::new(EvidenceBook::new);
    StepInput { best, evidence: &NOTHING, records, failures: &[], success_rate: 0.0, epoch: 1 }
}

/// The arguments of an `add_function` or `revise_function` call whose parameters are integers.
pub fn definition(name: &str, parameters: &[&str], source: &str, examples: &[(Value, Value)]) -> Value {
    let properties: serde_json::Map<String, Value> =
        parameters.iter().map(|name| ((*name).to_owned(), json!({"type": "integer"}))).collect();
    let examples: Vec<Value> =
        examples.iter().map(|(arguments, result)| json!({"arguments": arguments, "result": result})).collect();
    json!({
        "name": name,
        "description": format!("Gives the {name}."),
        "parameters": {"type": "object", "properties": properties, "required": parameters},
        "packages": [],
        "source": source,
        "examples": examples,
    })
}

/// A definition that every gate lets through: `name(a) = a * factor`.
pub fn times(name: &str, factor: i64) -> Value {
    definition(name, &["a"], &format!("def {name}(a): a * {factor}"), &[(json!({"a": 7}), json!(7 * factor))])
}

pub fn draft(definition: &Value) -> FunctionDraft {
    let text = |field: &str| definition[field].as_str().unwrap().to_owned();
    FunctionDraft {
        signature: FunctionSignature::new(
            text("name").parse().unwrap(),
            text("description"),
            definition["parameters"].clone(),
        )
        .unwrap(),
        language: toy(),
        source: text("source").into(),
        packages: Vec::new(),
        examples: definition["examples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|example| Example {
                arguments: JsonText::from_value(&example["arguments"]),
                result: JsonText::from_value(&example["result"]),
            })
            .collect(),
    }
}

/// A set of definitions that went through admission.
pub fn set(definitions: &[Value]) -> Arc<FunctionSet> {
    let toy_runtime = Toy::default();
    let settings = settings();
    let context = greensand_optimizer::AdmissionContext {
        runtime: &toy_runtime,
        settings: &settings.admission,
        train: &[],
        records: &[],
    };
    let drafts = definitions.iter().map(draft).collect();
    Arc::new(block_on(greensand_optimizer::readmit(drafts, None, context)).unwrap().unwrap().set)
}

pub fn without(set: &FunctionSet, name: &str) -> Arc<FunctionSet> {
    let action: Action<ValidatedFunction> = Action::Remove { name: name.parse().unwrap(), reason: String::new() };
    Arc::new(set.apply(action).unwrap())
}

pub fn task(id: &str, question: &str, target: &str) -> Arc<Task> {
    Arc::new(Task {
        id: id.parse().unwrap(),
        question: question.into(),
        target: target.into(),
        metadata: serde_json::Map::new(),
    })
}

pub fn conversation(task: &Arc<Task>, set: &FunctionSet, answer: &str) -> Conversation {
    let mut conversation = Conversation::open(Arc::clone(task), set.id());
    conversation.say(Message::User { text: task.question.clone() }).unwrap();
    conversation.say(Message::Assistant { text: answer.into(), calls: Vec::new() }).unwrap();
    conversation
}

pub fn record(id: &str, set: &FunctionSet, is_solved: bool) -> ConversationRecord {
    let task = task(id, &format!("What is {id}?"), "42");
    conversation(&task, set, "I think so.").close(verdict(is_solved))
}

pub fn verdict(is_solved: bool) -> Verdict {
    if is_solved {
        Verdict::satisfied("42", "`42` is right")
    } else {
        Verdict::unsatisfied(Some("41".into()), "`41` is not `42`")
    }
}

/// A record in which a function is called once.
pub fn record_with_call(
    id: &str,
    set: &FunctionSet,
    name: &str,
    ending: CallEnding,
    is_solved: bool,
) -> ConversationRecord {
    let task = task(id, &format!("What is {id}?"), "42");
    let call = FunctionCall { id: "c1".into(), name: name.into(), arguments: r#"{"a": 6}"#.into() };
    let outcome =
        CallOutcome { ending, stdout: KeptText::default(), stderr: KeptText::default(), usage: CallUsage::default() };
    let content = match (&outcome.value(), outcome.failure()) {
        (Some(value), _) => value.to_string(),
        (None, Some(failure)) => format!("{}: {}", outcome.status(), failure.message),
        (None, None) => String::new(),
    };
    let mut conversation = Conversation::open(Arc::clone(&task), set.id());
    conversation.say(Message::User { text: task.question.clone() }).unwrap();
    conversation.say(Message::Assistant { text: "I compute it.".into(), calls: vec![call.clone()] }).unwrap();
    conversation.say(Message::Tool { call: "c1".into(), content }).unwrap();
    conversation.keep_call(ExecutedCall { call, answer: CallAnswer::Ran(outcome) });
    conversation.say(Message::Assistant { text: "The answer is 42.".into(), calls: Vec::new() }).unwrap();
    conversation.close(verdict(is_solved))
}

pub fn raised(message: &str) -> CallEnding {
    CallEnding::Raised(Failure::new(message))
}

pub fn returned(value: &Value) -> CallEnding {
    CallEnding::Returned(JsonText::from_value(value))
}

pub fn failed(set: &Arc<FunctionSet>, epoch: u32, score: f64) -> FailedSet {
    FailedSet {
        set: Arc::clone(set),
        epoch,
        score,
        best_score: 0.5,
        reason: format!("the mean score of {score} is lower"),
    }
}
