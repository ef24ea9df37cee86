//! New runs that go on from what others did: `run fork` and `run retry`.

use crate::engine::{self, Fact, RunEvent, RunId, RunState, Start, Trigger};
use crate::protocol::Started;

use super::runs::parse_run_id;
use super::slots::Admission;
use super::{Coordinator, Now, OpenRun, Refusal, recovery};

/// What a new run begins with.
#[derive(Clone, Debug)]
pub enum Cut {
    /// Everything up to this sequence of the store.
    At(u64),
    /// What has succeeded, but for this step and what needs it; `None`: all of it.
    From(Option<String>),
}

impl Coordinator {
    /// Starts a run that goes on from what another one did.
    ///
    /// # Errors
    /// No such run or place in it; effects that cannot be undone would be repeated, unless `confirmed`.
    pub fn start_from(
        &mut self,
        source: &RunId,
        cut: &Cut,
        id: Option<&str>,
        (by, confirmed): (&str, bool),
        now: Now,
    ) -> Result<Started, Refusal> {
        let id = id.map(parse_run_id).transpose()?;
        let run = self.transact(now, |c| {
            let run = id.clone().unwrap_or_else(|| c.fresh_id(now));
            if c.is_taken(&run) {
                return Err(Refusal::Exists(run.to_string()));
            }
            c.go_on(source, cut, &run, (by, confirmed), now)?;
            Ok(run)
        })?;
        self.outcome(&run)
    }

    fn go_on(
        &mut self,
        source: &RunId,
        cut: &Cut,
        run: &RunId,
        (by, confirmed): (&str, bool),
        now: Now,
    ) -> Result<(), Refusal> {
        let old = self.load(source)?;
        let machine = old.machine;
        let until = match cut {
            Cut::At(seq) => *seq,
            Cut::From(_) => 0,
        };
        let (facts, within) = self.facts_of(source, until)?;
        let moment = self.moment(now);
        let trigger = |trigger| Start {
            run: run.clone(),
            inputs: old.inputs.clone(),
            config: old.config.clone(),
            labels: old.labels.clone(),
            by: by.to_owned(),
            trigger: Some(trigger),
            held: false,
        };
        let (state, events) = match cut {
            Cut::At(_) => {
                let of = source.clone();
                let start = trigger(Trigger::Fork { of, at: within });
                let forked = engine::fork(&machine, &facts, within, start, confirmed, moment)?;
                (forked.0, forked.1.events)
            }
            Cut::From(from) => {
                let of = source.clone();
                let from_steps = from.iter().cloned().collect();
                let start = trigger(Trigger::Retry {
                    of,
                    from: from_steps,
                });
                let from = from.as_deref();
                let again = engine::retry(&machine, &facts, from, start, confirmed, moment)?;
                (again.0, again.1.events)
            }
        };
        self.adopt(run, state, &events, by, now)
    }

    /// All facts of a run, and how many of them stand no later than the sequence `until`.
    fn facts_of(&self, run: &RunId, until: u64) -> Result<(Vec<Fact>, u64), Refusal> {
        let mut facts: Vec<Fact> = Vec::new();
        let mut within = 0;
        for record in self.records_of(run)?.iter() {
            within += u64::from(record.seq.0 <= until);
            facts.push((record.at, recovery::decode::<RunEvent>(record)?));
        }
        Ok((facts, within))
    }

    /// Starts a run that undoes what a closed one did, for the step of a run that waits for it: what
    /// `after`, which tried it before, has left. No concurrency key holds it back: what is undone waits
    /// for nobody.
    pub(super) fn unwind(
        &mut self,
        closed: &RunId,
        after: Option<&RunId>,
        run: &RunId,
        (parent, step): (&RunId, &str),
        now: Now,
    ) -> Result<(), Refusal> {
        let old = self.load(closed)?;
        let (facts, _) = self.facts_of(closed, 0)?;
        let start = Start {
            run: run.clone(),
            inputs: old.inputs,
            config: old.config,
            labels: old.labels,
            by: format!("run {parent}"),
            trigger: Some(Trigger::Unwind {
                of: closed.clone(),
                parent: parent.clone(),
                step: step.to_owned(),
            }),
            held: false,
        };
        let moment = self.moment(now);
        // One that could not even begin has undone nothing.
        let before = after.and_then(|run| self.load(run).ok());
        let already = before.as_ref().map(RunState::undone).unwrap_or_default();
        let (state, decision) = engine::unwind(&old.machine, &facts, already, start, moment);
        self.take_in(run, state, &decision.events, &Admission::Free, now);
        Ok(())
    }

    /// Takes a run in whose first facts another one told already: what it emitted then stays emitted.
    fn adopt(
        &mut self,
        run: &RunId,
        state: RunState,
        events: &[RunEvent],
        by: &str,
        now: Now,
    ) -> Result<(), Refusal> {
        let new = super::starts::NewRun {
            machine: state.machine.clone(),
            inputs: state.inputs.clone(),
            config: state.config.clone(),
            labels: state.labels.clone(),
            by: by.to_owned(),
            trigger: state.trigger.clone(),
        };
        let admission = match self.admission(&new, now)? {
            // It begins in the middle: there is nothing that could wait.
            Admission::Later { .. } => {
                return Err(Refusal::NoSlot {
                    workflow: new.machine.name().to_owned(),
                    key: "of the run".to_owned(),
                    reason: "as many runs as it allows are open",
                    runs: Vec::new(),
                });
            }
            admission => admission,
        };
        self.take_in(run, state, events, &admission, now);
        Ok(())
    }

    fn take_in(
        &mut self,
        run: &RunId,
        state: RunState,
        events: &[RunEvent],
        admission: &Admission,
        now: Now,
    ) {
        self.enter(&state);
        self.open.insert(run.clone(), OpenRun { state, due: None });
        self.join_key(run, admission, now);
        self.batch.add(run.stream(), 0, events);
        self.batch.touched.insert(run.clone());
        self.resume(run, now);
        let closed = |run: &OpenRun| run.state.phase == engine::Phase::Closed;
        if self.open.get(run).is_some_and(closed) {
            self.free_slot(run, now);
        }
    }
}
