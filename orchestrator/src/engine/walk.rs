//! A workflow of states: one token that goes from state to state.
//!
//! A visit of a state is up to three passes: its entry, its activity, its exit. While the activity
//! runs, events and signals may take the token away; when it has ended, its outcome does. The state
//! is left first (`state_left` says where to and why), then its exit runs, then the next one is
//! entered: whatever happens in between, the journal knows the way.

use phisync_state::Timestamp;
use phisync_workflows::Machine;
use phisync_workflows::machine::{
    ActivityOutcome, BodyIndex, EventSource, State, StateEnd, StateIndex, StatesBody, StepKind,
    Transition, TransitionTrigger,
};
use serde_json::Value as Json;

use super::decide::{Draft, Work};
use super::event::{CancelReason, RunEvent};
use super::listen::{Delivery, Source, Subscription};
use super::pass::{PassId, PassStatus, Slot};
use super::run::RunState;
use super::scope::{ErrorInScope, Extra, RunScope, Visit};
use super::status::Phase;
use super::{Failure, RawJson};

/// Where the token of a workflow of states stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    /// In which state.
    pub state: StateIndex,
    /// For the how-many-th time, from 1.
    pub visit: u32,
    /// Since when.
    pub entered_at: Timestamp,
    /// When its time is over.
    pub deadline: Option<Timestamp>,
    /// How far the visit is.
    pub stage: Stage,
    /// How often each state was visited.
    pub visits: Vec<u32>,
    /// How many transitions were taken.
    pub transitions: u32,
}

/// How far a visit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing has begun.
    Arrived,
    /// The sequence before the activity.
    Entry(PassId),
    /// What the state is there for.
    Activity(PassId),
    /// It is left for this one; what is open is being cancelled.
    Leaving(StateIndex),
    /// The sequence after it.
    Exit(PassId, StateIndex),
}

impl Walk {
    pub(super) fn pass(&self) -> Option<PassId> {
        match self.stage {
            Stage::Entry(pass) | Stage::Activity(pass) | Stage::Exit(pass, _) => Some(pass),
            Stage::Arrived | Stage::Leaving(_) => None,
        }
    }
}

/// The body that the activity of a state stands in.
pub(super) fn activity_body(machine: &Machine, state: &State) -> Option<BodyIndex> {
    Some(machine.step(state.activity?).body)
}

impl RunState {
    /// The state that the token stands in, and how.
    pub(super) fn stands_in(&self) -> Option<(&Walk, &State)> {
        let walk = self.walk.as_ref()?;
        let state = self.machine.states()?.states.get(walk.state.get())?;
        Some((walk, state))
    }

    /// The name under which a transition of the state that is visited listens: `triage.2/1`.
    fn ear(&self, number: usize) -> Option<String> {
        let (walk, state) = self.stands_in()?;
        Some(format!("{}.{}/{number}", state.id, walk.visit))
    }
}

/// How an activity ended.
struct Ended {
    failure: Option<Failure>,
    /// The decision of an approval.
    option: Option<String>,
}

impl Draft<'_> {
    /// Enters the first state.
    pub(super) fn begin_walk(&mut self, states: &StatesBody) {
        self.enter_state(states, states.initial);
    }

    fn enter_state(&mut self, states: &StatesBody, to: StateIndex) {
        let Some(state) = states.states.get(to.get()) else {
            return;
        };
        let walk = self.run.walk.as_ref();
        let visits = walk.and_then(|walk| walk.visits.get(to.get()).copied());
        let visit = visits.unwrap_or(0) + 1;
        let transitions = walk.map_or(0, |walk| walk.transitions);
        if state.max_visits.is_some_and(|max| visit > max) {
            let message = format!("`{}` was visited {} times", state.id, visit - 1);
            return self.fail_walk(None, Failure::new("state.visits", message));
        }
        if transitions > states.max_transitions {
            let message = format!("more than {} transitions", states.max_transitions);
            return self.fail_walk(None, Failure::new("state.visits", message));
        }
        let timeout = state.timeout.as_ref();
        self.emit(RunEvent::StateEntered {
            state: state.id.clone(),
            visit,
            at: self.moment.now,
            deadline: timeout.map(|(after, _)| self.after(*after)),
        });
        self.work.push_back(Work::Walk);
    }

    fn fail_walk(&mut self, slot: Option<Slot>, error: Failure) {
        self.fail_pass(PassId::MAIN, slot, error);
    }

    /// Takes the token one step further, if nothing is open that it waits for.
    pub(super) fn walk(&mut self) {
        let machine = self.machine();
        let Some(states) = machine.states() else {
            return;
        };
        if self.run.phase != Phase::Forward {
            return;
        }
        let Some((walk, state)) = self.run.stands_in() else {
            return;
        };
        let (stage, visit) = (walk.stage, walk.visit);
        let state = state.clone();
        let ended = |pass: PassId| {
            let status = self.run.pass(pass).status;
            (!status.is_open()).then_some(status)
        };
        match stage {
            Stage::Arrived if state.end.is_some() => self.end_walk(&state),
            Stage::Arrived if state.entry.is_some() => {
                self.enter(None, &format!("entry:{}", state.id), Some(visit));
            }
            Stage::Arrived => self.begin_activity(&state, visit),
            Stage::Entry(pass) => match ended(pass) {
                Some(PassStatus::Succeeded) => self.begin_activity(&state, visit),
                Some(_) => self.after_activity(&state, pass),
                None => {}
            },
            Stage::Activity(pass) if ended(pass).is_some() => self.after_activity(&state, pass),
            Stage::Activity(_) => {}
            Stage::Leaving(to) => {
                let passes = self.run.passes_of_visit(&state, visit);
                let open = passes
                    .into_iter()
                    .any(|pass| self.run.pass(pass).status.is_open());
                match (open, state.exit) {
                    (true, _) => {}
                    (false, Some(_)) => {
                        self.enter(None, &format!("exit:{}", state.id), Some(visit));
                    }
                    (false, None) => self.enter_state(states, to),
                }
            }
            Stage::Exit(pass, to) => match ended(pass) {
                Some(PassStatus::Succeeded) => self.enter_state(states, to),
                Some(_) => {
                    let error = self.run.pass(pass).error.clone();
                    let error = error.map(|(_, error)| error);
                    let unknown = || Failure::new("task.failed", "its exit failed");
                    self.fail_walk(None, error.unwrap_or_else(unknown));
                }
                None => {}
            },
        }
    }

    fn begin_activity(&mut self, state: &State, visit: u32) {
        if state.activity.is_none() {
            self.take_transition(
                state,
                None,
                Ended {
                    failure: None,
                    option: None,
                },
            );
            return;
        }
        if let Err(error) = self.listen_for_transitions(state) {
            self.fail_walk(None, error);
            return;
        }
        self.enter(None, &format!("activity:{}", state.id), Some(visit));
        // What came before the wait began counts, too. A refusal cannot be: the waits are there.
        drop(self.hear_signals());
    }

    /// Opens an ear for each transition that an event or a signal takes.
    fn listen_for_transitions(&mut self, state: &State) -> Result<(), Failure> {
        for (number, transition) in state.transitions.iter().enumerate() {
            let TransitionTrigger::Event(source) = &transition.trigger else {
                continue;
            };
            let Some(step) = self.run.ear(number) else {
                continue;
            };
            let scope = RunScope::new(self.run, self.moment, PassId::MAIN);
            let source = source_of(source);
            // What comes while `entry` runs is for this state; what led here is not.
            let walk = self.run.walk.as_ref();
            let subscription = Subscription {
                matching: scope.entries(&transition.matching)?.into_iter().collect(),
                since: walk.map_or(self.moment.now, |walk| walk.entered_at),
                after: self.run.heard_up_to(&source),
                count: 1,
                source,
            };
            self.emit(RunEvent::EventAwaited {
                step,
                subscription,
                at: self.moment.now,
                deadline: None,
            });
        }
        Ok(())
    }

    fn after_activity(&mut self, state: &State, pass: PassId) {
        let failure = self.run.pass(pass).error.clone().map(|(_, error)| error);
        let slot = state.activity.and_then(|step| self.run.slot_in(pass, step));
        let option = slot.and_then(|slot| self.run.decision_of(slot));
        self.take_transition(state, Some(pass), Ended { failure, option });
    }

    /// Takes the first transition that answers the outcome.
    fn take_transition(&mut self, state: &State, pass: Option<PassId>, ended: Ended) {
        for transition in &state.transitions {
            let TransitionTrigger::Outcome(outcome) = &transition.trigger else {
                continue;
            };
            let answers = match (outcome, &ended) {
                (ActivityOutcome::Option(name), ended) => ended.option.as_ref() == Some(name),
                (ActivityOutcome::Succeeded, ended) => ended.failure.is_none(),
                (ActivityOutcome::Failed, ended) => ended.failure.as_ref().is_some_and(|error| {
                    let errors = &transition.errors;
                    errors.is_empty() || errors.iter().any(|p| p.matches(&error.code))
                }),
            };
            if !answers {
                continue;
            }
            let word = match outcome {
                ActivityOutcome::Option(name) => name.clone(),
                ActivityOutcome::Succeeded => "succeeded".to_owned(),
                ActivityOutcome::Failed => "failed".to_owned(),
            };
            let error = ended.failure.as_ref();
            match self.try_transition(transition, pass, error, None, word) {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => return self.fail_walk(None, error),
            }
        }
        let slot = pass.and_then(|pass| self.run.slot_in(pass, state.activity?));
        let error = match ended.failure {
            Some(error) => Failure {
                message: format!("`{}` has no way on: {}", state.id, error.message),
                ..error
            },
            None => {
                let message = format!("`{}` has no transition that fits", state.id);
                Failure::new("state.unhandled", message)
            }
        };
        self.fail_walk(slot, error);
    }

    /// Leaves the state by a transition if its condition holds.
    fn try_transition(
        &mut self,
        transition: &Transition,
        pass: Option<PassId>,
        error: Option<&Failure>,
        event: Option<(&str, &Delivery)>,
        by: String,
    ) -> Result<bool, Failure> {
        let Some((walk, state)) = self.run.stands_in() else {
            return Ok(false);
        };
        let id = state.id.clone();
        let output = state.activity.and_then(|step| {
            let slot = self.run.slot_in(pass?, step)?;
            self.run.step(slot).output.as_ref()
        });
        let scope = RunScope::new(self.run, self.moment, PassId::MAIN).with(Extra {
            error: error.map(|failure| ErrorInScope {
                failure,
                attempt: 1,
                step: Some(&id),
            }),
            visit: Some(Visit {
                number: walk.visit,
                entered_at: walk.entered_at,
                output,
            }),
            event: event.map(|(_, what)| what),
            ..Extra::default()
        });
        if let Some(condition) = &transition.when
            && !scope.holds(condition)?
        {
            return Ok(false);
        }
        let set = match transition.set.is_empty() {
            true => None,
            false => Some(scope.object(&transition.set)?),
        };
        if let Some((ear, what)) = event {
            self.emit(RunEvent::EventDelivered {
                step: ear.to_owned(),
                source: what.source.clone(),
                number: what.number,
                data: what.data.clone(),
                at: self.moment.now,
            });
        }
        self.leave(transition.to, by, set);
        Ok(true)
    }

    fn leave(&mut self, to: StateIndex, by: String, set: Option<RawJson>) {
        let machine = self.machine();
        let Some(target) = machine
            .states()
            .and_then(|states| states.states.get(to.get()))
        else {
            return;
        };
        let Some((walk, state)) = self.run.stands_in() else {
            return;
        };
        let open = self.run.passes_of_visit(state, walk.visit);
        self.emit(RunEvent::StateLeft {
            state: state.id.clone(),
            visit: walk.visit,
            to: target.id.clone(),
            by,
            set,
            at: self.moment.now,
        });
        for pass in open {
            self.stop_pass(pass, CancelReason::StateLeft);
        }
        self.work.push_back(Work::Walk);
    }

    /// The time that a state may take is over.
    pub(super) fn state_is_over(&mut self) {
        let to = self.run.stands_in().and_then(|(_, state)| state.timeout);
        if let Some((_, to)) = to {
            self.leave(to, "timeout".to_owned(), None);
        }
    }

    /// An event or signal for a transition of the state that is visited. `None`: `ear` is none.
    pub(super) fn hear_transition(&mut self, ear: &str, what: &Delivery) -> Option<()> {
        let machine = self.machine();
        let (walk, _) = self.run.stands_in()?;
        let Stage::Activity(pass) = walk.stage else {
            return None;
        };
        let states = machine.states()?;
        let state = states.states.get(walk.state.get())?;
        let mut numbers = 0..state.transitions.len();
        let number = numbers.find(|number| self.run.ear(*number).as_deref() == Some(ear))?;
        let transition = state.transitions.get(number)?;
        let TransitionTrigger::Event(source) = &transition.trigger else {
            return None;
        };
        let by = source_of(source).words();
        // A condition that cannot be evaluated does not hold: the activity goes on.
        let _passed_over = self.try_transition(transition, Some(pass), None, Some((ear, what)), by);
        Some(())
    }

    fn end_walk(&mut self, state: &State) {
        let machine = self.machine();
        let scope = RunScope::new(self.run, self.moment, PassId::MAIN);
        let outputs = match &state.end {
            Some(StateEnd::Completed(outputs)) if outputs.is_empty() => machine.outputs(),
            Some(StateEnd::Completed(outputs)) => outputs,
            Some(StateEnd::Failed(spec)) => {
                let error = self.failure_of(spec, PassId::MAIN);
                let error = error.unwrap_or_else(|error| error);
                return self.fail_walk(None, error);
            }
            None => return,
        };
        match scope.object(outputs) {
            Ok(outputs) => self.emit(RunEvent::RunFinishing {
                step: None,
                outputs,
                recovered: false,
                at: self.moment.now,
            }),
            Err(error) => self.fail_walk(None, error),
        }
    }

    /// The run's own passes through the parts of a state that are open.
    pub(super) fn stop_walk(&mut self, reason: CancelReason) {
        let Some((walk, state)) = self.run.stands_in() else {
            return;
        };
        for pass in self.run.passes_of_visit(state, walk.visit) {
            self.stop_pass(pass, reason);
        }
    }
}

impl RunState {
    fn passes_of_visit(&self, state: &State, visit: u32) -> Vec<PassId> {
        let rounds = self.rounds_below(None, Some(visit));
        let bodies = [state.entry, activity_body(&self.machine, state), state.exit];
        let bodies = bodies.into_iter().flatten();
        bodies
            .filter_map(|body| self.last_pass(body, &rounds))
            .collect()
    }

    /// The option that was chosen in an approval.
    fn decision_of(&self, slot: Slot) -> Option<String> {
        let StepKind::Approval(_) = self.spec(slot).kind else {
            return None;
        };
        let step = self.step(slot);
        match step.output.as_ref().map(RawJson::parse) {
            Some(Json::Object(fields)) => fields.get("decision")?.as_str().map(str::to_owned),
            _ => {
                let rejected = step.error.as_ref()?.code == "approval.rejected";
                rejected.then(|| "reject".to_owned())
            }
        }
    }
}

pub(super) fn source_of(source: &EventSource) -> Source {
    match source {
        EventSource::Event(name) => Source::Event(name.clone()),
        EventSource::Signal(name) => Source::Signal(name.clone()),
    }
}
