//! Values in floating point, for what has no exact form: sines, nested roots, symbolic exponents.
//!
//! Variables get a few fixed values each, positive ones first, then of both signs, so that `\sqrt{x^2}` is not `x`.

use num_traits::ToPrimitive;

use super::expression::Expression;

/// A complex number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Complex {
    pub(super) re: f64,
    pub(super) im: f64,
}

/// How many sets of values variables are given.
const TRIALS: u32 = 6;

/// Says whether two formulas have the same value, within rounding, for every choice of their variables.
pub(super) fn are_close(one: &Expression, other: &Expression, has_variables: bool) -> bool {
    let (trials, tolerance) = if has_variables { (TRIALS, 1e-9) } else { (1, 1e-12) };
    let mut compared = 0;
    for trial in 0..trials {
        let (Some(first), Some(second)) = (value(one, trial), value(other, trial)) else { continue };
        if !first.is_close_to(second, tolerance) {
            return false;
        }
        compared += 1;
    }
    compared > trials / 2
}

fn value(expression: &Expression, trial: u32) -> Option<Complex> {
    let value = match expression {
        Expression::Number { value, .. } => Complex::real(value.to_f64()?),
        Expression::Symbol(name) => match name.as_str() {
            "pi" => Complex::real(std::f64::consts::PI),
            "e" => Complex::real(std::f64::consts::E),
            "i" => Complex { re: 0.0, im: 1.0 },
            name => Complex::real(sample(name, trial)),
        },
        Expression::Sum(terms) => {
            let mut sum = Complex::real(0.0);
            for term in terms {
                let term = value(term, trial)?;
                sum = Complex { re: sum.re + term.re, im: sum.im + term.im };
            }
            sum
        }
        Expression::Product(factors) => {
            let mut product = Complex::real(1.0);
            for factor in factors {
                product = product.times(value(factor, trial)?);
            }
            product
        }
        Expression::Quotient(numerator, denominator) => {
            value(numerator, trial)?.times(value(denominator, trial)?.inverse()?)
        }
        Expression::Negative(inner) => value(inner, trial)?.times(Complex::real(-1.0)),
        Expression::Power(base, exponent) => value(base, trial)?.power(value(exponent, trial)?)?,
        Expression::Root(degree, radicand) => value(radicand, trial)?.root(*degree)?,
        Expression::Call(name, arguments) => {
            let arguments: Option<Vec<f64>> =
                arguments.iter().map(|argument| value(argument, trial)?.as_real()).collect();
            Complex::real(function(name, &arguments?)?)
        }
        Expression::Infinity
        | Expression::Numeral { .. }
        | Expression::Unit(_)
        | Expression::Text(_)
        | Expression::Brackets { .. }
        | Expression::Set(_)
        | Expression::List(_)
        | Expression::Union(_)
        | Expression::Ratio(_)
        | Expression::Relation(..)
        | Expression::Matrix(_) => return None,
    };
    (value.re.is_finite() && value.im.is_finite()).then_some(value)
}

/// Returns the value of a variable in a trial: 0.3 to 1.8, then negative, then of either sign.
fn sample(name: &str, trial: u32) -> f64 {
    let hash = name.bytes().chain(trial.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(17)
    });
    let size = 0.3 + 1.5 * ((hash >> 16 & 0xffff_ffff) as f64 / f64::from(u32::MAX));
    let is_negative = match trial {
        0..=2 => false,
        3 => true,
        _ => hash >> 50 & 1 == 1,
    };
    if is_negative { -size } else { size }
}

fn function(name: &str, arguments: &[f64]) -> Option<f64> {
    let x = *arguments.first()?;
    let value = match (name, arguments) {
        ("sin", [_]) => x.sin(),
        ("cos", [_]) => x.cos(),
        ("tan", [_]) => x.tan(),
        ("cot", [_]) => x.tan().recip(),
        ("sec", [_]) => x.cos().recip(),
        ("csc", [_]) => x.sin().recip(),
        ("arcsin", [_]) => x.asin(),
        ("arccos", [_]) => x.acos(),
        ("arctan", [_]) => x.atan(),
        ("sinh", [_]) => x.sinh(),
        ("cosh", [_]) => x.cosh(),
        ("tanh", [_]) => x.tanh(),
        ("ln" | "log_e", [_]) => x.ln(),
        ("log" | "log_10" | "lg", [_]) => x.log10(),
        ("exp", [_]) => x.exp(),
        ("abs", [_]) => x.abs(),
        ("floor", [_]) => x.floor(),
        ("ceil", [_]) => x.ceil(),
        ("percent", [_]) => x / 100.0,
        ("degree", [_]) => x.to_radians(),
        ("min", _) => arguments.iter().copied().fold(f64::INFINITY, f64::min),
        ("max", _) => arguments.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        (name, [_]) => x.ln() / name.strip_prefix("log_")?.parse::<f64>().ok()?.ln(),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

impl Complex {
    fn real(re: f64) -> Self {
        Self { re, im: 0.0 }
    }

    fn as_real(self) -> Option<f64> {
        (self.im.abs() <= 1e-12 * self.re.abs().max(1.0)).then_some(self.re)
    }

    fn size(self) -> f64 {
        self.re.hypot(self.im)
    }

    fn is_close_to(self, other: Self, tolerance: f64) -> bool {
        let difference = (self.re - other.re).hypot(self.im - other.im);
        let size = self.size().max(other.size());
        difference <= tolerance * size || (size < 1e-300 && difference == 0.0)
    }

    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn inverse(self) -> Option<Self> {
        let square = self.re * self.re + self.im * self.im;
        (square > 0.0).then(|| Self { re: self.re / square, im: -self.im / square })
    }

    fn power(self, exponent: Self) -> Option<Self> {
        if self.im == 0.0 && exponent.im == 0.0 {
            let power = self.re.powf(exponent.re);
            if power.is_finite() {
                return Some(Self::real(power));
            }
        }
        let size = self.size();
        if size == 0.0 {
            return None;
        }
        let (log, angle) = (size.ln(), self.im.atan2(self.re));
        let (re, im) = (exponent.re * log - exponent.im * angle, exponent.im * log + exponent.re * angle);
        Some(Self { re: re.exp() * im.cos(), im: re.exp() * im.sin() })
    }

    /// Returns the real root where there is one, and else the principal one.
    fn root(self, degree: u32) -> Option<Self> {
        if self.im == 0.0 && self.re < 0.0 && degree % 2 == 1 {
            return Some(Self::real(-(-self.re).powf(1.0 / f64::from(degree))));
        }
        if self.size() == 0.0 {
            return Some(self);
        }
        self.power(Self::real(1.0 / f64::from(degree)))
    }
}
