//! A LaTeX formula, or the plain spelling of one, as tokens.
//!
//! What only moves ink is dropped here: spacing, `\left`, dollar signs around formulas, fonts, `\phantom`. Every other command
//! that is not known becomes a symbol, so that a formula with unusual names can still be compared with itself.
//!
//! Two things cannot be decided by looking at the text, so they are [`Reading`]s: whether `1,234` is one number or two,
//! and whether `even` is a word or the product of four variables.

/// How ambiguous text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Whether plain commas group the digits of a number.
    pub(super) groups_digits: bool,
    /// Whether runs of small letters are words.
    pub(super) has_words: bool,
}

/// A token, and whether white space stands before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spaced {
    pub(super) token: Token,
    pub(super) has_space: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Digits with at most one point, perhaps with an exponent: `1.5`, `2e3`.
    Number(String),
    /// Digits that repeat for ever after a decimal: the `3` of `0.\overline{3}`.
    Repeating(String),
    /// A variable or constant: a letter, or the name of a command.
    Symbol(String),
    /// A function such as `sin`.
    Function(String),
    /// Words.
    Text(String),
    /// Something that takes arguments in braces.
    Fraction,
    Root,
    Binomial,
    /// An opening or closing bracket: `(`, `[`, `{` (group), `\{` as `⦃`, `\langle` as `⟨`, `\lfloor` as `⌊`, ..
    Open(char),
    Close(char),
    /// `+ - * / ^ _ ! | & , ; :`, `±`, `∓`, `∪`, `∩`, and the relations `= < > ≤ ≥ ≠ ≈ ∈`.
    Sign(char),
    /// The end of a row of a matrix.
    Row,
    Begin(String),
    End(String),
    Percent,
    Degree,
    Infinity,
    Currency(char),
}

/// The longest formula that is read, in bytes.
pub(super) const MAX_LENGTH: usize = 8_000;

const FUNCTIONS: [&str; 26] = [
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "log", "ln", "lg",
    "exp", "abs", "floor", "ceil", "min", "max", "gcd", "lcm", "det", "Re", "Im",
];

/// Splits a formula into tokens.
///
/// # Errors
/// When the formula is too long, or ends within a command's argument.
pub(super) fn tokens(formula: &str, reading: Reading) -> Result<Vec<Spaced>, Unreadable> {
    if formula.len() > MAX_LENGTH {
        return Err(Unreadable);
    }
    let has_currency = formula.replace("\\$", "").matches('$').count() % 2 == 1;
    let chars: Vec<char> = formula.chars().collect();
    let mut lexer = Lexer { chars, at: 0, reading, tokens: Vec::new(), has_space: false, depth: 0, has_currency };
    while lexer.at < lexer.chars.len() {
        lexer.next_token()?;
    }
    Ok(lexer.tokens)
}

/// A formula that is not understood. It can still be compared as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

struct Lexer {
    chars: Vec<char>,
    at: usize,
    reading: Reading,
    tokens: Vec<Spaced>,
    has_space: bool,
    /// How many brackets are open.
    depth: usize,
    /// Whether a lone dollar sign is a currency, because it has no partner.
    has_currency: bool,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(ahead, c)| self.peek(ahead) == Some(c))
    }

    fn push(&mut self, token: Token) {
        match token {
            Token::Open(_) => self.depth += 1,
            Token::Close(_) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.tokens.push(Spaced { token, has_space: std::mem::take(&mut self.has_space) });
    }

    fn next_token(&mut self) -> Result<(), Unreadable> {
        let Some(c) = self.peek(0) else { return Ok(()) };
        if c.is_ascii_digit() || (c == '.' && self.peek(1).is_some_and(|c| c.is_ascii_digit())) {
            self.number();
            return Ok(());
        }
        if c.is_ascii_alphabetic() {
            self.letters();
            return Ok(());
        }
        self.at += 1;
        match c {
            '\\' => return self.command(),
            '$' if self.has_currency => {
                self.has_currency = false;
                self.push(Token::Currency('$'));
            }
            '$' | '~' => self.has_space = true,
            c if c.is_whitespace() => self.has_space = true,
            '(' | '[' | '{' => self.push(Token::Open(c)),
            ')' | ']' | '}' => self.push(Token::Close(c)),
            '+' | '/' | '^' | '_' | '!' | '|' | '&' | ',' | ';' | ':' | '=' | '±' | '∓' | '∪' | '∩' | '≤' | '≥'
            | '≠' | '≈' | '∈' => self.push(Token::Sign(c)),
            '-' | '\u{2212}' | '\u{2013}' => self.push(Token::Sign('-')),
            '*' if self.peek(0) == Some('*') => {
                self.at += 1;
                self.push(Token::Sign('^'));
            }
            '*' | '×' | '·' | '⋅' => self.push(Token::Sign('*')),
            '÷' => self.push(Token::Sign('/')),
            '<' | '>' => {
                let or_equal = self.peek(0) == Some('=');
                self.at += usize::from(or_equal);
                let sign = match (c, or_equal) {
                    ('<', false) => '<',
                    ('<', true) => '≤',
                    (_, false) => '>',
                    (_, true) => '≥',
                };
                self.push(Token::Sign(sign));
            }
            '%' => self.push(Token::Percent),
            '°' => self.push(Token::Degree),
            '∞' => self.push(Token::Infinity),
            '√' => self.push(Token::Root),
            'π' => self.push(Token::Symbol("pi".to_owned())),
            '€' | '£' | '¥' | '₹' => self.push(Token::Currency(c)),
            '²' | '³' => {
                self.push(Token::Sign('^'));
                self.push(Token::Number(if c == '²' { "2" } else { "3" }.to_owned()));
            }
            '½' => self.push(Token::Number("0.5".to_owned())),
            '.' => {}
            c if c.is_alphabetic() => self.push(Token::Symbol(c.to_string())),
            _ => return Err(Unreadable),
        }
        Ok(())
    }

    fn number(&mut self) {
        let mut digits = self.digits();
        let may_group = digits.len() <= 3;
        loop {
            let separator = ["{,}", ",\\!", "\\,", "\\!"].into_iter().find(|mark| self.starts_with(mark));
            let plain = self.reading.groups_digits && self.depth == 0;
            let width = match separator {
                Some(mark) => mark.len(),
                None if plain && self.starts_with(",") => 1,
                None => break,
            };
            if !may_group {
                break;
            }
            let group: Vec<char> = (0..4).map_while(|ahead| self.peek(width + ahead)).collect();
            let is_group = group.len() >= 3
                && group[..3].iter().all(char::is_ascii_digit)
                && !group.get(3).is_some_and(char::is_ascii_digit);
            if !is_group {
                break;
            }
            self.at += width;
            digits.push_str(&self.digits());
        }
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit() || c == '\\') {
            self.at += 1;
            digits.push('.');
            digits.push_str(&self.digits());
        }
        self.exponent(&mut digits);
        let may_repeat = digits.contains('.');
        self.push(Token::Number(digits));
        if may_repeat && self.starts_with("\\overline{") {
            let rest: String = self.chars[self.at + 10..].iter().take_while(|c| c.is_ascii_digit()).collect();
            if !rest.is_empty() && self.peek(10 + rest.len()) == Some('}') {
                self.at += 11 + rest.len();
                self.push(Token::Repeating(rest));
            }
        }
    }

    fn digits(&mut self) -> String {
        let digits: String = self.chars[self.at..].iter().take_while(|c| c.is_ascii_digit()).collect();
        self.at += digits.len();
        digits
    }

    /// Takes the `e3` of `2e3`.
    fn exponent(&mut self, digits: &mut String) {
        let signed = usize::from(matches!(self.peek(1), Some('+' | '-')));
        let has_exponent =
            matches!(self.peek(0), Some('e' | 'E')) && self.peek(1 + signed).is_some_and(|c| c.is_ascii_digit());
        if has_exponent {
            digits.push('e');
            digits.extend(self.peek(1).filter(|c| *c == '-'));
            self.at += 1 + signed;
            digits.push_str(&self.digits());
        }
    }

    fn letters(&mut self) {
        let run: String = self.chars[self.at..].iter().take_while(|c| c.is_ascii_alphabetic()).collect();
        self.at += run.len();
        match run.as_str() {
            "sqrt" => self.push(Token::Root),
            "pi" => self.push(Token::Symbol("pi".to_owned())),
            "inf" | "infinity" | "Infinity" | "oo" => self.push(Token::Infinity),
            "and" | "or" => self.push(Token::Sign(',')),
            "percent" => self.push(Token::Percent),
            "degrees" | "degree" => self.push(Token::Degree),
            name if FUNCTIONS.contains(&name) => self.push(Token::Function(run)),
            name if name.len() == 1 => self.push(Token::Symbol(run)),
            name if name.chars().all(|c| c.is_ascii_uppercase()) => self.push(Token::Symbol(run)),
            _ if self.reading.has_words => self.push(Token::Text(run)),
            _ => run.chars().for_each(|letter| self.push(Token::Symbol(letter.to_string()))),
        }
    }

    fn command(&mut self) -> Result<(), Unreadable> {
        let name: String = self.chars[self.at..].iter().take_while(|c| c.is_ascii_alphabetic()).collect();
        if name.is_empty() {
            return self.escaped();
        }
        self.at += name.len();
        match name.as_str() {
            "left" | "right" | "big" | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "Bigl" | "Bigr" | "middle" => {
                // `\left.` is the bracket that is not there.
                self.at += usize::from(self.peek(0) == Some('.'));
            }
            "quad" | "qquad" | "enspace" | "thinspace" | "displaystyle" | "textstyle" | "limits" | "mathbf"
            | "mathit" | "mathsf" | "boldsymbol" | "bf" | "it" | "rm" | "mathbb" | "mathcal" | "boxed" | "fbox"
            | "bold" | "hline" => self.has_space = true,
            "text" | "mbox" | "textnormal" | "textrm" | "textbf" | "textit" | "mathrm" | "operatorname" | "hbox"
            | "textsf" => {
                let content = self.group()?;
                self.text(&content);
            }
            "phantom" | "hphantom" | "vphantom" => self.skip_argument(),
            "frac" | "dfrac" | "tfrac" | "cfrac" => self.push(Token::Fraction),
            "sqrt" => self.push(Token::Root),
            "binom" | "dbinom" | "tbinom" => self.push(Token::Binomial),
            "begin" | "end" => {
                let environment = self.group()?;
                // The columns of an array say nothing of its content.
                if name == "begin" && environment == "array" && self.peek(0) == Some('{') {
                    self.group()?;
                }
                self.push(if name == "begin" { Token::Begin(environment) } else { Token::End(environment) });
            }
            "infty" => self.push(Token::Infinity),
            "degree" => self.push(Token::Degree),
            "circ" => self.push(Token::Degree),
            "varnothing" => self.push(Token::Symbol("emptyset".to_owned())),
            "lbrace" => self.push(Token::Open('⦃')),
            "rbrace" => self.push(Token::Close('⦄')),
            "langle" => self.push(Token::Open('⟨')),
            "rangle" => self.push(Token::Close('⟩')),
            "lfloor" => self.push(Token::Open('⌊')),
            "rfloor" => self.push(Token::Close('⌋')),
            "lceil" => self.push(Token::Open('⌈')),
            "rceil" => self.push(Token::Close('⌉')),
            "lbrack" => self.push(Token::Open('[')),
            "rbrack" => self.push(Token::Close(']')),
            "lvert" | "rvert" | "vert" | "mid" => self.push(Token::Sign('|')),
            name if FUNCTIONS.contains(&name) => self.push(Token::Function(name.to_owned())),
            name => self.push(sign_of(name).map_or_else(|| Token::Symbol(name.to_owned()), Token::Sign)),
        }
        Ok(())
    }

    fn escaped(&mut self) -> Result<(), Unreadable> {
        let Some(c) = self.peek(0) else { return Ok(()) };
        self.at += 1;
        match c {
            '{' => self.push(Token::Open('⦃')),
            '}' => self.push(Token::Close('⦄')),
            '%' => self.push(Token::Percent),
            '$' => self.push(Token::Currency('$')),
            '\\' => self.push(Token::Row),
            '|' => self.push(Token::Sign('|')),
            ',' | '!' | ';' | ':' | '>' | '(' | ')' | '[' | ']' | ' ' | '\n' | '\t' | '"' | '\'' | '-' | '/' => {
                self.has_space = true;
            }
            '_' | '&' | '#' => {}
            _ => return Err(Unreadable),
        }
        Ok(())
    }

    /// Takes a group in braces as it stands.
    fn group(&mut self) -> Result<String, Unreadable> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        if self.peek(0) != Some('{') {
            let one = self.peek(0).ok_or(Unreadable)?;
            self.at += 1;
            return Ok(one.to_string());
        }
        let mut depth = 0;
        for (ahead, c) in self.chars[self.at..].iter().enumerate() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let content = self.chars[self.at + 1..self.at + ahead].iter().collect();
                self.at += ahead + 1;
                return Ok(content);
            }
        }
        Err(Unreadable)
    }

    fn skip_argument(&mut self) {
        if self.group().is_err() {
            self.at = self.chars.len();
        }
    }

    /// Takes words; commas, "and" and "or" among them separate answers.
    fn text(&mut self, content: &str) {
        let mut words: Vec<&str> = Vec::new();
        for piece in content.split_inclusive([',', ';', ' ', '~', '\n']) {
            let word = piece.trim_matches([',', ';', ' ', '~', '\n']);
            let is_separator = matches!(word, "and" | "or");
            if !word.is_empty() && !is_separator {
                words.push(word);
            }
            if is_separator || piece.ends_with([',', ';']) {
                self.words(&mut words);
                self.push(Token::Sign(','));
            }
        }
        self.words(&mut words);
    }

    fn words(&mut self, words: &mut Vec<&str>) {
        self.has_space = true;
        match words.as_slice() {
            [] => {}
            [number] if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.push(Token::Number((*number).to_owned()));
            }
            ["degrees" | "degree"] => self.push(Token::Degree),
            ["percent" | "%" | "\\%"] => self.push(Token::Percent),
            words => self.push(Token::Text(words.join(" "))),
        }
        words.clear();
    }
}

fn sign_of(command: &str) -> Option<char> {
    Some(match command {
        "cdot" | "times" | "ast" | "bullet" => '*',
        "div" => '/',
        "pm" => '±',
        "mp" => '∓',
        "cup" => '∪',
        "cap" => '∩',
        "le" | "leq" | "leqslant" => '≤',
        "ge" | "geq" | "geqslant" => '≥',
        "lt" => '<',
        "gt" => '>',
        "ne" | "neq" => '≠',
        "approx" | "simeq" | "doteq" => '≈',
        "in" => '∈',
        "colon" => ':',
        _ => return None,
    })
}
