use std::collections::BTreeMap;

use crate::{ModelError, ModelErrorKind};

/// An error that every further request would end in, told again to each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    kind: ModelErrorKind,
    message: String,
    hint: Option<String>,
}

impl Broken {
    pub(crate) fn into_error(self) -> ModelError {
        let error = ModelError::new(self.kind, self.message).before_sending();
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// The errors that ended it, for all models or for one of them. What opened it first is what everybody is told.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    all: Option<Broken>,
    models: BTreeMap<String, Broken>,
}

impl Breaker {
    /// Takes an error; says whether it opened the breaker.
    pub(super) fn take(&mut self, model: &str, error: &ModelError) -> bool {
        if !error.concerns_every_request() {
            return false;
        }
        let broken = Broken { kind: error.kind(), message: error.to_string(), hint: error.hint().map(str::to_owned) };
        if error.kind() == ModelErrorKind::UnknownModel {
            self.models.entry(model.to_owned()).or_insert(broken);
        } else if self.all.is_none() {
            self.all = Some(broken);
        }
        true
    }

    /// Returns why requests to a model are not sent, if they are not.
    pub(super) fn broken(&self, model: &str) -> Option<&Broken> {
        self.all.as_ref().or_else(|| self.models.get(model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ModelErrorKind, same_model: bool, other_model: bool) {
        let mut breaker = Breaker::default();
        let is_open = breaker.take("a", &ModelError::new(kind, "why").with_hint("do this"));
        assert_eq!(is_open, same_model, "{kind:?}");
        assert_eq!(breaker.broken("a").is_some(), same_model, "{kind:?}");
        assert_eq!(breaker.broken("b").is_some(), other_model, "{kind:?}");
        if let Some(broken) = breaker.broken("a") {
            let error = broken.clone().into_error();
            assert_eq!((error.kind(), error.to_string().as_str(), error.hint()), (kind, "why", Some("do this")));
            assert!(!error.may_have_been_billed());
        }
    }

    #[test]
    fn only_what_concerns_every_request_opens_it() {
        check(ModelErrorKind::Authentication, true, true);
        check(ModelErrorKind::QuotaSpent, true, true);
        check(ModelErrorKind::UnknownModel, true, false);
        check(ModelErrorKind::RateLimited, false, false);
        check(ModelErrorKind::Refused { status: 500 }, false, false);
        check(ModelErrorKind::Unreachable, false, false);
        check(ModelErrorKind::BadReply, false, false);
    }

    #[test]
    fn everybody_is_told_the_first_error() {
        let mut breaker = Breaker::default();
        for message in ["first", "second"] {
            assert!(breaker.take("a", &ModelError::new(ModelErrorKind::Authentication, message)));
        }
        assert_eq!(breaker.broken("a").unwrap().message, "first");
    }
}
