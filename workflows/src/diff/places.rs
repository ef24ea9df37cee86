//! Where things stand in a text, for findings about machines, which have no places.

use std::collections::BTreeMap;

use crate::diagnostic::Sink;
use crate::source::{SourceText, Span};
use crate::syntax::{self, Map, Node, Shape};

pub(super) struct Places {
    root: Option<Map>,
    ids: BTreeMap<String, Span>,
    start: Span,
}

impl Places {
    /// The places of the one workflow of a text.
    pub(super) fn of(source: &SourceText) -> Self {
        let documents = syntax::read(source, &mut Sink::default()).unwrap_or_default();
        let document = documents
            .into_iter()
            .find(|document| !document.root.is_null());
        let mut ids = BTreeMap::new();
        if let Some(document) = &document {
            collect(&document.root, &mut ids);
        }
        let root = document.and_then(|document| match document.root.shape {
            Shape::Map(map) => Some(map),
            Shape::Scalar(_) | Shape::Seq(_) => None,
        });
        let start = root
            .as_ref()
            .and_then(|map| map.entries.first())
            .map_or(Span::default(), |entry| entry.key_span);
        Self { root, ids, start }
    }

    /// The key `name` in the map `key` of the top level.
    pub(super) fn below(&self, key: &str, name: &str) -> Span {
        self.root
            .as_ref()
            .and_then(|root| root.get(key))
            .and_then(|entry| entry.value.as_map())
            .and_then(|map| map.get(name))
            .map_or(self.start, |entry| entry.key_span)
    }

    /// The id of a step, or the name of a state.
    pub(super) fn id(&self, id: &str) -> Span {
        self.ids
            .get(id)
            .copied()
            .unwrap_or_else(|| self.below("states", id))
    }

    /// The version, or where it belongs.
    pub(super) fn version(&self) -> Span {
        self.written_version().unwrap_or(self.start)
    }

    pub(super) fn written_version(&self) -> Option<Span> {
        let entry = self.root.as_ref()?.get("version")?;
        Some(entry.value.span)
    }
}

/// The values of all `id` keys. A text is nested at most 64 levels deep.
fn collect(node: &Node, ids: &mut BTreeMap<String, Span>) {
    match &node.shape {
        Shape::Scalar(_) => {}
        Shape::Seq(items) => items.iter().for_each(|item| collect(item, ids)),
        Shape::Map(map) => {
            for entry in &map.entries {
                if entry.key == "id"
                    && let Some(id) = entry.value.as_str()
                {
                    ids.entry(id.to_owned()).or_insert(entry.value.span);
                }
                collect(&entry.value, ids);
            }
        }
    }
}
