//! How a compiler of the user's machine is found, checked and called: data, so that the host knows no compiler.
//!
//! Texts may hold placeholders: `{root}` is the folder of the compiler's installation, `{runtime}` that of the built
//! [`Runtime`]. Sources lie in the folder in which the compiler runs, and what it makes ends there.

/// How sources of a language are compiled.
#[derive(Debug)]
pub struct Recipe {
    /// The program that is looked for among the user's.
    pub tool: &'static str,
    /// The arguments with which it prints the folder of its installation.
    pub root: &'static [&'static str],
    /// The compiler itself, which need not be the program that was found.
    pub program: &'static str,
    /// The arguments with which the compiler prints its version.
    pub version: &'static [&'static str],
    /// What must be there.
    pub requirements: &'static [Requirement],
    /// What to do when there is no such program.
    pub install: &'static str,
    /// Folders and files that the compiler may read and run; those that do not exist are left out.
    pub executable: &'static [&'static str],
    /// Folders and files that the compiler may read.
    pub readable: &'static [&'static str],
    /// The arguments of every build.
    pub arguments: &'static [&'static str],
    /// Further arguments of the first build, which should be quick.
    pub quick: &'static [&'static str],
    /// Further arguments of the second build, whose code should be.
    pub thorough: &'static [&'static str],
    /// The file that a build makes.
    pub output: &'static str,
    /// How the line of a diagnostic begins that says what is wrong.
    pub error_mark: &'static str,
    /// How the line begins that says where: a file, a line and a column follow, with colons between.
    pub place_mark: &'static str,
    /// What every build is linked with.
    pub runtime: Runtime,
}

/// A file or folder of the compiler's installation.
#[derive(Debug)]
pub struct Requirement {
    /// Its path.
    pub path: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// The command by which it comes.
    pub mend: &'static str,
}

/// A library in source, built once per machine and compiler.
#[derive(Debug)]
pub struct Runtime {
    /// Its files, by their paths.
    pub files: &'static [(&'static str, &'static str)],
    /// The program that builds it.
    pub program: &'static str,
    /// Environment variables of that program, beside the user's own: names and values. `{program}` is the compiler.
    pub environment: &'static [(&'static str, &'static str)],
    /// The arguments that need no network; these are tried first.
    pub offline: &'static [&'static str],
    /// The arguments that may fetch what it is built from.
    pub online: &'static [&'static str],
    /// The folder of what was built that builds need.
    pub output: &'static str,
}
