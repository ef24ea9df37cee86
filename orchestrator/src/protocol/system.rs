//! The server itself on the wire, and who it takes a caller for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /healthz`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `ok`, or `read_only` while the disk takes nothing.
    #[schemars(extend("enum" = ["ok", "read_only"]))]
    pub status: String,
    /// Why it is not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What durable means here: `sync`, `interval` or `none`.
    pub mode: String,
    /// How many things were found out of order within the last day; `GET /v1/alarms` tells them.
    #[serde(default)]
    pub alarms: u64,
    /// The newest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_alarm: Option<NewestAlarm>,
    /// The last durable record.
    pub head_seq: u64,
    /// The chain hash after it.
    pub head_hash: String,
    /// The program's version.
    pub version: String,
    /// Which of all servers answers: a new word with every start.
    pub instance: String,
}

/// The newest of the open alarms, as far as everybody may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewestAlarm {
    /// `tail cut`, `snapshot damaged`, `view rebuilt` or `witness ahead`.
    pub kind: String,
    /// When.
    pub at: String,
}

/// `GET /v1/me`: who the token says is calling.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    /// `admin operator person agent viewer`.
    #[schemars(extend("enum" = ["admin", "operator", "person", "agent", "viewer"]))]
    pub role: String,
    /// The agent or person whose token it is, or whom the owner acts as; lower-case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// `GET /v1/alarms`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AlarmList {
    /// Newest first, the last thousand.
    pub alarms: Vec<AlarmSummary>,
}

/// Something that was found out of order in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlarmSummary {
    /// `tail cut`, `snapshot damaged`, `view rebuilt` or `witness ahead`.
    pub kind: String,
    /// The file, or whoever said so.
    pub about: String,
    /// In words.
    pub says: String,
    /// When.
    pub at: String,
}
