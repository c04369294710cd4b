use greensand_types::{CallEnding, CallOutcome, Failure, HostFault};

use crate::call::{LONGEST_MESSAGE, readable};

/// Why a module is not run. All but [`ModuleRefusal::Fault`] say something of the module, and make a call `invalid`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ModuleRefusal {
    /// The source is not base64, or what it holds is not WebAssembly.
    #[error("the module is not WebAssembly: {0}")]
    NotWasm(String),
    /// It has more of something than is compiled.
    #[error("the module has {found} {what}, the limit is {limit}")]
    TooMuch { what: &'static str, found: u64, limit: u64 },
    /// One function of it has more of something than is compiled.
    #[error("function {function} of the module has {found} {what}, the limit is {limit}")]
    TooMuchIn { function: u32, what: &'static str, found: u64, limit: u64 },
    /// It imports what no host function is for.
    #[error("the module imports `{import}`, which is not granted to functions; it may import {offered}")]
    UnknownImport { import: String, offered: &'static str },
    /// It imports something in a form that it does not have.
    #[error("the module imports `{import}` as {found}, but that is {expected}")]
    WrongImport { import: String, found: String, expected: String },
    /// It lacks an export of the contract.
    #[error("the module has no export `{export}`; the contract wants {expected}")]
    MissingExport { export: &'static str, expected: &'static str },
    /// An export of the contract has another type.
    #[error("the module exports `{export}` as {found}, the contract wants {expected}")]
    WrongExport { export: &'static str, found: String, expected: &'static str },
    /// It is a component that uses what no function needs.
    #[error("the component has {0}, which functions may not have")]
    NotAllowed(&'static str),
    /// It is a component of another world.
    #[error("the component does not fit the world `greensand:function/function`: {0}")]
    WrongWorld(String),
    /// The compiler refuses it.
    #[error("the module cannot be compiled: {0}")]
    NotCompiled(String),
    /// Compiling it took more than a build may take.
    #[error("compiling the module was stopped: it took more than {0}")]
    BuildLimit(String),
    /// Its source does not compile.
    #[error("{}", .0.message)]
    NotBuilt(Box<Failure>),
    /// There is nothing to compile it with.
    #[error("{0}")]
    NoCompiler(String),
    /// Nobody waits for it any more.
    #[error("the module was abandoned before it was compiled")]
    Abandoned,
    /// The host could not do its part.
    #[error("{0}")]
    Fault(String),
}

impl ModuleRefusal {
    /// Says whether it is the module that is refused, and not the moment or the machine.
    pub(super) fn is_of_the_module(&self) -> bool {
        match self {
            Self::NoCompiler(_) | Self::Abandoned | Self::Fault(_) => false,
            Self::NotWasm(_)
            | Self::TooMuch { .. }
            | Self::TooMuchIn { .. }
            | Self::UnknownImport { .. }
            | Self::WrongImport { .. }
            | Self::MissingExport { .. }
            | Self::WrongExport { .. }
            | Self::NotAllowed(_)
            | Self::WrongWorld(_)
            | Self::NotCompiled(_)
            | Self::NotBuilt(_)
            | Self::BuildLimit(_) => true,
        }
    }

    /// Returns the outcome of a call of a module that is refused.
    ///
    /// # Errors
    /// When the host is at fault.
    pub(crate) fn into_outcome(self) -> Result<CallOutcome, HostFault> {
        match self {
            Self::Fault(reason) => Err(HostFault::new(reason)),
            Self::NotBuilt(failure) => {
                Ok(CallOutcome { ending: CallEnding::Invalid(*failure), ..CallOutcome::invalid("") })
            }
            refusal => Ok(CallOutcome::invalid(readable(refusal.to_string().as_bytes(), LONGEST_MESSAGE))),
        }
    }
}
