//! Admission: the only way from a draft that a model or a person wrote to a function that may be called.
//!
//! The gates stand in the order of what they cost, and the first that fails refuses with a reason that the model can
//! act on (a [`Rejection`](greensand_types::Rejection), which is a value). No evaluation is ever spent on what a gate can
//! see. A fault of the host is an [`AdmitError`]: it says nothing of the function.

mod settings;

pub use settings::{AdmissionContext, AdmissionSettings, Admitted, AdmitError, MemorisedAnswers};
