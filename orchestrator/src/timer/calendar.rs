//! The instants of a cron expression on the clocks of a time zone, changes of the clocks included.
//!
//! The expression is read against what the clocks on the wall show. What they jump over, and what they
//! show twice, needs a rule where the hour is fixed ([`Dst`]); an expression whose hour field begins with
//! `*` follows what the clocks show: nothing fires in a gap, and an hour that comes twice counts twice,
//! so that elapsed time is regular.

use phisync_state::Timestamp;
use phisync_workflows::machine::{DstGap, DstOverlap};

use super::zone::{Occurrence, Seconds, instant, seconds};
use super::{Cron, Zone};

/// The rules for the days on which clocks change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dst {
    /// What happens to a fixed time that the clocks jump over.
    pub gap: DstGap,
    /// What happens to a fixed time that the clocks show twice.
    pub overlap: DstOverlap,
}

impl Default for Dst {
    fn default() -> Self {
        Self {
            gap: DstGap::RunAfter,
            overlap: DstOverlap::Once,
        }
    }
}

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Calendar {
    cron: Cron,
    zone: Zone,
    dst: Dst,
}

impl Calendar {
    /// The instants of `cron` on the clocks of `zone`.
    #[must_use]
    pub fn new(cron: Cron, zone: Zone, dst: Dst) -> Self {
        Self { cron, zone, dst }
    }

    /// The first instant strictly after `after` at which it fires; `None` if there is none up to the end
    /// of the year 2100.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let mut from = seconds(after);
        loop {
            let offset = self.zone.offset(from);
            let reading = self.reading_after(from.saturating_add(offset));
            // Without a reading before the end of the calendar no change of clocks matters.
            let reading = reading?;
            let at = reading - offset;
            let Some(change) = self.zone.next_change(from, at) else {
                if self.counts(reading, at) {
                    return Some(instant(at));
                }
                from = at;
                continue;
            };
            let moved = self.zone.offset(change);
            let in_gap = reading < change + moved;
            if in_gap && self.cron.has_fixed_hour() && self.dst.gap == DstGap::RunAfter {
                return Some(instant(change));
            }
            // What the clocks show from the change on, its own instant included.
            let first = self.reading_after((change + moved) - 1)?;
            let at = first - moved;
            if at == change && self.counts(first, at) {
                return Some(instant(at));
            }
            from = change;
        }
    }

    fn reading_after(&self, local: Seconds) -> Option<Seconds> {
        self.cron.next_after(instant(local)).map(seconds)
    }

    /// Whether a reading that the clocks show at `at` is one that fires.
    fn counts(&self, reading: Seconds, at: Seconds) -> bool {
        let both = !self.cron.has_fixed_hour() || self.dst.overlap == DstOverlap::Twice;
        match self.zone.occurrence(reading) {
            Occurrence::Twice(earlier) => both || at == earlier,
            Occurrence::Once | Occurrence::Never => true,
        }
    }
}

#[cfg(test)]
mod tests;
