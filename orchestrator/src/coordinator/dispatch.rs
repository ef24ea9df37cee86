//! From ready tasks to agents: the queue, the waiting polls, and the wire form of a task.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use phisync_agents::assignment::{self, Candidate, Offer};
use phisync_agents::protocol::Task;
use phisync_agents::registry::POOL_DEFAULT;
use phisync_workflows::machine::Reassign;

use crate::engine::{self, Input, RunEvent, RunId, TaskId, TaskStatus};

use super::batch::LeaseBefore;
use super::liveness::Agent;
use super::{Coordinator, Now, Refusal};

/// Names a poll that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PollId(u64);

/// What a poll gets at once.
#[derive(Debug)]
pub enum Polled {
    /// These tasks; none if the poll was not willing to wait.
    Tasks(Vec<Task>),
    /// It waits; see [`Coordinator::take_handed`].
    Waiting(PollId),
}

/// What a waiting poll got: none if its time ran out.
#[derive(Debug)]
pub struct Handed {
    /// Which poll.
    pub poll: PollId,
    /// What.
    pub tasks: Vec<Task>,
}

#[derive(Clone, Debug)]
struct Poll {
    agent: String,
    capabilities: Option<Vec<String>>,
    max: u32,
    until: Duration,
}

/// The polls that wait, and those that were served by the operation under way.
#[derive(Default)]
pub(super) struct Polls {
    next: u64,
    waiting: BTreeMap<PollId, Poll>,
    ends: BTreeSet<(Duration, PollId)>,
    by_agent: BTreeMap<String, VecDeque<PollId>>,
    /// Served, but not committed yet.
    serving: Vec<(Poll, Handed)>,
    served: Vec<Handed>,
    /// Tasks that became ready, and agents that became free, since polls were last served.
    fresh: Vec<TaskId>,
    freed: BTreeSet<String>,
}

impl Polls {
    fn wait(&mut self, poll: Poll) -> PollId {
        self.next += 1;
        let id = PollId(self.next);
        self.insert(id, poll);
        id
    }

    fn insert(&mut self, id: PollId, poll: Poll) {
        let queue = self.by_agent.entry(poll.agent.clone()).or_default();
        queue.push_back(id);
        self.ends.insert((poll.until, id));
        self.waiting.insert(id, poll);
    }

    fn remove(&mut self, id: PollId) -> Option<Poll> {
        let poll = self.waiting.remove(&id)?;
        self.ends.remove(&(poll.until, id));
        if let Some(queue) = self.by_agent.get_mut(&poll.agent) {
            queue.retain(|other| *other != id);
            if queue.is_empty() {
                self.by_agent.remove(&poll.agent);
            }
        }
        Some(poll)
    }

    fn oldest_of(&self, agent: &str) -> Option<(PollId, &Poll)> {
        let id = *self.by_agent.get(agent)?.front()?;
        Some((id, self.waiting.get(&id)?))
    }

    pub(super) fn someone_waits_as(&self, agent: &str) -> bool {
        self.by_agent.contains_key(agent)
    }

    pub(super) fn keep_handed(&mut self) {
        let serving = self.serving.drain(..);
        self.served.extend(serving.map(|(_, handed)| handed));
    }

    pub(super) fn take_back_handed(&mut self) {
        for (poll, handed) in std::mem::take(&mut self.serving) {
            self.insert(handed.poll, poll);
        }
    }
}

impl Coordinator {
    /// Lets a poll wait for which there is nothing now.
    pub(super) fn wait_for_tasks(
        &mut self,
        agent: &str,
        capabilities: Option<&[String]>,
        max: u32,
        wait: Duration,
        now: Now,
    ) -> PollId {
        self.polls.wait(Poll {
            agent: agent.to_owned(),
            capabilities: capabilities.map(<[String]>::to_vec),
            max,
            until: now.mono.saturating_add(wait),
        })
    }

    /// Takes back a poll whose caller is gone. `false`: it was served already.
    pub fn forget_poll(&mut self, poll: PollId) -> bool {
        self.polls.remove(poll).is_some()
    }

    /// What waiting polls got since the last call.
    pub fn take_handed(&mut self) -> Vec<Handed> {
        std::mem::take(&mut self.polls.served)
    }

    /// The earliest end of a waiting poll.
    pub(super) fn next_poll_end(&self) -> Option<Duration> {
        self.polls.ends.first().map(|(until, _)| *until)
    }

    pub(super) fn end_polls(&mut self, now: Now) {
        let over = self.polls.ends.iter();
        let over = over.take_while(|(until, _)| *until <= now.mono);
        let over: Vec<_> = over.map(|(_, poll)| *poll).collect();
        for poll in over {
            if let Some(ended) = self.polls.remove(poll) {
                self.vouch(&ended.agent, now);
            }
            let tasks = Vec::new();
            self.polls.served.push(Handed { poll, tasks });
        }
    }

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

    /// Puts queue and leases in step with the tasks that `events` were about.
    pub(super) fn follow_tasks(&mut self, id: &RunId, events: &[RunEvent], now: Now) {
        for event in events {
            let (step, undo) = match event {
                RunEvent::TaskReady { step, undo, .. }
                | RunEvent::TaskClaimed { step, undo, .. }
                | RunEvent::TaskCompleted { step, undo, .. }
                | RunEvent::TaskFailed { step, undo, .. }
                | RunEvent::TaskReleased { step, undo, .. }
                | RunEvent::TaskRetried { step, undo, .. } => (step, *undo),
                RunEvent::StepCancelled { step, .. } => (step, false),
                _ => continue,
            };
            let run = self.open.get(id);
            if let Some(step) = run.and_then(|run| run.state.slot_named(step)) {
                let run = id.clone();
                let task = TaskId { run, step, undo };
                self.remember_lease(&task);
                self.follow_task(&task, now);
            }
        }
    }

    fn remember_lease(&mut self, task: &TaskId) {
        let holder = self.leases.holder(task).map(str::to_owned);
        let lease = holder.zip(self.leases.expires(task));
        let lease = lease.zip(self.lease_length(task));
        let lease = lease.map(|((agent, end), length)| (agent, length, end));
        let task = task.clone();
        self.batch.leases.push(LeaseBefore { task, lease });
    }

    /// Takes back what an operation that lost its race did to leases: they end when they would
    /// have ended without it.
    pub(super) fn restore_leases(&mut self, leases: &[LeaseBefore]) {
        for LeaseBefore { task, lease } in leases.iter().rev() {
            self.leases.revoke(task);
            if let Some((agent, length, end)) = lease {
                let begun = end.saturating_sub(*length);
                self.leases.grant(task.clone(), agent, *length, begun);
            }
        }
    }

    /// Ends the leases on tasks of a run that nobody holds any more, as its state says.
    pub(super) fn end_idle_leases(&mut self, id: &RunId) {
        let run = self.open.get(id);
        let held = |task: &TaskId| {
            run.and_then(|run| run.state.task(task.step, task.undo))
                .is_some_and(|task| task.status == TaskStatus::Running)
        };
        let agents = self.agents.keys();
        let leased = agents.flat_map(|agent| self.leases.held_by(agent));
        let idle: Vec<_> = leased
            .filter(|task| task.run == *id && !held(task))
            .collect();
        for task in idle {
            self.leases.revoke(&task);
        }
    }

    fn lease_length(&self, task: &TaskId) -> Option<Duration> {
        let run = &self.open.get(&task.run)?.state;
        let rules = engine::rules(run.spec(task.step), task.undo)?;
        Some(rules.timeouts.lease)
    }

    /// Queue and leases are a function of the run's state; this makes them agree for one task.
    pub(super) fn follow_task(&mut self, task: &TaskId, now: Now) {
        let Some(run) = self.open.get(&task.run) else {
            return;
        };
        let state = run.state.task(task.step, task.undo);
        match state.map(|state| state.status) {
            Some(TaskStatus::Ready) if run.state.stands_still() => {
                self.ready.remove(task);
                self.end_lease(task);
            }
            Some(TaskStatus::Ready) => {
                self.end_lease(task);
                if let Some(offer) = self.offer(task) {
                    self.ready.remove(task);
                    self.ready.push(offer);
                    self.polls.fresh.push(task.clone());
                }
            }
            Some(TaskStatus::Running) => {
                self.ready.remove(task);
                let holder = state.and_then(|state| state.holder.clone());
                let Some((holder, lease)) = holder.zip(self.lease_length(task)) else {
                    return;
                };
                // A claim always begins without a lease; one that is there was read again.
                if self.leases.holder(task) != Some(holder.agent.as_str()) {
                    let rest = holder.run_deadline.since(now.wall);
                    let lease = self.lease_found(lease, rest);
                    self.vouch(&holder.agent, now);
                    let key = task.clone();
                    self.leases.grant(key, &holder.agent, lease, now.mono);
                }
            }
            Some(
                TaskStatus::Backoff
                | TaskStatus::Completed
                | TaskStatus::Failed
                | TaskStatus::Cancelled,
            )
            | None => {
                self.ready.remove(task);
                self.end_lease(task);
            }
        }
    }

    fn end_lease(&mut self, task: &TaskId) {
        if let Some(agent) = self.leases.holder(task) {
            if self.polls.someone_waits_as(agent) {
                self.polls.freed.insert(agent.to_owned());
            }
            self.leases.revoke(task);
        }
    }

    fn offer(&mut self, task: &TaskId) -> Option<Offer<TaskId>> {
        let run = &self.open.get(&task.run)?.state;
        let rules = engine::rules(run.spec(task.step), task.undo)?;
        let state = run.task(task.step, task.undo)?;
        let assign = rules.assign;
        let lower = |names: &[String]| names.iter().map(|n| n.to_lowercase()).collect();
        let last = state.last_agent.clone().filter(|_| state.failures > 0);
        let (only, not) = match rules.retry.reassign {
            Reassign::Any => (None, None),
            Reassign::Same => (last, None),
            Reassign::Other => (None, last),
        };
        let sticks_to = assign.sticky.and_then(|step| {
            let agent = run.agent_of(task.step, step)?;
            self.is_at_hand(&agent).then_some(agent)
        });
        let mut exclude: Vec<String> = lower(&assign.exclude);
        let others = run.who_did(task.step, &assign.not_same_as);
        exclude.extend(lower(&others));
        let agent = assign.agent.as_ref().map(|name| name.to_lowercase());
        let pool = assign.pool.as_deref().unwrap_or(POOL_DEFAULT);
        Some(Offer {
            key: task.clone(),
            // Who is named is meant, whatever group it belongs to.
            pool: agent.is_none().then(|| pool.to_owned()),
            agent,
            capabilities: assign.capabilities.clone(),
            exclude,
            prefer: lower(&assign.prefer),
            only: only.or(sticks_to),
            not,
            priority: assign.priority.0,
            since: u64::try_from(state.first_ready_at.as_micros()).unwrap_or(0),
        })
    }

    /// Offers what stuck to `agent`, which is dead now, to others.
    pub(super) fn unstick(&mut self, agent: &str) {
        let stuck = self
            .ready
            .offers()
            .filter(|offer| offer.only.as_deref() == Some(agent));
        let stuck: Vec<_> = stuck.map(|offer| offer.key.clone()).collect();
        for task in stuck {
            if let Some(offer) = self.offer(&task) {
                self.ready.push(offer);
                self.polls.fresh.push(task);
            }
        }
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
            handoff: state.last_error.as_ref().map(|ended| {
                serde_json::json!({
                    "previous_attempt": {
                        "agent": ended.agent,
                        "error": { "code": ended.error.code, "message": ended.error.message },
                    }
                })
            }),
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
