//! The language as data: which keys stand where, in which order people write them, and what their
//! values may look like.
//!
//! Two readers: [`crate::fmt`] orders keys by it, and `json_schema` publishes it for editors. It
//! describes the whole language, also what this version refuses to run. What a value *means* is decided
//! in [`crate::lower`]; a test in its `keys` holds the keys of both against each other.

mod agents;
mod json_schema;
mod kinds;
mod policies;
mod states;
mod steps;
mod workflow;

pub use json_schema::{agents_schema, workflow_schema};
use workflow::WORKFLOW;

/// The form of a document.
pub(crate) static ROOT: Form = Form::Table(|| &WORKFLOW);

/// A map of the language.
pub(crate) struct Table {
    /// Its name in the schema, as `step`.
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    /// In the order in which they are written, in groups that several tables may share.
    pub(crate) keys: &'static [&'static [Key]],
    /// Groups of keys of which exactly one has to be there.
    pub(crate) exactly_one: &'static [&'static str],
}

/// A key and what stands below it.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) form: Form,
    pub(crate) required: bool,
}

/// What a value may look like.
pub(crate) enum Form {
    /// Anything, and no expression in it.
    Any,
    /// Anything, with expressions in its texts.
    Value,
    /// Text for people, without expressions.
    Literal,
    /// Text in which expressions are interpolated.
    Text,
    /// A bare expression that gives a bool.
    Condition,
    /// A bare expression that gives a list or a map.
    Collection,
    Bool,
    /// An integer, both ends included.
    Integer(i64, i64),
    /// A number of at least this.
    Number(u32),
    Duration,
    /// Text that matches this regular expression.
    Pattern(&'static str),
    Choice(&'static [&'static str]),
    /// A name, or a list of names.
    Names,
    /// The type of a value.
    Schema,
    List(&'static Form),
    /// Keys of the author's own, with values of one form.
    Map(&'static Form),
    /// A function, because tables hold each other.
    Table(fn() -> &'static Table),
    Either(&'static [Form]),
}

/// The ids of steps, states, inputs: so that `steps.a_b` is an expression.
pub(crate) const ID: Form = Form::Pattern("^[a-z][a-z0-9_]{0,62}$");

const fn key(name: &'static str, form: Form, doc: &'static str) -> Key {
    Key {
        name,
        doc,
        form,
        required: false,
    }
}

const fn required(name: &'static str, form: Form, doc: &'static str) -> Key {
    Key {
        name,
        doc,
        form,
        required: true,
    }
}

impl Table {
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().flat_map(|group| group.iter())
    }

    /// The place of a key in the order of writing; keys that the table does not have come last.
    pub(crate) fn rank(&self, name: &str) -> usize {
        self.keys()
            .position(|key| key.name == name)
            .unwrap_or(usize::MAX)
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

impl Form {
    /// The table of a map of this form.
    pub(crate) fn table(&'static self) -> Option<&'static Table> {
        match self {
            Self::Table(table) => Some(table()),
            Self::Either(forms) => forms.iter().find_map(Self::table),
            _ => None,
        }
    }

    /// The form of what stands below a key of a map of this form.
    pub(crate) fn below(&'static self, key: &str) -> Option<&'static Form> {
        match self {
            Self::Map(values) => Some(values),
            Self::Table(table) => table().key(key).map(|key| &key.form),
            Self::Either(forms) => forms.iter().find_map(|form| form.below(key)),
            _ => None,
        }
    }

    /// The form of the items of a list of this form.
    pub(crate) fn item(&'static self) -> Option<&'static Form> {
        match self {
            Self::List(items) => Some(items),
            Self::Either(forms) => forms.iter().find_map(Self::item),
            _ => None,
        }
    }

    /// Whether its values are bare expressions.
    pub(crate) fn is_expression(&self) -> bool {
        matches!(self, Self::Condition | Self::Collection)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every table of a workflow, once.
    pub(crate) fn all_tables() -> Vec<&'static Table> {
        let mut all = Vec::new();
        tables(&ROOT, &mut all);
        all
    }

    /// Every table that can be reached from `form`, once.
    fn tables(form: &'static Form, found: &mut Vec<&'static Table>) {
        match form {
            Form::List(inner) | Form::Map(inner) => tables(inner, found),
            Form::Either(forms) => forms.iter().for_each(|form| tables(form, found)),
            Form::Table(table) => {
                let table = table();
                if !found.iter().any(|known| std::ptr::eq(*known, table)) {
                    found.push(table);
                    table.keys().for_each(|key| tables(&key.form, found));
                }
            }
            _ => {}
        }
    }

    #[test]
    fn no_table_has_a_key_twice_and_no_two_tables_have_one_name() {
        let mut names = BTreeSet::new();
        for table in all_tables() {
            assert!(
                names.insert(table.name),
                "two tables are called {}",
                table.name
            );
            let mut keys = BTreeSet::new();
            for key in table.keys() {
                assert!(keys.insert(key.name), "{} in {}", key.name, table.name);
                assert!(key.doc.ends_with('.'), "{}.{}", table.name, key.name);
            }
            for name in table.exactly_one {
                assert!(keys.contains(name), "{name} in {}", table.name);
            }
        }
        assert!(names.len() > 30, "{names:?}");
    }
}
