//! Named schemas, and schemas wherever they stand. Named ones may use each other, never themselves.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Cx;
use crate::diagnostic::Note;
use crate::schema::{Schema, SchemaError};
use crate::source::Span;
use crate::syntax::{Map, Node};

/// Longest chain of schemas that name each other; deeper ones would be deep recursion, too.
const CHAIN_MAX: usize = 32;

/// The schemas of one workflow.
#[derive(Default)]
pub(super) struct Schemas {
    named: BTreeMap<String, Schema>,
}

impl Schemas {
    /// Reads `schemas:`.
    pub(super) fn read(cx: &mut Cx<'_>, node: Option<&Node>) -> Self {
        let Some(map) = node.and_then(|node| cx.map("schemas", node)) else {
            return Self::default();
        };
        for entry in &map.entries {
            let first = entry.key.chars().next();
            let fits = first.is_some_and(|c| c.is_ascii_uppercase())
                && entry.key.len() <= 63
                && entry
                    .key
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !fits {
                cx.sink.push(
                    Note::error(
                        "PHI109",
                        entry.key_span,
                        format!("`{}` is not a valid schema name", entry.key),
                    )
                    .help("a capital letter, then letters, digits and `_`"),
                );
            }
        }
        let resolver = Resolver {
            map,
            states: RefCell::new(BTreeMap::new()),
            problems: RefCell::new(Vec::new()),
            chain: RefCell::new(Vec::new()),
        };
        for entry in &map.entries {
            resolver.resolve(&entry.key);
        }
        for (node, key_span, error) in resolver.problems.into_inner() {
            report(cx, node, key_span, &error);
        }
        let named = resolver
            .states
            .into_inner()
            .into_iter()
            // One that cannot be read was reported, and allows everything from there on.
            .map(|(name, schema)| (name, schema.unwrap_or_else(Schema::any)))
            .collect();
        Self { named }
    }

    /// Reads the schema at `node`; one that cannot be read allows everything.
    pub(super) fn schema(&self, cx: &mut Cx<'_>, node: &Node) -> Schema {
        let read = Schema::from_json(&node.to_json(), &|name| self.named.get(name).cloned());
        read.unwrap_or_else(|error| {
            report(cx, node, None, &self.with_nearest(error, node));
            Schema::any()
        })
    }

    fn with_nearest(&self, mut error: SchemaError, node: &Node) -> SchemaError {
        if error.code == "PHI207" && error.nearest.is_none() {
            let (place, _) = node.at_pointer(&error.pointer);
            let written = place
                .as_str()
                .unwrap_or_default()
                .trim_end_matches(['?', '[', ']']);
            error.nearest =
                crate::expr::nearest::nearest(written, self.named.keys().map(String::as_str))
                    .map(str::to_owned);
        }
        error
    }
}

struct Resolver<'n> {
    map: &'n Map,
    /// `None`: not readable, already reported.
    states: RefCell<BTreeMap<String, Option<Schema>>>,
    problems: RefCell<Vec<(&'n Node, Option<Span>, SchemaError)>>,
    chain: RefCell<Vec<String>>,
}

impl Resolver<'_> {
    fn resolve(&self, name: &str) -> Option<Schema> {
        if let Some(known) = self.states.borrow().get(name) {
            // One that is not readable was reported at its own place.
            return Some(known.clone().unwrap_or_else(Schema::any));
        }
        let entry = self.map.get(name)?;
        let problem = {
            let chain = self.chain.borrow();
            if chain.iter().any(|open| open == name) {
                Some(format!("schema `{name}` holds itself"))
            } else if chain.len() >= CHAIN_MAX {
                Some(format!("more than {CHAIN_MAX} schemas hold one another"))
            } else {
                None
            }
        };
        if let Some(message) = problem {
            let error = SchemaError {
                pointer: String::new(),
                message,
                code: "PHI113",
                nearest: None,
            };
            self.problems
                .borrow_mut()
                .push((&entry.value, Some(entry.key_span), error));
            self.states.borrow_mut().insert(name.to_owned(), None);
            return Some(Schema::any());
        }
        self.chain.borrow_mut().push(name.to_owned());
        let read = Schema::from_json(&entry.value.to_json(), &|other| self.resolve(other));
        self.chain.borrow_mut().pop();
        let state = match read {
            Ok(schema) => Some(schema),
            Err(error) => {
                self.problems
                    .borrow_mut()
                    .push((&entry.value, Some(entry.key_span), error));
                None
            }
        };
        let schema = state.clone();
        self.states
            .borrow_mut()
            .entry(name.to_owned())
            .or_insert(state);
        Some(schema.unwrap_or_else(Schema::any))
    }
}

fn report(cx: &mut Cx<'_>, node: &Node, key_span: Option<Span>, error: &SchemaError) {
    let (place, place_key) = node.at_pointer(&error.pointer);
    let is_name = matches!(error.code, "PHI101");
    let span = match (place_key, key_span) {
        (Some(span), _) if is_name => span,
        (None, Some(span)) if place.as_scalar().is_none() => span,
        _ if place.is_null() || place.as_scalar().is_some() => place.span,
        (Some(span), _) => span,
        _ => place.span,
    };
    let mut note = if error.code == "PHI104" && error.pointer.ends_with("/default") {
        let problem = error
            .message
            .strip_prefix("default: ")
            .unwrap_or(&error.message);
        Note::error(
            "PHI114",
            place.span,
            format!("default does not satisfy its schema: {problem}"),
        )
    } else {
        Note::error(error.code, span, error.message.clone())
    };
    if let Some(near) = &error.nearest {
        note = note.help(format!("did you mean `{near}`?"));
    }
    cx.sink.push(note);
}
