//! Bodies that are deep, long, or no text: each is answered, and the server goes on.

use phisync_tests::process::{Journal, Project, Server};
use serde_json::json;

const TEAM: &str = "phisync: 1\nagents:\n  WEBC: {}\n";

const WORKFLOW: &str = "\
workflow: page
inputs: { what: { type: string } }
steps: [{ id: fetch, prompt: Fetch it., assign: WEBC }]
";

const JSON: Option<&str> = Some("application/json");

/// What a body may have, in bytes.
const LONGEST: usize = 1 << 20;

#[test]
fn no_body_however_deep_or_broken_does_more_than_to_be_refused() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let deep = |open: &str, close: &str, levels: usize| {
        let (open, close) = (open.repeat(levels), close.repeat(levels));
        format!("{{\"workflow\":\"w\",\"inputs\":{{\"a\":{open}1{close}}}}}").into_bytes()
    };
    for levels in [200, 10_000, 170_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let reply = owner.send("POST", "/v1/runs", JSON, &deep(open, close, levels));
            let status = reply.refusal().0;
            assert!([400, 413].contains(&status), "{levels}: {}", reply.body);
        }
        let deep = "[".repeat(levels);
        let reply = owner.send("POST", "/v1/runs", JSON, deep.as_bytes());
        assert_eq!(reply.refusal(), (400, "bad_request"));
        let yaml = format!("workflow: w\nsteps: {deep}");
        let kind = Some("application/yaml");
        let reply = owner.send("POST", "/v1/workflows", kind, yaml.as_bytes());
        assert!([413, 422].contains(&reply.status), "{}", reply.body);
    }
    let broken: [&[u8]; 5] = [
        b"{\"workflow\":\"\xff\"}",
        b"{\"workflow\":\"\\ud800\"}",
        b"{\"workflow\":\"w\",\"workflow\":\"v\"}",
        b"{\"workflow\":\"w\",\"inputs\":{\"a\":1e999}}",
        b"{\"workflow\":\"w\",\"inputs\":{\"a\":NaN}}",
    ];
    for body in broken {
        let reply = owner.send("POST", "/v1/runs", JSON, body);
        let told = String::from_utf8_lossy(body);
        assert_eq!(reply.refusal(), (400, "bad_request"), "{told}");
    }
    for (length, status) in [(LONGEST, 404), (LONGEST + 1, 413)] {
        let mut body = b"{\"workflow\":\"nobody\"".to_vec();
        body.resize(length - 1, b' ');
        body.push(b'}');
        let reply = owner.send("POST", "/v1/runs", JSON, &body);
        assert_eq!(reply.refusal().0, status, "{}", reply.body);
    }
    assert_eq!(owner.get("/v1/runs").expect(200)["runs"], json!([]));
    server.stop();
}

#[test]
fn no_character_of_an_input_breaks_a_line_of_the_journal() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let odd = "\u{0} \n \r \u{7f} \u{1b}[31m \u{85} \u{2028} \u{2029} \u{202e} \u{feff} \u{10ffff}";
    let start = json!({ "definition": WORKFLOW, "id": "odd", "inputs": { "what": odd } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let run = owner.get("/v1/runs/odd").expect(200);
    assert_eq!(run["inputs"]["what"], odd, "kept as it came");
    let list = project.run(&["run", "show", "odd"]);
    assert!(!list.stdout.contains('\u{1b}'), "{:?}", list.stdout);
    server.stop();
    let _whole = Journal::read(&project);
    let _sound = project.run(&["store", "fsck"]).expect_code(0);
    let dump = project.run(&["store", "dump"]).expect_code(0);
    let lines = dump.lines().count();
    let read = dump.lines().filter(|line| line.starts_with('{'));
    assert_eq!(read.count(), lines, "each line is a whole record");
}
