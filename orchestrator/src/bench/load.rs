//! Clients that start workflows and agents that work on them, all in one thread.
//!
//! A client starts a workflow, asks for its outcome in the same request, and then starts the next.
//! An agent completes a task and waits for the next in one request. The first error of anyone ends
//! the measurement.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use phisync_state::env::{Clock as _, OsClock};
use serde::Deserialize;
use tokio::task::{JoinSet, LocalSet};

use super::connection::{CallError, Connection};
use super::figure::{Counted, Measured, count_commits};
use super::process::{Server, Usage};
use super::{BenchError, PATIENCE, WORKFLOW, WORKFLOW_NAME, agent_name, warm_up};

/// Who works, and for how long.
pub(super) struct Crowd {
    pub(super) clients: u32,
    pub(super) agents: u32,
    pub(super) length: Duration,
}

/// What the callers of one measurement have seen.
#[derive(Default)]
struct Tally {
    times: Vec<Duration>,
    /// The largest durable sequence of any answer.
    head: u64,
}

type SharedTally = Rc<RefCell<Tally>>;

/// Puts a crowd on a fresh server and counts what happens after the warm-up.
pub(super) fn measure(server: &Server, crowd: &Crowd) -> Result<Measured, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::system("start the load"))?;
    let (mut counted, tally, sequences) =
        LocalSet::new().block_on(&runtime, drive(server, crowd))?;
    let syncs = count_commits(&server.journal(), &sequences);
    counted.syncs = syncs.map_err(BenchError::system("read the journal"))?;
    if counted.workflows == 0 {
        return Err(BenchError::Nothing);
    }
    Ok(Measured::new(&counted, tally.times))
}

async fn drive(
    server: &Server,
    crowd: &Crowd,
) -> Result<(Counted, Tally, std::ops::Range<u64>), BenchError> {
    let tokens = prepare(server, crowd).await?;
    let tally = SharedTally::default();
    let mut workers = JoinSet::new();
    for token in tokens {
        let connection = Connection::open(server.address(), &token).await?;
        workers.spawn_local(agent(connection));
    }
    for _ in 0..crowd.clients {
        let connection = Connection::open(server.address(), server.admin()).await?;
        workers.spawn_local(client(connection, Rc::clone(&tally)));
    }
    let clock = OsClock::new();
    pass(&mut workers, warm_up(crowd.length)).await?;
    tally.borrow_mut().times.clear();
    let first = tally.borrow().head;
    let (ours, theirs) = (Usage::ours(), server.usage());
    let start = clock.monotonic();
    pass(&mut workers, crowd.length).await?;
    // A slow disk may need longer for the first one.
    while tally.borrow().times.is_empty() && clock.monotonic() - start < PATIENCE {
        pass(&mut workers, crowd.length).await?;
    }
    let elapsed = clock.monotonic() - start;
    let (ours_now, theirs_now) = (Usage::ours(), server.usage());
    workers.abort_all();
    let tally = tally.take();
    let sequences = first + 1..tally.head + 1;
    let counted = Counted {
        elapsed,
        workflows: tally.times.len() as u64,
        records: tally.head - first,
        syncs: 0,
        cpu_s: theirs_now.cpu_since(&theirs),
        load_cpu_s: ours_now.cpu_since(&ours),
        peak_mib: theirs_now.peak_mib,
    };
    Ok((counted, tally, sequences))
}

/// Lets everybody work for `length`.
pub(super) async fn pass(
    workers: &mut JoinSet<Result<Infallible, CallError>>,
    length: Duration,
) -> Result<(), CallError> {
    let ended = tokio::time::timeout(length, workers.join_next()).await;
    match ended {
        Ok(Some(Ok(Err(error)))) => Err(error),
        Ok(Some(Ok(Ok(never)))) => match never {},
        Ok(Some(Err(_)) | None) => Err(CallError::NotHttp("a caller stopped")),
        Err(_) => Ok(()),
    }
}

/// Registers the workflow and makes a token for every agent.
async fn prepare(server: &Server, crowd: &Crowd) -> Result<Vec<String>, CallError> {
    #[derive(Deserialize)]
    struct Created {
        token: String,
    }
    let mut owner = Connection::open(server.address(), server.admin()).await?;
    let workflow = serde_json::json!({ "definition": WORKFLOW, "wait_s": 0 });
    // The run that registers the workflow is worked off during the warm-up.
    owner.post("/v1/runs", &workflow.to_string()).await?;
    let mut tokens = Vec::new();
    for number in 0..crowd.agents {
        let request = serde_json::json!({ "role": "agent", "name": agent_name(number) });
        let created = owner.post("/v1/tokens", &request.to_string()).await?;
        tokens.push(serde_json::from_slice::<Created>(created)?.token);
    }
    Ok(tokens)
}

async fn client(mut server: Connection, tally: SharedTally) -> Result<Infallible, CallError> {
    #[derive(Deserialize)]
    struct Outcome<'a> {
        status: &'a str,
    }
    let request = format!(r#"{{"workflow":"{WORKFLOW_NAME}","inputs":{{}},"wait_s":30}}"#);
    let clock = OsClock::new();
    loop {
        let before = clock.monotonic();
        let answer = server.post("/v1/runs", &request).await?;
        let took = clock.monotonic() - before;
        if serde_json::from_slice::<Outcome<'_>>(answer)?.status != "completed" {
            return Err(CallError::NotHttp("a workflow was not completed in 30 s"));
        }
        let mut tally = tally.borrow_mut();
        tally.times.push(took);
        tally.head = tally.head.max(server.head());
    }
}

async fn agent(mut server: Connection) -> Result<Infallible, CallError> {
    #[derive(Deserialize)]
    struct Claimed<'a> {
        #[serde(borrow, default)]
        tasks: Vec<Task<'a>>,
    }
    #[derive(Deserialize)]
    struct Task<'a> {
        id: &'a str,
        token: u64,
    }
    let claimed = |answer: &[u8]| -> Result<Option<(String, String)>, CallError> {
        if answer.is_empty() {
            return Ok(None);
        }
        let claimed: Claimed<'_> = serde_json::from_slice(answer)?;
        Ok(claimed.tasks.first().map(|task| {
            let path = format!("/v1/tasks/{}/complete", task.id);
            let body = format!(
                r#"{{"token":{},"output":{{}},"poll":{{"wait_s":30}}}}"#,
                task.token
            );
            (path, body)
        }))
    };
    let mut task: Option<(String, String)> = None;
    loop {
        let answer = match &task {
            None => server.post("/v1/tasks/poll", r#"{"wait_s":30}"#).await?,
            Some((path, body)) => server.post(path, body).await?,
        };
        task = claimed(answer)?;
    }
}
