//! Agents that come and go on a store that has bad days, seen by two orchestrators: whatever was told and
//! whatever was lost, the journal says who belonged to the team, and nobody else was given a task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use phisync::coordinator::{AgentEvent, Coordinator, Now, Refusal, Target};
use phisync::engine::RunEvent;
use phisync_agents::registry::{Description, Registry};
use phisync_state::env::{Entropy as _, SeededEntropy};
use phisync_state::{Seq, Store, Timestamp};
use phisync_tests::{UnsteadyStore, compiled};
use serde_json::Map;

const WORKFLOW: &str = "
workflow: chores
steps:
  - { id: sweep, task: sweep, assign: { capabilities: [sweep] } }
  - { id: dust, task: dust, assign: { capabilities: [dust] } }
";

const NAMES: [&str; 3] = ["ada", "bob", "eve"];

struct Story {
    store: Arc<UnsteadyStore>,
    members: Vec<Coordinator>,
    dice: SeededEntropy,
    seconds: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut story = Self {
            store: Arc::new(UnsteadyStore::new(seed)),
            members: Vec::new(),
            dice: SeededEntropy::new(seed ^ 0x7ea3),
            seconds: 0,
        };
        for _ in 0..2 {
            let member = story.open();
            story.members.push(member);
        }
        story
    }

    fn now(&self) -> Now {
        let micros = i64::try_from(self.seconds).expect("a short story") * 1_000_000;
        Now {
            wall: Timestamp::from_micros(micros),
            mono: Duration::from_secs(self.seconds),
        }
    }

    fn open(&mut self) -> Coordinator {
        let store: Arc<dyn Store> = Arc::<UnsteadyStore>::clone(&self.store);
        let dice = Box::new(SeededEntropy::new(self.dice.next_u64()));
        let registry = Registry::parse("agents.yaml", "agents: {}\n").expect("nobody");
        let opened = Coordinator::open(store, 0, registry, dice, None, self.now());
        let mut member = opened.expect("the store can be read");
        member.share_store();
        member
    }

    fn pick(&mut self, count: u64) -> usize {
        usize::try_from(self.dice.next_u64() % count).expect("a small number")
    }

    fn act(&mut self) {
        let (member, name) = (self.pick(2), NAMES[self.pick(3)]);
        let now = self.now();
        let mut words = Description::of(name);
        words.concurrency = 3;
        for capability in ["sweep", "dust"] {
            if self.pick(2) == 0 {
                words.capabilities.push(capability.to_owned());
            }
        }
        let run = format!("r{}", self.seconds);
        let deed = self.pick(8);
        let at = &mut self.members[member];
        let done = match deed {
            0 => {
                let target = Target::Compiled(compiled(WORKFLOW));
                let (inputs, labels) = (Map::new(), BTreeMap::new());
                at.start(&target, Some(&run), &inputs, &labels, "dana", now)
                    .map(|_| ())
            }
            1 | 2 => at.register_agent(&words, "dana", now).map(|_| ()),
            3 => at.remove_agent(name, "dana", None, true, now).map(|_| ()),
            4 => at.tick(now),
            _ => at.poll(name, None, 2, Duration::ZERO, now).map(|_| ()),
        };
        // One that does not know what became of its append starts again from the store.
        if let Err(Refusal::Unknown(_)) = done {
            self.members[member] = self.open();
        }
        self.seconds += 1;
    }
}

/// Who belongs to the team at the end of the journal, after every claim in it was held against who did then.
fn members_of(store: &UnsteadyStore) -> BTreeMap<String, Description> {
    let mut team = BTreeMap::new();
    let visit = &mut |record: phisync_state::Record| {
        let stream = record.stream.as_str();
        if let Some(name) = stream.strip_prefix("agent/") {
            match serde_json::from_str(&record.event).expect("a fact") {
                AgentEvent::Registered { agent, .. } => {
                    let _before = team.insert(name.to_owned(), agent);
                }
                AgentEvent::Removed { .. } => {
                    let was = team.remove(name);
                    assert!(was.is_some(), "`{name}` was removed once");
                }
                _ => {}
            }
        } else if stream.starts_with("run/")
            && let Ok(RunEvent::TaskClaimed { step, agent, .. }) =
                serde_json::from_str(&record.event)
        {
            let able = team.get(&agent);
            let able = able.unwrap_or_else(|| panic!("`{agent}` is a stranger: {record:?}"));
            assert!(able.capabilities.contains(&step), "{able:?} took {step}");
        }
        true
    };
    store.scan("", Seq(0), visit).expect("readable");
    team
}

#[test]
fn nobody_is_given_a_task_before_it_is_registered_or_after_it_is_removed() {
    let (mut struck, mut seen) = ([0; 3], BTreeSet::new());
    for seed in 0..200 {
        let mut story = Story::new(seed);
        for _ in 0..60 {
            story.act();
        }
        let team = members_of(&story.store);
        story.store.calm();
        let fresh = story.open();
        let found: BTreeSet<_> = fresh
            .registered()
            .map(|spec| spec.name.key().to_owned())
            .collect();
        let told: BTreeSet<_> = team.keys().cloned().collect();
        assert_eq!(found, told, "seed {seed}: a start reads what was written");
        seen.insert(found.len());
        for (total, more) in struck.iter_mut().zip(story.store.struck()) {
            *total += more;
        }
    }
    assert!(struck.iter().all(|times| *times > 20), "{struck:?}");
    assert!(seen.len() > 2, "teams of several sizes: {seen:?}");
}
