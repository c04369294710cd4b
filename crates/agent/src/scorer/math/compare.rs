//! Whether two answers say the same.
//!
//! Structure is compared as structure: points, intervals and matrices part by part, sets, unions and lists in any order
//! (lists of words in theirs), equations by name and value or up to a factor, inequalities also as intervals. What remains
//! are values, compared exactly where they have an exact form and in floating point where they have none.
//!
//! A unit or a currency may be missing on one side but may not differ; `x = 5` is `5`. What only the question can decide
//! is in [`Rules`].

use super::algebra::{Algebra, Budget};
use super::expression::Expression;
use super::numeric;
use super::quantity::Quantity;
use super::relation::{
    as_interval, ascending, definition, is_chain_of_constants, is_constant, is_definition_of_constant, value_of,
};

/// What the comparison may take for the same.
#[derive(Debug)]
pub(super) struct Rules {
    /// The exact work that may still be done.
    pub(super) budget: Budget,
    /// Whether a unit may be missing on one side.
    pub(super) units_are_optional: bool,
    /// Whether the question asks for a percentage, so that `50` and `50%` say the same.
    pub(super) asks_for_percent: bool,
    /// Whether the question is about bases, so that `43` and `43_5` say the same.
    pub(super) asks_for_base: bool,
    /// Whether the question asks for a form (factored, expanded), so that equal values are not enough.
    pub(super) asks_for_form: bool,
}

/// The most parts of a set or list that are matched in any order.
const MAX_MATCHED: usize = 64;

impl Rules {
    /// Says whether an answer is the target.
    pub(super) fn agree(&self, target: &Expression, answer: &Expression) -> bool {
        use Expression::{Brackets, List, Matrix, Ratio, Relation, Set, Union};
        if target == answer {
            return true;
        }
        match (target, answer) {
            (Relation(parts, signs), _) if is_chain_of_constants(parts, signs) => match answer {
                Relation(others, other_signs) if is_chain_of_constants(others, other_signs) => {
                    self.some_agree(parts, others)
                }
                other => self.some_agree(parts, std::slice::from_ref(other)),
            },
            (Relation(parts, signs), Relation(others, other_signs)) => {
                self.relations_agree((parts, signs), (others, other_signs))
            }
            (Brackets { .. } | Union(_), Relation(..)) if as_interval(answer).is_some() => {
                as_interval(answer).is_some_and(|interval| self.agree(target, &interval))
            }
            (Relation(..), Brackets { .. } | Union(_)) if as_interval(target).is_some() => {
                as_interval(target).is_some_and(|interval| self.agree(&interval, answer))
            }
            (Union(_), List(parts)) if parts.len() > 1 => {
                let intervals: Option<Vec<Expression>> = parts.iter().map(as_interval).collect();
                intervals.is_some_and(|intervals| self.agree(target, &Union(intervals)))
            }
            (_, Relation(parts, signs)) => value_of(parts, signs).is_some_and(|value| self.agree(target, value)),
            (Relation(parts, signs), _) => value_of(parts, signs).is_some_and(|value| self.agree(value, answer)),
            (List(targets), List(answers)) if is_sequence_of_words(targets) => self.all_agree(targets, answers),
            (List(targets) | Set(targets), List(answers) | Set(answers)) => self.same_in_any_order(targets, answers),
            (Set(one), answer) | (answer, Set(one)) if one.len() == 1 && !matches!(answer, Set(_)) => {
                self.agree(&one[0], answer)
            }
            (Union(targets), Union(answers)) => self.same_in_any_order(targets, answers),
            (
                Brackets { open, items, close },
                Brackets { open: other_open, items: other_items, close: other_close },
            ) => open == other_open && close == other_close && self.all_agree(items, other_items),
            (Matrix(rows), Matrix(other_rows)) => {
                rows.len() == other_rows.len()
                    && rows.iter().zip(other_rows).all(|(row, other)| self.all_agree(row, other))
            }
            (Ratio(parts), Ratio(others)) => self.all_agree(parts, others),
            _ => self.quantities_agree(target, answer),
        }
    }

    fn some_agree(&self, targets: &[Expression], answers: &[Expression]) -> bool {
        targets.iter().any(|target| answers.iter().any(|answer| self.quantities_agree(target, answer)))
    }

    fn all_agree(&self, targets: &[Expression], answers: &[Expression]) -> bool {
        targets.len() == answers.len() && targets.iter().zip(answers).all(|(target, answer)| self.agree(target, answer))
    }

    fn same_in_any_order(&self, targets: &[Expression], answers: &[Expression]) -> bool {
        if targets.len() != answers.len() || targets.len() > MAX_MATCHED {
            return self.all_agree(targets, answers);
        }
        let mut rest: Vec<&Expression> = answers.iter().collect();
        targets.iter().all(|target| {
            let place = rest.iter().position(|answer| self.agree(target, answer));
            place.map(|place| rest.swap_remove(place)).is_some()
        })
    }

    fn relations_agree(&self, target: (&[Expression], &[char]), answer: (&[Expression], &[char])) -> bool {
        if let (Some((name, value)), Some((other_name, other_value))) = (definition(target), definition(answer)) {
            return name == other_name && self.agree(value, other_value);
        }
        let (target, answer) = (ascending(target), ascending(answer));
        if target.1 != answer.1 {
            return false;
        }
        if self.all_agree(&target.0, &answer.0) {
            return true;
        }
        let ([sign], [left, right], [other_left, other_right]) =
            (target.1.as_slice(), target.0.as_slice(), answer.0.as_slice())
        else {
            return false;
        };
        let is_symmetric = matches!(sign, '=' | '≠' | '≈');
        // `x = 5` asks for a solution, which `2x = 10` is not.
        let asks_for_solution = is_definition_of_constant(&target);
        !asks_for_solution && self.proportional((left, right), (other_left, other_right), is_symmetric)
    }

    fn quantities_agree(&self, target: &Expression, answer: &Expression) -> bool {
        let (target, answer) = (Quantity::of(target), Quantity::of(answer));
        if !self.units_agree(&target, &answer) {
            return false;
        }
        if target.is_percent != answer.is_percent
            && self.asks_for_percent
            && self.values_agree(&target.value, &answer.value)
        {
            return true;
        }
        if target.is_degree != answer.is_degree
            && self.units_are_optional
            && self.values_agree(&target.value, &answer.value)
        {
            return true;
        }
        self.values_agree(&target.meant(), &answer.meant())
    }

    fn units_agree(&self, target: &Quantity, answer: &Quantity) -> bool {
        target.unit == answer.unit || self.units_are_optional && (target.unit.is_none() || answer.unit.is_none())
    }

    fn values_agree(&self, target: &Expression, answer: &Expression) -> bool {
        use Expression::{Infinity, Negative, Number, Numeral, Text};
        if target == answer {
            return true;
        }
        match (target, answer) {
            (Text(target), Text(answer)) => same_words(target, answer),
            (Text(word), Expression::Symbol(name)) | (Expression::Symbol(name), Text(word)) => word == name,
            (Text(word), Number { value, .. }) | (Number { value, .. }, Text(word)) => {
                number_word(word).is_some_and(|number| *value == num_rational::BigRational::from_integer(number.into()))
            }
            (Negative(one), Negative(other)) if **one == Infinity || **other == Infinity => one == other,
            (Numeral { digits, .. }, Number { value, .. }) | (Number { value, .. }, Numeral { digits, .. }) => {
                self.asks_for_base && value.is_integer() && value.to_string() == *digits
            }
            (Expression::Brackets { .. } | Expression::Set(_) | Expression::List(_) | Expression::Matrix(_), _) => {
                false
            }
            _ => {
                let has_form = !self.asks_for_form || form(target) == form(answer);
                has_form && self.are_equal(target, answer)
            }
        }
    }

    fn are_equal(&self, target: &Expression, answer: &Expression) -> bool {
        let has_variables = !(is_constant(target) && is_constant(answer));
        let mut algebra = Algebra::new(&self.budget);
        let exact = algebra.value(target).and_then(|target| Ok((target, algebra.value(answer)?)));
        let Ok((target_value, answer_value)) = exact else {
            // Too large to multiply out, or not a number at all.
            return numeric::are_close(target, answer, true);
        };
        match algebra.are_equal(&target_value, &answer_value) {
            Ok(true) => true,
            Ok(false) if algebra.has_opaque => numeric::are_close(target, answer, has_variables),
            Ok(false) => {
                // The digits of an irrational number, as many as there are in a double.
                let (one, other) = (target_value.rational().is_some(), answer_value.rational().is_some());
                let is_rounded = (target.is_decimal() && !other) || (answer.is_decimal() && !one);
                is_rounded && !has_variables && numeric::are_close(target, answer, false)
            }
            Err(_) => numeric::are_close(target, answer, has_variables),
        }
    }

    /// Says whether two equations, or two inequalities, are the same up to a factor.
    fn proportional(
        &self,
        target: (&Expression, &Expression),
        answer: (&Expression, &Expression),
        may_be_negative: bool,
    ) -> bool {
        let difference = |(left, right): (&Expression, &Expression)| {
            Expression::Sum(vec![left.clone(), Expression::Negative(Box::new(right.clone()))])
        };
        let mut algebra = Algebra::new(&self.budget);
        let target = algebra.value(&difference(target));
        let answer = algebra.value(&difference(answer));
        let (Ok(target), Ok(answer)) = (target, answer) else { return false };
        let proportion = algebra.proportion(&target, &answer);
        matches!(proportion, Ok(Some(is_positive)) if is_positive || may_be_negative)
    }
}

/// Says whether a list is of words, so that its order may be what was asked for.
fn is_sequence_of_words(items: &[Expression]) -> bool {
    let is_word = |item: &Expression| matches!(item, Expression::Unit(words) if words.chars().count() > 1);
    items.iter().all(is_word)
}

fn same_words(one: &str, other: &str) -> bool {
    if one.chars().count() <= 1 || other.chars().count() <= 1 {
        return one == other;
    }
    let letters = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    letters(one) == letters(other)
}

fn number_word(word: &str) -> Option<i64> {
    const WORDS: [&str; 13] =
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    WORDS.iter().position(|known| *known == word).and_then(|number| i64::try_from(number).ok())
}

/// Returns what of a formula its value does not tell: how many factors are sums, and whether something stands before them.
fn form(expression: &Expression) -> (u32, bool) {
    match expression {
        Expression::Negative(inner) => form(inner),
        Expression::Sum(_) => (1, false),
        Expression::Power(base, exponent) => {
            let times = exponent.literal().map_or(1, |times| u32::try_from(times.to_integer()).unwrap_or(1));
            let (sums, _) = form(base);
            (sums.saturating_mul(times), sums == 0)
        }
        Expression::Product(factors) => factors
            .iter()
            .map(form)
            .fold((0, false), |(sums, has_other), (more, _)| (sums.saturating_add(more), has_other || more == 0)),
        _ => (0, true),
    }
}

/// Says what kind of thing an answer is, for the feedback.
pub(super) fn kind(expression: &Expression) -> &'static str {
    match expression {
        Expression::Brackets { open: '(', close: ')', .. } => "a point or an open interval",
        Expression::Brackets { .. } => "an interval",
        Expression::Set(_) => "a set",
        Expression::List(_) => "a list of values",
        Expression::Union(_) => "a union of intervals",
        Expression::Ratio(_) => "a ratio or a time",
        Expression::Relation(_, signs) if signs.iter().all(|sign| *sign == '=') => "an equation",
        Expression::Relation(..) => "an inequality",
        Expression::Matrix(_) => "a matrix",
        Expression::Unit(_) | Expression::Text(_) => "words",
        other if is_constant(other) => "a number",
        _ => "an expression",
    }
}
