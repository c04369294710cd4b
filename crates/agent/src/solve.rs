use std::sync::Arc;

use greensand_llm::{ModelBackend, ModelError, ModelErrorKind};
use greensand_types::{ConversationRecord, FunctionRuntime, HostFault, Registration, Task, TaskId, Verdict};

use crate::dialogue::{Dialogue, Ending, Occasion, Step};
use crate::{AgentSettings, Scorer};

/// What one task is solved with.
#[derive(Clone)]
pub struct SolveInputs<'a> {
    /// The task.
    pub task: Arc<Task>,
    /// The functions, for the assistant's tool list and the user proxy's call table alike.
    pub registration: &'a Registration,
    /// The assistant's model.
    pub backend: &'a dyn ModelBackend,
    /// What runs the calls.
    pub runtime: &'a dyn FunctionRuntime,
    /// What judges the answer.
    pub scorer: &'a dyn Scorer,
    /// How.
    pub settings: &'a AgentSettings,
    /// The epoch, for the backend's record; 0 is the evaluation of the initial set.
    pub epoch: u32,
    /// Which of several independent attempts at the task this is, from 0.
    pub repeat: u32,
}

/// A task that could not be worked on to its end: it has no score, which is missing data and not a zero.
///
/// A conversation that has grown past the context of the model is one of these, but only where it does not help to cut and
/// leave out answers of calls: to [`prompt_tokens`](AgentSettings::prompt_tokens) before anything is sent, and once more to
/// half of what was sent when the endpoint says that it was too long. It is then missing and never a zero. Sets are compared on the tasks that both have a score for, so this may flatter such a set, by a share of the tasks of
/// `max_missing` at most: a run ends when more of them lack a score.
#[derive(Debug, thiserror::Error)]
pub enum SolveError {
    /// The model gave no reply.
    #[error("get reply {turn} of the assistant in task `{task}`", turn = .turn + 1)]
    Model {
        /// The task.
        task: TaskId,
        /// Which reply, from 0.
        turn: u32,
        /// Why.
        source: ModelError,
    },
    /// The runtime could not run a call.
    #[error("run call of `{function}` in task `{task}`")]
    Runtime {
        /// The task.
        task: TaskId,
        /// The function as the model named it.
        function: String,
        /// Why.
        source: HostFault,
    },
}

/// Solves one task to its verdict.
///
/// The calls of one reply are run in their order, one at a time. Deadlines are those of the backend (each reply) and of
/// the runtime (each call); the settings bound how many of each there are. Dropping the future abandons the task.
///
/// # Errors
/// When the model gives no reply or the runtime cannot run a call. Everything else is a verdict.
pub async fn solve(inputs: SolveInputs<'_>) -> Result<ConversationRecord, SolveError> {
    let SolveInputs { task, registration, backend, runtime, scorer, settings, epoch, repeat } = inputs;
    let default_limits = |language: &_| runtime.default_limits(language);
    let mut step = Dialogue::open(task.clone(), registration, settings, Occasion { epoch, repeat }, &default_limits);
    loop {
        step = match step {
            Step::AskModel(question) => {
                let request = question.request();
                let reply = backend.chat(&request).await;
                let turn = request.turn;
                match reply {
                    Ok(reply) => question.replied(reply),
                    Err(source) => {
                        let is_overflow = source.kind() == ModelErrorKind::ContextOverflow;
                        match is_overflow.then(|| question.overflowed()).flatten() {
                            Some(shorter) => Step::AskModel(shorter),
                            None => return Err(SolveError::Model { task: task.id.clone(), turn, source }),
                        }
                    }
                }
            }
            Step::RunCall(pending) => match runtime.invoke(pending.invocation().clone()).await {
                Ok(outcome) => pending.answered(outcome),
                Err(source) => {
                    let function = pending.call().name.clone();
                    return Err(SolveError::Runtime { task: task.id.clone(), function, source });
                }
            },
            Step::Finished(dialogue) => {
                let verdict = match dialogue.ending() {
                    Ending::Answered(text) => scorer.score(&task, text),
                    Ending::Unanswered(feedback) => Verdict::unsatisfied(None, feedback.clone()),
                };
                return Ok(dialogue.close(verdict));
            }
        }
    }
}
