//! The description of the API, held against every answer that any test gets.
//!
//! An answer that the description does not allow (another status, type, body or code) fails the test that
//! got it, whatever that test is about.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::http::Reply;

static DOCUMENT: LazyLock<Value> = LazyLock::new(phisync::api::http::document);

/// By operation, status and media type.
static CHECKS: Mutex<BTreeMap<String, &'static Validator>> = Mutex::new(BTreeMap::new());

/// The path of the description that `target` is an address of.
#[must_use]
pub fn template(target: &str) -> Option<&'static str> {
    let path = target.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let parts: Vec<&str> = template.split('/').collect();
        let mut pairs = parts.iter().zip(&segments);
        parts.len() == segments.len()
            && pairs.all(|(part, segment)| part.starts_with('{') || part == segment)
    };
    let paths = DOCUMENT["paths"].as_object().expect("a map of paths");
    let fitting = paths.keys().filter(fits);
    // `/v1/tasks/poll` before `/v1/tasks/{id}`.
    fitting
        .min_by_key(|path| path.matches('{').count())
        .map(String::as_str)
}

/// Fails if the description does not know of such an answer.
pub(super) fn check(method: &str, target: &str, reply: &Reply) {
    let Some(path) = template(target) else {
        return;
    };
    let operation = &DOCUMENT["paths"][path][method.to_ascii_lowercase()];
    if operation.is_null() {
        assert_eq!(reply.status, 405, "{method} {path}: {}", reply.body);
        return;
    }
    let response = resolve(&operation["responses"][reply.status.to_string()]);
    let told = || format!("{method} {target}: {} {}", reply.status, reply.body);
    assert!(
        !response.is_null(),
        "the description has no such status: {}",
        told()
    );
    let head = &response["headers"]["Phisync-Head"];
    assert_eq!(
        head.is_object(),
        reply.head.is_some(),
        "the witness: {}",
        told()
    );
    let Some(content) = response["content"].as_object() else {
        assert!(
            reply.body.is_null(),
            "the description has no body: {}",
            told()
        );
        return;
    };
    let kind = &reply.content_type;
    let body = content.get(kind);
    let body = body.unwrap_or_else(|| panic!("the description has no `{kind}`: {}", told()));
    let name = format!("{method} {path} {} {kind}", reply.status);
    let validator = validator(name, &body["schema"]);
    let faults: Vec<String> = validator
        .iter_errors(&reply.body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{}\n{}", told(), faults.join("\n"));
}

fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(name) => DOCUMENT.pointer(&name[1..]).expect("what is referred to"),
        None => value,
    }
}

fn validator(name: String, schema: &Value) -> &'static Validator {
    let mut checks = CHECKS.lock().unwrap_or_else(PoisonError::into_inner);
    checks.entry(name).or_insert_with(|| {
        let root = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        let validator = jsonschema::draft202012::new(&root).expect("a schema");
        Box::leak(Box::new(validator))
    })
}
