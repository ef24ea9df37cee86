//! Everything that is due by a clock: of runs, leases, agents, polls, locks, turns.

use std::time::Duration;

use phisync_state::Timestamp;

use crate::engine::Input;

use super::{Coordinator, Now, Refusal};

impl Coordinator {
    /// Does everything that is due by now: clocks of runs, lost leases, silent agents, polls that
    /// have waited long enough.
    ///
    /// # Errors
    /// Only the store's.
    pub fn tick(&mut self, now: Now) -> Result<(), Refusal> {
        self.transact(now, |c| {
            while let Some((at, id)) = c.due.first().cloned() {
                if at > now.wall {
                    break;
                }
                c.note_progress_of_late(&id, now)?;
                match c.decide(&id, Input::Tick, now) {
                    // The clocks of one run hold up nobody else's.
                    Err(Refusal::Rejected(no)) => {
                        tracing::error!(run = %id, %no, "a clock is lost");
                    }
                    other => other?,
                }
                if c.due
                    .first()
                    .is_some_and(|(next, same)| (*next, same) == (at, &id))
                {
                    // A clock that does not move on would be rung for ever.
                    c.due.pop_first();
                }
            }
            c.watch_unwatched(now);
            c.run_schedules(now)?;
            for task in c.leases.expired(now.mono) {
                let holder = c.leases.holder(&task).unwrap_or("the agent");
                let why = format!("{holder} sent no heartbeat within its lease");
                c.lose_lease(&task, &why, now)?;
            }
            if c.next_doubt.is_some_and(|at| at <= now.mono) {
                c.judge_agents(now)?;
                c.next_doubt = c.first_doubt(now);
            }
            c.end_rests(now);
            c.end_polls(now);
            c.tick_locks(now)?;
            c.tick_turns(now);
            Ok(())
        })
    }

    /// When something may be due next: by the wall clock, and by the monotonic one. Asked before
    /// every job, so it looks at nobody in particular.
    #[must_use]
    pub fn next_due(&self) -> (Option<Timestamp>, Option<Duration>) {
        if self.still {
            return (None, None);
        }
        let run = self.due.first().map(|(at, _)| *at);
        let at_once = self.events.is_busy() || !self.unwatched.is_empty();
        let at_once = at_once.then(Timestamp::default);
        let rest = self.limits.next_end();
        let wall = [run, self.schedules.next_due(), at_once, rest];
        let wall = wall.into_iter().flatten().min();
        let mono = [
            self.leases.next_expiry(),
            self.next_poll_end(),
            self.next_doubt,
            self.locks.next_due(),
            self.turns.next_due(),
        ];
        (wall, mono.into_iter().flatten().min())
    }

    /// From now on nothing is due: the store is only to be looked at.
    pub fn stand_still(&mut self) {
        self.still = true;
    }

    /// This process stood still for `pause`: nobody is late because of that.
    pub fn excuse_pause(&mut self, pause: Duration) {
        self.leases.extend_all(pause);
        self.ledger.excuse(pause);
        self.locks.excuse(pause);
        self.turns.excuse(pause);
    }
}
