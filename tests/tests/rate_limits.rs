//! How the backend `openai_compatible` treats an endpoint that is loaded, in trouble, or done with us: over a real socket.
//!
//! The rules of the limit itself are tables in `greensand-llm`. Every test here ends by itself or hangs, and a hang is a
//! failure: `check` puts all of a test's requests under one bound.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use greensand_llm::{
    ApiKey, BackendSettings, ChatReply, ChatRequest, LimitCause, ModelBackend, ModelError, ModelErrorKind,
    OpenAiSettings, Role, Sampling, open_backend,
};
use greensand_tests::chat_server::{ChatServer, Scenario};
use greensand_types::Message;
use serde_json::json;

const BOUND: Duration = Duration::from_secs(60);

fn settings(server: &ChatServer) -> OpenAiSettings {
    OpenAiSettings {
        first_backoff: Duration::from_millis(10),
        request_timeout: Duration::from_secs(20),
        deadline: Duration::from_secs(30),
        max_retries: 20,
        ..OpenAiSettings::new(server.base_url(), "test-model")
    }
}

fn open(settings: OpenAiSettings) -> Arc<dyn ModelBackend> {
    open_backend(BackendSettings::OpenAiCompatible(settings)).unwrap()
}

fn question(role: Role, number: usize) -> ChatRequest {
    ChatRequest {
        role,
        task: Some("t".parse().unwrap()),
        turn: 0,
        epoch: 0,
        repeat: 0,
        functions: Vec::new(),
        messages: vec![Message::User { text: format!("question {number}") }],
        tools: Vec::new(),
        sampling: Sampling::default(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Asks so many questions, each of the next backend of a list, so many at once; the answers are in order.
fn ask(backends: &[Arc<dyn ModelBackend>], count: usize, at_once: usize) -> Vec<Result<ChatReply, ModelError>> {
    let next = Arc::new(AtomicUsize::new(0));
    let runtime = runtime();
    let workers: Vec<_> = (0..at_once)
        .map(|_| {
            let (next, backends) = (Arc::clone(&next), backends.to_vec());
            runtime.spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= count {
                        return answers;
                    }
                    let request = question(Role::ALL[number % 2], number);
                    answers.push((number, backends[number % backends.len()].chat(&request).await));
                }
            })
        })
        .collect();
    let all = async {
        let mut answers = BTreeMap::new();
        for worker in workers {
            answers.extend(worker.await.unwrap());
        }
        answers.into_values().collect()
    };
    runtime.block_on(async { tokio::time::timeout(BOUND, all).await }).expect("the requests hang")
}

/// How often each question was asked.
fn times_asked(server: &ChatServer) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for request in server.requests() {
        *times.entry(request.question().to_owned()).or_default() += 1;
    }
    times
}

/// A server that answers at most so many requests at once, and 429 to those beyond.
fn limited(most: usize, delay: Duration, retry_after: Option<&'static str>) -> ChatServer {
    ChatServer::start(move |request| {
        if request.at_once <= most {
            return Scenario::text(request.question()).after(delay);
        }
        let refusal = Scenario::error(429, "too many at once");
        retry_after.map_or(refusal.clone(), |after| refusal.header("retry-after-ms", after))
    })
}

#[track_caller]
fn check_all_answered(server: &ChatServer, answers: &[Result<ChatReply, ModelError>], refusals: usize) {
    for (number, answer) in answers.iter().enumerate() {
        let answer = answer.as_ref().unwrap_or_else(|error| panic!("question {number}: {error}"));
        assert_eq!(answer.text, format!("question {number}"));
    }
    assert_eq!(server.requests().len(), answers.len() + refusals, "an answered request was sent again");
}

fn refusals(server: &ChatServer, most: usize) -> usize {
    server.requests().iter().filter(|request| request.at_once > most).count()
}

#[test]
fn a_storm_of_refusals_shrinks_the_limit_and_everything_is_answered_once() {
    for retry_after in [None, Some("30")] {
        let server = limited(4, Duration::from_millis(10), retry_after);
        let backend = open(settings(&server));
        let answers = ask(&[Arc::clone(&backend)], 200, 40);
        let refused = refusals(&server, 4);
        check_all_answered(&server, &answers, refused);
        let report = backend.concurrency().unwrap();
        assert!(report.limit <= 8, "{report:?}");
        assert!(report.changes.iter().any(|change| change.cause == LimitCause::RateLimited), "{report:?}");
        assert_eq!((report.under_way, report.waiting), (0, 0));
        assert!(refused < 200, "{refused} refusals for 200 requests");
    }
}

#[test]
fn the_limit_recovers_when_the_storm_is_over() {
    let is_storm = Arc::new(AtomicUsize::new(1));
    let storm = Arc::clone(&is_storm);
    let server = ChatServer::start(move |request| {
        if storm.load(Ordering::SeqCst) == 1 && request.at_once > 2 {
            return Scenario::error(429, "slow down");
        }
        Scenario::text(request.question()).after(Duration::from_millis(2))
    });
    let backend = open(settings(&server));
    ask(&[Arc::clone(&backend)], 60, 40).into_iter().for_each(|answer| drop(answer.unwrap()));
    let low = backend.concurrency().unwrap().limit;
    is_storm.store(0, Ordering::SeqCst);
    ask(&[Arc::clone(&backend)], 600, 40).into_iter().for_each(|answer| drop(answer.unwrap()));
    let high = backend.concurrency().unwrap().limit;
    assert!(low <= 8 && high >= low + 10, "{low} then {high}");
}

#[test]
fn retry_after_holds_back_the_whole_endpoint_for_both_roles() {
    let server = ChatServer::start(|request| match request.number {
        0 => Scenario::error(429, "slow down").header("retry-after-ms", "400"),
        _ => Scenario::text(request.question()),
    });
    let backends = [open(settings(&server)), open(settings(&server))];
    let first = question(Role::Assistant, 0);
    let runtime = runtime();
    // A backend of its own, of the same endpoint: a connection of `ask` ends with the runtime that `ask` works in.
    let asked = open(settings(&server));
    let first = runtime.spawn(async move { asked.chat(&first).await });
    while backends[0].concurrency().unwrap().changes.len() < 2 {
        std::thread::sleep(Duration::from_millis(2));
    }
    // Both backends are turned back by what another one was told.
    let answers = ask(&backends, 20, 20);
    assert!(answers.iter().all(Result::is_ok));
    assert!(runtime.block_on(first).unwrap().is_ok());
    let requests = server.requests();
    assert_eq!(requests.len(), 22);
    for request in &requests[1..] {
        let wait = request.at - requests[0].at;
        // The server notes the time when it comes to it, which may be late for the first.
        assert!(wait >= Duration::from_millis(250), "sent after {wait:?}");
    }
}

#[test]
fn a_hold_beyond_the_deadline_fails_at_once_and_sends_nothing() {
    let server = ChatServer::start(|_| Scenario::error(429, "tomorrow").header("retry-after", "86400"));
    let backend = open(settings(&server));
    let begun = Instant::now();
    for answer in ask(&[backend], 20, 1) {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::RateLimited);
        assert!(error.to_string().contains("wait 86"), "{error}");
    }
    assert_eq!(server.requests().len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_burst_of_server_faults_pauses_growth_and_shrinks_nothing() {
    let server = ChatServer::start(|request| match request.number {
        ..64 => Scenario::status(503, "<html>busy</html>"),
        _ => Scenario::text(request.question()).after(Duration::from_millis(5)),
    });
    let backend = open(settings(&server));
    let answers = ask(&[Arc::clone(&backend)], 100, 64);
    check_all_answered(&server, &answers, 64);
    let limits: Vec<_> = backend.concurrency().unwrap().changes.iter().map(|change| change.limit).collect();
    assert_eq!(limits, [32]);
}

#[test]
fn both_roles_of_one_endpoint_share_the_limit() {
    let server = ChatServer::start(|request| Scenario::text(request.question()).after(Duration::from_millis(10)));
    let bounded = |most| open(OpenAiSettings { max_concurrency: most, ..settings(&server) });
    let answers = ask(&[bounded(6), bounded(64)], 100, 50);
    check_all_answered(&server, &answers, 0);
    let most = server.requests().iter().map(|request| request.at_once).max().unwrap();
    assert!((4..=6).contains(&most), "{most}");
}

#[test]
fn a_terminal_error_stops_everything_that_waits_and_everything_after_it() {
    let spent = json!({ "error": { "message": "spent", "code": "insufficient_quota" } }).to_string();
    for (answer, kind, hint) in [
        (Scenario::error(401, "who are you"), ModelErrorKind::Authentication, "`OPENAI_API_KEY`"),
        (Scenario::status(429, &spent), ModelErrorKind::QuotaSpent, "account"),
        (Scenario::error(404, "no model `test-model`"), ModelErrorKind::UnknownModel, "`model`"),
    ] {
        let server = ChatServer::start(move |_| answer.clone().after(Duration::from_millis(20)));
        let backend = open(OpenAiSettings { max_concurrency: 3, ..settings(&server) });
        let answers = ask(&[backend], 200, 50);
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.hint().unwrap().contains(hint), "{error}");
        }
        let sent = server.requests().len();
        assert!(sent <= 3, "{sent} requests were sent");
    }
}

#[test]
fn an_unknown_model_of_one_role_leaves_the_other_alone() {
    let server = ChatServer::start(|request| match request.body["model"].as_str() {
        Some("none") => Scenario::error(404, "no such model"),
        _ => Scenario::text("2"),
    });
    let wrong = open(OpenAiSettings { model: "none".into(), ..settings(&server) });
    let right = open(settings(&server));
    let runtime = runtime();
    let request = question(Role::Assistant, 0);
    assert_eq!(runtime.block_on(wrong.chat(&request)).unwrap_err().kind(), ModelErrorKind::UnknownModel);
    assert_eq!(runtime.block_on(right.chat(&request)).unwrap().text, "2");
}

#[test]
fn a_wait_for_a_place_is_not_taken_off_the_deadline() {
    let server = ChatServer::start(|request| Scenario::text(request.question()).after(Duration::from_millis(60)));
    let deadline = Duration::from_millis(1000);
    let backend = open(OpenAiSettings { max_concurrency: 1, deadline, ..settings(&server) });
    // The last waits for more than its deadline.
    let begun = Instant::now();
    let answers = ask(&[backend], 20, 20);
    check_all_answered(&server, &answers, 0);
    assert!(begun.elapsed() > deadline);
}

#[test]
fn requests_that_are_given_up_free_their_place() {
    let server = ChatServer::start(|request| match request.number {
        ..4 => Scenario::text("late").after(Duration::from_secs(5)),
        _ => Scenario::text(request.question()),
    });
    let backend = open(OpenAiSettings { max_concurrency: 4, ..settings(&server) });
    let runtime = runtime();
    let given_up: Vec<_> = (0..50)
        .map(|number| {
            let backend = Arc::clone(&backend);
            runtime.spawn(async move {
                let request = question(Role::Assistant, number);
                tokio::time::timeout(Duration::from_millis(100), backend.chat(&request)).await.is_err()
            })
        })
        .collect();
    for one in given_up {
        assert!(runtime.block_on(one).unwrap());
    }
    let begun = Instant::now();
    assert!(ask(&[Arc::clone(&backend)], 8, 8).iter().all(Result::is_ok));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(backend.concurrency().unwrap().under_way, 0);
}

#[test]
fn an_answer_byte_by_byte_is_given_up_in_time() {
    let pause = Duration::from_millis(20);
    for slow in [Scenario::text("2").slow_head(pause), Scenario::text("2").slow_body(pause)] {
        let server = ChatServer::start(move |_| slow.clone());
        let (request_timeout, deadline) = (Duration::from_millis(150), Duration::from_millis(400));
        let backend = open(OpenAiSettings { request_timeout, deadline, ..settings(&server) });
        let begun = Instant::now();
        for answer in ask(&[backend], 8, 8) {
            assert_eq!(answer.unwrap_err().kind(), ModelErrorKind::TimedOut);
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[test]
fn an_answer_byte_by_byte_that_ends_in_time_is_an_answer() {
    let pause = Duration::from_micros(100);
    for slow in [Scenario::text("2").slow_head(pause), Scenario::text("2").slow_body(pause)] {
        let server = ChatServer::play([slow]);
        let answers = ask(&[open(settings(&server))], 1, 1);
        assert_eq!(answers[0].as_ref().unwrap().text, "2");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn wrong_answers_among_good_ones_are_told_apart_and_paid_once() {
    let server = ChatServer::start(|request| match request.number % 5 {
        0 => Scenario::json(&json!({ "choices": [] })),
        1 => Scenario::status(200, "{\"choices\": [{\"message\": {\"content\": \"ha"),
        2 => Scenario::json(&json!({ "choices": [{ "message": { "content": ["x", { "text": 3 }] } }] })),
        3 => Scenario::json(&json!([])),
        _ => Scenario::text(request.question()),
    });
    let answers = ask(&[open(settings(&server))], 100, 16);
    let bad = answers.iter().filter(|answer| answer.as_ref().is_err_and(|e| e.kind() == ModelErrorKind::BadReply));
    assert_eq!(bad.count(), 60);
    assert!(times_asked(&server).values().all(|times| *times == 1));
}

#[test]
fn truncated_answers_are_asked_for_again_and_nothing_else_is() {
    let server = ChatServer::start(|request| match request.number {
        number if number < 30 && number % 2 == 0 => Scenario::text(request.question()).cut_in_body(),
        number if number < 30 => Scenario::text(request.question()).cut_before(),
        _ => Scenario::text(request.question()),
    });
    let answers = ask(&[open(settings(&server))], 60, 10);
    check_all_answered(&server, &answers, 30);
}

/// Figure: 256 calls of 20 ms, sixteen at once, are 320 ms at best.
#[test]
fn the_limit_does_not_get_in_the_way_of_sixteen_at_once() {
    let server = ChatServer::start(|request| Scenario::text(request.question()).after(Duration::from_millis(20)));
    let backend = open(OpenAiSettings { api_key: ApiKey::new("sk-figure"), ..settings(&server) });
    ask(&[Arc::clone(&backend)], 16, 16);
    let begun = Instant::now();
    let answers = ask(&[Arc::clone(&backend)], 256, 16);
    let took = begun.elapsed();
    assert!(answers.iter().all(Result::is_ok));
    println!("256 calls of 20 ms at 16 at once: {took:?}");
    // Loose, since debug builds of other tests run beside this one: the limit alone would at 8 at once double the time.
    assert!(took < Duration::from_millis(620), "{took:?}");
}
