use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use greensand_types::BoxFuture;
use tokio::time::{Instant, sleep, timeout};

use super::fault::{Fault, held_back, out_of_time};
use super::retry::RetryPolicy;
use super::settings::{CheckedSettings, ENTRY, OpenAiSettings};
use super::transport::{BoundedTransport, Endpoint, http_client};
use crate::limit::{Gate, Observed, Turned};
use crate::wire::{Completion, request_body};
use crate::{ApiKey, ChatReply, ChatRequest, ConcurrencyReport, ModelBackend, ModelError, OpenBackendError};

pub(crate) struct OpenAiCompatible {
    checked: Arc<CheckedSettings>,
    client: Client<Endpoint>,
    retry: RetryPolicy,
    gate: Arc<Gate>,
}

impl OpenAiCompatible {
    pub(crate) fn open(settings: OpenAiSettings) -> Result<Self, OpenBackendError> {
        let checked = Arc::new(settings.check()?);
        let settings = &checked.settings;
        let http_client = http_client(settings)?;
        let transport = BoundedTransport { client: http_client.clone(), max_reply_bytes: settings.max_reply_bytes };
        let client = Client::build(http_client, Endpoint::new(checked.clone())).with_http_service(transport);
        let retry = RetryPolicy { max_retries: settings.max_retries, first_backoff: settings.first_backoff };
        let key = settings.api_key.as_ref().map(ApiKey::expose);
        let gate = Gate::of(&checked.endpoint, key, settings.max_concurrency);
        Ok(Self { checked, client, retry, gate })
    }

    async fn ask(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        let settings = &self.checked.settings;
        let body = request_body(request, &settings.model, settings.token_limit_field);
        // What is left of the deadline. Waits for a place are not taken off: they are ours, not the endpoint's.
        let mut left = settings.deadline;
        let mut attempts = 0;
        let mut last = None;
        loop {
            let slot = match self.gate.enter(&settings.model, left).await {
                Ok(slot) => slot,
                Err(Turned::Broken(broken)) => return Err(broken.into_error()),
                Err(Turned::Held(wait)) => return Err(held_back(last, wait, attempts, &self.checked)),
            };
            let begun = Instant::now();
            let answer = timeout(left, self.attempt(request, &body)).await;
            left = left.saturating_sub(begun.elapsed());
            attempts += 1;
            let fault = match answer {
                Ok(Ok(reply)) => {
                    slot.ended(Observed::Answered, None);
                    return Ok(reply);
                }
                Ok(Err(fault)) => fault,
                Err(_) => {
                    slot.ended(Observed::Faltered, None);
                    return Err(out_of_time(last, attempts - 1, &self.checked));
                }
            };
            let (observed, asked_for) = (fault.observed(), fault.asked_for());
            let Some(wait) = self.wait(attempts - 1, &fault, left) else {
                let error = fault.into_error(attempts, &self.checked);
                // Before the place is free: whoever is next must not be sent into the same error.
                self.gate.take_error(&settings.model, &error);
                slot.ended(observed, asked_for);
                return Err(error);
            };
            slot.ended(observed, asked_for);
            sleep(wait).await;
            left = left.saturating_sub(wait);
            last = Some(fault);
        }
    }

    async fn attempt(&self, request: &ChatRequest, body: &serde_json::Value) -> Result<ChatReply, Fault> {
        let completion: Completion = self.client.chat().create_byot(body).await?;
        completion.into_reply(request).map_err(Fault::from_body)
    }

    fn wait(&self, retries: u32, fault: &Fault, left: Duration) -> Option<Duration> {
        let is_for_others = fault.was_cut_off() && !self.checked.settings.resends_billed;
        if !fault.is_retryable() || is_for_others {
            return None;
        }
        self.retry.wait(retries, fault.asked_for(), left, rand::random())
    }
}

impl ModelBackend for OpenAiCompatible {
    fn label(&self) -> String {
        format!("{} {}", ENTRY.name, self.checked.settings.model)
    }

    fn identity(&self) -> String {
        format!("{} {} {}", ENTRY.name, self.checked.address, self.checked.settings.model)
    }

    fn concurrency(&self) -> Option<ConcurrencyReport> {
        Some(self.gate.report())
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(self.ask(request))
    }
}
