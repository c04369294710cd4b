//! Exact values: quotients of polynomials whose atoms are variables, roots of primes, and whatever cannot be taken apart.
//!
//! Fractional powers of different primes are independent over the rationals, so `\frac{1}{\sqrt2}` and `\frac{\sqrt2}{2}`,
//! or `\sqrt{12}` and `2\sqrt3`, become the same polynomial, and two values without opaque atoms are equal exactly if their
//! cross products are. `\pi` and `e` are atoms like variables; `i` is reduced by `i^2 = -1`. Variables under even roots
//! are taken to be positive only where no square has to be undone for it.
//!
//! What is neither (sines, nested roots, symbolic exponents) is an opaque atom named by its content: equal names are equal
//! values, different names say nothing, see [`numeric`](super::numeric).

use std::cell::Cell;
use std::collections::BTreeMap;

use greensand_types::ContentId;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

use super::expression::Expression;
use super::polynomial::{Atom, Exponent, Monomial, Polynomial, multiply_monomials, normalised};

/// An exact value.
#[derive(Debug, Clone)]
pub(super) struct Exact {
    numerator: Polynomial,
    denominator: Polynomial,
}

/// A value that is not a number, or that would take too much to work out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotExact;

pub(super) type Result<T> = std::result::Result<T, NotExact>;

/// The work that one answer may take: about the number of products of small monomials.
const MAX_WORK: u64 = 20_000;
/// The most bits of a coefficient.
const MAX_BITS: u64 = 60_000;
/// The largest power of a sum that is multiplied out.
const MAX_POWER: u64 = 128;
/// Divisors up to here are tried, so that cofactors below its square are prime.
const MAX_DIVISOR: u64 = 50_000;

/// The work that is left for one answer, however many comparisons it takes.
#[derive(Debug)]
pub(super) struct Budget(Cell<u64>);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX_WORK))
    }

    fn spend(&self, work: u64) -> Result<()> {
        let rest = self.0.get().checked_sub(work);
        self.0.set(rest.unwrap_or(0));
        rest.map(|_| ()).ok_or(NotExact)
    }
}

/// Works out exact values within a budget.
#[derive(Debug)]
pub(super) struct Algebra<'a> {
    budget: &'a Budget,
    /// Whether an opaque atom was made, so that different values may be equal all the same.
    pub(super) has_opaque: bool,
}

impl<'a> Algebra<'a> {
    pub(super) fn new(budget: &'a Budget) -> Self {
        Self { budget, has_opaque: false }
    }

    pub(super) fn value(&mut self, expression: &Expression) -> Result<Exact> {
        match expression {
            Expression::Number { value, .. } => Ok(Exact::of(Polynomial::constant(value.clone()))),
            Expression::Symbol(name) => Ok(Exact::atom(Atom::Symbol(name.clone()))),
            Expression::Numeral { digits, base } => Ok(Exact::atom(Atom::Symbol(format!("{digits}_{base}")))),
            Expression::Unit(unit) => Ok(Exact::atom(Atom::Symbol(format!("unit {unit}")))),
            Expression::Negative(inner) => {
                let mut value = self.value(inner)?;
                value.numerator.0.values_mut().for_each(|coefficient| *coefficient = -std::mem::take(coefficient));
                Ok(value)
            }
            Expression::Sum(terms) => {
                let mut sum = Exact::of(Polynomial::constant(BigRational::zero()));
                for term in terms {
                    let term = self.value(term)?;
                    sum = self.add(&sum, &term)?;
                }
                Ok(sum)
            }
            Expression::Product(factors) => {
                let mut product = Exact::one();
                for factor in factors {
                    let factor = self.value(factor)?;
                    product = self.multiply(&product, &factor)?;
                }
                Ok(product)
            }
            Expression::Quotient(numerator, denominator) => {
                let numerator = self.value(numerator)?;
                let denominator = self.value(denominator)?.inverse()?;
                self.multiply(&numerator, &denominator)
            }
            Expression::Power(base, exponent) => self.power(base, exponent),
            Expression::Root(degree, radicand) => {
                let radicand = self.value(radicand)?;
                self.root(&radicand, *degree)
            }
            Expression::Call(name, arguments) => self.call(name, arguments),
            Expression::Infinity
            | Expression::Text(_)
            | Expression::Brackets { .. }
            | Expression::Set(_)
            | Expression::List(_)
            | Expression::Union(_)
            | Expression::Ratio(_)
            | Expression::Relation(..)
            | Expression::Matrix(_) => Err(NotExact),
        }
    }

    /// Says whether two values are the same polynomial quotient.
    pub(super) fn are_equal(&mut self, one: &Exact, other: &Exact) -> Result<bool> {
        let left = self.product(&one.numerator, &other.denominator)?;
        let right = self.product(&other.numerator, &one.denominator)?;
        Ok(left == right)
    }

    /// Says whether one value is a constant multiple of the other, and whether the constant is positive.
    pub(super) fn proportion(&mut self, one: &Exact, other: &Exact) -> Result<Option<bool>> {
        let left = self.product(&one.numerator, &other.denominator)?;
        let right = self.product(&other.numerator, &one.denominator)?;
        let (Some((_, first)), Some((_, second))) = (left.0.first_key_value(), right.0.first_key_value()) else {
            return Ok((left == right).then_some(true));
        };
        let factor = first / second;
        let scaled = Polynomial(right.0.into_iter().map(|(monomial, value)| (monomial, value * &factor)).collect());
        Ok((left == scaled).then(|| factor.is_positive()))
    }

    fn add(&mut self, one: &Exact, other: &Exact) -> Result<Exact> {
        let mut numerator = self.product(&one.numerator, &other.denominator)?;
        for (monomial, coefficient) in self.product(&other.numerator, &one.denominator)?.0 {
            numerator.add(monomial, coefficient);
        }
        Ok(Exact { numerator, denominator: self.product(&one.denominator, &other.denominator)? })
    }

    fn multiply(&mut self, one: &Exact, other: &Exact) -> Result<Exact> {
        Ok(Exact {
            numerator: self.product(&one.numerator, &other.numerator)?,
            denominator: self.product(&one.denominator, &other.denominator)?,
        })
    }

    fn product(&mut self, one: &Polynomial, other: &Polynomial) -> Result<Polynomial> {
        let mut product = Polynomial(BTreeMap::new());
        for (monomial, coefficient) in &one.0 {
            for (other_monomial, other_coefficient) in &other.0 {
                let width = (bits(coefficient) + bits(other_coefficient)) / 512;
                self.budget.spend(1 + monomial.len() as u64 + width * width)?;
                let (factor, monomial) = multiply_monomials(monomial, other_monomial)?;
                let coefficient = coefficient * other_coefficient * factor;
                if bits(&coefficient) > MAX_BITS {
                    return Err(NotExact);
                }
                product.add(monomial, coefficient);
            }
        }
        Ok(product)
    }

    fn power(&mut self, base: &Expression, exponent: &Expression) -> Result<Exact> {
        let base = self.value(base)?;
        let exponent = self.value(exponent)?;
        let Some(exponent_value) = exponent.rational() else {
            return Ok(self.opaque(format!("{base:?}^{exponent:?}")));
        };
        let (Some(times), Some(degree)) = (exponent_value.numer().to_i64(), exponent_value.denom().to_u32()) else {
            return Err(NotExact);
        };
        let base = match degree {
            1 => base,
            _ if base.rational().is_some_and(|value| value.is_negative()) => {
                return Ok(self.opaque(format!("{base:?}^{exponent:?}")));
            }
            degree => self.root(&base, degree)?,
        };
        let power = self.integer_power(&base, times.unsigned_abs())?;
        if times < 0 { power.inverse() } else { Ok(power) }
    }

    fn integer_power(&mut self, base: &Exact, times: u64) -> Result<Exact> {
        let is_simple = base.numerator.0.len() <= 1 && base.denominator.0.len() <= 1;
        let widest = base.numerator.0.values().chain(base.denominator.0.values()).map(bits).max().unwrap_or(0);
        if times > MAX_POWER && !is_simple || widest.saturating_sub(2).saturating_mul(times) > MAX_BITS {
            return Err(NotExact);
        }
        let mut power = Exact::one();
        let mut square = base.clone();
        let mut rest = times;
        while rest > 0 {
            if rest % 2 == 1 {
                power = self.multiply(&power, &square)?;
            }
            rest /= 2;
            if rest > 0 {
                square = self.multiply(&square, &square)?;
            }
        }
        Ok(power)
    }

    /// Takes the real root where there is one, and of a negative number for an even degree `i` times that.
    fn root(&mut self, radicand: &Exact, degree: u32) -> Result<Exact> {
        if radicand.numerator.0.is_empty() {
            return Ok(radicand.clone());
        }
        let Some((coefficient, monomial)) = radicand.single_term()? else {
            return Ok(self.opaque(format!("root {degree} of {radicand:?}")));
        };
        let negates = coefficient.is_negative();
        if negates && degree.is_multiple_of(2) && degree != 2 {
            return Ok(self.opaque(format!("root {degree} of {radicand:?}")));
        }
        self.budget.spend(200)?;
        let hides_a_sign =
            |exponent: &Exponent| degree.is_multiple_of(2) && exponent.is_integer() && exponent.to_integer() % 2 == 0;
        let is_opaque = monomial.iter().any(|(atom, exponent)| is_imaginary(atom) || hides_a_sign(exponent));
        let Some(root_of_number) = root_of_rational(&coefficient.abs(), degree).filter(|_| !is_opaque) else {
            return Ok(self.opaque(format!("root {degree} of {radicand:?}")));
        };
        let mut root = Exact::one();
        for (atom, exponent) in monomial {
            let exponent = exponent / i64::from(degree);
            root = self.multiply(&root, &Exact::power_of_atom(atom, exponent)?)?;
        }
        for (prime, exponent) in root_of_number {
            root = self.multiply(&root, &Exact::power_of_atom(Atom::Prime(prime), exponent)?)?;
        }
        if negates && degree == 2 {
            return self.multiply(&root, &Exact::atom(Atom::Symbol("i".to_owned())));
        }
        if negates {
            return self.multiply(&root, &Exact::of(Polynomial::constant(-BigRational::one())));
        }
        Ok(root)
    }

    fn call(&mut self, name: &str, arguments: &[Expression]) -> Result<Exact> {
        self.budget.spend(if matches!(name, "factorial" | "binom") { 200 } else { 1 })?;
        let mut values = Vec::new();
        for argument in arguments {
            values.push(self.value(argument)?);
        }
        let rationals: Option<Vec<BigRational>> = values.iter().map(Exact::rational).collect();
        let known = match (name, values.as_slice(), rationals.as_deref()) {
            ("percent", [value], _) => Some(self.scaled(value, 1, 100)?),
            ("degree", [value], _) => {
                let radians = self.scaled(value, 1, 180)?;
                Some(self.multiply(&radians, &Exact::atom(Atom::Symbol("pi".to_owned())))?)
            }
            ("factorial", _, Some([value])) => factorial(value).map(Exact::of_rational),
            ("binom", _, Some([n, k])) => binomial(n, k).map(Exact::of_rational),
            ("abs", _, Some([value])) => Some(Exact::of_rational(value.abs())),
            ("floor", _, Some([value])) => Some(Exact::of_rational(value.floor())),
            ("ceil", _, Some([value])) => Some(Exact::of_rational(value.ceil())),
            _ => None,
        };
        Ok(known.unwrap_or_else(|| self.opaque(format!("{name} of {values:?}"))))
    }

    fn scaled(&mut self, value: &Exact, numerator: i64, denominator: i64) -> Result<Exact> {
        self.multiply(value, &Exact::of_rational(BigRational::new(numerator.into(), denominator.into())))
    }

    /// Names what is not taken apart by a digest, so that names within names do not grow.
    fn opaque(&mut self, content: String) -> Exact {
        self.has_opaque = true;
        let name = ContentId::of("opaque value").field(content.as_bytes()).finish().to_string();
        Exact::atom(Atom::Opaque(name))
    }
}

impl Exact {
    fn of(numerator: Polynomial) -> Self {
        Self { numerator, denominator: Polynomial::constant(BigRational::one()) }
    }

    fn of_rational(value: BigRational) -> Self {
        Self::of(Polynomial::constant(value))
    }

    fn one() -> Self {
        Self::of_rational(BigRational::one())
    }

    fn atom(atom: Atom) -> Self {
        Self::of(Polynomial(BTreeMap::from([(BTreeMap::from([(atom, Exponent::one())]), BigRational::one())])))
    }

    fn power_of_atom(atom: Atom, exponent: Exponent) -> Result<Self> {
        let (factor, monomial) = normalised(BTreeMap::from([(atom, exponent)]))?;
        Ok(Self::of(Polynomial(BTreeMap::from([(monomial, factor)]))))
    }

    fn inverse(self) -> Result<Self> {
        if self.numerator.0.is_empty() {
            return Err(NotExact);
        }
        Ok(Self { numerator: self.denominator, denominator: self.numerator })
    }

    /// Returns the value if it is a rational number.
    pub(super) fn rational(&self) -> Option<BigRational> {
        Some(self.numerator.rational()? / self.denominator.rational()?)
    }

    /// Returns coefficient and monomial if both numerator and denominator have one term.
    fn single_term(&self) -> Result<Option<(BigRational, Monomial)>> {
        let (1, 1) = (self.numerator.0.len(), self.denominator.0.len()) else { return Ok(None) };
        let (Some((top, top_factor)), Some((bottom, bottom_factor))) =
            (self.numerator.0.first_key_value(), self.denominator.0.first_key_value())
        else {
            return Ok(None);
        };
        let inverse = bottom.iter().map(|(atom, exponent)| (atom.clone(), -exponent)).collect();
        let (factor, inverse) = normalised(inverse)?;
        let (product_factor, monomial) = multiply_monomials(top, &inverse)?;
        Ok(Some((top_factor / bottom_factor * factor * product_factor, monomial)))
    }
}

fn is_imaginary(atom: &Atom) -> bool {
    *atom == Atom::Symbol("i".to_owned())
}

/// Returns the primes whose powers make the root of a positive number.
fn root_of_rational(value: &BigRational, degree: u32) -> Option<Vec<(u64, Exponent)>> {
    let mut powers = Vec::new();
    for (number, sign) in [(value.numer(), 1), (value.denom(), -1)] {
        // A perfect power of any size is no harder than its root.
        let exact = number.nth_root(degree);
        let (number, degree) = if Pow::pow(&exact, degree) == *number { (exact, 1) } else { (number.clone(), degree) };
        for (prime, times) in factors(number.to_u64()?)? {
            powers.push((prime, Exponent::new(sign * times, i64::from(degree))));
        }
    }
    Some(powers)
}

/// Takes a number apart into primes, unless two of them are large.
fn factors(number: u64) -> Option<Vec<(u64, i64)>> {
    let mut rest = number;
    let mut factors = Vec::new();
    let mut divisor = 2;
    while divisor <= MAX_DIVISOR && divisor * divisor <= rest {
        let mut times = 0;
        while rest.is_multiple_of(divisor) {
            rest /= divisor;
            times += 1;
        }
        if times > 0 {
            factors.push((divisor, times));
        }
        divisor += if divisor == 2 { 1 } else { 2 };
    }
    if rest > MAX_DIVISOR * MAX_DIVISOR {
        return None;
    }
    if rest > 1 {
        factors.push((rest, 1));
    }
    Some(factors)
}

fn factorial(value: &BigRational) -> Option<BigRational> {
    let number = value.is_integer().then(|| value.to_integer().to_u32())?.filter(|number| *number <= 1000)?;
    Some(BigRational::from_integer((1..=number).map(BigInt::from).product()))
}

fn binomial(n: &BigRational, k: &BigRational) -> Option<BigRational> {
    let whole = |value: &BigRational| value.is_integer().then(|| value.to_integer().to_u32())?;
    let (n, k) = (whole(n).filter(|n| *n <= 1000)?, whole(k)?);
    if k > n {
        return Some(BigRational::zero());
    }
    let top: BigInt = (n - k + 1..=n).map(BigInt::from).product();
    let bottom: BigInt = (1..=k).map(BigInt::from).product();
    Some(BigRational::new(top, bottom))
}

fn bits(value: &BigRational) -> u64 {
    value.numer().bits().max(value.denom().bits())
}
