//! Limits: how often an agent takes a task, how many of a type are held, how often one of a type is
//! taken; and that everybody who must wait is woken in time.

use std::time::Duration;

use phisync_tests::World;
use serde_json::json;

const MINUTE: Duration = Duration::from_secs(60);

fn team(dc: &str, types: &str) -> String {
    format!(
        "agents:\n  DC: {{ concurrency: 9, silence: 30d{dc} }}\n  WEBC: {{ concurrency: 9, silence: 30d }}\n{types}"
    )
}

const FOUR: &str = "
workflow: four
steps:
  - { id: one, task: deploy, assign: DC }
  - { id: two, task: deploy, assign: DC }
  - { id: three, task: deploy, assign: DC }
  - { id: four, task: deploy, assign: DC }
";

fn told_of(w: &mut World, step: &str) -> Vec<String> {
    let now = w.now();
    let run = phisync::engine::RunId::parse("r1").expect("a sound id");
    let why = w.coordinator().why(&run, Some(step), now).expect("open");
    let team = &why.because[0].because;
    team.iter()
        .map(|w| format!("{} {}", w.subject, w.text))
        .collect()
}

#[test]
fn an_agent_takes_tasks_no_more_often_than_its_rate_and_is_woken_for_the_next() {
    let mut w = World::new(FOUR, &team(", rate: 2/m", ""));
    w.start();
    assert_eq!(w.poll("dc", 9).len(), 2, "the bucket was full");
    w.seconds(10);
    assert!(told_of(&mut w, "three").contains(&"agent dc has used up its rate for 20s".to_owned()));
    w.wait_for_task("dc", MINUTE);
    w.seconds(19);
    assert!(w.handed().is_empty());
    w.seconds(1);
    let handed = w.handed();
    assert_eq!(handed.len(), 1);
    assert_eq!(handed[0].tasks[0].step, "three");
    // Nothing is given away by a restart.
    w.crash_and_reopen();
    assert!(w.poll("dc", 9).is_empty());
    w.seconds(30);
    w.take("dc", "four");
}

#[test]
fn no_more_tasks_of_a_type_are_held_than_its_limit_whoever_holds_them() {
    let workflow = "
workflow: four
steps:
  - { id: one, task: deploy }
  - { id: two, task: deploy }
  - { id: other, task: text, assign: { priority: low } }
";
    let mut w = World::new(
        workflow,
        &team("", "types: { deploy: { concurrency: 1 } }\n"),
    );
    w.start();
    let one = w.take("dc", "one");
    w.take("webc", "other");
    let webc = w.wait_for_task("webc", MINUTE);
    assert_eq!(
        told_of(&mut w, "two"),
        [
            "agent dc could take it, but its type `deploy` is at its limit (1 of 1)",
            "agent webc could take it, but its type `deploy` is at its limit (1 of 1)",
        ]
    );
    w.crash_and_reopen();
    assert!(w.poll("dc", 9).is_empty(), "leases are found again");
    let again = w.wait_for_task("webc", MINUTE);
    w.complete(&one, json!({}));
    let handed = w.handed();
    assert_eq!(handed.len(), 1, "{webc:?} died with the process");
    assert!(handed[0].poll == again && handed[0].tasks[0].step == "two");
}

#[test]
fn tasks_of_a_type_are_taken_no_more_often_than_its_rate() {
    let mut w = World::new(FOUR, &team("", "types: { deploy: { rate: 3/m } }\n"));
    w.start();
    assert_eq!(w.poll("dc", 9).len(), 3);
    w.crash_and_reopen();
    assert!(w.poll("dc", 9).is_empty());
    assert!(told_of(&mut w, "four").contains(
        &"agent dc could take it, but its type `deploy` has used up its rate for 20s".to_owned()
    ));
    w.wait_for_task("dc", MINUTE);
    w.seconds(20);
    let handed = w.handed();
    assert_eq!(handed[0].tasks[0].step, "four");
}

/// Bug: an agent chosen for a task that had just become ready takes what is best for it. If that was another
/// task, the first one stayed in the queue although others waited.
#[test]
fn of_two_tasks_that_become_ready_at_once_each_goes_to_somebody() {
    let workflow = "
workflow: fan
steps:
  - { id: plan, task: plan, assign: WEBC }
  - { id: dull, needs: plan, task: text, assign: { capabilities: [], priority: low } }
  - { id: dear, needs: plan, task: text, assign: { capabilities: [], priority: high } }
";
    let mut w = World::new(workflow, &team("", ""));
    w.start();
    let plan = w.take("webc", "plan");
    w.wait_for_task("dc", MINUTE);
    w.wait_for_task("webc", MINUTE);
    w.complete(&plan, json!({}));
    let mut steps: Vec<_> = w
        .handed()
        .into_iter()
        .map(|h| h.tasks[0].step.clone())
        .collect();
    steps.sort();
    assert_eq!(steps, ["dear", "dull"]);
}
