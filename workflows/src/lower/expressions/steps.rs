//! The expressions of one step: those that every kind has, and its way back.

use super::super::types::{error_type, input_type};
use super::super::value::Values;
use super::super::{Cx, StepDraft};
use super::views::Mentioned;
use super::{Filler, Output, entries, prompt, retry_condition};
use crate::diagnostic::Note;
use crate::expr::{Env, ExprError, ObjectType, Type};
use crate::machine::{BodyIndex, Compensate, OnFailure};
use crate::syntax::Map;

/// A step whose bodies are about to be walked.
pub(super) struct Entered {
    pub(super) mentioned: Mentioned,
    /// What the step's own expressions read.
    pub(super) env: Env,
    /// What the steps inside read, apart from steps.
    pub(super) base: Env,
    /// The types of what a loop carries, as far as they are known.
    pub(super) carried: Vec<(String, Type)>,
    /// The bodies to walk now, each with what it reads.
    pub(super) bodies: Vec<(BodyIndex, Env)>,
}

impl Filler<'_, '_> {
    /// Fills in one step and everything inside it.
    pub(super) fn step(&mut self, cx: &mut Cx<'_>, index: usize, base: &Env) {
        cx.sink.enter(self.views.id_span(index));
        let mut entered = self.enter(cx, index, base);
        for (body, env) in std::mem::take(&mut entered.bodies) {
            self.body(cx, body, &env);
        }
        cx.sink.enter(self.views.id_span(index));
        let output = self.leave(cx, index, &entered);
        self.undo(cx, index, &entered, &output);
        self.views.outputs[index] = output;
        if let OnFailure::Handle { body, .. } = self.steps[index].step.on_failure {
            let env = entered.base.variable("error", error_type());
            self.body(cx, body, &env);
        }
    }

    /// Reads what is said about a step's beginning.
    fn enter(&mut self, cx: &mut Cx<'_>, index: usize, base: &Env) -> Entered {
        let map = self.steps[index].map;
        let mentioned = Mentioned::in_map(map, self.views.outline);
        let env = self.views.seen_by(cx, index, &mentioned, base);
        let amend = self.views.amend(cx.source, index);
        let draft = &mut self.steps[index];
        if let Some(entry) = map.get("if") {
            let mut values = Values {
                cx,
                env: &env,
                amend: &amend,
            };
            draft.step.condition = values.condition("if", &entry.value);
        }
        let (mut env, mut base) = (env, base.clone());
        if let Some(condition) = &draft.step.condition {
            env = env.with_certain(condition.requires_success_of());
            base = base.with_certain(condition.requires_success_of());
        }
        let mut values = Values {
            cx,
            env: &env,
            amend: &amend,
        };
        draft.step.key = map
            .get("key")
            .and_then(|entry| values.text("key", &entry.value));
        drop(amend);
        let mut entered = Entered {
            mentioned,
            env,
            base,
            carried: Vec::new(),
            bodies: Vec::new(),
        };
        self.enter_kind(cx, index, &mut entered);
        entered
    }

    /// Reads what is said about a step's end; its output comes back.
    fn leave(&mut self, cx: &mut Cx<'_>, index: usize, entered: &Entered) -> Output {
        let output = self.leave_kind(cx, index, entered);
        let draft = &mut self.steps[index];
        if let Some(node) = draft.retry_when.filter(|_| own_retry(draft.map)) {
            draft.step.retry.when = retry_condition(cx, node, &self.globals);
        }
        output
    }

    /// The expressions of `compensate`.
    fn undo(&mut self, cx: &mut Cx<'_>, index: usize, entered: &Entered, output: &Output) {
        let itself = self.itself(index, output);
        if let Compensate::Body(body) = self.steps[index].step.compensate {
            let env = entered.base.clone();
            let env = env.variable("self", itself);
            self.body(cx, body, &env.variable("error", error_type()));
            return;
        }
        let views = &self.views;
        let draft: &mut StepDraft<'_> = &mut self.steps[index];
        let map = draft
            .map
            .get("compensate")
            .and_then(|entry| entry.value.as_map());
        let (Some(map), Compensate::Task(undo)) = (map, &mut draft.step.compensate) else {
            return;
        };
        let env = entered.env.clone();
        let env = env.variable("self", itself).variable("error", error_type());
        let explain = views.amend(cx.source, index);
        let amend = |error: &ExprError, text: &str, note: Note| {
            if error.code == "PHI305" {
                return note.recode("PHI704");
            }
            explain(error, text, note)
        };
        let mut values = Values {
            cx,
            env: &env,
            amend: &amend,
        };
        undo.input = entries(&mut values, map, "input");
        let nested = map.get("task").and_then(|entry| entry.value.as_map());
        undo.task.prompt = prompt(&mut values, nested.unwrap_or(map));
        if let Some(list) = nested
            .and_then(|nested| nested.get("attachments"))
            .and_then(|entry| entry.value.as_seq())
        {
            undo.task.attachments = list.iter().map(|node| values.value(node).0).collect();
        }
        if let Some(node) = draft.undo_retry_when.filter(|_| own_retry(map)) {
            undo.retry.when = retry_condition(cx, node, &self.globals);
        }
    }

    /// The type of `self`: the step that is undone.
    fn itself(&self, index: usize, output: &Output) -> Type {
        let step = &self.steps[index].step;
        let itself = ObjectType::default().field("input", input_type(&step.input));
        let ty = output.ty.clone();
        let itself = match (&output.absent, step.idempotent) {
            (None, true) => itself.field("output", ty),
            (Some(why), _) => itself.optional_field("output", ty, why.clone()),
            (None, false) => {
                let why = "the step may have ended without a result";
                itself.optional_field("output", ty, why)
            }
        };
        itself.into()
    }
}

/// Whether the step's retry is written here, and not in a policy that is checked once.
fn own_retry(map: &Map) -> bool {
    map.get("retry")
        .is_some_and(|entry| entry.value.as_map().is_some())
}

/// The raw result of a kind as `yield` reads it.
pub(super) fn with_result(env: &Env, result: Type) -> Env {
    env.clone().variable("result", result)
}
