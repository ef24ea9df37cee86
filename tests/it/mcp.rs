//! The Model Context Protocol as its clients speak it: over HTTP, and on the pipes of a child process
//! through a whole task. Which role gets which tool is in `wire/matrix.rs`.

use phisync_tests::process::{Child, Http, Project, Server};
use serde_json::{Value, json};

const TEAM: &str = "
phisync: 1
agents:
  WEBC: { capabilities: [web] }
people:
  dana: { roles: [editor] }
";

const WORKFLOW: &str = r#"
workflow: page
steps:
  - id: fetch
    prompt: Fetch it.
    assign: WEBC
    output: { type: object, required: [title], properties: { title: { type: string } } }
"#;

/// One caller of `/mcp`.
struct Caller {
    http: Http,
}

impl Caller {
    fn new(http: Http) -> Self {
        let accept = "application/json, text/event-stream";
        let http = http.with("accept", accept);
        Self {
            http: http.with("mcp-protocol-version", "2025-11-25"),
        }
    }

    fn ask(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.http.post("/mcp", &request).expect(200)
    }

    fn call(&self, tool: &str, arguments: Value) -> Value {
        self.ask(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
    }
}

#[test]
fn nobody_gets_in_without_a_token_or_through_another_sites_page() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    let without = owner.clone().with("authorization", "");
    let reply = without.post("/mcp", &list);
    assert_eq!(
        (reply.status, &reply.body["code"]),
        (401, &json!("unauthorized"))
    );
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("host", "evil.example"),
    ] {
        let reply = owner.clone().with(name, value).post("/mcp", &list);
        assert_eq!(reply.status, 403, "{name}: {value}");
    }
}

#[test]
fn a_refusal_tells_the_model_what_to_do_next() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": WORKFLOW, "id": "p1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let agent = Caller::new(owner.clone().acting_as("WEBC"));
    let text = |answer: &Value| {
        let text = answer["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no text: {answer}"))
            .to_owned()
    };
    let task = agent.call("get_task", json!({ "wait_s": 0 }));
    let task = &task["result"]["structuredContent"]["task"];
    assert_eq!(task["id"], "p1.fetch");
    let token = task["token"].clone();

    let misspelt = agent.call("get_task", json!({ "wait": 1 }));
    insta::assert_snapshot!(text(&misspelt), @r"
    bad_arguments: unknown field `wait`, expected `wait_s` or `capabilities`
    call `get_task` again with arguments that its schema allows
    ");
    let wrong = json!({ "task": "p1.fetch", "token": token, "output": { "name": "x" } });
    let wrong = agent.call("complete_task", wrong);
    assert_eq!(wrong["result"]["isError"], true);
    insta::assert_snapshot!(text(&wrong), @r"
    schema.output: the result of `p1.fetch` does not match its schema
      output.title: is required
    the attempt is still yours: correct the result and complete again, or fail it
    ");
    let stale = json!({ "task": "p1.fetch", "token": 1, "output": { "title": "x" } });
    let stale = agent.call("complete_task", stale);
    insta::assert_snapshot!(text(&stale), @r"
    stale_token: token 1 of `p1.fetch` is stale: `webc` holds it with token 3
    stop working on it: the task was given to somebody else or has ended
    ");

    let right = json!({ "task": "p1.fetch", "token": token, "output": { "title": "x" } });
    let done = agent.call("complete_task", right);
    assert_eq!(done["result"]["isError"], false, "{done}");
    let run = owner.get("/v1/runs/p1").expect(200);
    assert_eq!(run["status"], "completed");
}

#[test]
fn what_a_resource_shows_is_what_the_api_shows() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": WORKFLOW, "id": "p1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let caller = Caller::new(owner.clone());
    for (uri, path) in [
        ("phisync://runs/p1", "/v1/runs/p1"),
        ("phisync://runs/p1/events", "/v1/runs/p1/events"),
        ("phisync://runs", "/v1/runs"),
        ("phisync://agents", "/v1/agents"),
        ("phisync://workflows/page", "/v1/workflows/page"),
    ] {
        let answer = caller.ask("resources/read", json!({ "uri": uri }));
        let text = answer["result"]["contents"][0]["text"]
            .as_str()
            .expect("text");
        let shown: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(shown, owner.get(path).expect(200), "{uri}");
    }
    for uri in [
        "phisync://tokens",
        "phisync://runs/none",
        "file:///etc/passwd",
    ] {
        let answer = caller.ask("resources/read", json!({ "uri": uri }));
        assert!(answer["error"]["code"].is_i64(), "{uri}: {answer}");
    }
}

/// The exchange of a client that starts `phisync mcp` and closes its pipe at the end.
#[test]
fn an_assistant_on_the_pipes_does_a_whole_task() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": WORKFLOW, "id": "p1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let lines = [
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "get_task", "arguments": { "wait_s": 5 } } }),
    ];
    let stdin: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let assistant = Child::start(project.command(&["mcp", "--as", "WEBC"]), stdin.as_bytes());
    let stdout = assistant.finish().expect_code(0);
    let answers: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(answers[0]["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(
        answers[1]["result"]["structuredContent"]["task"]["id"],
        "p1.fetch"
    );
    let holds = owner.get("/v1/agents").expect(200);
    assert_eq!(holds["agents"][0]["holds"], json!(["p1.fetch"]));
}

#[test]
fn the_descriptions_of_the_workers_tools_stay_short() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let agent = Caller::new(server.owner(&project).acting_as("WEBC"));
    let tools = agent.ask("tools/list", json!({}))["result"]["tools"].to_string();
    // About four characters make a token; 2,000 tokens are what the tools may cost a model.
    assert!(tools.len() < 8_000, "{} characters", tools.len());
}

#[test]
fn the_workers_tools_stay_small_in_a_models_context() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let agent = Caller::new(server.owner(&project).acting_as("WEBC"));
    let answer = agent.ask("tools/list", json!({}));
    let mut tools = answer["result"]["tools"].clone();
    for tool in tools.as_array_mut().expect("a list") {
        let tool = tool.as_object_mut().expect("a tool");
        // What models are shown: name, description, arguments.
        tool.retain(|key, _| matches!(key.as_str(), "name" | "description" | "inputSchema"));
    }
    let text = tools.to_string();
    // Four bytes a token is what English and JSON come to; 2,000 tokens is the promise.
    assert!(text.len() < 4 * 2000, "{} bytes: {text}", text.len());
}

#[test]
fn a_document_is_written_only_by_whoever_has_read_it_last() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let agent = Caller::new(server.owner(&project).acting_as("WEBC"));
    let write = |version: u64, content: &str| {
        let arguments = json!({ "name": "plan", "version": version, "content": content });
        agent.call("update_document", arguments)["result"].clone()
    };
    assert_eq!(write(0, "first")["structuredContent"]["version"], 1);
    let problem = |result: &Value| result["_meta"]["phisync/problem"]["code"].clone();
    assert_eq!(problem(&write(0, "again")), "version");
    assert_eq!(write(1, "second")["structuredContent"]["version"], 2);
    assert_eq!(problem(&write(1, "late")), "version");
    let read = agent.call("read_document", json!({ "name": "plan" }));
    let read = &read["result"]["structuredContent"];
    assert_eq!(
        (&read["version"], &read["content"]),
        (&json!(2), &json!("second"))
    );
}
