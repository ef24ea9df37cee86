//! What a workflow declares by name: inputs, variables, settings, secrets.

use serde_json::Value as Json;

use super::Cx;
use super::fields::IdForm;
use super::schemas::Schemas;
use crate::diagnostic::Note;
use crate::machine::{InputSpec, VarSpec};
use crate::syntax::{Map, Node};

/// Names that expressions can read, and those that they cannot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) vars: Vec<VarSpec>,
    pub(crate) config: Vec<InputSpec>,
    pub(crate) secrets: Vec<String>,
}

impl Declared {
    pub(super) fn read(cx: &mut Cx<'_>, root: &Map, schemas: &Schemas) -> Self {
        Self {
            inputs: inputs(cx, root, "inputs", schemas),
            vars: vars(cx, root, schemas),
            config: inputs(cx, root, "config", schemas),
            secrets: match root.get("secrets") {
                Some(entry) => secrets(cx, &entry.value),
                None => Vec::new(),
            },
        }
    }
}

fn inputs(cx: &mut Cx<'_>, root: &Map, key: &str, schemas: &Schemas) -> Vec<InputSpec> {
    let fields = root.get(key).and_then(|entry| cx.map(key, &entry.value));
    let entries = fields.map_or(&[][..], |fields| &fields.entries);
    let mut inputs = Vec::with_capacity(entries.len());
    for entry in entries {
        cx.id(&entry.key, entry.key_span, IdForm::Snake);
        let schema = schemas.schema(cx, &entry.value);
        let default = schema.default().cloned();
        inputs.push(InputSpec {
            name: entry.key.clone(),
            schema,
            default,
        });
    }
    inputs
}

/// A variable has a value from the start: its default, or null where its schema allows that.
fn vars(cx: &mut Cx<'_>, root: &Map, schemas: &Schemas) -> Vec<VarSpec> {
    let fields = root
        .get("vars")
        .and_then(|entry| cx.map("vars", &entry.value));
    let entries = fields.map_or(&[][..], |fields| &fields.entries);
    let mut vars = Vec::with_capacity(entries.len());
    for entry in entries {
        cx.id(&entry.key, entry.key_span, IdForm::Snake);
        let schema = schemas.schema(cx, &entry.value);
        let default = schema.default().cloned();
        if default.is_none() && !schema.is_optional() {
            let place = format!("variable `{}`", entry.key);
            let example = "default: VALUE` to its schema, or make it optional: `string?";
            cx.missing(&place, "default", entry.key_span, example);
        }
        vars.push(VarSpec {
            name: entry.key.clone(),
            schema,
            default: default.unwrap_or(Json::Null),
        });
    }
    vars
}

fn secrets(cx: &mut Cx<'_>, node: &Node) -> Vec<String> {
    let mut secrets = Vec::new();
    for (name, span) in cx.names("secrets", node) {
        cx.id(&name, span, IdForm::Snake);
        if secrets.contains(&name) {
            let message = format!("`secrets` names `{name}` twice");
            cx.sink.push(Note::error("PHI104", span, message));
            continue;
        }
        secrets.push(name);
    }
    secrets
}
