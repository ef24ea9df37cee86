//! What a block works on, fixed by the fact that begins it, so that no replay evaluates anything; and what the holder of a
//! task worked on beside it.

use serde::{Deserialize, Serialize};

use crate::engine::{RawJson, RunId};

/// What a block works on, fixed when it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockWork {
    /// A body, once.
    Do,
    /// A body and its handlers.
    Try,
    /// All branches.
    Parallel,
    /// One of the cases.
    Switch {
        /// The case's id, or `default`.
        case: String,
    },
    /// A body per item.
    Foreach {
        /// The items, a list.
        items: RawJson,
    },
    /// A body again and again.
    Loop {
        /// What the first iteration gets.
        carry: RawJson,
    },
    /// A run of another workflow.
    Call {
        /// Its name.
        run: RunId,
        /// Of which workflow.
        workflow: String,
        /// Which versions fit; absent: the newest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// Its inputs, not checked yet.
        inputs: RawJson,
        /// The closed run that it undoes the steps of, instead of running any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undoes: Option<RunId>,
        /// The run that tried to undo the same before, and left some of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<RunId>,
    },
}

/// A document that the holder of a task changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedDocument {
    /// Its name.
    pub name: String,
    /// The version that it had then.
    pub version: u64,
}

/// A file that the holder of a task changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedFile {
    /// The root.
    #[serde(rename = "in")]
    pub root: String,
    /// The path in it.
    pub path: String,
}
