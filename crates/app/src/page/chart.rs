//! The scores over the epochs, as a picture of lines and points.

use maud::{Markup, html};

use crate::store::{DecisionKind, EvaluationRecord, Report};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
/// Half the width of the end of an interval.
const CAP: f64 = 5.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 48.0;

/// The most epochs that have a label of their own.
const LABELS: u32 = 12;

/// A set that was measured on the split that acceptance is decided on.
struct Point {
    epoch: u32,
    score: f64,
    /// From where to where the true score lies with a confidence of 95 %.
    interval: Option<[f64; 2]>,
    decision: Option<DecisionKind>,
    /// What is best once the epoch is over, as far as the epochs before it were measured.
    best: f64,
    words: String,
}

/// Draws the score curve, or nothing where nothing was measured.
pub(super) fn score_curve(report: &Report) -> Markup {
    let points = points(report);
    // Also epochs that measured nothing: the best set stays over them.
    let last = report.epochs.iter().map(|epoch| epoch.epoch).max().unwrap_or_default();
    let x = |epoch: u32| LEFT + (WIDTH - LEFT - RIGHT) * f64::from(epoch) / f64::from(last.max(1));
    let y = |score: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - score.clamp(0.0, 1.0));
    let every = last.div_ceil(LABELS).max(1);
    html! {
        @if points.is_empty() {
            p.none { "Nothing was measured." }
        } @else {
            svg.curve viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label="scores over the epochs" {
                @for percent in [0, 25, 50, 75, 100] {
                    @let at = y(f64::from(percent) / 100.0);
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(px(at)) y2=(px(at)) {}
                    text.axis x=(LEFT - 8.0) y=(px(at + 4.0)) text-anchor="end" { (percent) " %" }
                }
                @for epoch in (0..=last).step_by(every as usize) {
                    text.axis x=(px(x(epoch))) y=(HEIGHT - 28.0) text-anchor="middle" { (epoch) }
                }
                text.axis x=(px((LEFT + WIDTH - RIGHT) / 2.0)) y=(HEIGHT - 6.0) text-anchor="middle" { "epoch" }
                path.best d=(best_line(&points, last, x, y)) {}
                @for point in &points {
                    g class=(class_of(point.decision)) {
                        title { (point.words) }
                        @if let Some([low, high]) = point.interval {
                            path d=(interval_line(x(point.epoch), y(low), y(high))) {}
                        }
                        circle cx=(px(x(point.epoch))) cy=(px(y(point.score))) r="5" {}
                    }
                }
            }
            p.legend {
                span.accepted { "● accepted, or the initial set" } " " span.back { "○ rolled back" } " "
                span.open { "◌ not decided" } " " span.accepted { "┄ the best set" } " "
                span { "│ where the true score lies, with a confidence of 95\u{a0}%" }
            }
        }
    }
}

fn points(report: &Report) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for epoch in &report.epochs {
        let judged = epoch.decision.as_ref();
        // An indecisive comparison buys more trials, of the candidate and of the best set.
        let is_of_candidate = |record: &&EvaluationRecord| {
            record.split == report.acceptance_split && judged.is_none_or(|judged| judged.set == record.set)
        };
        let records: Vec<&EvaluationRecord> = epoch.scores.iter().filter(is_of_candidate).collect();
        let Some(record) = records.first() else { continue };
        let score = judged.and_then(|judged| judged.score).or(record.score);
        let Some(score) = score.filter(|score| score.is_finite()) else { continue };
        let decision = judged.map(|judged| judged.decision);
        let before = points.last().map(|point| point.best);
        let best = if becomes_best(decision) { score } else { before.unwrap_or(score) };
        let measured: Vec<_> = records.iter().map(|record| super::parts::score_words(record)).collect();
        let words = format!("epoch {}: {}", epoch.epoch, measured.join("; then "));
        // That of some of the trials is not that of the score.
        let is_of_all = records.iter().all(|other| other.first_trial == record.first_trial);
        let interval = record.interval.filter(|ends| is_of_all && ends.iter().all(|end| end.is_finite()));
        points.push(Point { epoch: epoch.epoch, score, interval, decision, best, words });
    }
    points
}

fn becomes_best(decision: Option<DecisionKind>) -> bool {
    match decision {
        Some(DecisionKind::Baseline | DecisionKind::Accepted) => true,
        Some(
            DecisionKind::RolledBack | DecisionKind::Undecided | DecisionKind::Unchanged | DecisionKind::NotCompared,
        )
        | None => false,
    }
}

fn class_of(decision: Option<DecisionKind>) -> &'static str {
    match decision {
        Some(DecisionKind::Baseline | DecisionKind::Accepted) => "point accepted",
        Some(DecisionKind::RolledBack) => "point back",
        Some(DecisionKind::Undecided | DecisionKind::Unchanged | DecisionKind::NotCompared) | None => "point open",
    }
}

/// The best score stays until a set takes its place: steps, not slopes.
fn best_line(points: &[Point], last: u32, x: impl Fn(u32) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    for point in points {
        let (at, best) = (px(x(point.epoch)), px(y(point.best)));
        path += &if path.is_empty() { format!("M{at} {best}") } else { format!("H{at}V{best}") };
    }
    if !path.is_empty() {
        path += &format!("H{}", px(x(last)));
    }
    path
}

/// An upright line with a bar at either end.
fn interval_line(x: f64, low: f64, high: f64) -> String {
    let (left, right) = (px(x - CAP), px(x + CAP));
    let (x, low, high) = (px(x), px(low), px(high));
    format!("M{x} {low}V{high}M{left} {low}H{right}M{left} {high}H{right}")
}

fn px(place: f64) -> String {
    format!("{place:.1}")
}
