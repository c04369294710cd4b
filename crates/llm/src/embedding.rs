use greensand_types::{BoxFuture, ContentId, TokenUsage};

use crate::{ConcurrencyReport, ModelError};

/// Something that turns texts into vectors, near ones for texts that mean nearly the same.
pub trait EmbeddingModel: Send + Sync {
    /// Returns what messages and reports call it, such as `openai_compatible text-embedding-3-small`.
    fn label(&self) -> String;

    /// Returns what a vector depends on beside its text: endpoint and model. It may be written down: there is no secret in it.
    fn identity(&self) -> String;

    /// Returns what is known of the load of the endpoint; none where there is no endpoint.
    fn concurrency(&self) -> Option<ConcurrencyReport> {
        None
    }

    /// Returns the vectors of texts. Dropping the future abandons the request.
    ///
    /// Retries and deadlines are the model's own; an error is final.
    fn embed<'a>(&'a self, request: &'a EmbeddingRequest) -> BoxFuture<'a, Result<Embeddings, ModelError>>;
}

/// The texts that vectors are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingRequest {
    /// The epoch in which they are wanted. Not sent.
    pub epoch: u32,
    /// The texts; none of them is empty.
    pub texts: Vec<String>,
}

impl EmbeddingRequest {
    /// Returns the identity of the request: its texts in their order. The epoch and the endpoint are not in it.
    pub fn digest(&self) -> ContentId {
        let mut id = ContentId::of("embedding request");
        for text in &self.texts {
            id.field(text.as_bytes());
        }
        id.finish()
    }
}

/// The vectors of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// A vector for each text, in their order: of one length, of finite numbers, none of them zero.
    pub vectors: Vec<Vec<f32>>,
    /// What they cost; zero tokens where the endpoint does not say.
    pub usage: TokenUsage,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(epoch: u32, texts: &[&str]) -> ContentId {
        EmbeddingRequest { epoch, texts: texts.iter().map(|text| (*text).to_owned()).collect() }.digest()
    }

    #[test]
    fn the_texts_and_their_order_make_the_digest() {
        assert_eq!(digest(0, &["a", "b"]), digest(5, &["a", "b"]));
        for other in [&["b", "a"][..], &["ab"], &["a"], &["a", "b", ""]] {
            assert_ne!(digest(0, &["a", "b"]), digest(0, other), "{other:?}");
        }
    }
}
