//! Functions that come as WebAssembly: bring-your-own modules, and what compiled languages are built to.
//!
//! [`Modules::open`] takes the bytes of a module, looks at them before anything else does (`inspect`), has them
//! compiled where that can do no harm (`compile`), and keeps the native code in the cache folder. [`run`] is one call
//! on one fresh instance of an [`OpenModule`], with the same limits, flags and outcomes as any guest.
//!
//! Whoever wrote the module wrote all of it: nothing that it says of itself is believed, and what it breaks is its own
//! call.

mod compile;
mod component;
mod contract;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod inspect;
mod modules;
mod open;
mod parts;
mod refusal;
mod run;

pub(crate) use compile::{BuildLimits, Compiler, REFUSED, Tier, compile_here};
pub use modules::module_source;
pub(crate) use modules::{Modules, OpenModule};
pub(crate) use open::{OpenModules, Unopened};
pub(crate) use refusal::ModuleRefusal;
pub(crate) use run::run;
