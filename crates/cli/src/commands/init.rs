use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use greensand_app::write_project;

use super::common;
use crate::failure::{Ending, Failure};
use crate::terminal::{BOLD, Terminal};

/// Write a commented project file and an example task set.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The folder; it is made if it is missing, and nothing in it is overwritten
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
}

const HELP: &str = "\
Examples:
  greensand init my-agent
  cd my-agent && greensand init";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let files = write_project(&arguments.folder)?;
    let mut out = terminal.out();
    for file in &files {
        writeln!(out, "{}", common::shown(file))?;
    }
    out.flush()?;
    let folder = common::shown(&arguments.folder);
    let project = if arguments.folder == Path::new(".") { "." } else { &folder };
    terminal.say(format_args!(
        "\n{BOLD}next{BOLD:#}: put your tasks into `tasks/`, then\n  greensand doctor {project}\n  greensand estimate {project} --model M\n  \
         greensand train {project} --model M --max-usd 5"
    ));
    Ok(Ending::Done)
}
