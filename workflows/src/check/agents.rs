//! Agents and people: whether anybody can do what is asked. Needs the registry.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, CatalogAgent};
use crate::diagnostic::Note;
use crate::lower::{Cx, Draft, StepDraft};
use crate::machine::{ApprovalSpec, Approvers, Assign, Compensate, StepKind, TaskSpec};
use crate::source::Span;
use crate::syntax::{Map, Node};

/// The pool of whoever names none.
const POOL_DEFAULT: &str = "default";

/// Rules about one step.
pub(super) fn step(cx: &mut Cx<'_>, draft: &Draft<'_>, step: &StepDraft<'_>, catalog: &Catalog) {
    match &step.step.kind {
        StepKind::Task(task) => {
            let place = Place::of(draft, step.map, step.id_span);
            assignment(cx, &step.step.id, &step.step.assign, &place, catalog);
            named_for_type(cx, draft, task, &step.step.assign, &place, catalog);
            if let Some(from) = &task.ask.from {
                known(cx, step, "ask", from, catalog);
            }
            if let Compensate::Task(undo) = &step.step.compensate
                && let Some(map) = step.map.get("compensate").and_then(|e| e.value.as_map())
            {
                let place = Place::of(draft, map, step.key_span("compensate"));
                assignment(cx, &step.step.id, &undo.assign, &place, catalog);
                named_for_type(cx, draft, &undo.task, &undo.assign, &place, catalog);
            }
        }
        StepKind::Approval(approval) => approvers(cx, draft, step, approval, catalog),
        _ => {}
    }
}

/// Where an assignment is written.
struct Place<'n> {
    node: Option<&'n Node>,
    fallback: Span,
}

impl<'n> Place<'n> {
    fn of(draft: &Draft<'n>, map: &'n Map, fallback: Span) -> Self {
        let inherited = || draft.root.get("defaults")?.value.as_map()?.get("assign");
        let node = map
            .get("assign")
            .or_else(inherited)
            .map(|entry| &entry.value);
        Self { node, fallback }
    }

    fn whole(&self) -> Span {
        self.node.map_or(self.fallback, |node| node.span)
    }

    /// The place of a name in `assign` or in a list of it.
    fn name(&self, key: &str, name: &str) -> Span {
        let Some(node) = self.node else {
            return self.fallback;
        };
        let Some(entry) = node.as_map().and_then(|map| map.get(key)) else {
            return node.span;
        };
        name_span(&entry.value, name)
    }
}

/// The place of a name in a list of names, or in a single one.
fn name_span(node: &Node, name: &str) -> Span {
    let items = node.as_seq().unwrap_or_default();
    let item = items.iter().find(|item| item.as_str() == Some(name));
    item.map_or(node.span, |item| item.span)
}

fn same(agent: &CatalogAgent, name: &str) -> bool {
    agent.name.eq_ignore_ascii_case(name)
}

fn assignment(cx: &mut Cx<'_>, step: &str, assign: &Assign, place: &Place<'_>, catalog: &Catalog) {
    let mut known = true;
    let lists = [("prefer", &assign.prefer), ("exclude", &assign.exclude)];
    let named = assign.agent.iter().map(|agent| ("agent", agent)).chain(
        lists
            .into_iter()
            .flat_map(|(key, names)| names.iter().map(move |name| (key, name))),
    );
    for (key, name) in named {
        if !catalog.agents.iter().any(|agent| same(agent, name)) {
            known = false;
            unknown(
                cx,
                ("PHI601", format!("unknown agent `{name}`")),
                name,
                place.name(key, name),
                catalog.agents.iter().map(|agent| agent.name.as_str()),
            );
        }
    }
    let capabilities: BTreeSet<&str> = catalog
        .agents
        .iter()
        .flat_map(|agent| agent.capabilities.iter().map(String::as_str))
        .collect();
    for capability in &assign.capabilities {
        if !capabilities.contains(capability.as_str()) {
            known = false;
            unknown(
                cx,
                ("PHI602", format!("no agent has capability `{capability}`")),
                capability,
                place.name("capabilities", capability),
                capabilities.iter().copied(),
            );
        }
    }
    if let Some(pool) = &assign.pool
        && !catalog.agents.iter().any(|agent| agent.pool == *pool)
    {
        known = false;
        let pools: BTreeSet<&str> = catalog.agents.iter().map(|a| a.pool.as_str()).collect();
        unknown(
            cx,
            ("PHI608", format!("unknown pool `{pool}`")),
            pool,
            place.name("pool", pool),
            pools.iter().copied(),
        );
    }
    // With an unknown name the question has no answer yet.
    if known {
        somebody_fits(cx, step, assign, place, catalog);
    }
}

/// Whether an agent may do what is assigned so. How much it takes at once is another question.
pub(super) fn fits(agent: &CatalogAgent, assign: &Assign) -> bool {
    let named = assign.agent.as_ref().is_none_or(|name| same(agent, name));
    let excluded = assign.exclude.iter().any(|name| same(agent, name));
    named && !excluded && in_pool(agent, assign) && missing(agent, assign).is_empty()
}

/// An agent that is named need not be in a pool; a task that names neither is for the default one.
fn in_pool(agent: &CatalogAgent, assign: &Assign) -> bool {
    let pool = assign.pool.as_deref().unwrap_or(POOL_DEFAULT);
    assign.agent.is_some() || agent.pool == pool
}

fn missing<'a>(agent: &CatalogAgent, assign: &'a Assign) -> Vec<&'a str> {
    let wanted = assign.capabilities.iter();
    wanted
        .filter(|capability| !agent.capabilities.contains(capability))
        .map(String::as_str)
        .collect()
}

/// PHI607: the author's word goes, so an agent that is named gets a task that its type would have
/// kept from it. What `assign` itself asks for is [`somebody_fits`]' to tell.
fn named_for_type(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    task: &TaskSpec,
    assign: &Assign,
    place: &Place<'_>,
    catalog: &Catalog,
) {
    let name = assign.agent.as_ref();
    let agent = name.and_then(|name| catalog.agents.iter().find(|agent| same(agent, name)));
    let (Some(agent), Some(wanted)) = (agent, draft.task_types.capabilities(&task.task_type))
    else {
        return;
    };
    let lacking: Vec<String> = wanted
        .iter()
        .filter(|capability| {
            !agent.capabilities.contains(capability) && !assign.capabilities.contains(capability)
        })
        .map(|capability| format!("`{capability}`"))
        .collect();
    if lacking.is_empty() {
        return;
    }
    let (lacking, task_type) = (lacking.join(", "), &task.task_type);
    cx.sink.push(
        Note::warning(
            "PHI607",
            place.name("agent", &agent.name),
            format!(
                "`{}` lacks {lacking} wanted by task type `{task_type}`",
                agent.name
            ),
        )
        .label("gets the task all the same, because it is named")
        .help("name an agent that can do it, or give it the capability in `agents.yaml`"),
    );
}

fn somebody_fits(
    cx: &mut Cx<'_>,
    step: &str,
    assign: &Assign,
    place: &Place<'_>,
    catalog: &Catalog,
) {
    let mut lacks = Vec::new();
    let mut fitting = Vec::new();
    for agent in &catalog.agents {
        if assign.agent.as_ref().is_some_and(|name| !same(agent, name)) {
            continue;
        }
        if assign.exclude.iter().any(|name| same(agent, name)) {
            lacks.push(format!("`{}` is excluded", agent.name));
        } else if fits(agent, assign) {
            fitting.push(agent);
        } else if !in_pool(agent, assign) {
            lacks.push(format!("`{}` is in pool `{}`", agent.name, agent.pool));
        } else {
            lacks.push(format!(
                "`{}` lacks {}",
                agent.name,
                missing(agent, assign).join(", ")
            ));
        }
    }
    if fitting.is_empty() {
        let note = Note::error("PHI603", place.whole(), format!("no agent can do `{step}`"));
        cx.sink.push(if lacks.is_empty() {
            note.help("declare agents in `agents.yaml`")
        } else {
            note.help(lacks.join("; "))
        });
    } else if fitting.iter().all(|agent| agent.concurrency == 0) {
        cx.sink.push(
            Note::error(
                "PHI604",
                place.whole(),
                format!("only agents with concurrency 0 can do `{step}`"),
            )
            .help(format!("raise the concurrency of `{}`", fitting[0].name)),
        );
    } else if let [only] = fitting[..]
        && assign.agent.is_none()
        && !assign.capabilities.is_empty()
        && catalog.agents.len() > 1
    {
        cx.sink.push(
            Note::info(
                "PHI606",
                place.whole(),
                format!("only `{}` can do `{step}`", only.name),
            )
            .help("while it is away, the step waits"),
        );
    }
}

fn unknown<'c>(
    cx: &mut Cx<'_>,
    (code, message): (&'static str, String),
    name: &str,
    span: Span,
    candidates: impl Iterator<Item = &'c str> + Clone,
) {
    let note = Note::error(code, span, message);
    let note = match cx.nearest(name, candidates.clone()) {
        Some(near) => note
            .label(format!("did you mean `{near}`?"))
            .edit(span, near),
        None => {
            let known: Vec<String> = candidates
                .take(20)
                .map(|name| format!("`{name}`"))
                .collect();
            if known.is_empty() {
                note.help("none is declared in `agents.yaml`")
            } else {
                note.help(format!("known: {}", known.join(", ")))
            }
        }
    };
    cx.sink.push(note);
}

fn approvers(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    step: &StepDraft<'_>,
    approval: &ApprovalSpec,
    catalog: &Catalog,
) {
    known(cx, step, "approval", &approval.from, catalog);
    let place = place_in(step, "approval");
    for agent in &approval.from.agents {
        own_work(cx, draft, step, approval, agent, place("agents", agent));
    }
}

/// Where a list of `key.from` of a step has a name.
fn place_in<'s>(step: &'s StepDraft<'_>, key: &str) -> impl Fn(&str, &str) -> Span + use<'s> {
    let fields = step
        .map
        .get(key)
        .and_then(|entry| entry.value.as_map())
        .and_then(|map| map.get("from"))
        .and_then(|entry| entry.value.as_map());
    move |key, name| {
        let entry = fields.and_then(|map| map.get(key));
        entry.map_or(step.id_span, |entry| name_span(&entry.value, name))
    }
}

/// PHI610, PHI601: whoever `key.from` of a step names is declared.
fn known(cx: &mut Cx<'_>, step: &StepDraft<'_>, key: &str, from: &Approvers, catalog: &Catalog) {
    let place = place_in(step, key);
    let roles: BTreeSet<&str> = catalog
        .people
        .iter()
        .flat_map(|person| person.roles.iter().map(String::as_str))
        .collect();
    for role in &from.roles {
        if !roles.contains(role.as_str()) {
            let what = ("PHI610", format!("nobody has role `{role}`"));
            unknown(cx, what, role, place("roles", role), roles.iter().copied());
        }
    }
    for user in &from.users {
        let people = catalog.people.iter().map(|person| person.name.as_str());
        if !people.clone().any(|name| name.eq_ignore_ascii_case(user)) {
            let what = ("PHI610", format!("unknown person `{user}`"));
            unknown(cx, what, user, place("users", user), people);
        }
    }
    for agent in &from.agents {
        let agents = catalog.agents.iter().map(|agent| agent.name.as_str());
        if !agents.clone().any(|name| name.eq_ignore_ascii_case(agent)) {
            let what = ("PHI601", format!("unknown agent `{agent}`"));
            unknown(cx, what, agent, place("agents", agent), agents);
        }
    }
}

/// PHI609: an agent that may approve what it did itself. A need that `not_same_as` names is out
/// of question.
fn own_work(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    step: &StepDraft<'_>,
    approval: &ApprovalSpec,
    agent: &str,
    span: Span,
) {
    for need in &step.step.needs {
        let worker = &draft.steps[need.get()].step;
        let does_it = worker
            .assign
            .agent
            .as_ref()
            .is_some_and(|name| name.eq_ignore_ascii_case(agent));
        if does_it
            && matches!(worker.kind, StepKind::Task(_))
            && !approval.not_same_as.contains(need)
        {
            cx.sink.push(
                Note::error(
                    "PHI609",
                    span,
                    format!(
                        "approval may be given by `{agent}`, who did `{}`",
                        worker.id
                    ),
                )
                .also(draft.steps[need.get()].id_span, "the work that is approved")
                .help(format!("add `not_same_as: [{}]`", worker.id)),
            );
        }
    }
}
