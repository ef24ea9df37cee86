//! The applicable edit of PHI205: one more need.

use crate::source::Span;
use crate::syntax::{Map, Node};

/// How `needs` of a step would be changed.
pub(super) enum NeedsEdit {
    None,
    /// A new key before the place, with the indentation of its neighbours.
    New {
        at: Span,
        indent: Option<String>,
    },
    /// One more name in a flow list.
    Append {
        at: Span,
        empty: bool,
    },
    /// One name becomes a list.
    Replace {
        span: Span,
        old: String,
    },
}

impl NeedsEdit {
    /// What can be done to the step `map` of `text`.
    pub(super) fn of(text: &str, map: &Map) -> Self {
        let Some(entry) = map.get("needs") else {
            let Some(id) = map.get("id") else {
                return Self::None;
            };
            let end = id.value.span.end as usize;
            let at = Span::new(end, end);
            let indent = (!map.flow).then(|| indentation(text, id.key_span));
            return Self::New { at, indent };
        };
        let span = entry.value.span;
        match &entry.value {
            node if node.as_str().is_some() => Self::Replace {
                span,
                old: node.as_str().unwrap_or_default().to_owned(),
            },
            node if text[span.range()].starts_with('[') && text[span.range()].ends_with(']') => {
                let end = span.end as usize - 1;
                Self::Append {
                    at: Span::new(end, end),
                    empty: node.as_seq().is_some_and(<[Node]>::is_empty),
                }
            }
            _ => Self::None,
        }
    }

    /// The change that makes the step need `id`, too.
    pub(super) fn add(&self, id: &str) -> Option<(Span, String)> {
        match self {
            Self::None => None,
            Self::New {
                at,
                indent: Some(indent),
            } => Some((*at, format!("\n{indent}needs: {id}"))),
            Self::New { at, indent: None } => Some((*at, format!(", needs: {id}"))),
            Self::Append { at, empty: true } => Some((*at, id.to_owned())),
            Self::Append { at, empty: false } => Some((*at, format!(", {id}"))),
            Self::Replace { span, old } => Some((*span, format!("[{old}, {id}]"))),
        }
    }
}
/// The white space before the first thing on a key's line, with its dash made blank.
pub(super) fn indentation(text: &str, key: Span) -> String {
    let start = text[..key.start as usize]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    " ".repeat(text[start..key.start as usize].chars().count())
}
