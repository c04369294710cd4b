//! Which functions of a set a task is offered, by what they mean.
//!
//! Where a model of embeddings is at hand, the functions of a large set are compared with a question by the angle between their
//! vectors, and not by their words as an [`Offer`](crate::Offer) does. Vectors come in as values: who is asked for them, and
//! what that costs, is for whoever asks. The same set, cap and vectors always lead to the same offer: sums are made in the order of
//! the numbers, and of functions that are equally near the first by name is taken.

use std::sync::Arc;

use greensand_types::{FunctionName, FunctionSet, Registration};

use crate::offer::described;

/// The functions of a set with their vectors, ready to be offered.
pub struct VectorOffer {
    set: Arc<FunctionSet>,
    most: usize,
    /// In the order of names.
    functions: Vec<(FunctionName, Vec<f32>)>,
}

impl VectorOffer {
    /// Returns the texts that the functions of a set are found by, in the order of their names: what vectors are to be had of.
    pub fn texts(set: &FunctionSet) -> Vec<String> {
        set.iter().map(|function| described(function)).collect()
    }

    /// Makes the offers of a set with at most so many functions each, of the vectors of its [`texts`](Self::texts) in their
    /// order. A function without a vector is never among the nearest.
    pub fn new(set: Arc<FunctionSet>, most: usize, vectors: Vec<Vec<f32>>) -> Self {
        let names = set.iter().map(|function| function.name().clone());
        let functions = names.zip(vectors).collect();
        Self { set, most, functions }
    }

    /// Returns the registration for a task whose question has this vector; none for a question that says nothing, for which the
    /// first functions by name are as near as any.
    pub fn registration(&self, question: Option<&[f32]>) -> Registration {
        let nearest = self.nearest(question.unwrap_or_default());
        Registration::offering(Arc::clone(&self.set), nearest.into_iter().take(self.most))
    }

    /// Returns all names, the nearest first.
    fn nearest(&self, question: &[f32]) -> Vec<&FunctionName> {
        let nearness: Vec<f64> = self.functions.iter().map(|(_, vector)| cosine(question, vector)).collect();
        let mut places: Vec<usize> = (0..self.functions.len()).collect();
        // The sort is stable, and the places are in the order of names.
        places.sort_by(|one, other| nearness[*other].total_cmp(&nearness[*one]));
        places.into_iter().map(|place| &self.functions[place].0).collect()
    }
}

/// Returns the cosine of the angle between two vectors; 0 where one of them has no direction or another length.
fn cosine(one: &[f32], other: &[f32]) -> f64 {
    if one.len() != other.len() {
        return 0.0;
    }
    // Numbers of 32 bits, squared and summed up, cannot leave the range of 64 bits.
    let (mut product, mut one_squared, mut other_squared) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (one, other) in one.iter().zip(other) {
        let (one, other) = (f64::from(*one), f64::from(*other));
        product += one * other;
        one_squared += one * one;
        other_squared += other * other;
    }
    let length = one_squared.sqrt() * other_squared.sqrt();
    if length > 0.0 { product / length } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use greensand_types::{FunctionDraft, FunctionSignature, ValidatedFunction};
    use serde_json::json;

    use super::*;

    fn set(names: &[String]) -> Arc<FunctionSet> {
        let function = |name: &String| {
            let schema = json!({"properties": {"value": {"type": "number"}}});
            ValidatedFunction::admitted(FunctionDraft {
                signature: FunctionSignature::new(name.parse().unwrap(), format!("Does {name}."), schema).unwrap(),
                language: "any".parse().unwrap(),
                source: "".into(),
                packages: Vec::new(),
                examples: Vec::new(),
            })
        };
        Arc::new(FunctionSet::from_functions(names.iter().map(function), None).unwrap())
    }

    /// Four functions: east, north, north-east and west, in the order of their names.
    fn offer(most: usize, east: &[f32]) -> VectorOffer {
        let names: Vec<String> = ["east", "north", "northeast", "west"].map(str::to_owned).into();
        let vectors = vec![east.to_vec(), vec![0.0, 2.0], vec![3.0, 3.0], vec![-1.0, 0.0]];
        VectorOffer::new(set(&names), most, vectors)
    }

    #[track_caller]
    fn check(offer: &VectorOffer, question: Option<&[f32]>, expected: &[&str]) {
        let nearest: Vec<&str> =
            offer.nearest(question.unwrap_or_default()).into_iter().map(|name| name.as_str()).collect();
        let registration = offer.registration(question);
        let offered: Vec<String> =
            registration.register_for_llm().map(|signature| signature.name().to_string()).collect();
        assert_eq!(nearest[..offered.len()], *expected, "{question:?}");
        assert_eq!(offered.len(), expected.len());
    }

    #[test]
    fn the_nearest_by_angle_are_offered_whatever_their_length() {
        let offer = offer(2, &[0.001, 0.0]);
        check(&offer, Some(&[5.0, 1.0]), &["east", "northeast"]);
        check(&offer, Some(&[0.1, 0.9]), &["north", "northeast"]);
        check(&offer, Some(&[-9.0, 0.5]), &["west", "north"]);
    }

    #[test]
    fn the_extremes_of_numbers_are_compared_like_others() {
        for east in [f32::MAX, f32::MIN_POSITIVE, 1e-45] {
            let offer = offer(1, &[east, 0.0]);
            check(&offer, Some(&[f32::MAX, 0.0]), &["east"]);
            check(&offer, Some(&[1e-45, 0.0]), &["east"]);
        }
    }

    #[test]
    fn what_is_equally_near_is_decided_by_the_names() {
        check(&offer(3, &[0.0, 7.0]), Some(&[0.0, 1.0]), &["east", "north", "northeast"]);
        check(&offer(2, &[1.0, 0.0]), None, &["east", "north"]);
        check(&offer(2, &[1.0, 0.0]), Some(&[1.0, 0.0, 0.0]), &["east", "north"]);
    }

    #[test]
    fn what_is_not_offered_can_still_be_called() {
        let registration = offer(1, &[1.0, 0.0]).registration(Some(&[1.0, 0.0]));
        assert_eq!(registration.set().len(), 4);
    }

    #[test]
    fn the_texts_are_in_the_order_of_the_names() {
        let names: Vec<String> = ["zebra", "ant"].map(str::to_owned).into();
        assert_eq!(VectorOffer::texts(&set(&names)), ["ant ant Does ant. value", "zebra zebra Does zebra. value"]);
    }

    #[test]
    fn five_hundred_functions_of_a_thousand_numbers_take_no_time() {
        let names: Vec<String> = (0..500).map(|number| format!("function_{number}")).collect();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let vector = |seed: usize| (0..1_000).map(|at| ((at * 31 + seed * 17) % 101) as f32 - 50.0).collect::<Vec<_>>();
        let offer = VectorOffer::new(set(&names), 24, (0..500).map(vector).collect());
        let begun = Instant::now();
        for question in 0..10 {
            let registration = offer.registration(Some(&vector(question)));
            assert_eq!(registration.register_for_llm().count(), 24);
        }
        let one = begun.elapsed() / 10;
        assert!(one < Duration::from_millis(if cfg!(debug_assertions) { 300 } else { 10 }), "{one:?}");
    }
}
