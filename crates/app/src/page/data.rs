use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::bounded;
use crate::causes::with_causes;
use crate::diff::{SetDiff, diff_sets};
use crate::store::{
    CompareReport, InstructionsRecord, JournalEvent, Manifest, NoiseReport, Report, RunFolder, StoreError, StoredSet,
};

/// The number of the form of a [`ReportPage`].
pub const PAGE_FORMAT: u32 = 1;

/// How many bytes of diffs a page holds; the rest is left out, and says so.
const MOST_DIFF_BYTES: usize = 4 << 20;

/// What the page of a run tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportPage {
    /// The format of this value.
    pub format: u32,
    /// The same as `report.json`, with long texts cut and with what could not be read as warnings.
    pub report: Report,
    /// What the run was started with; none, if that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
    /// What each step changed in the functions, for the steps that changed something.
    pub steps: Vec<StepDiff>,
    /// What the whole run changed: from the initial to the best set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<SetDiff>,
    /// The functions of the best set.
    pub sources: Vec<FunctionSource>,
    /// What a comparison of ways found; in a run of `greensand compare` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<CompareReport>,
    /// The rewritings of the instructions; in a run of `greensand compare` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instructions: Vec<InstructionsRecord>,
    /// What a measurement of noise found; in a run of `greensand noise` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseReport>,
}

/// What a step changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepDiff {
    /// The epoch of the step.
    pub epoch: u32,
    /// From its parent to its candidate.
    pub diff: SetDiff,
}

/// A function as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionSource {
    /// Its name.
    pub name: String,
    /// What it says that it does.
    pub description: String,
    /// Its language.
    pub language: String,
    /// The packages that it may import.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Its whole source.
    pub source: String,
}

impl ReportPage {
    /// Reads what there is to tell of a run, also of one that is under way or was killed.
    ///
    /// # Errors
    /// When the journal cannot be read. What else cannot be read is left out, and a warning says so.
    pub fn of(run: &RunFolder) -> Result<Self, StoreError> {
        let report = run.report()?;
        let mut sets = Sets { run, known: BTreeMap::new(), bytes: 0, problems: Vec::new() };
        let manifest = run.manifest().map_err(|error| sets.problem("the description of the run", &error)).ok();
        let changed = report.epochs.iter().filter_map(|epoch| epoch.step.as_ref());
        let steps = changed
            .filter(|step| step.parent != step.candidate)
            .filter_map(|step| {
                let diff = sets.diff(&step.parent, &step.candidate)?;
                Some(StepDiff { epoch: step.epoch, diff })
            })
            .collect();
        let ends = report.initial.as_ref().zip(report.best.as_ref());
        let whole = ends.and_then(|(initial, best)| sets.diff(initial, best));
        let best = report.best.as_deref().and_then(|best| sets.get(best));
        let sources = best.iter().flat_map(|set| &set.functions).map(FunctionSource::of).collect();
        let comparison = run.comparison().unwrap_or_else(|error| sets.nothing("what was compared", &error));
        let noise = run.noise().unwrap_or_else(|error| sets.nothing("what was measured", &error));
        let instructions = rewritings(run)?;
        let mut page =
            Self { format: PAGE_FORMAT, report, manifest, steps, whole, sources, comparison, instructions, noise };
        for problem in sets.problems {
            // The report says already that the best set cannot be read.
            if !page.report.warnings.iter().any(|warning| problem.ends_with(warning.as_str())) {
                page.report.warnings.push(problem);
            }
        }
        bounded(&page).map_err(|error| StoreError::damaged(run.path(), format!("the page cannot be made: {error}")))
    }
}

impl FunctionSource {
    fn of(draft: &greensand_types::FunctionDraft) -> Self {
        Self {
            name: draft.signature.name().to_string(),
            description: draft.signature.description().to_owned(),
            language: draft.language.to_string(),
            packages: draft.packages.clone(),
            source: draft.source.to_string(),
        }
    }
}

fn rewritings(run: &RunFolder) -> Result<Vec<InstructionsRecord>, StoreError> {
    let mut rewritings = Vec::new();
    for event in run.journal()? {
        if let JournalEvent::Instructions(record) = event? {
            rewritings.push(record);
        }
    }
    Ok(rewritings)
}

/// The sets of a run, each read once.
struct Sets<'a> {
    run: &'a RunFolder,
    known: BTreeMap<String, Option<StoredSet>>,
    bytes: usize,
    problems: Vec<String>,
}

impl Sets<'_> {
    fn get(&mut self, id: &str) -> Option<StoredSet> {
        if !self.known.contains_key(id) {
            let loaded = self.run.load_set(id).map_err(|error| self.problem("a function set", &error)).ok();
            self.known.insert(id.to_owned(), loaded);
        }
        self.known.get(id).cloned().flatten()
    }

    fn diff(&mut self, one: &str, other: &str) -> Option<SetDiff> {
        let mut diff = diff_sets(&self.get(one)?, &self.get(other)?);
        for function in &mut diff.functions {
            self.bytes = self.bytes.saturating_add(function.text.len());
            if self.bytes > MOST_DIFF_BYTES {
                function.text =
                    "[left out: the changes of this run are too many for a page; `greensand diff` shows them]\n".into();
            }
        }
        Some(diff)
    }

    fn nothing<T>(&mut self, what: &str, error: &StoreError) -> Option<T> {
        self.problem(what, error);
        None
    }

    fn problem(&mut self, what: &str, error: &StoreError) {
        self.problems.push(format!("{what} is left out: {}", with_causes(error)));
    }
}
