//! `GET /openapi.json`: the API described by itself, as OpenAPI 3.1.
//!
//! Made from the table of routes and the types of their handlers, so it says what the code does. `Host` and
//! `Origin` are checked before any route, so 403 can come from all of them.

mod mcp;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::Json;
use phisync_agents::protocol::Problem as ProblemBody;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::about::{About, SchemaOf};
use super::auth::ACT_AS;
use super::extract::IDEMPOTENCY_KEY_MAX;
use super::problem::PROBLEMS;
use super::route::Route;
use super::table::routes;
use super::witness::WITNESS;
use super::writes::{TASK, TASK_TOKEN, TURN};

/// The version of OpenAPI.
const OPENAPI: &str = "3.1.1";

const DESCRIPTION: &str = "Durable workflows for a team of agents. Who calls is the bearer token and nothing else. Requests \
                           refuse fields that are not listed; answers may gain fields. A 2xx answer to a change means that \
                           it is on disk; 4xx and 507 mean that nothing happened; after 503 it may have happened or not. \
                           Programs look at `code` of a problem. What is said through `/mcp` the Model Context Protocol describes by \
                           itself: here stands its envelope.";

pub(super) async fn show() -> Json<Value> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
    Json(DOCUMENT.clone())
}

/// The description of all routes.
#[must_use]
pub fn document() -> Value {
    let mut document = Document {
        requests: settings().for_deserialize().into_generator(),
        answers: settings()
            .for_serialize()
            .with_transform(never_null)
            .into_generator(),
        paths: BTreeMap::new(),
    };
    let problem = document.answers.subschema_for::<ProblemBody>();
    for route in routes() {
        let operation = document.operation(&route);
        let path = document.paths.entry(route.path).or_default();
        path.insert(route.method.to_ascii_lowercase(), operation);
    }
    document.paths.insert(mcp::PATH, mcp::operations());
    let mut schemas = document.requests.take_definitions(true);
    // Where one type stands in a request and in an answer, what is read is what is told.
    for (name, schema) in document.answers.take_definitions(true) {
        schemas.entry(name).or_insert(schema);
    }
    schemas.extend(mcp::schemas());
    schemas.sort_keys();
    json!({
        "openapi": OPENAPI,
        "info": {
            "title": "phisync",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": document.paths,
        "components": {
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "From `phisync token create`, shown once. The owner's lies in `.phisync/admin.token`.",
            } },
            "parameters": parameters(),
            "headers": headers(),
            "responses": refusals(&problem),
            "schemas": schemas,
        },
    })
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    })
}

/// What an answer leaves out it does not tell as null.
fn never_null(schema: &mut Schema) {
    transform_subschemas(&mut never_null, schema);
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    let required: Vec<Value> = match map.get("required") {
        Some(Value::Array(names)) => names.clone(),
        _ => Vec::new(),
    };
    let Some(Value::Object(properties)) = map.get_mut("properties") else {
        return;
    };
    for (name, property) in properties {
        if !required.iter().any(|known| known == name) {
            without_null(property);
        }
    }
}

fn without_null(property: &mut Value) {
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            property["type"] = one.clone();
        }
    }
    if let Some(Value::Array(ways)) = property.get_mut("anyOf") {
        ways.retain(|way| way != &json!({ "type": "null" }));
        if let [one] = ways.as_slice()
            && let Some(name) = one.get("$ref").cloned()
            && let Some(map) = property.as_object_mut()
        {
            map.shift_remove("anyOf");
            map.insert("$ref".to_owned(), name);
        }
    }
}

/// The fields of a query, each as a parameter. The object that they form is no part of the document.
fn query_parameters(query: SchemaOf) -> Vec<Value> {
    let mut generator = settings().for_deserialize().into_generator();
    let _reference = query(&mut generator);
    let objects = generator.take_definitions(true).into_iter();
    let fields = objects.filter_map(
        |(_, mut object)| match object.get_mut("properties")?.take() {
            Value::Object(fields) => Some(fields),
            _ => None,
        },
    );
    let parameters = fields.flatten().map(|(name, mut schema)| {
        let description = schema
            .as_object_mut()
            .and_then(|map| map.remove("description"));
        without_null(&mut schema);
        json!({ "name": name, "in": "query", "description": description, "schema": schema })
    });
    parameters.collect()
}

struct Document {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
    paths: BTreeMap<&'static str, Map<String, Value>>,
}

impl Document {
    fn operation(&mut self, route: &Route) -> Value {
        let about = route.about();
        let mut operation = json!({
            "operationId": route.name,
            "tags": [route.name.split('.').next()],
            "summary": route.summary,
            "parameters": self.parameters(route),
            "responses": self.responses(about),
        });
        match about.roles {
            None => operation["security"] = json!([]),
            Some(roles) => {
                let words: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
                operation["security"] = json!([{ "token": [] }]);
                operation["x-phisync-roles"] = json!(words);
            }
        }
        if let Some((kind, schema)) = about.body {
            let schema = schema(&mut self.requests);
            operation["requestBody"] =
                json!({ "required": true, "content": { kind: { "schema": schema } } });
        }
        operation
    }

    fn parameters(&mut self, route: &Route) -> Vec<Value> {
        let about = route.about();
        let segments: Vec<&str> = route.path.split('/').collect();
        let mut parameters = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            let name = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            if let Some(name) = name {
                parameters.push(json!({
                    "name": name,
                    "in": "path",
                    "required": true,
                    "description": format!("Which of the {}.", of_which(&segments[..index])),
                    "schema": { "type": "string", "pattern": pattern_of(segments[1..index].last()) },
                }));
            }
        }
        parameters.extend(about.query.map(query_parameters).unwrap_or_default());
        let own = about.headers.iter().copied();
        let all = [ACT_AS, WITNESS].into_iter();
        for name in own.chain(all.filter(|_| about.roles.is_some())) {
            let name = component(name);
            parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
        }
        parameters
    }

    fn responses(&mut self, about: &About) -> Value {
        let mut responses = Map::new();
        let answer = about.answer.map(|schema| schema(&mut self.answers));
        for status in &about.statuses {
            let mut response = json!({
                "description": described(*status),
                "headers": { "Phisync-Durability": { "$ref": "#/components/headers/Phisync-Durability" } },
            });
            if about.head {
                response["headers"]["Phisync-Head"] =
                    json!({ "$ref": "#/components/headers/Phisync-Head" });
            }
            if let Some(schema) = answer.as_ref().filter(|_| *status != 204) {
                response["content"] = json!({ "application/json": { "schema": schema } });
            }
            responses.insert(status.to_string(), response);
        }
        for (status, ..) in PROBLEMS {
            if status == 403 || about.refusals.contains(&status) {
                let name = format!("#/components/responses/refused-{status}");
                responses.insert(status.to_string(), json!({ "$ref": name }));
            }
        }
        Value::Object(responses)
    }
}

/// What a placeholder behind these segments is one of.
fn of_which(before: &[&str]) -> String {
    let words: Vec<_> = before
        .iter()
        .filter(|word| !word.starts_with('{'))
        .collect();
    let word = words.last().map_or("things", |word| word);
    match (
        word,
        before.last().is_some_and(|last| last.starts_with('{')),
    ) {
        ("schedules", false) => "workflows".to_owned(),
        ("runs", _) => "runs: its id, or a unique beginning of it".to_owned(),
        ("tasks" | "approvals" | "incidents", _) => format!("{word}, as `RUN.STEP`"),
        _ => word.to_owned(),
    }
}

/// How the names of these look.
fn pattern_of(of: Option<&&str>) -> &'static str {
    match of {
        Some(&"tasks" | &"approvals" | &"incidents") => r"^[a-z0-9][a-z0-9_-]{0,62}\.[a-z0-9._-]+$",
        Some(&"agents") => "^[A-Za-z0-9][A-Za-z0-9_-]*$",
        Some(&"tokens") => "^phs_[0-9a-f]+$",
        _ => "^[a-z0-9][a-z0-9_-]{0,62}$",
    }
}

fn described(status: u16) -> &'static str {
    match status {
        201 => "It was made.",
        202 => "It is decided, and on its way.",
        204 => "Done, or nothing to tell.",
        _ => "The answer.",
    }
}

/// A header's name as the components call it.
fn component(header: &str) -> String {
    let words = header.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

fn parameters() -> Value {
    let version = r#"^"(0|[1-9][0-9]{0,18})"$"#;
    let number = "^[0-9]{1,19}$";
    let parameters = [
        (
            "idempotency-key",
            "Which call this is: the same one again within 24 hours has no further effect.",
            json!({ "type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_MAX, "pattern": "^[!-~]+$" }),
        ),
        (
            ACT_AS,
            "As whom the owner acts: an agent or a person.",
            json!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$" }),
        ),
        (
            WITNESS,
            "The highest head that the client was told, as SEQ:HASH.",
            json!({ "type": "string", "pattern": "^(0|[1-9][0-9]{0,18}):[0-9a-f]{64}$" }),
        ),
        (
            "if-match",
            "The version that is relied on, in quotes; `*`: any, if it exists.",
            json!({ "type": "string", "anyOf": [{ "const": "*" }, { "pattern": version }] }),
        ),
        (
            "if-none-match",
            "`*`: only if it does not exist.",
            json!({ "const": "*" }),
        ),
        (
            TURN,
            "The turn that the caller has at the document; several with commas.",
            json!({ "type": "string", "pattern": "^[0-9]{1,19}( *, *[0-9]{1,19})*$" }),
        ),
        (
            TASK,
            "The task under which an agent writes; with `Phisync-Task-Token`. Refused with 409 once the task is not its own any more.",
            json!({ "type": "string", "pattern": pattern_of(Some(&"tasks")) }),
        ),
        (
            TASK_TOKEN,
            "The token of that task.",
            json!({ "type": "string", "pattern": number }),
        ),
    ];
    let parameters = parameters.into_iter().map(|(name, description, schema)| {
        let header =
            json!({ "name": name, "in": "header", "description": description, "schema": schema });
        (component(name), header)
    });
    Value::Object(parameters.collect())
}

fn headers() -> Value {
    json!({
        "Phisync-Head": {
            "description": "The head of the store that the answer saw, as SEQ:HASH.",
            "required": true,
            "schema": { "type": "string", "pattern": "^(0|[1-9][0-9]{0,18}):[0-9a-f]{64}$" },
        },
        "Phisync-Durability": {
            "description": "What a change survives: a power cut, or only the end of the process.",
            "required": true,
            "schema": { "enum": ["sync", "interval", "none"] },
        },
        "Retry-After": {
            "description": "Seconds to wait.",
            "schema": { "type": "integer", "minimum": 1 },
        },
        "WWW-Authenticate": { "required": true, "schema": { "const": "Bearer" } },
    })
}

fn refusals(problem: &Schema) -> Map<String, Value> {
    let response = |(status, codes, meaning): (u16, &[&str], &str)| {
        let schema = json!({
            "allOf": [problem, { "properties": {
                "status": { "const": status },
                "code": { "enum": codes },
            } }],
        });
        let mut response = json!({
            "description": meaning,
            "content": { "application/problem+json": { "schema": schema } },
        });
        let header = match status {
            401 => Some("WWW-Authenticate"),
            429 => Some("Retry-After"),
            _ => None,
        };
        if let Some(header) = header {
            let path = format!("#/components/headers/{header}");
            response["headers"] = json!({ header: { "$ref": path } });
        }
        (format!("refused-{status}"), response)
    };
    PROBLEMS.into_iter().map(response).collect()
}
