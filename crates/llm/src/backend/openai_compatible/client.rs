use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use tokio::time::{Instant, sleep, timeout};

use super::fault::{Fault, held_back, out_of_time};
use super::retry::RetryPolicy;
use super::settings::{CheckedSettings, ENTRY, OpenAiSettings, Route};
use super::transport::{BoundedTransport, Endpoint, http_client};
use crate::limit::{Gate, Observed, Turned};
use crate::{ApiKey, ConcurrencyReport, ModelError, OpenBackendError};

/// One route of an endpoint, with everything that is the same whatever is asked for: deadline, retries, and the gate.
pub(super) struct EndpointClient {
    checked: Arc<CheckedSettings>,
    http: Client<Endpoint>,
    retry: RetryPolicy,
    gate: Arc<Gate>,
}

impl EndpointClient {
    pub(super) fn open(settings: OpenAiSettings, route: Route) -> Result<Self, OpenBackendError> {
        let checked = Arc::new(settings.check(route)?);
        let settings = &checked.settings;
        let http_client = http_client(settings)?;
        let transport = BoundedTransport { client: http_client.clone(), max_reply_bytes: settings.max_reply_bytes };
        let http = Client::build(http_client, Endpoint::new(checked.clone())).with_http_service(transport);
        let retry = RetryPolicy { max_retries: settings.max_retries, first_backoff: settings.first_backoff };
        let key = settings.api_key.as_ref().map(ApiKey::expose);
        let gate = Gate::of(&checked.endpoint, key, settings.max_concurrency);
        Ok(Self { checked, http, retry, gate })
    }

    pub(super) fn settings(&self) -> &OpenAiSettings {
        &self.checked.settings
    }

    pub(super) fn http(&self) -> &Client<Endpoint> {
        &self.http
    }

    pub(super) fn label(&self) -> String {
        format!("{} {}", ENTRY.name, self.checked.settings.model)
    }

    pub(super) fn identity(&self) -> String {
        format!("{} {} {}", ENTRY.name, self.checked.address, self.checked.settings.model)
    }

    pub(super) fn concurrency(&self) -> ConcurrencyReport {
        self.gate.report()
    }

    /// Makes attempts until one has an answer, or no further one makes sense.
    pub(super) async fn ask<T, A>(&self, attempt: impl Fn() -> A) -> Result<T, ModelError>
    where
        A: Future<Output = Result<T, Fault>>,
    {
        let settings = &self.checked.settings;
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
            let answer = timeout(left, attempt()).await;
            left = left.saturating_sub(begun.elapsed());
            attempts += 1;
            let fault = match answer {
                Ok(Ok(answer)) => {
                    slot.ended(Observed::Answered, None);
                    return Ok(answer);
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

    fn wait(&self, retries: u32, fault: &Fault, left: Duration) -> Option<Duration> {
        let is_for_others = fault.was_cut_off() && !self.checked.settings.resends_billed;
        if !fault.is_retryable() || is_for_others {
            return None;
        }
        self.retry.wait(retries, fault.asked_for(), left, rand::random())
    }
}
