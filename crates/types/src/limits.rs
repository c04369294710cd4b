use std::time::Duration;

/// The bounds of one call. Every field is present: nothing is unlimited by omission.
///
/// They do not cover the time a call waits for a free worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the moment a worker takes the call to its outcome, virtual sleep included.
    pub wall: Duration,
    /// Linear memory and tables of the instance together, in bytes.
    pub memory_bytes: u64,
    /// The arguments as JSON text, in bytes.
    pub max_argument_bytes: u64,
    /// The result as JSON text, in bytes.
    pub max_result_bytes: u64,
    /// What is kept of standard output, in bytes; more ends the call.
    pub max_stdout_bytes: u64,
    /// What is kept of standard error, in bytes; more ends the call.
    pub max_stderr_bytes: u64,
    /// How long a function of a compiled language may be compiled. It is no part of the wall clock of a call.
    pub build_wall: Duration,
    /// The address space of the compiler, in bytes.
    pub build_memory_bytes: u64,
}

impl Limits {
    /// 2 s, 64 MiB of memory, 1 MiB of arguments, 1 MiB of result, 64 KiB of each output; 30 s and 1 GiB for a build.
    ///
    /// A guest language may need more memory; its default then takes the place of this one.
    pub const DEFAULT: Self = Self {
        wall: Duration::from_secs(2),
        memory_bytes: 64 << 20,
        max_argument_bytes: 1 << 20,
        max_result_bytes: 1 << 20,
        max_stdout_bytes: 64 << 10,
        max_stderr_bytes: 64 << 10,
        build_wall: Duration::from_secs(30),
        build_memory_bytes: 1 << 30,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
