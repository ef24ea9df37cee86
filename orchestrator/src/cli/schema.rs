//! `phisync schema workflow|agents`: what editors need to complete and check while one types.

use clap::{Args, ValueEnum};
use phisync_workflows::{agents_schema, workflow_schema};

use super::Context;
use super::exit_code::ExitCode;
use super::output::json_pretty;
use super::report::Report;

/// Print the JSON Schema of a kind of file, for editors.
///
/// It is the whole language, with a description of every key. `phisync init` puts both below
/// .phisync/schema/, where the first line of its files points:
/// # yaml-language-server: $schema=../.phisync/schema/workflow.json
#[derive(Debug, Args)]
#[command(after_help = "Example: phisync schema workflow > workflow.json")]
pub(super) struct Schema {
    /// The kind of file
    #[arg(value_enum)]
    of: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Workflows.
    Workflow,
    /// The team, agents.yaml.
    Agents,
}

impl Schema {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let schema = match self.of {
            Kind::Workflow => workflow_schema(),
            Kind::Agents => agents_schema(),
        };
        context.output.text_painted(&json_pretty(&schema))?;
        Ok(ExitCode::Ok)
    }
}
