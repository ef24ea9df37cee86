//! How an attempt ends and what follows: by the task's own rules, by a report or by a clock.

use std::time::Duration;

use phisync_state::Timestamp;
use phisync_workflows::machine::{Retry, Timeouts};

use super::rules;
use crate::engine::Failure;
use crate::engine::decide::Draft;
use crate::engine::event::{RunEvent, Then};
use crate::engine::pass::{PassId, Slot};
use crate::engine::retry;
use crate::engine::run::Clock;
use crate::engine::scope::{ErrorInScope, Extra, RunScope};
use crate::engine::status::TaskStatus;

impl Draft<'_> {
    /// Ends the current attempt (or the wait in the queue) with an error and lets the task's own
    /// rules say what follows.
    pub(in crate::engine) fn end_attempt(
        &mut self,
        index: Slot,
        undo: bool,
        token: Option<u64>,
        error: Failure,
        retryable: Option<bool>,
        retry_after: Option<Duration>,
    ) {
        let Some(task) = self.run.task(index, undo) else {
            return;
        };
        if task.cancel_requested && !undo {
            self.emit(RunEvent::TaskFailed {
                step: self.run.name(index),
                undo,
                token,
                error,
                then: Then::Fail,
                at: self.moment.now,
            });
            self.after_task(index, undo);
            return;
        }
        let then = self.what_follows(index, undo, &error, retryable, retry_after);
        self.emit(RunEvent::TaskFailed {
            step: self.run.name(index),
            undo,
            token,
            error,
            then,
            at: self.moment.now,
        });
        if then == Then::Fail {
            self.after_task(index, undo);
        }
    }

    fn what_follows(
        &self,
        index: Slot,
        undo: bool,
        error: &Failure,
        retryable: Option<bool>,
        retry_after: Option<Duration>,
    ) -> Then {
        let machine = self.machine();
        let (Some(rules), Some(task)) = (
            rules(machine.step(self.run.step(index).spec), undo),
            self.run.task(index, undo),
        ) else {
            return Then::Fail;
        };
        if error.code == "agent.lost" && task.losses < rules.assign.reassignments {
            return Then::Requeue {
                queue_deadline: self.after(rules.timeouts.queue),
            };
        }
        // Whoever waits in the same queue again waits for the same agents that did not come; and
        // a total clock that has run out leaves no time for anything.
        let hopeless = matches!(error.code.as_str(), "timeout.queue" | "timeout.total");
        let failed = task.failures + 1;
        if hopeless
            || retryable == Some(false)
            || failed >= rules.retry.max_attempts
            || !self.covers(index, rules.retry, error, retryable, failed)
        {
            return Then::Fail;
        }
        let at = self.after(retry::wait(
            rules.retry,
            failed,
            self.moment.dice,
            retry_after,
        ));
        let last = rules.retry.max_elapsed;
        let last = last.map(|elapsed| task.first_ready_at.saturating_add(elapsed));
        let too_late = [last, task.total_deadline].into_iter().flatten();
        if too_late.into_iter().any(|end| at > end) {
            return Then::Fail;
        }
        Then::Retry { at }
    }

    /// Whether the policy repeats after this error.
    pub(in crate::engine) fn covers(
        &self,
        index: Slot,
        retry: &Retry,
        error: &Failure,
        retryable: Option<bool>,
        failed: u32,
    ) -> bool {
        let listed = retry.errors.iter().any(|p| p.matches(&error.code));
        let excepted = retry.except.iter().any(|p| p.matches(&error.code));
        if excepted || !(listed || retryable == Some(true)) {
            return false;
        }
        let Some(when) = &retry.when else {
            return true;
        };
        let name = self.run.name(index);
        let extra = Extra {
            error: Some(ErrorInScope {
                failure: error,
                attempt: failed,
                step: Some(&name),
            }),
            itself: Some(self.run.step(index)),
            ..Extra::default()
        };
        // A condition that cannot be evaluated does not hold: the error itself is then final.
        let pass = self.run.step(index).pass;
        let scope = RunScope::new(self.run, self.moment, pass).with(extra);
        when.eval_bool(&scope).unwrap_or(false)
    }

    pub(in crate::engine) fn after_task(&mut self, index: Slot, undo: bool) {
        if undo {
            self.after_undo(index);
        } else {
            self.follow(index);
        }
    }

    /// Everything that is due by the clock.
    pub(in crate::engine) fn tick(&mut self) {
        while let Some((at, clock)) = self.run.first_clock() {
            if at > self.moment.now {
                return;
            }
            let before = self.run.version;
            match clock {
                Clock::Run => {
                    let limit = self.machine().timeout();
                    let message = format!("the run took longer than {}s", limit.as_secs());
                    let error = Failure::new("timeout.total", message);
                    self.fail_pass(PassId::MAIN, None, error);
                }
                Clock::Approval { step } => self.expire_approval(step),
                Clock::Timer { step } => self.timer_rings(step),
                Clock::State => self.state_is_over(),
                Clock::Total { step, undo: false } if self.block(step).is_some() => {
                    self.expire_block(step);
                }
                Clock::Total { step, undo } => self.total_is_over(step, undo),
                Clock::Attempt { step, undo } => self.attempt_is_over(step, undo),
            }
            self.settle();
            // Whatever is due leads to a fact; if it did not, ringing it again would not help.
            if self.run.version == before {
                return;
            }
        }
    }

    fn total_is_over(&mut self, index: Slot, undo: bool) {
        let token = self.holder_token(index, undo);
        let error = Failure::new("timeout.total", "all attempts together took too long");
        self.end_attempt(index, undo, token, error, None, None);
    }

    fn attempt_is_over(&mut self, index: Slot, undo: bool) {
        let Some(task) = self.run.task(index, undo) else {
            return;
        };
        let error = match task.status {
            TaskStatus::Backoff => {
                let queue_deadline = self.queue_deadline(index, undo);
                self.emit(RunEvent::TaskRetried {
                    step: self.run.name(index),
                    undo,
                    at: self.moment.now,
                    queue_deadline,
                });
                return;
            }
            TaskStatus::Ready => Failure::new("timeout.queue", "no agent took it in time"),
            TaskStatus::Asking => {
                let agent = task.last_agent.as_deref().unwrap_or("the agent");
                Failure::new(
                    "approval.expired",
                    format!("nobody answered {agent} in time"),
                )
            }
            TaskStatus::Running
            | TaskStatus::Completed
            | TaskStatus::Failed
            | TaskStatus::Cancelled => {
                let agent = task.last_agent.as_deref().unwrap_or("the agent");
                Failure::new("timeout.run", format!("{agent} gave no result in time"))
            }
        };
        let token = self.holder_token(index, undo);
        self.end_attempt(index, undo, token, error, None, None);
    }

    fn holder_token(&self, index: Slot, undo: bool) -> Option<u64> {
        let task = self.run.task(index, undo)?;
        task.holder.as_ref().map(|holder| holder.token)
    }

    pub(in crate::engine) fn queue_deadline(&self, index: Slot, undo: bool) -> Timestamp {
        let machine = self.machine();
        let rules = rules(machine.step(self.run.step(index).spec), undo);
        let queue = rules.map_or(Timeouts::default().queue, |rules| rules.timeouts.queue);
        self.after(queue)
    }
}
