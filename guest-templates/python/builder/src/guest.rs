//! Runs a guest while it is built or tried: the host side of the contract, small and without limits.
//!
//! The product has its own host; this one exists so that the folder can be rebuilt and tried without it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::error::Context;
use wasmtime::{
    Caller, Config, Engine, Extern, Instance, Linker, Memory, Module, OptLevel, RegallocAlgorithm, Store, StoreLimits,
    StoreLimitsBuilder,
};
use wasmtime::{Result, bail, ensure};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

/// Modules of the language's library by name.
pub type Modules = BTreeMap<String, Vec<u8>>;

/// What a call is granted, for trying: files by name, and functions that answer with their arguments.
#[derive(Default, Clone)]
pub struct Grants {
    pub files: BTreeMap<String, Vec<u8>>,
    pub functions: BTreeMap<String, Result<String, String>>,
}

/// One live instance and what its host functions need.
pub struct Guest {
    store: Store<Host>,
    instance: Instance,
    memory: Memory,
}

pub struct Host {
    modules: Arc<Modules>,
    clock: i64,
    random: u64,
    pub output: [Vec<u8>; 2],
    pub refused: Vec<String>,
    grants: Grants,
    waiting: Vec<u8>,
    deadline: Option<Instant>,
    limits: StoreLimits,
    output_limit: usize,
}

/// A reply of the guest.
#[derive(Debug)]
pub struct Reply {
    pub kind: u32,
    pub flags: u32,
    pub message: String,
    pub payload: Vec<u8>,
}

/// A request, without its header.
#[derive(Default)]
pub struct Request<'a> {
    pub compiled: bool,
    pub tagged: bool,
    pub max_result: u32,
    pub seed: u64,
    pub code: &'a [u8],
    pub entry: &'a str,
    pub arguments: &'a str,
}

/// How much work the compiler puts into a module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Optimise {
    /// For a module that runs once.
    Not,
    Fully,
}

/// How long deep C recursion may become before it is a trap; CPython's own check comes first.
const WASM_STACK: usize = 32 << 20;

pub fn engine(optimise: Optimise) -> Result<Engine> {
    let mut config = Config::new();
    config
        .async_stack_size(WASM_STACK + (1 << 20))
        .max_wasm_stack(WASM_STACK)
        .epoch_interruption(true)
        .generate_address_map(false);
    config.native_unwind_info(false).memory_guaranteed_dense_image_size(64 << 20);
    match optimise {
        Optimise::Not => {
            config.cranelift_opt_level(OptLevel::None).cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
        }
        Optimise::Fully => config.cranelift_opt_level(OptLevel::Speed),
    };
    if std::env::var_os("GUEST_NAMES").is_some() {
        config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(100_000));
    }
    Engine::new(&config)
}

/// Runs with the stack that [`WASM_STACK`] needs.
pub fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(WASM_STACK + (4 << 20)).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| bail!("the guest's thread panicked"))
    })
}

/// The host functions of the contract. Any other import traps with its name.
pub fn linker(engine: &Engine, module: &Module) -> Result<Linker<Host>> {
    let mut linker: Linker<Host> = Linker::new(engine);
    linker.func_wrap("greensand", "write", |mut caller: Caller<'_, Host>, stream: i32, from: u32, length: u32| {
        let text = read(&mut caller, from, length)?;
        let host = caller.data_mut();
        let Some(output) = usize::try_from(stream - 1).ok().and_then(|at| host.output.get_mut(at)) else {
            bail!("write to stream {stream}");
        };
        output.extend(text);
        if output.len() > host.output_limit {
            bail!("output_limit");
        }
        Ok(())
    })?;
    linker.func_wrap("greensand", "clock", |caller: Caller<'_, Host>| caller.data().clock)?;
    linker.func_wrap("greensand", "sleep", |mut caller: Caller<'_, Host>, nanoseconds: i64| {
        let host = caller.data_mut();
        host.clock = host.clock.saturating_add(nanoseconds.max(0));
        if nanoseconds > 2_000_000_000 {
            bail!("timeout");
        }
        Ok(())
    })?;
    linker.func_wrap("greensand", "random", |mut caller: Caller<'_, Host>, into: u32, length: u32| {
        let mut bytes = vec![0; length as usize];
        for byte in &mut bytes {
            let state = &mut caller.data_mut().random;
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (*state >> 56) as u8;
        }
        put(&mut caller, into, &bytes)
    })?;
    linker.func_wrap("greensand", "module_size", |mut caller: Caller<'_, Host>, name: u32, length: u32| {
        let name = String::from_utf8_lossy(&read(&mut caller, name, length)?).into_owned();
        Ok(caller.data().modules.get(&name).map_or(-1, |content| content.len() as i32))
    })?;
    linker.func_wrap(
        "greensand",
        "module_read",
        |mut caller: Caller<'_, Host>, name: u32, length: u32, into: u32| {
            let name = String::from_utf8_lossy(&read(&mut caller, name, length)?).into_owned();
            let modules = caller.data().modules.clone();
            let Some(content) = modules.get(&name) else { bail!("no module `{name}`") };
            put(&mut caller, into, content)
        },
    )?;
    linker.func_wrap("greensand", "refused", |mut caller: Caller<'_, Host>, what: u32, length: u32| {
        let what = String::from_utf8_lossy(&read(&mut caller, what, length)?).into_owned();
        caller.data_mut().refused.push(what);
        Ok(())
    })?;
    link_grants(&mut linker)?;
    linker.define_unknown_imports_as_traps(module)?;
    Ok(linker)
}

/// Granted functions and files. A function answers what the grant says, with `$` as the arguments that it was given.
fn link_grants(linker: &mut Linker<Host>) -> Result<()> {
    let module = "greensand";
    linker.func_wrap(
        module,
        "call",
        |mut caller: Caller<'_, Host>, name: u32, length: u32, from: u32, arguments: u32| {
            let name = String::from_utf8_lossy(&read(&mut caller, name, length)?).into_owned();
            let arguments = String::from_utf8_lossy(&read(&mut caller, from, arguments)?).into_owned();
            let host = caller.data_mut();
            let (status, reply) = match host.grants.functions.get(&name) {
                Some(Ok(result)) => (0, result.replace('$', &arguments)),
                Some(Err(message)) => (1, message.clone()),
                None => {
                    host.refused.push(format!("call {name}"));
                    (2, format!("no function `{name}` is granted"))
                }
            };
            host.waiting = reply.into_bytes();
            Ok(status << 32 | host.waiting.len() as u64)
        },
    )?;
    linker.func_wrap(module, "file_size", |mut caller: Caller<'_, Host>, name: u32, length: u32| {
        let name = String::from_utf8_lossy(&read(&mut caller, name, length)?).into_owned();
        Ok(caller.data().grants.files.get(&name).map_or(-1, |content| content.len() as i64))
    })?;
    linker.func_wrap(
        module,
        "file_read",
        |mut caller: Caller<'_, Host>, name: u32, length: u32, offset: u64, into: u32, room: u32| {
            let name = String::from_utf8_lossy(&read(&mut caller, name, length)?).into_owned();
            let content = caller.data().grants.files.get(&name).cloned().unwrap_or_default();
            let rest = content.get(offset as usize..).unwrap_or_default();
            let rest = &rest[..rest.len().min(room as usize)];
            put(&mut caller, into, rest)?;
            Ok(rest.len() as i32)
        },
    )?;
    linker.func_wrap(module, "file_names", |mut caller: Caller<'_, Host>| {
        let host = caller.data_mut();
        let names: Vec<&String> = host.grants.files.keys().collect();
        host.waiting = serde_json::to_vec(&names)?;
        Ok(host.waiting.len() as i32)
    })?;
    linker.func_wrap(module, "take", |mut caller: Caller<'_, Host>, into: u32| {
        let waiting = std::mem::take(&mut caller.data_mut().waiting);
        put(&mut caller, into, &waiting)
    })?;
    Ok(())
}

fn memory_of(caller: &mut Caller<'_, Host>) -> Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => bail!("the guest has no memory"),
    }
}

fn read(caller: &mut Caller<'_, Host>, from: u32, length: u32) -> Result<Vec<u8>> {
    let memory = memory_of(caller)?;
    let range = from as usize..(from as usize).saturating_add(length as usize);
    match memory.data(&caller).get(range) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => bail!("a range outside the guest's memory"),
    }
}

fn put(caller: &mut Caller<'_, Host>, into: u32, bytes: &[u8]) -> Result<()> {
    let memory = memory_of(caller)?;
    Ok(memory.write(caller, into as usize, bytes)?)
}

/// Limits of one call.
#[derive(Clone, Copy)]
pub struct Limits {
    pub memory: usize,
    pub wall: Duration,
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { memory: 128 << 20, wall: Duration::from_secs(3600), output: 64 << 10 }
    }
}

impl Guest {
    pub fn new(
        engine: &Engine,
        linker: &Linker<Host>,
        module: &Module,
        modules: Arc<Modules>,
        limits: Limits,
    ) -> Result<Guest> {
        let host = Host {
            modules,
            clock: 946_684_800_000_000_000,
            random: 0x6a09_e667_f3bc_c908,
            output: Default::default(),
            refused: Vec::new(),
            grants: Grants::default(),
            waiting: Vec::new(),
            deadline: Some(Instant::now() + limits.wall),
            limits: StoreLimitsBuilder::new().memory_size(limits.memory).build(),
            output_limit: limits.output,
        };
        let mut store = Store::new(engine, host);
        store.limiter(|host| &mut host.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            if store.data().deadline.is_some_and(|deadline| Instant::now() > deadline) {
                bail!("timeout");
            }
            Ok(wasmtime::UpdateDeadline::Continue(1))
        });
        let instance = linker.instantiate(&mut store, module)?;
        let memory = instance.get_memory(&mut store, "memory").context("find the guest's memory")?;
        Ok(Guest { store, instance, memory })
    }

    pub fn grant(&mut self, grants: Grants) {
        self.store.data_mut().grants = grants;
    }

    pub fn host(&self) -> &Host {
        self.store.data()
    }

    pub fn memory_size(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// Addresses of the guest's memory in this process.
    pub fn memory_range(&self) -> std::ops::Range<usize> {
        let start = self.memory.data_ptr(&self.store) as usize;
        start..start + self.memory_size()
    }

    /// Calls the initialiser.
    pub fn init(&mut self) -> Result<()> {
        let init = self.instance.get_typed_func::<(), ()>(&mut self.store, "gs_init")?;
        let done = init.call(&mut self.store, ());
        let output: String = self.host().output.iter().map(|text| String::from_utf8_lossy(text)).collect();
        done.with_context(|| format!("run `gs_init`, which wrote: {output}"))
    }

    /// Calls an export that takes a range and gives a reply.
    pub fn ask(&mut self, export: &str, bytes: &[u8]) -> Result<Reply> {
        let alloc = self.instance.get_typed_func::<u32, u32>(&mut self.store, "gs_alloc")?;
        let pointer = alloc.call(&mut self.store, bytes.len() as u32)?;
        ensure!(pointer != 0, "the guest has no room for {} bytes", bytes.len());
        self.memory.write(&mut self.store, pointer as usize, bytes)?;
        let function = self.instance.get_typed_func::<(u32, u32), u64>(&mut self.store, export)?;
        let packed = function.call(&mut self.store, (pointer, bytes.len() as u32))?;
        let (pointer, length) = ((packed >> 32) as usize, packed as u32 as usize);
        let reply = self.memory.data(&self.store).get(pointer..pointer + length);
        Reply::read(reply.context("find the reply in the guest's memory")?)
    }

    pub fn request(&mut self, export: &str, request: &Request<'_>) -> Result<Reply> {
        self.ask(export, &request.bytes())
    }
}

impl Request<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let lengths = [self.code.len(), self.entry.len(), self.arguments.len()].map(|length| length as u32);
        let words =
            [u32::from(self.compiled), u32::from(self.tagged), self.max_result, lengths[0], lengths[1], lengths[2]];
        bytes.extend(words.into_iter().flat_map(u32::to_le_bytes));
        bytes.extend(self.seed.to_le_bytes());
        bytes.extend(self.code);
        bytes.extend(self.entry.as_bytes());
        bytes.extend(self.arguments.as_bytes());
        bytes
    }
}

impl Reply {
    fn read(bytes: &[u8]) -> Result<Reply> {
        let word = |at: usize| -> Result<u32> {
            let word = bytes.get(4 * at..4 * at + 4).context("a reply that is too short")?;
            Ok(u32::from_le_bytes(word.try_into().expect("four bytes")))
        };
        let end = 12 + word(2)? as usize;
        let message = bytes.get(12..end).context("a message longer than its reply")?;
        Ok(Reply {
            kind: word(0)?,
            flags: word(1)?,
            message: String::from_utf8_lossy(message).into_owned(),
            payload: bytes[end..].to_vec(),
        })
    }
}

/// Runs `gs_init` and gives the module with the state that it left.
pub fn snapshot(wasm: &[u8], modules: Arc<Modules>) -> Result<Vec<u8>> {
    let mut wizer = Wizer::new();
    wizer.init_func("gs_init");
    let (context, instrumented) = wizer.instrument(wasm)?;
    let engine = engine(Optimise::Not)?;
    let module = Module::new(&engine, &instrumented)?;
    let linker = linker(&engine, &module)?;
    let limits = Limits { memory: usize::MAX, ..Limits::default() };
    let mut guest = Guest::new(&engine, &linker, &module, modules, limits)?;
    on_large_stack(|| guest.init())?;
    let snapshot = std::pin::pin!(wizer.snapshot(&context, &mut guest));
    let mut nothing = std::task::Context::from_waker(std::task::Waker::noop());
    match Future::poll(snapshot, &mut nothing) {
        std::task::Poll::Ready(wasm) => Ok(wasm?),
        std::task::Poll::Pending => bail!("the snapshot waits, which nothing in it should"),
    }
}

impl InstanceState for Guest {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name).expect("wizer exports every global");
        match global.get(&mut self.store) {
            wasmtime::Val::I32(value) => SnapshotVal::I32(value),
            other => unreachable!("the linker leaves one global of type i32, not {other:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name).expect("wizer exports the memory");
        contents(memory.data(&self.store));
    }
}
