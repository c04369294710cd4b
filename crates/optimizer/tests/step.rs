//! One step: what is applied, what goes back with its reason, and why the step ends.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use std::future::{pending, poll_fn, ready};
use std::sync::Arc;
use std::task::Poll;

use greensand_llm::{ChatReply, ChatRequest, ModelBackend, ModelError, ModelErrorKind, Role};
use greensand_optimizer::{
    ActionProtocol, EvidenceBook, StepErrorKind, StepInput, StepSettings, propose, propose_until,
};
use greensand_types::{BoxFuture, FunctionSet, Message, Proposal, StepEnd, StepReport};
use serde_json::{Value, json};
use support::{
    Model, Toy, block_on, call, calls, definition, length, record, set, settings, silent, step_input, text, times,
};

fn step_from(best: &Arc<FunctionSet>, model: &Model, settings: &StepSettings) -> StepReport {
    let records = [record("t1", best, false), record("t2", best, true)];
    let input = StepInput { success_rate: 0.5, ..step_input(best, &records) };
    block_on(propose(input, model, &Toy::default(), settings)).unwrap()
}

fn step(replies: impl IntoIterator<Item = ChatReply>) -> (StepReport, Model) {
    let model = Model::says(replies);
    (step_from(&Arc::new(FunctionSet::empty()), &model, &settings()), model)
}

/// A model with a small context.
struct Narrow {
    model: Model,
    context: usize,
}

impl ModelBackend for Narrow {
    fn label(&self) -> String {
        self.model.label()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        if size(request) <= self.context {
            return self.model.chat(request);
        }
        Box::pin(ready(Err(ModelError::new(ModelErrorKind::ContextOverflow, "too long"))))
    }
}

fn size(request: &ChatRequest) -> usize {
    request.messages.iter().map(|message| format!("{message:?}").len()).sum()
}

#[test]
fn a_prompt_that_does_not_fit_is_written_again_with_half_of_it() {
    let best = Arc::new(FunctionSet::empty());
    let records: Vec<_> = (0..60).map(|number| record(&format!("task-{number}"), &best, number % 2 == 0)).collect();
    let (failures, evidence) = (&[][..], &EvidenceBook::new());
    let input = StepInput { best: &best, evidence, records: &records, failures, success_rate: 0.5, epoch: 1 };
    let replies = || [call("add_function", times("double", 2)), text("TERMINATE")];
    let whole = Model::says(replies());
    let _ = block_on(propose(input, &whole, &Toy::default(), &settings())).unwrap();
    let full = size(&whole.requests()[0]);

    let narrow = Narrow { model: Model::says(replies()), context: full * 2 / 3 };
    let report = block_on(propose(input, &narrow, &Toy::default(), &settings())).unwrap();
    assert_eq!((report.end, names(&report)), (StepEnd::Terminated, vec!["double"]));
    let asked = narrow.model.requests();
    assert_eq!(asked.len(), 2, "what does not fit is no reply");
    assert!(size(&asked[0]) <= full * 2 / 3);
    let Message::User { text } = &asked[0].messages[1] else { panic!() };
    assert!(text.contains("longer than your context and was shortened"), "{text}");

    // A context that not even the instructions fit into ends the step with its reason, and is not asked for ever.
    let narrow = Narrow { model: Model::says(replies()), context: 10 };
    let error = block_on(propose(input, &narrow, &Toy::default(), &settings())).unwrap_err();
    let StepErrorKind::Model(error) = error.kind else { panic!("{error:?}") };
    assert_eq!(error.kind(), ModelErrorKind::ContextOverflow);
}

#[test]
fn the_same_broken_block_is_explained_once_and_a_second_one_ends_the_step() {
    let broken = || text("```json\n{\"action\": \"add_function\", \n```");
    let unnamed = text("```json\n{\"name\": \"f\"}\n```");
    let (report, model) = step([broken(), unnamed, broken(), broken()]);
    assert_eq!((report.end, model.requests().len()), (StepEnd::RetriesSpent, 3));
    assert!(model.told_after(0).contains("a block must be {\"action\""), "{}", model.told_after(0));
    assert_eq!(report.proposals.len(), 3, "each is in the report");
}

fn names(report: &StepReport) -> Vec<&str> {
    report.candidate.iter().map(|function| function.name().as_str()).collect()
}

/// The verbs of the proposals; a refused one with its gate.
fn proposals(report: &StepReport) -> Vec<String> {
    let word = |proposal: &Proposal| match proposal {
        Proposal::Applied { action, .. } => action.verb().to_owned(),
        Proposal::Refused(rejection) => format!("{} refused by {}", rejection.action, rejection.gate.as_str()),
    };
    report.proposals.iter().map(word).collect()
}

fn remove(name: &str) -> (&'static str, Value) {
    ("remove_function", json!({"name": name, "reason": "it does not help"}))
}

#[test]
fn actions_are_taken_until_the_model_ends_the_step() {
    let (report, model) = step([
        call("add_function", times("double", 2)),
        call("revise_function", times("double", 4)),
        text("TERMINATE"),
    ]);
    assert_eq!((names(&report), report.end), (vec!["double"], StepEnd::Terminated));
    assert_eq!(proposals(&report), ["add", "revise"]);
    assert_eq!(report.usage.requests, 3);
    assert!(model.told_after(0).starts_with("applied; add `double`. The candidate now holds `double`. 1 of 3"));
}

#[test]
fn a_step_applies_no_more_actions_than_it_may() {
    let (report, model) = step([
        calls(&[("add_function", times("a2", 2)), ("add_function", times("a3", 3))]),
        calls(&[("add_function", times("a4", 4)), ("add_function", times("a5", 5))]),
    ]);
    assert_eq!((names(&report), report.end), (vec!["a2", "a3", "a4"], StepEnd::ActionsSpent));
    assert_eq!(proposals(&report), ["add", "add", "add", "add refused by form"]);
    assert_eq!(model.requests().len(), 2, "no reply is paid for that nothing could come of");
    let none = StepSettings { max_actions_per_step: 0, ..settings() };
    let model = Model::says([]);
    assert_eq!(step_from(&Arc::new(FunctionSet::empty()), &model, &none).end, StepEnd::ActionsSpent);
}

#[test]
fn a_refused_action_goes_back_with_its_reason() {
    let wrong = definition("double", &["a"], "def double(a): a * 3", &[(json!({"a": 3}), json!(6))]);
    let (report, model) = step([call("add_function", wrong), call("add_function", times("double", 2)), text("Done.")]);
    assert_eq!(proposals(&report), ["add refused by examples", "add"]);
    let told = model.told_after(0);
    assert!(
        told.starts_with("refused at gate `examples`: example 1 of 1:") && told.contains("gives 9, expected 6"),
        "{told}"
    );
    let second = &model.requests()[1].messages;
    assert!(matches!(&second[second.len() - 1], Message::Tool { call, .. } if call == "call-0"), "{second:?}");
}

#[test]
fn as_many_refusals_in_a_row_as_allowed_end_the_step() {
    let unknown = || call("revise_function", times("double", 2));
    let (report, model) = step([unknown(), unknown(), unknown(), unknown()]);
    assert_eq!((report.end, report.proposals.len(), model.requests().len()), (StepEnd::RetriesSpent, 3, 3));
    assert!(report.is_unchanged());
    let add = || call("add_function", times("double", 2));
    let (report, _) = step([unknown(), unknown(), add(), calls(&[remove("x")]), calls(&[remove("x")]), text("Done.")]);
    assert_eq!(report.end, StepEnd::Terminated, "an applied action starts the count anew");
}

#[test]
fn several_calls_of_one_reply_are_looked_at_in_order_each_against_what_the_one_before_left() {
    let (report, _) = step([
        calls(&[
            ("add_function", times("double", 2)),
            ("add_function", times("double", 3)),
            ("revise_function", times("double", 4)),
            remove("double"),
        ]),
        text("TERMINATE"),
    ]);
    assert_eq!(proposals(&report), ["add", "add refused by existence", "revise", "remove"]);
    assert!(report.is_unchanged() && report.end == StepEnd::ActionsSpent);
}

#[test]
fn the_candidate_is_a_child_of_the_set_that_the_step_started_from() {
    let best = set(&[times("double", 2)]);
    let model =
        Model::says([calls(&[("add_function", times("a3", 3)), ("add_function", times("a4", 4))]), text("TERMINATE")]);
    let report = step_from(&best, &model, &settings());
    assert_eq!((report.parent, report.candidate.parent()), (best.id(), Some(best.id())));
    assert_eq!(names(&report), ["a3", "a4", "double"]);
    let model = Model::says([calls(&[("add_function", times("a3", 3)), remove("a3")]), text("TERMINATE")]);
    let report = step_from(&best, &model, &settings());
    assert!(
        report.is_unchanged() && Arc::ptr_eq(&report.candidate, &best),
        "a detour leads back to the best set itself"
    );
}

#[test]
fn a_model_without_tool_calling_acts_by_fenced_json() {
    let mut action = times("double", 2);
    action["action"] = json!("add_function");
    let block = format!("I add a function.\n\n```json\n{action:#}\n```\n");
    let bad = "```json\n{\"action\": \"remove_function\", \"name\": \"triple\", \"reason\": \"r\"}\n```";
    let (report, model) = step([text(&block), text(bad), text("Nothing more to do.")]);
    assert_eq!(
        (proposals(&report), report.end),
        (vec!["add".to_owned(), "remove refused by existence".into()], StepEnd::Terminated)
    );
    assert!(model.told_after(0).starts_with("applied; add `double`"));
    assert!(model.told_after(1).starts_with("refused at gate `existence`"));
    assert!(matches!(model.requests()[1].messages.last(), Some(Message::User { .. })));
}

#[test]
fn tools_are_not_sent_to_an_endpoint_that_refuses_them() {
    let by_text = StepSettings { protocol: ActionProtocol::Text, ..settings() };
    for (settings, tools) in [(settings(), 3), (by_text, 0)] {
        let model = Model::says([text("TERMINATE")]);
        let _ = step_from(&Arc::new(FunctionSet::empty()), &model, &settings);
        let request = &model.requests()[0];
        assert_eq!((request.tools.len(), request.role, request.epoch, request.turn), (tools, Role::Optimizer, 1, 0));
    }
}

#[test]
fn terminate_beside_an_applied_action_ends_the_step_but_not_beside_a_refused_one() {
    let beside = |reply: ChatReply| ChatReply { text: "TERMINATE".into(), ..reply };
    let (report, model) = step([beside(call("add_function", times("double", 2)))]);
    assert_eq!((report.end, model.requests().len()), (StepEnd::Terminated, 1));
    let (_, model) = step([beside(calls(&[remove("double")])), text("TERMINATE")]);
    assert_eq!(model.requests().len(), 2, "the model must learn of the refusal");
    let (_, model) = step([calls(&[remove("double"), ("terminate", json!({}))]), text("TERMINATE")]);
    assert_eq!(model.requests().len(), 2, "the same, said by an action");
    assert!(model.told_after(0).contains("the step goes on"), "{}", model.told_after(0));
    let (report, _) = step([calls(&[("terminate", json!({})), remove("x")])]);
    assert_eq!((report.end, proposals(&report)), (StepEnd::Terminated, vec!["remove refused by form".to_owned()]));
}

#[test]
fn what_cannot_be_read_goes_back_and_is_never_adopted() {
    let cut = length("", &[("add_function", times("double", 2))]);
    let (report, model) = step([silent(), cut, text("```json\n{\"action\": \"add_fun")]);
    assert_eq!((report.end, report.candidate.len()), (StepEnd::RetriesSpent, 0));
    assert_eq!(proposals(&report), vec!["unusable reply refused by form"; 3]);
    assert!(model.told_after(0).contains("empty"));
    assert!(model.told_after(1).contains("cut off"));
    for request in model.requests() {
        support_checks_order(&request.messages);
    }
}

/// Every call has its answer, and nothing is said before it has.
fn support_checks_order(messages: &[Message]) {
    let mut conversation = greensand_types::Conversation::open(support::task("t", "", ""), FunctionSet::empty().id());
    for message in messages {
        conversation.say(message.clone()).unwrap();
    }
    assert!(!matches!(messages.last(), Some(Message::Assistant { .. })));
}

#[test]
fn a_reply_with_a_flood_of_calls_is_bounded() {
    let flood: Vec<(&str, Value)> = (0..200).map(|_| remove("x")).collect();
    let (report, model) = step([calls(&flood), text("TERMINATE")]);
    assert_eq!(proposals(&report)[15..], ["remove refused by existence", "too many actions refused by form"]);
    assert!(model.told_after(0).ends_with("184 more actions were dropped: a reply may have at most 16"));
    let sent_back = |model: &Model| {
        let messages = model.requests()[1].messages.clone();
        support_checks_order(&messages);
        let answers = messages.iter().filter(|message| matches!(message, Message::Tool { .. })).count();
        let calls = messages.iter().find_map(|message| match message {
            Message::Assistant { calls, .. } => Some(calls.len()),
            _ => None,
        });
        (calls, answers)
    };
    assert_eq!(sent_back(&model), (Some(16), 16));
    let (report, model) = step([length("", &flood), text("TERMINATE")]);
    assert_eq!((proposals(&report).len(), sent_back(&model)), (1, (Some(16), 16)));
    let by_text: String = (0..20)
        .map(|_| "```json\n{\"action\": \"remove_function\", \"name\": \"x\", \"reason\": \"r\"}\n```\n")
        .collect();
    let (report, model) = step([text(&by_text), text("TERMINATE")]);
    assert_eq!(report.proposals.len(), 17);
    assert!(model.told_after(0).ends_with("4 more actions were dropped: a reply may have at most 16"));
}

#[test]
fn the_model_is_told_when_it_repeats_a_set_that_was_undone() {
    let best = Arc::new(FunctionSet::empty());
    let failures = [support::failed(&set(&[times("double", 2)]), 3, 0.1)];
    let model = Model::says([call("add_function", times("double", 2)), text("TERMINATE")]);
    let input = StepInput { failures: &failures, success_rate: 0.5, epoch: 4, ..step_input(&best, &[]) };
    let report = block_on(propose(input, &model, &Toy::default(), &settings())).unwrap();
    assert!(model.told_after(0).contains("measured in epoch 3 and undone"), "{}", model.told_after(0));
    assert!(matches!(&report.proposals[0], Proposal::Applied { warnings, .. } if warnings.len() == 1));
}

#[test]
fn a_model_error_keeps_what_the_step_had_done() {
    let model = Model::with([Some(call("add_function", times("double", 2))), None]);
    let best = Arc::new(FunctionSet::empty());
    let records = [record("t1", &best, false)];
    let input = StepInput { epoch: 4, ..step_input(&best, &records) };
    let error = block_on(propose(input, &model, &Toy::default(), &settings())).unwrap_err();
    assert_eq!(error.to_string(), "make step of epoch 4");
    assert!(matches!(error.kind, StepErrorKind::Model(_)));
    assert_eq!((error.partial.candidate.len(), error.partial.proposals.len(), error.partial.usage.requests), (1, 1, 1));
}

/// A model that never answers its second request.
struct HangsSecond(Model);

impl ModelBackend for HangsSecond {
    fn label(&self) -> String {
        self.0.label()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        let reply = self.0.chat(request);
        if self.0.requests().len() == 2 { Box::pin(pending()) } else { reply }
    }
}

#[test]
fn a_step_that_is_stopped_keeps_what_was_examined() {
    let model = Model::says([call("add_function", times("double", 2))]);
    let best = Arc::new(FunctionSet::empty());
    let input = StepInput { epoch: 4, ..step_input(&best, &[]) };
    let error = block_on(propose_until(input, &model, &Toy::default(), &settings(), ready(()))).unwrap_err();
    assert!(matches!(error.kind, StepErrorKind::Interrupted) && error.partial.proposals.is_empty());
    assert!(model.requests().is_empty(), "a stop that is there already comes first");

    let model = HangsSecond(model);
    let stop = poll_fn(|context| {
        context.waker().wake_by_ref();
        if model.0.requests().len() == 2 { Poll::Ready(()) } else { Poll::Pending }
    });
    let input = StepInput { epoch: 4, ..step_input(&best, &[]) };
    let error = block_on(propose_until(input, &model, &Toy::default(), &settings(), stop)).unwrap_err();
    assert!(matches!(error.kind, StepErrorKind::Interrupted));
    assert_eq!((error.partial.candidate.len(), error.partial.proposals.len(), error.partial.usage.requests), (1, 1, 1));
}

#[test]
fn a_host_fault_is_an_error_and_no_refusal() {
    let model = Model::says([call("add_function", times("double", 2))]);
    let best = Arc::new(FunctionSet::empty());
    let input = step_input(&best, &[]);
    let broken = Toy { is_broken: true, ..Toy::default() };
    let error = block_on(propose(input, &model, &broken, &settings())).unwrap_err();
    assert!(matches!(error.kind, StepErrorKind::Host(_)) && error.partial.proposals.is_empty());
}
