use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use greensand_types::Limits;
use wasmtime::component::{self, Component};
use wasmtime::{Engine, InstancePre, Linker, Module, OptLevel};

use super::component::{ComponentFunction, link_host};
use super::contract::Contract;
use super::inspect::{CoreShape, Inspected, inspect};
use super::open::OpenModules;
use super::refusal::ModuleRefusal;
use crate::call::{CallState, guarded_store, link_contract};
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
    pub(super) fn describes(&self) -> bool {
        match self {
            Self::Core { shape, .. } => shape.describes,
            Self::Component(function) => function.describes(),
        }
    }
}

/// How well a module is compiled.
#[expect(dead_code, reason = "compiled languages come next")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tier {
    /// Soon: for the first calls of code that is compiled better meanwhile.
    Quick,
    /// For speed.
    Full,
}

#[expect(dead_code, reason = "compiled languages come next")]
impl Tier {
    /// Returns the setting of the compiler.
    pub(crate) fn opt_level(self) -> OptLevel {
        match self {
            Self::Quick => OptLevel::None,
            Self::Full => OptLevel::Speed,
        }
    }
}

/// Opens modules.
pub(crate) struct Modules {
    engine: Engine,
    linker: Linker<CallState>,
    component_linker: component::Linker<CallState>,
    contract: Contract,
    open: OpenModules,
}

impl Modules {
    /// Opens modules for an engine.
    ///
    /// # Errors
    /// When the host functions cannot be linked.
    pub(crate) fn new(engine: Engine) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&engine);
        link_contract(&mut linker)?;
        link_preview1(&mut linker)?;
        let contract = Contract::of(&linker, guarded_store(&engine, CallState::of_start(&Limits::DEFAULT, None)));
        let mut component_linker = component::Linker::new(&engine);
        link_host(&mut component_linker)?;
        link_preview2(&mut component_linker)?;
        Ok(Self { engine, linker, component_linker, contract, open: OpenModules::default() })
    }

    /// Finds the module that a source is, if it is open.
    pub(crate) fn opened(&self, source: &str) -> Option<Arc<OpenModule>> {
        self.open.get(blake3::hash(source.as_bytes()).as_bytes())
    }

    /// Opens the module that a source is: its binary in base64. Blocks until that is done.
    ///
    /// # Errors
    /// When it is refused, or the host cannot do its part.
    pub(crate) fn open_source(
        &self,
        source: &str,
        cancellation: &Cancellation,
    ) -> Result<Arc<OpenModule>, ModuleRefusal> {
        let digest = *blake3::hash(source.as_bytes()).as_bytes();
        let _ = cancellation;
        let wasm = BASE64
            .decode(source.trim_ascii())
            .map_err(|error| ModuleRefusal::NotWasm(format!("it is no base64: {error}")))?;
        let module = self.open(&wasm, Tier::Full)?;
        self.open.keep(digest, module.clone());
        Ok(module)
    }

    /// Opens a module: looks at it, and compiles it unless its code is kept. Blocks until that is done.
    ///
    /// # Errors
    /// When it is refused, or the host cannot do its part.
    pub(crate) fn open(&self, wasm: &[u8], tier: Tier) -> Result<Arc<OpenModule>, ModuleRefusal> {
        let inspected = inspect(wasm, &self.contract)?;
        let _ = tier;
        let not_compiled = |error: wasmtime::Error| ModuleRefusal::NotCompiled(format!("{error:#}"));
        let module = match inspected {
            Inspected::Core(shape) => {
                let module = Module::new(&self.engine, wasm).map_err(not_compiled)?;
                let prepared = self.linker.instantiate_pre(&module);
                let fault = |error| ModuleRefusal::Fault(format!("link a module: {error:#}"));
                OpenModule::Core { prepared: prepared.map_err(fault)?, shape }
            }
            Inspected::Component => {
                let component = Component::new(&self.engine, wasm).map_err(not_compiled)?;
                OpenModule::Component(ComponentFunction::open(&self.component_linker, &component)?)
            }
        };
        Ok(Arc::new(module))
    }
}
