//! What the records say of each function: how often it was called, how that ended, and on which tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use greensand_types::{
    CallAnswer, CallStatus, ConversationRecord, ExecutedCall, FunctionName, FunctionSet, ValidatedFunction,
};
use serde_json::json;

/// What the records say of one function.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The function.
    pub name: FunctionName,
    /// Calls that the assistant asked for.
    pub calls: u64,
    /// Calls that returned a value.
    pub successes: u64,
    /// Calls that ran and returned none, by class.
    pub errors: BTreeMap<CallStatus, u64>,
    /// Calls that were not run, such as those with arguments that are not JSON.
    pub refused: u64,
    /// Tasks in whose conversation it was called.
    pub tasks_used: u64,
    /// Those of them that were solved.
    pub tasks_solved: u64,
    /// The mean time of the calls that ran; it differs from run to run, so no prompt holds it.
    pub mean_wall: Option<Duration>,
    /// About how many tokens its signature costs in every request of the assistant.
    pub signature_tokens: u64,
    /// How many examples admission runs.
    pub examples: u64,
}

/// Returns the evidence on every function of a set, in the order of their names.
pub fn gather_evidence<'a>(
    set: &FunctionSet,
    records: impl IntoIterator<Item = &'a ConversationRecord> + Clone,
) -> Vec<Evidence> {
    set.iter().map(|function| evidence_on(function, records.clone())).collect()
}

fn evidence_on<'a>(
    function: &ValidatedFunction,
    records: impl IntoIterator<Item = &'a ConversationRecord>,
) -> Evidence {
    let mut evidence = Evidence {
        name: function.name().clone(),
        calls: 0,
        successes: 0,
        errors: BTreeMap::new(),
        refused: 0,
        tasks_used: 0,
        tasks_solved: 0,
        mean_wall: None,
        signature_tokens: signature_tokens(function),
        examples: function.draft().examples.len() as u64,
    };
    let mut wall = Duration::ZERO;
    let mut ran = 0;
    for record in records {
        let mut is_used = false;
        for executed in record.calls.iter().filter(|executed| executed.call.name == function.name().as_str()) {
            is_used = true;
            if let Some(time) = evidence.count(executed) {
                wall = wall.saturating_add(time);
                ran += 1;
            }
        }
        evidence.tasks_used += u64::from(is_used);
        evidence.tasks_solved += u64::from(is_used && record.verdict.is_satisfied);
    }
    evidence.mean_wall = wall.checked_div(ran);
    evidence
}

impl Evidence {
    /// Counts a call; returns the time that it ran.
    fn count(&mut self, executed: &ExecutedCall) -> Option<Duration> {
        self.calls += 1;
        let CallAnswer::Ran(outcome) = &executed.answer else {
            self.refused += 1;
            return None;
        };
        match outcome.status() {
            CallStatus::Ok => self.successes += 1,
            error => *self.errors.entry(error).or_default() += 1,
        }
        Some(outcome.usage.wall)
    }
}

/// About four characters are a token.
fn signature_tokens(function: &ValidatedFunction) -> u64 {
    let signature = &function.draft().signature;
    let sent = json!({
        "name": signature.name().as_str(),
        "description": signature.description(),
        "parameters": signature.parameters(),
    });
    sent.to_string().chars().count().div_ceil(4) as u64
}
