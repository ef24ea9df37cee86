//! Several orchestrators on one store: whoever loses a race reads again and decides again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use phisync::coordinator::{Refusal, Target};
use phisync::engine::RunStatus;
use phisync_state::{MemoryStore, Store as _, StreamName};
use phisync_tests::story::Teller;
use phisync_tests::{Claim, RivalStore, World, compiled};
use serde_json::{Map, json};

/// Most streams in one batch of the story.
const ENTRIES_MAX: usize = 3;

#[test]
fn a_lost_race_at_any_append_changes_nothing() {
    let quiet = Arc::new(RivalStore::new(0, 0));
    let mut teller = Teller::new(quiet.clone());
    teller.tell(|_, _| {});
    let undisturbed = teller.world.changes();
    let mut lost = 0;
    for nth in 1..=quiet.appends() {
        for entry in 0..ENTRIES_MAX {
            let store = Arc::new(RivalStore::new(nth, entry));
            let mut teller = Teller::new(store.clone());
            teller.tell(|_, _| {});
            assert_eq!(
                teller.world.changes(),
                undisturbed,
                "append {nth}, entry {entry}"
            );
            assert_eq!(
                store.appends(),
                quiet.appends() + store.struck(),
                "a lost race costs one append: append {nth}, entry {entry}"
            );
            lost += store.struck();
        }
    }
    insta::assert_snapshot!(format!("{lost} races lost"), @"37 races lost");
}

#[test]
fn the_word_of_an_agent_survives_a_lost_race() {
    // Bug: the sign of life that came with an operation was not journalled when the operation was
    // decided again.
    let store = Arc::new(RivalStore::new(2, 0));
    let mut w = World::on(store.clone(), CHAIN, TEAM);
    w.start();
    w.take("dc", "first");
    assert_eq!(store.struck(), 1);
    assert!(
        w.log().contains("agent dc                 unseen -> alive"),
        "{}",
        w.log()
    );
}

#[test]
fn a_poll_that_was_served_by_a_lost_race_is_served_once_all_the_same() {
    for nth in 1..9 {
        let store = Arc::new(RivalStore::new(nth, 0));
        let mut w = World::on(store.clone(), CHAIN, TEAM);
        let poll = w.wait_for_task("dc", Duration::from_secs(60));
        w.start();
        let handed = w.handed();
        assert_eq!(handed.len(), 1, "append {nth}");
        assert_eq!(handed[0].poll, poll);
        let claim = Claim {
            agent: "dc".to_owned(),
            task: handed[0].tasks[0].clone(),
        };
        w.complete(&claim, json!({}));
        assert_eq!(w.status(), RunStatus::Completed);
    }
}

const CHAIN: &str = "
workflow: chain
steps:
  - { id: first, task: text, assign: { capabilities: [write] } }
";

const TEAM: &str = "agents: { DC: { capabilities: [write] }, WEBC: { capabilities: [write] } }";

#[test]
fn of_two_orchestrators_one_hands_out_the_task() {
    let store = Arc::new(MemoryStore::new());
    let mut one = World::on(store.clone(), CHAIN, TEAM);
    one.start();
    let mut other = World::on(store, CHAIN, TEAM);
    let claim = one.take("dc", "first");
    assert!(other.poll("webc", 1).is_empty());
    one.complete(&claim, json!({}));
    assert_eq!(one.status(), RunStatus::Completed);
}

#[test]
fn of_two_orchestrators_one_uses_up_a_name() {
    let store = Arc::new(MemoryStore::new());
    let mut one = World::on(store.clone(), CHAIN, TEAM);
    let mut other = World::on(store, CHAIN, TEAM);
    one.start();
    // A workflow of which the other knows nothing, under a name that is taken.
    let machine = compiled(&CHAIN.replace("chain", "elsewhere"));
    let now = other.now();
    let refused = other.coordinator().start(
        &Target::Compiled(machine),
        Some("r1"),
        &Map::new(),
        &BTreeMap::new(),
        "robin",
        now,
    );
    assert_eq!(refused.err(), Some(Refusal::Exists("r1".to_owned())));
    let known = other.coordinator().workflows();
    let known: Vec<_> = known.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(known, ["chain"], "the one of the run that is there");
}

#[test]
fn of_two_orchestrators_both_register_the_same_workflow() {
    let store = Arc::new(MemoryStore::new());
    let mut one = World::on(store.clone(), CHAIN, TEAM);
    let mut other = World::on(store.clone(), CHAIN, TEAM);
    let machine = compiled(CHAIN);
    let now = one.now();
    one.coordinator()
        .register(&machine, now)
        .expect("it is sound");
    other
        .coordinator()
        .register(&machine, now)
        .expect("it is sound");
    let stream = StreamName::new("workflow/chain");
    assert_eq!(store.version(&stream), 1, "registered once");
}
