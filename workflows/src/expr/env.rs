//! What an expression may name, with types: the static side of [`Scope`](super::Scope).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Type;

/// What an expression may read, with types. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: Arc<BTreeMap<String, Type>>,
    steps: Arc<BTreeMap<String, StepView>>,
    certain: Arc<BTreeSet<String>>,
}

/// How a step looks from the place of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum StepView {
    /// Certain to have an outcome before the expression is evaluated.
    Visible {
        /// What its output is, when it has one.
        output: Type,
        /// Why it may have none, as `it has an if`; `None` if it is certain.
        absent: Option<String>,
    },
    /// Exists, but nothing orders it before (PHI205).
    NotBefore,
    /// The very step that holds the expression, or one around it (PHI212).
    Own,
    /// In a body that cannot be seen into from here (PHI204).
    Hidden {
        /// Where it is, as "inside `block`".
        place: String,
        /// What to do instead.
        help: String,
    },
}

impl Env {
    /// Nothing to read.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a root variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, ty: Type) -> Self {
        Arc::make_mut(&mut self.variables).insert(name.into(), ty);
        self
    }

    /// Adds `steps.ID`.
    #[must_use]
    pub fn step(mut self, id: impl Into<String>, view: StepView) -> Self {
        Arc::make_mut(&mut self.steps).insert(id.into(), view);
        self
    }

    /// The same, with the steps of another instead of its own.
    #[must_use]
    pub fn with_steps_of(&self, other: &Self) -> Self {
        Self {
            steps: Arc::clone(&other.steps),
            ..self.clone()
        }
    }

    /// The same, knowing that these steps succeeded: a dominating `if` says so.
    #[must_use]
    pub fn with_certain<S: Into<String>>(&self, ids: impl IntoIterator<Item = S>) -> Self {
        let mut env = self.clone();
        Arc::make_mut(&mut env.certain).extend(ids.into_iter().map(Into::into));
        env
    }

    /// The type of a root variable.
    #[must_use]
    pub fn type_of(&self, name: &str) -> Option<Type> {
        self.variables.get(name).cloned()
    }

    /// Whether there is a root variable of this name.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    pub(super) fn variables(&self) -> &BTreeMap<String, Type> {
        &self.variables
    }

    pub(super) fn steps(&self) -> &BTreeMap<String, StepView> {
        &self.steps
    }

    pub(super) fn succeeded(&self, id: &str) -> bool {
        self.certain.contains(id)
    }
}
