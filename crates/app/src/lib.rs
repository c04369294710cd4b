//! The application: settings, projects, the run folder, and the wiring that turns them into training and evaluation.
//!
//! [`open_project`] reads a project; [`Equipment::open`](Equipment) opens the models, the scorer and the limits that it
//! names; [`train`] and [`evaluate`] do the work, tell an [`Observer`] about it, and stop at an [`Interrupt`]. What a
//! run leaves is in [`store`]: a folder with a manifest, a journal, readable function sets, and a report.
//!
//! ```no_run
//! // Not run as a test: the first image of a guest language takes seconds to make. `tests/whole_runs` runs all of this.
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use greensand_app::{Environment, Equipment, Interrupt, Overrides, Silent, open_project, open_sandbox, prepare, train};
//!
//! let environment = Environment::current()?;
//! let project = open_project("examples/quickstart".as_ref(), &Overrides::new(), &environment)?;
//! let sandbox = open_sandbox(&environment)?;
//! prepare(&sandbox, &project.settings, &Silent)?;
//! let equipment = Equipment::open(&project, Arc::new(sandbox), &environment)?;
//! let done = train(&project, &equipment, &Silent, &Interrupt::new()).await?;
//! assert_eq!(done.folder.load_set("best")?.functions.len(), done.report.functions.len());
//! # Ok(())
//! # }
//! ```
//!
//! This crate alone reads the environment and chooses paths. It decides nothing about tasks, functions or scores:
//! `greensand-agent` solves, `greensand-optimizer` proposes and judges, `greensand-sandbox` runs. It prints nothing;
//! faces do.

pub mod batch;
mod causes;
mod diff;
pub mod doctor;
mod environment;
mod equipment;
mod evaluate;
pub mod events;
mod init;
mod interrupt;
mod limit_watch;
mod observer;
pub mod packages;
pub mod page;
mod paths;
mod prepare;
pub mod project;
mod recording;
pub mod schema;
mod sets;
pub mod settings;
pub mod spend;
mod status;
pub mod store;
mod train;

pub use diff::{Change, FunctionDiff, SetDiff, diff_sets};
pub use environment::{CACHE_VARIABLE, Environment, UNJAILED_VARIABLE};
pub use equipment::{Equipment, EquipmentError};
pub use evaluate::{EvaluateError, TooMuchMissing};
pub use init::{InitError, write_project};
pub use interrupt::Interrupt;
pub use observer::{Event, Observer, Silent, Tally};
pub use paths::{
    NoCacheDirError, SandboxError, cache_dir, guest_languages, open_project_sandbox, open_sandbox, open_sandbox_as,
    open_sandbox_with,
};
pub use prepare::prepare;
pub use project::{Project, ProjectError, Split, open_project};
pub use sets::{LoadedSet, SetError, SetSource};
pub use settings::{Overrides, Settings, SettingsError};
pub use status::{Measuring, RunState, RunStatus, STATUS_FORMAT, StopError, find_runs, stop_run};
pub use train::{
    CompareDone, Eras, EvalDone, ForkError, NoiseDone, RecordedRun, RecordedRunError, RunDone, RunEnding, TrainError,
    TrainErrorKind, TrainReport, compare, credit, evaluate, fork, noise, replay, resume, train,
};

// What the faces need of the crates below: they depend on this crate alone, and on the values that flow.
pub use greensand_agent::{SCORERS, SolveError};
pub use greensand_llm::{BACKENDS, LimitCause, ModelBackend, ModelError, ModelErrorKind};
pub use greensand_optimizer::{AdmissionSettings, STRATEGIES};
pub use greensand_sandbox::helper::main as run_sandbox_helper;
pub use greensand_sandbox::{
    GuestTemplate, HelperProgram, ImageError, ImageKeeping, ImageOrigin, ImageProgress, ImageReport, ImageStage,
    ImageStatus, InstanceMode, OpenSandboxError, Sandbox, SandboxSettings, ToolchainStatus, module_source,
    scans_changed_pages,
};
