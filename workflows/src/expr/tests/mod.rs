//! Tests of the language: tables of values and of errors, the cases of CEL's own definition, another
//! interpreter as the oracle, and laws over arbitrary texts.

mod conformance;
mod differential;
mod errors;
mod evaluation;
mod laws;

use serde_json::json;

use super::{Env, ObjectType, Scope, StepView, Type, Value, time};

/// A scope with typical values; what [`env`] promises is there.
struct Sample;

impl Scope for Sample {
    fn variable(&self, name: &str) -> Option<Value> {
        let json = match name {
            "inputs" => json!({
                "topic": "otters", "max": 3, "ratio": 2, "files": ["a.rs", "b/c.rs"],
                "since": "2026-01-01T00:00:00Z", "grace": "90s", "free": {"x": null, "y": [1, 2.5]},
            }),
            "run" => {
                return Some(Value::map([
                    ("id", Value::string("run_1")),
                    ("now", Value::timestamp_micros(1_767_312_000_000_000)),
                ]));
            }
            "any" => json!({"n": 3, "list": [3, 1, 2], "text": "abc", "null": null}),
            _ => return None,
        };
        Some(Value::from_json(&json))
    }

    fn step(&self, id: &str) -> Option<Value> {
        let started = time::parse_timestamp("2026-01-01T23:00:00Z").map(Value::Timestamp);
        match id {
            "plan" => Some(Value::map([
                ("outcome", Value::string("succeeded")),
                (
                    "output",
                    Value::from_json(&json!({
                        "title": "Plan", "score": 7, "verdict": "rework",
                        "items": [{"path": "x", "size": 1}, {"path": "y", "size": 2}],
                    })),
                ),
                ("attempts", Value::Int(1)),
                ("agent", Value::string("DC")),
                ("started_at", started.clone()?),
                ("ended_at", started?),
            ])),
            "maybe" => Some(Value::map([
                ("outcome", Value::string("skipped")),
                ("attempts", Value::Int(0)),
            ])),
            _ => None,
        }
    }
}

fn env() -> Env {
    let inputs = ObjectType::default()
        .field("topic", Type::String)
        .field("max", Type::Int)
        .field("ratio", Type::Double)
        .field("files", Type::list(Type::String))
        .field("since", Type::Timestamp)
        .field("grace", Type::Duration)
        .field("free", Type::Any)
        .optional_field("note", Type::String, "the input is optional");
    let item = Type::object([("path", Type::String), ("size", Type::Int)]);
    let plan = ObjectType::default()
        .field("title", Type::String)
        .field("score", Type::Double)
        .field("verdict", Type::one_of(["approve", "rework"]))
        .field("items", Type::list(item))
        .optional_field("comment", Type::String, "it is optional");
    Env::new()
        .variable("inputs", inputs.into())
        .variable(
            "run",
            Type::object([("id", Type::String), ("now", Type::Timestamp)]),
        )
        .variable("any", Type::Any)
        .step(
            "plan",
            StepView::Visible {
                output: plan.clone().into(),
                absent: None,
            },
        )
        .step(
            "maybe",
            StepView::Visible {
                output: plan.into(),
                absent: Some("it has an `if`".to_owned()),
            },
        )
        .step(
            "free",
            StepView::Visible {
                output: Type::Any,
                absent: None,
            },
        )
        .step("later", StepView::NotBefore)
        .step("me", StepView::Own)
}
