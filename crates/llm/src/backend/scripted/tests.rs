use std::time::{Duration, Instant};

use greensand_types::{FunctionCall, Message, TokenUsage};
use regex::Regex;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{
    BackendSettings, ChatReply, ChatRequest, FinishReason, ModelBackend, ModelError, ModelErrorKind, Role, Sampling,
    open_backend,
};

fn request(question: &str) -> ChatRequest {
    ChatRequest {
        role: Role::Assistant,
        task: Some("calendar-7".parse().unwrap()),
        turn: 0,
        epoch: 1,
        repeat: 0,
        functions: vec!["days_between".parse().unwrap(), "leap_years".parse().unwrap()],
        messages: vec![Message::System { text: "be exact".into() }, Message::User { text: question.into() }],
        tools: Vec::new(),
        sampling: Sampling::default(),
    }
}

fn play(script: &str, request: &ChatRequest) -> Result<ChatReply, ModelError> {
    let settings = ScriptedSettings {
        script: format!("format = 1\n{script}"),
        origin: "script.toml".into(),
        latency: Duration::ZERO,
    };
    let backend = open_backend(BackendSettings::Scripted(settings)).unwrap();
    runtime().block_on(backend.chat(request))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn says(script: &str, request: &ChatRequest) -> String {
    play(script, request).unwrap().text
}

fn arguments(question: &str, arguments: &str) -> String {
    let script =
        format!("[[rule]]\nquestion = 'of (.*) and (.*)'\n[[rule.reply.calls]]\nname = 'f'\narguments = {arguments}\n");
    play(&script, &request(question)).unwrap().calls.remove(0).arguments
}

#[test]
fn the_first_rule_that_matches_answers() {
    let script = "
        [[rule]]
        turn = 1
        [rule.reply]
        text = 'second turn'
        [[rule]]
        [rule.reply]
        text = 'any'
        [[rule]]
        [rule.reply]
        text = 'never'";
    assert_eq!(says(script, &request("q")), "any");
    assert_eq!(says(script, &ChatRequest { turn: 1, ..request("q") }), "second turn");
}

#[test]
fn every_condition_decides() {
    for (condition, holds) in [
        ("role = 'assistant'", true),
        ("role = 'optimizer'", false),
        ("task = 'calendar-*'", true),
        ("task = 'calendar-?'", true),
        ("task = 'calendar-'", false),
        ("task = '*alendar'", false),
        ("task = ['ledger-*', 'calendar-7']", true),
        ("task = 'calendar.7'", false),
        ("turn = 0", true),
        ("turn = [1, 2]", false),
        ("epoch = [1, 2]", true),
        ("epoch = 0", false),
        ("functions = ['leap_years', 'days_between']", true),
        ("functions = ['leap_years', 'other']", false),
        ("without = ['other']", true),
        ("without = ['other', 'leap_years']", false),
        ("question = '^between'", true),
        ("question = 'exact'", false),
        ("last = 'between'", true),
        ("last = 'exact'", false),
    ] {
        let script = format!("[[rule]]\n{condition}\nreply.text = 'yes'\n[[rule]]\nreply.text = 'no'");
        assert_eq!(says(&script, &request("between a and b")) == "yes", holds, "{condition}");
    }
}

#[test]
fn a_task_condition_does_not_hold_where_there_is_no_task() {
    let script = "[[rule]]\ntask = '*'\nreply.text = 'yes'\n[[rule]]\nreply.text = 'no'";
    assert_eq!(says(script, &ChatRequest { task: None, ..request("q") }), "no");
}

#[test]
fn captures_of_question_and_last_message_fill_the_reply() {
    let mut request = request("between 2024-01-01 and 2024-03-01?");
    request.messages.push(Message::Assistant { text: String::new(), calls: Vec::new() });
    request.messages.push(Message::Tool { call: "call_1".into(), content: "{\"value\": 60}".into() });
    let script = r#"
        [[rule]]
        question = 'between (\S+) and (?<end>\S+)\?'
        last = '"value": ?(\d+)'
        reply.text = 'From ${1} to ${end}: \boxed{${last.1}}'"#;
    assert_eq!(says(script, &request), r"From 2024-01-01 to 2024-03-01: \boxed{60}");
}

#[test]
fn toml_arguments_become_json_with_captures_in_their_texts() {
    let toml = r#"{ a = "${1}", n = "${json:2}", list = [1, 2.5, true, "x${2}"], when = 2024-01-02, deep = { "k y" = "$$" } }"#;
    let built: Value = serde_json::from_str(&arguments("of \"q\"\\ and 12", toml)).unwrap();
    let expected =
        json!({ "a": "\"q\"\\", "n": 12, "list": [1, 2.5, true, "x12"], "when": "2024-01-02", "deep": { "k y": "$" } });
    assert_eq!(built, expected);
}

#[test]
fn spelled_arguments_are_sent_as_they_are() {
    assert_eq!(arguments("of x\"y and 12", r#"'{"a": "${1}", "b": ${json:2}'"#), r#"{"a": "x\"y", "b": 12"#);
    assert_eq!(arguments("of x and 12", "'not json'"), "not json");
}

#[test]
fn a_capture_cannot_break_out_of_the_arguments() {
    let hostile = r#"of ", "admin": true, "x": " and 1"#;
    for form in [r#"{ a = "${1}" }"#, r#"'{"a": "${1}"}'"#, r#"'{"a": ${json:1}}'"#] {
        let value: Value = serde_json::from_str(&arguments(hostile, form)).unwrap();
        assert_eq!(value, json!({ "a": "\", \"admin\": true, \"x\": \"" }), "{form}");
    }
}

#[test]
fn a_reply_may_have_several_calls_text_and_a_price() {
    let script = "
        [[rule]]
        [rule.reply]
        text = 'both'
        prompt_tokens = 7
        completion_tokens = 3
        [[rule.reply.calls]]
        name = 'f'
        [[rule.reply.calls]]
        id = 'mine'
        name = 'no such function'
        arguments = '{'";
    let call = |id: &str, name: &str, arguments: &str| FunctionCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    };
    assert_eq!(
        play(script, &request("q")).unwrap(),
        ChatReply {
            text: "both".into(),
            calls: vec![call("call_1", "f", "{}"), call("mine", "no such function", "{")],
            finish: FinishReason::ToolCalls,
            usage: TokenUsage { requests: 1, prompt_tokens: 7, completion_tokens: 3, ..TokenUsage::default() },
        }
    );
}

#[test]
fn a_reply_may_be_empty_or_cut_off() {
    let reply = play("[[rule]]\nreply = { text = '', finish = 'length' }", &request("q")).unwrap();
    assert_eq!((reply.text.as_str(), reply.finish), ("", FinishReason::Length));
}

#[test]
fn faults_can_be_scripted() {
    let error = play("[[rule]]\nfail = 'rate_limited'", &request("q")).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::RateLimited);
    assert_eq!(error.to_string(), "`script.toml:2` fails with `rate_limited`, as scripted");
}

#[test]
fn a_request_that_no_rule_answers_says_where_it_stands_and_which_rule_came_near() {
    let script = "[[rule]]\nrole = 'optimizer'\nturn = 3\nreply.text = ''\n[[rule]]\nturn = 3\nreply.text = ''";
    let error = play(script, &request("q")).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Exhausted);
    assert_eq!(
        error.to_string(),
        "no rule of `script.toml` answers role `assistant`, task `calendar-7`, turn 0, epoch 1, \
         functions `days_between` `leap_years`"
    );
    assert_eq!(error.hint(), Some("the rule at line 6 fits but for its `turn`; change it, or add a rule"));
    let error = play("", &request("q")).unwrap_err();
    assert_eq!(error.hint(), Some("add a rule to the script"));
}

fn mistake(script: &str) -> String {
    let settings = ScriptedSettings { script: script.into(), origin: "s.toml".into(), latency: Duration::ZERO };
    match open_backend(BackendSettings::Scripted(settings)) {
        Ok(_) => panic!("no mistake found in {script}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn mistakes_are_told_with_their_line() {
    for (script, expected) in [
        ("", "s.toml:1: `format` is missing; write `format = 1` at the top"),
        ("format = 2", "s.toml:1: `format`: this program reads format 1, found 2"),
        ("format = 1\nrules = []", "s.toml:2: unknown key `rules`; did you mean `rule`?"),
        ("format = 1\n[[rule]]\nquestoin = 'x'", "s.toml:3: unknown key `questoin`; did you mean `question`?"),
        ("format = 1\n[[rule]]\n[rule.reply]\ntxt = ''", "s.toml:4: unknown key `txt`; did you mean `text`?"),
        ("format = 1\n\n[[rule]]\nturn = 1", "s.toml:3: the rule answers nothing; add a `[rule.reply]`"),
        ("format = 1\n[[rule]]\nreply = {}", "s.toml:3: the reply is empty; write `text = \"\"` if it should be"),
        ("format = 1\n[[rule]]\nrole = 'asistant'", "s.toml:3: `role`: `asistant` is none of `assistant`, `optimizer`"),
        ("format = 1\n[[rule]]\nturn = [0, -1]", "s.toml:3: `turn`: expected a number from 0 to 4294967295, found -1"),
        ("format = 1\n[[rule]]\nturn = 'x'", "s.toml:3: `turn`: expected an integer, found string"),
        ("format = 1\nlatency_ms = 600001", "s.toml:2: `latency_ms`: expected a number from 0 to 600000, found 600001"),
        (
            "format = 1\n[[rule]]\nreply = { text = 'a${1}' }",
            "s.toml:3: `text`: `${1}` needs the condition `question`, which the rule does not have",
        ),
        (
            "format = 1\n[[rule]]\nquestion = '(a)'\n[[rule.reply.calls]]\nname = 'f'\narguments = { a = [\n'${2}'] }",
            "s.toml:7: `arguments`: `${2}`: `question` has no such group",
        ),
        ("format = 1\n[[rule]]\n[[rule.reply.calls]]\narguments = {}", "s.toml:3: the call has no `name`"),
        (
            "format = 1\n[[rule]]\nfail = 'timed_out'\nreply.text = ''",
            "s.toml:3: `fail`: a rule has either a `reply` or a `fail`",
        ),
    ] {
        assert_eq!(mistake(script), expected);
    }
    for (script, start) in [
        ("format = 1\n[[rule", "s.toml:2: "),
        ("format = 1\n[[rule]]\nquestion = '('", "s.toml:3: `question`: not a regular expression: "),
        ("format = 1\n[[rule]]\nlast = '(?:x{1000}){1000}'", "s.toml:3: `last`: not a regular expression: "),
        ("format = 1\n[[rule]]\nfunctions = ['a b']", "s.toml:3: `functions`: `a b` is not a function name"),
        (
            "format = 1\n[[rule]]\nreply.calls = [{ name = 'f', arguments = { x = nan } }]",
            "s.toml:3: `arguments`: JSON",
        ),
        ("format = 1\nrule = 3", "s.toml:2: `rule`: expected an array"),
    ] {
        assert!(mistake(script).starts_with(start), "{}", mistake(script));
    }
}

fn open(script: &str, latency_ms: u64) -> Scripted {
    let script = format!("format = 1\n{script}");
    let latency = Duration::from_millis(latency_ms);
    Scripted::open(ScriptedSettings { script, origin: "s.toml".into(), latency }).unwrap()
}

#[test]
fn latency_is_that_of_the_reply_or_the_settings_or_the_script() {
    let waits = |script: &str, latency_ms| {
        let scripted = open(script, latency_ms);
        scripted.wait(&scripted.rules()[0]).as_millis()
    };
    assert_eq!(waits("[[rule]]\nreply.text = ''", 0), 0);
    assert_eq!(waits("latency_ms = 20\n[[rule]]\nreply.text = ''", 0), 20);
    assert_eq!(waits("latency_ms = 20\n[[rule]]\nreply.text = ''", 30), 30);
    assert_eq!(waits("latency_ms = 20\n[[rule]]\nreply = { text = '', latency_ms = 0 }", 30), 0);
}

#[test]
fn replies_wait_for_their_latency_side_by_side() {
    let scripted = open("[[rule]]\nreply.text = ''", 20);
    let start = Instant::now();
    let request = request("q");
    let replies = runtime().block_on(async { tokio::join!(scripted.chat(&request), scripted.chat(&request)) });
    assert!(replies.0.is_ok() && replies.1.is_ok());
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn the_example_of_the_readme_is_a_script() {
    let readme = include_str!("../../../README.md");
    let block = Regex::new(r"(?s)```toml\n(.*?)```").unwrap();
    let scripts: Vec<_> = block.captures_iter(readme).map(|block| block[1].to_owned()).collect();
    assert!(!scripts.is_empty());
    for script in scripts {
        let settings = ScriptedSettings { script, origin: "README.md".into(), latency: Duration::ZERO };
        open_backend(BackendSettings::Scripted(settings)).map(|_| ()).unwrap();
    }
}
