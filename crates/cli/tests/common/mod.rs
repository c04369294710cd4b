//! What the suites share: running the binary, and reading what it says.

#![allow(dead_code, reason = "each suite uses its part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a command left.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Prepares the binary: images are kept for the next suite, and nothing of the environment changes what it does.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_greensand"));
    command.args(arguments).env("GREENSAND_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/images"));
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "OPENAI_API_KEY"] {
        command.env_remove(variable);
    }
    command
}

/// Runs the binary without input.
pub(crate) fn greensand(arguments: &[&str]) -> Answer {
    with_input(arguments, b"")
}

/// Runs the binary with an input.
pub(crate) fn with_input(arguments: &[&str], input: &[u8]) -> Answer {
    run(command(arguments), input)
}

/// Runs a prepared command with an input.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Answer {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("its input is piped");
    let output = std::thread::scope(|scope| {
        // A command that needs no input may be gone already.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("the binary ends")
    });
    Answer {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("results are text"),
        stderr: String::from_utf8(output.stderr).expect("talk is text"),
    }
}

impl Answer {
    /// Checks the exit code, and returns the results.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Checks that the talk holds a text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "not said: {text}\nstderr: {}", self.stderr);
        self
    }

    /// Reads the results as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Reads the last line of the results as JSON.
    #[track_caller]
    pub(crate) fn last_line(&self) -> serde_json::Value {
        self.json_lines().pop().unwrap_or_else(|| panic!("no results\nstderr: {}", self.stderr))
    }

    /// Reads the results as lines of JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<serde_json::Value> {
        let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(read).collect()
    }
}

/// Returns the root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the project of the quickstart.
pub(crate) fn quickstart() -> String {
    repository().join("examples/quickstart").display().to_string()
}
