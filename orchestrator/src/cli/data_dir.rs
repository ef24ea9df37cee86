//! Which data directory a command means: `--data`, else the nearest `.phisync/` upward, as git does.
//!
//! Finds and reads; the only thing it ever creates is an empty directory for the owner alone.

use std::io;
use std::path::{Path, PathBuf};

use phisync_state::env::{Disk as _, OsDisk};
use serde::Deserialize;

use super::exit_code::ExitCode;
use super::report::{Report, plain};
use crate::cli::config::{Config, ConfigError};
use phisync::coordinator::Settings;

/// The directory's name in a project.
pub(crate) const NAME: &str = ".phisync";

/// The team's file, beside the data directory or beside a workflow.
pub(crate) const AGENTS_FILE: &str = "agents.yaml";

/// A data directory that may or may not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataDir {
    path: PathBuf,
}

/// What a running server says about itself in `server.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Announcement {
    /// Where it answers.
    pub(crate) url: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Which of all servers it is.
    pub(crate) instance: String,
}

/// Why there is no data directory to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    /// Nothing given, nothing found.
    #[error("there is no `.phisync` here or in any directory above")]
    NotFound,
    /// Given, but not there.
    #[error("`{}` is no directory", .0.display())]
    NoDirectory(PathBuf),
    /// It cannot be made.
    #[error("cannot create `{}`: {}", path.display(), plain(cause))]
    Create {
        /// The directory.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
    /// A file in it cannot be read.
    #[error("cannot read `{}`: {}", path.display(), plain(cause))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
}

impl DataDir {
    /// The directory `path`, there or not.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory that was asked for, which must be there; without one, the nearest upward.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(given: Option<&Path>) -> Result<Self, DataDirError> {
        match given {
            Some(path) if path.is_dir() => Ok(Self::at(path)),
            Some(path) => Err(DataDirError::NoDirectory(path.to_owned())),
            None => Self::nearest().ok_or(DataDirError::NotFound),
        }
    }

    /// The directory that was asked for; without one, the nearest upward, or a new one here.
    pub(crate) fn find_or_here(given: Option<&Path>) -> Self {
        match given {
            Some(path) => Self::at(path),
            None => Self::nearest().unwrap_or_else(|| Self::at(NAME)),
        }
    }

    /// The nearest `.phisync` from here upward, as a path relative to here.
    fn nearest() -> Option<Self> {
        let here = std::env::current_dir().ok()?;
        let mut relative = PathBuf::new();
        for directory in here.ancestors() {
            if directory.join(NAME).is_dir() {
                return Some(Self::at(relative.join(NAME)));
            }
            relative.push("..");
        }
        None
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that holds the project's files; the empty path is the current one.
    pub(crate) fn project(&self) -> PathBuf {
        self.path.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Makes it, for the owner alone, if it is not there; whether it had to.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create(&self) -> Result<bool, DataDirError> {
        if self.path.is_dir() {
            return Ok(false);
        }
        let failed = |cause| DataDirError::Create {
            path: self.path.clone(),
            cause,
        };
        std::fs::create_dir_all(self.project()).map_err(failed)?;
        match OsDisk.make_dir(&self.path) {
            Ok(()) => Ok(true),
            // Another command was faster; the store's lock decides who goes on.
            Err(_) if self.path.is_dir() => Ok(false),
            Err(cause) => Err(failed(cause)),
        }
    }

    /// Takes back what [`Self::create`] made, unless something lies in it.
    pub(crate) fn remove_if_empty(&self) {
        if let Err(error) = std::fs::remove_dir(&self.path) {
            tracing::debug!(%error, "the new data directory stays");
        }
    }

    /// The project's settings.
    ///
    /// # Errors
    /// When they are there but cannot be understood.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        Config::load(&self.project())
    }

    /// What the project sets for its workflows.
    ///
    /// # Errors
    /// When the settings cannot be understood.
    pub(crate) fn settings(&self) -> Result<Settings, ConfigError> {
        self.config().map(|config| Settings(config.config))
    }

    /// The project's team: what the settings name, else `agents.yaml` beside the directory, if any.
    ///
    /// # Errors
    /// When the settings cannot be understood.
    pub(crate) fn agents_file(&self) -> Result<Option<PathBuf>, ConfigError> {
        let named = self.config()?.agents;
        let usual = self.project().join(AGENTS_FILE);
        Ok(named.or_else(|| usual.is_file().then_some(usual)))
    }

    /// The working trees that transactions may change: the settings', and `given` over them.
    ///
    /// # Errors
    /// When the settings cannot be understood.
    pub(crate) fn roots(
        &self,
        given: &[(String, PathBuf)],
    ) -> Result<Vec<(String, PathBuf)>, ConfigError> {
        let mut roots = self.config()?.serve.roots;
        for (name, path) in given {
            roots.insert(name.clone(), path.clone());
        }
        Ok(roots.into_iter().collect())
    }

    /// The same for a server of a single command: without settings, the current directory as
    /// `here`, which whoever started the command can change anyway.
    ///
    /// # Errors
    /// When the settings cannot be understood.
    pub(crate) fn own_roots(&self) -> Result<Vec<(String, PathBuf)>, ConfigError> {
        let roots = self.roots(&[])?;
        let inside = |here: &Path| {
            let data = std::fs::canonicalize(&self.path);
            data.is_ok_and(|data| here.starts_with(data))
        };
        match std::env::current_dir().and_then(std::fs::canonicalize) {
            Ok(here) if roots.is_empty() && !inside(&here) => Ok(vec![("here".to_owned(), here)]),
            _ => Ok(roots),
        }
    }

    /// What the last server said; it may be long dead. A file that cannot be understood counts as
    /// none: a server that died while it wrote left it.
    pub(crate) fn announcement(&self) -> Option<Announcement> {
        let text = std::fs::read_to_string(self.path.join("server.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The owner's token.
    ///
    /// # Errors
    /// When it cannot be read: whoever cannot is not the owner.
    pub(crate) fn admin_token(&self) -> Result<String, DataDirError> {
        let path = self.path.join("admin.token");
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(cause) => Err(DataDirError::Unreadable { path, cause }),
        }
    }
}

impl From<DataDirError> for Report {
    fn from(error: DataDirError) -> Self {
        let hint = match &error {
            DataDirError::NotFound => {
                "`phisync init` makes one; `--server` or `PHISYNC_SERVER` names a server elsewhere"
            }
            DataDirError::NoDirectory(_) => "`phisync init` makes a project and its data directory",
            DataDirError::Create { .. } => "`--data` names another place",
            DataDirError::Unreadable { .. } => {
                "only the owner of the data directory may; others set `PHISYNC_TOKEN`"
            }
        };
        let exit = match &error {
            DataDirError::Unreadable { .. } => ExitCode::NotAllowed,
            _ => ExitCode::Unusable,
        };
        Self::new(exit, error).hint(hint)
    }
}

impl From<ConfigError> for Report {
    fn from(error: ConfigError) -> Self {
        let exit = match &error {
            ConfigError::Unreadable { .. } => ExitCode::Unusable,
            ConfigError::Wrong { .. } => ExitCode::Invalid,
        };
        Self::new(exit, error)
    }
}
