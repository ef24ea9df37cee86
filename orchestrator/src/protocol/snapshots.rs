//! Snapshots and rewinds on the wire: `GET` and `POST /v1/snapshots`, `POST /v1/rewind`.

use phisync_state::snapshot::{SnapshotInfo, Taken};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /v1/snapshots`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotList {
    /// Oldest first.
    pub snapshots: Vec<SnapshotSummary>,
}

/// One line of `GET /v1/snapshots`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotSummary {
    /// The last record it reflects.
    pub seq: u64,
    /// Its file, relative to the data directory.
    pub file: String,
    /// Whether every byte is as written. Without it nothing below is known.
    pub sound: bool,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// `seq:hash`, the head of the store when it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Which life of the store it was taken in.
    #[serde(default)]
    pub epoch: u64,
    /// Its bytes.
    #[serde(default)]
    pub size: u64,
    /// How many streams it holds.
    #[serde(default)]
    pub streams: u64,
    /// And records.
    #[serde(default)]
    pub records: u64,
    /// How many archives belong to it.
    #[serde(default)]
    pub archives: u64,
    /// And how many closed streams they hold.
    #[serde(default)]
    pub archived_streams: u64,
}

/// `POST /v1/snapshots`, the answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotTaken {
    /// What was taken; absent if nothing was appended since the newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<TakenSummary>,
}

/// A snapshot that was taken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TakenSummary {
    /// The last record it reflects.
    pub seq: u64,
    /// Its file, relative to the data directory.
    pub file: String,
    /// Its bytes.
    pub size: u64,
    /// How many streams it holds.
    pub streams: u64,
    /// And records.
    pub records: u64,
    /// How many closed streams went into archives.
    pub archived: u64,
    /// How many segments of the journal nothing needs any more, which went.
    pub segments_removed: u64,
    /// And how many archives that retention dropped.
    pub archives_removed: u64,
}

/// `POST /v1/rewind`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewindRequest {
    /// A sequence, or a time (RFC 3339).
    pub to: String,
    /// Why, for people. It is recorded with every run that goes back.
    pub reason: String,
    /// Whether it is to happen; without, the answer says what would.
    #[serde(default)]
    pub confirm: bool,
}

/// `POST /v1/rewind`, the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RewindAnswer {
    /// Whether it happened.
    pub done: bool,
    /// The last record that counts.
    pub seq: u64,
    /// When it was appended.
    pub at: String,
    /// Every run that goes back, or is only paused.
    pub runs: Vec<RewoundRun>,
    /// Documents that get their old content as a new version.
    pub documents: Vec<RewoundDocument>,
    /// Transactions that have changed files since, which stay changed.
    pub transactions: Vec<String>,
}

/// That a run went back, in `GET /v1/runs/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RewoundTo {
    /// Behind so many of its events.
    pub event: u64,
    /// Who wanted it.
    pub by: String,
    /// In their words.
    pub reason: String,
    /// When.
    pub at: String,
}

/// A run in a rewind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RewoundRun {
    /// Which.
    pub run: String,
    /// Of which workflow.
    pub workflow: String,
    /// Its status before.
    pub now: String,
    /// And afterwards: `paused`, or how it is closed; one that began later is `cancelled`.
    pub then: String,
    /// How many of its events count no more.
    pub taken_back: u64,
    /// Tasks that agents hold and lose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<String>,
    /// What it has done in the world since, which stays done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<EffectLeft>,
}

/// Something that was done and is not undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EffectLeft {
    /// The step that did it, or began to.
    pub step: String,
    /// `task`, `undo`, `files` or `event`.
    pub kind: String,
    /// Whether the workflow says that nothing can undo it.
    pub irreversible: bool,
}

/// A document in a rewind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RewoundDocument {
    /// Which.
    pub name: String,
    /// The version before.
    pub now: u64,
    /// The one whose content it gets; 0 if there was none.
    pub then: u64,
    /// Whether it is deleted afterwards.
    pub deleted: bool,
}

impl SnapshotList {
    /// Says what was found on disk.
    #[must_use]
    pub fn of(found: &[SnapshotInfo]) -> Self {
        Self {
            snapshots: found.iter().map(SnapshotSummary::of).collect(),
        }
    }
}

impl SnapshotSummary {
    fn of(info: &SnapshotInfo) -> Self {
        let content = info.content.as_ref();
        let sound = content.is_ok();
        let fault = content.err().cloned();
        let content = content.ok();
        let archives = content.map_or(&[][..], |content| &content.archives);
        Self {
            seq: info.seq.0,
            file: info.file.clone(),
            sound,
            fault,
            head: content.map(|content| format!("{}:{}", info.seq.0, content.hash)),
            epoch: content.map_or(0, |content| content.epoch),
            size: content.map_or(0, |content| content.size),
            streams: content.map_or(0, |content| content.streams),
            records: content.map_or(0, |content| content.records),
            archives: archives.len() as u64,
            archived_streams: archives.iter().map(|archive| archive.streams).sum(),
        }
    }
}

impl SnapshotTaken {
    /// Says what a store did.
    #[must_use]
    pub fn of(taken: Option<&Taken>) -> Self {
        Self {
            taken: taken.map(|taken| TakenSummary {
                seq: taken.seq.0,
                file: taken.file.clone(),
                size: taken.size,
                streams: taken.streams,
                records: taken.records,
                archived: taken.archived,
                segments_removed: taken.pruned.segments as u64,
                archives_removed: taken.pruned.archives as u64,
            }),
        }
    }
}
