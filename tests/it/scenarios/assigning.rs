//! Who may take a task, by what was done before and by the group an agent belongs to.

use phisync_tests::World;
use serde_json::json;

const TEAM: &str = "\
agents:
  DC: { capabilities: [write], silence: 60s }
  WEBC: { capabilities: [write], silence: 30d }
  KALIC: { capabilities: [write], pool: audit, silence: 30d }
";

#[test]
fn a_task_of_a_pool_is_for_its_agents_and_others_are_not_for_them() {
    let mut w = World::new(
        "
workflow: pools
steps:
  - { id: open, task: text, assign: { capabilities: [write] } }
  - { id: closed, task: text, assign: { capabilities: [write], pool: audit } }
  - { id: named, needs: [open, closed], task: text, assign: KALIC }
",
        TEAM,
    );
    w.start();
    assert!(
        w.poll("kalic", 3)
            .iter()
            .all(|claim| claim.what() == "closed")
    );
    let open = w.take("webc", "open");
    assert!(w.poll("webc", 3).is_empty());
    w.complete(&open, json!({}));
}

#[test]
fn whoever_did_a_step_does_not_review_it() {
    let mut w = World::new(
        "
workflow: review
steps:
  - { id: draft, task: text, assign: { capabilities: [write] } }
  - { id: review, needs: draft, task: text, assign: { capabilities: [write], not_same_as: [draft] } }
",
        TEAM,
    );
    w.start();
    let draft = w.take("dc", "draft");
    w.complete(&draft, json!({}));
    assert!(w.poll("dc", 1).is_empty());
    w.take("webc", "review");
}

#[test]
fn a_step_sticks_to_an_agent_until_that_agent_is_dead() {
    let workflow = "
workflow: sticky
steps:
  - { id: open, task: text, assign: { capabilities: [write] } }
  - { id: then, needs: open, task: text, assign: { capabilities: [write], sticky: open } }
";
    let mut w = World::new(workflow, TEAM);
    w.start();
    let open = w.take("dc", "open");
    w.complete(&open, json!({}));
    assert!(w.poll("webc", 1).is_empty(), "dc is at hand");
    w.seconds(61);
    w.take("webc", "then");

    let mut w = World::new(workflow, TEAM);
    w.start();
    let open = w.take("dc", "open");
    w.complete(&open, json!({}));
    w.take("dc", "then");
}
