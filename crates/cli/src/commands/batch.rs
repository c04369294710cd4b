use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use greensand_app::InstanceMode;
use greensand_app::batch::{AnswerOrder, BatchSettings, BatchSummary, run_batch};
use greensand_types::{CallStatus, counted};

use super::common;
use super::packages::{self, PackageFlags};
use super::prepared::Prepared;
use crate::failure::{Ending, Failure};
use crate::interrupt;
use crate::terminal::Terminal;
use crate::text;

/// Run many functions: JSON lines in, JSON lines out, in input order.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The requests, one JSON object a line; `-` is standard input
    #[arg(default_value = "-", value_name = "FILE")]
    file: PathBuf,

    /// How many calls run at once
    #[arg(long, short, value_name = "N", value_parser = common::jobs())]
    jobs: Option<usize>,

    /// Where the instance of a call comes from: used and made as new, the same and compared, or new
    #[arg(long, value_name = "MODE", value_parser = common::instances())]
    instances: Option<InstanceMode>,

    /// Writes each answer as soon as it is there, in any order; its `id` says which one it is
    #[arg(long)]
    unordered: bool,

    #[command(flatten)]
    packages: PackageFlags,
}

const HELP: &str = r#"A request has `id`, `language`, `source`, `entry`, `args` (array or object), and optionally `packages`,
`seed`, `encoding` (strict or tagged), `limits` (wall_ms, memory_mb, max_arg_bytes, max_result_bytes,
max_stdout_bytes, max_stderr_bytes, build_wall_ms, build_memory_mb), `tenant` (calls of different tenants take turns) and `files`, which the function
may read: {"NAME": {"text": ".."}, "OTHER": {"base64": ".."}}.

An answer has `id`, `status` (ok, error, timeout, memory, output_limit, denied, invalid), `value` (only with ok),
`error` {message, trace} (only without), `stdout`, `stderr`, `truncated` and `usage` {wall_ms, peak_memory_bytes,
output_bytes}. A request may name `packages` that `--packages` or the lock file has; nothing is fetched for it. Those
of `--packages` are there for requests that name none. A line that is no request answers `invalid`, and the rest goes on; blank lines are skipped.
A line is at most 16 MiB. Answers are flushed as they are ready, so that a program may keep the command running,
send a request, and read its answer.

Ctrl-C stops what is under way and says how many lines were answered; the exit code is then 1.

The exit code is 0 when every line was answered, whatever the answers are. A fault of the host itself answers
`fault` for its line, and makes the exit code 70.

Examples:
  greensand batch requests.jsonl --jobs 8 > answers.jsonl
  echo '{"id":1,"language":"python","source":"f = abs","entry":"f","args":[-7]}' | greensand batch"#;

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let input = open(&arguments.file, terminal)?;
    let jobs = arguments.jobs.unwrap_or_else(common::cores);
    let environment = common::environment()?;
    let packages = arguments.packages.open(None, &environment, terminal)?;
    let sandbox = packages::open_sandbox(&environment, packages.as_ref(), jobs, arguments.instances)?;
    let settings = BatchSettings {
        // Two for each worker: the next call is there when one is done.
        jobs: jobs * 2,
        order: if arguments.unordered { AnswerOrder::Ready } else { AnswerOrder::Requests },
        languages: sandbox.languages().map(|language| language.name.to_owned()).collect(),
        ..BatchSettings::default()
    };
    let output = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let output = Answers { output, is_read_by_person: terminal.is_out_terminal() };
    let asked: Vec<_> = arguments.packages.requirements()?.iter().map(|package| package.name().to_owned()).collect();
    let default = packages.map(|packages| (packages.language(), asked));
    if let Some((language, packages)) = default.as_ref().filter(|(_, packages)| !packages.is_empty()) {
        // Before the first line: packages that cannot be imported are no fault of each of them.
        common::prepare_packages(&sandbox, language, packages, terminal)?;
    }
    let interrupt = interrupt::on_signals(*terminal)?;
    interrupt::end_soon_after(&interrupt, *terminal);
    let runtime = Prepared::new(sandbox, terminal, default);
    let summary = common::block_on(run_batch(input, output, &runtime, &settings, &interrupt))??;
    tell(&summary, terminal);
    match &summary.first_fault {
        None if summary.is_interrupted => Ok(Ending::No),
        None => Ok(Ending::Done),
        Some(fault) => Err(Failure::bug(format!(
            "the host failed on {}, first with: {fault}",
            counted(usize::try_from(summary.faults).unwrap_or(usize::MAX), "line")
        ))
        .hint("the answers of those lines have the status `fault`; `greensand doctor` checks this machine")),
    }
}

/// Where answers go: on a terminal nothing in them acts on it.
struct Answers<W> {
    output: W,
    is_read_by_person: bool,
}

impl<W: Write> Write for Answers<W> {
    fn write(&mut self, answer: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(answer) {
            Ok(text) if self.is_read_by_person => {
                self.output.write_all(text::json(text).as_bytes())?;
                Ok(answer.len())
            }
            Ok(_) | Err(_) => self.output.write(answer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn open(path: &std::path::Path, terminal: &Terminal) -> Result<Box<dyn BufRead + Send>, Failure> {
    if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            terminal.say(format_args!("reading requests from the terminal, one JSON object a line; Ctrl-D ends"));
        }
        return Ok(Box::new(BufReader::with_capacity(64 << 10, io::stdin())));
    }
    let file = File::open(path).map_err(|error| common::unreadable(path, &error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Failure::asked(format!("`{}` is a folder, not a file of requests", path.display())));
    }
    Ok(Box::new(BufReader::with_capacity(64 << 10, file)))
}

fn tell(summary: &BatchSummary, terminal: &Terminal) {
    if !io::stderr().is_terminal() && !summary.is_interrupted {
        return;
    }
    let statuses: Vec<_> = CallStatus::ALL
        .into_iter()
        .filter(|status| summary.of_status(*status) > 0)
        .map(|status| format!("{} {status}", summary.of_status(status)))
        .collect();
    let stopped = if summary.is_interrupted { "stopped after " } else { "" };
    terminal.say(format_args!("{stopped}{} answers: {}", summary.answers, statuses.join(", ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_on_a_terminal_mean_the_same_and_do_nothing_to_it() {
        let answer = "{\"value\":\"\u{9b}31m\u{202e}\u{7f}\"}\n";
        for (is_read_by_person, expected) in [(false, answer), (true, "{\"value\":\"\\u009b31m\\u202e\\u007f\"}\n")] {
            let mut answers = Answers { output: Vec::new(), is_read_by_person };
            answers.write_all(answer.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(answers.output).unwrap(), expected);
        }
    }
}
