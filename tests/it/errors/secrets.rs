//! Tokens.

use phisync_tests::process::{Server, Trace, Worker};
use serde_json::json;

use super::{COUNT, contents, project};

#[test]
fn secrets_stand_in_no_file_but_their_own_and_in_nothing_that_is_said() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let admin = project.admin_token();
    let created = owner
        .post("/v1/tokens", &json!({ "role": "agent", "name": "DC" }))
        .expect(201);
    let agent = created["token"].as_str().expect("a token").to_owned();
    let start = json!({ "definition": COUNT, "id": "quiet", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let script = r#"env >"$PHISYNC_RUN_ID.env"; echo '{"total": 3, "unit": "words"}'"#;
    let mut command = project.command(&[
        "agent", "work", "--as", "DC", "--once", "--", "sh", "-c", script,
    ]);
    command.env("PHISYNC_TOKEN", &agent);
    let said = Worker::spawn(command).process.finish();
    let _outcome = owner.get("/v1/runs/quiet/wait?timeout_s=30").expect(200);
    let mut server = server;
    server.terminate();
    let told = server.finish();
    for text in [&said.stdout, &said.stderr, &told.stdout, &told.stderr] {
        assert!(!text.contains(&admin) && !text.contains(&agent), "{text}");
    }
    assert!(
        !Trace::of(&project, "quiet.env").lines().is_empty(),
        "the command ran"
    );
    for (path, bytes) in contents(project.root()) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&agent), "{}", path.display());
        let own = path.ends_with("admin.token");
        assert!(own || !text.contains(&admin), "{}", path.display());
    }
}
