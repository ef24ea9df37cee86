//! A journal that is not what was written is refused, and left as it is.

use std::path::PathBuf;
use std::sync::Arc;

use insta::assert_snapshot;
use phisync_state::env::OsDisk;
use phisync_state::{Entry, Expected, FileOptions, FileStore, Store as _, StreamName, Timestamp};
use sha2::{Digest as _, Sha256};

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

/// The shell forbids files longer than 5 MiB before it becomes the server, so the journal's second extension
/// fails in the middle of the work, as on a full disk whose reserve does not help.
#[cfg(unix)]
#[test]
fn a_server_that_finds_no_room_for_its_journal_takes_nothing_more_and_says_so() {
    let project = Project::initialised();
    let limited = "trap '' XFSZ; ulimit -f 10240; exec \"$0\" serve --listen 127.0.0.1:0 --log off";
    let mut server = project.start_shell(limited);
    assert!(server.line().contains("ready"));
    project.write("large", &"x".repeat(900_000));
    let start = ["run", "start", "workflows/hello.yaml", "-i", "name=@large"];
    let mut accepted = 0;
    let refusal = loop {
        let output = project.output(&start, "");
        if !output.status.success() {
            break output;
        }
        accepted += 1;
        assert!(accepted < 20, "the limit was never met");
    };
    // 74 where nothing happened; 70 where nobody knows, if the limit was met in the very middle.
    let code = refusal.status.code();
    assert!(matches!(code, Some(70 | 74)), "{refusal:?}");
    let words = String::from_utf8_lossy(&refusal.stderr).into_owned();
    assert!(words.contains("cannot"), "{words}");
    drop(server);
    let runs = project.json(&["run", "list"])["runs"].clone();
    let found = runs.as_array().map_or(0, Vec::len);
    assert!(found == accepted || code == Some(70) && found == accepted + 1);
    assert_eq!(project.json(&["store", "fsck"])["sound"], true);
}

#[test]
fn a_newer_format_is_left_to_a_newer_program() {
    let (project, segment) = with_journal();
    let text = std::fs::read_to_string(&segment).expect("the segment");
    let flipped = text.replacen("{\"phisync_journal\":1,", "{\"phisync_journal\":3,", 1);
    assert_ne!(flipped, text, "the header has another form");
    std::fs::write(&segment, &flipped).expect("written");
    let damaged = project.output(&["run", "list"], "");
    assert_eq!(damaged.status.code(), Some(76), "{damaged:?}");
    // Every format's header ends with its own hash.
    let (header, rest) = flipped.split_once('\n').expect("a header");
    let (body, _) = header.split_once(",\"hash\"").expect("its hash");
    let body = body.replacen("_journal\":3", "_journal\":2", 1);
    let hash = Sha256::digest(&body);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let newer = format!("{body},\"hash\":\"{hash}\"}}\n{rest}");
    std::fs::write(&segment, newer).expect("written");
    assert_snapshot!(project.transcript(&["run", "list"]));
    assert_snapshot!(project.transcript(&["store", "fsck"]));
}

#[test]
fn an_event_that_is_not_known_is_left_to_a_newer_program() {
    let project = Project::initialised();
    let data = project.path(".phisync");
    let opened = FileStore::open(Arc::new(OsDisk), &data, FileOptions::default());
    let (store, _) = opened.expect("nobody has it");
    let entry = Entry {
        stream: StreamName::new("run/r-1"),
        expected: Expected::Version(0),
        events: vec![r#"{"run_dreamt":{"of":"sheep"}}"#.to_owned()],
    };
    let at = Timestamp::from_micros(0);
    store
        .append(at, vec![entry])
        .expect("the store knows no events");
    drop(store);
    let segment = data.join("journal/00000000000000000001.jsonl");
    let before = std::fs::read(&segment).expect("the segment");
    for command in [&["run", "list"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let output = project.output(command, "");
        assert_eq!(output.status.code(), Some(78), "{command:?}: {output:?}");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.contains("record 1 of stream `run/r-1`"), "{words}");
    }
    assert_eq!(std::fs::read(&segment).expect("the segment"), before);
    assert_eq!(project.json(&["store", "fsck"])["sound"], true);
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
