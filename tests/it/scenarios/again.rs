//! New runs that go on from what others did: what is kept, what is done again, what is refused.

use phisync::coordinator::{Cut, Refusal};
use phisync::engine::{ForkRefusal, RunId, RunStatus};
use phisync_tests::World;
use serde_json::json;

use super::TEAM;

const CHAIN: &str = "
workflow: build
steps:
  - { id: fetch, task: fetch, assign: WEBC }
  - { id: lint, task: lint, assign: DC }
  - { id: pay, needs: fetch, task: pay, assign: VSSC, effects: irreversible, on_failure: continue }
  - { id: ship, needs: [pay, lint], task: ship, assign: WEBC, input: { from: '${{ steps.fetch.output }}' } }
outputs: { what: '${{ steps.fetch.output }}' }
";

fn run(name: &str) -> RunId {
    RunId::parse(name).expect("a sound id")
}

fn go_on(w: &mut World, cut: &Cut, name: &str, confirmed: bool) -> Result<(), Refusal> {
    let now = w.now();
    let started = w
        .coordinator()
        .start_from(&run("r1"), cut, Some(name), ("dana", confirmed), now);
    started.map(|_| ())
}

/// Everything is done but `ship`, which has failed.
fn failed() -> World {
    let mut w = World::new(CHAIN, TEAM);
    w.start();
    let fetch = w.take("webc", "fetch");
    w.complete(&fetch, json!("sources"));
    let lint = w.take("dc", "lint");
    w.complete(&lint, json!({}));
    let pay = w.take("vssc", "pay");
    w.complete(&pay, json!({}));
    let ship = w.take("webc", "ship");
    w.fail(&ship, "app.no_road", "closed");
    assert_eq!(w.status(), RunStatus::Failed);
    w
}

#[test]
fn a_retry_keeps_what_succeeded_and_does_the_rest_again() {
    let mut w = failed();
    w.seconds(100_000);
    go_on(&mut w, &Cut::From(None), "again", false).expect("nothing stands against it");
    w.crash_and_reopen();
    let ship = w.take("webc", "ship");
    assert_eq!(ship.task.run, "again");
    assert_eq!(ship.task.input.get(), r#"{"from":"sources"}"#);
    assert!(w.poll("vssc", 1).is_empty(), "nobody pays twice");
    w.complete(&ship, json!({}));
    assert_eq!(w.run(&run("again")).status, RunStatus::Completed);
    assert_eq!(
        w.run(&run("r1")).status,
        RunStatus::Failed,
        "the old run stays as it is"
    );
}

#[test]
fn a_retry_from_a_step_does_it_and_what_needs_it_again_if_that_is_meant() {
    let mut w = failed();
    let from = Cut::From(Some("fetch".to_owned()));
    let refused = go_on(&mut w, &from, "again", false);
    let irreversible = ForkRefusal::Irreversible {
        steps: vec!["pay".to_owned()],
    };
    assert_eq!(refused, Err(Refusal::Fork(irreversible)));
    go_on(&mut w, &from, "again", true).expect("it is meant");
    let fetch = w.take("webc", "fetch");
    assert!(w.poll("dc", 1).is_empty(), "lint does not need it");
    w.complete(&fetch, json!("newer"));
    let pay = w.take("vssc", "pay");
    w.complete(&pay, json!({}));
    let ship = w.take("webc", "ship");
    assert_eq!(ship.task.input.get(), r#"{"from":"newer"}"#);
}

#[test]
fn a_fork_keeps_everything_up_to_its_place_and_gives_back_what_was_held() {
    let mut w = World::new(CHAIN, TEAM);
    w.start();
    let fetch = w.take("webc", "fetch");
    let lint = w.take("dc", "lint");
    let at = w.store().head().seq.0;
    w.complete(&fetch, json!("sources"));
    w.complete(&lint, json!({}));
    w.seconds(1000);
    go_on(&mut w, &Cut::At(at), "fork", false).expect("nothing stands against it");
    let again = w.take("webc", "fetch");
    assert_eq!((again.task.run.as_str(), again.task.attempt), ("fork", 2));
    assert!(again.task.token > fetch.task.token);
    let stale = w.try_complete(&fetch, json!("sources"));
    assert!(stale.is_ok(), "the old run is another: {stale:?}");
    w.complete(&again, json!("other sources"));
    let lint = w.take("dc", "lint");
    w.complete(&lint, json!({}));
    assert_eq!(w.take("vssc", "pay").task.run, "r1");
}

#[test]
fn a_fork_before_a_step_that_cannot_be_undone_must_be_meant() {
    let mut w = failed();
    let refused = go_on(&mut w, &Cut::At(6), "fork", false);
    assert!(
        matches!(
            refused,
            Err(Refusal::Fork(ForkRefusal::Irreversible { .. }))
        ),
        "{refused:?}"
    );
    go_on(&mut w, &Cut::At(6), "fork", true).expect("it is meant");
    let at_the_end = Cut::At(w.store().head().seq.0);
    let refused = go_on(&mut w, &at_the_end, "late", true);
    assert!(
        matches!(refused, Err(Refusal::Fork(ForkRefusal::Ending { .. }))),
        "{refused:?}"
    );
}

#[test]
fn a_fork_at_any_place_of_a_run_can_be_finished() {
    let mut w = failed();
    let last = w.store().head().seq.0;
    let records = w.store().read(&run("r1").stream(), 1).expect("readable");
    let failure = records.iter().find(|r| r.event.contains("task_failed"));
    let failure = failure.expect("`ship` has failed").seq.0;
    for at in 1..=last {
        let name = format!("f{at}");
        if go_on(&mut w, &Cut::At(at), &name, true).is_err() {
            continue;
        }
        for _ in 0..12 {
            for agent in ["webc", "dc", "vssc"] {
                for claim in w.poll(agent, 3) {
                    w.complete(&claim, json!({}));
                }
            }
        }
        // Behind the fact that `ship` failed, the fork fails as the run did.
        let ended = w.run(&run(&name)).status;
        let wanted = if at < failure {
            RunStatus::Completed
        } else {
            RunStatus::Failed
        };
        assert_eq!(ended, wanted, "fork at {at} of {last}");
    }
}
