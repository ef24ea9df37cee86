//! One long story with everything in it, in steps that can be cut apart: a crash or a lost race at
//! any point must lead to the same end.

use std::collections::BTreeMap;
use std::sync::Arc;

use phisync::engine::Resolution;
use phisync_state::Store;
use serde_json::{Value, json};

use crate::{Claim, World};

/// Back-offs without jitter, so that dice thrown once more change nothing.
const WORKFLOW: &str = "
workflow: story
steps:
  - { id: plan, task: plan, assign: DC, compensate: { task: undo, assign: DC, retry: { max_attempts: 1 } } }
  - { id: fetch, needs: plan, task: fetch, assign: WEBC, retry: { backoff: fixed, delay: 10s, jitter: none, errors: [app] } }
  - { id: text, needs: plan, task: text, assign: { capabilities: [write] }, timeouts: { lease: 20s }, compensate: { task: undo, assign: DC } }
  - { id: extra, needs: plan, if: 'false', task: extra, assign: DC }
  - { id: check, needs: [fetch, text, extra], approval: { from: { roles: [lead] }, quorum: 2, timeout: 1d } }
  - { id: publish, needs: check, task: publish, assign: WEBC }
";

const TEAM: &str = "\
agents:
  DC: { capabilities: [write], concurrency: 2, silence: 2m }
  WEBC: { capabilities: [write], concurrency: 3, silence: 30d }
people:
  dana: { roles: [lead] }
  robin: { roles: [lead] }
";

/// Somebody in the middle of the story.
pub struct Teller {
    /// Where it happens.
    pub world: World,
    claims: BTreeMap<&'static str, Claim>,
}

impl Teller {
    /// At the beginning, on `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            world: World::on(store, WORKFLOW, TEAM),
            claims: BTreeMap::new(),
        }
    }

    /// Tells the whole story, with `between` after each of its steps.
    pub fn tell(&mut self, mut between: impl FnMut(&mut World, usize)) {
        for (number, step) in STORY.iter().enumerate() {
            step(self);
            between(&mut self.world, number);
        }
    }

    fn take(&mut self, agent: &str, what: &'static str) {
        let claim = self.world.take(agent, what);
        self.claims.insert(what, claim);
    }

    fn complete(&mut self, what: &str, output: Value) {
        let claim = self.claims[what].clone();
        self.world.complete(&claim, output);
    }

    fn fail(&mut self, what: &str, code: &str) {
        let claim = self.claims[what].clone();
        self.world.fail(&claim, code, "as told");
    }
}

/// In how many steps the story is told.
pub const STEPS: usize = STORY.len();

const STORY: &[fn(&mut Teller)] = &[
    |t| drop(t.world.start()),
    |t| t.take("dc", "plan"),
    |t| t.complete("plan", json!({"n": 1})),
    |t| t.take("webc", "fetch"),
    |t| t.fail("fetch", "app.busy"),
    |t| t.take("dc", "text"),
    // Longer than a lease that began anew just now.
    |t| t.world.seconds(25),
    |t| t.take("webc", "fetch"),
    |t| t.complete("fetch", json!([1, 2])),
    |t| t.take("webc", "text"),
    |t| {
        let text = t.claims["text"].clone();
        t.world.release(&text);
    },
    // The agent that fell silent is dead now, and comes back.
    |t| t.world.seconds(121),
    |t| t.take("dc", "text"),
    |t| t.complete("text", json!("words")),
    |t| t.world.decide("check", "dana", true).expect("a lead may"),
    |t| t.world.decide("check", "robin", true).expect("a lead may"),
    |t| t.take("webc", "publish"),
    |t| t.world.cancel("not today"),
    |t| t.fail("publish", "app.stopped"),
    |t| t.take("dc", "text.undo"),
    |t| t.complete("text.undo", json!(null)),
    |t| t.take("dc", "plan.undo"),
    |t| t.fail("plan.undo", "app.stuck"),
    |t| {
        t.world
            .resolve("plan", Resolution::Retry, "once more")
            .expect("the incident is open");
    },
    |t| t.take("dc", "plan.undo"),
    |t| t.complete("plan.undo", json!(null)),
];
