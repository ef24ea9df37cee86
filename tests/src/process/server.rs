//! `phisync serve` as a process.

use std::net::SocketAddr;

use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::child::{Child, Finished};
use super::http::Http;
use super::project::Project;

/// A server that is ready. Killed when this goes.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// Where it answers.
    pub url: String,
    /// What it printed when it was ready.
    pub ready: Value,
}

impl Server {
    /// Serves `project` at an address that the system picks.
    #[must_use]
    pub fn start(project: &Project) -> Self {
        Self::listen(project, "127.0.0.1:0")
    }

    /// Serves `project` where this server answers, so that its clients find the next one.
    ///
    /// # Panics
    /// When this server still runs, or its address was taken since.
    #[must_use]
    pub fn again(project: &Project, address: SocketAddr) -> Self {
        Self::listen(project, &address.to_string())
    }

    /// Serves `project` after a shell did `first`, which may take something away from the process.
    #[must_use]
    pub fn under(first: &str, project: &Project) -> Self {
        let script = format!("{first}; exec \"$0\" serve --listen 127.0.0.1:0");
        Self::of(Child::start(project.shell(&script), b""))
    }

    fn listen(project: &Project, address: &str) -> Self {
        Self::of(project.start(&["serve", "--listen", address]))
    }

    fn of(process: Child) -> Self {
        let line = process.stdout_line(|_| true);
        let ready: Value = serde_json::from_str(&line).expect("the ready line is JSON");
        assert_eq!(ready["event"], "ready", "{line}");
        let url = ready["url"].as_str().expect("a URL").to_owned();
        Self {
            process,
            url,
            ready,
        }
    }

    /// Its address.
    ///
    /// # Panics
    /// When its URL holds none.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let address = self.url.trim_start_matches("http://").parse();
        address.expect("the URL of a server is made of its address")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// A client with the owner's token.
    #[must_use]
    pub fn owner(&self, project: &Project) -> Http {
        Http::new(&self.url, &project.admin_token())
    }

    /// `kill -9`, and the end of it.
    pub fn kill(mut self) {
        self.process.signal(Signal::KILL);
        let finished = self.process.finish();
        assert_eq!(finished.signal, Some(Signal::KILL.as_raw()));
    }

    /// SIGTERM.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits for its end.
    #[must_use]
    pub fn finish(self) -> Finished {
        self.process.finish()
    }

    /// SIGTERM, and the end that must follow.
    ///
    /// # Panics
    /// When it does not end in order.
    pub fn stop(mut self) {
        self.terminate();
        let finished = self.finish();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    }
}
