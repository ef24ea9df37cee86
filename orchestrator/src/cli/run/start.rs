//! `phisync run start WF|FILE`.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use phisync::protocol::{StartRequest, Started};

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

    /// Label for searching; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// Wait for the end and answer with the outcome
    #[arg(long)]
    wait: bool,
}

impl Start {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = self.request(context)?;
        let outcome = context.place.with_server(None, |api| {
            let started: Started = api.post(&["v1", "runs"], &request)?;
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
            labels: self.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
            ..StartRequest::default()
        };
        if definition::is_file(&self.workflow) {
            let file = Path::new(&self.workflow);
            let machine = definition::machine(&context.output, file, None)?;
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
