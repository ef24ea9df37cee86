//! `phisync schedule`: when schedules fire.
//!
//! Works on the expression alone; it needs no data directory and no server.

use chrono::{DateTime, Datelike as _};
use clap::{Args, Subcommand};
use phisync::timer::Cron;
use phisync_state::Timestamp;
use phisync_state::env::{Clock as _, OsClock};
use serde::Serialize;

use super::Context;
use super::exit_code::ExitCode;
use super::output::Table;
use super::report::Report;

#[derive(Debug, Subcommand)]
pub(super) enum Schedule {
    Next(Next),
}

/// Show the next instants, in UTC, at which a cron expression fires.
///
/// CRON has five fields (minute, hour, day of month, month, day of week), or six with seconds first, or is
/// a name such as @daily: phisync schedule next "30 2 * * MON-FRI".
#[derive(Debug, Args)]
pub(super) struct Next {
    /// Cron expression, in quotes
    #[arg(value_name = "CRON")]
    expression: String,

    /// How many, 1 to 1000
    #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,

    /// Only later than this [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    from: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Firings<'a> {
    cron: &'a str,
    from: String,
    next: Vec<Firing>,
}

#[derive(Debug, Serialize)]
struct Firing {
    at: String,
    weekday: String,
}

impl Schedule {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::Next(next) => next.run(context),
        }
    }
}

impl Next {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let cron = Cron::parse(&self.expression).map_err(|error| {
            let message = format!(
                "`{}` is not a usable cron expression: {error}",
                self.expression
            );
            Report::new(ExitCode::Invalid, message).maybe_hint(error.hint())
        })?;
        let from = self.from.unwrap_or_else(|| OsClock::new().now());
        let count = usize::from(self.count);
        let firings = Firings {
            cron: &self.expression,
            from: from.to_string(),
            next: cron.upcoming(from).take(count).map(Firing::new).collect(),
        };
        context.output.many(&firings, &firings.next, |next| {
            let mut table = Table::new(["AT", "WEEKDAY"]);
            for firing in next {
                table.row([firing.at.clone(), firing.weekday.clone()]);
            }
            table
        })?;
        if firings.next.len() < count {
            context.output.say("the calendar ends with the year 2100")?;
        }
        Ok(ExitCode::Ok)
    }
}

impl Firing {
    fn new(at: Timestamp) -> Self {
        let date = DateTime::from_timestamp_micros(at.as_micros())
            .expect("an expression fires in the years 1970 to 2100 only");
        Self {
            at: at.to_string(),
            weekday: date.weekday().to_string(),
        }
    }
}

/// Reads a point in time from the command line.
fn instant(text: &str) -> Result<Timestamp, &'static str> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(parsed) => Ok(Timestamp::from_micros(parsed.timestamp_micros())),
        Err(_) => Err("write it in RFC 3339, such as 2026-11-22T09:30:00Z"),
    }
}
