//! pip as a child: on its own, or run by uv. It only ever looks at and fetches wheels of pure Python.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::error::PackageError;
use super::lock::LockedPackage;
use super::requirement::{Requirement, normal};
use crate::Environment;

/// The oldest pip whose report has a layout that is promised.
const OLDEST_PIP: u32 = 23;

const PROBE_TIME: Duration = Duration::from_secs(60);
const RESOLVE_TIME: Duration = Duration::from_secs(300);
const FETCH_TIME: Duration = Duration::from_secs(600);

/// Commands that may be pip, in the order in which they are tried.
const CANDIDATES: [&[&str]; 4] =
    [&["python3", "-m", "pip"], &["pip3"], &["pip"], &["uv", "tool", "run", "--quiet", "pip"]];

/// What makes pip choose pure wheels alone, whatever machine it runs on.
const PURE_WHEELS: [&str; 8] =
    ["--only-binary=:all:", "--implementation", "py", "--abi", "none", "--platform", "any", "--python-version"];

/// A pip that can be run.
#[derive(Debug)]
pub(super) struct Pip<'a> {
    environment: &'a Environment,
    program: PathBuf,
    arguments: &'static [&'static str],
    python: &'a str,
}

/// How a run of the tool ended.
struct Ended {
    succeeded: bool,
    output: String,
    complaint: String,
}

/// The part of pip's report that is used.
#[derive(Deserialize)]
struct Report {
    install: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    download_info: Download,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Download {
    url: String,
    #[serde(default)]
    archive_info: Archive,
}

#[derive(Deserialize, Default)]
struct Archive {
    #[serde(default)]
    hashes: Hashes,
}

#[derive(Deserialize, Default)]
struct Hashes {
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

impl<'a> Pip<'a> {
    /// Finds a pip, for packages that run on this version of Python.
    ///
    /// # Errors
    /// When there is none that is new enough.
    pub(super) fn find(environment: &'a Environment, python: &'a str) -> Result<Self, PackageError> {
        for candidate in CANDIDATES {
            let Some((name, arguments)) = candidate.split_first() else { continue };
            let Some(program) = find_program(environment, name) else { continue };
            let pip = Self { environment, program, arguments, python };
            if pip.is_new_enough() {
                return Ok(pip);
            }
        }
        Err(PackageError::NoTool)
    }

    fn is_new_enough(&self) -> bool {
        // `pip 23.2.1 from ...`
        let version = self.run(&["--version".into()], PROBE_TIME).ok().filter(|ended| ended.succeeded);
        let major = version.and_then(|ended| ended.output.split([' ', '.']).nth(1)?.parse::<u32>().ok());
        major.is_some_and(|major| major >= OLDEST_PIP)
    }

    /// Finds the packages that meet these requirements, each pinned. Pins that already exist are kept where they can be.
    ///
    /// # Errors
    /// When there are none that fit, or not of pure Python, or the index cannot be reached.
    pub(super) fn resolve(
        &self,
        requirements: &[Requirement],
        pinned: &[LockedPackage],
    ) -> Result<Vec<LockedPackage>, PackageError> {
        let scratch = self.scratch()?;
        let constraints = scratch.path().join("constraints.txt");
        let pins: String = pinned.iter().map(|package| format!("{}=={}\n", package.name, package.version)).collect();
        fs::write(&constraints, &pins).map_err(|source| self.failed(source))?;
        let mut ended = self.dry_run(requirements, scratch.path(), Some(&constraints))?;
        if !ended.succeeded && !pins.is_empty() {
            ended = self.dry_run(requirements, scratch.path(), None)?;
        }
        if !ended.succeeded {
            return Err(self.why_unresolved(requirements, &ended.complaint));
        }
        let report: Report =
            serde_json::from_str(&read(&report_in(scratch.path())).map_err(|source| self.failed(source))?)
                .map_err(|source| self.failed(source.into()))?;
        report.install.into_iter().map(Found::into_locked).collect()
    }

    /// Asks for a report on what would be installed.
    fn dry_run(
        &self,
        requirements: &[Requirement],
        scratch: &Path,
        constraints: Option<&Path>,
    ) -> Result<Ended, PackageError> {
        let mut arguments = words(&["install", "--quiet", "--no-input", "--dry-run", "--ignore-installed", "--target"]);
        arguments.push(path_text(&scratch.join("nothing")));
        arguments.extend(self.pure_wheels());
        arguments.extend(["--report".into(), path_text(&report_in(scratch))]);
        if let Some(constraints) = constraints {
            arguments.extend(["--constraint".into(), path_text(constraints)]);
        }
        arguments.push("--".into());
        arguments.extend(requirements.iter().map(ToString::to_string));
        self.run(&arguments, RESOLVE_TIME)
    }

    /// Fetches wheels into a folder. pip checks their hashes, and so does whoever keeps them.
    ///
    /// # Errors
    /// When one cannot be had, or is not the one that was pinned.
    pub(super) fn fetch(&self, packages: &[&LockedPackage], into: &Path) -> Result<(), PackageError> {
        let list = into.join("requirements.txt");
        let lines = packages.iter().map(|pin| format!("{}=={} --hash=sha256:{}\n", pin.name, pin.version, pin.sha256));
        fs::write(&list, lines.collect::<String>()).map_err(|source| self.failed(source))?;
        let mut arguments = words(&["download", "--quiet", "--no-input", "--no-deps", "--require-hashes", "--dest"]);
        arguments.push(path_text(into));
        arguments.extend(self.pure_wheels());
        arguments.extend(["--requirement".into(), path_text(&list)]);
        let ended = self.run(&arguments, FETCH_TIME)?;
        if ended.succeeded {
            return Ok(());
        }
        if let Some((package, found)) = wrong_hash(&ended.complaint, packages) {
            let (name, expected) = (package.name.clone(), package.sha256.clone());
            return Err(PackageError::WrongHash { name, expected, found });
        }
        let names: Vec<_> = packages.iter().map(|package| format!("`{}` {}", package.name, package.version)).collect();
        let (reason, offline) = (last_error(&ended.complaint), is_offline(&ended.complaint));
        Err(PackageError::NotFetched { packages: names.join(", "), reason, offline })
    }

    /// Words a failed resolution. Whether a package has native code is seen from the wheels that this machine would get.
    fn why_unresolved(&self, requirements: &[Requirement], complaint: &str) -> PackageError {
        let names: Vec<_> = requirements.iter().map(|requirement| format!("`{requirement}`")).collect();
        let offline = is_offline(complaint);
        let missing = complaint.lines().find_map(|line| {
            let (_, rest) = line.split_once("No matching distribution found for ")?;
            rest.split([' ', '(']).next()?.parse::<Requirement>().ok()
        });
        if let Some(evidence) = missing.as_ref().filter(|_| !offline).and_then(|missing| self.native_wheel_of(missing))
        {
            let name = missing.map(|missing| missing.name().to_owned()).unwrap_or_default();
            return PackageError::Native { name, evidence };
        }
        PackageError::Unresolved { requirements: names.join(", "), reason: last_error(complaint), offline }
    }

    /// The wheel of a package that is for this machine only, if there is one.
    fn native_wheel_of(&self, requirement: &Requirement) -> Option<String> {
        let scratch = self.scratch().ok()?;
        let mut arguments =
            words(&["install", "--quiet", "--no-input", "--dry-run", "--ignore-installed", "--no-deps"]);
        arguments.extend(["--only-binary=:all:".into(), "--report".into(), path_text(&report_in(scratch.path()))]);
        arguments.extend(["--".into(), requirement.to_string()]);
        self.run(&arguments, RESOLVE_TIME).ok().filter(|ended| ended.succeeded)?;
        let report: Report = serde_json::from_str(&read(&report_in(scratch.path())).ok()?).ok()?;
        let file = report.install.first()?.file().to_owned();
        (!is_pure(&file)).then(|| format!("its wheel is `{file}`"))
    }

    fn pure_wheels(&self) -> Vec<String> {
        let mut arguments = words(&PURE_WHEELS);
        arguments.push(self.python.to_owned());
        arguments
    }

    fn scratch(&self) -> Result<tempfile::TempDir, PackageError> {
        tempfile::tempdir().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> PackageError {
        PackageError::Run { tool: self.shown(), source }
    }

    fn shown(&self) -> String {
        let words: Vec<_> = std::iter::once(path_text(&self.program)).chain(words(self.arguments)).collect();
        words.join(" ")
    }

    /// Runs the tool to its end or to its deadline. It sees the environment of the user, whose tool it is.
    fn run(&self, arguments: &[String], longest: Duration) -> Result<Ended, PackageError> {
        let scratch = self.scratch()?;
        let place = |name: &str| scratch.path().join(name);
        let file = |name: &str| File::create(place(name)).map_err(|source| self.failed(source));
        let mut command = Command::new(&self.program);
        command.args(self.arguments).args(arguments).env_clear().envs(self.environment.variables());
        command.env("PIP_DISABLE_PIP_VERSION_CHECK", "1").current_dir(scratch.path());
        command.stdin(Stdio::null()).stdout(file("out")?).stderr(file("err")?);
        let mut child = command.spawn().map_err(|source| self.failed(source))?;
        let until = Instant::now() + longest;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|source| self.failed(source))? {
                break status;
            }
            if Instant::now() > until {
                // Whatever comes of it, the tool is no longer waited for.
                let _ = child.kill();
                let _ = child.wait();
                return Err(PackageError::TooSlow { tool: self.shown(), seconds: longest.as_secs() });
            }
            thread::sleep(Duration::from_millis(10));
        };
        let text = |name: &str| read(&place(name)).map_err(|source| self.failed(source));
        Ok(Ended { succeeded: status.success(), output: text("out")?, complaint: text("err")? })
    }
}

impl Found {
    /// The name of the file, which is the last part of its address.
    fn file(&self) -> &str {
        self.download_info.url.rsplit('/').next().unwrap_or_default()
    }

    fn into_locked(self) -> Result<LockedPackage, PackageError> {
        let (name, file) = (normal(&self.metadata.name), self.file().replace("%2B", "+"));
        if !is_pure(&file) {
            return Err(PackageError::Native { name, evidence: format!("its wheel is `{file}`") });
        }
        let Some(sha256) = self.download_info.archive_info.hashes.sha256 else {
            let reason = "the index gives no SHA-256 for it".into();
            return Err(PackageError::BadWheel { name, reason });
        };
        Ok(LockedPackage { name, version: self.metadata.version, file, sha256 })
    }
}

/// Says whether the name of a wheel is that of one for every machine.
fn is_pure(file: &str) -> bool {
    file.ends_with("-none-any.whl")
}

fn find_program(environment: &Environment, name: &str) -> Option<PathBuf> {
    let folders = environment.get("PATH")?;
    std::env::split_paths(folders).map(|folder| folder.join(name)).find(|path| path.is_absolute() && path.is_file())
}

fn report_in(scratch: &Path) -> PathBuf {
    scratch.join("report.json")
}

/// Reads a file of the tool, up to a bound.
fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    const MOST: u64 = 64 << 20;
    let mut bytes = Vec::new();
    Read::take(File::open(path)?, MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// pip names the hashes of a wheel that is not the pinned one: `Expected sha256 ..`, `Got ..`.
fn wrong_hash<'a>(complaint: &str, packages: &[&'a LockedPackage]) -> Option<(&'a LockedPackage, String)> {
    let after = |mark: &str| complaint.split_once(mark).and_then(|(_, rest)| rest.split_whitespace().next());
    let (expected, found) = (after("Expected sha256")?, after("Got")?);
    let package = packages.iter().find(|package| package.sha256 == expected)?;
    Some((package, found.to_owned()))
}

/// The last error that the tool names, without the word itself.
fn last_error(complaint: &str) -> String {
    let mut errors = complaint.lines().filter_map(|line| line.trim().strip_prefix("ERROR: "));
    let last = errors.next_back().or_else(|| complaint.lines().rfind(|line| !line.trim().is_empty()));
    last.unwrap_or("the tool failed without a word").chars().take(500).collect()
}

fn is_offline(complaint: &str) -> bool {
    const SIGNS: [&str; 6] = [
        "NewConnectionError",
        "Failed to establish a new connection",
        "name resolution",
        "ConnectTimeoutError",
        "Network is unreachable",
        "ProxyError",
    ];
    SIGNS.iter().any(|sign| complaint.contains(sign))
}
