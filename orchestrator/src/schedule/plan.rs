//! What a `schedule:` entry of a workflow says, ready to be asked for its instants.

use std::time::Duration;

use chrono::DateTime;
use phisync_state::Timestamp;
use phisync_workflows::machine::{CatchUp, Overlap, Schedule, Timing};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::timer::{Calendar, Cron, CronError, Dst, UnknownZone, Zone};

/// Why an entry cannot be used. The compiler refuses such entries; texts of older versions may have them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadSchedule {
    /// Not a cron expression.
    #[error("schedule `{id}`: `{cron}` is not a usable cron expression: {source}")]
    Cron {
        /// The schedule.
        id: String,
        /// What was written.
        cron: String,
        /// What is wrong.
        source: CronError,
    },
    /// Not a time zone.
    #[error("schedule `{id}`: {source}")]
    Zone {
        /// The schedule.
        id: String,
        /// What is wrong.
        source: UnknownZone,
    },
    /// Not a point in time.
    #[error("schedule `{id}`: `{text}` is not a timestamp; write it as 2026-11-22T09:30:00Z")]
    Instant {
        /// The schedule.
        id: String,
        /// What was written.
        text: String,
    },
}

#[derive(Clone, Debug)]
enum Instants {
    Calendar(Calendar),
    /// The anchor itself is one, and then each after this many microseconds.
    Every {
        anchor: i64,
        period: i64,
    },
}

/// The instants of one schedule and its rules.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Mixed into the jitter, so that schedules of the same time do not move together.
    name: String,
    instants: Instants,
    /// What its clocks show.
    pub zone: Zone,
    /// While a run of it is open.
    pub overlap: Overlap,
    /// What becomes of missed instants.
    pub catchup: CatchUp,
    /// How far back they count.
    pub window: Duration,
    /// The largest delay of a start after its instant.
    pub jitter: Duration,
    /// Whether it starts anything.
    pub enabled: bool,
    not_before: Option<Timestamp>,
    /// Not at this one any more.
    end: Option<Timestamp>,
}

impl Plan {
    /// Reads an entry of `workflow`. `anchor` is where `every` counts from without a `start_at`.
    ///
    /// # Errors
    /// The first thing of the entry that cannot be used.
    pub fn new(
        workflow: &str,
        schedule: &Schedule,
        anchor: Timestamp,
    ) -> Result<Self, BadSchedule> {
        let id = &schedule.id;
        let instant = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => match DateTime::parse_from_rfc3339(text) {
                Ok(at) => Ok(Some(Timestamp::from_micros(at.timestamp_micros()))),
                Err(_) => Err(BadSchedule::Instant {
                    id: id.clone(),
                    text: text.clone(),
                }),
            },
        };
        let zone = Zone::parse(&schedule.timezone).map_err(|source| BadSchedule::Zone {
            id: id.clone(),
            source,
        })?;
        let not_before = instant(&schedule.start_at)?;
        let instants = match &schedule.timing {
            Timing::Cron(text) => {
                let cron = Cron::parse(text).map_err(|source| BadSchedule::Cron {
                    id: id.clone(),
                    cron: text.clone(),
                    source,
                })?;
                let dst = Dst {
                    gap: schedule.dst_gap,
                    overlap: schedule.dst_overlap,
                };
                Instants::Calendar(Calendar::new(cron, zone, dst))
            }
            Timing::Every(period) => Instants::Every {
                anchor: not_before.unwrap_or(anchor).as_micros(),
                period: micros(*period).max(1),
            },
        };
        Ok(Self {
            name: format!("{workflow}/{id}"),
            instants,
            zone,
            overlap: schedule.overlap,
            catchup: schedule.catchup,
            window: schedule.catchup_window,
            jitter: schedule.jitter,
            enabled: schedule.enabled,
            not_before,
            end: instant(&schedule.end_at)?,
        })
    }

    /// Its first instant strictly after `after`; `None` if there is none.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let just_before = |at: Timestamp| Timestamp::from_micros(at.as_micros().saturating_sub(1));
        let after = self
            .not_before
            .map_or(after, |at| after.max(just_before(at)));
        let next = match &self.instants {
            Instants::Calendar(calendar) => calendar.next_after(after)?,
            Instants::Every { anchor, period } => {
                let passed = after
                    .as_micros()
                    .saturating_sub(*anchor)
                    .div_euclid(*period)
                    + 1;
                let next = anchor.checked_add(passed.max(0).checked_mul(*period)?)?;
                Timestamp::from_micros(next)
            }
        };
        self.end.is_none_or(|end| next < end).then_some(next)
    }

    /// When the start for `instant` is due: after it by up to the jitter, the same for the same schedule
    /// and instant, and before its next instant.
    #[must_use]
    pub fn due(&self, instant: Timestamp) -> Timestamp {
        let widest = micros(self.jitter);
        if widest == 0 {
            return instant;
        }
        let gap = self
            .next_after(instant)
            .map_or(i64::MAX, |next| next.as_micros() - instant.as_micros() - 1);
        let hash = Sha256::digest(format!("{} {}", self.name, instant.as_micros()));
        let dice = hash
            .iter()
            .take(7)
            .fold(0i64, |sum, byte| sum << 8 | i64::from(*byte));
        let delay = dice.rem_euclid(widest.min(gap).saturating_add(1));
        Timestamp::from_micros(instant.as_micros().saturating_add(delay))
    }

    /// How many instants lie after `after`, up to `until`; counts no further than `max`.
    #[must_use]
    pub fn count(&self, after: Timestamp, until: Timestamp, max: u32) -> u32 {
        let mut count = 0;
        let mut at = after;
        while count < max {
            match self.next_after(at) {
                Some(next) if next <= until => at = next,
                Some(_) | None => break,
            }
            count += 1;
        }
        count
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
