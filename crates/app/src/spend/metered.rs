use std::sync::Arc;
use std::time::Duration;

use greensand_llm::{
    ChatReply, ChatRequest, ConcurrencyReport, EmbeddingModel, EmbeddingRequest, Embeddings, ModelBackend, ModelError,
    ModelErrorKind,
};
use greensand_types::{BoxFuture, ContentId, TokenUsage};

use super::ledger::{Refusal, Reservation};
use super::request_size::{credible_usage, credible_usage_of_texts};
use super::{Ledger, Spender};
use crate::store::SentRecord;

/// A backend that sends nothing which the ledger does not cover.
pub(crate) struct MeteredBackend {
    backend: Arc<dyn ModelBackend>,
    meter: Meter,
}

/// A model of embeddings that sends nothing which the ledger does not cover.
pub(crate) struct MeteredEmbeddings {
    model: Arc<dyn EmbeddingModel>,
    meter: Meter,
}

/// How requests are held against the ledger.
struct Meter {
    ledger: Arc<Ledger>,
    silence: Silence,
    /// How often a request is sent again whose attempt was cut off in flight.
    resends: u32,
}

/// The wait before a request is sent again; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What it means that a reply does not say its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// There are none: a script answered.
    Nothing,
    /// An endpoint does not tell, or tells nonsense; its tokens are estimated, so that a cap has something to hold.
    Unsaid,
}

impl MeteredBackend {
    pub(crate) fn new(backend: Arc<dyn ModelBackend>, ledger: Arc<Ledger>, silence: Silence) -> Self {
        Self { backend, meter: Meter { ledger, silence, resends: 0 } }
    }

    /// Sends requests again that were cut off in flight. Each attempt is covered by the caps of its own, and counts.
    pub(crate) fn resending(mut self, resends: u32) -> Self {
        self.meter.resends = resends;
        self
    }

    async fn attempt(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        let meter = &self.meter;
        let reservation = meter.ledger.reserve(request).await.map_err(refused)?;
        let sent = Sent { spender: request.role.into(), epoch: request.epoch, digest: || request.digest() };
        let ask = async {
            let mut reply = self.backend.chat(request).await?;
            if meter.silence == Silence::Unsaid {
                reply.usage = credible_usage(request, &reply);
            }
            Ok((reply.usage, reply))
        };
        meter.send(reservation, &sent, ask).await
    }
}

impl MeteredEmbeddings {
    /// Holds a model of an endpoint against a ledger; requests are sent again so often that were cut off in flight.
    pub(crate) fn new(model: Arc<dyn EmbeddingModel>, ledger: Arc<Ledger>, resends: u32) -> Self {
        Self { model, meter: Meter { ledger, silence: Silence::Unsaid, resends } }
    }

    async fn attempt(&self, request: &EmbeddingRequest) -> Result<Embeddings, ModelError> {
        let reservation = self.meter.ledger.reserve_embeddings(request).await.map_err(refused)?;
        let sent = Sent { spender: Spender::Embeddings, epoch: request.epoch, digest: || request.digest() };
        let ask = async {
            let mut embeddings = self.model.embed(request).await?;
            embeddings.usage = credible_usage_of_texts(request, embeddings.usage);
            Ok((embeddings.usage, embeddings))
        };
        self.meter.send(reservation, &sent, ask).await
    }
}

impl Meter {
    /// Makes attempts until one was not cut off in flight.
    async fn ask<T, A>(&self, attempt: impl Fn() -> A) -> Result<T, ModelError>
    where
        A: Future<Output = Result<T, ModelError>>,
    {
        let mut attempts = 0;
        loop {
            let error = match attempt().await {
                Err(error) if attempts < self.resends && error.may_have_been_billed() && error.is_transient() => error,
                ended => return ended,
            };
            // What was answered in a wrong shape was paid for, and would be as wrong.
            if error.kind() == ModelErrorKind::BadReply {
                return Err(error);
            }
            tokio::time::sleep(FIRST_WAIT.saturating_mul(1 << attempts.min(10)).min(LONGEST_WAIT)).await;
            attempts += 1;
        }
    }

    /// Asks what was reserved, and counts what it used.
    async fn send<T>(
        &self,
        reservation: Reservation<'_>,
        sent: &Sent<impl Fn() -> ContentId>,
        ask: impl Future<Output = Result<(TokenUsage, T), ModelError>>,
    ) -> Result<T, ModelError> {
        // A script costs nothing, whatever becomes of its replies.
        let run = self.ledger.run().filter(|_| self.silence == Silence::Unsaid);
        if let Some(run) = &run
            && let Err(error) = run.note_sent(sent.record(reservation.estimate()))
        {
            reservation.give_back();
            run.fail(error);
            return Err(ModelError::new(ModelErrorKind::BadReply, "what is sent could not be noted").before_sending());
        }
        match ask.await {
            Ok((usage, answer)) => {
                reservation.settle(usage);
                Ok(answer)
            }
            Err(error) => {
                match error.may_have_been_billed() {
                    true => drop(reservation),
                    false => {
                        // Not noted, it counts as cut off when the run is taken up again: too much rather than too little.
                        if let Some(run) = run {
                            let _ = run.note_given_back((sent.digest)());
                        }
                        reservation.give_back();
                    }
                }
                Err(error)
            }
        }
    }
}

/// A request, as far as is noted before it is sent.
struct Sent<D> {
    spender: Spender,
    epoch: u32,
    /// The identity of the request, which takes time to find and is wanted only where something is noted.
    digest: D,
}

impl<D: Fn() -> ContentId> Sent<D> {
    fn record(&self, estimate: TokenUsage) -> SentRecord {
        SentRecord {
            role: self.spender.as_str().into(),
            epoch: self.epoch,
            request: (self.digest)().to_string(),
            prompt_tokens: estimate.prompt_tokens,
            completion_tokens: estimate.completion_tokens,
        }
    }
}

fn refused(refusal: Refusal) -> ModelError {
    let hint = match &refusal {
        Refusal::Spent(spent) => format!("raise the cap, such as `{}`", spent.raised_flag()),
        Refusal::Uncapped(uncapped) => uncapped.hint(),
    };
    ModelError::new(ModelErrorKind::BudgetSpent, refusal.to_string()).with_hint(hint).caused_by(refusal)
}

impl ModelBackend for MeteredBackend {
    fn label(&self) -> String {
        self.backend.label()
    }

    fn identity(&self) -> String {
        self.backend.identity()
    }

    fn concurrency(&self) -> Option<ConcurrencyReport> {
        self.backend.concurrency()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(self.meter.ask(|| self.attempt(request)))
    }
}

impl EmbeddingModel for MeteredEmbeddings {
    fn label(&self) -> String {
        self.model.label()
    }

    fn identity(&self) -> String {
        self.model.identity()
    }

    fn concurrency(&self) -> Option<ConcurrencyReport> {
        self.model.concurrency()
    }

    fn embed<'a>(&'a self, request: &'a EmbeddingRequest) -> BoxFuture<'a, Result<Embeddings, ModelError>> {
        Box::pin(self.meter.ask(|| self.attempt(request)))
    }
}
