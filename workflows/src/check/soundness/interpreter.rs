//! A slow interpreter of small workflows that tries everything: every outcome, every order.
//!
//! It knows the rules of the language and neither the engine nor the checker. Conditions are free.
//! A list has no item or one, a loop goes round at most twice.

use std::collections::BTreeSet;

use super::definition::{Definition, JoinDef, KindDef, OnFailureDef};

/// What was found by trying everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Explored {
    /// Steps that start in some run.
    pub(super) started: BTreeSet<usize>,
    pub(super) completes: bool,
    pub(super) fails: bool,
    /// Some run cannot go on and is not over.
    pub(super) deadlock: bool,
    /// Some run is over while a step is open.
    pub(super) leftover: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    /// Its body does not run.
    Idle,
    Pending,
    /// A task at an agent, or a wait.
    Running,
    /// A block, in this part of its work.
    Inside(Part),
    Succeeded,
    /// Failed, and others go on.
    Failed,
    /// Failed, and its body with it.
    Fatal,
    Skipped,
    Cancelled,
    /// Its join cannot be met, so its body fails.
    CutOff,
}

/// What a block is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// This one of its own bodies; all of them at once in `parallel`.
    Own(usize),
    /// A second time around.
    Again,
    /// This handler.
    Catch(usize),
    /// At the end; and whether the step succeeded before.
    Finally(bool),
    /// After the failure of the step.
    Handler,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Completed,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    steps: Vec<Status>,
    end: Option<End>,
}

pub(super) fn explore(definition: &Definition, states_max: usize) -> Option<Explored> {
    let world = World { definition };
    let mut first = State {
        steps: vec![Status::Idle; definition.steps.len()],
        end: None,
    };
    world.enter(&mut first, 0);
    let mut found = Explored::default();
    let mut seen: BTreeSet<State> = BTreeSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        match state.end {
            Some(End::Completed) => found.completes = true,
            Some(End::Failed) => found.fails = true,
            None => {}
        }
        if state.end.is_some() {
            found.leftover |= state.steps.iter().any(|status| is_open(*status));
            continue;
        }
        let next = world.moves(&state, &mut found.started);
        found.deadlock |= next.is_empty();
        for state in next {
            if seen.insert(state.clone()) {
                open.push(state);
            }
        }
        if seen.len() > states_max {
            return None;
        }
    }
    Some(found)
}

fn is_open(status: Status) -> bool {
    matches!(
        status,
        Status::Pending | Status::Running | Status::Inside(_)
    )
}

struct World<'d> {
    definition: &'d Definition,
}

/// How the bodies that run now have ended.
enum Ended {
    NotYet,
    Well,
    Badly,
}

impl World<'_> {
    fn enter(&self, state: &mut State, body: usize) {
        for step in &self.definition.bodies[body].steps {
            state.steps[*step] = Status::Pending;
        }
    }

    /// All states that can follow. What ends at once ends first, whatever else could happen: its
    /// order does not matter.
    fn moves(&self, state: &State, started: &mut BTreeSet<usize>) -> Vec<State> {
        for (at, status) in state.steps.iter().enumerate() {
            if let Status::Inside(part) = *status {
                let ended = self.ended(state, &self.running(at, part));
                if !matches!(ended, Ended::NotYet) {
                    return self.after(state, at, part, matches!(ended, Ended::Well));
                }
            }
        }
        match self.ended(state, &[0]) {
            Ended::Well => return vec![self.close(state, End::Completed)],
            Ended::Badly => return vec![self.close(state, End::Failed)],
            Ended::NotYet => {}
        }
        let mut next = Vec::new();
        for at in 0..state.steps.len() {
            match state.steps[at] {
                Status::Pending => self.begin(state, at, &mut next, started),
                Status::Running => {
                    next.push(with(state, at, Status::Succeeded));
                    if matches!(self.definition.steps[at].kind, KindDef::Task) {
                        next.push(self.failed(state, at));
                    }
                }
                _ => {}
            }
        }
        next
    }

    fn close(&self, state: &State, end: End) -> State {
        let mut state = state.clone();
        self.cancel(&mut state, 0);
        state.end = Some(end);
        state
    }

    /// The bodies that run while a block is at `part`.
    fn running(&self, at: usize, part: Part) -> Vec<usize> {
        let step = &self.definition.steps[at];
        match (part, &step.kind) {
            (Part::Handler, _) => match step.on_failure {
                OnFailureDef::Handle(body, _) => vec![body],
                OnFailureDef::Fail | OnFailureDef::Continue => Vec::new(),
            },
            (Part::Catch(place), KindDef::Try(_, catches, _)) => vec![catches[place].0],
            (Part::Finally(_), KindDef::Try(_, _, finally)) => finally.iter().copied().collect(),
            (Part::Own(_), KindDef::Parallel(branches)) => branches.clone(),
            (Part::Own(place), KindDef::Switch(cases, default)) => {
                vec![cases.get(place).copied().or(default.ok()).unwrap_or(0)]
            }
            (
                _,
                KindDef::Do(body)
                | KindDef::Foreach(body)
                | KindDef::Loop(body, ..)
                | KindDef::Try(body, ..),
            ) => vec![*body],
            _ => Vec::new(),
        }
    }

    fn ended(&self, state: &State, bodies: &[usize]) -> Ended {
        let steps = || {
            let bodies = bodies.iter().map(|body| &self.definition.bodies[*body]);
            bodies
                .flat_map(|body| &body.steps)
                .map(|step| state.steps[*step])
        };
        if steps().any(|status| matches!(status, Status::Fatal | Status::CutOff)) {
            Ended::Badly
        } else if steps().any(is_open) {
            Ended::NotYet
        } else {
            Ended::Well
        }
    }

    /// Stops whatever is open in a body.
    fn cancel(&self, state: &mut State, body: usize) {
        for step in &self.definition.bodies[body].steps {
            self.cancel_step(state, *step);
        }
    }

    fn cancel_step(&self, state: &mut State, at: usize) {
        if let Status::Inside(part) = state.steps[at] {
            for body in self.running(at, part) {
                self.cancel(state, body);
            }
        }
        if is_open(state.steps[at]) {
            state.steps[at] = Status::Cancelled;
        }
    }

    /// The step failed: its handler runs, or it is over.
    fn failed(&self, state: &State, at: usize) -> State {
        match self.definition.steps[at].on_failure {
            OnFailureDef::Fail => with(state, at, Status::Fatal),
            OnFailureDef::Continue => with(state, at, Status::Failed),
            OnFailureDef::Handle(body, _) => {
                let mut state = with(state, at, Status::Inside(Part::Handler));
                self.enter(&mut state, body);
                state
            }
        }
    }

    /// What a step that waits can do: nothing, be skipped, be cut off, or start.
    fn begin(
        &self,
        state: &State,
        at: usize,
        next: &mut Vec<State>,
        started: &mut BTreeSet<usize>,
    ) {
        let step = &self.definition.steps[at];
        let count = |wanted: fn(Status) -> bool| {
            step.needs
                .iter()
                .filter(|need| wanted(state.steps[**need]))
                .count()
        };
        let succeeded = count(|status| status == Status::Succeeded);
        let open = count(is_open);
        let wanted = match step.join {
            JoinDef::All => {
                if count(|status| status == Status::Cancelled) > 0 {
                    next.push(with(state, at, Status::CutOff));
                    return;
                }
                if open > 0 {
                    return;
                }
                0
            }
            JoinDef::Any | JoinDef::First => 1,
            JoinDef::AtLeast(least) => least,
        };
        if succeeded + open < wanted {
            next.push(with(state, at, Status::CutOff));
            return;
        }
        if succeeded < wanted {
            return;
        }
        let mut state = state.clone();
        if step.join == JoinDef::First {
            for need in &step.needs {
                self.cancel_step(&mut state, *need);
            }
        }
        if step.conditional {
            next.push(with(&state, at, Status::Skipped));
        }
        let refused = |need: usize| state.steps[need] != Status::Succeeded;
        if step.wants.is_some_and(refused) {
            next.push(with(&state, at, Status::Skipped));
            return;
        }
        started.insert(at);
        self.start(&state, at, next);
    }

    fn start(&self, state: &State, at: usize, next: &mut Vec<State>) {
        let inside = |part: Part| {
            let mut state = with(state, at, Status::Inside(part));
            for body in self.running(at, part) {
                self.enter(&mut state, body);
            }
            state
        };
        match &self.definition.steps[at].kind {
            KindDef::Task | KindDef::Wait => next.push(with(state, at, Status::Running)),
            KindDef::Fail => next.push(self.failed(state, at)),
            KindDef::Finish => {
                let state = with(state, at, Status::Succeeded);
                next.push(self.close(&state, End::Completed));
            }
            KindDef::Do(_) | KindDef::Parallel(_) | KindDef::Try(..) => {
                next.push(inside(Part::Own(0)));
            }
            KindDef::Foreach(_) => {
                next.push(with(state, at, Status::Succeeded));
                next.push(inside(Part::Own(0)));
            }
            KindDef::Loop(_, before, _) => {
                if *before {
                    next.push(with(state, at, Status::Succeeded));
                }
                next.push(inside(Part::Own(0)));
            }
            KindDef::Switch(cases, default) => {
                next.extend((0..cases.len()).map(|case| inside(Part::Own(case))));
                next.push(match default {
                    Ok(_) => inside(Part::Own(cases.len())),
                    Err(true) => self.failed(state, at),
                    Err(false) => with(state, at, Status::Skipped),
                });
            }
        }
    }

    /// What follows when the bodies of a block's part have ended.
    fn after(&self, state: &State, at: usize, part: Part, well: bool) -> Vec<State> {
        let step = &self.definition.steps[at];
        let mut state = state.clone();
        for body in self.running(at, part) {
            self.cancel(&mut state, body);
        }
        let state = state;
        let enter = |part: Part| {
            let mut state = with(&state, at, Status::Inside(part));
            for body in self.running(at, part) {
                self.enter(&mut state, body);
            }
            state
        };
        let done = |well: bool| {
            if well {
                with(&state, at, Status::Succeeded)
            } else {
                self.failed(&state, at)
            }
        };
        match (part, &step.kind) {
            (Part::Handler, _) => {
                let goes_on = matches!(step.on_failure, OnFailureDef::Handle(_, true)) && well;
                let status = if goes_on {
                    Status::Failed
                } else {
                    Status::Fatal
                };
                vec![with(&state, at, status)]
            }
            (Part::Finally(well), _) => vec![done(well)],
            (_, KindDef::Try(_, catches, finally)) => {
                let end = |well: bool| match finally {
                    Some(_) => enter(Part::Finally(well)),
                    None => done(well),
                };
                match part {
                    Part::Catch(place) => vec![end(well && catches[place].2)],
                    _ if well => vec![end(true)],
                    _ => {
                        let mut next = Vec::new();
                        for (place, (_, all, _)) in catches.iter().enumerate() {
                            next.push(enter(Part::Catch(place)));
                            if *all {
                                return next;
                            }
                        }
                        next.push(end(false));
                        next
                    }
                }
            }
            (_, KindDef::Loop(_, _, lenient)) if well => match part {
                Part::Own(_) => vec![done(true), enter(Part::Again)],
                _ => vec![done(true), done(*lenient)],
            },
            _ => vec![done(well)],
        }
    }
}

fn with(state: &State, at: usize, status: Status) -> State {
    let mut state = state.clone();
    state.steps[at] = status;
    state
}
