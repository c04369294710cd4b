//! Gate `existence`: an added name is new; a revised or removed one is there.

use greensand_types::{FunctionName, FunctionSet, Gate};

use super::AdmissionSettings;
use super::refusal::{Stop, refuse};
use crate::nearest::nearest;

/// The name of an added function is not taken.
pub(crate) fn check_new(name: &FunctionName, set: &FunctionSet, settings: &AdmissionSettings) -> Result<(), Stop> {
    check_not_reserved(name, settings)?;
    if set.get(name.as_str()).is_none() {
        return Ok(());
    }
    refuse(Gate::Existence, format!("a function `{name}` exists already; revise it, or choose another name"))
}

/// The function that is to be revised or removed is there.
pub(crate) fn check_there(name: &FunctionName, set: &FunctionSet, verb: &str) -> Result<(), Stop> {
    if set.get(name.as_str()).is_some() {
        return Ok(());
    }
    let nearest = nearest(name.as_str(), set.iter().map(|function| function.name().as_str()));
    let hint = match nearest {
        Some(nearest) => format!("; the nearest name is `{nearest}`"),
        None => "; the set is empty".to_owned(),
    };
    refuse(Gate::Existence, format!("there is no function `{name}` to {verb}{hint}"))
}

fn check_not_reserved(name: &FunctionName, settings: &AdmissionSettings) -> Result<(), Stop> {
    if settings.reserved_names.iter().all(|reserved| reserved != name.as_str()) {
        return Ok(());
    }
    refuse(Gate::Existence, format!("`{name}` is the name of a tool that the assistant always has; choose another"))
}
