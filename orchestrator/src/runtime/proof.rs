//! Looks at the files that prove an agent's work, below the project's folder and nowhere else: no link
//! is followed, and the data directory is out of reach.
//!
//! What is found is true of the moment of looking. Whoever changes a file between that and the
//! decision is not noticed.

use std::io;
use std::path::{Path, PathBuf};

use phisync_state::env::{Found, OsDisk, Trees as _};
use phisync_state::transaction::{Digest, TreePath};

use crate::coordinator::Refusal;
use crate::engine::{Finding, FoundFile};

use super::transactions::blocking;

/// The largest file that can be a proof.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// See the module.
#[derive(Clone, Debug)]
pub struct Prover {
    project: PathBuf,
    data: PathBuf,
}

impl Prover {
    pub(crate) fn new(project: &Path, data: &Path) -> Self {
        Self {
            project: project.to_owned(),
            data: data.to_owned(),
        }
    }

    /// What stands at these paths, on a thread that may wait for the disk.
    ///
    /// # Errors
    /// The server is stopping.
    pub(crate) async fn look(&self, paths: Vec<String>) -> Result<Vec<FoundFile>, Refusal> {
        let this = self.clone();
        blocking(move || {
            let found = paths.into_iter().map(|path| FoundFile {
                finding: this.finding(&path),
                path,
            });
            found.collect()
        })
        .await
    }

    fn finding(&self, path: &str) -> Finding {
        let below = match TreePath::new(path) {
            Ok(below) => below,
            Err(error) => return Finding::Unusable(error.to_string()),
        };
        let whole = self.project.join(below.as_str());
        if whole.starts_with(&self.data) {
            return Finding::Unusable("it lies in the data directory".to_owned());
        }
        match self.read(&below) {
            Ok(finding) => finding,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Finding::Absent,
            Err(error) => Finding::Unusable(format!("it cannot be read: {error}")),
        }
    }

    fn read(&self, path: &TreePath) -> io::Result<Finding> {
        let tree = OsDisk.open_tree(&self.project)?;
        Ok(match tree.look(path)? {
            None => Finding::Absent,
            Some(Found::File) => {
                let content = tree.read(path, FILE_BYTES_MAX)?;
                Finding::File(Digest::of(&content.bytes).to_string())
            }
            Some(Found::Directory | Found::Other) => {
                Finding::Unusable("it is not a regular file".to_owned())
            }
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::{Finding, Prover};

    #[test]
    fn only_files_of_the_project_are_looked_at_and_no_link_is_followed() {
        let root = tempfile::tempdir().expect("a directory");
        let project = root.path().join("project");
        let data = project.join(".phisync");
        std::fs::create_dir_all(&data).expect("a directory");
        for (path, text) in [
            ("outside", "secret"),
            ("project/report.md", "done"),
            ("project/.phisync/admin.token", "secret"),
        ] {
            std::fs::write(root.path().join(path), text).expect("a file");
        }
        std::os::unix::fs::symlink("../outside", project.join("link")).expect("a link");
        std::os::unix::fs::symlink("..", project.join("up")).expect("a link");
        let prover = Prover::new(&project, &data);
        let digest = "6b4fa6be4108c3ea05b2f4d7a9a0a1f0";
        assert!(matches!(prover.finding("report.md"), Finding::File(found) if found != digest));
        assert_eq!(prover.finding("absent.md"), Finding::Absent);
        assert_eq!(prover.finding("nowhere/absent.md"), Finding::Absent);
        for path in [
            "link",
            "up/outside",
            "../outside",
            "/etc/passwd",
            ".phisync/admin.token",
            ".phisync",
            "",
        ] {
            let finding = prover.finding(path);
            assert!(
                matches!(finding, Finding::Unusable(_)),
                "{path}: {finding:?}"
            );
        }
    }
}
