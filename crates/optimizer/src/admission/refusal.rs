use greensand_types::{Gate, HostFault};

/// Why a gate did not let a draft through.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The gate refused, for a reason that the model can act on.
    Refused(Gate, String),
    /// The host failed; nothing is said of the draft.
    Fault(HostFault),
}

impl From<HostFault> for Stop {
    fn from(fault: HostFault) -> Self {
        Self::Fault(fault)
    }
}

/// A refusal, as the value of a `Result` that ends a gate.
pub(crate) fn refuse<T>(gate: Gate, reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Refused(gate, reason.into()))
}
