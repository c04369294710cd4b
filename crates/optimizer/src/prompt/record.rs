use greensand_types::{CallAnswer, ConversationRecord, ExecutedCall, Message};

use super::characters;
use crate::admission::cut_middle;

/// What one unsolved conversation may take, in characters: the first of these with which all fit, or else the last.
const ROOMS: [usize; 5] = [12_000, 8_000, 4_000, 2_000, LEAST];
const LEAST: usize = 1200;

/// What a solved conversation may take: it only shows what works already.
const SOLVED: usize = 2400;

/// Writes the conversations: the unsolved ones, then a sample of the solved ones.
pub(super) fn write_all(records: &[ConversationRecord], budget: usize) -> String {
    let (solved, unsolved): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.verdict.is_satisfied);
    let mut text = String::from("# Conversations about training tasks\n\n");
    let left = budget.saturating_sub(characters(&text));
    // A step that sees only what fails forgets what must keep working.
    let reserve = if solved.is_empty() { 0 } else { left / 6 };
    let mut left = left - reserve;
    let room = room_for(&unsolved, left);
    let shown_unsolved = write_some(&unsolved, room, &mut left, &mut text);
    left += reserve;
    let sample = spread(&solved, left / SOLVED);
    let shown_solved = write_some(&sample, SOLVED, &mut left, &mut text);
    let (no_unsolved, no_solved) = (unsolved.len() - shown_unsolved, solved.len() - shown_solved);
    if no_unsolved + no_solved > 0 {
        text.push_str(&format!(
            "({no_unsolved} unsolved and {no_solved} solved conversations are left out to keep this short.)\n"
        ));
    }
    text
}

fn room_for(records: &[&ConversationRecord], budget: usize) -> usize {
    let fits = |room: &usize| {
        let mut used = 0;
        records.iter().all(|record| {
            used += characters(&write(record, *room));
            used <= budget
        })
    };
    ROOMS.into_iter().find(fits).unwrap_or(LEAST)
}

/// Writes conversations while there is room, and returns how many.
fn write_some(records: &[&ConversationRecord], room: usize, left: &mut usize, text: &mut String) -> usize {
    for (index, record) in records.iter().enumerate() {
        let written = write(record, room);
        let Some(rest) = left.checked_sub(characters(&written)) else {
            return index;
        };
        *left = rest;
        text.push_str(&written);
    }
    records.len()
}

/// Takes at most `count` items, evenly from the whole list.
fn spread<'a>(records: &[&'a ConversationRecord], count: usize) -> Vec<&'a ConversationRecord> {
    let count = count.min(records.len());
    (0..count).map(|index| records[index * records.len() / count]).collect()
}

/// Writes one conversation in at most about `room` characters.
fn write(record: &ConversationRecord, room: usize) -> String {
    let task = &record.task;
    let verdict = &record.verdict;
    let word = if verdict.is_satisfied { "solved" } else { "NOT SOLVED" };
    let mut text =
        format!("## Task `{}`: {word}\n\nQuestion: {}\n\n", task.id, cut_middle(task.question.trim(), room / 3));
    text.push_str(&cut_middle(&transcript(record, room), room / 2));
    let answer = verdict.answer.as_deref().map_or("none".to_owned(), |answer| cut_middle(answer, room / 8));
    text.push_str(&format!("\nAnswer found: {answer}\n"));
    text.push_str(&format!("Right answer: {}\n", cut_middle(task.target.trim(), room / 8)));
    text.push_str(&format!("Verdict: {}\n\n", cut_middle(verdict.feedback.trim(), room / 8)));
    text
}

fn transcript(record: &ConversationRecord, room: usize) -> String {
    let mut text = String::new();
    let mut executed = record.calls.iter();
    for message in &record.messages {
        match message {
            Message::System { .. } => {}
            Message::User { text: said } if said.trim() == record.task.question.trim() => {}
            Message::User { text: said } => {
                text.push_str(&format!("- user proxy: {}\n", cut_middle(said.trim(), room / 4)));
            }
            Message::Assistant { text: said, calls } => {
                if !said.trim().is_empty() {
                    text.push_str(&format!("- assistant: {}\n", cut_middle(said.trim(), room / 3)));
                }
                for call in calls {
                    let arguments = cut_middle(&call.arguments, room / 6);
                    text.push_str(&format!("- assistant calls {} with {arguments}\n", call.name));
                }
            }
            Message::Tool { call, content } => {
                let class = executed.find(|executed| executed.call.id == *call).map(class).unwrap_or_default();
                text.push_str(&format!("- answer{class}: {}\n", cut_middle(content.trim(), room / 6)));
            }
        }
    }
    text
}

fn class(executed: &ExecutedCall) -> String {
    match &executed.answer {
        CallAnswer::Refused(_) => format!(" of {} (not run)", executed.call.name),
        CallAnswer::Ran(outcome) => format!(" of {} ({})", executed.call.name, outcome.status()),
    }
}
