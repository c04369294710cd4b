//! What several commands share: opening the sandbox, naming sets, flags of models, and failures that name a file.

use std::future::Future;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use greensand_app::events::EventLine;
use greensand_app::{
    Environment, GuestTemplate, HelperProgram, ImageKeeping, ImageReport, InstanceMode, Overrides, Sandbox,
    SandboxSettings,
};
use greensand_types::{HostFault, Language, SourceText};

use crate::failure::{Ending, Failure, FailureKind};
use crate::progress::{self, ImageBar};
use crate::terminal::{Answers, Terminal, WARN};
use crate::text;

/// Flags that bound what may be spent.
#[derive(Debug, Args)]
pub(super) struct BudgetFlags {
    /// The most dollars that may be spent on all models together
    #[arg(long, value_name = "USD")]
    max_usd: Option<String>,

    /// The most tokens, of prompts and replies of all models
    #[arg(long, value_name = "N")]
    max_tokens: Option<String>,

    /// The most requests to all models that are answered
    #[arg(long, value_name = "N")]
    max_calls: Option<String>,

    /// Goes without a cap, though a model costs money
    #[arg(long)]
    no_cap: bool,
}

impl BudgetFlags {
    /// Adds what the flags say about settings.
    pub(super) fn add_to(&self, overrides: &mut Overrides) {
        let caps = [
            ("--max-usd", "budget.max_usd", &self.max_usd),
            ("--max-tokens", "budget.max_tokens", &self.max_tokens),
            ("--max-calls", "budget.max_calls", &self.max_calls),
        ];
        for (flag, key, value) in caps {
            if let Some(value) = value {
                overrides.flag(flag, key, value);
            }
        }
        if self.no_cap {
            overrides.flag("--no-cap", "budget.no_cap", "true");
        }
    }
}

/// Flags of work that goes on in the folder of a run: they decide how fast and for how much, not what comes out.
#[derive(Debug, Args)]
pub(super) struct AgainFlags {
    /// How many tasks are solved at once
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,

    #[command(flatten)]
    budget: BudgetFlags,

    /// Sets a setting that does not change what comes out, such as model.deadline_s=900; may be given again
    #[arg(long = "set", visible_alias = "setting", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

impl AgainFlags {
    /// Returns what the flags say about settings.
    pub(super) fn overrides(&self) -> Result<Overrides, Failure> {
        let mut overrides = overrides_of(&self.settings)?;
        add_jobs(self.jobs, &mut overrides);
        self.budget.add_to(&mut overrides);
        Ok(overrides)
    }
}

/// Reads assignments of settings: first, so that a flag of its own wins over the same setting by assignment.
fn overrides_of(assignments: &[String]) -> Result<Overrides, Failure> {
    let mut overrides = Overrides::new();
    for assignment in assignments {
        overrides.set(assignment)?;
    }
    Ok(overrides)
}

fn add_jobs(jobs: Option<usize>, overrides: &mut Overrides) {
    if let Some(jobs) = jobs {
        overrides.flag("--jobs", "training.jobs", jobs.to_string());
    }
}

/// Flags that choose the models and the settings of a run.
#[derive(Debug, Args)]
pub(super) struct ModelFlags {
    /// The model of both roles; a project with a script then asks an endpoint instead
    #[arg(long, value_name = "M")]
    model: Option<String>,

    /// The backend of both roles: openai_compatible, scripted or replay
    #[arg(long, value_name = "B")]
    backend: Option<String>,

    /// The endpoint of both roles
    #[arg(long, value_name = "U")]
    base_url: Option<String>,

    /// How many tasks are solved at once
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,

    /// The seed of the run
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    /// Where the run folders of the project are
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,

    #[command(flatten)]
    budget: BudgetFlags,
}

impl ModelFlags {
    /// Returns what the flags say about settings, with assignments that the command takes beside them.
    pub(super) fn overrides(&self, assignments: &[String]) -> Result<Overrides, Failure> {
        let mut overrides = overrides_of(assignments)?;
        if let Some(model) = &self.model {
            overrides.model(model);
        }
        if let Some(backend) = &self.backend {
            overrides.backend(backend);
        }
        if let Some(base_url) = &self.base_url {
            overrides.base_url(base_url);
        }
        add_jobs(self.jobs, &mut overrides);
        if let Some(seed) = self.seed {
            overrides.flag("--seed", "training.seed", seed.to_string());
        }
        if let Some(runs) = &self.runs {
            overrides.flag("--runs", "project.runs", runs.to_string_lossy());
        }
        self.budget.add_to(&mut overrides);
        Ok(overrides)
    }
}

/// Accepts a number of calls at once.
pub(super) fn jobs() -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<usize>::new().range(1..=1024)
}

/// Accepts a word for where the instances of calls come from.
pub(super) fn instances() -> impl TypedValueParser<Value = InstanceMode> {
    let words = InstanceMode::ALL.map(|mode| (mode.as_str(), mode));
    PossibleValuesParser::new(words.map(|(word, _)| word)).map(move |word| {
        let known = words.iter().find(|(known, _)| *known == word);
        known.map_or_else(InstanceMode::default, |(_, mode)| *mode)
    })
}

/// Returns how many calls this machine runs at once.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Returns the command line of this process, as a run remembers it.
pub(super) fn command_line() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// Reads the environment of this process.
pub(super) fn environment() -> Result<Environment, Failure> {
    let environment = Environment::current();
    let environment =
        environment.map_err(|error| Failure::asked(format!("the current folder cannot be read: {error}")))?;
    // Where this program cannot be found again, what needs the helper says so.
    Ok(match std::env::current_exe() {
        Ok(program) => {
            environment.with_helper(HelperProgram { program, arguments: vec![crate::HELPER_COMMAND.into()] })
        }
        Err(_) => environment,
    })
}

/// Opens the sandbox of commands with other settings.
pub(super) fn open_sandbox_as(
    environment: &Environment,
    change: impl FnOnce(SandboxSettings) -> SandboxSettings,
) -> Result<Sandbox, Failure> {
    Ok(greensand_app::open_sandbox_as(environment, change)?)
}

/// Runs a future to its end on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::bug(format!("cannot start the event loop: {error}")))?;
    Ok(runtime.block_on(future))
}

/// Runs a future to its end, with what it spawns on every core.
pub(super) fn block_on_all<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores())
        .enable_all()
        .build()
        .map_err(|error| Failure::bug(format!("cannot start the event loop: {error}")))?;
    Ok(runtime.block_on(future))
}

/// Makes or maps the image of a language, with a progress bar where it takes long.
pub(super) fn prepare_image(sandbox: &Sandbox, language: &Language, terminal: &Terminal) -> Result<(), Failure> {
    if !has_image(sandbox, language) {
        return Ok(());
    }
    let bar = ImageBar::new(language, terminal);
    let report = sandbox.prepare_image(language, &|progress| bar.show(progress))?;
    say_if_not_kept(&report, terminal);
    Ok(())
}

/// Makes or maps the image of what a source is in and asks for, if there is one.
pub(super) fn prepare_for(sandbox: &Sandbox, source: &SourceText, terminal: &Terminal) -> Result<(), Failure> {
    let SourceText { language, packages, .. } = source;
    if packages.is_empty() {
        return prepare_image(sandbox, language, terminal);
    }
    prepare_packages(sandbox, language, packages, terminal)
}

/// Makes or maps the image of a language with packages.
pub(super) fn prepare_packages(
    sandbox: &Sandbox,
    language: &Language,
    packages: &[String],
    terminal: &Terminal,
) -> Result<(), Failure> {
    let bar = ImageBar::new(language, terminal);
    let report = sandbox.prepare_packages(language, packages, &|progress| bar.show(progress))?;
    say_if_not_kept(&report, terminal);
    Ok(())
}

/// Says that an image has to be made again by the next process, and why.
pub(super) fn say_if_not_kept(report: &ImageReport, terminal: &Terminal) {
    if let ImageKeeping::InMemory { reason } = &report.keeping {
        let language = &report.language;
        terminal.say(format_args!("{WARN}warning{WARN:#}: {language} is prepared again each time: {reason}"));
    }
}

/// Says whether a language has a guest of its own, of which an image is made; else its sources are modules.
pub(super) fn has_image(sandbox: &Sandbox, language: &Language) -> bool {
    sandbox.languages().any(|guest| guest.name == language.as_str() && guest.image().is_some())
}

/// Finds the language of a source file: by flag, or by the ending of its name.
pub(super) fn language_of(path: &Path, flag: Option<&str>, sandbox: &Sandbox) -> Result<Language, Failure> {
    language_among(path, flag, &sandbox.languages().collect::<Vec<_>>())
}

/// Finds the language of a source file before a sandbox is opened.
pub(super) fn language_among(
    path: &Path,
    flag: Option<&str>,
    languages: &[&'static GuestTemplate],
) -> Result<Language, Failure> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let found = languages.iter().find(|guest| match flag {
        Some(name) => guest.name == name || guest.aliases.contains(&name),
        None => extension.is_some_and(|extension| guest.extensions.contains(&extension)),
    });
    let names: Vec<_> = languages.iter().map(|guest| format!("`{}`", guest.name)).collect();
    let names = names.join(", ");
    match (found, flag) {
        (Some(guest), _) => guest.name.parse().map_err(|error| Failure::bug(format!("{error}"))),
        (None, Some(name)) => {
            Err(Failure::asked(format!("no guest language is called `{name}`")).hint(format!("there are: {names}")))
        }
        (None, None) => Err(Failure::asked(format!("the ending of `{}` does not say its language", path.display()))
            .hint(format!("name it with `--language L`; there are: {names}"))),
    }
}

/// Finds a language by its name or an alias.
pub(super) fn language_named(name: &str, sandbox: &Sandbox) -> Result<Language, Failure> {
    language_of(Path::new(""), Some(name), sandbox)
}

/// The failure of a file that a person named.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::asked(format!("there is no file `{}`", path.display())),
        _ => Failure::asked(format!("cannot read `{}`: {error}", path.display())),
    }
}

/// The failure of a call that met a fault of the host.
pub(super) fn host_failure(fault: &HostFault) -> Failure {
    Failure::of(FailureKind::Bug, fault)
        .hint("`greensand doctor` checks this machine; if it finds nothing, report this")
}

/// Writes JSON as one line of results; to a person, without what could act on the terminal.
pub(super) fn write_json_line(json: &str, terminal: &Terminal) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let json = if terminal.is_out_terminal() { text::json(json) } else { json.into() };
    out.write_all(json.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Writes text of results.
pub(crate) fn write_text(text: &str, terminal: &Terminal) -> Result<(), Failure> {
    let mut out = terminal.out();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a report for a person; a program gets it in its last line.
pub(super) fn write_text_of(report: &str, terminal: &Terminal) -> Result<(), Failure> {
    match terminal.answers() {
        Answers::Words => write_text(report, terminal),
        Answers::Json => Ok(()),
    }
}

/// Writes the last line of work that came to an end, for a program.
pub(super) fn write_finished(
    ending: Ending,
    run: Option<&Path>,
    report: &impl serde::Serialize,
    terminal: &Terminal,
) -> Result<(), Failure> {
    if terminal.answers() == Answers::Words {
        return Ok(());
    }
    let (word, exit_code) = match ending {
        Ending::Done => ("finished", 0),
        Ending::No => ("interrupted", 1),
    };
    let line = EventLine::Finished {
        ending: word.into(),
        run: run.map(|run| run.display().to_string()),
        exit_code,
        report: serde_json::to_value(report).map_err(|error| Failure::bug(error.to_string()))?,
    };
    Ok(progress::write_line(&line, terminal)?)
}

/// Writes a value as indented JSON.
pub(crate) fn write_json(value: &impl serde::Serialize, terminal: &Terminal) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).map_err(|error| Failure::bug(error.to_string()))?;
    write_json_line(&json, terminal)
}

/// Returns a path for a message.
pub(super) fn shown(path: &Path) -> String {
    text::line(&path.display().to_string()).into_owned()
}
