//! What is seen while work is under way: bars on a terminal, and a line for each thing that was decided.
//!
//! [`Progress`] watches a training or an evaluation. On a terminal it keeps bars at the bottom (epoch, tasks, image) and writes
//! its lines above them; into a pipe it writes the lines only; with `--quiet` it is silent. All of it goes to standard
//! error. With `--json` each event is a line of JSON on standard output besides. [`ImageBar`] is the same for commands that only need an image.

mod events;
mod image;
mod lines;

pub(crate) use events::write_line;
pub(crate) use image::ImageBar;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use greensand_app::{Event, LimitCause, Observer, Split, Tally};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::{Answers, Talk, Terminal};
use crate::text;
use events::JsonEvents;
use lines::{decision_line, percent, proposal_lines, tally_words};

/// How often a bar is drawn at most, per second.
const DRAWS_PER_SECOND: u8 = 10;
/// How often something that waits shows that it lives.
const TICK: Duration = Duration::from_millis(120);

/// Shows the events of a training or an evaluation.
pub(crate) struct Progress {
    terminal: Terminal,
    bars: MultiProgress,
    events: Option<JsonEvents>,
    now: Mutex<Now>,
}

/// The bars that are on the screen.
#[derive(Default)]
struct Now {
    image: Option<ImageBar>,
    epoch: Option<ProgressBar>,
    tasks: Option<ProgressBar>,
    best: Option<f64>,
    /// The limits of endpoints of which the last line about them told.
    limits: BTreeMap<String, u32>,
}

impl Progress {
    /// Watches the work of a command.
    pub(crate) fn new(command: &str, terminal: &Terminal) -> Self {
        let target = match terminal.draws_progress() {
            true => ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND),
            false => ProgressDrawTarget::hidden(),
        };
        let events = (terminal.answers() == Answers::Json).then(|| JsonEvents::open(command, terminal));
        Self { terminal: *terminal, bars: MultiProgress::with_draw_target(target), events, now: Mutex::default() }
    }

    /// Takes the bars off the screen; what comes now is the result.
    pub(crate) fn finish(&self) {
        let mut now = self.now();
        *now = Now::default();
        // A terminal that is gone needs no clearing.
        let _ = self.bars.clear();
    }

    /// Writes a line above the bars.
    fn line(&self, line: &str) {
        if self.terminal.draws_progress() {
            let _ = self.bars.println(self.terminal.styled(line));
        } else if self.terminal.talk() == Talk::Normal {
            self.terminal.say(format_args!("{line}"));
        }
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        // A panic elsewhere leaves bars that are as good as any.
        self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn open_tasks(&self, label: String, total: usize) {
        let style = "  {prefix} [{bar:30}] {pos}/{len}  {msg}  {elapsed}";
        let bar = self.bars.add(ProgressBar::new(total as u64)).with_style(style_of(style)).with_prefix(label);
        self.now().tasks = Some(bar);
    }

    fn open_wait(&self, label: &'static str) {
        let bar = self.bars.add(ProgressBar::new_spinner()).with_style(style_of("  {spinner} {msg}  {elapsed}"));
        bar.set_message(label);
        bar.enable_steady_tick(TICK);
        self.now().tasks = Some(bar);
    }

    fn close_tasks(&self) {
        if let Some(bar) = self.now().tasks.take() {
            bar.finish_and_clear();
        }
    }

    fn show_epoch(&self, epoch: u32, max_epochs: u32) {
        let mut now = self.now();
        let (best, bars) = (now.best, &self.bars);
        let bar = now.epoch.get_or_insert_with(|| {
            let style = "epoch {pos}/{len} [{bar:30}]  {msg}  {elapsed}";
            bars.insert(0, ProgressBar::new(u64::from(max_epochs))).with_style(style_of(style))
        });
        bar.set_position(u64::from(epoch));
        if let Some(best) = best {
            bar.set_message(format!("best {}", percent(best)));
        }
    }

    /// Says that an endpoint takes less, once for each halving: a storm is one piece of news.
    fn show_limit(&self, endpoint: &str, before: u32, limit: u32, cause: LimitCause) {
        let told = self.now().limits.get(endpoint).copied();
        match cause {
            LimitCause::RateLimited if told.is_none_or(|told| limit <= told / 2) => {
                self.now().limits.insert(endpoint.to_owned(), limit);
                self.line(&lines::limit_line(endpoint, told.unwrap_or(before), limit));
            }
            // After it the next storm is news.
            LimitCause::Grown if told.is_some_and(|told| limit >= told.saturating_mul(2)) => {
                self.now().limits.remove(endpoint);
            }
            LimitCause::Opened | LimitCause::Grown | LimitCause::RateLimited | LimitCause::Bounded => {}
        }
    }

    fn show_tally(&self, tally: &Tally) {
        if let Some(bar) = &self.now().tasks {
            bar.set_position(tally.done as u64);
            bar.set_message(tally_words(tally));
        }
    }
}

impl Observer for Progress {
    fn event(&self, event: Event<'_>) {
        if let Some(events) = &self.events {
            events.event(&event);
        }
        match event {
            Event::PreparingImage { language, progress } => {
                let mut now = self.now();
                let bar = now.image.get_or_insert_with(|| ImageBar::within(&self.bars, language, &self.terminal));
                bar.show(progress);
            }
            Event::ImageReady { .. } => drop(self.now().image.take()),
            Event::RunOpened { folder, .. } => {
                self.line(&format!("run folder: {}", text::line(&folder.to_string_lossy())))
            }
            Event::EpochStarted { epoch, max_epochs } => self.show_epoch(epoch, max_epochs),
            Event::EvaluationStarted { split, tasks, .. } => self.open_tasks(split.to_string(), tasks),
            Event::TaskDone { tally, .. } => self.show_tally(&tally),
            Event::EvaluationDone { epoch, split, set, tally } => {
                self.close_tasks();
                let words = tally_words(&tally);
                self.line(&match split {
                    Split::Train | Split::Validation => format!("epoch {epoch}: {split:<10} {words}"),
                    Split::Test => format!("test of set {}: {words}", set.short()),
                });
            }
            Event::CreditStarted { function, number, of } => {
                self.line(&format!("without `{}` ({number} of {of})", text::line(function.as_str())));
            }
            Event::StepStarted { .. } => self.open_wait("the optimizer proposes changes"),
            Event::Proposed { epoch, proposal } => {
                self.close_tasks();
                proposal_lines(epoch, proposal).iter().for_each(|line| self.line(line));
            }
            Event::Decided { epoch, decision } => {
                self.close_tasks();
                if decision.registered == decision.set && decision.score.is_some() {
                    self.now().best = decision.score;
                }
                self.line(&decision_line(epoch, decision));
            }
            // Scripts say nothing of tokens, and cost nothing: to repeat that helps nobody.
            Event::SpentSoFar { spent } if spent.tokens > 0 => self.line(&format!("spent so far: {spent}")),
            Event::SpentSoFar { .. } => {}
            Event::LimitChanged { endpoint, before, limit, at: _, cause } => {
                self.show_limit(endpoint, before, limit, cause)
            }
            Event::Warning { message } => self.line(&lines::warning_line(message)),
        }
    }
}

fn style_of(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of bars are well-formed").progress_chars("=> ")
}
