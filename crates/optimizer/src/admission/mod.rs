//! Admission: the only way from a draft that a model or a person wrote to a function that may be called.
//!
//! The gates stand in the order of what they cost, and the first that fails refuses with a reason that the model can
//! act on (a [`Rejection`](greensand_types::Rejection), which is a value). No evaluation is ever spent on what a gate can
//! see. A fault of the host is an [`AdmitError`]: it says nothing of the function.
//!
//! One file per gate; [`cascade`] is their order. To add a gate: a variant of [`Gate`](greensand_types::Gate), a file
//! here, and a line in the cascade.

mod settings;

mod cascade;

mod candidate;
mod compile;
mod duplicate;
mod examples;
mod existence;
mod form;
mod literals;
mod memorised;
mod packages;
mod replay;
mod signature;

mod refusal;
mod same_value;
mod text;

pub(crate) use cascade::named_function;
pub use cascade::{Readmitted, admit, admit_call, readmit};
pub(crate) use form::shown;
pub use settings::{AdmissionContext, AdmissionSettings, AdmitError, Admitted, MemorisedAnswers, ReplayedCalls};
pub(crate) use text::cut_middle;
