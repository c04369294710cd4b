use std::fmt;
use std::str::FromStr;

/// The canonical name of a guest language, such as the registry of guest languages lists it.
///
/// A value says only that the text has the form of such a name (lower-case letters, digits and `-`, at most 32);
/// whether a guest exists for it is for the sandbox to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(String);

impl Language {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be the name of a language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a language: use lower-case letters, digits and `-`")]
pub struct LanguageError(String);

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(LanguageError(text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()))
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
