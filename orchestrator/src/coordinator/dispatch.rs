//! From ready tasks to agents: claims, the serving of waiting polls, and the wire form of a task.

use std::borrow::Cow;

use phisync_agents::assignment::Candidate;
use phisync_agents::protocol::Task;

use crate::engine::{self, Input, TaskId};

use super::polls::Handed;
use super::team::Agent;
use super::{Coordinator, Now, Refusal};

impl Coordinator {
    /// Claims the best tasks for an agent, as many as it may hold.
    pub(super) fn claim_best(
        &mut self,
        agent: &str,
        capabilities: Option<&[String]>,
        max: u32,
        now: Now,
    ) -> Result<Vec<Task>, Refusal> {
        let mut tasks = Vec::new();
        self.refresh_agent(agent, now)?;
        self.refresh_limits(now)?;
        while tasks.len() < max as usize {
            let Some(known) = self.agents.get(agent) else {
                break;
            };
            let narrowed = narrow(&known.spec.capabilities, capabilities);
            let candidate = candidate(agent, known, &narrowed, self.leases.count(agent), now);
            let closed = self.limits.closed(now.wall);
            let Some(task) = self.ready.best_for(&candidate, &closed) else {
                break;
            };
            let open = self.open.get(&task.run);
            let Some(step) = open.map(|run| run.state.name(task.step)) else {
                self.ready.remove(&task);
                continue;
            };
            let input = Input::Claim {
                step,
                undo: task.undo,
                agent: agent.to_owned(),
                epoch: self.epoch,
            };
            self.decide(&task.run, input, now)?;
            self.guard_agent(agent, &task.run, now);
            self.use_limit(&task, now);
            tasks.extend(self.wire_form(&task, now));
        }
        Ok(tasks)
    }

    /// Serves waiting polls with what became ready, and freed agents with what was ready before.
    pub(super) fn serve_waiting_polls(&mut self, now: Now) {
        let fresh = std::mem::take(&mut self.polls.fresh);
        for task in self.ready.in_order(fresh) {
            self.serve_with(&task, now);
        }
        for task_type in std::mem::take(&mut self.polls.reopened) {
            // Serving one may make another the head: until nobody takes any of them.
            while self
                .ready
                .heads_of_type(&task_type)
                .iter()
                .any(|head| self.serve_with(head, now))
            {}
        }
        for agent in std::mem::take(&mut self.polls.freed) {
            while self.serve(&agent, now) {}
        }
        self.reseat_moved(now);
    }

    /// Finds a waiting agent for a task; whether somebody has taken it.
    fn serve_with(&mut self, task: &TaskId, now: Now) -> bool {
        // Whoever is chosen takes what is best for it, which may be another task.
        while let Some(agent) = self.best_waiting_agent(task, now) {
            if !self.serve(&agent, now) {
                return false;
            }
            if !self.ready.contains(task) {
                return true;
            }
        }
        false
    }

    fn best_waiting_agent(&mut self, task: &TaskId, now: Now) -> Option<String> {
        self.reseat_moved(now);
        let offer = self.ready.get(task)?;
        let limited = offer.limited.as_ref();
        if limited.is_some_and(|limited| self.limits.why_closed(limited, now.wall).is_some()) {
            return None;
        }
        self.polls.seats.choose(offer).map(str::to_owned)
    }

    /// Brings what is known of the waiting agents up to date, and has those woken whose rest ends later.
    pub(super) fn reseat_moved(&mut self, now: Now) {
        for name in self.polls.take_moved() {
            self.reseat(&name, now);
        }
    }

    fn reseat(&mut self, name: &str, now: Now) {
        self.polls.seats.remove(name);
        let (Some(agent), Some((_, poll))) = (self.agents.get(name), self.polls.oldest_of(name))
        else {
            return;
        };
        let capabilities = narrow(&agent.spec.capabilities, poll.capabilities.as_deref());
        let load = self.leases.count(name);
        let candidate = candidate(name, agent, &capabilities, load, now);
        if let Some(wait) = candidate.resting {
            let at = now.wall.saturating_add(wait);
            self.limits.wake_agent(name, at);
        }
        self.polls.seats.seat(&candidate);
    }

    /// Serves the oldest waiting poll of one agent with what is best for it. `false`: there is no
    /// such poll, or nothing for it.
    fn serve(&mut self, agent: &str, now: Now) -> bool {
        let Some((id, poll)) = self.polls.oldest_of(agent) else {
            return false;
        };
        let poll = poll.clone();
        let claimed = self.claim_best(agent, poll.capabilities.as_deref(), poll.max, now);
        let Ok(tasks) = claimed else {
            return false;
        };
        if tasks.is_empty() {
            return false;
        }
        self.polls.remove(id);
        self.polls.serving.push((poll, Handed { poll: id, tasks }));
        true
    }

    /// What an agent gets to see of a task that it has just claimed.
    fn wire_form(&self, task: &TaskId, now: Now) -> Option<Task> {
        let run = &self.open.get(&task.run)?.state;
        let step = run.spec(task.step);
        let rules = engine::rules(step, task.undo)?;
        let state = run.task(task.step, task.undo)?;
        let holder = state.holder.as_ref()?;
        let id = task.print(run);
        let lease = rules.timeouts.lease;
        let schema = (!rules.output.is_any()).then(|| rules.output.to_json());
        Some(Task {
            run: run.id.to_string(),
            workflow: run.machine.name().to_owned(),
            step: run.name(task.step),
            attempt: state.attempt,
            token: holder.token,
            task_type: rules.spec.task_type.clone(),
            prompt: state.prompt.clone(),
            input: state.input.to_boxed(),
            attachments: state
                .attachments
                .iter()
                .map(engine::RawJson::parse)
                .collect(),
            secrets: rules.spec.secrets.clone(),
            output_schema: schema,
            lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            lease_expires_at: now.wall.saturating_add(lease).to_string(),
            deadline: holder.run_deadline.to_string(),
            key: state.key.clone().unwrap_or_else(|| id.clone()),
            handoff: engine::handoff(state),
            id,
        })
    }

    /// What keeps each agent from a ready task: what it lacks, or that it does not ask.
    /// Empty if the task is not in the queue.
    pub(super) fn why_nobody_takes(&self, task: &TaskId, now: Now) -> Vec<(String, String)> {
        let Some(offer) = self.ready.get(task) else {
            return Vec::new();
        };
        let candidates: Vec<_> = self
            .agents
            .iter()
            .map(|(name, agent)| {
                let load = self.leases.count(name);
                candidate(name, agent, &agent.spec.capabilities, load, now)
            })
            .collect();
        let lacking = self.ready.lacks(task, &candidates);
        let limited = offer.limited.as_ref();
        let closed = limited.and_then(|limited| {
            let why = self.limits.why_closed(limited, now.wall)?;
            Some(format!("could take it, but its type `{limited}` {why}"))
        });
        let fit = self
            .agents
            .keys()
            .filter(|name| !lacking.iter().any(|(other, _)| other == *name))
            .map(|name| {
                let closed = closed.clone();
                let why = closed.unwrap_or_else(|| self.why_it_does_not_ask(name, now));
                (name.clone(), why)
            });
        let fit: Vec<_> = fit.collect();
        // Those who could come first: whoever asks why looks for them.
        [fit, lacking].concat()
    }

    fn why_it_does_not_ask(&self, agent: &str, now: Now) -> String {
        if self.polls.someone_waits_as(agent) {
            return "could take it, but asks for other capabilities only".to_owned();
        }
        match self.ledger.silence(agent, now.mono) {
            Some(silent) => format!(
                "could take it, but is not asking: no word of it for {}s",
                silent.as_secs()
            ),
            None => {
                "could take it, but is not asking: not heard of since the server started".to_owned()
            }
        }
    }
}

/// An agent's capabilities, or those of them that were asked for.
fn narrow<'a>(declared: &'a [String], asked: Option<&[String]>) -> Cow<'a, [String]> {
    match asked {
        None => Cow::Borrowed(declared),
        Some(asked) => declared
            .iter()
            .filter(|c| asked.contains(c))
            .cloned()
            .collect(),
    }
}

fn candidate<'a>(
    name: &'a str,
    agent: &'a Agent,
    capabilities: &'a [String],
    load: usize,
    now: Now,
) -> Candidate<'a> {
    Candidate {
        name,
        pool: &agent.spec.pool,
        capabilities,
        load: u32::try_from(load).unwrap_or(u32::MAX),
        concurrency: agent.spec.concurrency,
        alive: true,
        drained: agent.is_drained(),
        resting: agent.resting(now.wall),
    }
}
