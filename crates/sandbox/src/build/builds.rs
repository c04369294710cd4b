use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use greensand_guest_templates::{GuestKind, GuestTemplate, Recipe};
use greensand_types::ContentId;

use super::compile::{Effort, compile};
use super::improve::Improver;
use super::plan::Plan;
use super::toolchain::ToolchainStatus;
use super::toolchains::Toolchains;
use crate::image::ImageStore;
use crate::jail::{Jail, Priority};
use crate::module::{BuildLimits, ModuleRefusal, Modules, OpenModule, OpenModules, Tier, Unopened};
use crate::worker::wait_for;

/// How long a refusal is remembered, of a source or of the whole machine: who asks again meanwhile is told at once.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60);

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
    ///
    /// The compiler's version is no part of it: what an earlier compiler built stays as it was built, so that a function
    /// that is kept needs no compiler.
    fn kept(&self, recipe: ContentId, effort: Effort) -> ContentId {
        let mut id = ContentId::of("built by recipe");
        id.field(self.0.to_string().as_bytes()).field(recipe.to_string().as_bytes());
        id.field(effort.as_str().as_bytes());
        id.finish()
    }
}

/// Builds functions of compiled languages, and keeps what it built.
pub(crate) struct Builds {
    shared: Arc<Shared>,
    improver: Improver,
}

/// What the thread in the background shares.
struct Shared {
    jail: Arc<Jail>,
    store: ImageStore,
    folder: PathBuf,
    toolchains: Toolchains,
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
        let toolchains = Toolchains::new(tool_folders, folder.clone());
        let shared = Shared { jail, store, folder, toolchains, open: OpenModules::default(), modules };
        Ok(Self { shared: Arc::new(shared), improver: Improver::start()? })
    }

    /// Finds a function that is open.
    pub(crate) fn opened(&self, key: &BuildKey) -> Option<Arc<OpenModule>> {
        let module = self.shared.open.get(key.0.as_bytes())?;
        self.improver.called_again(key);
        Some(module)
    }

    /// Opens a function that was built thoroughly before, without its compiler or its front; nothing if none was.
    ///
    /// # Errors
    /// When it is refused, the host cannot do its part, or somebody else opens it.
    pub(crate) fn find(
        &self,
        template: &'static GuestTemplate,
        key: BuildKey,
        limits: BuildLimits,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Arc<OpenModule>>, Unopened> {
        let shared = &self.shared;
        let Some(wasm) = shared.kept(template, key, Effort::Thorough)? else { return Ok(None) };
        let open = || Ok(shared.modules.open(&wasm, Tier::Full, Priority::Usual, limits, is_cancelled)?);
        shared.open.get_or_open(*key.0.as_bytes(), limits, REMEMBERED, open).map(Some)
    }

    /// Opens a function, building it unless it is kept. Blocks until that is done, unless somebody else does it.
    ///
    /// # Errors
    /// When it does not compile, is refused, the host cannot do its part, or somebody else builds it.
    pub(crate) fn open(
        &self,
        template: &'static GuestTemplate,
        key: BuildKey,
        plan: &Arc<Plan>,
        limits: BuildLimits,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Arc<OpenModule>, Unopened> {
        let shared = &self.shared;
        shared.open.get_or_open(*key.0.as_bytes(), limits, REMEMBERED, || {
            let wasm = shared.built(template, key, plan, Effort::Quick, limits, is_cancelled)?;
            let module = shared.modules.open(&wasm, Tier::Quick, Priority::Usual, limits, is_cancelled)?;
            shared.keep(template, key, Effort::Quick, &wasm);
            let (weak, planned) = (Arc::downgrade(shared), plan.clone());
            let job = move |is_stopped: &dyn Fn() -> bool| improve(&weak, template, key, &planned, limits, is_stopped);
            self.improver.remember(key, plan.bytes(), job);
            Ok(module)
        })
    }

    /// Says whether a plan compiles, without opening what comes of it. Blocks until that is done.
    ///
    /// # Errors
    /// When it does not, the host cannot do its part, or somebody else looks for the compiler.
    pub(crate) fn check(
        &self,
        template: &'static GuestTemplate,
        key: BuildKey,
        plan: &Plan,
        limits: BuildLimits,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Unopened> {
        let wasm = self.shared.built(template, key, plan, Effort::Quick, limits, is_cancelled)?;
        self.shared.keep(template, key, Effort::Quick, &wasm);
        Ok(())
    }

    /// Has everything ready that every build of a language needs. Blocks until that is done.
    ///
    /// Where its runtime library was built before, the compiler is not asked: the first build does that.
    ///
    /// # Errors
    /// Why the language cannot be compiled here.
    pub(crate) fn prepare(&self, template: &'static GuestTemplate) -> Result<(), ModuleRefusal> {
        let recipe = recipe(template)?;
        if self.shared.toolchains.was_open(template, recipe) {
            return Ok(());
        }
        loop {
            match self.shared.toolchains.get(template, recipe) {
                Ok(_) => return Ok(()),
                Err(Unopened::Refused(refusal)) => return Err(refusal),
                // Whoever ends without a word has ended, too.
                Err(Unopened::Awaited(ended)) => drop(wait_for(ended)),
            }
        }
    }

    /// Says whether a language can be compiled here, without building anything.
    pub(crate) fn status(&self, template: &'static GuestTemplate) -> ToolchainStatus {
        match recipe(template) {
            Ok(recipe) => self.shared.toolchains.status(recipe),
            Err(_) => ToolchainStatus::NotNeeded,
        }
    }
}

impl Drop for Builds {
    fn drop(&mut self) {
        // Whoever waits for a compiler is let go, the thread of the background among them.
        self.shared.toolchains.close();
    }
}

impl Shared {
    /// Finds a build that is kept.
    fn kept(
        &self,
        template: &'static GuestTemplate,
        key: BuildKey,
        effort: Effort,
    ) -> Result<Option<Vec<u8>>, ModuleRefusal> {
        let id = self.toolchains.recipe_id(template, recipe(template)?);
        Ok(self.store.find_built(key.kept(id, effort)))
    }

    /// Returns what a plan is built to, as it is kept or newly built.
    fn built(
        &self,
        template: &'static GuestTemplate,
        key: BuildKey,
        plan: &Plan,
        effort: Effort,
        limits: BuildLimits,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, Unopened> {
        if let Some(wasm) = self.kept(template, key, effort)? {
            return Ok(wasm);
        }
        let recipe = recipe(template)?;
        let toolchain = self.toolchains.get(template, recipe)?;
        let wasm = compile(&self.jail, &toolchain, plan, effort, limits, &self.folder, is_cancelled);
        if let Err(ModuleRefusal::Fault(_)) = &wasm {
            // Perhaps the compiler is another one by now.
            self.toolchains.forget(template);
        }
        Ok(wasm?)
    }

    /// Keeps a build, once its native code is kept: whoever finds it needs no compiler for either.
    fn keep(&self, template: &'static GuestTemplate, key: BuildKey, effort: Effort, wasm: &[u8]) {
        let Ok(recipe) = recipe(template) else { return };
        let id = key.kept(self.toolchains.recipe_id(template, recipe), effort);
        if self.store.find_built(id).is_none() {
            // A folder that cannot be written is no error: the next process builds the function again.
            let _ = self.store.keep_built(id, wasm);
        }
    }
}

/// Builds a function thoroughly and has further calls run that.
fn improve(
    shared: &Weak<Shared>,
    template: &'static GuestTemplate,
    key: BuildKey,
    plan: &Plan,
    limits: BuildLimits,
    is_stopped: &dyn Fn() -> bool,
) {
    let Some(shared) = shared.upgrade() else { return };
    let wasm = loop {
        match shared.built(template, key, plan, Effort::Thorough, limits, is_stopped) {
            Ok(wasm) => break wasm,
            // If it cannot be improved, it runs on as it is.
            Err(Unopened::Refused(_)) => return,
            Err(Unopened::Awaited(ended)) => drop(wait_for(ended)),
        }
    };
    if let Ok(module) = shared.modules.open(&wasm, Tier::Full, Priority::Low, limits, is_stopped) {
        shared.keep(template, key, Effort::Thorough, &wasm);
        shared.open.replace(*key.0.as_bytes(), module);
    }
}

fn recipe(template: &'static GuestTemplate) -> Result<&'static Recipe, ModuleRefusal> {
    match &template.kind {
        GuestKind::Compiled { recipe, .. } => Ok(recipe),
        GuestKind::Interpreter { .. } | GuestKind::Module => {
            Err(ModuleRefusal::Fault(format!("`{}` is not a compiled language", template.name)))
        }
    }
}
