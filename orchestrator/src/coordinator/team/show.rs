//! What people get to see of agents: the list, one of them with the numbers, and the health view.

use phisync_agents::detector::Arrivals;
use phisync_agents::record::{Outcome, WINDOW};
use phisync_state::Timestamp;
use serde_json::{Map, Value, json};

use crate::coordinator::{Coordinator, Now, Refusal};
use crate::protocol::{
    AgentDetail, AgentRegistration, AgentSummary, AgentWork, Drained, HeldTask, Judgement, Rhythm,
};

use super::drain::no_agent;
use super::{Agent, AgentEvent, millis, word};

impl Coordinator {
    /// Every agent, declared or registered.
    #[must_use]
    pub fn agents(&self, now: Now) -> Vec<AgentSummary> {
        let agents = self.agents.iter();
        agents
            .map(|(key, agent)| self.agent_summary(key, agent, now))
            .collect()
    }

    /// One agent, with the numbers that its verdict rests on.
    ///
    /// # Errors
    /// An agent that is not in the team.
    pub fn agent(&self, name: &str, now: Now) -> Result<AgentDetail, Refusal> {
        let key = name.to_lowercase();
        let agent = self.agents.get(&key).ok_or_else(|| no_agent(name))?;
        let unheard = Arrivals::default();
        let arrivals = self.ledger.arrivals(&key).unwrap_or(&unheard);
        let limits = agent.limits(arrivals);
        let rhythm = arrivals.rhythm().map(|rhythm| Rhythm {
            mean_ms: millis(rhythm.mean),
            deviation_ms: millis(rhythm.deviation),
            gaps: rhythm.gaps,
            phi: self
                .ledger
                .silence(&key, now.mono)
                .map(|silent| rhythm.phi(silent)),
        });
        Ok(AgentDetail {
            summary: self.agent_summary(&key, agent, now),
            registered_by: agent.registered.as_ref().and_then(registration),
            pool: agent.spec.pool.clone(),
            rate: agent.spec.rate.map(|rate| rate.to_string()),
            resting_ms: agent.resting(now.wall).map(millis),
            last_seen: self.last_seen(&key, now).map(|at| at.to_string()),
            waits: self.polls.someone_waits_as(&key),
            detector: agent.spec.detector.as_str().to_owned(),
            silence_ms: millis(agent.spec.silence),
            suspect_after_ms: millis(limits.suspect),
            dead_after_ms: millis(limits.dead),
            rhythm,
            judged: agent.judged.as_ref().and_then(judgement),
            drained_by: agent.drained.as_ref().and_then(drained),
            tasks: self.held_tasks(&key, now),
            work: self.work_of(&key),
        })
    }

    /// `agent-health.json`: name to when it was last heard of and what is thought of it, as scripts of a
    /// shared state folder read it.
    pub(in crate::coordinator) fn agent_health(&self, now: Now) -> Value {
        let agents = self.agents.iter().map(|(key, agent)| {
            let health = json!({
                "lastSeen": self.last_seen(key, now).map(|at| at.to_string()),
                "status": word(agent.verdict),
                "drained": agent.is_drained(),
                "holds": self.holds(key),
            });
            (agent.spec.name.declared().to_owned(), health)
        });
        Value::Object(agents.collect::<Map<_, _>>())
    }

    fn agent_summary(&self, key: &str, agent: &Agent, now: Now) -> AgentSummary {
        AgentSummary {
            name: agent.spec.name.declared().to_owned(),
            origin: if agent.is_declared {
                "declared".to_owned()
            } else {
                "registered".to_owned()
            },
            verdict: word(agent.verdict).to_owned(),
            drained: agent.is_drained(),
            capabilities: agent.spec.capabilities.clone(),
            concurrency: agent.spec.concurrency,
            holds: self.holds(key),
            silent_ms: self.ledger.silence(key, now.mono).map(millis),
            still_ms: self.still_for(key, now).map(millis),
        }
    }

    fn last_seen(&self, key: &str, now: Now) -> Option<Timestamp> {
        let silent = self.ledger.silence(key, now.mono)?;
        let micros = i64::try_from(silent.as_micros()).unwrap_or(i64::MAX);
        let at = now.wall.as_micros().saturating_sub(micros);
        Some(Timestamp::from_micros(at))
    }

    pub(super) fn holds(&self, key: &str) -> Vec<String> {
        let held = self.leases.held_by(key);
        let printed = held.iter().filter_map(|task| {
            let run = self.open.get(&task.run)?;
            Some(task.print(&run.state))
        });
        printed.collect()
    }

    fn held_tasks(&self, key: &str, now: Now) -> Vec<HeldTask> {
        let held = self.leases.held_by(key);
        let tasks = held.iter().filter_map(|task| {
            let run = &self.open.get(&task.run)?.state;
            let since = self.work.since(&task.run, &run.name(task.step), task.undo);
            let ends = self.leases.expires(task)?;
            Some(HeldTask {
                task: task.print(run),
                since: since.map(|at| at.to_string()),
                lease_left_ms: millis(ends.saturating_sub(now.mono)),
            })
        });
        tasks.collect()
    }

    fn work_of(&self, key: &str) -> AgentWork {
        let record = self.work.of(key).cloned().unwrap_or_default();
        AgentWork {
            window: WINDOW,
            completed: record.count(Outcome::Completed),
            failed: record.count(Outcome::Failed),
            lost: record.count(Outcome::Lost),
            given_back: record.count(Outcome::GivenBack),
            success_rate: record.success_rate(),
            p50_ms: record.percentile(50).map(millis),
            p95_ms: record.percentile(95).map(millis),
        }
    }
}

fn judgement(event: &AgentEvent) -> Option<Judgement> {
    let AgentEvent::VerdictChanged {
        from,
        to,
        silent_ms,
        limit_ms,
        rhythm,
        at,
    } = event
    else {
        return None;
    };
    Some(Judgement {
        from: from.clone(),
        to: to.clone(),
        at: at.to_string(),
        silent_ms: *silent_ms,
        limit_ms: *limit_ms,
        rhythm: rhythm.as_ref().map(|evidence| Rhythm {
            mean_ms: evidence.mean_ms,
            deviation_ms: evidence.deviation_ms,
            gaps: usize::try_from(evidence.gaps).unwrap_or(usize::MAX),
            phi: Some(evidence.phi),
        }),
    })
}

fn drained(event: &AgentEvent) -> Option<Drained> {
    let AgentEvent::Drained { by, reason, at } = event else {
        return None;
    };
    Some(Drained {
        by: by.clone(),
        reason: reason.clone(),
        at: at.to_string(),
    })
}

fn registration(event: &AgentEvent) -> Option<AgentRegistration> {
    let AgentEvent::Registered { by, at, .. } = event else {
        return None;
    };
    Some(AgentRegistration {
        by: by.clone(),
        at: at.to_string(),
    })
}
