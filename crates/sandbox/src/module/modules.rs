use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use greensand_types::Limits;
use wasmtime::component::{self, Component};
use wasmtime::{Engine, InstancePre, Linker, Module};

use super::compile::{BuildLimits, Compiler, Tier};
use super::component::{ComponentFunction, link_host};
use super::contract::Contract;
use super::inspect::{CoreShape, Inspected, inspect};
use super::open::{OpenModules, Unopened};
use super::refusal::ModuleRefusal;
use crate::call::{CallState, guarded_store, link_contract};
use crate::engine;
use crate::image::{self, CodeKey, ImageStore};
use crate::jail::Priority;
use crate::wasi::{link_preview1, link_preview2};
use crate::worker::Cancellation;

/// A module whose code is ready: instances of it are one mapping away.
pub(crate) enum OpenModule {
    /// A core module that keeps the guest contract.
    Core {
        /// It, with its imports.
        prepared: InstancePre<CallState>,
        /// What is asked of it.
        shape: CoreShape,
    },
    /// A component that exports `call`.
    Component(ComponentFunction),
}

impl OpenModule {
    /// Returns what its code takes, in bytes: data that instances start with included.
    pub(super) fn bytes(&self) -> usize {
        let image = match self {
            Self::Core { prepared, .. } => prepared.module().image_range(),
            Self::Component(function) => function.image_range(),
        };
        image.end as usize - image.start as usize
    }

    pub(super) fn describes(&self) -> bool {
        match self {
            Self::Core { shape, .. } => shape.describes,
            Self::Component(function) => function.describes(),
        }
    }
}

/// How long a refusal is remembered: who asks again meanwhile is told at once.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Opens modules.
pub(crate) struct Modules {
    engine: Engine,
    fingerprint: [u8; 32],
    linker: Linker<CallState>,
    component_linker: component::Linker<CallState>,
    contract: Contract,
    store: ImageStore,
    compiler: Compiler,
    open: OpenModules,
}

impl Modules {
    /// Opens modules for an engine.
    ///
    /// # Errors
    /// When the host functions cannot be linked.
    pub(crate) fn new(engine: Engine, store: ImageStore, compiler: Compiler) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&engine);
        link_contract(&mut linker)?;
        link_preview1(&mut linker)?;
        let mut component_linker = component::Linker::new(&engine);
        link_host(&mut component_linker)?;
        link_preview2(&mut component_linker)?;
        let contract = Contract::of(&linker, guarded_store(&engine, CallState::of_start(&Limits::DEFAULT, None)));
        let fingerprint = engine::fingerprint(&engine);
        let open = OpenModules::default();
        Ok(Self { engine, fingerprint, linker, component_linker, contract, store, compiler, open })
    }

    /// Finds the module that a source is, if it is open.
    pub(crate) fn opened(&self, source: &str) -> Option<Arc<OpenModule>> {
        self.open.get(blake3::hash(source.as_bytes()).as_bytes())
    }

    /// Opens the module that a source is: its binary in base64. Blocks until that is done, unless somebody else does it.
    ///
    /// # Errors
    /// When it is refused, the host cannot do its part, or somebody else opens it.
    pub(crate) fn open_source(
        &self,
        source: &str,
        limits: BuildLimits,
        cancellation: &Cancellation,
    ) -> Result<Arc<OpenModule>, Unopened> {
        let digest = *blake3::hash(source.as_bytes()).as_bytes();
        self.open.get_or_open(digest, limits, REMEMBERED, || {
            let wasm = BASE64.decode(source.trim_ascii());
            let wasm = wasm.map_err(|error| ModuleRefusal::NotWasm(format!("it is no base64: {error}")))?;
            Ok(self.open(&wasm, Tier::Full, Priority::Usual, limits, &|| cancellation.is_requested())?)
        })
    }

    /// Opens a module: looks at it, and has it compiled unless its code is kept. Blocks until that is done.
    ///
    /// # Errors
    /// When it is refused, or the host cannot do its part.
    pub(crate) fn open(
        &self,
        wasm: &[u8],
        tier: Tier,
        priority: Priority,
        limits: BuildLimits,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Arc<OpenModule>, ModuleRefusal> {
        let inspected = inspect(wasm, &self.contract)?;
        let key = CodeKey::new(&self.fingerprint, tier.as_str(), wasm);
        if let Some(module) = self.find(key, inspected) {
            return module.map(Arc::new);
        }
        let code = self.compiler.compile(wasm, inspected.is_component(), tier, priority, limits, is_cancelled)?;
        // A folder that cannot be written is no error: the next process compiles the module again.
        if self.store.keep_code(key, &code).is_ok()
            && let Some(module) = self.find(key, inspected)
        {
            return module.map(Arc::new);
        }
        let module = match inspected {
            Inspected::Core(shape) => self.link(&image::load(&self.engine, &code).map_err(not_loaded)?, shape),
            Inspected::Component => {
                self.link_component(&image::load_component(&self.engine, &code).map_err(not_loaded)?)
            }
        };
        module.map(Arc::new)
    }

    /// Opens what the cache holds; what does not verify, or cannot be read now, is as good as missing.
    fn find(&self, key: CodeKey, inspected: Inspected) -> Option<Result<OpenModule, ModuleRefusal>> {
        let code = self.store.find_code(key)?;
        let opened = match inspected {
            Inspected::Core(shape) => {
                image::map(&self.engine, code).map_err(not_loaded).and_then(|module| self.link(&module, shape))
            }
            Inspected::Component => image::read_component(&self.engine, code)
                .map_err(not_loaded)
                .and_then(|component| self.link_component(&component)),
        };
        match opened {
            Err(ModuleRefusal::Fault(_)) => None,
            opened => Some(opened),
        }
    }

    fn link(&self, module: &Module, shape: CoreShape) -> Result<OpenModule, ModuleRefusal> {
        let prepared = self.linker.instantiate_pre(module);
        let fault = |error| ModuleRefusal::Fault(format!("link a module: {error:#}"));
        Ok(OpenModule::Core { prepared: prepared.map_err(fault)?, shape })
    }

    fn link_component(&self, component: &Component) -> Result<OpenModule, ModuleRefusal> {
        ComponentFunction::open(&self.component_linker, component).map(OpenModule::Component)
    }
}

/// Says why the code that our own compiler wrote for this engine is not taken.
///
/// Unless the machine had no room for it, it wants more than an instance is given: several instances, memories and tables,
/// or much data for the host to keep beside them.
fn not_loaded(error: wasmtime::Error) -> ModuleRefusal {
    let is_of_the_machine = error.chain().any(|cause| cause.is::<io::Error>() || cause.is::<rustix::io::Errno>());
    if is_of_the_machine {
        return ModuleRefusal::Fault(format!("load the code of a module: {error:#}"));
    }
    ModuleRefusal::NotCompiled(format!("{error:#}"))
}

/// Returns the source that stands for a module: its binary in base64. What is text already is taken for that.
pub fn module_source(binary: &[u8]) -> String {
    const BINARY: &[u8] = b"\0asm";
    match std::str::from_utf8(binary) {
        Ok(text) if !binary.starts_with(BINARY) => text.to_owned(),
        Ok(_) | Err(_) => BASE64.encode(binary),
    }
}
