//! Runs whose process is killed (`kill -9`) at random moments and that are resumed until they are over.
#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{command, greensand, quickstart};
use serde_json::Value;

/// How many processes are killed.
const KILLS: u32 = 50;

/// Settings that make a run last long enough to be killed in many places.
const SETTINGS: [&str; 6] = ["--jobs", "4", "--epochs", "3", "--set", "model.latency_ms=15"];

/// What a run leaves, without its name and what a clock or the state of memory decides.
fn left(run: &Path) -> (Vec<Value>, Value, String) {
    let text = |file| std::fs::read_to_string(run.join(file)).unwrap();
    let journal = text("journal.jsonl").lines().map(|line| timeless(serde_json::from_str(line).unwrap())).collect();
    (journal, timeless(serde_json::from_str(&text("report.json")).unwrap()), text("best"))
}

fn timeless(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = |name: &str| name != "run" && name != "peak_memory_bytes" && !name.contains("wall");
            members.into_iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name, timeless(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(timeless).collect(),
        value => value,
    }
}

/// The requests whose replies a run has paid for; each of them once.
fn paid(run: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(run.join("replies.jsonl")).unwrap();
    let mut requests = BTreeSet::new();
    for line in text.lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap();
        let request = line["data"]["request"].as_str().unwrap().to_owned();
        assert!(requests.insert(request), "paid twice: {line}");
    }
    requests
}

/// A generator of moments that is good enough for a test and says how to repeat it.
struct Moments(u64);

impl Moments {
    fn next(&mut self, most: u64) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(self.0 % most)
    }
}

/// Runs a command, and kills it at a moment; says whether that came before its end.
fn killed(arguments: &[&str], after: Duration) -> bool {
    let mut child = command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    let is_over = child.try_wait().unwrap().is_some();
    // SIGKILL: nothing of the process has a say in it.
    child.kill().unwrap();
    child.wait().unwrap();
    !is_over
}

fn only_run(runs: &Path) -> Option<PathBuf> {
    let finished = |path: &PathBuf| path.join("manifest.json").is_file();
    std::fs::read_dir(runs).unwrap().flatten().map(|entry| entry.path()).find(finished)
}

#[test]
fn a_run_that_is_killed_again_and_again_comes_to_the_same_end_and_pays_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let project = quickstart();
    greensand(&[&["train", &project, "--runs", whole.to_str().unwrap()], &SETTINGS[..]].concat()).code(0);
    let whole = only_run(&whole).unwrap();

    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    println!("seed {seed}");
    let mut moments = Moments(u64::from(seed) | 1);
    let (mut kills, mut attempts) = (0, 0);
    while kills < KILLS {
        attempts += 1;
        assert!(attempts < KILLS, "processes are hardly ever killed before their end");
        let runs = folder.path().join(format!("runs-{attempts}"));
        std::fs::create_dir(&runs).unwrap();
        let train = [&["train", &project, "--runs", runs.to_str().unwrap()], &SETTINGS[..]].concat();
        kills += u32::from(killed(&train, moments.next(600)));
        // Killed before the run had its folder, there is nothing to resume.
        let Some(run) = only_run(&runs) else { continue };
        let resume = ["resume", run.to_str().unwrap()];
        for _ in 0..8 {
            let was_killed = killed(&resume, moments.next(400));
            kills += u32::from(was_killed);
            if !was_killed {
                break;
            }
        }
        greensand(&resume).code(0);
        assert_eq!(left(&run), left(&whole), "{}", run.display());
        assert_eq!(paid(&run), paid(&whole), "{}", run.display());
        greensand(&["replay", run.to_str().unwrap(), "--jobs", "2"]).code(0);
    }
}
