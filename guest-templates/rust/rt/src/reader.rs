//! Reading JSON text value by value, into types that know what they want.

use crate::Mismatch;

/// How much of a value a message shows, in characters.
const SHOWN: usize = 40;

/// JSON text, and how far it is read. The host has checked that it is well-formed.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads a text from its beginning.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the first byte of the next value.
    pub fn peek(&mut self) -> u8 {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// A mismatch that says what was expected instead of the next value.
    #[cold]
    pub fn expected(&mut self, what: &str) -> Mismatch {
        let mut found = self.clone().value();
        if found.len() > SHOWN {
            let end = found.floor_char_boundary(SHOWN);
            found = &found[..end];
            return Mismatch::new(format!("expected {what}, found {found}..."));
        }
        Mismatch::new(format!("expected {what}, found {found}"))
    }

    /// Reads a word of the language if it comes next.
    pub fn word(&mut self, word: &str) -> bool {
        self.skip_space();
        let is_next = self.text[self.at..].starts_with(word);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    /// Reads a number as it is written.
    pub fn number(&mut self, what: &str) -> Result<&'a str, Mismatch> {
        match self.peek() {
            b'-' | b'0'..=b'9' => Ok(self.scalar()),
            _ => Err(self.expected(what)),
        }
    }

    /// Reads a text.
    pub fn string(&mut self, what: &str) -> Result<String, Mismatch> {
        if self.peek() != b'"' {
            return Err(self.expected(what));
        }
        let raw = self.value();
        if !raw.contains('\\') {
            return Ok(raw[1..raw.len() - 1].to_owned());
        }
        serde_json::from_str(raw).map_err(|_| Mismatch::new("the text holds half of a surrogate pair"))
    }

    /// Reads an array; the closure reads one element.
    pub fn array(
        &mut self,
        what: &str,
        mut element: impl FnMut(&mut Self, usize) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        if self.peek() != b'[' {
            return Err(self.expected(what));
        }
        self.at += 1;
        for index in 0.. {
            match self.peek() {
                b']' => break,
                b',' => self.at += 1,
                _ => {}
            }
            element(self, index).map_err(|mismatch| mismatch.at(index))?;
        }
        self.at += 1;
        Ok(())
    }

    /// Reads an object; the closure reads the value under a name.
    pub fn object(
        &mut self,
        what: &str,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        if self.peek() != b'{' {
            return Err(self.expected(what));
        }
        self.at += 1;
        loop {
            match self.peek() {
                b'}' => break,
                b',' => self.at += 1,
                _ => {}
            }
            let name = self.string("a name")?;
            self.skip_space();
            self.at += 1;
            member(self, &name).map_err(|mismatch| mismatch.under(&name))?;
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a value as it is written. Its depth costs no stack.
    pub fn value(&mut self) -> &'a str {
        let first = self.peek();
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => self.skip_string(),
                Some(b'[' | b'{') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b']' | b'}') => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                Some(_) if depth == 0 && !matches!(first, b'[' | b'{') => {
                    self.scalar();
                }
                Some(_) => self.at += 1,
                None => break,
            }
            if depth == 0 {
                break;
            }
        }
        &self.text[start..self.at]
    }

    fn scalar(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find([',', ']', '}', ' ', '\n', '\r', '\t', ':']).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_string(&mut self) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            self.at += match byte {
                b'\\' => 2,
                _ => 1,
            };
            if *byte == b'"' {
                break;
            }
        }
    }

    fn skip_space(&mut self) {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }
}
