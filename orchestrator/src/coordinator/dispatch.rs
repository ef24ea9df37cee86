//! From ready tasks to agents: claims, the serving of waiting polls, and the wire form of a task.

use phisync_agents::assignment::{self, Candidate, Offer};
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
        while tasks.len() < max as usize {
            let Some(known) = self.agents.get(agent) else {
                break;
            };
            let narrowed = narrow(&known.capabilities, capabilities);
            let candidate = candidate(agent, known, &narrowed, self.leases.count(agent));
            let Some(task) = self.ready.best_for(&candidate) else {
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
            tasks.extend(self.wire_form(&task, now));
        }
        Ok(tasks)
    }

    /// Serves waiting polls with what became ready, and freed agents with what was ready before.
    pub(super) fn serve_waiting_polls(&mut self, now: Now) {
        for task in std::mem::take(&mut self.polls.fresh) {
            let Some(offer) = self.ready.get(&task) else {
                continue;
            };
            if let Some(agent) = self.best_waiting_agent(offer) {
                self.serve(&agent, now);
            }
        }
        for agent in std::mem::take(&mut self.polls.freed) {
            while self.serve(&agent, now) {}
        }
    }

    fn best_waiting_agent(&self, offer: &Offer<TaskId>) -> Option<String> {
        if let Some(agent) = &offer.agent {
            return self.polls.someone_waits_as(agent).then(|| agent.clone());
        }
        let waiting = self.polls.by_agent.keys();
        let waiting: Vec<_> = waiting
            .filter_map(|name| {
                let agent = self.agents.get(name)?;
                let (_, poll) = self.polls.oldest_of(name)?;
                let capabilities = narrow(&agent.capabilities, poll.capabilities.as_deref());
                Some((name, agent, capabilities))
            })
            .collect();
        let candidates: Vec<_> = waiting
            .iter()
            .map(|(name, agent, capabilities)| {
                candidate(name, agent, capabilities, self.leases.count(name))
            })
            .collect();
        let chosen = assignment::choose(offer, &candidates)?;
        candidates.get(chosen).map(|c| c.name.to_owned())
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
            output_schema: schema,
            lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            lease_expires_at: now.wall.saturating_add(lease).to_string(),
            deadline: holder.run_deadline.to_string(),
            key: state.key.clone().unwrap_or_else(|| id.clone()),
            handoff: engine::handoff(state),
            id,
        })
    }

    /// What keeps each declared agent from a ready task: what it lacks, or that it does not ask.
    /// Empty if the task is not in the queue.
    pub(super) fn why_nobody_takes(&self, task: &TaskId, now: Now) -> Vec<(String, String)> {
        if self.ready.get(task).is_none() {
            return Vec::new();
        }
        let candidates: Vec<_> = self
            .agents
            .iter()
            .map(|(name, agent)| {
                candidate(name, agent, &agent.capabilities, self.leases.count(name))
            })
            .collect();
        let lacking = self.ready.lacks(task, &candidates);
        let fit = self
            .agents
            .keys()
            .filter(|name| !lacking.iter().any(|(other, _)| other == *name))
            .map(|name| (name.clone(), self.why_it_does_not_ask(name, now)));
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

fn narrow(declared: &[String], asked: Option<&[String]>) -> Vec<String> {
    let wanted = |c: &&String| asked.is_none_or(|asked| asked.contains(c));
    declared.iter().filter(wanted).cloned().collect()
}

fn candidate<'a>(
    name: &'a str,
    agent: &'a Agent,
    capabilities: &'a [String],
    load: usize,
) -> Candidate<'a> {
    Candidate {
        name,
        pool: &agent.pool,
        capabilities,
        load: u32::try_from(load).unwrap_or(u32::MAX),
        concurrency: agent.concurrency,
        alive: true,
    }
}
