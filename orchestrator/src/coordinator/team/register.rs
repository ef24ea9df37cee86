//! Agents that nobody declared: registered while the server runs, changed, and removed again.
//!
//! `agents.yaml` has the last word: a name that it declares is not registered, and where it comes to
//! declare one that was, the registration rests until the file drops the name. What is registered is a
//! fact of the agent's stream, so it survives restarts, snapshots and rewinds.

use std::collections::btree_map::Entry;

use phisync_agents::registry::{AgentSpec, Description};

use crate::coordinator::{Coordinator, Now, Refusal};
use crate::protocol::AgentDetail;

use super::drain::no_agent;
use super::{Agent, AgentEvent};

/// More is a mistake in somebody's loop.
const REGISTERED_MAX: usize = 10_000;

impl Coordinator {
    /// Takes an agent into the team, or changes what one that was taken in may be given: at once, for
    /// polls that wait too. What it holds it keeps. Also told: whether it was not there before.
    ///
    /// # Errors
    /// A description that breaks a rule, a name that `agents.yaml` declares, too many agents.
    pub fn register_agent(
        &mut self,
        described: &Description,
        by: &str,
        now: Now,
    ) -> Result<(AgentDetail, bool), Refusal> {
        let spec = described.read().map_err(Refusal::BadAgent)?;
        let key = spec.name.key().to_owned();
        let is_new = self.transact(now, |c| {
            c.learn_agent(&key)?;
            c.may_be_registered(&spec)?;
            let known = c.agents.get(&key);
            if known.is_some_and(|agent| agent.spec == spec) {
                return Ok(false);
            }
            let version = match known {
                Some(agent) => agent.version,
                None => c.store.version(&Agent::stream(&key)),
            };
            let is_new = known.is_none();
            let event = AgentEvent::Registered {
                agent: described.clone(),
                by: by.to_owned(),
                at: now.wall,
            };
            c.add_member_fact(&key, version, &event);
            c.polls.has_moved(&key);
            c.polls.is_free(&key);
            Ok(is_new)
        })?;
        Ok((self.agent(&key, now)?, is_new))
    }

    /// Takes a registered agent out of the team. What it holds is taken from it if that is meant
    /// (`at_once`), and goes to others as after a death; the polls that wait in its name end empty.
    /// The tasks that it lost are told.
    ///
    /// # Errors
    /// An agent that is not there, one that `agents.yaml` declares, one that holds tasks.
    pub fn remove_agent(
        &mut self,
        name: &str,
        by: &str,
        reason: Option<&str>,
        at_once: bool,
        now: Now,
    ) -> Result<Vec<String>, Refusal> {
        let key = name.to_lowercase();
        self.transact(now, |c| {
            c.learn_agent(&key)?;
            c.refresh_agent(&key, now)?;
            let agent = c.agents.get(&key).ok_or_else(|| no_agent(name))?;
            if agent.is_declared {
                return Err(Refusal::Declared {
                    name: agent.spec.name.declared().to_owned(),
                    what: "an agent",
                });
            }
            let lost = c.holds(&key);
            if !lost.is_empty() && !at_once {
                return Err(Refusal::HoldsTasks {
                    agent: agent.spec.name.declared().to_owned(),
                    tasks: lost,
                });
            }
            for task in c.leases.held_by(&key) {
                let why = format!("{key} was removed by {by}");
                c.lose_lease(&task, &why, now)?;
            }
            let Some(version) = c.agents.get(&key).map(|agent| agent.version) else {
                return Ok(lost);
            };
            let event = AgentEvent::Removed {
                by: by.to_owned(),
                reason: reason.map(str::to_owned),
                at: now.wall,
            };
            c.add_member_fact(&key, version, &event);
            c.ledger.forget(&key);
            c.end_polls_of(&key);
            c.unstick(&key);
            Ok(lost)
        })
    }

    /// The agents that were registered, not declared: what a workflow may name beside the file.
    pub fn registered(&self) -> impl Iterator<Item = &AgentSpec> {
        let agents = self.agents.values();
        agents
            .filter(|agent| !agent.is_declared)
            .map(|agent| &agent.spec)
    }

    /// Whether there is an agent of that name, declared or registered.
    #[must_use]
    pub fn has_agent(&self, name: &str) -> bool {
        self.agents.contains_key(&name.to_lowercase())
    }

    fn may_be_registered(&self, spec: &AgentSpec) -> Result<(), Refusal> {
        let (key, declared) = (spec.name.key(), spec.name.declared());
        let taken = |what| Refusal::Declared {
            name: declared.to_owned(),
            what,
        };
        if self.registry.person(key).is_some() {
            return Err(taken("a person"));
        }
        match self.agents.get(key) {
            Some(agent) if agent.is_declared => Err(taken("an agent")),
            Some(_) => Ok(()),
            None if self.registered().count() >= REGISTERED_MAX => {
                Err(Refusal::CrewFull(REGISTERED_MAX))
            }
            None => Ok(()),
        }
    }

    fn add_member_fact(&mut self, key: &str, version: u64, event: &AgentEvent) {
        self.batch.add(Agent::stream(key), version, &[event]);
        self.replay_agent(key, event, version + 1);
        self.stale_views.agents_changed();
    }

    /// Folds a fact about who belongs to the team; `false`: it is a fact of another kind.
    pub(super) fn fold_membership(&mut self, key: &str, event: &AgentEvent) -> bool {
        match event {
            AgentEvent::Registered { agent, .. } => {
                // Names are shared with people, and the file has the last word.
                if self.registry.person(key).is_some() {
                    return true;
                }
                // What was written was read once: a description that cannot be read is none of ours.
                let Ok(spec) = agent.read() else { return true };
                match self.agents.entry(key.to_owned()) {
                    Entry::Vacant(place) => {
                        let mut agent = Agent::of(spec, false);
                        agent.registered = Some(event.clone());
                        place.insert(agent);
                    }
                    Entry::Occupied(place) => {
                        let agent = place.into_mut();
                        // Another life under the same name: what was believed before is not about it.
                        if agent.registered.replace(event.clone()).is_none() {
                            agent.forget_beliefs();
                        }
                        if !agent.is_declared {
                            agent.spec = spec;
                        }
                    }
                }
                true
            }
            AgentEvent::Removed { .. } => {
                match self.agents.get_mut(key) {
                    Some(agent) if agent.is_declared => {
                        agent.registered = None;
                        agent.forget_beliefs();
                    }
                    _ => {
                        self.agents.remove(key);
                    }
                }
                true
            }
            AgentEvent::VerdictChanged { .. }
            | AgentEvent::TaskTaken { .. }
            | AgentEvent::Drained { .. }
            | AgentEvent::Undrained { .. } => false,
        }
    }

    /// Says in the log which registrations rest, because the file declares the same name.
    pub(in crate::coordinator) fn tell_resting_registrations(&self) {
        let resting = self
            .agents
            .values()
            .filter(|agent| agent.is_declared && agent.registered.is_some());
        for agent in resting {
            let agent = agent.spec.name.declared();
            tracing::warn!(%agent, "agents.yaml declares an agent that was registered: the file is followed");
        }
    }
}
