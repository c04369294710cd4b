//! The gates in their order, and the three doors to them: a model's call, a person's draft, a stored set.

use greensand_types::{
    Action, ContentId, FunctionCall, FunctionDraft, FunctionSet, Gate, GrantedFunctions, Language, Limits, Rejection,
    ValidatedFunction,
};

use super::candidate::Candidate;
use super::examples::Calls;
use super::form::{self, shown};
use super::refusal::{Stop, refuse};
use super::{
    AdmissionContext, AdmitError, Admitted, MemorisedAnswers, ReplayedCalls, compile, duplicate, examples, existence,
    memorised, packages, replay, signature,
};
use crate::actions::Verb;

/// Admits an action that a model asks for by a call of its text; nothing in the call need be right.
///
/// # Errors
/// When the host fails. A refusal is a value.
pub async fn admit_call(
    call: &FunctionCall,
    set: &FunctionSet,
    context: AdmissionContext<'_>,
) -> Result<Result<Admitted, Rejection>, AdmitError> {
    let verb = Verb::read(&call.name).map_or_else(|| shown(&call.name), |verb| verb.word().to_owned());
    let function = named_function(&call.arguments);
    let formed = match form::read(call, &context.settings.language) {
        Ok(formed) => formed,
        Err(stop) => return settle(stop, verb, function),
    };
    let mut warnings = formed.warnings;
    match pass(formed.action, set, &neighbours_in(set, context), context, &mut warnings).await {
        Ok(action) => Ok(Ok(Admitted { action, warnings })),
        Err(stop) => settle(stop, verb, function),
    }
}

/// Admits an action with a draft, such as one that a person wrote.
///
/// # Errors
/// When the host fails. A refusal is a value.
pub async fn admit(
    action: Action<FunctionDraft>,
    set: &FunctionSet,
    context: AdmissionContext<'_>,
) -> Result<Result<Admitted, Rejection>, AdmitError> {
    admit_among(action, set, &neighbours_in(set, context), context).await
}

/// Admits an action with a draft whose function may call these others.
async fn admit_among(
    action: Action<FunctionDraft>,
    set: &FunctionSet,
    neighbours: &GrantedFunctions,
    context: AdmissionContext<'_>,
) -> Result<Result<Admitted, Rejection>, AdmitError> {
    let verb = action.verb().to_owned();
    let function = action.function().map(ToString::to_string);
    let mut warnings = Vec::new();
    let passed = match checked_form(action) {
        Ok(action) => pass(action, set, neighbours, context, &mut warnings).await,
        Err(stop) => Err(stop),
    };
    match passed {
        Ok(action) => Ok(Ok(Admitted { action, warnings })),
        Err(stop) => settle(stop, verb, function),
    }
}

/// Returns the functions of a set as what another one may call.
fn neighbours_in(set: &FunctionSet, context: AdmissionContext<'_>) -> GrantedFunctions {
    set.to_grants(|language| call_limits(language, context))
}

fn call_limits(language: &Language, context: AdmissionContext<'_>) -> Limits {
    let limits = context.settings.limits.or_else(|| context.runtime.default_limits(language));
    limits.unwrap_or_default()
}

/// A set that was read back, with what a person should look at.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Readmitted {
    /// The set.
    pub set: FunctionSet,
    /// What to look at.
    pub warnings: Vec<String>,
}

/// Admits every function of a stored set anew: what stands on a disk may have been edited.
///
/// # Errors
/// When the host fails. Refusals are values, one for each function that did not pass.
pub async fn readmit(
    drafts: Vec<FunctionDraft>,
    parent: Option<ContentId>,
    context: AdmissionContext<'_>,
) -> Result<Result<Readmitted, Vec<Rejection>>, AdmitError> {
    let mut set = FunctionSet::empty();
    let mut warnings = Vec::new();
    let mut rejections = Vec::new();
    // Any of them may call any other, whichever is examined first.
    let neighbours = drafts
        .iter()
        .map(|draft| (draft.signature.name().clone(), draft.to_grant(call_limits(&draft.language, context))))
        .collect();
    for draft in drafts {
        match admit_among(Action::Add(draft), &set, &neighbours, context).await? {
            Ok(admitted) => {
                let name = admitted.action.function().map(ToString::to_string).unwrap_or_default();
                warnings.extend(admitted.warnings.iter().map(|warning| format!("`{name}`: {warning}")));
                set = set.apply(admitted.action).expect("gate `existence` has seen that the name is new");
            }
            Err(rejection) => rejections.push(rejection),
        }
    }
    if !rejections.is_empty() {
        return Ok(Err(rejections));
    }
    let functions = set.iter().map(|function| ValidatedFunction::clone(function));
    let set = FunctionSet::from_functions(functions, parent).expect("names of a set are unique");
    Ok(Ok(Readmitted { set, warnings }))
}

fn checked_form(action: Action<FunctionDraft>) -> Result<Action<Candidate>, Stop> {
    let checked = |draft: FunctionDraft| {
        let candidate = Candidate::from(draft);
        candidate.check().map(|()| candidate)
    };
    Ok(match action {
        Action::Add(draft) => Action::Add(checked(draft)?),
        Action::Revise(draft) => Action::Revise(checked(draft)?),
        Action::Remove { name, reason } => Action::Remove { name, reason },
        Action::Terminate => Action::Terminate,
    })
}

async fn pass(
    action: Action<Candidate>,
    set: &FunctionSet,
    neighbours: &GrantedFunctions,
    context: AdmissionContext<'_>,
    warnings: &mut Vec<String>,
) -> Result<Action<ValidatedFunction>, Stop> {
    match action {
        Action::Add(candidate) => {
            existence::check_new(&candidate.name, set, context.settings)?;
            Ok(Action::Add(validate(candidate, set, neighbours, context, warnings).await?))
        }
        Action::Revise(candidate) => {
            existence::check_there(&candidate.name, set, "revise")?;
            Ok(Action::Revise(validate(candidate, set, neighbours, context, warnings).await?))
        }
        Action::Remove { name, reason } => {
            existence::check_there(&name, set, "remove")?;
            Ok(Action::Remove { name, reason })
        }
        Action::Terminate => Ok(Action::Terminate),
    }
}

/// The gates from `signature` on. The second half of `signature` needs a source that compiles, so it stands behind that gate.
async fn validate(
    candidate: Candidate,
    set: &FunctionSet,
    neighbours: &GrantedFunctions,
    context: AdmissionContext<'_>,
    warnings: &mut Vec<String>,
) -> Result<ValidatedFunction, Stop> {
    let limits = limits_of(&candidate, context)?;
    let signature = signature::build(&candidate)?;
    let packages = packages::check(&candidate.packages, &context.settings.allowed_packages)?;
    let draft = FunctionDraft {
        signature,
        language: candidate.language,
        source: candidate.source,
        packages,
        examples: candidate.examples,
    };
    compile::check(&draft, context.runtime, limits).await?;
    let definition = compile::describe(&draft, context.runtime, limits).await?;
    signature::check_definition(&draft.signature, &definition)?;
    let functions = match context.settings.may_call_each_other {
        true => neighbours.clone(),
        false => GrantedFunctions::default(),
    };
    let calls = Calls { runtime: context.runtime, limits, seed: context.settings.seed, functions };
    duplicate::check(&draft, set, &calls).await?;
    examples::check(&draft, &calls).await?;
    if let Some(found) = memorised::find(&draft.source, context.train) {
        match context.settings.memorised {
            MemorisedAnswers::Warn => warnings.push(found),
            MemorisedAnswers::Refuse => return refuse(Gate::Memorised, found),
        }
    }
    if let Some(present) = set.get(draft.signature.name().as_str())
        && context.settings.replay != ReplayedCalls::Off
    {
        let found = replay::run(&draft, present, context.records, &calls).await?;
        match (found.changed, context.settings.replay) {
            (Some(changed), ReplayedCalls::Refuse) => return refuse(Gate::Replay, changed),
            (changed, _) => warnings.extend(changed),
        }
        warnings.extend(found.unfit);
    }
    Ok(ValidatedFunction::admitted(draft))
}

fn limits_of(candidate: &Candidate, context: AdmissionContext<'_>) -> Result<Limits, Stop> {
    let Some(default) = context.runtime.default_limits(&candidate.language) else {
        return refuse(
            Gate::Form,
            format!(
                "there is no guest for language `{}`; functions of this run are in `{}`",
                candidate.language, context.settings.language
            ),
        );
    };
    Ok(context.settings.limits.unwrap_or(default))
}

fn settle<T>(stop: Stop, verb: String, function: Option<String>) -> Result<Result<T, Rejection>, AdmitError> {
    match stop {
        Stop::Refused(gate, reason) => Ok(Err(Rejection { gate, action: verb, function, reason })),
        Stop::Fault(source) => Err(AdmitError { function: function.unwrap_or_default(), source }),
    }
}

/// The name that a call gives, for the report, if it can be made out.
pub(crate) fn named_function(arguments: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        name: String,
    }
    serde_json::from_str::<Named>(arguments).ok().map(|named| shown(&named.name))
}
