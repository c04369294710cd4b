use std::sync::Arc;
use std::time::Duration;

use greensand_llm::{ChatReply, ChatRequest, ConcurrencyReport, ModelBackend, ModelError, ModelErrorKind};
use greensand_types::{BoxFuture, TokenUsage};

use super::Ledger;
use super::ledger::Refusal;
use super::request_size::credible_usage;
use crate::store::SentRecord;

/// A backend that sends nothing which the ledger does not cover.
pub(crate) struct MeteredBackend {
    backend: Arc<dyn ModelBackend>,
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
        Self { backend, ledger, silence, resends: 0 }
    }

    /// Sends requests again that were cut off in flight. Each attempt is covered by the caps of its own, and counts.
    pub(crate) fn resending(self, resends: u32) -> Self {
        Self { resends, ..self }
    }

    async fn ask(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        let mut attempt = 0;
        loop {
            let error = match self.attempt(request).await {
                Err(error) if attempt < self.resends && error.may_have_been_billed() && error.is_transient() => error,
                ended => return ended,
            };
            // What was answered in a wrong shape was paid for, and would be as wrong.
            if error.kind() == ModelErrorKind::BadReply {
                return Err(error);
            }
            tokio::time::sleep(FIRST_WAIT.saturating_mul(1 << attempt.min(10)).min(LONGEST_WAIT)).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        let reservation = self.ledger.reserve(request).await.map_err(refused)?;
        // A script costs nothing, whatever becomes of its replies.
        let run = self.ledger.run().filter(|_| self.silence == Silence::Unsaid);
        if let Some(run) = &run
            && let Err(error) = run.note_sent(sent(request, reservation.estimate()))
        {
            reservation.give_back();
            run.fail(error);
            return Err(ModelError::new(ModelErrorKind::BadReply, "what is sent could not be noted").before_sending());
        }
        match self.backend.chat(request).await {
            Ok(mut reply) => {
                if self.silence == Silence::Unsaid {
                    reply.usage = credible_usage(request, &reply);
                }
                reservation.settle(reply.usage);
                Ok(reply)
            }
            Err(error) => {
                match error.may_have_been_billed() {
                    true => drop(reservation),
                    false => {
                        // Not noted, it counts as cut off when the run is taken up again: too much rather than too little.
                        if let Some(run) = run {
                            let _ = run.note_given_back(request);
                        }
                        reservation.give_back();
                    }
                }
                Err(error)
            }
        }
    }
}

fn sent(request: &ChatRequest, estimate: TokenUsage) -> SentRecord {
    SentRecord {
        role: request.role.as_str().into(),
        epoch: request.epoch,
        request: request.digest().to_string(),
        prompt_tokens: estimate.prompt_tokens,
        completion_tokens: estimate.completion_tokens,
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
        Box::pin(self.ask(request))
    }
}
