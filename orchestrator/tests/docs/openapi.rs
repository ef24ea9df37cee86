//! The description of the API: whole, sound, and as it was reviewed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use phisync::api::http::{document, routes};
use serde_json::Value;

#[test]
fn every_route_has_a_name_of_its_own_a_summary_and_a_good_answer() {
    let mut names = BTreeSet::new();
    for route in routes() {
        let (method, path) = (route.method, route.path);
        assert!(
            names.insert(route.name),
            "{method} {path}: `{}`",
            route.name
        );
        let sentence = route.summary.ends_with('.') && route.summary.len() > 8;
        assert!(sentence, "{method} {path}: `{}`", route.summary);
        let operation = &document()["paths"][path][method.to_ascii_lowercase()];
        let responses = operation["responses"].as_object().expect("responses");
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{method} {path}"
        );
    }
}

/// All that `value` refers to.
fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn whatever_is_referred_to_is_there_and_nothing_else() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for kind in ["parameters", "headers", "responses", "schemas"] {
        for name in document["components"][kind]
            .as_object()
            .expect("a map")
            .keys()
        {
            let path = format!("#/components/{kind}/{name}");
            // The answer to a method that a path does not have belongs to no operation.
            let used = found.remove(path.as_str()) || name == "refused-405";
            assert!(used, "nobody refers to {path}");
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

/// A schema on one line, as a reviewer reads it.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.trim_start_matches("#/components/schemas/").to_owned();
    }
    if let Some(ways) = schema["anyOf"].as_array() {
        return ways.iter().map(shape).collect::<Vec<_>>().join(" | ");
    }
    if let Some(ways) = schema["oneOf"].as_array() {
        return ways.iter().map(shape).collect::<Vec<_>>().join(" | ");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(" | ");
    }
    if !schema["const"].is_null() {
        return schema["const"].to_string();
    }
    let word = |kind: &Value| match kind.as_str() {
        Some("array") => format!("[{}]", shape(&schema["items"])),
        Some("object") => match &schema["additionalProperties"] {
            Value::Object(_) => format!("{{ {} }}", shape(&schema["additionalProperties"])),
            _ => "object".to_owned(),
        },
        Some(word) => word.to_owned(),
        None => "any".to_owned(),
    };
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(word).collect::<Vec<_>>().join(" | "),
        kind => word(kind),
    }
}

/// The whole API in few words: what it reads and answers.
fn outline(document: &Value) -> String {
    let mut text = String::new();
    for route in routes() {
        let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
        writeln!(text, "{} {} ({})", route.method, route.path, route.name).expect("a string");
        for parameter in operation["parameters"].as_array().expect("a list") {
            if parameter["in"] == "query" {
                let name = parameter["name"].as_str().expect("a name");
                writeln!(text, "  ?{name}: {}", shape(&parameter["schema"])).expect("a string");
            }
        }
        if let Some(content) = operation["requestBody"]["content"].as_object() {
            for (kind, body) in content {
                writeln!(text, "  < {kind} {}", shape(&body["schema"])).expect("a string");
            }
        }
        let mut refused = Vec::new();
        for (status, response) in operation["responses"].as_object().expect("a map") {
            match response["$ref"].as_str() {
                Some(_) => refused.push(status.as_str()),
                None => {
                    let schema = &response["content"]["application/json"]["schema"];
                    let body = if schema.is_null() {
                        "-".to_owned()
                    } else {
                        shape(schema)
                    };
                    writeln!(text, "  > {status} {body}").expect("a string");
                }
            }
        }
        writeln!(text, "  ! {}", refused.join(" ")).expect("a string");
    }
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .expect("a map")
    {
        let closed = if schema["additionalProperties"] == false {
            ", nothing else"
        } else {
            ""
        };
        writeln!(text, "\n{name}: {}{closed}", shape(schema)).expect("a string");
        let required = schema["required"].as_array();
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            let must = required.is_some_and(|names| names.iter().any(|name| name == field));
            let mark = if must { "" } else { "?" };
            writeln!(text, "  {field}{mark}: {}", shape(schema)).expect("a string");
        }
    }
    text
}

#[test]
fn the_api_is_as_it_was_reviewed() {
    insta::assert_snapshot!(outline(&document()));
}
