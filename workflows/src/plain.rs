//! YAML that is no workflow, through the same front end: the same limits, the same refusals, and a
//! place for everything that somebody else finds wrong later.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Sink};
use crate::source::{SourceText, Span};
use crate::syntax::{self, Node};

/// One YAML document, and where each of its values stands.
#[derive(Clone, Debug)]
pub struct PlainYaml {
    root: Node,
}

/// Why a text is not one YAML document.
#[derive(Clone, Debug)]
pub enum PlainYamlError {
    /// What is wrong with it as YAML.
    Text(Vec<Diagnostic>),
    /// It has this many documents instead of one.
    Count(usize),
}

impl PlainYaml {
    /// Reads a text that is exactly one document.
    ///
    /// # Errors
    /// See [`PlainYamlError`].
    pub fn read(source: &SourceText) -> Result<Self, PlainYamlError> {
        let mut sink = Sink::default();
        let documents = syntax::read(source, &mut sink);
        let broken = sink.has_errors_since(0);
        let (Some(documents), false) = (documents, broken) else {
            return Err(PlainYamlError::Text(sink.finish()));
        };
        let mut written = documents
            .into_iter()
            .filter(|document| !document.root.is_null());
        match (written.next(), written.count()) {
            (Some(only), 0) => Ok(Self { root: only.root }),
            (None, _) => Err(PlainYamlError::Count(0)),
            (Some(_), more) => Err(PlainYamlError::Count(more + 1)),
        }
    }

    /// The document as JSON, keys in their order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.root.to_json()
    }

    /// Where a JSON pointer leads: the key, where a key leads there, else the value; the nearest
    /// place above for what is not there.
    #[must_use]
    pub fn place(&self, pointer: &str) -> Span {
        let (node, key) = self.root.at_pointer(pointer);
        key.unwrap_or(node.span)
    }
}

#[cfg(test)]
mod tests {
    use super::{PlainYaml, PlainYamlError};
    use crate::source::SourceText;

    #[test]
    fn what_is_found_wrong_later_still_has_its_place() {
        let source = SourceText::new("x", "a: 1\nlist:\n  - one\n  - { b: 2 }\n");
        let yaml = PlainYaml::read(&source).expect("one document");
        let place = |pointer| source.line_column(yaml.place(pointer).start);
        assert_eq!(place("/list/1/b"), (4, 7));
        assert_eq!(place("/list/0"), (3, 5));
        assert_eq!(place("/list/1/c"), (4, 5));
        assert_eq!(yaml.to_json()["list"][1]["b"], 2);
        let twice = SourceText::new("x", "a: 1\na: 2\n");
        assert!(matches!(
            PlainYaml::read(&twice),
            Err(PlainYamlError::Text(found)) if found.len() == 1
        ));
        let two = SourceText::new("x", "a: 1\n---\nb: 1\n");
        assert!(matches!(
            PlainYaml::read(&two),
            Err(PlainYamlError::Count(2))
        ));
    }
}
