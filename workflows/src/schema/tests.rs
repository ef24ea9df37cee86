//! What schemas accept, what they say, and what they become.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Schema, bind};
use crate::expr::{ObjectType, Type};
use crate::machine::InputSpec;

fn parse(json: &Json) -> Schema {
    let named = |name: &str| (name == "Finding").then(finding);
    Schema::from_json(json, &named).unwrap_or_else(|error| panic!("{json}: {error:?}"))
}

fn finding() -> Schema {
    let json = json!({
        "type": "object",
        "required": ["path"],
        "properties": {"path": "string", "line": {"type": "integer", "minimum": 1}, "note": "string?"},
    });
    Schema::from_json(&json, &|_| None).expect("it is a schema")
}

/// `path: message`, one line per violation.
fn said(schema: &Json, value: &Json) -> String {
    let violations = parse(schema).violations("output", value);
    let lines: Vec<String> = violations
        .iter()
        .map(|found| format!("{}: {}", found.path, found.message))
        .collect();
    lines.join("; ")
}

#[test]
fn values_that_fit_pass() {
    for (schema, value) in [
        (json!("string"), json!("x")),
        (json!("int"), json!(-3)),
        (json!("number"), json!(3)),
        (json!("number"), json!(3.5)),
        (json!("bool"), json!(false)),
        (json!("timestamp"), json!("2026-01-31T12:00:00Z")),
        (json!("duration"), json!("2h30m")),
        (json!("any"), json!({"x": [null]})),
        (json!("string?"), json!(null)),
        (json!("string[]"), json!(["a", "b"])),
        (json!("string[]?"), json!(null)),
        (
            json!("Finding[]"),
            json!([{"path": "x", "line": 2, "extra": true}]),
        ),
        (
            json!({"$ref": "#/schemas/Finding"}),
            json!({"path": "x", "note": null}),
        ),
        (json!({"type": ["string", "null"]}), json!(null)),
        (json!({"enum": ["a", 1]}), json!(1.0)),
        (json!({"const": "x"}), json!("x")),
        (
            json!({"type": "string", "pattern": "^a+$", "maxLength": 3}),
            json!("aaa"),
        ),
        (json!({"additionalProperties": "int"}), json!({"a": 1})),
        (json!({"type": "int", "x-unit": "lines"}), json!(1)),
    ] {
        assert_eq!(said(&schema, &value), "", "{schema} {value}");
    }
}

#[test]
fn values_that_break_a_schema_are_told_where_and_why() {
    for (schema, value, expected) in [
        (
            json!("string"),
            json!(1),
            "output: expected string, found integer",
        ),
        (
            json!("int"),
            json!("x"),
            "output: expected integer, found string",
        ),
        (
            json!("int"),
            json!(3.0),
            "output: expected integer, found number",
        ),
        (
            json!("int"),
            json!(u64::MAX),
            "output: integer out of 64-bit range",
        ),
        (
            json!("string"),
            json!(null),
            "output: expected string, found null",
        ),
        (
            json!("timestamp"),
            json!("today"),
            "output: expected timestamp as `2026-01-31T12:00:00Z`",
        ),
        (
            json!("duration"),
            json!("1 week"),
            "output: expected duration as `90s` or `2h30m`",
        ),
        (
            json!("Finding[]"),
            json!([{"path": "a"}, {"path": 1, "line": 0}]),
            "output[1].path: expected string, found integer; output[1].line: 0 is below the minimum of 1",
        ),
        (json!("Finding"), json!({}), "output.path: is required"),
        (
            json!({"properties": {"a b": {"type": "int"}}}),
            json!({"a b": "x"}),
            "output[\"a b\"]: expected integer, found string",
        ),
        (
            json!({"enum": ["approve", "rework"]}),
            json!("reject"),
            "output: expected one of `approve`, `rework`, found `reject`",
        ),
        (
            json!({"const": 1}),
            json!([1]),
            "output: expected `1`, found array",
        ),
        (
            json!({"type": "string", "minLength": 2}),
            json!("\u{e9}"),
            "output: 1 characters is below the minimum of 2",
        ),
        (
            json!({"type": "string", "pattern": "^a$"}),
            json!("b"),
            "output: does not match the pattern `^a$`",
        ),
        (
            json!({"items": "int", "maxItems": 1}),
            json!([1, 2]),
            "output: 2 items is above the maximum of 1",
        ),
        (
            json!({"type": "number", "maximum": 1.5}),
            json!(2),
            "output: 2 is above the maximum of 1.5",
        ),
        (
            json!({"properties": {"a": "int?"}, "additionalProperties": false}),
            json!({"b": 1}),
            "output.b: is not allowed",
        ),
        (
            json!({"additionalProperties": "int"}),
            json!({"b": "x"}),
            "output.b: expected integer, found string",
        ),
    ] {
        assert_eq!(said(&schema, &value), expected, "{schema} {value}");
    }
}

#[test]
fn a_tag_chooses_the_variant() {
    let schema = json!({"oneOf": [
        {"type": "object", "required": ["kind", "url"], "properties": {"kind": {"const": "link"}, "url": "string"}},
        {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "file"}, "path": "string", "url": "string?"}},
    ]});
    assert_eq!(said(&schema, &json!({"kind": "link", "url": "x"})), "");
    assert_eq!(
        said(&schema, &json!({"kind": "file", "url": "x"})),
        "output.path: is required"
    );
    assert_eq!(
        said(&schema, &json!({"kind": "fiel"})),
        "output.kind: expected one of `link`, `file`, found `fiel`"
    );
    assert_eq!(said(&schema, &json!({})), "output.kind: is required");
    let mut nullable = schema.clone();
    nullable["oneOf"]
        .as_array_mut()
        .expect("a list")
        .push(json!("null"));
    assert_eq!(said(&nullable, &Json::Null), "");
    assert_eq!(
        parse(&parse(&nullable).to_json()).to_json(),
        parse(&nullable).to_json()
    );
    let expected = ObjectType::default()
        .field("kind", Type::one_of(["link", "file"]))
        .optional_field("path", Type::String, "not every variant has it")
        .optional_field("url", Type::String, "not every variant has it");
    assert_eq!(Type::from_schema(&parse(&schema)), expected.into());
}

#[test]
fn no_more_than_twenty_violations_are_told() {
    let values: Vec<Json> = (0..100).map(Json::from).collect();
    assert_eq!(
        parse(&json!("string[]"))
            .violations("output", &json!(values))
            .len(),
        20
    );
}

#[test]
fn texts_that_are_no_schema_are_refused_at_their_place() {
    for (schema, code, pointer, message, nearest) in [
        (
            json!("strnig"),
            "PHI207",
            "",
            "unknown schema `strnig`",
            Some("string"),
        ),
        (
            json!(1),
            "PHI103",
            "",
            "expected a schema, found integer",
            None,
        ),
        (
            json!("string??"),
            "PHI104",
            "",
            "`string??` is no short form: `[]` or a last `?` may follow",
            None,
        ),
        (
            json!({"typ": "int"}),
            "PHI101",
            "/typ",
            "unknown key `typ` in a schema",
            Some("type"),
        ),
        (
            json!({"type": "int", "minLength": 1}),
            "PHI101",
            "/minLength",
            "`minLength` says nothing about integer",
            None,
        ),
        (
            json!({"properties": {"a/b": {"type": 1}}}),
            "PHI103",
            "/properties/a~1b/type",
            "expected a type's name, found integer",
            None,
        ),
        (
            json!({"items": {"type": "Fnding"}}),
            "PHI207",
            "/items/type",
            "unknown schema `Fnding`",
            None,
        ),
        (
            json!({"$ref": "#/schemas/X"}),
            "PHI207",
            "/$ref",
            "unknown schema `#/schemas/X`",
            None,
        ),
        (
            json!({"required": ["pth"], "properties": {"path": "string"}}),
            "PHI104",
            "/required/0",
            "`required` names `pth`, which is no property",
            Some("path"),
        ),
        (
            json!({"type": "int", "minimum": 3, "maximum": 1}),
            "PHI104",
            "/minimum",
            "`minimum` 3 is above `maximum` 1",
            None,
        ),
        (
            json!({"type": "int", "minimum": "x"}),
            "PHI103",
            "/minimum",
            "expected an integer, found string",
            None,
        ),
        (
            json!({"type": "int", "default": "x"}),
            "PHI104",
            "/default",
            "default: expected integer, found string",
            None,
        ),
        (
            json!({"type": "string", "enum": ["a", 1]}),
            "PHI104",
            "/enum",
            "`1`: expected string, found integer",
            None,
        ),
        (
            json!({"enum": []}),
            "PHI103",
            "/enum",
            "expected a list of values, found array",
            None,
        ),
        (
            json!({"type": "string", "pattern": "("}),
            "PHI104",
            "/pattern",
            "bad regular expression: unclosed group",
            None,
        ),
        (
            json!({"type": ["string", "int"]}),
            "PHI103",
            "/type",
            "a list of types holds one type and `null`",
            None,
        ),
        (
            json!({"oneOf": ["string", "int"]}),
            "PHI103",
            "/oneOf",
            "`oneOf` needs a required property that is a different `const` in each of its objects",
            None,
        ),
    ] {
        let error = Schema::from_json(&schema, &|_| None)
            .map(|_| ())
            .expect_err("no schema");
        let found = (
            error.code,
            &*error.pointer,
            &*error.message,
            error.nearest.as_deref(),
        );
        assert_eq!(found, (code, pointer, message, nearest), "{schema}");
    }
}

#[test]
fn names_that_double_each_other_are_refused_before_they_fill_memory() {
    let mut last = Schema::any();
    let refused = (0..40).find_map(|_| {
        let json = json!({"properties": {"a": "Last", "b": "Last"}});
        match Schema::from_json(&json, &|_| Some(last.clone())) {
            Ok(schema) => {
                last = schema;
                None
            }
            Err(error) => Some(error),
        }
    });
    assert_eq!(refused.map(|error| error.code), Some("PHI104"));
}

#[test]
fn deep_schemas_are_refused() {
    let deep = (0..200).fold(json!("int"), |inner, _| json!({"items": inner}));
    assert!(Schema::from_json(&deep, &|_| None).is_err());
    assert!(Schema::from_json(&json!(format!("int{}", "[]".repeat(200))), &|_| None).is_err());
}

#[test]
fn a_schema_written_out_is_json_schema() {
    for (schema, expected) in [
        (
            json!("string[]"),
            json!({"type": "array", "items": {"type": "string"}}),
        ),
        (
            json!("timestamp?"),
            json!({"type": ["string", "null"], "format": "date-time"}),
        ),
        (json!("any"), json!({})),
        (json!({"enum": ["a", null]}), json!({"enum": ["a", null]})),
        (
            json!({"type": "int", "minimum": 1, "default": 2, "description": "d"}),
            json!({"description": "d", "type": "integer", "minimum": 1, "default": 2}),
        ),
        (
            json!("Finding"),
            json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string"},
                    "line": {"type": "integer", "minimum": 1},
                    "note": {"type": ["string", "null"]},
                },
                "required": ["path"],
            }),
        ),
    ] {
        assert_eq!(parse(&schema).to_json(), expected, "{schema}");
    }
}

#[test]
fn a_property_without_a_value_for_certain_is_a_field_that_may_be_absent() {
    let expected = ObjectType::default()
        .field("path", Type::String)
        .optional_field("line", Type::Int, "it is optional")
        .optional_field("note", Type::String, "it is optional");
    assert_eq!(Type::from_schema(&finding()), expected.into());
    assert_eq!(Type::from_schema(&parse(&json!("string?"))), Type::Any);
    assert_eq!(
        Type::from_schema(&parse(&json!("object"))),
        Type::map(Type::Any)
    );
    assert_eq!(
        Type::from_schema(&parse(&json!({"enum": [1, 2]}))),
        Type::Int
    );
}

fn inputs() -> Vec<InputSpec> {
    let input = |name: &str, schema: Json, default: Option<Json>| InputSpec {
        name: name.to_owned(),
        schema: parse(&schema),
        default,
    };
    vec![
        input("topic", json!("string"), None),
        input("max", json!("int"), Some(json!(5))),
        input("note", json!("string?"), None),
    ]
}

#[test]
fn inputs_are_bound_with_their_defaults() {
    let given = json!({"topic": "otters"});
    let bound = bind(
        ("inputs", "input"),
        &inputs(),
        given.as_object().expect("an object"),
    )
    .expect("they fit");
    assert_eq!(Json::Object(bound), json!({"topic": "otters", "max": 5}));
}

#[test]
fn everything_wrong_with_inputs_is_told_at_once() {
    let given = json!({"tpoic": "otters", "max": "x"});
    let violations = bind(
        ("inputs", "input"),
        &inputs(),
        given.as_object().expect("an object"),
    )
    .expect_err("they do not fit");
    let lines: Vec<String> = violations
        .iter()
        .map(|found| format!("{}: {}", found.path, found.message))
        .collect();
    assert_eq!(
        lines,
        [
            "inputs.tpoic: unknown input `tpoic`, did you mean `topic`?",
            "inputs.topic: input `topic` is missing",
            "inputs.max: expected integer, found string",
        ]
    );
}

/// Any JSON of moderate size.
fn arbitrary_json() -> impl Strategy<Value = Json> {
    let word = prop::sample::select(vec![
        "type",
        "enum",
        "const",
        "properties",
        "items",
        "oneOf",
        "string",
        "object",
        "array",
        "int?",
        "minimum",
        "pattern",
        "required",
        "default",
        "$ref",
        "Finding",
        "a",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        word.clone().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((word.clone(), inner), 0..4).prop_map(|entries| {
                Json::Object(
                    entries
                        .into_iter()
                        .map(|(k, v)| (k.to_owned(), v))
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_out_reads_back_the_same(schema in arbitrary_json(), value in arbitrary_json()) {
        let Ok(first) = Schema::from_json(&schema, &|_| Some(finding())) else { return Ok(()) };
        let written = first.to_json();
        let second = Schema::from_json(&written, &|_| None);
        let second = second.unwrap_or_else(|error| panic!("{schema} -> {written}: {error:?}"));
        prop_assert_eq!(second.to_json(), written);
        prop_assert_eq!(first.violations("v", &value), second.violations("v", &value));
    }
}
