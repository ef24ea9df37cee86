//! `phisync run pause|resume|signal RUN`.

use clap::Args;
use phisync::protocol::{PauseRequest, ResumeRequest, SignalRequest, Standing};
use serde_json::value::RawValue;

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::report::Report;

/// Let a run stand still: nothing new is given to agents, what they hold ends and is recorded.
///
/// Its clocks stand still too, but for those of attempts that are under way. Says when it is quiet, that is, when no
/// agent works on it any more.
#[derive(Debug, Args)]
pub(in crate::cli) struct Pause {
    /// Run, or a unique beginning of its id
    run: String,

    /// Why, for those who look at the run later
    #[arg(long)]
    reason: Option<String>,
}

/// Let a paused run go on.
#[derive(Debug, Args)]
pub(in crate::cli) struct Resume {
    /// Run, or a unique beginning of its id
    run: String,
}

/// Send a run a signal, for a step that waits for it now or later.
#[derive(Debug, Args)]
pub(in crate::cli) struct Signal {
    /// Run, or a unique beginning of its id
    run: String,

    /// Name of the signal
    name: String,

    /// What it says, as JSON [default: null]
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
}

impl Pause {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = PauseRequest {
            reason: self.reason,
        };
        let standing: Standing = context.place.with_server(None, |api| {
            Ok(api.post(&["v1", "runs", &self.run, "pause"], &request)?)
        })?;
        tell(context, &standing)
    }
}

impl Resume {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let standing: Standing = context.place.with_server(None, |api| {
            let path = ["v1", "runs", &self.run, "resume"];
            Ok(api.post(&path, &ResumeRequest {})?)
        })?;
        tell(context, &standing)
    }
}

impl Signal {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = SignalRequest {
            name: self.name,
            data: self.payload.as_deref().map(json).transpose()?,
        };
        let standing: Standing = context.place.with_server(None, |api| {
            Ok(api.post(&["v1", "runs", &self.run, "signal"], &request)?)
        })?;
        let name = &request.name;
        let words = format!("{}: `{name}` received", standing.id);
        context.output.one(&standing, |_| words)?;
        Ok(ExitCode::Ok)
    }
}

/// Reads a JSON text from the command line.
///
/// # Errors
/// A text that is no JSON.
pub(in crate::cli) fn json(text: &str) -> Result<Box<RawValue>, Report> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("the data is not JSON: {error}");
        let hint = r#"text stands in quotes of its own: --payload '"done"'"#;
        Report::new(ExitCode::Usage, message).hint(hint)
    })
}

fn tell(context: &Context, standing: &Standing) -> Result<ExitCode, Report> {
    let words = match (&standing.paused, standing.held.as_slice()) {
        (None, _) => "goes on".to_owned(),
        (Some(_), []) => "paused, and quiet".to_owned(),
        (Some(_), held) => format!("paused; agents still work on {}", held.join(", ")),
    };
    let line = format!("{}: {words}", standing.id);
    context.output.one(standing, |_| line)?;
    Ok(ExitCode::Ok)
}
