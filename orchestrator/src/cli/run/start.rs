//! `phisync run start WF|FILE`.

use std::collections::BTreeMap;
use std::path::Path;

use clap::{Args, ValueEnum};
use phisync::protocol::{OnClosed, OnOpen, StartRequest, Started};

use super::Outcome;
use crate::cli::exit_code::ExitCode;
use crate::cli::inputs::{self, Inputs};
use crate::cli::report::Report;
use crate::cli::{Context, definition};

/// Start a run: of a workflow that the server knows, or of one in a file.
///
/// Agents must poll the server for it to get on: `phisync agent work --as NAME`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Start {
    /// Name of a registered workflow, or a workflow file
    #[arg(value_name = "WORKFLOW|FILE")]
    workflow: String,

    #[command(flatten)]
    inputs: Inputs,

    /// Name of the run [default: chosen by the server]
    #[arg(long)]
    id: Option<String>,

    /// Which business it is about: at most one open run of the workflow has this key
    #[arg(long)]
    key: Option<String>,

    /// If an open run has the key: answer with that run, or refuse
    #[arg(long, value_enum, requires = "key", value_name = "WHAT")]
    on_open: Option<KeyOpen>,

    /// If a closed run has the key: start another one, or refuse
    #[arg(long, value_enum, requires = "key", value_name = "WHAT")]
    on_closed: Option<KeyClosed>,

    /// Which call this is: made again within a day it starts nothing and answers with the same run
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// Label for searching; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// Wait for the end and answer with the outcome
    #[arg(long)]
    wait: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyOpen {
    /// The answer is that run
    Attach,
    /// The start is refused
    Reject,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyClosed {
    /// Another run takes the key
    Start,
    /// The start is refused
    Reject,
}

impl Start {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = self.request(context)?;
        let outcome = context.place.with_server(None, |api| {
            let call = self.idempotency_key.as_deref();
            let started: Started = api.post_once(&["v1", "runs"], &request, call)?;
            if !self.wait {
                return Ok(Outcome::from(started));
            }
            let clock = phisync_state::env::OsClock::new();
            Ok(super::wait_closed(api, &started.id, &clock, None)?)
        })?;
        if self.wait {
            return outcome.tell(context);
        }
        context.output.one(&outcome, |outcome| outcome.id.clone())?;
        Ok(ExitCode::Ok)
    }

    /// The file is compiled here first: its lines are at hand to show what is wrong.
    fn request(&self, context: &Context) -> Result<StartRequest, Report> {
        let mut request = StartRequest {
            id: self.id.clone(),
            key: self.key.clone(),
            on_open: self.on_open.map(|what| match what {
                KeyOpen::Attach => OnOpen::Attach,
                KeyOpen::Reject => OnOpen::Reject,
            }),
            on_closed: self.on_closed.map(|what| match what {
                KeyClosed::Start => OnClosed::Start,
                KeyClosed::Reject => OnClosed::Reject,
            }),
            labels: self.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
            ..StartRequest::default()
        };
        if definition::is_file(&self.workflow) {
            let file = Path::new(&self.workflow);
            let machine = definition::machine(&context.output, file)?;
            request.inputs = self.inputs.read(Some(&machine))?;
            inputs::bind(&machine, &request.inputs)?;
            request.definition = Some(machine.source().to_owned());
        } else {
            request.inputs = self.inputs.read(None)?;
            request.workflow = Some(self.workflow.clone());
        }
        Ok(request)
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label is NAME=VALUE".to_owned()),
    }
}
