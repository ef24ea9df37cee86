//! The team that a workflow runs with: an `agents.yaml`, and where it was found.

use std::io;
use std::path::{Path, PathBuf};

use phisync_agents::registry::{Registry, RegistryError};
use phisync_workflows::{Catalog, CatalogAgent, CatalogPerson};

use super::connection::Place;
use super::data_dir::{AGENTS_FILE, DataDir};
use super::exit_code::ExitCode;
use super::report::{Report, plain};

/// A declared team.
#[derive(Debug)]
pub(crate) struct Team {
    /// Its file.
    pub(crate) file: PathBuf,
    /// What the file says.
    pub(crate) registry: Registry,
}

/// Why there is no team.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TeamError {
    /// The file cannot be read.
    #[error("cannot read the agents file `{}`: {}", path.display(), plain(cause))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
    /// The file declares no team.
    #[error(transparent)]
    Wrong(#[from] RegistryError),
}

impl Team {
    /// Reads the team in `file`.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub(crate) fn load(file: &Path) -> Result<Self, TeamError> {
        let text = std::fs::read_to_string(file).map_err(|cause| TeamError::Unreadable {
            path: file.to_owned(),
            cause,
        })?;
        Ok(Self {
            registry: Registry::parse(&file.display().to_string(), &text)?,
            file: file.to_owned(),
        })
    }

    /// The team for the workflow in `workflow`: the one given, else `agents.yaml` beside the workflow,
    /// else the project's; none is possible.
    ///
    /// # Errors
    /// When the one found cannot be read or understood.
    pub(crate) fn for_workflow(
        given: Option<&Path>,
        workflow: &Path,
        place: &Place,
    ) -> Result<Option<Self>, Report> {
        let beside = workflow.with_file_name(AGENTS_FILE);
        let file = match given {
            Some(file) => Some(file.to_owned()),
            None if beside.is_file() => Some(beside),
            None => match DataDir::find(place.data.as_deref()) {
                Ok(data) => data.agents_file()?,
                // Without a project there is no team of one; a workflow can be looked at all the same.
                Err(_) => None,
            },
        };
        Ok(file.map(|file| Self::load(&file)).transpose()?)
    }

    /// What the compiler needs to know of it.
    pub(crate) fn catalog(&self) -> Catalog {
        let agents = self.registry.agents.iter().map(|agent| CatalogAgent {
            name: agent.name.declared().to_owned(),
            capabilities: agent.capabilities.clone(),
            pool: agent.pool.clone(),
            concurrency: agent.concurrency,
        });
        let people = self.registry.people.iter().map(|person| CatalogPerson {
            name: person.name.declared().to_owned(),
            roles: person.roles.clone(),
        });
        Catalog {
            agents: agents.collect(),
            people: people.collect(),
            workflows: None,
        }
    }

    /// The directory that programs in it are relative to.
    pub(crate) fn base_dir(&self) -> PathBuf {
        match self.file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        }
    }
}

impl From<TeamError> for Report {
    fn from(error: TeamError) -> Self {
        match error {
            TeamError::Unreadable { ref cause, .. } => {
                let exit = match cause.kind() {
                    io::ErrorKind::NotFound => ExitCode::NotFound,
                    _ => ExitCode::Unusable,
                };
                Self::new(exit, error)
            }
            TeamError::Wrong(wrong) => {
                let message = wrong.to_string();
                Self::new(ExitCode::Invalid, message).maybe_hint(wrong.hint)
            }
        }
    }
}
