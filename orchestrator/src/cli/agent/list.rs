//! `phisync agent list`.

use clap::Args;
use phisync::protocol::{AgentList, AgentSummary};

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::output::Table;
use crate::cli::report::Report;

/// List the agents: where each comes from, alive or not, drained or not, and what they hold.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {}

impl List {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let list: AgentList = context
            .place
            .with_server(None, |api| Ok(api.get(&["v1", "agents"], &[])?))?;
        context.output.many(&list, &list.agents, |agents| {
            let mut table = Table::new([
                "AGENT",
                "FROM",
                "STATE",
                "CAN DO",
                "HOLDS",
                "SILENT FOR",
                "NO PROGRESS FOR",
            ]);
            for agent in agents {
                let holds = match agent.holds.as_slice() {
                    [] => format!("0 of {}", agent.concurrency),
                    tasks => format!(
                        "{} of {}: {}",
                        tasks.len(),
                        agent.concurrency,
                        tasks.join(", ")
                    ),
                };
                let seconds =
                    |millis: Option<u64>| millis.map(|millis| format!("{} s", millis / 1000));
                table.row([
                    agent.name.clone(),
                    origin(agent).to_owned(),
                    state(agent),
                    agent.capabilities.join(", "),
                    holds,
                    seconds(agent.silent_ms).unwrap_or_default(),
                    seconds(agent.still_ms).unwrap_or_default(),
                ]);
            }
            table
        })?;
        Ok(ExitCode::Ok)
    }
}

/// Where it comes from, as people look for it.
pub(super) fn origin(agent: &AgentSummary) -> &str {
    match agent.origin.as_str() {
        "declared" => "agents.yaml",
        other => other,
    }
}

/// The verdict, and whether the agent is drained.
pub(super) fn state(agent: &AgentSummary) -> String {
    let drained = if agent.drained { ", drained" } else { "" };
    format!("{}{drained}", agent.verdict)
}
