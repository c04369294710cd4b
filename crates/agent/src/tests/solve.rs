use std::sync::Arc;

use futures::executor::block_on;
use greensand_llm::ChatReply;
use greensand_types::{CallAnswer, CallOutcome, ConversationRecord, Entry, Limits, Message, Registration};
use serde_json::Map;

use super::support::{Model, Runtime, calls, raised, registration, returned, says, task, was_cut};
use crate::*;

/// What one conversation left behind.
struct Solved {
    result: Result<greensand_types::ConversationRecord, SolveError>,
    model: Model,
    runtime: Runtime,
}

fn run(settings: AgentSettings, set: &Registration, replies: Vec<ChatReply>, outcomes: Vec<CallOutcome>) -> Solved {
    run_with(Model::new(replies), settings, set, outcomes)
}

fn run_with(model: Model, settings: AgentSettings, set: &Registration, outcomes: Vec<CallOutcome>) -> Solved {
    let runtime = Runtime::new(outcomes);
    let scorer = open_scorer("exact", &Map::new()).unwrap();
    let result = block_on(solve(SolveInputs {
        task: task("What is six times seven?", "42"),
        registration: set,
        backend: &model,
        runtime: &runtime,
        scorer: scorer.as_ref(),
        settings: &settings,
        epoch: 3,
        repeat: 0,
    }));
    Solved { result, model, runtime }
}

fn settings() -> AgentSettings {
    AgentSettings { instructions: "Be exact.".to_owned(), ..AgentSettings::default() }
}

fn with_blocks() -> AgentSettings {
    let fenced_blocks = FencedBlocks { language: "python".parse().unwrap(), aliases: vec!["py".to_owned()] };
    AgentSettings { fenced_blocks: Some(fenced_blocks), ..settings() }
}

/// Writes the messages of a conversation, one line each.
fn transcript(messages: &[Message]) -> String {
    let lines = messages.iter().map(|message| match message {
        Message::System { text } => format!("system: {text}"),
        Message::User { text } => format!("user: {text}"),
        Message::Assistant { text, calls } => {
            let calls: Vec<String> =
                calls.iter().map(|call| format!(" {}={}{}", call.id, call.name, call.arguments)).collect();
            format!("assistant: {text}{}", calls.concat())
        }
        Message::Tool { call, content } => format!("{call}: {content}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn check(solved: &Solved, expected: &str) {
    let record = solved.result.as_ref().unwrap();
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let written = transcript(&record.messages);
    assert_eq!(written.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_not_offered_is_not_shown_and_can_be_called() {
    let whole = registration(&[("double", &["a"]), ("triple", &["a"])]);
    let offered = Registration::offering(whole.set().clone(), &["triple".parse().unwrap()]);
    let replies = vec![calls(&[("1", "double", r#"{"a": 21}"#)]), calls(&[("2", "doble", "{}")]), says("42")];
    let solved = run(settings(), &offered, replies, vec![returned("42")]);
    for request in solved.model.requests.lock().unwrap().iter() {
        let tools: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(tools, ["triple"]);
        assert_eq!(request.functions, ["triple".parse().unwrap()]);
    }
    let record = solved.result.unwrap();
    assert!(matches!(&record.calls[0].answer, CallAnswer::Ran(_)), "the user proxy knows the whole set");
    let CallAnswer::Refused(reason) = &record.calls[1].answer else { panic!() };
    assert!(!reason.contains("`double`"), "a refusal names what is offered: {reason}");
    assert_eq!(record.set, whole.set_id(), "the conversation was held under the whole set");
}

#[test]
fn calls_of_one_reply_are_answered_in_order() {
    let set = registration(&[("product", &["a", "b"]), ("total", &["a"])]);
    let replies =
        vec![calls(&[("1", "product", r#"{"a":6,"b":7}"#), ("2", "total", r#"{"a":1}"#)]), says("\\boxed{42}")];
    let solved = run(settings(), &set, replies, vec![returned("42"), raised("ValueError: no")]);
    check(
        &solved,
        r#"
        system: Be exact.
        user: What is six times seven?
        assistant:  1=product{"a":6,"b":7} 2=total{"a":1}
        1: value: 42
        2: error: ValueError: no
        assistant: \boxed{42}"#,
    );
    let record = solved.result.unwrap();
    assert!(record.verdict.is_satisfied);
    assert_eq!(record.usage.requests, 2);
    assert_eq!(record.set, set.set_id());
    assert_eq!(record.calls.len(), 2);
    let invocations = solved.runtime.invocations.lock().unwrap();
    assert_eq!(invocations[0].entry, Entry::Function("product".to_owned()));
    assert_eq!(invocations[0].arguments.get(), r#"{"a":6,"b":7}"#);
    assert_eq!(invocations[0].limits.memory_bytes, 128 << 20, "the limits are those of the runtime");
}

#[test]
fn functions_are_granted_the_others_only_where_the_settings_say_so() {
    let set = registration(&[("product", &["a", "b"]), ("total", &["a"])]);
    for (may_call_each_other, expected) in [(false, vec![]), (true, vec!["product", "total"])] {
        let replies = vec![calls(&[("1", "total", r#"{"a":1}"#)]), says("\\boxed{42}")];
        let solved = run(AgentSettings { may_call_each_other, ..settings() }, &set, replies, vec![returned("1")]);
        let invocations = solved.runtime.invocations.lock().unwrap();
        let granted: Vec<_> = invocations[0].grants.functions.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(granted, expected);
    }
}

#[test]
fn each_request_says_where_it_stands() {
    let set = registration(&[("product", &["a"])]);
    let solved = run(settings(), &set, vec![calls(&[("1", "product", "{\"a\":1}")]), says("42")], vec![returned("1")]);
    let requests = solved.model.requests.lock().unwrap();
    let places: Vec<(u32, u32, usize)> =
        requests.iter().map(|request| (request.turn, request.epoch, request.tools.len())).collect();
    assert_eq!(places, [(0, 3, 1), (1, 3, 1)]);
    assert_eq!(requests[0].functions, vec!["product".parse().unwrap()]);
    assert_eq!(requests[0].task.as_ref().unwrap().as_str(), "task-1");
}

#[test]
fn the_target_never_reaches_the_model() {
    let set = registration(&[("product", &["a"])]);
    let settings = AgentSettings { max_turns: 4, ..with_blocks() };
    let replies = vec![
        calls(&[("1", "product", "{\"a\":1}"), ("2", "nothing", "")]),
        says("```python\n1\n```"),
        says(""),
        says("40"),
    ];
    let solved = run(settings, &set, replies, vec![returned("1"), returned("1")]);
    let record = solved.result.unwrap();
    assert!(!record.verdict.is_satisfied && !record.verdict.feedback.contains("42"));
    let requests = solved.model.requests.lock().unwrap();
    assert_eq!(requests.len(), 4);
    for request in requests.iter() {
        assert!(!format!("{request:?}").contains("42"), "{request:?}");
    }
}

#[test]
fn calls_that_cannot_be_run_are_told_to_the_model_and_not_to_the_runtime() {
    let set = registration(&[("product", &["a", "b", "c?"]), ("now", &[])]);
    let cases = [
        ("prodct", "{}", "there is no function `prodct`; did you mean `product`? The functions are: `now`, `product`"),
        ("sin\ng", "{}", "there is no function `sin\u{fffd}g`; the functions are: `now`, `product`"),
        ("product", "{\"a\":1}", "argument `b` is missing; the parameters are: `a`, `b`, `c`"),
        (
            "product",
            "{\"a\":1,\"b\":2,\"d\":3}",
            "there is no parameter `d`; did you mean `a`? The parameters are: `a`, `b`, `c`",
        ),
        ("now", "{\"when\":1}", "there is no parameter `when`; `now` takes none"),
        ("product", "[1, 2]", "the arguments must be one JSON object, such as {\"name\": value}: found an array"),
    ];
    for (name, arguments, reason) in cases {
        let solved = run(settings(), &set, vec![calls(&[("1", name, arguments)]), says("42")], vec![]);
        let record = solved.result.unwrap();
        assert_eq!(record.messages[3], Message::Tool { call: "1".to_owned(), content: format!("refused: {reason}") });
        assert_eq!(record.calls[0].answer, CallAnswer::Refused(reason.to_owned()));
        assert!(record.verdict.is_satisfied);
    }
    for arguments in ["{\"a\": NaN, \"b\": 1}", "{\"a\": 1", "a=1", "{\"a\":1}{\"b\":2}"] {
        let solved = run(settings(), &set, vec![calls(&[("1", "product", arguments)]), says("42")], vec![]);
        let CallAnswer::Refused(reason) = &solved.result.unwrap().calls[0].answer else { panic!("{arguments}") };
        assert!(reason.contains("text that is not JSON"), "{reason}");
    }
}

#[test]
fn arguments_keep_every_digit_and_may_be_left_out() {
    let set = registration(&[("now", &["at?"])]);
    for (written, read) in [
        ("", "{}"),
        ("  ", "{}"),
        (" {\"at\": 123456789012345678901234567890.10} ", "{\"at\": 123456789012345678901234567890.10}"),
    ] {
        let solved = run(settings(), &set, vec![calls(&[("1", "now", written)]), says("42")], vec![returned("1")]);
        assert_eq!(solved.runtime.invocations.lock().unwrap()[0].arguments.get(), read);
    }
}

#[test]
fn call_ids_are_made_usable() {
    let set = registration(&[("now", &[])]);
    let long = "x".repeat(500);
    let asked =
        calls(&[("a", "now", ""), ("a", "now", ""), ("", "now", ""), (&long, "now", ""), ("call_3", "now", "")]);
    let solved = run(settings(), &set, vec![asked, calls(&[("a", "now", "")]), says("42")], vec![returned("1"); 6]);
    let record = solved.result.unwrap();
    let ids: Vec<&str> = record.calls.iter().map(|call| call.call.id.as_str()).collect();
    assert_eq!(ids, ["a", "call_1", "call_2", "call_3", "call_4", "call_5"]);
    let answered: Vec<&str> = record
        .messages
        .iter()
        .filter_map(|message| match message {
            Message::Tool { call, .. } => Some(call.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(answered, ids);
}

#[test]
fn the_last_turn_is_asked_for_without_tools() {
    let set = registration(&[("now", &[])]);
    let settings = AgentSettings { max_turns: 2, ..settings() };
    let solved = run(settings, &set, vec![calls(&[("1", "now", "")]), says("42")], vec![returned("1")]);
    check(
        &solved,
        "
        system: Be exact.
        user: What is six times seven?
        assistant:  1=now
        1: value: 1
        user: You cannot call functions or run code any more: the limit of 2 replies is reached. Give your best final answer now, from what you know.
        assistant: 42",
    );
    let tools: Vec<usize> = solved.model.requests.lock().unwrap().iter().map(|request| request.tools.len()).collect();
    assert_eq!(tools, [1, 0]);
    assert!(solved.result.unwrap().verdict.is_satisfied);
}

#[test]
fn a_model_that_goes_on_calling_ends_without_an_answer() {
    let set = registration(&[("now", &[])]);
    let settings = AgentSettings { max_turns: 2, ..settings() };
    let replies = vec![calls(&[("1", "now", "")]), calls(&[("2", "now", ""), ("3", "now", "")])];
    let solved = run(settings, &set, replies, vec![returned("1")]);
    assert_eq!(solved.runtime.invocations.lock().unwrap().len(), 1);
    let record = solved.result.unwrap();
    assert_eq!(
        record.verdict.feedback,
        "no answer: the model went on calling functions after the tools were withdrawn: the limit of 2 replies is reached"
    );
    assert_eq!((record.verdict.score, record.verdict.answer), (0.0, None));
    assert_eq!(record.calls.len(), 3);
}

#[test]
fn too_many_failed_calls_withdraw_the_tools() {
    let set = registration(&[("now", &[])]);
    let settings = AgentSettings { max_failed_calls: 1, ..settings() };
    let asked = calls(&[("1", "now", ""), ("2", "nothing", ""), ("3", "now", "")]);
    let solved = run(settings, &set, vec![asked, says("42")], vec![raised("no")]);
    check(
        &solved,
        "
        system: Be exact.
        user: What is six times seven?
        assistant:  1=now 2=nothing 3=now
        1: error: no
        2: refused: there is no function `nothing`; the functions are: `now`
        3: refused: too many calls of this task have failed
        user: You cannot call functions or run code any more: 3 calls failed. Give your best final answer now, from what you know.
        assistant: 42",
    );
    assert!(solved.result.unwrap().verdict.is_satisfied);
}

#[test]
fn an_empty_or_cut_reply_is_asked_again_once() {
    let set = registration(&[]);
    let solved = run(settings(), &set, vec![says(""), says("42")], vec![]);
    check(
        &solved,
        "
        system: Be exact.
        user: What is six times seven?
        assistant:
        user: Your reply was empty. Continue with the task, or give your final answer.
        assistant: 42",
    );
    assert!(solved.result.unwrap().verdict.is_satisfied);
    let solved = run(settings(), &set, vec![says(""), says("")], vec![]);
    assert_eq!(solved.result.unwrap().verdict.feedback, "no answer: the last reply was empty");
    let solved = run(settings(), &set, vec![was_cut("Let us"), was_cut("\\boxed{42} and")], vec![]);
    assert!(solved.result.unwrap().verdict.is_satisfied, "the second cut reply is taken as it is");
}

#[test]
fn fenced_blocks_are_run_and_answered_by_the_user() {
    let set = registration(&[]);
    let replies = vec![says("Try:\n```Py\n6*7\n```\nand\n```js\n1\n```\n```python\nprint(1)\n```"), says("42")];
    let solved = run(with_blocks(), &set, replies, vec![returned("42"), raised("E")]);
    {
        let invocations = solved.runtime.invocations.lock().unwrap();
        assert_eq!(invocations.len(), 2);
        assert_eq!(invocations[0].entry, Entry::Script);
        assert_eq!(invocations[0].source.text.as_ref(), "6*7\n");
        assert_ne!(invocations[0].seed, invocations[1].seed);
    }
    let record = solved.result.unwrap();
    let Message::System { text } = &record.messages[0] else { panic!("the instructions come first") };
    assert!(text.starts_with("Be exact.\n\nYou may also write code.") && text.contains("`python`"), "{text}");
    let answer = "Your code block 1 of 2 was run.\nvalue: 42\n\nYour code block 2 of 2 was run.\nerror: E";
    assert_eq!(record.messages[3], Message::User { text: answer.to_owned() });
    assert_eq!(record.calls[0].call.name, "run_python");
    assert_eq!(record.calls[0].call.arguments, r#"{"code":"6*7\n"}"#);
    assert!(record.verdict.is_satisfied);
}

#[test]
fn fenced_blocks_are_text_unless_they_are_switched_on() {
    let solved = run(settings(), &registration(&[]), vec![says("```python\n6*7\n```\n\\boxed{42}")], vec![]);
    assert!(solved.result.unwrap().verdict.is_satisfied);
}

#[test]
fn the_code_tool_runs_a_script() {
    let settings = AgentSettings { code_tool: Some("python".parse().unwrap()), ..settings() };
    let replies = vec![
        calls(&[
            ("1", "run_python", r#"{"code":"6*7"}"#),
            ("2", "run_python", r#"{"code":7}"#),
            ("3", "run_python", "{}"),
        ]),
        says("42"),
    ];
    let solved = run(settings, &registration(&[]), replies, vec![returned("42")]);
    assert_eq!(solved.runtime.invocations.lock().unwrap()[0].entry, Entry::Script);
    let record = solved.result.unwrap();
    assert_eq!(
        record.messages[4],
        Message::Tool { call: "2".into(), content: "refused: argument `code` must be a string".into() }
    );
    assert!(matches!(record.calls[2].answer, CallAnswer::Refused(_)));
}

#[test]
fn a_learned_function_takes_the_place_of_the_code_tool_of_its_name() {
    let settings = AgentSettings { code_tool: Some("python".parse().unwrap()), ..settings() };
    let set = registration(&[("run_python", &["a"])]);
    let solved = run(settings, &set, vec![calls(&[("1", "run_python", "{\"a\":1}")]), says("42")], vec![returned("1")]);
    let requests = solved.model.requests.lock().unwrap();
    assert_eq!(requests[0].tools.len(), 1);
    assert_eq!(requests[0].tools[0].description, "does run_python");
    let invocations = solved.runtime.invocations.lock().unwrap();
    assert_eq!(invocations[0].entry, Entry::Function("run_python".to_owned()));
}

#[test]
fn a_run_repeats_its_seeds_and_another_seed_changes_them() {
    let set = registration(&[("now", &[])]);
    let seeds = |seed| {
        let settings = AgentSettings { seed, ..settings() };
        let replies = vec![calls(&[("1", "now", ""), ("2", "now", "")]), calls(&[("3", "now", "")]), says("42")];
        let solved = run(settings, &set, replies, vec![returned("1"); 3]);
        let invocations = solved.runtime.invocations.lock().unwrap();
        invocations.iter().map(|invocation| invocation.seed).collect::<Vec<_>>()
    };
    assert_eq!(seeds(1), seeds(1));
    let all: std::collections::BTreeSet<u64> = seeds(1).into_iter().chain(seeds(2)).collect();
    assert_eq!(all.len(), 6);
}

#[test]
fn limits_of_the_settings_come_before_those_of_the_runtime() {
    let limits = Limits { memory_bytes: 1, ..Limits::DEFAULT };
    let settings = AgentSettings { limits: [("python".parse().unwrap(), limits)].into(), ..settings() };
    let set = registration(&[("now", &[])]);
    let solved = run(settings, &set, vec![calls(&[("1", "now", "")]), says("42")], vec![returned("1")]);
    assert_eq!(solved.runtime.invocations.lock().unwrap()[0].limits, limits);
}

#[test]
fn faults_that_are_not_the_models_are_errors_that_name_the_task() {
    let set = registration(&[("now", &[])]);
    let error = run(settings(), &set, vec![], vec![]).result.unwrap_err();
    assert_eq!(error.to_string(), "get reply 1 of the assistant in task `task-1`");
    let error = run(settings(), &set, vec![calls(&[("1", "now", "")])], vec![]).result.unwrap_err();
    assert_eq!(error.to_string(), "run call of `now` in task `task-1`");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn no_more_than_a_bound_of_calls_of_one_reply_are_kept_and_the_model_is_told_once() {
    let set = registration(&[("now", &[])]);
    let asked: Vec<(&str, &str, &str)> = vec![("", "now", ""); MAX_CALLS_PER_REPLY + 2];
    let note = "(2 more were dropped: a reply may have at most 32)";
    let told = |record: &ConversationRecord| {
        let texts = record.messages.iter().map(|message| match message {
            Message::System { text } | Message::User { text } | Message::Assistant { text, .. } => text,
            Message::Tool { content, .. } => content,
        });
        texts.map(|text| text.matches(note).count()).sum::<usize>()
    };
    let solved = run(settings(), &set, vec![calls(&asked), says("42")], vec![returned("1"); MAX_CALLS_PER_REPLY]);
    let record = solved.result.unwrap();
    assert_eq!((record.calls.len(), told(&record)), (MAX_CALLS_PER_REPLY, 1));
    let Message::Assistant { calls: kept, .. } = &record.messages[record.messages.len() - 2 - MAX_CALLS_PER_REPLY]
    else {
        panic!("{:?}", record.messages)
    };
    assert_eq!(kept.len(), MAX_CALLS_PER_REPLY);
    assert!(record.verdict.is_satisfied, "what was dropped is no failure");
    let blocks = "```python\n1\n```\n".repeat(MAX_CALLS_PER_REPLY + 2);
    let solved = run(with_blocks(), &set, vec![says(&blocks), says("42")], vec![returned("1"); MAX_CALLS_PER_REPLY]);
    let record = solved.result.unwrap();
    assert_eq!((record.calls.len(), told(&record)), (MAX_CALLS_PER_REPLY, 1));
    let settings = AgentSettings { max_turns: 1, ..settings() };
    let record = run(settings, &set, vec![calls(&asked)], vec![]).result.unwrap();
    assert_eq!((record.calls.len(), told(&record)), (MAX_CALLS_PER_REPLY, 1), "also where nothing is run");
}

#[test]
fn whatever_a_model_says_the_conversation_ends_within_its_turns() {
    let set = registration(&[("now", &["a?"])]);
    let pieces =
        ["now", "run_python", "{}", "{\"code\":\"1\"}", "", "\0", "```python\n1\n```", "é\u{202e}", "\\boxed{", "1"];
    let mut state = 7_u64;
    let mut pick = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..300 {
        let settings = AgentSettings {
            max_turns: 1 + u32::try_from(pick(5)).unwrap(),
            code_tool: Some("python".parse().unwrap()),
            ..with_blocks()
        };
        let max_turns = settings.max_turns;
        let replies: Vec<ChatReply> = (0..max_turns)
            .map(|_| {
                let asked: Vec<(&str, &str, &str)> =
                    (0..pick(4)).map(|_| (pieces[pick(10)], pieces[pick(10)], pieces[pick(10)])).collect();
                ChatReply {
                    text: pieces[pick(10)].to_owned(),
                    finish: ["stop", "length"][pick(2)].into(),
                    ..calls(&asked)
                }
            })
            .collect();
        let outcomes = (0..200).map(|_| if pick(3) == 0 { raised("x") } else { returned("1") }).collect();
        let solved = run(settings, &set, replies, outcomes);
        let record = solved.result.unwrap();
        assert!(record.usage.requests <= u64::from(max_turns));
        let tool_answers = record.messages.iter().filter(|message| matches!(message, Message::Tool { .. })).count();
        assert!(tool_answers <= record.calls.len());
    }
}

#[test]
fn records_own_their_messages() {
    let set = registration(&[]);
    let first = run(settings(), &set, vec![says("1")], vec![]).result.unwrap();
    let kept = first.clone();
    let second = run(settings(), &set, vec![says("2")], vec![]).result.unwrap();
    assert_eq!(first, kept);
    assert_ne!(first.messages, second.messages);
    assert_eq!(Arc::strong_count(&first.task), 2, "only the clone shares the task");
}

fn by_text() -> AgentSettings {
    AgentSettings { protocol: CallProtocol::Text, ..settings() }
}

const TEXT_CALL: &str = "I call it.\n```json\n{\"call\": \"product\", \"arguments\": {\"a\": 6, \"b\": 7}}\n```";
const BROKEN_CALL: &str = "```json\n{\"call\": \"product\", \"arguments\": {\"a\": 6\n```";

#[test]
fn a_model_without_tool_calls_calls_by_text() {
    let set = registration(&[("product", &["a", "b"])]);
    let settings = AgentSettings { code_tool: Some("python".parse().unwrap()), ..by_text() };
    let code = "```json\n{\"call\": \"run_python\", \"arguments\": {\"code\": \"6 *\n 7\"}}\n```";
    let replies = vec![says(TEXT_CALL), says(code), says("\\boxed{42}")];
    let solved = run(settings, &set, replies, vec![returned("42"), returned("42")]);
    let requests = solved.model.requests.lock().unwrap();
    assert!(requests.iter().all(|request| request.tools.is_empty()));
    let Message::System { text } = &requests[0].messages[0] else { panic!() };
    assert!(text.starts_with("Be exact.") && text.contains("- `product`: does product"), "{text}");
    assert!(text.contains("- `run_python`") && text.contains("{\"call\": \"name_of_the_function\""), "{text}");
    let Message::User { text } = &requests[1].messages[3] else { panic!() };
    assert_eq!(text, "Your call of `product` came to this.\nvalue: 42");
    let invocations = solved.runtime.invocations.lock().unwrap();
    assert_eq!(invocations[0].entry, Entry::Function("product".into()));
    assert_eq!(&*invocations[1].source.text, "6 *\n 7");
    let record = solved.result.unwrap();
    assert!(record.verdict.is_satisfied);
    assert_eq!(record.calls.len(), 2);
}

#[test]
fn the_same_broken_call_is_explained_once_and_never_paid_for_a_third_time() {
    let set = registration(&[("product", &["a", "b"])]);
    let replies = vec![says(BROKEN_CALL), says(BROKEN_CALL), says("\\boxed{42}")];
    let solved = run(by_text(), &set, replies, Vec::new());
    let requests = solved.model.requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    let last = |request: usize| match requests[request].messages.last() {
        Some(Message::User { text }) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert!(last(1).contains("could not be read") && last(1).contains("{\"call\": "), "{}", last(1));
    assert!(last(2).contains("cannot call functions or run code any more"), "{}", last(2));
    let record = solved.result.unwrap();
    assert!(record.verdict.is_satisfied);
    let refused: Vec<_> = record.calls.iter().map(|call| (call.call.name.as_str(), &call.answer)).collect();
    assert_eq!(refused.len(), 2, "both are in the record");
    assert!(refused.iter().all(|(name, answer)| {
        *name == "(unreadable call)" && matches!(answer, CallAnswer::Refused(reason) if reason.contains("not JSON"))
    }));
}

#[test]
fn an_answer_in_json_is_an_answer_in_the_text_protocol() {
    let set = registration(&[("product", &["a", "b"])]);
    let solved = run(by_text(), &set, vec![says("```json\n{\"total\": 42}\n```")], Vec::new());
    assert_eq!(solved.result.unwrap().calls.len(), 0);
}

#[test]
fn a_model_that_ignores_tools_and_writes_its_call_is_understood() {
    let set = registration(&[("product", &["a", "b"])]);
    let replies = vec![says(TEXT_CALL), says("\\boxed{42}")];
    let solved = run(settings(), &set, replies, vec![returned("42")]);
    assert!(solved.result.as_ref().unwrap().verdict.is_satisfied);
    assert_eq!(solved.runtime.invocations.lock().unwrap().len(), 1);
    // What stands behind a call may be the answer: it is not for us to choose.
    let unclear = format!("{TEXT_CALL}\nSo it is \\boxed{{42}}.");
    let solved = run(settings(), &set, vec![says(&unclear)], Vec::new());
    assert_eq!(solved.result.unwrap().calls.len(), 0);
}

#[test]
fn answers_of_calls_are_given_up_when_the_prompt_is_full() {
    let set = registration(&[("total", &["a"])]);
    let long = || returned(&format!("\"{}\"", "x".repeat(5000)));
    let ask = |id: &str| calls(&[(id, "total", "{\"a\": 1}")]);
    let replies = || vec![ask("1"), ask("2"), ask("3"), says("\\boxed{42}")];
    let full = run(settings(), &set, replies(), vec![long(), long(), long()]);
    let solved =
        run(AgentSettings { prompt_tokens: 2000, ..settings() }, &set, replies(), vec![long(), long(), long()]);
    let requests = solved.model.requests.lock().unwrap();
    assert!(crate::shorten::characters(&requests[3].messages) <= 8000);
    let Message::Tool { content, .. } = &requests[3].messages[3] else { panic!() };
    assert!(content.contains("characters left out"), "{content}");
    let record = solved.result.unwrap();
    assert_eq!(record.messages, full.result.unwrap().messages, "the record keeps everything");
}

#[test]
fn a_context_that_is_exceeded_is_met_with_half_of_the_prompt_once() {
    let set = registration(&[("total", &["a"])]);
    let long = || returned(&format!("\"{}\"", "x".repeat(5000)));
    let replies = || vec![calls(&[("1", "total", "{\"a\": 1}")]), says("\\boxed{42}")];
    let model = Model::new(replies()).with_context(4000);
    let solved = run_with(model, settings(), &set, vec![long()]);
    assert!(solved.result.unwrap().verdict.is_satisfied);
    let requests = solved.model.requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    assert_eq!((requests[1].turn, requests[2].turn), (1, 1));
    assert_ne!(requests[1].digest(), requests[2].digest());
    drop(requests);

    // Nothing to give up: it is missing, and neither asked for ever nor wrong.
    for (context, asked) in [(10, 1), (700, 3)] {
        let model = Model::new(replies()).with_context(context);
        let solved = run_with(model, settings(), &set, vec![long()]);
        let Err(SolveError::Model { source, .. }) = solved.result else { panic!("{context}") };
        assert_eq!(source.kind(), greensand_llm::ModelErrorKind::ContextOverflow);
        assert_eq!(solved.model.requests.lock().unwrap().len(), asked, "{context}");
    }
}
