//! Examines what Greensand needs: the machine, the cache, the image of each language, and the models of a project.
//!
//! [`examine_machine`], [`examine_images`] and [`examine_project`] return one [`Finding`] for each thing that was looked at.
//! [`examine_walls`] looks at what stands between functions and everything else, one [`Wall`] each. They mend nothing; what fails names the command that does. Models are asked for one short reply, if the caller allows
//! it, because nothing less shows that key, endpoint and model fit together.

mod cache;
mod machine;
mod project;
mod walls;

pub use project::examine_project;
pub use walls::{Promise, Standing, Wall, examine_walls};

use std::path::Path;

use greensand_sandbox::{ImageStatus, Sandbox, ToolchainStatus};

use crate::causes::with_causes;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, such as `cache` or `image python`.
    pub name: String,
    /// How it stands.
    pub grade: Grade,
    /// What was found.
    pub detail: String,
    /// What mends it: a command, where there is one.
    pub remedy: Option<String>,
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// It works, but not well.
    Warning,
    /// It does not work.
    Failed,
}

impl Grade {
    /// Returns the word for the grade, as it stands in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// Whether models are asked for a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelRequests {
    /// One short reply of each model, which a hosted service charges for.
    Allowed,
    /// None.
    Denied,
}

impl Finding {
    fn new(grade: Grade, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), grade, detail: detail.into(), remedy: None }
    }

    fn good(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Grade::Good, name, detail)
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// Looks at the machine and the cache folder. The folder need not exist, and is not made.
///
/// It may wait for a compiler to say its version, some seconds at most.
pub fn examine_machine(cache_dir: &Path) -> Vec<Finding> {
    let mut findings = machine::examine();
    findings.extend(cache::examine(cache_dir));
    findings
}

/// Looks at the image of each guest language.
///
/// It is apart from [`examine_machine`] because opening a sandbox makes its cache folder.
pub fn examine_images(sandbox: &Sandbox) -> Vec<Finding> {
    sandbox
        .languages()
        .filter(|template| template.image().is_some())
        .map(|template| {
            let name = format!("image {}", template.name);
            match template.name.parse().map(|language| sandbox.image_status(&language)) {
                Ok(ImageStatus::Cached { bytes, .. }) => Finding::good(name, format!("ready, {} MiB", bytes >> 20)),
                Ok(ImageStatus::Missing) => {
                    Finding::new(Grade::Note, name, "is made at first use, which takes some seconds, once")
                        .remedy("greensand bench --quick")
                }
                Ok(ImageStatus::Invalid { path, reason }) => Finding::new(
                    Grade::Warning,
                    name,
                    format!("`{}` cannot be used and is made anew: {reason}", path.display()),
                ),
                Ok(ImageStatus::UnknownLanguage) | Err(_) => Finding::new(Grade::Failed, name, "is not known"),
            }
        })
        .collect()
}

/// Looks at the compilers of the guest languages that need one.
///
/// It starts them, to ask for their versions.
pub fn examine_compilers(sandbox: &Sandbox) -> Vec<Finding> {
    let status = |name: &str| name.parse().map(|language| sandbox.toolchain_status(&language));
    let found = sandbox.languages().filter_map(|template| {
        let name = format!("compiler {}", template.name);
        match status(template.name) {
            Ok(ToolchainStatus::Found(version)) => Some(Finding::good(name, version)),
            Ok(ToolchainStatus::Missing { what, mend }) => {
                let detail = format!("{what}: functions in `{}` are refused", template.name);
                Some(Finding::new(Grade::Note, name, detail).remedy(mend))
            }
            Ok(ToolchainStatus::NotNeeded) | Err(_) => None,
        }
    });
    found.collect()
}

/// Returns what could not be done, with its causes.
pub fn failed_finding(name: &str, error: &dyn std::error::Error) -> Finding {
    Finding::new(Grade::Failed, name, with_causes(error))
}
