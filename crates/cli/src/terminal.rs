//! Where the words go: results to standard output, talk to standard error.
//!
//! Text is written with its styles; the streams drop them where they are not wanted (`--color`, `NO_COLOR`, no terminal). A
//! reader who goes away (`greensand show RUN | head`) ends the command quietly: see [`Failure::closed`](crate::failure::Failure).

use std::io::{self, IsTerminal, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

/// Headings and names that matter.
pub(crate) const BOLD: Style = Style::new().bold();
/// What is less important.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Bad news.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// What wants a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorWhen {
    /// Finds the flag before the arguments are parsed, for the help and the errors of the parser itself.
    pub(crate) fn of_arguments(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Self {
        let mut arguments = arguments.into_iter().take_while(|argument| argument != "--");
        while let Some(argument) = arguments.next() {
            let Some(rest) = argument.to_str().and_then(|argument| argument.strip_prefix("--color")) else { continue };
            let value = match rest.strip_prefix('=') {
                Some(value) => value.into(),
                None if rest.is_empty() => arguments.next().unwrap_or_default(),
                None => continue,
            };
            return value.to_str().and_then(|value| Self::from_str(value, false).ok()).unwrap_or_default();
        }
        Self::Auto
    }

    /// Returns the same for the parser.
    pub(crate) fn for_parser(self) -> clap::ColorChoice {
        match self {
            Self::Auto => clap::ColorChoice::Auto,
            Self::Always => clap::ColorChoice::Always,
            Self::Never => clap::ColorChoice::Never,
        }
    }

    fn for_streams(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
    }
}

/// How much is said beside the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Progress and remarks.
    Normal,
    /// Errors only.
    Quiet,
}

/// Who reads the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// A person.
    Words,
    /// A program, which is told of failures on standard output, too.
    Json,
}

impl Answers {
    /// Finds the flag before the arguments are parsed, so that a program also reads what is wrong with them.
    pub(crate) fn of_arguments(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Self {
        let mut arguments = arguments.into_iter().take_while(|argument| argument != "--");
        if arguments.any(|argument| argument == "--json") { Self::Json } else { Self::Words }
    }
}

/// The two streams of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    color: ColorWhen,
    talk: Talk,
    answers: Answers,
}

impl Terminal {
    /// Takes the streams of this process.
    pub(crate) fn new(color: ColorWhen, talk: Talk, answers: Answers) -> Self {
        Self { color, talk, answers }
    }

    /// Returns the stream of results, for text with styles. It is not buffered beyond a line.
    pub(crate) fn out(&self) -> AutoStream<io::Stdout> {
        AutoStream::new(io::stdout(), self.color.for_streams())
    }

    /// Returns the stream of talk, for text with styles.
    pub(crate) fn err(&self) -> AutoStream<io::Stderr> {
        AutoStream::new(io::stderr(), self.color.for_streams())
    }

    /// Says something beside the results, unless `--quiet` is given. A closed stream of talk stops nothing.
    pub(crate) fn say(&self, text: std::fmt::Arguments<'_>) {
        if self.talk == Talk::Normal {
            let _ = writeln!(self.err(), "{text}");
        }
    }

    /// Returns text for the stream of talk, with its styles or without.
    pub(crate) fn styled(&self, text: &str) -> String {
        let is_plain = self.err().current_choice() == anstream::ColorChoice::Never;
        if is_plain { anstream::adapter::strip_str(text).to_string() } else { text.to_owned() }
    }

    /// Says whether a person sees the results as they are written.
    pub(crate) fn is_out_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Says whether progress may be drawn.
    pub(crate) fn draws_progress(&self) -> bool {
        self.talk == Talk::Normal && io::stderr().is_terminal()
    }

    /// Says who reads the results.
    pub(crate) fn answers(&self) -> Answers {
        self.answers
    }

    /// Says whether talk is wanted at all.
    pub(crate) fn talk(&self) -> Talk {
        self.talk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], expected: ColorWhen) {
        assert_eq!(ColorWhen::of_arguments(arguments.iter().map(Into::into)), expected, "{arguments:?}");
    }

    #[test]
    fn the_color_flag_is_found_before_parsing() {
        check(&["greensand", "--color", "never", "--help"], ColorWhen::Never);
        check(&["greensand", "show", "--color=always"], ColorWhen::Always);
        check(&["greensand", "--colour", "never"], ColorWhen::Auto);
        check(&["greensand", "call", "--", "--color", "never"], ColorWhen::Auto);
        check(&["greensand", "--color"], ColorWhen::Auto);
        check(&["greensand", "--color", "mauve"], ColorWhen::Auto);
    }
}
