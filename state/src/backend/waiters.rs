//! Who waits for which sequence to become durable.

use std::collections::VecDeque;

use crate::{Durable, Seq};

/// Callbacks by the sequence they wait for; equal sequences in order of arrival.
#[derive(Default)]
pub(crate) struct Waiters {
    /// Sorted. Whoever comes waits for what was appended last, so places are looked for from behind.
    waiting: VecDeque<(Seq, Durable)>,
}

impl Waiters {
    pub(crate) fn add(&mut self, seq: Seq, then: Durable) {
        let waiting = self.waiting.iter().rev();
        let later = waiting.take_while(|(other, _)| *other > seq).count();
        self.waiting.insert(self.waiting.len() - later, (seq, then));
    }

    /// Takes everybody who waits for `seq` or less, in order.
    pub(crate) fn due(&mut self, seq: Seq) -> impl Iterator<Item = Durable> + use<> {
        let due = self.waiting.partition_point(|(waits, _)| *waits <= seq);
        let later = self.waiting.split_off(due);
        let due = std::mem::replace(&mut self.waiting, later);
        due.into_iter().map(|(_, then)| then)
    }

    /// Takes everybody, in order.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = Durable> + use<> {
        let all = std::mem::take(&mut self.waiting);
        all.into_iter().map(|(_, then)| then)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::Waiters;
    use crate::{Seq, Unknown};

    #[test]
    fn who_waits_is_told_by_sequence_and_equals_in_order_of_arrival() {
        let mut waiters = Waiters::default();
        let (tell, told) = channel();
        for (seq, name) in [(2, 'a'), (5, 'b'), (2, 'c'), (3, 'd'), (9, 'e'), (5, 'f')] {
            let tell = tell.clone();
            let then = move |_| tell.send(name).expect("the test listens");
            waiters.add(Seq(seq), Box::new(then));
        }
        let tell_all = |some: &mut dyn Iterator<Item = crate::Durable>| {
            some.for_each(|then| then(Err(Unknown::closed())));
            told.try_iter().collect::<String>()
        };
        assert_eq!(tell_all(&mut waiters.due(Seq(1))), "");
        assert_eq!(tell_all(&mut waiters.due(Seq(5))), "acdbf");
        assert_eq!(tell_all(&mut waiters.all()), "e");
    }
}
