//! The three identities of a start: the run's name, the business, the call.

use std::collections::BTreeMap;
use std::time::Duration;

use phisync::coordinator::{BusinessKey, Call, Order, Refusal, Target, body_hash};
use phisync::protocol::{OnClosed, OnOpen, Started};
use phisync_tests::{World, compiled};
use serde_json::{Map, json};

use super::TEAM;

const ONE: &str = "
workflow: build
steps:
  - { id: compile, task: compile, assign: VSSC }
";

fn order() -> Order {
    Order {
        target: Target::Compiled(compiled(ONE)),
        id: None,
        inputs: Map::new(),
        labels: BTreeMap::new(),
        by: "dana".to_owned(),
        key: None,
        call: None,
    }
}

fn keyed(on_open: OnOpen, on_closed: OnClosed) -> Order {
    Order {
        key: Some(BusinessKey {
            key: "order-7".to_owned(),
            on_open,
            on_closed,
        }),
        ..order()
    }
}

fn called(key: &str, body: &str) -> Order {
    Order {
        call: Some(Call {
            key: ("owner".to_owned(), key.to_owned()),
            body: body_hash(body),
        }),
        ..order()
    }
}

fn start(w: &mut World, order: &Order) -> Result<Started, Refusal> {
    let now = w.now();
    w.coordinator().start_order(order, now)
}

fn finish(w: &mut World) {
    let task = w.poll("vssc", 1).pop().expect("a task");
    w.complete(&task, json!({}));
}

#[test]
fn a_second_start_with_the_key_of_an_open_run_attaches_to_it_or_is_refused() {
    let mut w = World::new(ONE, TEAM);
    let first = start(&mut w, &keyed(OnOpen::Attach, OnClosed::Start)).expect("it starts");
    assert!(!first.attached);
    w.crash_and_reopen();
    let second = start(&mut w, &keyed(OnOpen::Attach, OnClosed::Start)).expect("it attaches");
    assert!(second.attached);
    assert_eq!(first.id, second.id);
    let refused = start(&mut w, &keyed(OnOpen::Reject, OnClosed::Start));
    assert!(
        matches!(refused, Err(Refusal::KeyTaken { state: "open", .. })),
        "{refused:?}"
    );
}

#[test]
fn the_key_of_a_closed_run_is_taken_by_another_one_or_refused() {
    let mut w = World::new(ONE, TEAM);
    let first = start(&mut w, &keyed(OnOpen::Attach, OnClosed::Start)).expect("it starts");
    finish(&mut w);
    let refused = start(&mut w, &keyed(OnOpen::Attach, OnClosed::Reject));
    assert!(
        matches!(
            refused,
            Err(Refusal::KeyTaken {
                state: "closed",
                ..
            })
        ),
        "{refused:?}"
    );
    let second = start(&mut w, &keyed(OnOpen::Attach, OnClosed::Start)).expect("it starts");
    assert_ne!(first.id, second.id);
    let third = start(&mut w, &keyed(OnOpen::Attach, OnClosed::Start)).expect("it attaches");
    assert_eq!(third.id, second.id);
}

#[test]
fn the_same_call_again_starts_nothing_for_a_day_and_another_body_is_refused() {
    let mut w = World::new(ONE, TEAM);
    let first = start(&mut w, &called("k", "{}")).expect("it starts");
    finish(&mut w);
    w.crash_and_reopen();
    let again = start(&mut w, &called("k", "{}")).expect("the first answer");
    assert_eq!(
        (first.id.as_str(), "completed"),
        (again.id.as_str(), again.status.as_str())
    );
    let other = start(&mut w, &called("k", "{\"a\":1}"));
    assert!(matches!(other, Err(Refusal::OtherBody { .. })), "{other:?}");
    w.advance(Duration::from_hours(24));
    let later = start(&mut w, &called("k", "{\"a\":1}")).expect("the key is free again");
    assert_ne!(first.id, later.id);
}

#[test]
fn a_call_that_attaches_is_remembered_too() {
    let mut w = World::new(ONE, TEAM);
    let first = start(&mut w, &keyed(OnOpen::Attach, OnClosed::Start)).expect("it starts");
    let attaching = Order {
        call: called("k", "{}").call,
        ..keyed(OnOpen::Attach, OnClosed::Start)
    };
    start(&mut w, &attaching).expect("it attaches");
    finish(&mut w);
    let again = start(&mut w, &attaching).expect("the first answer");
    assert_eq!(first.id, again.id);
}
