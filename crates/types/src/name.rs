use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The name of a function: an ASCII identifier of at most 64 characters.
///
/// It is what every guest language and every chat-completions endpoint accepts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName(String);

impl FunctionName {
    /// The longest name, in characters.
    pub const MAX_LEN: usize = 64;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is not a function name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a function name: use 1 to {max} letters, digits and `_`, not starting with a digit",
    max = FunctionName::MAX_LEN
)]
pub struct FunctionNameError {
    name: String,
}

impl FromStr for FunctionName {
    type Err = FunctionNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = text.bytes().next();
        let starts_well = first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let fits = text.len() <= Self::MAX_LEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if starts_well && fits {
            return Ok(Self(text.to_owned()));
        }
        Err(FunctionNameError {
            name: text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        })
    }
}

impl Borrow<str> for FunctionName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for FunctionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identifiers_are_names() {
        for name in ["f", "_x1", "sum_squares", "CamelCase"] {
            assert!(name.parse::<FunctionName>().is_ok(), "{name}");
        }
        for name in ["", "1f", "sum squares", "a-b", "é", "a\n", "a.b", &"x".repeat(65)] {
            assert!(name.parse::<FunctionName>().is_err(), "{name}");
        }
    }
}
