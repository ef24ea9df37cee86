//! A directory of its own for each test, and the binary run in it.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// An empty directory that commands run in.
pub(crate) struct Project {
    directory: TempDir,
}

/// A command that has not ended yet; killed if the test ends first.
pub(crate) struct Running {
    child: Child,
    stdout: Option<BufReader<std::process::ChildStdout>>,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Project {
    /// Nothing in it.
    pub(crate) fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// As `phisync init` leaves it.
    pub(crate) fn initialised() -> Self {
        let project = Self::empty();
        let output = project.output(&["init"], "");
        assert!(output.status.success(), "init failed: {output:?}");
        project
    }

    /// Where a file of it is.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Writes a file.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        let parent = path.parent().expect("a file lies in a directory");
        std::fs::create_dir_all(parent).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    /// The binary in this directory, with nothing of the environment but the way to programs.
    fn command(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_phisync"), arguments)
    }

    fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for kept in ["PATH", "SYSTEMROOT", "TEMP", "TMP"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command
    }

    /// Starts the binary without waiting for its end.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Self::running(self.command(arguments))
    }

    /// Starts a shell that runs `script`, in which `$0` is the binary.
    #[cfg(unix)]
    pub(crate) fn start_shell(&self, script: &str) -> Running {
        let binary = env!("CARGO_BIN_EXE_phisync");
        Self::running(self.program("sh", &["-c", script, binary]))
    }

    fn running(mut command: Command) -> Running {
        let mut child = command.spawn().expect("the program starts");
        drop(child.stdin.take());
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        Running {
            child,
            stdout: Some(BufReader::new(stdout)),
            stderr: BufReader::new(stderr),
        }
    }

    /// Runs the binary with `input` on stdin.
    pub(crate) fn output(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A command that fails early does not read what it is given.
        match stdin.write_all(input.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                unreachable!("stdin: {error}")
            }
            _ => drop(stdin),
        }
        child.wait_with_output().expect("the binary ends")
    }

    /// Runs the binary and words everything it said.
    pub(crate) fn transcript(&self, arguments: &[&str]) -> String {
        self.transcript_with(arguments, "")
    }

    /// As [`Self::transcript`], with `input` on stdin.
    pub(crate) fn transcript_with(&self, arguments: &[&str], input: &str) -> String {
        let output = self.output(arguments, input);
        let mut text = String::from("$ phisync");
        for argument in arguments {
            let argument = argument.replace(&examples(), "EXAMPLES");
            write!(text, " {argument}").expect("a string takes everything");
        }
        text.push('\n');
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let said = String::from_utf8_lossy(bytes);
            if !said.is_empty() {
                let said = said.replace(&examples(), "EXAMPLES");
                write!(text, "--- {name}\n{said}").expect("a string takes everything");
            }
        }
        let code = code(output.status);
        write!(text, "--- exit {code}").expect("a string takes everything");
        text
    }

    /// Runs the binary with `-o json`, which must succeed, and reads what it answers.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        let output = self.output(&arguments, "");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    }
}

impl Running {
    /// The next line of stdout.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().expect("stdout is open");
        stdout.read_line(&mut line).expect("stdout is text");
        line.trim_end().to_owned()
    }

    /// Reads stderr up to a line that contains `words`.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.stderr.read_line(&mut line).expect("stderr is text");
            assert!(read > 0, "stderr ended before `{words}`");
            if line.contains(words) {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Waits for the end: exit code and the rest of stdout and stderr.
    pub(crate) fn end(mut self) -> (i32, String, String) {
        let mut text = String::new();
        let mut stdout = self.stdout.take().expect("stdout is open");
        stdout.read_to_string(&mut text).expect("stdout is text");
        let (code, stderr) = self.finish();
        (code, text, stderr)
    }

    /// Stops reading stdout, then waits for the end: exit code and the rest of stderr.
    pub(crate) fn end_unread(mut self) -> (i32, String) {
        drop(self.stdout.take());
        self.finish()
    }

    fn finish(&mut self) -> (i32, String) {
        let mut stderr = String::new();
        let read = self.stderr.read_to_string(&mut stderr);
        read.expect("stderr is text");
        let status = self.child.wait().expect("it ends");
        (code(status), stderr)
    }

    /// Sends a signal by name, as `kill` does.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.expect("kill starts").success(), "no {name} for {id}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and that is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The directory of the examples.
pub(crate) fn examples() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let root = root.expect("a package lies in the workspace");
    root.join("examples").display().to_string()
}

/// Masks the sequence numbers and times of a transition log: agents that come and go take sequence
/// numbers at any time.
pub(crate) fn masked(text: &str) -> String {
    let mask = |line: &str| match line.get(..17) {
        Some(start) if is_log_line(start) => format!("     .          .{}", &line[17..]),
        _ => line.to_owned(),
    };
    let lines: Vec<String> = text.lines().map(mask).collect();
    lines.join("\n")
}

/// Whether a line begins with a sequence number and seconds with three decimals.
fn is_log_line(start: &str) -> bool {
    let mut words = start.split_whitespace();
    let number = words.next().is_some_and(|word| word.parse::<u64>().is_ok());
    let seconds = words.next().and_then(|word| word.split_once('.'));
    number && seconds.is_some_and(|(_, decimals)| decimals.len() == 3)
}

fn code(status: ExitStatus) -> i32 {
    status.code().expect("it was not killed")
}
