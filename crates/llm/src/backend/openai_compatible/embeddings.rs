use std::sync::Arc;

use greensand_types::BoxFuture;
use serde_json::Value;

use super::client::EndpointClient;
use super::fault::Fault;
use super::settings::{OpenAiSettings, Route};
use crate::wire::{EmbeddingList, embedding_body};
use crate::{ConcurrencyReport, EmbeddingModel, EmbeddingRequest, Embeddings, ModelError, OpenBackendError};

/// Makes a model of embeddings behind an endpoint that speaks them: `/embeddings` is added to its `base_url`. Nothing is sent
/// yet.
///
/// It shares the gate of the endpoint and key with every model there. What is of chats alone, such as
/// [`token_limit_field`](OpenAiSettings::token_limit_field), says nothing here.
///
/// # Errors
/// When a required setting is empty or malformed.
pub fn open_embeddings(settings: OpenAiSettings) -> Result<Arc<dyn EmbeddingModel>, OpenBackendError> {
    Ok(Arc::new(OpenAiEmbeddings { client: EndpointClient::open(settings, Route::Embeddings)? }))
}

struct OpenAiEmbeddings {
    client: EndpointClient,
}

impl OpenAiEmbeddings {
    async fn ask(&self, request: &EmbeddingRequest) -> Result<Embeddings, ModelError> {
        let body = &embedding_body(request, &self.client.settings().model);
        self.client.ask(|| self.attempt(request, body)).await
    }

    async fn attempt(&self, request: &EmbeddingRequest, body: &Value) -> Result<Embeddings, Fault> {
        let list: EmbeddingList = self.client.http().embeddings().create_byot(body).await?;
        list.into_embeddings(request.texts.len()).map_err(Fault::from_body)
    }
}

impl EmbeddingModel for OpenAiEmbeddings {
    fn label(&self) -> String {
        self.client.label()
    }

    fn identity(&self) -> String {
        self.client.identity()
    }

    fn concurrency(&self) -> Option<ConcurrencyReport> {
        Some(self.client.concurrency())
    }

    fn embed<'a>(&'a self, request: &'a EmbeddingRequest) -> BoxFuture<'a, Result<Embeddings, ModelError>> {
        Box::pin(self.ask(request))
    }
}
