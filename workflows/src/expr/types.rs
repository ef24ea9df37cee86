//! Static types, as the checker knows them and as users write them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::machine::InputSpec;
use crate::schema::Schema;

/// What is known of a value before the run. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Nothing is known; checked when it is evaluated.
    Any,
    /// Only null.
    Null,
    /// True or false.
    Bool,
    /// A 64-bit integer.
    Int,
    /// A double; in JSON also a number without fraction.
    Double,
    /// Text.
    String,
    /// One of these texts.
    Enum(Arc<[String]>),
    /// A point in time.
    Timestamp,
    /// A length of time.
    Duration,
    /// A list of one type, and how many items it has at most, if that is known.
    List(Arc<Type>, Option<u32>),
    /// A map from text to one type.
    Map(Arc<Type>),
    /// A map with known fields.
    Object(Arc<ObjectType>),
    /// The result of `.?`: a value or none.
    Optional(Arc<Type>),
}

/// The fields of [`Type::Object`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectType {
    fields: BTreeMap<String, Field>,
    open: bool,
    /// How many types it consists of, shared ones counted each time.
    weight: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) ty: Type,
    /// Why it may be missing; `None` if it is always there.
    pub(crate) absent: Option<String>,
}

impl ObjectType {
    /// Adds a field that is always there.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, ty: Type) -> Self {
        self.insert(name.into(), Field { ty, absent: None });
        self
    }

    /// Adds a field that may be missing, with the reason, as `it is optional`.
    #[must_use]
    pub fn optional_field(
        mut self,
        name: impl Into<String>,
        ty: Type,
        why: impl Into<String>,
    ) -> Self {
        let absent = Some(why.into());
        self.insert(name.into(), Field { ty, absent });
        self
    }

    fn insert(&mut self, name: String, field: Field) {
        self.weight = self.weight.saturating_add(field.ty.weight());
        self.fields.insert(name, field);
    }

    pub(super) fn weight(&self) -> u32 {
        self.weight
    }

    /// Lets expressions read fields that are not named here, as [`Type::Any`].
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Field> {
        self.fields.get(name)
    }

    /// A field that only one of them has may be absent.
    fn join(&self, other: &Self) -> Self {
        const WHY: &str = "not every branch has it";
        let mut joined = Self {
            open: self.open || other.open,
            ..Self::default()
        };
        for (name, field) in self.fields.iter().chain(&other.fields) {
            let ty = match (self.get(name), other.get(name)) {
                (Some(a), Some(b)) => a.ty.join(&b.ty),
                _ => field.ty.clone(),
            };
            let absent = match (self.get(name), other.get(name)) {
                (Some(a), Some(b)) => a.absent.clone().or_else(|| b.absent.clone()),
                _ => Some(WHY.to_owned()),
            };
            joined.insert(name.clone(), Field { ty, absent });
        }
        joined
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.fields
            .iter()
            .map(|(name, field)| (name.as_str(), field))
    }
}

impl From<ObjectType> for Type {
    fn from(object: ObjectType) -> Self {
        Self::Object(Arc::new(object))
    }
}

impl Type {
    /// A map with exactly these fields, all of them always there.
    #[must_use]
    pub fn object<N: Into<String>>(fields: impl IntoIterator<Item = (N, Type)>) -> Self {
        fields
            .into_iter()
            .fold(ObjectType::default(), |object, (name, ty)| {
                object.field(name, ty)
            })
            .into()
    }

    /// A list of `item`.
    #[must_use]
    pub fn list(item: Type) -> Self {
        Self::list_of(item, None)
    }

    /// A list of at most `most` items.
    #[must_use]
    pub fn list_of(item: Type, most: Option<u32>) -> Self {
        Self::List(Arc::new(item), most)
    }

    /// A map from text to `value`.
    #[must_use]
    pub fn map(value: Type) -> Self {
        Self::Map(Arc::new(value))
    }

    /// One of these texts.
    #[must_use]
    pub fn one_of<N: Into<String>>(values: impl IntoIterator<Item = N>) -> Self {
        Self::Enum(values.into_iter().map(Into::into).collect())
    }

    /// The type of the values that `schema` allows. A value that may be null is
    /// [`Type::Any`]; a property that may be missing is a field that may be absent.
    #[must_use]
    pub fn from_schema(schema: &Schema) -> Self {
        schema.static_type()
    }

    /// The type of `inputs`: an input without a value and without a default is absent.
    #[must_use]
    pub fn of_inputs(inputs: &[InputSpec]) -> Self {
        inputs
            .iter()
            .fold(ObjectType::default(), |object, input| {
                let ty = input.schema.static_type_when_present();
                let has_default = input.default.as_ref().is_some_and(|value| !value.is_null());
                if input.schema.is_optional() && !has_default {
                    object.optional_field(&input.name, ty, "the input is optional")
                } else {
                    object.field(&input.name, ty)
                }
            })
            .into()
    }

    pub(super) fn optional(self) -> Self {
        match self {
            Self::Optional(_) => self,
            inner => Self::Optional(Arc::new(inner)),
        }
    }

    /// Whether a value may stand inside text. [`Type::Any`] may: it is checked when the text is
    /// made.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        match self {
            Self::List(..) | Self::Map(_) | Self::Object(_) | Self::Optional(_) => false,
            Self::Any
            | Self::Null
            | Self::Bool
            | Self::Int
            | Self::Double
            | Self::String
            | Self::Enum(_)
            | Self::Timestamp
            | Self::Duration => true,
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::String | Self::Enum(_))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self, Self::Map(_) | Self::Object(_))
    }

    fn weight(&self) -> u32 {
        match self {
            Self::Object(object) => object.weight.saturating_add(1),
            Self::List(inner, _) | Self::Map(inner) | Self::Optional(inner) => {
                inner.weight().saturating_add(1)
            }
            Self::Any
            | Self::Null
            | Self::Bool
            | Self::Int
            | Self::Double
            | Self::String
            | Self::Enum(_)
            | Self::Timestamp
            | Self::Duration => 1,
        }
    }

    /// The type of a value that is one or the other.
    pub(crate) fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a.clone(),
            (a, b) if a.is_number() && b.is_number() => Self::Double,
            (a, b) if a.is_text() && b.is_text() => Self::String,
            (Self::List(a, most_a), Self::List(b, most_b)) => {
                let most = most_a.zip(*most_b).map(|(a, b)| a.max(b));
                Self::list_of(a.join(b), most)
            }
            (Self::Optional(a), Self::Optional(b)) => a.join(b).optional(),
            (Self::Object(a), Self::Object(b)) => a.join(b).into(),
            _ => Self::Any,
        }
    }

    /// The type of the items that a `foreach` goes through; those of a map are `{key, value}`.
    pub(crate) fn items(&self) -> Option<Type> {
        let entry = |value: Type| Type::object([("key", Type::String), ("value", value)]);
        match self {
            Self::Any => Some(Type::Any),
            Self::List(item, _) => Some(item.as_ref().clone()),
            Self::Map(value) => Some(entry(value.as_ref().clone())),
            Self::Object(object) => {
                let types = object.fields().map(|(_, field)| field.ty.clone());
                let joined = types.reduce(|a, b| a.join(&b));
                let closed = joined.filter(|_| !object.open);
                Some(entry(closed.unwrap_or(Type::Any)))
            }
            _ => None,
        }
    }

    /// This map with the fields of another; `None` if one of them is no map with known fields.
    pub(crate) fn with_fields_of(&self, other: &Self) -> Option<Type> {
        let (object, more) = match (self, other) {
            (Self::Any | Self::Map(_), Self::Object(more)) => {
                return Some(more.as_ref().clone().open().into());
            }
            (Self::Object(object), Self::Object(more)) => (object, more),
            _ => return None,
        };
        let mut joined = object.as_ref().clone();
        for (name, field) in more.fields() {
            joined.insert(name.to_owned(), field.clone());
        }
        Some(joined.into())
    }

    /// Whether a value of the one can ever equal a value of the other.
    pub(crate) fn comparable(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any | Self::Null, _) | (_, Self::Any | Self::Null) => true,
            (a, b) if a.is_number() && b.is_number() => true,
            (a, b) if a.is_text() && b.is_text() => true,
            (Self::List(a, _), Self::List(b, _)) => a.comparable(b),
            (a, b) if a.is_map() && b.is_map() => true,
            (Self::Optional(a), Self::Optional(b)) => a.comparable(b),
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("number"),
            Self::String | Self::Enum(_) => f.write_str("string"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(item, _) => write!(f, "{item}[]"),
            Self::Map(_) | Self::Object(_) => f.write_str("map"),
            Self::Optional(inner) => write!(f, "{inner}?"),
        }
    }
}
