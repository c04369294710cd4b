use std::sync::Arc;

use greensand_llm::{ChatReply, ChatRequest, ConcurrencyReport, ModelBackend, ModelError, ModelErrorKind};
use greensand_types::{BoxFuture, TokenUsage};

use super::Ledger;
use super::ledger::Refusal;
use super::request_size::estimate_of_reply;

/// A backend that sends nothing which the ledger does not cover.
pub(crate) struct MeteredBackend {
    backend: Arc<dyn ModelBackend>,
    ledger: Arc<Ledger>,
    silence: Silence,
}

/// What it means that a reply does not say its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// There are none: a script answered.
    Nothing,
    /// An endpoint does not tell; its tokens are estimated, so that a cap has something to hold.
    Unsaid,
}

impl MeteredBackend {
    pub(crate) fn new(backend: Arc<dyn ModelBackend>, ledger: Arc<Ledger>, silence: Silence) -> Self {
        Self { backend, ledger, silence }
    }

    async fn ask(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        let reservation = self.ledger.reserve(request).await.map_err(refused)?;
        match self.backend.chat(request).await {
            Ok(mut reply) => {
                let said = TokenUsage { requests: 0, ..reply.usage } != TokenUsage::default();
                if !said && self.silence == Silence::Unsaid {
                    reply.usage = estimate_of_reply(request, &reply);
                }
                reservation.settle(reply.usage);
                Ok(reply)
            }
            Err(error) => {
                match error.may_have_been_billed() {
                    true => drop(reservation),
                    false => reservation.give_back(),
                }
                Err(error)
            }
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
        Box::pin(self.ask(request))
    }
}
