//! What all conversations so far say of each function: how often it was called, how that ended, and what became of the tasks.
//!
//! An [`EvidenceBook`] takes note of every conversation of every evaluation, under the set that it was held with; what
//! it says of one function ([`Evidence`]) is gathered from all sets that held this very function, by the id of its content.
//! A revision is another function and begins anew. The order in which conversations are noted changes nothing.
//!
//! Counts compare what happened, not what would have happened: a function that is only called for hard tasks looks bad
//! beside the others. The honest comparison is on the same tasks ([`Evidence::without`]), and the proof is to leave the
//! function out and measure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use greensand_types::{
    CallAnswer, CallStatus, ContentId, ConversationRecord, ExecutedCall, FunctionDraft, FunctionName, FunctionSet,
};
use serde_json::json;

/// How many conversations there were, and how many of them solved their task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Conversations.
    pub conversations: u64,
    /// Those that solved their task.
    pub solved: u64,
}

impl Share {
    /// Returns the part that is solved, 0 to 1; nothing where there is no conversation.
    pub fn rate(self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "nobody pays for 2^53 conversations")]
        (self.conversations > 0).then(|| self.solved as f64 / self.conversations as f64)
    }

    fn count(&mut self, is_solved: bool) {
        self.conversations += 1;
        self.solved += u64::from(is_solved);
    }

    fn add(&mut self, other: Self) {
        self.conversations += other.conversations;
        self.solved += other.solved;
    }

    fn less(self, other: Self) -> Self {
        Self {
            conversations: self.conversations.saturating_sub(other.conversations),
            solved: self.solved.saturating_sub(other.solved),
        }
    }
}

/// What is known of one function.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The function.
    pub name: FunctionName,
    /// The id of its content.
    pub id: ContentId,
    /// Calls that the assistant asked for.
    pub calls: u64,
    /// Calls that returned a value.
    pub successes: u64,
    /// Calls that ran and returned none, by class.
    pub errors: BTreeMap<CallStatus, u64>,
    /// Calls that were not run, such as those with arguments that are not JSON.
    pub refused: u64,
    /// Tasks in some conversation about which it was called.
    pub tasks_used: u64,
    /// Those of them that were solved in such a conversation.
    pub tasks_solved: u64,
    /// Conversations in which it was called.
    pub used: Share,
    /// Conversations about the same tasks in which it was not, under whatever set.
    pub without: Share,
    /// All conversations under sets that held it.
    pub held: Share,
    /// For each task that was worked on both with a call of it and without one: the rate with it, less the rate without.
    pub differences: Vec<f64>,
    /// The mean time of the calls that ran; it differs from run to run, so no prompt holds it.
    pub mean_wall: Option<Duration>,
    /// The epoch of the last evaluation in which it was called.
    pub last_use: Option<u32>,
    /// In how many epochs since then, or at all, a set that held it was measured.
    pub idle_epochs: u32,
    /// About how many tokens its signature costs in every request of the assistant that offers it.
    pub signature_tokens: u64,
    /// How many examples admission runs.
    pub examples: u64,
}

/// What one call came to, for the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallNote<'a> {
    /// The name that was called.
    pub name: &'a str,
    /// How it ended; nothing for a call that was not run.
    pub status: Option<CallStatus>,
    /// How long it ran.
    pub wall: Duration,
}

/// One conversation, for the book.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationNote<'a> {
    /// The epoch of the evaluation.
    pub epoch: u32,
    /// The set that it was held under.
    pub set: ContentId,
    /// The task.
    pub task: &'a str,
    /// Whether it solved the task.
    pub is_solved: bool,
    /// Its calls.
    pub calls: Vec<CallNote<'a>>,
}

/// Every conversation so far, as counts.
#[derive(Debug, Clone, Default)]
pub struct EvidenceBook {
    sets: BTreeMap<ContentId, SetNotes>,
    /// All conversations about each task.
    tasks: BTreeMap<Arc<str>, Share>,
    /// Which function a name of a set is.
    members: BTreeMap<ContentId, BTreeMap<String, ContentId>>,
}

/// What was noted under one set.
#[derive(Debug, Clone, Default)]
struct SetNotes {
    epochs: BTreeSet<u32>,
    all: Share,
    by_name: BTreeMap<String, NameNotes>,
}

/// What was noted of one name under one set.
#[derive(Debug, Clone, Default)]
struct NameNotes {
    calls: u64,
    successes: u64,
    errors: BTreeMap<CallStatus, u64>,
    refused: u64,
    wall: Duration,
    ran: u32,
    last_use: u32,
    tasks: BTreeMap<Arc<str>, Share>,
}

impl EvidenceBook {
    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of which functions a set holds. Without it, what was noted under the set speaks for no function.
    pub fn know(&mut self, set: ContentId, functions: impl IntoIterator<Item = (String, ContentId)>) {
        self.members.entry(set).or_insert_with(|| functions.into_iter().collect());
    }

    /// Says whether the functions of a set are known.
    pub fn knows(&self, set: ContentId) -> bool {
        self.members.contains_key(&set)
    }

    /// Returns the sets under which a conversation was noted.
    pub fn sets(&self) -> impl Iterator<Item = ContentId> + '_ {
        self.sets.keys().copied()
    }

    /// Takes note of the conversations of an evaluation of a set.
    pub fn note_all<'a>(
        &mut self,
        set: &FunctionSet,
        epoch: u32,
        records: impl IntoIterator<Item = &'a ConversationRecord>,
    ) {
        let members = set.iter().map(|function| (function.name().to_string(), function.id()));
        self.know(set.id(), members);
        for record in records {
            self.note(&ConversationNote {
                epoch,
                set: set.id(),
                task: record.task.id.as_str(),
                is_solved: record.verdict.is_satisfied,
                calls: record.calls.iter().map(call_note).collect(),
            });
        }
    }

    /// Takes note of one conversation.
    pub fn note(&mut self, conversation: &ConversationNote<'_>) {
        let ConversationNote { epoch, set, task, is_solved, calls } = conversation;
        let task = match self.tasks.get_key_value(*task) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(*task),
        };
        self.tasks.entry(Arc::clone(&task)).or_default().count(*is_solved);
        let notes = self.sets.entry(*set).or_default();
        notes.epochs.insert(*epoch);
        notes.all.count(*is_solved);
        let mut used = BTreeSet::new();
        for call in calls {
            let name = notes.by_name.entry(call.name.to_owned()).or_default();
            name.count(call);
            name.last_use = name.last_use.max(*epoch);
            if used.insert(call.name) {
                name.tasks.entry(Arc::clone(&task)).or_default().count(*is_solved);
            }
        }
    }

    /// Returns what is known of every function of a set, in the order of their names.
    pub fn on(&self, set: &FunctionSet) -> Vec<Evidence> {
        self.on_all(set.iter().map(|function| (function.draft(), function.id())))
    }

    /// Returns what is known of functions, such as those that were read from a run folder.
    pub fn on_all<'a>(&self, functions: impl IntoIterator<Item = (&'a FunctionDraft, ContentId)>) -> Vec<Evidence> {
        // Looking through every set for each function would cost their product.
        let mut holders: BTreeMap<ContentId, Vec<(ContentId, &str)>> = BTreeMap::new();
        for (set, members) in &self.members {
            for (name, id) in members {
                holders.entry(*id).or_default().push((*set, name));
            }
        }
        let on_one = |(draft, id): (&FunctionDraft, ContentId)| {
            let held = holders.get(&id).map(Vec::as_slice).unwrap_or_default();
            self.on_one(draft, id, held)
        };
        functions.into_iter().map(on_one).collect()
    }

    fn on_one(&self, draft: &FunctionDraft, id: ContentId, holders: &[(ContentId, &str)]) -> Evidence {
        let mut sum = NameNotes::default();
        let mut held = Share::default();
        let mut epochs: BTreeSet<u32> = BTreeSet::new();
        let mut last_use = None;
        for (set, name) in holders {
            let Some(notes) = self.sets.get(set) else { continue };
            held.add(notes.all);
            epochs.extend(&notes.epochs);
            if let Some(name) = notes.by_name.get(*name) {
                last_use = last_use.max(Some(name.last_use));
                sum.add(name);
            }
        }
        let (used, without, differences) = self.compare(&sum.tasks);
        let idle = epochs.into_iter().filter(|epoch| last_use.is_none_or(|last| *epoch > last)).count();
        Evidence {
            name: draft.signature.name().clone(),
            id,
            calls: sum.calls,
            successes: sum.successes,
            errors: sum.errors,
            refused: sum.refused,
            tasks_used: sum.tasks.len() as u64,
            tasks_solved: sum.tasks.values().filter(|share| share.solved > 0).count() as u64,
            used,
            without,
            held,
            differences,
            mean_wall: sum.wall.checked_div(sum.ran),
            last_use,
            idle_epochs: u32::try_from(idle).unwrap_or(u32::MAX),
            signature_tokens: signature_tokens(draft),
            examples: draft.examples.len() as u64,
        }
    }

    /// Compares the conversations with a function with all others about the same tasks.
    fn compare(&self, with: &BTreeMap<Arc<str>, Share>) -> (Share, Share, Vec<f64>) {
        let (mut used, mut without, mut differences) = (Share::default(), Share::default(), Vec::new());
        for (task, share) in with {
            let others = self.tasks.get(task).copied().unwrap_or_default().less(*share);
            used.add(*share);
            without.add(others);
            if let (Some(with), Some(without)) = (share.rate(), others.rate()) {
                differences.push(with - without);
            }
        }
        (used, without, differences)
    }
}

impl NameNotes {
    fn count(&mut self, call: &CallNote<'_>) {
        self.calls += 1;
        let Some(status) = call.status else {
            self.refused += 1;
            return;
        };
        match status {
            CallStatus::Ok => self.successes += 1,
            error => *self.errors.entry(error).or_default() += 1,
        }
        self.wall = self.wall.saturating_add(call.wall);
        self.ran = self.ran.saturating_add(1);
    }

    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.successes += other.successes;
        self.refused += other.refused;
        self.wall = self.wall.saturating_add(other.wall);
        self.ran = self.ran.saturating_add(other.ran);
        for (error, count) in &other.errors {
            *self.errors.entry(*error).or_default() += count;
        }
        for (task, share) in &other.tasks {
            self.tasks.entry(Arc::clone(task)).or_default().add(*share);
        }
    }
}

fn call_note(executed: &ExecutedCall) -> CallNote<'_> {
    let name = executed.call.name.as_str();
    match &executed.answer {
        CallAnswer::Refused(_) => CallNote { name, status: None, wall: Duration::ZERO },
        CallAnswer::Ran(outcome) => CallNote { name, status: Some(outcome.status()), wall: outcome.usage.wall },
    }
}

/// Returns about how many tokens the signature of a function costs in a request; about four characters are a token.
pub fn signature_tokens(draft: &FunctionDraft) -> u64 {
    let signature = &draft.signature;
    let sent = json!({
        "name": signature.name().as_str(),
        "description": signature.description(),
        "parameters": signature.parameters(),
    });
    sent.to_string().chars().count().div_ceil(4) as u64
}
