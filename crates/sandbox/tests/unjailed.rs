//! A kernel that lacks a wall of the jail: what is refused there, and what `UnjailedBuilds::Allowed` lets happen.
//!
//! The kernel of this machine may have every wall. So a thread has it say that there is no landlock: what that thread and
//! everything that it starts ask of landlock is refused, by a filter as the jail itself has one.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, thread};

use common::modules::{LIMITS, check, core, reply_data, settings, source};
use futures::executor::block_on;
use greensand_sandbox::jail::{Jail, JailEnding, JailFault, JailStatus, JailedCommand, Priority};
use greensand_sandbox::{Sandbox, SandboxSettings, UnjailedBuilds};
use greensand_types::{CallOutcome, CallStatus, Entry, FunctionRuntime, Invocation, JsonText};
use seccompiler::{SeccompAction, SeccompFilter};

/// Runs something where the kernel has no landlock.
fn without_landlock<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let unknown = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let calls = BTreeMap::from([(libc::SYS_landlock_create_ruleset, Vec::new())]);
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, unknown, architecture).unwrap();
    let filter: seccompiler::BpfProgram = filter.try_into().unwrap();
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            seccompiler::apply_filter(&filter).unwrap();
            assert_eq!(JailStatus::of_this_machine().missing().unwrap().name, "landlock");
            work()
        });
        worker.join().unwrap()
    })
}

/// Calls a module that has to be compiled first.
fn call(unjailed_builds: UnjailedBuilds) -> CallOutcome {
    without_landlock(|| {
        let folder = tempfile::tempdir().unwrap();
        let settings = SandboxSettings { unjailed_builds, ..settings(folder.path()) };
        let sandbox = Sandbox::open(settings).unwrap();
        let (data, packed) = reply_data(0, 0, "", "7");
        let wasm = core(&data, &format!("(i64.const {packed})"));
        let arguments = JsonText::parse("[]").unwrap();
        let call = Invocation::new(source(&wasm), Entry::Function("f".into()), arguments, LIMITS);
        block_on(sandbox.invoke(call)).unwrap()
    })
}

#[test]
fn without_a_wall_nothing_is_compiled_and_the_outcome_says_what_to_do() {
    let outcome = call(UnjailedBuilds::Refused);
    check(
        &outcome,
        CallStatus::Invalid,
        "modules cannot be compiled here: landlock is missing on this machine: boot Linux",
    );
}

#[test]
fn what_is_allowed_in_so_many_words_is_compiled_without_it() {
    assert_eq!(call(UnjailedBuilds::Allowed).value().unwrap().get(), "7");
}

#[test]
fn the_other_walls_stand_all_the_same() {
    let run = |script: String, unjailed_builds| {
        without_landlock(|| {
            let work = tempfile::tempdir().unwrap();
            let helper = settings(work.path()).helper;
            let command = JailedCommand {
                program: "/bin/bash".into(),
                arguments: vec!["-c".into(), script],
                work: work.path(),
                executable: ["/bin", "/usr", "/lib", "/lib64"].map(PathBuf::from).into(),
                readable: vec!["/etc/ld.so.cache".into()],
                wall: Duration::from_secs(20),
                memory_bytes: 1 << 30,
                max_output_bytes: 10_000,
                priority: Priority::Low,
            };
            Jail::new(helper, unjailed_builds).run(&command, &|| false)
        })
    };
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "within reach").unwrap();
    let reads = format!("cat {}", outside.path().display());
    let fault = run(reads.clone(), UnjailedBuilds::Refused).unwrap_err();
    assert!(matches!(fault, JailFault::WallMissing { what: "landlock", .. }), "{fault}");
    // This is what the variable gives up.
    let report = run(reads, UnjailedBuilds::Allowed).unwrap();
    assert_eq!((report.ending, report.stdout.as_slice()), (JailEnding::Exited(0), b"within reach".as_slice()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connects = format!("exec 3<>/dev/tcp/127.0.0.1/{}", listener.local_addr().unwrap().port());
    for script in [connects.as_str(), "kill -9 $PPID", "ulimit -v unlimited", "test -n \"$HOME\""] {
        let report = run(script.into(), UnjailedBuilds::Allowed).unwrap();
        assert_ne!(report.ending, JailEnding::Exited(0), "{script}");
    }
}
