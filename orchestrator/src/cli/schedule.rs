//! `phisync schedule`: when schedules fire, what they did, and what people do to them. One verb per file.

mod control;
mod next;
mod show;

use chrono::DateTime;
use clap::Subcommand;
use phisync_state::Timestamp;

use super::Context;
use super::exit_code::ExitCode;
use super::report::Report;

#[derive(Debug, Subcommand)]
pub(super) enum Schedule {
    Next(next::Next),
    List(show::List),
    Show(show::Show),
    Pause(control::Pause),
    Resume(control::Resume),
    Trigger(control::Trigger),
    Backfill(control::Backfill),
}

impl Schedule {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::Next(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Pause(command) => command.run(context),
            Self::Resume(command) => command.run(context),
            Self::Trigger(command) => command.run(context),
            Self::Backfill(command) => command.run(context),
        }
    }
}

/// Takes `WORKFLOW/ID` apart.
fn split(name: &str) -> Result<(&str, &str), Report> {
    name.split_once('/').ok_or_else(|| {
        let message = format!("`{name}` is not a schedule: they are called WORKFLOW/ID");
        Report::new(ExitCode::Usage, message).hint("`phisync schedule list` shows them")
    })
}

/// Reads a point in time from the command line.
fn instant(text: &str) -> Result<Timestamp, &'static str> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(parsed) => Ok(Timestamp::from_micros(parsed.timestamp_micros())),
        Err(_) => Err("write it in RFC 3339, such as 2026-11-22T09:30:00Z"),
    }
}
