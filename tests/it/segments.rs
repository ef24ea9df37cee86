//! A journal that goes on in its next segment while the server is killed.
//!
//! The next segment is prepared once 4 MiB were written, and taken as soon as this one would have to grow:
//! a few large documents bring a real server there.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use phisync_tests::process::{Http, Project, Server, pause};

const TEAM: &str = "
phisync: 1
agents:
  HAND: { capabilities: [work] }
";

/// The length of each document: less than the most that one may have.
const LENGTH: usize = 900_000;

/// No more documents than this are written: 90 MB, more than a segment's 64 MiB.
const DOCUMENTS_MAX: usize = 100;

fn content(number: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(number % 26).expect("a letter"));
    format!("\"{number} {}\"", letter.to_string().repeat(LENGTH))
}

/// Writes one document after the other until the server is gone; how many it said are durable.
fn write(owner: &Http, gone: &AtomicBool) -> usize {
    for number in 0..DOCUMENTS_MAX {
        let path = format!("/v1/documents/d{number}");
        let body = content(number);
        let json = Some("application/json");
        match owner.try_send("PUT", &path, json, body.as_bytes()) {
            Ok(reply) => assert_eq!(reply.status, 200, "{}", reply.body),
            Err(_) if gone.load(Ordering::SeqCst) => return number,
            Err(error) => panic!("the server went by itself: {error}"),
        }
    }
    DOCUMENTS_MAX
}

fn segments(journal: &Path) -> usize {
    let names = std::fs::read_dir(journal).expect("there is a journal");
    let names = names.map(|name| name.expect("it reads").file_name());
    names
        .filter(|name| name.to_string_lossy().ends_with(".jsonl"))
        .count()
}

#[test]
fn a_kill_at_the_change_to_a_prepared_segment_loses_nothing_that_was_told() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let address = server.address();
    let owner = server.owner(&project).with("if-none-match", "*");
    let journal = project.data().join("journal");
    let gone = AtomicBool::new(false);
    let told = thread::scope(|scope| {
        let writer = scope.spawn(|| write(&owner, &gone));
        while segments(&journal) < 2 && !writer.is_finished() {
            pause();
        }
        gone.store(true, Ordering::SeqCst);
        server.kill();
        writer.join().expect("the writer does not panic")
    });
    assert!(
        segments(&journal) >= 2,
        "{told} documents filled no segment"
    );
    let fsck = project.run(&["store", "fsck"]);
    let _sound = fsck.expect_code(0);
    let server = Server::again(&project, address);
    let reader = server.owner(&project);
    for number in 0..told {
        let reply = reader.get(&format!("/v1/documents/d{number}"));
        let text = reply.expect(200).to_string();
        assert!(
            text.contains(&content(number)),
            "document {number} is another"
        );
    }
    assert!(
        !journal.join("prepared.tmp").exists(),
        "what was prepared is swept"
    );
    server.stop();
}
