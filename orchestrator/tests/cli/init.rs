//! `phisync init`.

use insta::assert_snapshot;

use crate::project::Project;

#[test]
fn a_project_is_made_once_and_kept_afterwards() {
    let project = Project::empty();
    assert_snapshot!(project.transcript(&["init"]));
    project.write("agents.yaml", "agents: {}\n");
    assert_snapshot!(project.transcript(&["init"]));
    let kept = std::fs::read_to_string(project.path("agents.yaml")).expect("the file");
    assert_eq!(kept, "agents: {}\n");
}

#[test]
fn a_project_can_be_made_elsewhere() {
    let project = Project::empty();
    assert_snapshot!(project.transcript(&["init", "team", "-o", "json"]));
    assert!(project.path("team/.phisync/admin.token").is_file());
}

#[test]
fn the_first_workflow_of_a_project_is_sound_and_runs() {
    let project = Project::initialised();
    assert_snapshot!(project.transcript(&["check", "workflows/hello.yaml", "--deny", "warnings"]));
    let done = project.json(&["exec", "workflows/hello.yaml", "-i", "name=Ada"]);
    assert_eq!(done["outputs"]["message"], "Hello, Ada!");
}

#[cfg(unix)]
#[test]
fn nobody_but_the_owner_may_look_into_the_data() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::initialised();
    let mode = |path: &str| {
        let metadata = std::fs::metadata(project.path(path)).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(".phisync"), 0o700);
    assert_eq!(mode(".phisync/admin.token"), 0o600);
}

#[test]
fn settings_that_nobody_reads_are_told() {
    let project = Project::initialised();
    project.write("phisync.toml", "[serve]\nlisten_on = \"127.0.0.1:0\"\n");
    assert_snapshot!(project.transcript(&["serve"]));
}
