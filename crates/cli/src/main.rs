//! The binary `greensand`: the terminal face of `greensand-app`.
//!
//! A command is a file in `commands/` and a line of [`Command`](commands::Command). It reads its flags, calls the application,
//! and writes results to standard output; everything else that it has to say goes to standard error. What goes wrong is a
//! [`Failure`], which alone decides the exit code.

mod commands;
mod detach;
mod failure;
mod interrupt;
mod progress;
mod terminal;
mod text;

use std::panic;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use commands::Cli;
use failure::{Ending, Failure};
use terminal::{Answers, ColorWhen, Talk, Terminal};

/// The first argument of this program when the sandbox starts it as its helper; nobody types it.
const HELPER_COMMAND: &str = "sandbox-helper";

fn main() -> ExitCode {
    // Before anything else: the helper gives up the rights of its process.
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|argument| argument == HELPER_COMMAND).is_some() {
        return greensand_app::run_sandbox_helper(arguments);
    }
    let mut arguments = std::env::args_os().collect::<Vec<_>>();
    if arguments.get(1).is_some_and(|argument| argument == detach::COMMAND) {
        arguments.remove(1);
        detach::leave_session();
    }
    let color = ColorWhen::of_arguments(arguments.iter().cloned());
    let answers = Answers::of_arguments(arguments.iter().cloned());
    let matches = Cli::command().color(color.for_parser()).try_get_matches_from(&arguments);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(said) => return say(&said, &Terminal::new(color, Talk::Normal, answers)),
    };
    let terminal = Terminal::new(color, if cli.quiet { Talk::Quiet } else { Talk::Normal }, answers);
    install_panic_hook(terminal);
    let run = || match cli.command {
        Some(command) => command.run(&terminal),
        None => commands::welcome(&terminal),
    };
    match panic::catch_unwind(panic::AssertUnwindSafe(run)) {
        Ok(Ok(Ending::Done)) => ExitCode::SUCCESS,
        Ok(Ok(Ending::No)) => ExitCode::from(1),
        Ok(Err(failure)) => failure.report(&terminal),
        // The hook has told the person; a program is told here, by the last line.
        Err(_) => Failure::bug("greensand panicked: standard error says where").answer(&terminal),
    }
}

/// Writes the help, the version, or what is wrong with the flags. Help that cannot be written is a failure like any other.
fn say(said: &clap::Error, terminal: &Terminal) -> ExitCode {
    match said.print() {
        Ok(()) if said.use_stderr() => wrong_flags(&said.render().to_string()).answer(terminal),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::from(error).report(terminal),
    }
}

/// Makes of what the parser says to a person what a program is told: the first paragraph, and its tip.
fn wrong_flags(said: &str) -> Failure {
    let message = said.split("\n\n").next().unwrap_or_default().trim();
    let tip = said.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    Failure::asked(message.strip_prefix("error: ").unwrap_or(message)).hint_if(tip.map(str::to_owned))
}

/// A panic is a bug of ours: it is told like one, without a backtrace that only we can read.
fn install_panic_hook(terminal: Terminal) {
    panic::set_hook(Box::new(move |panic| {
        let what = panic.payload_as_str().unwrap_or("a panic without words");
        let place = panic.location().map(|place| format!(" ({place})")).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        Failure::bug(format!("thread `{thread}` panicked: {what}{place}")).tell(&terminal);
    }));
}
