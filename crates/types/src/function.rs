use std::sync::Arc;

use crate::{
    ContentId, FunctionName, FunctionSignature, GrantedFunction, JsonText, Language, LearnedGrant, Limits, SourceText,
};

/// Arguments of a function and the result that they must give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// A JSON object (by name) or array (by position).
    pub arguments: JsonText,
    /// The result, in the tagged encoding.
    pub result: JsonText,
}

/// A function as a model or a person wrote it. It is untrusted on purpose.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionDraft {
    /// What the assistant is told of it.
    pub signature: FunctionSignature,
    /// The guest language of the source.
    pub language: Language,
    /// The whole definition.
    pub source: Arc<str>,
    /// Packages that the source imports beyond the language's own library.
    pub packages: Vec<String>,
    /// What it must give; admission runs them.
    pub examples: Vec<Example>,
}

impl FunctionDraft {
    /// Returns what a call is granted that may call this function.
    pub fn to_grant(&self, limits: Limits) -> GrantedFunction {
        let (language, text, packages) = (self.language.clone(), self.source.clone(), self.packages.clone());
        let source = SourceText { language, text, packages };
        GrantedFunction::Learned(LearnedGrant { source, entry: self.signature.name().to_string(), limits })
    }

    /// Returns the identity of the whole definition: signature, language, source, packages and examples.
    ///
    /// It says that two drafts are the same, not that either is any good.
    pub fn content_id(&self) -> ContentId {
        content_id(self)
    }
}

/// A draft that has passed admission.
///
/// Invariant: built by admission only (`greensand-optimizer`, module `admission`), which a test of the
/// workspace checks by name. Nothing else may call [`ValidatedFunction::admitted`].
#[derive(Debug, Clone, PartialEq)]
pub struct ValidatedFunction {
    draft: FunctionDraft,
    id: ContentId,
}

impl ValidatedFunction {
    /// Marks a draft as admitted. Only admission calls this, after every gate.
    pub fn admitted(draft: FunctionDraft) -> Self {
        let id = content_id(&draft);
        Self { draft, id }
    }

    /// Returns the draft that was admitted.
    pub fn draft(&self) -> &FunctionDraft {
        &self.draft
    }

    /// Returns the identity of the whole definition: signature, language, source, packages and examples.
    pub fn id(&self) -> ContentId {
        self.id
    }

    /// Returns the name of the function, which is also its entry in the source.
    pub fn name(&self) -> &FunctionName {
        self.draft.signature.name()
    }
}

fn content_id(draft: &FunctionDraft) -> ContentId {
    let mut id = ContentId::of("function");
    id.field(draft.signature.name().as_str().as_bytes());
    id.field(draft.signature.description().as_bytes());
    id.field(serde_json::Value::from(draft.signature.parameters().clone()).to_string().as_bytes());
    id.field(draft.language.as_str().as_bytes());
    id.field(draft.source.as_bytes());
    id.field(&draft.packages.len().to_le_bytes());
    for package in &draft.packages {
        id.field(package.as_bytes());
    }
    for example in &draft.examples {
        id.field(example.arguments.get().as_bytes());
        id.field(example.result.get().as_bytes());
    }
    id.finish()
}
