//! Names, steps, fields and indices.

use super::super::ast::{Kind, NodeId};
use super::super::nearest::nearest;
use super::super::types::Field;
use super::super::{ExprError, ObjectType, StepView, Type, Value};
use super::Checker;
use crate::diagnostic::Severity;

impl Checker<'_> {
    pub(super) fn variable(&mut self, id: NodeId, name: &str) -> Type {
        if let Some(ty) = self.env.variables().get(name) {
            return ty.clone();
        }
        let known: Vec<&str> = self
            .env
            .variables()
            .keys()
            .map(String::as_str)
            .chain((!self.env.steps().is_empty()).then_some("steps"))
            .collect();
        let list = (!known.is_empty()).then(|| format!("known here: {}", known.join(", ")));
        let message = format!("unknown name `{name}` in expression");
        self.report(
            ExprError::new("PHI203", self.ast.range(id), message)
                .suggest(nearest(name, known.iter().copied()), list),
        );
        Type::Any
    }

    pub(super) fn step(&mut self, id: NodeId, step: &str) -> Type {
        let range = self.ast.range(id);
        let error = match self.env.steps().get(step) {
            Some(StepView::Visible { output, absent }) => {
                let absent = if self.env.succeeded(step) {
                    None
                } else {
                    absent.as_deref()
                };
                return step_type(output, absent);
            }
            Some(StepView::NotBefore) => {
                let message = format!("`steps.{step}` is used before it is certain to have run");
                ExprError::new("PHI205", range, message).help(format!("add `{step}` to `needs`"))
            }
            Some(StepView::Own) => ExprError::new(
                "PHI212",
                range,
                format!("step `{step}` uses its own output"),
            ),
            Some(StepView::Hidden { place, help }) => ExprError::new(
                "PHI204",
                range,
                format!("step `{step}` is {place} and not visible here"),
            )
            .help(help.clone()),
            None => {
                let known = self.env.steps().keys().map(String::as_str);
                let range = range.end - step.len()..range.end;
                ExprError::new(
                    "PHI203",
                    range,
                    format!("unknown step `{step}` in expression"),
                )
                .suggest(nearest(step, known), None)
            }
        };
        self.report(error);
        Type::Any
    }

    pub(super) fn select(
        &mut self,
        id: NodeId,
        operand: NodeId,
        ty: &Type,
        field: &str,
        optional: bool,
        tolerant: bool,
    ) -> Type {
        let (base, was_optional) = match ty {
            Type::Optional(inner) => (inner.as_ref(), true),
            other => (other, false),
        };
        let optional = optional || was_optional;
        let found = self.field(id, operand, base, field);
        let uncertain = found.absent.is_some() || matches!(base, Type::Map(_));
        self.tolerated |= tolerant && !optional && uncertain;
        if let Some(why) = found.absent.filter(|_| !optional && !tolerant) {
            self.report_absent(id, operand, field, &why);
        }
        if optional {
            found.ty.optional()
        } else {
            found.ty
        }
    }

    /// A field of a map; reports what cannot have it.
    fn field(&mut self, id: NodeId, operand: NodeId, base: &Type, field: &str) -> Field {
        let certain = |ty| Field { ty, absent: None };
        let range = self.ast.range(id);
        let range = range.end.saturating_sub(field.len())..range.end;
        match base {
            Type::Any => {
                self.remark_unchecked(operand);
                certain(Type::Any)
            }
            Type::Map(value) => certain(value.as_ref().clone()),
            Type::Object(object) => {
                if let Some(found) = object.get(field) {
                    return found.clone();
                }
                if object.is_open() {
                    return certain(Type::Any);
                }
                let names: Vec<&str> = object.fields().map(|(name, _)| name).collect();
                let owner = self.source(self.ast.range(operand)).to_owned();
                self.report(
                    ExprError::new("PHI304", range, format!("`{owner}` has no field `{field}`"))
                        .suggest(nearest(field, names.iter().copied()), listed(&names)),
                );
                certain(Type::Any)
            }
            other => {
                let message = format!("`{other}` has no field `{field}`");
                let error = ExprError::new("PHI304", range, message);
                self.report(match other {
                    Type::List(..) => {
                        error.help("an item first, as `list[0]`, or `list.map(x, x.f)`")
                    }
                    _ => error,
                });
                certain(Type::Any)
            }
        }
    }

    fn report_absent(&mut self, id: NodeId, operand: NodeId, field: &str, why: &str) {
        if self
            .ast
            .path(id)
            .is_some_and(|path| self.facts.contains(&path))
        {
            return;
        }
        let range = self.ast.range(id);
        let whole = self.source(range.clone()).to_owned();
        let owner = self.source(self.ast.range(operand)).to_owned();
        let test = match self.ast.kind(operand) {
            Kind::Step(step) if field == "error" => format!("`steps.{step}.outcome == 'failed'`"),
            Kind::Step(step) => format!("`steps.{step}.outcome == 'succeeded'`"),
            _ => format!("`has({whole})`"),
        };
        self.report(
            ExprError::new("PHI305", range, format!("`{whole}` may be absent ({why})")).help(
                format!("write `{owner}.?{field}` with `.orValue(...)`, or test {test} first"),
            ),
        );
    }

    /// Says once per step that nothing is known of its output.
    fn remark_unchecked(&mut self, operand: NodeId) {
        let Some(path) = self.ast.path(operand) else {
            return;
        };
        let step = path
            .strip_prefix("steps.")
            .and_then(|rest| rest.strip_suffix(".output"));
        let seen =
            |step: &&str| matches!(self.env.steps().get(*step), Some(StepView::Visible { .. }));
        let Some(step) = step.filter(seen) else {
            return;
        };
        if self.unchecked.insert(step.to_owned()) {
            let message = format!("`{path}` has no schema: fields are not checked");
            self.report(
                ExprError::new("PHI319", self.ast.range(operand), message)
                    .severity(Severity::Info)
                    .help(format!("declare `output` in step `{step}`")),
            );
        }
    }

    pub(super) fn index(
        &mut self,
        id: NodeId,
        ty: &Type,
        index: NodeId,
        optional: bool,
        tolerant: bool,
    ) -> Type {
        let (base, was_optional) = match ty {
            Type::Optional(inner) => (inner.as_ref().clone(), true),
            other => (other.clone(), false),
        };
        let index_type = self.present(index);
        self.tolerated |= tolerant && !optional && !was_optional;
        let item = match &base {
            Type::Any => Type::Any,
            Type::List(item, _) => {
                self.expect_type(index, &index_type, &Type::Int);
                self.warn_of_negative(index);
                item.as_ref().clone()
            }
            Type::Map(value) => {
                self.expect_type(index, &index_type, &Type::String);
                value.as_ref().clone()
            }
            Type::Object(object) => {
                self.expect_type(index, &index_type, &Type::String);
                let name = match self.ast.kind(index) {
                    Kind::Literal(Value::String(name)) => Some(name.clone()),
                    _ => None,
                };
                let field = name.map(|name| (object.get(&name).cloned(), name));
                match field {
                    Some((Some(field), name)) => {
                        if let Some(why) = &field.absent
                            && !optional
                            && !was_optional
                            && !tolerant
                        {
                            self.report(
                                ExprError::new(
                                    "PHI305",
                                    self.ast.range(id),
                                    format!("`{name}` may be absent ({why})"),
                                )
                                .help("write `[?...]` with `.orValue(...)`"),
                            );
                        }
                        field.ty
                    }
                    Some((None, name)) if !object.is_open() => {
                        let names: Vec<&str> = object.fields().map(|(name, _)| name).collect();
                        self.report(
                            ExprError::new(
                                "PHI304",
                                self.ast.range(index),
                                format!("the map has no field `{name}`"),
                            )
                            .suggest(nearest(&name, names.iter().copied()), listed(&names)),
                        );
                        Type::Any
                    }
                    Some((None, _)) | None => Type::Any,
                }
            }
            other => {
                let message = format!("expected list or map, found {other}");
                let range = self.ast.range(id);
                self.report(ExprError::new("PHI306", range, message));
                Type::Any
            }
        };
        if optional || was_optional {
            item.optional()
        } else {
            item
        }
    }

    fn warn_of_negative(&mut self, index: NodeId) {
        if let Kind::Literal(Value::Int(at)) = self.ast.kind(index)
            && *at < 0
        {
            let message = format!("index {at} is out of range: items count from 0");
            self.report(
                ExprError::new("PHI316", self.ast.range(index), message)
                    .severity(Severity::Warning)
                    .help("the last item is `x[size(x) - 1]`"),
            );
        }
    }

    /// `has(a.b)`: the field must be one that can exist, and may be absent.
    pub(super) fn has(&mut self, field: NodeId) -> Type {
        let (Kind::Select { operand, .. } | Kind::Index { operand, .. }) = self.ast.kind(field)
        else {
            return Type::Bool;
        };
        let operand = *operand;
        let ty = self.walk(operand);
        self.finish(field, ty, true);
        Type::Bool
    }
}

fn listed(names: &[&str]) -> Option<String> {
    (!names.is_empty()).then(|| format!("its fields: {}", names.join(", ")))
}

fn step_type(output: &Type, absent: Option<&str>) -> Type {
    let error = Type::object([
        ("code", Type::String),
        ("message", Type::String),
        ("data", Type::Any),
        ("attempt", Type::Int),
        ("step", Type::String),
    ]);
    let object = ObjectType::default()
        .field(
            "outcome",
            Type::one_of(["succeeded", "failed", "skipped", "cancelled"]),
        )
        .field("attempts", Type::Int)
        .optional_field("error", error, "only a failed step has one");
    let parts = [
        ("output", output.clone()),
        ("agent", Type::String),
        ("started_at", Type::Timestamp),
        ("ended_at", Type::Timestamp),
    ];
    parts
        .into_iter()
        .fold(object, |object, (name, ty)| match absent {
            Some(why) => object.optional_field(name, ty, why),
            None => object.field(name, ty),
        })
        .into()
}
