//! A project directory of a test's own, and the binary run in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::binary::{BuildPlace, binary};
use super::child::{Child, Finished};

/// The data directory as a command in the project calls it, so that no message depends on the place.
const DATA: &str = ".phisync";

/// A directory with files and, once something ran in it, a data directory. Goes when this goes.
#[derive(Debug)]
pub struct Project {
    root: TempDir,
}

impl Project {
    /// A project with these files, each a path and a text.
    ///
    /// # Panics
    /// When the disk refuses.
    #[must_use]
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        // Beside the build: a real disk, where the system's own place is often memory.
        let place = BuildPlace::of_this_test().target.join("tmp");
        fs::create_dir_all(&place).expect("a place for temporary directories");
        let root = tempfile::Builder::new()
            .prefix("phisync-")
            .tempdir_in(place);
        let project = Self {
            root: root.expect("a temporary directory"),
        };
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    /// The project's directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path(DATA)
    }

    /// Writes a file, and the directories above it.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        let above = path.parent().expect("a file lies in a directory");
        fs::create_dir_all(above).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    /// Writes a script that can be executed.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn write_program(&self, relative: &str, text: &str) {
        self.write(relative, text);
        let mode = Permissions::from_mode(0o755);
        fs::set_permissions(self.path(relative), mode).expect("a mode");
    }

    /// The owner's token; there is one once a server has run.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn admin_token(&self) -> String {
        let token = fs::read_to_string(self.data().join("admin.token"));
        token.expect("the owner's token").trim().to_owned()
    }

    /// `phisync ARGS` in this project, untouched by the environment of the test.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        self.in_here(Command::new(binary()), args)
    }

    /// A shell in this project, for which `$0` is phisync.
    #[must_use]
    pub fn shell(&self, script: &str) -> Command {
        let mut shell = self.in_here(Command::new("sh"), &["-c", script]);
        shell.arg(binary());
        shell
    }

    fn in_here(&self, mut command: Command, args: &[&str]) -> Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PHISYNC_") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(self.root())
            .env("PHISYNC_DATA", DATA)
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C");
        command
    }

    /// Starts `phisync ARGS`.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Child {
        Child::start(self.command(args), b"")
    }

    /// Runs `phisync ARGS` to its end.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Finished {
        self.start(args).finish()
    }
}
