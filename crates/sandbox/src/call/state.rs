use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greensand_types::{EntropyGrant, Grants, Limits};

use super::clock::CallClock;
use super::granted::Granted;
use super::memory::MemoryMeter;
use super::output::KeptOutput;
use super::random::CallRandom;
use super::run::GuestCall;
use super::text::readable;
use crate::image::Library;
use crate::prepared::{Preparation, Prepared};
use crate::wasi::ComponentState;
use crate::worker::Cancellation;

/// What is kept of the name of a refused capability, in bytes.
const LONGEST_CAPABILITY: usize = 64;

/// What the host holds of one call while its instance runs.
pub(crate) struct CallState {
    pub(super) clock: CallClock,
    pub(super) memory: MemoryMeter,
    pub(crate) stdout: KeptOutput,
    pub(crate) stderr: KeptOutput,
    pub(super) random: CallRandom,
    /// What the guest told to have been refused; the first only.
    pub(super) refused_capability: Option<String>,
    /// Why the host ended the call. Set once, by [`CallState::end`].
    pub(super) stop: Option<Stop>,
    /// The packed place of a reply with which the guest ended where it was.
    last_reply: Option<i64>,
    pub(super) library: Option<Arc<Library>>,
    component: Option<Box<ComponentState>>,
    pub(super) granted: Granted,
    mode: Mode,
}

/// What an instance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A call.
    Call,
    /// The start of a guest whose image is being made: output ends no call, and the clock stands still.
    Start,
}

/// Why the host ended a call before the guest did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Its wall clock is used up.
    Wall,
    /// Nobody waits for it any more.
    Abandoned,
    /// It wrote more than is kept.
    Output(Stream),
    /// It called an import that the host does not offer.
    Denied(String),
    /// It handed a range to the named import that is not within its memory.
    BadRange(&'static str),
    /// It asked the host to end it, with this status.
    Exited(i32),
    /// The host could not do its part.
    Fault(String),
}

/// An output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Ends the guest from within a host function; the reason is in the state.
#[derive(Debug)]
struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the host ended the call")
    }
}

impl std::error::Error for Ended {}

impl CallState {
    /// The state of a call that starts now.
    pub(crate) fn of_call(
        limits: &Limits,
        grants: &Grants,
        seed: u64,
        library: Option<Arc<Library>>,
        cancellation: Cancellation,
    ) -> Self {
        Self {
            clock: CallClock::start(grants.clock, limits, cancellation),
            memory: MemoryMeter::new(limits.memory_bytes),
            stdout: KeptOutput::new(limits.max_stdout_bytes),
            stderr: KeptOutput::new(limits.max_stderr_bytes),
            random: CallRandom::new(grants.entropy, seed),
            refused_capability: None,
            stop: None,
            last_reply: None,
            library,
            component: None,
            granted: Granted::default(),
            mode: Mode::Call,
        }
    }

    /// The state of the preparation for a call: the call's limits, and nothing else that tells one call from another.
    pub(crate) fn of_preparation(limits: &Limits, library: Option<Arc<Library>>, cancellation: Cancellation) -> Self {
        Self::of_call(limits, &Grants::default(), 0, library, cancellation)
    }

    /// Counts the wall clock from an earlier moment, at which the call was taken.
    pub(super) fn since(mut self, taken: Instant) -> Self {
        self.clock.start_at(taken);
        self
    }

    /// The state of a call of a component, which is made of several instances.
    pub(crate) fn for_component(self) -> Self {
        Self { memory: self.memory.of_several_instances(), ..self }
    }

    /// Opens what the call was granted beyond clock and entropy.
    pub(crate) fn reaching(self, call: &GuestCall, cancellation: &Cancellation) -> Self {
        Self { granted: Granted::to_call(call, cancellation), ..self }
    }

    /// The state of a guest that is started for its image: same clock, same randomness, every time.
    pub(crate) fn of_start(limits: &Limits, library: Option<Arc<Library>>) -> Self {
        let state = Self::of_call(limits, &Grants::default(), 0, library, Cancellation::default());
        Self { random: CallRandom::new(EntropyGrant::Seeded, 0), mode: Mode::Start, ..state }
    }

    /// The state of a guest that serves no call.
    pub(super) fn of_none() -> Self {
        let limits = Limits { wall: Duration::ZERO, memory_bytes: 0, ..Limits::DEFAULT };
        Self::of_call(&limits, &Grants::default(), 0, None, Cancellation::default())
    }

    /// Says whether nothing came between the guest and its call: no end by the host, no memory refused.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.stop.is_none() && !self.memory.was_refused()
    }

    /// Appends to an output stream.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Stop> {
        let output = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if output.write(bytes) || self.mode == Mode::Start { Ok(()) } else { Err(Stop::Output(stream)) }
    }

    /// Writes what the compiler wrote when the call's source was prepared.
    pub(super) fn write_again(&mut self, prepared: &Prepared) -> wasmtime::Result<()> {
        let written = self.write(Stream::Stdout, &prepared.stdout);
        let written = written.and_then(|()| self.write(Stream::Stderr, &prepared.stderr));
        written.map_err(|stop| self.end(stop))
    }

    /// Sleeps on the call's clock.
    pub(crate) fn sleep(&mut self, nanoseconds: i64) -> Result<(), Stop> {
        match self.mode {
            Mode::Call => {
                let slept = self.clock.sleep(nanoseconds);
                self.granted.note_slept(nanoseconds);
                slept
            }
            Mode::Start => Ok(()),
        }
    }

    /// Returns what the guest reads of the clock: nanoseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Fills a buffer with the randomness of the call.
    pub(crate) fn fill_random(&mut self, buffer: &mut [u8]) -> Result<(), Stop> {
        self.random.fill(buffer).map_err(|error| Stop::Fault(format!("read the host's entropy: {error}")))
    }

    /// Returns what the host holds for a component.
    pub(crate) fn component(&mut self) -> &mut ComponentState {
        self.component.get_or_insert_with(|| Box::new(ComponentState::new()))
    }

    /// Ends the call if a stream that others hold a share of was overrun.
    pub(crate) fn check_output(&mut self) {
        for (output, stream) in [(&self.stdout, Stream::Stdout), (&self.stderr, Stream::Stderr)] {
            if output.is_truncated() {
                self.stop.get_or_insert(Stop::Output(stream));
            }
        }
    }

    /// Says whether the host ended the call, or refused it memory.
    pub(crate) fn was_ended(&self) -> bool {
        self.stop.is_some() || self.memory.was_refused()
    }

    /// Keeps that a capability was asked for and refused; the first of a call counts.
    pub(crate) fn note_refused(&mut self, capability: &str) {
        self.refused_capability.get_or_insert_with(|| readable(capability.as_bytes(), LONGEST_CAPABILITY));
    }

    /// Looks at the clock, at a tick.
    pub(crate) fn check_clock(&mut self) -> wasmtime::Result<()> {
        let stop = self.clock.stop();
        stop.map_or(Ok(()), |stop| Err(self.end(stop)))
    }

    /// Returns the packed place of a reply with which the guest ended where it was, unless the host ended it before.
    pub(super) fn last_reply(&self) -> Option<i64> {
        self.last_reply.filter(|_| self.stop.is_none())
    }

    /// Says whether the host ended the call.
    pub(crate) fn was_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// Says whether the guest ended itself with a reply, at whatever time.
    pub(super) fn has_finished(&self) -> bool {
        self.last_reply.is_some()
    }

    /// Ends the guest where it is, with a reply that lies in its memory. Returns what unwinds it.
    pub(super) fn finish(&mut self, pointer: u32, length: u32) -> wasmtime::Error {
        let packed = u64::from(pointer) << 32 | u64::from(length);
        self.last_reply.get_or_insert(packed.cast_signed());
        wasmtime::Error::new(Ended)
    }

    /// Ends the call: keeps the reason and returns what unwinds the guest.
    pub(crate) fn end(&mut self, stop: Stop) -> wasmtime::Error {
        self.stop.get_or_insert(stop);
        wasmtime::Error::new(Ended)
    }

    /// Says whether the guest was refused memory or a capability, whatever it then made of that.
    pub(super) fn was_refused_anything(&self) -> bool {
        self.memory.was_refused() || self.refused_capability.is_some()
    }

    /// Keeps what a preparation left behind.
    pub(super) fn into_prepared(self, preparation: Preparation) -> Prepared {
        let (stdout, stderr) = (self.stdout.into_bytes(), self.stderr.into_bytes());
        Prepared { preparation, stdout, stderr, peak_memory: self.memory.peak() }
    }

    /// Returns what a guest wrote to standard error as it started, for a start that failed.
    pub(crate) fn complaint(&self) -> String {
        const LONGEST_COMPLAINT: usize = 8 << 10;
        readable(&self.stderr.share().into_bytes(), LONGEST_COMPLAINT)
    }

    /// Returns why the host ended the guest, in words, for a start that failed.
    pub(crate) fn stop_reason(&self) -> Option<String> {
        self.stop.as_ref().map(|stop| match stop {
            Stop::Wall => "it did not end in time".into(),
            Stop::Abandoned => "it was abandoned".into(),
            Stop::Output(_) => "it wrote too much".into(),
            Stop::Denied(import) => format!("it called the import `{import}`, which the host does not offer"),
            Stop::BadRange(import) => format!("it handed a range outside of its memory to `{import}`"),
            Stop::Exited(status) => format!("it ended itself with status {status}"),
            Stop::Fault(reason) => reason.clone(),
        })
    }
}
