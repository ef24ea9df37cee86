//! `phisync store`: looking without touching.

use insta::assert_snapshot;

use crate::project::Project;

#[test]
fn a_new_project_is_sound_and_holds_no_record() {
    let project = Project::initialised();
    assert_snapshot!(project.transcript(&["store", "fsck"]));
    assert_snapshot!(project.transcript(&["store", "dump"]));
}

#[test]
fn a_directory_without_a_journal_is_not_taken_for_an_empty_one() {
    let project = Project::empty();
    std::fs::create_dir(project.path("data")).expect("a directory");
    assert_snapshot!(project.transcript(&["store", "fsck", "--data", "data"]));
}

#[test]
fn a_journal_goes_through_a_head_that_was_seen() {
    let project = Project::initialised();
    let ran = project.output(&["exec", "workflows/hello.yaml"], "");
    assert!(ran.status.success(), "{ran:?}");
    let seen = project.json(&["store", "fsck"]);
    let head = seen["head"].as_str().expect("a head").to_owned();
    let ran = project.output(&["exec", "workflows/hello.yaml"], "");
    assert!(ran.status.success(), "{ran:?}");
    let expect = ["store", "fsck", "--expect-head"];
    let fsck = |head: &str| {
        project
            .output(&[&expect[..], &[head]].concat(), "")
            .status
            .code()
    };
    assert_eq!(fsck(&head), Some(0));
    let later = format!("999999:{}", "0".repeat(64));
    assert_eq!(fsck(&later), Some(77));
    let (seq, _) = head.split_once(':').expect("a sequence and a hash");
    let other = format!("{seq}:{}", "0".repeat(64));
    assert_eq!(fsck(&other), Some(77));
    assert_eq!(fsck("12"), Some(2));
}

#[test]
fn a_dump_holds_every_record_in_order() {
    let project = Project::initialised();
    let ran = project.output(&["exec", "workflows/hello.yaml", "--id", "r1"], "");
    assert!(ran.status.success(), "{ran:?}");
    let dump = project.output(&["store", "dump"], "");
    let text = String::from_utf8(dump.stdout).expect("text");
    let records: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record a line"))
        .collect();
    let numbers: Vec<u64> = records
        .iter()
        .filter_map(|record| record["seq"].as_u64())
        .collect();
    let count = u64::try_from(records.len()).expect("few");
    assert_eq!(numbers, (1..=count).collect::<Vec<u64>>());
    let of_run = records
        .iter()
        .filter(|record| record["stream"] == "run/r1")
        .count();
    let known = project.json(&["run", "show", "r1"])["events"].as_u64();
    assert_eq!(known, u64::try_from(of_run).ok());
}
