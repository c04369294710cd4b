use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::executor::block_on;
use futures::stream::{self, StreamExt};
use greensand_types::{CallOutcome, CallStatus, FunctionRuntime, Invocation, JsonText, Limits, Tenant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::answer::{fault_answer, outcome_answer};
use super::line::{LineRead, MAX_LINE_BYTES, read_line};
use super::request::{BadRequest, Request, null};
use crate::Interrupt;

/// How a batch is run. The defaults: one call at a time, 256 MiB ahead, answers in the order of the requests.
#[derive(Debug, Clone)]
pub struct BatchSettings {
    /// How many calls of one tenant are given to the runtime at once; more than it has workers keeps them busy, and the
    /// runtime lets tenants take turns.
    pub jobs: usize,
    /// How much may be held of requests and their answers that wait for an earlier one: the length of each line and
    /// the most that its limits let it answer, together.
    pub ahead_bytes: usize,
    /// In which order answers are written.
    pub order: AnswerOrder,
    /// The guest languages that there are, for the message about one that there is not.
    pub languages: Vec<String>,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self { jobs: 1, ahead_bytes: 256 << 20, order: AnswerOrder::default(), languages: Vec::new() }
    }
}

/// In which order answers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AnswerOrder {
    /// That of the requests.
    #[default]
    Requests,
    /// Each as soon as it is there: a long call keeps back nobody's answer.
    Ready,
}

/// What a batch came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchSummary {
    /// Lines that were answered; blank ones are not.
    pub answers: u64,
    /// Answers of each class, in the order of [`CallStatus::ALL`].
    pub statuses: [u64; CallStatus::ALL.len()],
    /// Lines that met a fault of the host instead of an outcome.
    pub faults: u64,
    /// The first such fault, with its causes.
    pub first_fault: Option<String>,
    /// Whether it was stopped before the end of the input; what was under way then has no answer.
    pub is_interrupted: bool,
}

/// A batch that could not be read or answered to its end.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The input broke off. Every line before was answered.
    #[error("read line {line} of the requests")]
    Read {
        /// The line that could not be read, from 1.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// The answers could not be written.
    #[error("write an answer")]
    Write(#[source] io::Error),
}

/// More answers than this never wait for an earlier one, however small they are.
const MAX_AHEAD: usize = 4096;

/// Lines that wait between the reading thread and the calls, and the bytes that they have together.
const LINES_BETWEEN: usize = 64;
const BYTES_BETWEEN: usize = 2 * MAX_LINE_BYTES;

/// Answers every request of the input; ends with the input, or soon after the interrupt, which stops what is under way.
///
/// Answers are flushed whenever the next one is not ready, so that a caller may send one request, read its answer, and
/// go on. The input is read on a thread of its own, which ends with the input or, after an error, with the next line.
///
/// # Errors
/// When the input cannot be read or the output cannot be written. Faults of functions and of lines are answers; faults
/// of the host are answers too, and are counted in the summary.
pub async fn run_batch(
    input: impl BufRead + Send + 'static,
    mut output: impl Write,
    runtime: &dyn FunctionRuntime,
    settings: &BatchSettings,
    interrupt: &Interrupt,
) -> Result<BatchSummary, BatchError> {
    let room = Room::of(settings.ahead_bytes);
    let slots = Slots::new(settings.jobs);
    let mut lines = read_ahead(input);
    let mut broken_off = None;
    // The lines before the one that could not be read have their answers first.
    let answers = stream::poll_fn(|context| {
        lines.poll_recv(context).map(|line| line?.map_err(|error| broken_off = Some(error)).ok())
    })
    .then(|line| admit(line, runtime, settings, &room))
    .map(|admitted| answer(admitted, runtime, &slots));
    let answers = match settings.order {
        AnswerOrder::Requests => answers.buffered(MAX_AHEAD).left_stream(),
        AnswerOrder::Ready => answers.buffer_unordered(MAX_AHEAD).right_stream(),
    };
    let mut answers = Box::pin(answers.take_until(interrupt.raised()));

    let mut summary = BatchSummary::default();
    loop {
        let next = match answers.next().now_or_never() {
            Some(ready) => ready,
            None => {
                output.flush().map_err(BatchError::Write)?;
                answers.next().await
            }
        };
        let Some(answer) = next else { break };
        output.write_all(answer.text.as_bytes()).map_err(BatchError::Write)?;
        summary.count(answer.kind);
    }
    output.flush().map_err(BatchError::Write)?;
    drop(answers);
    summary.is_interrupted = interrupt.is_raised();
    broken_off.map_or(Ok(summary), Err)
}

/// What stands on one line.
struct AskedLine {
    bytes: usize,
    asked: Result<Request, BadRequest>,
    /// The room that it takes until it has room among the calls.
    _between: OwnedSemaphorePermit,
}

/// A line that has its room, ready to be answered.
struct Admitted {
    id: JsonText,
    call: Result<Box<Invocation>, String>,
    room: OwnedSemaphorePermit,
}

/// The answer to one line, with the room that it takes until it is written.
struct Answer {
    text: String,
    kind: AnswerKind,
    _room: OwnedSemaphorePermit,
}

enum AnswerKind {
    Outcome(CallStatus),
    Fault(String),
}

/// Reads and parses lines on a thread of its own: reading blocks, and answers must not wait for it.
fn read_ahead(mut input: impl BufRead + Send + 'static) -> mpsc::Receiver<Result<AskedLine, BatchError>> {
    let (sender, receiver) = mpsc::channel(LINES_BETWEEN);
    let between = Room::of(BYTES_BETWEEN);
    std::thread::spawn(move || {
        let mut buffer = Vec::new();
        for number in 1.. {
            let line = match read_line(&mut input, &mut buffer, MAX_LINE_BYTES) {
                Ok(LineRead::End) => break,
                Ok(LineRead::TooLong) => Ok(too_long(number, block_on(between.take(0)))),
                Ok(LineRead::Line) if buffer.trim_ascii().is_empty() => continue,
                // Lines that nobody takes any more give their room back as they are dropped.
                Ok(LineRead::Line) => Ok(asked(number, &buffer, block_on(between.take(buffer.len())))),
                Err(source) => Err(BatchError::Read { line: number, source }),
            };
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                break;
            }
            buffer.shrink_to(KEPT_BUFFER_BYTES);
        }
    });
    receiver
}

/// What a reading thread keeps of its buffer from one line to the next.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

fn asked(number: u64, line: &[u8], between: OwnedSemaphorePermit) -> AskedLine {
    let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
    let asked = Request::parse(line).map(|request| request.at_line(number)).map_err(|bad| bad.at_line(number));
    AskedLine { bytes: line.len(), asked, _between: between }
}

fn too_long(number: u64, between: OwnedSemaphorePermit) -> AskedLine {
    let bad = BadRequest::new(null(), format!("is longer than {} MiB", MAX_LINE_BYTES >> 20));
    AskedLine { bytes: 0, asked: Err(bad.at_line(number)), _between: between }
}

/// Waits until there is room for a line and for the largest answer that it may have.
async fn admit(line: AskedLine, runtime: &dyn FunctionRuntime, settings: &BatchSettings, room: &Room) -> Admitted {
    let AskedLine { bytes, asked, _between } = line;
    let prepared = asked.and_then(|request| request.into_invocation(runtime, &settings.languages));
    match prepared {
        Ok((id, invocation)) => {
            let answer_bytes = most_answered(&invocation.limits);
            Admitted { id, call: Ok(Box::new(invocation)), room: room.take(bytes.saturating_add(answer_bytes)).await }
        }
        Err(bad) => {
            let kept = bad.id.get().len() + bad.message.len();
            Admitted { id: bad.id, call: Err(bad.message), room: room.take(kept).await }
        }
    }
}

fn most_answered(limits: &Limits) -> usize {
    let bytes = limits.max_result_bytes.saturating_add(limits.max_stdout_bytes).saturating_add(limits.max_stderr_bytes);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

async fn answer(admitted: Admitted, runtime: &dyn FunctionRuntime, slots: &Slots) -> Answer {
    let Admitted { id, call, room } = admitted;
    let outcome = match call {
        Err(message) => Ok(CallOutcome::invalid(message)),
        Ok(invocation) => {
            let _slot = slots.take(&invocation.tenant).await;
            runtime.invoke(*invocation).await
        }
    };
    let (mut text, kind) = match outcome {
        Ok(outcome) => (outcome_answer(&id, &outcome), AnswerKind::Outcome(outcome.status())),
        Err(fault) => (fault_answer(&id, &fault), AnswerKind::Fault(crate::causes::with_causes(&fault))),
    };
    text.push('\n');
    Answer { text, kind, _room: room }
}

/// How many calls each tenant may have under way; tenants without any are not remembered.
struct Slots {
    jobs: usize,
    tenants: Mutex<HashMap<Tenant, Arc<Semaphore>>>,
}

/// A call of a tenant that is under way, or waits to be.
struct Slot<'a> {
    slots: &'a Slots,
    tenant: Tenant,
    semaphore: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    fn new(jobs: usize) -> Self {
        Self { jobs: jobs.max(1), tenants: Mutex::default() }
    }

    /// Waits until the tenant may have one more call under way.
    async fn take(&self, tenant: &Tenant) -> Slot<'_> {
        let semaphore = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            tenants.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.jobs))).clone()
        };
        let mut slot = Slot { slots: self, tenant: tenant.clone(), semaphore, permit: None };
        slot.permit = Some(slot.semaphore.clone().acquire_owned().await.expect("the slots are never closed"));
        slot
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.permit = None;
        let mut tenants = self.slots.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        // The map and this slot: nobody else has a call of the tenant.
        if Arc::strong_count(&self.semaphore) == 2 {
            tenants.remove(&self.tenant);
        }
    }
}

/// The room for what waits, in KiB.
struct Room {
    all: u32,
    free: Arc<Semaphore>,
}

impl Room {
    fn of(bytes: usize) -> Self {
        let all = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).max(1);
        Self { all, free: Arc::new(Semaphore::new(all as usize)) }
    }

    /// Takes room; what is larger than the whole takes the whole, and so goes alone.
    async fn take(&self, bytes: usize) -> OwnedSemaphorePermit {
        let share = u32::try_from((bytes >> 10) + 1).unwrap_or(u32::MAX).min(self.all);
        Arc::clone(&self.free).acquire_many_owned(share).await.expect("the room is never closed")
    }
}

impl BatchSummary {
    fn count(&mut self, kind: AnswerKind) {
        self.answers += 1;
        match kind {
            AnswerKind::Outcome(status) => self.statuses[status as usize] += 1,
            AnswerKind::Fault(message) => {
                self.faults += 1;
                self.first_fault.get_or_insert(message);
            }
        }
    }

    /// Returns how many answers are of a class.
    pub fn of_status(&self, status: CallStatus) -> u64 {
        self.statuses[status as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use greensand_types::{
        BoxFuture, CallEnding, CallUsage, DescribeOutcome, Failure, HostFault, KeptText, Language, SourceText,
    };

    use super::*;

    /// A runtime whose functions are told by their source: `echo` returns its arguments, `wait N` does so after N ms,
    /// `fail` raises, `fault` is a fault of the host.
    #[derive(Default)]
    struct Parrot {
        running: AtomicUsize,
        most_running: AtomicUsize,
    }

    impl FunctionRuntime for Parrot {
        fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
            Box::pin(async move {
                let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
                self.most_running.fetch_max(running, Ordering::SeqCst);
                let mut words = invocation.source.text.split(' ');
                let ending = match words.next() {
                    Some("fail") => CallEnding::Raised(Failure::new("it failed")),
                    Some("fault") => return Err(HostFault::new("the host failed")),
                    _ => CallEnding::Returned(invocation.arguments),
                };
                if let Some(milliseconds) = words.next() {
                    tokio::time::sleep(Duration::from_millis(milliseconds.parse().unwrap())).await;
                }
                self.running.fetch_sub(1, Ordering::SeqCst);
                let (stdout, stderr) = (KeptText::default(), KeptText::default());
                Ok(CallOutcome { ending, stdout, stderr, usage: CallUsage::default() })
            })
        }

        fn compile(&self, _: SourceText, _: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
            unreachable!("a batch compiles nothing")
        }

        fn describe(&self, _: SourceText, _: String, _: Limits) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
            unreachable!("a batch describes nothing")
        }

        fn default_limits(&self, language: &Language) -> Option<Limits> {
            (language.as_str() == "parrot").then_some(Limits::DEFAULT)
        }
    }

    /// Writes what others may look at while the batch runs.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shared {
        fn lines(&self) -> Vec<serde_json::Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    fn settings(jobs: usize, ahead_bytes: usize) -> BatchSettings {
        BatchSettings { jobs, ahead_bytes, languages: vec!["parrot".into()], ..BatchSettings::default() }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// Runs a batch over an input; gives the answers and the summary.
    fn check(input: &str, settings: &BatchSettings) -> (Vec<serde_json::Value>, BatchSummary, usize) {
        let (runtime, output) = (Parrot::default(), Shared::default());
        let input = io::Cursor::new(input.to_owned());
        let summary = block_on(run_batch(input, output.clone(), &runtime, settings, &Interrupt::new())).unwrap();
        (output.lines(), summary, runtime.most_running.load(Ordering::SeqCst))
    }

    fn request(id: u64, source: &str) -> String {
        format!(r#"{{"id": {id}, "language": "parrot", "source": "{source}", "entry": "f", "args": [{id}]}}"#) + "\n"
    }

    #[test]
    fn answers_come_in_the_order_of_the_requests() {
        let input: String = (0..40).map(|id| request(id, &format!("wait {}", (40 - id) % 7 * 3))).collect();
        for (jobs, ahead_bytes) in [(1, 1 << 30), (8, 1 << 30), (8, 3 << 20), (8, 1)] {
            let (answers, summary, most_running) = check(&input, &settings(jobs, ahead_bytes));
            let ids: Vec<_> = answers.iter().map(|answer| answer["value"][0].as_u64().unwrap()).collect();
            assert_eq!(ids, (0..40).collect::<Vec<_>>());
            assert_eq!((summary.answers, summary.of_status(CallStatus::Ok)), (40, 40));
            assert!(most_running <= jobs, "{most_running} calls ran at once");
            if ahead_bytes == 1 {
                assert_eq!(most_running, 1, "there was room for one");
            }
        }
    }

    #[test]
    fn a_bad_line_is_answered_and_the_rest_goes_on() {
        let input = format!(
            "\u{feff}{}nonsense\n\n   \n{}{}{}",
            request(1, "echo"),
            request(2, "fail"),
            r#"{"id": "x"}
"#,
            request(3, "echo").replace("parrot", "parott")
        );
        let (answers, summary, _) = check(&input, &settings(2, 1 << 20));
        let statuses: Vec<_> = answers.iter().map(|answer| answer["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["ok", "invalid", "error", "invalid", "invalid"]);
        assert_eq!(answers[1]["id"], serde_json::Value::Null);
        assert!(answers[1]["error"]["message"].as_str().unwrap().starts_with("line 2 is not JSON"));
        assert_eq!(answers[3]["id"], "x");
        assert_eq!(answers[3]["error"]["message"], "line 6 has no `language`");
        assert_eq!(
            answers[4]["error"]["message"],
            "line 7 asks for `parott`, which is no guest language: use `parrot`; did you mean `parrot`?"
        );
        assert_eq!(summary.of_status(CallStatus::Invalid), 3);
    }

    #[test]
    fn a_line_that_is_too_long_is_answered() {
        let input = format!("{}{}\n{}", request(1, "echo"), "x".repeat(MAX_LINE_BYTES + 1), request(2, "echo"));
        let (answers, ..) = check(&input, &settings(1, 1 << 20));
        assert_eq!(answers[1]["error"]["message"], "line 2 is longer than 16 MiB");
        assert_eq!(answers[2]["id"], 2);
    }

    #[test]
    fn a_fault_of_the_host_costs_only_its_line_and_is_counted() {
        let input = request(1, "fault") + &request(2, "echo");
        let (answers, summary, _) = check(&input, &settings(1, 1 << 20));
        assert_eq!((answers[0]["status"].as_str(), answers[0]["id"].as_u64()), (Some("fault"), Some(1)));
        assert_eq!(answers[1]["status"], "ok");
        assert_eq!((summary.faults, summary.first_fault.as_deref()), (1, Some("the host failed")));
    }

    #[test]
    fn an_answer_is_written_before_the_next_request_is_there() {
        let (reader, mut writer) = io::pipe().unwrap();
        let output = Shared::default();
        let seen = output.clone();
        let caller = std::thread::spawn(move || {
            for id in 0..3 {
                writer.write_all(request(id, "echo").as_bytes()).unwrap();
                let deadline = std::time::Instant::now() + Duration::from_secs(20);
                while seen.lines().len() <= id as usize {
                    assert!(std::time::Instant::now() < deadline, "no answer to request {id}");
                    std::thread::yield_now();
                }
            }
        });
        block_on(run_batch(
            BufReader::new(reader),
            output,
            &Parrot::default(),
            &settings(2, 1 << 20),
            &Interrupt::new(),
        ))
        .unwrap();
        caller.join().unwrap();
    }

    #[test]
    fn an_input_that_breaks_off_is_an_error_after_its_answers() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        for order in [AnswerOrder::Requests, AnswerOrder::Ready] {
            let input = BufReader::new(io::Cursor::new(request(1, "wait 50") + &request(2, "echo")).chain(Broken));
            let (output, settings) = (Shared::default(), BatchSettings { order, ..settings(2, 1 << 20) });
            let result = block_on(run_batch(input, output.clone(), &Parrot::default(), &settings, &Interrupt::new()));
            assert!(matches!(result, Err(BatchError::Read { line: 3, .. })), "{result:?}");
            assert_eq!(output.lines().len(), 2, "{order:?}");
        }
    }

    #[test]
    fn an_output_that_is_closed_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let result = block_on(run_batch(
            io::Cursor::new(request(1, "echo")),
            writer,
            &Parrot::default(),
            &settings(1, 1 << 20),
            &Interrupt::new(),
        ));
        assert!(matches!(result, Err(BatchError::Write(_))), "{result:?}");
    }

    #[test]
    fn answers_may_come_as_they_are_ready() {
        let input = request(1, "wait 200") + &request(2, "echo");
        let settings = BatchSettings { order: AnswerOrder::Ready, ..settings(2, 1 << 30) };
        let (answers, ..) = check(&input, &settings);
        assert_eq!(answers.iter().map(|answer| answer["id"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn a_tenant_has_its_own_calls_under_way() {
        let tenant = |id, tenant: &str, source: &str| {
            request(id, source).replace(r#""entry""#, &format!(r#""tenant": "{tenant}", "entry""#))
        };
        let flood: String = (0..5).map(|id| tenant(id, "a", "wait 50")).collect();
        let settings = BatchSettings { order: AnswerOrder::Ready, ..settings(1, 1 << 30) };
        let (answers, _, most_running) = check(&(flood + &tenant(9, "b", "echo")), &settings);
        assert_eq!((answers[0]["id"].as_u64(), most_running), (Some(9), 2));
    }

    #[test]
    fn tenants_without_calls_are_not_remembered() {
        let slots = Slots::new(1);
        block_on(async {
            let tenants: Vec<Tenant> = (0..3).map(|index| format!("t{index}").parse().unwrap()).collect();
            let first = slots.take(&tenants[0]).await;
            let waiting = slots.take(&tenants[0]);
            let mut waiting = std::pin::pin!(waiting);
            assert!(waiting.as_mut().now_or_never().is_none());
            drop(slots.take(&tenants[1]).await);
            assert_eq!(slots.tenants.lock().unwrap().len(), 1);
            drop(first);
            drop(waiting.await);
            assert!(slots.tenants.lock().unwrap().is_empty());
        });
    }

    #[test]
    fn an_interrupt_ends_the_batch_and_counts_what_was_done() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all((request(1, "echo") + &request(2, "wait 3600000")).as_bytes()).unwrap();
        let (interrupt, output) = (Interrupt::new(), Shared::default());
        let (raised, seen) = (interrupt.clone(), output.clone());
        let interrupting = std::thread::spawn(move || {
            while seen.lines().is_empty() {
                std::thread::yield_now();
            }
            raised.raise();
        });
        let (runtime, settings) = (Parrot::default(), settings(2, 1 << 30));
        let batch = run_batch(BufReader::new(reader), output.clone(), &runtime, &settings, &interrupt);
        let summary = block_on(batch).unwrap();
        interrupting.join().unwrap();
        assert_eq!((summary.answers, summary.is_interrupted), (1, true));
        assert_eq!(output.lines().len(), 1);
        // The reading thread ends with its input.
        drop(writer);
    }
}
