//! Turns at documents: whoever lost a race for one may wait in line, and is alone with it for a moment.
//!
//! [`TurnQueue`] decides; here are its clocks, and the answers to those who wait. While anybody has the turn at a document or
//! waits for it, nobody else's write is taken, so a turn's holder that writes in time does not lose. Nothing of
//! this is journalled: the version still decides, and who was in line asks again after a restart. Another
//! orchestrator on the same store has lines of its own, and so has a rewind no line at all: their writes can make a holder lose.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use phisync_state::{FileId, Turn, TurnAsked, TurnQueue, TurnRequest};

use crate::protocol::DocumentTurn;

use super::documents::document_name;
use super::{Coordinator, InLine, Now, Refusal, ServedWaiter};

/// How long a turn lasts that nobody says anything about.
const HOLD: Duration = Duration::from_secs(2);

/// The shortest turn: an answer and a write must fit in.
const HOLD_MIN: Duration = Duration::from_millis(100);

/// The longest turn: a dead holder is in everybody's way for as long.
const HOLD_MAX: Duration = Duration::from_secs(60);

/// The first number is any of 52 bits: every JSON reader keeps it exact, and one of before a restart means nothing.
const FIRST_NUMBER_SHIFT: u32 = 12;

/// A wish for a turn.
#[derive(Clone, Debug, Default)]
pub struct TurnWish {
    /// Who asks.
    pub by: String,
    /// How long the turn may last; 2 s without it, 100 ms to 60 s.
    pub hold: Option<Duration>,
    /// How long to wait in line.
    pub wait: Duration,
    /// The turns that it says it has: one at this document is told again.
    pub turns: Vec<u64>,
}

#[derive(Default)]
pub(super) struct Turns {
    by_document: BTreeMap<FileId, TurnQueue>,
    /// Who waits at what, and until when.
    waits: BTreeMap<u64, (FileId, Duration)>,
    ends: BTreeSet<(Duration, u64)>,
    /// None was given yet: 0.
    last: u64,
    served: Vec<ServedWaiter<DocumentTurn>>,
}

impl Turns {
    /// When something is due next. There are few lines at a time: one for each document that is fought for now.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let turn = self.by_document.values().filter_map(TurnQueue::end).min();
        let wait = self.ends.first().map(|(at, _)| *at);
        [turn, wait].into_iter().flatten().min()
    }

    /// Nobody is late because this process stood still.
    pub(super) fn excuse(&mut self, pause: Duration) {
        for queue in self.by_document.values_mut() {
            queue.excuse(pause);
        }
    }

    fn forget_wait(&mut self, number: u64) -> Option<FileId> {
        let (name, end) = self.waits.remove(&number)?;
        self.ends.remove(&(end, number));
        Some(name)
    }
}

impl Coordinator {
    /// Asks for a turn at a document, and waits in line for up to `wait`.
    ///
    /// # Errors
    /// A bad name; it is somebody else's turn and `wait` is zero; too many wait.
    pub fn ask_turn(
        &mut self,
        name: &str,
        wish: &TurnWish,
        now: Now,
    ) -> Result<InLine<DocumentTurn>, Refusal> {
        let name = document_name(name)?;
        let queue = self.turns.by_document.entry(name.clone()).or_default();
        let mut turns = wish.turns.iter();
        let again = turns.find_map(|turn| queue.held(*turn, &wish.by, now.mono));
        if let Some(turn) = again.cloned() {
            return Ok(InLine::Granted(self.tell_turn(&name, &turn, now)));
        }
        if wish.wait.is_zero()
            && let Err(source) = queue.check(&[], &wish.by, now.mono)
        {
            return Err(Refusal::NotYourTurn { name, source });
        }
        if self.turns.last == 0 {
            self.turns.last = self.entropy.next_u64() >> FIRST_NUMBER_SHIFT;
        }
        self.turns.last += 1;
        let number = self.turns.last;
        let request = TurnRequest {
            number,
            by: wish.by.clone(),
            hold: wish.hold.unwrap_or(HOLD).clamp(HOLD_MIN, HOLD_MAX),
        };
        match queue.ask(request, now.mono) {
            TurnAsked::Yours(turn) => Ok(InLine::Granted(self.tell_turn(&name, &turn, now))),
            TurnAsked::Full => Err(Refusal::Busy),
            TurnAsked::Waits => {
                let end = now.mono.saturating_add(wish.wait);
                self.turns.waits.insert(number, (name, end));
                self.turns.ends.insert((end, number));
                Ok(InLine::Waiting(number))
            }
        }
    }

    /// Whoever has this turn at a document, or waits under this number, does not want it any more.
    ///
    /// # Errors
    /// A bad name. A turn that is over is no error.
    pub fn give_up_turn(
        &mut self,
        name: &str,
        number: u64,
        by: &str,
        now: Now,
    ) -> Result<(), Refusal> {
        let name = document_name(name)?;
        let queue = self.turns.by_document.get(&name);
        if queue.is_some_and(|queue| queue.held(number, by, now.mono).is_some()) {
            self.end_turn(&name, number, now);
        }
        Ok(())
    }

    /// Whoever waited under this number has gone.
    pub fn forget_turn_waiter(&mut self, number: u64, now: Now) {
        if let Some(name) = self.turns.forget_wait(number) {
            self.end_turn(&name, number, now);
        }
    }

    /// Who waits no more, since the last call.
    pub fn take_served_turns(&mut self) -> Vec<ServedWaiter<DocumentTurn>> {
        std::mem::take(&mut self.turns.served)
    }

    /// Whether somebody with these turns may write these documents now.
    ///
    /// # Errors
    /// It is somebody else's turn at one of them.
    pub(super) fn check_turns<'n>(
        &self,
        mut names: impl Iterator<Item = &'n FileId>,
        turns: &[u64],
        by: &str,
        now: Now,
    ) -> Result<(), Refusal> {
        let refused = names.find_map(|name| {
            let queue = self.turns.by_document.get(name)?;
            let source = queue.check(turns, by, now.mono).err()?;
            let name = name.clone();
            Some(Refusal::NotYourTurn { name, source })
        });
        refused.map_or(Ok(()), Err)
    }

    /// A document was written: the turn in which that was done is over.
    pub(super) fn wrote_in_turn(&mut self, name: &FileId, turns: &[u64], now: Now) {
        for number in turns {
            self.end_turn(name, *number, now);
        }
    }

    /// Ends turns that have lasted their time, and waits that were long enough.
    pub(super) fn tick_turns(&mut self, now: Now) {
        let over = |queue: &TurnQueue| queue.end().is_some_and(|end| end <= now.mono);
        let lines = self.turns.by_document.iter();
        let over: Vec<_> = lines.filter(|(_, queue)| over(queue)).collect();
        let over: Vec<_> = over.into_iter().map(|(name, _)| name.clone()).collect();
        for name in over {
            self.serve_turn(&name, now);
        }
        while let Some(&(end, number)) = self.turns.ends.first() {
            if end > now.mono {
                break;
            }
            self.turns.ends.pop_first();
            if let Some(name) = self.turns.forget_wait(number) {
                let refusal = self.check_turns(std::iter::once(&name), &[], "", now);
                self.end_turn(&name, number, now);
                if let Err(refusal) = refusal {
                    let (waiter, answer) = (number, Err(refusal));
                    self.turns.served.push(ServedWaiter { waiter, answer });
                }
            }
        }
    }

    fn end_turn(&mut self, name: &FileId, number: u64, now: Now) {
        let queue = self.turns.by_document.get_mut(name);
        if queue.is_some_and(|queue| queue.leave(number)) {
            self.serve_turn(name, now);
        }
    }

    /// Gives the turn at a document to whoever waits longest, if nobody has it.
    fn serve_turn(&mut self, name: &FileId, now: Now) {
        let Some(queue) = self.turns.by_document.get_mut(name) else {
            return;
        };
        if let Some(turn) = queue.next(now.mono) {
            self.turns.forget_wait(turn.number);
            let answer = Ok(self.tell_turn(name, &turn, now));
            let waiter = turn.number;
            self.turns.served.push(ServedWaiter { waiter, answer });
        } else if queue.is_idle() {
            self.turns.by_document.remove(name);
        }
    }

    /// What a turn's holder is told: the document as it is now.
    fn tell_turn(&self, name: &FileId, turn: &Turn, now: Now) -> DocumentTurn {
        let left = turn.until.saturating_sub(now.mono);
        DocumentTurn {
            name: name.to_string(),
            turn: turn.number,
            hold_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            version: self.document_version(name),
            content: self
                .document(name.as_str())
                .ok()
                .map(|document| document.content),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use phisync_agents::registry::Registry;
    use phisync_state::env::SeededEntropy;
    use phisync_state::{FileId, MemoryStore, Timestamp};

    use super::TurnWish;
    use crate::coordinator::{Coordinator, InLine, Now, Refusal};
    use crate::protocol::DocumentTurn;

    fn at(millis: u64) -> Now {
        Now {
            wall: Timestamp::from_micros(0),
            mono: Duration::from_millis(millis),
        }
    }

    fn open() -> Coordinator {
        let (store, dice) = (
            Arc::new(MemoryStore::new()),
            Box::new(SeededEntropy::new(1)),
        );
        let opened = Coordinator::open(store, 0, Registry::default(), dice, None, at(0));
        opened.expect("the store reads")
    }

    fn ask(
        c: &mut Coordinator,
        by: &str,
        wait_ms: u64,
        now: u64,
    ) -> Result<InLine<DocumentTurn>, Refusal> {
        let wish = TurnWish {
            by: by.to_owned(),
            wait: Duration::from_millis(wait_ms),
            ..TurnWish::default()
        };
        c.ask_turn("plan", &wish, at(now))
    }

    fn granted(answer: Result<InLine<DocumentTurn>, Refusal>) -> DocumentTurn {
        match answer {
            Ok(InLine::Granted(turn)) => turn,
            other => panic!("not granted: {other:?}"),
        }
    }

    fn waits(answer: Result<InLine<DocumentTurn>, Refusal>) -> u64 {
        match answer {
            Ok(InLine::Waiting(number)) => number,
            other => panic!("does not wait: {other:?}"),
        }
    }

    /// Who was served by now, and whether with the turn.
    fn served(c: &mut Coordinator, now: u64) -> Vec<(u64, bool)> {
        c.tick(at(now)).expect("the store works");
        let served = c.take_served_turns().into_iter();
        let told = served.map(|served| (served.waiter, served.answer.is_ok()));
        told.collect()
    }

    #[test]
    fn the_dead_hold_up_nobody_for_more_than_their_turns_and_waits_end_in_time() {
        let mut c = open();
        let first = granted(ask(&mut c, "one", 0, 0));
        assert_eq!(first.hold_ms, 2000);
        assert!(matches!(
            ask(&mut c, "two", 0, 1),
            Err(Refusal::NotYourTurn { .. })
        ));
        let second = waits(ask(&mut c, "two", 60_000, 100));
        let hasty = waits(ask(&mut c, "three", 500, 200));
        let gone = waits(ask(&mut c, "four", 60_000, 300));
        let last = waits(ask(&mut c, "five", 60_000, 400));
        assert_eq!(c.next_due().1, Some(Duration::from_millis(700)));
        assert_eq!(served(&mut c, 700), [(hasty, false)]);
        c.forget_turn_waiter(gone, at(800));
        assert_eq!(served(&mut c, 1999), []);
        assert_eq!(served(&mut c, 2000), [(second, true)]);
        // A standstill of the process is not the holder's.
        c.excuse_pause(Duration::from_secs(10));
        assert_eq!(served(&mut c, 13_999), []);
        assert_eq!(served(&mut c, 14_000), [(last, true)]);
        assert_eq!(served(&mut c, 16_000), []);
        assert_eq!(c.next_due().1, None, "nothing is left of the line");
    }

    #[test]
    fn a_turn_opens_its_document_for_its_holder_alone() {
        let mut c = open();
        let turn = granted(ask(&mut c, "one", 0, 0));
        let plan = FileId::new("plan").expect("a name");
        let other = FileId::new("other").expect("a name");
        let may = |names: &[&FileId], turns: &[u64], by: &str| {
            let names = names.iter().copied();
            c.check_turns(names, turns, by, at(10)).is_ok()
        };
        assert!(may(&[&plan, &other], &[7, turn.turn], "one"));
        assert!(!may(&[&plan], &[], "one") && !may(&[&other, &plan], &[turn.turn], "two"));
        assert!(may(&[&other], &[], "two"));
        c.give_up_turn("plan", turn.turn, "two", at(20))
            .expect("a sound name");
        assert!(
            c.check_turns([&plan].into_iter(), &[], "two", at(30))
                .is_err()
        );
        c.give_up_turn("plan", turn.turn, "one", at(40))
            .expect("a sound name");
        assert!(
            c.check_turns([&plan].into_iter(), &[], "two", at(50))
                .is_ok()
        );
    }
}
