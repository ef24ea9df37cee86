//! The team: what each agent can do, what is believed about it, and the journal of that.
//!
//! When an agent counts as dead stands in `liveness.rs`, what it is given in `dispatch.rs`.

mod drain;
mod event;
mod register;
mod show;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use phisync_agents::detector::{Arrivals, Limits, Verdict};
use phisync_agents::registry::{AgentSpec, Registry};
use phisync_state::{StreamName, Timestamp, Version};

use crate::engine::RunId;

use super::limits::resting;
use super::sharing::Sharing;
use super::{Coordinator, Now, Refusal, recovery};

pub use event::{AgentEvent, Evidence};
pub(super) use work::{TaskFact, WorkRecords};

/// What is known about an agent of the team.
pub(super) struct Agent {
    pub(super) spec: AgentSpec,
    /// Whether `agents.yaml` declares it. If not, it was registered.
    pub(super) is_declared: bool,
    /// The fact that registered it last. It rests while the file declares the name.
    registered: Option<AgentEvent>,
    /// When the rate would be unused again.
    full_at: Timestamp,
    /// `None`: never seen.
    pub(super) verdict: Option<Verdict>,
    /// The fact that last changed the verdict.
    judged: Option<AgentEvent>,
    /// The fact that drained it; `None`: it takes tasks.
    drained: Option<AgentEvent>,
    /// The version of its stream.
    pub(super) version: Version,
}

impl Agent {
    fn of(spec: AgentSpec, is_declared: bool) -> Self {
        Self {
            spec,
            is_declared,
            registered: None,
            full_at: Timestamp::default(),
            verdict: None,
            judged: None,
            drained: None,
            version: 0,
        }
    }

    pub(super) fn stream(key: &str) -> StreamName {
        StreamName::new(format!("agent/{key}"))
    }

    pub(super) fn limits(&self, arrivals: &Arrivals) -> Limits {
        self.spec.detector.limits(arrivals, self.spec.silence)
    }

    /// Folds one fact. Who belongs to the team stands in `register.rs`.
    pub(super) fn believe(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::VerdictChanged { to, .. } => {
                self.verdict = from_word(to);
                self.judged = Some(event.clone());
            }
            AgentEvent::Drained { .. } => self.drained = Some(event.clone()),
            AgentEvent::Undrained { .. } => self.drained = None,
            AgentEvent::TaskTaken { full_at, .. } => {
                self.full_at = full_at.unwrap_or(self.full_at);
            }
            AgentEvent::Registered { .. } | AgentEvent::Removed { .. } => {}
        }
    }

    fn forget_beliefs(&mut self) {
        self.verdict = None;
        self.judged = None;
        self.drained = None;
        self.full_at = Timestamp::default();
    }

    /// Forgets every fact.
    fn forget(&mut self) {
        self.forget_beliefs();
        self.registered = None;
        self.version = 0;
    }

    pub(super) fn is_drained(&self) -> bool {
        self.drained.is_some()
    }

    /// How long its rate lets it take nothing more; `None`: it may.
    pub(super) fn resting(&self, now: Timestamp) -> Option<Duration> {
        resting(self.spec.rate, self.full_at, now)
    }
}

pub(super) fn team(registry: &Registry) -> BTreeMap<String, Agent> {
    let agents = registry.agents.iter();
    agents
        .map(|spec| (spec.name.key().to_owned(), Agent::of(spec.clone(), true)))
        .collect()
}

pub(super) fn word(verdict: Option<Verdict>) -> &'static str {
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

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Coordinator {
    /// Whether work may wait for `name`: it is in the team, not dead, and not drained.
    pub(super) fn is_at_hand(&self, name: &str) -> bool {
        let agent = self.agents.get(name);
        agent.is_some_and(|agent| agent.verdict != Some(Verdict::Dead) && !agent.is_drained())
    }

    pub(super) fn replay_agent(&mut self, name: &str, event: &AgentEvent, version: Version) {
        let told = self.fold_membership(name, event);
        // An agent that is not in the team any more has a past but no part in what follows.
        if let Some(agent) = self.agents.get_mut(name) {
            if !told {
                agent.believe(event);
            }
            agent.version = version;
        }
    }

    /// Relies on what the agent holds: nobody else may have given it a task meanwhile. Uses its rate.
    pub(super) fn guard_agent(&mut self, name: &str, run: &RunId, now: Now) {
        let Some(agent) = self.agents.get_mut(name) else {
            return;
        };
        let stream = Agent::stream(name);
        if self.sharing == Sharing::Alone && agent.spec.rate.is_none() {
            self.batch.guard(stream, agent.version);
            return;
        }
        let full_at = agent.spec.rate.map(|rate| {
            let full_at = rate.take(agent.full_at.as_micros(), now.wall.as_micros());
            Timestamp::from_micros(full_at)
        });
        let taken = AgentEvent::TaskTaken {
            run: run.clone(),
            full_at,
            at: now.wall,
        };
        self.batch.add(stream, agent.version, &[&taken]);
        agent.version += 1;
        agent.believe(&taken);
        self.polls.has_moved(name);
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

    /// Reads about an agent that is not known here: another orchestrator may have registered it.
    pub(super) fn learn_agent(&mut self, name: &str) -> Result<(), Refusal> {
        if self.sharing != Sharing::Shared || self.agents.contains_key(name) {
            return Ok(());
        }
        for record in self.store.read(&Agent::stream(name), 1)? {
            self.replay_agent(name, &recovery::decode(&record)?, record.version);
        }
        Ok(())
    }

    /// Learns what others have written about the agents, and of which runs they gave them tasks.
    pub(in crate::coordinator) fn learn_of_agents(
        &mut self,
        ahead: &BTreeMap<StreamName, Version>,
        runs: &mut BTreeSet<RunId>,
    ) -> Result<(), Refusal> {
        let known = self.agents.iter();
        let mut known: BTreeMap<String, Version> =
            known.map(|(name, a)| (name.clone(), a.version)).collect();
        for stream in ahead.keys() {
            // Somebody whom the lost batch removed is not known any more.
            if let Some(name) = stream.as_str().strip_prefix("agent/") {
                known.entry(name.to_owned()).or_default();
            }
        }
        for (name, known) in known {
            let stream = Agent::stream(&name);
            let before = ahead.get(&stream);
            let news = self.news(&stream, known, before)?;
            if before.is_some() {
                // Who was registered comes back with the facts that say so.
                self.agents
                    .retain(|key, agent| *key != name || agent.is_declared);
            }
            if before.is_some()
                && let Some(agent) = self.agents.get_mut(&name)
            {
                agent.forget();
            }
            if before.is_some() || !news.is_empty() {
                self.polls.has_moved(&name);
            }
            let known = before.copied().unwrap_or(known);
            for record in news {
                let event: AgentEvent = recovery::decode(&record)?;
                self.replay_agent(&name, &event, record.version);
                if let AgentEvent::TaskTaken { run, .. } = event
                    && record.version > known
                {
                    runs.insert(run);
                }
            }
        }
        Ok(())
    }
}
