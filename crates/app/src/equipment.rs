//! What a project works with: its models, its scorer, the runtime, and the plain settings of the crates below.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use greensand_agent::{
    AgentSettings, CallProtocol, FencedBlocks, OpenScorerError, Scorer, code_tool_name, open_scorer,
};
use greensand_llm::{
    ApiKey, BackendSettings, ConcurrencyReport, EmbeddingModel, ModelBackend, OpenAiSettings, OpenBackendError,
    ReplaySettings, Role, ScriptedSettings, UnknownBackendError, find_backend, open_backend, open_embeddings,
};
use greensand_optimizer::{
    ActionProtocol, AdmissionSettings, MemorisedAnswers, ReplayedCalls, StepSettings, TrainingSettings,
    UnknownStrategyError, find_strategy,
};
use greensand_types::{FunctionRuntime, Language, Limits};

use crate::limit_watch::{LimitWatch, Telling};
use crate::packages::{PackageError, allowed_packages};
use crate::project::Project;
use crate::recording::{RecordingBackend, RecordingEmbeddings, RecordingRuntime};
use crate::settings::{EmbeddingsSection, ModelSection, Settings};
use crate::spend::{Ledger, MeteredBackend, MeteredEmbeddings, PriceTableError, Silence, Spender, find_prices};
use crate::store::{RunFolder, RunWriter, StoreError};
use crate::{Environment, Observer};

/// What a project works with. Nothing in it knows where its settings came from.
#[derive(Clone)]
pub struct Equipment {
    /// The model that solves tasks.
    pub assistant: Arc<dyn ModelBackend>,
    /// The model that changes functions.
    pub optimizer: Arc<dyn ModelBackend>,
    /// The model of embeddings, where one is configured: by it, functions of a large set are chosen for a task.
    pub embeddings: Option<Arc<dyn EmbeddingModel>>,
    /// What runs functions.
    pub runtime: Arc<dyn FunctionRuntime>,
    /// What judges answers.
    pub scorer: Arc<dyn Scorer>,
    /// What was spent on the models, and may be.
    pub(crate) ledger: Arc<Ledger>,
    /// What was told of the limits of their endpoints.
    pub(crate) limits: Arc<LimitWatch>,
    pub(crate) agent: AgentSettings,
    pub(crate) step: StepSettings,
    pub(crate) training: TrainingSettings,
    /// The most functions that a task is offered; 0 for all.
    pub(crate) active_functions: usize,
    /// The most bytes of a text whose vector is asked for.
    pub(crate) max_text_bytes: usize,
}

/// A project whose settings name what cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EquipmentError {
    /// A backend that the program does not have.
    #[error("setting `{section}.backend`")]
    UnknownBackend {
        /// `model` or `optimizer.model`.
        section: &'static str,
        /// Which are known.
        #[source]
        source: UnknownBackendError,
    },
    /// A setting that the backend needs.
    #[error("setting `{section}.{name}` is missing: backend `{backend}` needs it")]
    MissingSetting {
        /// `model` or `optimizer.model`.
        section: &'static str,
        /// The setting.
        name: &'static str,
        /// The backend.
        backend: String,
    },
    /// A model backend does not open.
    #[error("open the model of the {spender}")]
    Backend {
        /// Whose.
        spender: Spender,
        /// Why.
        #[source]
        source: OpenBackendError,
    },
    /// A file that the settings name cannot be read.
    #[error("read `{}`, which setting `{key}` names", path.display())]
    File {
        /// The setting.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A run whose replies are to be given again cannot be read.
    #[error("replay the run that setting `{section}.run` names")]
    Run {
        /// `model` or `optimizer.model`.
        section: &'static str,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The file of prices cannot be used.
    #[error("setting `budget.prices`")]
    Prices(#[from] PriceTableError),
    /// The scorer does not open.
    #[error("open the scorer, settings `scorer.name` and `scorer.options`")]
    Scorer(#[from] OpenScorerError),
    /// The packages of functions cannot be had.
    #[error("setting `functions.packages`")]
    Packages(#[from] PackageError),
    /// There is no such strategy.
    #[error("setting `training.acceptance`")]
    Strategy(#[from] UnknownStrategyError),
    /// There is no guest of that name.
    #[error("setting `{key}`: there is no guest language `{language}`; known: {known}")]
    UnknownLanguage {
        /// The setting.
        key: &'static str,
        /// The language.
        language: Language,
        /// Those that there are.
        known: String,
    },
}

impl EquipmentError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingSetting { section, name: "model", .. } => {
                Some(format!("pass `--model NAME`, or set `model` under `[{section}]` in the project file"))
            }
            Self::MissingSetting { section, name, .. } => {
                Some(format!("set `{name}` under `[{section}]` in the project file"))
            }
            Self::Run { source, .. } => source.hint(),
            Self::Packages(error) => error.hint(),
            Self::UnknownBackend { .. }
            | Self::Backend { .. }
            | Self::File { .. }
            | Self::Prices(_)
            | Self::Scorer(_)
            | Self::Strategy(_)
            | Self::UnknownLanguage { .. } => None,
        }
    }
}

impl Equipment {
    /// Opens what the settings of a project name. Nothing is sent, and nothing is run.
    ///
    /// # Errors
    /// When a backend, scorer, strategy or language does not exist or misses a setting, or a file cannot be read.
    pub fn open(
        project: &Project,
        runtime: Arc<dyn FunctionRuntime>,
        environment: &Environment,
    ) -> Result<Self, EquipmentError> {
        let prices = find_prices(&project.settings)?;
        let ledger = Arc::new(Ledger::new(project.settings.budget.caps, prices));
        Self::open_with(project, runtime, environment, &ledger)
    }

    /// Opens what the settings of a project name, with a ledger that is there already.
    pub(crate) fn open_with(
        project: &Project,
        runtime: Arc<dyn FunctionRuntime>,
        environment: &Environment,
        ledger: &Arc<Ledger>,
    ) -> Result<Self, EquipmentError> {
        let settings = &project.settings;
        let limits = limits(settings, runtime.as_ref())?;
        Ok(Self {
            assistant: open_metered(&settings.assistant, Role::Assistant, environment, ledger)?,
            optimizer: open_metered(&settings.optimizer, Role::Optimizer, environment, ledger)?,
            embeddings: match &settings.embeddings {
                Some(section) => {
                    let (model, resends) = (open_text_vectors(section, environment)?, section.model.max_retries);
                    Some(Arc::new(MeteredEmbeddings::new(model, Arc::clone(ledger), resends)))
                }
                None => None,
            },
            ledger: Arc::clone(ledger),
            limits: Arc::default(),
            scorer: open_scorer(&settings.scorer.name, &settings.scorer.options)?,
            agent: agent(settings, limits.clone())?,
            step: step(settings, &limits, allowed_packages(project)?),
            training: TrainingSettings {
                max_epochs: settings.training.epochs,
                patience: settings.training.patience,
                acceptance: find_strategy(&settings.training.acceptance)?,
                false_accepts: settings.training.false_accepts,
                repeats: settings.training.repeats,
                max_trials: settings.training.max_trials,
                max_missing: settings.training.max_missing,
            },
            active_functions: usize::try_from(settings.functions.active).unwrap_or(usize::MAX),
            max_text_bytes: settings.embeddings.as_ref().map_or(0, |section| section.max_text_bytes),
            runtime,
        })
    }

    /// Returns the same with models and runtime whose every answer is kept in a run, and is taken from there if it is.
    pub(crate) fn recorded_in(&self, run: &Arc<RunWriter>) -> Self {
        self.ledger.note_in(run);
        let recorded = |backend: &Arc<dyn ModelBackend>| -> Arc<dyn ModelBackend> {
            Arc::new(RecordingBackend::new(Arc::clone(backend), Arc::clone(run)))
        };
        Self {
            assistant: recorded(&self.assistant),
            optimizer: recorded(&self.optimizer),
            embeddings: self.embeddings.as_ref().map(|model| -> Arc<dyn EmbeddingModel> {
                Arc::new(RecordingEmbeddings::new(Arc::clone(model), Arc::clone(run)))
            }),
            runtime: Arc::new(RecordingRuntime::new(Arc::clone(&self.runtime), Arc::clone(run))),
            ..self.clone()
        }
    }

    /// Tells what is new of the limits of the models' endpoints.
    pub(crate) fn tell_limits(&self, telling: Telling, observer: &dyn Observer) {
        self.limits.look(self.limits(), telling, observer);
    }

    /// Returns how many requests the models' endpoints take, for those that are behind one.
    pub(crate) fn limits(&self) -> impl Iterator<Item = ConcurrencyReport> {
        let models = [&self.assistant, &self.optimizer].into_iter().map(|model| model.concurrency());
        models.chain(self.embeddings.iter().map(|model| model.concurrency())).flatten()
    }

    /// Returns the ledger of all models: what was spent, what may be, and what they cost.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns what admission allows, for functions that come from elsewhere than a step.
    pub fn admission(&self) -> &AdmissionSettings {
        &self.step.admission
    }
}

/// The bounds of a call in each language that the project uses.
fn limits(settings: &Settings, runtime: &dyn FunctionRuntime) -> Result<BTreeMap<Language, Limits>, EquipmentError> {
    let mut limits = BTreeMap::new();
    let function = Some(&settings.functions.language);
    for (key, language) in [("functions.language", function), ("agent.code_tool", settings.agent.code_tool.as_ref())] {
        let Some(language) = language else { continue };
        let defaults = runtime.default_limits(language).ok_or_else(|| EquipmentError::UnknownLanguage {
            key,
            language: language.clone(),
            known: crate::paths::guest_languages().iter().map(|guest| guest.name).collect::<Vec<_>>().join(", "),
        })?;
        limits.insert(language.clone(), settings.limits.for_language(defaults));
    }
    Ok(limits)
}

fn agent(settings: &Settings, limits: BTreeMap<Language, Limits>) -> Result<AgentSettings, EquipmentError> {
    let defaults = AgentSettings::default();
    let instructions = match &settings.agent.instructions {
        Some(path) => read("agent.instructions".into(), path)?,
        None => defaults.instructions,
    };
    let fenced = settings.agent.code_tool.clone().filter(|_| settings.agent.run_fenced_blocks);
    Ok(AgentSettings {
        instructions,
        protocol: if settings.agent.uses_tools { CallProtocol::Tools } else { CallProtocol::Text },
        prompt_tokens: usize::try_from(settings.agent.prompt_tokens).unwrap_or(usize::MAX),
        max_turns: settings.agent.max_turns,
        max_failed_calls: settings.agent.max_failed_calls,
        code_tool: settings.agent.code_tool.clone(),
        fenced_blocks: fenced.map(|language| FencedBlocks {
            aliases: crate::paths::guest(&language)
                .map(|guest| guest.aliases.iter().map(|alias| (*alias).to_owned()).collect())
                .unwrap_or_default(),
            language,
        }),
        may_call_each_other: settings.functions.may_call_each_other,
        limits,
        encoding: settings.agent.encoding,
        answer_bounds: defaults.answer_bounds,
        seed: settings.training.seed,
        sampling: settings.assistant.sampling,
    })
}

fn step(settings: &Settings, limits: &BTreeMap<Language, Limits>, allowed_packages: Vec<String>) -> StepSettings {
    let language = settings.functions.language.clone();
    StepSettings {
        max_actions_per_step: settings.training.max_actions_per_step,
        max_retries: settings.training.max_retries,
        prompt_token_budget: usize::try_from(settings.training.prompt_tokens).unwrap_or(usize::MAX),
        offered_functions: usize::try_from(settings.functions.active).unwrap_or(usize::MAX),
        retire_after: settings.functions.retire_after,
        protocol: if settings.optimizer_uses_tools { ActionProtocol::Tools } else { ActionProtocol::Text },
        sampling: settings.optimizer.sampling,
        admission: AdmissionSettings {
            allowed_packages,
            // A learned function must not take the place of the tool that runs code.
            reserved_names: settings.agent.code_tool.iter().map(code_tool_name).collect(),
            memorised: match settings.functions.refuses_memorised {
                true => MemorisedAnswers::Refuse,
                false => MemorisedAnswers::Warn,
            },
            replay: match settings.functions.replay.as_str() {
                "off" => ReplayedCalls::Off,
                "refuse" => ReplayedCalls::Refuse,
                _ => ReplayedCalls::Warn,
            },
            may_call_each_other: settings.functions.may_call_each_other,
            limits: limits.get(&language).copied(),
            seed: settings.training.seed,
            ..AdmissionSettings::new(language)
        },
    }
}

/// Opens a model that is asked only as far as the budget goes.
fn open_metered(
    section: &ModelSection,
    role: Role,
    environment: &Environment,
    ledger: &Arc<Ledger>,
) -> Result<Arc<dyn ModelBackend>, EquipmentError> {
    let backend = open_model(section, role, environment)?;
    let silence = if section.backend == "openai_compatible" { Silence::Unsaid } else { Silence::Nothing };
    let resends = if section.backend == "openai_compatible" { section.max_retries } else { 0 };
    Ok(Arc::new(MeteredBackend::new(backend, Arc::clone(ledger), silence).resending(resends)))
}

pub(crate) fn open_model(
    section: &ModelSection,
    role: Role,
    environment: &Environment,
) -> Result<Arc<dyn ModelBackend>, EquipmentError> {
    let name = Spender::from(role).section();
    let missing =
        |setting| EquipmentError::MissingSetting { section: name, name: setting, backend: section.backend.clone() };
    let entry =
        find_backend(&section.backend).map_err(|source| EquipmentError::UnknownBackend { section: name, source })?;
    let settings = match entry.name {
        "scripted" => {
            let path = section.script.as_ref().ok_or_else(|| missing("script"))?;
            let script = read(format!("{name}.script"), path)?;
            let origin = path.display().to_string();
            BackendSettings::Scripted(ScriptedSettings { script, origin, latency: section.latency })
        }
        "replay" => {
            let path = section.run.as_ref().ok_or_else(|| missing("run"))?;
            let records = RunFolder::open(path).and_then(|run| run.replies(role));
            let records = records.map_err(|source| EquipmentError::Run { section: name, source })?;
            BackendSettings::Replay(ReplaySettings { records, origin: path.display().to_string() })
        }
        _ => {
            let model = section.model.as_ref().ok_or_else(|| missing("model"))?;
            BackendSettings::OpenAiCompatible(endpoint(section, model, environment))
        }
    };
    open_backend(settings).map_err(|source| EquipmentError::Backend { spender: role.into(), source })
}

/// Opens a model of embeddings, without a ledger.
pub(crate) fn open_text_vectors(
    section: &EmbeddingsSection,
    environment: &Environment,
) -> Result<Arc<dyn EmbeddingModel>, EquipmentError> {
    let EmbeddingsSection { model: section, .. } = section;
    let settings = endpoint(section, section.model.as_deref().unwrap_or_default(), environment);
    open_embeddings(settings).map_err(|source| EquipmentError::Backend { spender: Spender::Embeddings, source })
}

fn endpoint(section: &ModelSection, model: &str, environment: &Environment) -> OpenAiSettings {
    OpenAiSettings {
        api_key: environment.get(&section.api_key_env).and_then(ApiKey::new),
        api_key_env: section.api_key_env.clone(),
        request_timeout: section.request_timeout,
        connect_timeout: section.connect_timeout,
        deadline: section.deadline,
        max_retries: section.max_retries,
        // The ledger counts each attempt that may have been billed, before it is made.
        resends_billed: false,
        max_concurrency: section.max_concurrency,
        token_limit_field: section.token_limit_field,
        max_reply_bytes: usize::try_from(section.max_reply_bytes).unwrap_or(usize::MAX),
        proxy: section.proxy.clone(),
        ..OpenAiSettings::new(&section.base_url, model)
    }
}

fn read(key: String, path: &std::path::Path) -> Result<String, EquipmentError> {
    std::fs::read_to_string(path).map_err(|source| EquipmentError::File { key, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Overrides, ProjectSource, resolve};

    #[test]
    fn the_name_of_the_code_tool_is_reserved_as_the_model_sees_it() {
        for (setting, reserved) in
            [("python", vec!["run_python"]), ("quick-js", vec!["run_quick_js"]), ("none", vec![])]
        {
            let text = format!("tasks.train = \"t\"\nagent.code_tool = \"{setting}\"");
            let project = ProjectSource { root: "p".into(), file: "p/greensand.toml".into(), text };
            let settings = resolve(&project, &Overrides::new(), &Environment::of([], "/here")).unwrap();
            assert_eq!(step(&settings, &BTreeMap::new(), Vec::new()).admission.reserved_names, reserved);
        }
    }
}
