//! Instances that are used again: that they are, that nobody can tell, and when they are not.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{LANGUAGE, LIMITS, invocation, leak, reply, template, template_of};
use futures::FutureExt;
use futures::executor::block_on;
use greensand_sandbox::{GuestTemplate, InstanceMode, Recycling, Sandbox, SandboxSettings};
use greensand_types::{CallOutcome, CallStatus, FunctionRuntime, Invocation};
use proptest::prelude::*;

/// The count of a call in an instance as new.
const FIRST: &str = "\"0000000000000001\"";

fn open(instances: InstanceMode, languages: Vec<&'static GuestTemplate>) -> Sandbox {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("letters");
    let settings =
        SandboxSettings { workers: 1, prepared_bytes: 0, instances, languages, ..SandboxSettings::new(cache) };
    Sandbox::open(settings).unwrap()
}

fn open_letters(instances: InstanceMode) -> Sandbox {
    open(instances, vec![template()])
}

fn run(sandbox: &Sandbox, invocation: Invocation) -> CallOutcome {
    block_on(sandbox.invoke(invocation)).unwrap()
}

fn call(sandbox: &Sandbox, source: &str) -> CallOutcome {
    run(sandbox, invocation(source, "[]"))
}

/// Checks that a call leaves an instance behind that is used again, or that it does not; and that nobody can tell.
#[track_caller]
fn check(source: &str, is_restored: bool) {
    for mode in [InstanceMode::Pristine, InstanceMode::Verified] {
        let sandbox = open_letters(mode);
        let fresh = call(&open_letters(InstanceMode::Fresh), source);
        for round in 1..=3 {
            let outcome = call(&sandbox, source);
            let parts =
                |outcome: &CallOutcome| (outcome.ending.clone(), outcome.stdout.clone(), outcome.stderr.clone());
            assert_eq!(parts(&outcome), parts(&fresh), "{source} {mode:?}");
            assert_eq!(call(&sandbox, "c").value().unwrap().get(), FIRST, "after {source}");
            assert_eq!(call(&sandbox, "g").value().unwrap().get(), "\"000000000000000b\"", "after {source}");
            let used = sandbox.instances();
            assert_eq!((used.mode, used.fallback), (mode, None), "this kernel scans page maps");
            let made = if is_restored { 1 } else { 1 + round };
            assert_eq!(used.made, made, "{source} {mode:?} round {round}");
        }
    }
}

#[test]
fn an_instance_that_came_back_is_used_again() {
    for source in ["a", "c", "f", "g", "n", "Lone", "ehello", "t", "q"] {
        check(source, true);
    }
}

#[test]
fn a_failure_that_the_guest_tells_does_not_cost_the_instance() {
    for kind in 1..=7 {
        check(&reply('r', kind, 0, "no", "trace"), true);
    }
    check(&reply('D', 1, 2, "PermissionError", ""), true);
    check(&reply('r', 0, 0, "", "this is no JSON"), true);
}

#[test]
fn an_instance_that_did_not_come_back_is_thrown_away() {
    let memory = reply('m', 1, 1, "MemoryError", "");
    for source in ["u", "k", "v", "i", "o", "d", "M", "wx", "G", "x", "y", "z", &reply('r', 9, 0, "", ""), &memory] {
        check(source, false);
    }
}

#[test]
fn an_instance_whose_call_ran_out_of_time_is_thrown_away() {
    let sandbox = open_letters(InstanceMode::Verified);
    for source in ["l", "s"] {
        let made = sandbox.instances().made;
        let mut late = invocation(source, "[]");
        late.limits.wall = Duration::from_millis(30);
        assert_eq!(run(&sandbox, late).status(), CallStatus::Timeout);
        assert_eq!(call(&sandbox, "c").value().unwrap().get(), FIRST);
        assert_eq!(sandbox.instances().made, made + 1 + u64::from(made == 0));
    }
}

#[test]
fn an_abandoned_call_costs_its_instance() {
    let sandbox = open_letters(InstanceMode::Verified);
    let mut endless = invocation("l", "[]");
    endless.limits.wall = Duration::from_secs(3600);
    let mut future = sandbox.invoke(endless);
    // Until the worker has it; a future that is dropped before that never starts.
    while sandbox.instances().made == 0 {
        assert!(future.as_mut().now_or_never().is_none());
    }
    drop(future);
    assert_eq!(call(&sandbox, "c").value().unwrap().get(), FIRST);
    assert_eq!(sandbox.instances().made, 2);
}

#[test]
fn each_call_has_its_own_limits_seed_and_clock() {
    let sandbox = open_letters(InstanceMode::Verified);
    let draw = |seed| run(&sandbox, Invocation { seed, ..invocation("n", "[]") }).ending;
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let mut sleeper = invocation("S", "[]");
    sleeper.limits.wall = Duration::from_secs(60);
    let slept = run(&sandbox, sleeper.clone());
    assert_eq!(slept.status(), CallStatus::Ok);
    assert_eq!(run(&sandbox, sleeper).ending, slept.ending, "the clock starts anew");
    let mut short = invocation("ehello", "[]");
    short.limits.max_stdout_bytes = 3;
    assert_eq!(run(&sandbox, short).stdout.text, "hel");
    assert_eq!(call(&sandbox, "ehello").stdout.text, "hello");
    assert_eq!(call(&sandbox, "a").stdout.text, "");
}

#[test]
fn memory_counts_in_a_used_instance_as_in_a_new_one() {
    let (used, fresh) = (open_letters(InstanceMode::Verified), open_letters(InstanceMode::Fresh));
    let peak = call(&fresh, "a").usage.peak_memory_bytes;
    assert_eq!(call(&used, "a").usage.peak_memory_bytes, peak);
    let linear = 2 * 65_536;
    assert!(peak > linear, "the table counts");
    for limit in [0, 65_536, linear - 1, linear, linear + 1, peak - 1, peak, peak + 65_535, peak + 65_536, 4 << 20] {
        for source in ["a", "G", &reply('m', 1, 1, "MemoryError", "")] {
            let limited = |sandbox: &Sandbox| {
                assert_eq!(call(sandbox, "c").value().unwrap().get(), FIRST);
                let mut limited = invocation(source, "[]");
                limited.limits.memory_bytes = limit;
                let outcome = run(sandbox, limited);
                (outcome.ending.clone(), outcome.usage.peak_memory_bytes)
            };
            assert_eq!(limited(&used), limited(&fresh), "limit {limit}, {source}");
        }
    }
}

#[test]
fn a_thread_keeps_instances_of_several_languages_and_not_of_any_number() {
    let guest = wat::parse_str(include_str!("common/guest.wat")).unwrap();
    let names = ["one", "two", "three", "four", "five", "six"];
    let languages =
        names.map(|name| leak(GuestTemplate { name, ..template_of(&guest, Some(name_tar(name).as_slice())) }));
    let sandbox = open(InstanceMode::Verified, languages.to_vec());
    let count = |name: &str| {
        let mut counted = invocation("c", "[]");
        counted.source.language = name.parse().unwrap();
        assert_eq!(run(&sandbox, counted).value().unwrap().get(), FIRST);
    };
    for _ in 0..3 {
        names[..4].iter().for_each(|name| count(name));
    }
    assert_eq!(sandbox.instances().made, 4);
    names.iter().for_each(|name| count(name));
    assert_eq!(sandbox.instances().made, 6);
    count("six");
    assert_eq!(sandbox.instances().made, 6);
    count("one");
    assert_eq!(sandbox.instances().made, 7, "the longest unused went first");
}

/// A library that makes the image of one language another than that of the next.
fn name_tar(name: &str) -> Vec<u8> {
    let mut library = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    library.append_data(&mut header, name, &b""[..]).unwrap();
    library.into_inner().unwrap()
}

#[test]
fn a_guest_that_does_not_pass_the_check_always_has_a_new_instance() {
    // Most of what the check refuses has no snapshot either; a name of the host's has.
    let text = include_str!("common/guest.wat");
    let named = text.replacen("(func $pack", "(func (export \"gs:global:0\")) (func $pack", 1);
    assert_ne!(named, text);
    let template = leak(template_of(&wat::parse_str(named).unwrap(), None));
    let sandbox = open(InstanceMode::Pristine, vec![template]);
    let report = sandbox.prepare_image(&LANGUAGE.parse().unwrap(), &|_| {}).unwrap();
    assert_eq!(report.recycling, Recycling::Refused { reason: "it uses a name that is the host's".into() });
    for _ in 0..3 {
        assert_eq!(call(&sandbox, "c").value().unwrap().get(), FIRST);
    }
    assert_eq!((sandbox.instances().made, sandbox.instances().restored), (3, 0));
}

#[test]
fn fresh_never_uses_an_instance_again() {
    let sandbox = open_letters(InstanceMode::Fresh);
    for _ in 0..3 {
        assert_eq!(call(&sandbox, "c").value().unwrap().get(), FIRST);
    }
    let used = sandbox.instances();
    assert_eq!((used.mode, used.made, used.restored), (InstanceMode::Fresh, 3, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Verified mode compares every restored instance with a new one; a difference is a fault and fails the call.
    #[test]
    fn no_sequence_of_calls_leaves_a_trace(
        letters in proptest::collection::vec(proptest::sample::select("acfgGnSteukviodMDxyzq".chars().collect::<Vec<_>>()), 1..25),
    ) {
        let sandbox = open_letters(InstanceMode::Verified);
        for letter in &letters {
            let mut one = invocation(&letter.to_string(), "[1]");
            one.limits = LIMITS;
            let _ = run(&sandbox, one);
            let control = call(&sandbox, "c");
            prop_assert_eq!(control.value().map(|value| value.get()), Some(FIRST));
        }
        let used = sandbox.instances();
        prop_assert!(used.restored >= letters.len() as u64);
    }
}
