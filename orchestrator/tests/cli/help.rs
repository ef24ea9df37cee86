//! Help. What each command says in full stands in `docs/cli.md`, held against the binary by another test.

use insta::assert_snapshot;

use crate::project::Project;

#[test]
fn the_first_page_shows_every_command_and_every_exit_code() {
    assert_snapshot!(Project::empty().transcript(&["-h"]));
}

#[test]
fn without_a_command_the_first_page_is_shown_as_a_usage_error() {
    let output = Project::empty().output(&[], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: phisync"));
}
