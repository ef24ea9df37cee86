//! The first look at a workflow: which steps there are, and in which bodies they stand.
//!
//! Names may be used before they are written, so all of them are gathered before any step is
//! read. What is wrong with a list of steps or with an id is reported here, everything else about
//! a step by its reader.

use std::collections::BTreeMap;

use super::Cx;
use super::fields::IdForm;
use crate::diagnostic::Note;
use crate::machine::{Body, BodyIndex, Owner, Shape, StateIndex, StepIndex};
use crate::source::Span;
use crate::syntax::{Entry, Kind, Map, Node};

/// All steps and bodies of a workflow.
pub(crate) struct Outline<'n> {
    pub(super) bodies: Vec<Body>,
    pub(super) places: Vec<Place<'n>>,
    by_id: BTreeMap<&'n str, StepIndex>,
    /// The bodies by the nodes that hold them. Nodes do not move while the tree is there.
    body_at: BTreeMap<*const Node, BodyIndex>,
    /// The bodies that undo steps.
    undos: BTreeMap<StepIndex, BodyIndex>,
}

/// Where a step is written.
#[derive(Clone, Copy)]
pub(crate) struct Place<'n> {
    pub(super) map: &'n Map,
    pub(super) span: Span,
    pub(super) id: &'n str,
    pub(super) id_span: Span,
    pub(super) body: BodyIndex,
    /// What a state does: it is named by the state and stands alone.
    pub(super) is_activity: bool,
    /// What undoes a step: `id` is that step's, and nobody can name it.
    pub(super) undo: Option<Undo>,
}

/// What kind of undo it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Undo {
    /// A step body below `compensate`.
    Written,
    /// A `files` step puts back what was there, written or not.
    Revert,
    /// The run that was called undoes its own steps; never written.
    Unwind,
}

/// The map of what is not written.
static NOTHING: Map = Map {
    entries: Vec::new(),
    flow: false,
};

/// What an undo can be, apart from a task.
pub(super) const UNDO_KINDS: [&str; 4] = ["call", "files", "emit", "do"];

/// The lists of a state that hold steps, in the order in which they run.
const STATE_LISTS: [&str; 3] = ["entry", "activity", "exit"];

impl<'n> Outline<'n> {
    /// Looks through the workflow `root`.
    pub(super) fn of(cx: &mut Cx<'_>, root: &'n Map) -> Self {
        let mut outline = Self {
            bodies: vec![Body {
                owner: Owner::Run,
                shape: Shape::Graph,
                steps: Vec::new(),
            }],
            places: Vec::new(),
            by_id: BTreeMap::new(),
            body_at: BTreeMap::new(),
            undos: BTreeMap::new(),
        };
        for entry in &root.entries {
            match entry.key.as_str() {
                "steps" => {
                    outline
                        .body_at
                        .insert(&raw const entry.value, BodyIndex::MAIN);
                    outline.steps(cx, entry, BodyIndex::MAIN);
                }
                "states" => outline.states(cx, entry),
                "on_failure" => outline.list(cx, entry, Owner::OnFailure),
                "finally" => outline.list(cx, entry, Owner::Finally),
                _ => {}
            }
        }
        outline
    }

    /// The step called `id`.
    pub(super) fn step_named(&self, id: &str) -> Option<StepIndex> {
        self.by_id.get(id).copied()
    }

    pub(super) fn place(&self, step: StepIndex) -> &Place<'n> {
        &self.places[step.get()]
    }

    pub(super) fn body(&self, body: BodyIndex) -> &Body {
        &self.bodies[body.get()]
    }

    /// The body that `node` holds.
    pub(super) fn body_at(&self, node: &Node) -> Option<BodyIndex> {
        self.body_at.get(&(&raw const *node)).copied()
    }

    /// The step that runs the body in which `step` stands: a block, or whose handler it is.
    pub(super) fn parent(&self, step: StepIndex) -> Option<StepIndex> {
        match self.body(self.place(step).body).owner {
            Owner::Block(parent) | Owner::Handler(parent) | Owner::Undo(parent) => Some(parent),
            Owner::Run | Owner::OnFailure | Owner::Finally | Owner::State(_) => None,
        }
    }

    /// The body that undoes `step`, if it is one.
    pub(super) fn undo_of(&self, step: StepIndex) -> Option<BodyIndex> {
        self.undos.get(&step).copied()
    }

    /// Whether `step` stands in what undoes another one, however deep.
    pub(super) fn is_undo(&self, step: StepIndex) -> bool {
        let mut chain = std::iter::successors(Some(step), |step| self.parent(*step));
        chain.any(|step| self.place(step).undo.is_some())
    }

    /// The state in which `step` stands, however deep.
    pub(super) fn state_around(&self, step: StepIndex) -> Option<StateIndex> {
        let mut step = step;
        while let Some(parent) = self.parent(step) {
            step = parent;
        }
        match self.body(self.place(step).body).owner {
            Owner::State(state) => Some(state),
            _ => None,
        }
    }

    /// The ids of all steps.
    pub(super) fn ids(&self) -> impl Iterator<Item = &'n str> {
        self.by_id.keys().copied()
    }

    fn open(&mut self, node: &'n Node, owner: Owner, shape: Shape) -> BodyIndex {
        let index = self.open_unwritten(owner);
        self.bodies[index.get()].shape = shape;
        self.body_at.insert(&raw const *node, index);
        index
    }

    fn open_unwritten(&mut self, owner: Owner) -> BodyIndex {
        let count = u32::try_from(self.bodies.len());
        let index = BodyIndex(count.expect("the reader bounds the nodes of a text"));
        self.bodies.push(Body {
            owner,
            shape: Shape::Sequence,
            steps: Vec::new(),
        });
        index
    }

    /// A sequence of the run or of a step.
    fn list(&mut self, cx: &mut Cx<'_>, entry: &'n Entry, owner: Owner) {
        let body = self.open(&entry.value, owner, Shape::Sequence);
        self.steps(cx, entry, body);
    }

    fn steps(&mut self, cx: &mut Cx<'_>, entry: &'n Entry, body: BodyIndex) {
        let Some(items) = entry.value.as_seq() else {
            cx.sink.enter(entry.value.span);
            cx.wrong_type(&entry.key, "a list of steps", &entry.value);
            return;
        };
        let ends_with_recover = self.bodies[body.get()].owner == Owner::OnFailure
            && items.last().is_some_and(is_recover);
        let count = items.len() - usize::from(ends_with_recover);
        for item in &items[..count] {
            self.step(cx, item, body);
        }
    }

    fn step(&mut self, cx: &mut Cx<'_>, item: &'n Node, body: BodyIndex) {
        cx.sink.enter(item.span);
        let Some(map) = item.as_map() else {
            cx.sink.push(
                Note::error(
                    "PHI103",
                    item.span,
                    format!("a step must be a map, found {}", item.type_name()),
                )
                .help("write `- id: NAME` and the step's keys below it"),
            );
            return;
        };
        let Some(entry) = map.get("id") else {
            let first = map
                .entries
                .first()
                .map_or(item.span, |entry| entry.key_span);
            cx.missing("a step", "id", first, "id: NAME");
            return;
        };
        if cx.text("id", &entry.value).is_none() {
            return;
        }
        let Some(id) = entry.value.as_str() else {
            return;
        };
        cx.id(id, entry.value.span, IdForm::Snake);
        self.named(
            cx,
            Place {
                map,
                span: item.span,
                id,
                id_span: entry.value.span,
                body,
                is_activity: false,
                undo: None,
            },
        );
    }

    /// A step whose name is known: it gets its index, then those inside get theirs.
    fn named(&mut self, cx: &mut Cx<'_>, place: Place<'n>) {
        if let Some(first) = self.by_id.get(place.id) {
            let first = self.places[first.get()];
            let what = if first.is_activity || place.is_activity {
                "state or step"
            } else {
                "step"
            };
            let message = format!("{what} `{}` is defined twice", place.id);
            cx.sink.push(
                Note::error("PHI201", place.id_span, message)
                    .label("again")
                    .also(first.id_span, "first here"),
            );
            return;
        }
        let index = self.add(place);
        self.by_id.insert(place.id, index);
        self.inside(cx, place.map, index);
        self.undo(cx, place, index);
    }

    fn add(&mut self, place: Place<'n>) -> StepIndex {
        let count = u32::try_from(self.places.len());
        let index = StepIndex(count.expect("the reader bounds the nodes of a text"));
        self.bodies[place.body.get()].steps.push(index);
        self.places.push(place);
        index
    }

    /// What undoes a step, if that is more than a task. An undo is not undone.
    fn undo(&mut self, cx: &mut Cx<'_>, place: Place<'n>, step: StepIndex) {
        if self.is_undo(step) {
            return;
        }
        let written = place.map.get("compensate");
        let fields = written.and_then(|entry| entry.value.as_map());
        let word = written.and_then(|entry| entry.value.as_str());
        let waits = |call: &Entry| {
            let fields = call.value.as_map().and_then(|map| map.get("wait"));
            let kind = fields.and_then(|wait| Some(wait.value.as_scalar()?.kind));
            kind != Some(Kind::Bool(false))
        };
        let undo = match (written, fields, word) {
            (_, Some(fields), _) if is_step_body(fields) => Undo::Written,
            (None, ..) | (_, _, Some("revert")) if place.map.get("files").is_some() => Undo::Revert,
            (None, ..) if place.map.get("call").is_some_and(waits) => Undo::Unwind,
            _ => return,
        };
        let owner = Owner::Undo(step);
        let body = match written {
            Some(entry) => self.open(&entry.value, owner, Shape::Sequence),
            None => self.open_unwritten(owner),
        };
        self.undos.insert(step, body);
        let map = fields.unwrap_or(&NOTHING);
        let index = self.add(Place {
            map,
            span: written.map_or(place.span, |entry| entry.value.span),
            id: place.id,
            id_span: written.map_or(place.id_span, |entry| entry.key_span),
            body,
            is_activity: false,
            undo: Some(undo),
        });
        if let Some(entry) = map.get("do") {
            self.list(cx, entry, Owner::Block(index));
        }
    }

    /// The bodies inside a step.
    fn inside(&mut self, cx: &mut Cx<'_>, map: &'n Map, step: StepIndex) {
        let block = Owner::Block(step);
        let handler = Owner::Handler(step);
        for entry in &map.entries {
            match entry.key.as_str() {
                "do" => self.list(cx, entry, block),
                "steps" if self.place(step).is_activity => self.graph(cx, entry, block),
                "foreach" | "loop" => self.do_or_steps(cx, entry.value.as_map(), block),
                "switch" => {
                    let Some(fields) = entry.value.as_map() else {
                        continue;
                    };
                    let cases = fields.get("cases").and_then(|cases| cases.value.as_seq());
                    for case in cases.unwrap_or_default() {
                        self.do_or_steps(cx, case.as_map(), block);
                    }
                    let default = fields.get("default");
                    if let Some(entry) = default.filter(|entry| entry.value.as_seq().is_some()) {
                        self.list(cx, entry, block);
                    }
                }
                "parallel" => {
                    let fields = entry.value.as_map();
                    let branches = fields
                        .and_then(|fields| fields.get("branches"))
                        .and_then(|branches| branches.value.as_map());
                    for branch in branches.into_iter().flat_map(|map| &map.entries) {
                        self.list(cx, branch, block);
                    }
                }
                "try" => {
                    let Some(fields) = entry.value.as_map() else {
                        continue;
                    };
                    self.do_or_steps(cx, Some(fields), block);
                    let catch = fields.get("catch").and_then(|catch| catch.value.as_seq());
                    for catch in catch.unwrap_or_default() {
                        match catch.as_map().and_then(|map| map.get("do")) {
                            Some(entry) => self.list(cx, entry, handler),
                            // A catch without steps handles the error by `then` alone.
                            None => _ = self.open(catch, handler, Shape::Sequence),
                        }
                    }
                    if let Some(finally) = fields.get("finally") {
                        self.list(cx, finally, handler);
                    }
                }
                "on_failure" => {
                    let fields = entry.value.as_map();
                    if let Some(entry) = fields.and_then(|fields| fields.get("do")) {
                        self.list(cx, entry, handler);
                    }
                }
                _ => {}
            }
        }
    }

    fn do_or_steps(&mut self, cx: &mut Cx<'_>, map: Option<&'n Map>, owner: Owner) {
        let Some(map) = map else { return };
        if let Some(entry) = map.get("do") {
            self.list(cx, entry, owner);
        } else if let Some(entry) = map.get("steps") {
            self.graph(cx, entry, owner);
        }
    }

    fn graph(&mut self, cx: &mut Cx<'_>, entry: &'n Entry, owner: Owner) {
        let body = self.open(&entry.value, owner, Shape::Graph);
        self.steps(cx, entry, body);
    }

    fn states(&mut self, cx: &mut Cx<'_>, entry: &'n Entry) {
        let states = entry.value.as_map();
        let states = states.into_iter().flat_map(|map| &map.entries);
        for (index, state) in (0_u32..).map(StateIndex).zip(states) {
            let Some(fields) = state.value.as_map() else {
                continue;
            };
            for entry in STATE_LISTS.iter().filter_map(|key| fields.get(key)) {
                let owner = Owner::State(index);
                if entry.key != "activity" {
                    self.list(cx, entry, owner);
                    continue;
                }
                let Some(map) = entry.value.as_map() else {
                    cx.sink.enter(entry.value.span);
                    cx.wrong_type("activity", "a step without `id`", &entry.value);
                    continue;
                };
                let body = self.open(&entry.value, owner, Shape::Sequence);
                cx.sink.enter(state.key_span);
                self.named(
                    cx,
                    Place {
                        map,
                        span: entry.value.span,
                        id: &state.key,
                        id_span: state.key_span,
                        body,
                        is_activity: true,
                        undo: None,
                    },
                );
            }
        }
    }
}

/// `recover`, the end of a workflow's `on_failure`.
pub(super) fn is_recover(item: &Node) -> bool {
    item.as_str() == Some("recover")
        || item
            .as_map()
            .is_some_and(|map| map.get("recover").is_some() && map.get("id").is_none())
}

/// Whether what undoes a step is a step of its own: anything but a task.
fn is_step_body(compensate: &Map) -> bool {
    let has = |key: &&str| compensate.get(key).is_some();
    UNDO_KINDS.iter().any(&has) && !["task", "prompt"].iter().any(has)
}
