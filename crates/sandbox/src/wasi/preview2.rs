//! `wasi:cli/imports@0.2` for a component.
//!
//! What touches time, output, randomness or the end of the call is ours; the rest is `wasmtime-wasi` with nothing
//! granted: no arguments, no environment, no preopened folders. Sockets cannot be made, so their functions are linked
//! but unreachable.
//!
//! Nothing here waits. The only thing that is ever not ready is the clock, so a poll either finds something else ready
//! or moves the virtual clock to the earliest moment asked for.

use std::collections::HashMap;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{WasiCli, WasiCliCtx, WasiCliCtxView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::sync::io::poll::HostPollable;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sockets, sync};
use wasmtime_wasi::p2::{DynOutputStream, DynPollable, OutputStream, Pollable, StreamError, StreamResult, subscribe};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsCtx, WasiSocketsCtxView};

use crate::call::{CallState, KeptOutput, Stop};

/// How many handles one component may hold.
const HANDLES: usize = 1_000;

/// The most random bytes at once.
const RANDOM_BYTES: u64 = 1 << 20;

/// What one write to a stream may carry.
const PERMIT: usize = 64 << 10;

/// The resolution that clocks claim, in nanoseconds.
const RESOLUTION: u32 = 1000;

/// What the host holds for one component beside the state of its call.
pub(crate) struct ComponentState {
    pub(super) table: ResourceTable,
    cli: WasiCliCtx,
    filesystem: WasiFilesystemCtx,
    sockets: WasiSocketsCtx,
    /// The moments that pollables of the clock wait for, by their number in the table.
    moments: HashMap<u32, i64>,
}

impl ComponentState {
    /// The state of a component that has no handle yet.
    pub(crate) fn new() -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            table,
            cli: WasiCliCtx::default(),
            filesystem: WasiFilesystemCtx::default(),
            sockets: WasiSocketsCtx::default(),
            moments: HashMap::new(),
        }
    }
}

/// The interfaces that are ours, over the state of the call.
pub(super) struct Ours<'a>(pub(super) &'a mut CallState);

struct HasOurs;

impl HasData for HasOurs {
    type Data<'a> = Ours<'a>;
}

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// Adds the interfaces to a linker.
///
/// # Errors
/// Never with a fresh linker.
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let ours: fn(&mut CallState) -> Ours<'_> = |state| Ours(state);
    clocks::wall_clock::add_to_linker::<_, HasOurs>(linker, ours)?;
    clocks::monotonic_clock::add_to_linker::<_, HasOurs>(linker, ours)?;
    random::random::add_to_linker::<_, HasOurs>(linker, ours)?;
    random::insecure::add_to_linker::<_, HasOurs>(linker, ours)?;
    random::insecure_seed::add_to_linker::<_, HasOurs>(linker, ours)?;
    cli::exit::add_to_linker::<_, HasOurs>(linker, ours)?;
    cli::stdout::add_to_linker::<_, HasOurs>(linker, ours)?;
    cli::stderr::add_to_linker::<_, HasOurs>(linker, ours)?;
    sync::io::poll::add_to_linker::<_, HasOurs>(linker, ours)?;
    sockets::tcp_create_socket::add_to_linker::<_, HasOurs>(linker, ours)?;
    sync::sockets::udp_create_socket::add_to_linker::<_, HasOurs>(linker, ours)?;
    link_closed(linker)
}

/// Adds what `wasmtime-wasi` answers, with nothing granted.
fn link_closed(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let table: fn(&mut CallState) -> &mut ResourceTable = |state| &mut state.component().table;
    wasmtime_wasi_io::bindings::wasi::io::error::add_to_linker::<_, HasTable>(linker, table)?;
    sync::io::streams::add_to_linker::<_, HasTable>(linker, table)?;

    let cli: fn(&mut CallState) -> WasiCliCtxView<'_> = |state| {
        let component = state.component();
        WasiCliCtxView { ctx: &mut component.cli, table: &mut component.table }
    };
    cli::environment::add_to_linker::<_, WasiCli>(linker, cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(linker, cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, cli)?;

    let files: fn(&mut CallState) -> WasiFilesystemCtxView<'_> = |state| {
        let component = state.component();
        WasiFilesystemCtxView { ctx: &mut component.filesystem, table: &mut component.table }
    };
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, files)?;
    sync::filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, files)?;

    let network: fn(&mut CallState) -> WasiSocketsCtxView<'_> = |state| {
        let component = state.component();
        WasiSocketsCtxView { ctx: &mut component.sockets, table: &mut component.table }
    };
    let options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<_, WasiSockets>(linker, &options, network)?;
    sockets::instance_network::add_to_linker::<_, WasiSockets>(linker, network)?;
    sockets::ip_name_lookup::add_to_linker::<_, WasiSockets>(linker, network)?;
    sync::sockets::tcp::add_to_linker::<_, WasiSockets>(linker, network)?;
    sync::sockets::udp::add_to_linker::<_, WasiSockets>(linker, network)
}

impl Ours<'_> {
    /// Returns the clock as the interfaces count it: never negative.
    fn now(&self) -> u64 {
        u64::try_from(self.0.now()).unwrap_or_default()
    }

    fn sleep(&mut self, nanoseconds: i64) -> wasmtime::Result<()> {
        let slept = self.0.sleep(nanoseconds);
        slept.map_err(|stop| self.0.end(stop))
    }

    fn random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM_BYTES {
            return Err(wasmtime::Error::msg(format!("more than {RANDOM_BYTES} random bytes at once")));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        let filled = self.0.fill_random(&mut bytes);
        filled.map_err(|stop| self.0.end(stop))?;
        Ok(bytes)
    }

    fn random_number(&mut self) -> wasmtime::Result<u64> {
        let bytes = self.random_bytes(8)?;
        Ok(u64::from_le_bytes(std::array::from_fn(|index| bytes[index])))
    }

    fn subscribe_at(&mut self, moment: i64) -> wasmtime::Result<Resource<DynPollable>> {
        let component = self.0.component();
        let waits = component.table.push(Always)?;
        let pollable = subscribe(&mut component.table, waits)?;
        component.moments.insert(pollable.rep(), moment);
        Ok(pollable)
    }

    fn stream(&mut self, output: KeptOutput) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(OutputOfCall(output));
        Ok(self.0.component().table.push(stream)?)
    }

    /// Returns the moment that a pollable waits for: of all but the clock's, one that is long past.
    fn moment_of(&mut self, pollable: &Resource<DynPollable>) -> wasmtime::Result<i64> {
        let component = self.0.component();
        // A number that is no pollable of this component is refused here.
        component.table.get(pollable)?;
        Ok(component.moments.get(&pollable.rep()).copied().unwrap_or(i64::MIN))
    }
}

impl clocks::wall_clock::Host for Ours<'_> {
    fn now(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        let now = std::time::Duration::from_nanos(Ours::now(self));
        Ok(clocks::wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        Ok(clocks::wall_clock::Datetime { seconds: 0, nanoseconds: RESOLUTION })
    }
}

impl clocks::monotonic_clock::Host for Ours<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(Ours::now(self))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(RESOLUTION.into())
    }

    fn subscribe_instant(&mut self, moment: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_at(i64::try_from(moment).unwrap_or(i64::MAX))
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let moment = self.0.now().saturating_add(i64::try_from(duration).unwrap_or(i64::MAX));
        self.subscribe_at(moment)
    }
}

impl sync::io::poll::Host for Ours<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let moments: Vec<i64> = pollables.iter().map(|pollable| self.moment_of(pollable)).collect::<Result<_, _>>()?;
        let Some(earliest) = moments.iter().copied().min() else {
            return Err(wasmtime::Error::msg("a poll of nothing would never end"));
        };
        let left = earliest.saturating_sub(self.0.now());
        if left > 0 {
            self.sleep(left)?;
        }
        let now = self.0.now().max(earliest);
        let due = (0..).zip(&moments).filter(|(_, moment)| **moment <= now);
        Ok(due.map(|(index, _)| index).collect())
    }
}

impl HostPollable for Ours<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        Ok(self.moment_of(&pollable)? <= self.0.now())
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        let left = self.moment_of(&pollable)?.saturating_sub(self.0.now());
        if left > 0 { self.sleep(left) } else { Ok(()) }
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        let component = self.0.component();
        component.moments.remove(&pollable.rep());
        HostPollable::drop(&mut component.table, pollable)
    }
}

impl random::random::Host for Ours<'_> {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(length)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_number()
    }
}

impl random::insecure::Host for Ours<'_> {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_number()
    }
}

impl random::insecure_seed::Host for Ours<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random_number()?, self.random_number()?))
    }
}

impl cli::exit::Host for Ours<'_> {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        Err(self.0.end(Stop::Exited(i32::from(status.is_err()))))
    }

    fn exit_with_code(&mut self, status: u8) -> wasmtime::Result<()> {
        Err(self.0.end(Stop::Exited(status.into())))
    }
}

impl cli::stdout::Host for Ours<'_> {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.stream(self.0.stdout.share())
    }
}

impl cli::stderr::Host for Ours<'_> {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.stream(self.0.stderr.share())
    }
}

/// What is behind a pollable of the clock; [`Ours`] knows when it is due.
struct Always;

#[async_trait]
impl Pollable for Always {
    async fn ready(&mut self) {}
}

/// An output stream of the call.
struct OutputOfCall(KeptOutput);

#[async_trait]
impl Pollable for OutputOfCall {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for OutputOfCall {
    fn write(&mut self, bytes: wasmtime_wasi_io::bytes::Bytes) -> StreamResult<()> {
        // The stream remembers that it was overrun, and the call ends as such.
        if self.0.write(&bytes) { Ok(()) } else { Err(StreamError::trap("more output than is kept")) }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}
