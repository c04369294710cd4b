//! What learned functions are worth beside what else the same number of replies could have bought.
//!
//! Four ways to use the same model, one after the other in one run: the agent without functions; the same with a vote
//! over several draws (self-consistency); instructions that the optimizer's model rewrites, by the same rule of acceptance;
//! functions that it writes. The functions are learned first: what they cost in replies is what each other way may cost. All are
//! scored on the same tasks, which nothing was decided on where there is a test split, and compared task by task.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use greensand_llm::Role;
use greensand_optimizer::{
    InstructionsInput, Judgement, PairedScores, RewrittenInstructions, Rules, Sample, rewrite_instructions,
};
use greensand_types::{ConversationRecord, FunctionSet, TokenUsage};

use super::begin::{begin, close, load, manifest_of, source_of, take_up};
use super::eras::Eras;
use super::r#loop::train_to_end;
use super::recorded::RecordedRun;
use super::session::{Session, Stop};
use super::{TrainError, TrainErrorKind};
use crate::evaluate::{Cover, Job, Measured, count_look, measure};
use crate::project::{Project, Split};
use crate::sets::LoadedSet;
use crate::spend::RoleSpend;
use crate::store::{
    ArmReport, COMPARE_FORMAT, CompareReport, ComparisonRecord, InstructionsRecord, JournalEvent, Reopening, RunFolder,
    RunKind, RunWriter,
};
use crate::{Equipment, Interrupt, Observer};

/// The most draws of a vote: beyond, a vote hardly changes.
const MOST_DRAWS: u32 = 15;

/// What a comparison left.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareDone {
    /// The folder of the run.
    pub folder: RunFolder,
    /// What was found.
    pub report: CompareReport,
}

/// Compares four ways to use the assistant's model, in a run folder of its own.
///
/// # Errors
/// As [`train`](super::train); what was paid for is kept, and [`resume`](super::resume) goes on with it.
pub async fn compare(
    project: &Project,
    equipment: &Equipment,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<CompareDone, TrainError> {
    let before_run = |kind| TrainError { kind, run: None };
    equipment.ledger.allow(&Role::ALL).map_err(|uncapped| before_run(uncapped.into()))?;
    let initial = load(&source_of(project), equipment).await.map_err(before_run)?;
    let now = SystemTime::now();
    let manifest = manifest_of(RunKind::Compare, project, equipment, now);
    let run = RunWriter::create_about(&initial.set, &project.settings.runs_dir, &manifest, now);
    let run = run.map_err(|error| before_run(error.into()))?;
    work(project, &Eras::one(equipment.clone()), run, initial, observer, interrupt).await
}

/// Goes on with a run that was stopped, or does one again from what is kept.
pub(super) async fn again(
    recorded: &RecordedRun,
    eras: &Eras,
    how: Reopening,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<CompareDone, TrainError> {
    let (run, initial) = take_up(recorded, eras, how, &Role::ALL).await?;
    work(&recorded.project, eras, run, initial, observer, interrupt).await
}

async fn work(
    project: &Project,
    eras: &Eras,
    run: RunWriter,
    initial: LoadedSet,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<CompareDone, TrainError> {
    let folder = run.folder().clone();
    let failed = |kind| TrainError { kind, run: Some(folder.path().to_owned()) };
    let max_epochs = project.settings.training.epochs;
    begin(&run, project, &initial, max_epochs, observer).map_err(|error| failed(error.into()))?;
    let run = Arc::new(run);
    let mut session = Session::new(project, eras, Arc::clone(&run), Arc::clone(&initial.set), observer, interrupt);
    let settings = eras.first().training.clone();
    let compared = match train_to_end(&mut session, settings, initial.set).await {
        Ok((_, epoch)) => {
            let ways = Ways { equipment: eras.first().recorded_in(&run), project, run: &run, observer, interrupt };
            ways.compare(&session, epoch).await
        }
        Err(stop) => Err(stop),
    };
    let closed = close(&run, compared, "every way was measured", |report| run.keep_comparison(report));
    closed.map_err(failed).map(|report| CompareDone { folder, report })
}

/// What the ways are measured with.
struct Ways<'a> {
    equipment: Equipment,
    project: &'a Project,
    run: &'a RunWriter,
    observer: &'a dyn Observer,
    interrupt: &'a Interrupt,
}

/// What replies were taken, by both models.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    pub(super) assistant: TokenUsage,
    pub(super) optimizer: TokenUsage,
}

impl Taken {
    pub(super) fn add<'a>(&mut self, records: impl IntoIterator<Item = &'a ConversationRecord>) {
        records.into_iter().for_each(|record| self.assistant += record.usage);
    }

    fn replies(&self) -> u64 {
        self.assistant.requests.saturating_add(self.optimizer.requests)
    }
}

/// A way with its scores on the tasks that all are compared on.
struct Arm {
    name: &'static str,
    what: String,
    scores: Vec<Option<f64>>,
    learning: Taken,
    using: Taken,
}

impl Ways<'_> {
    async fn compare(&self, session: &Session<'_>, epoch: u32) -> Result<CompareReport, Stop> {
        let best = session.best();
        let acceptance_split = self.project.tasks.acceptance_split();
        let learning = session.taken();
        let empty = Arc::new(FunctionSet::empty());
        let held_out = match self.project.tasks.get(Split::Test).is_empty() {
            true => acceptance_split,
            false => Split::Test,
        };
        let (instructions, rewriting) = self.rewrite(acceptance_split, learning.replies()).await?;
        if held_out == Split::Test {
            // Once for all ways.
            let conversations = self.project.tasks.get(Split::Test).len();
            count_look(self.run, self.project, self.equipment.ledger(), conversations, self.observer)?;
        }
        let none = self.measure(&self.equipment, &empty, held_out, epoch, 0..1).await?;
        let none_taken = taken(&none);
        let draws = draws_for(learning.replies(), none_taken.replies());
        let vote = self.measure(&self.equipment, &empty, held_out, epoch, 0..draws).await?;
        let worded = self.measure(&self.with(&instructions), &empty, held_out, epoch, 0..1).await?;
        let learned = self.measure(&self.equipment, &best, held_out, epoch, 0..1).await?;
        let worded_as = match instructions == self.equipment.agent.instructions {
            true => "no rewriting of the instructions was better",
            false => "instructions that the optimizer rewrote",
        };
        let arm = |name, what: String, measured: &Measured, learning| Arm {
            name,
            what,
            scores: measured.scores(),
            learning,
            using: taken(measured),
        };
        let vote_arm =
            Arm { scores: majority(&vote), ..arm("self_consistency", String::new(), &vote, Taken::default()) };
        let arms = [
            arm("no_functions", "the model alone".into(), &none, Taken::default()),
            Arm { what: format!("a vote over {draws} draws"), ..vote_arm },
            arm("prompt_only", worded_as.into(), &worded, rewriting),
            arm(
                "functions",
                format!("{} learned", greensand_types::counted(best.len(), "function")),
                &learned,
                learning,
            ),
        ];
        Ok(self.report(held_out, learning.replies(), &arms))
    }

    /// Rewrites the instructions as long as there are epochs, patience, and replies left.
    async fn rewrite(&self, split: Split, most_replies: u64) -> Result<(String, Taken), Stop> {
        let training = &self.equipment.training;
        let empty = Arc::new(FunctionSet::empty());
        let mut best = self.equipment.agent.instructions.clone();
        let mut used = Taken::default();
        let trials = 0..training.trials();
        let mut scores = {
            let measured = self.measure(&self.equipment, &empty, split, 0, trials.clone()).await?;
            used.add(measured.records());
            measured.scores()
        };
        let (mut failures, mut fruitless) = (Vec::new(), 0);
        for epoch in 1..=training.max_epochs {
            if fruitless >= training.patience || used.replies() >= most_replies {
                break;
            }
            let equipment = self.with(&best);
            let measured = self.measure(&equipment, &empty, Split::Train, epoch, 0..1).await?;
            let records = measured.first_trials();
            used.add(&records);
            let input = InstructionsInput { current: &best, records: &records, failures: &failures, epoch };
            let RewrittenInstructions { text, usage } = self.ask(input).await?;
            used.optimizer += usage;
            let Some(text) = text else {
                fruitless += 1;
                self.note(epoch, None, false, "the optimizer would change nothing".into())?;
                continue;
            };
            let measured = self.measure(&self.with(&text), &empty, split, epoch, trials.clone()).await?;
            used.add(measured.records());
            let paired = PairedScores::of(&scores, &measured.scores());
            let judgement = match paired.pairs().is_empty() {
                true => Judgement::Reject("no task has both scores".into()),
                false => (training.acceptance.judge)(&paired, &Rules { false_accepts: training.false_accepts }),
            };
            match judgement {
                Judgement::Accept(reason) => {
                    self.note(epoch, Some(&text), true, reason)?;
                    (best, scores) = (text, measured.scores());
                    failures.clear();
                    fruitless = 0;
                }
                // More trials are for functions: here what is not clear is not taken.
                Judgement::Reject(reason) | Judgement::Indecisive(reason) => {
                    self.note(epoch, Some(&text), false, reason.clone())?;
                    failures.push((text, reason));
                    fruitless += 1;
                }
            }
        }
        Ok((best, used))
    }

    async fn ask(&self, input: InstructionsInput<'_>) -> Result<RewrittenInstructions, Stop> {
        let asked = rewrite_instructions(input, self.equipment.optimizer.as_ref(), &self.equipment.step);
        let answer = tokio::select! {
            biased;
            () = self.interrupt.raised() => return Err(Stop::Interrupted),
            answer = asked => answer,
        };
        if let Some(error) = self.run.take_failure() {
            return Err(error.into());
        }
        answer.map_err(|error| match self.equipment.ledger.refusal() {
            Some(spent) if error.kind() == greensand_llm::ModelErrorKind::BudgetSpent => Stop::BudgetSpent(spent),
            Some(_) | None => Stop::Failed(TrainErrorKind::Optimizer(error)),
        })
    }

    fn note(&self, epoch: u32, text: Option<&str>, accepted: bool, reason: String) -> Result<(), Stop> {
        let record = InstructionsRecord { epoch, text: text.map(str::to_owned), accepted, reason };
        Ok(self.run.append(&JournalEvent::Instructions(record))?)
    }

    fn with(&self, instructions: &str) -> Equipment {
        let mut equipment = self.equipment.clone();
        equipment.agent.instructions = instructions.to_owned();
        equipment
    }

    async fn measure(
        &self,
        equipment: &Equipment,
        set: &Arc<FunctionSet>,
        split: Split,
        epoch: u32,
        trials: Range<u32>,
    ) -> Result<Measured, Stop> {
        let job = Job {
            equipment,
            set,
            tasks: self.project.tasks.get(split),
            trials,
            split,
            epoch,
            jobs: self.project.settings.training.jobs,
            cover: Cover::Whole,
            run: Some(self.run),
            observer: self.observer,
            interrupt: self.interrupt,
        };
        measure(job).await.map_err(|(error, _)| error.into())
    }

    fn report(&self, split: Split, budget: u64, arms: &[Arm]) -> CompareReport {
        let base = arms[0].scores.clone();
        let prices = self.equipment.ledger.prices();
        let money = |taken: &Taken| {
            let of = |role, usage| RoleSpend { calls: 1, cut_off: 0, usage }.at(prices.of(role)).money;
            Some(of(Role::Assistant, taken.assistant)?.plus(of(Role::Optimizer, taken.optimizer)?).nano_dollars())
        };
        let report = |arm: &Arm| {
            let known: Vec<f64> = arm.scores.iter().flatten().copied().collect();
            let sample = Sample::of(&known);
            let paired = PairedScores::of(&base, &arm.scores);
            ArmReport {
                name: arm.name.into(),
                what: arm.what.clone(),
                score: sample.map(|sample| sample.mean()),
                standard_error: sample.and_then(|sample| sample.standard_error()),
                to_no_functions: (arm.name != "no_functions").then(|| ComparisonRecord::of_pairs(&paired)),
                learning_replies: arm.learning.replies(),
                learning_tokens: arm.learning.assistant.total_tokens() + arm.learning.optimizer.total_tokens(),
                learning_nano_usd: money(&arm.learning),
                using_replies: arm.using.replies(),
                using_tokens: arm.using.assistant.total_tokens(),
                using_nano_usd: money(&arm.using),
            }
        };
        CompareReport {
            format: COMPARE_FORMAT,
            split: split.to_string(),
            is_held_out: split == Split::Test,
            tasks: base.len(),
            budget_replies: budget,
            arms: arms.iter().map(report).collect(),
        }
    }
}

fn taken(measured: &Measured) -> Taken {
    let mut taken = Taken::default();
    taken.add(measured.records());
    taken
}

/// How many draws of every task the replies pay for that learning took, the first included.
fn draws_for(budget: u64, once: u64) -> u32 {
    let draws = u32::try_from(budget / once.max(1)).unwrap_or(MOST_DRAWS).saturating_add(1);
    draws.clamp(1, MOST_DRAWS)
}

/// The score of the answer that most draws of a task came to; of equal ones the one that came first.
fn majority(measured: &Measured) -> Vec<Option<f64>> {
    let draws = |task: usize| measured.results.iter().skip(task).step_by(measured.tasks).flatten();
    let of_task = |task: usize| {
        let records: Vec<&ConversationRecord> = draws(task).filter_map(|result| result.as_ref().ok()).collect();
        let mut votes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (place, record) in records.iter().enumerate() {
            // No answer is no vote.
            let Some(answer) = record.verdict.answer.as_deref() else { continue };
            votes.entry(answer.trim()).or_insert((0, place)).0 += 1;
        }
        let best = votes.values().max_by_key(|(count, place)| (*count, std::cmp::Reverse(*place)));
        let place = best.map_or(0, |(_, place)| *place);
        records.get(place).map(|record| record.verdict.score)
    };
    (0..measured.tasks).map(of_task).collect()
}
