//! Names of runs and tasks.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::pass::Slot;
use super::run::RunState;

/// A run's name: safe as a file name on every system. Names are in order as their texts are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId {
    /// The first bytes of the text, the first one on top, so that names which differ there are told apart without a
    /// look at their texts: the maps of runs and tasks do hardly anything else.
    head: u128,
    text: Arc<str>,
}

impl RunId {
    /// Checks `text` against `[a-z0-9][a-z0-9_-]{0,62}` and the device names of Windows.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = phisync_state::FileId::new(text).ok()?;
        let mut head = [0; 16];
        for (byte, of_text) in head.iter_mut().zip(id.as_str().bytes()) {
            *byte = of_text;
        }
        Some(Self {
            head: u128::from_be_bytes(head),
            text: Arc::from(id.as_str()),
        })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The stream that holds the run's events.
    #[must_use]
    pub fn stream(&self) -> phisync_state::StreamName {
        phisync_state::StreamName::new(["run/", &self.text].concat())
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunId").field(&self.text).finish()
    }
}

impl TryFrom<String> for RunId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a run id"))
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.text.to_string()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One dispatchable piece of a run: a step's own task, or the task that undoes the step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: Slot,
    /// Whether it undoes the step.
    pub undo: bool,
}

/// A text that names no task of its run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a task: task ids look like `RUN.STEP` or `RUN.STEP.undo`")]
pub struct BadTaskId(pub String);

impl TaskId {
    /// Prints as `RUN.STEP`, or `RUN.STEP.undo`, the step with its rounds (`RUN.STEP.3`).
    #[must_use]
    pub fn print(&self, run: &RunState) -> String {
        let step = run.name(self.step);
        let tail = if self.undo { ".undo" } else { "" };
        format!("{}.{step}{tail}", self.run)
    }

    /// Splits a printed id into the run, the step's name, and whether it is an undo.
    ///
    /// # Errors
    /// [`BadTaskId`] if the text has another shape.
    pub fn split(text: &str) -> Result<(RunId, &str, bool), BadTaskId> {
        let bad = || BadTaskId(text.to_owned());
        let (run, rest) = text.split_once('.').ok_or_else(bad)?;
        let (step, undo) = match rest.strip_suffix(".undo") {
            Some(step) => (step, true),
            None => (rest, false),
        };
        let mut rounds = step.split('.').skip(1);
        let is_round = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'~');
        if step.is_empty() || !rounds.all(|round| !round.is_empty() && is_round(round)) {
            return Err(bad());
        }
        Ok((RunId::parse(run).ok_or_else(bad)?, step, undo))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RunId;

    proptest! {
        /// Names that agree in their first bytes among them, shorter ones and the longest.
        #[test]
        fn names_are_in_the_order_of_their_texts(
            one in "(a|abcdefghijklmnopqrst|r06f[0-9]{5}){1,2}[a-c]{0,3}", other in "(a|abcdefghijklmnopqrst|r06f[0-9]{5}){1,2}[a-c]{0,3}"
        ) {
            let id = |text: &str| RunId::parse(text).expect("a name");
            prop_assert_eq!(id(&one).cmp(&id(&other)), one.cmp(&other));
            prop_assert_eq!(id(&one) == id(&other), one == other);
        }
    }
}
