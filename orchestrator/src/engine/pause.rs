//! Runs that stand still: paused by a person, or queued behind others with the same concurrency key.
//!
//! A run that stands still dispatches nothing new; attempts that agents hold go on and are recorded,
//! and only their own clocks run. All other clocks stand still: they are put later by the length of
//! the pause when it ends, so that nobody is late because of it.

use std::time::Duration;

use phisync_state::Timestamp;

use super::decide::Draft;
use super::event::RunEvent;
use super::input::Rejection;
use super::run::{Clock, RunState};
use super::status::{Phase, TaskStatus};

/// Why a run stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Who wanted it.
    pub by: String,
    /// In their words.
    pub reason: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

impl RunState {
    /// Whether nothing new is dispatched.
    #[must_use]
    pub fn stands_still(&self) -> bool {
        self.still_since.is_some()
    }

    /// From `at` on its clocks stand still.
    pub(super) fn stand_still(&mut self, at: Timestamp) {
        self.still_since.get_or_insert(at);
    }

    /// Lets its clocks go on, unless something else still holds it.
    pub(super) fn go_on(&mut self, at: Timestamp) {
        if self.paused.is_some() || self.held {
            return;
        }
        if let Some(since) = self.still_since.take() {
            self.put_clocks_later(at.since(since));
        }
    }

    /// Whether it stands still and no agent works on it any more.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let held = self
            .live_tasks()
            .any(|(_, task)| task.status == TaskStatus::Running);
        self.stands_still() && !held
    }

    /// The clock that rings next, among those that run now.
    pub(super) fn first_clock(&self) -> Option<(Timestamp, Clock)> {
        let mut clocks = self.deadlines.iter().copied();
        if self.stands_still() {
            clocks.find(|(_, clock)| self.runs_in_a_pause(*clock))
        } else {
            clocks.next()
        }
    }

    fn runs_in_a_pause(&self, clock: Clock) -> bool {
        match clock {
            Clock::Attempt { step, undo } => self
                .task(step, undo)
                .is_some_and(|task| task.status == TaskStatus::Running),
            Clock::Total { .. }
            | Clock::Approval { .. }
            | Clock::Timer { .. }
            | Clock::State
            | Clock::Run => false,
        }
    }

    /// Puts the clocks that stood still later by `length`.
    pub(super) fn put_clocks_later(&mut self, length: Duration) {
        for (at, clock) in std::mem::take(&mut self.deadlines) {
            let later = if self.runs_in_a_pause(clock) {
                at
            } else {
                at.saturating_add(length)
            };
            self.deadlines.insert((later, clock));
            self.note_deadline(clock, later);
        }
    }

    /// Keeps what is shown of a deadline in step with its clock.
    fn note_deadline(&mut self, clock: Clock, at: Timestamp) {
        match clock {
            Clock::Run => self.deadline = at,
            Clock::State => {
                if let Some(walk) = &mut self.walk {
                    walk.deadline = Some(at);
                }
            }
            Clock::Approval { step } => {
                let step = self.step_mut(step);
                if let Some(approval) = &mut step.approval {
                    approval.deadline = at;
                    step.waker = Some(super::Waker::Person { until: at });
                }
            }
            Clock::Timer { step } => {
                let step = self.step_mut(step);
                step.due = Some(at);
                match &mut step.waker {
                    Some(super::Waker::Event { until, .. }) => *until = at,
                    Some(super::Waker::Files { until }) => *until = Some(at),
                    waker => *waker = Some(super::Waker::Timer { at }),
                }
            }
            Clock::Total { step, undo } => {
                if let Some(task) = self.task_mut(step, undo) {
                    task.total_deadline = Some(at);
                } else if let Some(block) = &mut self.step_mut(step).block {
                    block.deadline = Some(at);
                }
            }
            Clock::Attempt { step, undo } => {
                let Some(task) = self.task_mut(step, undo) else {
                    return;
                };
                let waker = match task.status {
                    TaskStatus::Ready => {
                        task.queue_deadline = at;
                        super::Waker::Agent { until: at }
                    }
                    TaskStatus::Backoff => {
                        task.retry_at = Some(at);
                        super::Waker::Timer { at }
                    }
                    TaskStatus::Asking => {
                        if let Some(question) = task.questions.last_mut() {
                            question.deadline = at;
                        }
                        super::Waker::Person { until: at }
                    }
                    TaskStatus::Running
                    | TaskStatus::Completed
                    | TaskStatus::Failed
                    | TaskStatus::Cancelled => return,
                };
                task.waker = Some(waker.clone());
                self.step_mut(step).waker = Some(waker);
            }
        }
    }
}

impl Draft<'_> {
    pub(super) fn pause(&mut self, by: String, reason: Option<String>) -> Result<(), Rejection> {
        self.check_open()?;
        if self.run.paused.is_none() {
            self.emit(RunEvent::RunPaused {
                by,
                reason,
                at: self.moment.now,
            });
        }
        Ok(())
    }

    pub(super) fn resume(&mut self, by: String) -> Result<(), Rejection> {
        self.check_open()?;
        if self.run.paused.is_some() {
            self.emit(RunEvent::RunResumed {
                by,
                at: self.moment.now,
            });
        }
        Ok(())
    }

    /// Lets a run begin that waited for its turn.
    pub(super) fn admit(&mut self) {
        if self.run.held {
            self.emit(RunEvent::RunAdmitted {
                at: self.moment.now,
            });
            self.begin();
        }
    }

    fn check_open(&self) -> Result<(), Rejection> {
        if self.run.phase == Phase::Closed {
            return Err(Rejection::RunClosed {
                run: self.run.id.clone(),
            });
        }
        Ok(())
    }
}
