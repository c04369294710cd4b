//! The tightest part of a formula: numbers, names, words, and whatever brings its own brackets.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, ToPrimitive};

use super::expression::Expression;
use super::parse::{Parsed, Parser, flat, product_of};
use super::token::{Spaced, Token, Unreadable};
use crate::scorer::decimal::parse_decimal;

impl Parser {
    /// Parses the argument of a command: a group, or else one token, of which a number gives one digit only.
    pub(super) fn argument(&mut self) -> Parsed {
        match self.peek() {
            Some(Token::Open('{')) => {
                self.at += 1;
                let inner = self.deeper(|parser| parser.list(&[Token::Close('}')]))?;
                self.take(&Token::Close('}')).then_some(inner).ok_or(Unreadable)
            }
            Some(Token::Number(digits)) if digits.len() > 1 && !digits.contains('e') => {
                let (first, rest) = digits.split_at(1);
                let (first, rest) = (first.to_owned(), rest.to_owned());
                if first == "." || rest.starts_with('.') {
                    return self.deeper(Self::atom);
                }
                self.tokens[self.at].token = Token::Number(rest);
                let first_digit = Spaced { token: Token::Number(first.clone()), has_space: false };
                self.tokens.insert(self.at, first_digit);
                self.at += 1;
                number(&first)
            }
            _ => self.deeper(Self::atom),
        }
    }

    pub(super) fn atom(&mut self) -> Parsed {
        self.deeper(|parser| match parser.next().ok_or(Unreadable)? {
            Token::Number(digits) => parser.after_number(&digits),
            Token::Symbol(name) => parser.after_symbol(name),
            Token::Function(name) => parser.application(name),
            Token::Text(words) => parser.after_words(words),
            Token::Infinity => Ok(Expression::Infinity),
            Token::Currency(mark) => Ok(Expression::Unit(unit_name(&mark.to_string()))),
            Token::Fraction => {
                let numerator = parser.argument()?;
                let denominator = parser.argument()?;
                Ok(Expression::Quotient(Box::new(numerator), Box::new(denominator)))
            }
            Token::Binomial => Ok(Expression::Call("binom".to_owned(), vec![parser.argument()?, parser.argument()?])),
            Token::Root => parser.root(),
            Token::Open('⦃') => parser.set(),
            Token::Open('{') => {
                let inner = parser.list(&[Token::Close('}')])?;
                parser.take(&Token::Close('}')).then_some(inner).ok_or(Unreadable)
            }
            Token::Open(open) => parser.brackets(open),
            Token::Sign('|') => {
                let inner = parser.sum()?;
                parser.take_sign(&['|']).ok_or(Unreadable)?;
                Ok(Expression::Call("abs".to_owned(), vec![inner]))
            }
            Token::Begin(environment) => parser.matrix(&environment),
            _ => Err(Unreadable),
        })
    }

    fn after_number(&mut self, digits: &str) -> Parsed {
        if let Some(Token::Repeating(period)) = self.peek().cloned() {
            self.at += 1;
            return repeating(digits, &period);
        }
        if self.take_sign(&['_']).is_some() {
            return self.numeral(digits.to_owned());
        }
        let whole = number(digits)?;
        let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_integer && let Some(fraction) = self.mixed_fraction() {
            return Ok(Expression::Sum(vec![whole, fraction]));
        }
        Ok(whole)
    }

    /// Takes the fraction of a mixed number: `\frac{2}{3}`, or `2/3` after a space.
    fn mixed_fraction(&mut self) -> Option<Expression> {
        let start = self.at;
        let fraction = match self.peek() {
            Some(Token::Fraction) => {
                self.at += 1;
                self.argument().and_then(|numerator| Ok((numerator, self.argument()?))).ok()
            }
            Some(Token::Number(numerator)) if self.tokens[self.at].has_space => {
                let numerator = numerator.clone();
                match (self.peek_at(1), self.peek_at(2)) {
                    (Some(Token::Sign('/')), Some(Token::Number(denominator))) => {
                        let denominator = denominator.clone();
                        self.at += 3;
                        number(&numerator).and_then(|numerator| Ok((numerator, number(&denominator)?))).ok()
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        let proper = fraction.and_then(|(numerator, denominator)| {
            let (Expression::Number { value: top, .. }, Expression::Number { value: bottom, .. }) =
                (&numerator, &denominator)
            else {
                return None;
            };
            let is_proper = top.is_integer() && bottom.is_integer() && top < bottom;
            is_proper.then(|| Expression::Quotient(Box::new(numerator), Box::new(denominator)))
        });
        if proper.is_none() {
            self.at = start;
        }
        proper
    }

    fn after_symbol(&mut self, name: String) -> Parsed {
        if self.take_sign(&['_']).is_some() {
            let index = self.subscript()?;
            return Ok(Expression::Symbol(format!("{name}_{index}")));
        }
        let is_applied = matches!(name.as_str(), "f" | "g" | "h")
            && self.tokens.get(self.at).is_some_and(|next| next.token == Token::Open('(') && !next.has_space);
        if is_applied {
            self.at += 1;
            let items = self.items(&[Token::Close(')')])?;
            return self.take(&Token::Close(')')).then_some(Expression::Call(name, items)).ok_or(Unreadable);
        }
        Ok(Expression::Symbol(name))
    }

    fn after_words(&mut self, words: String) -> Parsed {
        if self.take_sign(&['_']).is_some() {
            return self.numeral(words);
        }
        let mut words = words;
        while let Some(Token::Text(more)) = self.peek() {
            words = format!("{words} {more}");
            self.at += 1;
        }
        Ok(Expression::Unit(unit_name(&words)))
    }

    fn numeral(&mut self, digits: String) -> Parsed {
        let base = self.subscript()?;
        let digits = digits.trim_start_matches('0').to_uppercase();
        Ok(Expression::Numeral { digits: if digits.is_empty() { "0".to_owned() } else { digits }, base })
    }

    /// Takes a subscript as text.
    fn subscript(&mut self) -> Result<String, Unreadable> {
        let word = |token: Option<Token>| match token {
            Some(Token::Number(text) | Token::Symbol(text) | Token::Text(text)) => Ok(text),
            _ => Err(Unreadable),
        };
        if !self.take(&Token::Open('{')) {
            return word(self.next());
        }
        let mut text = String::new();
        while !self.take(&Token::Close('}')) {
            match self.next() {
                Some(Token::Sign(sign)) => text.push(sign),
                token => text.push_str(&word(token)?),
            }
        }
        Ok(text)
    }

    /// Parses what a function is applied to: brackets, or the factors that follow.
    fn application(&mut self, name: String) -> Parsed {
        let mut name = name;
        if self.take_sign(&['_']).is_some() {
            let base = self.subscript()?;
            name = format!("{name}_{base}");
        }
        let power = match self.take_sign(&['^']) {
            Some(_) => Some(self.deeper(Self::signed_exponent)?),
            None => None,
        };
        let arguments = match self.peek() {
            Some(Token::Open('(')) => {
                self.at += 1;
                let items = self.items(&[Token::Close(')')])?;
                self.take(&Token::Close(')')).then_some(items).ok_or(Unreadable)?
            }
            _ => {
                let mut factors = vec![self.signed_power()?];
                while self.starts_factor() && !matches!(self.peek(), Some(Token::Function(_) | Token::Text(_))) {
                    factors.push(self.power()?);
                }
                vec![product_of(factors)]
            }
        };
        Ok(match power {
            Some(power) if power.literal() == Some(BigRational::from_integer((-1).into())) => {
                Expression::Call(format!("arc{name}"), arguments)
            }
            Some(power) => Expression::Power(Box::new(Expression::Call(name, arguments)), Box::new(power)),
            None => Expression::Call(name, arguments),
        })
    }

    fn root(&mut self) -> Parsed {
        let mut degree = 2;
        if self.take(&Token::Open('[')) {
            let written = self.deeper(Self::sum)?;
            let integer =
                written.literal().filter(BigRational::is_integer).and_then(|value| value.to_integer().to_u32());
            degree = integer.filter(|degree| (2..=1000).contains(degree)).ok_or(Unreadable)?;
            self.take(&Token::Close(']')).then_some(()).ok_or(Unreadable)?;
        }
        Ok(Expression::Root(degree, Box::new(self.argument_of_root()?)))
    }

    /// Parses what a root is of. Plain `sqrt 12` and `√12` are of the whole number, `\sqrt12` of one digit; the token is the
    /// same, so the reading of LaTeX holds where no bracket or space follows.
    fn argument_of_root(&mut self) -> Parsed {
        match self.tokens.get(self.at) {
            Some(Spaced { token: Token::Number(_), has_space: true }) => self.deeper(Self::atom),
            _ => self.argument(),
        }
    }

    fn set(&mut self) -> Parsed {
        if self.take(&Token::Close('⦄')) {
            return Ok(Expression::Set(Vec::new()));
        }
        let items = self.items(&[Token::Close('⦄')])?;
        self.take(&Token::Close('⦄')).then_some(Expression::Set(flat(items))).ok_or(Unreadable)
    }

    fn brackets(&mut self, open: char) -> Parsed {
        let closers = [')', ']', '⟩', '⌋', '⌉'];
        let mut items = self.items(&closers.map(Token::Close))?;
        let close = match self.next() {
            Some(Token::Close(close)) if closers.contains(&close) => close,
            _ => return Err(Unreadable),
        };
        match (open, close) {
            ('⌊', '⌋') => Ok(Expression::Call("floor".to_owned(), items)),
            ('⌈', '⌉') => Ok(Expression::Call("ceil".to_owned(), items)),
            ('(', ')') | ('[', ']') if items.len() == 1 => items.pop().ok_or(Unreadable),
            ('(' | '[', ')' | ']') if items.len() > 1 => Ok(Expression::Brackets { open, items, close }),
            ('⟨', '⟩') => Ok(Expression::Brackets { open, items, close }),
            _ => Err(Unreadable),
        }
    }

    fn matrix(&mut self, environment: &str) -> Parsed {
        if !matches!(environment, "pmatrix" | "bmatrix" | "matrix" | "smallmatrix" | "array" | "Bmatrix") {
            return Err(Unreadable);
        }
        let mut rows = vec![Vec::new()];
        loop {
            match self.peek().ok_or(Unreadable)? {
                Token::End(_) => {
                    self.at += 1;
                    break;
                }
                Token::Row => {
                    self.at += 1;
                    rows.push(Vec::new());
                }
                Token::Sign('&') => self.at += 1,
                _ => {
                    let entry = self.relation()?;
                    rows.last_mut().ok_or(Unreadable)?.push(entry);
                }
            }
        }
        rows.retain(|row| !row.is_empty());
        Ok(Expression::Matrix(rows))
    }
}

pub(super) fn number(digits: &str) -> Parsed {
    let value = parse_decimal(digits).ok_or(Unreadable)?;
    Ok(Expression::Number { value, is_decimal: digits.contains('.') })
}

/// Reads a decimal whose last digits repeat for ever.
fn repeating(digits: &str, period: &str) -> Parsed {
    let fixed = parse_decimal(digits).ok_or(Unreadable)?;
    let places = digits.split_once('.').map_or(0, |(_, places)| places.len());
    let (places, width) = (u32::try_from(places), u32::try_from(period.len()));
    let (Ok(places), Ok(width)) = (places, width) else { return Err(Unreadable) };
    let period: BigInt = period.parse().map_err(|_| Unreadable)?;
    let nines = (Pow::pow(BigInt::from(10), width) - 1) * Pow::pow(BigInt::from(10), places);
    Ok(Expression::Number { value: fixed + BigRational::new(period, nines), is_decimal: false })
}

/// Writes words and marks of units one way.
fn unit_name(words: &str) -> String {
    let words = words.trim().trim_matches(['(', ')']).trim();
    if words.chars().count() <= 1 {
        return if words == "$" { "dollar".to_owned() } else { words.to_owned() };
    }
    let words = words.to_lowercase().replace('.', "");
    match words.as_str() {
        "dollars" | "dollar" | "usd" => "dollar".to_owned(),
        _ => words,
    }
}
