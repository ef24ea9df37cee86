//! The queue of ready tasks and the leases of held ones: both a function of the runs' states.

use std::time::Duration;

use phisync_agents::assignment::Offer;
use phisync_agents::lease::Lease;
use phisync_agents::registry::POOL_DEFAULT;
use phisync_workflows::machine::{Effects, Reassign};

use crate::engine::{self, RunEvent, RunId, TaskId, TaskStatus};

use super::batch::LeaseBefore;
use super::{Coordinator, Now};

impl Coordinator {
    /// Puts queue and leases in step with the tasks that `events` were about.
    pub(super) fn follow_tasks(&mut self, id: &RunId, events: &[RunEvent], now: Now) {
        for event in events {
            let (step, undo) = match event {
                RunEvent::TaskReady { step, undo, .. }
                | RunEvent::TaskClaimed { step, undo, .. }
                | RunEvent::TaskCompleted { step, undo, .. }
                | RunEvent::TaskFailed { step, undo, .. }
                | RunEvent::TaskReleased { step, undo, .. }
                | RunEvent::TaskAsked { step, undo, .. }
                | RunEvent::TaskAnswered { step, undo, .. }
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

    pub(super) fn remember_lease(&mut self, task: &TaskId) {
        let lease = self.leases.get(task).cloned();
        let task = task.clone();
        self.batch.leases.push(LeaseBefore { task, lease });
    }

    /// Takes back what an operation that lost its race did to leases: they end when they would
    /// have ended without it.
    pub(super) fn restore_leases(&mut self, leases: &[LeaseBefore]) {
        for LeaseBefore { task, lease } in leases.iter().rev() {
            self.revoke_lease(task);
            if let Some(Lease {
                agent,
                ttl,
                expires,
            }) = lease
            {
                let begun = expires.saturating_sub(*ttl);
                self.grant_lease(task, agent, *ttl, begun);
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
            self.revoke_lease(&task);
        }
    }

    fn grant_lease(&mut self, task: &TaskId, agent: &str, length: Duration, begun: Duration) {
        self.revoke_lease(task);
        self.leases.grant(task.clone(), agent, length, begun);
        self.polls.has_moved(agent);
        if let Some(limited) = self.limited_type(task) {
            self.limits.hold(task, &limited);
        }
    }

    /// Ends the lease on a task, if there is one.
    pub(super) fn revoke_lease(&mut self, task: &TaskId) {
        if let Some(agent) = self.leases.holder(task) {
            self.polls.has_moved(agent);
        }
        self.leases.revoke(task);
        self.polls.reopened.extend(self.limits.let_go(task));
    }

    /// The type of a task, if there is a limit on that type.
    pub(super) fn limited_type(&self, task: &TaskId) -> Option<String> {
        let run = &self.open.get(&task.run)?.state;
        let rules = engine::rules(run.spec(task.step), task.undo)?;
        let limited = self.limits.is_limited(&rules.spec.task_type);
        limited.then(|| rules.spec.task_type.clone())
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
                    if let Some(limited) = &offer.limited {
                        self.wake_when_open(limited, now);
                    }
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
                    self.grant_lease(task, &holder.agent, lease, now.mono);
                }
            }
            Some(
                TaskStatus::Backoff
                | TaskStatus::Asking
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

    pub(super) fn end_lease(&mut self, task: &TaskId) {
        self.progress.forget(task);
        if let Some(agent) = self.leases.holder(task) {
            self.polls.is_free(agent);
            self.revoke_lease(task);
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
        // Whoever asked knows most; what may be done once only goes on with nobody else.
        let spec = run.spec(task.step);
        let once_only = spec.effects == Effects::Irreversible && !spec.idempotent;
        let resumes = state.resumes_with().map(str::to_lowercase);
        let resumes = resumes.filter(|agent| once_only || self.is_at_hand(agent));
        let mut exclude: Vec<String> = lower(&assign.exclude);
        let others = run.who_did(task.step, &assign.not_same_as);
        exclude.extend(lower(&others));
        let agent = assign.agent.as_ref().map(|name| name.to_lowercase());
        let pool = assign.pool.as_deref().unwrap_or(POOL_DEFAULT);
        let task_type = &rules.spec.task_type;
        let limited = self.limits.is_limited(task_type);
        Some(Offer {
            key: task.clone(),
            limited: limited.then(|| task_type.clone()),
            // Who is named is meant, whatever group it belongs to.
            pool: agent.is_none().then(|| pool.to_owned()),
            agent,
            capabilities: assign.capabilities.clone(),
            exclude,
            prefer: lower(&assign.prefer),
            only: only.or(resumes).or(sticks_to),
            not,
            priority: assign.priority.0,
            since: u64::try_from(state.first_ready_at.as_micros()).unwrap_or(0),
        })
    }

    /// Offers what stuck to `agent`, which is dead or drained now, to others.
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
}
