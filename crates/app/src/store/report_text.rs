//! The report as text for people.
//!
//! Names, reasons and warnings come from models and functions: control characters in them are escaped, so that no
//! report moves a cursor or changes a colour.

use std::fmt::Write;

use greensand_types::{counted, one_line};

use super::records::{DecisionKind, DecisionRecord, EvaluationRecord, ProposalRecord, UsageRecord};
use super::report::{EpochReport, FunctionReport, Report, ShareReport};

impl Report {
    /// Returns the report as text: plain, and at most as wide as its longest reason.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "run {}", shown(&self.run))?;
        match &self.stop {
            Some(stop) => writeln!(out, "stopped: {}", shown(&stop.reason))?,
            None => writeln!(out, "not finished: the run is under way, or its process was ended")?,
        }
        // A run that only measures decides on nothing.
        let is_judged = self.epochs.iter().any(|epoch| epoch.decision.is_some() || epoch.step.is_some());
        if is_judged {
            writeln!(out, "\nepochs (acceptance is decided on {})", shown(&self.acceptance_split))?;
        } else if !self.epochs.is_empty() {
            writeln!(out, "\nmeasured")?;
        }
        for epoch in &self.epochs {
            if is_judged {
                write_epoch(out, epoch)?;
            }
            write_scores(out, epoch)?;
        }
        if let Some(test) = &self.test {
            writeln!(out, "\ntest (nothing was decided on it)")?;
            for (name, score) in [("initial", &test.initial), ("best", &test.best)] {
                if let Some(score) = score {
                    writeln!(out, "  {name:<8} {}", score_line(score))?;
                }
            }
        }
        match (&self.best, &self.initial) {
            (Some(best), _) => {
                writeln!(out, "\nbest set {} with {}", short(best), counted(self.functions.len(), "function"))?;
            }
            (None, Some(initial)) => writeln!(out, "\nset {}", short(initial))?,
            (None, None) => {}
        }
        for function in &self.functions {
            writeln!(out, "  {}", function_line(function))?;
        }
        if let Some(credit) = &self.credit {
            write!(out, "\n{}", credit.to_text())?;
        }
        writeln!(out, "\nmodel replies")?;
        writeln!(out, "  assistant {}", usage_line(self.assistant_usage))?;
        writeln!(out, "  optimizer {}", usage_line(self.optimizer_usage))?;
        if !self.embeddings_usage.is_nothing() {
            writeln!(out, "  embeddings {}", usage_line(self.embeddings_usage))?;
        }
        self.spend.write_text(out)?;
        for warning in &self.warnings {
            writeln!(out, "\nwarning: {}", shown(warning))?;
        }
        Ok(())
    }
}

fn write_epoch(out: &mut String, epoch: &EpochReport) -> std::fmt::Result {
    let decision = epoch.decision.as_ref().map_or_else(|| "not decided".into(), decision_line);
    writeln!(out, "  {:>3}  {decision}", epoch.epoch)?;
    if let Some(step) = &epoch.step {
        for proposal in &step.proposals {
            writeln!(out, "       {}", proposal_line(proposal))?;
            for warning in &proposal.warnings {
                writeln!(out, "         warning: {}", shown(warning))?;
            }
        }
        if let Some(error) = &step.error {
            writeln!(out, "       the step was cut short: {}", shown(error))?;
        }
    }
    Ok(())
}

fn write_scores(out: &mut String, epoch: &EpochReport) -> std::fmt::Result {
    if let Some(score) = epoch.scores.first() {
        writeln!(out, "       set        {}", short(&score.set))?;
    }
    for score in &epoch.scores {
        writeln!(out, "       {:<10} {}", shown(&score.split), score_line(score))?;
    }
    Ok(())
}

fn decision_line(decision: &DecisionRecord) -> String {
    let word = match decision.decision {
        DecisionKind::Baseline => "baseline",
        DecisionKind::Accepted => "accepted",
        DecisionKind::RolledBack => "rolled back",
        DecisionKind::Undecided => "undecided",
        DecisionKind::Unchanged => "unchanged",
        DecisionKind::NotCompared => "not compared",
    };
    let score = match (decision.score, decision.compared_with) {
        (Some(score), Some(other)) => format!(" {} (before {})", percent(score), percent(other)),
        (Some(score), None) => format!(" {}", percent(score)),
        (None, _) => String::new(),
    };
    format!("{word}{score}: {}", shown(&decision.reason))
}

fn proposal_line(proposal: &ProposalRecord) -> String {
    let function = proposal.function.as_ref().map(|name| format!(" `{}`", shown(name))).unwrap_or_default();
    let reason = proposal.reason.as_ref().map(|reason| format!(": {}", shown(reason))).unwrap_or_default();
    let action = shown(&proposal.action);
    match &proposal.gate {
        None => format!("{action}{function}{reason}"),
        Some(gate) => format!("{action}{function} refused at gate `{}`{reason}", shown(gate)),
    }
}

fn score_line(score: &EvaluationRecord) -> String {
    let mean = score.score.map_or_else(|| "no score".into(), percent);
    let missing = if score.missing > 0 { format!(", {} missing", score.missing) } else { String::new() };
    let calls = counted(score.calls, "call");
    let interval = score.interval.map(|[low, high]| format!(", 95 %: {} to {}", percent(low), percent(high)));
    let interval = interval.unwrap_or_default();
    format!("{mean}  {} of {} solved, {calls}{missing}{interval}", score.solved, score.attempts())
}

fn function_line(function: &FunctionReport) -> String {
    let since = match function.since_epoch {
        Some(epoch) => format!("since epoch {epoch}"),
        None => "from the initial set".into(),
    };
    let outcomes: Vec<_> = function.outcomes.iter().map(|(class, count)| format!("{count} {}", shown(class))).collect();
    let outcomes = if outcomes.is_empty() { String::new() } else { format!(" ({})", outcomes.join(", ")) };
    let mut line = format!(
        "{} {since}: {}{outcomes}, used in {}, {} of them solved",
        shown(&function.name),
        counted(function.calls, "call"),
        counted(function.tasks, "task"),
        function.solved
    );
    for (what, share) in [("with it", function.used), ("same tasks without", function.without)] {
        if share.conversations > 0 {
            // Writing to a string cannot fail.
            let _ = write!(line, "; {what} {}", share_text(share));
        }
    }
    match function.last_use {
        Some(epoch) => line.push_str(&format!("; last called in epoch {epoch}")),
        None => line.push_str("; never called"),
    }
    if let Some(mean) = function.mean_wall_us {
        line.push_str(&format!("; {:.1} ms a call", mean as f64 / 1000.0));
    }
    line.push_str(&format!("; {} tokens in a request", function.tokens_per_request));
    line
}

fn share_text(share: ShareReport) -> String {
    let ShareReport { conversations, solved } = share;
    #[expect(clippy::cast_precision_loss, reason = "nobody pays for 2^53 conversations")]
    let part = solved as f64 / conversations.max(1) as f64;
    format!("{} ({solved} of {conversations})", percent(part))
}

fn usage_line(usage: UsageRecord) -> String {
    format!(
        "{} replies, {} prompt tokens, {} reply tokens",
        usage.requests, usage.prompt_tokens, usage.completion_tokens
    )
}

fn percent(score: f64) -> String {
    format!("{:.1} %", score * 100.0)
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Puts a text of others on one line.
pub(super) fn shown(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}
