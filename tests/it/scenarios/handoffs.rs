//! What a successor learns: how attempts ended, how far the last one was, what people answered.

use phisync::coordinator::Refusal;
use phisync_tests::World;
use serde_json::{Value, json};

/// Agents that count as dead after a minute.
const TEAM: &str = "\
agents:
  DC: { capabilities: [write] }
  WEBC: { capabilities: [write] }
people: { dana: { roles: [lead] } }
";

const ONE: &str = "
workflow: one
steps:
  - { id: text, task: text, assign: { capabilities: [write] }, timeouts: { lease: 20s, run: 5m }, retry: { max_attempts: 3, backoff: fixed, delay: 1s, jitter: none, errors: [app, timeout] } }
";

fn handoff(w: &mut World, agent: &str) -> Value {
    let claim = w.take(agent, "text");
    claim.task.handoff.unwrap_or(Value::Null)
}

#[test]
fn beats_write_nothing_until_the_agent_falls_silent() {
    let mut w = World::new(ONE, TEAM);
    w.start();
    let first = w.take("dc", "text");
    assert_eq!(first.task.handoff, None);
    let head = w.store().head().seq;
    for page in 1..=20 {
        w.seconds(5);
        w.progress(&first, &json!({"page": page}))
            .expect("it holds the task");
    }
    assert_eq!(w.store().head().seq, head, "no beat is journalled");
    w.seconds(20);
    let second = handoff(&mut w, "webc");
    assert_eq!(
        second["progress"],
        json!({"agent": "dc", "attempt": 1, "value": {"page": 20}, "at": "2026-11-22T09:31:40.000Z"})
    );
    assert_eq!(second["attempts"][0]["ended"], "lost");
    insta::assert_snapshot!(w.log());
}

#[test]
fn the_same_journal_gives_the_same_bytes() {
    let mut w = World::new(ONE, TEAM);
    w.start();
    let first = w.take("dc", "text");
    w.progress(&first, &json!({"page": 1}))
        .expect("it holds it");
    w.fail(&first, "app.busy", "the printer is busy");
    w.seconds(1);
    let second = w.take("dc", "text");
    w.ask(&second, "Wait?", None).expect("it holds it");
    w.reply("text", "dana", "No").expect("a person may");
    let third = w.take("dc", "text");
    w.progress(&third, &json!({"page": 7}))
        .expect("it holds it");
    w.release_begun(&third);
    let shown = |w: &mut World| {
        let now = w.now();
        let task = w.coordinator().task("r1.text", now).expect("it is there");
        serde_json::to_string_pretty(&task.handoff).expect("JSON")
    };
    let before = shown(&mut w);
    w.crash_and_reopen();
    assert_eq!(shown(&mut w), before);
    insta::assert_snapshot!(before);
}

#[test]
fn progress_is_noted_whatever_ends_the_attempt() {
    for end in ["fail", "release", "run clock", "death"] {
        let mut w = World::new(ONE, TEAM);
        w.start();
        let first = w.take("dc", "text");
        let page = |n: u64| json!({"page": n});
        w.progress(&first, &page(1)).expect("it holds it");
        let mut last = 1;
        match end {
            "fail" => w.fail(&first, "app.busy", "busy"),
            "release" => w.release(&first),
            "run clock" => {
                for n in 2..=31 {
                    w.seconds(10);
                    if w.progress(&first, &page(n)).is_ok() {
                        last = n;
                    }
                }
            }
            _ => w.seconds(60),
        }
        w.seconds(1);
        let told = handoff(&mut w, "webc");
        assert_eq!(told["progress"]["value"], page(last), "{end}: {told}");
    }
}

#[test]
fn a_stale_token_reports_no_progress_and_too_much_of_it_is_refused() {
    let mut w = World::new(ONE, TEAM);
    w.start();
    let first = w.take("dc", "text");
    let long = json!("x".repeat(5000));
    assert!(matches!(
        w.progress(&first, &long),
        Err(Refusal::LongProgress { .. })
    ));
    w.seconds(30);
    let second = w.take("webc", "text");
    assert!(w.progress(&first, &json!({"late": true})).is_err());
    w.progress(&second, &json!({"page": 3}))
        .expect("it holds it");
    w.fail(&second, "app.busy", "busy");
    w.seconds(1);
    let told = handoff(&mut w, "webc");
    assert_eq!(told["progress"]["value"], json!({"page": 3}));
}

#[test]
fn who_lives_and_stands_still_is_seen() {
    let mut w = World::new(ONE, TEAM);
    w.start();
    let first = w.take("dc", "text");
    let still = |w: &mut World| {
        let now = w.now();
        let agents = w.coordinator().agents(now);
        agents[0].still_ms
    };
    assert_eq!(still(&mut w), None, "it says nothing of its progress");
    for _ in 0..6 {
        w.progress(&first, &json!({"page": 4}))
            .expect("it holds it");
        w.seconds(10);
    }
    assert_eq!(still(&mut w), Some(60_000));
    w.progress(&first, &json!({"page": 5}))
        .expect("it holds it");
    assert_eq!(still(&mut w), Some(0));
    let now = w.now();
    let task = w.coordinator().task("r1.text", now).expect("it is there");
    assert_eq!(task.progress.expect("it said so").value, json!({"page": 5}));
}
