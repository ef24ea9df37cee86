//! `task_types`: what is true of every task of a type, said once.
//!
//! A workflow that declares types declares all that it uses, so that a slip in a name is found. A
//! bare `prompt:` has no type to look up.

use std::collections::BTreeMap;

use super::Cx;
use super::fields::IdForm;
use super::keys::TASK_TYPE;
use super::kinds;
use super::schemas::Schemas;
use crate::diagnostic::Note;
use crate::machine::{Effects, InputSpec};
use crate::schema::Schema;
use crate::source::Span;
use crate::syntax::Map;

/// The types of one workflow, by name; `None`: none are declared.
#[derive(Default)]
pub(crate) struct TaskTypes(Option<BTreeMap<String, TaskType>>);

/// What a step of the type has that does not say otherwise.
pub(super) struct TaskType {
    /// What its tasks take; `None`: anything.
    pub(super) input: Option<Vec<InputSpec>>,
    pub(super) output: Option<Schema>,
    pub(super) effects: Option<Effects>,
    pub(super) idempotent: Option<bool>,
    pub(super) capabilities: Vec<String>,
}

impl TaskTypes {
    pub(super) fn read(cx: &mut Cx<'_>, root: &Map, schemas: &Schemas) -> Self {
        let fields = root
            .get("task_types")
            .and_then(|entry| cx.map("task_types", &entry.value));
        let Some(fields) = fields else {
            return Self(None);
        };
        let mut types = BTreeMap::new();
        for entry in &fields.entries {
            kinds::task_type_name(cx, &entry.key, entry.key_span);
            if let Some(map) = cx.map(&entry.key, &entry.value) {
                types.insert(entry.key.clone(), task_type(cx, map, schemas));
            }
        }
        Self(Some(types))
    }

    pub(super) fn get(&self, name: &str) -> Option<&TaskType> {
        self.0.as_ref()?.get(name)
    }

    /// What an agent must be able to do for tasks of a declared type.
    pub(crate) fn capabilities(&self, name: &str) -> Option<&[String]> {
        self.get(name).map(|known| known.capabilities.as_slice())
    }

    /// The type that a task names at `span` (PHI207).
    pub(super) fn find(&self, cx: &mut Cx<'_>, name: &str, span: Span) -> Option<&TaskType> {
        let types = self.0.as_ref()?;
        let found = types.get(name);
        if found.is_none() {
            let note = Note::error("PHI207", span, format!("unknown task type `{name}`"));
            let note = match cx.nearest(name, types.keys().map(String::as_str)) {
                Some(near) => note
                    .label(format!("did you mean `{near}`?"))
                    .edit(span, near),
                None => note.help("declare it in `task_types`, as the others"),
            };
            cx.sink.push(note);
        }
        found
    }
}

fn task_type(cx: &mut Cx<'_>, map: &Map, schemas: &Schemas) -> TaskType {
    cx.keys(map, &TASK_TYPE);
    let input = map.get("input").and_then(|entry| {
        let fields = cx.map("input", &entry.value)?;
        let mut inputs = Vec::with_capacity(fields.entries.len());
        for field in &fields.entries {
            cx.id(&field.key, field.key_span, IdForm::Snake);
            let schema = schemas.schema(cx, &field.value);
            let default = schema.default().cloned();
            inputs.push(InputSpec {
                name: field.key.clone(),
                schema,
                default,
            });
        }
        Some(inputs)
    });
    let output = map
        .get("output")
        .map(|entry| schemas.schema(cx, &entry.value));
    let effects = map
        .get("effects")
        .and_then(|entry| super::step::effects_word(cx, &entry.value));
    let idempotent = map
        .get("idempotent")
        .and_then(|entry| cx.boolean("idempotent", &entry.value));
    let capabilities = match map.get("capabilities") {
        Some(entry) => cx.names("capabilities", &entry.value),
        None => Vec::new(),
    };
    TaskType {
        input,
        output,
        effects,
        idempotent,
        capabilities: capabilities.into_iter().map(|(name, _)| name).collect(),
    }
}
