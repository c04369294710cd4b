//! The jail, seen from inside: a shell tries what each wall stands before.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use greensand_sandbox::jail::{Jail, JailEnding, JailFault, JailStatus, JailedCommand, Priority};
use greensand_sandbox::{HelperProgram, UnjailedBuilds};
use tempfile::TempDir;

/// Runs a script of a shell; returns how it ended, and both of its streams.
fn run(script: &str) -> (JailEnding, String) {
    let work = work();
    let report = jail().run(&command(work.path(), script), &|| false).unwrap();
    (report.ending, String::from_utf8_lossy(&[report.stdout, report.stderr].concat()).into_owned())
}

/// Checks that a script does not succeed, and returns what it says.
fn check_refused(script: &str) -> String {
    if JailStatus::of_this_machine().missing().is_some() {
        return String::new();
    }
    let (ending, said) = run(script);
    assert!(!matches!(ending, JailEnding::Exited(0)), "`{script}` succeeded: {said}");
    said
}

fn jail() -> Jail {
    let lacks_a_wall = JailStatus::of_this_machine().missing().is_some();
    let unjailed = if lacks_a_wall { UnjailedBuilds::Allowed } else { UnjailedBuilds::Refused };
    Jail::new(Some(helper()), unjailed)
}

fn helper() -> HelperProgram {
    HelperProgram { program: env!("CARGO_BIN_EXE_greensand-sandbox-helper").into(), arguments: Vec::new() }
}

fn work() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn command<'a>(work: &'a Path, script: &str) -> JailedCommand<'a> {
    JailedCommand {
        program: "/bin/bash".into(),
        arguments: vec!["-c".into(), script.into()],
        work,
        executable: ["/bin", "/usr", "/lib", "/lib64"].map(PathBuf::from).into(),
        readable: vec!["/etc/ld.so.cache".into()],
        wall: Duration::from_secs(20),
        memory_bytes: 1 << 30,
        max_output_bytes: 10_000,
        priority: Priority::Low,
    }
}

#[test]
fn a_program_runs_in_its_folder_with_its_arguments() {
    let work = work();
    fs::write(work.path().join("in"), "some text").unwrap();
    let report =
        jail().run(&command(work.path(), "cat in; mkdir d; echo x > d/out; rm in; exit 7"), &|| false).unwrap();
    assert_eq!((report.ending, report.stdout.as_slice()), (JailEnding::Exited(7), b"some text".as_slice()));
    assert_eq!(fs::read_to_string(work.path().join("d/out")).unwrap(), "x\n");
    assert!(!work.path().join("in").exists());
}

#[test]
fn no_file_outside_is_read_listed_or_changed() {
    let outside = work();
    let path = outside.path().join("file");
    fs::write(&path, "untouched").unwrap();
    let shown = path.display();
    for script in [
        "cat /etc/passwd".to_owned(),
        "ls /root /home /etc".to_owned(),
        "cat /proc/self/environ".to_owned(),
        "cat /proc/$PPID/environ".to_owned(),
        format!("cat {shown}"),
        format!("echo gone > {shown}"),
        format!("rm {shown}"),
        format!("mv {shown} ."),
        format!("ln {shown} link"),
        format!("chown 1 {shown}"),
        format!("chmod 777 {shown}"),
        format!("touch -d 2001-01-01 {shown}"),
        "chmod 777 in".to_owned(),
        format!("touch {shown}2"),
        "echo x > /tmp/greensand-jail-was-here".to_owned(),
        "cp /bin/true . && ./true".to_owned(),
        "mkfifo pipe".to_owned(),
        "ln -s /etc link && ls link".to_owned(),
    ] {
        let said = check_refused(&script);
        assert!(!said.contains("untouched") && !said.contains("root:"), "{said}");
    }
    assert_eq!(fs::read_to_string(path).unwrap(), "untouched");
    assert!(!Path::new("/tmp/greensand-jail-was-here").exists());
}

#[test]
fn the_environment_is_that_of_nobody() {
    let (ending, said) = run("env");
    assert_eq!(ending, JailEnding::Exited(0));
    let names: Vec<_> = said.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // Three are of the shell itself.
    assert!(names.iter().all(|name| ["TMPDIR", "PWD", "SHLVL", "_"].contains(name)), "{said}");
}

#[test]
fn nothing_connects_and_nobody_else_is_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connects = format!("exec 3<>/dev/tcp/127.0.0.1/{}", listener.local_addr().unwrap().port());
    for script in [
        connects.as_str(),
        "exec 3<>/dev/udp/127.0.0.1/53",
        "kill -0 $PPID",
        "kill -9 $PPID",
        "setsid true 2>&1 | grep -v 'not permitted'",
        "unshare -U true",
        "unshare -m true",
        "mount -t tmpfs x .",
        "chroot . true || exit 1",
        "ulimit -v unlimited",
        "ulimit -c 1000",
        "nsenter -t 1 -m true",
        "renice -n 5 -p $PPID",
        "ipcmk -M 100",
    ] {
        check_refused(script);
    }
}

#[test]
fn no_call_that_names_a_process_reaches_another() {
    // The number of `tgkill`; the shell itself only knows `kill`.
    const NUMBER: i64 = libc::SYS_tgkill;
    let probe = format!("exec perl -e 'exit(syscall({NUMBER}, $ENV{{WHO}} + 0, $ENV{{WHO}} + 0, 0) == 0 ? 0 : 9)'");
    if !Path::new("/usr/bin/perl").exists() {
        eprintln!("skipped: there is no perl to make a system call with");
        return;
    }
    let (ending, said) = run(&format!("export WHO=$$; {probe}"));
    assert_eq!(ending, JailEnding::Exited(0), "one's own: {said}");
    let (ending, said) = run(&format!("export WHO=$PPID; {probe}"));
    assert_eq!(ending, JailEnding::Exited(9), "the guard: {said}");
}

#[test]
fn the_standard_input_is_empty_and_no_other_descriptor_is_open() {
    // One that whoever starts programs forgot to close.
    let file = fs::File::open(file!().trim_start_matches("crates/sandbox/")).unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    let (_, said) = run(&format!("cat; for fd in 3 4 5 6 7 8 9 {fd}; do {{ true <&$fd; }} && echo open $fd; done"));
    assert!(!said.contains("open"), "{said}");
}

#[test]
fn who_takes_too_long_is_killed_with_all_that_it_started() {
    let work = work();
    let script =
        "sleep 60 & echo $! > pids; (sleep 60 & echo $! >> pids; wait) & echo $! >> pids; echo $$ >> pids; wait";
    let started = Instant::now();
    let command = JailedCommand { wall: Duration::from_millis(300), ..command(work.path(), script) };
    let report = jail().run(&command, &|| false).unwrap();
    assert_eq!(report.ending, JailEnding::OutOfTime);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_gone(work.path(), 4);
}

#[test]
fn who_ends_leaves_nobody_behind() {
    let work = work();
    let report = jail().run(&command(work.path(), "sleep 60 & echo $! > pids; exit 3"), &|| false).unwrap();
    assert_eq!(report.ending, JailEnding::Exited(3));
    assert_gone(work.path(), 1);
}

#[test]
fn who_is_not_waited_for_any_more_is_killed() {
    let work = work();
    let has_begun = || fs::read_to_string(work.path().join("pids")).is_ok_and(|pids| pids.lines().count() == 2);
    let report = jail().run(&command(work.path(), "sleep 60 & echo $! > pids; echo $$ >> pids; wait"), &has_begun);
    assert_eq!(report.unwrap().ending, JailEnding::Cancelled);
    assert_gone(work.path(), 2);
}

#[test]
fn memory_and_files_are_bounded() {
    let work = work();
    // The shell holds the text in its memory. Time is not what ends it, however busy the machine is.
    let doubling = command(work.path(), "x=xxxxxxxxxxxxxxxx; while true; do x=$x$x; done");
    let doubling = JailedCommand { memory_bytes: 128 << 20, wall: Duration::from_secs(120), ..doubling };
    let ending = jail().run(&doubling, &|| false).unwrap().ending;
    assert!(!matches!(ending, JailEnding::Exited(0) | JailEnding::OutOfTime), "{ending:?}");
    let (ending, _) = run("head -c 400000000 /dev/zero > large");
    assert_ne!(ending, JailEnding::Exited(0));
}

#[test]
fn output_is_kept_up_to_its_limit() {
    let (ending, said) = run("yes | head -c 1000000");
    assert_eq!((ending, said.len()), (JailEnding::Exited(0), 10_000));
}

#[test]
fn a_signal_is_told_apart_from_a_status() {
    assert_eq!(run("exit 100").0, JailEnding::Exited(100));
    let (ending, _) = run("kill -9 $$");
    assert!(matches!(ending, JailEnding::Exited(1)), "the shell may not even signal itself: {ending:?}");
}

#[test]
fn what_cannot_be_started_is_a_fault_that_says_why() {
    let work = work();
    let command = JailedCommand { program: "/bin/there-is-no-such-program".into(), ..command(work.path(), "") };
    let fault = jail().run(&command, &|| false).unwrap_err();
    assert!(matches!(&fault, JailFault::NotStarted { reason, .. } if reason.contains("No such file")), "{fault}");
    let fault = Jail::new(None, UnjailedBuilds::Refused).run(&command, &|| false).unwrap_err();
    assert!(matches!(fault, JailFault::NoHelper), "{fault}");
}

/// Checks that none of the processes in the file `pids` is left.
fn assert_gone(work: &Path, count: usize) {
    let pids = fs::read_to_string(work.join("pids")).unwrap();
    assert_eq!(pids.lines().count(), count);
    for pid in pids.lines() {
        assert!(!Path::new("/proc").join(pid).exists(), "process {pid} is left");
    }
}
