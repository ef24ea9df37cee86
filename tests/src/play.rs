//! Runs of any machine, played to their end on a disk whose power can go at any operation.
//!
//! What agents, people and the clock do next follows from the state of the runs and a [`Plot`] alone,
//! never from what was said before. So a run that goes on after a cut has one way to its end: the
//! one that it would have gone undisturbed. Every answer is waited for until it is durable.

mod stage;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use phisync::coordinator::{Coordinator, Refusal};
use phisync::engine::RunState;
use phisync_agents::registry::Registry;
use phisync_state::env::{
    Clock as _, Disk, Entropy, Fault, ManualClock, SeededEntropy, SimDisk, Survive,
};
use phisync_state::{FileOptions, FileStore, OpenError, Seq, Sizes, Store, Timestamp};
use phisync_workflows::Machine;

use crate::{BEGINNING, compiled, replay, transition_log};
use stage::{Stage, both};

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

fn open(disk: &SimDisk) -> Option<FileStore> {
    let options = FileOptions {
        sizes: Sizes {
            segment: 16 << 10,
            preallocate: 4 << 10,
            ahead: 0,
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
