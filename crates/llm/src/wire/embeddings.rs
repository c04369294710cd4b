use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{WrongShape, usage};
use crate::{EmbeddingRequest, Embeddings};

/// The most numbers of a vector: the largest models have a quarter of it.
const MAX_DIMENSION: usize = 16_384;

/// Writes the body of a request for vectors.
pub(crate) fn embedding_body(request: &EmbeddingRequest, model: &str) -> Value {
    json!({ "model": model, "input": request.texts })
}

/// The body of an answer with vectors. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct EmbeddingList {
    data: Option<Vec<Entry>>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    index: Option<usize>,
    embedding: Option<Vec<f32>>,
}

impl EmbeddingList {
    /// Turns the body into the vectors of so many texts, in their order.
    pub(crate) fn into_embeddings(self, texts: usize) -> Result<Embeddings, WrongShape> {
        let Some(data) = self.data else { return Err(WrongShape::without("data", self.error)) };
        if data.len() != texts {
            return Err(malformed(format!("it has {} vectors for {texts} texts", data.len())));
        }
        let vectors = in_order(data)?;
        let dimension = vectors.first().map_or(0, Vec::len);
        for (index, vector) in vectors.iter().enumerate() {
            check(index, vector, dimension).map_err(malformed)?;
        }
        let mut usage = usage(self.usage.as_ref());
        // There is no reply that could have tokens; some servers count the prompt twice.
        usage.completion_tokens = 0;
        usage.reasoning_tokens = 0;
        Ok(Embeddings { vectors, usage })
    }
}

/// Puts vectors in the order of their texts: by the index of each, or, where none has one, as they come.
fn in_order(data: Vec<Entry>) -> Result<Vec<Vec<f32>>, WrongShape> {
    let is_numbered = data.iter().any(|entry| entry.index.is_some());
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; data.len()];
    for (place, entry) in data.into_iter().enumerate() {
        let index = if is_numbered { entry.index } else { Some(place) };
        let Some(index) = index else { return Err(malformed(format!("entry {place} has no `index`"))) };
        let Some(vector) = entry.embedding else { return Err(malformed(format!("entry {place} has no `embedding`"))) };
        match vectors.get_mut(index) {
            None => return Err(malformed(format!("entry {place} has index {index}, beyond the texts"))),
            Some(Some(_)) => return Err(malformed(format!("two entries have index {index}"))),
            Some(free) => *free = Some(vector),
        }
    }
    Ok(vectors.into_iter().flatten().collect())
}

/// Makes sure that a vector has a direction that can be compared with those beside it.
fn check(index: usize, vector: &[f32], dimension: usize) -> Result<(), String> {
    let numbers = vector.len();
    if numbers == 0 || numbers > MAX_DIMENSION {
        return Err(format!("vector {index} has {numbers} numbers, and not 1 to {MAX_DIMENSION}"));
    }
    if numbers != dimension {
        return Err(format!("vector {index} has {numbers} numbers, and vector 0 has {dimension}"));
    }
    if vector.iter().any(|number| !number.is_finite()) {
        return Err(format!("vector {index} has a number that is not finite"));
    }
    if vector.iter().all(|number| *number == 0.0) {
        return Err(format!("vector {index} is zero, and has no direction"));
    }
    Ok(())
}

fn malformed(reason: String) -> WrongShape {
    WrongShape::Malformed(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value, texts: usize) -> Result<Embeddings, WrongShape> {
        // As text: what JSON cannot hold must fail as it does on the wire.
        let list: EmbeddingList = serde_json::from_str(&body.to_string()).unwrap();
        list.into_embeddings(texts)
    }

    fn entry(index: usize, vector: &[f64]) -> Value {
        json!({ "object": "embedding", "index": index, "embedding": vector })
    }

    #[track_caller]
    fn check_refused(data: Value, texts: usize, expected: &str) {
        let refused = read(&json!({ "data": data }), texts).unwrap_err();
        assert_eq!(refused, WrongShape::Malformed(expected.into()));
    }

    #[test]
    fn the_body_names_the_model_and_the_texts() {
        let request = EmbeddingRequest { epoch: 3, texts: vec!["a".into(), "b".into()] };
        assert_eq!(embedding_body(&request, "m"), json!({ "model": "m", "input": ["a", "b"] }));
    }

    #[test]
    fn vectors_are_put_in_the_order_of_their_texts() {
        let usage = json!({ "prompt_tokens": 7, "total_tokens": 7 });
        let body = json!({ "data": [entry(1, &[0.0, 2.0]), entry(0, &[1.0, 0.0])], "usage": usage });
        let embeddings = read(&body, 2).unwrap();
        assert_eq!(embeddings.vectors, [[1.0, 0.0], [0.0, 2.0]]);
        assert_eq!((embeddings.usage.requests, embeddings.usage.total_tokens()), (1, 7));
        let unnumbered = json!({ "data": [{ "embedding": [1.0] }, { "embedding": [2.0] }] });
        assert_eq!(read(&unnumbered, 2).unwrap().vectors, [[1.0], [2.0]]);
    }

    #[test]
    fn what_cannot_be_compared_is_refused_with_its_reason() {
        let one = [1.0, 0.5];
        check_refused(json!([entry(0, &one)]), 2, "it has 1 vectors for 2 texts");
        check_refused(json!([entry(0, &one), entry(0, &one)]), 2, "two entries have index 0");
        check_refused(json!([entry(0, &one), entry(2, &one)]), 2, "entry 1 has index 2, beyond the texts");
        check_refused(json!([entry(0, &one), { "embedding": one }]), 2, "entry 1 has no `index`");
        check_refused(json!([{ "index": 0 }]), 1, "entry 0 has no `embedding`");
        check_refused(json!([entry(0, &[])]), 1, "vector 0 has 0 numbers, and not 1 to 16384");
        check_refused(
            json!([entry(0, &vec![1.0; MAX_DIMENSION + 1])]),
            1,
            "vector 0 has 16385 numbers, and not 1 to 16384",
        );
        check_refused(json!([entry(0, &one), entry(1, &[1.0])]), 2, "vector 1 has 1 numbers, and vector 0 has 2");
        check_refused(json!([entry(0, &[0.0, -0.0])]), 1, "vector 0 is zero, and has no direction");
    }

    #[test]
    fn numbers_beyond_the_range_of_a_vector_are_refused() {
        for text in [r#"{"data":[{"embedding":[1e39]}]}"#, r#"{"data":[{"embedding":[1e999]}]}"#] {
            let read = serde_json::from_str::<EmbeddingList>(text);
            assert!(read.is_err_and(|error| error.to_string().contains("out of range")), "{text}");
        }
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let refused = check(3, &[1.0, number], 2);
            assert_eq!(refused, Err("vector 3 has a number that is not finite".to_owned()));
        }
    }

    #[test]
    fn an_error_in_a_body_of_success_is_an_error() {
        assert_eq!(read(&json!({}), 1).unwrap_err(), WrongShape::Malformed("it has no `data`".into()));
        let error = json!({ "error": { "message": "busy", "code": 503 } });
        assert!(matches!(read(&error, 1).unwrap_err(), WrongShape::Error { status: Some(503), .. }));
    }
}
