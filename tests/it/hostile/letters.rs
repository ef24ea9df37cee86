//! Reports of agents that arrive late, twice, in any order, under another name or with another token, also
//! across restarts: those that count are the holder's, and each of them once.

use std::collections::BTreeMap;

use phisync::coordinator::Refusal;
use phisync::engine::RunId;
use phisync_tests::{Claim, World};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use serde_json::json;

const TEAM: &str = "
phisync: 1
agents:
  webc: { concurrency: 2 }
  dc: { concurrency: 2 }
  kalic: { concurrency: 2 }
";

const AGENTS: [&str; 3] = ["webc", "dc", "kalic"];

/// Tasks side by side and behind each other, tried again when they fail.
const WORKFLOW: &str = "
workflow: work
steps:
  - { id: one, task: work, assign: { reassignments: 50 }, retry: { max_attempts: 20, backoff: fixed, delay: 1s, jitter: none, errors: [app] } }
  - { id: two, task: work, assign: { reassignments: 50 }, retry: { max_attempts: 20, backoff: fixed, delay: 1s, jitter: none, errors: [app] } }
  - { id: three, needs: one, task: work, assign: { reassignments: 50 } }
  - { id: four, needs: [two, three], task: work, assign: { reassignments: 50 } }
";

/// What a letter says about a task.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    Done(u8),
    Failed,
    GivenBack,
    Alive,
}

/// What happens next. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Move {
    /// An agent asks for a task.
    Poll(usize),
    /// Whoever got some task at some time writes a letter about it, which is not sent yet.
    Write(usize, Word),
    /// Some letter arrives, perhaps again.
    Deliver(usize),
    /// The same words arrive from somebody, with a token so much larger.
    Forge(usize, usize, i64),
    /// So many seconds pass: leases end, agents die.
    Pass(u64),
    /// The server is killed and starts again.
    Restart,
}

fn words() -> impl Strategy<Value = Word> {
    prop_oneof![
        4 => (0..3_u8).prop_map(Word::Done),
        2 => Just(Word::Failed),
        1 => Just(Word::GivenBack),
        1 => Just(Word::Alive),
    ]
}

fn moves() -> impl Strategy<Value = Move> {
    let some = || 0..1000_usize;
    prop_oneof![
        5 => (0..AGENTS.len()).prop_map(Move::Poll),
        5 => (some(), words()).prop_map(|(claim, word)| Move::Write(claim, word)),
        8 => some().prop_map(Move::Deliver),
        2 => (some(), 0..AGENTS.len(), -3..4_i64).prop_map(|(l, a, t)| Move::Forge(l, a, t)),
        2 => (1..90_u64).prop_map(Move::Pass),
        1 => Just(Move::Restart),
    ]
}

/// The coordinator, every task that was ever handed out, and what was ever written about one.
struct Office {
    world: World,
    run: RunId,
    claims: Vec<Claim>,
    letters: Vec<(Claim, Word)>,
    /// The newest claim of each task.
    holders: BTreeMap<String, (String, u64)>,
    /// What ended each claim.
    ended: BTreeMap<(String, u64), (String, Word)>,
}

impl Office {
    fn open() -> Self {
        let mut world = World::new(WORKFLOW, TEAM);
        let run = world.start();
        Self {
            world,
            run,
            claims: Vec::new(),
            letters: Vec::new(),
            holders: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    fn go(&mut self, step: &Move) -> Result<(), TestCaseError> {
        match step {
            Move::Poll(agent) => self.poll(AGENTS[*agent])?,
            Move::Write(claim, word) if !self.claims.is_empty() => {
                let claim = self.claims[claim % self.claims.len()].clone();
                self.letters.push((claim, *word));
            }
            Move::Deliver(letter) if !self.letters.is_empty() => {
                let (claim, word) = self.letters[letter % self.letters.len()].clone();
                self.deliver(&claim, word)?;
            }
            Move::Forge(letter, agent, shift) if !self.letters.is_empty() => {
                let (mut claim, word) = self.letters[letter % self.letters.len()].clone();
                AGENTS[*agent].clone_into(&mut claim.agent);
                claim.task.token = claim.task.token.saturating_add_signed(*shift);
                self.deliver(&claim, word)?;
            }
            Move::Write(..) | Move::Deliver(_) | Move::Forge(..) => {}
            Move::Pass(seconds) => self.world.seconds(*seconds),
            Move::Restart => self.world.crash_and_reopen(),
        }
        Ok(())
    }

    fn poll(&mut self, agent: &str) -> Result<(), TestCaseError> {
        for claim in self.world.poll(agent, 1) {
            let (task, token) = (claim.task.id.clone(), claim.task.token);
            let before = self.holders.insert(task.clone(), (agent.to_owned(), token));
            let larger = before.is_none_or(|(_, before)| before < token);
            prop_assert!(larger, "the token of {} did not grow: {}", task, token);
            self.claims.push(claim);
        }
        Ok(())
    }

    /// How many facts the run has.
    fn facts(&self) -> usize {
        let records = self.world.store().read(&self.run.stream(), 1);
        records.expect("memory").len()
    }

    fn say(&mut self, claim: &Claim, word: Word) -> Result<(), Refusal> {
        match word {
            Word::Done(what) => self.world.try_complete(claim, json!({ "what": what })),
            Word::Failed => self.world.try_fail(claim, "app.no", "no", Some(true)),
            Word::GivenBack => self.world.try_release(claim),
            Word::Alive => self.world.heartbeat(claim).map(drop),
        }
    }

    fn deliver(&mut self, claim: &Claim, word: Word) -> Result<(), TestCaseError> {
        let before = self.facts();
        let answer = self.say(claim, word);
        let changed = self.facts() != before;
        let (task, token) = (claim.task.id.clone(), claim.task.token);
        let told = format!("{} of {task} with {token}: {word:?}", claim.agent);
        if let Err(refusal) = answer {
            prop_assert!(!changed, "{}: {}, and it had an effect", told, refusal);
            return Ok(());
        }
        let sender = (claim.agent.clone(), token);
        let holds = self.holders.get(&task) == Some(&sender);
        if word == Word::Alive {
            prop_assert!(holds && !changed, "{}", told);
            prop_assert!(
                !self.ended.contains_key(&(task, token)),
                "{}: it has ended",
                told
            );
            return Ok(());
        }
        let said = (claim.agent.clone(), word);
        match self.ended.get(&(task.clone(), token)) {
            Some(first) => {
                prop_assert_eq!(first, &said, "{}: another word was taken", told);
                prop_assert!(!changed, "{}: a repetition had an effect", told);
            }
            None => {
                prop_assert!(holds, "{}: it was somebody else's", told);
                prop_assert!(changed, "{}: it was taken without effect", told);
                self.ended.insert((task, token), said);
            }
        }
        Ok(())
    }

    /// All go on honestly: the run must close.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..60 {
            self.world.seconds(61);
            for agent in AGENTS {
                for claim in self.world.poll(agent, 2) {
                    self.world.complete(&claim, json!({ "what": 9 }));
                }
            }
            if self.world.run(&self.run).closed_at.is_some() {
                return Ok(());
            }
        }
        Err(TestCaseError::fail("the run does not close"))
    }
}

proptest! {
    #![proptest_config(Config { cases: 96, failure_persistence: None, ..Config::default() })]

    #[test]
    fn letters_that_are_late_repeated_reordered_or_forged_change_nothing(steps in vec(moves(), 20..120)) {
        let mut office = Office::open();
        for step in &steps {
            office.go(step)?;
        }
        office.finish()?;
    }
}

#[test]
fn the_moves_reach_what_they_are_about() {
    let mut office = Office::open();
    let story = [
        Move::Poll(0),
        Move::Write(0, Word::Done(1)),
        // The lease ends, another agent takes the task.
        Move::Pass(89),
        Move::Pass(89),
        Move::Poll(1),
        Move::Poll(1),
    ];
    for step in &story {
        office.go(step).expect("no rule is broken");
    }
    let zombie = office.letters[0].0.clone();
    let newer = office
        .claims
        .iter()
        .rev()
        .find(|claim| claim.task.id == zombie.task.id);
    let newer = newer.expect("it was handed out").clone();
    assert!(newer.task.token > zombie.task.token, "{:?}", office.claims);
    let refused = office
        .say(&zombie, Word::Done(1))
        .expect_err("the token is stale");
    assert_eq!(refused.code(), "stale_token");
    office
        .deliver(&newer, Word::Done(2))
        .expect("no rule is broken");
    office.deliver(&newer, Word::Done(2)).expect("a repetition");
    let other = office
        .say(&newer, Word::Done(1))
        .expect_err("another result");
    assert_eq!(other.code(), "already_ended");
    office.finish().expect("it closes");
}
