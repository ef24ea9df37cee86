//! The grammar as JSON Schema 2020-12, for editors that complete and check while one types.
//!
//! It accepts every text that compiles; what needs names, types or the whole text at once is left to
//! the compiler. Same order of keys every time.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::agents::TEAM;
use super::{Form, Key, Table, WORKFLOW};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const DURATION: &str = "^(([0-9]+(ms|s|m|h|d))+|P[0-9DWTHMS.,]+)$";

/// The schema of a workflow's text.
#[must_use]
pub fn workflow_schema() -> Json {
    document(&WORKFLOW, "phisync workflow")
}

/// The schema of `agents.yaml`.
#[must_use]
pub fn agents_schema() -> Json {
    document(&TEAM, "phisync team")
}

fn document(root: &'static Table, title: &str) -> Json {
    let mut writer = Writer::default();
    let mut schema = writer.object(root);
    let mut all = Map::new();
    all.insert("$schema".to_owned(), DIALECT.into());
    all.insert("title".to_owned(), title.into());
    if let Some(object) = schema.as_object_mut() {
        all.append(object);
    }
    let definitions: Map<String, Json> = writer
        .definitions
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    all.insert("$defs".to_owned(), Json::Object(definitions));
    Json::Object(all)
}

/// Tables that were met, each once.
#[derive(Default)]
struct Writer {
    definitions: BTreeMap<&'static str, Json>,
}

impl Writer {
    fn object(&mut self, table: &'static Table) -> Json {
        let mut properties = Map::new();
        for key in table.keys() {
            properties.insert(key.name.to_owned(), self.property(key));
        }
        let required: Vec<&str> = table
            .keys()
            .filter(|key| key.required)
            .map(|key| key.name)
            .collect();
        let mut object = json!({
            "description": table.doc,
            "type": "object",
            "properties": properties,
            "patternProperties": { "^x-": true },
            "additionalProperties": false,
        });
        if !required.is_empty() {
            object["required"] = required.into();
        }
        if !table.exactly_one.is_empty() {
            let one = table.exactly_one.iter();
            object["oneOf"] = one.map(|name| json!({ "required": [name] })).collect();
        }
        object
    }

    fn property(&mut self, key: &'static Key) -> Json {
        let mut schema = self.form(&key.form);
        match schema.as_object_mut() {
            Some(object) => {
                object.insert("description".to_owned(), key.doc.into());
                schema
            }
            None => json!({ "description": key.doc }),
        }
    }

    fn form(&mut self, form: &'static Form) -> Json {
        match form {
            Form::Any | Form::Value => Json::Bool(true),
            Form::Literal | Form::Text => json!({ "type": "string" }),
            // An expression that is a literal, as `true`, need not be quoted.
            Form::Condition => json!({ "type": ["string", "boolean"] }),
            Form::Collection => json!({ "type": "string" }),
            Form::Bool => json!({ "type": "boolean" }),
            Form::Integer(low, high) => {
                let mut schema = json!({ "type": "integer", "minimum": low });
                if *high < i64::MAX {
                    schema["maximum"] = (*high).into();
                }
                schema
            }
            Form::Number(low) => json!({ "type": "number", "minimum": low }),
            Form::Duration => json!({ "type": "string", "pattern": DURATION }),
            Form::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
            Form::Choice(words) => json!({ "enum": words }),
            Form::Names => json!({
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
            }),
            Form::Schema => self.named("schema", |_| value_schema()),
            Form::List(items) => json!({ "type": "array", "items": self.form(items) }),
            Form::Map(values) => {
                json!({ "type": "object", "additionalProperties": self.form(values) })
            }
            Form::Table(table) => {
                let table = table();
                self.named(table.name, |writer| writer.object(table))
            }
            Form::Either(forms) => {
                let forms: Vec<Json> = forms.iter().map(|form| self.form(form)).collect();
                json!({ "anyOf": forms })
            }
        }
    }

    fn named(&mut self, name: &'static str, write: impl FnOnce(&mut Self) -> Json) -> Json {
        if !self.definitions.contains_key(name) {
            // Noted before it is written: tables hold each other.
            self.definitions.insert(name, Json::Null);
            let schema = write(self);
            self.definitions.insert(name, schema);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }
}

/// The type of a value: a short form, or the subset of JSON Schema that the language has.
fn value_schema() -> Json {
    let schema = json!({ "$ref": "#/$defs/schema" });
    let count = json!({ "type": "integer", "minimum": 0 });
    let keyword = |schema: &Json, doc: &str| {
        let mut schema = schema.clone();
        schema["description"] = doc.into();
        schema
    };
    let anything = |doc: &str| json!({ "description": doc });
    json!({
        "description": "The type of a value: `string`, `int[]`, `Name?`, or a JSON Schema.",
        "anyOf": [
            { "type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_]*(\[\]|\?)*$" },
            {
                "type": "object",
                "properties": {
                    "type": keyword(&json!({
                        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
                    }), "The JSON type."),
                    "description": keyword(&json!({ "type": "string" }), "What it is, for people."),
                    "properties": keyword(&json!({ "type": "object", "additionalProperties": schema }), "The fields."),
                    "required": keyword(&json!({ "type": "array", "items": { "type": "string" } }), "The fields that are always there."),
                    "additionalProperties": anything("Whether there may be other fields, or their type."),
                    "items": keyword(&schema, "The type of the items."),
                    "minItems": keyword(&count, "The fewest items."),
                    "maxItems": keyword(&count, "The most items; bounds what expressions over the list may cost."),
                    "minimum": keyword(&json!({ "type": "number" }), "The least value."),
                    "maximum": keyword(&json!({ "type": "number" }), "The greatest value."),
                    "minLength": keyword(&count, "The fewest characters."),
                    "maxLength": keyword(&count, "The most characters."),
                    "pattern": keyword(&json!({ "type": "string" }), "A regular expression that the text matches."),
                    "format": keyword(&json!({ "type": "string" }), "What the text is, as `date-time` or `duration`."),
                    "enum": keyword(&json!({ "type": "array" }), "One of these."),
                    "const": anything("Exactly this."),
                    "default": anything("Taken when nothing is given."),
                    "$ref": keyword(&json!({ "type": "string" }), "A named type, as `#/schemas/Name`."),
                    "oneOf": keyword(&json!({ "type": "array", "items": schema }), "Variants, told apart by a field with `const`."),
                },
                "patternProperties": { "^x-": true },
                "additionalProperties": false,
            },
        ],
    })
}
