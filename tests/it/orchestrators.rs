//! Several orchestrators on one store, each with a memory of its own, interleaved by a seed, on a store
//! that has bad days. One mutex around them would prove nothing: they share the store and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use phisync::coordinator::{Coordinator, Now, Polled, Refusal, Target};
use phisync::engine::{RawJson, RunEvent, RunId, RunState, RunStatus, apply};
use phisync_agents::protocol::Task;
use phisync_agents::registry::Registry;
use phisync_state::env::{Entropy as _, SeededEntropy};
use phisync_state::{Seq, Store, Timestamp};
use phisync_tests::{UnsteadyStore, compiled};
use phisync_workflows::Machine;
use serde_json::{Map, Value, json};

const WORKFLOW: &str = "
workflow: deploy
inputs: { target: string }
concurrency: { key: '${{ inputs.target }}', max: 2, on_conflict: queue }
steps:
  - { id: build, task: build, assign: DC, retry: { max_attempts: 3, backoff: fixed, delay: 1s, jitter: none, errors: [app] } }
  - { id: test, needs: build, task: test, assign: { capabilities: [test] } }
  - { id: ship, needs: test, task: ship, assign: WEBC }
";

const TEAM: &str = "\
agents:
  DC: { capabilities: [test], concurrency: 2, silence: 30d }
  WEBC: { capabilities: [test], concurrency: 1, silence: 30d }
";

/// The same team with limits that all orchestrators share: on types of tasks, and on how often an agent takes one.
const LIMITED: &str = "\
agents:
  DC: { capabilities: [test], concurrency: 4, silence: 30d, rate: 6/m }
  WEBC: { capabilities: [test], concurrency: 4, silence: 30d }
types:
  build: { concurrency: 1 }
  test: { concurrency: 2, rate: 5/m }
";

/// What a team may do at most: how many tasks each agent, and all of them of a type, may hold, and how many may be
/// taken at once, with the seconds after which one more may.
struct Bounds {
    team: &'static str,
    agents: [(&'static str, usize); 2],
    types: &'static [(&'static str, usize)],
    rates: &'static [(&'static str, usize, i64)],
}

const PLAIN: Bounds = Bounds {
    team: TEAM,
    agents: [("dc", 2), ("webc", 1)],
    types: &[],
    rates: &[],
};

const TIGHT: Bounds = Bounds {
    team: LIMITED,
    agents: [("dc", 4), ("webc", 4)],
    types: &[("build", 1), ("test", 2)],
    rates: &[("dc", 6, 10), ("test", 5, 12)],
};

const AGENTS: [&str; 2] = ["dc", "webc"];

/// 2026-11-22T09:30:00Z.
const BEGINNING: i64 = 1_795_339_800_000_000;

struct Team {
    store: Arc<UnsteadyStore>,
    registry: Registry,
    machine: Arc<Machine>,
    members: Vec<Coordinator>,
    dice: SeededEntropy,
    seconds: u64,
    /// What agents hold, as far as they know.
    held: Vec<(String, Task)>,
    runs: u32,
    lives: u64,
}

impl Team {
    fn new(seed: u64, count: usize, bounds: &Bounds) -> Self {
        let mut team = Self {
            store: Arc::new(UnsteadyStore::new(seed)),
            registry: Registry::parse("agents.yaml", bounds.team).expect("a sound team"),
            machine: compiled(WORKFLOW),
            members: Vec::new(),
            dice: SeededEntropy::new(seed ^ 0x5eed),
            seconds: 0,
            held: Vec::new(),
            runs: 0,
            lives: 0,
        };
        for _ in 0..count {
            let member = team.open();
            team.members.push(member);
        }
        team
    }

    fn now(&self) -> Now {
        let micros = i64::try_from(self.seconds).expect("a short story") * 1_000_000;
        Now {
            wall: Timestamp::from_micros(BEGINNING + micros),
            mono: Duration::from_secs(self.seconds),
        }
    }

    fn open(&mut self) -> Coordinator {
        self.lives += 1;
        let store: Arc<dyn Store> = Arc::<UnsteadyStore>::clone(&self.store);
        let dice = Box::new(SeededEntropy::new(self.lives));
        let registry = self.registry.clone();
        let opened = Coordinator::open(store, 0, registry, dice, None, self.now());
        let mut member = opened.expect("the store can be read");
        member.share_store();
        member
    }

    fn pick(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("a small number");
        usize::try_from(self.dice.next_u64() % count).expect("a small number")
    }

    /// One that does not know what became of its append starts again from the store.
    fn judge<T>(&mut self, member: usize, answer: Result<T, Refusal>) -> Option<T> {
        match answer {
            Ok(value) => Some(value),
            Err(Refusal::Unknown(_)) => {
                self.members[member] = self.open();
                None
            }
            Err(_) => None,
        }
    }

    fn start(&mut self, member: usize) {
        self.runs += 1;
        let id = format!("r{}", self.runs);
        let target = Target::Compiled(Arc::clone(&self.machine));
        let mut inputs = Map::new();
        let place = if self.runs.is_multiple_of(3) {
            "test"
        } else {
            "prod"
        };
        inputs.insert("target".to_owned(), json!(place));
        let (labels, now) = (BTreeMap::new(), self.now());
        let started = self.members[member].start(&target, Some(&id), &inputs, &labels, "dana", now);
        self.judge(member, started);
    }

    fn poll(&mut self, member: usize) {
        let agent = AGENTS[self.pick(AGENTS.len())];
        let now = self.now();
        let max = u32::try_from(1 + self.pick(2)).expect("a small number");
        let polled = self.members[member].poll(agent, None, max, Duration::ZERO, now);
        if let Some(Polled::Tasks(tasks)) = self.judge(member, polled) {
            let held = tasks.into_iter().map(|task| (agent.to_owned(), task));
            self.held.extend(held);
        }
    }

    fn report(&mut self, member: usize) {
        if self.held.is_empty() {
            return;
        }
        let which = self.pick(self.held.len());
        let (agent, task) = self.held.swap_remove(which);
        let now = self.now();
        let coordinator = &mut self.members[member];
        let reported = match self.dice.next_u64() % 8 {
            0 => {
                let error = phisync::engine::Failure::new("app.busy", "later");
                coordinator.fail(&agent, &task.id, task.token, &error, None, None, now)
            }
            1 => coordinator.release(&agent, &task.id, task.token, false, now),
            _ => {
                let output = RawJson::from_value(&json!({}));
                let done = coordinator.complete(&agent, &task.id, task.token, &output, None, now);
                done.map(|_| ())
            }
        };
        if matches!(reported, Err(Refusal::Unknown(_))) {
            // The agent says it again: the same report is harmless.
            self.held.push((agent, task));
        }
        self.judge(member, reported);
    }

    fn tick(&mut self, member: usize) {
        let now = self.now();
        let ticked = self.members[member].tick(now);
        self.judge(member, ticked);
    }

    fn act(&mut self) {
        let member = self.pick(self.members.len());
        match self.pick(16) {
            0 if self.runs < 12 => self.start(member),
            0..=6 => self.poll(member),
            7..=12 => self.report(member),
            13 => self.members[member] = self.open(),
            14 => self.seconds += 1,
            _ => self.tick(member),
        }
    }

    /// The faults stop; whoever is left finishes the work.
    fn finish(&mut self) {
        self.store.calm();
        for member in 0..self.members.len() {
            self.members[member] = self.open();
        }
        for _ in 0..400 {
            for member in 0..self.members.len() {
                self.poll(member);
                self.report(member);
                self.tick(member);
            }
            self.seconds += 30;
        }
    }
}

/// What the journal says happened, record by record.
struct Oracle {
    bounds: &'static Bounds,
    /// When each agent took a task, and one of each type was taken.
    taken: BTreeMap<String, Vec<Timestamp>>,
    runs: BTreeMap<RunId, RunState>,
    slots: BTreeMap<String, BTreeSet<String>>,
    completed: BTreeSet<(RunId, String)>,
}

impl Oracle {
    fn read(team: &Team, bounds: &'static Bounds) -> Self {
        let mut oracle = Self {
            bounds,
            taken: BTreeMap::new(),
            runs: BTreeMap::new(),
            slots: BTreeMap::new(),
            completed: BTreeSet::new(),
        };
        let visit = &mut |record: phisync_state::Record| {
            oracle.meet(&record, &team.machine);
            true
        };
        team.store.scan("", Seq(0), visit).expect("readable");
        oracle
    }

    fn meet(&mut self, record: &phisync_state::Record, machine: &Arc<Machine>) {
        let stream = record.stream.as_str();
        if stream.starts_with("slots/") {
            let fact: Value = serde_json::from_str(&record.event).expect("a fact");
            let holders = self.slots.entry(stream.to_owned()).or_default();
            let run = |kind: &str| fact[kind]["run"].as_str().map(str::to_owned);
            if let Some(run) = run("slot_taken") {
                assert!(holders.insert(run), "a slot is taken once");
            } else if let Some(run) = run("slot_freed") {
                holders.remove(&run);
            }
            assert!(
                holders.len() <= 2,
                "{} runs hold a slot of {stream}",
                holders.len()
            );
            return;
        }
        let Some(id) = stream.strip_prefix("run/").and_then(RunId::parse) else {
            return;
        };
        let event: RunEvent = serde_json::from_str(&record.event).expect("a fact");
        let new = || RunState::new(Arc::clone(machine), id.clone());
        let run = self.runs.entry(id.clone()).or_insert_with(new);
        if let RunEvent::TaskCompleted { step, .. } = &event {
            let once = self.completed.insert((id.clone(), step.clone()));
            assert!(once, "{id}.{step} completed twice");
        }
        if let RunEvent::TaskClaimed { .. } = &event {
            let holds = |run: &BTreeSet<String>| run.contains(id.as_str());
            assert!(self.slots.values().any(holds), "{id} works without a slot");
        }
        apply(run, &event);
        assert_eq!(run.version, record.version, "no fact of {id} is missing");
        if let RunEvent::TaskClaimed {
            step, agent, at, ..
        } = &event
        {
            self.take(step, *at);
            self.take(agent, *at);
        }
        for (agent, most) in self.bounds.agents {
            let held = self.held(|_, holder| holder == agent);
            assert!(
                held <= most,
                "{agent} holds {held} tasks at record {}",
                record.seq.0
            );
        }
        for (step, most) in self.bounds.types {
            let held = self.held(|name, _| name == *step);
            assert!(
                held <= *most,
                "{held} of {step} are held at record {}",
                record.seq.0
            );
        }
    }

    /// How many tasks are held for which this is so, by step and by holder.
    fn held(&self, is: impl Fn(&str, &str) -> bool) -> usize {
        let tasks = self.runs.values().flat_map(|run| {
            let tasks = run.live_tasks();
            tasks.map(|(id, task)| (run.name(id.step), task))
        });
        let held = tasks.filter(|(step, task)| {
            let holder = task.holder.as_ref();
            holder.is_some_and(|holder| is(step, &holder.agent))
        });
        held.count()
    }

    /// A task was taken by somebody, or of some type: within any time no more than the bucket holds, and what comes
    /// back meanwhile.
    fn take(&mut self, what: &str, at: Timestamp) {
        let Some((_, burst, seconds)) = self.bounds.rates.iter().find(|(name, ..)| *name == what)
        else {
            return;
        };
        let taken = self.taken.entry(what.to_owned()).or_default();
        taken.push(at);
        for (first, since) in taken.iter().enumerate() {
            let passed = i64::try_from(at.since(*since).as_secs()).expect("a short story");
            let back = usize::try_from(passed / seconds).expect("a short story");
            let count = taken.len() - first;
            assert!(count <= burst + back, "{count} of {what} in {passed} s");
        }
    }
}

/// Lets teams of three orchestrators work on bad days, one for each seed; how often what trouble came.
fn weather(bounds: &'static Bounds, seeds: std::ops::Range<u64>) -> [u32; 3] {
    let mut struck = [0; 3];
    for seed in seeds {
        let mut team = Team::new(seed, 3, bounds);
        for _ in 0..160 {
            team.act();
        }
        // What was decided so far holds every bound, at every record.
        Oracle::read(&team, bounds);
        team.finish();
        let oracle = Oracle::read(&team, bounds);
        for (id, run) in &oracle.runs {
            assert_ne!(
                run.status,
                RunStatus::Running,
                "seed {seed}: {id} never ends"
            );
        }
        for (total, more) in struck.iter_mut().zip(team.store.struck()) {
            *total += more;
        }
    }
    struck
}

#[test]
fn several_orchestrators_take_every_transition_once_and_exceed_no_bound() {
    let struck = weather(&PLAIN, 0..24);
    assert!(struck.iter().all(|times| *times > 20), "{struck:?}");
}

#[test]
fn several_orchestrators_keep_the_limits_of_types_and_rates_together() {
    let struck = weather(&TIGHT, 100..124);
    assert!(struck.iter().all(|times| *times > 20), "{struck:?}");
}
