//! A run's events, from the first to the last.

use phisync::engine::RunEvent;
use phisync::protocol::EventRecord;

use super::answers::Answers;
use crate::cli::Context;
use crate::cli::api::Api;
use crate::cli::exit_code::ExitCode;
use crate::cli::live::Live;
use crate::cli::output::{Format, json_line};
use crate::cli::report::Report;
use crate::cli::run::next_events;

/// What was seen of a run.
pub(super) struct Followed {
    /// The transition log.
    pub(super) log: Vec<String>,
    /// Whether stdout took everything that was printed meanwhile.
    pub(super) printed: Result<(), Report>,
}

/// Shows every event, answers what is asked, and comes back when the run is closed. Calls `unwanted` when
/// somebody is asked to stop working, who would hear of it only with the next heartbeat. A reader of stdout that
/// goes away does not end the run.
///
/// # Errors
/// When the server cannot be asked any more.
pub(super) fn to_the_end(
    context: &Context,
    api: &Api,
    run: &str,
    live: &Live,
    answers: &Answers,
    unwanted: impl Fn(),
) -> Result<Followed, Report> {
    let mut log = Vec::new();
    let mut printed = Ok(());
    let mut from = 0;
    loop {
        let list = next_events(api, run, from, true)?;
        for record in list.events {
            let event = read(&record)?;
            live.observe(&event);
            answers.give(api, run, &event, live);
            if matches!(event, RunEvent::TaskCancelRequested { .. }) {
                unwanted();
            }
            if context.output.format() == Format::Jsonl && printed.is_ok() {
                printed = context.output.text(&json_line(&record));
            }
            log.extend(record.log);
        }
        from = list.next;
        if list.closed {
            return Ok(Followed { log, printed });
        }
    }
}

/// The server is of this very program, so its events are ours.
fn read(record: &EventRecord) -> Result<RunEvent, Report> {
    serde_json::from_str(record.event.get()).map_err(|cause| {
        let message = format!("event {} cannot be read: {cause}", record.seq);
        Report::new(ExitCode::Stopped, message)
    })
}
