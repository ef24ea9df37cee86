//! A drained agent ends what it holds and gets nothing more, until somebody says otherwise.

use std::time::Duration;

use phisync_tests::World;
use serde_json::json;

use super::TEAM;

const TWO: &str = "
workflow: two
steps:
  - { id: first, task: text, assign: { capabilities: [plan] } }
  - { id: second, task: text, assign: { capabilities: [plan] } }
";

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_drained_agent_ends_what_it_holds_and_gets_nothing_more() {
    let mut w = World::new(TWO, TEAM);
    w.start();
    let first = w.take("dc", "first");
    let now = w.now();
    let drained = w.coordinator().drain("DC", "dana", Some("updates"), now);
    let drained = drained.expect("declared");
    assert_eq!(drained.summary.holds, ["r1.first"]);
    assert!(w.poll("dc", 1).is_empty());
    w.complete(&first, json!({}));
    let poll = w.wait_for_task("dc", MINUTE);
    assert!(w.handed().is_empty());
    // Across a restart, too; the poll is gone with the process.
    w.crash_and_reopen();
    assert!(w.poll("dc", 1).is_empty());
    let again = w.wait_for_task("dc", MINUTE);
    let now = w.now();
    let free = w
        .coordinator()
        .undrain("dc", "dana", now)
        .expect("declared");
    assert!(!free.summary.drained && free.drained_by.is_none());
    let handed = w.handed();
    assert_eq!(handed.len(), 1, "{poll:?} died with the process");
    assert!(handed[0].poll == again && handed[0].tasks[0].step == "second");
    let told: Vec<_> = w
        .log()
        .lines()
        .filter(|l| l.contains("drained"))
        .map(str::to_owned)
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    7      0.000  agent dc                 open -> drained            drained by dana: updates
    9      0.000  agent dc                 drained -> open            may take tasks again, says dana
    ");
}

#[test]
fn draining_once_more_changes_nothing_and_keeps_the_first_word() {
    let mut w = World::new(TWO, TEAM);
    for by in ["dana", "robin"] {
        let now = w.now();
        let agent = w
            .coordinator()
            .drain("dc", by, None, now)
            .expect("declared");
        assert_eq!(agent.drained_by.expect("it is").by, "dana");
    }
    assert_eq!(w.store().head().seq.0, 1);
    let now = w.now();
    let nobody = w.coordinator().drain("nobody", "dana", None, now);
    assert_eq!(
        nobody.expect_err("not declared").to_string(),
        "no agent `nobody`"
    );
}

#[test]
fn why_says_that_the_only_able_agent_is_drained() {
    let mut w = World::new(TWO, TEAM);
    let run = w.start();
    let now = w.now();
    w.coordinator()
        .drain("dc", "dana", None, now)
        .expect("declared");
    let why = w.coordinator().why(&run, Some("first"), now).expect("open");
    let team = &why.because[0].because;
    let told: Vec<_> = team
        .iter()
        .map(|w| format!("{} {}", w.subject, w.text))
        .collect();
    assert_eq!(
        told,
        [
            "agent dc is drained",
            "agent vssc lacks the capability `plan`",
            "agent webc lacks the capability `plan`",
        ]
    );
}

#[test]
fn what_sticks_to_a_drained_agent_goes_to_another() {
    let mut w = World::new(
        "
workflow: sticky
steps:
  - { id: open, task: text, assign: { capabilities: [write], prefer: [DC] } }
  - { id: then, needs: open, task: text, assign: { capabilities: [write], sticky: open } }
",
        TEAM,
    );
    w.start();
    let open = w.take("dc", "open");
    w.complete(&open, json!({}));
    let waiting = w.wait_for_task("webc", MINUTE);
    let now = w.now();
    w.coordinator()
        .drain("dc", "dana", None, now)
        .expect("declared");
    let handed = w.handed();
    assert_eq!(handed.len(), 1);
    assert_eq!(handed[0].poll, waiting);
}

#[test]
fn an_agent_is_shown_with_what_it_did_and_what_is_thought_of_it() {
    let mut w = World::new(TWO, TEAM);
    w.start();
    let first = w.take("dc", "first");
    w.seconds(4);
    w.complete(&first, json!({}));
    let second = w.take("dc", "second");
    w.seconds(3);
    let shown = |w: &mut World| {
        let now = w.now();
        w.coordinator().agent("dc", now).expect("declared")
    };
    let agent = shown(&mut w);
    assert_eq!(agent.tasks[0].task, "r1.second");
    assert_eq!(
        agent.tasks[0].since.as_deref(),
        Some("2026-11-22T09:30:04.000Z")
    );
    assert_eq!(agent.last_seen.as_deref(), Some("2026-11-22T09:30:04.000Z"));
    let judged = agent.judged.expect("it was heard of");
    assert_eq!(
        (judged.from.as_str(), judged.to.as_str()),
        ("unseen", "alive")
    );
    w.fail(&second, "app.no", "as told");
    // The journal knows it after a restart.
    w.crash_and_reopen();
    let work = shown(&mut w).work;
    assert_eq!((work.completed, work.failed), (1, 1));
    assert_eq!(
        (work.success_rate, work.p50_ms, work.p95_ms),
        (Some(0.5), Some(4000), Some(4000))
    );
}
