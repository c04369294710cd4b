//! A run as a page to read: what it did, why, and what came of it.
//!
//! Data and look are apart. [`ReportPage`] is the data: the report, the manifest, what each step changed and the sources
//! of the best set, bounded, as a value that can be serialised. [`ReportPage::to_html`] is the look: one file that asks for
//! nothing, runs nothing, and holds the data once more as JSON for programs.
//!
//! Everything in a run folder comes from models, tasks and functions, or was edited. The template escapes whatever it is
//! given; what would change the direction of writing is spelt out at the end, wherever it stands; and the policy of the
//! page forbids scripts and connections, should all of that fail.

mod bounds;
mod chart;
mod data;
mod findings;
mod html;
mod parts;

pub use data::{FunctionSource, PAGE_FORMAT, ReportPage, StepDiff};

use std::path::{Path, PathBuf};

use crate::store::{RunFolder, StoreError, replace};

/// The page of a run within its folder.
const PAGE: &str = "report.html";

/// Writes the page of a run, into its folder where no other file is named, and returns where it is.
///
/// # Errors
/// When the run cannot be read, or the page not be written.
pub fn write_page(run: &RunFolder, file: Option<&Path>) -> Result<PathBuf, StoreError> {
    let path = file.map_or_else(|| run.path().join(PAGE), Path::to_owned);
    replace(&path, ReportPage::of(run)?.to_html().as_bytes())?;
    Ok(path)
}
