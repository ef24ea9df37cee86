//! F9: more connections than descriptors.

use std::fs;
use std::net::TcpStream;

use phisync_tests::process::{Project, Server, eventually};
use rustix::process::Pid;
use serde_json::json;

use super::{project, register, runs, start};

/// Twice as many connections as the highest limit has descriptors, but few enough for the queue of the system.
const CROWD: usize = 100;

/// How many descriptors a process has open.
fn open(pid: Pid) -> usize {
    let directory = format!("/proc/{}/fd", pid.as_raw_nonzero());
    fs::read_dir(directory).expect("our own child").count()
}

/// What a process has worked so far, in ticks of the system: a hundred a second.
fn worked(pid: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let stat = stat.expect("our own child");
    let fields = stat.rsplit(") ").next().expect("fields behind the name");
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    ticks(11) + ticks(12)
}

#[test]
fn a_server_whose_descriptors_are_all_taken_serves_whom_it_knows_and_does_not_spin() {
    for most in [20, 30, 40] {
        let project = project();
        let server = Server::under(&format!("ulimit -n {most}"), &project);
        let (owner, other) = (server.owner(&project), server.owner(&project));
        register(&owner);
        let _connected = other.get("/healthz").expect(200);
        let crowd: Vec<TcpStream> = (0..CROWD)
            .map(|_| TcpStream::connect(server.address()).expect("the system queues it"))
            .collect();
        eventually("all descriptors are taken", || {
            (open(server.pid()) >= most).then_some(())
        });
        // On the connection that was there before: the journal is open.
        start(&owner, "in-the-crowd");
        // A snapshot needs files; it may fail, and nothing else may for that. Its answer may close the connection.
        let snapshot = other.post("/v1/snapshots", &json!({}));
        assert!([200, 500].contains(&snapshot.status), "{}", snapshot.body);
        let before = worked(server.pid());
        let idle = owner.clone().acting_as("idle");
        let nothing = json!({ "wait_s": 1, "capabilities": ["none"] });
        let _waited = idle.post("/v1/tasks/poll", &nothing).expect(204);
        let ticks = worked(server.pid()) - before;
        assert!(ticks < 50, "it worked {ticks} of 100 ticks for nothing");
        start(&owner, "after-the-snapshot");
        drop(crowd);
        newcomers_are_served(&server, &project);
        server.stop();
        let _sound = project.run(&["store", "fsck"]).expect_code(0);
    }
}

fn newcomers_are_served(server: &Server, project: &Project) {
    let names = runs(&server.owner(project));
    assert_eq!(names, ["after-the-snapshot", "in-the-crowd"]);
}
