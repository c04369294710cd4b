//! Models and a runtime whose every answer is in the folder of a run before anybody uses it, and is never asked for twice.

use std::sync::Arc;

use greensand_llm::{
    ChatReply, ChatRequest, ConcurrencyReport, EmbeddingModel, EmbeddingRequest, Embeddings, FinishReason,
    ModelBackend, ModelError, ModelErrorKind, Role,
};
use greensand_types::{
    BoxFuture, CallOutcome, ContentId, ContentIdBuilder, DescribeOutcome, Encoding, Entry, FunctionRuntime,
    GrantedFunction, HostFault, Invocation, Language, Limits, SourceText, TokenUsage,
};

use crate::causes::with_causes;
use crate::store::{JournalEvent, KeptOutcomeRecord, RunWriter, StoreError};

/// A backend whose every reply is kept in a run before anybody uses it.
///
/// What is kept already is not asked for again. A reply that cannot be kept is not given out: what was paid for and is lost
/// must at least be known.
pub(crate) struct RecordingBackend {
    backend: Arc<dyn ModelBackend>,
    identity: String,
    run: Arc<RunWriter>,
}

impl RecordingBackend {
    pub(crate) fn new(backend: Arc<dyn ModelBackend>, run: Arc<RunWriter>) -> Self {
        Self { identity: backend.identity(), backend, run }
    }

    async fn ask(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        // Found once: it is a good part of what a request costs here.
        let digest = request.digest();
        if let Some(reply) = self.run.kept_reply(&self.identity, digest).map_err(|error| self.unkept(error))? {
            return overflow_of(reply);
        }
        if let Some(error) = self.must_be_kept(request)? {
            return Err(error);
        }
        let reply = match self.backend.chat(request).await {
            Err(error) if error.kind() == ModelErrorKind::ContextOverflow => reply_of(&error),
            reply => reply?,
        };
        self.run.keep_reply(&self.identity, request, digest, &reply).map_err(|error| self.unkept(error))?;
        overflow_of(reply)
    }

    /// Returns the error of a request whose reply must be there: everything is, in a replay, and a step that stands in the
    /// journal has had all its replies.
    fn must_be_kept(&self, request: &ChatRequest) -> Result<Option<ModelError>, ModelError> {
        // The journal is asked for steps only: it is not for each request of the assistant to look at it.
        let recorded = match request.role {
            Role::Assistant => None,
            Role::Optimizer => match self.run.upcoming().map_err(|error| self.unkept(error))? {
                Some(JournalEvent::Step(step)) => Some(step),
                Some(_) | None => None,
            },
        };
        if let Some(error) = recorded.as_ref().and_then(|step| step.error.clone()) {
            return Ok(Some(ModelError::new(ModelErrorKind::Refused { status: 0 }, error)));
        }
        if recorded.is_none() && !self.run.is_replay() {
            return Ok(None);
        }
        Ok(Some(not_asked_before(&request.place())))
    }

    fn unkept(&self, error: StoreError) -> ModelError {
        unkept(&self.run, error)
    }
}

fn not_asked_before(what: &str) -> ModelError {
    let message = format!("the run did not ask this before: {what}");
    let hint = "settings, tasks or program differ from those that the run was made with";
    ModelError::new(ModelErrorKind::Exhausted, message).with_hint(hint)
}

/// Keeps the error of the disk, and stands in for it.
fn unkept(run: &RunWriter, error: StoreError) -> ModelError {
    run.fail(error);
    ModelError::new(ModelErrorKind::BadReply, "a reply could not be kept, or not be read again")
}

impl ModelBackend for RecordingBackend {
    fn label(&self) -> String {
        self.backend.label()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn concurrency(&self) -> Option<ConcurrencyReport> {
        self.backend.concurrency()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(self.ask(request))
    }
}

/// How a reply ends that says that the conversation was too long for the model.
///
/// What is asked next follows from it, so it is kept like a reply: a replay must meet it again.
const OVERFLOW: &str = "context_overflow";

fn reply_of(overflow: &ModelError) -> ChatReply {
    ChatReply {
        text: overflow.to_string(),
        calls: Vec::new(),
        finish: FinishReason::from(OVERFLOW),
        usage: TokenUsage::default(),
    }
}

fn overflow_of(reply: ChatReply) -> Result<ChatReply, ModelError> {
    let is_overflow = reply.finish.as_str() == OVERFLOW && reply.usage == TokenUsage::default();
    match is_overflow {
        true => Err(ModelError::new(ModelErrorKind::ContextOverflow, reply.text)
            .with_hint("lower `agent.prompt_tokens` (assistant) or `training.prompt_tokens` (optimizer)")),
        false => Ok(reply),
    }
}

/// A model of embeddings whose every vector is kept in a run before anybody uses it.
///
/// Vectors are kept by text: a text that has one is not asked for again, whatever it was asked together with.
pub(crate) struct RecordingEmbeddings {
    model: Arc<dyn EmbeddingModel>,
    identity: String,
    run: Arc<RunWriter>,
}

impl RecordingEmbeddings {
    pub(crate) fn new(model: Arc<dyn EmbeddingModel>, run: Arc<RunWriter>) -> Self {
        Self { identity: model.identity(), model, run }
    }

    async fn ask(&self, request: &EmbeddingRequest) -> Result<Embeddings, ModelError> {
        let kept = request.texts.iter().map(|text| self.run.kept_vector(&self.identity, text));
        let kept: Vec<Option<Vec<f32>>> = kept.collect::<Result<_, _>>().map_err(|error| unkept(&self.run, error))?;
        let missing = request.texts.iter().zip(&kept).filter(|(_, vector)| vector.is_none());
        let missing = EmbeddingRequest { texts: missing.map(|(text, _)| text.clone()).collect(), ..*request };
        let new = self.ask_missing(&missing).await?;
        let mut asked = new.vectors.into_iter();
        let vectors: Vec<_> = kept.into_iter().filter_map(|vector| vector.or_else(|| asked.next())).collect();
        Ok(Embeddings { vectors, usage: new.usage })
    }

    /// Asks for what is not kept, and keeps it.
    async fn ask_missing(&self, request: &EmbeddingRequest) -> Result<Embeddings, ModelError> {
        if request.texts.is_empty() {
            return Ok(Embeddings { vectors: Vec::new(), usage: TokenUsage::default() });
        }
        if self.run.is_replay() {
            return Err(not_asked_before(&format!("vectors of {} texts", request.texts.len())));
        }
        let new = self.model.embed(request).await?;
        let keep = self.run.keep_vectors(&self.identity, request, &new);
        keep.map_err(|error| unkept(&self.run, error)).map(|()| new)
    }
}

impl EmbeddingModel for RecordingEmbeddings {
    fn label(&self) -> String {
        self.model.label()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn concurrency(&self) -> Option<ConcurrencyReport> {
        self.model.concurrency()
    }

    fn embed<'a>(&'a self, request: &'a EmbeddingRequest) -> BoxFuture<'a, Result<Embeddings, ModelError>> {
        Box::pin(self.ask(request))
    }
}

/// A runtime whose every outcome is kept in a run before anybody uses it.
///
/// What a call may reach of the host (its functions, its clock, files) is not in its id: the outcome of such a call is not
/// kept.
pub(crate) struct RecordingRuntime {
    runtime: Arc<dyn FunctionRuntime>,
    run: Arc<RunWriter>,
}

impl RecordingRuntime {
    pub(crate) fn new(runtime: Arc<dyn FunctionRuntime>, run: Arc<RunWriter>) -> Self {
        Self { runtime, run }
    }

    async fn kept<T>(
        &self,
        id: ContentId,
        asked: impl Future<Output = Result<T, HostFault>>,
        read: impl FnOnce(KeptOutcomeRecord) -> Result<T, String>,
        write: impl FnOnce(ContentId, &T) -> KeptOutcomeRecord,
    ) -> Result<T, HostFault> {
        if let Some(record) = self.run.kept_outcome(id).map_err(|error| self.unkept(error))? {
            return read(record).map_err(|reason| HostFault::new(format!("read a kept outcome: {reason}")));
        }
        let answer = asked.await?;
        if !self.run.is_replay() {
            self.run.keep_outcome(id, write(id, &answer)).map_err(|error| self.unkept(error))?;
        }
        Ok(answer)
    }

    fn unkept(&self, error: StoreError) -> HostFault {
        let fault = HostFault::new(format!("keep an outcome: {}", with_causes(&error)));
        self.run.fail(error);
        fault
    }
}

impl FunctionRuntime for RecordingRuntime {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(async move {
            let Some(id) = id_of_call(&invocation) else { return self.runtime.invoke(invocation).await };
            let asked = self.runtime.invoke(invocation);
            self.kept(id, asked, KeptOutcomeRecord::into_call, KeptOutcomeRecord::of_call).await
        })
    }

    fn compile(&self, source: SourceText, limits: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(async move {
            let id = id_of_look("compile", &source, "", &limits);
            let asked = self.runtime.compile(source, limits);
            self.kept(id, asked, KeptOutcomeRecord::into_call, KeptOutcomeRecord::of_call).await
        })
    }

    fn describe(
        &self,
        source: SourceText,
        entry: String,
        limits: Limits,
    ) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
        Box::pin(async move {
            let id = id_of_look("describe", &source, &entry, &limits);
            let asked = self.runtime.describe(source, entry, limits);
            self.kept(id, asked, KeptOutcomeRecord::into_look, KeptOutcomeRecord::of_look).await
        })
    }

    fn default_limits(&self, language: &Language) -> Option<Limits> {
        self.runtime.default_limits(language)
    }
}

/// The id of everything that the outcome of a call depends on; none where that is more than can be named.
fn id_of_call(invocation: &Invocation) -> Option<ContentId> {
    let Invocation { source, entry, arguments, limits, grants, encoding, seed, tenant: _ } = invocation;
    let reaches_host = grants.clock != Default::default() || grants.entropy != Default::default();
    if reaches_host || !grants.files.is_empty() {
        return None;
    }
    let mut id = ContentId::of("call");
    add_source(&mut id, source);
    match entry {
        Entry::Function(name) => id.field(b"function").field(name.as_bytes()),
        Entry::Script => id.field(b"script"),
    };
    id.field(arguments.get().as_bytes());
    add_limits(&mut id, limits);
    id.field(match encoding {
        Encoding::Strict => b"strict",
        Encoding::Tagged => b"tagged",
    });
    id.field(&seed.to_le_bytes());
    for (name, function) in grants.functions.iter() {
        let GrantedFunction::Learned(learned) = function else { return None };
        id.field(name.as_str().as_bytes()).field(learned.entry.as_bytes());
        add_source(&mut id, &learned.source);
        add_limits(&mut id, &learned.limits);
    }
    Some(id.finish())
}

fn id_of_look(kind: &str, source: &SourceText, entry: &str, limits: &Limits) -> ContentId {
    let mut id = ContentId::of(kind);
    add_source(&mut id, source);
    id.field(entry.as_bytes());
    add_limits(&mut id, limits);
    id.finish()
}

fn add_source(id: &mut ContentIdBuilder, source: &SourceText) {
    let SourceText { language, text, packages } = source;
    id.field(language.as_str().as_bytes()).field(text.as_bytes()).field(&(packages.len() as u64).to_le_bytes());
    for package in packages {
        id.field(package.as_bytes());
    }
}

fn add_limits(id: &mut ContentIdBuilder, limits: &Limits) {
    let Limits {
        wall,
        memory_bytes,
        max_argument_bytes,
        max_result_bytes,
        max_stdout_bytes,
        max_stderr_bytes,
        build_wall,
        build_memory_bytes,
    } = limits;
    for time in [wall, build_wall] {
        id.field(&time.as_nanos().to_le_bytes());
    }
    let sizes =
        [memory_bytes, max_argument_bytes, max_result_bytes, max_stdout_bytes, max_stderr_bytes, build_memory_bytes];
    for size in sizes {
        id.field(&size.to_le_bytes());
    }
}
