//! A journal that is not what was written is refused, and left as it is.

use std::path::PathBuf;

use insta::assert_snapshot;

use crate::project::Project;

/// A project with one finished run, and its journal's only segment.
fn with_journal() -> (Project, PathBuf) {
    let project = Project::initialised();
    let ran = project.output(&["exec", "workflows/hello.yaml", "--id", "r1"], "");
    assert!(ran.status.success(), "{ran:?}");
    let segment = project.path(".phisync/journal/00000000000000000001.jsonl");
    (project, segment)
}

#[test]
fn a_flipped_byte_stops_every_command_and_is_told_with_its_place() {
    let (project, segment) = with_journal();
    let mut bytes = std::fs::read(&segment).expect("the segment");
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    std::fs::write(&segment, &bytes).expect("written");
    for command in [
        &["run", "list"][..],
        &["exec", "workflows/hello.yaml"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["store", "fsck"],
        &["store", "dump"],
    ] {
        let output = project.output(command, "");
        assert_eq!(output.status.code(), Some(76), "{command:?}: {output:?}");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            words.contains("00000000000000000001.jsonl"),
            "{command:?}: {words}"
        );
    }
    assert_eq!(
        std::fs::read(&segment).expect("the segment"),
        bytes,
        "it was rewritten"
    );
}

#[test]
fn a_newer_format_is_left_to_a_newer_program() {
    let (project, segment) = with_journal();
    let text = std::fs::read_to_string(&segment).expect("the segment");
    let newer = text.replacen("{\"phisync_journal\":1,", "{\"phisync_journal\":2,", 1);
    assert_ne!(newer, text, "the header has another form");
    std::fs::write(&segment, newer).expect("written");
    assert_snapshot!(project.transcript(&["run", "list"]));
    assert_snapshot!(project.transcript(&["store", "fsck"]));
}

#[cfg(unix)]
#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::initialised();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(project.path(".phisync"), open).expect("it is ours");
    let output = project.output(&["run", "list"], "");
    assert_eq!(output.status.code(), Some(74), "{output:?}");
}
