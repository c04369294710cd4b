//! Where JSON and a type do not fit each other.

use std::fmt::Write;

/// A step of a path into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Index(usize),
    Name(String),
}

/// JSON that does not fit a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// From the inside to the outside.
    path: Vec<Step>,
    message: String,
}

impl Mismatch {
    /// A mismatch here, in words such as `expected an integer, found "x"`.
    #[cold]
    pub fn new(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into() }
    }

    /// The same mismatch, seen from the array around it.
    #[cold]
    pub fn at(mut self, index: usize) -> Self {
        self.path.push(Step::Index(index));
        self
    }

    /// The same mismatch, seen from the object around it.
    #[cold]
    pub fn under(mut self, name: &str) -> Self {
        self.path.push(Step::Name(name.chars().take(64).collect()));
        self
    }

    /// Returns the message without the path.
    pub(crate) fn message(self) -> String {
        self.message
    }

    /// Returns the message, with the path that begins at `root`.
    pub fn text(&self, root: &str) -> String {
        format!("{}: {}", path_text(root, &self.path), self.message)
    }
}

/// A value that has no JSON form, or that must not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It has no JSON form.
    NoForm(Mismatch),
    /// It is longer than a result may be.
    TooLarge,
    /// It is an error that the function returned.
    Raised(String),
}

impl Fault {
    /// A fault here, in words.
    #[cold]
    pub fn no_form(message: impl Into<String>) -> Self {
        Self::NoForm(Mismatch::new(message))
    }

    /// The same fault, seen from the array around it.
    #[cold]
    pub fn at(self, index: usize) -> Self {
        match self {
            Self::NoForm(mismatch) => Self::NoForm(mismatch.at(index)),
            other => other,
        }
    }

    /// The same fault, seen from the object around it.
    #[cold]
    pub fn under(self, name: &str) -> Self {
        match self {
            Self::NoForm(mismatch) => Self::NoForm(mismatch.under(name)),
            other => other,
        }
    }
}

fn path_text(root: &str, path: &[Step]) -> String {
    let mut text = root.to_owned();
    for step in path.iter().rev().take(32) {
        // Writing to a text cannot fail.
        let _ = match step {
            Step::Index(index) => write!(text, "[{index}]"),
            Step::Name(name) if is_plain(name) => write!(text, ".{name}"),
            Step::Name(name) => write!(text, "[{name:?}]"),
        };
    }
    text
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character == '_' || character.is_alphanumeric())
}
