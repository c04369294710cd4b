use std::error::Error;
use std::sync::{Arc, mpsc};
use std::thread;

use greensand_guest_templates::GuestKind;
use greensand_types::{
    BoxFuture, CallOutcome, DescribeOutcome, Encoding, Entry, FunctionRuntime, GrantedFunction, Grants, HostFault,
    Invocation, JsonKind, Language, Limits, SourceText, Tenant,
};

use crate::build::{BuildKey, Builds, Plan};
use crate::call::{Executor, GuestCall, Nesting, Verb};
use crate::describe::description;
use crate::engine::{self, THREAD_STACK, thread_stack};
use crate::image::{Image, ImageStore, Images};
use crate::jail::Jail;
use crate::module::{BuildLimits, Compiler, ModuleRefusal, Modules, OpenModule, Unopened};
use crate::ticker::Ticker;
use crate::worker::{Cancellation, QueueBounds, WorkError, WorkerPool, panic_message, wait_for};
use crate::{
    GuestTemplate, ImageError, ImageProgress, ImageReport, ImageStage, ImageStatus, InstanceUse, NestingLimits,
    PreparedUse, SandboxSettings, ToolchainStatus, UnsafeCacheError,
};

/// How many modules are opened at once.
const OPENERS: usize = 3;

/// The stack of a thread that opens modules, in bytes: nothing of theirs runs on it.
const OPENER_STACK: usize = 8 << 20;

/// What the front of a compiled language may use to read a source, in bytes.
const FRONT_MEMORY: u64 = 256 << 20;

/// Runs function calls, each in a WebAssembly instance that is new, or was made as new.
///
/// Cheap to clone: clones share the workers and the images. The last one to go ends and joins the workers.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    // Before `core`: the workers end first, and hold their own share of what they work with.
    workers: WorkerPool,
    /// Opens modules, so that no worker waits for a compiler.
    openers: WorkerPool,
    core: Arc<Core>,
}

/// What a worker needs for a call.
struct Core {
    images: Images,
    executor: Executor,
    modules: Arc<Modules>,
    builds: Builds,
    nesting: NestingLimits,
}

/// The sandbox could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenSandboxError {
    /// The engine refuses its settings on this machine.
    #[error("start the WebAssembly engine")]
    Engine(#[source] Box<dyn Error + Send + Sync>),
    /// A thread could not be started.
    #[error("start the threads of the sandbox")]
    Threads(#[source] std::io::Error),
    /// Others could tamper with the cache.
    #[error(transparent)]
    Cache(#[from] UnsafeCacheError),
}

impl Sandbox {
    /// Opens a sandbox: starts the engine and the workers. Images are made or mapped at first use.
    ///
    /// # Errors
    /// When the engine or the threads cannot start, or when others could tamper with the cache folder.
    pub fn open(settings: SandboxSettings) -> Result<Self, OpenSandboxError> {
        let workers = settings.workers.max(1);
        let store = ImageStore::open(&settings.cache_dir)?;
        let engine = engine::for_calls(workers, settings.nesting.depth)
            .map_err(|error| OpenSandboxError::Engine(error.into()))?;
        let ticker = Ticker::start(&engine).map_err(OpenSandboxError::Threads)?;
        let executor = Executor::new(ticker, settings.prepared_bytes, settings.instances);
        let jail = Arc::new(Jail::new(settings.helper, settings.unjailed_builds));
        let compiler = Compiler::new(jail.clone(), settings.cache_dir.clone());
        let modules = Modules::new(engine.clone(), store.clone(), compiler)
            .map_err(|error| OpenSandboxError::Engine(error.into()))?;
        let modules = Arc::new(modules);
        let builds = Builds::new(jail, store.clone(), settings.cache_dir, settings.tool_folders, modules.clone())
            .map_err(OpenSandboxError::Threads)?;
        let images = Images::new(engine, store, &settings.languages, settings.package_sets);
        let core = Arc::new(Core { images, executor, modules, builds, nesting: settings.nesting });
        let bounds = QueueBounds {
            total: settings.queue_len,
            per_tenant: settings.tenant_queue_len,
            running_per_tenant: settings.tenant_workers,
        };
        // What one tenant has compiled may take its time, and never every opener.
        let apart = QueueBounds { running_per_tenant: OPENERS - 1, ..bounds };
        let openers = WorkerPool::start(OPENERS, apart, OPENER_STACK).map_err(OpenSandboxError::Threads)?;
        let stack = thread_stack(settings.nesting.depth);
        let workers = WorkerPool::start(workers, bounds, stack).map_err(OpenSandboxError::Threads)?;
        Ok(Self { shared: Arc::new(Shared { workers, openers, core }) })
    }

    /// Returns the guest languages on offer.
    pub fn languages(&self) -> impl Iterator<Item = &'static GuestTemplate> {
        self.shared.core.images.languages()
    }

    /// Runs one call, and blocks this thread until it has ended: the shortest way for callers that wait anyhow.
    ///
    /// Like [`FunctionRuntime::invoke`] otherwise. Nothing interrupts it but the limits of the call, and a thread that
    /// drives futures stands still meanwhile.
    ///
    /// # Errors
    /// When the host could not do its part.
    pub fn invoke_blocking(&self, invocation: Invocation) -> Result<CallOutcome, HostFault> {
        wait_for(self.invoke_checked(invocation))
    }

    /// Makes or maps the image of a language, so that the next call finds it ready. Blocks until it is.
    ///
    /// # Errors
    /// When there is no such language, or when its image cannot be made. A cache that cannot be written is no error:
    /// the report says so.
    pub fn prepare_image(
        &self,
        language: &Language,
        progress: &dyn Fn(ImageProgress),
    ) -> Result<ImageReport, ImageError> {
        let core = &self.shared.core;
        let Some(position) = core.images.position(language) else {
            return Err(ImageError::UnknownLanguage { name: language.to_string(), known: core.known_languages() });
        };
        self.prepare_at(position, language, progress)
    }

    /// Makes or maps the image of a language with packages, so that the next call that asks for them finds it ready. Blocks
    /// until it is. The image of the language alone is made first where it is missing: its guest compiles the packages.
    ///
    /// # Errors
    /// When no set of the language has these packages, or when the image cannot be made; a package that cannot be
    /// imported is such an error, with what the guest says of it.
    pub fn prepare_packages(
        &self,
        language: &Language,
        packages: &[String],
        progress: &dyn Fn(ImageProgress),
    ) -> Result<ImageReport, ImageError> {
        match self.shared.core.images.position_with(language, packages) {
            Some(position) => self.prepare_at(position, language, progress),
            None => Err(ImageError::UnknownPackages { reason: self.shared.core.no_packages(language, packages) }),
        }
    }

    /// Says whether a set of the language has all these packages.
    pub fn has_packages(&self, language: &Language, packages: &[String]) -> bool {
        self.shared.core.images.position_with(language, packages).is_some()
    }

    fn prepare_at(
        &self,
        position: usize,
        language: &Language,
        progress: &dyn Fn(ImageProgress),
    ) -> Result<ImageReport, ImageError> {
        let core = &self.shared.core;
        let failed = |source: Box<dyn Error + Send + Sync>| ImageError::Stage {
            language: language.to_string(),
            stage: ImageStage::Unpack,
            source,
        };
        // Guests start, and compilers recurse, on a stack of the size that calls have.
        thread::scope(|scope| {
            let (progressed, progresses) = mpsc::channel();
            let maker = thread::Builder::new().name("gs-image".into()).stack_size(THREAD_STACK);
            let maker = maker.spawn_scoped(scope, move || {
                let report = core.images.prepare(position, language, &|step| {
                    // The receiver lives until this thread has ended.
                    let _ = progressed.send(step);
                })?;
                core.prepare_toolchain(position).map(|()| report)
            });
            let maker = maker.map_err(|error| failed(error.into()))?;
            progresses.iter().for_each(progress);
            maker.join().unwrap_or_else(|panic| Err(failed(panic_message(panic.as_ref()).into())))
        })
    }

    /// Says what the cache holds of a language, without making or mapping anything.
    pub fn image_status(&self, language: &Language) -> ImageStatus {
        let images = &self.shared.core.images;
        images.position(language).map_or(ImageStatus::UnknownLanguage, |position| images.status(position))
    }

    /// Says how the instances of calls come about on this machine, and how often each way was gone.
    pub fn instances(&self) -> InstanceUse {
        self.shared.core.executor.instance_use()
    }

    /// Says whether sources of a language can be compiled on this machine. It may start the compiler to ask its version.
    pub fn toolchain_status(&self, language: &Language) -> ToolchainStatus {
        let core = &self.shared.core;
        let position = core.images.position(language);
        position.map_or(ToolchainStatus::NotNeeded, |position| core.builds.status(core.images.template(position)))
    }

    /// Says what is kept of functions that were compiled, and how often that was of use.
    ///
    /// The first call of a function, or the first look at it by [`FunctionRuntime::describe`], compiles it.
    pub fn prepared_functions(&self) -> PreparedUse {
        self.shared.core.executor.prepared_use()
    }

    /// Runs a guest call on a worker.
    async fn run(&self, tenant: &Tenant, position: usize, call: GuestCall) -> Result<CallOutcome, HostFault> {
        let core = self.shared.core.clone();
        match &core.images.template(position).kind {
            GuestKind::Interpreter { .. } => {}
            GuestKind::Compiled { .. } => return self.run_compiled(tenant, position, call).await,
            GuestKind::Module => return self.run_module(tenant, call).await,
        }
        let work = move |cancellation: &Cancellation| core.run(position, &call, cancellation);
        answer(self.shared.workers.run(tenant, work).await)?
    }

    /// Opens the module that a source is, and runs a call of it on a worker.
    async fn run_module(&self, tenant: &Tenant, call: GuestCall) -> Result<CallOutcome, HostFault> {
        let module = match self.open_module(tenant, &call.source, BuildLimits::of_brought(&call.limits)).await? {
            Ok(module) => module,
            Err(refusal) => return refusal.into_outcome(),
        };
        let core = self.shared.core.clone();
        let work = move |cancellation: &Cancellation| {
            core.open_images(&call.grants)?;
            core.executor.run_module(&module, &call, cancellation)
        };
        answer(self.shared.workers.run(tenant, work).await)?
    }

    /// Opens the module that a source is.
    async fn open_module(
        &self,
        tenant: &Tenant,
        source: &Arc<str>,
        limits: BuildLimits,
    ) -> Result<Result<Arc<OpenModule>, ModuleRefusal>, HostFault> {
        if let Some(module) = self.shared.core.modules.opened(source) {
            return Ok(Ok(module));
        }
        let (core, source) = (self.shared.core.clone(), source.clone());
        let open = move |cancellation: &Cancellation| core.modules.open_source(&source, limits, cancellation);
        self.on_opener(tenant, open).await
    }

    /// Has an opener do something, and again whenever what others were busy with is done. No opener waits meanwhile.
    async fn on_opener<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        work: impl Fn(&Cancellation) -> Result<T, Unopened> + Clone + Send + 'static,
    ) -> Result<Result<T, ModuleRefusal>, HostFault> {
        loop {
            match answer(self.shared.openers.run(tenant, work.clone()).await)? {
                Ok(opened) => return Ok(Ok(opened)),
                Err(Unopened::Refused(refusal)) => return Ok(Err(refusal)),
                // Whoever ends without a word has ended, too.
                Err(Unopened::Awaited(ended)) => drop(ended.await),
            }
        }
    }

    /// Runs a call of a function of a compiled language, building it first unless that was done before.
    async fn run_compiled(&self, tenant: &Tenant, position: usize, call: GuestCall) -> Result<CallOutcome, HostFault> {
        if call.verb == Verb::Run {
            return Ok(CallOutcome::invalid("the language is compiled and has no scripts: name a function to call"));
        }
        let (core, call) = (self.shared.core.clone(), Arc::new(call));
        let module = match self.build(tenant, position, &call).await? {
            Ok(module) => module,
            Err(outcome) => return Ok(outcome),
        };
        let work = move |cancellation: &Cancellation| match (call.verb, module) {
            (Verb::Invoke, Some(module)) => {
                core.open_images(&call.grants)?;
                core.executor.run_module(&module, &call, cancellation)
            }
            // The front knows what a source says of itself.
            _ => core.executor.run_source(&*core.image(position)?, &for_front(&call), cancellation),
        };
        answer(self.shared.workers.run(tenant, work).await)?
    }

    /// Opens what the function of a call is built to; nothing when the call only asks whether its source compiles.
    ///
    /// A source that cannot be built is told by the outcome.
    async fn build(
        &self,
        tenant: &Tenant,
        position: usize,
        call: &Arc<GuestCall>,
    ) -> Result<Result<Option<Arc<OpenModule>>, CallOutcome>, HostFault> {
        let core = self.shared.core.clone();
        let template = core.images.template(position);
        let key = BuildKey::new(template, &call.source, &call.entry);
        if let Some(module) = core.builds.opened(&key) {
            return Ok(Ok(Some(module)));
        }
        let (limits, is_named) = (BuildLimits::of(&call.limits), !call.entry.is_empty());
        if is_named {
            // What was built thoroughly before needs neither its compiler nor its front.
            let finder = core.clone();
            let find = move |cancellation: &Cancellation| {
                finder.builds.find(template, key, limits, &|| cancellation.is_requested())
            };
            match self.on_opener(tenant, find).await? {
                Ok(Some(module)) => return Ok(Ok(Some(module))),
                Ok(None) => {}
                Err(refusal) => return refusal.into_outcome().map(Err),
            }
        }
        let (planner, planned) = (core.clone(), call.clone());
        let work = move |cancellation: &Cancellation| planner.plan(position, &planned, cancellation);
        let plan = match answer(self.shared.workers.run(tenant, work).await)?? {
            Ok(plan) => Arc::new(plan),
            Err(outcome) => return Ok(Err(outcome)),
        };
        let open = move |cancellation: &Cancellation| {
            let is_cancelled = || cancellation.is_requested();
            match is_named {
                true => core.builds.open(template, key, &plan, limits, &is_cancelled).map(Some),
                false => core.builds.check(template, key, &plan, limits, &is_cancelled).map(|()| None),
            }
        };
        match self.on_opener(tenant, open).await? {
            Ok(module) => Ok(Ok(module)),
            Err(refusal) => refusal.into_outcome().map(Err),
        }
    }

    /// Opens the modules that a call is granted, so that it finds them open; those that cannot be are refused when called.
    async fn open_granted(&self, tenant: &Tenant, grants: &Grants) -> Result<(), HostFault> {
        for (_, function) in grants.functions.iter() {
            let GrantedFunction::Learned(grant) = function else { continue };
            let core = &self.shared.core;
            let Ok(position) = core.language_of(&grant.source) else { continue };
            match &core.images.template(position).kind {
                GuestKind::Interpreter { .. } => {}
                GuestKind::Compiled { .. } => {
                    let call = looking_at(Verb::Prepare, &grant.source, grant.entry.clone(), grant.limits);
                    let _ = self.build(tenant, position, &Arc::new(call)).await?;
                }
                GuestKind::Module => {
                    drop(self.open_module(tenant, &grant.source.text, BuildLimits::of_brought(&grant.limits)).await?);
                }
            }
        }
        Ok(())
    }

    /// Runs an invocation, or says why it never reaches an instance.
    async fn invoke_checked(&self, invocation: Invocation) -> Result<CallOutcome, HostFault> {
        let checked = check_arguments(&invocation).and_then(|()| self.shared.core.language_of(&invocation.source));
        let position = match checked {
            Ok(position) => position,
            Err(reason) => return Ok(CallOutcome::invalid(reason)),
        };
        let Invocation { source, entry, arguments, limits, grants, encoding, seed, tenant } = invocation;
        let (verb, entry, arguments, encoding) = match entry {
            Entry::Function(name) => (Verb::Invoke, name, Some(arguments), encoding),
            Entry::Script => (Verb::Run, String::new(), None, Encoding::Tagged),
        };
        self.open_granted(&tenant, &grants).await?;
        let nesting = self.shared.core.nesting(&grants);
        let source = source.text;
        let call = GuestCall { verb, source, entry, arguments, limits, grants, encoding, seed, nesting };
        self.run(&tenant, position, call).await
    }

    /// Looks at a source without arguments, grants or seed: the same source always gets the same answer.
    async fn look_at(
        &self,
        verb: Verb,
        source: SourceText,
        entry: String,
        limits: Limits,
    ) -> Result<CallOutcome, HostFault> {
        let position = match self.shared.core.language_of(&source) {
            Ok(position) => position,
            Err(reason) => return Ok(CallOutcome::invalid(reason)),
        };
        self.run(&Tenant::default(), position, looking_at(verb, &source, entry, limits)).await
    }
}

/// A call as the front of its language gets it: reading the source is a part of the build, so its limits count.
fn for_front(call: &GuestCall) -> GuestCall {
    let limits = Limits { wall: call.limits.build_wall, memory_bytes: FRONT_MEMORY, ..Limits::DEFAULT };
    let (source, entry, nesting) = (call.source.clone(), call.entry.clone(), Nesting::default());
    GuestCall { source, entry, arguments: None, limits, grants: Grants::default(), nesting, ..*call }
}

/// A call that looks at a source.
fn looking_at(verb: Verb, source: &SourceText, entry: String, limits: Limits) -> GuestCall {
    let (source, encoding, arguments, seed) = (source.text.clone(), Encoding::Strict, None, 0);
    let (grants, nesting) = Default::default();
    // What is said of a source is no result of it.
    let limits = Limits { max_result_bytes: Limits::DEFAULT.max_result_bytes, ..limits };
    GuestCall { verb, source, entry, arguments, limits, grants, encoding, seed, nesting }
}

impl Core {
    fn run(&self, position: usize, call: &GuestCall, cancellation: &Cancellation) -> Result<CallOutcome, HostFault> {
        let image = self.image(position)?;
        self.open_images(&call.grants)?;
        self.executor.run(&image, call, cancellation)
    }

    /// Opens the images of what a call is granted: its clock covers the calls nested in it, but never the making of an image.
    fn open_images(&self, grants: &Grants) -> Result<(), HostFault> {
        for (_, function) in grants.functions.iter() {
            let GrantedFunction::Learned(grant) = function else { continue };
            match self.language_of(&grant.source) {
                Ok(position) if is_interpreted(self.images.template(position)) => drop(self.image(position)?),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Has everything ready that builds of a language need, if there are any.
    fn prepare_toolchain(&self, position: usize) -> Result<(), ImageError> {
        let template = self.images.template(position);
        match &template.kind {
            GuestKind::Interpreter { .. } | GuestKind::Module => Ok(()),
            GuestKind::Compiled { .. } => {
                self.builds.prepare(template).map_err(|refusal| ImageError::Toolchain(refusal.to_string()))
            }
        }
    }

    /// Has the front of a compiled language say what is to be compiled for a call, or why nothing is.
    fn plan(
        &self,
        position: usize,
        call: &GuestCall,
        cancellation: &Cancellation,
    ) -> Result<Result<Plan, CallOutcome>, HostFault> {
        let image = self.image(position)?;
        let form = match self.executor.compiled_form(&image, &for_front(call), cancellation)? {
            Ok(form) => form,
            Err(outcome) => return Ok(Err(outcome)),
        };
        let refused = |reason: String| CallOutcome::invalid(format!("the source cannot be compiled: {reason}"));
        Ok(Plan::read(&form).map_err(refused))
    }

    /// Runs a call that another one makes, on its thread.
    fn run_nested(
        &self,
        source: &SourceText,
        call: &GuestCall,
        cancellation: &Cancellation,
    ) -> Result<CallOutcome, HostFault> {
        let position = match self.language_of(source) {
            Ok(position) => position,
            Err(reason) => return Ok(CallOutcome::invalid(reason)),
        };
        // What could be opened was opened before the outermost call was let in: nothing is compiled on its clock.
        let template = self.images.template(position);
        let module = match &template.kind {
            GuestKind::Interpreter { .. } => return self.executor.run(&*self.image(position)?, call, cancellation),
            GuestKind::Compiled { .. } => self.builds.opened(&BuildKey::new(template, &call.source, &call.entry)),
            GuestKind::Module => self.modules.opened(&call.source),
        };
        match module {
            Some(module) => self.executor.run_module(&module, call, cancellation),
            None => Ok(CallOutcome::invalid("the module could not be opened; a call of its own says why")),
        }
    }

    fn image(&self, position: usize) -> Result<Arc<Image>, HostFault> {
        self.images.for_call(position).map_err(|error| HostFault::caused_by("open an image", error))
    }

    /// Returns the place of a call that is asked for from outside.
    fn nesting(self: &Arc<Self>, grants: &Grants) -> Nesting {
        let is_learned = |function: &GrantedFunction| matches!(function, GrantedFunction::Learned(_));
        if !grants.functions.iter().any(|(_, function)| is_learned(function)) {
            return Nesting::default();
        }
        let core = self.clone();
        let run = move |source: &SourceText, call, cancellation: &_| core.run_nested(source, &call, cancellation);
        Nesting::outermost(self.nesting, Box::new(run))
    }

    /// Finds the language of a source, or says why there is none to run it.
    fn language_of(&self, source: &SourceText) -> Result<usize, String> {
        let Some(position) = self.images.position(&source.language) else {
            let (name, known) = (&source.language, self.known_languages());
            return Err(format!("no guest language is called `{name}`; known: {known}"));
        };
        if source.packages.is_empty() {
            return Ok(position);
        }
        let with = self.images.position_with(&source.language, &source.packages);
        with.ok_or_else(|| self.no_packages(&source.language, &source.packages))
    }

    /// Says which of the packages a language does not have, and which it does.
    fn no_packages(&self, language: &Language, packages: &[String]) -> String {
        let images = &self.images;
        let missing =
            packages.iter().find(|package| images.position_with(language, std::slice::from_ref(package)).is_none());
        let what = match missing {
            Some(package) => format!("package `{}` is not available", package.escape_debug()),
            None => "no set of packages has them all".to_owned(),
        };
        match images.package_names(language) {
            Some(names) => format!("{what}: beyond the library of `{language}` there are {names}"),
            None => format!("{what}: functions have the library of `{language}` only"),
        }
    }

    fn known_languages(&self) -> String {
        let names: Vec<_> = self.images.languages().map(|template| format!("`{}`", template.name)).collect();
        names.join(", ")
    }
}

impl FunctionRuntime for Sandbox {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(self.invoke_checked(invocation))
    }

    fn compile(&self, source: SourceText, limits: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(self.look_at(Verb::Prepare, source, String::new(), limits))
    }

    fn describe(
        &self,
        source: SourceText,
        entry: String,
        limits: Limits,
    ) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
        Box::pin(async move { Ok(description(self.look_at(Verb::Describe, source, entry, limits).await?)) })
    }

    fn default_limits(&self, language: &Language) -> Option<Limits> {
        let template = self.languages().find(|template| template.name == language.as_str())?;
        Some(Limits { memory_bytes: template.default_memory_bytes, ..Limits::DEFAULT })
    }
}

/// Says whether calls of a language run on its image.
fn is_interpreted(template: &GuestTemplate) -> bool {
    match &template.kind {
        GuestKind::Interpreter { .. } => true,
        GuestKind::Compiled { .. } | GuestKind::Module => false,
    }
}

fn answer<T>(worked: Result<T, WorkError>) -> Result<T, HostFault> {
    worked.map_err(|error| HostFault::caused_by("run a call in the sandbox", error))
}

fn check_arguments(invocation: &Invocation) -> Result<(), String> {
    let arguments = &invocation.arguments;
    let (length, limit) = (arguments.get().len() as u64, invocation.limits.max_argument_bytes);
    if length > limit {
        return Err(format!("the arguments have {length} bytes, the limit is {limit}"));
    }
    match arguments.kind() {
        JsonKind::Array | JsonKind::Object => {}
        JsonKind::Null | JsonKind::Bool | JsonKind::Number | JsonKind::String => {
            return Err("the arguments must be a JSON object (by name) or array (by position)".into());
        }
    }
    let is_script = match invocation.entry {
        Entry::Script => true,
        Entry::Function(_) => false,
    };
    if is_script && !matches!(arguments.get(), "[]" | "{}") {
        return Err("a script takes no arguments: give `[]`".into());
    }
    Ok(())
}
