//! What an output may be that it could not be before.
//!
//! Who reads an output was written for the old type: fewer values are as good as before, others are not.
//! How many items a list has at most is no matter of its type here.

use crate::expr::Type;

/// The first thing that a value of `new` may be and one of `old` cannot, in words.
pub(super) fn widened(old: &Type, new: &Type) -> Option<String> {
    between(old, new, "")
}

fn between(old: &Type, new: &Type, path: &str) -> Option<String> {
    let at = match path {
        "" => String::new(),
        path => format!("`{path}` "),
    };
    match (old, new) {
        (Type::Any, _) | (Type::Double, Type::Int) | (Type::String, Type::Enum(_)) => None,
        (was, is) if was == is => None,
        (Type::Enum(was), Type::Enum(is)) => {
            let added = is.iter().find(|value| !was.contains(value))?;
            Some(format!("{at}may be `{added}`"))
        }
        (Type::Enum(_), Type::String) => Some(format!("{at}may be any text")),
        (Type::List(was, _), Type::List(is, _)) => between(was, is, &format!("{path}[]")),
        (Type::Map(was), Type::Map(is)) => between(was, is, &below(path, "*")),
        (Type::Map(was), Type::Object(is)) => {
            let unknown = is.is_open().then_some(&Type::Any);
            let unknown = unknown.and_then(|any| between(was, any, &below(path, "*")));
            let mut fields = is.fields();
            unknown.or_else(|| {
                fields.find_map(|(name, field)| between(was, &field.ty, &below(path, name)))
            })
        }
        (Type::Object(was), Type::Object(is)) => was.fields().find_map(|(name, known)| {
            let inner = below(path, name);
            let Some(field) = is.get(name) else {
                return Some(format!("`{inner}` is gone"));
            };
            if known.absent.is_none() && field.absent.is_some() {
                return Some(format!("`{inner}` may be missing"));
            }
            between(&known.ty, &field.ty, &inner)
        }),
        (Type::Optional(was), Type::Optional(is)) => between(was, is, path),
        (Type::Optional(was), is) => between(was, is, path),
        (was, is) => Some(format!("{at}was {was}, is {is}")),
    }
}

fn below(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::ObjectType;

    #[test]
    fn fewer_values_are_as_good_as_before_and_others_are_not() {
        let severity = Type::one_of(["low", "high"]);
        let told = Type::object([("text", Type::String), ("severity", severity.clone())]);
        let wider = |old: &Type, new: &Type| widened(old, new);
        for (old, new) in [
            (Type::Any, Type::Int),
            (Type::Double, Type::Int),
            (Type::String, severity.clone()),
            (severity.clone(), Type::one_of(["low"])),
            (Type::map(Type::String), Type::object([("a", Type::String)])),
            (Type::object([("text", Type::String)]), told.clone()),
            (Type::list(Type::Any), Type::list(Type::Bool)),
        ] {
            assert_eq!(wider(&old, &new), None, "{old} to {new}");
        }
        let maybe = ObjectType::default().optional_field("text", Type::String, "it is optional");
        for (old, new, why) in [
            (Type::String, Type::Any, "was string, is any"),
            (Type::Int, Type::Double, "was int, is number"),
            (severity.clone(), Type::String, "may be any text"),
            (
                Type::list(Type::one_of(["low"])),
                Type::list(severity),
                "`[]` may be `high`",
            ),
            (
                told.clone(),
                Type::object([("text", Type::String)]),
                "`severity` is gone",
            ),
            (
                Type::object([("text", Type::String)]),
                maybe.into(),
                "`text` may be missing",
            ),
            (
                Type::map(Type::String),
                ObjectType::default().open().into(),
                "`*` was string, is any",
            ),
            (told, Type::map(Type::String), "was map, is map"),
        ] {
            assert_eq!(wider(&old, &new).as_deref(), Some(why), "{old} to {new}");
        }
    }
}
