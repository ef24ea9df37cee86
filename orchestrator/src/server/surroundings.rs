//! What lies around the data directory: the team, and the working trees that transactions may change.

use std::io;
use std::path::{Path, PathBuf};

use phisync_agents::registry::Registry;
use phisync_state::env::{Disk, read_all};
use phisync_state::transaction::Roots;
use phisync_workflows::{Catalog, CatalogAgent, CatalogPerson};

use super::{ServeOptions, StartError};

/// Agents files are small.
const AGENTS_FILE_BYTES_MAX: u64 = 256 << 10;

/// The team, from the file that was named or the one beside the data directory; nobody without either.
pub(super) fn read_team(disk: &dyn Disk, options: &ServeOptions) -> Result<Registry, StartError> {
    let beside = options.data.parent().unwrap_or(Path::new("."));
    let path = options.agents_file.clone();
    let named = path.is_some();
    let path = path.unwrap_or_else(|| beside.join("agents.yaml"));
    let bytes = match read_all(disk, &path, AGENTS_FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {
            return Ok(Registry::default());
        }
        Err(source) => return Err(StartError::AgentsFile { path, source }),
    };
    let text = String::from_utf8(bytes).map_err(|error| StartError::AgentsFile {
        path: path.clone(),
        source: io::Error::new(io::ErrorKind::InvalidData, error),
    })?;
    Ok(Registry::parse(&path.display().to_string(), &text)?)
}

/// What workflows may name, as the compiler wants it.
pub(super) fn catalog(registry: &Registry) -> Catalog {
    Catalog {
        agents: registry
            .agents
            .iter()
            .map(|agent| CatalogAgent {
                name: agent.name.declared().to_owned(),
                capabilities: agent.capabilities.clone(),
                pool: agent.pool.clone(),
                concurrency: agent.concurrency,
            })
            .collect(),
        workflows: None,
        people: registry
            .people
            .iter()
            .map(|person| CatalogPerson {
                name: person.name.declared().to_owned(),
                roles: person.roles.clone(),
            })
            .collect(),
    }
}

/// The declared working trees, where they really lie.
pub(super) fn declare(declared: &[(String, PathBuf)], data: &Path) -> Result<Roots, StartError> {
    let mut roots = Roots::new();
    let system = |what| move |source| StartError::System { what, source };
    let data = std::fs::canonicalize(data).map_err(system("find the data directory"))?;
    for (name, path) in declared {
        let real = std::fs::canonicalize(path).map_err(|source| StartError::Root {
            path: path.clone(),
            source,
        })?;
        roots.declare(name, &real, &data)?;
    }
    Ok(roots)
}
