//! What people do to a run that exists: pause it, let it go on, send it a signal.

use crate::engine::{Input, RawJson, RunEvent, RunId, RunState, TaskStatus};
use crate::protocol::{Paused, Standing};

use super::{Coordinator, Now, Refusal};

/// Names of events and signals: words with dots.
const NAME_BYTES_MAX: usize = 100;

impl Coordinator {
    /// Lets a run stand still: nothing new is dispatched, attempts that agents hold end and are
    /// recorded. Once more is harmless.
    ///
    /// # Errors
    /// A closed run, no such run.
    pub fn pause(
        &mut self,
        id: &RunId,
        by: &str,
        reason: Option<&str>,
        now: Now,
    ) -> Result<Standing, Refusal> {
        self.transact(now, |c| {
            let input = Input::Pause {
                by: by.to_owned(),
                reason: reason.map(str::to_owned),
            };
            c.decide(id, input, now)
        })?;
        self.standing(id)
    }

    /// Lets a paused run go on. Its clocks, but for those of running attempts, stood still.
    ///
    /// # Errors
    /// A closed run, no such run.
    pub fn resume_run(&mut self, id: &RunId, by: &str, now: Now) -> Result<Standing, Refusal> {
        self.transact(now, |c| {
            let by = by.to_owned();
            c.decide(id, Input::Resume { by }, now)
        })?;
        self.standing(id)
    }

    /// Sends a run a signal. A step that waits for it later hears it all the same.
    ///
    /// # Errors
    /// A closed run, no such run, a name that is none.
    pub fn signal(
        &mut self,
        id: &RunId,
        name: &str,
        data: &RawJson,
        by: &str,
        now: Now,
    ) -> Result<Standing, Refusal> {
        check_event_name(name)?;
        self.transact(now, |c| {
            let input = Input::Signal {
                name: name.to_owned(),
                data: data.clone(),
                by: by.to_owned(),
            };
            c.decide(id, input, now)
        })?;
        self.standing(id)
    }

    /// Whether a run stands still, and who still works on it.
    ///
    /// # Errors
    /// No such run.
    pub fn standing(&self, id: &RunId) -> Result<Standing, Refusal> {
        self.with_run(id, standing)
    }

    /// A run that was paused or goes on changes what is offered of it.
    pub(super) fn follow_pause(&mut self, id: &RunId, events: &[RunEvent], now: Now) {
        let changed = |event: &RunEvent| {
            matches!(
                event,
                RunEvent::RunPaused { .. } | RunEvent::RunResumed { .. }
            )
        };
        let Some(run) = self.open.get(id).filter(|_| events.iter().any(changed)) else {
            return;
        };
        let live: Vec<_> = run.state.live_tasks().map(|(task, _)| task).collect();
        for task in live {
            self.follow_task(&task, now);
        }
    }
}

fn standing(run: &RunState) -> Standing {
    let held = run
        .live_tasks()
        .filter(|(_, task)| task.status == TaskStatus::Running);
    Standing {
        id: run.id.to_string(),
        status: run.status.as_str().to_owned(),
        seq: run.version,
        paused: run.paused.as_ref().map(|pause| Paused {
            by: pause.by.clone(),
            reason: pause.reason.clone(),
            at: pause.at.to_string(),
        }),
        quiet: run.is_quiet(),
        held: held.map(|(task, _)| task.print(run)).collect(),
    }
}

/// Refuses what can be no name of an event or a signal.
pub(super) fn check_event_name(name: &str) -> Result<(), Refusal> {
    let word = |word: &str| {
        let rest = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        word.as_bytes().first().is_some_and(u8::is_ascii_lowercase) && word.bytes().all(rest)
    };
    if name.len() <= NAME_BYTES_MAX && name.split('.').all(word) {
        return Ok(());
    }
    Err(Refusal::BadName {
        what: "name of an event or signal",
        text: name.to_owned(),
        rule: "it takes words of a-z, 0-9, `_` and `-` that begin with a letter, with dots between \
               them, at most 100 bytes",
    })
}
