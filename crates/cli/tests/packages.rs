//! Packages from the command line: `--packages`, `--lock` and a project's list, with a pip that is a script of this suite,
//! so that no network is needed. One test runs the pip of the machine, where there is one.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected is found")]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Answer, command, repository, run};
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const FUNCTION: &str = "import answers\ndef f(): return answers.deep_thought()\n";
const MODULE: &[u8] = b"def deep_thought():\n    return 42\n";
const WHEEL: &str = "answers-1.0-py3-none-any.whl";

/// What pip would find: one wheel.
struct Wheel {
    name: &'static str,
    file: &'static str,
    bytes: Vec<u8>,
    /// The SHA-256 that the index gives.
    sha256: String,
}

fn wheel(file: &'static str, entries: &[(&str, &[u8])]) -> Wheel {
    let bytes = zip(entries);
    Wheel { name: "answers", file, sha256: sha256(&bytes), bytes }
}

fn good() -> Wheel {
    wheel(WHEEL, &[("answers.py", MODULE), ("answers-1.0.dist-info/METADATA", b"Name: answers\nVersion: 1.0\n")])
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A zip file, deflated.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
        deflate.write_all(content).unwrap();
        let packed = deflate.finish().unwrap();
        let mut crc = Crc::new();
        crc.update(content);
        let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
        let common = [
            [20, 0, 0, 0, 8, 0, 0, 0, 0x21, 0].as_slice(),
            &crc.sum().to_le_bytes(),
            &number(packed.len()),
            &number(content.len()),
            &number(name.len())[..2],
            &[0, 0],
        ]
        .concat();
        let offset = number(zip.len());
        zip.extend([b"PK\x03\x04".as_slice(), &common, name.as_bytes(), &packed].concat());
        directory.extend([b"PK\x01\x02\x14\0".as_slice(), &common, &[0; 10], &offset, name.as_bytes()].concat());
    }
    let (count, length, start) = (entries.len() as u16, directory.len() as u32, zip.len() as u32);
    zip.extend(directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    zip.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
    zip.extend([0, 0]);
    zip
}

/// A folder to work in, with a pip that offers one wheel.
struct Place {
    folder: TempDir,
    /// Where wheels are kept; the shared cache where an image is made.
    cache: PathBuf,
    /// Tests that use the shared cache do so one after the other, since each begins without the wheel.
    _turn: Option<MutexGuard<'static, ()>>,
}

static SHARED_CACHE: Mutex<()> = Mutex::new(());

impl Place {
    fn new(wheel: &Wheel) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { cache: folder.path().join("cache"), folder, _turn: None };
        for folder in ["bin", "wheels", "work"] {
            fs::create_dir(place.path(folder)).unwrap();
        }
        fs::write(place.path("wheels").join(wheel.file), &wheel.bytes).unwrap();
        let report = serde_json::json!({"install": [{
            "download_info": {
                "url": format!("https://index.test/files/{}?token=a/b", wheel.file),
                "archive_info": {"hashes": {"sha256": wheel.sha256}},
            },
            "metadata": {"name": wheel.name, "version": "1.0", "requires_dist": ["missing ; extra == 'all'"]},
        }]});
        fs::write(place.path("report.json"), report.to_string()).unwrap();
        fs::write(place.path("work/f.py"), FUNCTION).unwrap();
        let pip = include_str!("common/pip.sh").replace("HOME_OF_PIP", place.folder.path().to_str().unwrap());
        fs::write(place.path("bin/python3"), pip).unwrap();
        fs::set_permissions(place.path("bin/python3"), fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    /// A place whose images are those of the other suites: only what is made for the first time takes long.
    fn with_images(wheel: &Wheel) -> Self {
        let turn = SHARED_CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
        // Not there at the beginning, or already away.
        let _ = fs::remove_file(cache.join("wheels").join(format!("{}.whl", wheel.sha256)));
        Self { cache, _turn: Some(turn), ..Self::new(wheel) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.env("PATH", self.path("bin")).env("GREENSAND_CACHE", &self.cache).current_dir(self.path("work"));
        command
    }

    fn greensand(&self, arguments: &[&str]) -> Answer {
        run(self.command(arguments), b"")
    }

    /// How often pip was run for something else than its version.
    fn runs(&self) -> usize {
        fs::read_to_string(self.path("runs")).unwrap_or_default().lines().filter(|line| *line != "--version").count()
    }

    fn lock(&self) -> Option<String> {
        fs::read_to_string(self.path("work/greensand.lock")).ok()
    }
}

const CALL: &[&str] = &["call", "f.py", "--entry", "f", "--packages", "answers"];

/// Checks that a call is refused with a sentence, and that nothing is kept of what it asked for.
#[track_caller]
fn check_refused(place: &Place, code: i32, words: &str) {
    place.greensand(CALL).code(code).says(words).says("hint: ");
    assert_eq!(place.lock(), None);
    let kept = fs::read_dir(place.cache.join("wheels")).into_iter().flatten().flatten();
    let kept: Vec<_> = kept.map(|entry| entry.file_name()).filter(|name| name != ".lock").collect();
    assert!(kept.is_empty(), "{kept:?}");
}

#[test]
fn a_package_is_pinned_and_imported_and_needs_no_tool_any_more() {
    let wheel = good();
    let place = Place::with_images(&wheel);
    let answer = place.greensand(CALL).code(0).says("answers 1.0");
    assert_eq!(answer.stdout, "42\n");
    let lock = place.lock().unwrap();
    assert!(lock.contains(&wheel.sha256) && lock.contains("needs = []"), "{lock}");
    assert_eq!(place.runs(), 2, "one to resolve, one to fetch");

    fs::remove_file(place.path("bin/python3")).unwrap();
    assert_eq!(place.greensand(CALL).code(0).stdout, "42\n");
    let from_lock = place.greensand(&["call", "f.py", "--entry", "f", "--lock", "greensand.lock"]).code(0);
    assert_eq!(from_lock.stdout, "42\n");
    assert_eq!((place.lock().unwrap(), place.runs()), (lock, 2));
    place.greensand(&["call", "f.py", "--entry", "f", "--packages", "others"]).code(1).says("no tool was found");

    let lines = [
        r#"{"id":1,"language":"python","source":"import answers\nf = answers.deep_thought","entry":"f","args":[]}"#,
        r#"{"id":2,"language":"python","source":"import answers\nf = answers.deep_thought","entry":"f","args":[],"packages":["Answers"]}"#,
        r#"{"id":3,"language":"python","source":"f = abs","entry":"f","args":[],"packages":["others"]}"#,
        r#"{"id":4,"language":"javascript","source":"function f() { return 4 }","entry":"f","args":[]}"#,
    ];
    let answer = run(place.command(&["batch", "--packages", "answers"]), lines.join("\n").as_bytes()).code(0);
    let values: Vec<_> = answer.json_lines().into_iter().map(|line| line["value"].clone()).collect();
    assert_eq!(serde_json::json!(values), serde_json::json!([42, 42, null, 4]), "{}", answer.stdout);
    assert!(answer.stdout.contains("package `others` is not available"), "{}", answer.stdout);
}

#[test]
fn a_project_learns_functions_that_use_its_packages() {
    let place = Place::with_images(&good());
    let quickstart = repository().join("examples/quickstart");
    let read = |name: &str| fs::read_to_string(quickstart.join(name)).unwrap();
    fs::create_dir(place.path("work/tasks")).unwrap();
    for split in ["train", "validation", "test"] {
        let file = format!("tasks/{split}.jsonl");
        fs::write(place.path("work").join(&file), read(&file)).unwrap();
    }
    let project = read("greensand.toml") + "\n[functions]\npackages = [\"answers\"]\n";
    fs::write(place.path("work/greensand.toml"), project).unwrap();
    let script = read("script.toml").replace("packages = []", "packages = [\"answers\"]");
    let script = script.replace("import re\nfrom collections", "import re\nimport answers\nfrom collections");
    fs::write(place.path("work/script.toml"), script).unwrap();

    let trained = place.greensand(&["train", ".", "--epochs", "1"]).code(0).says("pinned in").says("epoch 1: accepted");
    let runs = fs::read_dir(place.path("work/runs")).unwrap_or_else(|error| panic!("{error}: {}", trained.stdout));
    let run = runs.flatten().map(|entry| entry.path()).find(|path| path.is_dir()).unwrap();
    let called = ["call", run.to_str().unwrap(), "text_statistics", "--args", r#"{"text": "One two."}"#];
    assert!(place.greensand(&called).code(0).stdout.contains("\"words\":2"));

    // What a flag adds to the lock file of the project does not make the project resolve anew.
    let runs = place.runs();
    place.greensand(CALL).code(0);
    place.greensand(&["eval", ".", "--set", run.to_str().unwrap(), "--split", "validation"]).code(0);
    assert_eq!(place.runs(), runs);
}

#[test]
fn native_code_is_refused_by_name_and_by_content() {
    let file = "answers-1.0-cp314-cp314-manylinux_2_28_x86_64.whl";
    check_refused(&Place::new(&wheel(file, &[])), 2, &format!("has native code (its wheel is `{file}`)"));
    let hidden = wheel(WHEEL, &[("answers.py", MODULE), ("answers/fast.abi3.so", b"\x7fELF")]);
    check_refused(&Place::new(&hidden), 2, "has native code (it holds `answers/fast.abi3.so`)");
}

#[test]
fn a_wheel_that_is_not_the_pinned_one_is_refused() {
    let mut other = good();
    other.sha256 = "0".repeat(64);
    check_refused(&Place::new(&other), 1, "is not the one that was pinned");
    other.sha256 = "secret".into();
    check_refused(&Place::new(&other), 1, "is not 64 hex digits");
}

#[test]
fn a_wheel_that_attacks_its_reader_is_refused() {
    check_refused(&Place::new(&wheel(WHEEL, &[("../../evil.py", MODULE)])), 1, "is not a plain file below it");
    let zeros = vec![0; 64 << 20];
    check_refused(&Place::new(&wheel(WHEEL, &[("answers/zeros", &zeros)])), 1, "unpacks to more than");
    let mut cut = good();
    cut.bytes.truncate(60);
    cut.sha256 = sha256(&cut.bytes);
    check_refused(&Place::new(&cut), 1, "no sound zip file");
}

#[test]
fn what_pip_cannot_find_is_said_in_its_words() {
    for (complaint, code, words) in [
        (
            "ERROR: No matching distribution found for answers",
            2,
            "resolve packages `answers`: No matching distribution",
        ),
        ("WARNING: .. NameResolutionError(..)\nERROR: No matching distribution found for answers", 1, "connect once"),
        ("ERROR: [Errno 1] greensand lets pip start no program", 2, "would be built"),
        ("", 2, "the tool failed without a word"),
    ] {
        let place = Place::new(&good());
        fs::write(place.path("complaint"), complaint).unwrap();
        check_refused(&place, code, words);
    }
}

#[test]
fn a_lock_file_that_is_not_one_is_left_as_it_is() {
    for (text, words) in [
        ("format = 1\npython", "read the lock file"),
        ("format = 9\n", "has format 9, this program knows 1"),
        ("format = 1\npython = \"3.14\"\nrequirements = [\"-r x\"]\n", "`-r x` is no requirement"),
    ] {
        let place = Place::new(&good());
        fs::write(place.path("work/greensand.lock"), text).unwrap();
        place.greensand(CALL).code(1).says(words).says("hint: ");
        assert_eq!((place.lock().as_deref(), place.runs()), (Some(text), 0));
    }
}

#[test]
fn a_language_without_packages_is_told_so_before_anything_is_fetched() {
    let place = Place::new(&good());
    fs::write(place.path("work/f.js"), "function f() { return 1 }").unwrap();
    place.greensand(&["call", "f.js", "--entry", "f", "--packages", "answers"]).code(2).says("have no packages");
    assert_eq!((place.lock(), place.runs()), (None, 0));
}

#[test]
fn nothing_that_a_package_leads_to_is_built() {
    let mut probe = Command::new("python3");
    let probed = probe.args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !probed.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this machine has no pip");
        return;
    }
    let place = Place::new(&good());
    let evil = place.path("evil");
    fs::create_dir(&evil).unwrap();
    fs::write(evil.join("setup.py"), "open('was_run', 'w')\nfrom setuptools import setup\nsetup(name='evil')\n")
        .unwrap();
    let metadata = format!(
        "Metadata-Version: 2.1\nName: answers\nVersion: 1.0\nRequires-Dist: evil @ file://{}\n",
        evil.display()
    );
    let tag = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n".as_slice();
    let files: [(&str, &[u8]); 4] = [
        ("answers.py", MODULE),
        ("answers-1.0.dist-info/METADATA", metadata.as_bytes()),
        ("answers-1.0.dist-info/WHEEL", tag),
        ("answers-1.0.dist-info/RECORD", b""),
    ];
    fs::write(place.path("wheels").join(WHEEL), zip(&files)).unwrap();
    let mut command = place.command(CALL);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs([("PIP_NO_INDEX", "1"), ("PIP_NO_BUILD_ISOLATION", "0")]).env("PIP_FIND_LINKS", place.path("wheels"));
    run(command, b"").code(2).says("would be built");
    assert!(!evil.join("was_run").exists());
    assert_eq!(place.lock(), None);
}
