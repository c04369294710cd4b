//! Runs one untrusted function call in one WebAssembly instance, within hard limits.
//!
//! [`Sandbox`] is the whole face: it implements [`FunctionRuntime`](greensand_types::FunctionRuntime), so that an
//! invocation (language, source, entry, JSON arguments, limits, grants, seed) becomes a
//! [`CallOutcome`](greensand_types::CallOutcome). Nothing of a call survives it: every call has an instance that is new, or
//! was made as new, byte by byte.
//!
//! A language is an *image*: its guest module after initialisation, as native code. The image is made at first use
//! (about ten seconds for a large interpreter), kept in the cache folder, and mapped by later processes.
//!
//! The rooms behind the door: `worker` (threads, queue, cancellation), `call` (one call on clean instances, what a guest
//! may import, the class of an ending), `prepared` (sources that were compiled before), `slot` (instances that are used
//! again), `image` (making, keeping and opening images), `module` and `wasi` (functions that are WebAssembly already),
//! `build` and `jail` (functions of compiled languages), `engine` (every setting of wasmtime, with its reason).
//!
//! ```no_run
//! use greensand_sandbox::{Sandbox, SandboxSettings};
//! use greensand_types::{Entry, FunctionRuntime, Invocation, JsonText, SourceText};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::open(SandboxSettings::new("cache"))?;
//! let language = "lua".parse()?;
//! let Some(limits) = sandbox.default_limits(&language) else { return Ok(()) };
//! let text = "function add(a, b) return a + b end".into();
//! let outcome = sandbox
//!     .invoke(Invocation::new(
//!         SourceText { language, text, packages: Vec::new() },
//!         Entry::Function("add".into()),
//!         JsonText::parse("[2, 3]")?,
//!         limits,
//!     ))
//!     .await?;
//! println!("{}: {:?}", outcome.status(), outcome.value());
//! # Ok(())
//! # }
//! ```
//!
//! What it does not do: it keeps no state between calls, knows no language by name, and offers no files, network,
//! processes or environment to any guest.

mod build;
mod call;
mod describe;
mod engine;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod helper;
mod image;
pub mod jail;
mod module;
mod packages;
mod prepared;
mod sandbox;
mod settings;
mod slot;
mod ticker;
mod wasi;
mod worker;

pub use build::ToolchainStatus;
pub use engine::scans_changed_pages;
pub use greensand_guest_templates::GuestTemplate;
pub use helper::HelperProgram;
pub use image::{
    ImageError, ImageKeeping, ImageOrigin, ImageProgress, ImageReport, ImageStage, ImageStatus, UnsafeCacheError,
};
pub use module::module_source;
pub use packages::{PackageBundle, PackageFile, PackageSet, ReadFiles};
pub use prepared::PreparedUse;
pub use sandbox::{OpenSandboxError, Sandbox};
pub use settings::{NestingLimits, SandboxSettings, UnjailedBuilds};
pub use slot::{InstanceMode, InstanceUse, Recycling};
