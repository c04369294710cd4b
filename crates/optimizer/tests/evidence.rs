//! What the book of all conversations says of one function: by the id of its content, over every set that held it.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use std::sync::Arc;

use greensand_optimizer::{Evidence, EvidenceBook, Share};
use greensand_types::{ConversationRecord, FunctionSet};
use serde_json::json;
use support::{raised, record, record_with_call, returned, set, times};

/// A conversation that calls `double`, or none.
fn held(task: &str, set: &FunctionSet, is_called: bool, is_solved: bool) -> ConversationRecord {
    match is_called {
        true => record_with_call(task, set, "double", returned(&json!(12)), is_solved),
        false => record(task, set, is_solved),
    }
}

fn on_double(book: &EvidenceBook, set: &FunctionSet) -> Evidence {
    book.on(set).into_iter().find(|evidence| evidence.name.as_str() == "double").unwrap()
}

fn share(conversations: u64, solved: u64) -> Share {
    Share { conversations, solved }
}

#[test]
fn every_set_that_held_this_very_function_counts_and_no_other() {
    let one = set(&[times("double", 2)]);
    let more = set(&[times("double", 2), times("triple", 3)]);
    let revised = set(&[times("double", 4)]);
    let mut book = EvidenceBook::new();
    book.note_all(&one, 0, &[held("a", &one, true, false), held("b", &one, false, true)]);
    book.note_all(&more, 1, &[held("a", &more, true, true)]);
    book.note_all(&revised, 2, &[held("a", &revised, true, true), held("c", &revised, true, true)]);
    let double = on_double(&book, &more);
    assert_eq!((double.calls, double.successes, double.tasks_used, double.tasks_solved), (2, 2, 1, 1));
    assert_eq!((double.used, double.held), (share(2, 1), share(3, 2)));
    assert_eq!(
        double.without,
        share(1, 1),
        "the revision is another function: its conversation about `a` is one without"
    );
    assert_eq!(double.differences, [-0.5]);
    let revision = on_double(&book, &revised);
    assert_eq!((revision.calls, revision.used, revision.last_use), (2, share(2, 2), Some(2)));
}

#[test]
fn idle_epochs_are_those_of_measuring_since_the_last_call() {
    let (one, other) = (set(&[times("double", 2)]), set(&[times("triple", 3)]));
    let mut book = EvidenceBook::new();
    let expected = [
        // epoch, is it held, is it called, and then: last use, idle epochs
        (0, true, false, None, 1),
        (1, true, true, Some(1), 0),
        (2, true, false, Some(1), 1),
        (3, false, false, Some(1), 1),
        (4, true, false, Some(1), 2),
        (4, true, false, Some(1), 2),
        (5, true, true, Some(5), 0),
    ];
    for (epoch, is_held, is_called, last_use, idle) in expected {
        let set: &Arc<FunctionSet> = if is_held { &one } else { &other };
        book.note_all(set, epoch, &[held("a", set, is_called, true)]);
        let double = on_double(&book, &one);
        assert_eq!((double.last_use, double.idle_epochs), (last_use, idle), "after epoch {epoch}");
    }
}

#[test]
fn the_order_of_notes_changes_nothing() {
    let one = set(&[times("double", 2), times("triple", 3)]);
    let mut records: Vec<_> = (0..20).map(|n| held(&format!("t{}", n % 7), &one, n % 2 == 0, n % 3 == 0)).collect();
    records.push(record_with_call("t1", &one, "double", raised("no"), false));
    let mut there = EvidenceBook::new();
    there.note_all(&one, 1, &records);
    records.reverse();
    let mut back = EvidenceBook::new();
    back.note_all(&one, 1, &records);
    assert_eq!(there.on(&one), back.on(&one));
}

#[test]
fn what_was_noted_of_a_function_that_nobody_knows_speaks_for_none() {
    let one = set(&[times("double", 2)]);
    let mut book = EvidenceBook::new();
    assert_eq!(on_double(&book, &one).held, share(0, 0));
    book.note_all(&one, 0, &[record_with_call("a", &one, "run_toy", returned(&json!(1)), true)]);
    let double = on_double(&book, &one);
    assert_eq!((double.calls, double.held, double.mean_wall), (0, share(1, 1), None));
    assert!(double.errors.is_empty());
}

/// Ten sets of a large library, a thousand conversations under each: what a prompt asks of the book stays a matter of
/// milliseconds (12 in a build without optimization).
#[test]
fn a_large_library_is_gathered_at_once() {
    let library = set(&(2..302).map(|factor| times(&format!("times_{factor}"), factor)).collect::<Vec<_>>());
    let mut book = EvidenceBook::new();
    for epoch in 0..10_u32 {
        let held = support::without(&library, &format!("times_{}", 2 + epoch));
        let call = |n: u32| format!("times_{}", 20 + n % 280);
        let records: Vec<_> = (0..1000)
            .map(|n| record_with_call(&format!("t{n}"), &held, &call(n), returned(&json!(1)), (n + epoch) % 3 == 0))
            .collect();
        book.note_all(&held, epoch, &records);
    }
    let begun = std::time::Instant::now();
    let evidence = book.on(&library);
    let took = begun.elapsed();
    assert_eq!(evidence.iter().map(|one| one.calls).sum::<u64>(), 10_000);
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
}
