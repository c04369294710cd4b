use greensand_types::Failure;

/// What preparing one source for one entry gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The compiled form, or why there is none.
    pub(crate) preparation: Preparation,
    /// What the compiler wrote to standard output.
    pub(crate) stdout: Vec<u8>,
    /// What the compiler wrote to standard error.
    pub(crate) stderr: Vec<u8>,
    /// The most memory that it had, in bytes. A call with a lower limit must meet that limit itself.
    pub(crate) peak_memory: u64,
}

/// The result of a preparation that every call would find again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Preparation {
    /// It compiles; the form is the guest's own, for requests of the compiled kind.
    Compiled(Vec<u8>),
    /// Source or entry break the contract.
    Invalid(Failure),
}

impl Prepared {
    /// Returns what it takes in the host, in bytes.
    pub(super) fn size(&self) -> u64 {
        let result = match &self.preparation {
            Preparation::Compiled(form) => form.len(),
            Preparation::Invalid(failure) => failure.message.len() + failure.trace.as_ref().map_or(0, String::len),
        };
        (size_of::<Self>() + result + self.stdout.len() + self.stderr.len()) as u64
    }
}
