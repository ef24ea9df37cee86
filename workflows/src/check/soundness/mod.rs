//! The claims of soundness against trying everything.
//!
//! Random workflows of a few steps, nested, are run in every order with every outcome; what the
//! checker says about them without running anything has to agree: whether a run can get stuck,
//! which steps can never run, and how the run can end. `PHISYNC_SOUNDNESS` sets how many are tried.
//! Machines of states are walked likewise, in `walking`.

mod definition;
mod interpreter;
mod walking;

use std::collections::BTreeSet;

use self::definition::{Definition, Dice, Taste};
use self::interpreter::explore;
use super::fate::Fates;
use super::scopes::Scopes;
use crate::calls::Callees;
use crate::diagnostic::{Severity, Sink};
use crate::lower::order::Order;
use crate::lower::{self, Cx};
use crate::machine::StepKind;
use crate::source::SourceText;
use crate::syntax;

/// More states than this are not tried; such definitions are counted, and are few.
const STATES_MAX: usize = 60_000;

/// What the checker says.
#[derive(Debug, PartialEq, Eq)]
struct Claims {
    cyclic: bool,
    started: BTreeSet<usize>,
    completes: bool,
    fails: bool,
}

fn claims(text: &str) -> Claims {
    let source = SourceText::new("sample.yaml", text);
    let mut sink = Sink::default();
    let documents = syntax::read(&source, &mut sink).expect("generated text is YAML");
    let mut cx = Cx::new(&source, &mut sink);
    let mut draft = lower::read(&mut cx, &documents[0].root).expect("generated text is a workflow");
    let order = Order::of(&draft.steps, draft.bodies());
    lower::fill(&mut cx, &mut draft, &order, &Callees::new(None, &[]));
    let wrong: Vec<_> = sink
        .finish()
        .into_iter()
        .filter(|d| d.severity == Severity::Error)
        .collect();
    assert!(wrong.is_empty(), "{text}\n{wrong:?}");
    if !order.cycles.is_empty() {
        return Claims {
            cyclic: true,
            started: BTreeSet::new(),
            completes: false,
            fails: false,
        };
    }
    let scopes = Scopes::of(&draft);
    let fates = Fates::of(&draft, &order, &scopes);
    let starts = |at: &usize| fates.starts(draft.steps[*at].step.body) && fates.get(*at).runs;
    let started: Vec<usize> = (0..draft.steps.len()).filter(starts).collect();
    let finishes = started
        .iter()
        .any(|at| matches!(draft.steps[*at].step.kind, StepKind::Finish(_)));
    let number = |at: usize| {
        let id = &draft.steps[at].step.id;
        id[1..].parse().expect("ids are `s` and a number")
    };
    Claims {
        cyclic: false,
        started: started.into_iter().map(number).collect(),
        completes: fates.main.succeeds || finishes,
        fails: fates.main.fails,
    }
}

fn disagreement(seed: u64, taste: Taste) -> Option<String> {
    let mut dice = Dice::new(seed);
    let definition = Definition::roll(&mut dice, taste);
    let text = definition.text();
    let found = explore(&definition, STATES_MAX)?;
    let claims = claims(&text);
    let agreed = if claims.cyclic {
        found.deadlock
    } else {
        !found.deadlock
            && found.started == claims.started
            && found.completes == claims.completes
            && found.fails == claims.fails
    };
    let sound = agreed && !found.leftover;
    (!sound).then(|| format!("seed {seed} {taste:?}\n{text}\nclaims {claims:?}\nfound {found:?}"))
}

fn count() -> u64 {
    std::env::var("PHISYNC_SOUNDNESS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(600)
}

fn try_all(taste: Taste) {
    none_disagrees(|seed| disagreement(seed, taste));
}

fn none_disagrees(disagreement: impl Fn(u64) -> Option<String>) {
    let wrong: Vec<String> = (0..count()).filter_map(disagreement).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} disagree, the first:\n{}",
        wrong.len(),
        count(),
        wrong
            .iter()
            .take(3)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn flat_workflows_do_what_the_checker_says() {
    try_all(Taste {
        steps_max: 7,
        blocks: false,
        circles: false,
    });
}

#[test]
fn only_circles_of_needs_get_stuck() {
    try_all(Taste {
        steps_max: 6,
        blocks: false,
        circles: true,
    });
}

#[test]
fn nested_workflows_do_what_the_checker_says() {
    try_all(Taste {
        steps_max: 8,
        blocks: true,
        circles: false,
    });
}
