//! The tree: what was written, where.

use serde_json::Value as Json;

use crate::source::Span;

/// A value of the text.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) shape: Shape,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Scalar(Scalar),
    Seq(Vec<Node>),
    Map(Map),
}

/// A scalar, resolved by the YAML 1.2 core schema.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// Decoded: escapes and folds are done.
    pub(crate) text: String,
    pub(crate) style: Style,
    pub(crate) kind: Kind,
    /// What a YAML 1.1 tool takes it for, if that is something else.
    pub(crate) yaml11: Option<&'static str>,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Block,
}

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str,
}

/// A map in file order; each key once.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
    /// Whether it was written as `{...}`.
    pub(crate) flow: bool,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Map {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Node {
    /// The type as people call it, for "found ...".
    pub(crate) fn type_name(&self) -> &'static str {
        match &self.shape {
            Shape::Seq(_) => "a list",
            Shape::Map(_) => "a map",
            Shape::Scalar(scalar) => match scalar.kind {
                Kind::Null => "nothing",
                Kind::Bool(_) => "a bool",
                Kind::Int(_) => "an integer",
                Kind::Float(_) => "a number",
                Kind::Str => "text",
            },
        }
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.shape {
            Shape::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_seq(&self) -> Option<&[Node]> {
        match &self.shape {
            Shape::Seq(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_scalar(&self) -> Option<&Scalar> {
        match &self.shape {
            Shape::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text of a string scalar.
    pub(crate) fn as_str(&self) -> Option<&str> {
        self.as_scalar()
            .filter(|scalar| scalar.kind == Kind::Str)
            .map(|scalar| scalar.text.as_str())
    }

    pub(crate) fn is_null(&self) -> bool {
        self.as_scalar()
            .is_some_and(|scalar| scalar.kind == Kind::Null)
    }

    /// As JSON, expressions uninterpreted. The reader refuses numbers that JSON cannot hold.
    pub(crate) fn to_json(&self) -> Json {
        match &self.shape {
            Shape::Seq(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Shape::Map(map) => Json::Object(
                map.entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect(),
            ),
            Shape::Scalar(scalar) => match scalar.kind {
                Kind::Null => Json::Null,
                Kind::Bool(value) => Json::Bool(value),
                Kind::Int(value) => Json::from(value),
                Kind::Float(value) => Json::from(value),
                Kind::Str => Json::String(scalar.text.clone()),
            },
        }
    }

    /// The node at a JSON pointer below this one, or the nearest one above it that exists. The
    /// second value is the span of the key that leads there.
    pub(crate) fn at_pointer(&self, pointer: &str) -> (&Self, Option<Span>) {
        let mut node = self;
        let mut key_span = None;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.shape {
                Shape::Map(map) => map.get(&part).map(|e| (&e.value, Some(e.key_span))),
                Shape::Seq(items) => part
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|item| (item, None)),
                Shape::Scalar(_) => None,
            };
            let Some((child, span)) = next else { break };
            node = child;
            key_span = span;
        }
        (node, key_span)
    }
}
