#![expect(clippy::cast_precision_loss, reason = "no run has 2^53 calls")]

use crate::project::Project;
use crate::store::{DecisionKind, EvaluationRecord, Report, RunFolder, UsageRecord};

/// The most earlier runs that means are taken of, the latest first.
const RUNS: usize = 5;

/// What earlier runs of a project took.
pub(super) struct Means {
    /// Which runs.
    pub(super) source: String,
    pub(super) epochs: f64,
    /// Candidates that were measured.
    pub(super) candidates: f64,
    pub(super) accepted: f64,
    pub(super) calls_per_task: f64,
    /// Tokens of a prompt to the assistant, and of its reply.
    pub(super) prompt: f64,
    pub(super) reply: f64,
    pub(super) step_calls: f64,
    pub(super) step_prompt: f64,
    pub(super) step_reply: f64,
}

#[derive(Default)]
struct Sums {
    runs: usize,
    epochs: usize,
    candidates: usize,
    accepted: usize,
    tasks: usize,
    steps: usize,
    assistant: UsageRecord,
    optimizer: UsageRecord,
}

impl Means {
    /// Takes the means of the latest runs of the project that ended by their own rules. Runs that cannot be read are passed over.
    pub(super) fn of_earlier_runs(project: &Project) -> Option<Self> {
        let runs = RunFolder::list(&project.settings.runs_dir).ok()?;
        let of_project = runs.into_iter().rev().filter(|run| run.manifest.project == project.settings.name);
        let (mut sums, mut names) = (Sums::default(), Vec::new());
        for run in of_project.filter(|run| run.manifest.forked_from.is_none()) {
            let Ok(report) = run.folder.report() else { continue };
            if !is_finished(&report) {
                continue;
            }
            sums.add(&report);
            names.push(format!("`{}` ({})", run.folder.name(), run.manifest.assistant));
            if sums.runs == RUNS {
                break;
            }
        }
        (sums.tasks > 0 && sums.steps > 0).then(|| sums.means(names.join(", ")))
    }
}

fn is_finished(report: &Report) -> bool {
    report.stop.as_ref().is_some_and(|stop| matches!(stop.kind.as_str(), "max_epochs" | "patience"))
}

impl Sums {
    fn add(&mut self, report: &Report) {
        self.runs += 1;
        for epoch in &report.epochs {
            self.tasks += epoch.scores.iter().map(conversations).sum::<usize>();
            let decision = epoch.decision.as_ref().map(|decision| decision.decision);
            self.accepted += usize::from(decision == Some(DecisionKind::Accepted));
            if epoch.step.is_some() {
                self.epochs += 1;
                self.steps += 1;
                let measured = epoch.scores.iter().any(|score| score.split == report.acceptance_split);
                self.candidates += usize::from(measured);
            }
        }
        let test = report.test.iter().flat_map(|test| [&test.initial, &test.best]).flatten();
        let mut sets: Vec<_> = test.map(|score| (&score.set, conversations(score))).collect();
        sets.dedup();
        self.tasks += sets.into_iter().map(|(_, tasks)| tasks).sum::<usize>();
        add(&mut self.assistant, report.assistant_usage);
        add(&mut self.optimizer, report.optimizer_usage);
    }

    fn means(&self, source: String) -> Means {
        let mean = |sum: f64, count: f64| if count > 0.0 { sum / count } else { 0.0 };
        let runs = self.runs as f64;
        let (assistant, optimizer) = (self.assistant, self.optimizer);
        Means {
            source,
            epochs: self.epochs as f64 / runs,
            candidates: self.candidates as f64 / runs,
            accepted: self.accepted as f64 / runs,
            calls_per_task: mean(assistant.requests as f64, self.tasks as f64),
            prompt: mean(assistant.prompt_tokens as f64, assistant.requests as f64),
            reply: mean(assistant.completion_tokens as f64, assistant.requests as f64),
            step_calls: mean(optimizer.requests as f64, self.steps as f64),
            step_prompt: mean(optimizer.prompt_tokens as f64, optimizer.requests as f64),
            step_reply: mean(optimizer.completion_tokens as f64, optimizer.requests as f64),
        }
    }
}

/// Returns how many conversations a measurement held.
fn conversations(score: &EvaluationRecord) -> usize {
    score.tasks.saturating_mul(usize::try_from(score.trials).unwrap_or(1).max(1))
}

fn add(sum: &mut UsageRecord, usage: UsageRecord) {
    sum.requests += usage.requests;
    sum.prompt_tokens += usage.prompt_tokens;
    sum.completion_tokens += usage.completion_tokens;
}
