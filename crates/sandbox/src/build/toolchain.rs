use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use greensand_guest_templates::{GuestTemplate, Recipe};
use greensand_types::ContentId;

use super::runtime;
use super::wait::run_within;

/// How long a compiler may take to say its version: what is found may be a proxy that fetches it first.
const LONGEST_ANSWER: Duration = Duration::from_secs(120);

/// A recipe that fits this machine.
#[derive(Debug)]
pub(crate) struct Toolchain {
    pub(super) recipe: &'static Recipe,
    /// The compiler.
    pub(super) program: PathBuf,
    /// The folder of its installation.
    pub(super) root: PathBuf,
    /// The folder of the built runtime library.
    pub(super) runtime: PathBuf,
    /// What the compiler says of itself.
    version: String,
}

/// Whether sources of a compiled language can be compiled on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolchainStatus {
    /// The language needs no compiler, or there is no such language.
    NotNeeded,
    /// The compiler is there, by the version that it says of itself.
    Found(String),
    /// Something is missing.
    Missing {
        /// What is missing, in words.
        what: String,
        /// The command or the step that mends it.
        mend: String,
    },
}

/// A compiler that was found, with the runtime library still to be looked for.
pub(super) struct Found {
    pub(super) program: PathBuf,
    pub(super) root: PathBuf,
    pub(super) version: String,
}

/// Finds the compiler of a recipe and whatever else it needs.
///
/// # Errors
/// What is missing.
pub(super) fn find(
    recipe: &Recipe,
    folders: &[PathBuf],
    cache: &Path,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Found, ToolchainStatus> {
    let missing = |what: String, mend: &str| ToolchainStatus::Missing { what, mend: mend.to_owned() };
    // It was made as the sandbox was opened, if it can be.
    if !cache.is_dir() {
        let what = format!("the cache folder `{}` is not there", cache.display());
        return Err(missing(what, "choose a cache folder that can be written"));
    }
    let tool = folders.iter().map(|folder| folder.join(recipe.tool)).find(|path| path.is_file());
    let tool = tool.ok_or_else(|| missing(format!("there is no `{}` on this machine", recipe.tool), recipe.install))?;
    let root = says(&tool, recipe.root, cache, is_stopped).map_err(|reason| missing(reason, recipe.install))?;
    let root = PathBuf::from(root);
    let program = PathBuf::from(fill(recipe.program, &[("root", &root)]));
    let version = says(&program, recipe.version, cache, is_stopped);
    let version = version.map_err(|reason| missing(reason, recipe.install))?;
    for requirement in recipe.requirements {
        if !Path::new(&fill(requirement.path, &[("root", &root)])).exists() {
            return Err(missing(format!("{} is missing", requirement.what), requirement.mend));
        }
    }
    Ok(Found { program, root, version })
}

impl Toolchain {
    /// Finds the compiler of a language, and builds its runtime library where that was not done before.
    ///
    /// # Errors
    /// Why the language cannot be compiled here, and what mends it.
    pub(super) fn open(
        template: &'static GuestTemplate,
        recipe: &'static Recipe,
        folders: &[PathBuf],
        cache: &Path,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Self, String> {
        let found = find(recipe, folders, cache, is_stopped).map_err(|status| refusal(template, &status))?;
        let mut compiler = ContentId::of("compiler");
        compiler.field(found.version.as_bytes()).field(found.program.to_string_lossy().as_bytes());
        let ids = [recipe_id(template, recipe), compiler.finish()];
        let runtime = runtime::open(template.name, recipe, &found, ids, cache, is_stopped)?;
        let Found { program, root, version } = found;
        Ok(Self { recipe, program, root, runtime, version })
    }

    /// Says what of it is no longer as it was when it was found, if anything is not.
    pub(super) fn change(&self, cache: &Path, is_stopped: &dyn Fn() -> bool) -> Option<String> {
        if !runtime::is_whole(&self.runtime) {
            return Some(format!("there is no whole library in `{}`", self.runtime.display()));
        }
        match says(&self.program, self.recipe.version, cache, is_stopped) {
            Ok(version) if version == self.version => None,
            Ok(_) => Some(format!("`{}` is another version by now", self.program.display())),
            Err(reason) => Some(reason),
        }
    }

    /// Fills the placeholders of a text.
    pub(super) fn fill(&self, text: &str) -> String {
        fill(text, &[("root", &self.root), ("runtime", &self.runtime)])
    }
}

/// Returns the digest of everything that this repository knows of how a language is built.
pub(super) fn recipe_id(template: &'static GuestTemplate, recipe: &'static Recipe) -> ContentId {
    let mut id = ContentId::of("recipe");
    // It holds the runtime library in source.
    id.field(format!("{recipe:?}").as_bytes());
    id.field(template.image().map_or("", |parts| parts.guest.blake3).as_bytes());
    id.finish()
}

/// Fills placeholders with paths.
pub(super) fn fill(text: &str, values: &[(&str, &Path)]) -> String {
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), &value.to_string_lossy()))
}

fn refusal(template: &GuestTemplate, status: &ToolchainStatus) -> String {
    match status {
        ToolchainStatus::Missing { what, mend } => {
            format!("functions in `{}` cannot be compiled here: {what}; to mend it: {mend}", template.name)
        }
        ToolchainStatus::NotNeeded | ToolchainStatus::Found(_) => String::new(),
    }
}

/// Returns what a program of this machine prints, run in a folder of ours: a project may not choose the compiler.
fn says(program: &Path, arguments: &[&str], cache: &Path, is_stopped: &dyn Fn() -> bool) -> Result<String, String> {
    let shown = program.display();
    let failed = |error: std::io::Error| format!("`{shown}` cannot be started: {error}");
    // A file, because somebody who outlives the program could hold a pipe open.
    let mut said = tempfile::tempfile().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(cache).stdin(Stdio::null()).stderr(Stdio::null());
    command.stdout(said.try_clone().map_err(failed)?);
    let Some(status) = run_within(&mut command, LONGEST_ANSWER, is_stopped).map_err(failed)? else {
        return Err(format!("`{shown} {}` did not end", arguments.join(" ")));
    };
    let mut text = String::new();
    match said.rewind().and_then(|()| said.read_to_string(&mut text)) {
        Ok(_) if status.success() => Ok(text.trim().to_owned()),
        Ok(_) | Err(_) => Err(format!("`{shown} {}` ended with {status}", arguments.join(" "))),
    }
}
