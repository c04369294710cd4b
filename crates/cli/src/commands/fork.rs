use std::path::PathBuf;

use clap::Args;
use greensand_app::events::EventLine;
use greensand_app::{Overrides, fork};

use super::common;
use crate::failure::{Ending, Failure};
use crate::progress;
use crate::terminal::{Answers, DIM, Terminal};

/// Begin a new run from a step of another one, with other settings; only what follows is paid for.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// The first step that is made anew; 0 measures even the initial set anew
    #[arg(long, value_name = "STEP")]
    at: u32,

    /// Sets any setting from that step on, such as optimizer.model.model=M; may be given again
    #[arg(long = "set", visible_alias = "setting", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Where the new run folder is made
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,

    /// Prints lines of JSON; the last one names the new run folder, and what it was forked from
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
The run itself stays as it is. The new one holds what was done before the step, and every reply that was paid for: a request
that comes up again, word by word, is answered from there. Settings that decide how tasks are scored (model, agent, scorer,
limits, tasks) can change at 0 only, because scores from before and after would not compare.
It prints the new run folder; `greensand resume` goes on with it.

Examples:
  greensand fork runs/RUN --at 3 --set training.max_actions_per_step=1
  greensand fork runs/RUN --at 6 --set training.epochs=20 --set training.patience=5
  greensand fork runs/RUN --at 0 --set scorer.name=number
  greensand fork runs/RUN --at 3 --set training.patience=5 --json | tail -n 1 | jq -r .run";

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let mut overrides = Overrides::new();
    for assignment in &arguments.settings {
        overrides.set(assignment)?;
    }
    if let Some(runs) = &arguments.runs {
        overrides.flag("--runs", "project.runs", runs.to_string_lossy());
    }
    if terminal.answers() == Answers::Json {
        progress::write_line(&EventLine::opened("fork"), terminal)?;
    }
    let folder = fork(&arguments.run, arguments.at, &overrides, &environment)?;
    let run = common::shown(folder.path());
    common::write_text_of(&format!("{run}\n"), terminal)?;
    common::write_finished(Ending::Done, Some(folder.path()), &folder.manifest()?.forked_from, terminal)?;
    terminal.say(format_args!("{DIM}go on with it: greensand resume {run}{DIM:#}"));
    Ok(Ending::Done)
}
