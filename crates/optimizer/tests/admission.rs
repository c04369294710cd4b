//! Every gate refuses what it is there for, with a reason that the model can act on, and lets the rest through.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use std::sync::Arc;

use greensand_llm::ChatReply;
use greensand_optimizer::{
    AdmissionContext, AdmissionSettings, Admitted, MemorisedAnswers, ReplayedCalls, admit, admit_call, readmit,
};
use greensand_types::{Action, ConversationRecord, FunctionCall, FunctionSet, Gate, Rejection, Task};
use serde_json::{Value, json};
use support::{Toy, block_on, call, definition, draft, record_with_call, returned, set, settings, task, times, toy};

struct Case<'a> {
    set: &'a FunctionSet,
    settings: AdmissionSettings,
    train: Vec<Arc<Task>>,
    records: Vec<ConversationRecord>,
    runtime: Toy,
}

impl<'a> Case<'a> {
    fn of(set: &'a FunctionSet) -> Self {
        Self {
            set,
            settings: AdmissionSettings::new(toy()),
            train: Vec::new(),
            records: Vec::new(),
            runtime: Toy::default(),
        }
    }

    fn admit(&self, action: &str, arguments: Value) -> Result<Admitted, Rejection> {
        let ChatReply { calls, .. } = call(action, arguments);
        let context = AdmissionContext {
            runtime: &self.runtime,
            settings: &self.settings,
            train: &self.train,
            records: &self.records,
        };
        block_on(admit_call(&calls[0], self.set, context)).unwrap()
    }

    #[track_caller]
    fn refuses(&self, gate: Gate, action: &str, arguments: Value, reason: &str) {
        match self.admit(action, arguments.clone()) {
            Err(rejection) => {
                assert_eq!(rejection.gate, gate, "{arguments}: {}", rejection.reason);
                assert!(rejection.reason.contains(reason), "{arguments}: {}", rejection.reason);
            }
            Ok(admitted) => panic!("{arguments} was admitted: {admitted:?}"),
        }
    }
}

/// A definition with one field replaced, or dropped if the value is the text `drop`.
fn with(field: &str, value: Value) -> Value {
    let mut definition = times("double", 2);
    if value == "drop" {
        definition.as_object_mut().unwrap().remove(field);
    } else {
        definition[field] = value;
    }
    definition
}

#[test]
fn a_sound_definition_is_admitted_as_it_was_written() {
    let empty = FunctionSet::empty();
    let case = Case::of(&empty);
    let admitted = case.admit("add_function", times("double", 2)).unwrap();
    assert!(admitted.warnings.is_empty());
    let Action::Add(function) = admitted.action else { panic!() };
    assert_eq!(function.draft(), &draft(&times("double", 2)));
    assert_eq!(case.runtime.asked(), ["compile", "describe double", "invoke double {\"a\":7}"]);
}

#[test]
fn form_refuses_what_is_no_action_or_has_fields_of_the_wrong_type() {
    let empty = FunctionSet::empty();
    let case = Case::of(&empty);
    let refuses = |arguments: Value, reason: &str| case.refuses(Gate::Form, "add_function", arguments, reason);
    case.refuses(Gate::Form, "ad_function", times("double", 2), "did you mean `add_function`");
    case.refuses(Gate::Form, "run_shell", json!({}), "there is no action `run_shell`");
    refuses(json!("{\"name\": \"f\""), "not JSON");
    refuses(json!(""), "no arguments");
    refuses(json!("[1]"), "must be a JSON object, found a list");
    refuses(with("name", json!("sum squares")), "not a function name");
    refuses(with("name", json!(3)), "`name` must be a string, found a number");
    refuses(with("description", json!(" ")), "`description` is empty");
    refuses(with("description", json!("drop")), "`description` is missing");
    refuses(with("parameters", json!("{\"type\": \"object\"}")), "send the object itself, not its text");
    refuses(with("parameters", json!([])), "`parameters` must be a JSON object");
    refuses(with("packages", json!("six, toolz")), "`packages` must be a list");
    refuses(with("language", json!("C++")), "`toy`");
    refuses(with("language", json!("../../etc")), "is not the name of a language");
    refuses(with("language", json!("cobol")), "no guest for language `cobol`");
    refuses(with("source", json!("")), "`source` is empty");
    refuses(with("examples", json!([])), "`examples` is empty");
    refuses(with("examples", json!("drop")), "`examples` is missing");
    refuses(with("examples", json!({"a": 1})), "`examples` must be a list");
    refuses(with("examples", json!([{"arguments": {"a": 1}}])), "example 1 has no `result`");
    refuses(with("examples", json!([{"arguments": 1, "result": 1}])), "`arguments` of example 1");
    case.refuses(Gate::Form, "remove_function", json!({"name": "f"}), "`reason` is missing");
    assert!(case.runtime.asked().is_empty(), "the sandbox was asked for what could be seen without it");
}

#[test]
fn form_refuses_what_is_too_large() {
    let empty = FunctionSet::empty();
    let case = Case::of(&empty);
    let refuses = |arguments: Value| case.refuses(Gate::Form, "add_function", arguments, "at most");
    refuses(with("source", json!("#".repeat(65 << 10))));
    refuses(with("description", json!("d".repeat(5 << 10))));
    refuses(with("parameters", json!({"description": "d".repeat(17 << 10)})));
    refuses(with("examples", json!(vec![json!({"arguments": {"a": 1}, "result": 2}); 21])));
    refuses(with("examples", json!([{"arguments": {"a": 1}, "result": "r".repeat(65 << 10)}])));
    refuses(with("packages", json!(vec!["p"; 17])));
    refuses(json!("x".repeat(300 << 10)));
    case.refuses(Gate::Form, "remove_function", json!({"name": "f", "reason": "r".repeat(5 << 10)}), "at most");
}

#[test]
fn an_unknown_field_is_ignored_with_a_warning() {
    let empty = FunctionSet::empty();
    let admitted = Case::of(&empty).admit("add_function", with("strict", json!(true))).unwrap();
    assert_eq!(admitted.warnings, ["the unknown field `strict` was ignored"]);
}

#[test]
fn existence_refuses_names_that_are_taken_reserved_or_unknown() {
    let present = set(&[times("double", 2)]);
    let mut case = Case::of(&present);
    case.settings.reserved_names = vec!["run_toy".into()];
    case.refuses(Gate::Existence, "add_function", times("double", 3), "exists already");
    case.refuses(Gate::Existence, "add_function", times("run_toy", 3), "a tool that the assistant always has");
    case.refuses(Gate::Existence, "revise_function", times("duble", 3), "the nearest name is `double`");
    case.refuses(Gate::Existence, "remove_function", json!({"name": "triple", "reason": "r"}), "to remove");
    assert!(case.admit("remove_function", json!({"name": "double", "reason": "useless"})).is_ok());
}

#[test]
fn signature_refuses_a_schema_that_does_not_agree_with_the_definition() {
    let empty = FunctionSet::empty();
    let case = Case::of(&empty);
    let refuses = |arguments: Value, reason: &str| case.refuses(Gate::Signature, "add_function", arguments, reason);
    refuses(with("parameters", json!({"properties": {"a": {"type": "float"}}})), "not valid JSON Schema");
    refuses(with("parameters", json!({"properties": {"b": {}}, "required": ["b"]})), "the definition needs `a`");
    refuses(with("parameters", json!({"properties": {"a": {}}})), "list it in `parameters.required`");
    refuses(with("source", json!("def dbl(a): a * 2")), "does not define a function `double`");
    refuses(with("source", json!("def double(a, /): a * 2")), "positional-only");
    refuses(with("source", json!("def double(a, b): a * 2")), "the definition needs `b`");
}

#[test]
fn packages_refuses_what_the_run_does_not_allow() {
    let empty = FunctionSet::empty();
    let mut case = Case::of(&empty);
    case.refuses(Gate::Packages, "add_function", with("packages", json!(["numpy"])), "standard library");
    case.refuses(Gate::Packages, "add_function", with("packages", json!(["a; rm -rf"])), "not the name of a package");
    case.settings.allowed_packages = vec!["Sym_Py".into()];
    let admitted = case.admit("add_function", with("packages", json!(["sym.py"]))).unwrap();
    let Action::Add(function) = admitted.action else { panic!() };
    assert_eq!(function.draft().packages, ["sym-py"]);
}

#[test]
fn compile_refuses_a_source_that_does_not_compile_or_whose_top_level_fails() {
    let empty = FunctionSet::empty();
    let case = Case::of(&empty);
    case.refuses(Gate::Compile, "add_function", with("source", json!("a * 2")), "SyntaxError: line 1");
    case.refuses(Gate::Compile, "add_function", with("source", json!("boom\ndef double(a): a * 2")), "top level");
}

#[test]
fn duplicate_refuses_the_same_source_and_the_same_results() {
    let present = set(&[times("double", 2)]);
    let case = Case::of(&present);
    let again = definition("twice", &["a"], "# mine\ndef twice(a):  a * 2", &[(json!({"a": 1}), json!(2))]);
    case.refuses(Gate::Duplicate, "add_function", again, "the source is that of `double`");
    let same = definition("twice", &["x"], "def twice(x): x + x", &[(json!({"x": 1}), json!(2))]);
    case.refuses(Gate::Duplicate, "add_function", same, "same results as `double`");
    case.refuses(Gate::Duplicate, "revise_function", times("double", 2), "what `double` is already");
    let differs = definition("square", &["x"], "def square(x): x * x", &[(json!({"x": 2}), json!(4))]);
    assert!(case.admit("add_function", differs).is_ok(), "one example in common is not all of them");
    assert!(case.admit("revise_function", times("double", 4)).is_ok());
}

#[test]
fn examples_refuses_what_does_not_give_its_result_within_the_limits() {
    let empty = FunctionSet::empty();
    let case = Case::of(&empty);
    let refuses = |source: &str, examples: Value, reason: &str| {
        let mut definition = with("examples", examples);
        definition["source"] = json!(source);
        case.refuses(Gate::Examples, "add_function", definition, reason);
    };
    let one = || json!([{"arguments": {"a": 3}, "result": 6}]);
    refuses("def double(a): a * 3", one(), "example 1 of 1: `double` with {\"a\":3} gives 9, expected 6");
    refuses("def double(a): raise out of range", one(), "error: out of range\nline 1, in double");
    refuses("def double(a): loop", one(), "timeout: the call took longer than 2 s");
    refuses("def double(a): greedy", one(), "memory: ");
    refuses("def double(a): a * 2", json!([{"arguments": {"a": "x"}, "result": 6}]), "do not fit `parameters`");
    refuses("def double(a): a * 2", json!([{"arguments": {}, "result": 6}]), "do not fit `parameters`");
    let both = json!([{"arguments": [3], "result": 6}, {"arguments": {"a": 4}, "result": 9}]);
    refuses("def double(a): a * 2", both, "example 2 of 2");
}

#[test]
fn memorised_warns_or_refuses_by_setting() {
    let empty = FunctionSet::empty();
    let mut case = Case::of(&empty);
    case.train = vec![task("t", "What is 10!?", "3628800")];
    let cheat = definition("cheat", &["a"], "def cheat(a): 3628800", &[(json!({"a": 10}), json!(3_628_800))]);
    let admitted = case.admit("add_function", cheat.clone()).unwrap();
    assert!(admitted.warnings[0].contains("`3628800`"), "{:?}", admitted.warnings);
    case.settings.memorised = MemorisedAnswers::Refuse;
    case.refuses(Gate::Memorised, "add_function", cheat, "compute them instead");
}

#[test]
fn a_fault_of_the_host_is_an_error_and_no_refusal() {
    let empty = FunctionSet::empty();
    let case = Case { runtime: Toy { is_broken: true, ..Toy::default() }, ..Case::of(&empty) };
    let call = FunctionCall { id: "1".into(), name: "add".into(), arguments: times("double", 2).to_string() };
    let context = AdmissionContext { runtime: &case.runtime, settings: &case.settings, train: &[], records: &[] };
    let error = block_on(admit_call(&call, &empty, context)).unwrap_err();
    assert_eq!(error.to_string(), "examine function `double`");
}

#[test]
fn a_set_that_was_read_back_passes_the_same_gates() {
    let (runtime, settings) = (Toy::default(), settings());
    let context = AdmissionContext { runtime: &runtime, settings: &settings.admission, train: &[], records: &[] };
    let present = set(&[times("double", 2), times("triple", 3)]);
    let drafts = || present.iter().map(|function| function.draft().clone()).collect::<Vec<_>>();
    let again = block_on(readmit(drafts(), Some(present.id()), context)).unwrap().unwrap();
    assert_eq!((again.set.id(), again.set.parent()), (present.id(), Some(present.id())));
    let mut edited = drafts();
    edited[0].source = "def double(a): a * 5".into();
    edited[1].source = "syntax".into();
    let rejections = block_on(readmit(edited, None, context)).unwrap().unwrap_err();
    let found: Vec<_> = rejections.iter().map(|rejection| (rejection.function.as_deref(), rejection.gate)).collect();
    assert_eq!(found, [(Some("double"), Gate::Examples), (Some("triple"), Gate::Compile)]);
}

#[test]
fn a_persons_draft_has_no_shorter_way_in() {
    let (runtime, settings) = (Toy::default(), settings());
    let context = AdmissionContext { runtime: &runtime, settings: &settings.admission, train: &[], records: &[] };
    let mut bare = draft(&times("double", 2));
    bare.examples.clear();
    let rejection = block_on(admit(Action::Add(bare), &FunctionSet::empty(), context)).unwrap().unwrap_err();
    assert_eq!((rejection.gate, rejection.action.as_str()), (Gate::Form, "add"));
}

#[test]
fn nothing_that_a_model_writes_breaks_admission() {
    let empty = FunctionSet::empty();
    let case = Case::of(&empty);
    let nested = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let definition = |field: &str, json: &str| {
        let mut fields: Vec<String> = Vec::new();
        for (name, value) in times("double", 2).as_object().unwrap() {
            fields.push(format!("\"{name}\": {}", if name == field { json.to_owned() } else { value.to_string() }));
        }
        json!(format!("{{{}}}", fields.join(", ")))
    };
    let deep_schema = |depth: usize| {
        format!("{{\"properties\": {{\"a\": {}{{}}{}}}}}", "{\"items\": ".repeat(depth), "}".repeat(depth))
    };
    let hostile = [
        json!(nested("[", "]", 100_000)),
        json!("{\"name\": ".repeat(1000)),
        json!("\u{0}"),
        json!("{\"name\": \"\\ud800\"}"),
        definition("source", "\"\\ud800\""),
        definition("source", "\"def double(a): \\u0000\""),
        definition("parameters", &nested("{\"a\":", "}", 1000)),
        definition("parameters", &deep_schema(1000)),
        definition("parameters", "{\"properties\": {\"a\": {\"pattern\": \"(a*)*$(?=b)\"}}, \"required\": [\"a\"]}"),
        definition("parameters", "{\"properties\": {\"a\": {\"type\": \"string\", \"pattern\": \"(a{1000}){1000}\"}}}"),
        definition("examples", &format!("[{{\"arguments\": {{\"a\": 1}}, \"result\": {}}}]", nested("[", "]", 20_000))),
        definition("examples", "[{\"arguments\": {\"a\": 1e400}, \"result\": 2}]"),
        definition("packages", "[\"\\u0000\"]"),
        definition("name", "\"__proto__ \""),
    ];
    for arguments in hostile {
        let refused = case.admit("add_function", arguments.clone());
        assert!(refused.is_err(), "{:.400}", arguments.to_string());
        assert!(refused.unwrap_err().reason.len() < 3000, "{:.400}", arguments.to_string());
    }
    for depth in [10, 60, 120] {
        let result = case.admit("add_function", definition("parameters", &deep_schema(depth)));
        assert_eq!(result.unwrap_err().gate, Gate::Signature, "`a` is not required there, depth {depth}");
    }
    case.refuses(Gate::Form, &"x".repeat(100_000), json!({}), "there is no action");
    assert!(case.admit("\u{1b}[31madd", json!({})).unwrap_err().reason.chars().all(|c| !c.is_control()));
}

/// A revision of `double` in the face of recorded calls, each with its arguments, what it gave, and whether that solved.
fn revision(
    source: &str,
    parameters: &[&str],
    recorded: &[(&str, Value, bool)],
    replay: ReplayedCalls,
) -> Result<Admitted, Rejection> {
    let present = set(&[times("double", 2)]);
    let mut case = Case::of(&present);
    case.settings.replay = replay;
    case.records = recorded
        .iter()
        .enumerate()
        .map(|(index, (arguments, value, is_solved))| {
            let mut record = record_with_call(&format!("t{index}"), &present, "double", returned(value), *is_solved);
            record.calls[0].call.arguments = (*arguments).to_owned();
            record
        })
        .collect();
    let example = parameters.iter().map(|name| ((*name).to_owned(), json!(0))).collect::<serde_json::Map<_, _>>();
    case.admit("revise_function", definition("double", parameters, source, &[(Value::Object(example), json!(0))]))
}

#[test]
fn replay_refuses_a_revision_that_answers_otherwise_what_was_solved() {
    let twice = |a: i64| json!(2 * a);
    let six = |is_solved| [(r#"{"a": 6}"#, twice(6), is_solved)];
    let refuse = ReplayedCalls::Refuse;
    // source, parameters, the calls on record, and what the refusal says; nothing where it is admitted
    type Recorded<'a> = &'a [(&'a str, Value, bool)];
    let cases: &[(&str, &[&str], Recorded<'_>, &str)] = &[
        ("def double(a): a + a", &["a"], &six(true), ""),
        ("def double(a): a * 3", &["a"], &six(true), "in task `t0`, `double` with {\"a\": 6} gave 12; it now gives 18"),
        ("def double(a): a * 3", &["a"], &six(false), ""),
        ("def double(a): a * 3", &["a"], &[(r#"{"a": 0}"#, json!(0), true)], ""),
        // What the present source does not give itself was drawn, or is another function's answer.
        ("def double(a): a * 3", &["a"], &[(r#"{"a": 6}"#, json!(13), true)], ""),
        ("def double(a): a * 3", &["a"], &[("not JSON", json!(12), true)], ""),
    ];
    for (source, parameters, recorded, says) in cases {
        match revision(source, parameters, recorded, refuse) {
            Ok(admitted) => assert!(says.is_empty() && admitted.warnings.is_empty(), "{source}: {admitted:?}"),
            Err(rejection) => {
                assert!(!says.is_empty() && rejection.reason.contains(says), "{source}: {}", rejection.reason);
                assert_eq!(rejection.gate, Gate::Replay);
                assert!(rejection.reason.contains("keep these answers, or add what is new under another name"));
            }
        }
    }
}

#[test]
fn replay_warns_by_default_and_is_off_by_setting() {
    let six = [(r#"{"a": 6}"#, json!(12), true)];
    assert_eq!(AdmissionSettings::new(toy()).replay, ReplayedCalls::Warn);
    let admitted = revision("def double(a): a * 3", &["a"], &six, ReplayedCalls::Warn).unwrap();
    assert!(matches!(admitted.warnings.as_slice(), [warning] if warning.contains("gave 12; it now gives 18")));
    let admitted = revision("def double(a): a * 3", &["a"], &six, ReplayedCalls::Off).unwrap();
    assert!(admitted.warnings.is_empty());
}

#[test]
fn calls_that_do_not_fit_a_new_signature_are_told_and_refuse_nothing() {
    let recorded = [(r#"{"a": 6}"#, json!(12), true), (r#"{"a": 7}"#, json!(14), true)];
    let admitted = revision("def double(x): x * 3", &["x"], &recorded, ReplayedCalls::Refuse).unwrap();
    let [warning] = admitted.warnings.as_slice() else { panic!("{:?}", admitted.warnings) };
    assert!(warning.starts_with("2 recorded calls of solved tasks do not fit the new `parameters`"), "{warning}");
}

#[test]
fn replay_runs_few_calls_each_once() {
    let texts: Vec<String> = (0..1000).map(|n| format!(r#"{{"a": {}}}"#, n % 500)).collect();
    let recorded: Vec<_> =
        texts.iter().enumerate().map(|(n, text)| (text.as_str(), json!(2 * (n % 500)), true)).collect();
    let rejection = revision("def double(a): a * 3", &["a"], &recorded, ReplayedCalls::Refuse).unwrap_err();
    assert_eq!(rejection.reason.matches("it now gives").count(), 3, "{}", rejection.reason);
    assert!(rejection.reason.contains("(32 recorded calls looked at)"), "{}", rejection.reason);
    let _ = revision("def double(a): a + a", &["a"], &recorded, ReplayedCalls::Refuse).unwrap();
}

#[test]
fn replay_gives_up_on_a_source_that_hangs() {
    let present = set(&[times("double", 2)]);
    let mut case = Case::of(&present);
    // What was recorded is not what the present source gives, so that no timeout counts as a changed answer.
    case.records = (1..30)
        .map(|a| {
            let mut record = record_with_call(&format!("t{a}"), &present, "double", returned(&json!(a)), true);
            record.calls[0].call.arguments = format!(r#"{{"a": {a}, "b": 1}}"#);
            record
        })
        .collect();
    let mut hangs = definition("double", &["a", "b"], "def double(a, b=0): loop", &[(json!({"a": 0}), json!(0))]);
    hangs["parameters"]["required"] = json!(["a"]);
    let rejection = case.admit("revise_function", hangs.clone()).unwrap_err();
    assert_eq!(rejection.gate, Gate::Examples, "its own examples hang first: {}", rejection.reason);
    // Its examples pass, and the recorded calls hang.
    hangs["source"] = json!("def double(a, b=0): hang a");
    let admitted = case.admit("revise_function", hangs).unwrap();
    assert!(admitted.warnings.is_empty(), "{:?}", admitted.warnings);
    let ran =
        case.runtime.asked().iter().filter(|asked| asked.contains("\"b\": 1") || asked.contains("\"b\":1")).count();
    assert_eq!(ran, 3 + 3, "three with the new source, and three with the present one");
}
