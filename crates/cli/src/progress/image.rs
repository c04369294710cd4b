use std::sync::OnceLock;

use greensand_app::ImageProgress;
use greensand_types::Language;
use indicatif::{MultiProgress, ProgressBar};

use super::style_of;
use crate::terminal::Terminal;

/// Shows the making of an image. One that is only mapped reports nothing, and shows nothing.
pub(crate) struct ImageBar {
    language: Language,
    bars: Option<MultiProgress>,
    terminal: Terminal,
    bar: OnceLock<ProgressBar>,
}

const LENGTH: u64 = 1000;

impl ImageBar {
    /// A bar of its own.
    pub(crate) fn new(language: &Language, terminal: &Terminal) -> Self {
        Self { language: language.clone(), bars: None, terminal: *terminal, bar: OnceLock::new() }
    }

    /// A bar among others.
    pub(super) fn within(bars: &MultiProgress, language: &Language, terminal: &Terminal) -> Self {
        let mut bar = Self::new(language, terminal);
        bar.bars = Some(bars.clone());
        bar
    }

    /// Shows how far the image has come.
    pub(crate) fn show(&self, progress: ImageProgress) {
        let bar = self.bar.get_or_init(|| self.open());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 1000, clamped")]
        bar.set_position((progress.fraction.clamp(0.0, 1.0) * LENGTH as f32) as u64);
        bar.set_message(progress.stage.as_str());
    }

    fn open(&self) -> ProgressBar {
        if !self.terminal.draws_progress() {
            let language = &self.language;
            self.terminal.say(format_args!("preparing {language}, once on this machine (some seconds)"));
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(LENGTH)
            .with_style(style_of("preparing {prefix}, once on this machine [{bar:30}] {percent} %  {msg}  {elapsed}"))
            .with_prefix(self.language.to_string());
        let bar = match &self.bars {
            Some(bars) => bars.add(bar),
            None => bar,
        };
        bar.enable_steady_tick(super::TICK);
        bar
    }
}

impl Drop for ImageBar {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
