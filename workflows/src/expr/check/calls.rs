//! What functions take and give.

use super::super::ast::{Kind, NodeId};
use super::super::function::Function;
use super::super::{ExprError, Type, Value, pattern, time};
use super::Checker;

impl Checker<'_> {
    /// A call whose first argument, if it was walked already, has type `first`.
    pub(super) fn call(&mut self, id: NodeId, first: Option<Type>, args: &[NodeId]) -> Type {
        let Kind::Call { function, .. } = self.ast.kind(id) else {
            return Type::Any;
        };
        let function = *function;
        if function == Function::Coalesce {
            return self.coalesce(args);
        }
        let takes_optional = matches!(
            function,
            Function::OrValue | Function::HasValue | Function::Value
        );
        let mut types = Vec::with_capacity(args.len());
        let mut first = first;
        for arg in args {
            types.push(match first.take() {
                Some(ty) if takes_optional => ty,
                Some(ty) => self.unwrapped(*arg, ty),
                None => self.present(*arg),
            });
        }
        self.apply(function, args, &types)
    }

    /// Certain if one of its arguments is.
    fn coalesce(&mut self, args: &[NodeId]) -> Type {
        let mut joined: Option<Type> = None;
        let mut certain = false;
        let outer = self.tolerated;
        for arg in args {
            self.tolerant = true;
            self.tolerated = false;
            let ty = match self.walk(*arg) {
                Type::Optional(inner) => inner.as_ref().clone(),
                Type::Null => continue,
                other => {
                    certain |= !self.tolerated;
                    other
                }
            };
            joined = Some(match joined {
                Some(joined) => joined.join(&ty),
                None => ty,
            });
        }
        self.tolerated = outer;
        match joined {
            Some(Type::Any) => Type::Any,
            Some(ty) if !certain => ty.optional(),
            Some(ty) => ty,
            None => Type::Null,
        }
    }

    fn apply(&mut self, function: Function, args: &[NodeId], types: &[Type]) -> Type {
        match function {
            Function::Size => {
                self.one_of(args[0], &types[0], "string, list or map", |ty| {
                    ty.is_text() || ty.is_map() || matches!(ty, Type::List(..))
                });
                Type::Int
            }
            Function::Int => {
                self.one_of(args[0], &types[0], "number, string or timestamp", |ty| {
                    ty.is_number() || ty.is_text() || *ty == Type::Timestamp
                });
                Type::Int
            }
            Function::Double => {
                self.one_of(args[0], &types[0], "number or string", |ty| {
                    ty.is_number() || ty.is_text()
                });
                Type::Double
            }
            Function::Text => {
                if !types[0].is_scalar() {
                    let message = format!("expected a scalar, found {}", types[0]);
                    self.report(
                        ExprError::new("PHI306", self.ast.range(args[0]), message)
                            .help("`json(...)` writes lists and maps as text"),
                    );
                }
                Type::String
            }
            Function::Bool => {
                self.one_of(args[0], &types[0], "string or bool", |ty| {
                    ty.is_text() || *ty == Type::Bool
                });
                Type::Bool
            }
            Function::Duration => {
                self.one_of(args[0], &types[0], "string or duration", |ty| {
                    ty.is_text() || *ty == Type::Duration
                });
                let help = "as `90s`, `2h30m` or `PT30M`";
                self.literal_text(args[0], "duration", help, |text| {
                    time::parse_duration(text).is_some()
                });
                Type::Duration
            }
            Function::Timestamp => {
                self.one_of(args[0], &types[0], "string or timestamp", |ty| {
                    ty.is_text() || *ty == Type::Timestamp
                });
                let help = "as `2026-01-31T12:00:00Z`";
                self.literal_text(args[0], "timestamp", help, |text| {
                    time::parse_timestamp(text).is_some()
                });
                Type::Timestamp
            }
            Function::Json => Type::String,
            Function::ParseJson => {
                self.texts(args, types);
                Type::Any
            }
            Function::Sha256 | Function::Trim | Function::LowerAscii | Function::UpperAscii => {
                self.texts(args, types);
                Type::String
            }
            Function::Contains | Function::StartsWith | Function::EndsWith => {
                if matches!(types[0], Type::List(..)) {
                    let message = format!("expected string, found {}", types[0]);
                    self.report(
                        ExprError::new("PHI306", self.ast.range(args[0]), message)
                            .help("`x in list` looks into a list"),
                    );
                } else {
                    self.texts(args, types);
                }
                Type::Bool
            }
            Function::Glob => {
                self.texts(args, types);
                Type::Bool
            }
            Function::Matches => {
                self.texts(args, types);
                self.compile_pattern(args[1]);
                Type::Bool
            }
            Function::Sum => self.sum(args[0], &types[0]),
            Function::Split => {
                self.texts(&args[..2], &types[..2]);
                self.counts(&args[2..], &types[2..]);
                Type::list(Type::String)
            }
            Function::Join => {
                match &types[0] {
                    Type::Any => {}
                    Type::List(item, _) => {
                        let item = item.as_ref().clone();
                        self.expect_type(args[0], &item, &Type::String);
                    }
                    other => self.expect_list(args[0], &other.clone()),
                }
                self.texts(&args[1..], &types[1..]);
                Type::String
            }
            Function::Replace => {
                self.texts(&args[..3], &types[..3]);
                self.counts(&args[3..], &types[3..]);
                Type::String
            }
            Function::Substring => {
                self.texts(&args[..1], &types[..1]);
                self.counts(&args[1..], &types[1..]);
                Type::String
            }
            Function::Format => {
                self.texts(&args[..1], &types[..1]);
                if !matches!(types[1], Type::Any | Type::List(..)) {
                    self.expect_list(args[1], &types[1]);
                }
                Type::String
            }
            Function::OrValue => match &types[0] {
                Type::Optional(inner) => {
                    if !inner.comparable(&types[1]) {
                        let message = format!("expected {inner}, found {}", types[1]);
                        self.report(ExprError::new("PHI306", self.ast.range(args[1]), message));
                    }
                    inner.join(&types[1])
                }
                other => {
                    self.expect_optional(args[0], other);
                    Type::Any
                }
            },
            Function::HasValue => {
                self.expect_optional(args[0], &types[0]);
                Type::Bool
            }
            Function::Value => match &types[0] {
                Type::Optional(inner) => inner.as_ref().clone(),
                other => {
                    self.expect_optional(args[0], other);
                    Type::Any
                }
            },
            Function::Coalesce => Type::Any,
        }
    }

    fn texts(&mut self, args: &[NodeId], types: &[Type]) {
        for (arg, ty) in args.iter().zip(types) {
            self.expect_type(*arg, ty, &Type::String);
        }
    }

    fn counts(&mut self, args: &[NodeId], types: &[Type]) {
        for (arg, ty) in args.iter().zip(types) {
            self.expect_type(*arg, ty, &Type::Int);
        }
    }

    fn one_of(&mut self, arg: NodeId, ty: &Type, wanted: &str, allowed: fn(&Type) -> bool) {
        if *ty != Type::Any && !allowed(ty) {
            let message = format!("expected {wanted}, found {ty}");
            self.report(ExprError::new("PHI306", self.ast.range(arg), message));
        }
    }

    fn expect_list(&mut self, arg: NodeId, ty: &Type) {
        let message = format!("expected list, found {ty}");
        self.report(ExprError::new("PHI306", self.ast.range(arg), message));
    }

    fn expect_optional(&mut self, arg: NodeId, ty: &Type) {
        if matches!(ty, Type::Optional(_) | Type::Any) {
            return;
        }
        let message = format!("expected an optional, found {ty}: it is never absent");
        self.report(
            ExprError::new("PHI306", self.ast.range(arg), message)
                .help("`.?` makes an optional of a field, as `a.?b.orValue(c)`"),
        );
    }

    fn sum(&mut self, arg: NodeId, ty: &Type) -> Type {
        match ty {
            Type::Any => Type::Any,
            Type::List(item, _) if **item == Type::Any || item.is_number() => item.as_ref().clone(),
            other => {
                let message = format!("expected a list of numbers, found {other}");
                self.report(ExprError::new("PHI306", self.ast.range(arg), message));
                Type::Any
            }
        }
    }

    /// PHI306 for a literal that the conversion will refuse in every run.
    fn literal_text(&mut self, arg: NodeId, what: &str, help: &str, valid: fn(&str) -> bool) {
        if let Kind::Literal(Value::String(text)) = self.ast.kind(arg)
            && !valid(text)
        {
            let message = format!("`{text}` is no {what}");
            let error = ExprError::new("PHI306", self.ast.range(arg), message).help(help);
            self.report(error);
        }
    }

    fn compile_pattern(&mut self, arg: NodeId) {
        let Kind::Literal(Value::String(text)) = self.ast.kind(arg) else {
            return;
        };
        match pattern::compile(text) {
            Ok(regex) => {
                self.ast.patterns.insert(arg, regex);
            }
            Err(reason) => {
                let message = format!("bad regular expression: {reason}");
                self.report(ExprError::new("PHI317", self.ast.range(arg), message));
            }
        }
    }
}
