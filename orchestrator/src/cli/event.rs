//! `phisync event send NAME`.

use clap::{Args, Subcommand};
use phisync::protocol::{EventRequest, EventSent};

use super::Context;
use super::exit_code::ExitCode;
use super::report::Report;
use super::run::json;

#[derive(Debug, Subcommand)]
pub(super) enum Event {
    Send(Send),
}

/// Send an event to every step that waits for it, now or later, and to triggers.
#[derive(Debug, Args)]
pub(super) struct Send {
    /// Name of the event, as deploy.finished
    name: String,

    /// What it says, as JSON [default: null]
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,

    /// Sent again with the same key, it is the same event
    #[arg(long)]
    key: Option<String>,
}

impl Event {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::Send(command) => command.run(context),
        }
    }
}

impl Send {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = EventRequest {
            event: self.name,
            data: self.payload.as_deref().map(json).transpose()?,
            key: self.key,
        };
        let sent: EventSent = context
            .place
            .with_server(None, |api| Ok(api.post(&["v1", "events"], &request)?))?;
        context.output.one(&sent, |sent| {
            format!("{} number {}", sent.event, sent.number)
        })?;
        Ok(ExitCode::Ok)
    }
}
