//! The published schemas: what compiles satisfies them, what is misspelt does not.

use phisync_workflows::{agents_schema, workflow_schema};
use serde_json::Value;

use crate::support::{examples, fixtures};

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .build(schema)
        .expect("the schema is a schema")
}

/// The documents of a text as JSON; `None` if it is not YAML at all.
fn documents(text: &str) -> Option<Vec<Value>> {
    use serde::Deserialize as _;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).ok())
        .collect()
}

#[test]
fn the_schemas_are_schemas_of_their_dialect() {
    for schema in [workflow_schema(), agents_schema()] {
        jsonschema::meta::validate(&schema).expect("valid by the meta schema");
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
    }
}

#[test]
fn every_workflow_that_compiles_satisfies_the_schema() {
    let validator = validator(&workflow_schema());
    let good = fixtures("valid").into_iter().chain(examples("workflow"));
    for fixture in good {
        for document in documents(&fixture.text).expect("YAML") {
            let found: Vec<String> = validator
                .iter_errors(&document)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(found.is_empty(), "{}: {found:#?}", fixture.name);
        }
    }
}

#[test]
fn every_team_of_an_example_satisfies_the_schema() {
    let validator = validator(&agents_schema());
    for fixture in examples("agents") {
        for document in documents(&fixture.text).expect("YAML") {
            assert!(validator.is_valid(&document), "{}", fixture.name);
        }
    }
}

#[test]
fn most_slips_of_structure_break_the_schema() {
    let validator = validator(&workflow_schema());
    // What needs names, types or two places of the text is the compiler's to tell.
    let beyond = [
        "PHI104", "PHI107", "PHI110", "PHI113", "PHI114", "PHI116", "PHI117", "PHI120",
    ];
    let mut caught = 0;
    for fixture in fixtures("invalid") {
        if !fixture.name.starts_with("PHI1") || beyond.contains(&&fixture.name[..6]) {
            continue;
        }
        let Some(documents) = documents(&fixture.text) else {
            continue;
        };
        let valid = documents
            .iter()
            .all(|document| validator.is_valid(document));
        assert!(!valid, "{} satisfies the schema", fixture.name);
        caught += 1;
    }
    assert!(caught >= 8, "only {caught} fixtures");
}

#[test]
fn a_recovery_satisfies_the_schema_at_the_end_of_a_run_that_failed_and_nowhere_else() {
    let validator = validator(&workflow_schema());
    let valid = |list: &str, item: &str| {
        let text = format!(
            "workflow: sample\nsteps:\n  - {{ id: a, prompt: Go. }}\n{list}:\n  - {item}\n"
        );
        let documents = documents(&text).expect("YAML");
        documents
            .iter()
            .all(|document| validator.is_valid(document))
    };
    for item in [
        "recover",
        "recover: { outputs: { sha: none } }",
        "{ id: b, prompt: Tell. }",
    ] {
        assert!(valid("on_failure", item), "{item}");
        assert_eq!(valid("finally", item), item.starts_with('{'), "{item}");
    }
    assert!(!valid("on_failure", "recover: { output: { sha: none } }"));
    assert!(!valid("on_failure", "{ id: b, recover: {} }"));
}

#[test]
fn a_key_is_described_where_an_editor_looks() {
    let schema = workflow_schema();
    let step = &schema["$defs"]["step"];
    assert_eq!(
        step["properties"]["needs"]["description"],
        "The steps that come before."
    );
    assert_eq!(step["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["workflow"]));
}
