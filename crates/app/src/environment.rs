use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use greensand_sandbox::HelperProgram;

/// What the process was started with: environment variables and the current folder.
///
/// It is read once, at the door; everything below takes it as a value, so that tests need no process of their own.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    current_dir: PathBuf,
    helper: Option<HelperProgram>,
}

/// Variables that begin with the prefix of settings and are none.
const NO_SETTINGS: &[&str] = &[CACHE_VARIABLE, UNJAILED_VARIABLE];
const PREFIX: &str = "GREENSAND_";

/// The variable that names the cache folder.
pub const CACHE_VARIABLE: &str = "GREENSAND_CACHE";

/// The variable that lets compilers run without the walls that the kernel lacks, if it is `1`.
///
/// It is no setting of a project: whoever wrote the project does not own the machine.
pub const UNJAILED_VARIABLE: &str = "GREENSAND_ALLOW_UNJAILED_BUILDS";

impl Environment {
    /// Reads the environment of this process. Variables that are not UTF-8 are left out.
    ///
    /// # Errors
    /// When the current folder no longer exists.
    pub fn current() -> std::io::Result<Self> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let variables = std::env::vars_os().filter_map(text).collect();
        Ok(Self { variables, current_dir: std::env::current_dir()?, helper: None })
    }

    /// Makes an environment of its parts.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>, current_dir: impl Into<PathBuf>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { variables, current_dir: current_dir.into(), helper: None }
    }

    /// Names the program by which the sandbox runs compilers; without one, languages that need it are refused.
    #[must_use]
    pub fn with_helper(self, helper: HelperProgram) -> Self {
        Self { helper: Some(helper), ..self }
    }

    /// Returns the program by which the sandbox runs compilers.
    pub(crate) fn helper(&self) -> Option<&HelperProgram> {
        self.helper.as_ref()
    }

    /// Returns a variable; one that is empty counts as absent.
    pub fn get(&self, variable: &str) -> Option<&str> {
        self.variables.get(variable).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns every variable, for a tool of the user that is run as a child.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the folder that relative paths on the command line start from.
    pub fn current_dir(&self) -> &Path {
        &self.current_dir
    }

    /// Returns the variables that give settings, in the order of their names.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .filter(|(name, value)| {
                name.starts_with(PREFIX) && !NO_SETTINGS.contains(&name.as_str()) && !value.is_empty()
            })
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Names only: values may be secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("current_dir", &self.current_dir)
            .finish()
    }
}
