//! Tokens to an [`Expression`].
//!
//! From the loosest to the tightest: lists (`,` `;`), relations, unions, ratios (`:`), sums, products (written or implied,
//! with division from left to right), powers, atoms. A number before a fraction of smaller parts is a mixed number; words
//! beside a number are its unit. `±` gives the list of both readings.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, ToPrimitive};

use super::expression::Expression;
use super::token::{Reading, Spaced, Token, Unreadable, tokens};
use crate::scorer::decimal::parse_decimal;

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

fn flat(items: Vec<Expression>) -> Vec<Expression> {
    let mut all = Vec::new();
    for item in items {
        match item {
            Expression::List(items) => all.extend(items),
            other => all.push(other),
        }
    }
    all
}

struct Parser {
    tokens: Vec<Spaced>,
    at: usize,
    depth: usize,
}

type Parsed = Result<Expression, Unreadable>;

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|spaced| &spaced.token)
    }

    fn peek_at(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|spaced| &spaced.token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += usize::from(token.is_some());
        token
    }

    fn take(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    fn take_sign(&mut self, signs: &[char]) -> Option<char> {
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
    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        let parsed = if self.depth > MAX_DEPTH { Err(Unreadable) } else { parse(self) };
        self.depth -= 1;
        parsed
    }

    fn list(&mut self, ends: &[Token]) -> Parsed {
        let mut items = self.items(ends)?;
        if items.len() == 1 {
            return items.pop().ok_or(Unreadable);
        }
        Ok(Expression::List(flat(items)))
    }

    fn items(&mut self, ends: &[Token]) -> Result<Vec<Expression>, Unreadable> {
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

    fn relation(&mut self) -> Parsed {
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

    fn sum(&mut self) -> Parsed {
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

    fn signed_power(&mut self) -> Parsed {
        if self.take_sign(&['-']).is_some() {
            let inner = self.deeper(Self::signed_power)?;
            return Ok(Expression::Negative(Box::new(inner)));
        }
        self.take_sign(&['+']);
        self.power()
    }

    fn starts_factor(&self) -> bool {
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

    fn power(&mut self) -> Parsed {
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
    fn signed_exponent(&mut self) -> Parsed {
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

    /// Parses the argument of a command: a group, or else one token, of which a number gives one digit only.
    fn argument(&mut self) -> Parsed {
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

    fn atom(&mut self) -> Parsed {
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

fn product_of(mut factors: Vec<Expression>) -> Expression {
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

fn number(digits: &str) -> Parsed {
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
