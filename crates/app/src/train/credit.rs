//! What each function of the best set is worth: the set is measured without it, on the tasks that acceptance is decided on.
//!
//! Everything is asked through the run: a request that it asked before, word by word, costs nothing. So the whole set is mostly
//! free, and so are tasks that were not offered the function; and credit that was interrupted goes on where it was left.

use std::sync::Arc;

use greensand_llm::Role;
use greensand_optimizer::{Credit, CreditVerdict, signature_tokens};
use greensand_types::{Action, ContentId, FunctionName, FunctionSet, ValidatedFunction};

use super::begin::restore;
use super::eras::Eras;
use super::recorded::RecordedRun;
use super::{TrainError, TrainErrorKind};
use crate::evaluate::{Cover, EvaluateError, Job, Measured, measure};
use crate::project::Project;
use crate::sets::SetSource;
use crate::store::{CREDIT_FORMAT, CreditReport, FunctionCredit, Reopening, RunWriter};
use crate::{Equipment, Event, Interrupt, Observer};

/// Measures what each function of a run's best set is worth, and keeps it in the run.
///
/// # Errors
/// When the run is in use or cannot be read, its best set is not admitted, or a set cannot be measured. What was paid for until
/// then is kept: begun again, it goes on from there.
pub async fn credit(
    recorded: &RecordedRun,
    eras: &Eras,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<CreditReport, TrainError> {
    let failed = |kind| TrainError { kind, run: Some(recorded.folder.path().to_owned()) };
    let kind = recorded.manifest.kind;
    if !kind.trains() {
        let run = recorded.folder.path().to_owned();
        return Err(TrainError { kind: TrainErrorKind::NotTrained { run, kind }, run: None });
    }
    let source = SetSource::Run { folder: recorded.folder.path().to_owned(), set: "best".into() };
    let equipment = eras.last();
    equipment.ledger.allow(&[Role::Assistant]).map_err(|uncapped| failed(uncapped.into()))?;
    let best = source.load(equipment.runtime.as_ref(), equipment.admission()).await;
    let best = best.map_err(|error| failed(TrainErrorKind::Best(Box::new(error))))?;
    let run = RunWriter::reopen(&recorded.folder, Reopening::Resume).map_err(|error| failed(error.into()))?;
    let run = Arc::new(run);
    restore(equipment.ledger(), &recorded.folder).map_err(|error| failed(error.into()))?;
    let work = LeaveOneOut {
        equipment: &equipment.recorded_in(&run),
        project: &recorded.project,
        run: &run,
        epoch: recorded.folder.last_epoch().map_err(|error| failed(error.into()))?.unwrap_or(0),
        observer,
        interrupt,
    };
    let report = work.measure(&best.set).await.map_err(|error| failed(TrainErrorKind::Evaluate(Box::new(error))))?;
    run.keep_credit(&report).and_then(|()| run.refresh_report()).map_err(|error| failed(error.into()))?;
    Ok(report)
}

/// What credit is measured with.
pub(super) struct LeaveOneOut<'a> {
    /// The equipment of the run, whose every answer is kept in it.
    pub(super) equipment: &'a Equipment,
    pub(super) project: &'a Project,
    pub(super) run: &'a RunWriter,
    /// The epoch that the requests are of.
    pub(super) epoch: u32,
    pub(super) observer: &'a dyn Observer,
    pub(super) interrupt: &'a Interrupt,
}

impl LeaveOneOut<'_> {
    /// Measures a set, and the set without each of its functions.
    pub(super) async fn measure(&self, set: &Arc<FunctionSet>) -> Result<CreditReport, EvaluateError> {
        let whole = self.measure_one(set).await?;
        let mut functions = Vec::new();
        for (index, function) in set.iter().enumerate() {
            let name = function.name();
            self.observer.event(Event::CreditStarted { function: name, number: index + 1, of: set.len() });
            let measured = self.measure_one(&without(set, name)).await?;
            let credit = Credit::of(&whole.scores(), &measured.scores());
            functions.push(function_credit(function, credit, calls(&whole, name)));
        }
        Ok(CreditReport {
            format: CREDIT_FORMAT,
            set: set.id().to_string(),
            split: self.project.tasks.acceptance_split().to_string(),
            tasks: self.project.tasks.get(self.project.tasks.acceptance_split()).len(),
            score: whole.mean(),
            functions,
        })
    }

    async fn measure_one(&self, set: &Arc<FunctionSet>) -> Result<Measured, EvaluateError> {
        let job = Job {
            equipment: self.equipment,
            set,
            tasks: self.project.tasks.get(self.project.tasks.acceptance_split()),
            trials: 0..self.equipment.training.trials(),
            split: self.project.tasks.acceptance_split(),
            epoch: self.epoch,
            jobs: self.project.settings.training.jobs,
            cover: Cover::AsItGoes,
            // The journal is that of the training; what this asks is kept beside it.
            run: None,
            observer: self.observer,
            interrupt: self.interrupt,
        };
        let measured = measure(job).await.map_err(|(error, _)| error);
        match self.run.take_failure() {
            Some(error) => Err(error.into()),
            None => measured,
        }
    }
}

fn without(set: &FunctionSet, name: &FunctionName) -> Arc<FunctionSet> {
    let action: Action<ValidatedFunction> = Action::Remove { name: name.clone(), reason: String::new() };
    Arc::new(set.apply(action).expect("the name is one of the set"))
}

fn calls(measured: &Measured, name: &FunctionName) -> usize {
    let calls = measured.records().flat_map(|record| &record.calls);
    calls.filter(|executed| executed.call.name == name.as_str()).count()
}

fn function_credit(function: &ValidatedFunction, credit: Option<Credit>, calls: usize) -> FunctionCredit {
    let verdict = credit.map_or(CreditVerdict::Unclear, |credit| credit.verdict());
    let id: ContentId = function.id();
    FunctionCredit {
        name: function.name().to_string(),
        id: id.to_string(),
        effect: credit.map(|credit| credit.effect),
        standard_error: credit.and_then(|credit| credit.standard_error),
        verdict: verdict.as_str().into(),
        tasks: credit.map_or(0, |credit| credit.tasks),
        gained: credit.map_or(0, |credit| credit.gained),
        lost: credit.map_or(0, |credit| credit.lost),
        calls,
        tokens_per_request: signature_tokens(function.draft()),
    }
}
