use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use greensand_guest_templates::{GuestKind, GuestTemplate, Recipe};
use greensand_types::{ContentId, Limits};

use super::compile::{Effort, compile};
use super::improve::Improver;
use super::plan::Plan;
use super::toolchain::{self, Toolchain, ToolchainStatus};
use crate::image::ImageStore;
use crate::jail::Jail;
use crate::module::{ModuleRefusal, Modules, OpenModule, OpenModules, Tier};

/// How long a refusal is remembered, of a source or of the whole machine: who asks again meanwhile is told at once.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Which function is meant: a source and an entry in a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BuildKey(ContentId);

impl BuildKey {
    /// The key of an entry.
    pub(crate) fn new(template: &GuestTemplate, source: &str, entry: &str) -> Self {
        let mut id = ContentId::of("build");
        id.field(template.name.as_bytes()).field(source.as_bytes()).field(entry.as_bytes());
        Self(id.finish())
    }

    /// The key under which one build of it is kept.
    fn kept(&self, toolchain: &Toolchain, effort: Effort) -> ContentId {
        let mut id = ContentId::of("built");
        id.field(self.0.to_string().as_bytes()).field(toolchain.id.to_string().as_bytes());
        id.field(effort.as_str().as_bytes());
        id.finish()
    }
}

/// What a build may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BuildLimits {
    pub(super) wall: Duration,
    pub(super) memory_bytes: u64,
}

impl BuildLimits {
    /// The part of a call's limits that is about its build.
    pub(crate) fn of(limits: &Limits) -> Self {
        Self { wall: limits.build_wall, memory_bytes: limits.build_memory_bytes }
    }
}

/// Builds functions of compiled languages, and keeps what it built.
pub(crate) struct Builds {
    shared: Arc<Shared>,
    improver: Improver,
}

/// When the compiler of a language was looked for, and what was found.
type LookedFor = (Instant, Result<Arc<Toolchain>, String>);

/// What the thread in the background shares.
struct Shared {
    jail: Arc<Jail>,
    store: ImageStore,
    folder: PathBuf,
    tool_folders: Vec<PathBuf>,
    toolchains: Mutex<HashMap<&'static str, LookedFor>>,
    open: OpenModules,
    modules: Arc<Modules>,
}

impl Builds {
    /// Builds in this jail, with work folders and runtime libraries in that folder.
    ///
    /// # Errors
    /// When the thread of the background cannot start.
    pub(crate) fn new(
        jail: Arc<Jail>,
        store: ImageStore,
        folder: PathBuf,
        tool_folders: Vec<PathBuf>,
        modules: Arc<Modules>,
    ) -> io::Result<Self> {
        let (toolchains, open) = Default::default();
        let shared = Shared { jail, store, folder, tool_folders, toolchains, open, modules };
        Ok(Self { shared: Arc::new(shared), improver: Improver::start()? })
    }

    /// Finds a function that is open.
    pub(crate) fn opened(&self, key: &BuildKey) -> Option<Arc<OpenModule>> {
        let module = self.shared.open.get(key.0.as_bytes())?;
        self.improver.called_again(key);
        Some(module)
    }

    /// Opens a function, building it unless it is kept. Blocks until that is done.
    ///
    /// # Errors
    /// When it does not compile, is refused, or the host cannot do its part.
    pub(crate) fn open(
        &self,
        template: &'static GuestTemplate,
        key: BuildKey,
        plan: Plan,
        limits: BuildLimits,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Arc<OpenModule>, ModuleRefusal> {
        let shared = &self.shared;
        shared.open.get_or_open(*key.0.as_bytes(), REMEMBERED, || {
            let toolchain = shared.toolchain(template)?;
            if let Some(wasm) = shared.store.find_built(key.kept(&toolchain, Effort::Thorough)) {
                return shared.modules.open(&wasm, Tier::Full, is_cancelled);
            }
            let wasm = shared.built(&toolchain, key, &plan, Effort::Quick, limits, is_cancelled)?;
            let module = shared.modules.open(&wasm, Tier::Quick, is_cancelled)?;
            let weak = Arc::downgrade(shared);
            self.improver.remember(key, move |is_stopped| improve(&weak, &toolchain, key, &plan, limits, is_stopped));
            Ok(module)
        })
    }

    /// Says whether a plan compiles, without opening what comes of it. Blocks until that is done.
    ///
    /// # Errors
    /// When it does not, or the host cannot do its part.
    pub(crate) fn check(
        &self,
        template: &'static GuestTemplate,
        key: BuildKey,
        plan: &Plan,
        limits: BuildLimits,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(), ModuleRefusal> {
        let toolchain = self.shared.toolchain(template)?;
        self.shared.built(&toolchain, key, plan, Effort::Quick, limits, is_cancelled).map(drop)
    }

    /// Has everything ready that every build of a language needs. Blocks until that is done.
    ///
    /// # Errors
    /// Why the language cannot be compiled here.
    pub(crate) fn prepare(&self, template: &'static GuestTemplate) -> Result<(), ModuleRefusal> {
        self.shared.toolchain(template).map(drop)
    }

    /// Says whether a language can be compiled here, without building anything.
    pub(crate) fn status(&self, template: &'static GuestTemplate) -> ToolchainStatus {
        let Some(recipe) = recipe(template) else { return ToolchainStatus::NotNeeded };
        match toolchain::find(recipe, &self.shared.tool_folders, &self.shared.folder) {
            Ok(found) => ToolchainStatus::Found(found.version.lines().next().unwrap_or_default().to_owned()),
            Err(status) => status,
        }
    }
}

impl Shared {
    /// Returns the compiler of a language; where something is missing, it is looked for again after a while.
    fn toolchain(&self, template: &'static GuestTemplate) -> Result<Arc<Toolchain>, ModuleRefusal> {
        let Some(recipe) = recipe(template) else {
            return Err(ModuleRefusal::Fault(format!("`{}` is not a compiled language", template.name)));
        };
        let mut known = self.toolchains.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(template.name) {
            Some((_, Ok(toolchain))) => return Ok(toolchain.clone()),
            Some((since, Err(reason))) if since.elapsed() < REMEMBERED => {
                return Err(ModuleRefusal::NoCompiler(reason.clone()));
            }
            Some((_, Err(_))) | None => {}
        }
        let opened = Toolchain::open(template, recipe, &self.tool_folders, &self.folder).map(Arc::new);
        known.insert(template.name, (Instant::now(), opened.clone()));
        opened.map_err(ModuleRefusal::NoCompiler)
    }

    /// Returns what a plan is built to, as it is kept or newly built.
    fn built(
        &self,
        toolchain: &Toolchain,
        key: BuildKey,
        plan: &Plan,
        effort: Effort,
        limits: BuildLimits,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, ModuleRefusal> {
        let kept = key.kept(toolchain, effort);
        if let Some(wasm) = self.store.find_built(kept) {
            return Ok(wasm);
        }
        let wasm = compile(&self.jail, toolchain, plan, effort, limits, &self.folder, is_cancelled)?;
        // A folder that cannot be written is no error: the next process builds the function again.
        let _ = self.store.keep_built(kept, &wasm);
        Ok(wasm)
    }
}

/// Builds a function thoroughly and has further calls run that.
fn improve(
    shared: &Weak<Shared>,
    toolchain: &Toolchain,
    key: BuildKey,
    plan: &Plan,
    limits: BuildLimits,
    is_stopped: &dyn Fn() -> bool,
) {
    let Some(shared) = shared.upgrade() else { return };
    let wasm = shared.built(toolchain, key, plan, Effort::Thorough, limits, is_stopped);
    // If it cannot be improved, it runs on as it is.
    if let Ok(module) = wasm.and_then(|wasm| shared.modules.open(&wasm, Tier::Full, is_stopped)) {
        shared.open.replace(*key.0.as_bytes(), module);
    }
}

fn recipe(template: &'static GuestTemplate) -> Option<&'static Recipe> {
    match &template.kind {
        GuestKind::Compiled { recipe, .. } => Some(recipe),
        GuestKind::Interpreter { .. } | GuestKind::Module => None,
    }
}
