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
fn a_checkpoint_tells_a_journal_that_was_rewritten_from_the_one_that_was_signed() {
    let project = Project::initialised();
    let run = |id: &str| {
        let ran = project.output(&["exec", "workflows/hello.yaml", "--id", id], "");
        assert!(ran.status.success(), "{ran:?}");
    };
    run("r1");
    let public = project.json(&["store", "key", "secret.key"])["public_key"].clone();
    let public = public.as_str().expect("a key").to_owned();
    let sign = ["store", "checkpoint", "--key", "secret.key", "--out"];
    let signed = project.output(&[&sign[..], &["signed.json"]].concat(), "");
    assert!(signed.status.success(), "{signed:?}");
    let verify = |file: &str, key: &str| {
        let ask = ["store", "verify", "--checkpoint", file, "--public-key", key];
        project.output(&ask, "").status.code()
    };
    assert_eq!(verify("signed.json", &public), Some(0));
    run("r2");
    assert_eq!(verify("signed.json", &public), Some(0), "it went on");
    project.write("key.pub", &format!("{public}\n"));
    assert_eq!(verify("signed.json", "key.pub"), Some(0));

    let text = std::fs::read_to_string(project.path("signed.json")).expect("it is there");
    project.write("forged.json", &text.replace("\"epoch\":1", "\"epoch\":2"));
    assert_eq!(verify("forged.json", &public), Some(6));
    let other = project.json(&["store", "key", "other.key"])["public_key"].clone();
    assert_eq!(
        verify("signed.json", other.as_str().expect("a key")),
        Some(6)
    );
    assert_eq!(verify("nowhere.json", &public), Some(3));

    // Somebody begins anew and tells another story, whose hashes are right.
    std::fs::remove_dir_all(project.path(".phisync/journal")).expect("it is there");
    run("r3");
    assert_eq!(project.json(&["store", "fsck"])["sound"], true);
    assert_eq!(verify("signed.json", &public), Some(77));
}

#[test]
fn a_key_stays_out_of_the_data_directory_and_is_not_overwritten() {
    let project = Project::initialised();
    let key = |file: &str| project.output(&["store", "key", file], "").status.code();
    assert_eq!(key(".phisync/secret.key"), Some(2));
    assert_eq!(key("secret.key"), Some(0));
    assert_eq!(key("secret.key"), Some(74));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let file = std::fs::metadata(project.path("secret.key")).expect("it is there");
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
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

#[test]
fn a_copy_of_a_document_that_was_edited_is_found_and_made_again() {
    let project = Project::initialised();
    let change = "phisync: 1\nchanges:\n  - { document: plan, op: write, content: { step: 1 } }\n";
    project.write("change.yaml", change);
    project.json(&["tx", "apply", "change.yaml"]);
    let copy = project.path(".phisync/documents/plan.json");
    let written = std::fs::read_to_string(&copy).expect("the copy");
    std::fs::write(&copy, written.replace("\"step\":1", "\"step\":2")).expect("written");
    let report = project.json(&["store", "fsck"]).to_string();
    assert!(report.contains("documents/plan.json"), "{report}");
    // The next command that opens the store writes it anew.
    let plan = project.json(&["doc", "get", "plan"]);
    assert_eq!(plan["content"]["step"], 1);
    let again = std::fs::read_to_string(&copy).expect("the copy");
    assert!(again.contains("\"step\":1"), "{again}");
}
