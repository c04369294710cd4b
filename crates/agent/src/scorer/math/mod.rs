//! Mathematical answers: the final answer of a reply means the same as the target.
//!
//! A formula becomes tokens ([`token`]), these an [`expression`] ([`parse`]), and two expressions are compared by what they
//! are ([`compare`]): structure as structure, values exactly ([`algebra`]) and where that cannot be in floating point
//! ([`numeric`]). What cannot be read as a formula is compared as text ([`spelling`]).
//!
//! What is accepted: any spelling of one value (`\frac12`, `1/2`, `0.5`, `50\%`), any order of a set, a list or a union,
//! `x = 5` for `5`, a missing unit. What is not: another value, however near, unless it is the same to 12 digits and
//! written as a decimal; another bracket of an interval; another order of a point; a formula of the question given
//! back unevaluated; where the question asks to factor or to expand, another form.

mod algebra;
mod atom;
mod compare;
mod expression;
mod numeric;
mod parse;
mod polynomial;
mod quantity;
mod relation;
mod scorer;
mod spelling;
mod token;

#[cfg(test)]
mod tests;

pub(super) use scorer::ENTRY;
