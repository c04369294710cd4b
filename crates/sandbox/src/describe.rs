//! What a guest says of an entry, read as a description. It is guest text: what does not fit is a failure of the call.

use greensand_types::{
    CallEnding, CallOutcome, DescribeOutcome, Failure, FunctionDescription, JsonText, Parameter, ParameterKind,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Description {
    parameters: Vec<DescribedParameter>,
    doc: String,
}

#[derive(Deserialize)]
struct DescribedParameter {
    name: String,
    kind: Kind,
    required: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    PositionalOnly,
    Positional,
    NamedOnly,
    Rest,
    NamedRest,
}

/// Reads the outcome of a call that describes an entry.
pub(crate) fn description(outcome: CallOutcome) -> DescribeOutcome {
    let Some(read) = outcome.value().map(read) else { return DescribeOutcome::Failed(outcome) };
    match read {
        Ok(description) => DescribeOutcome::Described(description),
        Err(error) => {
            let failure =
                Failure::new(format!("the guest broke its contract: it described the entry wrongly: {error}"));
            DescribeOutcome::Failed(CallOutcome { ending: CallEnding::Raised(failure), ..outcome })
        }
    }
}

fn read(text: &JsonText) -> Result<FunctionDescription, serde_json::Error> {
    let Description { parameters, doc } = serde_json::from_str(text.get())?;
    let parameters = parameters.into_iter().map(|parameter| Parameter {
        name: parameter.name,
        kind: match parameter.kind {
            Kind::PositionalOnly => ParameterKind::PositionalOnly,
            Kind::Positional => ParameterKind::Positional,
            Kind::NamedOnly => ParameterKind::NamedOnly,
            Kind::Rest => ParameterKind::Rest,
            Kind::NamedRest => ParameterKind::NamedRest,
        },
        is_required: parameter.required,
    });
    Ok(FunctionDescription { parameters: parameters.collect(), documentation: doc })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> DescribeOutcome {
        let ending = CallEnding::Returned(JsonText::parse(text).unwrap());
        description(CallOutcome { ending, ..CallOutcome::invalid("") })
    }

    #[test]
    fn a_description_is_read() {
        let outcome = check(r#"{"parameters": [{"name": "a", "kind": "named_only", "required": true}], "doc": "x"}"#);
        let parameter = Parameter { name: "a".into(), kind: ParameterKind::NamedOnly, is_required: true };
        let expected = FunctionDescription { parameters: vec![parameter], documentation: "x".into() };
        assert_eq!(outcome, DescribeOutcome::Described(expected));
    }

    #[test]
    fn what_is_no_description_is_a_failure_of_the_call() {
        for text in ["null", "[]", r#"{"parameters": [{"name": "a", "kind": "odd", "required": true}], "doc": ""}"#] {
            let DescribeOutcome::Failed(outcome) = check(text) else { panic!("{text}") };
            assert!(matches!(outcome.ending, CallEnding::Raised(_)), "{text}");
        }
    }
}
