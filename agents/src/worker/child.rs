//! A task's command at work: what it is given, and what it leaves.
//!
//! The task is on standard input, as JSON or in words, and in a file; the result, and how far the work is, may be
//! put into two others. All live in a directory of this attempt alone, readable by this user alone, which is removed
//! with the value.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::capture::{Capture, Captured, Mirror};
use super::outcome::{Ending, Exit, OutputFile, OutputLimits};
use super::secrets::{SecretError, Secrets};
use crate::protocol::{PROGRESS_BYTES_MAX, Task};
use crate::tree::{Life, Pipes, Tree};

/// How long a stream may stay open after the whole group was killed.
const STREAMS_WITHIN: Duration = Duration::from_secs(2);

/// What a command reads on its standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StdinForm {
    /// The task as JSON.
    #[default]
    Json,
    /// The prompt, then the input and the schema of the result where there are such: for programs that
    /// read instructions.
    Prompt,
}

impl StdinForm {
    fn text(self, task: &Task, json: &[u8]) -> Vec<u8> {
        match self {
            Self::Json => json.to_vec(),
            Self::Prompt => prompt(task).into_bytes(),
        }
    }
}

/// The task in words.
fn prompt(task: &Task) -> String {
    let instructions = task.prompt.as_deref().unwrap_or(&task.task_type);
    let mut text = format!("{}\n", instructions.trim_end());
    if !matches!(task.input.get(), "{}" | "null") {
        text.push_str(&format!("\nInput, as JSON:\n{}\n", task.input));
    }
    if let Some(schema) = &task.output_schema {
        text.push_str(&format!(
            "\nEnd your answer with one line of JSON that satisfies this schema:\n{schema}\n"
        ));
    }
    text
}

/// What to start for each task.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// A started command.
pub(super) struct Worked {
    tree: Tree,
    stdout: Capture,
    stderr: Capture,
    directory: TempDir,
    secrets: Secrets,
    limits: OutputLimits,
}

/// Why no command runs.
#[derive(Debug)]
pub(super) enum StartError {
    /// A secret of the task is not known here.
    Secret(SecretError),
    /// The program cannot be started, now or for any other task.
    Program(io::Error),
    /// This machine is short of something; nothing was started.
    Machine(io::Error),
    /// It was started, and killed again for want of a thread.
    Thread(io::Error),
}

impl Worked {
    /// Starts `program` for `task`; `tell` hears what becomes of it.
    pub(super) fn start(
        program: &Program,
        agent: &str,
        task: &Task,
        stdin_form: StdinForm,
        limits: OutputLimits,
        mirror: Option<Mirror>,
        tell: impl Fn(Life) + Send + 'static,
    ) -> Result<Self, StartError> {
        let mut text =
            serde_json::to_vec(task).map_err(|cause| StartError::Machine(cause.into()))?;
        text.push(b'\n');
        let secrets = Secrets::of(&task.secrets).map_err(StartError::Secret)?;
        let directory = task_directory(&text).map_err(StartError::Machine)?;
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            // It speaks for the worker, and a task is no reason to do that.
            .env_remove("PHISYNC_TOKEN")
            .env("PHISYNC_TASK_ID", &task.id)
            .env("PHISYNC_RUN_ID", &task.run)
            .env("PHISYNC_ATTEMPT", task.attempt.to_string())
            // What it writes under these is refused once the task is not its own any more.
            .env("PHISYNC_AGENT", agent)
            .env("PHISYNC_TASK", format!("{}:{}", task.id, task.token))
            .env("PHISYNC_TASK_TOKEN", task.token.to_string())
            .env("PHISYNC_TASK_FILE", task_file(directory.path()))
            .env("PHISYNC_OUTPUT_FILE", output_file(directory.path()))
            .env("PHISYNC_PROGRESS_FILE", progress_file(directory.path()));
        secrets.hand_to(&mut command);
        let mirror = mirror.map(|mirror| mirror.without(secrets.clone()));
        let (tree, pipes) = Tree::spawn(command).map_err(|cause| match cause.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => StartError::Machine(cause),
            _ => StartError::Program(cause),
        })?;
        let Pipes {
            mut stdin,
            stdout,
            stderr,
        } = pipes;
        let stdout =
            Capture::start(stdout, limits.result_bytes, None).map_err(StartError::Thread)?;
        let stderr =
            Capture::start(stderr, limits.stderr_bytes, mirror).map_err(StartError::Thread)?;
        let text = stdin_form.text(task, &text);
        // On a thread of its own, because a child may print a lot before it reads; a child that
        // does not read at all ends the write when it ends.
        let feed = move || {
            stdin.write_all(&text).ok();
        };
        let feeding = thread::Builder::new().name("feed".to_owned()).spawn(feed);
        feeding.map_err(StartError::Thread)?;
        tree.watch(tell).map_err(StartError::Thread)?;
        Ok(Self {
            tree,
            stdout,
            stderr,
            directory,
            secrets,
            limits,
        })
    }

    /// Where the command may say how far it is.
    pub(super) fn progress_file(&self) -> ProgressFile {
        ProgressFile {
            path: progress_file(self.directory.path()),
            secrets: self.secrets.clone(),
        }
    }

    /// The number of the command's process.
    pub(super) fn leader(&self) -> u32 {
        self.tree.leader()
    }

    /// Kills the command and everything it started; its end is told as any other.
    pub(super) fn kill(&self) {
        self.tree.kill();
    }

    /// Collects a command that ended, and kills what it left running.
    pub(super) fn collect(self) -> Ending {
        let exit = self.tree.collect().map_or(Exit::Unknown, exit);
        let masked = |captured: Captured| Captured {
            bytes: self.secrets.mask(captured.bytes),
            ..captured
        };
        let path = output_file(self.directory.path());
        let file = match read_output(&path, self.limits.result_bytes) {
            OutputFile::Bytes(bytes) => OutputFile::Bytes(self.secrets.mask(bytes)),
            other => other,
        };
        Ending {
            exit,
            file,
            stdout: masked(self.stdout.finish(STREAMS_WITHIN)),
            stderr: masked(self.stderr.finish(STREAMS_WITHIN)),
            limits: self.limits,
        }
    }
}

fn task_file(directory: &Path) -> PathBuf {
    directory.join("task.json")
}

fn output_file(directory: &Path) -> PathBuf {
    directory.join("output.json")
}

fn progress_file(directory: &Path) -> PathBuf {
    directory.join("progress.json")
}

/// Where a command says how far it is.
pub(super) struct ProgressFile {
    path: PathBuf,
    secrets: Secrets,
}

impl ProgressFile {
    /// What it says, if that is JSON and not too long. The command may be in the middle of writing it:
    /// the next look is soon enough.
    pub(super) fn read(&self) -> Option<Value> {
        let bytes = read_limited(&self.path, PROGRESS_BYTES_MAX).ok()?;
        let fits = bytes.len() <= PROGRESS_BYTES_MAX;
        fits.then(|| serde_json::from_slice(&self.secrets.mask(bytes)).ok())?
    }
}

/// A directory (0700) with the task file (0600) in it.
fn task_directory(text: &[u8]) -> io::Result<TempDir> {
    let mut private = tempfile::Builder::new();
    private.prefix("phisync-task-");
    #[cfg(unix)]
    private.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let directory = private.tempdir()?;
    let mut file = tempfile::Builder::new().tempfile_in(directory.path())?;
    file.write_all(text)?;
    file.persist_noclobber(task_file(directory.path()))?;
    Ok(directory)
}

fn read_output(path: &Path, limit: usize) -> OutputFile {
    match read_limited(path, limit) {
        Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => OutputFile::Empty,
        Ok(bytes) if bytes.len() > limit => {
            OutputFile::Unreadable(format!("it has more than {limit} bytes"))
        }
        Ok(bytes) => OutputFile::Bytes(bytes),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => OutputFile::Empty,
        Err(cause) => OutputFile::Unreadable(cause.to_string()),
    }
}

fn read_limited(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn exit(status: ExitStatus) -> Exit {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Exit::Signal(signal);
    }
    status.code().map_or(Exit::Unknown, Exit::Code)
}

#[cfg(test)]
mod tests {
    use super::{StdinForm, Task};
    use serde_json::json;

    #[test]
    fn a_task_in_words_is_its_prompt_its_input_and_what_is_wanted() {
        let task =
            |prompt: Option<&str>, input: serde_json::Value, schema: Option<serde_json::Value>| {
                let task = json!({
                    "id": "r.s", "run": "r", "workflow": "w", "step": "s", "attempt": 1, "token": 1,
                    "type": "research", "prompt": prompt, "input": input, "output_schema": schema,
                    "lease_ms": 1, "lease_expires_at": "", "deadline": "", "key": "k",
                });
                let task: Task = serde_json::from_value(task).expect("a task");
                let text = StdinForm::Prompt.text(&task, b"");
                String::from_utf8(text).expect("text")
            };
        assert_eq!(task(Some("Find it.\n\n"), json!({}), None), "Find it.\n");
        assert_eq!(
            task(
                Some("Find it."),
                json!({"what": "otters"}),
                Some(json!({"type": "string"}))
            ),
            "Find it.\n\nInput, as JSON:\n{\"what\":\"otters\"}\n\nEnd your answer with one line of JSON \
             that satisfies this schema:\n{\"type\":\"string\"}\n"
        );
        assert_eq!(task(None, json!(null), None), "research\n");
    }
}
