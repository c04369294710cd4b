use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::diagnostics::{self, Marks};
use super::plan::Plan;
use super::runtime;
use super::toolchain::Toolchain;
use crate::jail::{Jail, JailEnding, JailFault, JailReport, JailedCommand, Priority};
use crate::module::{BuildLimits, ModuleRefusal};

/// The largest module that is taken, in bytes.
const MOST_OUTPUT: u64 = 64 << 20;

/// The room that must be left where a build failed, in bytes: less is no fault of its source.
const ROOM: usize = 1 << 20;

/// What is kept of what a compiler says, in bytes.
const MOST_WORDS: usize = 256 << 10;

/// How well a source is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Soon, because somebody waits.
    Quick,
    /// For speed, in the background.
    Thorough,
}

impl Effort {
    /// Returns its name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Thorough => "thorough",
        }
    }
}

/// Compiles a plan to a module, in the jail.
///
/// # Errors
/// When the source does not compile within its limits, and when the compiler could not be run.
pub(super) fn compile(
    jail: &Jail,
    toolchain: &Toolchain,
    plan: &Plan,
    effort: Effort,
    limits: BuildLimits,
    cache: &Path,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Vec<u8>, ModuleRefusal> {
    jail.check().map_err(|fault| no_compiler(&fault))?;
    let recipe = toolchain.recipe;
    runtime::touch(&toolchain.runtime);
    let fault = |what: &str, error: &std::io::Error| ModuleRefusal::Fault(format!("{what} for a build: {error}"));
    let work = tempfile::Builder::new().prefix("work-").tempdir_in(cache).or_else(|_| tempfile::tempdir());
    let work = work.map_err(|error| fault("make a folder", &error))?;
    plan.write(work.path()).map_err(|error| fault("write the files", &error))?;
    let (further, priority) = match effort {
        Effort::Quick => (recipe.quick, Priority::Usual),
        Effort::Thorough => (recipe.thorough, Priority::Low),
    };
    let paths = |texts: &[&str]| texts.iter().map(|text| PathBuf::from(toolchain.fill(text))).collect();
    let command = JailedCommand {
        program: toolchain.program.clone(),
        arguments: recipe.arguments.iter().chain(further).map(|argument| toolchain.fill(argument)).collect(),
        work: work.path(),
        executable: paths(recipe.executable),
        readable: paths(recipe.readable),
        wall: limits.wall,
        memory_bytes: limits.memory_bytes,
        max_output_bytes: MOST_WORDS,
        priority,
    };
    let report = jail.run(&command, is_cancelled).map_err(|fault| no_compiler(&fault))?;
    match report.ending {
        JailEnding::Exited(0) => {}
        _ => return Err(refusal(toolchain, &report, limits, [work.path(), cache], is_cancelled)),
    }
    let mut module = Vec::new();
    let read = fs::File::open(work.path().join(recipe.output))
        .and_then(|file| file.take(MOST_OUTPUT).read_to_end(&mut module));
    read.map_err(|error| fault("read the output", &error))?;
    Ok(module)
}

/// Says why there is no module.
fn refusal(
    toolchain: &Toolchain,
    report: &JailReport,
    limits: BuildLimits,
    folders: [&Path; 2],
    is_cancelled: &dyn Fn() -> bool,
) -> ModuleRefusal {
    const ABORTED: i32 = 6;
    const OUT_OF_PROCESSOR_TIME: i32 = 24;
    let said = [report.stderr.as_slice(), &report.stdout].concat();
    let too_much = |what: String| ModuleRefusal::BuildLimit(what);
    let memory = || too_much(format!("{} MiB of memory", limits.memory_bytes >> 20));
    let wall = || too_much(format!("{} s", limits.wall.as_secs_f64()));
    match report.ending {
        JailEnding::Cancelled => ModuleRefusal::Abandoned,
        JailEnding::OutOfTime | JailEnding::Signalled(OUT_OF_PROCESSOR_TIME) => wall(),
        // Whoever gets no memory is aborted by its runtime.
        JailEnding::Signalled(ABORTED) if says_no_memory(&said) => memory(),
        JailEnding::Exited(_) | JailEnding::Signalled(_) => {
            let hidden = [(folders[0], "."), (&*toolchain.runtime, "<runtime>"), (&*toolchain.root, "<compiler>")];
            let diagnosis = diagnostics::read(Marks::of(toolchain.recipe), &said, &hidden);
            // What points at nothing in the source may have been the machine's doing.
            let fault = if diagnosis.is_placed { None } else { own_fault(toolchain, folders, is_cancelled) };
            fault.unwrap_or_else(|| ModuleRefusal::NotBuilt(Box::new(diagnosis.failure)))
        }
    }
}

/// Looks for what of this machine would keep any source from being compiled.
///
/// The compiler is asked in our own folder: what it finds beside it in the work folder may be the source's doing, and so
/// is what fills that folder, which goes first.
fn own_fault(
    toolchain: &Toolchain,
    [work, cache]: [&Path; 2],
    is_cancelled: &dyn Fn() -> bool,
) -> Option<ModuleRefusal> {
    let _ = fs::remove_dir_all(work);
    let room = tempfile::tempfile_in(cache).and_then(|mut file| file.write_all(&[0; ROOM]));
    let full = match room.map_err(|error| (error.kind(), error)) {
        Err((io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, error)) => {
            Some(format!("there is no room: {error}"))
        }
        Ok(()) | Err(_) => None,
    };
    let reason = full.or_else(|| toolchain.change(cache, is_cancelled))?;
    Some(ModuleRefusal::Fault(format!("compile a source: {reason}")))
}

/// Says whether a compiler that was aborted told of memory. It chooses between two sentences, not between two classes.
fn says_no_memory(said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(said);
    said.contains("memory allocation of") || said.contains("out of memory")
}

fn no_compiler(fault: &JailFault) -> ModuleRefusal {
    match fault {
        JailFault::NoHelper | JailFault::WallMissing { .. } => {
            ModuleRefusal::NoCompiler(format!("functions cannot be compiled here: {fault}"))
        }
        JailFault::Helper { .. } | JailFault::NotStarted { .. } => {
            let cause = std::error::Error::source(fault).map(|cause| format!(": {cause}")).unwrap_or_default();
            ModuleRefusal::Fault(format!("{fault}{cause}"))
        }
    }
}
