//! Tokens to an [`Expression`].
//!
//! From the loosest to the tightest: lists (`,` `;`), relations, unions, ratios (`:`), sums, products (written or implied,
//! with division from left to right), powers, atoms. A number before a fraction of smaller parts is a mixed number; words
//! beside a number are its unit. `±` gives the list of both readings.

use num_traits::ToPrimitive;

use super::atom::number;
use super::expression::Expression;
use super::token::{Reading, Spaced, Token, Unreadable, tokens};

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 48;

/// Reads a formula.
///
/// # Errors
/// When it is too long, too deep, or not understood.
pub(super) fn parse(formula: &str, reading: Reading) -> Result<Expression, Unreadable> {
    let tokens = tokens(formula, reading)?;
    if !tokens.iter().any(|spaced| matches!(spaced.token, Token::Sign('±' | '∓'))) {
        return parse_tokens(tokens);
    }
    let with = |plus_minus: char, minus_plus: char| {
        let replaced = tokens.iter().cloned().map(|mut spaced| {
            match spaced.token {
                Token::Sign('±') => spaced.token = Token::Sign(plus_minus),
                Token::Sign('∓') => spaced.token = Token::Sign(minus_plus),
                _ => {}
            }
            spaced
        });
        parse_tokens(replaced.collect())
    };
    Ok(Expression::List(flat(vec![with('+', '-')?, with('-', '+')?])))
}

fn parse_tokens(mut tokens: Vec<Spaced>) -> Result<Expression, Unreadable> {
    while tokens.last().is_some_and(|last| matches!(last.token, Token::Sign(',' | ';' | ':'))) {
        tokens.pop();
    }
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let expression = parser.list(&[])?;
    if parser.at < parser.tokens.len() {
        return Err(Unreadable);
    }
    Ok(expression)
}

pub(super) fn flat(items: Vec<Expression>) -> Vec<Expression> {
    let mut all = Vec::new();
    for item in items {
        match item {
            Expression::List(items) => all.extend(items),
            other => all.push(other),
        }
    }
    all
}

pub(super) struct Parser {
    pub(super) tokens: Vec<Spaced>,
    pub(super) at: usize,
    depth: usize,
}

pub(super) type Parsed = Result<Expression, Unreadable>;

impl Parser {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|spaced| &spaced.token)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|spaced| &spaced.token)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += usize::from(token.is_some());
        token
    }

    pub(super) fn take(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn take_sign(&mut self, signs: &[char]) -> Option<char> {
        match self.peek() {
            Some(Token::Sign(sign)) if signs.contains(sign) => {
                let sign = *sign;
                self.at += 1;
                Some(sign)
            }
            _ => None,
        }
    }

    /// Parses one level deeper.
    pub(super) fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        let parsed = if self.depth > MAX_DEPTH { Err(Unreadable) } else { parse(self) };
        self.depth -= 1;
        parsed
    }

    pub(super) fn list(&mut self, ends: &[Token]) -> Parsed {
        let mut items = self.items(ends)?;
        if items.len() == 1 {
            return items.pop().ok_or(Unreadable);
        }
        Ok(Expression::List(flat(items)))
    }

    pub(super) fn items(&mut self, ends: &[Token]) -> Result<Vec<Expression>, Unreadable> {
        let mut items = vec![self.relation()?];
        while self.take_sign(&[',', ';']).is_some() {
            while self.take_sign(&[',', ';']).is_some() {}
            if self.peek().is_none_or(|token| ends.contains(token)) {
                break;
            }
            items.push(self.relation()?);
        }
        Ok(items)
    }

    pub(super) fn relation(&mut self) -> Parsed {
        const SIGNS: [char; 8] = ['=', '<', '>', '≤', '≥', '≠', '≈', '∈'];
        // `≈ 8.24` says the same as `8.24`.
        while self.take_sign(&['=', '≈']).is_some() {}
        let mut parts = vec![self.union()?];
        let mut signs = Vec::new();
        while let Some(sign) = self.take_sign(&SIGNS) {
            signs.push(sign);
            parts.push(self.union()?);
        }
        if signs.is_empty() {
            return parts.pop().ok_or(Unreadable);
        }
        Ok(Expression::Relation(parts, signs))
    }

    fn union(&mut self) -> Parsed {
        let mut parts = vec![self.ratio()?];
        loop {
            let is_letter = self.peek() == Some(&Token::Symbol("U".to_owned()))
                && matches!(self.peek_at(1), Some(Token::Open('(' | '[')));
            if is_letter {
                self.at += 1;
            } else if self.take_sign(&['∪']).is_none() {
                break;
            }
            parts.push(self.ratio()?);
        }
        if parts.len() == 1 {
            return parts.pop().ok_or(Unreadable);
        }
        Ok(Expression::Union(parts))
    }

    fn ratio(&mut self) -> Parsed {
        let mut parts = vec![self.sum()?];
        while self.take_sign(&[':']).is_some() {
            parts.push(self.sum()?);
        }
        if parts.len() == 1 {
            return parts.pop().ok_or(Unreadable);
        }
        Ok(Expression::Ratio(parts))
    }

    pub(super) fn sum(&mut self) -> Parsed {
        let mut terms = Vec::new();
        let mut sign = self.signs();
        loop {
            let term = self.product()?;
            terms.push(if sign { Expression::Negative(Box::new(term)) } else { term });
            match self.peek() {
                Some(Token::Sign('+' | '-')) => sign = self.signs(),
                _ => break,
            }
        }
        if terms.len() == 1 {
            return terms.pop().ok_or(Unreadable);
        }
        Ok(Expression::Sum(terms))
    }

    /// Takes signs and says whether they come to a minus.
    fn signs(&mut self) -> bool {
        let mut is_minus = false;
        while let Some(sign) = self.take_sign(&['+', '-']) {
            is_minus ^= sign == '-';
        }
        is_minus
    }

    fn product(&mut self) -> Parsed {
        let mut factors = vec![self.signed_power()?];
        let mut quotients = 0;
        loop {
            if self.take_sign(&['*']).is_some() {
                factors.push(self.signed_power()?);
            } else if self.take_sign(&['/']).is_some() {
                quotients += 1;
                if quotients > MAX_DEPTH {
                    return Err(Unreadable);
                }
                let denominator = self.signed_power()?;
                let numerator = product_of(std::mem::take(&mut factors));
                factors.push(Expression::Quotient(Box::new(numerator), Box::new(denominator)));
            } else if self.starts_factor() {
                if matches!(self.peek(), Some(Token::Number(_))) && ends_in_number(factors.last()) {
                    return Err(Unreadable);
                }
                factors.push(self.power()?);
            } else {
                return Ok(product_of(factors));
            }
        }
    }

    pub(super) fn signed_power(&mut self) -> Parsed {
        if self.take_sign(&['-']).is_some() {
            let inner = self.deeper(Self::signed_power)?;
            return Ok(Expression::Negative(Box::new(inner)));
        }
        self.take_sign(&['+']);
        self.power()
    }

    pub(super) fn starts_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Symbol(name)) => !(name == "U" && matches!(self.peek_at(1), Some(Token::Open('(' | '[')))),
            Some(
                Token::Number(_)
                | Token::Function(_)
                | Token::Text(_)
                | Token::Fraction
                | Token::Root
                | Token::Binomial
                | Token::Open(_)
                | Token::Begin(_)
                | Token::Infinity
                | Token::Currency(_),
            ) => true,
            _ => false,
        }
    }

    pub(super) fn power(&mut self) -> Parsed {
        let mut base = self.atom()?;
        for _ in 0..MAX_DEPTH {
            base = match self.peek() {
                Some(Token::Sign('^')) => {
                    self.at += 1;
                    self.exponent(base)?
                }
                Some(Token::Sign('!')) => {
                    self.at += 1;
                    Expression::Call("factorial".to_owned(), vec![base])
                }
                Some(Token::Percent) => {
                    self.at += 1;
                    Expression::Call("percent".to_owned(), vec![base])
                }
                Some(Token::Degree) => {
                    self.at += 1;
                    Expression::Call("degree".to_owned(), vec![base])
                }
                _ => return Ok(base),
            };
        }
        Err(Unreadable)
    }

    fn exponent(&mut self, base: Expression) -> Parsed {
        let is_degree = match self.peek() {
            Some(Token::Degree) => Some(1),
            Some(Token::Open('{')) if self.peek_at(1) == Some(&Token::Degree) => Some(3),
            _ => None,
        };
        if let Some(width) = is_degree {
            self.at += width;
            return Ok(Expression::Call("degree".to_owned(), vec![base]));
        }
        let exponent = self.deeper(Self::signed_exponent)?;
        Ok(match base {
            Expression::Unit(unit) => match exponent.literal().and_then(|value| value.to_integer().to_i64()) {
                Some(power) => Expression::Unit(format!("{unit}^{power}")),
                None => return Err(Unreadable),
            },
            base => Expression::Power(Box::new(base), Box::new(exponent)),
        })
    }

    /// Parses an exponent. Unlike in LaTeX, all digits of `x^10` are in it, because whoever writes that means them.
    pub(super) fn signed_exponent(&mut self) -> Parsed {
        if self.take_sign(&['-']).is_some() {
            let inner = self.deeper(Self::signed_exponent)?;
            return Ok(Expression::Negative(Box::new(inner)));
        }
        self.take_sign(&['+']);
        if let Some(Token::Number(digits)) = self.peek() {
            let exponent = number(digits);
            self.at += 1;
            return exponent;
        }
        self.argument()
    }
}

pub(super) fn product_of(mut factors: Vec<Expression>) -> Expression {
    if factors.len() == 1
        && let Some(factor) = factors.pop()
    {
        return factor;
    }
    Expression::Product(factors)
}

fn ends_in_number(factor: Option<&Expression>) -> bool {
    matches!(factor, Some(Expression::Number { .. } | Expression::Quotient(..)))
}
