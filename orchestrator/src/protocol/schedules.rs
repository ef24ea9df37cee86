//! What starts runs or wakes them, other than a start: events and schedules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::control::Paused;

/// `POST /v1/events`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRequest {
    /// The event's name, as `deploy.finished`.
    #[schemars(extend("pattern" = r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)*$", "maxLength" = 100))]
    pub event: String,
    /// What it says; `null` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    /// Sent again with the same key, it is the same event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// `POST /v1/events`, the answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventSent {
    /// Its name.
    pub event: String,
    /// Its number among all of that name.
    pub number: u64,
}

/// One line of `GET /v1/schedules`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleSummary {
    /// The workflow.
    pub workflow: String,
    /// The schedule's id.
    pub id: String,
    /// The cron expression, or `every 600s`.
    pub timing: String,
    /// Whose clocks.
    pub timezone: String,
    /// `skip queue replace allow`.
    pub overlap: String,
    /// Whether the workflow wants it to start anything.
    pub enabled: bool,
    /// Why it starts nothing, if somebody paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// The next instant, if it starts anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// The last run that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
}

/// `GET /v1/schedules`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleList {
    /// By workflow and id.
    pub schedules: Vec<ScheduleSummary>,
}

/// `GET /v1/schedules/{name}/{id}`, and the answer of what is done to one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: ScheduleSummary,
    /// The next instants on its own clocks, as many as were asked for.
    pub next: Vec<String>,
    /// Instants that wait for a run to close.
    pub waiting: Vec<String>,
    /// Runs of it that are open.
    pub open_runs: Vec<String>,
    /// What it did last, newest first.
    pub past: Vec<SchedulePast>,
}

/// Something that a schedule did.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SchedulePast {
    /// The instant; absent if it was set off by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instant: Option<String>,
    /// When.
    pub at: String,
    /// The run that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why it started none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// `POST /v1/schedules/{name}/{id}/backfill`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackfillRequest {
    /// The first instant that counts, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub from: String,
    /// The last one, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub to: String,
}
