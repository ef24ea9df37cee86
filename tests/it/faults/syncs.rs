//! F6 with the real binary: the system says that a sync has failed. Needs `strace`, which injects it.

use phisync_tests::process::{Child, Server};
use serde_json::json;

use super::{may, project, register, runs, start};

#[test]
fn a_sync_that_fails_ends_the_process_with_70_and_what_was_told_is_there() {
    if !may("tracing a process", "strace -qq -o /dev/null true") {
        return;
    }
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    register(&owner);
    start(&owner, "told");
    let pid = server.pid().as_raw_nonzero();
    let trace = format!(
        "exec strace -f -p {pid} -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO"
    );
    let tracer = Child::start(project.shell(&trace), b"");
    let _attached = tracer.stderr_line(|line| line.contains("attached"));
    let unknown = json!({ "workflow": "hold", "id": "unknown" });
    let kind = Some("application/json");
    let sent = owner.try_send("POST", "/v1/runs", kind, unknown.to_string().as_bytes());
    if let Ok(reply) = sent {
        assert_eq!(reply.refusal(), (503, "unknown_outcome"));
    }
    let finished = server.finish();
    assert_eq!(finished.code, Some(70), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("cannot sync"),
        "{}",
        finished.stderr
    );
    drop(tracer);
    let server = Server::start(&project);
    let found = runs(&server.owner(&project));
    assert!(found.contains(&"told".to_owned()), "{found:?}");
    server.stop();
}
