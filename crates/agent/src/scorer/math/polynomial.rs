//! Polynomials in atoms, in their one normal form.

use std::collections::BTreeMap;

use num_rational::{BigRational, Ratio};
use num_traits::{One, Pow, Signed, Zero};

use super::algebra::{NotExact, Result};

pub(super) type Exponent = Ratio<i64>;

/// What a product is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Atom {
    /// A prime, with an exponent between 0 and 1.
    Prime(u64),
    /// A variable or a named constant.
    Symbol(String),
    /// Something that is not taken apart.
    Opaque(String),
}

pub(super) type Monomial = BTreeMap<Atom, Exponent>;

/// A sum of monomials with coefficients; none of them is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Polynomial(pub(super) BTreeMap<Monomial, BigRational>);

impl Polynomial {
    pub(super) fn constant(value: BigRational) -> Self {
        let mut polynomial = Self(BTreeMap::new());
        polynomial.add(BTreeMap::new(), value);
        polynomial
    }

    pub(super) fn add(&mut self, monomial: Monomial, coefficient: BigRational) {
        let sum = match self.0.remove(&monomial) {
            Some(present) => present + coefficient,
            None => coefficient,
        };
        if !sum.is_zero() {
            self.0.insert(monomial, sum);
        }
    }

    pub(super) fn rational(&self) -> Option<BigRational> {
        match self.0.len() {
            0 => Some(BigRational::zero()),
            1 => self.0.get(&BTreeMap::new()).cloned(),
            _ => None,
        }
    }
}

pub(super) fn multiply_monomials(one: &Monomial, other: &Monomial) -> Result<(BigRational, Monomial)> {
    let mut product = one.clone();
    for (atom, exponent) in other {
        let sum = product.entry(atom.clone()).or_insert_with(Exponent::zero);
        *sum = checked_sum(*sum, *exponent)?;
    }
    normalised(product)
}

fn checked_sum(one: Exponent, other: Exponent) -> Result<Exponent> {
    const MOST: i64 = 1 << 30;
    let fits = |exponent: &Exponent| exponent.numer().abs() < MOST && *exponent.denom() < 1 << 15;
    if fits(&one) && fits(&other) { Ok(one + other) } else { Err(NotExact) }
}

/// Moves whole powers of primes and of `i` into the coefficient.
pub(super) fn normalised(monomial: Monomial) -> Result<(BigRational, Monomial)> {
    let mut factor = BigRational::one();
    let mut rest = BTreeMap::new();
    for (atom, exponent) in monomial {
        match &atom {
            Atom::Prime(prime) => {
                let whole = exponent.floor().to_integer();
                let power = i32::try_from(whole).ok().filter(|power| power.unsigned_abs() < 4096).ok_or(NotExact)?;
                factor *= Pow::pow(BigRational::from_integer((*prime).into()), power);
                let fraction = exponent - Exponent::from_integer(whole);
                if !fraction.is_zero() {
                    rest.insert(atom, fraction);
                }
            }
            Atom::Symbol(name) if name == "i" && exponent.is_integer() => {
                let power = exponent.to_integer().rem_euclid(4);
                if power >= 2 {
                    factor = -factor;
                }
                if power % 2 == 1 {
                    rest.insert(atom, Exponent::one());
                }
            }
            Atom::Symbol(_) | Atom::Opaque(_) => {
                if !exponent.is_zero() {
                    rest.insert(atom, exponent);
                }
            }
        }
    }
    Ok((factor, rest))
}
