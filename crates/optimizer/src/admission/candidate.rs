use std::sync::Arc;

use greensand_types::{Example, FunctionDraft, FunctionName, Gate, Language};
use serde_json::Value;

use super::refusal::{Stop, refuse};

/// A definition whose fields have the right types and sizes, and no more than that.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) name: FunctionName,
    pub(crate) description: String,
    /// A JSON object; gate `signature` says whether it is a schema.
    pub(crate) parameters: Value,
    pub(crate) packages: Vec<String>,
    pub(crate) language: Language,
    pub(crate) source: Arc<str>,
    pub(crate) examples: Vec<Example>,
}

/// The sizes that a definition may have. They keep prompts and stored sets readable; nothing good is near them.
pub(crate) mod size {
    pub(crate) const CALL_BYTES: usize = 256 << 10;
    pub(crate) const DESCRIPTION_BYTES: usize = 4 << 10;
    pub(crate) const PARAMETERS_BYTES: usize = 16 << 10;
    pub(crate) const SOURCE_BYTES: usize = 64 << 10;
    pub(crate) const EXAMPLES: usize = 20;
    pub(crate) const EXAMPLES_BYTES: usize = 64 << 10;
    pub(crate) const PACKAGES: usize = 16;
    pub(crate) const REASON_BYTES: usize = 4 << 10;
}

impl From<FunctionDraft> for Candidate {
    fn from(draft: FunctionDraft) -> Self {
        Self {
            name: draft.signature.name().clone(),
            description: draft.signature.description().to_owned(),
            parameters: Value::Object(draft.signature.parameters().clone()),
            packages: draft.packages,
            language: draft.language,
            source: draft.source,
            examples: draft.examples,
        }
    }
}

impl Candidate {
    /// Gate `form` for what the types do not say: nothing is empty, nothing is oversized.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        if self.description.trim().is_empty() {
            return refuse(
                Gate::Form,
                "`description` is empty: say in a sentence what the function gives and when to call it",
            );
        }
        if self.source.trim().is_empty() {
            return refuse(Gate::Form, "`source` is empty: give the whole definition");
        }
        if self.examples.is_empty() {
            return refuse(Gate::Form, "`examples` is empty: give at least one pair of arguments and result");
        }
        check_size("description", self.description.len(), size::DESCRIPTION_BYTES)?;
        check_size("parameters", self.parameters.to_string().len(), size::PARAMETERS_BYTES)?;
        check_size("source", self.source.len(), size::SOURCE_BYTES)?;
        check_count("examples", self.examples.len(), size::EXAMPLES)?;
        check_count("packages", self.packages.len(), size::PACKAGES)?;
        let examples = self.examples.iter().map(|example| example.arguments.get().len() + example.result.get().len());
        check_size("examples", examples.sum(), size::EXAMPLES_BYTES)
    }
}

pub(crate) fn check_size(field: &str, bytes: usize, limit: usize) -> Result<(), Stop> {
    if bytes <= limit {
        return Ok(());
    }
    refuse(Gate::Form, format!("`{field}` has {bytes} bytes; at most {limit} are allowed, so make it shorter"))
}

fn check_count(field: &str, count: usize, limit: usize) -> Result<(), Stop> {
    if count <= limit {
        return Ok(());
    }
    refuse(Gate::Form, format!("`{field}` has {count} entries; at most {limit} are allowed"))
}
