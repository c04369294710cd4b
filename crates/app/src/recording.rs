use std::sync::Arc;

use greensand_llm::{ChatReply, ChatRequest, ModelBackend, ModelError, ModelErrorKind};
use greensand_types::BoxFuture;

use crate::store::{ReplyRecord, RunWriter};

/// A backend whose every reply is in the journal of a run before anybody uses it.
///
/// A reply that cannot be kept is not given out: what was paid for and is lost must at least be known.
pub(crate) struct RecordingBackend {
    backend: Arc<dyn ModelBackend>,
    run: Arc<RunWriter>,
}

impl RecordingBackend {
    pub(crate) fn new(backend: Arc<dyn ModelBackend>, run: Arc<RunWriter>) -> Self {
        Self { backend, run }
    }
}

impl ModelBackend for RecordingBackend {
    fn label(&self) -> String {
        self.backend.label()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(async move {
            let reply = self.backend.chat(request).await?;
            match self.run.append_reply(ReplyRecord::of(request, &reply)) {
                Ok(()) => Ok(reply),
                Err(error) => {
                    self.run.fail(error);
                    Err(ModelError::new(ModelErrorKind::BadReply, "a reply came and could not be kept"))
                }
            }
        })
    }
}
