//! `docs/agents.md`: the session that it shows, had again with a real server.

use serde_json::{Value, json};

use crate::page;
use crate::server::Server;

const PAGE: &str = "docs/agents.md";

/// One call of the session and what the page says came back.
struct Call {
    path: String,
    body: String,
    answer: Value,
    status: u16,
}

/// The calls of the `console` blocks, which begin with `$ call PATH 'BODY'`.
fn session(page: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    for block in page::blocks(page) {
        if block.info != "console" {
            continue;
        }
        for call in block.text.split("$ call ").skip(1) {
            let (command, answer) = call.split_once('\n').expect("an answer below the command");
            let (path, body) = command.split_once(' ').expect("PATH 'BODY'");
            let (answer, status) = answer
                .trim_end()
                .rsplit_once('\n')
                .expect("the status below the answer");
            calls.push(Call {
                path: path.to_owned(),
                body: body.trim_matches('\'').to_owned(),
                answer: serde_json::from_str(answer)
                    .unwrap_or_else(|cause| panic!("line {} and on: {cause}", block.line)),
                status: status.parse().expect("a status"),
            });
        }
    }
    calls
}

fn block(page: &str, info: &str) -> String {
    let blocks = page::blocks(page).into_iter();
    let mut found = blocks.filter(|block| block.info == info);
    let block = found.next().unwrap_or_else(|| panic!("no block `{info}`"));
    assert!(found.next().is_none(), "several blocks `{info}`");
    block.text
}

/// Replaces what is another in every session: times, and places in the journal, which hold what
/// the server says to itself too.
fn timeless(mut value: Value) -> Value {
    let mut open = vec![&mut value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => {
                for (name, field) in fields {
                    if matches!(
                        name.as_str(),
                        "lease_expires_at" | "deadline" | "seq" | "at"
                    ) {
                        assert!(field.is_string() || field.is_u64(), "{name}: {field}");
                        *field = Value::Null;
                    }
                    open.push(field);
                }
            }
            _ => {}
        }
    }
    value
}

#[test]
fn the_session_of_an_agent_goes_as_shown() {
    let page = page::text(PAGE);
    let server = Server::start(&block(&page, "yaml agents"));
    let bearer = format!("Bearer {}", server.token("agent", Some("WEBC")));
    let start = json!({ "definition": block(&page, "yaml"), "id": "demo" }).to_string();
    let owner = format!("Bearer {}", server.admin_token());
    let started = server.call(
        "POST",
        "/v1/runs",
        &[("Authorization", &owner)],
        Some(&start),
    );
    assert_eq!(started.status, 201, "{started:?}");
    let calls = session(&page);
    assert!(calls.len() > 8, "only {} calls were found", calls.len());
    for call in calls {
        let headers = [("Authorization", bearer.as_str())];
        let reply = server.call("POST", &call.path, &headers, Some(&call.body));
        let said = format!("{} {}\n{:#}", call.path, call.body, reply.body);
        assert_eq!(reply.status, call.status, "{said}");
        assert_eq!(timeless(reply.body), timeless(call.answer), "{said}");
    }
}
