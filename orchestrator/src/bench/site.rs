//! The directory in which one measurement lives, gone afterwards.

use std::path::{Path, PathBuf};

use super::BenchError;

/// A directory of our own; dropping it removes it with everything in it.
pub(super) struct Site {
    path: PathBuf,
}

impl Site {
    /// Creates one in `dir`, named by this process.
    pub(super) fn create(dir: &Path) -> Result<Self, BenchError> {
        let name = format!("phisync-bench-{}", std::process::id());
        let dir = std::path::absolute(dir).map_err(BenchError::system("find the directory"))?;
        let path = dir.join(name);
        std::fs::create_dir(&path).map_err(BenchError::system("create a directory"))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            let path = self.path.display();
            tracing::warn!(%error, %path, "the directory of the bench was not removed");
        }
    }
}
