//! The agents of one `exec`: a worker for each, and their end.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use phisync_agents::client::{CallError, Client};
use phisync_agents::registry::AgentSpec;
use phisync_agents::worker::{
    Nudge, OutputLimits, Screen, StdinForm, StopFlag, Worker, WorkerConfig, WorkerError,
    WorkerSummary,
};
use phisync_state::env::{OsClock, OsEntropy};
use phisync_workflows::Machine;
use phisync_workflows::machine::{Assign, Compensate, StepKind};

use super::exit_code::ExitCode;
use super::report::Report;
use super::team::Team;

/// Agents at work on other threads. Dropping it stops them without waiting.
#[derive(Debug)]
pub(crate) struct Crew {
    stop: StopFlag,
    nudge: Nudge,
    workers: Vec<(String, JoinHandle<Result<WorkerSummary, WorkerError>>)>,
}

/// A server that workers talk to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Employer<'a> {
    /// Its address.
    pub(crate) url: &'a str,
    /// The owner's token.
    pub(crate) token: &'a str,
}

/// Called with words when an agent cannot work.
pub(crate) type OnFailure = Arc<dyn Fn(&str) + Send + Sync>;

impl Crew {
    /// Puts `agents` to work until [`Self::stop`]. Programs with a path are relative to `base_dir`;
    /// what the commands write to stderr goes to `screen`.
    ///
    /// # Errors
    /// When one cannot even begin; those that had begun stop.
    pub(crate) fn start(
        agents: &[&AgentSpec],
        base_dir: PathBuf,
        employer: Employer<'_>,
        screen: Option<&Screen>,
        on_failure: &OnFailure,
    ) -> Result<Self, Report> {
        let mut crew = Self {
            stop: StopFlag::new(),
            nudge: Nudge::new(),
            workers: Vec::new(),
        };
        for agent in agents {
            let name = agent.name.declared().to_owned();
            let config = WorkerConfig {
                name: name.clone(),
                command: agent.command.clone().unwrap_or_default(),
                base_dir: base_dir.clone(),
                concurrency: agent.concurrency,
                once: false,
                drain: false,
                max_tasks: None,
                stdin: StdinForm::Json,
                limits: OutputLimits::default(),
                capabilities: None,
                screen: screen.map(Arc::clone),
                nudge: crew.nudge.clone(),
                warden: warden(),
            };
            let worker = worker(config, employer)?;
            let (stop, on_failure) = (crew.stop.clone(), Arc::clone(on_failure));
            let work = move || {
                let done = worker.run(&StopFlag::new(), &stop);
                if let Err(error) = &done {
                    on_failure(&chain(error));
                }
                done
            };
            let thread = std::thread::Builder::new().name(format!("agent {name}"));
            let thread = thread.spawn(work).map_err(|cause| {
                Report::new(ExitCode::Stopped, format!("cannot start a thread: {cause}"))
            })?;
            crew.workers.push((name, thread));
        }
        Ok(crew)
    }

    /// Has everybody ask at once whether what they work on is still wanted.
    pub(crate) fn nudge(&self) {
        self.nudge.nudge();
    }

    /// Stops everybody, gives their tasks back, and tells who failed and how.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.stop.request();
        let mut failures = Vec::new();
        for (name, thread) in self.workers.drain(..) {
            match thread.join() {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => failures.push(format!("agent {name}: {}", chain(&error))),
                Err(_) => failures.push(format!("agent {name}: its thread panicked")),
            }
        }
        failures
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.stop.request();
    }
}

/// What starts a warden of this very program; `None` where the system does not say which that is, and
/// work then goes on without.
pub(crate) fn warden() -> Option<Vec<String>> {
    let program = std::env::current_exe().ok()?;
    let program = program.to_str()?.to_owned();
    Some(vec![program, "agent".to_owned(), "warden".to_owned()])
}

/// A worker of `config` that acts as the agent of that name.
///
/// # Errors
/// When its command or its name cannot be used.
pub(crate) fn worker(config: WorkerConfig, employer: Employer<'_>) -> Result<Worker, Report> {
    let client = Client::new(employer.url, employer.token, Some(&config.name))
        .map_err(|error| Report::new(ExitCode::Usage, error))?;
    Ok(Worker::new(
        config,
        client,
        Arc::new(OsClock::new()),
        Box::new(OsEntropy),
    )?)
}

/// The agents of `team` that `machines` may give work to, each with a command.
///
/// # Errors
/// When a step can be done by no agent that has one; names all such steps.
pub(crate) fn needed<'a, 'm>(
    machines: impl Iterator<Item = &'m Machine>,
    team: Option<&'a Team>,
) -> Result<Vec<&'a AgentSpec>, Report> {
    let agents: &[AgentSpec] = team.map_or(&[], |team| &team.registry.agents);
    let mut chosen = BTreeSet::new();
    let mut idle = Vec::new();
    for (step, assign) in machines.flat_map(assignments) {
        let able: Vec<usize> = (0..agents.len())
            .filter(|index| may_do(&agents[*index], assign))
            .filter(|index| agents[*index].command.is_some())
            .collect();
        if able.is_empty() {
            idle.push(format!("step `{step}`: {}", wanted(assign)));
        }
        chosen.extend(able);
    }
    if idle.is_empty() {
        return Ok(chosen.into_iter().map(|index| &agents[index]).collect());
    }
    let mut message = "no agent with a `command` can do all of this workflow".to_owned();
    for words in idle {
        message.push_str("\n  ");
        message.push_str(&words);
    }
    let hint = match team {
        Some(team) => format!(
            "`exec` starts the agents itself: give them a `command` in `{}`, or use `phisync serve` and \
             `phisync run start`",
            team.file.display()
        ),
        None => "declare the agents and their commands in an `agents.yaml` beside the workflow, or name \
                 such a file with `--agents`"
            .to_owned(),
    };
    Err(Report::new(ExitCode::Invalid, message).hint(hint))
}

/// Every piece of work for agents: the steps' tasks, and those that undo them.
fn assignments(machine: &Machine) -> impl Iterator<Item = (&str, &Assign)> {
    machine.steps().iter().flat_map(|step| {
        let own = match &step.kind {
            StepKind::Task(_) => Some(&step.assign),
            _ => None,
        };
        let undo = match &step.compensate {
            Compensate::Task(undo) => Some(&undo.assign),
            Compensate::Absent | Compensate::None | Compensate::Body(_) => None,
        };
        let id = step.id.as_str();
        own.into_iter().chain(undo).map(move |assign| (id, assign))
    })
}

fn may_do(agent: &AgentSpec, assign: &Assign) -> bool {
    let is = |name: &String| agent.name.key().eq_ignore_ascii_case(name);
    assign.agent.as_ref().is_none_or(is)
        && !assign.exclude.iter().any(is)
        && assign
            .capabilities
            .iter()
            .all(|needed| agent.capabilities.contains(needed))
}

fn wanted(assign: &Assign) -> String {
    match (&assign.agent, assign.capabilities.as_slice()) {
        (Some(agent), _) => format!("agent `{agent}`"),
        (None, []) => "any agent".to_owned(),
        (None, capabilities) => format!("an agent that is capable of {}", capabilities.join(", ")),
    }
}

/// What went wrong and why, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        words.push_str(": ");
        words.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    words
}

impl From<WorkerError> for Report {
    fn from(error: WorkerError) -> Self {
        let exit = match &error {
            WorkerError::NoCommand => ExitCode::Usage,
            WorkerError::Program { .. } => ExitCode::NotFound,
            WorkerError::Itself(_) | WorkerError::Thread(_) => ExitCode::Stopped,
            WorkerError::Refused(CallError::Unauthorized(_)) => ExitCode::NotAllowed,
            WorkerError::Refused(CallError::Rejected(problem)) => {
                ExitCode::of_status(problem.status)
            }
            WorkerError::Refused(_) => ExitCode::NoServer,
        };
        Self::new(exit, chain(&error))
    }
}
