//! Types and fills in every expression of a draft.
//!
//! Bodies are walked in the order in which their steps run, so that what a step yields has a type
//! before anybody reads it. What a step may see follows from the order alone (`views`): a step
//! that comes before it on every way has an outcome, one that may be passed over may have no
//! output. A block is entered, its bodies are walked, and it is left with the type of its output.

mod blocks;
mod kinds;
mod states;
mod steps;
mod views;
mod whole;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::order::Order;
use super::outline::Outline;
use super::value::Values;
use super::{Cx, Draft, StepDraft};
use crate::calls::Callees;
use crate::diagnostic::Note;
use crate::expr::{Env, Expr, ExprError, Type};
use crate::machine::{BodyIndex, Owner, Step, StepIndex, Template};
use crate::syntax::{Map, Node};

use super::declared::Declared;
use super::task_types::TaskTypes;
use views::Views;

/// What belongs to the workflow as a whole.
pub(crate) struct Filled {
    pub(crate) outputs: Vec<(String, Template)>,
    /// The type of the outputs, whichever way a run completes.
    pub(crate) output: Type,
    pub(crate) labels: Vec<(String, Template)>,
    pub(crate) metadata: Option<Json>,
}

/// What a step leaves behind.
#[derive(Clone, Debug)]
struct Output {
    ty: Type,
    /// Why there may be none even if the step succeeded.
    absent: Option<String>,
}

impl Output {
    fn certain(ty: Type) -> Self {
        Self { ty, absent: None }
    }
}

/// Checks all expressions of `draft` and puts them in their places.
pub(crate) fn fill(
    cx: &mut Cx<'_>,
    draft: &mut Draft<'_>,
    order: &Order,
    callees: &Callees<'_>,
) -> Filled {
    let globals = whole::globals(&draft.declared);
    let Draft {
        outline,
        steps,
        declared,
        task_types,
        root,
        ..
    } = draft;
    let mut filler = Filler {
        views: Views::new(outline, order, steps),
        steps,
        declared,
        task_types,
        outputs_map: root.get("outputs").and_then(|entry| entry.value.as_map()),
        callees,
        endings: Vec::new(),
        globals,
    };
    let bodies = filler.views.outline.bodies.len();
    let mut handlers = Vec::new();
    for index in (0_u32..).take(bodies).map(BodyIndex) {
        let base = filler.globals.clone();
        match filler.views.outline.body(index).owner {
            Owner::Run | Owner::State(_) => filler.body(cx, index, &base),
            Owner::OnFailure | Owner::Finally => handlers.push(index),
            // Those are walked with the step that runs them.
            Owner::Block(_) | Owner::Handler(_) | Owner::Undo(_) => {}
        }
    }
    for index in handlers {
        let mut base = filler.globals.clone();
        if filler.views.outline.body(index).owner == Owner::OnFailure {
            base = base.variable("error", super::types::error_type());
        }
        filler.body(cx, index, &base);
    }
    let Filler {
        views,
        globals,
        endings,
        ..
    } = filler;
    let outputs = views.outputs;
    whole::fill(cx, draft, order, &outputs, &globals, endings)
}

/// The walk through all bodies.
struct Filler<'f, 'n> {
    views: Views<'f, 'n>,
    steps: &'f mut Vec<StepDraft<'n>>,
    declared: &'f Declared,
    task_types: &'f TaskTypes,
    /// `outputs` of the workflow, which `finish` has to give as well.
    outputs_map: Option<&'n Map>,
    callees: &'f Callees<'f>,
    /// The types of the outputs that `finish` gives instead of the workflow's.
    endings: Vec<Type>,
    globals: Env,
}

impl Filler<'_, '_> {
    /// Walks a body whose expressions can read what is in `base`, apart from steps.
    fn body(&mut self, cx: &mut Cx<'_>, body: BodyIndex, base: &Env) {
        for index in self.views.order.in_body(self.views.outline.body(body)) {
            self.step(cx, index, base);
        }
    }
}

/// A map of values.
fn entries(values: &mut Values<'_, '_>, map: &Map, key: &str) -> Vec<(String, Template)> {
    typed_entries(values, map, key)
        .into_iter()
        .map(|(name, template, _)| (name, template))
        .collect()
}

fn typed_entries(
    values: &mut Values<'_, '_>,
    map: &Map,
    key: &str,
) -> Vec<(String, Template, Type)> {
    let Some(entry) = map.get(key) else {
        return Vec::new();
    };
    let Some(fields) = values.cx.map(key, &entry.value) else {
        return Vec::new();
    };
    let typed = fields.entries.iter().map(|field| {
        let (template, ty) = values.value(&field.value);
        (field.key.clone(), template, ty)
    });
    typed.collect()
}

fn prompt(values: &mut Values<'_, '_>, map: &Map) -> Option<Template> {
    let entry = map.get("prompt")?;
    values.text("prompt", &entry.value)
}

/// The condition of a retry: it is asked of the error alone, wherever the step stands.
fn retry_condition(cx: &mut Cx<'_>, node: &Node, globals: &Env) -> Option<Expr> {
    let env = globals
        .clone()
        .variable("error", super::types::error_type());
    plain(cx, &env).condition("when", node)
}

/// Values at a place that no step is near.
fn plain<'v, 's>(cx: &'v mut Cx<'s>, env: &'v Env) -> Values<'v, 's> {
    Values {
        cx,
        env,
        amend: &|_: &ExprError, _: &str, note: Note| note,
    }
}

/// The place of a step by its id.
pub(crate) fn index_by_id(steps: &[Step]) -> BTreeMap<String, StepIndex> {
    (0_u32..)
        .map(StepIndex)
        .zip(steps)
        .map(|(index, step)| (step.id.clone(), index))
        .collect()
}

/// The steps by name, for findings that only know names.
fn position(outline: &Outline<'_>, id: &str) -> Option<usize> {
    outline.step_named(id).map(StepIndex::get)
}
