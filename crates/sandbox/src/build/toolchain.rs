use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use greensand_guest_templates::{GuestTemplate, Recipe};
use greensand_types::ContentId;

use super::runtime;

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
    /// Everything about it that decides what a build is.
    pub(super) id: ContentId,
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
pub(super) fn find(recipe: &Recipe, folders: &[PathBuf], cache: &Path) -> Result<Found, ToolchainStatus> {
    let missing = |what: String, mend: &str| ToolchainStatus::Missing { what, mend: mend.to_owned() };
    let tool = folders.iter().map(|folder| folder.join(recipe.tool)).find(|path| path.is_file());
    let tool = tool.ok_or_else(|| missing(format!("there is no `{}` on this machine", recipe.tool), recipe.install))?;
    let root = says(&tool, recipe.root, cache).map_err(|reason| missing(reason, recipe.install))?;
    let root = PathBuf::from(root);
    let program = PathBuf::from(fill(recipe.program, &[("root", &root)]));
    let version = says(&program, recipe.version, cache).map_err(|reason| missing(reason, recipe.install))?;
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
    ) -> Result<Self, String> {
        let found = find(recipe, folders, cache).map_err(|status| refusal(template, &status))?;
        let mut id = ContentId::of("toolchain");
        // The recipe holds the runtime library in source.
        id.field(format!("{recipe:?}").as_bytes()).field(found.version.as_bytes());
        id.field(template.image().map_or("", |parts| parts.guest.blake3).as_bytes());
        let id = id.finish();
        let runtime = runtime::open(template.name, recipe, &found, id, cache)?;
        let Found { program, root, version: _ } = found;
        Ok(Self { recipe, program, root, runtime, id })
    }

    /// Fills the placeholders of a text.
    pub(super) fn fill(&self, text: &str) -> String {
        fill(text, &[("root", &self.root), ("runtime", &self.runtime)])
    }
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
fn says(program: &Path, arguments: &[&str], cache: &Path) -> Result<String, String> {
    let shown = program.display();
    let output = Command::new(program).args(arguments).current_dir(cache).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("`{shown}` cannot be started: {error}"))?;
    match String::from_utf8(output.stdout) {
        Ok(text) if output.status.success() => Ok(text.trim().to_owned()),
        Ok(_) | Err(_) => Err(format!("`{shown} {}` ended with {}", arguments.join(" "), output.status)),
    }
}
