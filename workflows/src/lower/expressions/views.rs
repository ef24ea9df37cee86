//! What an expression sees of the steps around it.
//!
//! A step is seen by the steps that come after it in its own body and by all that is inside those.
//! Nobody outside sees into a block, except the block itself in its `yield` and the like, and
//! handlers, which see the body that failed.

use super::super::needs_edit::NeedsEdit;
use super::super::order::Order;
use super::super::outline::Outline;
use super::super::{Cx, StepDraft};
use super::{Output, position};
use crate::diagnostic::Note;
use crate::expr::{Env, ExprError, StepView, Type};
use crate::machine::{Body, BodyIndex, Join, Owner, Shape, StepIndex, StepKind};
use crate::source::{SourceText, Span};
use crate::syntax::{Map, Node, Shape as NodeShape};

/// Everything that decides what is seen.
pub(super) struct Views<'f, 'n> {
    pub(super) outline: &'f Outline<'n>,
    pub(super) order: &'f Order,
    /// As far as the walk has come.
    pub(super) outputs: Vec<Output>,
    /// All steps by name, for what was meant by a wrong one.
    everybody: Env,
    /// Why a step may have no output although it has an outcome; its own keys say so.
    passed_over: Vec<Option<String>>,
    /// Whether a `join: first` may cancel it.
    racing: Vec<bool>,
}

/// The steps whose names are written somewhere.
pub(super) struct Mentioned {
    steps: Vec<usize>,
    /// Whether `steps.` is written before a name that is none.
    strangers: bool,
}

impl Mentioned {
    /// Reads the words of a map's own text, that of inner bodies left out: more than its
    /// expressions, never less.
    pub(super) fn in_map(map: &Map, outline: &Outline<'_>) -> Self {
        let mut steps = Vec::new();
        let mut strangers = false;
        let mut values: Vec<&Node> = map.entries.iter().map(|entry| &entry.value).collect();
        while let Some(node) = values.pop() {
            match &node.shape {
                NodeShape::Seq(_) if outline.body_at(node).is_some() => {}
                NodeShape::Seq(items) => values.extend(items),
                NodeShape::Map(map) => values.extend(map.entries.iter().map(|entry| &entry.value)),
                NodeShape::Scalar(scalar) => {
                    let mut after_steps = false;
                    let words = scalar
                        .text
                        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                        .filter(|word| !word.is_empty());
                    for word in words {
                        match position(outline, word) {
                            Some(index) => steps.push(index),
                            None => strangers |= after_steps,
                        }
                        after_steps = word == "steps";
                    }
                }
            }
        }
        steps.sort_unstable();
        steps.dedup();
        Self { steps, strangers }
    }
}

impl<'f, 'n> Views<'f, 'n> {
    pub(super) fn new(outline: &'f Outline<'n>, order: &'f Order, steps: &[StepDraft<'n>]) -> Self {
        let mut racing = vec![false; steps.len()];
        for step in steps.iter().map(|draft| &draft.step) {
            if step.join == Join::First {
                for need in &step.needs {
                    racing[need.get()] = true;
                }
            }
        }
        let nothing = Output::certain(Type::Any);
        let names = outline.places.iter();
        let everybody = names.fold(Env::new(), |env, place| {
            env.step(place.id, StepView::NotBefore)
        });
        Self {
            everybody,
            outline,
            order,
            outputs: vec![nothing; steps.len()],
            passed_over: steps.iter().map(passed_over).collect(),
            racing,
        }
    }

    fn id(&self, step: usize) -> &'n str {
        self.outline.places[step].id
    }

    fn body_of(&self, step: usize) -> BodyIndex {
        self.outline.places[step].body
    }

    fn owner_of(&self, step: usize) -> Owner {
        self.outline.body(self.body_of(step)).owner
    }

    /// A step and the steps around it, innermost first.
    fn around(&self, step: usize) -> impl Iterator<Item = usize> + '_ {
        let parent = |step: &usize| {
            let index = u32::try_from(*step).ok()?;
            self.outline.parent(StepIndex(index)).map(StepIndex::get)
        };
        std::iter::successors(Some(step), parent)
    }

    /// What the step at `index` sees of the steps that are mentioned, on top of `base`.
    pub(super) fn seen_by(
        &self,
        cx: &mut Cx<'_>,
        index: usize,
        mentioned: &Mentioned,
        base: &Env,
    ) -> Env {
        self.seen(cx, mentioned, base, |other| self.look(other, index))
    }

    /// The same, with the steps of some of its own bodies, for what is said about their end.
    pub(super) fn seen_inside(
        &self,
        index: usize,
        mentioned: &Mentioned,
        env: &Env,
        bodies: &[BodyIndex],
        absent: Option<&str>,
    ) -> Env {
        let inside = |other: &&usize| {
            let owner = self.owner_of(**other);
            let own =
                matches!(owner, Owner::Block(step) | Owner::Handler(step) if step.get() == index);
            own && bodies.contains(&self.body_of(**other))
        };
        let deeper = mentioned.steps.iter().filter_map(|other| {
            let direct = self.around(*other).find(|step| inside(&step))?;
            (direct != *other).then_some((*other, direct))
        });
        let env = deeper.fold(env.clone(), |env, (other, direct)| {
            let (place, help) = self.inside(direct);
            env.step(self.id(other), StepView::Hidden { place, help })
        });
        let steps = mentioned.steps.iter().filter(inside);
        steps.fold(env, |env, other| {
            let absent = match absent {
                Some(absent) => Some(absent.to_owned()),
                None => self.absent_at_end(*other),
            };
            env.step(self.id(*other), self.visible(*other, absent))
        })
    }

    /// What is seen of the main body when it has ended.
    pub(super) fn at_end(&self, cx: &mut Cx<'_>, mentioned: &Mentioned, base: &Env) -> Env {
        self.seen(cx, mentioned, base, |other| {
            if self.body_of(other) == BodyIndex::MAIN {
                self.visible(other, self.absent_at_end(other))
            } else {
                self.hidden(other, None)
            }
        })
    }

    fn seen(
        &self,
        cx: &mut Cx<'_>,
        mentioned: &Mentioned,
        base: &Env,
        look: impl Fn(usize) -> StepView,
    ) -> Env {
        // Names that are not written cannot matter, except as what was meant by a wrong one.
        let mut env = if mentioned.strangers && cx.may_suggest() {
            base.with_steps_of(&self.everybody)
        } else {
            base.clone()
        };
        for index in &mentioned.steps {
            env = env.step(self.id(*index), look(*index));
        }
        env
    }

    fn visible(&self, step: usize, absent: Option<String>) -> StepView {
        StepView::Visible {
            output: self.outputs[step].ty.clone(),
            absent,
        }
    }

    fn look(&self, other: usize, index: usize) -> StepView {
        if self.around(index).any(|step| step == other) {
            return StepView::Own;
        }
        let here = self
            .around(index)
            .find(|step| self.body_of(*step) == self.body_of(other));
        if let Some(here) = here {
            if !self.order.is_before(other, here) {
                return StepView::NotBefore;
            }
            let absent = self.absent_before(other, here);
            return self.visible(other, absent);
        }
        match self.handled(other, index) {
            Some(why) => self.visible(other, Some(why)),
            None => self.hidden(other, Some(index)),
        }
    }

    /// Why a step that has ended in a body before may have no output: `index` stands in what
    /// handles the end of that body.
    fn handled(&self, other: usize, index: usize) -> Option<String> {
        let outermost = self.around(index).last()?;
        match (self.owner_of(other), self.owner_of(outermost)) {
            (Owner::Run, Owner::OnFailure | Owner::Finally) => {
                return Some("the run may have failed before it".to_owned());
            }
            (Owner::OnFailure, Owner::Finally) => {
                return Some("it only runs after a failure".to_owned());
            }
            (Owner::State(a), Owner::State(b)) if a == b => {
                let earlier = self.body_of(other) < self.body_of(outermost);
                return earlier.then(|| "the state may have been left before its end".to_owned());
            }
            (Owner::Block(block), _) => {
                let through_handler = self.around(index).any(|step| {
                    matches!(
                        self.owner_of(step),
                        Owner::Handler(handled) | Owner::Undo(handled) if handled == block
                    )
                });
                // Only where the body has run once.
                let once = ["try", "do"]
                    .iter()
                    .any(|key| self.outline.place(block).map.get(key).is_some());
                if through_handler && once {
                    return Some(format!(
                        "`{}` may have failed before it",
                        self.id(block.get())
                    ));
                }
            }
            _ => {}
        }
        None
    }

    /// What is said of the steps inside a block to those outside.
    fn inside(&self, block: usize) -> (String, String) {
        let id = self.id(block);
        let field = match self.outline.places[block].map.get("foreach") {
            Some(_) => "output.items",
            None => "output",
        };
        (
            format!("inside `{id}`"),
            format!("use `steps.{id}.{field}`; its `yield` says what that is"),
        )
    }

    fn hidden(&self, other: usize, index: Option<usize>) -> StepView {
        let chain: Vec<usize> = index
            .into_iter()
            .flat_map(|step| self.around(step))
            .collect();
        let visible_body = |step: &usize| match index {
            Some(index) => {
                let same = |here: &usize| self.body_of(*here) == self.body_of(*step);
                chain.iter().any(same) || self.handled(*step, index).is_some()
            }
            None => self.body_of(*step) == BodyIndex::MAIN,
        };
        let (place, help) = match self.around(other).find(visible_body) {
            Some(block) if chain.contains(&block) => (
                format!("in another body of `{}`", self.id(block)),
                "bodies of one step do not see each other".to_owned(),
            ),
            Some(block) => self.inside(block),
            None => {
                let outermost = self.around(other).last().unwrap_or(other);
                match self.owner_of(outermost) {
                    Owner::State(_) => (
                        "inside a state".to_owned(),
                        "`vars` carry values from state to state".to_owned(),
                    ),
                    Owner::OnFailure => (
                        "in `on_failure`".to_owned(),
                        "it only runs after a failure".to_owned(),
                    ),
                    Owner::Finally => (
                        "in `finally`".to_owned(),
                        "it runs when everything else is over".to_owned(),
                    ),
                    Owner::Run | Owner::Block(_) | Owner::Handler(_) | Owner::Undo(_) => (
                        "in the main body".to_owned(),
                        "hand the value on in `vars`".to_owned(),
                    ),
                }
            }
        };
        StepView::Hidden { place, help }
    }

    /// Why `other`, which is before `index` in the same body on some way, may have no output
    /// there.
    fn absent_before(&self, other: usize, index: usize) -> Option<String> {
        if !self.order.decided_before[index].contains(other) {
            let id = self.id(index);
            return Some(format!("a `join` lets `{id}` start without it"));
        }
        self.absent_when_decided(other)
    }

    /// Why a step may have no output when its body has succeeded.
    fn absent_at_end(&self, step: usize) -> Option<String> {
        if self.racing[step] {
            return Some("`join: first` may cancel it".to_owned());
        }
        self.absent_when_decided(step)
    }

    fn absent_when_decided(&self, step: usize) -> Option<String> {
        let by_key = self.passed_over[step].clone();
        by_key.or_else(|| self.outputs[step].absent.clone())
    }

    /// The output of a body that no `yield` speaks of: that of its last step.
    pub(super) fn last_output(&self, body: &Body) -> Output {
        let Some(last) = body.steps.last() else {
            return Output {
                ty: Type::Null,
                absent: Some("there is no step".to_owned()),
            };
        };
        let last = last.get();
        Output {
            ty: self.outputs[last].ty.clone(),
            absent: self
                .absent_at_end(last)
                .map(|why| format!("its last step `{}` may have none: {why}", self.id(last))),
        }
    }

    /// Says of a finding about order what would mend it. `index` is the step that holds the
    /// expression.
    pub(super) fn amend<'v>(
        &'v self,
        source: &'v SourceText,
        index: usize,
    ) -> impl Fn(&ExprError, &str, Note) -> Note + use<'v, 'f, 'n> {
        move |error, expression, note| self.explain(source.text(), index, error, expression, note)
    }

    fn explain(
        &self,
        source: &str,
        index: usize,
        error: &ExprError,
        expression: &str,
        note: Note,
    ) -> Note {
        let is_undo = u32::try_from(index).is_ok_and(|at| self.outline.is_undo(StepIndex(at)));
        if error.code == "PHI305" && is_undo {
            return note.recode("PHI704");
        }
        if error.code != "PHI205" {
            return note;
        }
        let named = expression.get(error.range.clone()).unwrap_or_default();
        let Some((id, other)) = self.step_named(named, expression, error.range.start) else {
            return note;
        };
        let here = self
            .around(index)
            .find(|step| self.body_of(*step) == self.body_of(other));
        let Some(here) = here else { return note };
        let place = self.outline.places[here];
        if self.outline.body(place.body).shape == Shape::Sequence {
            return note
                .also(self.outline.places[other].id_span, "it stands behind")
                .help("steps of a sequence run in order: move it up, or the reader down");
        }
        if self.order.is_before(here, other) {
            return note
                .help("the two steps would wait for each other: move the value, or drop a need");
        }
        let note = note.also(
            place.id_span,
            format!("add `{id}` to the needs of this step"),
        );
        match NeedsEdit::of(source, place.map).add(id) {
            Some((span, text)) => note.edit(span, text),
            None => note,
        }
    }

    /// The step that a PHI205 speaks of: the name after `steps.` within or right behind its range.
    fn step_named(&self, named: &str, text: &str, start: usize) -> Option<(&'n str, usize)> {
        let tail = text.get(start..)?;
        [named, tail].into_iter().find_map(|candidate| {
            let name = candidate.trim_start();
            let name = name.strip_prefix("steps").map_or(name, |rest| {
                rest.trim_start_matches(['.', '?', '[', '\'', '"'])
            });
            let end = name
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(name.len());
            let index = position(self.outline, &name[..end])?;
            Some((self.id(index), index))
        })
    }

    /// The place of the step's id.
    pub(super) fn id_span(&self, index: usize) -> Span {
        self.outline.places[index].id_span
    }
}

fn passed_over(draft: &StepDraft<'_>) -> Option<String> {
    let step = &draft.step;
    if draft.map.get("if").is_some() {
        return Some("it may be skipped: it has `if`".to_owned());
    }
    if step.on_failure.goes_on() {
        let why = match step.on_failure {
            crate::machine::OnFailure::Handle { .. } => "its `on_failure` goes on",
            _ => "it has `on_failure: continue`",
        };
        return Some(format!("it may have failed: {why}"));
    }
    match step.kind {
        StepKind::Fail(_) => Some("a `fail` step has no output".to_owned()),
        StepKind::Finish(_) => Some("a `finish` step has no output".to_owned()),
        _ => None,
    }
}
