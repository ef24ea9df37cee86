//! `phisync snapshot`, `phisync doctor`, and runs as they were.

use std::path::PathBuf;

use insta::assert_snapshot;
use serde_json::Value;

use crate::project::{Project, Running};
use crate::serve::serve;

/// A project whose server archives every closed run with the next snapshot.
fn project() -> Project {
    let project = Project::initialised();
    let settings = std::fs::read_to_string(project.path("phisync.toml")).expect("settings");
    project.write(
        "phisync.toml",
        &format!("{settings}\n[snapshots]\narchive_from = 1\n"),
    );
    project
}

fn start(project: &Project, id: &str) {
    let label = format!("name={id}");
    let start = [
        "run",
        "start",
        "workflows/hello.yaml",
        "--id",
        id,
        "--label",
        &label,
    ];
    let started = project.output(&start, "");
    assert!(started.status.success(), "{started:?}");
}

fn cancel(project: &Project, id: &str) {
    let cancelled = project.output(&["run", "cancel", id], "");
    assert!(cancelled.status.success(), "{cancelled:?}");
}

fn snapshot(project: &Project) -> Value {
    project.json(&["snapshot", "create"])["taken"].clone()
}

fn ids(list: &Value) -> Vec<&str> {
    let runs = list["runs"].as_array().expect("a list");
    runs.iter().filter_map(|run| run["id"].as_str()).collect()
}

/// Everything that people can read of these runs.
fn told(project: &Project, runs: &[&str]) -> Vec<Value> {
    let mut told = vec![project.json(&["run", "list"])];
    for run in runs {
        told.push(project.json(&["run", "show", run]));
        told.push(project.json(&["run", "events", run]));
    }
    told
}

/// Ends a server as a power cut would end the process.
#[cfg(unix)]
fn kill(server: Running) {
    server.signal("KILL");
    drop(server);
}

#[cfg(unix)]
#[test]
fn runs_say_the_same_from_memory_from_archives_and_after_kill_9() {
    let project = project();
    let (server, _) = serve(&project);
    let runs = ["alpha-1", "beta-2", "gamma-3", "delta-4"];
    for run in runs {
        start(&project, run);
    }
    for run in &runs[..3] {
        cancel(&project, run);
    }
    let before = told(&project, &runs);
    let taken = snapshot(&project);
    assert_eq!(taken["archived"], 3, "{taken}");
    assert_eq!(told(&project, &runs), before, "after the snapshot");
    assert_eq!(snapshot(&project), Value::Null, "nothing happened since");
    assert!(project.path(".phisync/archive").is_dir());

    // Two more, so that the first segments of the journal go.
    for run in ["epsilon-5", "zeta-6"] {
        start(&project, run);
        snapshot(&project);
    }
    assert!(
        !project
            .path(".phisync/journal/00000000000000000001.jsonl")
            .exists()
    );
    let before = told(&project, &runs);
    kill(server);
    let (_server, _) = serve(&project);
    assert_eq!(told(&project, &runs), before, "after kill -9");

    // Lists go on from memory into archives.
    let list = project.json(&["run", "list", "--status", "cancelled"]);
    assert_eq!(ids(&list), ["gamma-3", "beta-2", "alpha-1"]);
    let labelled = project.json(&["run", "list", "--label", "name=beta-2"]);
    assert_eq!(ids(&labelled), ["beta-2"]);
    // A unique beginning is enough, and a name is given out once.
    assert_eq!(project.json(&["run", "show", "alp"])["id"], "alpha-1");
    let again = ["run", "start", "workflows/hello.yaml", "--id", "alpha-1"];
    assert_eq!(project.output(&again, "").status.code(), Some(5));
    assert_eq!(project.json(&["store", "fsck"])["sound"], true);
}

#[test]
fn a_run_is_shown_as_it_stood() {
    let project = project();
    let (_server, _) = serve(&project);
    start(&project, "r1");
    let seq = project.json(&["run", "events", "r1"])["events"][0]["seq"].clone();
    let began = seq.to_string();
    cancel(&project, "r1");
    snapshot(&project);
    let show = |at: &str| project.json(&["run", "show", "r1", "--at", at])["status"].clone();
    assert_eq!(show(&began), "running");
    assert_eq!(show("999999"), "cancelled");
    assert_eq!(show("2999-01-01T00:00:00Z"), "cancelled");
    let before_it = project.output(&["run", "show", "r1", "--at", "1999-01-01T00:00:00Z"], "");
    assert_eq!(before_it.status.code(), Some(3), "{before_it:?}");
    assert_snapshot!(project.transcript(&["run", "show", "r1", "--at", "yesterday"]));
}

/// A stopped project with a snapshot, and its last segment, whose last but one record is damaged.
fn damaged() -> (Project, PathBuf) {
    let project = project();
    start(&project, "r1");
    snapshot(&project);
    start(&project, "r2");
    start(&project, "r3");
    let journal = project.path(".phisync/journal");
    let names = std::fs::read_dir(&journal).expect("the journal");
    let last = names.map(|entry| entry.expect("an entry").path()).max();
    let segment = last.expect("there are segments");
    let mut bytes = std::fs::read(&segment).expect("the segment");
    let r3 = bytes.windows(8).position(|at| at == b"\"run/r3\"");
    bytes[r3.expect("it is there") + 60] ^= 1;
    std::fs::write(&segment, &bytes).expect("written");
    (project, segment)
}

#[test]
fn the_doctor_names_what_restores_a_damaged_store_and_it_does() {
    let (project, segment) = damaged();
    let refused = project.output(&["run", "list"], "");
    assert_eq!(refused.status.code(), Some(76), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("phisync doctor"), "{words}");

    let output = project.output(&["doctor"], "");
    assert_eq!(output.status.code(), Some(76), "{output:?}");
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(words.contains("`phisync snapshot restore`"), "{words}");

    let bytes = std::fs::read(&segment).expect("the segment");
    let restored = project.json(&["snapshot", "restore"]);
    assert_eq!(restored["epoch"], 2, "{restored}");
    let aside = project
        .path(".phisync")
        .join(restored["aside"].as_str().expect("a path"));
    let aside = aside.join(segment.file_name().expect("a name"));
    assert_eq!(std::fs::read(aside).expect("it is kept"), bytes);

    assert_eq!(project.json(&["doctor"])["healthy"], true);
    assert_eq!(ids(&project.json(&["run", "list"])), ["r2", "r1"]);
    start(&project, "r4");
    let seq = project.json(&["run", "events", "r4"])["events"][0]["seq"].as_u64();
    assert!(seq > restored["known"].as_u64(), "{seq:?}: {restored}");
    // Nothing is wrong any more, so nothing is restored by accident.
    let again = project.output(&["snapshot", "restore"], "");
    assert_eq!(again.status.code(), Some(5), "{again:?}");
}

#[test]
fn a_store_goes_back_to_the_snapshot_that_is_named() {
    let project = project();
    start(&project, "r1");
    let seq = snapshot(&project)["seq"].to_string();
    start(&project, "r2");
    let restored = project.json(&["snapshot", "restore", &seq]);
    assert_eq!(restored["kept"].to_string(), seq);
    assert_eq!(ids(&project.json(&["run", "list"])), ["r1"]);
    let output = project.output(&["snapshot", "restore", "77"], "");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn a_directory_that_is_served_is_not_restored() {
    let project = project();
    let (_server, _) = serve(&project);
    let output = project.output(&["snapshot", "restore"], "");
    assert_eq!(output.status.code(), Some(75), "{output:?}");
}

#[test]
fn damaged_snapshots_and_archives_are_told_with_a_remedy() {
    let project = project();
    start(&project, "r1");
    cancel(&project, "r1");
    snapshot(&project);
    start(&project, "r2");
    snapshot(&project);
    let flip = |directory: &str| {
        let names = std::fs::read_dir(project.path(directory)).expect("it is there");
        let newest = names.map(|entry| entry.expect("an entry").path()).max();
        let newest = newest.expect("there is one");
        let mut bytes = std::fs::read(&newest).expect("a file");
        bytes[20] ^= 1;
        std::fs::write(&newest, bytes).expect("written");
    };
    flip(".phisync/state/snapshots");
    flip(".phisync/archive");
    let list = project.json(&["snapshot", "list"]);
    let sound: Vec<_> = list["snapshots"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert_eq!(sound[0]["sound"], true, "{list}");
    assert_eq!(sound[1]["sound"], false, "{list}");
    let output = project.output(&["doctor"], "");
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(words.contains("note     snapshots"), "{words}");
    assert!(words.contains("PROBLEM  archives"), "{words}");
    // The store starts all the same, and the open run is there.
    assert_eq!(project.json(&["run", "show", "r2"])["status"], "running");
}

const FIRST: &str =
    "phisync: 1\nchanges:\n  - { document: plan, op: write, content: { step: 1 } }\n";

#[test]
fn a_rewind_is_shown_first_and_done_when_it_is_confirmed() {
    let project = project();
    let (_server, _) = serve(&project);
    project.write("first.yaml", FIRST);
    project.write("second.yaml", &FIRST.replace("step: 1", "step: 2"));
    project.json(&["tx", "apply", "first.yaml"]);
    start(&project, "r1");
    let events = project.json(&["run", "events", "r1"]);
    let events = events["events"].as_array().expect("a list").clone();
    let moment = events.last().expect("it began")["seq"].to_string();
    cancel(&project, "r1");
    start(&project, "r2");
    project.json(&["tx", "apply", "second.yaml"]);

    let order = ["snapshot", "rewind", "--to", &moment, "--reason", "a test"];
    let dry = project.json(&order);
    assert_eq!(dry["done"], false);
    assert_eq!(project.json(&["run", "show", "r1"])["status"], "cancelled");
    let done = project.json(&[&order[..], &["--confirm"]].concat());
    assert_eq!(done["done"], true);
    assert_eq!(
        (&done["runs"], &done["documents"]),
        (&dry["runs"], &dry["documents"])
    );
    let then = done["runs"].as_array().expect("a list").iter();
    let then: Vec<_> = then
        .map(|run| (run["run"].clone(), run["then"].clone()))
        .collect();
    assert_eq!(
        then,
        [("r1", "paused"), ("r2", "cancelled")].map(|(run, then)| (run.into(), then.into()))
    );

    let show = project.json(&["run", "show", "r1"]);
    assert_eq!(show["status"], "running");
    assert_eq!(show["rewound"]["reason"], "a test");
    let plan = project.json(&["doc", "get", "plan"]);
    assert_eq!(
        (&plan["version"], &plan["content"]["step"]),
        (&3.into(), &1.into())
    );
    let why = project.json(&["why", "r1"])["text"].to_string();
    assert!(why.contains("rewound it to event"), "{why}");
    // As it stood is still told, and the list of what happened only grows.
    let seq = project.json(&["run", "show", "r2", "--at", "2999-01-01T00:00:00Z"]);
    assert_eq!(seq["status"], "cancelled");
    assert_eq!(project.json(&["store", "fsck"])["sound"], true);
}

#[test]
fn a_rewind_does_not_reach_behind_archives_or_into_the_future() {
    let project = project();
    start(&project, "r1");
    let events = project.json(&["run", "events", "r1"]);
    let moment = events["events"][0]["seq"].to_string();
    cancel(&project, "r1");
    snapshot(&project);
    let order = ["snapshot", "rewind", "--reason", "a test", "--to"];
    let refused = project.output(&[&order[..], &[&moment]].concat(), "");
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("archives already"), "{words}");
    assert_snapshot!(project.transcript(&[&order[..], &["999999"]].concat()));
}
