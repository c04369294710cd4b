//! The backend `openai_compatible` against a server on a real socket: every good answer, every fault, every bound.
//!
//! What is decided without a connection (waits, kinds of refusal, odd spellings in a body) is tested in `greensand-llm`.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use greensand_llm::{
    ApiKey, BackendSettings, ChatReply, ChatRequest, FinishReason, ModelBackend, ModelError, ModelErrorKind,
    OpenAiSettings, Role, Sampling, TokenLimitField, ToolDefinition, open_backend,
};
use greensand_tests::chat_server::{ChatServer, Scenario};
use greensand_types::{FunctionCall, Message, TokenUsage};
use serde_json::json;

/// Settings of the tests: waits short enough to be made, deadlines long enough not to be met by accident.
fn settings(base_url: String) -> OpenAiSettings {
    OpenAiSettings {
        first_backoff: Duration::from_millis(1),
        request_timeout: Duration::from_secs(20),
        deadline: Duration::from_secs(30),
        ..OpenAiSettings::new(base_url, "test-model")
    }
}

fn open(settings: OpenAiSettings) -> Arc<dyn ModelBackend> {
    open_backend(BackendSettings::OpenAiCompatible(settings)).unwrap()
}

fn request() -> ChatRequest {
    ChatRequest {
        role: Role::Assistant,
        task: Some("t".parse().unwrap()),
        turn: 0,
        epoch: 0,
        repeat: 0,
        functions: Vec::new(),
        messages: vec![Message::User { text: "1+1?".into() }],
        tools: Vec::new(),
        sampling: Sampling::default(),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn ask_with(settings: OpenAiSettings) -> Result<ChatReply, ModelError> {
    let backend = open(settings);
    block_on(backend.chat(&request()))
}

fn ask(server: &ChatServer) -> Result<ChatReply, ModelError> {
    ask_with(settings(server.base_url()))
}

/// Plays the scenarios to one question; says what came of it and how many requests it took.
fn play(scenarios: impl IntoIterator<Item = Scenario>) -> (Result<ChatReply, ModelError>, usize) {
    let server = ChatServer::play(scenarios);
    let answer = ask(&server);
    (answer, server.requests().len())
}

/// Plays one scenario to every attempt; says what kind of fault it was, its text, and how many attempts it took.
fn always(scenario: Scenario, change: impl FnOnce(&mut OpenAiSettings)) -> (ModelErrorKind, String, usize) {
    let server = ChatServer::start(move |_| scenario.clone());
    let mut settings = settings(server.base_url());
    change(&mut settings);
    let error = ask_with(settings).unwrap_err();
    let text = format!("{error}; {}", error.hint().unwrap_or_default());
    (error.kind(), text, server.requests().len())
}

// What is sent ------------------------------------------------------------------------------------------------------

#[test]
fn a_request_is_sent_as_the_settings_say() {
    let server = ChatServer::play([Scenario::text("2")]);
    let backend = open(OpenAiSettings {
        api_key: ApiKey::new("sk-test"),
        token_limit_field: TokenLimitField::MaxCompletionTokens,
        ..settings(server.base_url())
    });
    let parameters = json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] });
    let request = ChatRequest {
        tools: vec![ToolDefinition { name: "f".into(), description: "adds".into(), parameters: parameters.clone() }],
        sampling: Sampling { temperature: Some(0.0), max_tokens: Some(100), seed: Some(7) },
        ..request()
    };
    block_on(backend.chat(&request)).unwrap();

    let sent = server.requests().remove(0);
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(sent.header("authorization"), Some("Bearer sk-test"));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert!(sent.header("user-agent").unwrap().starts_with("greensand/"));
    assert_eq!(
        sent.body,
        json!({
            "model": "test-model",
            "messages": [{ "role": "user", "content": "1+1?" }],
            "tools": [{ "type": "function", "function":
                { "name": "f", "description": "adds", "parameters": parameters } }],
            "temperature": 0.0, "max_completion_tokens": 100, "seed": 7,
        })
    );
}

#[test]
fn nothing_is_sent_that_was_not_asked_for() {
    let server = ChatServer::play([Scenario::text("2")]);
    ask(&server).unwrap();
    let sent = server.requests().remove(0);
    assert_eq!(sent.header("authorization"), None);
    let fields: Vec<_> = sent.body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["model", "messages"]);
}

#[test]
fn a_conversation_with_malformed_calls_goes_on() {
    let server = ChatServer::play([Scenario::calls([("days between", "{\"a\": ")]), Scenario::text("sorry")]);
    let backend = open(settings(server.base_url()));
    let mut request = request();
    let reply = block_on(backend.chat(&request)).unwrap();
    let id = reply.calls[0].id.clone();
    request.messages.push(Message::Assistant { text: reply.text, calls: reply.calls });
    request.messages.push(Message::Tool { call: id, content: "there is no function `days between`".into() });
    assert_eq!(block_on(backend.chat(&request)).unwrap().text, "sorry");
    assert_eq!(
        server.requests()[1].messages()[1..],
        [
            json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "call_1", "type": "function",
                "function": { "name": "days_between", "arguments": "{\"malformed_arguments\":\"{\\\"a\\\": \"}" } }] }),
            json!({ "role": "tool", "tool_call_id": "call_1", "content": "there is no function `days between`" }),
        ]
    );
}

// What is answered ---------------------------------------------------------------------------------------------------

#[test]
fn prose_is_a_reply() {
    let reply = play([Scenario::text("The answer is 2.")]).0.unwrap();
    assert_eq!(
        reply,
        ChatReply {
            text: "The answer is 2.".into(),
            calls: Vec::new(),
            finish: FinishReason::Stop,
            usage: TokenUsage { requests: 1, prompt_tokens: 10, completion_tokens: 5, ..TokenUsage::default() },
        }
    );
}

#[test]
fn calls_are_read_in_order() {
    let reply = play([Scenario::calls([("f", "{\"a\":1}"), ("g", "{}")])]).0.unwrap();
    let call = |id: &str, name: &str, arguments: &str| FunctionCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    };
    assert_eq!(reply.calls, [call("call_1", "f", "{\"a\":1}"), call("call_2", "g", "{}")]);
    assert_eq!(reply.finish, FinishReason::ToolCalls);
}

#[test]
fn malformed_calls_reach_the_caller_as_the_model_wrote_them() {
    let calls = json!([
        { "id": "x", "function": { "name": "f", "arguments": "{\"a\": tru" } },
        { "id": "x", "function": { "name": "", "arguments": { "a": 1 } } },
        { "function": {} },
    ]);
    let message = json!({ "role": "assistant", "tool_calls": calls });
    let (reply, requests) = play([Scenario::message(message, "tool_calls")]);
    let calls: Vec<_> = reply.unwrap().calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect();
    let call = |id: &str, name: &str, arguments: &str| (id.to_owned(), name.to_owned(), arguments.to_owned());
    assert_eq!(calls[0], call("x", "f", "{\"a\": tru"));
    assert_eq!((&calls[1].1, &calls[1].2), (&String::new(), &"{\"a\":1}".to_owned()));
    assert_eq!((&calls[2].1, &calls[2].2), (&String::new(), &"{}".to_owned()));
    assert!(calls[1].0 != "x" && !calls[2].0.is_empty() && calls[1].0 != calls[2].0);
    assert_eq!(requests, 1, "a malformed call is for the agent to answer, not to be asked for again");
}

#[test]
fn an_empty_reply_is_a_reply() {
    let (reply, requests) = play([Scenario::message(json!({ "role": "assistant", "content": null }), "stop")]);
    let reply = reply.unwrap();
    assert_eq!((reply.text.as_str(), reply.calls.len(), requests), ("", 0, 1));
}

#[test]
fn a_reply_that_was_cut_off_at_its_token_limit_says_so() {
    let reply = play([Scenario::message(json!({ "content": "The ans" }), "length")]).0.unwrap();
    assert_eq!(reply.finish, FinishReason::Length);
}

#[test]
fn what_is_no_chat_completion_is_a_bad_reply_and_is_not_paid_for_again() {
    for (scenario, reason) in [
        (Scenario::json(&json!({ "choices": [] })), "it has no `choices`"),
        (Scenario::json(&json!({ "choices": [{ "index": 0 }] })), "its first choice has no `message`"),
        (Scenario::json(&json!({ "choices": 3 })), "invalid type"),
        (Scenario::status(200, "<html>welcome</html>"), ": <html>welcome</html>"),
        (Scenario::status(200, ""), "EOF"),
        (Scenario::status(200, &"[".repeat(100_000)), "recursion limit"),
        (Scenario::json(&json!({ "choices": "x".repeat(100_000) })), "invalid type"),
        (Scenario::json(&json!({ "error": { "message": "odd \u{1b}[31m" } })), "odd \\u{1b}[31m"),
    ] {
        let (kind, text, attempts) = always(scenario, |_| {});
        assert_eq!((kind, attempts), (ModelErrorKind::BadReply, 1), "{text}");
        assert!(text.contains(reason) && text.len() < 1000, "{text}");
    }
}

// What is tried again ------------------------------------------------------------------------------------------------

#[test]
fn faults_that_pass_are_tried_again() {
    for (what, fault) in [
        ("429", Scenario::error(429, "slow down")),
        ("500", Scenario::status(500, "")),
        ("503", Scenario::status(503, "<html>busy</html>")),
        ("cut in the body", Scenario::text("2").cut_in_body()),
        ("cut before the answer", Scenario::text("2").cut_before()),
        ("an error behind status 200", Scenario::json(&json!({ "error": { "message": "busy", "code": 502 } }))),
    ] {
        let (reply, requests) = play([fault.clone(), fault, Scenario::text("2")]);
        assert_eq!(reply.expect(what).text, "2");
        assert_eq!(requests, 3, "{what}");
    }
}

#[test]
fn faults_that_stay_end_after_the_last_retry() {
    for (fault, kind) in [
        (Scenario::error(429, "slow down"), ModelErrorKind::RateLimited),
        (Scenario::error(500, "oh"), ModelErrorKind::Refused { status: 500 }),
        (Scenario::text("2").cut_in_body(), ModelErrorKind::Unreachable),
        (Scenario::text("2").cut_before(), ModelErrorKind::Unreachable),
    ] {
        let (found, text, attempts) = always(fault, |settings| settings.max_retries = 2);
        assert_eq!((found, attempts), (kind, 3), "{text}");
        assert!(text.contains("(after 3 attempts)"), "{text}");
    }
}

#[test]
fn other_faults_are_final() {
    for (fault, kind, says) in [
        (Scenario::error(400, "bad schema"), ModelErrorKind::Refused { status: 400 }, ": bad schema"),
        (Scenario::error(401, "no key"), ModelErrorKind::Authentication, "`OPENAI_API_KEY`"),
        (Scenario::error(403, "no permission"), ModelErrorKind::Authentication, ": no permission"),
        (Scenario::error(403, "flagged"), ModelErrorKind::Refused { status: 403 }, ": flagged"),
        (Scenario::error(404, "model `test-model` not found"), ModelErrorKind::UnknownModel, "no model `test-model`"),
        (Scenario::status(404, "not here"), ModelErrorKind::Refused { status: 404 }, "`base_url`"),
        (
            Scenario::status(429, r#"{"error":{"message":"spent","code":"insufficient_quota"}}"#),
            ModelErrorKind::QuotaSpent,
            "quota",
        ),
    ] {
        let (found, text, attempts) = always(fault, |_| {});
        assert_eq!((found, attempts), (kind, 1), "{text}");
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn retry_after_is_waited_for() {
    for header in [("retry-after-ms", "150"), ("retry-after", "0.15")] {
        let start = Instant::now();
        let (reply, _) = play([Scenario::error(429, "").header(header.0, header.1), Scenario::text("2")]);
        assert_eq!(reply.unwrap().text, "2");
        assert!(start.elapsed() >= Duration::from_millis(150), "{header:?}: {:?}", start.elapsed());
    }
}

#[test]
fn a_wait_beyond_the_deadline_is_not_begun() {
    let start = Instant::now();
    let limited = Scenario::error(429, "try tomorrow").header("retry-after", "86400");
    let (kind, text, attempts) = always(limited, |_| {});
    assert_eq!((kind, attempts), (ModelErrorKind::RateLimited, 1));
    assert!(text.contains("asks to wait 86400 s") && text.contains("try tomorrow"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

// Bounds -------------------------------------------------------------------------------------------------------------

#[test]
fn a_late_answer_is_given_up() {
    let late = Scenario::text("2").after(Duration::from_millis(400));
    let (kind, text, attempts) = always(late.clone(), |settings| {
        settings.request_timeout = Duration::from_millis(100);
        settings.max_retries = 1;
    });
    assert_eq!((kind, attempts), (ModelErrorKind::TimedOut, 2), "{text}");
    assert!(text.contains("within 0.1 s (after 2 attempts); raise `request_timeout_s`"), "{text}");

    let (kind, text, attempts) = always(late, |settings| settings.deadline = Duration::from_millis(100));
    assert_eq!((kind, attempts), (ModelErrorKind::TimedOut, 1), "{text}");
    assert!(text.contains("`deadline_s`"), "{text}");
}

#[test]
fn a_body_without_end_is_not_read_to_its_end() {
    let endless = Scenario::status(200, &"x".repeat(1000)).endless();
    let (kind, text, attempts) = always(endless, |settings| settings.max_reply_bytes = 100_000);
    assert_eq!((kind, attempts), (ModelErrorKind::BadReply, 1), "{text}");
    assert!(text.contains("larger than 100000 bytes"), "{text}");

    let (kind, text, _) = always(Scenario::status(400, &"x".repeat(1000)).endless(), |_| {});
    assert_eq!(kind, ModelErrorKind::Refused { status: 400 });
    assert!(text.len() < 1000, "{}", text.len());
}

#[test]
fn no_server_is_unreachable() {
    // A port that was free a moment ago.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = ask_with(settings(format!("http://{address}/v1"))).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Unreachable);
    assert!(error.to_string().starts_with(&format!("no connection to `http://{address}` (after 5 attempts): ")));
    assert!(error.is_transient() && error.hint().unwrap().contains("`base_url`"));
}

#[test]
fn a_server_without_tls_is_unreachable_by_https() {
    let server = ChatServer::start(|_| Scenario::text("2"));
    let base_url = server.base_url().replace("http:", "https:");
    let connect_timeout = Duration::from_millis(200);
    let error = ask_with(OpenAiSettings { max_retries: 0, connect_timeout, ..settings(base_url) }).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Unreachable, "{error}");
    assert!(error.to_string().starts_with("no connection to `https://127.0.0.1:"), "{error}");
}

#[test]
fn a_proxy_of_the_settings_is_used() {
    let proxy = ChatServer::play([Scenario::text("2")]);
    let proxy_url = proxy.base_url().replace("/v1", "");
    let settings = OpenAiSettings { proxy: Some(proxy_url), ..settings("http://model.invalid/v1".into()) };
    assert_eq!(ask_with(settings).unwrap().text, "2");
    assert_eq!(proxy.requests()[0].path, "http://model.invalid/v1/chat/completions");
}

// Secrets ------------------------------------------------------------------------------------------------------------

#[test]
fn a_redirect_gets_neither_the_conversation_nor_the_key() {
    let thief = ChatServer::start(|_| Scenario::text("thank you"));
    for status in [301, 302, 307, 308] {
        let (kind, text, attempts) = always(
            Scenario::status(status, "").header("location", &format!("{}/chat/completions", thief.base_url())),
            |settings| settings.api_key = ApiKey::new("sk-secret"),
        );
        assert_eq!((kind, attempts), (ModelErrorKind::Refused { status }, 1));
        assert!(text.contains("redirects are not followed") && text.contains(&thief.base_url()), "{text}");
    }
    assert_eq!(thief.requests().len(), 0);
}

#[test]
fn a_key_shows_in_no_message() {
    for scenario in [
        Scenario::error(401, "Incorrect API key: sk-secret"),
        Scenario::status(500, "Authorization: Bearer sk-secret"),
        Scenario::status(200, "sk-secret"),
        Scenario::json(&json!({ "error": "sk-secret" })),
        Scenario::json(&json!({ "choices": "sk-secret" })),
        Scenario::text("2").cut_before(),
    ] {
        let server = ChatServer::start(move |_| scenario.clone());
        let key = ApiKey::new("sk-secret");
        let error =
            ask_with(OpenAiSettings { api_key: key, max_retries: 0, ..settings(server.base_url()) }).unwrap_err();
        assert_eq!(server.requests()[0].header("authorization"), Some("Bearer sk-secret"));
        assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("sk-secret"), "{error:?}");
    }
}

// Many at once -------------------------------------------------------------------------------------------------------

#[test]
fn requests_at_the_same_time_get_each_its_own_reply() {
    let server = ChatServer::start(|request| {
        Scenario::text(&format!("answer to {}", request.question())).after(Duration::from_millis(30))
    });
    let backend = open(settings(server.base_url()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let start = Instant::now();
    let asked: Vec<_> = (0..32)
        .map(|number| {
            let backend = Arc::clone(&backend);
            let question = format!("question {number}");
            let request = ChatRequest { messages: vec![Message::User { text: question.clone() }], ..request() };
            runtime.spawn(async move { (question, backend.chat(&request).await.unwrap().text) })
        })
        .collect();
    for answer in asked {
        let (question, text) = runtime.block_on(answer).unwrap();
        assert_eq!(text, format!("answer to {question}"));
    }
    // One after the other they would take 960 ms.
    assert!(start.elapsed() < Duration::from_millis(800), "{:?}", start.elapsed());
}
