//! Making an image: run a guest's start once, keep its memory as a new module, compile that.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use greensand_guest_templates::{Artefact, GuestTemplate};
use greensand_types::Limits;
use wasmtime::{Engine, Instance, Module, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use super::library::Library;
use super::packages::modules_of;
use super::{Image, ImageError, ImageProgress, ImageStage, PackageSet};
use crate::call::{CONTRACT, CallState, guarded_store, link};
use crate::engine;
use crate::slot::{Audited, Recycling, audit};
use crate::ticker::Ticker;

/// The export that starts a guest.
const START: &str = "gs_init";

/// What the start of a guest may use.
const START_LIMITS: Limits = Limits { wall: Duration::from_secs(300), memory_bytes: 1 << 30, ..Limits::DEFAULT };

type Cause = Box<dyn Error + Send + Sync>;

/// An image that was just made.
pub(super) struct MadeImage {
    /// Native code for the engine that runs calls.
    pub(super) code: NativeCode,
    /// Whether its instances can be used again.
    pub(super) recycling: Recycling,
    /// The library of the language.
    pub(super) library: Option<Arc<Library>>,
    /// Until the snapshot was taken.
    pub(super) snapshot_time: Duration,
    /// Compiling the snapshot.
    pub(super) compile_time: Duration,
}

/// Code that the compiler of this host wrote: in this process, or in its helper.
pub(crate) struct NativeCode(Vec<u8>);

impl NativeCode {
    /// Takes what the helper's compiler wrote.
    ///
    /// Whoever calls this says that the bytes come from [`crate::module`]'s own order to the helper and from nowhere
    /// else: they will be run.
    pub(crate) fn from_helper(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    fn compile(engine: &Engine, module: &[u8]) -> wasmtime::Result<Self> {
        engine.precompile_module(module).map(Self)
    }

    /// Returns the bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What makes an image one with packages.
pub(super) struct WithPackages<'a> {
    /// The packages.
    pub(super) set: &'a PackageSet,
    /// The image of the language alone, whose guest compiles their files.
    pub(super) base: &'a Image,
}

/// Makes the image of a language. Needs a thread with the stack of a worker.
///
/// # Errors
/// When an artefact is damaged, or the guest cannot be compiled or does not start.
pub(super) fn make(
    engine: &Engine,
    template: &GuestTemplate,
    packages: Option<&WithPackages<'_>>,
    progress: &dyn Fn(ImageProgress),
) -> Result<MadeImage, ImageError> {
    if template.contract != CONTRACT {
        return Err(ImageError::Contract {
            language: template.name.into(),
            found: template.contract,
            expected: CONTRACT,
        });
    }
    let Some(parts) = template.image() else { return Err(ImageError::NoImage { language: template.name.into() }) };
    let begun = Instant::now();
    let stage = |stage: ImageStage| {
        progress(ImageProgress::at(stage));
        move |source: Cause| match packages {
            Some(with) if matches!(stage, ImageStage::Packages | ImageStage::Start) => {
                ImageError::Packages { language: template.name.into(), packages: with.set.names(), source }
            }
            Some(_) | None => ImageError::Stage { language: template.name.into(), stage, source },
        }
    };
    let failed = stage(ImageStage::Unpack);
    let guest = unpack(parts.guest).map_err(&failed)?;
    let mut library = parts.library.map(unpack_library).transpose().map_err(&failed)?;
    if let Some(WithPackages { set, base }) = packages {
        let failed = stage(ImageStage::Packages);
        let modules = modules_of(set, base).map_err(&failed)?;
        let extended = library.get_or_insert_default().extend(modules);
        extended.map_err(|error| failed(error.into()))?;
    }
    let library = library.map(Arc::new);
    let snapshot = snapshot(&guest, library.clone(), &stage)?;
    drop(guest);
    let snapshot_time = begun.elapsed();
    let failed = stage(ImageStage::Compile);
    let Audited { recycling, module } = audit(snapshot);
    let code = NativeCode::compile(engine, &module).map_err(|error| failed(error.into()))?;
    Ok(MadeImage { code, recycling, library, snapshot_time, compile_time: begun.elapsed() - snapshot_time })
}

fn unpack(artefact: &Artefact) -> Result<Vec<u8>, Cause> {
    let digest = blake3::hash(artefact.bytes).to_hex();
    if digest.as_str() != artefact.blake3 {
        return Err(format!("an artefact of the guest is damaged: its digest is {digest}").into());
    }
    Ok(zstd::decode_all(artefact.bytes)?)
}

fn unpack_library(artefact: &Artefact) -> Result<Library, Cause> {
    Ok(Library::from_tar(&unpack(artefact)?)?)
}

/// Starts the guest and returns the module whose memory is as the start left it.
fn snapshot<F: Fn(Cause) -> ImageError>(
    guest: &[u8],
    library: Option<Arc<Library>>,
    stage: &dyn Fn(ImageStage) -> F,
) -> Result<Vec<u8>, ImageError> {
    let failed = stage(ImageStage::CompileForStart);
    let mut wizer = Wizer::new();
    wizer.init_func(START);
    let (context, instrumented) = wizer.instrument(guest).map_err(|error| failed(error.into()))?;
    let engine = engine::for_start().map_err(|error| failed(error.into()))?;
    let module = Module::new(&engine, instrumented).map_err(|error| failed(error.into()))?;

    let failed = stage(ImageStage::Start);
    let ticker = Ticker::start(&engine).map_err(|error| failed(error.into()))?;
    let mut store = guarded_store(&engine, CallState::of_start(&START_LIMITS, library));
    let instance = start(&mut store, &module, &ticker).map_err(failed)?;

    let failed = stage(ImageStage::Snapshot);
    let mut started = StartedGuest { store: &mut store, instance };
    let snapshot = wizer.snapshot(&context, &mut started).now_or_never();
    let snapshot = snapshot.ok_or("the snapshot waits for something").map_err(|reason| failed(reason.into()))?;
    snapshot.map_err(|error| failed(error.into()))
}

fn start(store: &mut Store<CallState>, module: &Module, ticker: &Ticker) -> Result<Instance, Cause> {
    let _ticking = ticker.run();
    let linker = link(module.engine(), module)?;
    let started = linker.instantiate(&mut *store, module).and_then(|instance| {
        instance.get_typed_func::<(), ()>(&mut *store, START)?.call(&mut *store, ())?;
        Ok(instance)
    });
    started.map_err(|error| {
        let complaint = store.data().complaint();
        match store.data().stop_reason() {
            Some(reason) => format!("the guest was stopped: {reason}").into(),
            None if !complaint.is_empty() => format!("the guest says:\n{}", complaint.trim_end()).into(),
            None => error.into(),
        }
    })
}

/// What the snapshot reads of a started guest.
struct StartedGuest<'a> {
    store: &'a mut Store<CallState>,
    instance: Instance,
}

impl InstanceState for StartedGuest<'_> {
    async fn global_get(&mut self, name: &str, _type: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut *self.store, name);
        match global.expect("the instrumentation exports every global").get(&mut *self.store) {
            Val::I32(value) => SnapshotVal::I32(value),
            Val::I64(value) => SnapshotVal::I64(value),
            Val::F32(value) => SnapshotVal::F32(value),
            Val::F64(value) => SnapshotVal::F64(value),
            Val::V128(value) => SnapshotVal::V128(value.as_u128()),
            value => unreachable!("the instrumentation refuses mutable globals of type {value:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut *self.store, name);
        contents(memory.expect("the instrumentation exports every memory").data(&*self.store));
    }
}
