use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use greensand_app::batch::{LIMIT_KEYS, outcome_json, set_limit};
use greensand_app::packages::LockedPackages;
use greensand_app::{InstanceMode, Sandbox, SetSource, guest_languages, module_source};
use greensand_types::{
    CallEnding, CallOutcome, Encoding, Entry, FileName, FunctionDraft, FunctionRuntime, Grants, InputFiles, Invocation,
    JsonKind, JsonText, LimitKind, Limits, SourceText,
};

use super::common;
use super::packages::{self, PackageFlags};
use crate::failure::{Ending, Failure};
use crate::terminal::{BAD, BOLD, DIM, Terminal};
use crate::text;

/// Run one function: of a file, or of a set that a run has learned.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// A source file, or a run folder (`RUN` or `RUN:SET`)
    #[arg(value_name = "FILE|RUN")]
    target: PathBuf,

    /// The function of the run's set
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// The function of the file
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    entry: Option<String>,

    /// The arguments: a JSON array (by position) or object (by name); `@FILE` reads them, `-` takes standard input
    #[arg(long, value_name = "JSON", default_value = "[]", allow_hyphen_values = true)]
    args: String,

    /// The language of the file, if its ending does not say it
    #[arg(long, value_name = "L")]
    language: Option<String>,

    #[command(flatten)]
    packages: PackageFlags,

    /// Sets a limit, such as wall_ms=500 or memory_mb=64; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    limit: Vec<String>,

    /// A file that the function may read under a name of its own; may be given again
    #[arg(long, value_name = "NAME=PATH")]
    file: Vec<String>,

    /// How results that JSON cannot hold are written
    #[arg(long, value_enum, default_value_t)]
    encoding: EncodingFlag,

    /// The seed of the call's randomness
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Where the instance of a call comes from: used and made as new, the same and compared, or new
    #[arg(long, value_name = "MODE", value_parser = common::instances())]
    instances: Option<InstanceMode>,

    /// Prints the whole outcome as JSON: status, value or error, output, usage
    #[arg(long)]
    json: bool,
}

const HELP: &str = r#"The value goes to standard output, what the function wrote and what went wrong to standard error.
The exit code is 0 when the function returned a value, 1 when it did not.

Limits: wall_ms, memory_mb, max_arg_bytes, max_result_bytes, max_stdout_bytes, max_stderr_bytes, build_wall_ms,
build_memory_mb. A function of a run may call the others of its set where the project lets them call each other.

Examples:
  greensand call gcd.py --entry gcd --args '[462, 1071]'
  greensand call gcd.py --entry gcd --args '{"a": 462, "b": 1071}' --limit wall_ms=100 --json
  greensand call table.py --entry total --file data/sales.csv=./sales-2025.csv
  greensand call roots.py --entry roots --packages sympy --args '["x**2 - 5*x + 6"]'
  greensand call examples/quickstart/runs/RUN totient_sum --args '{"first": 1, "last": 100}'
  greensand call examples/quickstart/runs/RUN:SET totient_sum --args @arguments.json"#;

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum EncodingFlag {
    /// They are an error, with their type and place
    #[default]
    Strict,
    /// They become {"$type": .., "$text": ..}
    Tagged,
}

/// What the files that a function may read may have together, in bytes.
const MAX_FILES_BYTES: u64 = 256 << 20;

/// What is called, before arguments and limits.
struct Callee {
    source: SourceText,
    entry: String,
    /// The functions that it may call.
    others: Vec<FunctionDraft>,
    /// The set that it is of; the empty one for a function of a file.
    origin: SetSource,
}

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    // Everything that can be asked wrongly is checked before anything is started.
    let call_arguments = read_arguments(&arguments.args)?;
    check_limits(&arguments.limit)?;
    let files = read_files(&arguments.file)?;
    let environment = common::environment()?;
    let learned = if arguments.target.is_file() { None } else { Some(callee_of_run(arguments)?) };
    if learned.is_none() {
        let language = common::language_among(&arguments.target, arguments.language.as_deref(), &guest_languages())?;
        arguments.packages.check_language(&language)?;
    }
    let needs_packages = learned.as_ref().is_some_and(|callee| !callee.source.packages.is_empty());
    let run = needs_packages.then(|| run_folder(&arguments.target));
    let packages = arguments.packages.open(run.as_deref(), &environment, terminal)?;
    let sandbox = packages::open_sandbox(&environment, packages.as_ref(), 1, arguments.instances)?;
    let callee = match learned {
        Some(callee) => callee,
        None => callee_of_file(arguments, packages.as_ref(), &sandbox)?,
    };
    let language = &callee.source.language;
    let Some(limits) = sandbox.default_limits(language) else {
        return Err(Failure::asked(format!("no guest language is called `{language}`")));
    };
    let mut limits = callee.origin.limits(limits)?;
    for assignment in &arguments.limit {
        apply_limit(&mut limits, assignment)?;
    }
    common::prepare_for(&sandbox, &callee.source, terminal)?;
    let entry = callee.entry.clone();
    let grant = |draft: &FunctionDraft| {
        let limits = callee.origin.limits(sandbox.default_limits(&draft.language).unwrap_or_default())?;
        Ok((draft.signature.name().clone(), draft.to_grant(limits)))
    };
    let functions = callee.others.iter().map(grant).collect::<Result<_, Failure>>()?;
    let invocation = Invocation {
        encoding: arguments.encoding.into(),
        seed: arguments.seed,
        grants: Grants { files, functions, ..Grants::default() },
        ..Invocation::new(callee.source, Entry::Function(callee.entry), call_arguments, limits)
    };
    let outcome = common::block_on(sandbox.invoke(invocation))?.map_err(|fault| common::host_failure(&fault))?;
    let written =
        if arguments.json { write_json(&outcome, terminal) } else { write(&entry, &outcome, &limits, terminal) };
    written?;
    Ok(if outcome.value().is_some() { Ending::Done } else { Ending::No })
}

fn callee_of_file(
    arguments: &Arguments,
    packages: Option<&LockedPackages>,
    sandbox: &Sandbox,
) -> Result<Callee, Failure> {
    let path = &arguments.target;
    let Some(entry) = arguments.entry.as_ref().or(arguments.name.as_ref()) else {
        return Err(Failure::asked("which function of the file is to be called?").hint("name it with `--entry NAME`"));
    };
    let language = common::language_of(path, arguments.language.as_deref(), sandbox)?;
    let text = match common::has_image(sandbox, &language) {
        true => read_source(path)?,
        false => read_module(path)?,
    };
    let packages = arguments.packages.names(packages)?;
    let source = SourceText { language, text, packages };
    Ok(Callee { source, entry: entry.clone(), others: Vec::new(), origin: SetSource::Empty })
}

/// The folder of a target such as `RUN:SET`.
fn run_folder(target: &Path) -> PathBuf {
    let text = target.to_string_lossy();
    match text.rsplit_once(':') {
        Some((folder, _)) if !target.exists() => folder.into(),
        Some(_) | None => target.to_owned(),
    }
}

fn callee_of_run(arguments: &Arguments) -> Result<Callee, Failure> {
    // What a run has written is checked against its id as it is read; the sandbox needs no more to run it.
    let target = arguments.target.to_string_lossy();
    if !arguments.target.exists() && !target.contains(':') {
        return Err(Failure::asked(format!("there is no file or run at `{target}`"))
            .hint("name a source file, a run folder, or `RUN:SET`"));
    }
    let chosen = SetSource::parse(&target);
    let set = chosen.read()?;
    let names: Vec<_> = set.functions.iter().map(|draft| format!("`{}`", draft.signature.name())).collect();
    let listed = match names.as_slice() {
        [] => "the set has no functions".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    };
    let Some(name) = arguments.name.as_ref().or(arguments.entry.as_ref()) else {
        return Err(Failure::asked("which function of the set is to be called?")
            .hint(format!("name it after the run; {listed}")));
    };
    let Some(draft) = set.functions.iter().find(|draft| draft.signature.name().as_str() == name).cloned() else {
        return Err(Failure::asked(format!("the set has no function `{name}`")).hint(listed));
    };
    let source = SourceText { language: draft.language, text: draft.source, packages: draft.packages };
    // As it was called in the run.
    let others = if chosen.may_call_each_other()? { set.functions } else { Vec::new() };
    Ok(Callee { source, entry: name.clone(), others, origin: chosen })
}

/// Reads a source that is a module: its binary, or what stands for it in text already.
fn read_module(path: &Path) -> Result<Arc<str>, Failure> {
    let bytes = fs::read(path).map_err(|error| common::unreadable(path, &error))?;
    if ["(module", "(component"].iter().any(|start| bytes.trim_ascii_start().starts_with(start.as_bytes())) {
        return Err(Failure::asked(format!("`{}` is WebAssembly in text", path.display()))
            .hint("make a binary of it first, with `wat2wasm` or `wasm-tools parse`"));
    }
    Ok(module_source(&bytes).into())
}

fn read_source(path: &Path) -> Result<Arc<str>, Failure> {
    let bytes = fs::read(path).map_err(|error| common::unreadable(path, &error))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => Err(Failure::asked(format!(
            "`{}` is not UTF-8 text: byte {} is wrong",
            path.display(),
            error.utf8_error().valid_up_to() + 1
        ))),
    }
}

/// Reads the files that the function may read, within a bound for all of them together.
fn read_files(assignments: &[String]) -> Result<InputFiles, Failure> {
    let mut files = InputFiles::default();
    let mut room = MAX_FILES_BYTES;
    for assignment in assignments {
        let asked_wrongly = |reason: &dyn Display| Failure::asked(format!("`--file {assignment}`: {reason}"));
        let Some((name, path)) = assignment.split_once('=') else {
            return Err(asked_wrongly(&"there is no path").hint("write for example `--file data.csv=./data.csv`"));
        };
        let name: FileName = name.parse().map_err(|error| asked_wrongly(&error))?;
        let path = Path::new(path);
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(room + 1).read_to_end(&mut bytes));
        read.map_err(|error| common::unreadable(path, &error))?;
        room = room.checked_sub(bytes.len() as u64).ok_or_else(|| {
            asked_wrongly(&format_args!("the files have more than {} MiB together", MAX_FILES_BYTES >> 20))
        })?;
        files.insert(name, bytes).map_err(|error| asked_wrongly(&error))?;
    }
    Ok(files)
}

fn read_arguments(text: &str) -> Result<JsonText, Failure> {
    let text = match text.strip_prefix('@') {
        Some(path) => fs::read_to_string(path).map_err(|error| common::unreadable(Path::new(path), &error))?,
        None if text == "-" => {
            let mut read = String::new();
            io::stdin()
                .read_to_string(&mut read)
                .map_err(|error| Failure::asked(format!("cannot read the arguments from standard input: {error}")))?;
            read
        }
        None => text.to_owned(),
    };
    let hint = "write a JSON array (by position) such as '[1, \"a\"]', or an object (by name) such as '{\"n\": 1}'";
    let arguments =
        JsonText::parse(&text).map_err(|error| Failure::asked(format!("`--args` is {error}")).hint(hint))?;
    match arguments.kind() {
        JsonKind::Array | JsonKind::Object => Ok(arguments),
        JsonKind::Null | JsonKind::Bool | JsonKind::Number | JsonKind::String => {
            Err(Failure::asked("`--args` is neither an array nor an object").hint(hint))
        }
    }
}

fn check_limits(assignments: &[String]) -> Result<(), Failure> {
    let mut limits = Limits::DEFAULT;
    assignments.iter().try_for_each(|assignment| apply_limit(&mut limits, assignment))
}

fn apply_limit(limits: &mut Limits, assignment: &str) -> Result<(), Failure> {
    let Some((name, value)) = assignment.split_once('=') else {
        return Err(Failure::asked(format!("`--limit {assignment}` has no value"))
            .hint("write for example `--limit wall_ms=500`"));
    };
    set_limit(limits, name.trim(), value.trim())
        .map_err(|error| Failure::asked(error.to_string()).hint("`greensand call --help` lists the limits"))
}

fn write_json(outcome: &CallOutcome, terminal: &Terminal) -> Result<(), Failure> {
    common::write_json_line(&outcome_json(outcome), terminal)
}

fn write(entry: &str, outcome: &CallOutcome, limits: &Limits, terminal: &Terminal) -> Result<(), Failure> {
    for (name, kept) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        let cut = if kept.is_truncated { " (cut at its limit)" } else { "" };
        if !kept.text.is_empty() || kept.is_truncated {
            let text = text::block(&kept.text);
            terminal.say(format_args!("{DIM}{name} of the function{cut}:{DIM:#}\n{}", text.trim_end_matches('\n')));
        }
    }
    if let Some(value) = outcome.value() {
        return common::write_json_line(value.get(), terminal);
    }
    let failure = outcome.failure().cloned().unwrap_or_default();
    let mut err = terminal.err();
    writeln!(
        err,
        "{BAD}{}{BAD:#}: function `{}`: {}",
        outcome.status(),
        text::line(entry),
        text::block(&failure.message)
    )?;
    if let Some(trace) = &failure.trace {
        writeln!(err, "{DIM}{}{DIM:#}", text::block(trace).trim_end_matches('\n'))?;
    }
    if let Some(hint) = limit_hint(outcome, limits) {
        writeln!(err, "  {BOLD}hint{BOLD:#}: {hint}")?;
    }
    Ok(())
}

fn limit_hint(outcome: &CallOutcome, limits: &Limits) -> Option<String> {
    let CallEnding::LimitHit(kind, _) = &outcome.ending else { return None };
    Some(match kind {
        LimitKind::Wall => higher("wall_ms", u64::try_from(limits.wall.as_millis()).unwrap_or(u64::MAX))?,
        LimitKind::Memory => higher("memory_mb", limits.memory_bytes >> 20)?,
        LimitKind::Output => {
            "raise the limit with `--limit max_stdout_bytes=N`, `max_stderr_bytes` or `max_result_bytes`".into()
        }
    })
}

/// How a limit is set to twice what it was, if that can be.
fn higher(name: &str, value: u64) -> Option<String> {
    let most = LIMIT_KEYS.iter().find(|key| key.name == name)?.most;
    (value < most).then(|| format!("raise the limit with `--limit {name}={}`", value.saturating_mul(2).min(most)))
}

impl From<EncodingFlag> for Encoding {
    fn from(flag: EncodingFlag) -> Self {
        match flag {
            EncodingFlag::Strict => Self::Strict,
            EncodingFlag::Tagged => Self::Tagged,
        }
    }
}
