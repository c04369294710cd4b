//! The look of a page: one section after the other.
//!
//! Every value goes through the template, which escapes it. The two exceptions are the style, which is ours, and the
//! JSON of the data, whose escapes are made for that place.

use base64::Engine;
use greensand_types::counted;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::bounds::{embedded_json, spelt_out};
use super::chart::score_curve;
use super::data::ReportPage;
use super::findings::{noise_found, rewritings, ways_compared};
use super::parts::{badge, percent, score_words, set_diff, short, thousands};
use crate::spend::{Money, Spender};
use crate::store::{
    ComparisonRecord, CreditReport, EpochReport, EvaluationRecord, FunctionReport, Manifest, ProposalRecord, Report,
    RunKind, ShareReport, UsageRecord,
};

const STYLE: &str = include_str!("style.css");

impl ReportPage {
    /// Returns the page as HTML: one file that asks for nothing and runs nothing.
    pub fn to_html(&self) -> String {
        let report = &self.report;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy());
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    title { "greensand: " (report.run) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (head(self))
                    (warnings(report))
                    @match kind(self) {
                        RunKind::Train => { (training(self)) }
                        RunKind::Noise => {
                            h2 { "Noise" }
                            (noise_found(self.noise.as_ref()))
                            h2 { "Measured" }
                            (measured(report))
                        }
                        RunKind::Eval => {
                            h2 { "Measured" }
                            (measured(report))
                        }
                        RunKind::Compare => {
                            h2 { "Comparison" }
                            (ways_compared(self.comparison.as_ref()))
                            (training(self))
                            h2 { "Rewritten instructions" }
                            (rewritings(&self.instructions))
                        }
                    }
                    h2 { "Spend" }
                    (spend(report))
                    @if let Some(manifest) = &self.manifest { (started_with(manifest)) }
                    (data(self))
                }
            }
        };
        spelt_out(&page.into_string()).into_owned()
    }
}

/// Returns what the run did; without its description, what runs mostly do.
fn kind(page: &ReportPage) -> RunKind {
    page.manifest.as_ref().map_or(RunKind::Train, |manifest| manifest.kind)
}

/// What was measured of a set where nothing was learned.
fn measured(report: &Report) -> Markup {
    let of_test = report.test.as_ref().and_then(|test| test.initial.as_ref());
    let records: Vec<_> = report.epochs.iter().flat_map(|epoch| &epoch.scores).chain(of_test).cloned().collect();
    html! { @if records.is_empty() { p.none { "Nothing was measured." } } @else { (measurements(&records)) } }
}

/// The learning of functions.
fn training(page: &ReportPage) -> Markup {
    let report = &page.report;
    html! {
        h2 { "Scores" }
        (score_curve(report))
        (scores(report))
        h2 { "Steps" }
        @for epoch in &report.epochs { (step(page, epoch)) }
        h2 { "Functions of the best set" }
        (functions(page))
        h2 { "Refused proposals" }
        (refused(report))
    }
}

/// Nothing may be fetched, run, framed or sent; the one style is named by its hash.
fn policy() -> String {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

fn head(page: &ReportPage) -> Markup {
    let report = &page.report;
    html! {
        h1 { (report.run) }
        @if let Some(manifest) = &page.manifest {
            p.dim {
                "project " (manifest.project) ", begun " (manifest.started) ", greensand " (manifest.version) br;
                "assistant " code { (manifest.assistant) } ", optimizer " code { (manifest.optimizer) } ", functions in "
                (manifest.language) ", seed " (manifest.seed)
            }
            @if let Some(fork) = &manifest.forked_from { p { "Forked from " code { (fork.run) } " at epoch " (fork.at) "." } }
        }
        @match &report.stop {
            Some(stop) if stop.is_the_end() => p { "Finished (" (stop.kind) "): " (stop.reason) },
            Some(stop) => {
                p.warn { "Stopped (" (stop.kind) "): " (stop.reason) }
                p { "It can be taken up again, with " code { "greensand resume" } "." }
            },
            None => p.warn { "Not finished: the run is under way, or its process was ended." },
        }
    }
}

fn warnings(report: &Report) -> Markup {
    html! {
        @if !report.warnings.is_empty() {
            h2 { "Warnings" }
            ul { @for warning in &report.warnings { li.warn { (warning) } } }
        }
    }
}

fn scores(report: &Report) -> Markup {
    let test = report.test.as_ref();
    let tests = [
        ("initial set", test.and_then(|test| test.initial.as_ref())),
        ("best set", test.and_then(|test| test.best.as_ref())),
    ];
    html! {
        p.dim { "Acceptance is decided on " (report.acceptance_split) "." }
        @if test.is_some() {
            p { "On test, which nothing was decided on:" }
            table.facts {
                @for (name, record) in tests {
                    @if let Some(record) = record { tr { th { (name) } td { (score_words(record)) } } }
                }
            }
        }
    }
}

fn step(page: &ReportPage, epoch: &EpochReport) -> Markup {
    let diff = page.steps.iter().find(|step| step.epoch == epoch.epoch);
    html! {
        article {
            h3 {
                "Epoch " (epoch.epoch) " "
                @if let Some(decision) = &epoch.decision { (badge(decision.decision)) } @else { span.badge.plain { "not decided" } }
            }
            @if let Some(decision) = &epoch.decision {
                p.reason {
                    @if let Some(score) = decision.score { (percent(score)) }
                    @if let Some(before) = decision.compared_with { " (before " (percent(before)) ")" }
                    @if decision.score.is_some() { ": " }
                    (decision.reason)
                }
            }
            @if let Some(comparison) = epoch.decision.as_ref().and_then(|decision| decision.comparison.as_ref()) {
                p.dim { (comparison_words(comparison)) }
            }
            @if !epoch.scores.is_empty() { (measurements(&epoch.scores)) }
            @if let Some(step) = &epoch.step {
                @if step.proposals.is_empty() { p.dim { "Nothing was proposed." } }
                @else { ul { @for proposal in &step.proposals { li { (proposed(proposal)) } } } }
                p.dim { "The step ended: " (step.end) ", after " (thousands(step.usage.requests)) " of the optimizer's replies." }
                @if let Some(error) = &step.error { p.bad { "It was cut short: " (error) } }
            }
            @if let Some(step) = diff { (set_diff(&step.diff)) }
        }
    }
}

fn comparison_words(comparison: &ComparisonRecord) -> String {
    let points = |share: f64| share * 100.0;
    let interval = comparison
        .interval
        .map(|[low, high]| format!(" (with a confidence of 95 %: {:+.1} to {:+.1})", points(low), points(high)));
    let error = comparison.standard_error.map(|error| format!(", standard error {:.1}", points(error)));
    let trials = if comparison.trials > 1 { format!(", {} trials of each", comparison.trials) } else { String::new() };
    format!(
        "Compared task by task: {:+.1} points{}{}; better on {}, worse on {} of {}{trials}.",
        points(comparison.difference),
        interval.unwrap_or_default(),
        error.unwrap_or_default(),
        comparison.gained,
        comparison.lost,
        counted(comparison.tasks, "task"),
    )
}

fn measurements(scores: &[EvaluationRecord]) -> Markup {
    html! {
        table.facts {
            @for record in scores {
                tr { th { (record.split) } td { (score_words(record)) } td.dim { "set " code { (short(&record.set)) } } }
            }
        }
    }
}

fn proposed(proposal: &ProposalRecord) -> Markup {
    html! {
        (proposal.action) " "
        @if let Some(function) = &proposal.function { code { (function) } " " }
        @match &proposal.gate {
            Some(gate) => { span.warn { "refused at gate " (gate) } },
            None if proposal.applied => { span.good { "applied" } },
            None => { span.dim { "not applied" } },
        }
        @if let Some(reason) = &proposal.reason { ": " span.reason { (reason) } }
        @for warning in &proposal.warnings { br; span.warn { "warning: " (warning) } }
    }
}

fn functions(page: &ReportPage) -> Markup {
    let report = &page.report;
    html! {
        p.dim {
            "Set " code { (short(report.best.as_deref().unwrap_or("none"))) } " with "
            (counted(report.functions.len(), "function"))
            ". The evidence is that of every conversation on train and validation, under any set that held the function."
        }
        @for function in &report.functions { (function_card(page, function)) }
        @if let Some(credit) = &report.credit { (credit_table(credit)) }
        @if let Some(whole) = &page.whole {
            @if !whole.functions.is_empty() {
                h3 { "What the run changed, from the initial to the best set" }
                (set_diff(whole))
            }
        }
    }
}

fn function_card(page: &ReportPage, function: &FunctionReport) -> Markup {
    let source = page.sources.iter().find(|source| source.name == function.name);
    html! {
        article {
            h3 { code { (function.name) } " " span.since { (since(function)) } }
            @if let Some(source) = source { p.reason { (source.description) } }
            table.facts {
                tr { th { "calls" } td { (function.calls) (outcomes(function)) } }
                tr { th { "tasks" } td { (function.tasks) " used it, " (function.solved) " of them solved so" } }
                tr { th { "solved with it" } td { (share(function.used)) } }
                tr { th { "solved without it" } td { (share(function.without)) ", on the same tasks" } }
                tr { th { "solved under sets that held it" } td { (share(function.held)) } }
                tr { th { "last use" } td { (last_use(function)) } }
                tr { th { "cost" } td { "about " (function.tokens_per_request) " tokens of each request" (mean_time(function)) } }
            }
            @if let Some(source) = source {
                details {
                    summary { "source, in " (source.language) @if !source.packages.is_empty() { ", with " (source.packages.join(", ")) } }
                    pre { (source.source) }
                }
            }
        }
    }
}

fn outcomes(function: &FunctionReport) -> String {
    let classes: Vec<_> = function.outcomes.iter().map(|(class, count)| format!("{count} {class}")).collect();
    if classes.is_empty() { String::new() } else { format!(": {}", classes.join(", ")) }
}

fn credit_table(credit: &CreditReport) -> Markup {
    html! {
        h3 { "What each is worth" }
        p.dim {
            "The set was measured without it, on the " (counted(credit.tasks, "task")) " of " (credit.split)
            @if let Some(score) = credit.score { "; the whole set has " (percent(score)) } "."
        }
        div.wide { table {
            tr { th { "function" } th { "verdict" } th.number { "effect, in points" } th.number { "standard error" }
                th.number { "tasks gained" } th.number { "lost" } th.number { "calls" } }
            @for function in &credit.functions {
                tr {
                    td { code { (function.name) } }
                    td { (function.verdict) }
                    td.number { (function.effect.map_or_else(|| "none".into(), |effect| format!("{:+.1}", effect * 100.0))) }
                    td.number { (function.standard_error.map_or_else(|| "none".into(), |error| format!("{:.1}", error * 100.0))) }
                    td.number { (function.gained) }
                    td.number { (function.lost) }
                    td.number { (function.calls) }
                }
            }
        } }
    }
}

fn share(share: ShareReport) -> String {
    match share.conversations {
        0 => "no conversation".into(),
        conversations => format!("{} of {conversations} conversations", share.solved),
    }
}

fn last_use(function: &FunctionReport) -> String {
    match (function.last_use, function.idle_epochs) {
        (None, _) => "never".into(),
        (Some(epoch), 0) => format!("epoch {epoch}"),
        (Some(epoch), idle) => format!("epoch {epoch}, and not in {idle} epochs since"),
    }
}

fn mean_time(function: &FunctionReport) -> String {
    // Shown in milliseconds, to the tenth.
    let tenths = function.mean_wall_us.map(|wall| wall.div_ceil(100));
    tenths.map_or_else(String::new, |tenths| format!(", {}.{} ms a call", tenths / 10, tenths % 10))
}

fn since(function: &FunctionReport) -> String {
    function.since_epoch.map_or_else(|| "from the initial set".into(), |epoch| format!("since epoch {epoch}"))
}

fn refused(report: &Report) -> Markup {
    let of_epoch = |epoch: &'_ EpochReport| {
        let proposals = epoch.step.as_ref().map(|step| step.proposals.clone()).unwrap_or_default();
        let number = epoch.epoch;
        proposals.into_iter().filter(|proposal| proposal.gate.is_some()).map(move |proposal| (number, proposal))
    };
    let refused: Vec<(u32, ProposalRecord)> = report.epochs.iter().flat_map(of_epoch).collect();
    html! {
        @if refused.is_empty() { p.none { "None." } } @else {
            div.wide { table.proposals {
                tr { th { "epoch" } th { "action" } th.name { "function" } th { "gate" } th { "reason" } }
                @for (epoch, proposal) in &refused {
                    tr {
                        td { (epoch) }
                        td { (proposal.action) }
                        td.name { code { (proposal.function.as_deref().unwrap_or_default()) } }
                        td { (proposal.gate.as_deref().unwrap_or_default()) }
                        td.reason { (proposal.reason.as_deref().unwrap_or_default()) }
                    }
                }
            } }
        }
    }
}

fn spend(report: &Report) -> Markup {
    let spend = &report.spend;
    let spenders: Vec<Spender> = match &spend.prices {
        Some(prices) => prices.spenders().collect(),
        None => vec![Spender::Assistant, Spender::Optimizer],
    };
    let usage_of = |spender| match spender {
        Spender::Assistant => report.assistant_usage,
        Spender::Optimizer => report.optimizer_usage,
        Spender::Embeddings => report.embeddings_usage,
    };
    let together = if spenders.len() == 2 { "both" } else { "all" };
    html! {
        @if let Some(money) = spend.nano_usd { p { "The run has cost " (money.to_string()) "." } }
        div.wide { table {
            tr { th { "role" } (spend_heads()) }
            @for spender in &spenders {
                tr { th { (spender.as_str()) } (spend_cells(usage_of(*spender), spend.money_of(*spender))) }
            }
            tr.sum { th { (together) } (spend_cells(sum(&spenders, usage_of), spend.nano_usd)) }
        } }
        @if let Some(prices) = &spend.prices {
            @for spender in &spenders {
                p.dim { "Price of the model of the " (spender.as_str()) ": " (prices.of(*spender).describe()) }
            }
        }
        @if !spend.epochs.is_empty() {
            h3 { "By epoch" }
            div.wide { table {
                tr { th { "epoch" } th { "role" } (spend_heads()) }
                @for epoch in &spend.epochs {
                    @for (place, spender) in spenders.iter().enumerate() {
                        tr {
                            td { @if place == 0 { (epoch.epoch) } }
                            td { (spender.as_str()) }
                            (spend_cells(epoch.usage_of(*spender), epoch.money_of(*spender)))
                        }
                    }
                    tr.sum {
                        td { }
                        td { (together) }
                        (spend_cells(sum(&spenders, |spender| epoch.usage_of(spender)), epoch.nano_usd))
                    }
                }
            } }
        }
    }
}

fn spend_heads() -> Markup {
    let heads = ["replies", "prompt tokens", "of them cached", "reply tokens", "of them reasoning", "cost"];
    html! { @for head in heads { th.number { (head) } } }
}

fn spend_cells(usage: UsageRecord, money: Option<Money>) -> Markup {
    let UsageRecord { requests, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens } = usage;
    let numbers = [requests, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens];
    html! {
        @for number in numbers { td.number { (thousands(number)) } }
        td.number { (money_words(money)) }
    }
}

fn sum(spenders: &[Spender], usage_of: impl Fn(Spender) -> UsageRecord) -> UsageRecord {
    let mut sum = UsageRecord::default();
    spenders.iter().for_each(|spender| sum.add(usage_of(*spender)));
    sum
}

fn money_words(money: Option<Money>) -> String {
    money.map_or_else(|| "not known".into(), |money| money.to_string())
}

fn started_with(manifest: &Manifest) -> Markup {
    html! {
        h2 { "Started with" }
        details {
            summary { (counted(manifest.settings.len(), "setting")) }
            div.wide { table {
                tr { th { "setting" } th { "value" } th { "from" } }
                @for setting in &manifest.settings {
                    tr { td { code { (setting.key) } } td { code { (setting.value.to_string()) } } td.dim { (setting.source) } }
                }
            } }
        }
        details {
            summary { (counted(manifest.tasks.len(), "task file")) }
            div.wide { table {
                tr { th { "file" } th { "split" } th.number { "tasks" } th { "digest" } }
                @for file in &manifest.tasks {
                    tr {
                        td { code { (file.path) } }
                        td { (file.split.as_deref().unwrap_or("dealt out")) }
                        td.number { (file.tasks) }
                        td { code { (short(&file.digest)) } }
                    }
                }
            } }
        }
        @if !manifest.command.is_empty() { p.dim { "Command: " code { (manifest.command.join(" ")) } } }
    }
}

/// The data once more, for programs. It does not run: its type is no script's.
fn data(page: &ReportPage) -> Markup {
    // What was read as JSON can be written as JSON.
    let json = embedded_json(page).unwrap_or_else(|_| "null".into());
    html! { script type="application/json" id="greensand-report" { (PreEscaped(json)) } }
}
