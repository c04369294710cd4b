//! Compiling a module where that can do no harm: in the helper, inside the jail, within the limits of a build.
//!
//! The compiler is ours, its input is not. A module that makes it slow, greedy or fall over costs the helper its life
//! and its author an `invalid`; this process never compiles what it was handed. The code that comes back is trusted all the
//! same: it will be mapped. A module that takes the compiler over, instead of only felling it, is not stopped by the jail.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use greensand_types::Limits;
use wasmtime::OptLevel;

use super::refusal::ModuleRefusal;
use crate::engine;
use crate::image::NativeCode;
use crate::jail::{Jail, JailEnding, JailFault, JailedCommand, Priority};

/// The largest native code that is taken, in bytes.
const MOST_CODE: u64 = 64 << 20;

/// What is kept of the compiler's own words, in bytes.
const MOST_WORDS: usize = 4 << 10;

/// Where programs find what they are linked to.
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// The input and the output of the helper, in its work folder.
const INPUT: &str = "module.wasm";
const OUTPUT: &str = "module.code";

/// The exit status of a helper whose compiler refused the module; its words are on standard error.
pub(crate) const REFUSED: u8 = 3;

/// What compiling may use: the part of a call's limits that is about its build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BuildLimits {
    pub(crate) wall: Duration,
    pub(crate) memory_bytes: u64,
}

impl BuildLimits {
    /// Reads them off the limits of a call.
    pub(crate) fn of(limits: &Limits) -> Self {
        Self { wall: limits.build_wall, memory_bytes: limits.build_memory_bytes }
    }

    /// The same, but never more than by default: what somebody brings holds up whoever waits for a compiler, too.
    pub(crate) fn of_brought(limits: &Limits) -> Self {
        let (own, most) = (Self::of(limits), Self::of(&Limits::DEFAULT));
        Self { wall: own.wall.min(most.wall), memory_bytes: own.memory_bytes.min(most.memory_bytes) }
    }

    /// Says whether these allow nothing that others do not allow.
    pub(super) fn are_within(&self, others: &Self) -> bool {
        self.wall <= others.wall && self.memory_bytes <= others.memory_bytes
    }
}

/// How well a module is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tier {
    /// Soon: for the first calls of code that is compiled better meanwhile.
    Quick,
    /// For speed.
    Full,
}

impl Tier {
    /// Returns its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    /// Returns the setting of the compiler.
    fn opt_level(self) -> OptLevel {
        match self {
            Self::Quick => OptLevel::None,
            Self::Full => OptLevel::Speed,
        }
    }
}

/// Has modules compiled.
pub(crate) struct Compiler {
    jail: Arc<Jail>,
    /// Where work folders are made.
    folder: PathBuf,
}

impl Compiler {
    /// A compiler in this jail, with its work folders in that folder.
    pub(crate) fn new(jail: Arc<Jail>, folder: PathBuf) -> Self {
        Self { jail, folder }
    }

    /// Compiles a module.
    ///
    /// # Errors
    /// When the compiler refuses it or does not come to an end within the limits, and when it could not be run.
    pub(super) fn compile(
        &self,
        wasm: &[u8],
        is_component: bool,
        tier: Tier,
        priority: Priority,
        limits: BuildLimits,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<NativeCode, ModuleRefusal> {
        let helper = self.jail.check().map_err(no_compiler)?;
        let fault = |what: &'static str| {
            move |error: io::Error| ModuleRefusal::Fault(format!("{what} for compiling a module: {error}"))
        };
        let work = tempfile::Builder::new().prefix("work-").tempdir_in(&self.folder).or_else(|_| tempfile::tempdir());
        let work = work.map_err(fault("make a folder"))?;
        fs::write(work.path().join(INPUT), wasm).map_err(fault("write the input"))?;
        let shape = if is_component { "component" } else { "module" };
        let orders = ["compile", shape, tier.as_str()].map(str::to_owned);
        let command = JailedCommand {
            program: helper.program.clone(),
            arguments: [helper.arguments.as_slice(), &orders].concat(),
            work: work.path(),
            executable: LIBRARIES.iter().map(PathBuf::from).chain([helper.program.clone()]).collect(),
            readable: vec!["/etc/ld.so.cache".into()],
            wall: limits.wall,
            memory_bytes: limits.memory_bytes,
            max_output_bytes: MOST_WORDS,
            priority,
        };
        let report = self.jail.run(&command, is_cancelled).map_err(no_compiler)?;
        match report.ending {
            JailEnding::Exited(0) => {}
            ending => return Err(failed(ending, limits, &String::from_utf8_lossy(&report.stderr))),
        }
        let mut code = Vec::new();
        let read =
            fs::File::open(work.path().join(OUTPUT)).and_then(|file| file.take(MOST_CODE + 1).read_to_end(&mut code));
        read.map_err(fault("read the output"))?;
        if code.len() as u64 > MOST_CODE {
            return Err(ModuleRefusal::NotCompiled(format!("its native code takes more than {} MiB", MOST_CODE >> 20)));
        }
        Ok(NativeCode::from_helper(code))
    }
}

fn no_compiler(fault: JailFault) -> ModuleRefusal {
    match fault {
        JailFault::NoHelper | JailFault::WallMissing { .. } => {
            ModuleRefusal::NoCompiler(format!("modules cannot be compiled here: {fault}"))
        }
        JailFault::Helper { .. } | JailFault::NotStarted { .. } => {
            let cause = std::error::Error::source(&fault).map(|cause| format!(": {cause}")).unwrap_or_default();
            ModuleRefusal::Fault(format!("{fault}{cause}"))
        }
    }
}

/// Says why the compiler did not come back with code.
fn failed(ending: JailEnding, limits: BuildLimits, words: &str) -> ModuleRefusal {
    const ABORTED: i32 = 6;
    const KILLED: i32 = 9;
    const OUT_OF_TIME: i32 = 24;
    match ending {
        JailEnding::Exited(status) if status == i32::from(REFUSED) => ModuleRefusal::NotCompiled(words.trim().into()),
        JailEnding::OutOfTime | JailEnding::Signalled(OUT_OF_TIME | KILLED) => {
            ModuleRefusal::BuildLimit(format!("{} s", limits.wall.as_secs_f64()))
        }
        // Whoever asks for memory that there is none of is aborted by the runtime.
        JailEnding::Signalled(ABORTED) => {
            ModuleRefusal::BuildLimit(format!("{} MiB of memory", limits.memory_bytes >> 20))
        }
        JailEnding::Cancelled => ModuleRefusal::Abandoned,
        JailEnding::Exited(_) | JailEnding::Signalled(_) => {
            ModuleRefusal::NotCompiled("the compiler did not survive it".into())
        }
    }
}

/// Compiles in this process, which is the helper's: from [`INPUT`] to [`OUTPUT`] in the current folder. Returns why the
/// compiler refuses the module, if it does.
///
/// # Errors
/// When the order is none, or a file cannot be read or written.
pub(crate) fn compile_here(shape: &str, tier: &str) -> Result<Option<String>, String> {
    let tier = [Tier::Quick, Tier::Full].into_iter().find(|known| known.as_str() == tier);
    let tier = tier.ok_or("this is no way to compile a module")?;
    let wasm = fs::read(INPUT).map_err(|error| format!("read `{INPUT}`: {error}"))?;
    let engine = engine::for_compiling(tier.opt_level()).map_err(|error| format!("start the compiler: {error:#}"))?;
    let compiled = match shape {
        "component" => engine.precompile_component(&wasm),
        _ => engine.precompile_module(&wasm),
    };
    match compiled {
        Ok(code) => fs::write(OUTPUT, code).map(|()| None).map_err(|error| format!("write `{OUTPUT}`: {error}")),
        Err(error) => Ok(Some(format!("{error:#}"))),
    }
}
