//! Writing JSON text, up to the length that a result may have.

use crate::Fault;

/// JSON text in the making.
#[derive(Debug)]
pub struct Writer {
    text: Vec<u8>,
    limit: usize,
    is_tagged: bool,
}

impl Writer {
    /// An empty text that may have so many bytes.
    pub fn new(limit: usize, is_tagged: bool) -> Self {
        Self { text: Vec::new(), limit, is_tagged }
    }

    /// Appends text that is JSON.
    pub fn raw(&mut self, text: &str) -> Result<(), Fault> {
        if text.len() > self.limit - self.text.len() {
            return Err(Fault::TooLarge);
        }
        self.text.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Appends a text as JSON.
    pub fn string(&mut self, text: &str) -> Result<(), Fault> {
        self.raw("\"")?;
        let mut plain = 0;
        for (index, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0..0x20 => {
                    self.raw(&text[plain..index])?;
                    self.raw(&format!("\\u{byte:04x}"))?;
                    plain = index + 1;
                    continue;
                }
                _ => continue,
            };
            self.raw(&text[plain..index])?;
            self.raw(escape)?;
            plain = index + 1;
        }
        self.raw(&text[plain..])?;
        self.raw("\"")
    }

    /// Appends a number that JSON does not have, where the encoding has a tag for it.
    pub fn odd_number(&mut self, text: &str) -> Result<(), Fault> {
        if !self.is_tagged {
            return Err(Fault::no_form(format!("{text} has no form in JSON")));
        }
        self.raw("{\"$type\": \"float\", \"$text\": \"")?;
        self.raw(text)?;
        self.raw("\"}")
    }

    /// Appends an array.
    pub fn array<T>(
        &mut self,
        elements: impl IntoIterator<Item = T>,
        mut element: impl FnMut(&mut Self, T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.raw("[")?;
        for (index, item) in elements.into_iter().enumerate() {
            if index > 0 {
                self.raw(",")?;
            }
            element(self, item).map_err(|fault| fault.at(index))?;
        }
        self.raw("]")
    }

    /// Appends an object. In the tagged encoding one that has a key `$type` becomes a list of entries, lest it be taken for
    /// a tag.
    pub fn object<T>(
        &mut self,
        members: impl IntoIterator<Item = (String, T)>,
        mut member: impl FnMut(&mut Self, T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let members: Vec<_> = members.into_iter().collect();
        let is_like_tag = self.is_tagged && members.iter().any(|(name, _)| name == "$type");
        let [open, before, between, after, close] = match is_like_tag {
            false => ["{", "", ":", "", "}"],
            true => ["{\"$type\": \"map\", \"$entries\": [", "[", ",", "]", "]}"],
        };
        self.raw(open)?;
        for (index, (name, value)) in members.into_iter().enumerate() {
            if index > 0 {
                self.raw(",")?;
            }
            self.raw(before)?;
            self.string(&name)?;
            self.raw(between)?;
            member(self, value).map_err(|fault| fault.under(&name))?;
            self.raw(after)?;
        }
        self.raw(close)
    }

    /// Returns the text.
    pub fn into_bytes(self) -> Vec<u8> {
        self.text
    }
}
