//! Who is alive: signs of life, verdicts, and what the dead lose.

use std::time::Duration;

use phisync_agents::detector::{Arrivals, Detector, Limits, Verdict};

use crate::engine::{Input, TaskId};

use super::team::{Agent, AgentEvent, Evidence, millis, word};
use super::{Coordinator, Now, Refusal};

impl Coordinator {
    /// Every word of an agent is a sign of life.
    pub(super) fn greet(&mut self, name: &str, now: Now) -> Result<(), Refusal> {
        self.learn_agent(name)?;
        let Some(agent) = self.agents.get(name) else {
            return Err(Refusal::NotFound {
                what: "agent",
                id: name.to_owned(),
            });
        };
        let unexpected = agent.verdict != Some(Verdict::Alive);
        self.hear(name, now);
        if unexpected {
            self.change_verdict(name, Verdict::Alive, Duration::ZERO, now);
        }
        Ok(())
    }

    /// Notes a sign of life.
    pub(super) fn hear(&mut self, name: &str, now: Now) {
        self.ledger.observe(name, now.mono);
        self.stale_views.agent_heard(now);
        self.doubt_later(name, now);
    }

    /// Notes that an agent has lived, because it waited for us until now.
    pub(super) fn vouch(&mut self, name: &str, now: Now) {
        self.ledger.vouch(name, now.mono);
        self.stale_views.agent_heard(now);
        self.doubt_later(name, now);
    }

    fn doubt_later(&mut self, name: &str, now: Now) {
        if let (Some(agent), Some(arrivals)) = (self.agents.get(name), self.ledger.arrivals(name)) {
            let turn = agent.limits(arrivals).next_turn(Duration::ZERO);
            let turn = turn.map(|turn| now.mono.saturating_add(turn));
            self.next_doubt = [self.next_doubt, turn].into_iter().flatten().min();
        }
    }

    fn change_verdict(&mut self, name: &str, to: Verdict, silent: Duration, now: Now) {
        let Some(agent) = self.agents.get_mut(name) else {
            return;
        };
        let unheard = Arrivals::default();
        let arrivals = self.ledger.arrivals(name).unwrap_or(&unheard);
        let by_rhythm = agent.spec.detector == Detector::Phi && to != Verdict::Alive;
        let rhythm = arrivals.rhythm().filter(|_| by_rhythm);
        let event = AgentEvent::VerdictChanged {
            from: word(agent.verdict).to_owned(),
            to: word(Some(to)).to_owned(),
            silent_ms: millis(silent),
            limit_ms: millis(agent.limits(arrivals).dead),
            rhythm: rhythm.map(|rhythm| Evidence {
                phi: rhythm.phi(silent),
                mean_ms: millis(rhythm.mean),
                deviation_ms: millis(rhythm.deviation),
                gaps: rhythm.gaps as u64,
            }),
            at: now.wall,
        };
        self.batch
            .add(Agent::stream(name), agent.version, &[&event]);
        agent.version += 1;
        agent.believe(&event);
        self.stale_views.agents_changed();
    }

    /// When the verdict on some agent turns first, if all stay silent.
    pub(super) fn first_doubt(&self, now: Now) -> Option<Duration> {
        let limits = |name: &str, arrivals: &Arrivals| {
            let agent = self.agents.get(name);
            agent.map_or(Limits::NEVER, |agent| agent.limits(arrivals))
        };
        self.ledger.next_due(now.mono, limits)
    }

    pub(super) fn judge_agents(&mut self, now: Now) -> Result<(), Refusal> {
        let mut changed = Vec::new();
        for (name, agent) in &self.agents {
            if self.polls.someone_waits_as(name) {
                continue;
            }
            let (Some(verdict), Some(silent), Some(arrivals)) = (
                agent.verdict,
                self.ledger.silence(name, now.mono),
                self.ledger.arrivals(name),
            ) else {
                continue;
            };
            let next = agent.limits(arrivals).verdict(silent);
            // Only a word of the agent itself makes it better again.
            if next > verdict {
                changed.push((name.clone(), next, silent));
            }
        }
        for (name, verdict, silent) in changed {
            for task in self.leases.held_by(&name) {
                self.note_progress(&task, now)?;
            }
            self.change_verdict(&name, verdict, silent, now);
            if verdict == Verdict::Dead {
                for task in self.leases.held_by(&name) {
                    let why = format!("{name} has been silent for {}s", silent.as_secs());
                    self.lose_lease(&task, &why, now)?;
                }
                self.unstick(&name);
            }
        }
        Ok(())
    }

    pub(super) fn lose_lease(&mut self, task: &TaskId, why: &str, now: Now) -> Result<(), Refusal> {
        let open = self.open.get(&task.run);
        let held = open.and_then(|run| {
            let holder = run.state.task(task.step, task.undo)?.holder.as_ref()?;
            Some((run.state.name(task.step), holder.token))
        });
        let Some((step, token)) = held else {
            self.revoke_lease(task);
            return Ok(());
        };
        self.note_progress(task, now)?;
        let input = Input::LoseLease {
            step,
            undo: task.undo,
            token,
            why: why.to_owned(),
        };
        match self.decide(&task.run, input, now) {
            // One lease that cannot be lost holds up no other.
            Err(Refusal::Rejected(no)) => {
                tracing::error!(run = %task.run, %no, "a lost lease was refused");
                self.revoke_lease(task);
                Ok(())
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use phisync_agents::registry::Registry;
    use phisync_state::env::SeededEntropy;
    use phisync_state::{MemoryStore, Store as _, Timestamp};

    use crate::coordinator::{Coordinator, Now};

    fn at(seconds: u64) -> Now {
        Now {
            wall: Timestamp::from_micros(0),
            mono: Duration::from_secs(seconds),
        }
    }

    /// The team begins on an empty store, at the first second.
    fn opened(agents: &str) -> (Coordinator, Arc<MemoryStore>) {
        let text = format!("phisync: 1\nagents: {agents}\n");
        let registry = Registry::parse("agents.yaml", &text).expect("a team");
        let store = Arc::new(MemoryStore::new());
        let entropy = Box::new(SeededEntropy::new(1));
        let shared = Arc::<MemoryStore>::clone(&store);
        let coordinator = Coordinator::open(shared, 1, registry, entropy, None, at(0));
        (coordinator.expect("an empty store"), store)
    }

    /// Bug: what was due was asked for anew after each wait, and a verdict that had just turned
    /// had its next turn ahead of it. An agent without a task was thus never found dead. Now a
    /// doubt stays due until a tick has looked into it.
    #[test]
    fn a_doubt_stays_due_until_it_is_looked_into() {
        let (mut coordinator, store) = opened("{ dc: { silence: 10s } }");
        coordinator.agent_heartbeat("dc", at(0)).expect("declared");
        for (seconds, verdict) in [(5, "suspect"), (10, "dead")] {
            assert_eq!(coordinator.next_due().1, Some(at(seconds).mono));
            coordinator.tick(at(seconds)).expect("the store works");
            assert_eq!(coordinator.agents(at(seconds))[0].verdict, verdict);
        }
        assert_eq!(coordinator.next_due().1, None);
        coordinator.agent_heartbeat("dc", at(11)).expect("declared");
        assert_eq!(coordinator.next_due().1, Some(at(16).mono));
        assert_eq!(store.head().seq.0, 4);
    }

    /// The machine slept for a minute, the server with it: nobody is late because of that, whichever way
    /// the agents are watched, and whoever is silent from then on is found in time.
    #[test]
    fn a_standstill_of_the_server_makes_nobody_dead() {
        let (mut coordinator, store) =
            opened("{ dc: { silence: 10s }, webc: { silence: 10s, detector: phi } }");
        for beat in 0..20 {
            for name in ["dc", "webc"] {
                coordinator
                    .agent_heartbeat(name, at(beat))
                    .expect("declared");
            }
            coordinator.tick(at(beat)).expect("the store works");
        }
        let before = store.head().seq;
        coordinator.excuse_pause(Duration::from_secs(60));
        coordinator.tick(at(80)).expect("the store works");
        for name in ["dc", "webc"] {
            coordinator.agent_heartbeat(name, at(81)).expect("declared");
        }
        coordinator.tick(at(82)).expect("the store works");
        assert_eq!(store.head().seq, before, "no verdict turned");
        // The gap that the sleep made says nothing about a rhythm either.
        coordinator.tick(at(86)).expect("the store works");
        coordinator.tick(at(91)).expect("the store works");
        let verdicts = coordinator.agents(at(91));
        assert!(
            verdicts.iter().all(|agent| agent.verdict == "dead"),
            "{verdicts:?}"
        );
    }

    /// An agent that beats every five seconds is dead within seconds, not after the declared minute,
    /// and the journal says from which numbers.
    #[test]
    fn a_verdict_by_rhythm_comes_early_and_tells_its_numbers() {
        let (mut coordinator, store) = opened("{ dc: { silence: 60s, detector: phi } }");
        for beat in 0..20 {
            coordinator
                .agent_heartbeat("dc", at(5 * beat))
                .expect("declared");
        }
        let mut seconds = 95;
        while coordinator.agents(at(seconds))[0].verdict != "dead" {
            seconds += 1;
            coordinator.tick(at(seconds)).expect("the store works");
        }
        assert!((110..115).contains(&seconds), "dead at {seconds}s");
        let records = store.read(&super::Agent::stream("dc"), 1).expect("records");
        let last = records.last().expect("a verdict");
        let verdict: super::AgentEvent =
            crate::coordinator::recovery::decode(last).expect("a fact");
        let super::AgentEvent::VerdictChanged { rhythm, .. } = verdict else {
            panic!("{verdict:?} is no verdict");
        };
        let rhythm = rhythm.expect("numbers");
        assert_eq!((rhythm.mean_ms, rhythm.gaps), (5000, 19));
        assert!(rhythm.phi >= 8.0, "{rhythm:?}");
    }
}
