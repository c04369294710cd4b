use std::error::Error;
use std::sync::{Arc, mpsc};
use std::thread;

use greensand_types::{
    BoxFuture, CallOutcome, DescribeOutcome, Encoding, Entry, FunctionRuntime, Grants, HostFault, Invocation, JsonKind,
    Language, Limits, SourceText,
};

use crate::call::{Executor, GuestCall, Verb};
use crate::describe::description;
use crate::engine::{self, THREAD_STACK};
use crate::image::{ImageStore, Images};
use crate::jail::Jail;
use crate::module::{Compiler, Modules};
use crate::ticker::Ticker;
use crate::worker::{Cancellation, WorkError, WorkerPool, panic_message};
use crate::{
    GuestTemplate, ImageError, ImageProgress, ImageReport, ImageStage, ImageStatus, PreparedUse, SandboxSettings,
    UnsafeCacheError,
};

/// How many modules are opened at once.
const OPENERS: usize = 2;

/// The stack of a thread that opens modules, in bytes: nothing of theirs runs on it.
const OPENER_STACK: usize = 8 << 20;

/// Runs function calls, each in a fresh WebAssembly instance.
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
    modules: Modules,
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
        let engine = engine::for_calls(workers).map_err(|error| OpenSandboxError::Engine(error.into()))?;
        let ticker = Ticker::start(&engine).map_err(OpenSandboxError::Threads)?;
        let executor = Executor::new(ticker, settings.prepared_bytes);
        let jail = Jail::new(settings.helper, settings.unjailed_builds);
        let compiler = Compiler::new(jail, settings.cache_dir);
        let modules = Modules::new(engine.clone(), store.clone(), compiler)
            .map_err(|error| OpenSandboxError::Engine(error.into()))?;
        let core = Arc::new(Core { images: Images::new(engine, store, &settings.languages), executor, modules });
        let openers =
            WorkerPool::start(OPENERS, settings.queue_len, OPENER_STACK).map_err(OpenSandboxError::Threads)?;
        let workers =
            WorkerPool::start(workers, settings.queue_len, THREAD_STACK).map_err(OpenSandboxError::Threads)?;
        Ok(Self { shared: Arc::new(Shared { workers, openers, core }) })
    }

    /// Returns the guest languages on offer.
    pub fn languages(&self) -> impl Iterator<Item = &'static GuestTemplate> {
        self.shared.core.images.languages()
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
            return Err(ImageError::UnknownLanguage { name: language.to_string(), known: self.known_languages() });
        };
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
                core.images.prepare(position, language, &|step| {
                    // The receiver lives until this thread has ended.
                    let _ = progressed.send(step);
                })
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

    /// Says what is kept of functions that were compiled, and how often that was of use.
    ///
    /// The first call of a function, or the first look at it by [`FunctionRuntime::describe`], compiles it.
    pub fn prepared_functions(&self) -> PreparedUse {
        self.shared.core.executor.prepared_use()
    }

    /// Runs a guest call on a worker.
    async fn run(&self, position: usize, call: GuestCall) -> Result<CallOutcome, HostFault> {
        let core = self.shared.core.clone();
        if core.images.template(position).image().is_none() {
            return self.run_module(call).await;
        }
        let work = move |cancellation: &Cancellation| core.run(position, &call, cancellation);
        answer(self.shared.workers.run(work).await)?
    }

    /// Opens the module that a source is, and runs a call of it on a worker.
    async fn run_module(&self, call: GuestCall) -> Result<CallOutcome, HostFault> {
        let opened = match self.shared.core.modules.opened(&call.source) {
            Some(module) => Ok(module),
            None => {
                let (core, source) = (self.shared.core.clone(), call.source.clone());
                let open = move |cancellation: &Cancellation| core.modules.open_source(&source, cancellation);
                answer(self.shared.openers.run(open).await)?
            }
        };
        let module = match opened {
            Ok(module) => module,
            Err(refusal) => return refusal.into_outcome(),
        };
        let core = self.shared.core.clone();
        let work = move |cancellation: &Cancellation| core.executor.run_module(&module, &call, cancellation);
        answer(self.shared.workers.run(work).await)?
    }

    /// Finds the language of a source, or says why there is none to run it.
    fn language_of(&self, source: &SourceText) -> Result<usize, String> {
        let Some(position) = self.shared.core.images.position(&source.language) else {
            let (name, known) = (&source.language, self.known_languages());
            return Err(format!("no guest language is called `{name}`; known: {known}"));
        };
        match source.packages.as_slice() {
            [] => Ok(position),
            [package, ..] => Err(format!(
                "package `{}` is not available: functions have the library of `{}` only",
                package.escape_debug(),
                source.language
            )),
        }
    }

    fn known_languages(&self) -> String {
        let names: Vec<_> = self.languages().map(|template| format!("`{}`", template.name)).collect();
        names.join(", ")
    }

    /// Runs an invocation, or says why it never reaches an instance.
    async fn invoke_checked(&self, invocation: Invocation) -> Result<CallOutcome, HostFault> {
        let checked = check_arguments(&invocation).and_then(|()| self.language_of(&invocation.source));
        let position = match checked {
            Ok(position) => position,
            Err(reason) => return Ok(CallOutcome::invalid(reason)),
        };
        let Invocation { source, entry, arguments, limits, grants, encoding, seed, tenant: _ } = invocation;
        let (verb, entry, arguments, encoding) = match entry {
            Entry::Function(name) => (Verb::Invoke, name, Some(arguments), encoding),
            Entry::Script => (Verb::Run, String::new(), None, Encoding::Tagged),
        };
        self.run(position, GuestCall { verb, source: source.text, entry, arguments, limits, grants, encoding, seed })
            .await
    }

    /// Looks at a source without arguments, grants or seed: the same source always gets the same answer.
    async fn look_at(
        &self,
        verb: Verb,
        source: SourceText,
        entry: String,
        limits: Limits,
    ) -> Result<CallOutcome, HostFault> {
        let position = match self.language_of(&source) {
            Ok(position) => position,
            Err(reason) => return Ok(CallOutcome::invalid(reason)),
        };
        let (source, grants, encoding) = (source.text, Grants::default(), Encoding::Strict);
        let call = GuestCall { verb, source, entry, arguments: None, limits, grants, encoding, seed: 0 };
        self.run(position, call).await
    }
}

impl Core {
    fn run(&self, position: usize, call: &GuestCall, cancellation: &Cancellation) -> Result<CallOutcome, HostFault> {
        let image = self.images.for_call(position).map_err(|error| HostFault::caused_by("open an image", error))?;
        self.executor.run(&image, call, cancellation)
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
