//! The one way in: text to machines and diagnostics.

use std::collections::BTreeMap;

use crate::calls::{self, Callees};
use crate::catalog::{Catalog, CatalogWorkflow, Interface};
use crate::check::{self, events};
use crate::diagnostic::{Diagnostic, Note, Sink};
use crate::fingerprint;
use crate::lower::{self, Cx, Draft};
use crate::machine::{Body, Machine, Owner, Step, StepIndex};
use crate::source::{SourceText, Span};
use crate::syntax::{self, Document, Pragmas};

/// Digits of the hash that make a version.
const VERSION_DIGITS: usize = 12;

/// What became of a text.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The workflows without errors, in file order. Empty if the text as a whole is unusable.
    pub machines: Vec<Machine>,
    /// Everything found, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Compiled {
    /// Whether any diagnostic is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|d| d.severity == crate::Severity::Error)
    }
}

/// Compiles all workflows of one text. Without a catalogue, names of agents and people are not
/// checked. Never panics, whatever the text is, and gives the same bytes for the same text.
#[must_use]
pub fn compile(source: &SourceText, catalog: Option<&Catalog>) -> Compiled {
    compile_beside(source, catalog, &[])
}

/// As [`compile`], beside other texts: calls of their workflows are checked, those of others are
/// not refused because of them.
#[must_use]
pub fn compile_beside(
    source: &SourceText,
    catalog: Option<&Catalog>,
    others: &[CatalogWorkflow],
) -> Compiled {
    let mut sink = Sink::default();
    let mut pragmas = Pragmas::read(source, &mut sink);
    let machines = match syntax::read(source, &mut sink) {
        Some(documents) => workflows(source, &documents, (catalog, others), &mut sink),
        None => Vec::new(),
    };
    sink.retain(|diagnostic| !pragmas.allow(source, diagnostic));
    // A stage that did not run may have found what a comment allows.
    if sink.errors().is_empty() {
        pragmas.unused(source, &mut sink, |code| match code.get(3..4) {
            Some("6") => catalog.is_some(),
            // Versions are compared by `diff`.
            Some("9") => false,
            _ => true,
        });
    }
    Compiled {
        machines,
        diagnostics: sink.finish(),
    }
}

/// Compiles a text that a journal holds again, to the machine of the hash that it is registered under:
/// today's, or the one that an earlier version gave the same text. `None` if this program cannot.
#[must_use]
pub fn compile_registered(hash: &str, text: &str) -> Option<Machine> {
    let source = SourceText::new(format!("definition {hash}"), text);
    let mut machine = compile(&source, None).machines.into_iter().next()?;
    if machine.hash != hash {
        let documents = syntax::read(&source, &mut Sink::default())?;
        let document = documents.iter().find(|document| !document.root.is_null())?;
        if fingerprint::before_bare_conditions(&document.root) != hash {
            return None;
        }
        if machine.version == machine.hash[..VERSION_DIGITS] {
            machine.version = hash[..VERSION_DIGITS].to_owned();
        }
        machine.hash = hash.to_owned();
    }
    Some(machine)
}

fn workflows(
    source: &SourceText,
    documents: &[Document],
    (catalog, others): (Option<&Catalog>, &[CatalogWorkflow]),
    sink: &mut Sink,
) -> Vec<Machine> {
    // Findings of the reader belong to documents too: one that is not fine makes no machine.
    let unread = sink.errors();
    let mut written = documents
        .iter()
        .filter(|document| !document.root.is_null())
        .peekable();
    if written.peek().is_none() {
        sink.push(
            Note::error("PHI102", Span::new(0, 0), "the text holds no workflow")
                .help("start with `workflow: NAME` and `steps:`"),
        );
    }
    let written: Vec<&Document> = written.collect();
    let mut sinks: Vec<Sink> = written.iter().map(|_| Sink::default()).collect();
    let mut drafts: Vec<Option<Draft<'_>>> = written
        .iter()
        .zip(&mut sinks)
        .map(|(document, sink)| lower::read(&mut Cx::new(source, sink), &document.root))
        .collect();
    defined_once(&drafts, &mut sinks);
    let identities: Vec<Option<(String, Option<String>)>> = drafts
        .iter()
        .map(|draft| Some(draft.as_ref()?.identity()))
        .collect();
    let emitted = events::emitted(&drafts);
    let mut callees = Callees::new(catalog, others);
    for (name, version) in identities.iter().flatten() {
        callees.declare(name, version.as_deref());
    }
    let mut finished: Vec<_> = written.iter().map(|_| None).collect();
    for index in calls::order(&drafts, &mut sinks) {
        let Some(draft) = drafts[index].as_mut() else {
            continue;
        };
        let mut cx = Cx::new(source, &mut sinks[index]);
        let order = lower::order::Order::of(&draft.steps, draft.bodies());
        let filled = lower::fill(&mut cx, draft, &order, &callees);
        check::all(&mut cx, draft, &order, catalog, 0);
        events::listeners(&mut cx, draft, &emitted);
        let interface = Interface {
            inputs: draft.declared.inputs.clone(),
            output: filled.output.clone(),
        };
        callees.learn(&draft.name, draft.version.as_deref(), interface);
        finished[index] = Some((order, filled));
    }
    let mut machines = Vec::new();
    for (index, (draft, parts)) in drafts.into_iter().zip(finished).enumerate() {
        let document = written[index];
        let extent = document.extent.start..document.extent.end.max(document.extent.start + 1);
        let broken = unread.iter().any(|span| extent.contains(&span.start))
            || sinks[index].has_errors_since(0);
        if let (Some(draft), Some((order, filled)), false) = (draft, parts, broken) {
            machines.push(machine(source, document, draft, order, filled));
        }
    }
    for own in sinks {
        sink.absorb(own);
    }
    machines
}

/// PHI010: two workflows of one name and version.
fn defined_once(drafts: &[Option<Draft<'_>>], sinks: &mut [Sink]) {
    let mut names: BTreeMap<(String, Option<String>), Span> = BTreeMap::new();
    for (draft, sink) in drafts.iter().zip(sinks) {
        let Some(draft) = draft.as_ref().filter(|draft| !draft.name.is_empty()) else {
            continue;
        };
        let identity = draft.identity();
        if let Some(first) = names.get(&identity) {
            let (name, version) = &identity;
            let version = version.as_ref().map(|v| format!(" {v}"));
            let message = format!(
                "workflow `{name}`{} is defined twice",
                version.unwrap_or_default()
            );
            sink.enter(draft.span);
            sink.push(Note::error("PHI010", draft.name_span, message).also(*first, "first here"));
        }
        names.entry(identity).or_insert(draft.name_span);
    }
}

fn machine(
    source: &SourceText,
    document: &Document,
    draft: Draft<'_>,
    order: lower::order::Order,
    filled: lower::Filled,
) -> Machine {
    let hash = fingerprint::of(&document.root);
    let bodies = draft.bodies().to_vec();
    let steps: Vec<_> = draft.steps.into_iter().map(|draft| draft.step).collect();
    let mut dependants: Vec<Vec<StepIndex>> = vec![Vec::new(); steps.len()];
    for (index, step) in (0_u32..).map(StepIndex).zip(&steps) {
        for need in &step.needs {
            dependants[need.get()].push(index);
        }
    }
    Machine {
        name: draft.name,
        version: draft
            .version
            .unwrap_or_else(|| hash[..VERSION_DIGITS].to_owned()),
        hash,
        source: source.slice(document.extent).to_owned(),
        title: draft.title,
        description: draft.description,
        labels: filled.labels,
        metadata: filled.metadata,
        inputs: draft.declared.inputs,
        outputs: filled.outputs,
        output_type: filled.output,
        vars: draft.declared.vars,
        config: draft.declared.config,
        secrets: draft.declared.secrets,
        timeout: draft.timeout,
        concurrency: draft.concurrency,
        saga: draft.saga,
        schedules: draft.schedules,
        triggers: draft.triggers,
        on_failure: draft.on_failure,
        finally: draft.finally,
        states: draft.states.map(|states| states.body),
        repeats: repeats(&bodies, &steps),
        bodies,
        by_id: lower::index_by_id(&steps),
        steps,
        graph: order.graph,
        dependants,
        rank: order.rank,
    }
}

/// How many items, iterations and visits tell the instances of each step apart.
fn repeats(bodies: &[Body], steps: &[Step]) -> Vec<u8> {
    let mut repeats: Vec<u8> = Vec::with_capacity(steps.len());
    for step in steps {
        // A block stands before what is inside, so its own number is known.
        let outside = |outer: StepIndex| repeats[outer.get()];
        repeats.push(match bodies[step.body.get()].owner {
            Owner::Run | Owner::OnFailure | Owner::Finally => 0,
            Owner::State(_) => 1,
            Owner::Handler(outer) | Owner::Undo(outer) => outside(outer),
            Owner::Block(outer) => outside(outer) + u8::from(steps[outer.get()].kind.repeats()),
        });
    }
    repeats
}
