//! Reads single values out of the tree, each with the complaint it deserves.
//!
//! Every reader returns `None` after it reported what is wrong, so that callers go on with a
//! default and say nothing more.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Cx;
use super::duration;
use super::kinds::ROOTS;
use crate::diagnostic::{Note, Severity};
use crate::source::Span;
use crate::syntax::{Entry, Kind, Map, Node, Scalar, Shape, Style, yaml11_note};

/// Words of CEL and names of the engine that no id may be.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// What an id may look like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IdForm {
    /// `[a-z][a-z0-9_]{0,62}`: steps, inputs, outputs.
    Snake,
    /// `[a-z][a-z0-9-]{0,62}`: workflows.
    Kebab,
}

impl Cx<'_> {
    pub(super) fn wrong_type(&mut self, key: &str, wanted: &str, node: &Node) {
        if node.is_null() {
            self.sink.push(
                Note::error("PHI108", node.span, format!("`{key}` must not be empty"))
                    .help(format!("`{key}` is {wanted}")),
            );
            return;
        }
        self.sink.push(Note::error(
            "PHI103",
            node.span,
            format!("`{key}` must be {wanted}, found {}", node.type_name()),
        ));
    }

    pub(super) fn map<'n>(&mut self, key: &str, node: &'n Node) -> Option<&'n Map> {
        if let Shape::Map(map) = &node.shape {
            return Some(map);
        }
        self.wrong_type(key, "a map", node);
        None
    }

    /// The one of a few keys that `map` has to have.
    pub(super) fn one_key<'n>(
        &mut self,
        map: &'n Map,
        place: &str,
        keys: &[&str],
        span: Span,
    ) -> Option<&'n Entry> {
        let mut written = map
            .entries
            .iter()
            .filter(|entry| keys.contains(&entry.key.as_str()));
        let Some(first) = written.next() else {
            if keys.iter().any(|key| self.was_meant(place, key)) {
                return None;
            }
            let list = keys.join("` or `");
            self.sink.push(
                Note::error("PHI102", span, format!("{place} needs `{list}`"))
                    .help(format!("exactly one of {}", words(keys.iter().copied()))),
            );
            return None;
        };
        for second in written {
            self.sink.push(excluded(
                (&second.key, second.key_span),
                (&first.key, first.key_span),
                "the other one",
            ));
        }
        Some(first)
    }

    /// Whether an unknown key at `place` was told to be this one.
    fn was_meant(&self, place: &str, key: &str) -> bool {
        self.meant
            .iter()
            .any(|(known, meant)| *known == place && *meant == key)
    }

    /// Says that something must not be empty.
    pub(super) fn empty(&mut self, key: &str, span: Span) {
        let message = format!("`{key}` must not be empty");
        self.sink.push(Note::error("PHI108", span, message));
    }

    /// Whether a name is none of those that expressions have everywhere.
    pub(super) fn not_a_root(&mut self, name: &str, span: Span) -> bool {
        let free = !ROOTS.contains(&name);
        if !free {
            self.sink.push(
                Note::error("PHI110", span, format!("`{name}` is reserved"))
                    .label("a name that expressions have of the engine"),
            );
        }
        free
    }

    pub(super) fn missing(&mut self, place: &str, key: &str, span: Span, example: &str) {
        if self.was_meant(place, key) {
            return;
        }
        self.sink.push(
            Note::error("PHI102", span, format!("{place} needs `{key}`"))
                .help(format!("add `{example}`")),
        );
    }

    /// Any scalar that was written as text.
    pub(super) fn text(&mut self, key: &str, node: &Node) -> Option<String> {
        match node.as_scalar() {
            Some(scalar) if scalar.kind == Kind::Str => {
                if let Some(kind) = scalar.yaml11 {
                    self.sink
                        .push(yaml11_note(Severity::Error, &scalar.text, kind, node.span));
                }
                Some(scalar.text.clone())
            }
            Some(scalar) if scalar.kind != Kind::Null => {
                let quoted = format!("\"{}\"", scalar.text);
                self.sink.push(
                    Note::error(
                        "PHI103",
                        node.span,
                        format!("`{key}` must be text, found {}", node.type_name()),
                    )
                    .help("quote it")
                    .edit(node.span, quoted),
                );
                None
            }
            _ => {
                self.wrong_type(key, "text", node);
                None
            }
        }
    }

    /// Text that is not empty.
    pub(super) fn name(&mut self, key: &str, node: &Node) -> Option<String> {
        let text = self.text(key, node)?;
        if text.trim().is_empty() {
            self.sink.push(Note::error(
                "PHI108",
                node.span,
                format!("`{key}` must not be empty"),
            ));
            return None;
        }
        Some(text)
    }

    /// Text in which expressions are not evaluated; one that looks like an expression is refused.
    pub(super) fn literal(&mut self, key: &str, node: &Node) -> Option<String> {
        let text = self.text(key, node)?;
        if text.contains("${{") {
            self.sink.push(
                Note::error(
                    "PHI312",
                    node.span,
                    format!("`{key}` is literal, expressions are not evaluated here"),
                )
                .help("expressions stand in `input`, `prompt`, `outputs` and the like"),
            );
            return None;
        }
        Some(text)
    }

    pub(super) fn boolean(&mut self, key: &str, node: &Node) -> Option<bool> {
        if let Some(Scalar {
            kind: Kind::Bool(value),
            ..
        }) = node.as_scalar()
        {
            return Some(*value);
        }
        self.wrong_type(key, "`true` or `false`", node);
        None
    }

    pub(super) fn integer(
        &mut self,
        key: &str,
        node: &Node,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let Some(Scalar {
            kind: Kind::Int(value),
            ..
        }) = node.as_scalar()
        else {
            self.wrong_type(key, "an integer", node);
            return None;
        };
        let fitting = u32::try_from(*value)
            .ok()
            .filter(|value| range.contains(value));
        if fitting.is_none() {
            let (low, high) = (range.start(), range.end());
            let wanted = if *high == u32::MAX {
                format!("at least {low}")
            } else {
                format!("from {low} to {high}")
            };
            self.sink.push(
                Note::error("PHI104", node.span, format!("`{key}` is {value}"))
                    .label(format!("must be {wanted}")),
            );
        }
        fitting
    }

    /// A number of at least `least`.
    pub(super) fn number(&mut self, key: &str, node: &Node) -> Option<f64> {
        match node.as_scalar().map(|scalar| scalar.kind) {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a factor that large is past every cap, rounded or not"
            )]
            Some(Kind::Int(value)) => Some(value as f64),
            Some(Kind::Float(value)) => Some(value),
            _ => {
                self.wrong_type(key, "a number", node);
                None
            }
        }
    }

    /// A duration of at least one millisecond.
    pub(super) fn duration(&mut self, key: &str, node: &Node) -> Option<Duration> {
        let duration = self.duration_or_zero(key, node)?;
        if duration.is_zero() {
            self.sink.push(
                Note::error("PHI104", node.span, format!("`{key}` must not be zero"))
                    .help("everything that waits has an end, and some time to get there"),
            );
            return None;
        }
        Some(duration)
    }

    pub(super) fn duration_or_zero(&mut self, key: &str, node: &Node) -> Option<Duration> {
        let Some(scalar) = node.as_scalar().filter(|scalar| scalar.kind != Kind::Null) else {
            self.wrong_type(key, "a duration", node);
            return None;
        };
        match duration::parse(&scalar.text) {
            Ok(duration) => Some(duration),
            Err(problem) => {
                self.sink.push(
                    Note::error(
                        "PHI111",
                        node.span,
                        format!("`{}` is not a duration", scalar.text),
                    )
                    .label(problem)
                    .help("write `30s`, `15m`, `2h30m` or `7d`"),
                );
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        key: &str,
        node: &Node,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let Some(scalar) = node.as_scalar().filter(|scalar| scalar.kind != Kind::Null) else {
            self.wrong_type(key, &words(choices.iter().map(|(word, _)| *word)), node);
            return None;
        };
        let found = choices.iter().find(|(word, _)| *word == scalar.text);
        if found.is_none() {
            self.not_one_of(
                &scalar.text,
                node.span,
                choices.iter().map(|(word, _)| *word),
            );
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn not_one_of<'w>(
        &mut self,
        found: &str,
        span: Span,
        choices: impl Iterator<Item = &'w str> + Clone,
    ) {
        let list = words(choices.clone());
        let mut note = Note::error("PHI104", span, format!("`{found}` is not one of {list}"));
        if let Some(near) = self.nearest(found, choices) {
            note = note
                .label(format!("did you mean `{near}`?"))
                .edit(span, near);
        }
        self.sink.push(note);
    }

    /// A list of names, or one name.
    pub(super) fn names(&mut self, key: &str, node: &Node) -> Vec<(String, Span)> {
        match &node.shape {
            Shape::Seq(items) => items
                .iter()
                .filter_map(|item| Some((self.name(key, item)?, item.span)))
                .collect(),
            Shape::Scalar(_) if !node.is_null() => self
                .name(key, node)
                .map(|name| vec![(name, node.span)])
                .unwrap_or_default(),
            _ => {
                self.wrong_type(key, "a list of names", node);
                Vec::new()
            }
        }
    }

    /// Checks the form of an id.
    pub(super) fn id(&mut self, text: &str, span: Span, form: IdForm) -> bool {
        if is_id(text, form) {
            if form == IdForm::Snake && RESERVED.contains(&text) {
                self.sink.push(
                    Note::error("PHI110", span, format!("`{text}` is reserved"))
                        .label("a word of the expression language"),
                );
                return false;
            }
            return true;
        }
        let fixed = fixed_id(text, form);
        let mut note =
            Note::error("PHI109", span, format!("`{text}` is not a valid id")).help(match form {
                IdForm::Snake => "a small letter, then at most 62 small letters, digits and `_`",
                IdForm::Kebab => "a small letter, then at most 62 small letters, digits and `-`",
            });
        if is_id(&fixed, form) {
            note = note.label(format!("write `{fixed}`")).edit(span, fixed);
        }
        self.sink.push(note);
        false
    }
}

/// PHI118 about the key at the first place.
pub(super) fn excluded(second: (&str, Span), first: (&str, Span), label: &str) -> Note {
    // Named in the order in which people think of them.
    let (a, b) = if second.0 == "prompt" {
        (first.0, second.0)
    } else {
        (second.0, first.0)
    };
    Note::error(
        "PHI118",
        second.1,
        format!("`{a}` and `{b}` exclude each other"),
    )
    .also(first.1, label)
}

/// "`a`, `b` and `c`".
pub(super) fn words<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let quoted: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// Whether a plain scalar would read back as this very text.
pub(super) fn is_quoted(node: &Node) -> bool {
    node.as_scalar()
        .is_some_and(|scalar| scalar.style != Style::Plain)
}

fn is_id(text: &str, form: IdForm) -> bool {
    let joiner = match form {
        IdForm::Snake => b'_',
        IdForm::Kebab => b'-',
    };
    (1..=63).contains(&text.len())
        && text.as_bytes()[0].is_ascii_lowercase()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == joiner)
}

fn fixed_id(text: &str, form: IdForm) -> String {
    let joiner = match form {
        IdForm::Snake => '_',
        IdForm::Kebab => '-',
    };
    let mut fixed = String::new();
    for c in text.chars().take(200) {
        if c.is_ascii_alphanumeric() {
            let after_small = fixed.ends_with(|last: char| last.is_ascii_lowercase());
            if c.is_ascii_uppercase() && after_small {
                fixed.push(joiner);
            }
            fixed.push(c.to_ascii_lowercase());
        } else if !fixed.is_empty() && !fixed.ends_with(joiner) {
            fixed.push(joiner);
        }
    }
    let end = fixed.trim_end_matches(joiner).len();
    fixed.truncate(end);
    fixed
}
