//! An undo that fails waits for a person.
#![cfg(unix)]

use insta::assert_snapshot;

use crate::project::{Project, masked};

/// The first step cannot be undone, and the second fails.
const FLOW: &str = "\
workflow: stuck
steps:
  - id: book
    task: book
    assign: DC
    idempotent: true
    compensate: { task: unbook, assign: DC, retry: none }
  - id: pay
    needs: book
    task: pay
    assign: DC
    idempotent: true
    compensate: none
";

const TEAM: &str = "\
agents:
  DC: { command: [sh, -c, 'case $(cat) in *\"type\\\":\\\"book\\\"\"*) echo {};; *) exit 1;; esac'] }
";

#[test]
fn a_person_leaves_a_step_as_it_is_and_the_run_closes() {
    let project = Project::empty();
    project.write("flow.yaml", FLOW);
    project.write("agents.yaml", TEAM);
    let mut exec = project.start(&["exec", "flow.yaml", "--id", "demo"]);
    let told = exec.wait_for("could not be undone");
    assert_snapshot!("how_an_incident_is_told", told);
    assert_snapshot!(project.transcript(&["incident", "list"]));
    assert_snapshot!(project.transcript(&["incident", "skip", "demo.book"]));
    let skip = [
        "incident",
        "skip",
        "demo.book",
        "--reason",
        "the desk is closed",
    ];
    assert_snapshot!(project.transcript(&skip));
    let (code, stdout, _) = exec.end();
    assert_eq!(code, 1);
    assert_snapshot!("the_log_of_an_incident", masked(&stdout));
    assert_eq!(project.json(&["run", "show", "demo"])["undo"], "partial");
}
