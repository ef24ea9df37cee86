//! What crosses the wire about things that several share: transactions, documents, locks.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// One line of `GET /v1/transactions`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TransactionSummary {
    /// The transaction.
    pub id: String,
    /// `preparing decided committed aborted`.
    pub status: String,
    /// Who asked.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The transaction that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<String>,
    /// How many files and documents it is about; 0 until it is decided.
    pub changes: usize,
    /// How many files of strangers were kept beside.
    pub conflicts: usize,
    /// When nothing was left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<String>,
}

/// `GET /v1/transactions`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TransactionList {
    /// All of them, by name.
    pub transactions: Vec<TransactionSummary>,
}

/// `POST /v1/transactions`: the language of a `files` step, as `docs/transactions.md` tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionRequest(pub Value);

impl JsonSchema for TransactionRequest {
    fn schema_name() -> Cow<'static, str> {
        "TransactionRequest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Several files and documents, changed whole or not at all, as `docs/transactions.md` tells.",
            "type": "object",
            "properties": {
                "phisync": { "description": "The version of the form.", "const": 1 },
                "reason": { "description": "Why, for people.", "type": "string" },
                "changes": { "type": "array", "minItems": 1, "maxItems": 1000, "items": {
                    "type": "object",
                    "properties": {
                        "in": { "description": "The root of a file; not needed where only one is declared.", "type": "string" },
                        "path": { "description": "The file, from the root.", "type": "string" },
                        "document": { "description": "The document, in place of a file.", "type": "string" },
                        "op": { "enum": ["write", "patch", "delete", "move", "mkdir"] },
                        "content": { "description": "For `write`: text of a file, any JSON of a document." },
                        "patch": { "description": "For `patch`: a unified diff of the file.", "type": "string" },
                        "to": { "description": "For `move`: the new path.", "type": "string" },
                        "expect": { "description": "What must be there now.", "type": "object", "properties": {
                            "exists": { "type": "boolean" },
                            "sha256": { "type": "string" },
                            "version": { "description": "Of a document; 0 was never written.", "type": "integer", "minimum": 0 },
                        }, "additionalProperties": false },
                    },
                    "required": ["op"],
                    "additionalProperties": false,
                } },
                "under": { "description": "Named locks that must be held.", "type": "array", "items": {
                    "type": "object",
                    "properties": { "lock": { "type": "string" }, "token": { "type": "integer", "minimum": 0 } },
                    "required": ["lock", "token"],
                    "additionalProperties": false,
                } },
            },
            "required": ["changes"],
            "additionalProperties": false,
        })
    }
}

/// `GET /v1/transactions/{id}`, and the answer of `POST /v1/transactions`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TransactionDetail {
    /// The transaction.
    pub id: String,
    /// `preparing decided committed aborted`.
    pub status: String,
    /// Who asked.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The transaction that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<String>,
    /// What happened to files.
    pub files: Vec<ChangedFile>,
    /// What happened to documents.
    pub documents: Vec<ChangedDocument>,
    /// Files of strangers that stood in the way.
    pub conflicts: Vec<KeptFile>,
    /// Why it was aborted, or why it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// One file of a transaction.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChangedFile {
    /// The root.
    #[serde(rename = "in")]
    pub root: String,
    /// The path in it.
    pub path: String,
    /// `created changed removed unchanged made_directory removed_directory`.
    pub change: String,
    /// The hash of the content before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The hash of the content after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// One document of a transaction.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChangedDocument {
    /// The document.
    pub name: String,
    /// Its version before; 0 was never written.
    pub before: u64,
    /// Its version after.
    pub after: u64,
}

/// A stranger's file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeptFile {
    /// The root.
    #[serde(rename = "in")]
    pub root: String,
    /// Whose name it had.
    pub path: String,
    /// The name that it has now.
    pub kept: String,
}

/// One line of `GET /v1/documents`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DocumentSummary {
    /// The document.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// Who wrote it.
    pub by: String,
    /// When.
    pub at: String,
}

/// `GET /v1/documents`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DocumentList {
    /// All of them, by name.
    pub documents: Vec<DocumentSummary>,
}

/// `GET /v1/documents/{name}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DocumentDetail {
    /// The document.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// The hash of its content.
    pub sha256: String,
    /// Who wrote it.
    pub by: String,
    /// When.
    pub at: String,
    /// What it holds.
    pub content: Box<RawValue>,
}

/// `PUT /v1/documents/{name}`, the answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DocumentWritten {
    /// The document.
    pub name: String,
    /// Its version now.
    pub version: u64,
    /// The transaction that wrote it.
    pub transaction: String,
}

/// `POST /v1/documents/{name}/turn`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TurnRequest {
    /// How long to wait in line, in seconds; 0 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_s: Option<f64>,
    /// How long the turn may last, in seconds; 2 without it, 0.1 to 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_s: Option<f64>,
}

/// A turn at a document: until it is over, nobody else writes that.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DocumentTurn {
    /// The document.
    pub name: String,
    /// Comes back with the write, as the header `Phisync-Turn`.
    pub turn: u64,
    /// How long it still lasts, in milliseconds. It ends with the write.
    pub hold_ms: u64,
    /// The document's version now; 0 was never written.
    pub version: u64,
    /// What it holds now; absent if there is no such document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Box<RawValue>>,
}

/// `POST /v1/documents/{name}/turn/release`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TurnReleaseRequest {
    /// The turn.
    pub turn: u64,
}

/// `POST /v1/locks/{name}/acquire`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcquireRequest {
    /// How long the holder may be silent, in seconds; 30 without it, 1 to 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<f64>,
    /// How long to wait in line, in seconds; 0 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_s: Option<f64>,
    /// A word that no other holder uses: who has the lock and asks again under the same word gets
    /// the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

/// `POST /v1/locks/{name}/acquire`, the answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Acquired {
    /// The lock.
    pub name: String,
    /// Larger than every earlier one of this lock.
    pub token: u64,
    /// How long the holder may be silent, in milliseconds.
    pub lease_ms: u64,
}

/// `POST /v1/locks/{name}/renew` and `/release`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockTokenRequest {
    /// The token of the grant.
    pub token: u64,
}

/// One line of `GET /v1/locks`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LockSummary {
    /// The lock.
    pub name: String,
    /// The token of whoever has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Its own word for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// How long until it loses it, if it stays silent, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_left_ms: Option<u64>,
    /// Who waits, the next one first.
    pub waiting: Vec<String>,
}

/// `GET /v1/locks`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LockList {
    /// Those that somebody has or waits for, by name.
    pub locks: Vec<LockSummary>,
}
