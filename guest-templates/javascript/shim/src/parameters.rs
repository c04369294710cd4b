//! The parameters of a function, read from its own text.
//!
//! The engine knows how many parameters a function has, not their names; the text that a function remembers does. It
//! is text that the engine has parsed, so only the list of parameters must be found in it and cut at its commas: the
//! scanner skips comments, strings, templates and regular expressions, and counts brackets.

/// What a function takes.
#[derive(Debug, PartialEq, Eq)]
pub enum Callable {
    Function(Vec<Parameter>),
    Class,
    /// It has no text of its own: it is built in, or bound.
    Unknown,
}

/// One parameter.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Parameter {
    /// Empty for a pattern.
    pub name: String,
    pub is_required: bool,
    pub is_rest: bool,
    /// What an object pattern takes out of its argument.
    pub properties: Option<Vec<Parameter>>,
}

/// Reads the text of a function.
pub fn of(text: &str) -> Callable {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0 };
    scanner.skip_blank();
    if scanner.takes_word("class") {
        return Callable::Class;
    }
    if text.trim_end().ends_with("[native code]\n}") || text.trim_end().ends_with("[native code] }") {
        return Callable::Unknown;
    }
    scanner.takes_word("async");
    scanner.skip_blank();
    if let Some(name) = scanner.arrow_with_one_name() {
        return Callable::Function(vec![Parameter { name, is_required: true, is_rest: false, properties: None }]);
    }
    // `function name(`, `(`, and a method's `name(`, `*name(`, `[computed](`.
    match scanner.list_between(b'(', b')') {
        Some(list) => Callable::Function(list.iter().filter_map(|piece| parameter(piece)).collect()),
        None => Callable::Unknown,
    }
}

/// The one parameter of a function that takes only an object apart: its names can be given as arguments by name.
pub fn only_pattern(parameters: &[Parameter]) -> Option<&[Parameter]> {
    match parameters {
        [Parameter { properties: Some(properties), .. }] => Some(properties),
        _ => None,
    }
}

fn parameter(piece: &str) -> Option<Parameter> {
    let (piece, is_rest) = without_rest(piece)?;
    let (target, default) = cut_at_default(piece);
    let is_pattern = target.starts_with(['{', '[']);
    Some(Parameter {
        name: if is_pattern { String::new() } else { target.to_owned() },
        is_required: default.is_none() && !is_rest,
        is_rest,
        properties: target.starts_with('{').then(|| properties(target)),
    })
}

fn properties(pattern: &str) -> Vec<Parameter> {
    let mut scanner = Scanner { text: pattern.as_bytes(), at: 0 };
    let list = scanner.list_between(b'{', b'}').unwrap_or_default();
    list.iter().filter_map(|piece| property(piece)).collect()
}

fn property(piece: &str) -> Option<Parameter> {
    let (piece, is_rest) = without_rest(piece)?;
    let (name, _) = cut_at(piece, |scanner| matches!(scanner.peek(), Some(b':' | b'=')));
    let name = match name.trim().strip_prefix(['"', '\'']) {
        Some(quoted) => quoted.split(['"', '\'']).next().unwrap_or_default(),
        None => name_alone(name),
    };
    let (_, default) = cut_at_default(piece);
    Some(Parameter { name: name.to_owned(), is_required: default.is_none() && !is_rest, is_rest, properties: None })
}

/// A name without what follows it.
fn name_alone(text: &str) -> &str {
    let text = text.trim();
    &text[..text.find(['/', ' ', '\n', '\t', '\r']).unwrap_or(text.len())]
}

/// The piece without comments around it and without `...`; `None` when nothing is left.
fn without_rest(piece: &str) -> Option<(&str, bool)> {
    let mut scanner = Scanner { text: piece.as_bytes(), at: 0 };
    scanner.skip_blank();
    let piece = piece.get(scanner.at..)?.trim_end();
    let (piece, is_rest) = match piece.strip_prefix("...") {
        Some(rest) => (rest.trim_start(), true),
        None => (piece, false),
    };
    (!piece.is_empty()).then_some((piece, is_rest))
}

/// What stands before a default, without a comment at its end, and the default.
fn cut_at_default(piece: &str) -> (&str, Option<&str>) {
    let (target, default) = cut_at(piece, |scanner| scanner.peek() == Some(b'='));
    let target = target.trim();
    match target.as_bytes().first() {
        Some(b'{' | b'[') => (&target[..target.rfind(['}', ']']).map_or(target.len(), |at| at + 1)], default),
        _ => (name_alone(target), default),
    }
}

/// Cuts a text at the first place outside brackets where `is_there` holds.
fn cut_at(text: &str, is_there: impl Fn(&Scanner<'_>) -> bool) -> (&str, Option<&str>) {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0 };
    let mut depth = 0;
    while scanner.peek().is_some() {
        if depth == 0 && is_there(&scanner) {
            return (&text[..scanner.at], text.get(scanner.at + 1..));
        }
        scanner.step(&mut depth);
    }
    (text, None)
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn starts_with(&self, what: &[u8]) -> bool {
        self.text.get(self.at..).is_some_and(|rest| rest.starts_with(what))
    }

    fn skip_blank(&mut self) {
        loop {
            match self.peek() {
                Some(byte) if byte.is_ascii_whitespace() || byte == 0x0b => self.at += 1,
                Some(b'/') if self.starts_with(b"//") || self.starts_with(b"/*") => self.skip_comment(),
                _ => return,
            }
        }
    }

    /// Skips a word that stands here as a whole.
    fn takes_word(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let ends = |byte: &u8| !is_part_of_name(*byte);
        let is_there = self.starts_with(word.as_bytes()) && self.text.get(end).is_none_or(ends);
        // `async => 1` is a function with a parameter of that name, `async(` a method.
        let mut after = Scanner { text: self.text, at: end };
        if is_there {
            after.skip_blank();
        }
        let is_name = word == "async" && (after.starts_with(b"=>") || after.peek().is_none());
        if is_there && !is_name {
            self.at = end;
        }
        is_there && !is_name
    }

    /// The parameter of `x => ...`.
    fn arrow_with_one_name(&self) -> Option<String> {
        let rest = self.text.get(self.at..)?;
        let end = rest.iter().position(|byte| !is_part_of_name(*byte))?;
        let mut after = Scanner { text: rest, at: end };
        after.skip_blank();
        (end > 0 && after.starts_with(b"=>")).then(|| String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    /// The pieces between the first opening bracket and its partner, cut at the commas of their own level.
    fn list_between(&mut self, open: u8, close: u8) -> Option<Vec<String>> {
        let mut depth = 0;
        while !(depth == 0 && self.peek()? == open) {
            self.step(&mut depth);
        }
        self.at += 1;
        let (mut pieces, mut start) = (Vec::new(), self.at);
        let mut push = |from: usize, to: usize| pieces.push(String::from_utf8_lossy(&self.text[from..to]).into_owned());
        let mut scanner = Scanner { text: self.text, at: self.at };
        loop {
            let byte = scanner.peek()?;
            if depth == 0 && (byte == b',' || byte == close) {
                push(start, scanner.at);
                start = scanner.at + 1;
            }
            if depth == 0 && byte == close {
                return Some(pieces);
            }
            scanner.step(&mut depth);
        }
    }

    /// Goes on by one byte, or over a comment, a string, a template or a regular expression.
    fn step(&mut self, depth: &mut usize) {
        match self.peek() {
            Some(b'/') if self.starts_with(b"//") || self.starts_with(b"/*") => return self.skip_comment(),
            Some(b'/') if self.begins_expression() => return self.skip_regular_expression(),
            Some(quote @ (b'"' | b'\'' | b'`')) => return self.skip_string(quote),
            Some(b'(' | b'[' | b'{') => *depth += 1,
            Some(b')' | b']' | b'}') => *depth = depth.saturating_sub(1),
            _ => {}
        }
        self.at += 1;
    }

    fn skip_comment(&mut self) {
        let (end, skipped): (&[u8], usize) = if self.starts_with(b"//") { (b"\n", 1) } else { (b"*/", 2) };
        self.at += 2;
        while self.at < self.text.len() && !self.starts_with(end) {
            self.at += 1;
        }
        self.at = (self.at + skipped).min(self.text.len());
    }

    fn skip_string(&mut self, quote: u8) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => self.at += 1,
                b'$' if quote == b'`' && self.starts_with(b"${") => {
                    self.skip_placeholder();
                    continue;
                }
                byte if byte == quote => {
                    self.at += 1;
                    return;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Skips `${ ... }` of a template. A template in it is skipped by recursion, which its text bounds: the engine has
    /// parsed it with a bounded stack before.
    fn skip_placeholder(&mut self) {
        self.at += 2;
        let mut depth = 0;
        while let Some(byte) = self.peek() {
            if depth == 0 && byte == b'}' {
                self.at += 1;
                return;
            }
            self.step(&mut depth);
        }
    }

    /// Whether a `/` here cannot divide anything.
    fn begins_expression(&self) -> bool {
        let before = self.text[..self.at].iter().rev().find(|byte| !byte.is_ascii_whitespace());
        before.is_none_or(|byte| b"=(,:?[!&|{;<>+-*%~^".contains(byte))
    }

    fn skip_regular_expression(&mut self) {
        let mut in_class = false;
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => self.at += 1,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => {
                    self.at += 1;
                    return;
                }
                _ => {}
            }
            self.at += 1;
        }
    }
}

fn is_part_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'#' | b'\\' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words parameters as `a b? ...c {x y?}`.
    fn worded(text: &str) -> String {
        let Callable::Function(parameters) = of(text) else { return format!("{:?}", of(text)) };
        words(&parameters)
    }

    fn words(parameters: &[Parameter]) -> String {
        let word = |parameter: &Parameter| {
            let rest = if parameter.is_rest { "..." } else { "" };
            let optional = if parameter.is_required || parameter.is_rest { "" } else { "?" };
            match &parameter.properties {
                Some(properties) => format!("{rest}{{{}}}{optional}", words(properties)),
                None if parameter.name.is_empty() => format!("{rest}[]{optional}"),
                None => format!("{rest}{}{optional}", parameter.name),
            }
        };
        parameters.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_form_of_a_function_is_read() {
        let cases = [
            ("function f(a, b) { return (a, b) }", "a b"),
            ("function () {}", ""),
            ("async function* gen ( x ) {}", "x"),
            ("(a, b) => a + b", "a b"),
            ("async (a) => { await a }", "a"),
            ("x => x * 2", "x"),
            ("async x => x", "x"),
            ("async => async", "async"),
            ("method(a, b = 1) { }", "a b?"),
            ("*[Symbol.iterator](a) {}", "a"),
            ("async(x) { }", "x"),
            ("$dollar_1 => 1", "$dollar_1"),
            ("größe => größe", "größe"),
        ];
        for (text, expected) in cases {
            assert_eq!(worded(text), expected, "{text}");
        }
    }

    #[test]
    fn defaults_rest_and_patterns_are_told_apart() {
        let cases = [
            ("function f(a, b = 2, ...rest) {}", "a b? ...rest"),
            ("function f({a, b = 2, c: d, 'e f': g = 1, ...others}) {}", "{a b? c e f? ...others}"),
            ("function f({a} = {}, [x, y] = [1, 2]) {}", "{a}? []?"),
            ("function f(a = (1, 2), b = [3, 4], c = {d: 5, e: 6}) {}", "a? b? c?"),
            ("(a = (x, y) => ({x, y}), b) => 1", "a? b"),
        ];
        for (text, expected) in cases {
            assert_eq!(worded(text), expected, "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_bracket_in_text_is_not_one() {
        let cases = [
            (r#"function f(a = ")", b = ',', c = `(${"}"},`) {}"#, "a? b? c?"),
            (r"function f(a = /[)/,]/g, b) {}", "a? b"),
            ("function f(a /* , b ) */, // c, d)\n e) {}", "a e"),
            ("function /* ( */ f(a) {}", "a"),
            ("function f(a = 4 / 2, b = 1) {}", "a? b?"),
            ("function f(a,\n  b,\n) {}", "a b"),
        ];
        for (text, expected) in cases {
            assert_eq!(worded(text), expected, "{text}");
        }
    }

    #[test]
    fn classes_and_built_in_functions_have_no_list() {
        assert_eq!(of("class A { constructor(x) {} }"), Callable::Class);
        assert_eq!(of("function max() {\n    [native code]\n}"), Callable::Unknown);
    }

    #[test]
    fn broken_text_is_unknown() {
        for text in ["", "function f(", "(", "(a, '", "function f(a = /[", "`${"] {
            assert_eq!(of(text), Callable::Unknown, "{text}");
        }
    }
}
