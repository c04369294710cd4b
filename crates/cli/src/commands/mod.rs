//! One file for each command: its flags, its help with examples, and what it does with the application.

mod batch;
mod bench;
mod call;
pub(crate) mod common;
mod compare;
mod credit;
mod diff;
mod doctor;
mod estimate;
mod eval;
mod fork;
mod init;
mod noise;
mod packages;
mod prepared;
mod replay;
mod report;
mod resume;
mod schema;
mod show;
mod status;
mod stop;
mod train;

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::failure::{Ending, Failure};
use crate::terminal::{BOLD, ColorWhen, DIM, Terminal};

/// Trains LLM agents whose learnable parameters are functions, each call of them in a WebAssembly sandbox.
#[derive(Debug, Parser)]
#[command(name = "greensand", version, after_help = GOLDEN_PATH, subcommand_value_name = "COMMAND")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// When to use colour; `NO_COLOR` counts for `auto`
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", hide_possible_values = true)]
    #[arg(help = "When to use colour: auto, always or never")]
    pub(crate) color: ColorWhen,

    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// A command, in the order of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Arguments),
    Doctor(doctor::Arguments),
    Estimate(estimate::Arguments),
    Train(train::Arguments),
    Resume(resume::Arguments),
    Replay(replay::Arguments),
    Fork(fork::Arguments),
    Credit(credit::Arguments),
    Eval(eval::Arguments),
    Noise(noise::Arguments),
    Compare(compare::Arguments),
    Show(show::Arguments),
    Report(report::Arguments),
    Status(status::Arguments),
    Stop(stop::Arguments),
    Diff(diff::Arguments),
    Call(call::Arguments),
    Batch(batch::Arguments),
    Bench(bench::Arguments),
    Schema(schema::Arguments),
}

impl Command {
    /// Runs the command to its ending.
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Ending, Failure> {
        match self {
            Self::Init(arguments) => init::run(&arguments, terminal),
            Self::Doctor(arguments) => doctor::run(&arguments, terminal),
            Self::Estimate(arguments) => estimate::run(&arguments, terminal),
            Self::Train(arguments) => train::run(&arguments, terminal),
            Self::Resume(arguments) => resume::run(&arguments, terminal),
            Self::Replay(arguments) => replay::run(&arguments, terminal),
            Self::Fork(arguments) => fork::run(&arguments, terminal),
            Self::Credit(arguments) => credit::run(&arguments, terminal),
            Self::Eval(arguments) => eval::run(&arguments, terminal),
            Self::Noise(arguments) => noise::run(&arguments, terminal),
            Self::Compare(arguments) => compare::run(&arguments, terminal),
            Self::Show(arguments) => show::run(&arguments, terminal),
            Self::Report(arguments) => report::run(&arguments, terminal),
            Self::Status(arguments) => status::run(&arguments, terminal),
            Self::Stop(arguments) => stop::run(&arguments, terminal),
            Self::Diff(arguments) => diff::run(&arguments, terminal),
            Self::Call(arguments) => call::run(&arguments, terminal),
            Self::Batch(arguments) => batch::run(&arguments, terminal),
            Self::Schema(arguments) => schema::run(&arguments, terminal),
            Self::Bench(arguments) => bench::run(&arguments, terminal),
        }
    }
}

const GOLDEN_PATH: &str = "\
What to run first:
  greensand doctor                      is this machine ready?
  greensand train examples/quickstart   watch a scripted agent learn, without any key
  greensand init my-agent               start a project of your own
  greensand train my-agent --model M --max-usd 5    train it with a real model

`greensand COMMAND --help` shows the flags of a command, and examples.";

/// Says what there is and what to run first, to those who give no command.
pub(crate) fn welcome(terminal: &Terminal) -> Result<Ending, Failure> {
    let text = format!(
        "{BOLD}greensand{BOLD:#} {} trains LLM agents whose learnable parameters are functions.\n\n\
         {GOLDEN_PATH}\n{DIM}`greensand --help` lists the commands.{DIM:#}\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut out = terminal.out();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "`{name}` does not say what it does");
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("greensand {name}")), "`{name}` has no example in its help");
        }
    }
}
