//! Which functions of a set a task is offered.
//!
//! A set that is larger than the cap is not sent whole with every request: each task is offered the functions whose names,
//! descriptions and parameter names are nearest to its question, by BM25 over stemmed words. The same set, cap and question
//! always lead to the same offer; of functions that are equally near the first by name is taken. An [`Offer`] is
//! made once per set: it holds the index.
//!
//! What is not offered can still be called, see [`Registration::offering`]. Where vectors are at hand, a
//! [`VectorOffer`](crate::VectorOffer) takes the place of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bm25::{Embedder, EmbedderBuilder, Embedding, Scorer, TokenEmbedder, TokenEmbedding, Tokenizer};
use greensand_types::{FunctionName, FunctionSet, Registration, ValidatedFunction};
use rust_stemmers::{Algorithm, Stemmer};

/// So many words of a question are looked up: those that the fewest functions have. More change little and cost time.
const MAX_QUERY_WORDS: usize = 24;

/// The functions of a set, ready to be offered.
pub struct Offer {
    set: Arc<FunctionSet>,
    most: usize,
    /// None where the whole set is offered.
    index: Option<Index>,
}

/// The functions of a set by the words that they are described with.
struct Index {
    words: Words,
    /// A document is the place of a function in the order of names.
    scorer: Scorer<usize, u64>,
    names: Vec<FunctionName>,
    /// How many functions have a word.
    frequency: HashMap<String, usize>,
}

impl Offer {
    /// Makes the offers of a set with at most so many functions each; 0 offers all of it to every task.
    pub fn new(set: Arc<FunctionSet>, most: usize) -> Self {
        let index = (most > 0 && set.len() > most).then(|| Index::of(&set));
        Self { set, most, index }
    }

    /// Returns the registration for a task with this question.
    pub fn registration(&self, question: &str) -> Registration {
        match &self.index {
            None => Registration::of(Arc::clone(&self.set)),
            Some(index) => {
                let nearest = index.nearest(question);
                Registration::offering(Arc::clone(&self.set), nearest.into_iter().take(self.most))
            }
        }
    }
}

impl Index {
    fn of(set: &FunctionSet) -> Self {
        let texts: Vec<String> = set.iter().map(|function| described(function)).collect();
        let corpus: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut frequency = HashMap::new();
        for text in &corpus {
            for word in Words::new().tokenize(text).into_iter().collect::<HashSet<_>>() {
                *frequency.entry(word).or_default() += 1;
            }
        }
        let embedder: Embedder<u64, Words> =
            EmbedderBuilder::with_tokenizer_and_fit_to_corpus(Words::new(), &corpus).build();
        let mut scorer = Scorer::new();
        for (place, text) in corpus.iter().enumerate() {
            let mut embedding = embedder.embed(text);
            // A word that occurs twice stands there twice, with one value.
            let mut seen = HashSet::new();
            embedding.0.retain(|word| seen.insert(word.index));
            scorer.upsert(&place, embedding);
        }
        let names = set.iter().map(|function| function.name().clone()).collect();
        Self { words: Words::new(), scorer, names, frequency }
    }

    /// Returns all names, the nearest first.
    fn nearest(&self, question: &str) -> Vec<&FunctionName> {
        let mut scores = vec![0.0_f32; self.names.len()];
        for found in self.scorer.matches(&self.query(question)) {
            scores[found.id] = found.score;
        }
        let mut places: Vec<usize> = (0..self.names.len()).collect();
        // The sort is stable, and the places are in the order of names.
        places.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
        places.into_iter().map(|place| &self.names[place]).collect()
    }

    /// Returns the words of a question that tell functions apart, each once: what most functions have is left out.
    fn query(&self, question: &str) -> Embedding<u64> {
        let (mut asked, mut seen) = (HashSet::new(), HashSet::new());
        // Most words of a long question were asked before; to stem them again is most of the work.
        let pieces = pieces(question).into_iter().filter(|piece| asked.insert(piece.clone()));
        let is_telling = |word: &String| {
            self.frequency.get(word).is_some_and(|count| 2 * count <= self.names.len()) && seen.insert(word.clone())
        };
        let mut words: Vec<String> = pieces.map(|piece| self.words.stem(piece)).filter(is_telling).collect();
        words.sort_by_key(|word| self.frequency[word]);
        words.truncate(MAX_QUERY_WORDS);
        Embedding(words.iter().map(|word| TokenEmbedding { index: u64::embed(word), value: 1.0 }).collect())
    }
}

/// What a function is found by. Its name counts twice.
pub(crate) fn described(function: &ValidatedFunction) -> String {
    let signature = &function.draft().signature;
    let parameters: Vec<&str> = signature.parameter_names().map(|(name, _)| name).collect();
    let name = signature.name();
    format!("{name} {name} {} {}", signature.description(), parameters.join(" "))
}

/// Reduces words to their stems, which is done for English and leaves most words of other languages alone.
struct Words(Stemmer);

impl Words {
    fn new() -> Self {
        Self(Stemmer::create(Algorithm::English))
    }

    fn stem(&self, piece: String) -> String {
        match piece.bytes().all(|byte| byte.is_ascii_digit()) {
            true => piece,
            false => self.0.stem(&piece).into_owned(),
        }
    }
}

impl Tokenizer for Words {
    fn tokenize(&self, text: &str) -> Vec<String> {
        pieces(text).into_iter().map(|piece| self.stem(piece)).collect()
    }
}

/// Cuts a text into words: at whatever is no letter or digit, at `_`, and between `a` and `B` or a letter and a digit; all
/// in small letters. Scripts without spaces between words are cut into pairs of characters.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    for run in text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()) {
        if run.chars().any(is_unspaced) {
            let characters: Vec<char> = run.chars().collect();
            pieces.extend(characters.windows(2.min(characters.len())).map(|pair| pair.iter().collect::<String>()));
        } else {
            parts(run, &mut pieces);
        }
    }
    pieces
}

/// Says whether a character is of a script that has no spaces between words, such as Han, Kana or Hangul.
fn is_unspaced(c: char) -> bool {
    const BLOCKS: [(char, char); 5] = [
        ('\u{e00}', '\u{eff}'),
        ('\u{2e80}', '\u{9fff}'),
        ('\u{ac00}', '\u{d7af}'),
        ('\u{f900}', '\u{faff}'),
        ('\u{20000}', '\u{3ffff}'),
    ];
    BLOCKS.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// Cuts `isPrime2` into `is`, `prime` and `2`.
fn parts(run: &str, pieces: &mut Vec<String>) {
    let (mut from, mut previous) = (0, None::<char>);
    for (at, c) in run.char_indices() {
        let is_cut = previous
            .is_some_and(|before| (before.is_lowercase() && c.is_uppercase()) || before.is_numeric() != c.is_numeric());
        if is_cut {
            pieces.push(run[from..at].to_lowercase());
            from = at;
        }
        previous = Some(c);
    }
    pieces.push(run[from..].to_lowercase());
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use greensand_types::{FunctionDraft, FunctionSignature};
    use serde_json::json;

    use super::*;

    fn set(functions: &[(&str, &str, &[&str])]) -> Arc<FunctionSet> {
        let function = |(name, description, parameters): &(&str, &str, &[&str])| {
            let properties: serde_json::Map<_, _> =
                parameters.iter().map(|name| ((*name).to_owned(), json!({"type": "number"}))).collect();
            let schema = json!({"properties": properties});
            ValidatedFunction::admitted(FunctionDraft {
                signature: FunctionSignature::new(name.parse().unwrap(), (*description).to_owned(), schema).unwrap(),
                language: "any".parse().unwrap(),
                source: "".into(),
                packages: Vec::new(),
                examples: Vec::new(),
            })
        };
        Arc::new(FunctionSet::from_functions(functions.iter().map(function), None).unwrap())
    }

    fn offered(offer: &Offer, question: &str) -> Vec<String> {
        offer.registration(question).register_for_llm().map(|signature| signature.name().to_string()).collect()
    }

    fn library() -> Arc<FunctionSet> {
        set(&[
            ("compound_interest", "Gives the balance of savings after some years.", &["principal", "yearly_percent"]),
            ("countVowels", "Gives how many vowels a text has.", &["text"]),
            ("is_prime", "Says whether a whole number has no divisors but itself and one.", &["number"]),
            ("prime_factors", "Gives the prime factors of a whole number.", &["number"]),
            ("weekday", "Gives the day of the week of a date.", &["year", "month", "day"]),
        ])
    }

    #[track_caller]
    fn check(question: &str, most: usize, expected: &[&str]) {
        assert_eq!(offered(&Offer::new(library(), most), question), expected, "{question}");
    }

    #[test]
    fn the_nearest_functions_are_offered_in_the_order_of_their_names() {
        check("Is 91 a prime?", 2, &["is_prime", "prime_factors"]);
        check("FACTORIZE 91 into primes", 1, &["prime_factors"]);
        check("How many vowels are in this text?", 1, &["countVowels"]);
        check("Count the letters", 1, &["countVowels"]);
        check("On which weekday was the 3rd of May 1999?", 1, &["weekday"]);
        check("I save money: what are my savings after three years at two percent?", 1, &["compound_interest"]);
    }

    #[test]
    fn what_says_nothing_is_decided_by_the_names() {
        for question in ["", "?!", "zzz qqq", "\u{0}\u{1f600}"] {
            check(question, 2, &["compound_interest", "countVowels"]);
        }
    }

    #[test]
    fn no_cap_and_a_small_set_offer_everything() {
        let all = ["compound_interest", "countVowels", "is_prime", "prime_factors", "weekday"];
        check("Is 91 a prime?", 0, &all);
        check("Is 91 a prime?", 5, &all);
        check("Is 91 a prime?", 99, &all);
        let empty = Offer::new(Arc::new(FunctionSet::empty()), 1);
        assert!(offered(&empty, "Is 91 a prime?").is_empty());
    }

    #[test]
    fn words_are_cut_as_they_are_written() {
        for (text, expected) in [
            ("isPrime2 HTTPServer x", &["is", "prime", "2", "httpserver", "x"][..]),
            ("compound_interest-rates", &["compound", "interest", "rate"]),
            ("Stra\u{df}en \u{c9}cole", &["stra\u{df}en", "\u{e9}cole"]),
            ("\u{5929}\u{6c14}\u{597d}", &["\u{5929}\u{6c14}", "\u{6c14}\u{597d}"]),
            ("\u{5929}", &["\u{5929}"]),
            ("", &[]),
        ] {
            assert_eq!(Words::new().tokenize(text), expected, "{text}");
        }
    }

    #[test]
    fn the_same_question_has_the_same_offer_in_every_index() {
        let names: Vec<String> = (0..200).map(|n| format!("convert_{n}")).collect();
        let functions: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), "Converts a length, a weight or a date.", &["value"][..]))
            .collect();
        let question = "Convert the weight of 17 stones and the date 42 into the length 150";
        let first = offered(&Offer::new(set(&functions), 24), question);
        assert_eq!(first.len(), 24);
        for _ in 0..5 {
            assert_eq!(offered(&Offer::new(set(&functions), 24), question), first);
        }
        for number in ["convert_17", "convert_42", "convert_150"] {
            assert!(first.contains(&number.to_owned()), "{first:?}");
        }
    }

    /// An optimized build takes 0.8 ms for such a question, and 0.35 ms for one of 30 words. The bound leaves room for a build
    /// without optimization.
    #[test]
    fn a_long_question_on_five_hundred_functions_takes_no_time() {
        let text = |n: usize| (0..30).map(|word| format!("word{} ", (n * 7 + word * 13) % 900)).collect::<String>();
        let texts: Vec<(String, String)> = (0..500).map(|n| (format!("function_{n}"), text(n))).collect();
        let functions: Vec<_> =
            texts.iter().map(|(name, said)| (name.as_str(), said.as_str(), &["value", "unit"][..])).collect();
        let offer = Offer::new(set(&functions), 24);
        let question: String = (0..2000).map(|n| format!("word{} ", n % 900)).collect();
        let begun = Instant::now();
        for _ in 0..20 {
            assert_eq!(offered(&offer, &question).len(), 24);
        }
        let one = begun.elapsed() / 20;
        assert!(one < Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 5 }), "{one:?}");
    }
}
