use greensand_types::BoxFuture;
use serde_json::Value;

use super::client::EndpointClient;
use super::fault::Fault;
use super::settings::{OpenAiSettings, Route};
use crate::wire::{Completion, request_body};
use crate::{ChatReply, ChatRequest, ConcurrencyReport, ModelBackend, ModelError, OpenBackendError};

pub(crate) struct OpenAiCompatible {
    client: EndpointClient,
}

impl OpenAiCompatible {
    pub(crate) fn open(settings: OpenAiSettings) -> Result<Self, OpenBackendError> {
        Ok(Self { client: EndpointClient::open(settings, Route::ChatCompletions)? })
    }

    async fn ask(&self, request: &ChatRequest) -> Result<ChatReply, ModelError> {
        let settings = self.client.settings();
        let body = &request_body(request, &settings.model, settings.token_limit_field);
        self.client.ask(|| self.attempt(request, body)).await
    }

    async fn attempt(&self, request: &ChatRequest, body: &Value) -> Result<ChatReply, Fault> {
        let completion: Completion = self.client.http().chat().create_byot(body).await?;
        completion.into_reply(request).map_err(Fault::from_body)
    }
}

impl ModelBackend for OpenAiCompatible {
    fn label(&self) -> String {
        self.client.label()
    }

    fn identity(&self) -> String {
        self.client.identity()
    }

    fn concurrency(&self) -> Option<ConcurrencyReport> {
        Some(self.client.concurrency())
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(self.ask(request))
    }
}
