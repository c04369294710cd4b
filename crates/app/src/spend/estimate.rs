//! What a training will take, before anything is spent on it.
//!
//! The worst case follows from the settings: tasks, epochs, turns, actions and retries are bounded by them, and so are the calls.
//! Tokens are bounded as far as `max_tokens` bounds a reply. What is to be expected follows from the means of earlier runs of the
//! project; without any, from a model that the estimate states.

#![expect(clippy::cast_precision_loss, reason = "estimates are far below 2^53, or need no last digit")]

use greensand_agent::AgentSettings;
use greensand_llm::Role;
use greensand_types::TokenUsage;
use serde::Serialize;

use super::earlier_runs::Means;
use super::request_size::ASSUMED_REPLY_TOKENS;
use super::{Money, PriceTableError, Prices, find_prices};
use crate::project::{Project, Split};
use crate::settings::Settings;

/// The number of the form of an estimate as JSON.
pub const ESTIMATE_FORMAT: u32 = 1;

/// What a training will take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The format.
    pub format: u32,
    /// The project.
    pub project: String,
    /// What the models cost.
    pub prices: Prices,
    /// Where the expected numbers come from.
    pub basis: String,
    /// What the numbers take for granted.
    pub assumptions: Vec<String>,
    /// What is done, in its order, and by which model.
    pub phases: Vec<Phase>,
    /// All of it.
    pub total: Range,
}

/// A part of a training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// What is done.
    pub phase: String,
    /// The model that is asked: `assistant` or `optimizer`.
    pub role: String,
    /// How much it takes.
    #[serde(flatten)]
    pub range: Range,
}

/// What is to be expected, and what it can come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Range {
    /// What is to be expected.
    pub expected: Amount,
    /// The worst case.
    pub worst: Amount,
}

/// Calls, tokens and money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Calls.
    pub calls: u64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens of the replies.
    pub completion_tokens: u64,
    /// Money in billionths of a dollar; none where a price is not known.
    pub nano_usd: Option<Money>,
}

impl Default for Amount {
    fn default() -> Self {
        Self { calls: 0, prompt_tokens: 0, completion_tokens: 0, nano_usd: Some(Money::ZERO) }
    }
}

impl Amount {
    /// Returns tokens of prompts and replies together.
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
            nano_usd: self.nano_usd.zip(other.nano_usd).map(|(one, two)| one.plus(two)),
        }
    }
}

/// Estimates a training of a project. Nothing is sent.
///
/// # Errors
/// When the file of prices cannot be used.
pub fn estimate(project: &Project) -> Result<Estimate, PriceTableError> {
    let settings = &project.settings;
    let prices = find_prices(settings)?;
    let means = Means::of_earlier_runs(project);
    let model = Model::of(project, means.as_ref());
    let mut phases = Vec::new();
    let mut add = |phase: &str, role: Role, range: Range| {
        if range.worst.calls > 0 {
            let price = prices.of(role);
            let priced = |amount: Amount| {
                let usage = TokenUsage {
                    prompt_tokens: amount.prompt_tokens,
                    completion_tokens: amount.completion_tokens,
                    ..TokenUsage::default()
                };
                Amount { nano_usd: price.cost(&usage), ..amount }
            };
            let range = Range { expected: priced(range.expected), worst: priced(range.worst) };
            phases.push(Phase { phase: phase.into(), role: role.to_string(), range });
        }
    };
    let tasks = |split| project.tasks.get(split).len() as u64;
    let has_validation = tasks(Split::Validation) > 0;
    let deciding = tasks(project.tasks.acceptance_split());
    let epochs = u64::from(settings.training.epochs);
    // A score takes its trials, and an indecisive comparison may buy more, of each set up to a bound.
    let trials = u64::from(settings.training.repeats.max(1));
    let most_trials = trials.max(u64::from(settings.training.max_trials));
    let (expected_epochs, accepted) = (model.epochs, model.accepted);
    add(
        "initial set",
        Role::Assistant,
        model.tasks((deciding * trials) as f64, deciding.saturating_mul(most_trials), Tools::Initial),
    );
    if has_validation {
        // After the last epoch nobody learns from train any more.
        let more = (accepted.min(expected_epochs - 1.0)).max(0.0);
        let train = tasks(Split::Train);
        add("train, initial set", Role::Assistant, model.tasks(train as f64, train, Tools::Initial));
        let worst = train.saturating_mul(epochs.saturating_sub(1));
        add("train, better sets", Role::Assistant, model.tasks(train as f64 * more, worst, Tools::Learned));
    }
    add("steps", Role::Optimizer, model.steps(expected_epochs, epochs));
    let candidates = (deciding * trials) as f64 * model.candidates;
    let worst = deciding.saturating_mul(epochs).saturating_mul(most_trials);
    add("candidates", Role::Assistant, model.tasks(candidates, worst, Tools::Learned));
    if settings.training.final_test {
        let test = tasks(Split::Test) * trials;
        let better = if accepted > 0.0 { test } else { 0 };
        add("test, initial set", Role::Assistant, model.tasks(test as f64, test, Tools::Initial));
        add("test, best set", Role::Assistant, model.tasks(better as f64, test, Tools::Learned));
    }
    if settings.training.credit_at_end {
        let most = u64::from(settings.training.max_actions_per_step).saturating_mul(epochs).saturating_add(1);
        let expected = (deciding * trials) as f64 * accepted;
        let deciding = deciding.saturating_mul(most_trials);
        add("credit", Role::Assistant, model.tasks(expected, deciding.saturating_mul(most), Tools::Learned));
    }
    let total = phases.iter().fold(Range::default(), |sum, phase| Range {
        expected: sum.expected.plus(phase.range.expected),
        worst: sum.worst.plus(phase.range.worst),
    });
    Ok(Estimate {
        format: ESTIMATE_FORMAT,
        project: settings.name.clone(),
        basis: model.basis(means.as_ref()),
        assumptions: model.assumptions(settings.embeddings.is_some()),
        prices,
        phases,
        total,
    })
}

/// Which functions the assistant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tools {
    Initial,
    Learned,
}

/// The means and bounds that a training is estimated by.
struct Model {
    epochs: f64,
    candidates: f64,
    accepted: f64,
    calls_initial: f64,
    calls_learned: f64,
    prompt: f64,
    reply: f64,
    step_calls: f64,
    step_prompt: f64,
    step_reply: f64,
    most: Bounds,
}

/// What settings bound.
struct Bounds {
    calls: u64,
    reply: u64,
    prompt: u64,
    growth: u64,
    step_calls: u64,
    step_reply: u64,
    step_prompt: u64,
}

/// Tokens of instructions and of what stands around a question, in a request without functions.
const AROUND_QUESTION: u64 = 400;
/// Tokens that functions and other tools take in a prompt, at most.
const OF_TOOLS: u64 = 8_000;
/// Tokens that a prompt to the optimizer has beside records and functions.
const AROUND_RECORDS: u64 = 2_500;
/// Bytes of a token in expectation, and at least.
const BYTES_OF_TOKEN: u64 = 4;
/// Without earlier runs: tokens of a reply of either model.
const EXPECTED_REPLY: f64 = 150.0;
const EXPECTED_STEP_REPLY: f64 = 500.0;
/// Without earlier runs: epochs that bring a better set before those that bring none.
const EXPECTED_ACCEPTED: f64 = 2.0;

impl Model {
    fn of(project: &Project, means: Option<&Means>) -> Self {
        let settings = &project.settings;
        let most = Bounds::of(project);
        let epochs = f64::from(settings.training.epochs);
        let questions = Split::ALL.into_iter().flat_map(|split| project.tasks.get(split));
        let lengths: Vec<u64> = questions.map(|task| task.question.len() as u64).collect();
        let mean = lengths.iter().sum::<u64>() as f64 / lengths.len().max(1) as f64 / BYTES_OF_TOKEN as f64;
        let accepted = EXPECTED_ACCEPTED.min(epochs);
        let expected_epochs = (accepted + f64::from(settings.training.patience)).min(epochs);
        let has_tools = settings.agent.code_tool.is_some() || settings.functions.initial.is_some();
        let turns = |turns: f64| turns.min(most.calls as f64);
        let reply = EXPECTED_REPLY.min(most.reply as f64);
        let records = project.tasks.get(Split::Train).len() as f64 * (mean + 2.0 * reply + 50.0);
        let stated = Self {
            epochs: expected_epochs,
            candidates: expected_epochs,
            accepted,
            calls_initial: turns(if has_tools { 2.0 } else { 1.0 }),
            calls_learned: turns(2.0),
            prompt: mean + AROUND_QUESTION as f64,
            reply,
            step_calls: 2.0_f64.min(most.step_calls as f64),
            step_prompt: (AROUND_RECORDS as f64 + records).min(f64::from(settings.training.prompt_tokens)),
            step_reply: EXPECTED_STEP_REPLY.min(most.step_reply as f64),
            most,
        };
        let Some(means) = means else { return stated };
        let epochs_now = means.epochs.min(epochs);
        Self {
            epochs: epochs_now,
            candidates: means.candidates.min(epochs_now),
            accepted: means.accepted.min(epochs_now),
            calls_initial: means.calls_per_task.min(stated.most.calls as f64),
            calls_learned: means.calls_per_task.min(stated.most.calls as f64),
            prompt: means.prompt,
            reply: means.reply,
            step_calls: means.step_calls,
            step_prompt: means.step_prompt,
            step_reply: means.step_reply,
            most: stated.most,
        }
    }

    /// Returns what it takes to work on so many tasks.
    fn tasks(&self, expected: f64, worst: u64, tools: Tools) -> Range {
        let calls = expected * if tools == Tools::Initial { self.calls_initial } else { self.calls_learned };
        let Bounds { calls: turns, reply, prompt, growth, .. } = self.most;
        // The k-th prompt of a conversation holds everything that was said before it.
        let grown = growth.saturating_mul(turns.saturating_mul(turns.saturating_sub(1)) / 2);
        Range {
            expected: amount(calls, self.prompt, self.reply),
            worst: Amount {
                calls: worst.saturating_mul(turns),
                prompt_tokens: worst.saturating_mul(prompt.saturating_mul(turns).saturating_add(grown)),
                completion_tokens: worst.saturating_mul(turns.saturating_mul(reply)),
                ..Amount::default()
            },
        }
    }

    /// Returns what it takes to make so many steps.
    fn steps(&self, expected: f64, worst: u64) -> Range {
        let Bounds { step_calls, step_reply, step_prompt, .. } = self.most;
        let growth = step_reply.saturating_mul(2);
        let grown = growth.saturating_mul(step_calls.saturating_mul(step_calls.saturating_sub(1)) / 2);
        Range {
            expected: amount(expected * self.step_calls, self.step_prompt, self.step_reply),
            worst: Amount {
                calls: worst.saturating_mul(step_calls),
                prompt_tokens: worst.saturating_mul(step_prompt.saturating_mul(step_calls).saturating_add(grown)),
                completion_tokens: worst.saturating_mul(step_calls.saturating_mul(step_reply)),
                ..Amount::default()
            },
        }
    }

    fn basis(&self, means: Option<&Means>) -> String {
        let Self { epochs, candidates, accepted, calls_initial, calls_learned, reply, step_calls, .. } = self;
        let numbers = format!(
            "{epochs:.1} epochs with {candidates:.1} candidates, {accepted:.1} of them accepted; {calls_initial:.1} calls for a task at \
             first and {calls_learned:.1} with functions, of {reply:.0} reply tokens; {step_calls:.1} calls for a step"
        );
        match means {
            Some(means) => format!("the means of {}: {numbers}", means.source),
            None => format!("no earlier run of the project was found, so that this is assumed: {numbers}"),
        }
    }

    fn assumptions(&self, asks_embeddings: bool) -> Vec<String> {
        let Bounds { calls, reply, step_calls, step_reply, .. } = self.most;
        let mut assumptions = vec![
            format!("the worst case of calls follows from the settings: {calls} for a task, {step_calls} for a step"),
            format!(
                "the worst case of tokens takes replies of {reply} tokens (optimizer: {step_reply}); `max_tokens` bounds them, and \
                 without it this is assumed"
            ),
            "no token of a prompt is taken to come from a cache, and requests that fail are not counted".into(),
        ];
        if asks_embeddings {
            let uncounted = "vectors of questions and functions are not counted: each text is asked for once in a run, and only where \
                             a set is larger than `functions.active`";
            assumptions.push(uncounted.into());
        }
        assumptions
    }
}

impl Bounds {
    fn of(project: &Project) -> Self {
        let settings: &Settings = &project.settings;
        let bound = |tokens: Option<u32>, assumed: u64| tokens.map_or(assumed, u64::from);
        let reply = bound(settings.assistant.sampling.max_tokens, ASSUMED_REPLY_TOKENS);
        let questions = Split::ALL.into_iter().flat_map(|split| project.tasks.get(split));
        let longest = questions.map(|task| task.question.len() as u64).max().unwrap_or(0);
        let answers = AgentSettings::default().answer_bounds;
        let answer = (answers.value + 2 * answers.failure + 2 * answers.output) as u64 / 2;
        let replies_for_action = u64::from(settings.training.max_retries.max(1));
        Self {
            calls: u64::from(settings.agent.max_turns.max(1)),
            reply,
            prompt: longest / 2 + AROUND_QUESTION + OF_TOOLS,
            growth: reply.saturating_add(answer),
            step_calls: u64::from(settings.training.max_actions_per_step).saturating_mul(replies_for_action),
            step_reply: bound(settings.optimizer.sampling.max_tokens, 2 * ASSUMED_REPLY_TOKENS),
            // The budget of the prompt is counted roughly.
            step_prompt: u64::from(settings.training.prompt_tokens) * 2 + AROUND_RECORDS,
        }
    }
}

fn amount(calls: f64, prompt: f64, reply: f64) -> Amount {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such a cast saturates, as is meant")]
    let whole = |number: f64| number.ceil() as u64;
    Amount {
        calls: whole(calls),
        prompt_tokens: whole(calls * prompt),
        completion_tokens: whole(calls * reply),
        ..Amount::default()
    }
}
