//! A server that speaks the wire formats of chat completions and embeddings over a real socket, for tests.
//!
//! A [`ChatServer`] asks a closure, or a list, for a [`Scenario`] per request and plays it: a reply with text or calls, any
//! status with any headers and body, a connection that is cut, an answer that is late or never ends. It keeps every
//! [`RecordedRequest`]. It runs on threads of its own, so that it serves async tests, blocking tests and whole programs
//! alike, and stops when it is dropped.
//!
//! ```
//! use greensand_tests::chat_server::{ChatServer, Scenario};
//!
//! let server = ChatServer::start(|request| match request.tool_names().first() {
//!     Some(name) if request.last_role() == "user" => Scenario::calls([(name.as_str(), "{}")]),
//!     _ => Scenario::text("done"),
//! });
//! assert!(server.base_url().starts_with("http://127.0.0.1:"));
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a connection may be idle; a test that waits longer has failed anyway.
const IDLE: Duration = Duration::from_secs(60);

/// The largest request that is read.
const MAX_REQUEST_BYTES: u64 = 64 << 20;

/// What the server does with one request.
#[derive(Debug, Clone)]
pub struct Scenario {
    delay: Duration,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    ending: Ending,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The whole body is sent, and the connection stays open.
    Whole,
    /// The connection is closed in the middle of the body.
    CutInBody,
    /// The connection is closed before the first byte.
    CutBefore,
    /// The body goes on until the client hangs up.
    Endless,
    /// The head comes byte by byte, each after a while.
    SlowHead(Duration),
    /// The body comes byte by byte, each after a while.
    SlowBody(Duration),
}

impl Scenario {
    /// A reply that is text and nothing else.
    pub fn text(text: &str) -> Self {
        Self::message(json!({ "role": "assistant", "content": text }), "stop")
    }

    /// A reply that asks for calls: names and arguments as text, well-formed or not.
    pub fn calls<'a>(calls: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let calls: Vec<_> = calls
            .into_iter()
            .enumerate()
            .map(|(index, (name, arguments))| {
                json!({ "id": format!("call_{}", index + 1), "type": "function",
                        "function": { "name": name, "arguments": arguments } })
            })
            .collect();
        Self::message(json!({ "role": "assistant", "content": null, "tool_calls": calls }), "tool_calls")
    }

    /// A reply with a message of the caller's making, and the reason why it ended.
    pub fn message(message: Value, finish_reason: &str) -> Self {
        Self::json(&json!({
            "id": "chatcmpl-test", "object": "chat.completion", "created": 1_700_000_000, "model": "test",
            "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason }],
            "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
        }))
    }

    /// A list of vectors in the order of their texts, and the tokens that they are said to have taken.
    pub fn vectors<'a>(tokens: u64, vectors: impl IntoIterator<Item = &'a [f64]>) -> Self {
        let entry = |(index, vector)| json!({ "object": "embedding", "index": index, "embedding": vector });
        let data: Vec<_> = vectors.into_iter().enumerate().map(entry).collect();
        let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
        Self::json(&json!({ "object": "list", "model": "test", "data": data, "usage": usage }))
    }

    /// Any JSON body with status 200.
    pub fn json(body: &Value) -> Self {
        Self::status(200, &body.to_string())
    }

    /// Any status with any body.
    pub fn status(status: u16, body: &str) -> Self {
        Self { delay: Duration::ZERO, status, headers: Vec::new(), body: body.to_owned(), ending: Ending::Whole }
    }

    /// An error in the usual form.
    pub fn error(status: u16, message: &str) -> Self {
        Self::status(status, &json!({ "error": { "message": message, "type": "error", "code": null } }).to_string())
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Answers only after a while.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Closes the connection in the middle of the body.
    #[must_use]
    pub fn cut_in_body(mut self) -> Self {
        self.ending = Ending::CutInBody;
        self
    }

    /// Closes the connection instead of answering.
    #[must_use]
    pub fn cut_before(mut self) -> Self {
        self.ending = Ending::CutBefore;
        self
    }

    /// Repeats the body until the client hangs up.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.ending = Ending::Endless;
        self
    }
}

impl Scenario {
    /// Sends the head byte by byte, with a pause before each.
    #[must_use]
    pub fn slow_head(mut self, pause: Duration) -> Self {
        self.ending = Ending::SlowHead(pause);
        self
    }

    /// Sends the body byte by byte, with a pause before each.
    #[must_use]
    pub fn slow_body(mut self, pause: Duration) -> Self {
        self.ending = Ending::SlowBody(pause);
        self
    }
}

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// How many requests came before it.
    pub number: usize,
    /// How many requests were being answered as it came, this one among them.
    pub at_once: usize,
    /// When it came, since the server was started.
    pub at: Duration,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; `null` when it is not JSON.
    pub body: Value,
}

impl RecordedRequest {
    /// Returns a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the messages of the conversation.
    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Returns the role of the last message.
    pub fn last_role(&self) -> &str {
        self.messages().last().and_then(|message| message["role"].as_str()).unwrap_or("")
    }

    /// Returns the text of the last message.
    pub fn last_text(&self) -> &str {
        self.messages().last().and_then(|message| message["content"].as_str()).unwrap_or("")
    }

    /// Returns the text of the first message of the user.
    pub fn question(&self) -> &str {
        let question = self.messages().iter().find(|message| message["role"] == "user");
        question.and_then(|message| message["content"].as_str()).unwrap_or("")
    }

    /// Returns the texts that vectors are asked of.
    pub fn texts(&self) -> Vec<String> {
        let texts = self.body["input"].as_array().map_or(&[][..], Vec::as_slice);
        texts.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Returns the names of the tools that the model may call.
    pub fn tool_names(&self) -> Vec<String> {
        let tools = self.body["tools"].as_array().map_or(&[][..], Vec::as_slice);
        tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).map(str::to_owned).collect()
    }
}

type Answer = dyn Fn(&RecordedRequest) -> Scenario + Send + Sync;

/// A running server. Dropping it closes every connection.
pub struct ChatServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    answer: Box<Answer>,
    recorded: Mutex<Vec<RecordedRequest>>,
    being_answered: AtomicUsize,
    started: Instant,
    /// Every connection that was taken, to be closed at the end.
    connections: Mutex<Vec<TcpStream>>,
    is_stopped: AtomicBool,
}

impl ChatServer {
    /// Starts a server that asks a closure for each answer. The closure may be called from several threads at once.
    pub fn start(answer: impl Fn(&RecordedRequest) -> Scenario + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a local port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            recorded: Mutex::default(),
            being_answered: AtomicUsize::new(0),
            started: Instant::now(),
            connections: Mutex::default(),
            is_stopped: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let listener = thread::spawn(move || serve(&listener, &serving));
        Self { shared, address, listener: Some(listener) }
    }

    /// Starts a server that plays scenarios in the order in which requests come; what comes after the last is refused.
    pub fn play(scenarios: impl IntoIterator<Item = Scenario>) -> Self {
        let scenarios: Vec<_> = scenarios.into_iter().collect();
        Self::start(move |request| match scenarios.get(request.number) {
            Some(scenario) => scenario.clone(),
            None => Scenario::error(418, "the list of scenarios is at its end"),
        })
    }

    /// Returns the base of the address, as settings want it.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Returns the requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        lock(&self.shared.recorded).clone()
    }
}

impl Drop for ChatServer {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        // The listener looks at the flag when a connection comes.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
        for connection in lock(&self.shared.connections).drain(..) {
            drop(connection.shutdown(Shutdown::Both));
        }
        if let Some(listener) = self.listener.take() {
            drop(listener.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.is_stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        if let Ok(handle) = connection.try_clone() {
            lock(&shared.connections).push(handle);
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A client that hangs up in the middle is part of some tests; the server goes on.
            drop(converse(&connection, &shared));
            drop(connection.shutdown(Shutdown::Both));
        });
    }
}

/// Answers the requests of one connection, one after the other.
fn converse(connection: &TcpStream, shared: &Shared) -> io::Result<()> {
    connection.set_read_timeout(Some(IDLE))?;
    connection.set_write_timeout(Some(IDLE))?;
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection);
    while let Some(mut request) = read_request(&mut reader)? {
        let answering = Answering::begin(shared);
        {
            let mut recorded = lock(&shared.recorded);
            request.number = recorded.len();
            request.at_once = answering.at_once;
            request.at = shared.started.elapsed();
            recorded.push(request.clone());
        }
        let scenario = (shared.answer)(&request);
        thread::sleep(scenario.delay);
        // Counted as answered before the client can know of it.
        drop(answering);
        if answer(connection, &scenario)? != Ending::Whole {
            return Ok(());
        }
    }
    Ok(())
}

/// A request that is being answered.
struct Answering<'a> {
    shared: &'a Shared,
    at_once: usize,
}

impl<'a> Answering<'a> {
    fn begin(shared: &'a Shared) -> Self {
        Self { shared, at_once: shared.being_answered.fetch_add(1, Ordering::SeqCst) + 1 }
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.shared.being_answered.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sends bytes one by one, until the client hangs up.
fn trickle(mut connection: &TcpStream, bytes: &[u8], pause: Duration) -> io::Result<()> {
    for byte in bytes {
        thread::sleep(pause);
        connection.write_all(&[*byte])?;
    }
    Ok(())
}

fn answer(mut connection: &TcpStream, scenario: &Scenario) -> io::Result<Ending> {
    let Scenario { status, headers, body, ending, .. } = scenario;
    let mut head = format!("HTTP/1.1 {status} Scenario\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match ending {
        Ending::Whole | Ending::CutInBody | Ending::SlowHead(_) | Ending::SlowBody(_) => {
            head.push_str(&format!("content-length: {}\r\n\r\n", body.len()))
        }
        Ending::Endless => head.push_str("transfer-encoding: chunked\r\n\r\n"),
        Ending::CutBefore => return Ok(*ending),
    }
    match ending {
        Ending::SlowHead(pause) => trickle(connection, head.as_bytes(), *pause)?,
        Ending::Whole | Ending::CutInBody | Ending::CutBefore | Ending::Endless | Ending::SlowBody(_) => {
            connection.write_all(head.as_bytes())?;
        }
    }
    match ending {
        Ending::Whole | Ending::SlowHead(_) => connection.write_all(body.as_bytes())?,
        Ending::SlowBody(pause) => trickle(connection, body.as_bytes(), *pause)?,
        Ending::CutInBody => connection.write_all(&body.as_bytes()[..body.len() / 2])?,
        Ending::Endless => loop {
            connection.write_all(format!("{:x}\r\n{body}\r\n", body.len()).as_bytes())?;
        },
        Ending::CutBefore => {}
    }
    connection.flush()?;
    Ok(*ending)
}

/// Reads one request, or nothing when the client is done.
fn read_request(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<RecordedRequest>> {
    let Some(start) = read_line(reader)? else { return Ok(None) };
    let mut words = start.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse::<u64>().ok()).unwrap_or(0);
    if length > MAX_REQUEST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the request is too large"));
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(RecordedRequest { number: 0, at_once: 0, at: Duration::ZERO, method, path, headers, body }))
}

fn read_line(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.by_ref().take(64 << 10).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}
