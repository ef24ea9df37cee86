//! F2: the process ends in the middle of writing a batch.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use phisync_tests::process::{Project, Server};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use super::{project, register, runs, start};

/// Places in the batch where the writing ends; every one of them with `PHISYNC_EVERY_BYTE` set.
const PLACES: u64 = 9;

/// The last segment's length without the zeros ahead.
fn tail(project: &Project) -> u64 {
    let directory = project.data().join("journal");
    let names = fs::read_dir(directory).expect("a directory");
    let segments = names.map(|entry| entry.expect("an entry").path());
    let last = segments
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .max();
    let bytes = fs::read(last.expect("a segment")).expect("it reads");
    let end = bytes.iter().rposition(|byte| *byte != 0);
    end.map_or(0, |end| end as u64 + 1)
}

/// From now on the system ends the process that writes at this place of any file, or beyond.
fn limit(pid: Pid, bytes: u64) {
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    prlimit(Some(pid), Resource::Fsize, limit).expect("our own child");
}

#[test]
fn a_server_that_ends_at_any_byte_of_a_batch_loses_nothing_that_was_told() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    register(&owner);
    start(&owner, "whole-0");
    let before = tail(&project);
    start(&owner, "whole-1");
    let length = tail(&project) - before;
    assert!(length > 200, "a batch of {length} bytes");
    server.stop();

    let step = match std::env::var_os("PHISYNC_EVERY_BYTE") {
        Some(_) => 1,
        None => length / PLACES,
    };
    let mut told = vec!["whole-0".to_owned(), "whole-1".to_owned()];
    // The last place leaves out the line feed behind the commit line, and nothing else.
    let places = (0..length - 1).step_by(usize::try_from(step).expect("a small number"));
    for place in places.chain([length - 1]) {
        let server = Server::start(&project);
        let owner = server.owner(&project);
        assert_eq!(runs(&owner), told, "before place {place}");
        // This one takes the room ahead, so that the next batch alone meets the limit.
        let name = format!("whole-at-{place}");
        start(&owner, &name);
        told.push(name);
        told.sort_unstable();
        limit(server.pid(), tail(&project) + place);
        let torn = json!({ "workflow": "hold", "id": format!("torn-at-{place}") });
        let kind = Some("application/json");
        let sent = owner.try_send("POST", "/v1/runs", kind, torn.to_string().as_bytes());
        assert!(sent.is_err(), "nobody was told: {sent:?}");
        let finished = server.finish();
        assert_eq!(finished.signal, Some(Signal::XFSZ.as_raw()), "at {place}");
    }
    let server = Server::start(&project);
    assert_eq!(runs(&server.owner(&project)), told);
    server.stop();
    let _sound = project.run(&["store", "fsck"]).expect_code(0);
    let kept = fs::read_dir(project.data().join("journal")).expect("a directory");
    let kept = kept.filter(|entry| {
        let entry = entry.as_ref().expect("an entry");
        entry.path().extension().is_some_and(|end| end != "jsonl")
            && entry.metadata().is_ok_and(|file| file.size() > 0)
    });
    assert!(kept.count() > 0, "what was cut is kept aside");
}
