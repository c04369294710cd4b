use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use greensand_app::{Equipment, EvalDone, Interrupt, Overrides, SetSource, Silent, Split, evaluate, open_project};

use super::report::Measurement;
use super::{Bench, Mode, common};
use crate::failure::Failure;

/// The key of its first number.
pub(super) const KEY: &str = "evaluation";

const TASKS: u32 = 256;
const JOBS: u32 = 16;
const REPLY_MS: u32 = 20;
/// The scripted model calls a tool, then answers.
const REPLIES: u32 = 2;

impl Bench<'_> {
    /// Measures an evaluation against what its model replies alone would take.
    pub(super) fn evaluation(&self) -> Result<Vec<Measurement>, Failure> {
        let failed =
            |error: std::io::Error| Failure::no(format!("cannot write the project of the measurement: {error}"));
        let folder = tempfile::tempdir().map_err(failed)?;
        self.write_project(folder.path()).map_err(failed)?;
        let project = open_project(folder.path(), &Overrides::new(), self.environment)?;
        let sandbox = self.sandbox(self.threads, Mode::Prepared)?;
        let equipment = Equipment::open(&project, Arc::new(sandbox), self.environment)?;
        let interrupt = Interrupt::new();
        let started = Instant::now();
        let evaluated = evaluate(&project, &equipment, &SetSource::Empty, Split::Train, &Silent, &interrupt);
        let EvalDone { report, error, .. } = common::block_on_all(evaluated)??;
        let elapsed = started.elapsed().as_secs_f64();
        if let Some(error) = error {
            return Err(error.into());
        }
        if report.solved != report.tasks || report.calls != TASKS as usize {
            return Err(Failure::bug(format!(
                "{} of {} tasks were solved with {} calls",
                report.solved, report.tasks, report.calls
            )));
        }
        let ideal = f64::from(TASKS.div_ceil(JOBS) * REPLIES * REPLY_MS) / 1000.0;
        Ok(vec![
            Measurement::new(None, KEY, "evaluation")
                .value(elapsed, "s")
                .samples(TASKS as usize)
                .covers("tasks, 16 at once, of 2 scripted replies of 20 ms and 1 sandboxed call each"),
            Measurement::new(None, "evaluation_to_ideal", "evaluation, to the ideal")
                .value(elapsed / ideal, "times")
                .covers("the ideal is the time of the replies alone"),
        ])
    }

    fn write_project(&self, folder: &Path) -> std::io::Result<()> {
        let language = &self.language;
        let project = format!(
            "[tasks]\ntrain = \"tasks.jsonl\"\n[model]\nbackend = \"scripted\"\nscript = \"script.toml\"\n\
             latency_ms = {REPLY_MS}\n[agent]\ncode_tool = \"{language}\"\n[training]\njobs = {JOBS}\n\
             [functions]\nlanguage = \"{language}\"\n[scorer]\nname = \"number\"\n"
        );
        let tasks: String = (0..TASKS)
            .map(|index| {
                format!(
                    "{{\"id\": \"t{index}\", \"question\": \"What is {index} + 1?\", \"target\": \"{}\"}}\n",
                    index + 1
                )
            })
            .collect();
        fs::write(folder.join("greensand.toml"), project)?;
        fs::write(folder.join("tasks.jsonl"), tasks)?;
        fs::write(folder.join("script.toml"), format!("format = 1\n{}", script(language.as_str())))
    }
}

fn script(language: &str) -> String {
    format!(
        "[[rule]]\nrole = \"assistant\"\nturn = 0\nquestion = '(\\d+) \\+ 1'\n[[rule.reply.calls]]\nname = \"run_{language}\"\n\
         arguments = {{ code = \"${{1}} + 1\" }}\n\
         [[rule]]\nrole = \"assistant\"\nturn = 1\nlast = '(?s).*?(\\d+)'\n[rule.reply]\ntext = '\\boxed{{${{last.1}}}}'\n"
    )
}
