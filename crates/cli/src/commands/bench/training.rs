//! What the training engine costs beside its models: scripted replies of a known latency, a run folder that keeps everything.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use greensand_app::store::RunFolder;
use greensand_app::{
    Environment, Equipment, Event, Interrupt, Observer, Overrides, RecordedRun, RunDone, Sandbox, Silent, TrainReport,
    open_project, resume, train,
};
use greensand_types::FunctionRuntime;

use super::memory::{forget_peak, peak_resident_mebibytes};
use super::report::{Asked, Measurement};
use super::{common, microseconds};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// A project whose assistant answers every task from a script.
struct Load {
    tasks: u32,
    jobs: u32,
    reply_ms: u32,
    /// The model calls a tool first, and answers with its result.
    calls: bool,
}

/// The language of the calls.
const LANGUAGE: &str = "python";

pub(super) fn measure(environment: &Environment, terminal: &Terminal) -> Result<Vec<Measurement>, Failure> {
    let sandbox = common::open_sandbox_as(environment, |settings| settings)?;
    let language = LANGUAGE.parse().map_err(|error| Failure::bug(format!("{error}")))?;
    common::prepare_image(&sandbox, &language, terminal)?;
    let bench = Training { sandbox, environment };
    Ok(vec![bench.model_calls()?, bench.cost_of_a_call()?]
        .into_iter()
        .chain(bench.epoch()?)
        .chain([bench.resumption()?])
        .collect())
}

struct Training<'a> {
    sandbox: Sandbox,
    environment: &'a Environment,
}

impl Training<'_> {
    fn model_calls(&self) -> Result<Measurement, Failure> {
        let load = Load { tasks: 256, jobs: 16, reply_ms: 20, calls: false };
        let (_folder, time, _) = self.train(&load)?;
        Ok(Measurement::new(None, "model_calls", "256 model calls of 20 ms")
            .value(time.as_secs_f64() * 1e3, "ms")
            .samples(256)
            .covers("16 at once, kept in a run folder; the replies alone take 320 ms")
            .asked(Asked::AtMost(335.0)))
    }

    fn cost_of_a_call(&self) -> Result<Measurement, Failure> {
        let load = Load { tasks: 2_000, jobs: 1, reply_ms: 0, calls: false };
        let (_folder, time, _) = self.train(&load)?;
        Ok(Measurement::new(None, "cost_of_model_call", "what a model call costs beside the model")
            .value(microseconds(time) / f64::from(load.tasks), "us")
            .samples(load.tasks as usize)
            .covers("prompt, key, reply kept on disk, score, journal line; one at a time")
            .asked(Asked::AtMost(50.0)))
    }

    fn epoch(&self) -> Result<Vec<Measurement>, Failure> {
        let load = Load { tasks: 1_000, jobs: 64, reply_ms: 200, calls: true };
        forget_peak();
        let (_folder, time, _) = self.train(&load)?;
        // Two replies for each task, 64 tasks at once.
        let critical = f64::from(load.tasks.div_ceil(load.jobs) * 2 * load.reply_ms) / 1e3;
        Ok(vec![
            Measurement::new(None, "epoch_to_critical_path", "an epoch of 1,000 tasks, to its critical path")
                .value(time.as_secs_f64() / critical, "times")
                .samples(load.tasks as usize)
                .covers("64 at once, two replies of 200 ms and one sandboxed call each")
                .asked(Asked::AtMost(1.05)),
            Measurement::new(None, "epoch_memory", "resident memory at its peak")
                .value(peak_resident_mebibytes(), "MiB")
                .covers("this process, with the images that it mapped")
                .asked(Asked::AtMost(300.0)),
        ])
    }

    fn resumption(&self) -> Result<Measurement, Failure> {
        let load = Load { tasks: 10_000, jobs: 8, reply_ms: 0, calls: true };
        let (folder, _, report) = self.train(&load)?;
        let run = report.folder.path().to_owned();
        forget_the_end(&run).map_err(|error| Failure::no(format!("cannot shorten the journal: {error}")))?;
        let started = Instant::now();
        let recorded = RecordedRun::open(&run, &Overrides::new(), self.environment)?;
        let runtime: Arc<dyn FunctionRuntime> = Arc::new(self.sandbox.clone());
        let eras = recorded.equipment(&runtime, self.environment)?;
        let resumed = common::block_on_all(resume(&recorded, &eras, &Silent, &Interrupt::new()))??;
        let time = started.elapsed();
        drop(folder);
        if !matches!(resumed, RunDone::Trained(resumed) if resumed.report.epochs == report.report.epochs) {
            return Err(Failure::bug("the resumed run came to another end"));
        }
        Ok(Measurement::new(None, "resume", "resume of a run of 10,000 conversations")
            .value(time.as_secs_f64(), "s")
            .samples(load.tasks as usize)
            .covers("cut off behind its last conversation; until it is over again")
            .asked(Asked::AtMost(2.0)))
    }

    /// Trains for one epoch that changes nothing, and returns how long the tasks took.
    fn train(&self, load: &Load) -> Result<(tempfile::TempDir, Duration, TrainReport), Failure> {
        let failed =
            |error: std::io::Error| Failure::no(format!("cannot write the project of the measurement: {error}"));
        let folder = tempfile::tempdir().map_err(failed)?;
        load.write(folder.path()).map_err(failed)?;
        let project = open_project(folder.path(), &Overrides::new(), self.environment)?;
        let equipment = Equipment::open(&project, Arc::new(self.sandbox.clone()), self.environment)?;
        let watch = StopWatch::default();
        let report = common::block_on_all(train(&project, &equipment, &watch, &Interrupt::new()))??;
        let score = report.report.epochs.first().and_then(|epoch| epoch.scores.first()?.score);
        if score != Some(1.0) {
            return Err(Failure::bug(format!("the scripted tasks were solved to {score:?}")));
        }
        Ok((folder, watch.time(), report))
    }
}

/// Cuts the journal off behind its last conversation, as a kill would.
fn forget_the_end(run: &Path) -> std::io::Result<()> {
    let path = run.join("journal.jsonl");
    let text = fs::read_to_string(&path)?;
    let last = text.rfind("\"event\":\"conversation\"").unwrap_or(0);
    let end = text[last..].find('\n').map_or(text.len(), |length| last + length + 1);
    fs::write(&path, &text[..end])?;
    debug_assert!(RunFolder::open(run).is_ok());
    Ok(())
}

impl Load {
    fn write(&self, folder: &Path) -> std::io::Result<()> {
        let Self { tasks, jobs, reply_ms, calls } = self;
        let project = format!(
            "[tasks]\ntrain = \"tasks.jsonl\"\n[model]\nbackend = \"scripted\"\nscript = \"script.toml\"\n\
             latency_ms = {reply_ms}\n[agent]\ncode_tool = \"{LANGUAGE}\"\n[training]\njobs = {jobs}\nepochs = 1\n\
             [functions]\nlanguage = \"{LANGUAGE}\"\n[scorer]\nname = \"number\"\n"
        );
        let line =
            |index| format!("{{\"id\":\"t{index}\",\"question\":\"What is {index} + 0?\",\"target\":\"{index}\"}}\n");
        let lines: String = (0..*tasks).map(line).collect();
        let answers = match calls {
            true => format!(
                "[[rule]]\nrole = \"assistant\"\nturn = 0\nquestion = '(\\d+) \\+ 0'\n[[rule.reply.calls]]\n\
                 name = \"run_{LANGUAGE}\"\narguments = {{ code = \"${{1}} + 0\" }}\n\
                 [[rule]]\nrole = \"assistant\"\nturn = 1\nlast = '(?s).*?(\\d+)'\n[rule.reply]\n\
                 text = '\\boxed{{${{last.1}}}}'\n"
            ),
            false => "[[rule]]\nrole = \"assistant\"\nquestion = '(\\d+) \\+ 0'\n[rule.reply]\n\
                      text = '\\boxed{${1}}'\n"
                .to_owned(),
        };
        let script = format!("format = 1\n{answers}[[rule]]\nrole = \"optimizer\"\nreply.text = \"TERMINATE\"\n");
        fs::write(folder.join("greensand.toml"), project)?;
        fs::write(folder.join("tasks.jsonl"), lines)?;
        fs::write(folder.join("script.toml"), script)
    }
}

/// Takes the time from the beginning of the first evaluation to its end.
#[derive(Default)]
struct StopWatch(Mutex<(Option<Instant>, Option<Instant>)>);

impl StopWatch {
    fn time(&self) -> Duration {
        let (started, ended) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        started.zip(ended).map_or(Duration::MAX, |(started, ended)| ended - started)
    }
}

impl Observer for StopWatch {
    fn event(&self, event: Event<'_>) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::EvaluationStarted { .. } => {
                times.0.get_or_insert_with(Instant::now);
            }
            Event::EvaluationDone { .. } => {
                times.1.get_or_insert_with(Instant::now);
            }
            _ => {}
        }
    }
}
