//! Vectors of texts from an endpoint on a real socket: every good answer, every fault, every bound, and what is shared with the
//! chats there.
//!
//! What an answer may hold is a table in `greensand-llm`; whole runs with vectors are in `embeddings.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::time::Duration;

use greensand_llm::{
    ApiKey, BackendSettings, ChatRequest, EmbeddingRequest, Embeddings, ModelError, ModelErrorKind, OpenAiSettings,
    Role, Sampling, open_backend, open_embeddings,
};
use greensand_tests::chat_server::{ChatServer, Scenario};
use greensand_types::Message;
use serde_json::json;

const KEY: &str = "sk-test-9b1f6c2e";

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

fn settings(server: &ChatServer) -> OpenAiSettings {
    OpenAiSettings {
        api_key: ApiKey::new(KEY),
        first_backoff: Duration::from_millis(1),
        request_timeout: Duration::from_secs(20),
        deadline: Duration::from_secs(30),
        ..OpenAiSettings::new(server.base_url(), "test-embedder")
    }
}

fn texts(texts: &[&str]) -> EmbeddingRequest {
    EmbeddingRequest { epoch: 0, texts: texts.iter().map(|text| (*text).to_owned()).collect() }
}

/// Plays scenarios to a request for the vectors of two texts; says what came of it and how many requests it took.
fn play(scenarios: impl IntoIterator<Item = Scenario>) -> (Result<Embeddings, ModelError>, usize) {
    let server = ChatServer::play(scenarios);
    let model = open_embeddings(settings(&server)).unwrap();
    let answer = block_on(model.embed(&texts(&["a", "b"])));
    (answer, server.requests().len())
}

#[test]
fn texts_are_sent_to_the_route_of_embeddings_and_come_back_as_vectors() {
    let server = ChatServer::play([Scenario::vectors(6, [&[1.0, 0.0][..], &[0.5, 0.25]])]);
    let model = open_embeddings(settings(&server)).unwrap();
    let embeddings = block_on(model.embed(&texts(&["a", "b"]))).unwrap();
    assert_eq!(embeddings.vectors, [[1.0, 0.0], [0.5, 0.25]]);
    assert_eq!((embeddings.usage.requests, embeddings.usage.prompt_tokens), (1, 6));
    let sent = server.requests().remove(0);
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/v1/embeddings"));
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(sent.body, json!({ "model": "test-embedder", "input": ["a", "b"] }));
    assert_eq!(model.label(), "openai_compatible test-embedder");
    assert_eq!(model.identity(), format!("openai_compatible {}/embeddings test-embedder", server.base_url()));
}

#[test]
fn answers_of_a_wrong_shape_are_refused_with_their_reason_and_not_asked_for_again() {
    for (scenario, reason) in [
        (Scenario::vectors(6, [&[1.0][..]]), "it has 1 vectors for 2 texts"),
        (Scenario::vectors(6, [&[1.0][..], &[1.0, 2.0]]), "vector 1 has 2 numbers, and vector 0 has 1"),
        (Scenario::vectors(6, [&[1.0][..], &[0.0]]), "vector 1 is zero"),
        (Scenario::vectors(6, [&[1.0][..], &[]]), "vector 1 has 0 numbers"),
        (Scenario::text("hello"), "it has no `data`"),
        (
            Scenario::json(&json!({ "data": [{ "embedding": "AACAPw==" }, { "embedding": "AACAPw==" }] })),
            "invalid type",
        ),
        (Scenario::status(200, r#"{"data":[{"embedding":[1e999]},{"embedding":[1]}]}"#), "out of range"),
        (Scenario::status(200, "<html>"), "expected value"),
    ] {
        let (answer, requests) = play([scenario]);
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), requests), (ModelErrorKind::BadReply, 1), "{error}");
        let text = error.to_string();
        assert!(text.contains("is not a list of embeddings") && text.contains(reason), "{text}");
        assert!(error.hint().unwrap().contains("embeddings"), "{:?}", error.hint());
    }
}

#[test]
fn rate_limits_and_broken_connections_are_tried_again_and_a_wrong_key_is_not() {
    let good = Scenario::vectors(6, [&[1.0][..], &[2.0]]);
    let slow_down = Scenario::error(429, "slow down").header("retry-after", "0");
    let (answer, requests) = play([slow_down, Scenario::status(503, ""), good.clone().cut_in_body(), good]);
    assert_eq!((answer.unwrap().vectors.len(), requests), (2, 4));
    let (answer, requests) = play([Scenario::error(401, "who are you?")]);
    assert_eq!((answer.unwrap_err().kind(), requests), (ModelErrorKind::Authentication, 1));
    let (answer, _) = play([Scenario::error(400, "the input is too large to process")]);
    let error = answer.unwrap_err();
    assert_eq!(
        (error.kind(), error.hint()),
        (ModelErrorKind::ContextOverflow, Some("lower `embeddings.max_text_bytes`"))
    );
}

#[test]
fn an_answer_beyond_its_bound_is_not_read() {
    let server = ChatServer::start(|_| Scenario::status(200, &"[1.0, 2.0, 3.0],".repeat(1000)).endless());
    let model = open_embeddings(OpenAiSettings { max_reply_bytes: 100_000, ..settings(&server) }).unwrap();
    let error = block_on(model.embed(&texts(&["a"]))).unwrap_err();
    assert!(error.to_string().contains("larger than 100000 bytes"), "{error}");
    assert_eq!(error.hint(), Some("raise `max_reply_bytes`"));
}

/// Whoever speaks to an endpoint with a key shares its limit and its breaker, whatever is asked.
#[test]
fn chats_and_vectors_of_one_endpoint_share_its_gate() {
    let question = ChatRequest {
        role: Role::Assistant,
        task: None,
        turn: 0,
        epoch: 0,
        repeat: 0,
        functions: Vec::new(),
        messages: vec![Message::User { text: "q".into() }],
        tools: Vec::new(),
        sampling: Sampling::default(),
    };
    let server = ChatServer::start(|request| match request.path.as_str() {
        "/v1/embeddings" if request.number > 20 => Scenario::error(401, "the key was withdrawn"),
        "/v1/embeddings" => Scenario::vectors(6, [&[1.0][..]]).after(Duration::from_millis(2)),
        _ => Scenario::text("a").after(Duration::from_millis(2)),
    });
    let narrow = || OpenAiSettings { max_concurrency: 1, ..settings(&server) };
    let chats = open_backend(BackendSettings::OpenAiCompatible(narrow())).unwrap();
    let vectors = open_embeddings(narrow()).unwrap();
    let text = texts(&["a"]);
    block_on(async {
        let both = (0..10).map(|_| async {
            let (chat, vector) = tokio::join!(chats.chat(&question), vectors.embed(&text));
            chat.unwrap();
            vector.unwrap();
        });
        futures::future::join_all(both).await;
    });
    assert!(server.requests().iter().all(|request| request.at_once == 1));
    assert_eq!(server.requests().len(), 20);
    block_on(chats.chat(&question)).unwrap();
    assert_eq!(block_on(vectors.embed(&text)).unwrap_err().kind(), ModelErrorKind::Authentication);
    let error = block_on(chats.chat(&question)).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Authentication, "{error}");
    assert_eq!(server.requests().len(), 22, "nothing is sent to an endpoint that refused the key");
}
