//! Ctrl-C.
#![cfg(unix)]

use insta::assert_snapshot;

use crate::project::{Project, examples, masked};

#[test]
fn an_interrupted_run_is_cancelled_in_order() {
    let project = Project::empty();
    let file = format!("{}/release-approval/workflow.yaml", examples());
    let mut exec = project.start(&["exec", &file, "--id", "demo"]);
    exec.wait_for("waits for a decision");
    exec.signal("INT");
    let (code, stdout, stderr) = exec.end();
    assert_snapshot!(masked(&format!(
        "{stdout}--- stderr\n{stderr}--- exit {code}"
    )));
    assert_eq!(
        project.json(&["run", "show", "demo"])["status"],
        "cancelled"
    );
}

#[test]
fn a_second_signal_ends_it_at_once_and_nothing_is_lost() {
    let project = Project::empty();
    let file = format!("{}/release-approval/workflow.yaml", examples());
    let mut exec = project.start(&["exec", &file, "--id", "demo"]);
    exec.wait_for("waits for a decision");
    exec.signal("STOP");
    exec.signal("INT");
    exec.signal("TERM");
    exec.signal("CONT");
    let (code, _, _) = exec.end();
    assert_eq!(code, 130);
    let end = project.json(&["store", "fsck"])["end"].clone();
    assert!(end == "open" || end == "sealed" || end == "torn", "{end}");
}
