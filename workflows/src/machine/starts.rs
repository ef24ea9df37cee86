//! What belongs to a workflow as a whole: its variables, how its runs start, how many there may
//! be, and what they do at their end.

use std::time::Duration;

use serde_json::Value as Json;

use crate::expr::Expr;
use crate::schema::Schema;

use super::{BodyIndex, Template};

/// A variable of a run, written only by `set`.
#[derive(Clone, Debug)]
pub struct VarSpec {
    /// Its name, an identifier.
    pub name: String,
    /// What values it takes.
    pub schema: Schema,
    /// Its value at the start.
    pub default: Json,
}

/// How many runs of one key there may be.
#[derive(Clone, Debug)]
pub struct Concurrency {
    /// Over `inputs`; runs whose keys are equal count together.
    pub key: Template,
    /// At least 1.
    pub max: u32,
    /// What becomes of one more.
    pub on_conflict: OnRunConflict,
}

/// What becomes of a run beyond the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRunConflict {
    /// It waits.
    Queue,
    /// It is refused.
    Reject,
    /// The oldest one is cancelled.
    Replace,
}

/// Starts by time.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name, unique in the workflow.
    pub id: String,
    /// When.
    pub timing: Timing,
    /// An IANA name.
    pub timezone: String,
    /// What happens to hours that do not exist.
    pub dst_gap: DstGap,
    /// What happens to hours that exist twice.
    pub dst_overlap: DstOverlap,
    /// The inputs of its runs. They read `config` and `run` only.
    pub input: Vec<(String, Template)>,
    /// While a run of it is still open.
    pub overlap: Overlap,
    /// Times missed while nobody was there.
    pub catchup: CatchUp,
    /// How far back missed times count.
    pub catchup_window: Duration,
    /// Spread, the same for the same schedule and time.
    pub jitter: Duration,
    /// No start before this, a timestamp of RFC 3339; also the anchor of [`Timing::Every`].
    pub start_at: Option<String>,
    /// No start at or after this, a timestamp of RFC 3339.
    pub end_at: Option<String>,
    /// Whether it starts anything.
    pub enabled: bool,
}

/// When a schedule starts runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    /// By an expression of five or six fields, or `@daily` and the like.
    Cron(String),
    /// Again and again; at least a second.
    Every(Duration),
}

/// What happens to a time that a change of the clock leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DstGap {
    /// It starts right after the gap.
    RunAfter,
    /// It does not start.
    Skip,
}

/// What happens to a time that a change of the clock repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DstOverlap {
    /// It starts the first time.
    Once,
    /// It starts both times.
    Twice,
}

/// What a schedule does while a run of it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// Nothing.
    Skip,
    /// The new run waits.
    Queue,
    /// The open run is cancelled.
    Replace,
    /// Both run.
    Allow,
}

/// What becomes of missed times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// They are gone.
    None,
    /// The last one starts.
    Last,
    /// All of them start.
    All,
}

/// Starts by events.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The event's name.
    pub event: String,
    /// Fields of `event.data` and the values that they must equal.
    pub matching: Vec<(String, Template)>,
    /// A further condition over `event`.
    pub when: Option<Expr>,
    /// The inputs of its runs, over `event`.
    pub input: Vec<(String, Template)>,
    /// Events with equal keys start one run.
    pub dedupe_key: Option<Template>,
    /// How many starts in how long.
    pub rate: Option<Rate>,
}

/// How many in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub max: u32,
    /// The sliding window.
    pub per: Duration,
}

/// `on_failure` of a workflow.
#[derive(Clone, Debug)]
pub struct RunHandler {
    /// Run when the main body failed, before anything is undone.
    pub body: BodyIndex,
    /// Whether the run counts as completed after it, with these outputs instead of the
    /// workflow's own.
    pub recover: Option<Vec<(String, Template)>>,
}
