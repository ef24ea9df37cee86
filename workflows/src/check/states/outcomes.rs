//! Whether a state is left for every outcome of its activity, and by which transition.

use super::Places;
use crate::check::choices::too_many;
use crate::check::conditions;
use crate::check::domains::Declared;
use crate::check::fate::Fates;
use crate::check::guards::{self, Overlap, TooMany};
use crate::diagnostic::Note;
use crate::expr::Value;
use crate::expr::formula::{Comparison, Formula, Term, Test};
use crate::lower::{Cx, Draft};
use crate::machine::{
    ActivityOutcome, ApprovalSpec, EventSource, OnReject, OnTimeout, State, StepKind, Transition,
    TransitionTrigger,
};
use crate::source::Span;

/// How an activity can end, and which transitions answer it.
pub(super) struct Ending {
    /// As a person names it.
    name: String,
    /// What answers it, in the order in which it is looked for.
    answers: Vec<ActivityOutcome>,
}

/// PHI406, PHI407, PHI408, PHI410 and PHI426 of one state.
pub(super) fn state(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    fates: &Fates,
    places: &Places<'_, '_>,
    (at, state): (usize, &State),
) {
    for (place, transition) in state.transitions.iter().enumerate() {
        if let Some(when) = &transition.when {
            conditions::constant(cx, draft, when, places.transition(at, place, "when"));
        }
    }
    let endings = endings(draft, fates, state);
    let mut told = Told::of(state);
    for ending in &endings {
        let answers: Vec<usize> = (0..state.transitions.len())
            .filter(|place| answers(&state.transitions[*place], ending))
            .collect();
        if answers.is_empty() {
            unhandled(cx, places, at, state, ending);
            continue;
        }
        let group = Group {
            draft,
            places,
            at,
            state,
            transitions: &answers,
        };
        group.alternatives(cx, Some(ending), &mut told);
    }
    for source in event_sources(state) {
        let answers: Vec<usize> = (0..state.transitions.len())
            .filter(|place| {
                let transition = &state.transitions[*place];
                // Correlation is by value: nothing is known of two that differ.
                transition.trigger == TransitionTrigger::Event(source.clone())
                    && transition.matching.is_empty()
            })
            .collect();
        let group = Group {
            draft,
            places,
            at,
            state,
            transitions: &answers,
        };
        group.alternatives(cx, None, &mut told);
    }
    for place in 0..state.transitions.len() {
        if let Some(by) = told.shadowed[place].filter(|_| !told.taken[place]) {
            never_taken(cx, places, at, place, by);
        }
    }
}

/// What is known of each transition; one may answer several endings.
struct Told {
    /// Some ending takes it.
    taken: Vec<bool>,
    /// In some ending an earlier one always matches: the nearest that does so alone, or itself.
    shadowed: Vec<Option<usize>>,
    overlap: Vec<bool>,
}

impl Told {
    fn of(state: &State) -> Self {
        let count = state.transitions.len();
        Self {
            taken: vec![false; count],
            shadowed: vec![None; count],
            overlap: vec![false; count],
        }
    }
}

/// PHI408. `by` is the transition that always matches before, or this one if it takes several.
fn never_taken(cx: &mut Cx<'_>, places: &Places<'_, '_>, at: usize, place: usize, by: usize) {
    let note = Note::error(
        "PHI408",
        places.transition(at, place, "to"),
        "this transition is never taken: an earlier one always matches",
    )
    .help("the first that matches is taken: put the narrower one first");
    cx.sink.push(if by == place {
        note
    } else {
        note.also(places.transition(at, by, "to"), "this one is taken")
    });
}

fn event_sources(state: &State) -> Vec<EventSource> {
    let mut sources: Vec<EventSource> = state
        .transitions
        .iter()
        .filter_map(|transition| match &transition.trigger {
            TransitionTrigger::Event(source) => Some(source.clone()),
            TransitionTrigger::Outcome(_) => None,
        })
        .collect();
    sources.sort();
    sources.dedup();
    sources
}

/// All ways in which the activity can end.
pub(super) fn endings(draft: &Draft<'_>, fates: &Fates, state: &State) -> Vec<Ending> {
    let succeeded = || Ending {
        name: "succeeded".to_owned(),
        answers: vec![ActivityOutcome::Succeeded],
    };
    let failed = || Ending {
        name: "failed".to_owned(),
        answers: vec![ActivityOutcome::Failed],
    };
    let Some(activity) = state.activity else {
        return vec![succeeded()];
    };
    let step = &draft.steps[activity.get()].step;
    if let StepKind::Approval(approval) = &step.kind {
        return decisions(approval);
    }
    let mut endings = Vec::new();
    let fate = fates.get(activity.get());
    if fate.succeeds || fate.misses {
        endings.push(succeeded());
    }
    if fate.fails {
        endings.push(failed());
    }
    endings
}

/// Whether time passes in a state, so that something can come from outside meanwhile: in whatever its steps
/// do, unless all of them end at once.
pub(super) fn waits(draft: &Draft<'_>, state: &State) -> bool {
    let at_once = |kind: &StepKind| {
        matches!(
            kind,
            StepKind::Set(_) | StepKind::Fail(_) | StepKind::Finish(_) | StepKind::Emit(_)
        )
    };
    let activity = state
        .activity
        .is_some_and(|step| !at_once(&draft.steps[step.get()].step.kind));
    activity
        || state.entry.is_some_and(|body| {
            let steps = draft.steps.iter().map(|draft| &draft.step);
            let mut inside = steps.filter(|step| step.body == body);
            inside.any(|step| !at_once(&step.kind))
        })
}

/// An approval ends with one of its options, or expires.
fn decisions(approval: &ApprovalSpec) -> Vec<Ending> {
    let option = |name: &String| {
        let rejected = name == "reject" && approval.on_reject != OnReject::Continue;
        let otherwise = if rejected {
            ActivityOutcome::Failed
        } else {
            ActivityOutcome::Succeeded
        };
        Ending {
            name: name.clone(),
            answers: vec![ActivityOutcome::Option(name.clone()), otherwise],
        }
    };
    let mut endings: Vec<Ending> = approval.options.iter().map(option).collect();
    if approval.on_timeout == OnTimeout::Fail {
        endings.push(Ending {
            name: "failed".to_owned(),
            answers: vec![ActivityOutcome::Failed],
        });
    }
    endings
}

pub(super) fn answers(transition: &Transition, ending: &Ending) -> bool {
    match &transition.trigger {
        TransitionTrigger::Outcome(outcome) => ending.answers.contains(outcome),
        TransitionTrigger::Event(_) => false,
    }
}

/// PHI410.
fn unhandled(cx: &mut Cx<'_>, places: &Places<'_, '_>, at: usize, state: &State, ending: &Ending) {
    // A state without any transition was told.
    if state.transitions.is_empty() {
        return;
    }
    let span = places
        .value(at, "activity")
        .map_or_else(|| places.name(at), |entry| entry.key_span);
    let name = &ending.name;
    cx.sink.push(
        Note::error(
            "PHI410",
            span,
            format!("outcome `{name}` of state `{}` is not handled", state.id),
        )
        .label("a run would fail with `state.unhandled`")
        .help(format!("add `- {{ outcome: {name}, to: STATE }}`")),
    );
}

/// Each code is compared with each pattern of a state: more than this are not.
const CODES_MAX: usize = 200;

/// Transitions that answer the same.
struct Group<'a, 'n> {
    draft: &'a Draft<'n>,
    places: &'a Places<'a, 'n>,
    at: usize,
    state: &'a State,
    transitions: &'a [usize],
}

impl Group<'_, '_> {
    /// What is wrong among them.
    fn alternatives(&self, cx: &mut Cx<'_>, ending: Option<&Ending>, told: &mut Told) {
        let codes = self
            .transitions
            .iter()
            .map(|at| self.state.transitions[*at].errors.len());
        if codes.sum::<usize>() > CODES_MAX {
            too_many(cx, self.section(), CODES_MAX);
            told.taken.fill(true);
            return;
        }
        let guards: Vec<Formula> = self.transitions.iter().map(|at| self.guard(*at)).collect();
        let declared = Declared::in_state(self.draft, self.state);
        let found = match guards::analyse(&guards, &|term| declared.domain(term)) {
            Ok(found) => found,
            Err(TooMany(count)) => {
                too_many(cx, self.section(), count);
                told.taken.fill(true);
                return;
            }
        };
        if let (Some(example), Some(ending)) = (&found.gap, ending) {
            self.gap(cx, ending, example);
        }
        for (place, at) in self.transitions.iter().enumerate() {
            if found.shadowed.binary_search(&place).is_ok() {
                let always = |guard: &Formula| *guard == Formula::Constant(true);
                let alone = guards[..place].iter().position(always);
                let by = alone.or_else(|| (place == 1).then_some(0));
                told.shadowed[*at] = Some(by.map_or(*at, |by| self.transitions[by]));
            } else {
                told.taken[*at] = true;
            }
        }
        let shadowed = |overlap: &&Overlap| found.shadowed.binary_search(&overlap.second).is_ok();
        for overlap in found.overlaps.iter().filter(|overlap| !shadowed(overlap)) {
            self.overlap(cx, overlap, told);
        }
    }

    /// PHI406, unless both lead to the same place.
    fn overlap(&self, cx: &mut Cx<'_>, overlap: &Overlap, told: &mut Told) {
        let first = self.transitions[overlap.first];
        let second = self.transitions[overlap.second];
        let same = self.state.transitions[first].to == self.state.transitions[second].to;
        if same || std::mem::replace(&mut told.overlap[second], true) {
            return;
        }
        let asks = |at: usize| {
            let key = if self.state.transitions[at].when.is_some() {
                "when"
            } else {
                "errors"
            };
            self.places.transition(self.at, at, key)
        };
        cx.sink.push(
            Note::warning(
                "PHI406",
                asks(second),
                "this condition and an earlier one can both be true",
            )
            .label(format!("as when {}", overlap.example))
            .also(asks(first), "this transition is taken then")
            .help("make them exclude each other, or allow the warning if the order is meant"),
        );
    }

    fn section(&self) -> Span {
        self.places
            .value(self.at, "transitions")
            .map_or_else(|| self.places.name(self.at), |entry| entry.key_span)
    }

    /// What a transition asks beyond its trigger.
    fn guard(&self, at: usize) -> Formula {
        let transition = &self.state.transitions[at];
        let when = transition
            .when
            .as_ref()
            .map_or(Formula::Constant(true), crate::expr::Expr::formula);
        if transition.errors.is_empty() {
            return when;
        }
        let code = || Term::Path("error.code".to_owned());
        let codes = self.transitions.iter().flat_map(|other| {
            let errors = &self.state.transitions[*other].errors;
            errors
                .iter()
                .map(|pattern| pattern.0.trim_end_matches(".*"))
        });
        let mut tests: Vec<Formula> = codes
            .filter(|code| {
                transition
                    .errors
                    .iter()
                    .any(|pattern| pattern.matches(code))
            })
            .map(|text| {
                Formula::Test(Test::Compare(
                    code(),
                    Comparison::Equal,
                    Value::string(text),
                ))
            })
            .collect();
        if transition.errors.iter().any(|pattern| pattern.0 == "all") {
            tests.push(Formula::Constant(true));
        }
        Formula::All(vec![Formula::Any(tests), when])
    }

    /// PHI407.
    fn gap(&self, cx: &mut Cx<'_>, ending: &Ending, example: &str) {
        let name = &ending.name;
        let mut note = Note::error(
            "PHI407",
            self.section(),
            format!(
                "state `{}` has no transition for `{name}` when {example}",
                self.state.id
            ),
        )
        .help(format!(
            "add a last transition without `when`: `- {{ outcome: {name}, to: STATE }}`"
        ));
        for at in self.transitions {
            let asks = if self.state.transitions[*at].when.is_some() {
                "when"
            } else {
                "errors"
            };
            note = note.also(self.places.transition(self.at, *at, asks), "false then");
        }
        cx.sink.push(note);
    }
}
