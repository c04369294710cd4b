use std::error::Error;

use super::ImageStage;

/// The image of a language could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No guest has that name.
    #[error("no guest language is called `{name}`; known: {known}")]
    UnknownLanguage {
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The sources of the language are modules: there is nothing to make before the first call.
    #[error("`{language}` has no guest of its own, so it has no image")]
    NoImage {
        /// The language.
        language: String,
    },
    /// What compiles the language is missing on this machine, or incomplete.
    #[error("{0}")]
    Toolchain(String),
    /// The guest keeps another version of the contract than this host.
    #[error("the guest of `{language}` keeps version {found} of the guest contract, this host version {expected}")]
    Contract {
        /// The language.
        language: String,
        /// What the guest keeps.
        found: u32,
        /// What the host keeps.
        expected: u32,
    },
    /// No set of packages has what is asked for.
    #[error("{reason}")]
    UnknownPackages {
        /// What is missing, and what there is.
        reason: String,
    },
    /// The packages cannot be read, compiled or imported.
    #[error("make the image of `{language}` with {packages}")]
    Packages {
        /// The language.
        language: String,
        /// The packages.
        packages: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A stage failed.
    #[error("make the image of `{language}`: {} failed", stage.as_str())]
    Stage {
        /// The language.
        language: String,
        /// Which stage.
        stage: ImageStage,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
