//! `phisync schema workflow|agents|openapi`: the forms of files and of the HTTP API, for editors and for
//! makers of clients.

use clap::{Args, ValueEnum};
use phisync_workflows::{agents_schema, workflow_schema};

use super::Context;
use super::exit_code::ExitCode;
use super::output::json_pretty;
use super::report::Report;

/// Print the JSON Schema of a kind of file, or the description of the HTTP API.
///
/// A schema is the whole language, with a description of every key. `phisync init` puts both below
/// .phisync/schema/, where the first line of its files points:
///
/// # yaml-language-server: $schema=../.phisync/schema/workflow.json
///
/// The description of the API is OpenAPI 3.1, what a server answers at /openapi.json.
#[derive(Debug, Args)]
#[command(after_help = "Example: phisync schema workflow > workflow.json")]
pub(super) struct Schema {
    /// The kind of file, or the API
    #[arg(value_enum)]
    of: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Workflows.
    Workflow,
    /// The team, agents.yaml.
    Agents,
    /// The HTTP API, as OpenAPI 3.1.
    Openapi,
}

impl Schema {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let schema = match self.of {
            Kind::Workflow => workflow_schema(),
            Kind::Agents => agents_schema(),
            Kind::Openapi => phisync::api::http::document(),
        };
        context.output.text_painted(&json_pretty(&schema))?;
        Ok(ExitCode::Ok)
    }
}
