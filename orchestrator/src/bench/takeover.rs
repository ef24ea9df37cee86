//! P10: how long a task stays with a worker that was killed with `kill -9`.
//!
//! Two real workers' sides and a real server: one worker holds a task and is killed, the other agent waits in a long
//! poll. Measured is the time from the kill to the poll's answer. The killed one beats every third of its
//! lease, so its last word lies up to that long before the kill, and the silence counts from there.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use phisync_agents::client::Client;
use phisync_agents::protocol::{CompleteRequest, PollRequest};
use phisync_state::env::{Clock as _, OsClock};
use serde::Serialize;
use serde_json::value::RawValue;

use super::connection::Connection;
use super::process::Server;
use super::site::Site;
use super::{BenchError, Plan};

/// The silence after which an agent is dead.
const SILENCE: Duration = Duration::from_secs(2);

/// What a takeover may take beyond that.
const REST: Duration = Duration::from_secs(1);

/// A round for each second that other figures are measured, and one at least.
const ROUNDS_MAX: u32 = 20;

const TEAM: &str = "phisync: 1\nagents:\n  doomed: { silence: 2s }\n  heir: {}\n";

/// The shortest lease there is; that of a dead agent ends with the verdict, not with itself.
const WORKFLOW: &str = "\
phisync: 1
workflow: takeover
steps:
  - { id: only, task: bench.nothing, assign: { capabilities: [] }, effects: none, timeouts: { lease: 5s, run: 5m } }
";

/// What P10 found.
#[derive(Clone, Debug, Serialize)]
pub struct Takeover {
    /// `P10`.
    pub bench: &'static str,
    /// The longest, in milliseconds.
    pub value: f64,
    /// `ms`.
    pub unit: &'static str,
    /// What it may not exceed.
    pub must: f64,
    /// Each round, in milliseconds from the kill.
    pub rounds_ms: Vec<f64>,
    /// The silence after which the agent is dead, in milliseconds.
    pub silence_ms: f64,
}

impl Takeover {
    /// For people: a few lines, ending with a newline.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("P10  {:.0} ms\n", self.value);
        let rounds: Vec<_> = self.rounds_ms.iter().map(|ms| format!("{ms:.0}")).collect();
        let rows = [
            ("must be", format!("{:.0} ms", self.must)),
            ("rounds", format!("{} ms after the kill", rounds.join(", "))),
            (
                "dead after",
                format!("{:.0} ms of silence", self.silence_ms),
            ),
        ];
        for (name, value) in rows {
            writeln!(text, "    {name:<17} {value}").expect("writing to a string cannot fail");
        }
        text
    }
}

/// Measures P10, one round after the other.
pub(super) fn takeover(plan: &Plan) -> Result<Takeover, BenchError> {
    let site = Site::create(&plan.dir)?;
    let server = Server::start(&plan.program, site.path(), TEAM)?;
    let rounds = plan
        .length
        .as_secs_f64()
        .ceil()
        .clamp(1.0, f64::from(ROUNDS_MAX));
    let mut rounds_ms = Vec::new();
    for round in 0..ROUNDS_MAX {
        if f64::from(round) >= rounds {
            break;
        }
        let took = one(plan, &site, &server, round)?;
        rounds_ms.push(took.as_secs_f64() * 1000.0);
    }
    Ok(Takeover {
        bench: "P10",
        value: rounds_ms.iter().copied().fold(0.0, f64::max),
        unit: "ms",
        must: (SILENCE + REST).as_secs_f64() * 1000.0,
        rounds_ms,
        silence_ms: SILENCE.as_secs_f64() * 1000.0,
    })
}

fn one(plan: &Plan, site: &Site, server: &Server, round: u32) -> Result<Duration, BenchError> {
    let began = site.path().join(format!("began-{round}"));
    let mut doomed = Worker::start(plan, site.path(), &began)?;
    start_run(server, round)?;
    while !began.exists() {
        nap(Duration::from_millis(2));
    }
    let url = format!("http://{}", server.address());
    let heir = Client::new(&url, server.admin(), Some("heir"))
        .map_err(|error| BenchError::NotReady(error.to_string()))?;
    let clock = OsClock::new();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let request = PollRequest {
                wait_s: Some(30.0),
                ..PollRequest::default()
            };
            let tasks = heir.poll(&request);
            (tasks, clock.monotonic())
        });
        // At another point of its rhythm each time.
        nap(Duration::from_millis(100 + 310 * u64::from(round % 6)));
        let killed = clock.monotonic();
        doomed.kill();
        let (tasks, got) = waiting.join().map_err(|_| BenchError::Nothing)?;
        let task = tasks.map_err(BenchError::Heir)?.pop();
        let task = task.ok_or(BenchError::Nothing)?;
        let request = CompleteRequest {
            token: task.token,
            output: RawValue::NULL.to_owned(),
            poll: None,
        };
        heir.complete(&task.id, &request)
            .map_err(BenchError::Heir)?;
        Ok(got.saturating_sub(killed))
    })
}

fn start_run(server: &Server, round: u32) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(BenchError::system("start a runtime"))?;
    let run = serde_json::json!({ "definition": WORKFLOW, "id": format!("t{round}") });
    runtime.block_on(async {
        let mut owner = Connection::open(server.address(), server.admin()).await?;
        owner.post("/v1/runs", &run.to_string()).await?;
        Ok(())
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load generator waits in real time"
)]
fn nap(time: Duration) {
    thread::sleep(time);
}

/// `phisync agent work` with a command that begins and never ends.
struct Worker(Child);

impl Worker {
    fn start(plan: &Plan, site: &Path, began: &Path) -> Result<Self, BenchError> {
        let script = format!("touch '{}'; sleep 600", began.display());
        let child = Command::new(&plan.program)
            .args(["agent", "work", "--as", "doomed", "--quiet", "--data"])
            .arg(site.join("data"))
            .args(["--", "sh", "-c", &script])
            .current_dir(site)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(BenchError::system("start a worker"))?;
        Ok(Self(child))
    }

    /// With SIGKILL, where there is such.
    fn kill(&mut self) {
        let killed = self.0.kill().and_then(|()| self.0.wait());
        if let Err(error) = killed {
            tracing::warn!(%error, "the worker of the bench was not killed");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}
