//! The one place where an error of any crate becomes what a person reads, and an exit code.
//!
//! A [`Failure`] is a kind (which decides the code), a message, the causes below it and a hint that says what to do.
//! Commands return it with `?`; the conversions below know each error of `greensand-app`.
//!
//! | code | kind |
//! |---|---|
//! | 0 | done; also when the reader of our output went away |
//! | 1 | it ran, and the answer is no: a call failed, a check failed, a run was interrupted, the disk is full |
//! | 2 | asked wrongly: flags, files, settings, tasks |
//! | 3 | the model backend: unreachable, refused, no such model |
//! | 4 | the budget is spent, or does not cover what comes next |
//! | 70 | our bug |

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use greensand_app::batch::BatchError;
use greensand_app::events::{EventLine, FailedLine};
use greensand_app::packages::{PackageError, RequirementError};
use greensand_app::spend::PriceTableError;
use greensand_app::store::StoreError;
use greensand_app::{
    EquipmentError, EvaluateError, ForkError, ImageError, InitError, ModelError, ProjectError, RecordedRunError,
    SandboxError, SetError, SettingsError, SolveError, StopError, TrainError, TrainErrorKind,
};

use crate::progress;
use crate::terminal::{Answers, BAD, BOLD, Terminal};
use crate::text;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything was done.
    Done,
    /// It ran, and the answer is no.
    No,
}

/// What a failure is about; it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// It ran, and the answer is no.
    No,
    /// It was asked wrongly.
    Asked,
    /// The model backend failed.
    Model,
    /// The budget is spent.
    Budget,
    /// We have a bug.
    Bug,
    /// Whoever read our output went away: no failure, and nothing to say.
    Closed,
}

/// A command that could not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: FailureKind,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    left: Box<Left>,
}

/// What a command left behind before it failed, for programs.
#[derive(Debug, Default)]
struct Left {
    run: Option<PathBuf>,
    report: Option<serde_json::Value>,
}

impl Failure {
    /// A failure that the person at the terminal can mend by asking otherwise.
    pub(crate) fn asked(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Asked, message)
    }

    /// The command ran, and could not be completed.
    pub(crate) fn no(message: impl Into<String>) -> Self {
        Self::new(FailureKind::No, message)
    }

    /// The model backend failed.
    pub(crate) fn model(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Model, message)
    }

    /// The budget is spent.
    pub(crate) fn budget(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Budget, message)
    }

    /// A bug of ours.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Bug, message)
            .hint("this is a bug of greensand: please report it with the command and this message")
    }

    /// An error with its causes. What a model backend failed at leads: that is what a person can act on, and what it was asked for
    /// only says where it was met.
    pub(crate) fn of(kind: FailureKind, error: &(dyn Error + 'static)) -> Self {
        let mut chain = vec![error];
        while let Some(cause) = chain[chain.len() - 1].source() {
            chain.push(cause);
        }
        let lead = chain.iter().position(|error| error.is::<ModelError>()).unwrap_or(0);
        let mut failure = Self::new(kind, chain[lead].to_string());
        for cause in &chain[lead + 1..] {
            // Errors that only wrap another one repeat its words, and some quote it at their end.
            let said = failure.causes.last().unwrap_or(&failure.message);
            let cause_text = cause.to_string();
            if !said.ends_with(&cause_text) {
                failure.causes.push(cause_text);
            }
        }
        let mut met: Vec<String> = chain[..lead].iter().map(ToString::to_string).collect();
        met.dedup();
        if !met.is_empty() {
            failure.causes.push(format!("it was to {}", met.join(": ")));
        }
        failure
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to do about it, if something can be done.
    pub(crate) fn hint_if(self, hint: Option<String>) -> Self {
        Self { hint: hint.or(self.hint), ..self }
    }

    /// Names the folder of the run, for programs.
    pub(crate) fn of_run(mut self, run: Option<&Path>) -> Self {
        self.left.run = run.map(Path::to_owned);
        self
    }

    /// Adds what came out until then, for programs.
    pub(crate) fn with_report(mut self, report: &impl serde::Serialize) -> Self {
        self.left.report = serde_json::to_value(report).ok();
        self
    }

    /// Tells the person at the terminal and the program that reads the results, and returns the exit code.
    pub(crate) fn report(self, terminal: &Terminal) -> ExitCode {
        self.tell(terminal);
        self.answer(terminal)
    }

    /// Tells the person at the terminal.
    pub(crate) fn tell(&self, terminal: &Terminal) {
        if self.kind != FailureKind::Closed {
            // Nobody is left to tell when standard error is closed, too.
            let _ = self.write(&mut terminal.err());
        }
    }

    /// Tells the program that reads the results, if one does, and returns the exit code.
    pub(crate) fn answer(self, terminal: &Terminal) -> ExitCode {
        let exit_code = self.kind.exit_code();
        if self.kind != FailureKind::Closed && terminal.answers() == Answers::Json {
            let line = FailedLine {
                error: self.message,
                causes: self.causes,
                kind: self.kind.as_str().into(),
                hint: self.hint,
                exit_code,
                run: self.left.run.map(|run| run.display().to_string()),
                report: self.left.report,
            };
            // The exit code says the same to whoever cannot read it.
            let _ = progress::write_line(&EventLine::Failed(line), terminal);
        }
        ExitCode::from(exit_code)
    }

    fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hint: None, left: Box::default() }
    }

    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        writeln!(output, "{BAD}error{BAD:#}: {}", text::block(&self.message))?;
        for cause in &self.causes {
            writeln!(output, "  cause: {}", text::block(cause))?;
        }
        if let Some(hint) = &self.hint {
            writeln!(output, "  {BOLD}hint{BOLD:#}: {}", text::block(hint))?;
        }
        output.flush()
    }
}

impl FailureKind {
    fn exit_code(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::No => 1,
            Self::Asked => 2,
            Self::Model => 3,
            Self::Budget => 4,
            Self::Bug => 70,
        }
    }

    /// Returns the word for programs.
    fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::No => "no",
            Self::Asked => "asked",
            Self::Model => "model",
            Self::Budget => "budget",
            Self::Bug => "bug",
        }
    }
}

/// Errors of our own output streams; errors of files are wrapped by whoever names the file.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(FailureKind::Closed, ""),
            io::ErrorKind::StorageFull => Self::no(format!("cannot write the output: {error}"))
                .hint("make room on the disk that the output goes to, and run it again"),
            _ => Self::no(format!("cannot write the output: {error}")),
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::of(FailureKind::Asked, &error).hint_if(error.hint())
    }
}

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        Self::of(FailureKind::Asked, &error).hint_if(error.hint())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of(kind_of_store(&error), &error).hint_if(error.hint())
    }
}

fn kind_of_store(error: &StoreError) -> FailureKind {
    match error {
        StoreError::Write { .. } | StoreError::Diverged { .. } | StoreError::EndOfRecord { .. } => FailureKind::No,
        StoreError::Read { .. }
        | StoreError::Missing { .. }
        | StoreError::NoRun { .. }
        | StoreError::NoFunctions { .. }
        | StoreError::Damaged { .. }
        | StoreError::NewerFormat { .. }
        | StoreError::NoSet { .. }
        | StoreError::AmbiguousSet { .. }
        | StoreError::Changed { .. }
        | StoreError::NotResumable { .. }
        | StoreError::InUse { .. } => FailureKind::Asked,
    }
}

impl From<PriceTableError> for Failure {
    fn from(error: PriceTableError) -> Self {
        Self::of(FailureKind::Asked, &error)
            .hint("`crates/app/prices.toml` shows the form; the setting `budget.prices` names the file")
    }
}

impl From<EquipmentError> for Failure {
    fn from(error: EquipmentError) -> Self {
        Self::of(FailureKind::Asked, &error).hint_if(error.hint())
    }
}

impl From<StopError> for Failure {
    fn from(error: StopError) -> Self {
        let kind = match &error {
            StopError::Store(error) => kind_of_store(error),
            StopError::NoProcess { .. } | StopError::Signal { .. } | StopError::TooSlow { .. } => FailureKind::No,
        };
        Self::of(kind, &error).hint_if(error.hint())
    }
}

/// A process that was started by this one failed before it could be left alone.
impl From<FailedLine> for Failure {
    fn from(line: FailedLine) -> Self {
        let kinds = [FailureKind::No, FailureKind::Asked, FailureKind::Model, FailureKind::Budget, FailureKind::Bug];
        let kind = kinds.into_iter().find(|kind| kind.as_str() == line.kind).unwrap_or(FailureKind::Bug);
        let left = Left { run: line.run.map(PathBuf::from), report: line.report };
        Self { kind, message: line.error, causes: line.causes, hint: line.hint, left: Box::new(left) }
    }
}

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        let kind = match &error {
            InitError::Exists { .. } | InitError::NoFolder { .. } => FailureKind::Asked,
            InitError::Write { .. } => FailureKind::No,
        };
        Self::of(kind, &error).hint_if(error.hint())
    }
}

impl From<SetError> for Failure {
    fn from(error: SetError) -> Self {
        Self::of(kind_of_set(&error), &error).hint_if(error.hint())
    }
}

impl From<RecordedRunError> for Failure {
    fn from(error: RecordedRunError) -> Self {
        Self::of(kind_of_recorded(&error), &error).hint_if(error.hint())
    }
}

fn kind_of_recorded(error: &RecordedRunError) -> FailureKind {
    match error {
        RecordedRunError::Store(error) => kind_of_store(error),
        RecordedRunError::Settings(_)
        | RecordedRunError::Fixed { .. }
        | RecordedRunError::Scorer(_)
        | RecordedRunError::Tasks(_)
        | RecordedRunError::Changed { .. } => FailureKind::Asked,
    }
}

impl From<ForkError> for Failure {
    fn from(error: ForkError) -> Self {
        let kind = match &error {
            ForkError::Recorded(error) => kind_of_recorded(error),
            ForkError::Store(error) => kind_of_store(error),
            ForkError::Equipment(_) | ForkError::TooFar { .. } | ForkError::Measuring { .. } => FailureKind::Asked,
        };
        Self::of(kind, &error).hint_if(error.hint())
    }
}

impl From<EvaluateError> for Failure {
    fn from(error: EvaluateError) -> Self {
        Self::of(kind_of_evaluation(&error), &error).hint_if(error.hint())
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        let kind = match &error.kind {
            TrainErrorKind::Initial(error) | TrainErrorKind::Best(error) => kind_of_set(error),
            TrainErrorKind::Store(error) => kind_of_store(error),
            TrainErrorKind::Evaluate(error) => kind_of_evaluation(error),
            TrainErrorKind::Optimizer(_) => FailureKind::Model,
            TrainErrorKind::Uncapped(_) | TrainErrorKind::NotTrained { .. } => FailureKind::Asked,
            TrainErrorKind::Host(_) | TrainErrorKind::OutOfOrder(_) => FailureKind::Bug,
        };
        let shown = error.run().filter(|_| error.can_go_on()).map(|run| {
            let run = run.display();
            format!("`greensand show {run}` shows the run until then; `greensand resume {run}` goes on with it")
        });
        let hints: Vec<_> = error.hint().into_iter().chain(shown).collect();
        Self::of(kind, &error).hint_if((!hints.is_empty()).then(|| hints.join("; "))).of_run(error.run())
    }
}

fn kind_of_set(error: &SetError) -> FailureKind {
    match error {
        SetError::Store(error) => kind_of_store(error),
        SetError::Refused { .. } | SetError::Changed { .. } => FailureKind::Asked,
        SetError::Host { .. } => FailureKind::Bug,
    }
}

fn kind_of_evaluation(error: &EvaluateError) -> FailureKind {
    match error {
        EvaluateError::NoTasks(_) => FailureKind::Asked,
        EvaluateError::Interrupted => FailureKind::No,
        EvaluateError::BudgetSpent(_) => FailureKind::Budget,
        EvaluateError::Uncapped(_) => FailureKind::Asked,
        EvaluateError::Model(SolveError::Runtime { .. }) => FailureKind::Bug,
        EvaluateError::Model(SolveError::Model { .. })
        | EvaluateError::Embeddings { .. }
        | EvaluateError::TooMuchMissing(_) => FailureKind::Model,
        EvaluateError::Store(error) => kind_of_store(error),
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        let kind = match &error {
            SandboxError::NoCacheDir(_) | SandboxError::UnknownInstances(_) => FailureKind::Asked,
            SandboxError::Open(_) => FailureKind::No,
        };
        Self::of(kind, &error).hint("`greensand doctor` says what is wrong, and what mends it")
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        match &error {
            ImageError::UnknownLanguage { .. } | ImageError::UnknownPackages { .. } | ImageError::NoImage { .. } => {
                Self::of(FailureKind::Asked, &error)
            }
            ImageError::Toolchain(_) => Self::of(FailureKind::No, &error),
            ImageError::Packages { .. } => Self::of(FailureKind::No, &error)
                .hint("name another version of the package that the cause names; one that was damaged is fetched again by the next run"),
            ImageError::Contract { .. } | ImageError::Stage { .. } => Self::of(FailureKind::No, &error)
                .hint("`greensand doctor` says what is wrong with this machine; if it finds nothing, report this"),
        }
    }
}

impl From<RequirementError> for Failure {
    fn from(error: RequirementError) -> Self {
        PackageError::from(error).into()
    }
}

impl From<PackageError> for Failure {
    fn from(error: PackageError) -> Self {
        let kind = match &error {
            PackageError::Requirement(_)
            | PackageError::NoPackages { .. }
            | PackageError::NotLocked { .. }
            | PackageError::Native { .. }
            | PackageError::Builds { .. }
            | PackageError::Unresolved { offline: false, .. } => FailureKind::Asked,
            PackageError::ReadLock { .. }
            | PackageError::NewerLock { .. }
            | PackageError::WriteLock { .. }
            | PackageError::NoLock { .. }
            | PackageError::NoTool
            | PackageError::Run { .. }
            | PackageError::TooSlow { .. }
            | PackageError::Unresolved { offline: true, .. }
            | PackageError::NotFetched { .. }
            | PackageError::WrongHash { .. }
            | PackageError::BadWheel { .. }
            | PackageError::Cache { .. } => FailureKind::No,
        };
        Self::of(kind, &error).hint_if(error.hint())
    }
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Write(source) => source.into(),
            BatchError::Read { .. } => Self::of(FailureKind::No, &error).hint("every line before it was answered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use greensand_app::ModelErrorKind;

    use super::*;

    fn check(failure: &Failure, expected: &str) {
        let mut written = anstream::StripStream::new(Vec::new());
        failure.write(&mut written).unwrap();
        assert_eq!(String::from_utf8(written.into_inner()).unwrap(), expected);
    }

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        let fault = greensand_types::HostFault::caused_by("cannot map the image", io::Error::other("no memory"));
        check(
            &Failure::of(FailureKind::Bug, &fault).hint("run `greensand doctor`"),
            "error: cannot map the image\n  cause: no memory\n  hint: run `greensand doctor`\n",
        );
    }

    #[test]
    fn what_a_model_backend_failed_at_leads_whatever_it_was_asked_for() {
        let refused = ModelError::new(ModelErrorKind::Authentication, "`h` refused the key of `K` (status 401)");
        let task = "a".parse().unwrap();
        let solve = SolveError::Model { task, turn: 0, source: refused.caused_by(io::Error::other("no")) };
        let error = TrainErrorKind::Evaluate(Box::new(EvaluateError::Model(solve)));
        check(
            &Failure::of(FailureKind::Model, &error),
            "error: `h` refused the key of `K` (status 401)\n  cause: no\n  \
             cause: it was to measure a function set: get reply 1 of the assistant in task `a`\n",
        );
    }

    #[test]
    fn words_of_others_cannot_act_on_the_terminal() {
        check(&Failure::asked("no file `\u{1b}[2J`"), "error: no file `\\u{1b}[2J`\n");
    }

    #[test]
    fn a_reader_who_went_away_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.kind, FailureKind::Closed);
        assert_eq!(failure.kind.exit_code(), 0);
    }
}
