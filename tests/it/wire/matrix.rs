//! Every kind of caller at every route and at every tool of the Model Context Protocol.
//!
//! The rows come from the description of the API and from the lists of tools, so a new route or tool cannot
//! be forgotten; what each cell must be is the reviewed table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use phisync_tests::process::{Http, Project, Server};
use serde_json::{Map, Value, json};

const TEAM: &str = "
phisync: 1
agents:
  WEBC: { capabilities: [web] }
people:
  dana: { roles: [editor] }
";

const CALLERS: [&str; 7] = [
    "nobody", "viewer", "person", "agent", "operator", "owner", "as WEBC",
];

/// A client of each kind, in the order of [`CALLERS`].
fn callers(project: &Project, server: &Server) -> [Http; 7] {
    let owner = server.owner(project);
    let token = |request: Value| {
        let made = owner.post("/v1/tokens", &request).expect(201);
        Http::new(&server.url, made["token"].as_str().expect("a token"))
    };
    [
        owner.clone().with("authorization", ""),
        token(json!({ "role": "viewer" })),
        token(json!({ "role": "person", "name": "dana" })),
        token(json!({ "role": "agent", "name": "WEBC" })),
        token(json!({ "role": "operator" })),
        owner.clone(),
        owner.acting_as("WEBC"),
    ]
}

/// Something that `schema` takes, with nothing in it that it does not ask for.
fn sample(root: &Value, schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        return sample(root, root.pointer(&name[1..]).expect("what is referred to"));
    }
    if let Some(values) = schema["enum"].as_array() {
        return values[0].clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].as_str(),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten();
            let fields = required.filter_map(Value::as_str).map(|name| {
                let field = &schema["properties"][name];
                (name.to_owned(), sample(root, field))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(0);
            (0..least).map(|_| sample(root, &schema["items"])).collect()
        }
        Some("string") => json!("nothing"),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(false),
        _ => Value::Null,
    }
}

fn line(table: &mut String, name: &str, cells: impl IntoIterator<Item = String>) {
    write!(table, "{name:46}").expect("a string");
    for cell in cells {
        write!(table, "{cell:>9}").expect("a string");
    }
    *table = table.trim_end().to_owned() + "\n";
}

#[test]
fn every_route_and_every_tool_lets_in_whom_the_table_says_and_nobody_else() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let callers = callers(&project, &server);
    let document = server.owner(&project).get("/openapi.json").expect(200);
    let mut table = String::new();
    line(&mut table, "", CALLERS.map(str::to_owned));
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let content = operation["requestBody"]["content"].as_object();
            let body = content.and_then(|content| content.iter().next());
            let body = body.map(|(kind, body)| (kind, sample(&document, &body["schema"])));
            let target = path.replace("{id}", "r.s");
            let target = target.replace("{name}", "w");
            let method = method.to_ascii_uppercase();
            let cells = callers.each_ref().map(|caller| {
                let bytes = body.as_ref().map(|(_, body)| body.to_string());
                let kind = body.as_ref().map(|(kind, _)| kind.as_str());
                let bytes = bytes.unwrap_or_default();
                let reply = caller.send(&method, &target, kind, bytes.as_bytes());
                match reply.status {
                    status @ (401 | 403) => status.to_string(),
                    _ => "in".to_owned(),
                }
            });
            agrees(
                &operation["x-phisync-roles"],
                &cells,
                &format!("{method} {path}"),
            );
            line(&mut table, &format!("{method} {path}"), cells);
        }
    }
    let callers = callers.map(Assistant::new);
    let mut tools = BTreeMap::new();
    let mut shown = BTreeSet::new();
    for (caller, who) in callers[1..].iter().zip(&CALLERS[1..]) {
        for tool in caller.tools() {
            let name = tool["name"].as_str().expect("a name").to_owned();
            let schema = &tool["inputSchema"];
            let mut arguments = sample(schema, schema);
            if !schema["properties"]["wait_s"].is_null() {
                arguments["wait_s"] = json!(0);
            }
            shown.insert((name.clone(), *who));
            tools.insert(name, arguments);
        }
    }
    for (tool, arguments) in tools {
        let cells = callers
            .each_ref()
            .map(|caller| caller.may(&tool, &arguments));
        for (who, cell) in CALLERS.iter().zip(&cells) {
            let listed = shown.contains(&(tool.clone(), *who));
            assert_eq!(listed, cell == "in", "{tool} as it is listed to {who}");
        }
        line(&mut table, &format!("tool {tool}"), cells);
    }
    insta::assert_snapshot!(table);
}

/// The description names exactly the roles that got in. An owner gets in at the door of agents by acting as one.
fn agrees(told: &Value, cells: &[String; 7], route: &str) {
    let Some(told) = told.as_array() else {
        assert!(cells.iter().all(|cell| cell == "in"), "{route}: {cells:?}");
        return;
    };
    assert_eq!(cells[0], "401", "{route}");
    for (index, role) in [(1, "viewer"), (2, "person"), (3, "agent"), (4, "operator")] {
        let may = told.iter().any(|word| word == role);
        assert_eq!(may, cells[index] == "in", "{route}: {role}");
    }
    let owner = cells[5] == "in" || cells[6] == "in";
    assert_eq!(told.iter().any(|word| word == "admin"), owner, "{route}");
}

/// One caller of `/mcp`.
struct Assistant {
    http: Http,
}

impl Assistant {
    fn new(http: Http) -> Self {
        let http = http.with("accept", "application/json, text/event-stream");
        let http = http.with("mcp-protocol-version", "2025-11-25");
        Self { http }
    }

    fn ask(&self, method: &str, params: Value) -> phisync_tests::process::Reply {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.http.post("/mcp", &request)
    }

    fn tools(&self) -> Vec<Value> {
        let answer = self.ask("tools/list", json!({})).expect(200);
        answer["result"]["tools"]
            .as_array()
            .expect("a list")
            .clone()
    }

    /// Calls a tool that does nothing useful with these arguments.
    fn may(&self, tool: &str, arguments: &Value) -> String {
        let reply = self.ask(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        );
        if reply.status != 200 {
            return reply.status.to_string();
        }
        if reply.body["error"]["code"] == -32602 {
            return "no".to_owned();
        }
        let problem = &reply.body["result"]["_meta"]["phisync/problem"];
        // What is shown to somebody is not refused to them.
        assert_ne!(problem["code"], "forbidden", "{tool}: {}", reply.body);
        assert_ne!(problem["code"], "bad_arguments", "{tool}: {}", reply.body);
        "in".to_owned()
    }
}
