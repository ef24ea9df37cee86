//! Values with expressions: finds the `${{ }}`, has them checked, and puts every finding at its
//! place in the text.

use std::ops::Range;

use serde_json::Value as Json;

use super::Cx;
use crate::diagnostic::Note;
use crate::expr::{self, Checked, Env, Expr, ExprError, Type};
use crate::machine::{Template, TemplatePart};
use crate::schema::Schema;
use crate::source::Span;
use crate::syntax::{Kind, Node, Scalar, ScalarPlaces, Shape};

/// Reads the values of one place: they all see the same names.
pub(super) struct Values<'v, 's> {
    pub(super) cx: &'v mut Cx<'s>,
    pub(super) env: &'v Env,
    /// Changes a finding that an expression's text alone cannot explain, as PHI205.
    pub(super) amend: &'v dyn Fn(&ExprError, &str, Note) -> Note,
}

/// A piece of a scalar.
enum Piece {
    Text(String),
    /// The trimmed text of an expression, in bytes of the decoded scalar.
    Expr(Range<usize>),
}

impl Values<'_, '_> {
    /// Any value, with its type.
    pub(super) fn value(&mut self, node: &Node) -> (Template, Type) {
        match &node.shape {
            Shape::Scalar(scalar) if scalar.kind == Kind::Str => self.scalar(node, scalar),
            Shape::Scalar(scalar) => {
                let ty = match scalar.kind {
                    Kind::Null => Type::Null,
                    Kind::Bool(_) => Type::Bool,
                    Kind::Int(_) => Type::Int,
                    Kind::Float(_) => Type::Double,
                    Kind::Str => Type::String,
                };
                (Template::Literal(node.to_json()), ty)
            }
            Shape::Seq(items) => {
                let (items, types): (Vec<_>, Vec<_>) =
                    items.iter().map(|item| self.value(item)).unzip();
                let mut types = types.into_iter();
                let first = types.next();
                let same = types.all(|ty| first.as_ref() == Some(&ty));
                let item = first.filter(|_| same).unwrap_or(Type::Any);
                let list = if items.iter().all(is_literal) {
                    Template::Literal(node.to_json())
                } else {
                    Template::List(items)
                };
                (list, Type::list(item))
            }
            Shape::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                let mut fields = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let (template, ty) = self.value(&entry.value);
                    entries.push((entry.key.clone(), template));
                    fields.push((entry.key.clone(), ty));
                }
                let map = if entries.iter().all(|(_, template)| is_literal(template)) {
                    Template::Literal(node.to_json())
                } else {
                    Template::Map(entries)
                };
                (map, Type::object(fields))
            }
        }
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar) -> (Template, Type) {
        let Some(pieces) = self.pieces(node, scalar) else {
            return (Template::Literal(Json::Null), Type::Any);
        };
        if let [Piece::Expr(range)] = &pieces[..] {
            let text = &scalar.text[range.clone()];
            let checked = expr::check(text, self.env);
            let mut places = None;
            return match self.checked(node, scalar, range.start, checked, &mut places) {
                Some(checked) => (Template::Expr(checked.expr), checked.ty),
                None => (Template::Literal(Json::Null), Type::Any),
            };
        }
        (self.interpolated(node, scalar, pieces), Type::String)
    }

    /// A value that is always text.
    pub(super) fn text(&mut self, key: &str, node: &Node) -> Option<Template> {
        let scalar = match &node.shape {
            Shape::Scalar(scalar) if scalar.kind == Kind::Str => scalar,
            _ => {
                self.cx.text(key, node);
                return None;
            }
        };
        let pieces = self.pieces(node, scalar)?;
        Some(self.interpolated(node, scalar, pieces))
    }

    fn interpolated(&mut self, node: &Node, scalar: &Scalar, pieces: Vec<Piece>) -> Template {
        let mut parts = Vec::with_capacity(pieces.len());
        let mut places = None;
        for piece in pieces {
            match piece {
                Piece::Text(text) => parts.push(TemplatePart::Text(text)),
                Piece::Expr(range) => {
                    let checked = expr::check_text(&scalar.text[range.clone()], self.env);
                    let checked = self.checked(node, scalar, range.start, checked, &mut places);
                    parts.extend(checked.map(|checked| TemplatePart::Expr(checked.expr)));
                }
            }
        }
        let has_expressions = parts
            .iter()
            .any(|part| matches!(part, TemplatePart::Expr(_)));
        if has_expressions {
            return Template::Text(parts);
        }
        let text = parts
            .into_iter()
            .map(|part| match part {
                TemplatePart::Text(text) => text,
                TemplatePart::Expr(_) => String::new(),
            })
            .collect();
        Template::Literal(Json::String(text))
    }

    /// A bare expression for a value, as `in` of a `foreach`.
    pub(super) fn expression(&mut self, key: &str, node: &Node) -> Option<(Expr, Type)> {
        self.bare(key, node, "an expression", expr::check)
    }

    /// A value that has to fit a schema; `place` is what it is for.
    pub(super) fn fitting(
        &mut self,
        node: &Node,
        schema: Option<&Schema>,
        place: &str,
    ) -> Template {
        let errors = self.cx.sink.mark();
        let (template, ty) = self.value(node);
        let Some(schema) = schema.filter(|_| !self.cx.sink.has_errors_since(errors)) else {
            return template;
        };
        if let Template::Literal(value) = &template {
            for violation in schema.violations(place, value) {
                let message = format!("`{}` {}", violation.path, violation.message);
                self.cx.sink.push(Note::error("PHI306", node.span, message));
            }
            return template;
        }
        let wanted = Type::from_schema(schema);
        if !ty.comparable(&wanted) {
            self.expected(node, &wanted.to_string(), &ty);
        }
        template
    }

    /// PHI306 about a whole value.
    pub(super) fn expected(&mut self, node: &Node, wanted: &str, found: &Type) {
        let message = format!("expected {wanted}, found {found}");
        self.cx.sink.push(Note::error("PHI306", node.span, message));
    }

    /// A condition: a bare expression, or one wrapped as a whole.
    pub(super) fn condition(&mut self, key: &str, node: &Node) -> Option<Expr> {
        self.bare(key, node, "a condition", expr::check_condition)
            .map(|(expr, _)| expr)
    }

    fn bare(
        &mut self,
        key: &str,
        node: &Node,
        what: &str,
        check: fn(&str, &Env) -> Result<Checked, Vec<ExprError>>,
    ) -> Option<(Expr, Type)> {
        let Some(scalar) = node.as_scalar().filter(|scalar| scalar.kind != Kind::Null) else {
            if node.is_null() {
                self.cx.wrong_type(key, what, node);
            } else {
                self.cx.sink.push(
                    Note::error(
                        "PHI103",
                        node.span,
                        format!("`{key}` must be {what}, found {}", node.type_name()),
                    )
                    .help("quote an expression that starts with `[` or `{`"),
                );
            }
            return None;
        };
        let text = &scalar.text;
        let range = match text.find("${{") {
            None => trimmed(text, 0..text.len()),
            Some(_) => {
                let pieces = self.pieces(node, scalar)?;
                if let [Piece::Expr(range)] = &pieces[..] {
                    range.clone()
                } else {
                    let bare: String = pieces
                        .iter()
                        .map(|piece| match piece {
                            Piece::Text(text) => text.as_str(),
                            Piece::Expr(range) => &text[range.clone()],
                        })
                        .collect();
                    let message = format!("text around `${{{{ }}}}` in {what}");
                    let mut note = Note::error("PHI313", node.span, message).help(format!(
                        "`{key}` is a bare expression, without `${{{{ }}}}`"
                    ));
                    if !bare.contains(['"', '\n', '\\']) {
                        note = note.edit(node.span, format!("\"{}\"", bare.trim()));
                    }
                    self.cx.sink.push(note);
                    return None;
                }
            }
        };
        if range.is_empty() {
            self.cx.sink.push(Note::error(
                "PHI108",
                node.span,
                format!("`{key}` must not be empty"),
            ));
            return None;
        }
        let checked = check(&text[range.clone()], self.env);
        self.checked(node, scalar, range.start, checked, &mut None)
            .map(|checked| (checked.expr, checked.ty))
    }

    /// Reports what the checker found; `base` is where the expression starts in the scalar.
    fn checked(
        &mut self,
        node: &Node,
        scalar: &Scalar,
        base: usize,
        checked: Result<Checked, Vec<ExprError>>,
        places: &mut Option<ScalarPlaces>,
    ) -> Option<Checked> {
        let (errors, checked) = match checked {
            Ok(mut checked) => (std::mem::take(&mut checked.warnings), Some(checked)),
            Err(errors) => (errors, None),
        };
        for error in errors {
            let places = places
                .get_or_insert_with(|| ScalarPlaces::new(self.cx.source.text(), node, scalar));
            let range = base + error.range.start..base + error.range.end;
            let note = Note::new(
                error.code,
                error.severity,
                places.span(range),
                error.message.clone(),
            )
            .label(error.label.clone())
            .help_if(error.help.clone());
            let note = undeclared(&error, &scalar.text[base..], note);
            let amended = (self.amend)(&error, &scalar.text[base..], note);
            self.cx.sink.push(amended);
        }
        checked
    }

    /// Cuts a scalar at its expressions. `None` after a complaint about the marks.
    fn pieces(&mut self, node: &Node, scalar: &Scalar) -> Option<Vec<Piece>> {
        match cut(&scalar.text) {
            Ok(pieces) => Some(pieces),
            Err(problem) => {
                let places = ScalarPlaces::new(self.cx.source.text(), node, scalar);
                let span: Span = places.span(problem.at..problem.at + problem.width);
                self.cx
                    .sink
                    .push(Note::error("PHI302", span, problem.message).help(problem.help));
                None
            }
        }
    }
}

/// What is wrong with a name below `config` or `secrets`, which the checker takes for fields or
/// for nothing at all.
fn undeclared(error: &ExprError, text: &str, note: Note) -> Note {
    let before = text.get(..error.range.start).unwrap_or_default().trim_end();
    let named = text.get(error.range.clone()).unwrap_or_default();
    if error.code == "PHI304" && before.ends_with("config.") {
        return note
            .recode("PHI213")
            .reword(format!("setting `{named}` is not declared"));
    }
    if error.code == "PHI203" && named == "secrets" {
        return note
            .recode("PHI802")
            .reword("a secret flows into a value that is written down")
            .help("hand it over by name: `task: { type: NAME, secrets: [NAME] }`");
    }
    note
}

fn is_literal(template: &Template) -> bool {
    matches!(template, Template::Literal(_))
}

struct BadMarks {
    at: usize,
    width: usize,
    message: &'static str,
    help: &'static str,
}

fn cut(text: &str) -> Result<Vec<Piece>, BadMarks> {
    // A block scalar ends with a newline that nobody wrote on purpose.
    let whole = text.strip_suffix('\n').unwrap_or(text);
    if whole.starts_with("${{")
        && let Some(end) = expression_end(whole, 3)
        && end + 2 == whole.len()
    {
        return Ok(vec![Piece::Expr(inside(text, 3..end)?)]);
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut open = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find("${{") {
        let mark = at + found;
        if text[at..mark].ends_with('$') {
            literal.push_str(&text[at..mark - 1]);
            literal.push_str("${{");
            // The end mark that goes with it is text, too.
            open += 2;
            at = mark + 3;
            continue;
        }
        no_stray_end(text, at..mark, &mut open)?;
        literal.push_str(&text[at..mark]);
        let start = mark + 3;
        let Some(end) = expression_end(text, start) else {
            return Err(BadMarks {
                at: mark,
                width: 3,
                message: "`${{` without `}}`",
                help: "close the expression, or write `$${{` for the text `${{`",
            });
        };
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Expr(inside(text, start..end)?));
        at = end + 2;
    }
    if !pieces.is_empty() {
        no_stray_end(text, at..text.len(), &mut open)?;
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

fn inside(text: &str, range: Range<usize>) -> Result<Range<usize>, BadMarks> {
    if let Some(nested) = text[range.clone()].find("${{") {
        return Err(BadMarks {
            at: range.start + nested,
            width: 3,
            message: "`${{` inside an expression",
            help: "inside `${{ }}` names are written bare",
        });
    }
    Ok(trimmed(text, range))
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = &text[range.clone()];
    let start = range.start + (inner.len() - inner.trim_start().len());
    start..(start + inner.trim().len())
}

/// An end mark among text. Braces that the text itself opens (JSON in a prompt) are no marks:
/// `open` counts them through the whole scalar.
fn no_stray_end(text: &str, range: Range<usize>, open: &mut usize) -> Result<(), BadMarks> {
    let bytes = &text.as_bytes()[range.clone()];
    for (offset, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' => *open += 1,
            b'}' if *open > 0 => *open -= 1,
            b'}' if bytes.get(offset + 1) == Some(&b'}') => {
                return Err(BadMarks {
                    at: range.start + offset,
                    width: 2,
                    message: "`}}` without `${{`",
                    help: "an expression starts with `${{`",
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where the `}}` of an expression stands that starts at `start`: braces and texts inside the
/// expression are passed over. A text that never ends hides everything, so then the first `}}`
/// counts, and the expression's own error is the better message.
fn expression_end(text: &str, start: usize) -> Option<usize> {
    // Longer expressions are refused anyway; the bound keeps a text full of open marks linear.
    const LENGTH_MAX: usize = 4 * 1024 + 64;
    let bytes = &text.as_bytes()[..text.len().min(start + LENGTH_MAX)];
    let mut open = 0_usize;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => open += 1,
            b'}' if open > 0 => open -= 1,
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            b'\'' | b'"' => {
                let raw = at > start && matches!(bytes[at - 1], b'r' | b'R');
                match text_end(bytes, at, raw) {
                    Some(end) => at = end,
                    None => break,
                }
            }
            _ => {}
        }
        at += 1;
    }
    text[start..].find("}}").map(|end| start + end)
}

/// The closing quotation mark of the text that opens at `at`.
fn text_end(bytes: &[u8], at: usize, raw: bool) -> Option<usize> {
    let quote = bytes[at];
    let triple = bytes[at..].starts_with(&[quote; 3]);
    let mut at = if triple { at + 3 } else { at + 1 };
    while let Some(byte) = bytes.get(at) {
        if *byte == b'\\' && !raw {
            at += 2;
            continue;
        }
        if !triple && *byte == quote {
            return Some(at);
        }
        if triple && bytes[at..].starts_with(&[quote; 3]) {
            return Some(at + 2);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match cut(text) {
            Ok(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => format!("[{text}]"),
                    Piece::Expr(range) => format!("<{}>", &text[range.clone()]),
                })
                .collect(),
            Err(problem) => format!("{} at {}", problem.message, problem.at),
        }
    }

    #[test]
    fn expressions_are_cut_out_of_text() {
        for (text, pieces) in [
            ("plain", "[plain]"),
            ("", "[]"),
            ("${{ a }}", "<a>"),
            ("${{a}}\n", "<a>"),
            (" ${{ a }} ", "[ ]<a>[ ]"),
            ("${{ a }}${{ b }}", "<a><b>"),
            ("a $${{ b }} c", "[a ${{ b }} c]"),
            ("${{ {'a': {'b': 1}} }}", "<{'a': {'b': 1}}>"),
            ("${{ '}}' + \"}}\" }}", "<'}}' + \"}}\">"),
            ("${{ r'\\' }} x", "<r'\\'>[ x]"),
            ("{\"a\": {\"b\": ${{ c }}}}", "[{\"a\": {\"b\": ]<c>[}}]"),
            ("${{ 'open }}", "<'open>"),
        ] {
            assert_eq!(shown(text), pieces, "{text}");
        }
    }

    #[test]
    fn marks_that_do_not_pair_are_named() {
        assert_eq!(shown("a ${{ b"), "`${{` without `}}` at 2");
        assert_eq!(shown("${{ a }} b }}"), "`}}` without `${{` at 11");
        assert_eq!(
            shown("x ${{ a ${{ b }} }}"),
            "`${{` inside an expression at 8"
        );
    }
}
