use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A secret that is sent to a model endpoint and shown nowhere: its `Debug` text is redacted, and it has no `Display`.
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Takes a secret; white space around it, such as the line end of a key file, is dropped.
    ///
    /// Nothing is returned for a secret that is empty: it is the same as none.
    pub fn new(secret: &str) -> Option<Self> {
        let secret = secret.trim();
        (!secret.is_empty()).then(|| Self(secret.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn as_secret(&self) -> &SecretString {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = ApiKey::new(" sk-very-secret\n").unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(redacted)");
        assert_eq!(key.expose(), "sk-very-secret");
    }

    #[test]
    fn an_empty_key_is_none() {
        assert!(ApiKey::new(" \n").is_none());
    }
}
