//! Values with expressions: finds the `${{ }}`, has them checked, and puts every finding at its
//! place in the text.

use serde_json::Value as Json;

use super::Cx;
use super::marks::{Piece, cut, trimmed};
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
