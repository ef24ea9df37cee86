//! One store, one coordinator, a clock and dice that a test holds in its hand.
//!
//! Methods are what people and agents do, in plain words; a method that must succeed panics if it
//! does not, its `try_` twin gives the refusal. Times are counted from the world's beginning.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phisync::coordinator::{
    Coordinator, Decider, Handed, Now, Outcome, PollId, Polled, Refusal, Said, Target,
};
use phisync::engine::{
    Failure, Finding, FoundFile, RawJson, Resolution, RunId, RunState, RunStatus, fold,
};
use phisync_agents::protocol::{HeartbeatResponse, Task};
use phisync_agents::registry::Registry;
use phisync_state::env::{Clock, Entropy, ManualClock, SeededEntropy};
use phisync_state::{MemoryStore, Store, Timestamp};
use phisync_workflows::{Machine, SourceText, compile};
use serde_json::{Map, Value};

use crate::{replay, transition_log};

/// 2026-11-22T09:30:00Z.
pub const BEGINNING: Timestamp = Timestamp::from_micros(1_795_339_800_000_000);

/// Dice that outlive a coordinator: what is thrown does not depend on crashes.
#[derive(Clone)]
struct SharedDice(Arc<Mutex<SeededEntropy>>);

impl Entropy for SharedDice {
    fn next_u64(&mut self) -> u64 {
        self.0.lock().expect("nobody panics here").next_u64()
    }
}

/// A task in an agent's hands.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who took it.
    pub agent: String,
    /// What was taken.
    pub task: Task,
}

impl Claim {
    /// The step, or `STEP.undo`.
    #[must_use]
    pub fn what(&self) -> &str {
        let run = self.task.run.len();
        &self.task.id[run + 1..]
    }
}

/// See the module.
pub struct World {
    store: Arc<dyn Store>,
    clock: ManualClock,
    dice: SharedDice,
    registry: Registry,
    machine: Arc<Machine>,
    coordinator: Coordinator,
    lives: u64,
    runs: u32,
}

/// The only workflow of a text.
///
/// # Panics
/// If the text has errors, with the diagnostics.
#[must_use]
pub fn compiled(workflow: &str) -> Arc<Machine> {
    let compiled = compile(&SourceText::new("scenario.yaml".to_owned(), workflow), None);
    let errors: Vec<_> = compiled
        .diagnostics
        .iter()
        .filter(|d| d.severity == phisync_workflows::Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let machine = compiled.machines.into_iter().next();
    Arc::new(machine.expect("the text holds a workflow"))
}

impl World {
    /// A world with one workflow and one team, before anything happened.
    #[must_use]
    pub fn new(workflow: &str, agents: &str) -> Self {
        Self::on(Arc::new(MemoryStore::new()), workflow, agents)
    }

    /// A world on a store of the test's own.
    ///
    /// # Panics
    /// If a text has errors.
    #[must_use]
    pub fn on(store: Arc<dyn Store>, workflow: &str, agents: &str) -> Self {
        let registry = Registry::parse("agents.yaml", agents).expect("a sound team");
        let clock = ManualClock::new(BEGINNING);
        let dice = SharedDice(Arc::new(Mutex::new(SeededEntropy::new(7))));
        let coordinator = open(&store, 1, &registry, &dice, now(&clock));
        Self {
            machine: compiled(workflow),
            store,
            clock,
            dice,
            registry,
            coordinator,
            lives: 1,
            runs: 0,
        }
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        now(&self.clock)
    }

    /// The coordinator, for what has no word here.
    pub fn coordinator(&mut self) -> &mut Coordinator {
        &mut self.coordinator
    }

    /// Starts a run; they are called `r1`, `r2` and so on.
    pub fn start(&mut self) -> RunId {
        self.start_with(Value::Object(Map::new()))
    }

    /// Starts a run with inputs.
    ///
    /// # Panics
    /// If the inputs do not fit.
    pub fn start_with(&mut self, inputs: Value) -> RunId {
        self.runs += 1;
        let id = format!("r{}", self.runs);
        let Value::Object(inputs) = inputs else {
            panic!("inputs are an object");
        };
        let target = Target::Compiled(Arc::clone(&self.machine));
        let now = self.now();
        let labels = BTreeMap::new();
        let started = self
            .coordinator
            .start(&target, Some(&id), &inputs, &labels, "dana", now);
        started.expect("the run starts");
        RunId::parse(&id).expect("a sound id")
    }

    /// An agent asks for up to `max` tasks and does not wait.
    ///
    /// # Panics
    /// If the agent is not declared.
    pub fn poll(&mut self, agent: &str, max: u32) -> Vec<Claim> {
        let now = self.now();
        let polled = self
            .coordinator
            .poll(agent, None, max, Duration::ZERO, now)
            .expect("a declared agent");
        match polled {
            Polled::Tasks(tasks) => claims(agent, tasks),
            Polled::Waiting(_) => panic!("it was not to wait"),
        }
    }

    /// An agent asks for a task and gets `what`: a step, or `STEP.undo`.
    ///
    /// # Panics
    /// If it gets something else, or nothing.
    pub fn take(&mut self, agent: &str, what: &str) -> Claim {
        let claim = self.poll(agent, 1).pop();
        let claim = claim.unwrap_or_else(|| panic!("there is nothing for {agent}"));
        assert_eq!(claim.what(), what, "what {agent} got");
        claim
    }

    /// An agent asks for a task and waits for it, for up to `wait`.
    ///
    /// # Panics
    /// If there is a task at once.
    pub fn wait_for_task(&mut self, agent: &str, wait: Duration) -> PollId {
        let now = self.now();
        let polled = self.coordinator.poll(agent, None, 1, wait, now);
        match polled.expect("a declared agent") {
            Polled::Waiting(poll) => poll,
            Polled::Tasks(tasks) => panic!("{agent} got {tasks:?} at once"),
        }
    }

    /// What waiting polls got since the last call.
    pub fn handed(&mut self) -> Vec<Handed> {
        self.coordinator.take_handed()
    }

    /// The holder reports a result, which is accepted.
    ///
    /// # Panics
    /// If it is refused.
    pub fn complete(&mut self, claim: &Claim, output: Value) {
        self.try_complete(claim, output)
            .expect("the result is accepted");
    }

    /// The holder reports a result.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn try_complete(&mut self, claim: &Claim, output: Value) -> Result<(), Refusal> {
        let now = self.now();
        let output = RawJson::from_value(&output);
        let (agent, task) = (&claim.agent, &claim.task);
        self.coordinator
            .complete(agent, &task.id, task.token, &output, None, now)?;
        Ok(())
    }

    /// The holder reports a result, and somebody has looked at the files that prove it.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn prove(
        &mut self,
        claim: &Claim,
        output: &Value,
        proof: &[(&str, Finding)],
    ) -> Result<(), Refusal> {
        let now = self.now();
        let proof = proof.iter().map(|(path, finding)| FoundFile {
            path: (*path).to_owned(),
            finding: finding.clone(),
        });
        let outcome = Outcome {
            task: claim.task.id.clone(),
            token: claim.task.token,
            output: RawJson::from_value(output),
            proof: proof.collect(),
        };
        self.coordinator
            .complete_with(&claim.agent, &outcome, None, now)
            .map(drop)
    }

    /// The holder reports a result and asks for the next task in the same call.
    ///
    /// # Panics
    /// If the result is refused.
    pub fn complete_and_poll(&mut self, claim: &Claim, output: Value) -> Vec<Claim> {
        let now = self.now();
        let output = RawJson::from_value(&output);
        let (agent, task) = (&claim.agent, &claim.task);
        let completed = self
            .coordinator
            .complete(agent, &task.id, task.token, &output, Some((None, 1)), now)
            .expect("the result is accepted");
        claims(agent, completed.tasks.unwrap_or_default())
    }

    /// The holder reports an error, which is accepted.
    ///
    /// # Panics
    /// If it is refused.
    pub fn fail(&mut self, claim: &Claim, code: &str, message: &str) {
        self.try_fail(claim, code, message, None)
            .expect("the error is accepted");
    }

    /// The holder reports an error, with its own opinion about another attempt.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn try_fail(
        &mut self,
        claim: &Claim,
        code: &str,
        message: &str,
        retryable: Option<bool>,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let error = Failure::new(code, message);
        let (agent, task) = (&claim.agent, &claim.task);
        self.coordinator
            .fail(agent, &task.id, task.token, &error, retryable, None, now)
    }

    /// The holder gives the task back without having begun.
    ///
    /// # Panics
    /// If it is refused.
    pub fn release(&mut self, claim: &Claim) {
        self.give_back(claim, false);
    }

    /// The holder gives the task back in the middle of the work.
    ///
    /// # Panics
    /// If it is refused.
    pub fn release_begun(&mut self, claim: &Claim) {
        self.give_back(claim, true);
    }

    fn give_back(&mut self, claim: &Claim, begun: bool) {
        let now = self.now();
        let (agent, task) = (&claim.agent, &claim.task);
        self.coordinator
            .release(agent, &task.id, task.token, begun, now)
            .expect("it is taken back");
    }

    /// The holder gives the task back without having begun.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn try_release(&mut self, claim: &Claim) -> Result<(), Refusal> {
        let now = self.now();
        let (agent, task) = (&claim.agent, &claim.task);
        self.coordinator
            .release(agent, &task.id, task.token, false, now)
    }

    /// The holder says that it still works.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn heartbeat(&mut self, claim: &Claim) -> Result<HeartbeatResponse, Refusal> {
        let now = self.now();
        let (agent, task) = (&claim.agent, &claim.task);
        self.coordinator
            .heartbeat(agent, &task.id, task.token, None, now)
    }

    /// The holder says that it still works, and how far it is.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn progress(&mut self, claim: &Claim, progress: &Value) -> Result<(), Refusal> {
        let now = self.now();
        let (agent, task) = (&claim.agent, &claim.task);
        let progress = RawJson::from_value(progress);
        self.coordinator
            .heartbeat(agent, &task.id, task.token, Some(&progress), now)
            .map(drop)
    }

    /// The holder asks people.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn ask(
        &mut self,
        claim: &Claim,
        question: &str,
        form: Option<Value>,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let (agent, task) = (&claim.agent, &claim.task);
        let form = form.as_ref().map(RawJson::from_value);
        self.coordinator
            .ask(agent, &task.id, task.token, question, form.as_ref(), now)
            .map(drop)
    }

    /// A person answers the question of a task, having seen what stands there now.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn reply(&mut self, step: &str, person: &str, text: &str) -> Result<(), Refusal> {
        let now = self.now();
        let decider = Decider::Person(person.to_owned());
        let id = format!("r{}.{step}", self.runs);
        let shown = self.coordinator.approval(&id)?.shown_hash;
        let said = Said {
            decision: "answer",
            comment: Some(text),
            form: None,
        };
        self.coordinator
            .decide_approval(&id, &said, &decider, Some(&shown), now)
    }

    /// A person decides an approval, having seen what stands there now.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn decide(&mut self, step: &str, person: &str, approved: bool) -> Result<(), Refusal> {
        let decision = if approved { "approve" } else { "reject" };
        self.answer(step, person, decision, None)
    }

    /// A person gives one of an approval's answers, having seen what stands there now.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn answer(
        &mut self,
        step: &str,
        person: &str,
        decision: &str,
        form: Option<Value>,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let decider = Decider::Person(person.to_owned());
        let id = format!("r{}.{step}", self.runs);
        let shown = self.coordinator.approval(&id)?.shown_hash;
        let form = form.as_ref().map(RawJson::from_value);
        let said = Said {
            decision,
            comment: None,
            form: form.as_ref(),
        };
        self.coordinator
            .decide_approval(&id, &said, &decider, Some(&shown), now)
    }

    /// A person decides about an undo that failed for good.
    ///
    /// # Errors
    /// The coordinator's.
    pub fn resolve(&mut self, step: &str, action: Resolution, reason: &str) -> Result<(), Refusal> {
        let now = self.now();
        let id = format!("r{}.{step}", self.runs);
        self.coordinator
            .resolve_incident(&id, action, reason, "dana", now)
    }

    /// A person cancels the newest run.
    ///
    /// # Panics
    /// If it is refused.
    pub fn cancel(&mut self, reason: &str) {
        let now = self.now();
        let run = RunId::parse(&format!("r{}", self.runs)).expect("a sound id");
        self.coordinator
            .cancel(&run, "dana", Some(reason), now)
            .expect("it can be cancelled");
    }

    /// Lets `by` pass, and everything happen that is due on the way, at its own instant.
    ///
    /// # Panics
    /// If the store refuses, or if what is due stays due for ever.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now().mono + by;
        for _ in 0..10_000 {
            let now = self.now();
            let (wall, mono) = self.coordinator.next_due();
            let wall = wall.map(|at| at.since(now.wall));
            let mono = mono.map(|at| at.saturating_sub(now.mono));
            let soonest = [wall, mono].into_iter().flatten().min();
            let left = end - now.mono;
            match soonest {
                Some(wait) if wait <= left => self.clock.advance(wait),
                _ => {
                    self.clock.advance(left);
                    return;
                }
            }
            let now = self.now();
            self.coordinator.tick(now).expect("the store works");
        }
        panic!("something is due again and again without effect");
    }

    /// [`Self::advance`] in seconds.
    pub fn seconds(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    /// The process dies and another one opens the store.
    pub fn crash_and_reopen(&mut self) {
        replay::check(&*self.store, &self.coordinator);
        self.lives += 1;
        let now = self.now();
        self.coordinator = open(&self.store, self.lives, &self.registry, &self.dice, now);
    }

    /// The transition log.
    #[must_use]
    pub fn log(&self) -> String {
        transition_log::render(&*self.store, BEGINNING)
    }

    /// See [`transition_log::changes`].
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        transition_log::changes(&*self.store)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// A run, folded from the store.
    ///
    /// # Panics
    /// If there is no such run.
    #[must_use]
    pub fn run(&self, id: &RunId) -> RunState {
        let records = self.store.read(&id.stream(), 1).expect("readable");
        assert!(!records.is_empty(), "there is no run `{id}`");
        let facts = records.iter().map(|record| &record.event);
        let facts: Vec<_> = facts
            .map(|fact| serde_json::from_str(fact).expect("a fact"))
            .collect();
        fold(&self.machine, id, &facts)
    }

    /// Where the newest run stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        let id = RunId::parse(&format!("r{}", self.runs)).expect("a sound id");
        self.run(&id).status
    }
}

/// Every journal that a test writes is replayed when its world ends.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            replay::check(&*self.store, &self.coordinator);
        }
    }
}

fn now(clock: &ManualClock) -> Now {
    Now {
        wall: clock.now(),
        mono: clock.monotonic(),
    }
}

fn open(
    store: &Arc<dyn Store>,
    epoch: u64,
    registry: &Registry,
    dice: &SharedDice,
    now: Now,
) -> Coordinator {
    let dice = Box::new(dice.clone());
    Coordinator::open(Arc::clone(store), epoch, registry.clone(), dice, None, now)
        .expect("the store can be read")
}

fn claims(agent: &str, tasks: Vec<Task>) -> Vec<Claim> {
    let claims = tasks.into_iter().map(|task| Claim {
        agent: agent.to_owned(),
        task,
    });
    claims.collect()
}
