//! Which workflow a `call` means: another one of the same text, or one that is deployed.
//!
//! Workflows of a text are typed after those that they call, so that a caller knows what comes
//! back. A cycle of calls has no such order, and would never end either (PHI418).

use std::collections::BTreeMap;

use crate::catalog::{Catalog, CatalogWorkflow, Interface};
use crate::diagnostic::{Note, Sink};
use crate::lower::Draft;
use crate::machine::{CallSpec, StepKind};
use crate::source::Span;

/// Who can be called, as far as it is known.
pub(crate) struct Callees<'c> {
    /// By name; the newest last.
    known: BTreeMap<&'c str, Vec<Callee<'c>>>,
    /// Whether there is nobody else.
    complete: bool,
}

struct Callee<'c> {
    version: Option<&'c str>,
    /// `None` for one of a cycle, of which nothing is known yet.
    interface: Option<Interface>,
}

/// What became of the search for a callee.
pub(crate) enum Found<'f> {
    /// This one.
    Interface(&'f Interface),
    /// Nothing is known, and nothing said about it.
    Unknown,
    /// It exists in these versions only.
    OtherVersions(Vec<&'f str>),
    /// Nobody has the name.
    Nobody,
}

impl<'c> Callees<'c> {
    /// Those of the catalogue, then those of `others`: texts that are compiled together, which say
    /// nothing about who else there is.
    pub(crate) fn new(catalog: Option<&'c Catalog>, others: &'c [CatalogWorkflow]) -> Self {
        let deployed = catalog.and_then(|catalog| catalog.workflows.as_ref());
        let mut callees = Self {
            known: BTreeMap::new(),
            complete: deployed.is_some(),
        };
        for workflow in deployed.into_iter().flatten().chain(others) {
            callees
                .known
                .entry(&workflow.name)
                .or_default()
                .push(Callee {
                    version: Some(&workflow.version),
                    interface: Some(workflow.interface.clone()),
                });
        }
        callees
    }

    /// Adds a workflow of the text itself, which comes before one that is deployed.
    pub(crate) fn declare(&mut self, name: &'c str, version: Option<&'c str>) {
        self.known.entry(name).or_default().push(Callee {
            version,
            interface: None,
        });
    }

    /// Says what is known by now of a declared workflow.
    pub(crate) fn learn(&mut self, name: &str, version: Option<&str>, interface: Interface) {
        let callees = self.known.get_mut(name).into_iter().flatten();
        for callee in callees.filter(|callee| callee.version == version) {
            callee.interface = Some(interface.clone());
        }
    }

    /// The newest workflow that `call` means.
    pub(crate) fn find(&self, call: &CallSpec) -> Found<'_> {
        let Some(callees) = self.known.get(call.workflow.as_str()) else {
            return if self.complete {
                Found::Nobody
            } else {
                Found::Unknown
            };
        };
        let fits = |callee: &&Callee<'_>| match (&call.version, callee.version) {
            (None, _) => true,
            (Some(range), Some(version)) => range.accepts(version),
            (Some(_), None) => false,
        };
        match callees.iter().rfind(fits) {
            Some(callee) => match &callee.interface {
                Some(interface) => Found::Interface(interface),
                None => Found::Unknown,
            },
            None if self.complete => {
                Found::OtherVersions(callees.iter().filter_map(|callee| callee.version).collect())
            }
            None => Found::Unknown,
        }
    }

    /// The names that can be called.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().copied()
    }
}

/// The drafts of a text in an order in which every one comes after those that it calls. Cycles are
/// reported to the sink of a workflow on them.
pub(crate) fn order(drafts: &[Option<Draft<'_>>], sinks: &mut [Sink]) -> Vec<usize> {
    let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        if let Some(draft) = draft {
            by_name.entry(&draft.name).or_insert(index);
        }
    }
    let calls: Vec<Vec<(usize, Span)>> = drafts
        .iter()
        .map(|draft| {
            let steps = draft.iter().flat_map(|draft| &draft.steps);
            let calls = steps.filter_map(|step| match &step.step.kind {
                StepKind::Call(call) if !call.unwinds => {
                    let callee = by_name.get(call.workflow.as_str())?;
                    Some((*callee, step.nested_span("call", "workflow")))
                }
                _ => None,
            });
            calls.collect()
        })
        .collect();
    let mut walk = Walk {
        calls: &calls,
        state: vec![State::New; drafts.len()],
        order: Vec::with_capacity(drafts.len()),
        cycles: Vec::new(),
    };
    for index in 0..drafts.len() {
        walk.visit(index);
    }
    let name = |index: &usize| {
        drafts[*index]
            .as_ref()
            .map_or("", |draft| draft.name.as_str())
    };
    for (cycle, span) in &walk.cycles {
        let mut path: Vec<&str> = cycle.iter().map(name).collect();
        path.extend(cycle.first().map(name));
        let Some(last) = cycle.last() else { continue };
        sinks[*last].push(
            Note::error(
                "PHI418",
                *span,
                format!(
                    "workflows call each other in a cycle: {}",
                    path.join(" -> ")
                ),
            )
            .help("a run would start runs for ever: repeat with `loop`, which has a bound"),
        );
    }
    walk.order
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// A search in depth with a stack of its own: a chain of calls may be as long as the text.
struct Walk<'a> {
    calls: &'a [Vec<(usize, Span)>],
    state: Vec<State>,
    order: Vec<usize>,
    /// Each with the place of the call that closes it, which is in its last workflow.
    cycles: Vec<(Vec<usize>, Span)>,
}

impl Walk<'_> {
    fn visit(&mut self, start: usize) {
        if self.state[start] != State::New {
            return;
        }
        self.state[start] = State::Open;
        let mut path = vec![(start, 0)];
        while let Some((index, next)) = path.last_mut() {
            let index = *index;
            let Some((callee, span)) = self.calls[index].get(*next) else {
                self.state[index] = State::Done;
                self.order.push(index);
                path.pop();
                continue;
            };
            *next += 1;
            match self.state[*callee] {
                State::Done => {}
                State::New => {
                    self.state[*callee] = State::Open;
                    path.push((*callee, 0));
                }
                State::Open => {
                    let open = path.iter().map(|(index, _)| *index);
                    let cycle = open.skip_while(|index| index != callee).collect();
                    self.cycles.push((cycle, *span));
                }
            }
        }
    }
}
