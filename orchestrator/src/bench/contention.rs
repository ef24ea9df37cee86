//! P8: many clients that each read one document, change it, and write it back if it is still as read.
//!
//! Who loses waits in the document's line and is told the newest content in its turn, by the refusal itself; so a change under
//! contention costs one request more than one without. What the clients wrote is counted in the document itself: an
//! update that was lost shows.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use phisync_state::env::{Clock as _, OsClock};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::{JoinSet, LocalSet};

use super::connection::{CallError, Connection};
use super::figure::table;
use super::process::Server;
use super::site::Site;
use super::{BenchError, CROWD, Plan, transitions};

const DOCUMENT: &str = "/v1/documents/counter";
/// The document, for a write that waits for a turn if it loses.
const IN_LINE: &str = "/v1/documents/counter?turn_s=60";

/// Nobody may wait longer than so many times his fair time.
const WORST_MUST: f64 = 3.0;

/// What P8 found.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Contention {
    /// `P8`.
    pub bench: &'static str,
    /// Clients at once.
    pub clients: u32,
    /// Changes a second of one client that has the document to itself.
    pub alone_per_s: f64,
    /// Changes a second of all of them.
    pub together_per_s: f64,
    /// The one by the other; must be at least 1.
    pub ratio: f64,
    /// What each would wait for a change if all were served in turn.
    pub fair_ms: f64,
    /// What the unluckiest waited.
    pub worst_ms: f64,
    /// The one by the other.
    pub worst_ratio: f64,
    /// It may not exceed this.
    pub worst_must: f64,
    /// Writes that came too late, for each that did not.
    pub losses_per_change: f64,
    /// What part of the changes was made in a turn.
    pub in_turn: f64,
    /// The fewest changes that a client got through.
    pub fewest: u64,
    /// Changes that were told and are not in the document: none.
    pub lost_updates: i64,
}

impl Contention {
    /// For people: a few lines, ending with a newline.
    #[must_use]
    pub fn table(&self) -> String {
        let rows = [
            (
                "rate",
                format!(
                    "{:.0} changes/s of {} clients, {:.0} of one alone: {:.2} times, at least 1",
                    self.together_per_s, self.clients, self.alone_per_s, self.ratio
                ),
            ),
            (
                "the unluckiest",
                format!(
                    "{:.1} ms, a fair turn {:.1} ms: {:.2} times, at most {:.0}",
                    self.worst_ms, self.fair_ms, self.worst_ratio, self.worst_must
                ),
            ),
            (
                "a change",
                format!(
                    "{:.2} losses, {:.0} % in a turn; the fewest of one client: {}",
                    self.losses_per_change,
                    100.0 * self.in_turn,
                    self.fewest
                ),
            ),
            ("lost updates", self.lost_updates.to_string()),
        ];
        table("P8", &rows)
    }
}

/// What the clients of one measurement did.
#[derive(Default)]
struct Tally {
    times: Vec<Duration>,
    losses: u64,
    turns: u64,
    fewest: Option<u64>,
}

pub(super) fn measure(plan: &Plan) -> Result<Contention, BenchError> {
    let site = Site::create(&plan.dir)?;
    let server = Server::start(&plan.program, site.path(), &transitions::crew())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::system("start the load"))?;
    LocalSet::new().block_on(&runtime, compare(&server, plan.length))
}

async fn compare(server: &Server, length: Duration) -> Result<Contention, BenchError> {
    let (alone, alone_s) = crowd(server, 1, length / 2).await?;
    let (together, together_s) = crowd(server, CROWD, length).await?;
    let mut connection = Connection::open(server.address(), server.admin()).await?;
    let (_, found) = read(&mut connection).await?;
    let told = alone.times.len() + together.times.len();
    let changes = together.times.len() as f64;
    let (alone_per_s, together_per_s) = (alone.times.len() as f64 / alone_s, changes / together_s);
    let worst = together.times.iter().max().copied().unwrap_or_default();
    let fair_ms = f64::from(CROWD) / together_per_s * 1000.0;
    let worst_ms = worst.as_secs_f64() * 1000.0;
    Ok(Contention {
        bench: "P8",
        clients: CROWD,
        alone_per_s,
        together_per_s,
        ratio: together_per_s / alone_per_s,
        fair_ms,
        worst_ms,
        worst_ratio: worst_ms / fair_ms,
        worst_must: WORST_MUST,
        losses_per_change: together.losses as f64 / changes,
        in_turn: together.turns as f64 / changes,
        fewest: together.fewest.unwrap_or_default(),
        lost_updates: i64::try_from(told).unwrap_or(i64::MAX) - found,
    })
}

/// Lets so many clients change the document; each ends with a change of its own behind `length`.
async fn crowd(
    server: &Server,
    clients: u32,
    length: Duration,
) -> Result<(Tally, f64), BenchError> {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let clock = OsClock::new();
    let mut crowd = JoinSet::new();
    for _ in 0..clients {
        let connection = Connection::open(server.address(), server.admin()).await?;
        let client = Client { connection, clock };
        crowd.spawn_local(client.work_until(length, Rc::clone(&tally)));
    }
    while let Some(ended) = crowd.join_next().await {
        match ended {
            Ok(worked) => worked?,
            Err(_) => return Err(CallError::NotHttp("a client stopped").into()),
        }
    }
    let seconds = clock.monotonic().as_secs_f64();
    let tally = tally.take();
    match tally.times.is_empty() {
        true => Err(BenchError::Nothing),
        false => Ok((tally, seconds)),
    }
}

struct Client {
    connection: Connection,
    clock: OsClock,
}

impl Client {
    async fn work_until(
        mut self,
        end: Duration,
        tally: Rc<RefCell<Tally>>,
    ) -> Result<(), CallError> {
        let mut changes = 0;
        while changes == 0 || self.clock.monotonic() < end {
            let before = self.clock.monotonic();
            let losses = self.change().await?;
            changes += 1;
            let mut tally = tally.borrow_mut();
            tally.times.push(self.clock.monotonic() - before);
            tally.losses += u64::from(losses);
            tally.turns += u64::from(losses > 0);
        }
        let mut tally = tally.borrow_mut();
        tally.fewest = Some(tally.fewest.map_or(changes, |fewest| fewest.min(changes)));
        Ok(())
    }

    /// Counts the document up by one; how often somebody was faster.
    async fn change(&mut self) -> Result<u32, CallError> {
        let mut losses = 0;
        let mut seen = read(&mut self.connection).await?;
        let mut turn = String::new();
        loop {
            let (version, number) = seen;
            let relies = match version {
                0 => "if-none-match: *\r\n".to_owned(),
                version => format!("if-match: \"{version}\"\r\n"),
            };
            let headers = relies + &turn;
            let body = json!({ "n": number + 1 }).to_string();
            match self.connection.put(IN_LINE, &headers, &body).await {
                Ok(_) => return Ok(losses),
                Err(CallError::Refused {
                    status: 412, body, ..
                }) => {
                    let refused: Refused = serde_json::from_str(&body)?;
                    losses += 1;
                    seen = (refused.turn.version, refused.turn.content.n);
                    turn = format!("phisync-turn: {}\r\n", refused.turn.turn);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// A lost race, and the turn that came of it.
#[derive(Deserialize)]
struct Refused {
    turn: Turn,
}

#[derive(Deserialize)]
struct Turn {
    turn: u64,
    version: u64,
    content: Content,
}

/// What the document holds.
#[derive(Deserialize)]
struct Content {
    n: i64,
}

/// The document's version and number; 0 and 0 if there is none.
async fn read(connection: &mut Connection) -> Result<(u64, i64), CallError> {
    #[derive(Deserialize)]
    struct Document {
        version: u64,
        content: Content,
    }
    match connection.get(DOCUMENT).await {
        Ok(answer) => {
            let document: Document = serde_json::from_slice(answer)?;
            Ok((document.version, document.content.n))
        }
        Err(CallError::Refused { status: 404, .. }) => Ok((0, 0)),
        Err(error) => Err(error),
    }
}
