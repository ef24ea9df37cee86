//! Runs of any machine, played to their end on a disk whose power can go at any operation.
//!
//! What agents, people and the clock do next follows from the state of the runs and a [`Plot`] alone,
//! never from what was said before. So a run that goes on after a cut has one way to its end: the
//! one that it would have gone undisturbed. Every answer is waited for until it is durable.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use phisync::coordinator::{Coordinator, Decider, FilesErrand, Now, Order, Refusal, Said, Target};
use phisync::engine::{
    Failure, FilesEnd, FilesStage, RawJson, Resolution, RunId, RunState, Slot, Source, StepStatus,
    TaskId, TaskStatus, apply,
};
use phisync_agents::registry::Registry;
use phisync_state::env::{
    Clock as _, Disk, Entropy, Fault, ManualClock, SeededEntropy, SimDisk, Survive,
};
use phisync_state::transaction::{Decision, Intent, TransactionId};
use phisync_state::{FileOptions, FileStore, OpenError, Seq, Sizes, Store, Timestamp};
use phisync_workflows::Machine;
use serde_json::{Map, json};

use crate::{BEGINNING, compiled, replay, transition_log};

const DATA: &str = "/data";
const AGENT: &str = "a1";
const TEAM: &str = "agents: { A1: { concurrency: 9, silence: 30d } }\n\
                    people: { p1: { roles: [lead] }, p2: { roles: [lead] } }";

/// Whoever needs more moves than this goes in circles.
const MOVES_MAX: usize = 1_000;

/// How a story goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plot {
    /// With 0 all goes well; any other number is chance: tasks fail or are never answered, people
    /// say no.
    pub seed: u64,
    /// The run is cancelled once it has so many facts.
    pub cancel_at: Option<u64>,
    /// The run is paused once it has so many facts, and goes on at once.
    pub pause_at: Option<u64>,
}

/// What becomes of something that is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    Busy,
    Broken,
    Silence,
}

impl Plot {
    /// The same for the same thing, whenever it is asked.
    fn fate(self, what: &str, attempt: u32) -> Fate {
        if self.seed == 0 {
            return Fate::Well;
        }
        let text = format!("{} {what} {attempt}", self.seed);
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        match SeededEntropy::new(hash).next_u64() % 8 {
            0 => Fate::Busy,
            1 => Fate::Broken,
            2 => Fate::Silence,
            _ => Fate::Well,
        }
    }
}

/// Something that somebody does.
enum Move {
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

/// How far a process came.
#[derive(Debug)]
pub struct Played {
    /// The last sequence that was there when it began.
    pub found: Seq,
    /// All runs are closed; otherwise the power went.
    pub ended: bool,
    /// The last sequence that anybody was told of.
    pub told: Seq,
    /// When.
    pub now: Timestamp,
    /// What changed, if it ended: see [`transition_log::changes`].
    pub changes: Vec<String>,
}

/// A machine, and how its story goes.
pub struct Play {
    machine: Arc<Machine>,
    /// Workflows that it calls.
    called: Vec<Arc<Machine>>,
    plot: Plot,
}

/// One process in the middle of a play.
struct Stage<'p> {
    play: &'p Play,
    store: Arc<FileStore>,
    coordinator: Coordinator,
    clock: ManualClock,
    told: Seq,
}

/// Dice that show the same whenever they are thrown: how often it was until a cut must not matter.
struct OneFace;

impl Entropy for OneFace {
    fn next_u64(&mut self) -> u64 {
        0x5eed
    }
}

/// How much a sweep was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Operations of the disk in the undisturbed play.
    pub operations: u64,
    /// Disks that a next process went on with.
    pub disks: u64,
    /// How the undisturbed play ends.
    pub end: String,
}

impl Play {
    /// A play of a text, which may begin with the workflow that is run and go on with others.
    #[must_use]
    pub fn new(workflow: &str, called: &[&str], plot: Plot) -> Self {
        Self {
            machine: compiled(workflow),
            called: called.iter().map(|text| compiled(text)).collect(),
            plot,
        }
    }

    /// Plays on what `disk` holds until all runs are closed or the power goes.
    ///
    /// # Panics
    /// Something is refused, or nothing wakes a run that is open.
    #[must_use]
    pub fn act(&self, disk: &SimDisk, now: Timestamp) -> Played {
        let mut played = Played {
            found: Seq(0),
            ended: false,
            told: Seq(0),
            now,
            changes: Vec::new(),
        };
        let Some(mut stage) = self.open(disk, now) else {
            return played;
        };
        played.found = stage.told;
        for _ in 0..MOVES_MAX {
            let next = stage.next();
            let Some(next) = next else {
                replay::check(&*stage.store, &stage.coordinator);
                played.ended = true;
                played.changes = transition_log::changes(&*stage.store);
                return played;
            };
            let performed = stage.perform(next);
            played.told = stage.told;
            played.now = stage.clock.now();
            match performed {
                Ok(()) => {}
                Err(Refusal::Unknown(_)) => return played,
                Err(refusal) => panic!("{refusal}\n{}", stage.log()),
            }
        }
        panic!("it goes in circles\n{}", stage.log());
    }

    /// The states in which its runs stand between two moves of an undisturbed play, and at its end.
    ///
    /// # Panics
    /// As [`Self::act`].
    #[must_use]
    pub fn states(&self) -> Vec<(RunState, Timestamp)> {
        let disk = SimDisk::new();
        let mut stage = self.open(&disk, BEGINNING).expect("the disk works");
        let mut states = Vec::new();
        for _ in 0..MOVES_MAX {
            let now = stage.clock.now();
            states.extend(stage.runs().map(|run| (run.clone(), now)));
            let Some(next) = stage.next() else {
                let open = states.iter().map(|(run, _)| (run.id.clone(), run));
                let last: BTreeMap<_, _> = open.collect();
                let closed = last.into_values().map(|run| stage.closed(run));
                let closed: Vec<_> = closed.map(|run| (run, now)).collect();
                states.extend(closed);
                return states;
            };
            let performed = stage.perform(next);
            performed.unwrap_or_else(|refusal| panic!("{refusal}\n{}", stage.log()));
        }
        panic!("it goes in circles\n{}", stage.log());
    }

    /// Cuts the power at every operation of an undisturbed play, and goes on with what may be left
    /// of the disk: the end is the same, and nothing that was told is lost.
    ///
    /// # Panics
    /// If not.
    #[must_use]
    pub fn sweep(&self) -> Swept {
        let disk = SimDisk::new();
        let whole = self.act(&disk, BEGINNING);
        assert!(whole.ended, "undisturbed, it ends");
        let operations = disk.operations();
        let mut disks = 0;
        for operation in 1..=operations {
            let disk = SimDisk::new();
            disk.plan(operation, Fault::PowerOff { written: 50 });
            let before = self.act(&disk, BEGINNING);
            let part = Survive::Some { seed: operation };
            let left = [
                disk.reboot(Survive::Everything),
                disk.reboot(Survive::Nothing),
                disk.reboot(part),
                disk.next_process(),
            ];
            for (way, disk) in left.iter().enumerate() {
                let place = format!("cut at operation {operation}, way {way}");
                let after = self.act(disk, before.now);
                assert!(
                    after.found >= before.told,
                    "{place}: told {:?}, found {:?}",
                    before.told,
                    after.found
                );
                assert!(after.ended, "{place}: nothing goes wrong again");
                assert_eq!(after.changes, whole.changes, "{place}");
                disks += 1;
            }
        }
        let end = whole.changes.last().cloned().unwrap_or_default();
        Swept {
            operations,
            disks,
            end,
        }
    }

    /// `None`: the power went.
    fn open(&self, disk: &SimDisk, now: Timestamp) -> Option<Stage<'_>> {
        let store = Arc::new(open(disk)?);
        let clock = ManualClock::new(now);
        let registry = Registry::parse("agents.yaml", TEAM).expect("a sound team");
        let dice = Box::new(OneFace);
        let both = both(&clock);
        let shared: Arc<dyn Store> = Arc::<FileStore>::clone(&store);
        let coordinator = Coordinator::open(shared, 1, registry, dice, None, both);
        Some(Stage {
            play: self,
            told: store.head().seq,
            coordinator: coordinator.ok()?,
            store,
            clock,
        })
    }
}

fn both(clock: &ManualClock) -> Now {
    Now {
        wall: clock.now(),
        mono: clock.monotonic(),
    }
}

fn open(disk: &SimDisk) -> Option<FileStore> {
    let options = FileOptions {
        sizes: Sizes {
            segment: 16 << 10,
            preallocate: 4 << 10,
        },
        // Whether a second has passed is nothing that a sweep can count.
        seal_after: Duration::from_secs(3600),
        reserve: 0,
        ..FileOptions::default()
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    match FileStore::open(disk, Path::new(DATA), options) {
        Ok((store, _)) => Some(store),
        // The power may go while it opens; whatever is left of a disk is never damage.
        Err(OpenError::NotUsable { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

impl Stage<'_> {
    fn log(&self) -> String {
        transition_log::render(&*self.store, BEGINNING)
    }

    fn runs(&self) -> impl Iterator<Item = &RunState> {
        self.coordinator.open_runs()
    }

    /// A run that has closed, from its journal.
    fn closed(&self, run: &RunState) -> RunState {
        let mut closed = RunState::new(Arc::clone(&run.machine), run.id.clone());
        for record in self.store.read(&run.id.stream(), 1).expect("readable") {
            apply(&mut closed, &replay::fact(&record.event));
        }
        closed
    }

    /// What follows from the state of all runs; `None`: they are closed.
    fn next(&self) -> Option<Move> {
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
    fn perform(&mut self, what: Move) -> Result<(), Refusal> {
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
