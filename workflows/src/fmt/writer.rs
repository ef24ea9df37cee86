//! Writes documents in the canonical layout.

use saphyr_parser::ScalarStyle;

use super::comments::Comment;
use super::reader::{Collection, Document, Item, Node, Scalar, Shape};
use super::scalar::{plain_or_quoted, quoted, unwrapped};
use crate::grammar::{Form, ROOT};

/// Scalars of several lines are joined up to this column.
const COLUMN_MAX: usize = 120;

pub(super) fn write(documents: &[Document]) -> String {
    let mut out = String::new();
    for (index, document) in documents.iter().enumerate() {
        let mut writer = Writer {
            out: &mut out,
            sorted: !document.aliases,
        };
        writer.comments(&document.before, 0);
        if index > 0 || document.explicit {
            writer.line(0, "---");
        }
        writer.comments(&document.head, 0);
        if let Some(root) = &document.root {
            writer.root(root);
        }
        writer.comments(&document.tail, 0);
    }
    out
}

struct Writer<'o> {
    out: &'o mut String,
    sorted: bool,
}

impl Writer<'_> {
    fn line(&mut self, indent: usize, text: &str) {
        self.indent(indent);
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn indent(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    /// An empty line, unless the text or the document begins here.
    fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") && !self.out.ends_with("---\n") {
            self.out.push('\n');
        }
    }

    fn comments(&mut self, comments: &[Comment], indent: usize) {
        for comment in comments {
            if comment.blank_before {
                self.blank();
            }
            self.line(indent, &comment.text);
        }
    }

    fn behind(&mut self, comment: Option<&Comment>) {
        if let Some(comment) = comment {
            self.out
                .extend(std::iter::repeat_n(' ', comment.gap.max(1)));
            self.out.push_str(&comment.text);
        }
        self.out.push('\n');
    }

    /// The document's map. Comments above its first key may be about the document.
    fn root(&mut self, root: &Node) {
        let Shape::Collection(map) = &root.shape else {
            return;
        };
        let Some(first) = map.items.first() else {
            return;
        };
        let about = about_the_document(first);
        self.comments(&first.leading[..about], 0);
        for (place, item) in self.order(map, Some(&ROOT)).into_iter().enumerate() {
            let was_first = std::ptr::eq(first, item);
            let own = if was_first {
                &item.leading[about..]
            } else {
                &item.leading[..]
            };
            // An empty line between the document's comments and its first key stays.
            let below_comments = about > 0 && first.blank_before;
            let blank = if place == 0 {
                below_comments
            } else {
                item.blank_before && !was_first
            };
            self.entry(item, own, blank, 0, Some(&ROOT));
        }
        self.comments(&map.tail, 0);
    }

    /// The items in the order of writing.
    fn order<'c>(&self, collection: &'c Collection, form: Option<&'static Form>) -> Vec<&'c Item> {
        let mut items: Vec<&Item> = collection.items.iter().collect();
        if let Some(table) = form.and_then(Form::table).filter(|_| self.sorted) {
            items.sort_by_key(|item| table.rank(item.key.as_deref().unwrap_or_default()));
        }
        items
    }

    /// The lines of a collection.
    fn lines(&mut self, collection: &Collection, indent: usize, form: Option<&'static Form>) {
        for (place, item) in self.order(collection, form).into_iter().enumerate() {
            let blank = item.blank_before && place > 0;
            if collection.map {
                self.entry(item, &item.leading, blank, indent, form);
            } else {
                self.item(item, blank, indent, form);
            }
        }
        self.comments(&collection.tail, indent);
    }

    /// The comments above an item and its margin.
    fn above(&mut self, leading: &[Comment], blank: bool, indent: usize) {
        self.comments(leading, indent);
        if blank {
            self.blank();
        }
        self.indent(indent);
    }

    /// An entry of a map, on lines of its own.
    fn entry(
        &mut self,
        item: &Item,
        leading: &[Comment],
        blank: bool,
        indent: usize,
        form: Option<&'static Form>,
    ) {
        let leading: Vec<Comment> = leading.iter().chain(hoisted(item)).cloned().collect();
        self.above(&leading, blank, indent);
        self.key_and_value(item, indent, form);
    }

    fn key_and_value(&mut self, item: &Item, indent: usize, form: Option<&'static Form>) {
        let key = item.key.as_deref().unwrap_or_default();
        let form = form.and_then(|form| form.below(key));
        self.out.push_str(&key_text(item));
        self.out.push(':');
        self.value(item, indent, form);
    }

    /// What follows a key's colon.
    fn value(&mut self, item: &Item, indent: usize, form: Option<&'static Form>) {
        self.anchor(item);
        match &item.value.shape {
            Shape::Collection(collection) if !collection.inline => {
                self.behind(item.header.as_ref());
                self.lines(collection, indent + 2, form);
                self.comments(item.trailing.as_slice(), indent + 2);
            }
            _ => self.rest_of_line(item, indent + 2, form),
        }
    }

    fn anchor(&mut self, item: &Item) {
        if let Some(anchor) = &item.value.anchor {
            self.out.push(' ');
            self.out.push_str(anchor);
        }
    }

    /// A value that begins on the line of its key or dash; its further lines stand at `indent`.
    fn rest_of_line(&mut self, item: &Item, indent: usize, form: Option<&'static Form>) {
        if let Shape::Scalar(scalar) = &item.value.shape
            && is_block(scalar)
        {
            self.out.push(' ');
            self.block(scalar, indent);
            return;
        }
        let text = self.inline(&item.value, form, false, indent, self.column());
        if !text.is_empty() {
            self.out.push(' ');
            self.out.push_str(&text);
        }
        self.behind(item.trailing.as_ref().or(item.header.as_ref()));
    }

    /// A value on one line, or a scalar whose further lines stand at `indent`.
    fn inline(
        &self,
        node: &Node,
        form: Option<&'static Form>,
        flow: bool,
        indent: usize,
        column: usize,
    ) -> String {
        match &node.shape {
            Shape::Alias(name) => name.clone(),
            Shape::Scalar(scalar) => scalar_text(scalar, form, flow, indent, column),
            Shape::Collection(collection) => self.in_brackets(collection, form, indent, column),
        }
    }

    fn in_brackets(
        &self,
        collection: &Collection,
        form: Option<&'static Form>,
        indent: usize,
        column: usize,
    ) -> String {
        let (open, close, pad) = if collection.map {
            ('{', '}', " ")
        } else {
            ('[', ']', "")
        };
        if collection.items.is_empty() {
            return format!("{open}{close}");
        }
        let items = self.order(collection, form).into_iter().map(|item| {
            let inner = match item.key.as_deref() {
                Some(key) => form.and_then(|form| form.below(key)),
                None => form.and_then(Form::item),
            };
            let mut text = item
                .key
                .as_ref()
                .map(|_| key_text(item) + ":")
                .unwrap_or_default();
            let value = self.inline(&item.value, inner, true, indent, column);
            for part in [
                item.value.anchor.as_deref().unwrap_or_default(),
                value.as_str(),
            ] {
                if !part.is_empty() && !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(part);
            }
            text
        });
        let written: Vec<String> = items.collect();
        format!("{open}{pad}{}{pad}{close}", written.join(", "))
    }

    fn column(&self) -> usize {
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        self.out[line..].chars().count()
    }

    /// An item of a list.
    fn item(&mut self, item: &Item, blank: bool, indent: usize, form: Option<&'static Form>) {
        let form = form.and_then(Form::item);
        let Shape::Collection(collection) = &item.value.shape else {
            self.above(&item.leading, blank, indent);
            self.out.push('-');
            self.anchor(item);
            self.rest_of_line(item, indent + 2, form);
            return;
        };
        if collection.inline || !collection.map || item.value.anchor.is_some() {
            self.above(&item.leading, blank, indent);
            self.out.push('-');
            self.anchor(item);
            if collection.inline {
                self.rest_of_line(item, indent + 2, form);
            } else {
                self.out.push('\n');
                self.lines(collection, indent + 2, form);
                self.comments(item.trailing.as_slice(), indent + 2);
            }
            return;
        }
        self.map_behind_dash(item, collection, blank, indent, form);
    }

    /// A map whose first entry stands behind the dash. What stands above that entry goes above the dash.
    fn map_behind_dash(
        &mut self,
        item: &Item,
        map: &Collection,
        blank: bool,
        indent: usize,
        form: Option<&'static Form>,
    ) {
        let ordered = self.order(map, form);
        let mut leading = item.leading.clone();
        let mut pragmas = Vec::new();
        let first_moves = match (map.items.first(), ordered.first()) {
            (Some(written), Some(comes)) => !std::ptr::eq(written, *comes),
            _ => false,
        };
        if first_moves {
            // A comment that allows something allows it on the line below.
            let others = leading.iter().rposition(|comment| !is_pragma(comment));
            pragmas = leading.split_off(others.map_or(0, |at| at + 1));
        }
        for (place, entry) in ordered.into_iter().enumerate() {
            let was_first = map
                .items
                .first()
                .is_some_and(|first| std::ptr::eq(first, entry));
            let own = entry.leading.iter().chain(hoisted(entry));
            if place == 0 {
                leading.extend(own.cloned());
                self.above(&leading, blank, indent);
                self.out.push_str("- ");
                self.key_and_value(entry, indent + 2, form);
            } else {
                let moved: &[Comment] = if was_first { &pragmas } else { &[] };
                let above: Vec<Comment> = moved.iter().chain(own).cloned().collect();
                self.above(&above, entry.blank_before, indent + 2);
                self.key_and_value(entry, indent + 2, form);
            }
        }
        self.comments(&map.tail, indent + 2);
        self.comments(item.trailing.as_slice(), indent + 2);
    }

    /// A block scalar: its header, and its lines at a new indentation.
    fn block(&mut self, scalar: &Scalar, indent: usize) {
        let mut lines = scalar.raw.lines();
        let header = lines.next().unwrap_or_default().trim_end();
        let old = lines
            .clone()
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.len() - line.trim_start_matches(' ').len())
            .next()
            .unwrap_or(0);
        self.out.push_str(header);
        self.out.push('\n');
        for line in lines {
            let rest = line.get(old..).unwrap_or_default().trim_end_matches('\r');
            if rest.is_empty() {
                self.out.push('\n');
            } else {
                self.line(indent, rest);
            }
        }
    }
}

/// How many comments above the first key are about the document: all before an empty line, or all that
/// allow nothing.
fn about_the_document(first: &Item) -> usize {
    let leading = &first.leading;
    if first.blank_before {
        return leading.len();
    }
    let last_blank = leading.iter().rposition(|comment| comment.blank_before);
    let to_pragma = leading.iter().position(is_pragma).unwrap_or(leading.len());
    last_blank.unwrap_or(0).max(to_pragma)
}

/// The comment behind a key, where another one stands behind the value: it goes above.
fn hoisted(item: &Item) -> Option<&Comment> {
    let header = item.header.as_ref()?;
    (fits_on_line(&item.value) && item.trailing.is_some()).then_some(header)
}

fn is_pragma(comment: &Comment) -> bool {
    let words = comment.text.trim_start_matches('#').trim_start();
    words.starts_with("phisync:")
}

fn is_block(scalar: &Scalar) -> bool {
    matches!(scalar.style, ScalarStyle::Literal | ScalarStyle::Folded)
}

fn fits_on_line(node: &Node) -> bool {
    match &node.shape {
        Shape::Scalar(scalar) => !is_block(scalar),
        Shape::Alias(_) => true,
        Shape::Collection(collection) => collection.inline,
    }
}

/// A key without quotation marks, if it needs none.
fn key_text(item: &Item) -> String {
    match &item.key {
        Some(key) if item.key_raw.starts_with(['"', '\'']) => plain_or_quoted(key, true),
        _ => item.key_raw.clone(),
    }
}

fn scalar_text(
    scalar: &Scalar,
    form: Option<&'static Form>,
    flow: bool,
    indent: usize,
    column: usize,
) -> String {
    if let Some(bare) = unwrapped(&scalar.text, form) {
        return plain_or_quoted(bare, flow);
    }
    let one_line = !scalar.raw.contains('\n');
    let plain = scalar.style == ScalarStyle::Plain;
    if plain && one_line {
        return scalar.raw.clone();
    }
    let joined = if plain {
        scalar.text.clone()
    } else {
        quoted(&scalar.text)
    };
    let short = column + 1 + joined.chars().count() <= COLUMN_MAX && !scalar.text.contains('\n');
    if one_line || short || flow {
        return joined;
    }
    let margin = " ".repeat(indent);
    let mut lines = scalar.raw.lines();
    let mut text = lines.next().unwrap_or_default().trim_end().to_owned();
    for line in lines {
        text.push('\n');
        let line = line.trim();
        if !line.is_empty() {
            text.push_str(&margin);
            text.push_str(line);
        }
    }
    text
}
