//! `POST /mcp` in the description: the envelope of JSON-RPC 2.0.
//!
//! No handler of ours has its types, so it is written by hand; `tests/it/wire` holds it against what is
//! answered. Which methods there are, and what they take, the protocol says by itself (`tools/list`).

use serde_json::{Map, Value, json};

use crate::identity::Role;

/// Where the protocol is spoken.
pub(super) const PATH: &str = "/mcp";

/// Statuses of requests that never reach the protocol.
const REFUSALS: [u16; 7] = [401, 403, 406, 408, 413, 415, 429];

/// What can be done there.
pub(super) fn operations() -> Map<String, Value> {
    let durability =
        json!({ "Phisync-Durability": { "$ref": "#/components/headers/Phisync-Durability" } });
    let schema = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let answer = || json!({ "application/json": { "schema": schema("McpAnswer") } });
    let mut good = answer();
    good["text/event-stream"] = json!({ "schema": { "type": "string" } });
    let mut bad = answer();
    bad["application/problem+json"] = json!({ "schema": schema("Problem") });
    let mut responses = Map::new();
    let mut tell = |status: u16, response: Value| responses.insert(status.to_string(), response);
    tell(
        200,
        json!({
            "description": "What the protocol answers, refusals of a tool included; a stream only to whoever asks for notices.",
            "headers": durability, "content": good,
        }),
    );
    tell(
        202,
        json!({ "description": "A notification was taken; it has no answer.", "headers": durability }),
    );
    tell(
        400,
        json!({
            "description": "No message of the protocol, or headers that say something else than the body does.",
            "content": bad,
        }),
    );
    tell(
        404,
        json!({ "description": "A method that the protocol does not have here.", "content": answer() }),
    );
    for status in REFUSALS {
        let name = format!("#/components/responses/refused-{status}");
        tell(status, json!({ "$ref": name }));
    }
    let version = json!({
        "name": "MCP-Protocol-Version", "in": "header",
        "description": "The generation of the protocol that the client speaks, as `2026-07-28`.",
        "schema": { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" },
    });
    let operation = json!({
        "operationId": "mcp",
        "tags": ["mcp"],
        "summary": "Speaks the Model Context Protocol: one message and its answer. `Accept` must name `application/json` and `text/event-stream`.",
        "parameters": [version, { "$ref": "#/components/parameters/Phisync-Agent" }],
        "security": [{ "token": [] }],
        "x-phisync-roles": Role::ALL.map(Role::as_str),
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": schema("McpMessage") } },
        },
        "responses": responses,
    });
    [("post".to_owned(), operation)].into_iter().collect()
}

/// The envelope, both ways.
pub(super) fn schemas() -> Map<String, Value> {
    let version = json!({ "const": "2.0" });
    let id = json!({ "type": ["integer", "string"] });
    let envelopes = json!({
        "McpMessage": {
            "description": "A request of JSON-RPC 2.0, or without `id` a notification.",
            "type": "object",
            "required": ["jsonrpc", "method"],
            "properties": {
                "jsonrpc": version,
                "id": id,
                "method": { "type": "string", "description": "Such as `tools/list` and `tools/call`." },
                "params": { "description": "What the method takes." },
            },
            "examples": [{ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} }],
        },
        "McpAnswer": {
            "description": "The answer to a request of the same `id`: what it brought, or why nothing.",
            "type": "object",
            "required": ["jsonrpc"],
            "properties": {
                "jsonrpc": version,
                "id": { "type": ["integer", "string", "null"] },
                "result": { "type": "object" },
                "error": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {
                        "code": { "type": "integer" },
                        "message": { "type": "string" },
                        "data": { "description": "What else there is to know." },
                    },
                },
            },
            "oneOf": [{ "required": ["result"] }, { "required": ["error"] }],
        },
    });
    match envelopes {
        Value::Object(envelopes) => envelopes,
        _ => Map::new(),
    }
}
