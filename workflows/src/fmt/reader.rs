//! Reads a text with everything that the compiler does not care about: comments, anchors, styles,
//! blank lines.
//!
//! Runs only on texts that the compiler has read, so limits and errors are behind us.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::comments::{self, Comment};
use crate::syntax::Places;

/// A document with what stands around it.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Comments before an explicit `---`.
    pub(super) before: Vec<Comment>,
    /// Whether it starts with `---`.
    pub(super) explicit: bool,
    /// Comments about the whole document.
    pub(super) head: Vec<Comment>,
    /// `None`: an empty document.
    pub(super) root: Option<Node>,
    pub(super) tail: Vec<Comment>,
    /// Whether there are aliases: then keys stay in their order, since an anchor comes first.
    pub(super) aliases: bool,
}

/// A value.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) anchor: Option<String>,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    Scalar(Scalar),
    Alias(String),
    Collection(Collection),
}

#[derive(Debug)]
pub(super) struct Scalar {
    /// As written, without anchor.
    pub(super) raw: String,
    /// What it says.
    pub(super) text: String,
    pub(super) style: ScalarStyle,
}

/// A list or a map.
#[derive(Debug)]
pub(super) struct Collection {
    pub(super) map: bool,
    /// Whether it was written in brackets.
    pub(super) flow: bool,
    /// Whether it is written in brackets on one line.
    pub(super) inline: bool,
    pub(super) items: Vec<Item>,
    /// Comments after the last item.
    pub(super) tail: Vec<Comment>,
}

/// An item of a list, or an entry of a map.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) leading: Vec<Comment>,
    pub(super) blank_before: bool,
    pub(super) key: Option<String>,
    pub(super) key_raw: String,
    /// The comment behind the key, above a value of several lines.
    pub(super) header: Option<Comment>,
    pub(super) value: Node,
    /// The comment behind the value.
    pub(super) trailing: Option<Comment>,
}

/// All documents, `None` if one of them is not a map of lines (JSON, or no workflow at all).
pub(super) fn read(text: &str) -> Option<Vec<Document>> {
    if text.lines().any(|line| line.starts_with('%')) {
        return None;
    }
    let body = comments::without_mark(text);
    let base = text.len() - body.len();
    let places = Places::new(body, base);
    let mut events = Vec::new();
    for event in Parser::new_from_str(body) {
        let (event, raw) = event.ok()?;
        let span = places.span(raw).range();
        events.push((event, span));
    }
    let extents: Vec<Range<usize>> = events
        .iter()
        .filter_map(|(event, span)| match event {
            Event::Scalar(said, style, ..) => {
                Some(comments::extent(text, span.clone(), *style, said))
            }
            _ => None,
        })
        .collect();
    let mut reader = Reader {
        text,
        comments: comments::find(text, &extents).into_iter().peekable(),
        open: Vec::new(),
        documents: Vec::new(),
        unlike: false,
    };
    // Where something begins again: the parser's place of an end is no use for comments.
    let mut begins = Vec::with_capacity(events.len());
    let mut next = text.len();
    for (event, span) in events.iter().rev() {
        begins.push(next);
        if !matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            next = span.start;
        }
    }
    for ((event, span), next) in events.into_iter().zip(begins.into_iter().rev()) {
        reader.feed(event, span, next);
    }
    (!reader.unlike && !reader.documents.is_empty()).then_some(reader.documents)
}

struct Reader<'t> {
    text: &'t str,
    comments: std::iter::Peekable<std::vec::IntoIter<Comment>>,
    open: Vec<Open>,
    documents: Vec<Document>,
    /// Something that this layout has no place for.
    unlike: bool,
}

/// A collection whose end has not come yet.
struct Open {
    collection: Collection,
    anchor: Option<String>,
    start: usize,
    /// How far right its items start; of a list, its dashes.
    column: usize,
    /// What is known of the next item.
    next: Option<Item>,
    leading: Vec<Comment>,
    blank: bool,
}

impl Reader<'_> {
    fn feed(&mut self, event: Event<'_>, span: Range<usize>, next: usize) {
        match event {
            Event::Nothing | Event::StreamStart => {}
            Event::StreamEnd => self.end_document(self.text.len()),
            Event::DocumentStart(explicit) => {
                self.end_document(span.start);
                let first = self.documents.is_empty();
                let mut document = Document {
                    explicit,
                    ..Document::default()
                };
                if explicit && first {
                    document.before = self.comments_before(span.start);
                }
                self.documents.push(document);
            }
            Event::DocumentEnd => {}
            Event::Alias(_) => {
                self.begin(span.start);
                if let Some(document) = self.documents.last_mut() {
                    document.aliases = true;
                }
                let shape = Shape::Alias(self.text[span].trim().to_owned());
                self.finish(Node {
                    anchor: None,
                    shape,
                });
            }
            Event::Scalar(said, style, anchor, _) => {
                self.begin(span.start);
                let extent = comments::extent(self.text, span.clone(), style, &said);
                let scalar = Scalar {
                    raw: self.text[extent].to_owned(),
                    text: said.into_owned(),
                    style,
                };
                let anchor = (anchor != 0).then(|| self.anchor(span));
                self.finish(Node {
                    anchor: anchor.flatten(),
                    shape: Shape::Scalar(scalar),
                });
            }
            Event::SequenceStart(anchor, _) => self.open(false, anchor, span),
            Event::MappingStart(anchor, _) => self.open(true, anchor, span),
            Event::SequenceEnd | Event::MappingEnd => self.close(&span, next),
        }
    }

    /// The name of the anchor that a node starts with, or that stands right before it.
    fn anchor(&mut self, span: Range<usize>) -> Option<String> {
        let name = |text: &str| {
            let end = text.find(|c: char| c.is_whitespace() || ",[]{}".contains(c));
            text[..end.unwrap_or(text.len())].to_owned()
        };
        if self.text[span.start..].starts_with('&') {
            return Some(name(&self.text[span.start..]));
        }
        let before = self.text[..span.start].trim_end();
        let word = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let found = before[word..]
            .starts_with('&')
            .then(|| name(&before[word..]));
        self.unlike |= found.is_none();
        found
    }

    fn comments_before(&mut self, at: usize) -> Vec<Comment> {
        let mut before = Vec::new();
        while let Some(comment) = self.comments.next_if(|comment| comment.start < at) {
            before.push(comment);
        }
        before
    }

    /// Gives the comments before `at`, where a token starts, to what they stand behind or above.
    fn begin(&mut self, at: usize) {
        for comment in self.comments_before(at) {
            self.place(comment);
        }
        self.note_blank(at);
    }

    /// Notes whether there is an empty line above the item that begins at `at`.
    fn note_blank(&mut self, at: usize) {
        let line_start = self.text[..at].rfind('\n').map_or(0, |n| n + 1);
        let above = self.text[..line_start].trim_end_matches(['\n', '\r', ' ']);
        let blank = self.text[above.len()..line_start].matches('\n').count() > 1;
        if let Some(open) = self.open.last_mut()
            && open
                .next
                .as_ref()
                .is_none_or(|next| !open.collection.map || next.key.is_none())
        {
            open.blank = blank && !open.collection.items.is_empty();
        }
    }

    fn place(&mut self, comment: Comment) {
        let Some(open) = self.open.last_mut() else {
            if let Some(document) = self.documents.last_mut() {
                document.head.push(comment);
            }
            return;
        };
        if let Some(next) = open.next.as_mut() {
            // Between a key and its value.
            if comment.own_line || next.header.is_some() {
                next.leading.push(comment);
            } else {
                next.header = Some(comment);
            }
        } else if comment.own_line {
            open.leading.push(comment);
        } else {
            match open.collection.items.last_mut() {
                Some(last) => behind(last, comment),
                None => open.leading.push(comment),
            }
        }
    }

    fn open(&mut self, map: bool, anchor: usize, span: Range<usize>) {
        // Comments on lines of their own belong to the first item, which begins after them.
        while let Some(comment) = self
            .comments
            .next_if(|comment| comment.start < span.start && !comment.own_line)
        {
            self.place(comment);
        }
        if self.text[span.start..].starts_with(['{', '[']) {
            self.begin(span.start);
        } else {
            self.note_blank(span.start);
        }
        let anchor = if anchor == 0 {
            None
        } else {
            self.anchor(span.clone())
        };
        let at = comments::after_properties(self.text, span.start);
        let at = if self.text[at..].starts_with("- ") || anchor.is_none() {
            span.start
        } else {
            at
        };
        let flow = self.text[at..].starts_with(['{', '[']);
        // A list without indentation is said to start behind the key that it belongs to.
        let first = if map || flow { at } else { self.first_dash(at) };
        let line_start = self.text[..first].rfind('\n').map_or(0, |n| n + 1);
        self.open.push(Open {
            collection: Collection {
                map,
                flow,
                inline: false,
                items: Vec::new(),
                tail: Vec::new(),
            },
            anchor,
            start: at,
            column: self.text[line_start..first].chars().count(),
            next: None,
            leading: Vec::new(),
            blank: false,
        });
    }

    /// The first dash at or after `at`, past comments.
    fn first_dash(&self, at: usize) -> usize {
        let mut start = at;
        for line in self.text[at..].split_inclusive('\n') {
            let code = line.trim_start();
            if code.starts_with('-') {
                return start + line.len() - code.len();
            }
            start += line.len();
        }
        at
    }

    fn close(&mut self, span: &Range<usize>, next: usize) {
        let Some(depth) = self.open.len().checked_sub(1) else {
            return;
        };
        // Comments that stand as deep as the items belong to them, others to what follows.
        let column = self.open[depth].column;
        let flow = self.open[depth].collection.flow;
        let outer = depth.checked_sub(1).map(|outer| self.open[outer].column);
        let deeper = outer.is_none_or(|outer| outer < column) || flow;
        let end = if flow { span.start } else { next };
        while let Some(comment) = self.comments.next_if(|comment| {
            comment.start < end
                && (flow || !comment.own_line || (deeper && comment.column >= column))
        }) {
            self.place(comment);
        }
        let Some(mut open) = self.open.pop() else {
            return;
        };
        open.collection.tail = std::mem::take(&mut open.leading);
        let written = &self.text[open.start..span.end.max(open.start)];
        let commented = open.collection.items.iter().any(Item::has_comment);
        open.collection.inline =
            flow && !written.contains('\n') && !commented && open.collection.tail.is_empty();
        if open.collection.items.is_empty() {
            open.collection.inline = true;
            self.unlike |= !open.collection.tail.is_empty();
        }
        self.finish(Node {
            anchor: open.anchor,
            shape: Shape::Collection(open.collection),
        });
    }

    /// A value is complete: a key, an entry's value, an item, or the document.
    fn finish(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            let empty = matches!(&node.shape, Shape::Scalar(scalar) if scalar.raw.is_empty());
            let lines = matches!(&node.shape, Shape::Collection(c) if c.map && !c.flow);
            self.unlike |= !empty && !lines;
            if let Some(document) = self.documents.last_mut() {
                document.root = (!empty).then_some(node);
            }
            return;
        };
        if !open.collection.map {
            let leading = std::mem::take(&mut open.leading);
            open.collection.items.push(Item {
                leading,
                blank_before: open.blank,
                key: None,
                key_raw: String::new(),
                header: None,
                value: node,
                trailing: None,
            });
            return;
        }
        match open.next.take() {
            None => {
                let (key, raw) = match node.shape {
                    Shape::Scalar(scalar) => (scalar.text, scalar.raw),
                    Shape::Alias(_) | Shape::Collection(_) => {
                        self.unlike = true;
                        (String::new(), String::new())
                    }
                };
                self.unlike |= node.anchor.is_some() || raw.contains('\n');
                open.next = Some(Item {
                    leading: std::mem::take(&mut open.leading),
                    blank_before: open.blank,
                    key: Some(key),
                    key_raw: raw,
                    header: None,
                    value: Node {
                        anchor: None,
                        shape: Shape::Alias(String::new()),
                    },
                    trailing: None,
                });
            }
            Some(mut item) => {
                item.value = node;
                open.collection.items.push(item);
            }
        }
    }

    fn end_document(&mut self, at: usize) {
        if self.documents.is_empty() {
            return;
        }
        let tail = self.comments_before(at);
        if let Some(document) = self.documents.last_mut() {
            document.tail = tail;
        }
    }
}

/// A comment behind something goes to the innermost thing that ends there.
fn behind(item: &mut Item, comment: Comment) {
    if let Shape::Collection(collection) = &mut item.value.shape
        && !collection.inline
        && let Some(last) = collection.items.last_mut()
    {
        return behind(last, comment);
    }
    if item.trailing.is_none() {
        item.trailing = Some(comment);
    } else {
        item.leading.push(comment);
    }
}

impl Item {
    fn has_comment(&self) -> bool {
        let inside = match &self.value.shape {
            Shape::Collection(collection) => {
                !collection.tail.is_empty() || collection.items.iter().any(Self::has_comment)
            }
            Shape::Scalar(_) | Shape::Alias(_) => false,
        };
        inside || !self.leading.is_empty() || self.header.is_some() || self.trailing.is_some()
    }
}
