//! Proof of work: files and fields that have to hold before a result is taken.

use phisync::coordinator::Refusal;
use phisync::engine::{Finding, Rejection, RunStatus};
use phisync_tests::World;
use serde_json::json;

use super::TEAM;

const REPORT: &str = "
workflow: report
inputs: { digest: { type: string } }
steps:
  - id: write
    task: write
    assign: DC
    output: { type: object, required: [pages], properties: { pages: { type: integer } } }
    accept:
      files:
        - { path: out/report.md, sha256: '${{ inputs.digest }}' }
        - { path: draft.md, exists: false }
      schema: { type: object, properties: { pages: { type: integer, minimum: 2 } } }
    retry: { max_attempts: 2, backoff: none, errors: [acceptance] }
";

fn digest() -> String {
    "ab".repeat(32)
}

fn writing() -> World {
    let mut w = World::new(REPORT, TEAM);
    w.start_with(json!({ "digest": digest() }));
    w
}

fn unmet(answer: Result<(), Refusal>) -> (Vec<String>, u32) {
    match answer {
        Err(Refusal::Rejected(Rejection::Unproven { unmet, left, .. })) => {
            let lines = unmet.iter().map(|v| format!("{}: {}", v.path, v.message));
            (lines.collect(), left)
        }
        other => panic!("not refused for want of proof: {other:?}"),
    }
}

#[test]
fn a_result_without_proof_comes_back_with_the_evidence_and_the_attempt_goes_on() {
    let mut w = writing();
    let claim = w.take("dc", "write");
    let wanted = w.try_complete(&claim, json!({ "pages": 3 }));
    assert!(
        matches!(&wanted, Err(Refusal::Rejected(Rejection::ProofWanted { files, .. }))
            if *files == ["out/report.md", "draft.md"]),
        "{wanted:?}"
    );
    let other = Finding::File("cd".repeat(32));
    let proof = [("out/report.md", other.clone()), ("draft.md", other)];
    let (lines, left) = unmet(w.prove(&claim, &json!({ "pages": 1 }), &proof));
    assert_eq!(left, 4);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("out/report.md: its SHA-256 is cdcd"));
    assert_eq!(lines[1], "draft.md: it is there and must not be");
    assert!(lines[2].starts_with("output.pages: "), "{lines:?}");
    w.heartbeat(&claim).expect("it still holds the task");
    let right = [
        ("out/report.md", Finding::File(digest().to_uppercase())),
        ("draft.md", Finding::Absent),
    ];
    w.prove(&claim, &json!({ "pages": 3 }), &right)
        .expect("everything holds");
    w.prove(&claim, &json!({ "pages": 3 }), &[])
        .expect("the first answer again, whatever stands there now");
    assert_eq!(w.status(), RunStatus::Completed);
    insta::assert_snapshot!(w.log());
}

#[test]
fn the_fifth_result_without_proof_ends_the_attempt_also_across_a_restart() {
    let mut w = writing();
    let first = w.take("dc", "write");
    let none = [
        ("out/report.md", Finding::Absent),
        ("draft.md", Finding::Absent),
    ];
    for left in (0..5).rev() {
        let (lines, said) = unmet(w.prove(&first, &json!({ "pages": 3 }), &none));
        assert_eq!(lines, ["out/report.md: there is no such file"]);
        assert_eq!(said, left);
        w.crash_and_reopen();
    }
    assert!(matches!(
        w.prove(&first, &json!({ "pages": 3 }), &none),
        Err(Refusal::Rejected(Rejection::AlreadyEnded { .. }))
    ));
    w.seconds(0);
    let second = w.take("dc", "write");
    let before = &second.task.handoff.as_ref().expect("somebody was there")["previous_attempt"];
    assert_eq!(before["error"]["code"], "acceptance");
    assert!(matches!(
        w.prove(&first, &json!({ "pages": 3 }), &none),
        Err(Refusal::Rejected(_))
    ));
    for _ in 0..5 {
        unmet(w.prove(&second, &json!({ "pages": 3 }), &none));
    }
    assert_eq!(w.status(), RunStatus::Failed);
}

#[test]
fn what_breaks_the_outputs_own_type_costs_nothing() {
    let mut w = writing();
    let claim = w.take("dc", "write");
    for _ in 0..7 {
        assert!(matches!(
            w.try_complete(&claim, json!({})),
            Err(Refusal::Rejected(Rejection::BadOutput { .. }))
        ));
    }
    w.heartbeat(&claim).expect("it still holds the task");
}
