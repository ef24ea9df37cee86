//! The declared team: `agents.yaml`.
//!
//! Who exists, what each can do, how many tasks each takes at once; and the people who approve. The
//! file is read whole or refused whole, with the place of the first fault (`parse.rs`). Who is alive
//! stands elsewhere: [`crate::heartbeat`].

mod description;
mod duration;
mod limits;
mod nearest;
mod parse;
mod yaml;

use std::time::Duration;

use crate::AgentName;
use crate::detector::Detector;
use crate::rate::Rate;

pub use description::{BadDescription, Description};

/// Longest silence of an agent that declares none.
pub const SILENCE_DEFAULT: Duration = Duration::from_secs(60);

/// The group of agents that declare none.
pub const POOL_DEFAULT: &str = "default";

/// Everybody declared, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// Those who work.
    pub agents: Vec<AgentSpec>,
    /// Those who decide.
    pub people: Vec<PersonSpec>,
    /// Limits on types of tasks.
    pub types: Vec<TypeSpec>,
}

/// One agent, as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSpec {
    /// Its name.
    pub name: AgentName,
    /// What it can do, sorted.
    pub capabilities: Vec<String>,
    /// The group it belongs to.
    pub pool: String,
    /// How many tasks it may hold, at least 1.
    pub concurrency: u32,
    /// What starts it for one task: program and arguments.
    pub command: Option<Vec<String>>,
    /// The silence after which it counts as dead.
    pub silence: Duration,
    /// How it is found dead.
    pub detector: Detector,
    /// How often it may take a task; `None`: whenever it has room.
    pub rate: Option<Rate>,
}

/// What holds for the tasks of one type, whoever takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSpec {
    /// The type.
    pub name: String,
    /// How many of them may be held at once, at least 1; `None`: any number.
    pub concurrency: Option<u32>,
    /// How often one may be taken.
    pub rate: Option<Rate>,
}

/// One person, as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonSpec {
    /// The name.
    pub name: AgentName,
    /// What approvals ask for, sorted.
    pub roles: Vec<String>,
}

/// Why a file is no registry: the first fault in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {what}")]
pub struct RegistryError {
    /// The file, as people know it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Registry {
    /// Reads the text of an `agents.yaml`; `file_name` is what errors call it.
    ///
    /// # Errors
    /// The first fault: bad YAML, an unknown or repeated key, a value out of its range, a name taken
    /// twice (case is ignored), or a key of the language that this version does not implement.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, RegistryError> {
        parse::registry(file_name, text)
    }

    /// The agent of that name, whatever its case.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&AgentSpec> {
        self.agents
            .iter()
            .find(|agent| agent.name.key().eq_ignore_ascii_case(name))
    }

    /// The person of that name, whatever its case.
    #[must_use]
    pub fn person(&self, name: &str) -> Option<&PersonSpec> {
        self.people
            .iter()
            .find(|person| person.name.key().eq_ignore_ascii_case(name))
    }

    /// The agents that can do all of `capabilities`, in the order of the file.
    pub fn able<'a>(&'a self, capabilities: &'a [String]) -> impl Iterator<Item = &'a AgentSpec> {
        self.agents.iter().filter(move |agent| {
            capabilities
                .iter()
                .all(|needed| agent.capabilities.contains(needed))
        })
    }
}
