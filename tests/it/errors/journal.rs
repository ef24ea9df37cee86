//! A damaged journal.

use std::fs;
use std::path::PathBuf;

use phisync_tests::process::{Project, Server};
use serde_json::json;

use super::{COUNT, contents, project};

/// A stopped server's directory that holds a run, and its only segment.
fn sealed() -> (Project, PathBuf) {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": COUNT, "id": "kept", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let dc = owner.acting_as("dc");
    let polled = dc.post("/v1/tasks/poll", &json!({})).expect(200);
    let done =
        json!({ "token": polled["tasks"][0]["token"], "output": { "total": 3, "unit": "words" } });
    let _done = dc.post("/v1/tasks/kept.count/complete", &done).expect(200);
    server.stop();
    let segment = project.data().join("journal/00000000000000000001.jsonl");
    (project, segment)
}

fn assert_kept(project: &Project) {
    let server = Server::start(project);
    let run = server.owner(project).get("/v1/runs/kept").expect(200);
    assert_eq!(run["outputs"], json!({ "total": 3 }));
    server.stop();
}

#[test]
fn a_flipped_byte_in_a_sealed_journal_is_refused_and_nothing_rewritten() {
    let (project, segment) = sealed();
    let whole = fs::read(&segment).expect("a segment");
    assert!(whole.len() > 1000, "there is something to damage");
    // A damaged seal is as good as none: what it sealed stands, and is checked below.
    let seal = whole.len()
        - whole
            .iter()
            .rev()
            .skip(1)
            .position(|b| *b == b'\n')
            .expect("lines")
        - 1;
    let mut places: Vec<usize> = (0..seal).step_by(seal / 30).collect();
    places.push(seal - 1);
    for place in places {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x08;
        fs::write(&segment, &damaged).expect("a damaged segment");
        let before = contents(&project.data());
        for args in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["store", "fsck"],
        ] {
            let finished = project.run(args);
            let said = finished.stderr.clone();
            assert_eq!(finished.code, Some(76), "byte {place}, {args:?}: {said}");
            let where_it_is =
                said.contains(" is corrupt at byte ") && said.contains(" after sequence ");
            assert!(where_it_is, "byte {place}, {args:?}: {said}");
        }
        assert!(
            contents(&project.data()) == before,
            "byte {place}: something was changed"
        );
    }
    let mut damaged = whole.clone();
    damaged[seal + 3] ^= 0x08;
    fs::write(&segment, &damaged).expect("a damaged seal");
    assert_kept(&project);
    fs::write(&segment, &whole).expect("the segment as it was");
    assert_kept(&project);
}

#[test]
fn damage_before_the_last_batch_of_a_killed_server_is_no_torn_tail() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    for number in 0..5 {
        let start =
            json!({ "definition": COUNT, "id": format!("run-{number}"), "inputs": { "words": 1 } });
        let _started = owner.post("/v1/runs", &start).expect(201);
    }
    server.kill();
    let segment = project.data().join("journal/00000000000000000001.jsonl");
    let mut bytes = fs::read(&segment).expect("a segment");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let place = text.find("run-2").expect("the third run is in the journal");
    bytes[place + 4] = b'9';
    fs::write(&segment, &bytes).expect("a damaged segment");
    let before = contents(&project.data());
    let finished = project.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(finished.code, Some(76), "{}", finished.stderr);
    assert!(contents(&project.data()) == before, "something was changed");
}
