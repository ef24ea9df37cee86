//! `phisync schedule list|show`.

use clap::Args;
use phisync::protocol::{ScheduleDetail, ScheduleList, SchedulePast, ScheduleSummary};

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::output::Table;
use crate::cli::report::Report;

/// List the schedules of the workflows that the server knows.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {}

/// Show a schedule: when it fires next, what waits, and what it did last.
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// Schedule, as WORKFLOW/ID
    schedule: String,
}

impl List {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let list: ScheduleList = context
            .place
            .with_server(None, |api| Ok(api.get(&["v1", "schedules"], &[])?))?;
        context.output.many(&list, &list.schedules, |schedules| {
            let mut table = Table::new(["SCHEDULE", "TIMING", "TIMEZONE", "NEXT", "LAST RUN"]);
            for schedule in schedules {
                table.row([
                    format!("{}/{}", schedule.workflow, schedule.id),
                    schedule.timing.clone(),
                    schedule.timezone.clone(),
                    next(schedule),
                    schedule.last_run.clone().unwrap_or_default(),
                ]);
            }
            table
        })?;
        Ok(ExitCode::Ok)
    }
}

fn next(schedule: &ScheduleSummary) -> String {
    match (&schedule.next_at, &schedule.paused) {
        (_, Some(_)) => "paused".to_owned(),
        (Some(at), None) => at.clone(),
        (None, None) if !schedule.enabled => "not enabled".to_owned(),
        (None, None) => "never again".to_owned(),
    }
}

impl Show {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let (workflow, id) = super::split(&self.schedule)?;
        let path = ["v1", "schedules", workflow, id];
        let detail: ScheduleDetail = context
            .place
            .with_server(None, |api| Ok(api.get(&path, &[("next", "3")])?))?;
        context.output.one(&detail, words)?;
        Ok(ExitCode::Ok)
    }
}

/// A schedule for people.
pub(super) fn words(detail: &ScheduleDetail) -> String {
    let summary = &detail.summary;
    let mut text = format!(
        "{}/{}: {} in {}, overlap {}\n",
        summary.workflow, summary.id, summary.timing, summary.timezone, summary.overlap
    );
    if let Some(paused) = &summary.paused {
        let reason = paused.reason.as_deref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        text.push_str(&format!(
            "paused by {} at {}{reason}\n",
            paused.by, paused.at
        ));
    }
    let mut line = |name: &str, values: &[String]| {
        if !values.is_empty() {
            text.push_str(&format!("{name}: {}\n", values.join(", ")));
        }
    };
    line("next", &detail.next);
    line("waiting", &detail.waiting);
    line("open", &detail.open_runs);
    if !detail.past.is_empty() {
        text.push_str(&past(&detail.past).render());
    }
    text
}

fn past(past: &[SchedulePast]) -> Table {
    let mut table = Table::new(["INSTANT", "DECIDED", "RUN"]);
    for one in past {
        let by_hand = || "by hand".to_owned();
        let skipped = one.skipped.as_ref().map(|reason| format!("none: {reason}"));
        table.row([
            one.instant.clone().unwrap_or_else(by_hand),
            one.at.clone(),
            one.run.clone().or(skipped).unwrap_or_default(),
        ]);
    }
    table
}
