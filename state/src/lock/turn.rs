//! Turns at something that many change at once: whoever lost a race stands in line, and has it to itself for a moment.
//!
//! Pure: every time is an argument, of one monotonic clock. A turn ends with its holder's write, when it is given up, or
//! when it has lasted its time. A turn is no lock: it only keeps others from being faster, and what guards the content
//! is still the comparison of its version. So nothing here is journalled, and a restart that forgets every line loses nobody's
//! change. Who waits behind k others, the holder among them, waits for at most k turns.

use std::collections::VecDeque;
use std::time::Duration;

/// The most that wait in one line.
pub const TURN_WAITERS_MAX: usize = 10_000;

/// One who wants a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnRequest {
    /// A number that no other request has; it becomes the turn's.
    pub number: u64,
    /// Who asks.
    pub by: String,
    /// How long the turn may last.
    pub hold: Duration,
}

/// A turn that somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The number of the request.
    pub number: u64,
    /// Whose.
    pub by: String,
    /// When it is over.
    pub until: Duration,
}

/// What asking comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnAsked {
    /// It is the caller's turn.
    Yours(Turn),
    /// Others are before; [`TurnQueue::next`] says when.
    Waits,
    /// Too many wait.
    Full,
}

/// Why a write is not taken now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is the turn of `{by}`")]
pub struct NotYourTurn {
    /// Who has the turn, or gets the next one.
    pub by: String,
}

/// Who has the turn at one thing, and who waits for one.
#[derive(Clone, Debug, Default)]
pub struct TurnQueue {
    /// Its time may be over: then [`Self::next`] takes it away.
    holder: Option<Turn>,
    line: VecDeque<TurnRequest>,
}

impl TurnQueue {
    /// Asks for a turn.
    pub fn ask(&mut self, request: TurnRequest, now: Duration) -> TurnAsked {
        match self.holder(now) {
            None if self.line.is_empty() => TurnAsked::Yours(self.give(request, now)),
            _ if self.line.len() == TURN_WAITERS_MAX => TurnAsked::Full,
            _ => {
                self.line.push_back(request);
                TurnAsked::Waits
            }
        }
    }

    /// Who has the turn at `now`.
    #[must_use]
    pub fn holder(&self, now: Duration) -> Option<&Turn> {
        self.holder.as_ref().filter(|turn| now < turn.until)
    }

    /// The turn of this number, if it is the caller's at `now`.
    #[must_use]
    pub fn held(&self, number: u64, by: &str, now: Duration) -> Option<&Turn> {
        self.holder(now)
            .filter(|turn| turn.number == number && turn.by == by)
    }

    /// Who waits, the next one first.
    pub fn waiting(&self) -> impl Iterator<Item = &TurnRequest> {
        self.line.iter()
    }

    /// Whether somebody who comes with these turns may write. While anybody has a turn or waits for one, nobody else
    /// may: or the line could be passed for ever.
    ///
    /// # Errors
    /// It is somebody else's turn.
    pub fn check(&self, turns: &[u64], by: &str, now: Duration) -> Result<(), NotYourTurn> {
        let before = match self.holder(now) {
            Some(turn) if turn.by == by && turns.contains(&turn.number) => return Ok(()),
            Some(turn) => &turn.by,
            None => match self.line.front() {
                Some(first) => &first.by,
                None => return Ok(()),
            },
        };
        Err(NotYourTurn { by: before.clone() })
    }

    /// Ends a turn, or takes a request out of the line; whether there was such a one.
    pub fn leave(&mut self, number: u64) -> bool {
        if self.holder.take_if(|turn| turn.number == number).is_some() {
            return true;
        }
        let before = self.line.len();
        self.line.retain(|request| request.number != number);
        self.line.len() < before
    }

    /// Gives the turn to whoever waits longest, if nobody has it at `now`.
    pub fn next(&mut self, now: Duration) -> Option<Turn> {
        if self.holder(now).is_some() {
            return None;
        }
        self.holder = None;
        let first = self.line.pop_front()?;
        Some(self.give(first, now))
    }

    /// When the turn that somebody has is over, at the latest.
    #[must_use]
    pub fn end(&self) -> Option<Duration> {
        self.holder.as_ref().map(|turn| turn.until)
    }

    /// Nobody is late because the process stood still.
    pub fn excuse(&mut self, pause: Duration) {
        if let Some(turn) = &mut self.holder {
            turn.until = turn.until.saturating_add(pause);
        }
    }

    /// Whether nobody has a turn or waits for one.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.holder.is_none() && self.line.is_empty()
    }

    fn give(&mut self, request: TurnRequest, now: Duration) -> Turn {
        let turn = Turn {
            number: request.number,
            by: request.by,
            until: now.saturating_add(request.hold),
        };
        self.holder = Some(turn.clone());
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, VecDeque};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Turn, TurnAsked, TurnQueue, TurnRequest};

    const HOLD: Duration = Duration::from_secs(2);

    fn request(number: u64) -> TurnRequest {
        TurnRequest {
            number,
            by: format!("client {number}"),
            hold: HOLD,
        }
    }

    fn at(tenths: u64) -> Duration {
        Duration::from_millis(100 * tenths)
    }

    #[test]
    fn a_turn_is_its_holders_alone_and_only_for_its_time() {
        let mut queue = TurnQueue::default();
        assert_eq!(queue.ask(request(1), at(0)), TurnAsked::Yours(turn(1, 20)));
        assert_eq!(queue.held(1, "client 1", at(19)), Some(&turn(1, 20)));
        assert_eq!(queue.held(1, "client 2", at(19)), None);
        assert_eq!(queue.held(1, "client 1", at(20)), None);
        assert!(queue.leave(1) && queue.is_idle() && !queue.leave(1));
    }

    #[test]
    fn an_end_that_nobody_has_looked_at_yet_lets_nobody_pass_the_line() {
        let mut queue = TurnQueue::default();
        assert!(matches!(queue.ask(request(1), at(0)), TurnAsked::Yours(_)));
        assert_eq!(queue.ask(request(2), at(1)), TurnAsked::Waits);
        let late = queue.check(&[1], "client 1", at(20));
        assert_eq!(late.expect_err("its time is over").by, "client 2");
        assert_eq!(queue.ask(request(3), at(21)), TurnAsked::Waits);
        assert_eq!(queue.next(at(22)), Some(turn(2, 42)));
        assert_eq!(queue.check(&[9, 2], "client 2", at(41)), Ok(()));
        assert!(queue.check(&[2], "client 3", at(41)).is_err());
    }

    fn turn(number: u64, until: u64) -> Turn {
        Turn {
            number,
            by: format!("client {number}"),
            until: at(until),
        }
    }

    /// What can happen to a client.
    #[derive(Clone, Copy, Debug)]
    enum Move {
        /// It stands in line, having lost a race or not.
        Ask,
        /// It writes what it made of the content that it saw last, in its turn or not.
        Write,
        /// It goes away, from the line or in its turn.
        Leave,
        /// It is silent from now on, wherever it stands.
        Die,
        /// Tenths of a second pass, and the clock is looked at.
        Pass(u64),
    }

    /// The clock is looked at so late at most.
    const LATE: u64 = 12;

    fn moves() -> impl Strategy<Value = Vec<(u64, Move)>> {
        let step = prop_oneof![
            4 => Just(Move::Ask),
            5 => Just(Move::Write),
            1 => Just(Move::Leave),
            1 => Just(Move::Die),
            4 => (1..=LATE).prop_map(Move::Pass),
        ];
        proptest::collection::vec((1..7_u64, step), 1..200)
    }

    /// A counter with a version, its clients, and the line as it should be.
    #[derive(Default)]
    struct World {
        queue: TurnQueue,
        now: Duration,
        version: u64,
        content: u64,
        /// Version and content as each client saw them last.
        seen: BTreeMap<u64, (u64, u64)>,
        dead: BTreeSet<u64>,
        /// Who waits, the next one first, with the number of turns before its own and since when.
        line: VecDeque<(u64, u32, Duration)>,
    }

    impl World {
        fn look(&mut self, client: u64) {
            self.seen.insert(client, (self.version, self.content));
        }

        fn ask(&mut self, client: u64) {
            let before = u32::from(self.queue.holder.is_some());
            match self.queue.ask(request(client), self.now) {
                TurnAsked::Yours(_) => self.look(client),
                TurnAsked::Waits => {
                    let before = before + u32::try_from(self.line.len()).expect("few");
                    assert!(before > 0, "{client} waits for nobody");
                    self.line.push_back((client, before, self.now));
                }
                TurnAsked::Full => panic!("there is room"),
            }
        }

        fn write(&mut self, client: u64) -> bool {
            let by = format!("client {client}");
            let (version, content) = self.seen.get(&client).copied().unwrap_or_default();
            let in_turn = self.queue.holder(self.now).is_some_and(|t| t.by == by);
            let taken =
                self.queue.check(&[client], &by, self.now).is_ok() && version == self.version;
            assert!(taken || !in_turn, "{client} lost a race in its own turn");
            if taken {
                self.version += 1;
                self.content = content + 1;
                self.queue.leave(client);
                self.serve();
            }
            self.look(client);
            taken
        }

        fn serve(&mut self) {
            if let Some(turn) = self.queue.next(self.now) {
                let next = self.line.pop_front();
                let (client, turns, since) = next.expect("only who waits is served");
                assert_eq!(client, turn.number, "somebody passed the line");
                let most = (HOLD + at(LATE)) * turns;
                assert!(self.now - since <= most, "{client} waited too long");
                self.look(client);
            }
            let served = self.queue.holder(self.now).is_some() || self.line.is_empty();
            assert!(served, "somebody waits for nobody");
        }
    }

    proptest! {
        /// Whatever happens in which order, and whoever dies in its turn.
        #[test]
        fn nobody_waits_longer_than_the_turns_before_it_and_no_change_is_lost(moves in moves()) {
            let mut world = World::default();
            let mut told = 0;
            for (client, step) in moves {
                let waits = world.line.iter().any(|(other, ..)| *other == client);
                let has = world.queue.holder(world.now).is_some_and(|t| t.number == client);
                let speaks = !world.dead.contains(&client);
                match step {
                    Move::Ask if speaks && !waits && !has => world.ask(client),
                    Move::Write if speaks && !waits => told += u64::from(world.write(client)),
                    Move::Leave if speaks => {
                        world.queue.leave(client);
                        world.line.retain(|(other, ..)| *other != client);
                        world.serve();
                    }
                    Move::Die => { world.dead.insert(client); }
                    Move::Pass(tenths) => {
                        world.now += at(tenths);
                        world.serve();
                    }
                    Move::Ask | Move::Write | Move::Leave => {}
                }
            }
            prop_assert_eq!(world.content, told);
        }
    }
}
