//! Functions of compiled languages: from a plan to an open module.
//!
//! The *front* of a language, a guest like any other, has read the source and returned a [`Plan`]: the files to compile.
//! [`Builds`] has the compiler of this machine make a module of them, in the jail and within the limits of a build, and
//! opens it like a module from elsewhere. How the compiler is found and called is data of the language, a `Recipe`; a
//! [`Toolchain`] is a recipe that fits this machine, with the language's runtime library built once per machine.
//!
//! There are two ways to build: *quick*, for the first calls, and *thorough*, in the background, for a function that is
//! called again. Both are kept in the cache folder by everything that this repository knows of them: what was built once is
//! opened without its compiler, and stays as the compiler of that day built it.

mod builds;
mod compile;
mod diagnostics;
mod improve;
mod plan;
mod runtime;
mod toolchain;
mod toolchains;
mod wait;

pub(crate) use builds::{BuildKey, Builds};
pub(crate) use plan::Plan;
pub use toolchain::ToolchainStatus;
