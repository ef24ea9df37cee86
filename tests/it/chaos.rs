//! Agents, people, time and crashes in any order: whatever happens, every state is sound, a stale
//! word never has an effect, and once everybody behaves, the run ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use phisync::coordinator::Refusal;
use phisync::engine::{Rejection, Resolution, RunEvent, RunId, RunStatus};
use phisync_state::MemoryStore;
use phisync_state::env::{Entropy, SeededEntropy};
use phisync_tests::invariants::violations;
use phisync_tests::{Claim, World};
use serde_json::json;

const WORKFLOW: &str = "
workflow: chaos
timeout: 4h
steps:
  - { id: a, task: do, assign: { capabilities: [do] }, timeouts: { lease: 20s, run: 3m }, retry: { max_attempts: 3, delay: 5s, errors: [transient, timeout.run] }, idempotent: true, compensate: { task: undo, assign: { capabilities: [do] } } }
  - { id: b, task: do, assign: { capabilities: [do] }, timeouts: { lease: 30s, run: 3m, total: 20m }, on_failure: continue }
  - { id: c, needs: [a, b], join: any, task: do, assign: { capabilities: [do] }, timeouts: { lease: 30s, run: 2m }, compensate: { task: undo, assign: { capabilities: [do] }, retry: { max_attempts: 1 } } }
  - { id: ok, needs: a, approval: { from: { roles: [lead] }, quorum: 2, timeout: 30m, on_reject: compensate } }
  - { id: d, needs: [c, ok, b], task: do, assign: { capabilities: [do] }, timeouts: { lease: 30s, run: 2m } }
";

const TEAM: &str = "\
agents:
  A1: { capabilities: [do], concurrency: 2 }
  A2: { capabilities: [do], concurrency: 1 }
  A3: { capabilities: [do], concurrency: 3 }
people:
  dana: { roles: [lead] }
  robin: { roles: [lead] }
";

const AGENTS: [&str; 3] = ["a1", "a2", "a3"];

struct Chaos {
    world: World,
    run: RunId,
    dice: SeededEntropy,
    /// Everything that was ever handed out, given back or not.
    claims: Vec<Claim>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut world = World::on(Arc::new(MemoryStore::new()), WORKFLOW, TEAM);
        Self {
            run: world.start(),
            world,
            dice: SeededEntropy::new(seed),
            claims: Vec::new(),
        }
    }

    fn below(&mut self, sides: u64) -> u64 {
        self.dice.next_u64() % sides
    }

    fn some_agent(&mut self) -> &'static str {
        AGENTS[usize::try_from(self.below(3)).expect("small")]
    }

    /// Anything at all.
    fn step(&mut self) {
        match self.below(20) {
            0..=5 => {
                let agent = self.some_agent();
                let claims = self.world.poll(agent, 2);
                self.claims.extend(claims);
            }
            6..=12 => self.say_something(),
            13..=16 => {
                let seconds = [1, 7, 15, 40, 130][usize::try_from(self.below(5)).expect("small")];
                self.world.seconds(seconds);
            }
            17 => {
                let person = ["dana", "robin"][usize::from(self.below(2) == 0)];
                let asked = ["a", "b", "c", "d", "a.undo", "c.undo"];
                let task = asked[usize::try_from(self.below(6)).expect("small")];
                expected(self.world.reply(task, person, "the first"));
                let approved = self.below(4) != 0;
                expected(self.world.decide("ok", person, approved));
            }
            18 => self.world.crash_and_reopen(),
            _ => self.rarely(),
        }
    }

    fn rarely(&mut self) {
        match self.below(8) {
            0 if self.world.status() == RunStatus::Running => self.world.cancel("as it happens"),
            1 => expected(self.world.resolve("c", Resolution::Retry, "again")),
            2 => expected(self.world.resolve("c", Resolution::Skip, "enough")),
            _ => {}
        }
    }

    /// Some holder, or somebody who was one once, speaks.
    fn say_something(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let count = u64::try_from(self.claims.len()).expect("small");
        let chosen = usize::try_from(self.below(count)).expect("small");
        let claim = self.claims[chosen].clone();
        match self.below(8) {
            6 => {
                let done = json!({"step": self.below(3)});
                expected(self.world.progress(&claim, &done));
            }
            7 => expected(self.world.ask(&claim, "Which one?", None)),
            0 | 1 => expected(self.world.heartbeat(&claim).map(drop)),
            2 | 3 => {
                let output = json!({"by": claim.agent});
                expected(self.world.try_complete(&claim, output));
            }
            4 => expected(self.world.try_fail(&claim, "transient.x", "busy", None)),
            _ => expected(self.world.try_fail(&claim, "app.x", "no", None)),
        }
    }

    fn is_sound(&self, seed: u64) {
        let run = self.world.run(&self.run);
        let broken = violations(&run, self.world.now().wall);
        assert!(
            broken.is_empty(),
            "seed {seed}: {broken:?}\n{}",
            self.world.log()
        );
    }

    /// Everybody does what is asked of them until the run is closed.
    fn behave(&mut self, seed: u64) {
        for _ in 0..200 {
            if self.world.status() != RunStatus::Running {
                return;
            }
            for agent in AGENTS {
                for claim in self.world.poll(agent, 9) {
                    self.world.complete(&claim, json!({}));
                }
            }
            for person in ["dana", "robin"] {
                expected(self.world.decide("ok", person, true));
            }
            for task in ["a", "b", "c", "d", "a.undo", "c.undo"] {
                expected(self.world.reply(task, "dana", "any"));
            }
            for step in ["a", "c"] {
                expected(self.world.resolve(step, Resolution::Skip, "enough"));
            }
            self.world.seconds(60);
        }
        panic!("seed {seed} never ends:\n{}", self.world.log());
    }

    /// No attempt was answered twice, and no answer came from anybody but its holder.
    fn was_fenced(&self, seed: u64) {
        let mut held = BTreeSet::new();
        let mut last = 0;
        for record in self
            .world
            .store()
            .read(&self.run.stream(), 1)
            .expect("memory")
        {
            let event: RunEvent = serde_json::from_str(&record.event).expect("a fact");
            let place = || format!("seed {seed}, record {}", record.seq.0);
            match event {
                RunEvent::TaskClaimed {
                    token, step, undo, ..
                } => {
                    assert!(token > last, "{}", place());
                    last = token;
                    let tasks = held.iter().filter(|(s, u, _)| (s, u) == (&step, &undo));
                    assert_eq!(tasks.count(), 0, "two holders: {}", place());
                    held.insert((step, undo, token));
                }
                RunEvent::TaskCompleted {
                    token, step, undo, ..
                }
                | RunEvent::TaskReleased {
                    token, step, undo, ..
                }
                | RunEvent::TaskAsked {
                    token, step, undo, ..
                }
                | RunEvent::TaskFailed {
                    token: Some(token),
                    step,
                    undo,
                    ..
                } => {
                    assert!(held.remove(&(step, undo, token)), "{}", place());
                }
                _ => {}
            }
        }
    }
}

/// Being late, or wrong, is refused; anything else is a defect.
fn expected(answer: Result<(), Refusal>) {
    match answer {
        Ok(()) | Err(Refusal::NotFound { .. }) => {}
        Err(Refusal::Rejected(rejection)) => assert!(
            matches!(
                rejection,
                Rejection::StaleToken { .. }
                    | Rejection::AlreadyEnded { .. }
                    | Rejection::AlreadyDecided { .. }
                    | Rejection::NotInState { .. }
                    | Rejection::BadQuestion { .. }
                    | Rejection::RunClosed { .. }
            ),
            "{rejection}"
        ),
        Err(refusal) => panic!("{refusal}"),
    }
}

#[test]
fn whatever_happens_the_run_stays_sound_and_ends() {
    let mut endings = BTreeSet::new();
    for seed in 0..80 {
        let mut chaos = Chaos::new(seed);
        for _ in 0..50 {
            chaos.step();
            chaos.is_sound(seed);
        }
        chaos.behave(seed);
        chaos.is_sound(seed);
        chaos.was_fenced(seed);
        let run = chaos.world.run(&chaos.run);
        endings.insert(format!("{} {:?}", run.status.as_str(), run.undo));
    }
    // What the seeds reach, so that it is noticed when chaos becomes tame.
    insta::assert_snapshot!(endings.into_iter().collect::<Vec<_>>().join("\n"), @r"
    cancelled Done
    cancelled None
    cancelled Partial
    completed None
    failed Done
    failed None
    failed Partial
    ");
}
