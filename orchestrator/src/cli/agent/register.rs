//! `phisync agent register NAME` and `phisync agent remove NAME`.

use clap::Args;
use phisync::protocol::{AgentRegistered, AgentRemoved, RegisterAgentRequest, RemoveAgentRequest};

use crate::cli::Context;
use crate::cli::exit_code::ExitCode;
use crate::cli::report::Report;

/// Take an agent into the team that agents.yaml does not declare, or describe it anew.
///
/// A new one gets a token, printed this once; it is an agent's, whoever registers it. What is not said
/// has its default, also where the agent was registered before. It holds at once, for polls that wait
/// too, and across restarts of the server.
#[derive(Debug, Args)]
pub(in crate::cli) struct Register {
    /// The agent: letters, digits, `-` and `_`; case does not count
    name: String,

    /// What it can do; may be repeated
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<String>,

    /// The group it belongs to [default: default]
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,

    /// How many tasks it may hold [default: 1]
    #[arg(long, value_name = "COUNT")]
    concurrency: Option<u32>,

    /// After so long without a word it is dead [default: 60s]
    #[arg(long, value_name = "DURATION")]
    silence: Option<String>,

    /// How it is found dead: `deadline`, or `phi` by its own rhythm [default: deadline]
    #[arg(long, value_name = "NAME")]
    detector: Option<String>,

    /// How often it may take a task, as 30/m [default: whenever it has room]
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
}

/// Take a registered agent out of the team, and end its tokens.
///
/// One that holds tasks stays, unless they are to go to others at once: `phisync agent drain` first lets
/// it end them.
#[derive(Debug, Args)]
pub(in crate::cli) struct Remove {
    /// The agent
    name: String,

    /// Why, for those who wonder later
    #[arg(long)]
    reason: Option<String>,

    /// Take from it what it holds; others get it as after a death
    #[arg(long)]
    at_once: bool,
}

impl Register {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = RegisterAgentRequest {
            name: self.name,
            capabilities: self.capabilities,
            pool: self.pool,
            concurrency: self.concurrency,
            silence: self.silence,
            detector: self.detector,
            rate: self.rate,
        };
        let registered: AgentRegistered = context
            .place
            .with_server(None, |api| Ok(api.post(&["v1", "agents"], &request)?))?;
        let name = &registered.agent.summary.name;
        context
            .output
            .one(&registered, |registered| match &registered.token {
                Some(token) => token.token.clone(),
                None => format!("{name} is described anew; its token stays"),
            })?;
        if registered.token.is_some() {
            let words = format!("{name} is registered; keep its token: it is not shown again");
            context.output.say(words)?;
        }
        Ok(ExitCode::Ok)
    }
}

impl Remove {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let request = RemoveAgentRequest {
            reason: self.reason,
            at_once: self.at_once,
        };
        let path = ["v1", "agents", &self.name, "remove"];
        let removed: AgentRemoved = context
            .place
            .with_server(None, |api| Ok(api.post(&path, &request)?))?;
        context.output.one(&removed, |removed| {
            let name = &removed.name;
            match removed.lost.as_slice() {
                [] => format!("{name} is removed and held nothing"),
                tasks => format!("{name} is removed; others get {}", tasks.join(", ")),
            }
        })?;
        Ok(ExitCode::Ok)
    }
}
