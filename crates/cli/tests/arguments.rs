//! What is asked: help, wrong flags, missing files, and the streams that answers go to. No guest runs here.

mod common;

use std::process::Stdio;

use common::{command, greensand, run, with_input};

const COMMANDS: [&str; 9] = ["init", "doctor", "train", "eval", "show", "diff", "call", "batch", "bench"];

#[test]
fn without_a_command_it_says_what_to_run_first() {
    let answer = greensand(&[]).code(0);
    assert!(answer.stdout.contains("greensand train examples/quickstart"), "{}", answer.stdout);
    assert_eq!(answer.stderr, "");
}

#[test]
fn every_command_has_examples_in_its_help() {
    for name in COMMANDS {
        let help = greensand(&[name, "--help"]).code(0).stdout;
        assert!(help.contains("Examples:") && help.contains(&format!("greensand {name}")), "{name}: {help}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(greensand(&["--version"]).code(0).stdout, format!("greensand {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_asked_wrongly_is_exit_code_2_and_says_what_to_do() {
    for (arguments, said) in [
        (&["trian"][..], "tip: a similar subcommand exists: 'train'"),
        (&["call", "x.py", "--entri", "f"], "tip: a similar argument exists: '--entry'"),
        (&["batch", "--jobs", "0"], "0 is not in 1..=1024"),
        (&["batch", "missing.jsonl"], "there is no file `missing.jsonl`"),
        (&["batch", "."], "`.` is a folder, not a file of requests"),
        (&["call", "missing.py", "--entry", "f"], "there is no file or run at `missing.py`"),
        (&["call", "x.py", "--entry", "f", "--args", "[1"], "`--args` is not well-formed JSON"),
        (&["call", "x.py", "--entry", "f", "--args", "1"], "`--args` is neither an array nor an object"),
        (&["call", "x.py", "--entry", "f", "--args", "@missing"], "there is no file `missing`"),
        (&["call", "x.py", "--entry", "f", "--limit", "wal_ms=1"], "did you mean `wall_ms`?"),
        (&["call", "x.py", "--entry", "f", "--limit", "wall_ms"], "hint: write for example `--limit wall_ms=500`"),
        (&["call", "x.py", "--entry", "f", "--limit", "memory_mb=9999"], "from 1 to 4096, found 9999"),
        (&["train", "missing"], "there is no project at `missing`"),
        (&["train", "missing"], "hint: `greensand init missing` makes one"),
        (&["train", ".", "--set", "nonsense"], "write a key and its value, such as `training.epochs=5`"),
        (&["show", "missing"], "missing"),
        (&["show", "."], "is no run folder"),
        (&["diff", "missing", "a", "b"], "missing"),
        (&["eval", ".", "--set", "empty", "--split", "tset"], "there is no split `tset`"),
        (&["bench", "--language", "No Such"], "no guest language is called `No Such`"),
        (&["--color", "mauve"], "invalid value 'mauve'"),
    ] {
        let answer = greensand(arguments).code(2).says(said);
        assert_eq!(answer.stdout, "", "{arguments:?} writes results");
        assert!(answer.stderr.starts_with("error: "), "{arguments:?}: {}", answer.stderr);
    }
}

#[test]
fn a_project_with_a_mistake_names_file_line_and_the_nearest_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("greensand.toml");
    std::fs::write(&file, "[tasks]\ntrain = \"t.jsonl\"\n[training]\nepoch = 3\n").unwrap();
    let answer = greensand(&["train", folder.path().to_str().unwrap()]).code(2);
    assert!(answer.stderr.contains("greensand.toml:4: unknown setting `training.epoch`"), "{}", answer.stderr);
    answer.says("did you mean `training.epochs`?");
}

#[test]
fn words_from_outside_cannot_act_on_the_terminal() {
    let answer = greensand(&["batch", "\u{1b}[2Jmissing"]).code(2).says("\\u{1b}[2Jmissing");
    assert!(!answer.stderr.contains('\u{1b}'), "{:?}", answer.stderr);
}

#[test]
fn colour_is_used_only_where_it_is_wanted() {
    let is_coloured = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = command(arguments);
        command.envs(variables.iter().copied());
        let answer = run(command, b"");
        (answer.stdout + &answer.stderr).contains('\u{1b}')
    };
    assert!(!is_coloured(&[], &[]), "into a pipe");
    assert!(is_coloured(&["--color", "always"], &[]));
    assert!(is_coloured(&["--color=always", "--help"], &[]));
    assert!(is_coloured(&["--color", "always"], &[("NO_COLOR", "1")]), "a flag goes before the environment");
    assert!(!is_coloured(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(is_coloured(&["train", "missing", "--color", "always"], &[]), "errors, too");
}

#[test]
fn a_reader_who_goes_away_is_no_error() {
    let mut child =
        command(&["batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"nonsense\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn an_output_on_a_full_disk_is_an_error_that_says_so() {
    for arguments in [&["batch"][..], &["--help"], &["train", "--help"], &["--version"], &[]] {
        let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
            println!("skipped: there is no /dev/full here");
            return;
        };
        let mut command = command(&[&["--color", "never"], arguments].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        // What needs no input may be gone already.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"nonsense\n");
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("hint: make room on the disk"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn init_writes_a_project_once() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("agent");
    let project = project.to_str().unwrap();
    let answer = greensand(&["init", project]).code(0).says("greensand train");
    assert!(answer.stdout.lines().any(|line| line.ends_with("agent/greensand.toml")), "{}", answer.stdout);
    greensand(&["init", project]).code(2).says("exists already, and is not overwritten");
    // What it wrote is a project whose settings are in order: what is missing is a model.
    greensand(&["train", project]).code(2).says("setting `model.model` is missing").says("hint: pass `--model NAME`");
}

#[test]
fn doctor_fails_with_the_command_that_mends_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let doctor = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.env("GREENSAND_CACHE", folder.path());
        run(command, b"")
    };
    let answer = doctor(&["doctor"]).code(1);
    assert!(answer.stdout.contains("mend it: chmod 700 "), "{}", answer.stdout);
    let findings = doctor(&["doctor", "--json"]).code(1).json();
    let cache = findings.as_array().unwrap().iter().find(|finding| finding["name"] == "cache").unwrap().clone();
    assert_eq!(cache["grade"], "failed");
    assert!(cache["remedy"].as_str().unwrap().starts_with("chmod 700 "));
}

#[test]
fn doctor_reports_a_project_that_cannot_be_read() {
    let findings = greensand(&["doctor", "missing", "--json"]).code(1).json();
    let project = findings.as_array().unwrap().iter().find(|finding| finding["name"] == "project").unwrap().clone();
    assert_eq!(
        (project["grade"].as_str(), project["remedy"].as_str()),
        (Some("failed"), Some("`greensand init missing` makes one"))
    );
}

#[test]
fn a_batch_of_nothing_is_done() {
    for input in [&b""[..], b"\n\n  \n"] {
        assert_eq!(with_input(&["batch"], input).code(0).stdout, "");
    }
}

#[test]
fn bad_lines_are_answered_without_a_guest() {
    let input = b"\xff\xfe\n{\"id\": 7}\n[1]\n{\"id\": \"x\", \"language\": \"cobol\", \"source\": \"\", \"entry\": \"f\", \"args\": []}\n";
    let answers = with_input(&["batch", "-"], input).code(0).json_lines();
    let statuses: Vec<_> = answers.iter().map(|answer| answer["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["invalid"; 4]);
    assert_eq!(answers[1]["id"], 7);
    assert!(answers[3]["error"]["message"].as_str().unwrap().contains("no guest language"), "{}", answers[3]);
}
