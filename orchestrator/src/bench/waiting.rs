//! P7: thousands of agents that wait for work, the time from a start to the task in an agent's hands, and a
//! normal client beside sockets that are slow on purpose.
//!
//! All callers are tasks of one thread here. Starts come at a fixed rate whatever the server does: who is late
//! because an answer was late counts from when it should have begun. The time is counted from the request that
//! makes the task ready, so it holds the way of that request as well.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use phisync_state::env::{Clock as _, OsClock, raise_open_files};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use super::connection::{CallError, Connection};
use super::load::pass;
use super::process::{Server, Usage};
use super::site::Site;
use super::{BenchError, Plan, agent_name, team, warm_up};

/// 99 of 100 tasks must be in hand within so many milliseconds.
const IN_HAND_MUST_MS: f64 = 10.0;

/// The server must not need more, in MiB.
const MEMORY_MUST_MIB: f64 = 150.0;

/// 99 of 100 answers to a normal client beside slow sockets must come within so many milliseconds.
const BESIDE_SLOW_MUST_MS: f64 = 250.0;

/// Who starts runs; each has a connection.
const STARTERS: u32 = 32;

/// Open files besides the sockets of agents.
const FILES_BESIDE: u64 = 1000;

/// How long an agent waits for a task in one request.
const WAIT: &str = r#"{"wait_s":50}"#;

/// Between two bytes of a slow socket.
const DRIBBLE: Duration = Duration::from_millis(500);

const WORKFLOW: &str = "\
phisync: 1
workflow: one-step
version: \"1.0.0\"
steps:
  - { id: one, task: bench.nothing, assign: { capabilities: [nothing] }, effects: none }
";

/// How many of each there are.
#[derive(Clone, Copy, Debug)]
struct Scale {
    agents: u32,
    tasks_per_s: u32,
    slow: u32,
}

impl Scale {
    /// The full size from a second on; less shows that it works, not how fast.
    fn of(length: Duration) -> Self {
        let (agents, tasks_per_s, slow) = if length < Duration::from_secs(1) {
            (100, 100, 20)
        } else {
            (5_000, 1_000, 500)
        };
        Self {
            agents,
            tasks_per_s,
            slow,
        }
    }
}

/// Times of one kind.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// How many were taken.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// 99 of 100 were no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Result<Self, BenchError> {
        times.sort_unstable();
        let last = times.len().checked_sub(1).ok_or(BenchError::Nothing)?;
        let at = |index: usize| {
            let time = times.get(index).copied().unwrap_or_default();
            time.as_secs_f64() * 1000.0
        };
        Ok(Self {
            count: times.len() as u64,
            p50_ms: at(last / 2),
            p99_ms: at(last * 99 / 100),
            max_ms: at(last),
        })
    }
}

/// What P7 found.
#[derive(Clone, Debug, Serialize)]
pub struct Waiting {
    /// `P7`.
    pub bench: &'static str,
    /// Of 100 tasks 99 were in hand within so many milliseconds of the request that made them ready.
    pub value: f64,
    /// `ms`.
    pub unit: &'static str,
    /// What that may be at most.
    pub must: f64,
    /// Agents that waited, each with a connection.
    pub agents: u32,
    /// Runs that were to be started a second, of one task each.
    pub wanted_per_s: u32,
    /// How many tasks came into hands a second.
    pub tasks_per_s: f64,
    /// From the request of the start to the task in an agent's hands.
    pub in_hand: Times,
    /// The server's memory once all were waiting, in MiB.
    pub waiting_mib: Option<f64>,
    /// The most that it had at all.
    pub peak_mib: Option<f64>,
    /// What that may be at most.
    pub must_mib: f64,
    /// CPU time of the server for each task, in microseconds.
    pub cpu_us_per_task: Option<f64>,
    /// Sockets that sent a byte now and then.
    pub slow_sockets: u32,
    /// A client that lists runs beside them and all waiting agents.
    pub beside_slow: Times,
    /// What its `p99_ms` may be at most.
    pub beside_slow_must_ms: f64,
}

impl Waiting {
    /// For people: a few lines, ending with a newline.
    #[must_use]
    pub fn table(&self) -> String {
        let times = |times: &Times| {
            let Times {
                p50_ms,
                p99_ms,
                max_ms,
                count,
            } = times;
            format!("{p50_ms:.2} ms median, {p99_ms:.2} ms p99, {max_ms:.2} ms at most, of {count}")
        };
        let memory =
            |mib: Option<f64>| mib.map_or("unknown".to_owned(), |mib| format!("{mib:.0} MiB"));
        let (waiting, peak) = (memory(self.waiting_mib), memory(self.peak_mib));
        let rows = [
            (
                "must be",
                format!("{} ms p99, {} MiB", self.must, self.must_mib),
            ),
            ("agents", format!("{} in long poll", self.agents)),
            (
                "rate",
                format!("{:.0} tasks/s of {}", self.tasks_per_s, self.wanted_per_s),
            ),
            ("start to hand", times(&self.in_hand)),
            (
                "memory",
                format!("{waiting} while all wait, {peak} at most"),
            ),
            (
                "slow sockets",
                format!("{}, beside them a client:", self.slow_sockets),
            ),
            (
                "",
                format!(
                    "{} (must be {} ms p99)",
                    times(&self.beside_slow),
                    self.beside_slow_must_ms
                ),
            ),
        ];
        let mut text = String::from("P7\n");
        for (name, value) in rows {
            writeln!(text, "    {name:<17} {value}").expect("writing to a string cannot fail");
        }
        text
    }
}

/// Measures P7; [`BenchError::OpenFiles`] if the system lets a process have too few of them.
pub(super) fn waiting(plan: &Plan) -> Result<Waiting, BenchError> {
    let scale = Scale::of(plan.length);
    let wanted = u64::from(scale.agents) + u64::from(scale.slow) + FILES_BESIDE;
    match raise_open_files() {
        Some(limit) if limit < wanted => return Err(BenchError::OpenFiles { limit, wanted }),
        Some(_) | None => {}
    }
    let site = Site::create(&plan.dir)?;
    let server = Server::start(&plan.program, site.path(), &team(scale.agents, 1))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::system("start the load"))?;
    LocalSet::new().block_on(&runtime, drive(&server, scale, plan.length))
}

/// When each run was asked for, by its number, and how long it took until its task was in hand.
#[derive(Default)]
struct Tally {
    asked: Vec<Duration>,
    times: Vec<Duration>,
}

type SharedTally = Rc<RefCell<Tally>>;

async fn drive(server: &Server, scale: Scale, length: Duration) -> Result<Waiting, BenchError> {
    let (address, token) = (server.address(), server.admin());
    let mut owner = Connection::open(address, token).await?;
    let workflow = serde_json::json!({ "definition": WORKFLOW, "id": "first" });
    owner.post("/v1/runs", &workflow.to_string()).await?;
    let tally = SharedTally::default();
    let clock = OsClock::new();
    let mut workers = JoinSet::new();
    for number in 0..scale.agents {
        let connection = Connection::open_as(address, token, &agent_name(number)).await?;
        workers.spawn_local(agent(connection, clock, Rc::clone(&tally)));
    }
    let settle = warm_up(length).max(Duration::from_millis(500));
    pass(&mut workers, settle).await?;
    let waiting_mib = server.usage().peak_mib;

    let mut starters = JoinSet::new();
    for number in 0..STARTERS {
        let connection = Connection::open(address, token).await?;
        let rhythm = Rhythm::of(number, scale.tasks_per_s);
        starters.spawn_local(starter(connection, rhythm, clock, Rc::clone(&tally)));
    }
    pass(&mut starters, warm_up(length)).await?;
    tally.borrow_mut().times.clear();
    let (before, start) = (server.usage(), clock.monotonic());
    pass(&mut starters, length).await?;
    let (after, elapsed) = (server.usage(), clock.monotonic() - start);
    starters.abort_all();
    // An agent that failed ends the measurement like a starter.
    pass(&mut workers, Duration::ZERO).await?;
    let in_hand = Times::of(std::mem::take(&mut tally.borrow_mut().times))?;
    // The first connection was silent for so long that the server has closed it.
    let mut client = Connection::open(address, token).await?;
    let beside_slow = beside_slow(&mut client, address, scale.slow, &clock, length).await?;
    let per_task = |usage: &Usage| Some(usage.cpu_since(&before)? * 1e6 / in_hand.count as f64);
    Ok(Waiting {
        bench: "P7",
        value: in_hand.p99_ms,
        unit: "ms",
        must: IN_HAND_MUST_MS,
        agents: scale.agents,
        wanted_per_s: scale.tasks_per_s,
        tasks_per_s: in_hand.count as f64 / elapsed.as_secs_f64(),
        in_hand,
        waiting_mib,
        peak_mib: server.usage().peak_mib,
        must_mib: MEMORY_MUST_MIB,
        cpu_us_per_task: per_task(&after),
        slow_sockets: scale.slow,
        beside_slow,
        beside_slow_must_ms: BESIDE_SLOW_MUST_MS,
    })
}

/// Waits for a task, reports it done and waits for the next in one request.
async fn agent(
    mut server: Connection,
    clock: OsClock,
    tally: SharedTally,
) -> Result<Infallible, CallError> {
    #[derive(Deserialize)]
    struct Claimed<'a> {
        #[serde(borrow, default)]
        tasks: Vec<Task<'a>>,
    }
    #[derive(Deserialize)]
    struct Task<'a> {
        id: &'a str,
        run: &'a str,
        token: u64,
    }
    let mut done: Option<(String, String)> = None;
    loop {
        let answer = match &done {
            None => server.post("/v1/tasks/poll", WAIT).await?,
            Some((path, body)) => server.post(path, body).await?,
        };
        done = None;
        if answer.is_empty() {
            continue;
        }
        let now = clock.monotonic();
        let claimed: Claimed<'_> = serde_json::from_slice(answer)?;
        let Some(task) = claimed.tasks.first() else {
            continue;
        };
        let number = task
            .run
            .strip_prefix("p7-")
            .and_then(|number| number.parse().ok());
        let mut tally = tally.borrow_mut();
        let asked = number.and_then(|number: usize| tally.asked.get(number).copied());
        tally
            .times
            .extend(asked.map(|asked| now.saturating_sub(asked)));
        let path = format!("/v1/tasks/{}/complete", task.id);
        let body = format!(r#"{{"token":{},"output":{{}},"poll":{WAIT}}}"#, task.token);
        done = Some((path, body));
    }
}

/// When one of the starters starts something.
struct Rhythm {
    first: Duration,
    every: Duration,
}

impl Rhythm {
    /// Of the starter `number`, so that all of them together start `per_s` runs a second.
    fn of(number: u32, per_s: u32) -> Self {
        let every = Duration::from_secs(STARTERS.into()) / per_s;
        Self {
            first: every * number / STARTERS,
            every,
        }
    }
}

async fn starter(
    mut server: Connection,
    rhythm: Rhythm,
    clock: OsClock,
    tally: SharedTally,
) -> Result<Infallible, CallError> {
    let mut due = clock.monotonic() + rhythm.first;
    loop {
        let early = due.checked_sub(clock.monotonic());
        let asked = match early {
            Some(early) => {
                tokio::time::sleep(early).await;
                clock.monotonic()
            }
            // The answer before came too late: what could not be asked in time waited as well.
            None => due,
        };
        due += rhythm.every;
        let number = {
            let mut tally = tally.borrow_mut();
            tally.asked.push(asked);
            tally.asked.len() - 1
        };
        let request = format!(r#"{{"workflow":"one-step","id":"p7-{number}"}}"#);
        server.post("/v1/runs", &request).await?;
    }
}

/// A client that asks every few milliseconds, beside `slow` sockets.
async fn beside_slow(
    client: &mut Connection,
    address: SocketAddr,
    slow: u32,
    clock: &OsClock,
    length: Duration,
) -> Result<Times, BenchError> {
    let mut sockets = JoinSet::new();
    for number in 0..slow {
        sockets.spawn_local(dribble(address, number % 2 == 0));
    }
    tokio::time::sleep(warm_up(length)).await;
    let (mut times, start) = (Vec::new(), clock.monotonic());
    while clock.monotonic() - start < length {
        let before = clock.monotonic();
        client.get("/v1/runs?limit=10").await?;
        times.push(clock.monotonic() - before);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Times::of(times)
}

/// Sends a request byte by byte for ever: its headers, or the body behind them. Whenever the server has enough
/// of it, it comes back.
async fn dribble(address: SocketAddr, headers: bool) {
    let mut request = format!("POST /v1/runs HTTP/1.1\r\nhost: {address}\r\n");
    request.push_str(if headers {
        "x-slow: "
    } else {
        "content-length: 1000\r\n\r\n"
    });
    loop {
        // A socket that is refused or closed is what the server should do with it: another one comes.
        let talk = async {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = [0; 256];
            loop {
                let read = tokio::time::timeout(DRIBBLE, stream.read(&mut answer));
                match read.await {
                    Ok(Ok(0) | Err(_)) => return Ok::<_, std::io::Error>(()),
                    Ok(Ok(_)) => {}
                    Err(_) => stream.write_all(b"x").await?,
                }
            }
        };
        if talk.await.is_err() {
            tokio::time::sleep(DRIBBLE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Rhythm, STARTERS, Times};

    #[test]
    fn all_starters_together_keep_the_rate_and_none_begins_with_another() {
        let rhythms: Vec<_> = (0..STARTERS)
            .map(|number| Rhythm::of(number, 1000))
            .collect();
        assert_eq!(rhythms[0].every, Duration::from_millis(32));
        assert_eq!(rhythms[1].first, Duration::from_millis(1));
        assert_eq!(rhythms[31].first, Duration::from_millis(31));
    }

    #[test]
    fn percentiles_are_of_times_that_were_taken() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let times = Times::of(times).expect("times");
        assert_eq!(
            (times.p50_ms, times.p99_ms, times.max_ms),
            (100.0, 198.0, 200.0)
        );
        assert!(Times::of(Vec::new()).is_err());
    }
}
