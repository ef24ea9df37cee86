//! Passes: each time that a run goes through a body of steps.
//!
//! The main body has one pass. A block opens a pass per item, iteration, branch or case, and another
//! one when it is tried again. A pass keeps its steps in consecutive [`Slot`]s and counts those that
//! are open, so that nothing has to look at all steps of a run.
//!
//! A step's name in a run is its id, the rounds of the repeats around it, outermost first, and, for
//! a body that was entered again in the same round, which time that was: `scan`, `scan.3`,
//! `scan.3.1`, `pay~2`. A pass is called after its owner and its part: `each/do.3`, `pay/handler`,
//! `/finally`. Ids hold neither dots nor tildes nor slashes, so no two things share a name.

use std::sync::Arc;

use phisync_workflows::machine::{BodyIndex, Compensate, Owner, StepKind};
use phisync_workflows::{Machine, StepIndex};

use super::event::CancelReason;
use super::run::RunState;
use super::status::StepStatus;
use super::step::StepState;
use super::{Failure, RawJson};

/// Where a run keeps the state of a step: the order in which steps came to be, from 0. The same
/// journal always gives the same slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// The slot as an index into [`RunState::steps`].
    #[must_use]
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// Which pass: the order in which they were opened, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PassId(pub u32);

impl PassId {
    /// The pass through the main body.
    pub const MAIN: Self = Self(0);

    /// The pass as an index into [`RunState::passes`].
    #[must_use]
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// The part of a step that undoes it, as journals write it.
pub(super) const UNDO: &str = "undo";

/// Where a pass stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassStatus {
    /// Its steps start as their needs are met.
    Forward,
    /// A step has failed; waits for what is still running.
    Failing,
    /// Was told to stop; waits for what is still running.
    Stopping,
    /// Every step has its outcome, and none of them failed it.
    Succeeded,
    /// Has failed.
    Failed,
    /// Was stopped.
    Cancelled,
}

impl PassStatus {
    /// Whether its steps may still change.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Forward | Self::Failing | Self::Stopping)
    }

    /// As users read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "running",
            Self::Failing => "failing",
            Self::Stopping => "cancelling",
            Self::Succeeded => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One pass through a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// Through what.
    pub body: BodyIndex,
    /// The step that goes through it; `None`: the run.
    pub owner: Option<Slot>,
    /// The pass that the owner stands in.
    pub outer: Option<PassId>,
    /// Its round, in a body that repeats.
    pub round: Option<u32>,
    /// Its round and those of the repeats around it, outermost first.
    pub rounds: Arc<[u32]>,
    /// Which time the body is entered in these rounds, from 1.
    pub opening: u32,
    /// Its first step; the others follow in the order of the body.
    pub first: Slot,
    /// Where it stands.
    pub status: PassStatus,
    /// Its steps without an outcome, and their handlers under way.
    pub open: u32,
    /// What a loop hands to this iteration.
    pub carry: Option<RawJson>,
    /// Why it fails or failed, and at which step.
    pub error: Option<(Option<Slot>, Failure)>,
    /// Why it was told to stop.
    pub stopped: Option<CancelReason>,
    /// What it gives its owner.
    pub output: Option<RawJson>,
}

/// Which part of its owner a body is, as journals write it.
pub(super) fn part_of(machine: &Machine, body: BodyIndex) -> String {
    let owner = machine.body(body).owner;
    match owner {
        Owner::Run => "main".to_owned(),
        Owner::OnFailure => "on_failure".to_owned(),
        Owner::Finally => "finally".to_owned(),
        Owner::Block(step) | Owner::Handler(step) => {
            let parts = parts(&machine.step(step).kind);
            let part = parts.into_iter().find(|(_, index)| *index == body);
            part.map_or_else(|| "handler".to_owned(), |(part, _)| part)
        }
        Owner::Undo(_) => UNDO.to_owned(),
        Owner::State(state) => {
            let states = machine.states();
            let Some(state) = states.and_then(|states| states.states.get(state.get())) else {
                return "state".to_owned();
            };
            let part = match body {
                body if state.entry == Some(body) => "entry",
                body if state.exit == Some(body) => "exit",
                _ => "activity",
            };
            format!("{part}:{}", state.id)
        }
    }
}

/// The bodies of a block, by the names of its parts. The body of `on_failure` is not among them.
pub(super) fn parts(kind: &StepKind) -> Vec<(String, BodyIndex)> {
    use phisync_workflows::machine::SwitchDefault;
    match kind {
        StepKind::Foreach(spec) => vec![("do".to_owned(), spec.body)],
        StepKind::Loop(spec) => vec![("do".to_owned(), spec.body)],
        StepKind::Do(spec) => vec![("do".to_owned(), spec.body)],
        StepKind::Switch(spec) => {
            let cases = spec.cases.iter();
            let mut parts: Vec<_> = cases
                .map(|case| (format!("case:{}", case.id), case.body))
                .collect();
            if let SwitchDefault::Body(body) = spec.default {
                parts.push(("default".to_owned(), body));
            }
            parts
        }
        StepKind::Parallel(spec) => {
            let branches = spec.branches.iter();
            branches
                .map(|(name, body)| (format!("branch:{name}"), *body))
                .collect()
        }
        StepKind::Try(spec) => {
            let catches = spec.catch.iter().enumerate();
            let catches = catches.map(|(number, catch)| (format!("catch:{number}"), catch.body));
            let finally = spec.finally.map(|body| ("finally".to_owned(), body));
            let body = ("do".to_owned(), spec.body);
            std::iter::once(body)
                .chain(catches)
                .chain(finally)
                .collect()
        }
        _ => Vec::new(),
    }
}

/// A step's name in a journal, taken apart.
fn split(name: &str) -> Option<(&str, Vec<u32>, u32)> {
    let (path, opening) = match name.split_once('~') {
        Some((path, opening)) => (path, opening.parse().ok()?),
        None => (name, 1),
    };
    let mut parts = path.split('.');
    let id = parts.next()?;
    let rounds = parts.map(|round| round.parse().ok());
    Some((id, rounds.collect::<Option<_>>()?, opening))
}

fn joined(id: &str, rounds: &[u32], opening: u32) -> String {
    let mut name = id.to_owned();
    for round in rounds {
        name.push('.');
        name.push_str(&round.to_string());
    }
    if opening > 1 {
        name.push('~');
        name.push_str(&opening.to_string());
    }
    name
}

impl RunState {
    /// The step's name in this run, as journals, task ids and people write it.
    #[must_use]
    pub fn name(&self, slot: Slot) -> String {
        let step = self.step(slot);
        let pass = &self.passes[step.pass.get()];
        let id = &self.machine.step(step.spec).id;
        joined(id, &pass.rounds, pass.opening)
    }

    /// The step called `name`, if it came to be.
    #[must_use]
    pub fn slot_named(&self, name: &str) -> Option<Slot> {
        if let Some(step) = self.machine.step_named(name)
            && self.machine.step(step).body == BodyIndex::MAIN
        {
            return self.slot_in(PassId::MAIN, step);
        }
        let (id, rounds, opening) = split(name)?;
        let step = self.machine.step_named(id)?;
        let place = (self.machine.step(step).body, Arc::from(rounds), opening);
        let pass = self.places.get(&place)?;
        self.slot_in(*pass, step)
    }

    /// The slot of `step` in a pass through the body that it stands in.
    #[must_use]
    pub fn slot_in(&self, pass: PassId, step: StepIndex) -> Option<Slot> {
        let pass = &self.passes[pass.get()];
        let steps = &self.machine.body(pass.body).steps;
        let place = steps.binary_search(&step).ok()?;
        Some(Slot(pass.first.0 + u32::try_from(place).ok()?))
    }

    /// The step that `step` means to somebody in `pass`: the one in this pass, in one around it,
    /// or in another part of a block around it. With `block`, those inside of it are seen, too.
    pub(super) fn seen_from(
        &self,
        pass: PassId,
        block: Option<Slot>,
        step: StepIndex,
    ) -> Option<Slot> {
        let body = self.machine.step(step).body;
        let owner = match self.machine.body(body).owner {
            Owner::Block(owner) | Owner::Handler(owner) => Some(owner),
            Owner::Run | Owner::OnFailure | Owner::Finally | Owner::State(_) | Owner::Undo(_) => {
                None
            }
        };
        let inside = |slot: Slot| {
            let rounds = self.rounds_below(Some(slot), None);
            let owned = owner == Some(self.step(slot).spec);
            owned.then(|| self.last_pass(body, &rounds)).flatten()
        };
        let mut found = block.and_then(inside);
        let mut at = Some(pass);
        while let (None, Some(id)) = (found, at) {
            let pass = self.pass(id);
            found = (pass.body == body).then_some(id);
            found = found.or_else(|| pass.owner.and_then(inside));
            at = pass.outer;
        }
        self.slot_in(found?, step)
    }

    /// Whether a pass goes through what undoes its owner.
    pub(super) fn is_undo_pass(&self, id: PassId) -> bool {
        matches!(self.machine.body(self.pass(id).body).owner, Owner::Undo(_))
    }

    /// What needs of others count: the step's outcome, unless its `on_failure` is under way.
    pub(super) fn settled(&self, slot: Slot) -> Option<StepStatus> {
        let outcome = self.step(slot).outcome?;
        self.open_handler(slot).is_none().then_some(outcome)
    }

    /// The pass through the step's `on_failure` that is under way.
    #[must_use]
    pub fn open_handler(&self, slot: Slot) -> Option<PassId> {
        let handler = self.step(slot).handler?;
        self.pass(handler).status.is_open().then_some(handler)
    }

    /// The passes that the run itself goes through: the main one, those of its handlers and those
    /// of the state that is visited.
    pub fn own_passes(&self) -> impl Iterator<Item = PassId> + use<> {
        let rounds = self.rounds_below(None, None);
        let handlers = [
            self.machine.on_failure().map(|h| h.body),
            self.machine.finally(),
        ];
        let handlers = handlers.into_iter().flatten();
        let handlers: Vec<_> = handlers
            .filter_map(|body| self.last_pass(body, &rounds))
            .collect();
        let visit = self.walk.as_ref().and_then(|walk| walk.pass());
        [PassId::MAIN].into_iter().chain(handlers).chain(visit)
    }

    /// The pass at `id`.
    #[must_use]
    pub fn pass(&self, id: PassId) -> &Pass {
        &self.passes[id.get()]
    }

    pub(super) fn pass_mut(&mut self, id: PassId) -> &mut Pass {
        &mut self.passes[id.get()]
    }

    /// The slots of a pass, in file order.
    pub fn slots_of(&self, id: PassId) -> impl Iterator<Item = Slot> + use<> {
        let pass = self.pass(id);
        let count = self.machine.body(pass.body).steps.len();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        (pass.first.0..pass.first.0.saturating_add(count)).map(Slot)
    }

    /// The pass's name, as journals write it.
    #[must_use]
    pub fn pass_name(&self, id: PassId) -> String {
        let pass = self.pass(id);
        let owner = pass.owner.map_or_else(String::new, |slot| self.name(slot));
        let part = part_of(&self.machine, pass.body);
        self.pass_name_of(&owner, &part, pass.round)
    }

    pub(super) fn pass_name_of(&self, owner: &str, part: &str, round: Option<u32>) -> String {
        match round {
            Some(round) => format!("{owner}/{part}.{round}"),
            None => format!("{owner}/{part}"),
        }
    }

    /// What a pass's name says: the step that owns it (`None`: the run), the body, the round.
    pub(super) fn read_pass_name(
        &self,
        name: &str,
    ) -> Option<(Option<Slot>, BodyIndex, Option<u32>)> {
        let (owner, rest) = name.split_once('/')?;
        let (part, round) = match rest.split_once('.') {
            Some((part, round)) => (part, Some(round.parse().ok()?)),
            None => (rest, None),
        };
        if owner.is_empty() {
            return Some((None, self.body_of_run(part)?, round));
        }
        let slot = self.slot_named(owner)?;
        let step = self.spec(slot);
        let found = parts(&step.kind).into_iter().find(|(own, _)| own == part);
        let body = match (found, &step.on_failure) {
            (Some((_, body)), _) => body,
            (None, phisync_workflows::machine::OnFailure::Handle { body, .. })
                if part == "handler" =>
            {
                *body
            }
            (None, _) => match step.compensate {
                Compensate::Body(body) if part == UNDO => body,
                _ => return None,
            },
        };
        Some((Some(slot), body, round))
    }

    fn body_of_run(&self, part: &str) -> Option<BodyIndex> {
        let machine = &self.machine;
        match part {
            "main" => Some(BodyIndex::MAIN),
            "on_failure" => machine.on_failure().map(|handler| handler.body),
            "finally" => machine.finally(),
            part => {
                let (part, id) = part.split_once(':')?;
                let mut states = machine.states()?.states.iter();
                let state = states.find(|state| state.id == id)?;
                match part {
                    "entry" => state.entry,
                    "activity" => super::walk::activity_body(machine, state),
                    "exit" => state.exit,
                    _ => None,
                }
            }
        }
    }

    /// The open pass called `name`, or the one that was opened last.
    pub(super) fn pass_named(&self, name: &str) -> Option<PassId> {
        let (owner, body, round) = self.read_pass_name(name)?;
        let rounds = self.rounds_below(owner, round);
        self.last_pass(body, &rounds)
    }

    /// The rounds of a pass that `owner` opens.
    pub(super) fn rounds_below(&self, owner: Option<Slot>, round: Option<u32>) -> Arc<[u32]> {
        let outer = owner.map(|slot| self.pass(self.step(slot).pass));
        match (outer, round) {
            (None, None) => Arc::default(),
            (None, Some(round)) => Arc::from([round]),
            (Some(outer), None) => Arc::clone(&outer.rounds),
            (Some(outer), Some(round)) => {
                let rounds = outer.rounds.iter().copied().chain([round]);
                rounds.collect()
            }
        }
    }

    /// The latest pass through `body` in these rounds.
    pub(super) fn last_pass(&self, body: BodyIndex, rounds: &Arc<[u32]>) -> Option<PassId> {
        let first = (body, Arc::clone(rounds), 0);
        let last = (body, Arc::clone(rounds), u32::MAX);
        let (_, pass) = self.places.range(first..=last).next_back()?;
        Some(*pass)
    }

    /// Opens a pass: its steps come to be, pending.
    pub(super) fn open_pass(
        &mut self,
        owner: Option<Slot>,
        body: BodyIndex,
        round: Option<u32>,
    ) -> PassId {
        let rounds = self.rounds_below(owner, round);
        let earlier = self.last_pass(body, &rounds);
        let opening = earlier.map_or(1, |pass| self.pass(pass).opening + 1);
        let id = PassId(u32::try_from(self.passes.len()).unwrap_or(u32::MAX));
        let first = Slot(u32::try_from(self.steps.len()).unwrap_or(u32::MAX));
        let machine = Arc::clone(&self.machine);
        let steps = &machine.body(body).steps;
        self.steps
            .extend(steps.iter().map(|step| StepState::pending(*step, id)));
        self.places.insert((body, Arc::clone(&rounds), opening), id);
        self.passes.push(Pass {
            body,
            owner,
            outer: match owner {
                Some(slot) => Some(self.step(slot).pass),
                None => (body != BodyIndex::MAIN).then_some(PassId::MAIN),
            },
            round,
            rounds,
            opening,
            first,
            status: PassStatus::Forward,
            open: u32::try_from(steps.len()).unwrap_or(u32::MAX),
            carry: None,
            error: None,
            stopped: None,
            output: None,
        });
        id
    }
}
