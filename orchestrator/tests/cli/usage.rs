//! What is wrong with a command line, told before anything is touched.

use insta::assert_snapshot;

use crate::project::Project;

#[test]
fn a_command_that_does_not_exist_is_a_usage_error() {
    assert_snapshot!(Project::empty().transcript(&["exce", "a.yaml"]));
}

#[test]
fn a_flag_that_does_not_exist_is_a_usage_error() {
    assert_snapshot!(Project::empty().transcript(&["exec", "a.yaml", "--aprove", "x"]));
}

#[test]
fn a_missing_argument_is_a_usage_error() {
    assert_snapshot!(Project::empty().transcript(&["task", "complete", "r.s"]));
}

#[test]
fn a_bad_log_level_is_a_usage_error() {
    assert_snapshot!(Project::empty().transcript(&["check", "a.yaml", "--log", "phisync=loud"]));
}

#[test]
fn a_missing_file_is_not_found() {
    assert_snapshot!(Project::empty().transcript(&["exec", "missing.yaml"]));
    assert_snapshot!(Project::empty().transcript(&["check", "missing.yaml"]));
}

#[test]
fn without_a_data_directory_or_a_server_there_is_nothing_to_ask() {
    assert_snapshot!(Project::empty().transcript(&["run", "list"]));
    assert_snapshot!(Project::empty().transcript(&["run", "list", "--data", "nowhere"]));
}

#[test]
fn a_server_elsewhere_needs_a_token_and_plain_http() {
    let project = Project::empty();
    let here = "http://127.0.0.1:1";
    assert_snapshot!(project.transcript(&["run", "list", "--server", here]));
    project.write("token", "phs_x\n");
    let elsewhere = "https://example.org";
    assert_snapshot!(project.transcript(&[
        "run",
        "list",
        "--server",
        elsewhere,
        "--token-file",
        "token"
    ]));
}

#[test]
fn a_server_that_is_not_there_is_no_server() {
    let project = Project::empty();
    project.write("token", "phs_x\n");
    let nobody = "http://127.0.0.1:1";
    let arguments = ["run", "list", "--server", nobody, "--token-file", "token"];
    assert_snapshot!(project.transcript(&arguments));
}

#[test]
fn nobody_works_for_a_server_that_does_not_run() {
    let project = Project::initialised();
    assert_snapshot!(project.transcript(&["agent", "work", "--as", "GREETER"]));
    assert_snapshot!(project.transcript(&["agent", "work", "--as", "NOBODY"]));
}
