//! `phisync why RUN[/STEP]`: what a run waits for, and why that is open.

use clap::Args;
use phisync::protocol::Why as Reason;

use super::Context;
use super::exit_code::ExitCode;
use super::output::one_line;
use super::report::Report;

/// Say what a run, or one step of it, waits for: the chain of reasons down to who must act.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Run, or a unique beginning of its id; with /STEP one step of it
    #[arg(value_name = "RUN[/STEP]")]
    subject: String,
}

impl Why {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let (run, step) = match self.subject.split_once('/') {
            Some((run, step)) => (run, Some(step)),
            None => (self.subject.as_str(), None),
        };
        let query: Vec<(&str, &str)> = step.iter().map(|step| ("step", *step)).collect();
        let reason: Reason = context.place.with_server(None, |api| {
            Ok(api.get(&["v1", "runs", run, "why"], &query)?)
        })?;
        context.output.one(&reason, |reason| {
            let mut text = String::new();
            word(&mut text, reason, 0);
            text
        })?;
        Ok(ExitCode::Ok)
    }
}

/// One line per reason, indented by how far down the chain it is.
fn word(text: &mut String, reason: &Reason, depth: usize) {
    let indent = "  ".repeat(depth);
    let until = match &reason.until {
        Some(until) => format!(" (until {until})"),
        None => String::new(),
    };
    let line = format!(
        "{} is {}: {}{until}",
        reason.subject, reason.state, reason.text
    );
    text.push_str(&format!("{indent}{}\n", one_line(&line)));
    for below in &reason.because {
        word(text, below, depth + 1);
    }
}
