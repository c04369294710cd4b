use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greensand_llm::{ChatRequest, EmbeddingRequest, ModelBackend, ModelError, Role, Sampling};
use greensand_sandbox::Sandbox;
use greensand_types::Message;

use super::{Finding, Grade, ModelRequests};
use crate::equipment::{open_model, open_text_vectors};
use crate::settings::{EmbeddingsSection, ModelSection};
use crate::spend::Spender;
use crate::{Environment, Equipment, EquipmentError, Overrides, Project, Split, open_project};

/// The longest wait for the reply of one model.
const REPLY_WITHIN: Duration = Duration::from_secs(60);

/// Looks at a project: whether it can be read, what it has, and whether its models answer.
pub async fn examine_project(
    path: &Path,
    overrides: &Overrides,
    sandbox: &Sandbox,
    requests: ModelRequests,
    environment: &Environment,
) -> Vec<Finding> {
    let project = match open_project(path, overrides, environment) {
        Ok(project) => project,
        Err(error) => return vec![failed("project", &error, error.hint())],
    };
    let mut findings = vec![tasks(&project)];
    let settings = &project.settings;
    let mut models = vec![(Role::Assistant, &settings.assistant)];
    if settings.optimizer != settings.assistant {
        models.push((Role::Optimizer, &settings.optimizer));
    }
    let mut can_ask = true;
    for (role, section) in models {
        match open_model(section, role, environment) {
            Ok(backend) => findings.extend(model(role, section, &*backend, requests, environment).await),
            Err(error) => {
                findings.push(failed(&format!("model {role}"), &error, error.hint()));
                can_ask = false;
            }
        }
    }
    if let Some(section) = &settings.embeddings {
        let examined = embeddings(section, requests, environment).await;
        can_ask &= examined.is_ok();
        findings.extend(examined.unwrap_or_else(|error| vec![failed("model embeddings", &error, error.hint())]));
    }
    // What is wrong with a model has been said.
    match Equipment::open(&project, Arc::new(sandbox.clone()), environment) {
        Err(EquipmentError::Packages(error)) => findings.push(failed("packages", &error, error.hint())),
        Err(error) if can_ask => findings.push(failed("equipment", &error, error.hint())),
        Err(_) | Ok(_) => {}
    }
    findings
}

fn tasks(project: &Project) -> Finding {
    let counts = Split::ALL.map(|split| format!("{} {split}", project.tasks.get(split).len()));
    Finding::good("project", format!("`{}`: {} tasks", project.settings.name, counts.join(", ")))
}

async fn model(
    role: Role,
    section: &ModelSection,
    backend: &dyn ModelBackend,
    requests: ModelRequests,
    environment: &Environment,
) -> Vec<Finding> {
    let name = format!("model {role}");
    let label = backend.label();
    if section.backend != "openai_compatible" {
        return vec![Finding::new(Grade::Note, name, format!("{label}: it asks no endpoint"))];
    }
    let mut findings = vec![key(role.into(), section, environment)];
    findings.push(match requests {
        ModelRequests::Denied => not_asked(name, &label, section),
        ModelRequests::Allowed => {
            let request = question(role);
            answers(name, &label, &section.base_url, async { backend.chat(&request).await.map(drop) }).await
        }
    });
    findings
}

async fn embeddings(
    section: &EmbeddingsSection,
    requests: ModelRequests,
    environment: &Environment,
) -> Result<Vec<Finding>, EquipmentError> {
    let model = open_text_vectors(section, environment)?;
    let (name, label, section) = (format!("model {}", Spender::Embeddings), model.label(), &section.model);
    let asked = match requests {
        ModelRequests::Denied => not_asked(name, &label, section),
        ModelRequests::Allowed => {
            let request = EmbeddingRequest { epoch: 0, texts: vec!["ready".into()] };
            answers(name, &label, &section.base_url, async { model.embed(&request).await.map(drop) }).await
        }
    };
    Ok(vec![key(Spender::Embeddings, section, environment), asked])
}

fn not_asked(name: String, label: &str, section: &ModelSection) -> Finding {
    Finding::new(Grade::Note, name, format!("{label} at {}: not asked", section.base_url))
}

fn key(spender: Spender, section: &ModelSection, environment: &Environment) -> Finding {
    let (name, variable) = (format!("key {spender}"), &section.api_key_env);
    match environment.get(variable) {
        Some(_) => Finding::good(name, format!("{variable} is set")),
        None => Finding::new(Grade::Note, name, format!("{variable} is not set; a local server may need no key"))
            .remedy(format!("export {variable}=KEY")),
    }
}

fn question(role: Role) -> ChatRequest {
    ChatRequest {
        role,
        task: None,
        turn: 0,
        epoch: 0,
        repeat: 0,
        functions: Vec::new(),
        messages: vec![Message::User { text: "Reply with the word: ready".into() }],
        tools: Vec::new(),
        sampling: Sampling::default(),
    }
}

/// Asks for one short answer: nothing less shows that endpoint, key and model fit together.
async fn answers(
    name: String,
    label: &str,
    base_url: &str,
    ask: impl Future<Output = Result<(), ModelError>>,
) -> Finding {
    let started = Instant::now();
    match tokio::time::timeout(REPLY_WITHIN, ask).await {
        Ok(Ok(())) => {
            Finding::good(name, format!("{label} at {base_url} answers ({} ms)", started.elapsed().as_millis()))
        }
        Ok(Err(error)) => {
            let remedy = error.hint().map(str::to_owned);
            failed(&name, &error, remedy.or_else(|| Some(format!("curl {base_url}/models"))))
        }
        Err(_) => Finding::new(
            Grade::Failed,
            name,
            format!("{label} at {base_url} gave no reply within {} s", REPLY_WITHIN.as_secs()),
        )
        .remedy(format!("curl {base_url}/models")),
    }
}

fn failed(name: &str, error: &dyn std::error::Error, remedy: Option<String>) -> Finding {
    Finding { remedy, ..Finding::new(Grade::Failed, name, crate::causes::with_causes(error)) }
}
