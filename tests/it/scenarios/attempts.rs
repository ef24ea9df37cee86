//! Attempts: success, errors, back-offs, the end of patience.

use phisync_tests::World;
use serde_json::json;

use super::TEAM;

#[test]
fn two_branches_run_side_by_side_and_join() {
    let mut w = World::new(
        "
workflow: survey
outputs: { words: '${{ steps.report.output.words }}' }
steps:
  - { id: plan, task: plan, assign: DC }
  - { id: read, needs: plan, task: read, assign: WEBC }
  - { id: measure, needs: plan, task: measure, assign: VSSC }
  - { id: report, needs: [read, measure], task: report, assign: DC }
",
        TEAM,
    );
    w.start();
    let plan = w.take("dc", "plan");
    w.seconds(2);
    w.complete(&plan, json!({}));
    let read = w.take("webc", "read");
    let measure = w.take("vssc", "measure");
    w.seconds(3);
    w.complete(&measure, json!({}));
    w.seconds(1);
    w.complete(&read, json!({}));
    let report = w.take("dc", "report");
    w.complete(&report, json!({"words": 7}));
    insta::assert_snapshot!(w.log(), @"");
}
