use num_rational::BigRational;

/// A formula as it is meant. Nothing is evaluated yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// A number that was written down.
    Number {
        /// Its exact value.
        value: BigRational,
        /// Whether it was written with a point.
        is_decimal: bool,
    },
    /// A variable or constant, such as `x`, `pi`, `i`.
    Symbol(String),
    /// `∞`
    Infinity,
    /// A sum.
    Sum(Vec<Expression>),
    /// A product, in the order of its factors.
    Product(Vec<Expression>),
    /// A quotient.
    Quotient(Box<Expression>, Box<Expression>),
    /// The negative of something.
    Negative(Box<Expression>),
    /// A power.
    Power(Box<Expression>, Box<Expression>),
    /// A root: of which degree, of what.
    Root(u32, Box<Expression>),
    /// A function of something. `degree` and `percent` are functions here.
    Call(String, Vec<Expression>),
    /// Digits with the base that they are written in.
    Numeral {
        /// The digits in capitals.
        digits: String,
        /// The base as it is written.
        base: String,
    },
    /// A unit that stands beside a number as a factor.
    Unit(String),
    /// Words.
    Text(String),
    /// A point, vector or interval.
    Brackets {
        /// The opening bracket.
        open: char,
        /// What stands between them.
        items: Vec<Expression>,
        /// The closing bracket.
        close: char,
    },
    /// A set in braces.
    Set(Vec<Expression>),
    /// Several answers.
    List(Vec<Expression>),
    /// A union, usually of intervals.
    Union(Vec<Expression>),
    /// Things with a colon between them: ratios, times of day.
    Ratio(Vec<Expression>),
    /// A chain of relations: one more part than signs.
    Relation(Vec<Expression>, Vec<char>),
    /// A matrix, by rows.
    Matrix(Vec<Vec<Expression>>),
}

impl Expression {
    /// Returns the value of a number literal, a negative one, or a fraction of two integers.
    pub(super) fn literal(&self) -> Option<BigRational> {
        match self {
            Self::Number { value, .. } => Some(value.clone()),
            Self::Negative(inner) => inner.literal().map(|value| -value),
            Self::Quotient(numerator, denominator) => match (numerator.literal()?, denominator.literal()?) {
                (_, denominator) if denominator == BigRational::from_integer(0.into()) => None,
                (numerator, denominator) => Some(numerator / denominator),
            },
            _ => None,
        }
    }

    /// Says whether the number was written with a point.
    pub(super) fn is_decimal(&self) -> bool {
        match self {
            Self::Number { is_decimal, .. } => *is_decimal,
            Self::Negative(inner) => inner.is_decimal(),
            _ => false,
        }
    }

    /// Returns the expressions right below this one.
    pub(super) fn parts(&self) -> Vec<&Expression> {
        match self {
            Self::Number { .. }
            | Self::Symbol(_)
            | Self::Infinity
            | Self::Numeral { .. }
            | Self::Unit(_)
            | Self::Text(_) => Vec::new(),
            Self::Negative(inner) | Self::Root(_, inner) => vec![inner],
            Self::Quotient(first, second) | Self::Power(first, second) => vec![first, second],
            Self::Sum(parts)
            | Self::Product(parts)
            | Self::Call(_, parts)
            | Self::Set(parts)
            | Self::List(parts)
            | Self::Union(parts)
            | Self::Ratio(parts)
            | Self::Relation(parts, _)
            | Self::Brackets { items: parts, .. } => parts.iter().collect(),
            Self::Matrix(rows) => rows.iter().flatten().collect(),
        }
    }

    /// Counts what is written: how far from a plain number it is. A reduced fraction counts as one number.
    pub(super) fn size(&self) -> usize {
        if let Self::Quotient(numerator, denominator) = self
            && let (Self::Number { value: numerator, .. }, Self::Number { value: denominator, .. }) =
                (numerator.as_ref(), denominator.as_ref())
            && let Some(value) = self.literal()
            && value.numer() == numerator.numer()
            && value.denom() == denominator.numer()
        {
            return 1;
        }
        match self {
            Self::Negative(inner) => inner.size(),
            _ => 1 + self.parts().into_iter().map(Self::size).sum::<usize>(),
        }
    }
}
