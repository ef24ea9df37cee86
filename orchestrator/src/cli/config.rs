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
use serde_json::{Map, Value};

use super::{DurabilityMode, plain};

/// The file's name.
pub(crate) const FILE_NAME: &str = "phisync.toml";

/// A project's settings.
#[derive(Debug, Default, PartialEq, Deserialize)]
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
    /// What workflows read as `config`, by their names: `[config.WORKFLOW]`.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Map<String, Value>>,
    /// How much may be asked of a server at once.
    #[serde(default)]
    pub(crate) limits: Limits,
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
    /// Whether an agent changes documents only under a task that it holds.
    #[serde(default)]
    pub(crate) agents_write_under_tasks: bool,
    /// The working trees that transactions may change, by name, relative to the file.
    #[serde(default)]
    pub(crate) roots: BTreeMap<String, PathBuf>,
}

/// The section `[snapshots]`, and the flags of `serve` that win over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
#[command(next_help_heading = "What is kept")]
pub(crate) struct Snapshots {
    /// Take a snapshot after so many minutes, if anything happened [default: 15]
    #[arg(long = "snapshot-every", value_name = "MINUTES")]
    pub(crate) every_minutes: Option<u32>,
    /// And earlier after so many records [default: 100000]
    #[arg(long = "snapshot-records", value_name = "N")]
    pub(crate) records: Option<u64>,
    /// Keep so many snapshots, at least two [default: 10]
    #[arg(long = "snapshot-keep", value_name = "N")]
    pub(crate) keep: Option<u32>,
    /// Move closed runs into an archive when so many wait, or after a day [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) archive_from: Option<u32>,
    /// Drop archived runs after so many days [default: 30]
    #[arg(long, value_name = "DAYS")]
    pub(crate) closed_days: Option<u32>,
    /// Keep at most so many archived runs [default: 1000000]
    #[arg(long, value_name = "N")]
    pub(crate) closed_runs: Option<u64>,
    /// Keep the contents from before a transaction, and versions of documents, for so many days: so long it can
    /// be taken back [default: 30]
    #[arg(long, value_name = "DAYS")]
    pub(crate) revert_days: Option<u32>,
}

impl Snapshots {
    /// These, and those of `other` that are not here.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            every_minutes: self.every_minutes.or(other.every_minutes),
            records: self.records.or(other.records),
            keep: self.keep.or(other.keep),
            archive_from: self.archive_from.or(other.archive_from),
            closed_days: self.closed_days.or(other.closed_days),
            closed_runs: self.closed_runs.or(other.closed_runs),
            revert_days: self.revert_days.or(other.revert_days),
        }
    }

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
        if let Some(days) = self.revert_days {
            policy.pre_images = Duration::from_secs(86_400 * u64::from(days));
        }
        policy
    }
}

/// The section `[limits]`, and the flags of `serve` that win over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
#[command(next_help_heading = "How much at once")]
pub(crate) struct Limits {
    /// Serve so many connections at once; more wait [default: 8192]
    #[arg(long = "connections", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(default, deserialize_with = "at_least_one")]
    pub(crate) connections: Option<u32>,
    /// Let each token but the owner's have so many requests open; more are refused with 429 [default: 256]
    #[arg(long = "requests-per-token", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(default, deserialize_with = "at_least_one")]
    pub(crate) requests_per_token: Option<u32>,
    /// Take so many wrong tokens from one address within a minute; more are refused with 429 [default: 30]
    #[arg(long = "wrong-tokens", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(default, deserialize_with = "at_least_one")]
    pub(crate) wrong_tokens: Option<u32>,
}

impl Limits {
    /// These, and those of `other` that are not here.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            connections: self.connections.or(other.connections),
            requests_per_token: self.requests_per_token.or(other.requests_per_token),
            wrong_tokens: self.wrong_tokens.or(other.wrong_tokens),
        }
    }

    /// These settings, and the defaults for the rest.
    pub(crate) fn bounds(self) -> phisync::api::http::Limits {
        let default = phisync::api::http::Limits::default();
        phisync::api::http::Limits {
            connections: self.connections.unwrap_or(default.connections),
            requests_per_token: self
                .requests_per_token
                .unwrap_or(default.requests_per_token),
            wrong_tokens: self.wrong_tokens.unwrap_or(default.wrong_tokens),
        }
    }
}

/// Nobody could ask a server of nothing at once.
fn at_least_one<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<u32>, D::Error> {
    let number = std::num::NonZeroU32::deserialize(source)?;
    Ok(Some(number.get()))
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
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file: Config =
            toml::from_str("[snapshots]\nkeep = 4\nrevert_days = 3\n").expect("sound");
        let flags = super::Snapshots {
            keep: Some(6),
            ..super::Snapshots::default()
        };
        let policy = flags.or(file.snapshots).policy();
        assert_eq!(policy.keeping.snapshots, 6);
        assert_eq!(policy.pre_images.as_secs(), 3 * 86_400);
        assert_eq!(policy.records, super::SnapshotPolicy::default().records);
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
