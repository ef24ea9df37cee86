//! Tree to machine: names resolved, defaults made explicit, expressions checked.
//!
//! In three passes over one document: [`document`] and [`step`] read the structure into a
//! [`Draft`], [`order`] makes the graph of needs, [`expressions`] types and fills in every
//! expression in the order in which steps run. A later pass runs on whatever the earlier ones
//! understood, so that one mistake does not hide another. The rules about what is wise, as
//! opposed to what can be read, are in [`crate::check`].

mod declared;
mod document;
pub(crate) mod duration;
mod expressions;
mod fields;
mod keys;
mod kinds;
mod marks;
mod needs_edit;
pub(crate) mod order;
mod outline;
mod policy;
mod saga;
mod schemas;
mod starts;
mod states;
mod step;
mod task_types;
mod types;
mod value;
mod version;

use std::time::Duration;

use crate::diagnostic::Sink;
use crate::expr::nearest;
use crate::machine::{Body, BodyIndex, Concurrency, RunHandler, Saga, Schedule, Step, Trigger};
use crate::source::{SourceText, Span};
use crate::syntax::{Map, Node};

pub(crate) use document::read;
pub(crate) use expressions::{Filled, fill, index_by_id};
pub(crate) use states::{StatePlace, StatesDraft};

/// What every pass has at hand.
pub(crate) struct Cx<'a> {
    pub(crate) source: &'a SourceText,
    pub(crate) sink: &'a mut Sink,
    suggestions_left: usize,
    /// Keys that were probably meant by unknown ones, with their place: they are not missing, too.
    meant: Vec<(&'static str, &'static str)>,
}

/// Near names are looked up this often in a workflow: a text full of slips is answered quickly,
/// and nobody reads that many.
const SUGGESTIONS_MAX: usize = 100;

impl<'a> Cx<'a> {
    pub(crate) fn new(source: &'a SourceText, sink: &'a mut Sink) -> Self {
        Self {
            source,
            sink,
            suggestions_left: SUGGESTIONS_MAX,
            meant: Vec::new(),
        }
    }

    /// The name that was probably meant.
    pub(crate) fn nearest<'c>(
        &mut self,
        name: &str,
        candidates: impl Iterator<Item = &'c str>,
    ) -> Option<&'c str> {
        self.may_suggest()
            .then(|| nearest::nearest(name, candidates))
            .flatten()
    }

    /// Takes one suggestion from what is left.
    fn may_suggest(&mut self) -> bool {
        self.suggestions_left = self.suggestions_left.saturating_sub(1);
        self.suggestions_left > 0
    }
}

/// A workflow as far as it was understood.
pub(crate) struct Draft<'n> {
    pub(crate) root: &'n Map,
    pub(crate) span: Span,
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) version: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) declared: declared::Declared,
    pub(crate) timeout: Duration,
    pub(crate) retry_policies: policy::Policies<'n>,
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) saga: Saga,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) on_failure: Option<RunHandler>,
    pub(crate) finally: Option<BodyIndex>,
    pub(crate) states: Option<states::StatesDraft<'n>>,
    pub(crate) task_types: task_types::TaskTypes,
    pub(crate) outline: outline::Outline<'n>,
    /// All steps, nested ones too, in file order.
    pub(crate) steps: Vec<StepDraft<'n>>,
}

impl Draft<'_> {
    /// What tells it from other workflows.
    pub(crate) fn identity(&self) -> (String, Option<String>) {
        (self.name.clone(), self.version.clone())
    }

    pub(crate) fn bodies(&self) -> &[Body] {
        &self.outline.bodies
    }
}

/// A step as far as it was understood: its expressions are filled in last.
pub(crate) struct StepDraft<'n> {
    pub(crate) step: Step,
    pub(crate) map: &'n Map,
    pub(crate) id_span: Span,
    /// The places of `step.needs`, in the same order.
    pub(crate) need_spans: Vec<Span>,
    /// The condition of the step's retry, wherever the policy is written.
    pub(crate) retry_when: Option<&'n crate::syntax::Node>,
    /// Whether the codes to be retried were written out.
    pub(crate) retry_errors_written: bool,
    /// The same for the compensation.
    pub(crate) undo_retry_when: Option<&'n crate::syntax::Node>,
    /// Whether the compensation may be done twice, if it or its task type says so.
    pub(crate) undo_idempotent: Option<bool>,
    /// Whether nobody wrote it: what undoes a step because nothing else is said.
    pub(crate) is_implied: bool,
}

impl StepDraft<'_> {
    /// The place of a key's value, or of the id if the key is not there.
    pub(crate) fn value_span(&self, key: &str) -> Span {
        self.map
            .get(key)
            .map_or(self.id_span, |entry| entry.value.span)
    }

    /// The place of a key, or of the id if it is not there.
    pub(crate) fn key_span(&self, key: &str) -> Span {
        self.map
            .get(key)
            .map_or(self.id_span, |entry| entry.key_span)
    }

    /// The items of the list `outer.inner`; none if it is not there.
    pub(crate) fn nested_items(&self, outer: &str, inner: &str) -> &[Node] {
        self.map
            .get(outer)
            .and_then(|entry| entry.value.as_map())
            .and_then(|map| map.get(inner))
            .and_then(|entry| entry.value.as_seq())
            .unwrap_or_default()
    }

    /// The place of `outer.inner`, or of the nearest thing that is there.
    pub(crate) fn nested_span(&self, outer: &str, inner: &str) -> Span {
        self.map
            .get(outer)
            .and_then(|entry| entry.value.as_map())
            .and_then(|map| map.get(inner))
            .map_or_else(|| self.value_span(outer), |entry| entry.value.span)
    }
}
