//! Where things lie in a data directory.

use std::path::{Path, PathBuf};

/// The files of one data directory that the server itself keeps.
#[derive(Clone, Debug)]
pub struct DataPaths {
    root: PathBuf,
}

impl DataPaths {
    /// Of this directory.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a running server says how to reach it.
    #[must_use]
    pub fn server_json(&self) -> PathBuf {
        self.root.join("server.json")
    }

    /// The owner's token.
    #[must_use]
    pub fn admin_token(&self) -> PathBuf {
        self.root.join("admin.token")
    }

    /// Hashes of everybody else's.
    #[must_use]
    pub fn tokens_json(&self) -> PathBuf {
        self.root.join("tokens.json")
    }

    /// Readable copies of registered definitions.
    #[must_use]
    pub fn definitions(&self) -> PathBuf {
        self.root.join("definitions")
    }
}
