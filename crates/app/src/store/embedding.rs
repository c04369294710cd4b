//! Vectors as they are kept: under the model and the text that they are of.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use greensand_llm::{EmbeddingRequest, Embeddings};
use greensand_types::{ContentId, ParseContentIdError};

use super::journal::JournalEvent;
use super::records::{EmbeddingPayment, EmbeddingRecord};

/// The id of a text that has a vector.
pub(super) fn id_of_text(text: &str) -> ContentId {
    ContentId::of("embedded text").field(text.as_bytes()).finish()
}

/// The key of a vector: whose it is, and of what.
pub(super) fn key_of(backend: &str, text: ContentId) -> ContentId {
    let mut key = ContentId::of("kept vector");
    key.field(backend.as_bytes()).field(text.as_bytes()).finish()
}

/// Returns a line for each vector of an answer. What the request cost stands with the first: the lines are written together.
pub(super) fn lines_of(backend: &str, request: &EmbeddingRequest, embeddings: &Embeddings) -> Vec<JournalEvent> {
    let payment =
        EmbeddingPayment { request: request.digest().to_string(), usage: embeddings.usage.into(), paid_by: None };
    let mut paid = Some(payment);
    let line = |(text, vector): (&String, &Vec<f32>)| {
        JournalEvent::Embedding(Box::new(EmbeddingRecord {
            epoch: request.epoch,
            backend: backend.into(),
            text: id_of_text(text).to_string(),
            vector: write_vector(vector),
            paid: paid.take(),
        }))
    };
    request.texts.iter().zip(&embeddings.vectors).map(line).collect()
}

impl EmbeddingRecord {
    /// Returns the key that it is kept under.
    pub(super) fn key(&self) -> Result<ContentId, String> {
        let text = self.text.parse().map_err(|error: ParseContentIdError| error.to_string())?;
        Ok(key_of(&self.backend, text))
    }

    /// Reads the vector.
    pub(super) fn into_vector(self) -> Result<Vec<f32>, String> {
        let bytes = STANDARD.decode(&self.vector).map_err(|error| format!("a vector is no Base64: {error}"))?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if numbers.is_empty() || !rest.is_empty() {
            return Err(format!("a vector has {} bytes, and not four for each number", bytes.len()));
        }
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

fn write_vector(vector: &[f32]) -> String {
    STANDARD.encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use greensand_types::TokenUsage;

    use super::*;

    fn record(vector: &str) -> EmbeddingRecord {
        EmbeddingRecord { vector: vector.into(), ..EmbeddingRecord::default() }
    }

    #[test]
    fn a_vector_comes_back_bit_by_bit() {
        let vector = vec![1.0, -0.0, f32::MIN_POSITIVE, 1e-45, f32::MAX, 0.1];
        let read = record(&write_vector(&vector)).into_vector().unwrap();
        assert!(read.iter().zip(&vector).all(|(one, other)| one.to_bits() == other.to_bits()), "{read:?}");
        assert_eq!(write_vector(&[1.0, -2.5]), "AACAPwAAIMA=");
    }

    #[test]
    fn a_damaged_vector_is_said() {
        for (vector, expected) in [("%", "no Base64"), ("", "has 0 bytes"), ("AACAPwA=", "has 5 bytes")] {
            let error = record(vector).into_vector().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_a_request_cost_stands_with_its_first_vector() {
        let request = EmbeddingRequest { epoch: 2, texts: vec!["a".into(), "b".into()] };
        let usage = TokenUsage { requests: 1, prompt_tokens: 9, ..TokenUsage::default() };
        let lines = lines_of("e", &request, &Embeddings { vectors: vec![vec![1.0], vec![2.0]], usage });
        let paid: Vec<_> = lines
            .iter()
            .map(|line| match line {
                JournalEvent::Embedding(record) => record.paid.as_ref().map(|paid| paid.usage.prompt_tokens),
                _ => panic!("{line:?}"),
            })
            .collect();
        assert_eq!(paid, [Some(9), None]);
    }
}
