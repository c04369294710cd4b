//! pip as a child: of a Python that has it, or of one that uv brings. It only ever looks at and fetches wheels of pure
//! Python, and starts no program (`guard.py`), so that no build of a package can begin.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::error::PackageError;
use super::lock::{LockedPackage, fault_of};
use super::requirement::{Requirement, normal};
use crate::Environment;

/// The oldest pip whose report has a layout that is promised.
const OLDEST_PIP: u32 = 23;

const PROBE_TIME: Duration = Duration::from_secs(60);
const RESOLVE_TIME: Duration = Duration::from_secs(300);
const FETCH_TIME: Duration = Duration::from_secs(600);

/// Commands that may be a Python with pip, in the order in which they are tried.
const CANDIDATES: [&[&str]; 3] =
    [&["python3"], &["python"], &["uv", "run", "--quiet", "--no-project", "--with", "pip>=23", "python"]];

/// The program that such a Python is given.
const GUARD: &str = include_str!("guard.py");

/// What pip says of a build that the guard stopped.
const STOPPED_BUILD: &str = "greensand lets pip start no program";

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
    #[serde(default)]
    requires_dist: Vec<String>,
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

    /// Finds the packages that meet these requirements, each pinned. Pins that already exist are kept, all of them if that
    /// can be.
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
        if !ended.succeeded && !pins.is_empty() && !is_offline(&ended.complaint) {
            ended = self.dry_run(requirements, scratch.path(), None)?;
        }
        if !ended.succeeded {
            return Err(self.why_unresolved(requirements, &ended.complaint));
        }
        let report: Report =
            serde_json::from_str(&read(&report_in(scratch.path())).map_err(|source| self.failed(source))?)
                .map_err(|source| self.failed(source.into()))?;
        let names: BTreeSet<String> = report.install.iter().map(|found| normal(&found.metadata.name)).collect();
        report.install.into_iter().map(|found| found.into_locked(&names)).collect()
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
        if complaint.contains(STOPPED_BUILD) {
            return PackageError::Builds { requirements: names.join(", ") };
        }
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
        let file = report.install.first()?.file();
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
        let program = std::iter::once(path_text(&self.program)).chain(words(self.arguments));
        program.chain(words(&["-m", "pip"])).collect::<Vec<_>>().join(" ")
    }

    /// Runs the tool to its end or to its deadline. It sees the environment of the user, whose tool it is.
    fn run(&self, arguments: &[String], longest: Duration) -> Result<Ended, PackageError> {
        let scratch = self.scratch()?;
        let place = |name: &str| scratch.path().join(name);
        let file = |name: &str| File::create(place(name)).map_err(|source| self.failed(source));
        let mut command = Command::new(&self.program);
        command.args(self.arguments).args(["-c", GUARD]).args(arguments).env_clear().envs(self.environment.variables());
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
    /// The name of the file, which is the last part of the path of its address.
    fn file(&self) -> String {
        let path = self.download_info.url.split(['?', '#']).next().unwrap_or_default();
        decoded(path.rsplit('/').next().unwrap_or_default())
    }

    /// The pin of what was found among packages of these names.
    fn into_locked(self, names: &BTreeSet<String>) -> Result<LockedPackage, PackageError> {
        let (name, file) = (normal(&self.metadata.name), self.file());
        if !is_pure(&file) {
            return Err(PackageError::Native { name, evidence: format!("its wheel is `{file}`") });
        }
        let Some(sha256) = self.download_info.archive_info.hashes.sha256 else {
            let reason = "the index gives no SHA-256 for it".into();
            return Err(PackageError::BadWheel { name, reason });
        };
        // Conditions and extras are not looked at: what they leave out is not among the names, or needed by another.
        let needs = self.metadata.requires_dist.iter().map(|text| name_at_start(text)).filter(|need| *need != name);
        let needs: BTreeSet<String> = needs.filter(|need| names.contains(need)).collect();
        let (version, sha256, needs) =
            (self.metadata.version, sha256.to_ascii_lowercase(), needs.into_iter().collect());
        let package = LockedPackage { name, version, file, sha256, needs };
        match fault_of(&package) {
            Some(reason) => Err(PackageError::BadWheel { name: package.name, reason }),
            None => Ok(package),
        }
    }
}

/// The name with which a dependency begins, such as `mpmath<1.4,>=1.1.0; python_version > "3"`.
fn name_at_start(dependency: &str) -> String {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let end = dependency.find(|character| !is_of_name(character)).unwrap_or(dependency.len());
    normal(&dependency[..end])
}

/// Reads `%2B` and its like in the last part of an address.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(before.bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend(rest.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
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
    const SIGNS: [&str; 9] = [
        "NewConnectionError",
        "NameResolutionError",
        "Name or service not known",
        "ReadTimeoutError",
        "Failed to establish a new connection",
        "name resolution",
        "ConnectTimeoutError",
        "Network is unreachable",
        "ProxyError",
    ];
    SIGNS.iter().any(|sign| complaint.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, requires_dist: &[&str], sha256: &str, expected: Result<(&str, &[&str]), &str>) {
        let found = Found {
            download_info: Download {
                url: url.into(),
                archive_info: Archive { hashes: Hashes { sha256: Some(sha256.into()) } },
            },
            metadata: Metadata {
                name: "One".into(),
                version: "1.0".into(),
                requires_dist: requires_dist.iter().map(ToString::to_string).collect(),
            },
        };
        let names = ["one", "two", "a-b"].map(str::to_owned).into();
        match (found.into_locked(&names), expected) {
            (Ok(package), Ok((file, needs))) => {
                assert_eq!((package.file.as_str(), package.needs), (file, words(needs)));
                assert_eq!(package.sha256, "a".repeat(64));
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn what_pip_found_is_pinned_whatever_its_address_looks_like() {
        let digest = "a".repeat(64);
        let file = "one-1!1.0+x-py3-none-any.whl";
        check(&format!("https://x/{file}?signature=a/b.zip#c"), &[], &digest, Ok((file, &[])));
        check("https://x/one-1%211.0%2Bx-py3-none-any.whl", &[], &digest.to_uppercase(), Ok((file, &[])));
        check("https://x/one-1.0-cp311-cp311-linux.whl", &[], &digest, Err("native code"));
        check("https://x/one-1.0.tar.gz", &[], &digest, Err("native code"));
        check("https://x/one-1-none-any.whl", &[], "7", Err("64 hex digits"));
        check("https://x/a%2Fone-1-none-any.whl", &[], &digest, Err("is no wheel"));
    }

    #[test]
    fn what_a_package_needs_is_kept_as_far_as_it_was_found() {
        let file = "one-1-none-any.whl";
        let needs = ["Two (>=1)", "A_B[x]>=1; extra == 'y'", "three", "one[z]", ""];
        check(&format!("https://x/{file}"), &needs, &"a".repeat(64), Ok((file, &["a-b", "two"])));
    }
}
