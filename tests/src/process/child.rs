//! A process of the binary: what it says line by line, how it ends, and that it ends.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::wait::{PATIENCE, eventually};

/// What a process said and how it ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

impl Finished {
    /// Stdout, of a process that ended with `code`.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[must_use]
    pub fn expect_code(self, code: i32) -> String {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self.stdout
    }
}

/// A running process in a group of its own, which is killed when this goes.
#[derive(Debug)]
pub struct Child {
    inner: std::process::Child,
    stdout: Said,
    stderr: Said,
}

impl Child {
    /// Starts `command`; `stdin` is all that it gets to read.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut command: Command, stdin: &[u8]) -> Self {
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut inner = command.spawn().expect("the binary starts");
        let mut pipe = inner.stdin.take().expect("stdin is piped");
        // A process that reads nothing has closed its end, which is its right.
        pipe.write_all(stdin).ok();
        drop(pipe);
        let stdout = Said::collect(inner.stdout.take().expect("stdout is piped"));
        let stderr = Said::collect(inner.stderr.take().expect("stderr is piped"));
        Self {
            inner,
            stdout,
            stderr,
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.inner)
    }

    /// The first line of stdout that `wanted` takes, once it is there.
    ///
    /// # Panics
    /// When stdout closes without, or after [`PATIENCE`].
    #[must_use]
    pub fn stdout_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        let line = self.stdout.line(wanted);
        line.unwrap_or_else(|said| {
            panic!("not on stdout:\n{said}\nstderr:\n{}", self.stderr.text())
        })
    }

    /// The first line of stderr that `wanted` takes, once it is there.
    ///
    /// # Panics
    /// When stderr closes without, or after [`PATIENCE`].
    #[must_use]
    pub fn stderr_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        let line = self.stderr.line(wanted);
        line.unwrap_or_else(|said| {
            panic!("not on stderr:\n{said}\nstdout:\n{}", self.stdout.text())
        })
    }

    /// Sends `signal` to this process alone.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn signal(&mut self, signal: Signal) {
        let ended = self.inner.try_wait().expect("a child can be asked for");
        assert!(
            ended.is_none(),
            "ended already: {ended:?}\n{}",
            self.stderr.text()
        );
        kill_process(self.pid(), signal).expect("a child of ours can be signalled");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let status = eventually("a process ends", || self.ended());
        Finished {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.inner.try_wait().expect("a child can be asked for")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // The group: what it started without a group of its own goes with it.
            kill_process_group(self.pid(), Signal::KILL).ok();
            self.inner.wait().ok();
        }
    }
}

/// What comes out of a pipe, and whether it has closed.
#[derive(Debug)]
struct Said {
    shared: Arc<(Mutex<Lines>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Lines {
    text: String,
    closed: bool,
}

impl Said {
    fn collect(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Lines::default()), Condvar::new()));
        let filled = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            loop {
                let mut line = Vec::new();
                let read = pipe.read_until(b'\n', &mut line).unwrap_or(0);
                let (lines, changed) = &*filled;
                let mut lines = lines.lock().expect("no reader panics");
                lines.text.push_str(&String::from_utf8_lossy(&line));
                lines.closed = read == 0;
                changed.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self {
            shared,
            reader: Some(reader),
        }
    }

    /// The first line that `wanted` takes; else everything that was said.
    fn line(&self, wanted: impl Fn(&str) -> bool) -> Result<String, String> {
        let (lines, changed) = &*self.shared;
        let lines = lines.lock().expect("no reader panics");
        let found = |lines: &Lines| {
            let whole = lines
                .text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            whole
                .map(str::trim_end)
                .find(|line| wanted(line))
                .map(str::to_owned)
        };
        let (lines, _) = changed
            .wait_timeout_while(lines, PATIENCE, |lines| {
                found(lines).is_none() && !lines.closed
            })
            .expect("no reader panics");
        found(&lines).ok_or_else(|| lines.text.clone())
    }

    fn text(&self) -> String {
        self.shared.0.lock().expect("no reader panics").text.clone()
    }

    /// Everything until the pipe closed.
    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no reader panics");
        }
        self.text()
    }
}
