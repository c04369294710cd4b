use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use greensand_types::BoxFuture;
use tokio::time::{Instant, sleep, timeout_at};

use super::fault::{Fault, out_of_time};
use super::retry::RetryPolicy;
use super::settings::{CheckedSettings, ENTRY, OpenAiSettings};
use super::transport::{BoundedTransport, Endpoint, http_client};
use crate::wire::{Completion, request_body};
use crate::{ChatReply, ChatRequest, ModelBackend, ModelError, OpenBackendError};

pub(crate) struct OpenAiCompatible {
    checked: Arc<CheckedSettings>,
    client: Client<Endpoint>,
    retry: RetryPolicy,
}

impl OpenAiCompatible {
    pub(crate) fn open(settings: OpenAiSettings) -> Result<Self, OpenBackendError> {
        let checked = Arc::new(settings.check()?);
        let settings = &checked.settings;
        let http_client = http_client(settings)?;
        let transport = BoundedTransport { client: http_client.clone(), max_reply_bytes: settings.max_reply_bytes };
        let client = Client::build(http_client, Endpoint::new(checked.clone())).with_http_service(transport);
        let retry = RetryPolicy { max_retries: settings.max_retries, first_backoff: settings.first_backoff };
        Ok(Self { checked, client, retry })
    }

    async fn ask(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        let settings = &self.checked.settings;
        let deadline = Instant::now() + settings.deadline;
        let body = request_body(request, &settings.model, settings.token_limit_field);
        let mut attempts = 0;
        let mut last = None;
        loop {
            let Ok(answer) = timeout_at(deadline, self.attempt(request, &body)).await else {
                return Err(out_of_time(last, attempts, &self.checked));
            };
            let fault = match answer {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = self.wait(attempts, &fault, left);
            attempts += 1;
            match wait {
                Some(wait) => sleep(wait).await,
                None => return Err(fault.into_error(attempts, &self.checked)),
            }
            last = Some(fault);
        }
    }

    async fn attempt(&self, request: &ChatRequest, body: &serde_json::Value) -> Result<ChatReply, Fault> {
        let completion: Completion = self.client.chat().create_byot(body).await?;
        completion.into_reply(request).map_err(Fault::from_body)
    }

    fn wait(&self, retries: u32, fault: &Fault, left: Duration) -> Option<Duration> {
        if !fault.is_retryable() {
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

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(self.ask(request))
    }
}
