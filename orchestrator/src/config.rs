//! `phisync.toml`: what a project sets once, so that nobody types it each time.
//!
//! It stands beside `.phisync/`. A flag wins over the environment, that over this file, and that
//! over the default. Every key has a reader: an unknown one is an error.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use phisync::runtime::SnapshotPolicy;
use serde::Deserialize;

use crate::cli::{DurabilityMode, plain};

/// The file's name.
pub(crate) const FILE_NAME: &str = "phisync.toml";

/// A project's settings.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The team, relative to the file. Without it: `agents.yaml` beside the file, if there is one.
    pub(crate) agents: Option<PathBuf>,
    /// What `phisync serve` does.
    #[serde(default)]
    pub(crate) serve: Serve,
    /// When snapshots are taken, and what is kept.
    #[serde(default)]
    pub(crate) snapshots: Snapshots,
}

/// The section `[serve]`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Serve {
    /// Where it listens.
    pub(crate) listen: Option<SocketAddr>,
    /// What its answers survive.
    pub(crate) durability: Option<DurabilityMode>,
    /// Seconds after which an answer that the disk does not confirm is told as unknown.
    pub(crate) answer_within_seconds: Option<u32>,
    /// The working trees that transactions may change, by name, relative to the file.
    #[serde(default)]
    pub(crate) roots: BTreeMap<String, PathBuf>,
}

/// The section `[snapshots]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snapshots {
    /// Minutes after which a server takes the next one, if anything happened.
    pub(crate) every_minutes: Option<u32>,
    /// Records after which it does so earlier.
    pub(crate) records: Option<u64>,
    /// How many are kept, at least two.
    pub(crate) keep: Option<u32>,
    /// Closed runs move into an archive when so many wait, or after a day.
    pub(crate) archive_from: Option<u32>,
    /// Days after which archived runs are dropped.
    pub(crate) closed_days: Option<u32>,
    /// The most archived runs that are kept.
    pub(crate) closed_runs: Option<u64>,
}

impl Snapshots {
    /// These settings, and the defaults for the rest.
    pub(crate) fn policy(self) -> SnapshotPolicy {
        let mut policy = SnapshotPolicy::default();
        if let Some(minutes) = self.every_minutes {
            policy.every = Duration::from_secs(60 * u64::from(minutes));
        }
        policy.records = self.records.unwrap_or(policy.records);
        let keeping = &mut policy.keeping;
        keeping.snapshots = self.keep.map_or(keeping.snapshots, |keep| keep as usize);
        let archive_from = self.archive_from.map(|count| count as usize);
        keeping.archive_from = archive_from.unwrap_or(keeping.archive_from);
        if let Some(days) = self.closed_days {
            keeping.closed_age = Duration::from_secs(86_400 * u64::from(days));
        }
        keeping.closed_count = self.closed_runs.unwrap_or(keeping.closed_count);
        policy
    }
}

/// Why the settings are unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It is there and cannot be read.
    #[error("cannot read `{}`: {}", path.display(), plain(cause))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
    /// It is no settings file.
    #[error("`{}` is wrong: {}", path.display(), cause.to_string().trim_end())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where and what.
        cause: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads `phisync.toml` in `project`; no file means no settings. Paths come back joined to
    /// `project`.
    ///
    /// # Errors
    /// When the file is there but cannot be read or understood.
    pub(crate) fn load(project: &Path) -> Result<Self, ConfigError> {
        let path = project.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(ConfigError::Unreadable { path, cause }),
        };
        let mut config: Self = toml::from_str(&text).map_err(|cause| ConfigError::Wrong {
            path,
            cause: Box::new(cause),
        })?;
        config.agents = config.agents.map(|agents| project.join(agents));
        for path in config.serve.roots.values_mut() {
            *path = project.join(&*path);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn paths_are_relative_to_the_file() {
        let project = tempfile::tempdir().expect("a directory");
        let text = "agents = \"team/agents.yaml\"\n[serve]\nlisten = \"127.0.0.1:7070\"\n";
        std::fs::write(project.path().join(super::FILE_NAME), text).expect("written");
        let config = Config::load(project.path()).expect("settings");
        assert_eq!(config.agents, Some(project.path().join("team/agents.yaml")));
        assert_eq!(config.serve.listen, Some(([127, 0, 0, 1], 7070).into()));
    }

    #[test]
    fn no_file_means_no_settings_and_an_unknown_key_is_an_error() {
        let project = tempfile::tempdir().expect("a directory");
        assert_eq!(
            Config::load(project.path()).expect("none"),
            Config::default()
        );
        std::fs::write(project.path().join(super::FILE_NAME), "agnets = \"x\"\n").expect("written");
        let error = Config::load(project.path())
            .expect_err("refused")
            .to_string();
        assert!(error.contains("agnets"), "{error}");
    }
}
