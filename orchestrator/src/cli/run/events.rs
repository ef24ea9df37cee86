//! `phisync run events RUN`: the transition log, or the events themselves.

use clap::Args;
use phisync::protocol::{EventList, EventRecord};

use super::{LOG_HEADER, next_events};
use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::output::{Format, json_line, json_pretty, yaml};
use crate::cli::report::Report;

/// Print the transition log of a run; with -o jsonl the events themselves.
#[derive(Debug, Args)]
pub(in crate::cli) struct Events {
    /// Run, or a unique beginning of its id
    run: String,

    /// Go on until the run is closed
    #[arg(short, long)]
    follow: bool,

    /// Leave out this many events from the start
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    from: u64,
}

impl Events {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        context.place.with_server(None, |api| {
            if context.output.format() == Format::Table {
                context.output.text(LOG_HEADER)?;
            }
            let mut whole = next_events(api, &self.run, self.from, false)?;
            print(context, &whole.events)?;
            while self.follow && !whole.closed {
                let more = next_events(api, &self.run, whole.next, true)?;
                print(context, &more.events)?;
                whole.next = more.next;
                whole.closed = more.closed;
                whole.events.extend(more.events);
            }
            print_whole(context, &whole)?;
            Ok(ExitCode::Ok)
        })
    }
}

/// Prints what comes, in the forms that have no end.
fn print(context: &Context, events: &[EventRecord]) -> Result<(), Report> {
    for event in events {
        match context.output.format() {
            Format::Table => {
                for line in &event.log {
                    context.output.text(line)?;
                }
            }
            Format::Jsonl => context.output.text(&json_line(event))?,
            Format::Json | Format::Yaml => {}
        }
    }
    Ok(())
}

/// Prints everything, in the forms that are one document.
fn print_whole(context: &Context, whole: &EventList) -> Result<(), Report> {
    match context.output.format() {
        Format::Json => context.output.text(&json_pretty(whole)),
        Format::Yaml => context.output.text(&yaml(whole)),
        Format::Table | Format::Jsonl => Ok(()),
    }
}
