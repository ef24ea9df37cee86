//! A server in a process of its own, so that its CPU time and memory are its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use phisync_state::env::{Disk as _, OsDisk};
use serde::Deserialize;

use super::{BenchError, journal_dir};

/// The kernel counts CPU time in these for every program.
const TICKS_PER_S: f64 = 100.0;

/// A running `phisync serve`; dropping it kills it.
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
    data: PathBuf,
    admin: String,
}

#[derive(Deserialize)]
struct Ready {
    url: String,
}

impl Server {
    /// Starts one in `site` with this team and waits until it says that it is ready.
    pub(super) fn start(program: &Path, site: &Path, team: &str) -> Result<Self, BenchError> {
        let (data, agents) = (site.join("data"), site.join("agents.yaml"));
        std::fs::write(&agents, team).map_err(BenchError::system("write the team"))?;
        // Made here, for its owner alone, so that the server has nothing to say about it.
        match OsDisk.make_dir(&data) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.map_err(BenchError::system("create the data directory"))?,
        }
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn"])
            .arg("--data")
            .arg(&data)
            .arg("--agents")
            .arg(&agents)
            .current_dir(site)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BenchError::system("start the server"))?;
        let address = first_line(&mut child).and_then(|line| address_in(&line));
        let mut server = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: String::new(),
            data,
        };
        server.address = address?;
        let token = std::fs::read_to_string(server.data.join("admin.token"));
        let token = token.map_err(BenchError::system("read the owner's token"))?;
        token.trim().clone_into(&mut server.admin);
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The owner's token.
    pub(super) fn admin(&self) -> &str {
        &self.admin
    }

    /// The directory of its journal.
    pub(super) fn journal(&self) -> PathBuf {
        journal_dir(&self.data)
    }

    /// What it has used so far.
    pub(super) fn usage(&self) -> Usage {
        Usage::of(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = killed {
            tracing::warn!(%error, "the server of the bench was not killed");
        }
    }
}

fn first_line(child: &mut Child) -> Result<String, BenchError> {
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let read = BufReader::new(stdout).read_line(&mut line);
        read.map_err(BenchError::system("read what the server says"))?;
    }
    Ok(line)
}

fn address_in(line: &str) -> Result<SocketAddr, BenchError> {
    let unclear = || BenchError::NotReady(format!("it said `{}`", line.trim()));
    let ready: Ready = serde_json::from_str(line).map_err(|_| unclear())?;
    let address = ready
        .url
        .strip_prefix("http://")
        .and_then(|a| a.parse().ok());
    address.ok_or_else(unclear)
}

/// CPU time and memory of a process, where the system tells them as files (Linux).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// User and system time of all its threads, in seconds, in steps of a hundredth.
    pub(super) cpu_s: Option<f64>,
    /// The memory it has, in MiB.
    pub(super) resident_mib: Option<f64>,
    /// The most memory it had at once, in MiB.
    pub(super) peak_mib: Option<f64>,
}

impl Usage {
    /// Of this process.
    pub(super) fn ours() -> Self {
        Self::of("self")
    }

    fn of(process: &str) -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}"));
        let (stat, status) = (read("stat").ok(), read("status").ok());
        Self {
            cpu_s: stat.as_deref().and_then(cpu_seconds),
            resident_mib: status.as_deref().and_then(|status| mib(status, "VmRSS:")),
            peak_mib: status.as_deref().and_then(|status| mib(status, "VmHWM:")),
        }
    }

    /// CPU time since `earlier`, in seconds.
    pub(super) fn cpu_since(&self, earlier: &Self) -> Option<f64> {
        Some(self.cpu_s? - earlier.cpu_s?)
    }
}

/// Fields 14 and 15, counted behind the name in parentheses, which may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_S)
}

fn mib(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::{address_in, cpu_seconds, mib};

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 5 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("nothing"), None);
    }

    #[test]
    fn memory_is_read_in_mib() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!(mib(status, "VmHWM:"), Some(2.0));
        assert_eq!(mib(status, "VmRSS:"), Some(1.0));
        assert_eq!(mib("Name:\tx\n", "VmRSS:"), None);
    }

    #[test]
    fn a_server_that_says_anything_else_is_not_ready() {
        let ready = r#"{"event":"ready","url":"http://127.0.0.1:4242","pid":1,"head_seq":0}"#;
        let address = address_in(ready).expect("an address");
        assert_eq!(address.port(), 4242);
        assert!(address_in("error: no").is_err());
    }
}
