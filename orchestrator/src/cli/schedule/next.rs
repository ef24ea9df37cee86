//! `phisync schedule next CRON|WORKFLOW/ID`.
//!
//! A cron expression needs no data directory and no server; a schedule of a workflow does.

use clap::{Args, ValueEnum};
use phisync::protocol::ScheduleDetail;
use phisync::timer::{Calendar, Cron, Dst, Zone};
use phisync_state::Timestamp;
use phisync_state::env::{Clock as _, OsClock};
use phisync_workflows::machine::{DstGap, DstOverlap};
use serde::Serialize;

use super::instant;
use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::output::Table;
use crate::cli::report::Report;

/// Show the next instants at which a cron expression, or a schedule of a workflow, fires.
///
/// CRON has five fields (minute, hour, day of month, month, day of week), or six with seconds first, or
/// is a name such as @daily: phisync schedule next "30 2 * * MON-FRI" --timezone Europe/Berlin. A
/// schedule of a workflow that the server knows is called WORKFLOW/ID.
#[derive(Debug, Args)]
pub(in crate::cli) struct Next {
    /// Cron expression, in quotes, or WORKFLOW/ID
    #[arg(value_name = "CRON|SCHEDULE")]
    subject: String,

    /// How many, 1 to 1000
    #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,

    /// Only later than this [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    from: Option<Timestamp>,

    /// Whose clocks the expression is about, as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,

    /// A fixed time that the clocks jump over
    #[arg(long, value_enum, default_value_t)]
    gap: Gap,

    /// A fixed time that the clocks show twice
    #[arg(long, value_enum, default_value_t)]
    overlap: Overlap,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Gap {
    /// Fires right after the gap
    #[default]
    RunAfter,
    /// Does not fire that day
    Skip,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Overlap {
    /// Fires the first time
    #[default]
    Once,
    /// Fires both times
    Twice,
}

#[derive(Debug, Serialize)]
struct Firings<'a> {
    cron: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'static str>,
    from: String,
    next: Vec<Firing>,
}

#[derive(Debug, Serialize)]
struct Firing {
    at: String,
    weekday: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<String>,
}

impl Next {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        if is_schedule(&self.subject) {
            self.of_schedule(context)
        } else {
            self.of_expression(context)
        }
    }

    fn of_schedule(&self, context: &Context) -> Result<ExitCode, Report> {
        let (workflow, id) = super::split(&self.subject)?;
        let count = self.count.to_string();
        let path = ["v1", "schedules", workflow, id];
        let detail: ScheduleDetail = context
            .place
            .with_server(None, |api| Ok(api.get(&path, &[("next", &count)])?))?;
        context.output.many(&detail, &detail.next, |next| {
            let mut table = Table::new(["AT"]);
            for instant in next {
                table.row([instant.clone()]);
            }
            table
        })?;
        Ok(ExitCode::Ok)
    }

    fn of_expression(&self, context: &Context) -> Result<ExitCode, Report> {
        let cron = Cron::parse(&self.subject).map_err(|error| {
            let message = format!(
                "`{}` is not a usable cron expression: {error}",
                self.subject
            );
            Report::new(ExitCode::Invalid, message).maybe_hint(error.hint())
        })?;
        let zone = Zone::parse(&self.timezone);
        let zone = zone.map_err(|error| Report::new(ExitCode::Invalid, error))?;
        let dst = Dst {
            gap: match self.gap {
                Gap::RunAfter => DstGap::RunAfter,
                Gap::Skip => DstGap::Skip,
            },
            overlap: match self.overlap {
                Overlap::Once => DstOverlap::Once,
                Overlap::Twice => DstOverlap::Twice,
            },
        };
        let calendar = Calendar::new(cron, zone, dst);
        let from = self.from.unwrap_or_else(|| OsClock::new().now());
        let next = std::iter::successors(calendar.next_after(from), |at| calendar.next_after(*at));
        let elsewhere = (zone != Zone::UTC).then_some(zone);
        let firings = Firings {
            cron: &self.subject,
            timezone: elsewhere.map(Zone::name),
            from: from.to_string(),
            next: next
                .take(usize::from(self.count))
                .map(|at| Firing {
                    at: at.to_string(),
                    weekday: zone.weekday(at),
                    local: elsewhere.map(|zone| zone.show(at)),
                })
                .collect(),
        };
        context.output.many(&firings, &firings.next, table)?;
        if firings.next.len() < usize::from(self.count) {
            context.output.say("the calendar ends with the year 2100")?;
        }
        Ok(ExitCode::Ok)
    }
}

fn table(next: &[Firing]) -> Table {
    if next.iter().all(|firing| firing.local.is_none()) {
        let mut table = Table::new(["AT", "WEEKDAY"]);
        for firing in next {
            table.row([firing.at.clone(), firing.weekday.clone()]);
        }
        return table;
    }
    let mut table = Table::new(["AT", "WEEKDAY", "LOCAL"]);
    for firing in next {
        let local = firing.local.clone().unwrap_or_default();
        table.row([firing.at.clone(), firing.weekday.clone(), local]);
    }
    table
}

/// A name of a workflow, a slash, a name; no cron expression looks like that.
fn is_schedule(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.contains('/')
        && !text.contains(char::is_whitespace)
}
