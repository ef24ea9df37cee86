//! Does what `files` steps want, by transactions.
//!
//! An attempt is staged on a thread that may block, decided in one batch with its step, and ends when
//! every disk is done. What a crash interrupts before the decision is staged again by the next
//! server; what is decided is completed by it, and only the step is told here.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use phisync_state::FileId;
use phisync_state::transaction::{
    Act, Change, Decision, Digest, Expect, FileChange, FileOp, Phase, Roots, Transaction,
    TransactionId, TreePath,
};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::coordinator::{Coordinator, FilesErrand, Now, Refusal, Writer};
use crate::engine::{Failure, FilesEnd, FilesOrder, FilesStage, OrderedChange, OrderedOp, RawJson};

use super::transactions::{TransactError, Transactor, blocking};

/// Attempts that are staged at the same time; each may hold all its contents in memory.
const AT_ONCE: usize = 8;

/// How long an attempt waits for another transaction that has one of its files, before it looks again.
const TAKEN_PAUSE: Duration = Duration::from_millis(50);

/// How long it waits for a server that is busy, or for a disk that fails, before it tries again.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// Why an order cannot become a transaction.
#[derive(Debug, thiserror::Error)]
enum OrderError {
    /// A folder that is not there.
    #[error("cannot use the root `{0}`: {1}")]
    Root(String, io::Error),
    /// A folder that nobody declared.
    #[error(
        "the root `{0}` lies in none that may be changed: declare it with `serve --root NAME=PATH`"
    )]
    Undeclared(String),
    /// A name, a path or a digest that is none.
    #[error("`{0}`: {1}")]
    Malformed(String, String),
}

/// A working tree as a step names it: a declared root, or a folder in one.
#[derive(Debug)]
struct Place {
    name: String,
    root: FileId,
    below: Option<TreePath>,
}

/// For whom a transaction is made.
pub(super) struct Errand {
    pub(super) of: FilesErrand,
    places: Vec<Place>,
}

impl Errand {
    /// What the step gives: every name that changes, in the words of the step.
    pub(super) fn output(&self, id: &TransactionId, decision: &Decision) -> RawJson {
        let files = decision.files.iter().map(|step| {
            let (before, after) = match &step.act {
                Act::Put { before, after, .. } => (before.as_ref(), Some(after)),
                Act::Remove { before, .. } => (Some(before), None),
                Act::Same { after } => (Some(after), Some(after)),
                Act::MakeDir { .. } | Act::RemoveDir {} => (None, None),
            };
            let digest = |image: Option<&phisync_state::transaction::Image>| {
                image.map(|image| image.sha256.to_string())
            };
            let path = step.place.path.as_str();
            let fitting = self.places.iter().filter_map(|place| {
                let within = match &place.below {
                    Some(below) => path.strip_prefix(below.as_str())?.strip_prefix('/')?,
                    None => path,
                };
                (place.root == step.place.root).then_some((&place.name, within))
            });
            // The deepest folder is the one that was meant.
            let named = fitting.min_by_key(|(_, within)| within.len());
            let (tree, path) = named.map_or((step.place.root.as_str(), path), |(name, within)| {
                (name.as_str(), within)
            });
            json!({ "in": tree, "path": path, "before": digest(before), "after": digest(after) })
        });
        let files: Vec<_> = files.collect();
        RawJson::from_value(&json!({ "txid": id.as_str(), "files": files }))
    }
}

/// What an order comes to.
struct Ordered {
    transaction: Transaction,
    places: Vec<Place>,
    /// What it takes back.
    reverts: Option<TransactionId>,
}

impl Transactor {
    /// Does what steps want, until dropped.
    pub(crate) async fn serve_steps(self: Arc<Self>) {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            match self.handle().call(|c, _| Ok(c.take_files_wanted())).await {
                Ok((wanted, _)) => {
                    for errand in wanted {
                        let (this, room) = (Arc::clone(&self), Arc::clone(&room));
                        tokio::spawn(async move {
                            if let Some(_errand) = this.take_errand(&errand) {
                                this.serve(&errand, &room).await;
                            }
                        });
                    }
                    self.handle().files_are_wanted().await;
                }
                Err(Refusal::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
                Err(refusal) => {
                    tracing::debug!(%refusal, "files are not looked after any more");
                    return;
                }
            }
        }
    }

    /// Brings one attempt to its end, as far as this server lives.
    async fn serve(&self, errand: &FilesErrand, room: &Semaphore) {
        loop {
            let asked = errand.clone();
            let stage = self.insist(move |c, _| Ok(c.files_stage(&asked))).await;
            let served = match stage {
                Ok(Some(FilesStage::Wanted(order))) => {
                    let Ok(_room) = room.acquire().await else {
                        return;
                    };
                    self.attempt(errand, order).await
                }
                Ok(Some(FilesStage::Decided { transaction, .. })) => {
                    self.finished(errand, &transaction).await
                }
                Ok(Some(FilesStage::BackingOff) | None) => return,
                Err(refusal) => Err(refusal),
            };
            match served {
                Ok(None) => {}
                Ok(Some(pause)) => tokio::time::sleep(pause).await,
                // The step does not want it any more, or the next server asks it.
                Err(Refusal::Rejected(_) | Refusal::Unknown(_)) => return,
                Err(refusal) => {
                    tracing::warn!(run = %errand.run, step = errand.step, %refusal, "files wait");
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
            }
        }
    }

    /// Stages and decides once; says how long to wait before the step is looked at again.
    async fn attempt(
        &self,
        errand: &FilesErrand,
        order: FilesOrder,
    ) -> Result<Option<Duration>, Refusal> {
        let waits = order.waits;
        let failure = match self.ordered(order).await? {
            Ok(Ordered {
                mut transaction,
                places,
                reverts,
            }) => {
                transaction.reason = Some(format!("step `{}`", errand.step));
                let by = format!("run {}", errand.run);
                let of = errand.clone();
                let errand = Errand { of, places };
                match self
                    .run(transaction, Writer::plain(by), reverts, Some(errand))
                    .await
                {
                    Ok(_) => return Ok(None),
                    Err(TransactError::Refused(Refusal::FilesTaken { .. })) if waits => {
                        return Ok(Some(TAKEN_PAUSE));
                    }
                    // By the store, or because the step was stopped: nothing about the files.
                    Err(TransactError::Refused(refusal))
                        if !matches!(refusal, Refusal::FilesTaken { .. }) =>
                    {
                        return Err(refusal);
                    }
                    Err(error) => Failure::new(error.code(), error.to_string()),
                }
            }
            Err(failure) => failure,
        };
        self.tell_step(errand, FilesEnd::Failed(failure)).await
    }

    /// What an order comes to, or why it is none.
    async fn ordered(&self, order: FilesOrder) -> Result<Result<Ordered, Failure>, Refusal> {
        let (roots, project) = (self.roots().clone(), self.project().to_owned());
        let reverts = order.reverts.as_deref().map(TransactionId::parse);
        let read = blocking(move || transaction(&order, &roots, &project)).await?;
        let unreadable = |error: String| Ok(Err(Failure::new("files.prepare", error)));
        let (transaction, places) = match read {
            Ok(read) => read,
            Err(error) => return unreadable(error.to_string()),
        };
        let id = match reverts.transpose() {
            Ok(None) => {
                return Ok(Ok(Ordered {
                    transaction,
                    places,
                    reverts: None,
                }));
            }
            Ok(Some(id)) => id,
            Err(error) => return unreadable(error.to_string()),
        };
        match self.reverting(&id).await {
            Ok(transaction) => Ok(Ok(Ordered {
                transaction,
                places,
                reverts: Some(id),
            })),
            Err(TransactError::Refused(refusal @ (Refusal::Busy | Refusal::Unknown(_)))) => {
                Err(refusal)
            }
            Err(error) => Ok(Err(Failure::new(error.code(), error.to_string()))),
        }
    }

    /// Tells the step that its files are on disk, if they are.
    async fn finished(
        &self,
        errand: &FilesErrand,
        transaction: &str,
    ) -> Result<Option<Duration>, Refusal> {
        let id = transaction.to_owned();
        let phase = self.insist(move |c, _| {
            let id = c.find_transaction(&id)?;
            Ok(c.transaction(&id)?.phase)
        });
        match phase.await? {
            Phase::Finished | Phase::Swept => self.tell_step(errand, FilesEnd::Done).await,
            // Upkeep tries again what a disk refuses.
            _ => Ok(Some(BUSY_PAUSE)),
        }
    }

    async fn tell_step(
        &self,
        errand: &FilesErrand,
        end: FilesEnd,
    ) -> Result<Option<Duration>, Refusal> {
        let errand = errand.clone();
        self.insist(move |c, now| c.end_files(&errand, &end, now))
            .await?;
        Ok(None)
    }

    /// Asks the coordinator, again while it is busy.
    async fn insist<T: Send + 'static>(
        &self,
        operation: impl Fn(&mut Coordinator, Now) -> Result<T, Refusal> + Clone + Send + 'static,
    ) -> Result<T, Refusal> {
        loop {
            match self.handle().call(operation.clone()).await {
                Ok((answer, _)) => return Ok(answer),
                Err(Refusal::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
                Err(refusal) => return Err(refusal),
            }
        }
    }
}

/// The errands that are under way: each is served once.
pub(super) type Errands = std::sync::Mutex<BTreeSet<FilesErrand>>;

/// What an order comes to, with the trees that it names.
fn transaction(
    order: &FilesOrder,
    roots: &Roots,
    project: &Path,
) -> Result<(Transaction, Vec<Place>), OrderError> {
    let places = order.roots.iter();
    let places: Vec<Place> = places
        .map(|(name, folder)| place(name, folder, roots, project))
        .collect::<Result<_, _>>()?;
    let changes = order.changes.iter().map(|change| {
        let place = places.iter().find(|place| place.name == change.root);
        let place = place.ok_or_else(|| OrderError::Undeclared(change.root.clone()))?;
        file_change(change, place).map(Change::File)
    });
    let transaction = Transaction {
        changes: changes.collect::<Result<_, _>>()?,
        ..Transaction::default()
    };
    Ok((transaction, places))
}

/// The declared root of that name, or the one in which the folder lies.
fn place(name: &str, folder: &str, roots: &Roots, project: &Path) -> Result<Place, OrderError> {
    let name = name.to_owned();
    if let Some((root, _)) = roots.iter().find(|(root, _)| root.as_str() == folder) {
        return Ok(Place {
            name,
            root: root.clone(),
            below: None,
        });
    }
    let real = fs::canonicalize(project.join(folder))
        .map_err(|error| OrderError::Root(folder.to_owned(), error))?;
    let around = roots.iter().filter(|(_, path)| real.starts_with(path));
    let (root, path) = around
        .max_by_key(|(_, path)| path.len())
        .ok_or_else(|| OrderError::Undeclared(folder.to_owned()))?;
    let below = real.strip_prefix(path);
    let below = below.expect("the root was chosen because the folder lies in it");
    let parts = below.iter().map(|part| part.to_string_lossy());
    let parts: Vec<_> = parts.collect();
    let below = match parts.as_slice() {
        [] => None,
        parts => Some(tree_path(&parts.join("/"))?),
    };
    Ok(Place {
        name,
        root: root.clone(),
        below,
    })
}

fn file_change(change: &OrderedChange, place: &Place) -> Result<FileChange, OrderError> {
    let within = |path: &str| {
        // On its own first: what leads out of its folder is refused, whatever lies before it.
        let path = tree_path(path)?;
        match &place.below {
            Some(below) => tree_path(&format!("{below}/{path}")),
            None => Ok(path),
        }
    };
    let expect = match (&change.sha256, change.exists) {
        (Some(digest), _) => Expect::Content(
            Digest::parse(digest)
                .map_err(|error| OrderError::Malformed(digest.clone(), error.to_string()))?,
        ),
        (None, Some(true)) => Expect::Present,
        (None, Some(false)) => Expect::Absent,
        (None, None) => Expect::Anything,
    };
    Ok(FileChange {
        root: place.root.clone(),
        path: within(&change.path)?,
        op: match &change.op {
            OrderedOp::Write { content, mode } => FileOp::Write {
                content: content.as_bytes().to_vec(),
                mode: *mode,
            },
            OrderedOp::Patch { patch } => FileOp::Patch(patch.clone()),
            OrderedOp::Delete {} => FileOp::Delete,
            OrderedOp::Move { to } => FileOp::Move(within(to)?),
            OrderedOp::Mkdir {} => FileOp::MakeDir,
        },
        expect,
    })
}

fn tree_path(text: &str) -> Result<TreePath, OrderError> {
    TreePath::new(text).map_err(|error| OrderError::Malformed(text.to_owned(), error.to_string()))
}
