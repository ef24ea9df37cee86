//! The one way in: text to machines and diagnostics.

use std::collections::BTreeMap;

use crate::check;
use crate::diagnostic::{Diagnostic, Note, Sink};
use crate::expr::Type;
use crate::fingerprint;
use crate::lower::{self, Cx};
use crate::machine::{Body, CallSpec, InputSpec, Machine, Owner, Step, StepIndex};
use crate::source::{SourceText, Span};
use crate::syntax::{self, Document, Pragmas};

/// Digits of the hash that make a version.
const VERSION_DIGITS: usize = 12;

/// The agents and people that a workflow may name, as the registry declares them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// All agents.
    pub agents: Vec<CatalogAgent>,
    /// All people.
    pub people: Vec<CatalogPerson>,
}

/// One agent of the registry.
#[derive(Clone, Debug)]
pub struct CatalogAgent {
    /// Its name as declared; compared without case.
    pub name: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// How many tasks at once.
    pub concurrency: u32,
}

/// One person of the registry.
#[derive(Clone, Debug)]
pub struct CatalogPerson {
    /// The name.
    pub name: String,
    /// The roles that approvals name.
    pub roles: Vec<String>,
}

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
    let mut sink = Sink::default();
    let mut pragmas = Pragmas::read(source, &mut sink);
    let machines = match syntax::read(source, &mut sink) {
        Some(documents) => workflows(source, &documents, catalog, &mut sink),
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
    catalog: Option<&Catalog>,
    sink: &mut Sink,
) -> Vec<Machine> {
    // Findings of the reader belong to documents too: one that is not fine makes no machine.
    let unread = sink.errors();
    let mut names: BTreeMap<(String, Option<String>), Span> = BTreeMap::new();
    let mut machines = Vec::new();
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
    for document in written {
        let mark = sink.mark();
        let mut cx = Cx::new(source, sink);
        let Some(mut draft) = lower::read(&mut cx, &document.root) else {
            continue;
        };
        let order = lower::order::Order::of(&draft.steps, draft.bodies());
        let filled = lower::fill(&mut cx, &mut draft, &order, &Strangers);
        check::all(&mut cx, &draft, &order, catalog, mark);
        let identity = (draft.name.clone(), draft.version.clone());
        if !draft.name.is_empty() {
            if let Some(first) = names.get(&identity) {
                let version = draft
                    .version
                    .as_ref()
                    .map(|v| format!(" {v}"))
                    .unwrap_or_default();
                cx.sink.push(
                    Note::error(
                        "PHI010",
                        draft.name_span,
                        format!("workflow `{}`{version} is defined twice", draft.name),
                    )
                    .also(*first, "first here"),
                );
            }
            names.entry(identity).or_insert(draft.name_span);
        }
        let broken = unread.iter().any(|span| {
            (document.extent.start..document.extent.end.max(document.extent.start + 1))
                .contains(&span.start)
        });
        if broken || cx.sink.has_errors_since(mark) {
            continue;
        }
        machines.push(machine(source, document, draft, order, filled));
    }
    machines
}

fn machine(
    source: &SourceText,
    document: &Document,
    draft: lower::Draft<'_>,
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
        output_types: filled.output_types,
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
            Owner::Handler(outer) => outside(outer),
            Owner::Block(outer) => outside(outer) + u8::from(steps[outer.get()].kind.repeats()),
        });
    }
    repeats
}

/// What is known of a workflow that others call.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its inputs.
    pub inputs: Vec<InputSpec>,
    /// The names and types of its outputs.
    pub outputs: Vec<(String, Type)>,
}

/// Who can be called.
pub(crate) trait Callees {
    /// The workflow that a call means; `None`: nothing is known of it.
    fn interface(&self, call: &CallSpec) -> Option<&Interface>;
}

/// Nobody is known.
struct Strangers;

impl Callees for Strangers {
    fn interface(&self, _: &CallSpec) -> Option<&Interface> {
        None
    }
}
