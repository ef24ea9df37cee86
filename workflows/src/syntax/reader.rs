//! Builds trees from parser events, within limits.
//!
//! Iterative, so that no nesting can overflow the stack; nodes are counted while they arrive, so
//! that a hostile text ends at the limit and not after it. An alias is a copy of its anchor and
//! costs what it expands to.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as RawSpan, Tag};

use super::places::Places;
use super::tree::{Entry, Kind, Map, Node, Scalar, Shape, Style};
use super::{Document, reason, scalar};
use crate::diagnostic::{Note, Severity, Sink};
use crate::source::Span;

const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 50_000;
const ALIASES_MAX: usize = 100;
/// Bytes of text that aliases may copy.
const ALIAS_BYTES_MAX: usize = 1024 * 1024;

pub(super) fn read(text: &str, sink: &mut Sink) -> Option<Vec<Document>> {
    let bom = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let body = &text[bom..];
    let mut reader = Reader {
        text,
        places: Places::new(body, bom),
        sink,
        frames: Vec::new(),
        anchors: BTreeMap::new(),
        nodes: 0,
        aliases: 0,
        alias_bytes: 0,
        documents: Vec::new(),
        extent_start: 0,
    };
    for event in Parser::new_from_str(body) {
        let fed = match event {
            Ok((event, span)) => reader.feed(event, span),
            Err(error) => {
                let at = reader.places.byte(error.marker().index());
                reader.syntax_error(error.info(), at)
            }
        };
        if fed.is_err() {
            return None;
        }
    }
    if let Some(last) = reader.documents.last_mut() {
        last.extent.end = Span::new(text.len(), text.len()).end;
    }
    Some(reader.documents)
}

/// Reading stopped; why stands in the sink.
struct Stopped;

struct Reader<'a> {
    text: &'a str,
    places: Places,
    sink: &'a mut Sink,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    aliases: usize,
    alias_bytes: usize,
    documents: Vec<Document>,
    extent_start: usize,
}

/// A collection that is still open.
struct Frame {
    start: Span,
    anchor: usize,
    size: Size,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    seen: BTreeMap<String, Span>,
    key: Option<Key>,
    flow: bool,
}

/// A key that waits for its value.
struct Key {
    name: Option<String>,
    span: Span,
}

/// What a subtree costs when it is copied.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    height: usize,
    bytes: usize,
}

struct Anchored {
    node: Node,
    size: Size,
}

impl Reader<'_> {
    fn feed(&mut self, event: Event<'_>, raw: RawSpan) -> Result<(), Stopped> {
        let span = self.places.span(raw);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd => Ok(()),
            Event::DocumentStart(explicit) => {
                self.anchors.clear();
                let start = if explicit {
                    span.start as usize
                } else {
                    self.extent_start
                };
                if let Some(last) = self.documents.last_mut() {
                    last.extent.end = Span::new(start, start).end.max(last.extent.start);
                    self.extent_start = start;
                }
                Ok(())
            }
            Event::DocumentEnd => {
                if let Some(last) = self.documents.last_mut() {
                    // An explicit `...` belongs to what it ends.
                    self.extent_start = self.extent_start.max(span.end as usize);
                    last.extent.end = span.end.max(last.extent.start);
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, tag.as_deref(), span);
                let size = Size {
                    nodes: 1,
                    height: 0,
                    bytes: text.len(),
                };
                self.count(1, span)?;
                self.finish(node, size, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", span);
                self.open(span, anchor, Content::Seq(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", span);
                let flow = self.text[span.range()].starts_with('{');
                self.open(
                    span,
                    anchor,
                    Content::Map(OpenMap {
                        flow,
                        ..OpenMap::default()
                    }),
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    fn open(&mut self, start: Span, anchor: usize, content: Content) -> Result<(), Stopped> {
        self.count(1, start)?;
        if self.frames.len() >= DEPTH_MAX {
            return self.too_deep(start);
        }
        self.frames.push(Frame {
            start,
            anchor,
            size: Size {
                nodes: 1,
                height: 0,
                bytes: 0,
            },
            content,
        });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Stopped> {
        let frame = self.frames.pop().expect("every end event has its start");
        let closed_by_bracket = matches!(
            self.text.as_bytes().get(end.start as usize),
            Some(b']' | b'}')
        );
        let (shape, last) = match frame.content {
            Content::Seq(items) => {
                let last = items.last().map(|item| item.span);
                (Shape::Seq(items), last)
            }
            Content::Map(OpenMap { entries, flow, .. }) => {
                let last = entries
                    .last()
                    .map(|entry| entry.value.span.to(entry.key_span));
                let first = entries.first().map(|entry| entry.key_span);
                let map = Shape::Map(Map { entries, flow });
                let span = first.map_or(last, |first| last.map(|last| first.to(last)));
                (map, span)
            }
        };
        let span = match last {
            _ if closed_by_bracket && !end.range().is_empty() => frame.start.to(end),
            Some(last) => frame.start.to(last),
            None => frame.start,
        };
        self.finish(Node { span, shape }, frame.size, frame.anchor)
    }

    /// Hands a complete node to the collection around it.
    fn finish(&mut self, node: Node, size: Size, anchor: usize) -> Result<(), Stopped> {
        if anchor != 0 {
            let node = node.clone();
            self.anchors.insert(anchor, Anchored { node, size });
        }
        let Some(mut frame) = self.frames.pop() else {
            self.documents.push(Document {
                root: node,
                extent: Span::new(self.extent_start, self.text.len()),
            });
            return Ok(());
        };
        frame.size.nodes += size.nodes;
        frame.size.bytes += size.bytes;
        frame.size.height = frame.size.height.max(size.height + 1);
        match &mut frame.content {
            Content::Seq(items) => items.push(node),
            Content::Map(map) => match map.key.take() {
                None => map.key = Some(self.key(&node, &mut map.seen)),
                Some(key) => map.finish_entry(key, node),
            },
        }
        self.frames.push(frame);
        Ok(())
    }

    /// Checks a key; one that is refused keeps its value out of the map.
    fn key(&mut self, node: &Node, seen: &mut BTreeMap<String, Span>) -> Key {
        let span = node.span;
        let refused = Key { name: None, span };
        let Some(scalar) = node.as_scalar() else {
            self.sink.push(
                Note::error(
                    "PHI006",
                    span,
                    format!("a key is text, found {}", node.type_name()),
                )
                .help("quote it if it is meant as text"),
            );
            return refused;
        };
        if scalar.style == Style::Plain && scalar.text == "<<" {
            self.sink.push(
                Note::error("PHI004", span, "merge key `<<` is not supported")
                    .help("use `defaults:`, or write the keys out"),
            );
            return refused;
        }
        if scalar.kind != Kind::Str {
            let written = &scalar.text;
            self.sink.push(
                Note::error(
                    "PHI006",
                    span,
                    format!("key `{written}` is {}, not text", node.type_name()),
                )
                .help("quote it")
                .edit(span, format!("\"{written}\"")),
            );
            return refused;
        }
        let name = scalar.text.clone();
        if let Some(first) = seen.get(&name) {
            self.sink.push(
                Note::error("PHI002", span, format!("duplicate key `{name}`"))
                    .label("given again")
                    .also(*first, "first given here")
                    .help("remove or rename one of them"),
            );
            return refused;
        }
        seen.insert(name.clone(), span);
        Key {
            name: Some(name),
            span,
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stopped> {
        self.aliases += 1;
        if self.aliases > ALIASES_MAX {
            self.sink.push(
                Note::error("PHI003", span, format!("more than {ALIASES_MAX} aliases"))
                    .help("write the values out"),
            );
            return Err(Stopped);
        }
        let Some(anchored) = self.anchors.get(&anchor) else {
            self.sink.push(
                Note::error("PHI003", span, "alias inside the value that it stands for")
                    .help("write the value out"),
            );
            return Err(Stopped);
        };
        let size = anchored.size;
        if self.frames.len() + size.height >= DEPTH_MAX {
            return self.too_deep(span);
        }
        self.alias_bytes += size.bytes;
        if self.nodes + size.nodes > NODES_MAX || self.alias_bytes > ALIAS_BYTES_MAX {
            self.sink.push(
                Note::error(
                    "PHI003",
                    span,
                    format!(
                        "aliases expand to more than {NODES_MAX} nodes or {ALIAS_BYTES_MAX} bytes"
                    ),
                )
                .help("write the values out"),
            );
            return Err(Stopped);
        }
        let node = anchored.node.clone();
        self.nodes += size.nodes;
        self.finish(node, size, 0)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let raw = &self.text[span.range()];
        // `!steps.a.output.ok` is meant as text: it is read as such, so that what it says is
        // checked too, and not taken for an absent value.
        let meant = if tag.is_some() && text.is_empty() {
            raw
        } else {
            text
        };
        let mut resolved = Scalar {
            text: meant.to_owned(),
            style,
            kind: Kind::Str,
            yaml11: None,
        };
        if style == Style::Plain && self.core_schema_decides(tag, span) {
            match scalar::resolve(meant) {
                Ok(kind) => resolved.kind = kind,
                Err(problem) => self.sink.push(
                    Note::error(
                        "PHI104",
                        span,
                        format!("`{text}` is not a usable number: {problem}"),
                    )
                    .help("quote it if it is meant as text"),
                ),
            }
            if let Some(kind) = scalar::yaml11(text) {
                resolved.yaml11 = Some(kind);
                self.sink
                    .push(yaml11_note(Severity::Warning, text, kind, span));
            }
        }
        Node {
            span,
            shape: Shape::Scalar(resolved),
        }
    }

    /// Whether the core schema decides about a plain scalar; a tag may say that it is text.
    fn core_schema_decides(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        match tag {
            None => true,
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => false,
            Some(tag) => {
                self.refuse_tag(tag, span);
                true
            }
        }
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, expected: &str, span: Span) {
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == expected)
        {
            self.refuse_tag(tag, span);
        }
    }

    fn refuse_tag(&mut self, tag: &Tag, span: Span) {
        let written = if tag.is_yaml_core_schema() {
            format!("!!{}", tag.suffix)
        } else {
            tag.to_string()
        };
        let mut note = Note::error("PHI007", span, format!("tag `{written}` is not supported"))
            .help("to start an expression with `!`, quote it");
        let raw = &self.text[span.range()];
        if raw.starts_with('!') && !raw.contains(['"', '\n', '\\']) {
            note = note.edit(span, format!("\"{raw}\""));
        }
        self.sink.push(note);
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Stopped> {
        self.nodes += nodes;
        if self.nodes <= NODES_MAX {
            return Ok(());
        }
        self.sink.push(
            Note::error(
                "PHI008",
                span,
                format!("the text has more than {NODES_MAX} nodes"),
            )
            .help("split it into several workflows"),
        );
        Err(Stopped)
    }

    fn too_deep(&mut self, span: Span) -> Result<(), Stopped> {
        self.sink.push(Note::error(
            "PHI008",
            span,
            format!("the text is nested deeper than {DEPTH_MAX} levels"),
        ));
        Err(Stopped)
    }

    fn syntax_error(&mut self, info: &str, at: usize) -> Result<(), Stopped> {
        if info == "recursion limit exceeded" {
            return self.too_deep(Span::new(at, at));
        }
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        let (reason, hint) = reason::explain(info, line);
        let end = self.text[at..]
            .char_indices()
            .nth(1)
            .map_or(self.text.len(), |(width, _)| at + width);
        self.sink.push(
            Note::error(
                "PHI001",
                Span::new(at, end),
                format!("not valid YAML: {reason}"),
            )
            .help_if(hint),
        );
        Err(Stopped)
    }
}

impl OpenMap {
    fn finish_entry(&mut self, key: Key, mut value: Node) {
        if value.is_null() {
            // An absent value has no text of its own to point at.
            value.span = key.span;
        }
        if let Some(name) = key.name {
            self.entries.push(Entry {
                key: name,
                key_span: key.span,
                value,
            });
        }
    }
}

/// PHI005, as a warning or, where text is wanted, as an error.
pub(crate) fn yaml11_note(severity: Severity, text: &str, kind: &str, span: Span) -> Note {
    Note::new(
        "PHI005",
        severity,
        span,
        format!("plain `{text}` is a {kind} in YAML 1.1 tools"),
    )
    .help("quote it if it is meant as text")
    .edit(span, format!("\"{text}\""))
}
