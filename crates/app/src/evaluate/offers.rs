//! What each task of an evaluation is offered of a set that is too large to be offered whole.
//!
//! By words, or, where a model of embeddings is configured, by vectors: those of the functions are asked for first, then those
//! of the questions that are still to be worked on, both in requests of bounded size. The offers depend on the set, the cap, the
//! questions and their vectors, and not on how the texts were dealt out to requests or in which order these came back.

use std::collections::{HashMap, HashSet};

use futures::StreamExt;
use futures::stream;
use greensand_agent::{Offer, VectorOffer};
use greensand_llm::{EmbeddingModel, EmbeddingRequest, ModelError, ModelErrorKind};
use greensand_types::Registration;

use super::measure::{EvaluateError, Job};
use crate::causes::with_causes;

/// The most texts of a request, and the most bytes of them together: what hosted endpoints take.
const TEXTS_OF_REQUEST: usize = 64;
const BYTES_OF_REQUEST: usize = 200_000;

/// The offers of an evaluation.
pub(super) enum Offers {
    ByWords(Offer),
    ByVectors { offer: VectorOffer, questions: Vectors },
}

impl Offers {
    /// Makes the offers of a job for questions. Where its set is offered whole, nothing is asked.
    ///
    /// # Errors
    /// When a request for vectors failed as every other would.
    pub(super) async fn of(job: &Job<'_>, questions: &[&str]) -> Result<Self, EvaluateError> {
        let (set, most) = (job.set, job.equipment.active_functions);
        let embeddings = job.equipment.embeddings.as_deref().filter(|_| most > 0 && set.len() > most);
        let Some(model) = embeddings.filter(|_| !questions.is_empty()) else {
            return Ok(Self::ByWords(Offer::new(set.clone(), most)));
        };
        let embedder = Embedder { model, epoch: job.epoch, jobs: job.jobs, bytes: job.equipment.max_text_bytes };
        let texts = VectorOffer::texts(set);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let functions = embedder.embed("functions", &texts).await?;
        if let Some((_, reason)) = functions.faults.into_iter().min() {
            let offer = VectorOffer::new(set.clone(), most, Vec::new());
            return Ok(Self::ByVectors { offer, questions: Vectors::lost(questions, &reason, embedder.bytes) });
        }
        let questions = embedder.embed("questions", questions).await?;
        let of_function = |text: &&str| functions.vectors.get(embedder.cut(text)).cloned().unwrap_or_default();
        let functions: Vec<Vec<f32>> = texts.iter().map(of_function).collect();
        check_dimensions(model, functions.iter().chain(questions.vectors.values()))?;
        Ok(Self::ByVectors { offer: VectorOffer::new(set.clone(), most, functions), questions })
    }

    /// Returns why a question has no offer, if a request failed that it hangs on.
    pub(super) fn fault(&self, question: &str) -> Option<&str> {
        match self {
            Self::ByWords(_) => None,
            Self::ByVectors { questions, .. } => questions.fault(question),
        }
    }

    /// Returns what is offered for a question that has no fault.
    pub(super) fn registration(&self, question: &str) -> Registration {
        match self {
            Self::ByWords(offer) => offer.registration(question),
            Self::ByVectors { offer, questions } => offer.registration(questions.get(question)),
        }
    }
}

/// Vectors by their texts, as these were sent.
pub(super) struct Vectors {
    bytes: usize,
    vectors: HashMap<String, Vec<f32>>,
    /// Why a text has none.
    faults: HashMap<String, String>,
}

impl Vectors {
    /// Texts that have no vectors, all for one reason.
    fn lost(texts: &[&str], reason: &str, bytes: usize) -> Self {
        let faults = texts.iter().map(|text| (cut(text, bytes).to_owned(), reason.to_owned())).collect();
        Self { bytes, vectors: HashMap::new(), faults }
    }

    fn get(&self, text: &str) -> Option<&[f32]> {
        self.vectors.get(cut(text, self.bytes)).map(Vec::as_slice)
    }

    fn fault(&self, text: &str) -> Option<&str> {
        self.faults.get(cut(text, self.bytes)).map(String::as_str)
    }
}

/// Asks for vectors.
struct Embedder<'a> {
    model: &'a dyn EmbeddingModel,
    epoch: u32,
    /// Requests at one time.
    jobs: usize,
    /// The most bytes of a text.
    bytes: usize,
}

impl Embedder<'_> {
    /// Returns the vectors of texts, each asked for once; a blank text says nothing and has none.
    async fn embed(&self, what: &'static str, texts: &[&str]) -> Result<Vectors, EvaluateError> {
        let mut seen = HashSet::new();
        let texts =
            texts.iter().map(|text| self.cut(text)).filter(|text| !text.trim().is_empty() && seen.insert(*text));
        let mut asked = stream::iter(requests_of(texts))
            .map(|texts| async move {
                let request = EmbeddingRequest { epoch: self.epoch, texts };
                let answer = self.model.embed(&request).await;
                (request.texts, answer)
            })
            .buffer_unordered(self.jobs.max(1));
        let mut all = Vectors { bytes: self.bytes, vectors: HashMap::new(), faults: HashMap::new() };
        while let Some((texts, answer)) = asked.next().await {
            match answer {
                Ok(embeddings) => all.vectors.extend(texts.into_iter().zip(embeddings.vectors)),
                Err(source) => {
                    let is_final = source.concerns_every_request() || source.kind() == ModelErrorKind::Exhausted;
                    let error = EvaluateError::Embeddings { what, source };
                    if is_final {
                        return Err(error);
                    }
                    let reason = with_causes(&error);
                    all.faults.extend(texts.into_iter().map(|text| (text, reason.clone())));
                }
            }
        }
        Ok(all)
    }

    fn cut<'t>(&self, text: &'t str) -> &'t str {
        cut(text, self.bytes)
    }
}

/// Returns the beginning of a text, of so many bytes at most and of whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Deals texts out to requests, in their order.
fn requests_of<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<Vec<String>> {
    let mut requests = Vec::<Vec<String>>::new();
    let mut room = 0;
    for text in texts {
        match requests.last_mut() {
            Some(request) if request.len() < TEXTS_OF_REQUEST && text.len() <= room => request.push(text.to_owned()),
            Some(_) | None => {
                requests.push(vec![text.to_owned()]);
                room = BYTES_OF_REQUEST;
            }
        }
        room = room.saturating_sub(text.len());
    }
    requests
}

/// Makes sure that vectors that came in several answers, perhaps in several sittings, can be compared.
fn check_dimensions<'v>(
    model: &dyn EmbeddingModel,
    vectors: impl Iterator<Item = &'v Vec<f32>>,
) -> Result<(), EvaluateError> {
    let lengths: HashSet<usize> = vectors.map(Vec::len).collect();
    if lengths.len() <= 1 {
        return Ok(());
    }
    let mut lengths: Vec<usize> = lengths.into_iter().collect();
    lengths.sort_unstable();
    let message = format!("vectors of `{}` have {} numbers here and {} there", model.label(), lengths[0], lengths[1]);
    let source = ModelError::new(ModelErrorKind::BadReply, message)
        .with_hint("the model behind the endpoint was changed; begin a new run with it");
    Err(EvaluateError::Embeddings { what: "functions and questions", source })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use greensand_llm::Embeddings;
    use greensand_types::{BoxFuture, TokenUsage};

    use super::*;

    /// Gives each text the vector of its length, and fails for requests with the word `fault`.
    #[derive(Default)]
    struct Lengths {
        requests: Mutex<Vec<Vec<String>>>,
    }

    impl EmbeddingModel for Lengths {
        fn label(&self) -> String {
            "lengths".into()
        }

        fn identity(&self) -> String {
            self.label()
        }

        fn embed<'a>(&'a self, request: &'a EmbeddingRequest) -> BoxFuture<'a, Result<Embeddings, ModelError>> {
            Box::pin(async {
                self.requests.lock().unwrap().push(request.texts.clone());
                if request.texts.iter().any(|text| text.contains("fault")) {
                    return Err(ModelError::new(ModelErrorKind::TimedOut, "no answer"));
                }
                if request.texts.iter().any(|text| text.contains("key")) {
                    return Err(ModelError::new(ModelErrorKind::Authentication, "no key"));
                }
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let vectors = request.texts.iter().map(|text| vec![text.len() as f32]).collect();
                Ok(Embeddings { vectors, usage: TokenUsage::default() })
            })
        }
    }

    fn embed(model: &Lengths, jobs: usize, texts: &[&str]) -> Result<Vectors, EvaluateError> {
        let embedder = Embedder { model, epoch: 0, jobs, bytes: 4 };
        futures::executor::block_on(embedder.embed("questions", texts))
    }

    #[test]
    fn texts_are_cut_at_whole_characters_and_asked_for_once() {
        let model = Lengths::default();
        let vectors =
            embed(&model, 4, &["abcdef", "abcdxy", " ", "", "\u{e4}\u{f6}\u{fc}", "a\u{20ac}b"]).ok().unwrap();
        assert_eq!(*model.requests.lock().unwrap(), [["abcd", "\u{e4}\u{f6}", "a\u{20ac}"]]);
        assert_eq!(vectors.get("abcd and more"), Some(&[4.0][..]));
        assert_eq!(vectors.get(" "), None);
        assert_eq!(vectors.fault(" "), None, "a blank text has nothing to be compared by");
    }

    #[test]
    fn requests_are_bounded_by_their_texts_and_by_their_bytes() {
        let sizes = |texts: &[String]| {
            let requests = requests_of(texts.iter().map(String::as_str));
            requests.iter().map(Vec::len).collect::<Vec<_>>()
        };
        let numbers: Vec<String> = (0..150).map(|number| number.to_string()).collect();
        assert_eq!(sizes(&numbers), [64, 64, 22]);
        let long = "x".repeat(BYTES_OF_REQUEST / 2);
        assert_eq!(
            sizes(&[long.clone(), long.clone(), "y".into(), "y".repeat(BYTES_OF_REQUEST + 1), long]),
            [2, 1, 1, 1]
        );
        assert!(sizes(&[]).is_empty());
    }

    #[test]
    fn a_request_that_fails_costs_its_own_texts_and_a_wrong_key_all() {
        let texts: Vec<String> = (0..70).map(|number| format!("{number}")).collect();
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        texts[69] = "fault";
        let lost = |jobs| {
            let embedder = Embedder { model: &Lengths::default(), epoch: 0, jobs, bytes: 9 };
            let vectors = futures::executor::block_on(embedder.embed("questions", &texts)).ok().unwrap();
            let lost: Vec<&str> = texts.iter().copied().filter(|text| vectors.fault(text).is_some()).collect();
            assert_eq!(vectors.fault("fault"), Some("get the vectors of questions: no answer"));
            lost.join(" ")
        };
        assert_eq!(lost(1), "64 65 66 67 68 fault");
        assert_eq!(lost(8), lost(1));
        let error = embed(&Lengths::default(), 2, &["a", "key"]).err().unwrap();
        assert!(matches!(error, EvaluateError::Embeddings { .. }), "{error}");
    }

    #[test]
    fn without_vectors_of_functions_every_question_has_the_fault() {
        let vectors = Vectors::lost(&["abcdef", " "], "no answer", 4);
        assert_eq!((vectors.fault("abcdxy"), vectors.fault(" ")), (Some("no answer"), Some("no answer")));
    }

    #[test]
    fn vectors_of_two_lengths_are_an_error() {
        let error = check_dimensions(&Lengths::default(), [vec![1.0], vec![1.0, 2.0]].iter()).unwrap_err();
        assert_eq!(
            with_causes(&error),
            "get the vectors of functions and questions: vectors of `lengths` have 1 numbers here and 2 there"
        );
        assert!(check_dimensions(&Lengths::default(), [].iter()).is_ok());
    }
}
