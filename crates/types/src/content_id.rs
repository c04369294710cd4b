use std::fmt;
use std::str::FromStr;

/// The identity of a value by its content: a BLAKE3 digest, shown as 64 hex digits.
///
/// Equal content has an equal id in every run and on every machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; 32]);

impl ContentId {
    /// Starts an id for a kind of value; two kinds never share an id.
    pub fn of(kind: &str) -> ContentIdBuilder {
        let mut builder = ContentIdBuilder(blake3::Hasher::new());
        builder.field(kind.as_bytes());
        builder
    }

    /// Returns the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first 12 hex digits, enough to tell sets of one run apart.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ContentId({})", self.short())
    }
}

/// A text that is not a content id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a content id is 64 hex digits, found `{0}`")]
pub struct ParseContentIdError(String);

impl FromStr for ContentId {
    type Err = ParseContentIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| ParseContentIdError(text.chars().take(80).collect()))
    }
}

/// Collects the fields of a value into its [`ContentId`].
///
/// Every field is preceded by its length, so that no two lists of fields run together.
#[derive(Debug, Clone)]
pub struct ContentIdBuilder(blake3::Hasher);

impl ContentIdBuilder {
    /// Adds one field.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Returns the id of the fields so far.
    pub fn finish(&self) -> ContentId {
        ContentId(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_together() {
        let id = |fields: &[&str]| {
            let mut builder = ContentId::of("test");
            fields.iter().for_each(|field| {
                builder.field(field.as_bytes());
            });
            builder.finish()
        };
        assert_ne!(id(&["ab", "c"]), id(&["a", "bc"]));
        assert_ne!(id(&["ab"]), id(&["ab", ""]));
        assert_eq!(id(&["ab", "c"]), id(&["ab", "c"]));
    }

    #[test]
    fn an_id_is_read_back_from_its_text() {
        let id = ContentId::of("test").finish();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("12".parse::<ContentId>().is_err());
    }
}
