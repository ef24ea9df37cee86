//! Who waits for which sequence to become durable.

use std::collections::BTreeMap;

use crate::{Durable, Seq};

/// Callbacks by the sequence they wait for; equal sequences in order of arrival.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: BTreeMap<(Seq, u64), Durable>,
    arrivals: u64,
}

impl Waiters {
    pub(crate) fn add(&mut self, seq: Seq, then: Durable) {
        self.arrivals += 1;
        self.waiting.insert((seq, self.arrivals), then);
    }

    /// Takes everybody who waits for `seq` or less, in order.
    pub(crate) fn due(&mut self, seq: Seq) -> impl Iterator<Item = Durable> + use<> {
        let later = self.waiting.split_off(&(Seq(seq.0.saturating_add(1)), 0));
        std::mem::replace(&mut self.waiting, later).into_values()
    }

    /// Takes everybody, in order.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = Durable> + use<> {
        std::mem::take(&mut self.waiting).into_values()
    }
}
