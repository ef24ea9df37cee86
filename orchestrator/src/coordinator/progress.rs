//! What agents say about how far they are. It is kept in memory, and becomes a fact when it begins to
//! matter: the agent falls silent, gives the task up, or runs out of time.
//!
//! Two channels tell of an agent: that it lives (any word of it), and that it gets on (this). One that
//! lives and stands still is stuck, and only people decide what that means.

use std::collections::BTreeMap;
use std::time::Duration;

use phisync_agents::protocol::PROGRESS_BYTES_MAX;
use phisync_state::Timestamp;

use crate::engine::{Input, RawJson, RunId, TaskId};

use super::{Coordinator, Now, Refusal};

/// What the holder of a task said last.
struct Report {
    token: u64,
    progress: RawJson,
    said_at: Timestamp,
    /// When it said something else for the last time, on the monotonic clock.
    changed: Duration,
}

/// What the holders of all tasks said last.
#[derive(Default)]
pub(super) struct Reports(BTreeMap<TaskId, Report>);

impl Reports {
    pub(super) fn hear(&mut self, task: &TaskId, token: u64, progress: &RawJson, now: Now) {
        let before = self.0.get(task).filter(|before| before.token == token);
        let changed = match before {
            Some(before) if before.progress == *progress => before.changed,
            _ => now.mono,
        };
        let report = Report {
            token,
            progress: progress.clone(),
            said_at: now.wall,
            changed,
        };
        self.0.insert(task.clone(), report);
    }

    pub(super) fn forget(&mut self, task: &TaskId) {
        self.0.remove(task);
    }
}

/// # Errors
/// A report that is too long to be kept.
pub(super) fn check(task: &str, progress: Option<&RawJson>) -> Result<(), Refusal> {
    let bytes = progress.map_or(0, |progress| progress.text().len());
    if bytes <= PROGRESS_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::LongProgress {
        task: task.to_owned(),
        bytes,
        max: PROGRESS_BYTES_MAX,
    })
}

impl Coordinator {
    /// What the holder of a task said last, when, and for how long it has said the same.
    pub(super) fn progress_of(
        &self,
        task: &TaskId,
        now: Now,
    ) -> Option<(&RawJson, Timestamp, Duration)> {
        let report = self.progress.0.get(task)?;
        let still = now.mono.saturating_sub(report.changed);
        Some((&report.progress, report.said_at, still))
    }

    /// How long an agent has said the same about a task that it holds; the longest of all.
    pub(super) fn still_for(&self, agent: &str, now: Now) -> Option<Duration> {
        let held = self.leases.held_by(agent);
        let still = held.iter().filter_map(|task| self.progress_of(task, now));
        still.map(|(_, _, still)| still).max()
    }

    /// Makes what the holder of a task said a fact, if it said anything.
    pub(super) fn note_progress(&mut self, task: &TaskId, now: Now) -> Result<(), Refusal> {
        let Some(report) = self.progress.0.get(task) else {
            return Ok(());
        };
        let open = self.open.get(&task.run);
        let held = open.and_then(|run| {
            let holder = run.state.task(task.step, task.undo)?.holder.as_ref()?;
            (holder.token == report.token).then(|| run.state.name(task.step))
        });
        let Some(step) = held else { return Ok(()) };
        let input = Input::NoteProgress {
            step,
            undo: task.undo,
            token: report.token,
            progress: report.progress.clone(),
            said_at: report.said_at,
        };
        self.decide(&task.run, input, now)
    }

    /// [`Self::note_progress`] of a task that its holder speaks of; a stale token notes nothing.
    pub(super) fn note_progress_of(
        &mut self,
        run: &RunId,
        step: &str,
        undo: bool,
        token: u64,
        now: Now,
    ) -> Result<(), Refusal> {
        let open = self.open.get(run);
        let Some(step) = open.and_then(|run| run.state.slot_named(step)) else {
            return Ok(());
        };
        let task = TaskId {
            run: run.clone(),
            step,
            undo,
        };
        let report = self.progress.0.get(&task);
        if report.is_some_and(|report| report.token == token) {
            self.note_progress(&task, now)?;
        }
        Ok(())
    }

    /// [`Self::note_progress`] of what is about to end because a clock of its run has run out.
    pub(super) fn note_progress_of_late(&mut self, run: &RunId, now: Now) -> Result<(), Refusal> {
        let Some(open) = self.open.get(run) else {
            return Ok(());
        };
        let live = open.state.live_tasks();
        let late = live.filter(|(_, task)| {
            let until = task.holder.as_ref().map(|holder| holder.run_deadline);
            let ends = [until, task.total_deadline.filter(|_| until.is_some())];
            ends.into_iter().flatten().any(|end| end <= now.wall)
        });
        let late: Vec<_> = late.map(|(task, _)| task).collect();
        for task in late {
            self.note_progress(&task, now)?;
        }
        Ok(())
    }
}
