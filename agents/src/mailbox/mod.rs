//! The mailbox: tasks as files, for scripts that know nothing else.
//!
//! `inbox/LETTER.json` is a task that the agent holds; the script answers by moving its report to
//! `outbox/LETTER.json` (`letter.rs` says what it may hold). The files are the whole state: a carrier
//! that was killed goes on with what lies there, since a letter holds its own fencing token and a
//! report that is sent twice is answered with the first outcome. A letter leaves the inbox only
//! once the server has its outcome, or does not want one any more.
//!
//! What the carrier cannot know is whether the script still works on a letter. It beats for every
//! letter that lies there, or, with [`Mailbox::touch`], only as long as the script touches it.

mod letter;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use phisync_state::env::{Access, Clock, Disk, read_all, replace_file};
use serde_json::Value;

use crate::client::{CallError, Client};
use crate::protocol::{HeartbeatRequest, PROGRESS_BYTES_MAX, PollRequest, Task};
use crate::worker::StopFlag;

use letter::{Refused, Report};

/// How often the outbox is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How often tasks are asked for while there is room for more.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A report that cannot be read is being written, until it has stayed the same for so long.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Largest report, in bytes: what the server takes as a result, and its wrapping.
const REPORT_BYTES_MAX: u64 = (8 << 20) + (64 << 10);

/// One agent's mailbox and the way to the server.
pub struct Mailbox {
    /// The directory; `inbox` and `outbox` lie in it.
    pub root: PathBuf,
    /// The server, as the agent.
    pub client: Client,
    /// How many letters may lie in the inbox at once.
    pub room: u32,
    /// Capabilities to serve; none: all that the agent is registered with.
    pub capabilities: Option<Vec<String>>,
    /// Keep a letter's lease only while the script changes `inbox/LETTER.alive` at least this often; none: for
    /// as long as the letter lies there.
    pub touch: Option<Duration>,
    /// Where the files are.
    pub disk: Arc<dyn Disk>,
    /// For leases.
    pub clock: Arc<dyn Clock>,
}

/// What went through a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Tasks put into the inbox.
    pub delivered: u32,
    /// Reports that the server took.
    pub reported: u32,
    /// Reports that were put aside, with the reason beside.
    pub refused: u32,
    /// Letters whose claim was over before a report came.
    pub lost: u32,
}

/// Why a carrier ended.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// The files cannot be used.
    #[error("the mailbox `{}` cannot be used", .path.display())]
    Files {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The server does not let this agent poll.
    #[error("the server refuses to hand out tasks")]
    Refused(#[source] CallError),
}

/// A task that lies in the inbox.
struct Held {
    task: Task,
    /// When the lease was last renewed or granted, by our monotonic clock.
    renewed: Duration,
    /// The last sign of the script, and when it was seen to change.
    sign: (Option<Vec<u8>>, Duration),
    told_to_stop: bool,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    /// Carries until `stop` is requested. Letters that lie there then stay: their leases run out, unless
    /// a carrier comes back for them in time.
    ///
    /// # Errors
    /// When the files cannot be used, or the server refuses this agent.
    pub fn carry(&self, stop: &StopFlag) -> Result<Carried, MailboxError> {
        for part in ["", "inbox", "outbox", "refused"] {
            self.make_dir(&self.root.join(part))?;
        }
        self.sweep()?;
        let mut carried = Carried::default();
        let mut held = self.found()?;
        let mut unsettled = BTreeMap::new();
        let mut ask_at = Duration::ZERO;
        loop {
            self.take_reports(&mut held, &mut unsettled, &mut carried)?;
            self.beat(&mut held, &mut carried)?;
            let now = self.clock.monotonic();
            if now >= ask_at && held.len() < self.room as usize {
                self.ask(&mut held, &mut carried)?;
                ask_at = self.clock.monotonic().saturating_add(ASK_EVERY);
            }
            if stop.wait(LOOK_EVERY) {
                return Ok(carried);
            }
        }
    }

    /// Ends what a carrier before us had begun: half a letter goes, a report put aside gets a reason.
    fn sweep(&self) -> Result<(), MailboxError> {
        for part in ["inbox", "refused"] {
            let path = self.root.join(part);
            let names = self.disk.read_dir(&path);
            let names = names.map_err(|source| self.failed(&path, source))?;
            for name in names.iter().filter(|name| name.ends_with(".tmp")) {
                self.remove_one(&path.join(name))?;
            }
        }
        for name in self.letters("refused")? {
            let why = self.reason(&name);
            if self.disk.open(&why, Access::Read).is_err() {
                let words = b"the carrier was killed before it could say why\n";
                self.put(&why, words)?;
            }
        }
        Ok(())
    }

    /// The letters of a carrier before us.
    fn found(&self) -> Result<BTreeMap<String, Held>, MailboxError> {
        let mut held = BTreeMap::new();
        for name in self.letters("inbox")? {
            let path = self.inbox(&name);
            match read_all(&*self.disk, &path, u64::MAX).map(|bytes| serde_json::from_slice(&bytes))
            {
                Ok(Ok(task)) => {
                    // Beaten for at once: nobody knows how old the lease is.
                    held.insert(name, self.hold(task, Duration::ZERO));
                }
                // Put there by somebody else: not ours to touch.
                Ok(Err(cause)) => {
                    tracing::warn!(letter = name, %cause, "no task is in this letter");
                }
                Err(source) => return Err(self.failed(&path, source)),
            }
        }
        Ok(held)
    }

    fn hold(&self, task: Task, renewed: Duration) -> Held {
        Held {
            task,
            renewed,
            sign: (None, self.clock.monotonic()),
            told_to_stop: false,
        }
    }

    /// Takes tasks for the room that is left.
    fn ask(
        &self,
        held: &mut BTreeMap<String, Held>,
        carried: &mut Carried,
    ) -> Result<(), MailboxError> {
        let room = self
            .room
            .saturating_sub(u32::try_from(held.len()).unwrap_or(u32::MAX));
        let request = PollRequest {
            capabilities: self.capabilities.clone(),
            max: Some(room),
            wait_s: None,
        };
        let asked = self.clock.monotonic();
        let tasks = match self.client.poll(&request) {
            Ok(tasks) => tasks,
            Err(error) if error.may_retry() => return Ok(()),
            Err(error) => return Err(MailboxError::Refused(error)),
        };
        for task in tasks {
            let name = letter::name(&task);
            let text = serde_json::to_vec_pretty(&task).expect("a task has string keys only");
            self.put(&self.inbox(&name), &text)?;
            held.insert(name, self.hold(task, asked));
            carried.delivered += 1;
        }
        Ok(())
    }

    /// Sends what the script reports.
    fn take_reports(
        &self,
        held: &mut BTreeMap<String, Held>,
        unsettled: &mut BTreeMap<String, (Vec<u8>, Duration)>,
        carried: &mut Carried,
    ) -> Result<(), MailboxError> {
        for name in self.letters("outbox")? {
            let path = self.outbox(&name);
            let read = read_all(&*self.disk, &path, REPORT_BYTES_MAX);
            let bytes = match read {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.put_aside(&name, &error.to_string(), carried)?;
                    continue;
                }
            };
            let Some(holding) = held.get(&name) else {
                self.put_aside(&name, "no task of this name is in the inbox", carried)?;
                continue;
            };
            let report = match Report::parse(&bytes) {
                Ok(report) => report,
                Err(reason) => {
                    let now = self.clock.monotonic();
                    let since = match unsettled.remove(&name) {
                        Some((before, since)) if before == bytes => since,
                        _ => now,
                    };
                    if now.saturating_sub(since) >= SETTLED_AFTER {
                        self.put_aside(&name, &reason, carried)?;
                    } else {
                        unsettled.insert(name, (bytes, since));
                    }
                    continue;
                }
            };
            unsettled.remove(&name);
            match report.send(&self.client, &holding.task) {
                Ok(()) => {
                    carried.reported += 1;
                    held.remove(&name);
                    // First the letter: a report without one is put aside, a letter without a report
                    // would be worked on again.
                    self.remove(&self.inbox(&name))?;
                    self.remove(&path)?;
                }
                Err(Refused::Later) => {}
                Err(Refused::Over(reason)) => {
                    carried.lost += 1;
                    held.remove(&name);
                    self.remove(&self.inbox(&name))?;
                    self.put_aside(&name, &reason, carried)?;
                }
                // The attempt is still ours: the script may correct its report.
                Err(Refused::Wrong(reason)) => self.put_aside(&name, &reason, carried)?,
            }
        }
        Ok(())
    }

    /// Keeps the leases of what lies in the inbox.
    fn beat(
        &self,
        held: &mut BTreeMap<String, Held>,
        carried: &mut Carried,
    ) -> Result<(), MailboxError> {
        let mut over = Vec::new();
        for (name, holding) in held.iter_mut() {
            let now = self.clock.monotonic();
            let lease = Duration::from_millis(holding.task.lease_ms);
            if now.saturating_sub(holding.renewed) < lease / 3 && holding.renewed != Duration::ZERO
            {
                continue;
            }
            if !self.shows_life(name, holding, now) {
                continue;
            }
            let request = HeartbeatRequest {
                token: holding.task.token,
                progress: self.progress(name),
            };
            match self.client.heartbeat(&holding.task.id, &request, lease / 3) {
                Ok(answer) => {
                    holding.renewed = now;
                    if answer.cancel_requested && !holding.told_to_stop {
                        self.put(&self.root.join("inbox").join(format!("{name}.stop")), b"")?;
                        holding.told_to_stop = true;
                    }
                }
                Err(error) if error.may_retry() => {}
                // Whatever else the server answers, the task is not ours any more.
                Err(_) => over.push(name.clone()),
            }
        }
        for name in over {
            carried.lost += 1;
            held.remove(&name);
            self.remove(&self.inbox(&name))?;
        }
        Ok(())
    }

    /// Whether the script may be believed to work on a letter.
    fn shows_life(&self, name: &str, holding: &mut Held, now: Duration) -> bool {
        let Some(limit) = self.touch else {
            return true;
        };
        let path = self.root.join("inbox").join(format!("{name}.alive"));
        let sign = read_all(&*self.disk, &path, 64 << 10).ok();
        if sign != holding.sign.0 {
            holding.sign = (sign, now);
        }
        now.saturating_sub(holding.sign.1) < limit
    }

    /// What the script says of how far it is: the JSON object in its sign of life.
    fn progress(&self, name: &str) -> Option<Value> {
        let path = self.root.join("inbox").join(format!("{name}.alive"));
        let bytes = read_all(&*self.disk, &path, PROGRESS_BYTES_MAX as u64).ok()?;
        let said: Value = serde_json::from_slice(letter::without_mark(&bytes)).ok()?;
        Some(said).filter(Value::is_object)
    }

    /// Moves a report out of the way, with the reason beside it.
    fn put_aside(
        &self,
        name: &str,
        reason: &str,
        carried: &mut Carried,
    ) -> Result<(), MailboxError> {
        carried.refused += 1;
        let aside = self.root.join("refused").join(format!("{name}.json"));
        // The report goes first: a script may put a better one into its place as soon as it sees a
        // reason, and that one must not be taken away. An older reason goes before it.
        self.remove_one(&self.reason(name))?;
        let path = self.outbox(name);
        let moved = self.disk.rename(&path, &aside);
        moved.map_err(|source| self.failed(&path, source))?;
        self.put(&self.reason(name), format!("{reason}\n").as_bytes())
    }

    /// The names of the letters in one of the boxes.
    fn letters(&self, part: &str) -> Result<Vec<String>, MailboxError> {
        let path = self.root.join(part);
        let names = self
            .disk
            .read_dir(&path)
            .map_err(|source| self.failed(&path, source))?;
        let letters = names.iter().filter_map(|name| name.strip_suffix(".json"));
        Ok(letters.map(str::to_owned).collect())
    }

    fn inbox(&self, name: &str) -> PathBuf {
        self.root.join("inbox").join(format!("{name}.json"))
    }

    fn outbox(&self, name: &str) -> PathBuf {
        self.root.join("outbox").join(format!("{name}.json"))
    }

    fn reason(&self, name: &str) -> PathBuf {
        self.root.join("refused").join(format!("{name}.reason.txt"))
    }

    fn make_dir(&self, path: &Path) -> Result<(), MailboxError> {
        match self.disk.make_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(self.failed(path, error))
            }
            _ => Ok(()),
        }
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), MailboxError> {
        let temporary = path.with_added_extension("tmp");
        let put = replace_file(&*self.disk, path, &temporary, bytes, true);
        put.map_err(|source| self.failed(path, source))
    }

    /// Removes a letter or a report, with the signs that belong to a letter.
    fn remove(&self, path: &Path) -> Result<(), MailboxError> {
        self.remove_one(path)?;
        self.remove_one(&path.with_extension("stop"))?;
        self.remove_one(&path.with_extension("alive"))
    }

    /// Removes a file if it is there.
    fn remove_one(&self, path: &Path) -> Result<(), MailboxError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(path, error)),
            _ => Ok(()),
        }
    }

    fn failed(&self, path: &Path, source: io::Error) -> MailboxError {
        MailboxError::Files {
            path: path.to_owned(),
            source,
        }
    }
}
