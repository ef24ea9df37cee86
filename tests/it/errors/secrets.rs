//! Tokens.

use phisync_tests::process::{Http, Server, Trace, Worker};
use serde_json::json;

use super::{COUNT, contents, project};

/// The part of a token that nobody else may know.
fn secret_of(token: &str) -> String {
    let secret = token.rsplit('_').next().expect("a last part");
    assert!(secret.len() > 20, "the secret is long");
    secret.to_owned()
}

/// The words that every process of this machine was started with, where the system tells.
fn command_lines() -> String {
    let mut lines = String::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        // One that has just ended tells nothing.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

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
    let worker = Worker::spawn(command);
    let listed = command_lines();
    assert!(
        listed.contains("agent work") || listed.is_empty(),
        "{listed}"
    );
    assert!(!listed.contains(&admin) && !listed.contains(&agent));
    let said = worker.process.finish();
    for target in [
        "/v1/tokens",
        "/v1/agents",
        "/v1/me",
        "/v1/alarms",
        "/healthz",
    ] {
        let reply = owner.get(target);
        let text = reply.body.to_string();
        assert!(!text.contains(&secret_of(&agent)), "{target}: {text}");
        assert!(!text.contains(&secret_of(&admin)), "{target}: {text}");
    }
    let wrong = format!("phs_00000000_{}", secret_of(&agent));
    let refused = Http::new(&server.url, &wrong).get(&format!("/v1/runs?label={wrong}"));
    assert_eq!(refused.status, 401);
    assert!(!refused.body.to_string().contains(&secret_of(&agent)));
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
