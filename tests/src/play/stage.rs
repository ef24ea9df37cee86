//! One process in the middle of a play: what comes next there, and doing it.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use phisync::coordinator::{Coordinator, Decider, FilesErrand, Now, Order, Refusal, Said, Target};
use phisync::engine::{
    Failure, FilesEnd, FilesStage, RawJson, Resolution, RunId, RunState, Slot, Source, StepStatus,
    TaskId, TaskStatus, apply,
};
use phisync_state::env::{Clock as _, ManualClock};
use phisync_state::transaction::{Decision, Intent, TransactionId};
use phisync_state::{FileStore, Seq, Store};
use serde_json::{Map, json};

use super::{AGENT, Fate, Play};
use crate::{BEGINNING, replay, transition_log};

/// Something that somebody does.
pub(super) enum Move {
    Start,
    Cancel(RunId),
    Pause(RunId),
    Resume(RunId),
    Poll,
    Answer {
        task: String,
        agent: String,
        token: u64,
        fate: Fate,
    },
    Decide {
        approval: String,
        by: &'static str,
        yes: bool,
    },
    Resolve(String),
    Files(FilesErrand, Box<FilesStage>, Fate),
    Signal(RunId, String),
    Send(String, u64),
    Wait,
}

/// One process in the middle of a play.
pub(super) struct Stage<'p> {
    pub(super) play: &'p Play,
    pub(super) store: Arc<FileStore>,
    pub(super) coordinator: Coordinator,
    pub(super) clock: ManualClock,
    pub(super) told: Seq,
}

impl Stage<'_> {
    pub(super) fn log(&self) -> String {
        transition_log::render(&*self.store, BEGINNING)
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = &RunState> {
        self.coordinator.open_runs()
    }

    /// A run that has closed, from its journal.
    pub(super) fn closed(&self, run: &RunState) -> RunState {
        let mut closed = RunState::new(Arc::clone(&run.machine), run.id.clone());
        for record in self.store.read(&run.id.stream(), 1).expect("readable") {
            apply(&mut closed, &replay::fact(&record.event));
        }
        closed
    }

    /// What follows from the state of all runs; `None`: they are closed.
    pub(super) fn next(&self) -> Option<Move> {
        let first = RunId::parse("r1").expect("a sound id");
        let Some((version, closed)) = self.coordinator.progress(&first) else {
            return Some(Move::Start);
        };
        self.runs().next()?;
        let plot = self.play.plot;
        let paused = self.runs().find(|run| run.paused.is_some());
        if let Some(run) = paused {
            return Some(Move::Resume(run.id.clone()));
        }
        if !closed && plot.pause_at == Some(version) {
            return Some(Move::Pause(first));
        }
        let forward = |run: &RunState| run.id == first && run.phase.as_str() == "forward";
        if plot.cancel_at.is_some_and(|at| version >= at) && self.runs().any(forward) {
            return Some(Move::Cancel(first));
        }
        let moves = self
            .runs()
            .flat_map(|run| run.slots().map(move |slot| (run, slot)));
        let moves = moves.filter_map(|(run, slot)| self.move_of(run, slot));
        let mut soonest: Option<(u8, Move)> = None;
        for (rank, found) in moves {
            if soonest.as_ref().is_none_or(|(best, _)| rank < *best) {
                soonest = Some((rank, found));
            }
        }
        let incident = self.runs().find_map(|run| {
            let (slot, _) = run.incidents.first_key_value()?;
            Some(Move::Resolve(format!("{}.{}", run.id, run.name(*slot))))
        });
        let found = soonest.map(|(_, found)| found).or(incident);
        Some(found.or_else(|| self.word()).unwrap_or(Move::Wait))
    }

    /// What can be done about one step, and how soon: what is held is answered first.
    fn move_of(&self, run: &RunState, slot: Slot) -> Option<(u8, Move)> {
        let (name, plot) = (run.name(slot), self.play.plot);
        for undo in [false, true] {
            let Some(task) = run.task(slot, undo) else {
                continue;
            };
            let id = TaskId {
                run: run.id.clone(),
                step: slot,
                undo,
            };
            let id = id.print(run);
            match (task.status, &task.holder) {
                (TaskStatus::Running, Some(holder)) => {
                    let fate = plot.fate(&id, task.attempt);
                    if fate == Fate::Silence {
                        continue;
                    }
                    let answer = Move::Answer {
                        task: id,
                        agent: holder.agent.clone(),
                        token: holder.token,
                        fate,
                    };
                    return Some((0, answer));
                }
                (TaskStatus::Ready, _) if !run.stands_still() => return Some((1, Move::Poll)),
                _ => {}
            }
        }
        let step = run.step(slot);
        if let Some(work) = step.files.as_ref().filter(|_| step.outcome.is_none()) {
            let errand = FilesErrand {
                run: run.id.clone(),
                step: name.clone(),
                attempt: work.attempt,
            };
            let fate = plot.fate(&name, work.attempt);
            let stage = Box::new(work.stage.clone());
            let waits = matches!(*stage, FilesStage::BackingOff) || fate == Fate::Silence;
            return (!waits).then_some((2, Move::Files(errand, stage, fate)));
        }
        if step.status == StepStatus::Waiting && run.is_approval(slot) {
            let approval = step.approval.as_ref()?;
            let said = |by: &&str| approval.verdicts.iter().any(|verdict| verdict.by == *by);
            let by = ["p1", "p2"].into_iter().find(|by| !said(by))?;
            let fate = plot.fate(&name, u32::try_from(approval.verdicts.len()).ok()?);
            let yes = fate == Fate::Well;
            let approval = format!("{}.{name}", run.id);
            return (fate != Fate::Silence).then_some((2, Move::Decide { approval, by, yes }));
        }
        None
    }

    /// Something that a step listens for, if the plot wants it to be heard.
    fn word(&self) -> Option<Move> {
        self.runs().find_map(|run| {
            run.listening().find_map(|(ear, wait)| {
                let heard = wait.heard.len() as u64;
                let attempt = u32::try_from(heard).ok()?;
                if self.play.plot.fate(ear, attempt) != Fate::Well {
                    return None;
                }
                Some(match &wait.subscription.source {
                    Source::Signal(name) => Move::Signal(run.id.clone(), name.clone()),
                    Source::Event(name) => Move::Send(name.clone(), heard),
                })
            })
        })
    }

    /// Does it, and waits until the answer may be told.
    pub(super) fn perform(&mut self, what: Move) -> Result<(), Refusal> {
        let now = both(&self.clock);
        let null = RawJson::from_value(&json!(null));
        let c = &mut self.coordinator;
        match what {
            Move::Start => {
                for machine in &self.play.called {
                    c.register(machine, now)?;
                }
                let order = Order {
                    target: Target::Compiled(Arc::clone(&self.play.machine)),
                    id: Some("r1".to_owned()),
                    inputs: Map::new(),
                    labels: BTreeMap::new(),
                    by: "dana".to_owned(),
                    key: None,
                    call: None,
                };
                c.start_order(&order, now)?;
            }
            Move::Cancel(run) => drop(c.cancel(&run, "dana", Some("enough"), now)?),
            Move::Pause(run) => drop(c.pause(&run, "dana", None, now)?),
            Move::Resume(run) => drop(c.resume_run(&run, "dana", now)?),
            Move::Poll => drop(c.poll(AGENT, None, 1, Duration::ZERO, now)?),
            Move::Answer {
                task,
                agent,
                token,
                fate,
            } => {
                let code = match fate {
                    Fate::Busy => "transient.busy",
                    Fate::Broken | Fate::Silence => "app.broken",
                    Fate::Well => {
                        let output = RawJson::from_value(&json!({"ok": true}));
                        c.complete(&agent, &task, token, &output, None, now)?;
                        return self.tell();
                    }
                };
                let error = Failure::new(code, "as it happens");
                c.fail(&agent, &task, token, &error, None, None, now)?;
            }
            Move::Decide { approval, by, yes } => {
                let shown = c.approval(&approval)?.shown_hash;
                let said = Said {
                    decision: if yes { "approve" } else { "reject" },
                    ..Said::default()
                };
                let by = Decider::Person(by.to_owned());
                c.decide_approval(&approval, &said, &by, Some(&shown), now)?;
            }
            Move::Resolve(id) => {
                c.resolve_incident(&id, Resolution::Skip, "enough", "dana", now)?;
            }
            Move::Files(errand, stage, fate) => files(c, &errand, &stage, fate, now)?,
            Move::Signal(run, name) => drop(c.signal(&run, &name, &null, "dana", now)?),
            Move::Send(name, number) => {
                let key = format!("{name}-{number}");
                c.send_event(&name, &null, Some(&key), "dana", now)?;
            }
            Move::Wait => {
                let (wall, mono) = c.next_due();
                let wall = wall.map(|at| at.since(now.wall));
                let mono = mono.map(|at| at.saturating_sub(now.mono));
                let wait = [wall, mono].into_iter().flatten().min();
                let wait = wait.unwrap_or_else(|| panic!("nobody wakes it\n{}", self.log()));
                self.clock.advance(wait);
                let now = both(&self.clock);
                self.coordinator.tick(now)?;
            }
        }
        self.tell()
    }

    fn tell(&mut self) -> Result<(), Refusal> {
        let seq = self.coordinator.last_seq();
        let (sender, outcome) = mpsc::channel();
        let then = move |durable| sender.send(durable).expect("somebody waits");
        self.store.when_durable(seq, Box::new(then));
        let head = outcome.recv().expect("every callback is called");
        self.told = head.map_err(Refusal::Unknown)?.seq.max(self.told);
        Ok(())
    }
}

/// What a runtime does about a change of files, disks left out.
fn files(
    c: &mut Coordinator,
    errand: &FilesErrand,
    stage: &FilesStage,
    fate: Fate,
    now: Now,
) -> Result<(), Refusal> {
    match stage {
        FilesStage::Wanted(_) if fate == Fate::Well => {
            let name = format!("t-{}-{}", errand.run, errand.attempt);
            let id = TransactionId::parse(&name).expect("a sound name");
            let intent = Intent {
                by: format!("run {}", errand.run),
                reason: None,
                reverts: None,
                roots: BTreeMap::new(),
                stages: Vec::new(),
            };
            let output = RawJson::from_value(&json!({"txid": name, "files": []}));
            let decision = Decision::default();
            c.decide_files(errand, &id, &decision, &intent, &output, now)?;
            Ok(())
        }
        FilesStage::Wanted(_) => {
            let error = Failure::new("files.conflict", "somebody was here");
            c.end_files(errand, &FilesEnd::Failed(error), now)
        }
        FilesStage::Decided { .. } => c.end_files(errand, &FilesEnd::Done, now),
        FilesStage::BackingOff => Ok(()),
    }
}

/// What both clocks say.
pub(super) fn both(clock: &ManualClock) -> Now {
    Now {
        wall: clock.now(),
        mono: clock.monotonic(),
    }
}
