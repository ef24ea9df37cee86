//! Who is alive, what the dead held, and everything that is due by a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use phisync_agents::detector::{Arrivals, Detector, Limits, Verdict};
use phisync_agents::registry::Registry;
use phisync_state::{StreamName, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::engine::{Input, RunId, TaskId, Transition};
use crate::protocol::AgentSummary;

use super::sharing::Sharing;
use super::{Coordinator, Now, Refusal, recovery};

/// A fact of the stream `agent/NAME`. Format version 1. Single heartbeats are not journalled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentEvent {
    /// The detector changed its mind.
    VerdictChanged {
        /// `unseen alive suspect dead`.
        from: String,
        /// Likewise.
        to: String,
        /// How long it had been silent, in milliseconds.
        silent_ms: u64,
        /// The silence that makes it dead, in milliseconds.
        limit_ms: u64,
        /// The rhythm from which the limit was found; absent where it was declared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rhythm: Option<Evidence>,
        /// When.
        at: Timestamp,
    },
    /// It took a task. Written only where several orchestrators share the store: it moves the version
    /// that the claims of the others expect, so that none of them exceeds the agent's concurrency.
    TaskTaken {
        /// The run of the task.
        run: RunId,
        /// When.
        at: Timestamp,
    },
}

/// What a verdict by rhythm rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Phi at the time of the verdict.
    pub phi: f64,
    /// Mean gap between signs of life, in milliseconds.
    pub mean_ms: u64,
    /// Standard deviation of the gaps, in milliseconds.
    pub deviation_ms: u64,
    /// How many gaps there were.
    pub gaps: u64,
}

impl AgentEvent {
    /// What the fact changed about `agent`, as the transition log tells it.
    #[must_use]
    pub fn transition(&self, agent: &str) -> Option<Transition> {
        let Self::VerdictChanged {
            from,
            to,
            silent_ms,
            limit_ms,
            rhythm,
            ..
        } = self
        else {
            return None;
        };
        let seconds = |millis: &u64| Duration::from_millis(*millis).as_secs_f64();
        let cause = match from_word(to) {
            Some(Verdict::Alive) if from_word(from).is_none() => "first heard of".to_owned(),
            Some(Verdict::Alive) => "heard of again".to_owned(),
            Some(Verdict::Suspect | Verdict::Dead) | None => {
                let (silent, limit) = (seconds(silent_ms), seconds(limit_ms));
                let phi = rhythm.as_ref().map(|rhythm| {
                    let mean = seconds(&rhythm.mean_ms);
                    format!(", phi {:.1} at a gap of {mean}s", rhythm.phi)
                });
                format!(
                    "silent for {silent}s of {limit}s{}",
                    phi.unwrap_or_default()
                )
            }
        };
        Some(Transition {
            subject: format!("agent {agent}"),
            from: word(from_word(from)),
            to: word(from_word(to)),
            cause,
        })
    }
}

/// After a lost race the runs of so many claims before it are read again: more than one batch holds.
const RECENT: Version = 1024;

/// What is known about a declared agent.
pub(super) struct Agent {
    declared: String,
    pub(super) capabilities: Vec<String>,
    pub(super) concurrency: u32,
    pub(super) pool: String,
    silence: Duration,
    detector: Detector,
    /// `None`: never seen.
    verdict: Option<Verdict>,
    /// The version of its stream.
    pub(super) version: Version,
}

impl Agent {
    pub(super) fn stream(key: &str) -> StreamName {
        StreamName::new(format!("agent/{key}"))
    }

    fn limits(&self, arrivals: &Arrivals) -> Limits {
        self.detector.limits(arrivals, self.silence)
    }
}

pub(super) fn team(registry: &Registry) -> BTreeMap<String, Agent> {
    let agents = registry.agents.iter().map(|spec| {
        let agent = Agent {
            declared: spec.name.declared().to_owned(),
            capabilities: spec.capabilities.clone(),
            concurrency: spec.concurrency,
            pool: spec.pool.clone(),
            silence: spec.silence,
            detector: spec.detector,
            verdict: None,
            version: 0,
        };
        (spec.name.key().to_owned(), agent)
    });
    agents.collect()
}

fn word(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        None => "unseen",
        Some(Verdict::Alive) => "alive",
        Some(Verdict::Suspect) => "suspect",
        Some(Verdict::Dead) => "dead",
    }
}

fn from_word(word: &str) -> Option<Verdict> {
    match word {
        "alive" => Some(Verdict::Alive),
        "suspect" => Some(Verdict::Suspect),
        "dead" => Some(Verdict::Dead),
        _ => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Coordinator {
    /// Every word of an agent is a sign of life.
    pub(super) fn greet(&mut self, name: &str, now: Now) -> Result<(), Refusal> {
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
        self.doubt_later(name, now);
    }

    /// Notes that an agent has lived, because it waited for us until now.
    pub(super) fn vouch(&mut self, name: &str, now: Now) {
        self.ledger.vouch(name, now.mono);
        self.doubt_later(name, now);
    }

    fn doubt_later(&mut self, name: &str, now: Now) {
        if let (Some(agent), Some(arrivals)) = (self.agents.get(name), self.ledger.arrivals(name)) {
            let turn = agent.limits(arrivals).next_turn(Duration::ZERO);
            let turn = turn.map(|turn| now.mono.saturating_add(turn));
            self.next_doubt = [self.next_doubt, turn].into_iter().flatten().min();
        }
    }

    /// Whether work may wait for `name`: it is declared and not dead.
    pub(super) fn is_at_hand(&self, name: &str) -> bool {
        let agent = self.agents.get(name);
        agent.is_some_and(|agent| agent.verdict != Some(Verdict::Dead))
    }

    fn change_verdict(&mut self, name: &str, to: Verdict, silent: Duration, now: Now) {
        let Some(agent) = self.agents.get_mut(name) else {
            return;
        };
        let unheard = Arrivals::default();
        let arrivals = self.ledger.arrivals(name).unwrap_or(&unheard);
        let by_rhythm = agent.detector == Detector::Phi && to != Verdict::Alive;
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
        self.batch.add(Agent::stream(name), agent.version, &[event]);
        agent.version += 1;
        agent.verdict = Some(to);
        self.stale_views.agents_changed();
    }

    pub(super) fn replay_agent(&mut self, name: &str, event: &AgentEvent, version: Version) {
        // An agent that is not declared any more has a past but no part in what follows.
        if let Some(agent) = self.agents.get_mut(name) {
            if let AgentEvent::VerdictChanged { to, .. } = event {
                agent.verdict = from_word(to);
            }
            agent.version = version;
        }
    }

    /// Relies on what the agent holds: nobody else may have given it a task meanwhile.
    pub(super) fn guard_agent(&mut self, name: &str, run: &RunId, now: Now) {
        let Some(agent) = self.agents.get_mut(name) else {
            return;
        };
        let stream = Agent::stream(name);
        if self.sharing == Sharing::Alone {
            self.batch.guard(stream, agent.version);
            return;
        }
        let taken = AgentEvent::TaskTaken {
            run: run.clone(),
            at: now.wall,
        };
        self.batch.add(stream, agent.version, &[taken]);
        agent.version += 1;
    }

    /// After a restart, the living have their whole limit again to say so.
    pub(super) fn expect_signs_of_life(&mut self, now: Now) {
        let living = self
            .agents
            .iter()
            .filter(|(_, agent)| matches!(agent.verdict, Some(Verdict::Alive | Verdict::Suspect)));
        let living: Vec<_> = living.map(|(name, _)| name.clone()).collect();
        for name in living {
            self.hear(&name, now);
        }
    }

    /// Forgets what was believed about the agents and reads it again, with the runs whose tasks other
    /// orchestrators gave them.
    pub(super) fn reload_agents(&mut self, now: Now) -> Result<(), Refusal> {
        let names: Vec<_> = self.agents.keys().cloned().collect();
        let mut runs = BTreeSet::new();
        for name in names {
            let known = self.agents.get(&name).map_or(0, |agent| agent.version);
            if let Some(agent) = self.agents.get_mut(&name) {
                agent.verdict = None;
                agent.version = 0;
            }
            for record in self.store.read(&Agent::stream(&name), 1)? {
                let event: AgentEvent = recovery::decode(&record)?;
                self.replay_agent(&name, &event, record.version);
                if let AgentEvent::TaskTaken { run, .. } = event
                    && record.version + RECENT >= known
                {
                    runs.insert(run);
                }
            }
        }
        for run in runs {
            if !self.closed.is_taken(&run) {
                self.reread(&run, now)?;
            }
        }
        Ok(())
    }

    /// Does everything that is due by now: clocks of runs, lost leases, silent agents, polls that
    /// have waited long enough.
    ///
    /// # Errors
    /// Only the store's.
    pub fn tick(&mut self, now: Now) -> Result<(), Refusal> {
        self.transact(now, |c| {
            while let Some((at, id)) = c.due.first().cloned() {
                if at > now.wall {
                    break;
                }
                match c.decide(&id, Input::Tick, now) {
                    // The clocks of one run hold up nobody else's.
                    Err(Refusal::Rejected(no)) => {
                        tracing::error!(run = %id, %no, "a clock is lost");
                    }
                    other => other?,
                }
                if c.due
                    .first()
                    .is_some_and(|(next, same)| (*next, same) == (at, &id))
                {
                    // A clock that does not move on would be rung for ever.
                    c.due.pop_first();
                }
            }
            c.run_schedules(now)?;
            for task in c.leases.expired(now.mono) {
                let holder = c.leases.holder(&task).unwrap_or("the agent");
                let why = format!("{holder} sent no heartbeat within its lease");
                c.lose_lease(&task, &why, now)?;
            }
            c.judge_agents(now)?;
            c.end_polls(now);
            c.tick_locks(now)?;
            c.next_doubt = c.first_doubt(now);
            Ok(())
        })
    }

    /// When the verdict on some agent turns first, if all stay silent.
    fn first_doubt(&self, now: Now) -> Option<Duration> {
        let limits = |name: &str, arrivals: &Arrivals| {
            let agent = self.agents.get(name);
            agent.map_or(Limits::NEVER, |agent| agent.limits(arrivals))
        };
        self.ledger.next_due(now.mono, limits)
    }

    fn judge_agents(&mut self, now: Now) -> Result<(), Refusal> {
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

    fn lose_lease(&mut self, task: &TaskId, why: &str, now: Now) -> Result<(), Refusal> {
        let open = self.open.get(&task.run);
        let held = open.and_then(|run| {
            let holder = run.state.task(task.step, task.undo)?.holder.as_ref()?;
            Some((run.state.name(task.step), holder.token))
        });
        let Some((step, token)) = held else {
            self.leases.revoke(task);
            return Ok(());
        };
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
                self.leases.revoke(task);
                Ok(())
            }
            other => other,
        }
    }

    /// When something may be due next: by the wall clock, and by the monotonic one. Asked before
    /// every job, so it looks at nobody in particular.
    #[must_use]
    pub fn next_due(&self) -> (Option<Timestamp>, Option<Duration>) {
        let run = self.due.first().map(|(at, _)| *at);
        let at_once = self.events.is_busy().then(Timestamp::default);
        let wall = [run, self.schedules.next_due(), at_once];
        let wall = wall.into_iter().flatten().min();
        let mono = [
            self.leases.next_expiry(),
            self.next_poll_end(),
            self.next_doubt,
            self.locks.next_due(),
        ];
        (wall, mono.into_iter().flatten().min())
    }

    /// This process stood still for `pause`: nobody is late because of that.
    pub fn excuse_pause(&mut self, pause: Duration) {
        self.leases.extend_all(pause);
        self.ledger.excuse(pause);
        self.locks.excuse(pause);
    }

    /// Every declared agent.
    #[must_use]
    pub fn agents(&self, now: Now) -> Vec<AgentSummary> {
        let agents = self.agents.iter().map(|(key, agent)| AgentSummary {
            name: agent.declared.clone(),
            verdict: word(agent.verdict).to_owned(),
            capabilities: agent.capabilities.clone(),
            concurrency: agent.concurrency,
            holds: self
                .leases
                .held_by(key)
                .iter()
                .filter_map(|task| {
                    let run = self.open.get(&task.run)?;
                    Some(task.print(&run.state))
                })
                .collect(),
            silent_ms: self.ledger.silence(key, now.mono).map(millis),
        });
        agents.collect()
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

    /// Bug: what was due was asked for anew after each wait, and a verdict that had just turned
    /// had its next turn ahead of it. An agent without a task was thus never found dead. Now a
    /// doubt stays due until a tick has looked into it.
    #[test]
    fn a_doubt_stays_due_until_it_is_looked_into() {
        let text = "phisync: 1\nagents:\n  dc: { silence: 10s }\n";
        let registry = Registry::parse("agents.yaml", text).expect("a team");
        let store = Arc::new(MemoryStore::new());
        let entropy = Box::new(SeededEntropy::new(1));
        let at = |seconds| Now {
            wall: Timestamp::from_micros(0),
            mono: Duration::from_secs(seconds),
        };
        let shared = Arc::<MemoryStore>::clone(&store);
        let mut coordinator =
            Coordinator::open(shared, 1, registry, entropy, None, at(0)).expect("an empty store");
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

    /// An agent that beats every five seconds is dead within seconds, not after the declared minute,
    /// and the journal says from which numbers.
    #[test]
    fn a_verdict_by_rhythm_comes_early_and_tells_its_numbers() {
        let text = "phisync: 1\nagents:\n  dc: { silence: 60s, detector: phi }\n";
        let registry = Registry::parse("agents.yaml", text).expect("a team");
        let store = Arc::new(MemoryStore::new());
        let at = |seconds| Now {
            wall: Timestamp::from_micros(0),
            mono: Duration::from_secs(seconds),
        };
        let entropy = Box::new(SeededEntropy::new(1));
        let shared = Arc::<MemoryStore>::clone(&store);
        let mut coordinator =
            Coordinator::open(shared, 1, registry, entropy, None, at(0)).expect("an empty store");
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
        let verdict: super::AgentEvent = super::recovery::decode(last).expect("a fact");
        let super::AgentEvent::VerdictChanged { rhythm, .. } = verdict else {
            panic!("{verdict:?} is no verdict");
        };
        let rhythm = rhythm.expect("numbers");
        assert_eq!((rhythm.mean_ms, rhythm.gaps), (5000, 19));
        assert!(rhythm.phi >= 8.0, "{rhythm:?}");
    }
}
