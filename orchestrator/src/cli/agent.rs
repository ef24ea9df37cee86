//! `phisync agent`: the team, and working as one of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::{Args, Subcommand};
use phisync::protocol::AgentList;
use phisync_agents::worker::{Screen, StopFlag, WorkerConfig};

use super::Context;
use super::crew::{self, Employer};
use super::data_dir::DataDir;
use super::exit_code::ExitCode;
use super::mailbox;
use super::output::Table;
use super::report::Report;
use super::signals;
use super::team::Team;

#[derive(Debug, Subcommand)]
pub(super) enum Agent {
    List(List),
    Work(Work),
    Mailbox(mailbox::Carry),
}

/// List the declared agents: alive or not, and what they hold.
#[derive(Debug, Args)]
pub(super) struct List {}

/// Take tasks for an agent and run a command for each, until told to stop.
///
/// The command gets the task as JSON on stdin (and in the file PHISYNC_TASK_FILE) and answers with the
/// last JSON on stdout, or in the file PHISYNC_OUTPUT_FILE. Exit 0 completes the task, 75 asks for
/// another attempt later, 76 for a person, anything else fails it.
#[derive(Debug, Args)]
pub(super) struct Work {
    /// The agent
    #[arg(long = "as", value_name = "NAME")]
    name: String,

    /// Only tasks that need this; may be repeated [default: all that the agent can do]
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<String>,

    /// Look for a task once, do it, and end; with 10 if there was none
    #[arg(long)]
    once: bool,

    /// Tasks at once [default: as declared, else 1]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,

    /// The team that says the command, if none is given here [default: the project's]
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,

    /// Keep what the command writes to stderr from the terminal
    #[arg(long)]
    quiet: bool,

    /// The command [default: the one declared]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Agent {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::List(_) => list(context),
            Self::Work(command) => command.run(context),
            Self::Mailbox(command) => command.run(context),
        }
    }
}

impl Work {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let config = self.config(context)?;
        let (url, token) = context.place.running_server()?;
        let employer = Employer {
            url: &url,
            token: &token,
        };
        let worker = crew::worker(config, employer)?;
        let stop = StopFlag::new();
        let asked = stop.clone();
        signals::on_first(move || asked.request())?;
        context
            .output
            .say(format!("{} works for {url}", self.name))?;
        let summary = worker.run(&stop)?;
        context.output.say(format!(
            "{} completed, {} failed, {} given back, {} lost",
            summary.completed,
            summary.failed,
            summary.released,
            summary.lost + summary.unreported
        ))?;
        if self.once && summary.claimed() == 0 && !stop.is_requested() {
            return Ok(ExitCode::NoTask);
        }
        Ok(ExitCode::Ok)
    }

    fn config(&self, context: &Context) -> Result<WorkerConfig, Report> {
        let team = self.team(context)?;
        let declared = team
            .as_ref()
            .and_then(|team| team.registry.agent(&self.name));
        let declared_command = declared.and_then(|agent| agent.command.clone());
        let (command, base_dir) = match (self.command.as_slice(), declared_command, &team) {
            ([], Some(command), Some(team)) => (command, team.base_dir()),
            ([], _, _) => {
                let message = format!("there is no command to run as `{}`", self.name);
                let hint = "give one after `--`, or declare it in agents.yaml";
                return Err(Report::new(ExitCode::Usage, message).hint(hint));
            }
            (given, _, _) => (given.to_vec(), PathBuf::from(".")),
        };
        let screen: Screen = Arc::new(Mutex::new(std::io::stderr()));
        Ok(WorkerConfig {
            name: self.name.clone(),
            command,
            base_dir,
            concurrency: self
                .concurrency
                .or(declared.map(|agent| agent.concurrency))
                .unwrap_or(1),
            once: self.once,
            max_tasks: None,
            capabilities: (!self.capabilities.is_empty()).then(|| self.capabilities.clone()),
            screen: (!self.quiet).then_some(screen),
        })
    }

    /// The team, where there is one; nobody needs it who gives a command.
    fn team(&self, context: &Context) -> Result<Option<Team>, Report> {
        let file = match (&self.agents, DataDir::find(context.place.data.as_deref())) {
            (Some(file), _) => Some(file.clone()),
            (None, Ok(data)) => data.agents_file()?,
            (None, Err(_)) => None,
        };
        Ok(file.map(|file| Team::load(&file)).transpose()?)
    }
}

fn list(context: &Context) -> Result<ExitCode, Report> {
    let list: AgentList = context
        .place
        .with_server(None, |api| Ok(api.get(&["v1", "agents"], &[])?))?;
    context.output.many(&list, &list.agents, |agents| {
        let mut table = Table::new(["AGENT", "STATE", "CAN DO", "HOLDS", "SILENT FOR"]);
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
            let silent = agent.silent_ms.map(|millis| format!("{} s", millis / 1000));
            table.row([
                agent.name.clone(),
                agent.verdict.clone(),
                agent.capabilities.join(", "),
                holds,
                silent.unwrap_or_default(),
            ]);
        }
        table
    })?;
    Ok(ExitCode::Ok)
}
