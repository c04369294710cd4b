//! What a run found that did not only train: how ways compare, how instructions were rewritten, how much is chance.

use greensand_types::counted;
use maud::{Markup, html};

use super::parts::{percent, point_words, thousands};
use crate::spend::Money;
use crate::store::{ArmReport, CompareReport, InstructionsRecord, NoiseReport};

/// The most tasks that are listed.
const LISTED: usize = 50;

/// Shows what each way to use the model is worth.
pub(super) fn ways_compared(found: Option<&CompareReport>) -> Markup {
    let Some(found) = found else { return html! { p.none { "The run has not come to compare." } } };
    html! {
        p {
            (counted(found.tasks, "task")) " of " (found.split) ", each way for at most "
            (thousands(found.budget_replies)) " replies of learning."
        }
        @if !found.is_held_out {
            p.warn { "There is no test split: what was learned was chosen on these tasks, and is flattered." }
        }
        div.wide { table {
            tr {
                th.name { "way" } th.number { "score" } th.name { "against the model alone" }
                th.number { "replies to learn" } th.number { "replies to use" } th.number { "cost" }
            }
            @for arm in &found.arms { (way(arm)) }
        } }
        p.dim { "What a model said before, word by word, is counted here, and was not paid again." }
    }
}

fn way(arm: &ArmReport) -> Markup {
    let error = arm.standard_error.map(|error| format!(" ± {:.1}", error * 100.0)).unwrap_or_default();
    let score = arm.score.map_or_else(|| "no score".into(), |score| format!("{}{error}", percent(score)));
    let compared = arm.to_no_functions.as_ref();
    let against = compared.map(|compared| point_words(compared.difference, compared.interval)).unwrap_or_default();
    let money = arm.learning_nano_usd.zip(arm.using_nano_usd);
    let cost = money.map(|(learning, using)| Money::of_nano_dollars(learning.saturating_add(using)).to_string());
    html! {
        tr {
            td.name { (arm.name.replace('_', " ")) br; span.dim { (arm.what) } }
            td.number { (score) }
            td.name { (against) }
            td.number { (thousands(arm.learning_replies)) }
            td.number { (thousands(arm.using_replies)) }
            td.number { (cost.unwrap_or_else(|| "not known".into())) }
        }
    }
}

/// Shows the rewritings of the instructions, each with what became of it.
pub(super) fn rewritings(records: &[InstructionsRecord]) -> Markup {
    html! {
        @if records.is_empty() { p.none { "None." } }
        @for record in records {
            article {
                h3 {
                    "Epoch " (record.epoch) " "
                    @if record.accepted { span.badge.good { "accepted" } } @else { span.badge.bad { "rolled back" } }
                }
                p.reason { (record.reason) }
                @if let Some(text) = &record.text { details { summary { "instructions" } pre.text { (text) } } }
            }
        }
    }
}

/// Shows how much of a score is chance, and what that lets a comparison see.
pub(super) fn noise_found(found: Option<&NoiseReport>) -> Markup {
    let Some(found) = found else { return html! { p.none { "The run has not measured twice." } } };
    let error = found.standard_error.map(|error| format!(" ± {:.1}", error * 100.0)).unwrap_or_default();
    html! {
        p { "The same set, measured twice on " (counted(found.tasks, "task")) " of " (found.split) "." }
        table.facts {
            tr { th { "first" } td { (percent(found.first)) } }
            tr { th { "second" } td { (percent(found.second)) } }
            tr { th { "difference" } td { (point_words(found.difference, None)) (error) } }
            tr { th { "missing" } td { (counted(found.missing, "task")) " without a score in either" } }
        }
        h3 { "The smallest improvement that these tasks can show" }
        @if found.smallest_effects.is_empty() { p.none { "One task says nothing of chance." } } @else {
            p.dim { "It is found in " (percent(found.power)) " of cases, with " (percent(found.level)) " of false accepts." }
            table.facts {
                @for smallest in &found.smallest_effects {
                    tr {
                        th { (counted(smallest.repeats as usize, "trial")) " of each task" }
                        td { (format!("{:.1} points", smallest.effect * 100.0)) }
                    }
                }
            }
        }
        (changed(found))
    }
}

fn changed(found: &NoiseReport) -> Markup {
    html! {
        h3 { "Tasks that changed though nothing else did" }
        @if found.changed.is_empty() { p.none { "None." } } @else {
            div.wide { table {
                tr { th { "task" } th.number { "first" } th.number { "second" } }
                @for task in found.changed.iter().take(LISTED) {
                    tr { td { (task.task) } td.number { (percent(task.first)) } td.number { (percent(task.second)) } }
                }
            } }
        }
        @if found.changed.len() > LISTED { p.dim { "And " (found.changed.len() - LISTED) " more, which `noise.json` has." } }
    }
}
