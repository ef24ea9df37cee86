//! Decisions of people: granted, rejected, expired; who may, and about what.

use std::time::Duration;

use phisync::coordinator::{Decider, Refusal, Said};
use phisync::engine::{Rejection, RunStatus, Undo};
use phisync_tests::World;
use serde_json::json;

use super::TEAM;

const YES: Said<'_> = Said {
    decision: "approve",
    comment: None,
    form: None,
};

/// A release that somebody signs off; `more` goes into the approval.
fn release(more: &str) -> World {
    let workflow = format!(
        "
workflow: release
outputs: {{ decision: '${{{{ steps.sign_off.?output.decision.orValue(\"none\") }}}}' }}
steps:
  - {{ id: build, task: build, assign: DC, compensate: {{ task: clean, assign: DC }} }}
  - id: sign_off
    needs: build
    approval:
      from: {{ roles: [lead] }}
      prompt: Release it?
      show: ${{{{ steps.build.output }}}}
      timeout: 1h
{more}
  - {{ id: publish, needs: sign_off, task: publish, assign: WEBC }}
"
    );
    let mut w = World::new(&workflow, TEAM);
    w.start();
    let build = w.take("dc", "build");
    w.complete(&build, json!({"size": 3}));
    w
}

const HOUR: Duration = Duration::from_secs(3600);

fn rejection(answer: Result<(), Refusal>) -> Rejection {
    match answer {
        Err(Refusal::Rejected(rejection)) => rejection,
        other => panic!("not refused by the engine: {other:?}"),
    }
}

#[test]
fn a_granted_approval_lets_the_run_go_on() {
    let mut w = release("");
    w.seconds(90);
    w.decide("sign_off", "dana", true).expect("a lead may");
    let publish = w.take("webc", "publish");
    w.complete(&publish, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task build#1             new -> ready               it needs nothing
     3      0.000  step build               pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task build#1             ready -> running           taken by dc
     5      0.000  step build               ready -> running
     6      0.000  task build#1             running -> completed       result of dc accepted
     6      0.000  step build               running -> completed
     7      0.000  step sign_off            pending -> waiting         asks: Release it?
     8     90.000  step sign_off            waiting -> waiting         approved by dana
     9     90.000  step sign_off            waiting -> completed       1 of 1 approvals
    10     90.000  task publish#1           new -> ready               its needs are met
    10     90.000  step publish             pending -> ready
    11     90.000  agent webc               unseen -> alive            first heard of
    12     90.000  task publish#1           ready -> running           taken by webc
    12     90.000  step publish             ready -> running
    13     90.000  task publish#1           running -> completed       result of webc accepted
    13     90.000  step publish             running -> completed
    14     90.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn a_rejection_fails_the_run_and_undoes_it() {
    let mut w = release("");
    w.decide("sign_off", "dana", false).expect("a lead may");
    let undo = w.take("dc", "build.undo");
    w.complete(&undo, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task build#1             new -> ready               it needs nothing
     3      0.000  step build               pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task build#1             ready -> running           taken by dc
     5      0.000  step build               ready -> running
     6      0.000  task build#1             running -> completed       result of dc accepted
     6      0.000  step build               running -> completed
     7      0.000  step sign_off            pending -> waiting         asks: Release it?
     8      0.000  step sign_off            waiting -> waiting         rejected by dana
     9      0.000  step sign_off            waiting -> failed          approval.rejected: rejected by dana
    10      0.000  run                      running -> failing         sign_off: approval.rejected: rejected by dana
    11      0.000  step publish             pending -> cancelled       the run failed
    12      0.000  run                      failing -> compensating    undoes build
    13      0.000  undo build#1             new -> ready               to be undone
    13      0.000  step build               completed -> compensating
    14      0.000  undo build#1             ready -> running           taken by dc
    15      0.000  undo build#1             running -> completed       result of dc accepted
    15      0.000  step build               compensating -> compensated
    16      0.000  run                      compensating -> failed     approval.rejected, undone
    ");
}

#[test]
fn a_rejection_may_be_an_answer_like_another() {
    let mut w = release("      on_reject: continue");
    w.decide("sign_off", "dana", false).expect("a lead may");
    let publish = w.take("webc", "publish");
    w.complete(&publish, json!({}));
    assert_eq!(w.status(), RunStatus::Completed);
    let log = w.log();
    let decided = log.lines().filter(|line| line.contains("sign_off"));
    insta::assert_snapshot!(decided.collect::<Vec<_>>().join("\n"), @r"
    7      0.000  step sign_off            pending -> waiting         asks: Release it?
    8      0.000  step sign_off            waiting -> waiting         rejected by dana
    9      0.000  step sign_off            waiting -> completed       rejected by dana, goes on all the same
    ");
}

#[test]
fn a_rejection_may_ask_for_undoing_whatever_the_step_says() {
    let mut w = release("      on_reject: compensate\n    on_failure: continue");
    w.decide("sign_off", "dana", false).expect("a lead may");
    let undo = w.take("dc", "build.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Failed);
}

#[test]
fn an_expired_approval_counts_as_rejected_unless_told_otherwise() {
    let mut w = release("");
    w.advance(HOUR);
    let undo = w.take("dc", "build.undo");
    w.complete(&undo, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task build#1             new -> ready               it needs nothing
     3      0.000  step build               pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task build#1             ready -> running           taken by dc
     5      0.000  step build               ready -> running
     6      0.000  task build#1             running -> completed       result of dc accepted
     6      0.000  step build               running -> completed
     7      0.000  step sign_off            pending -> waiting         asks: Release it?
     8   3600.000  step sign_off            waiting -> failed          approval.expired: nobody decided within 3600s
     9   3600.000  run                      running -> failing         sign_off: approval.expired: nobody decided within 3600s
    10   3600.000  step publish             pending -> cancelled       the run failed
    11   3600.000  run                      failing -> compensating    undoes build
    12   3600.000  undo build#1             new -> ready               to be undone
    12   3600.000  step build               completed -> compensating
    13   3600.000  undo build#1             ready -> running           taken by dc
    14   3600.000  undo build#1             running -> completed       result of dc accepted
    14   3600.000  step build               compensating -> compensated
    15   3600.000  run                      compensating -> failed     approval.expired, undone
    ");
}

#[test]
fn an_expired_approval_may_fail_the_step() {
    let mut w = release("      on_timeout: fail\n      on_reject: continue");
    w.advance(HOUR);
    let undo = w.take("dc", "build.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Failed);
}

#[test]
fn an_expired_approval_may_count_as_given() {
    let mut w = release("      on_timeout: approve");
    w.advance(HOUR);
    let publish = w.take("webc", "publish");
    w.complete(&publish, json!({}));
    let log = w.log();
    let decided = log.lines().filter(|line| line.contains("sign_off"));
    insta::assert_snapshot!(decided.collect::<Vec<_>>().join("\n"), @r"
    7      0.000  step sign_off            pending -> waiting         asks: Release it?
    8   3600.000  step sign_off            waiting -> completed       undecided for 3600s, counts as approved
    ");
}

#[test]
fn a_quorum_of_two_takes_two_people() {
    let mut w = release("      quorum: 2");
    w.decide("sign_off", "dana", true).expect("a lead may");
    w.decide("sign_off", "DANA", true)
        .expect("the same answer again is harmless");
    assert!(w.poll("webc", 1).is_empty(), "one person is not two");
    w.decide("sign_off", "robin", true).expect("a lead may");
    let publish = w.take("webc", "publish");
    w.complete(&publish, json!({}));
    let log = w.log();
    let decided = log.lines().filter(|line| line.contains("sign_off"));
    insta::assert_snapshot!(decided.collect::<Vec<_>>().join("\n"), @r"
     7      0.000  step sign_off            pending -> waiting         asks: Release it?
     8      0.000  step sign_off            waiting -> waiting         approved by dana
    10      0.000  step sign_off            waiting -> waiting         approved by robin
    11      0.000  step sign_off            waiting -> completed       2 of 2 approvals
    ");
}

#[test]
fn the_same_answer_twice_is_harmless_and_the_other_one_a_conflict() {
    let mut w = release("");
    w.decide("sign_off", "dana", true).expect("a lead may");
    let before = w.store().head().seq;
    w.decide("sign_off", "dana", true).expect("harmless");
    let other = rejection(w.decide("sign_off", "dana", false));
    assert!(matches!(other, Rejection::AlreadyDecided { .. }));
    let late = rejection(w.decide("sign_off", "robin", true));
    insta::assert_snapshot!(late, @"`r1.sign_off` is not waiting for a decision: it is completed");
    assert_eq!(w.store().head().seq, before, "nothing was written");
}

#[test]
fn only_those_who_are_asked_decide() {
    let mut w = release("");
    let guest = rejection(w.decide("sign_off", "kim", true));
    insta::assert_snapshot!(guest, @"`kim` may not decide `sign_off`: it is for lead");
    let now = w.now();
    let agent = Decider::Agent("dc".to_owned());
    let agent = w
        .coordinator()
        .decide_approval("r1.sign_off", &YES, &agent, None, now);
    insta::assert_snapshot!(rejection(agent), @"`dc` may not decide `sign_off`: agents decide only what names them");
}

#[test]
fn a_decision_about_another_content_is_refused() {
    let mut w = release("");
    let now = w.now();
    let dana = Decider::Person("dana".to_owned());
    let answer = w
        .coordinator()
        .decide_approval("r1.sign_off", &YES, &dana, Some("00"), now);
    insta::assert_snapshot!(rejection(answer), @"the decision is about another content of `sign_off`: look at it again");
}

#[test]
fn whoever_did_the_work_may_not_approve_it() {
    let mut w = World::new(
        "
workflow: audit
steps:
  - { id: text, task: text, assign: { capabilities: [write] } }
  - id: check
    needs: text
    approval: { from: { agents: [DC, WEBC] }, timeout: 1h, not_same_as: [text] }
",
        TEAM,
    );
    w.start();
    let text = w.take("dc", "text");
    w.complete(&text, json!({}));
    let now = w.now();
    let by = |name: &str| Decider::Agent(name.to_owned());
    let own = w
        .coordinator()
        .decide_approval("r1.check", &YES, &by("DC"), None, now);
    insta::assert_snapshot!(rejection(own), @"`DC` may not decide `check`: the same one did the work that is to be approved");
    w.coordinator()
        .decide_approval("r1.check", &YES, &by("WEBC"), None, now)
        .expect("another may");
    assert_eq!(w.status(), RunStatus::Completed);
}

#[test]
fn a_run_that_is_cancelled_while_a_person_thinks_asks_no_more() {
    let mut w = release("");
    w.cancel("wrong branch");
    assert!(w.coordinator().approvals().is_empty());
    let late = rejection(w.decide("sign_off", "dana", true));
    assert!(matches!(late, Rejection::NotInState { .. }), "{late}");
    let undo = w.take("dc", "build.undo");
    w.complete(&undo, json!({}));
    let run = phisync::engine::RunId::parse("r1").expect("sound");
    assert_eq!(w.run(&run).undo, Undo::Done);
    assert_eq!(w.status(), RunStatus::Cancelled);
}
