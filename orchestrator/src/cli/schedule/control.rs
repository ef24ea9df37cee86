//! `phisync schedule pause|resume|trigger|backfill`.

use clap::Args;
use phisync::protocol::{BackfillRequest, PauseRequest, ResumeRequest, ScheduleDetail};
use phisync_state::Timestamp;
use serde::Serialize;

use super::{instant, show, split};
use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::report::Report;

/// Let a schedule start nothing until it is resumed; what it leaves out is recorded.
#[derive(Debug, Args)]
pub(in crate::cli) struct Pause {
    /// Schedule, as WORKFLOW/ID
    schedule: String,

    /// Why, for those who look at it later
    #[arg(long)]
    reason: Option<String>,
}

/// Let a paused schedule go on, with its next instant.
#[derive(Debug, Args)]
pub(in crate::cli) struct Resume {
    /// Schedule, as WORKFLOW/ID
    schedule: String,
}

/// Start a run of a schedule now, whatever is open.
#[derive(Debug, Args)]
pub(in crate::cli) struct Trigger {
    /// Schedule, as WORKFLOW/ID
    schedule: String,
}

/// Make up for instants of the past that no run was started for.
///
/// They start one after the other, each when no run of the schedule is open, or all at once where the schedule has
/// `overlap: allow`. Each instant is taken at most once, ever.
#[derive(Debug, Args)]
pub(in crate::cli) struct Backfill {
    /// Schedule, as WORKFLOW/ID
    schedule: String,

    /// The first instant that counts
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    from: Timestamp,

    /// The last one
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    to: Timestamp,
}

impl Pause {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let reason = self.reason;
        post(context, &self.schedule, "pause", &PauseRequest { reason })
    }
}

impl Resume {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        post(context, &self.schedule, "resume", &ResumeRequest {})
    }
}

impl Trigger {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        post(context, &self.schedule, "trigger", &ResumeRequest {})
    }
}

impl Backfill {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = BackfillRequest {
            from: self.from.to_string(),
            to: self.to.to_string(),
        };
        post(context, &self.schedule, "backfill", &request)
    }
}

fn post<B: Serialize>(
    context: &Context,
    schedule: &str,
    verb: &str,
    body: &B,
) -> Result<ExitCode, Report> {
    let (workflow, id) = split(schedule)?;
    let path = ["v1", "schedules", workflow, id, verb];
    let detail: ScheduleDetail = context
        .place
        .with_server(None, |api| Ok(api.post(&path, body)?))?;
    context.output.one(&detail, show::words)?;
    Ok(ExitCode::Ok)
}
