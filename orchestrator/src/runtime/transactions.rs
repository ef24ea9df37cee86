//! Drives transactions: disks on threads that may block, decisions on the coordinator's.
//!
//! The order is that of `phisync_state::transaction`: every event is durable before the next step
//! touches a disk. Once begun, a transaction goes on whether its client waits or not. What a crash
//! or a failing disk left is completed at the next start, and by [`Transactor::upkeep`] meanwhile.

mod upkeep;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use phisync_state::env::{Clock, OsEntropy};
use phisync_state::transaction::{
    Change, Decision, FinishError, Intent, Phase, Plan, PrepareError, RevertError, Roots,
    Transaction, TransactionEvent, TransactionId, TransactionState, Workspace, revert,
};
use phisync_state::{Head, Store};

use crate::coordinator::{Coordinator, FilesErrand, Refusal, Writer};

use super::driver::{Handle, stopping};
use super::files::{Errand, Errands};

pub(crate) use upkeep::recover;

/// Why a transaction was refused, or where it stands if nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// By the disk, or by what it holds.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// It cannot be taken back.
    #[error(transparent)]
    Revert(#[from] RevertError),
    /// Only what happened can be taken back.
    #[error("the transaction `{id}` is {status}: there is nothing to take back")]
    NotCommitted {
        /// Which.
        id: TransactionId,
        /// Where it stands.
        status: &'static str,
    },
    /// By the coordinator.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl TransactError {
    /// What a step and an aborted transaction are told, as the language knows it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Prepare(refused) => refused.code(),
            Self::Refused(_) | Self::Revert(_) | Self::NotCommitted { .. } => "files.conflict",
        }
    }
}

/// What became of a transaction.
#[derive(Debug)]
pub struct Transacted {
    /// Where it stands.
    pub state: TransactionState,
    /// The witness of that.
    pub head: Head,
    /// Why it is decided and not on disk everywhere yet.
    pub waits: Option<String>,
}

/// See the module.
pub struct Transactor {
    handle: Handle,
    store: Arc<dyn Store>,
    workspace: Workspace,
    roots: Roots,
    /// The folder that the roots of steps are relative to.
    project: PathBuf,
    errands: Errands,
    /// Those that a task drives now.
    driven: Mutex<BTreeSet<TransactionId>>,
    /// Held for reading while contents may be needed that no decision names yet.
    gate: tokio::sync::RwLock<()>,
    /// A directory could not be synced: what a later sync says proves nothing, only a restart does.
    unsynced: AtomicBool,
    clock: Arc<dyn Clock>,
    /// How long a closed transaction can be taken back: so long its pre-images are kept.
    pre_images: Duration,
}

/// Says that a transaction is driven, as long as it lives.
struct Driven<'t> {
    transactor: &'t Transactor,
    id: TransactionId,
}

impl Drop for Driven<'_> {
    fn drop(&mut self) {
        self.transactor.driven().remove(&self.id);
    }
}

/// Says that an errand is under way, as long as it lives.
pub(super) struct OnErrand<'t> {
    errands: &'t Errands,
    errand: FilesErrand,
}

impl Drop for OnErrand<'_> {
    fn drop(&mut self) {
        let errands = self.errands.lock();
        errands
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.errand);
    }
}

impl Transactor {
    pub(crate) fn new(
        handle: Handle,
        store: Arc<dyn Store>,
        workspace: Workspace,
        roots: Roots,
        project: PathBuf,
        clock: Arc<dyn Clock>,
        pre_images: Duration,
    ) -> Self {
        Self {
            handle,
            store,
            workspace,
            roots,
            project,
            errands: Errands::default(),
            driven: Mutex::default(),
            gate: tokio::sync::RwLock::new(()),
            unsynced: AtomicBool::new(false),
            clock,
            pre_images,
        }
    }

    /// The working trees that may be changed.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn project(&self) -> &Path {
        &self.project
    }

    /// Takes an errand upon it, unless that is under way.
    pub(super) fn take_errand(&self, errand: &FilesErrand) -> Option<OnErrand<'_>> {
        let errands = self.errands.lock();
        let mut errands = errands.unwrap_or_else(PoisonError::into_inner);
        errands.insert(errand.clone()).then(|| OnErrand {
            errands: &self.errands,
            errand: errand.clone(),
        })
    }

    /// Makes a transaction happen, whole or not at all.
    ///
    /// Dropping the future does not take it back.
    ///
    /// # Errors
    /// See [`TransactError`]: it never happened, except for [`Refusal::Unknown`].
    pub async fn apply(
        self: &Arc<Self>,
        transaction: Transaction,
        writer: Writer,
    ) -> Result<Transacted, TransactError> {
        let this = Arc::clone(self);
        let task = tokio::spawn(async move { this.run(transaction, writer, None, None).await });
        task.await.unwrap_or_else(|_| Err(stopping().into()))
    }

    /// Takes a transaction back by another one.
    ///
    /// # Errors
    /// As [`Self::apply`]; the transaction did not happen, or what was before is not kept.
    pub async fn revert(
        self: &Arc<Self>,
        id: TransactionId,
        by: String,
    ) -> Result<Transacted, TransactError> {
        let back = self.reverting(&id).await?;
        let this = Arc::clone(self);
        let writer = Writer::plain(by);
        let task = tokio::spawn(async move { this.run(back, writer, Some(id), None).await });
        task.await.unwrap_or_else(|_| Err(stopping().into()))
    }

    /// The transaction that takes another one back: what it left is what it expects.
    pub(super) async fn reverting(&self, id: &TransactionId) -> Result<Transaction, TransactError> {
        let (id, which) = (id.clone(), id.clone());
        let ((state, documents), _) = self
            .handle
            .call(move |c, _| {
                let state = c.transaction(&which)?;
                let steps = state.decision.iter().flat_map(|d| &d.documents);
                let steps: Vec<_> = steps.cloned().collect();
                let documents = c.revert_documents(&steps)?;
                Ok((state, documents))
            })
            .await?;
        let decision = match (state.phase, state.decision) {
            (Phase::Finished | Phase::Swept, Some(decision)) => decision,
            (phase, _) => {
                let status = phase.as_str();
                return Err(TransactError::NotCommitted { id, status });
            }
        };
        let (workspace, which) = (self.workspace.clone(), id.clone());
        let back = blocking(move || revert(&which, &decision, workspace.blobs())).await?;
        let mut back = back?;
        let documents = documents.into_iter().map(Change::Document);
        back.changes.extend(documents);
        Ok(back)
    }

    /// With an errand, its step is decided in the same batch.
    pub(super) async fn run(
        &self,
        transaction: Transaction,
        writer: Writer,
        reverts: Option<TransactionId>,
        errand: Option<Errand>,
    ) -> Result<Transacted, TransactError> {
        let gate = self.gate.read().await;
        let id = TransactionId::random(&mut OsEntropy);
        let (workspace, roots, name) = (self.workspace.clone(), self.roots.clone(), id.clone());
        let on_disk = transaction
            .changes
            .iter()
            .any(|c| matches!(c, Change::File(_)));
        let survey = move || workspace.survey(&name, &transaction, &roots);
        // Without files no disk is looked at, and another thread would only cost time.
        let plan = Arc::new(match on_disk {
            true => blocking(survey).await??,
            false => survey()?,
        });
        let intent = plan.intent(&writer.by, reverts);
        let writer = Arc::new(writer);
        let _driven = self.drive(&id);
        if plan.is_documents_only() {
            let decision = plan.decision();
            let (state, head) = self.decide(&id, decision, &plan, intent, &writer).await?;
            return Ok(Transacted {
                state,
                head,
                waits: None,
            });
        }
        let (begun, which, whole) = (Arc::clone(&plan), id.clone(), intent.clone());
        let beginner = Arc::clone(&writer);
        let (state, _) = self
            .handle
            .call(move |c, now| c.begin_transaction(&which, &begun, whole, &beginner, now))
            .await?;
        let (workspace, staged) = (self.workspace.clone(), Arc::clone(&plan));
        let decided = match blocking(move || workspace.stage(&staged)).await? {
            Ok(decision) => match &errand {
                Some(errand) => self.decide_for(errand, &id, decision, intent).await,
                None => self.decide(&id, decision, &plan, intent, &writer).await,
            },
            Err(refused) => Err(refused.into()),
        };
        let (state, head) = match decided {
            Ok(decided) => decided,
            // It may be decided: only the journal knows, at the next start.
            Err(error @ TransactError::Refused(Refusal::Unknown(_))) => return Err(error),
            Err(error) => {
                self.abort(state, &error).await;
                return Err(error);
            }
        };
        drop(gate);
        self.complete(state, head).await
    }

    async fn decide(
        &self,
        id: &TransactionId,
        decision: Decision,
        plan: &Arc<Plan>,
        intent: Intent,
        writer: &Arc<Writer>,
    ) -> Result<(TransactionState, Head), TransactError> {
        let (id, plan, writer) = (id.clone(), Arc::clone(plan), Arc::clone(writer));
        let decided = self.handle.call(move |c, now| {
            c.decide_transaction(&id, &decision, plan.documents(), &intent, &writer, now)
        });
        Ok(decided.await?)
    }

    async fn decide_for(
        &self,
        errand: &Errand,
        id: &TransactionId,
        decision: Decision,
        intent: Intent,
    ) -> Result<(TransactionState, Head), TransactError> {
        let output = errand.output(id, &decision);
        let (of, id) = (errand.of.clone(), id.clone());
        let decided = self
            .handle
            .call(move |c, now| c.decide_files(&of, &id, &decision, &intent, &output, now));
        Ok(decided.await?)
    }

    /// Removes what staging left. If that fails, upkeep or the next start does it.
    async fn abort(&self, state: TransactionState, error: &TransactError) {
        let (code, reason) = (error.code(), error.to_string());
        let workspace = self.workspace.clone();
        let id = state.id.clone();
        let aborted = blocking(move || workspace.abort(&state.intent, code, &reason)).await;
        let event = match aborted {
            Ok(Ok(event)) => event,
            Ok(Err(error)) => {
                tracing::warn!(transaction = %id, %error, "stages of an aborted transaction stay");
                return;
            }
            // The server is stopping; the next start aborts it.
            Err(_) => return,
        };
        if let Err(refusal) = self.record(&id, event).await {
            tracing::warn!(transaction = %id, %refusal, "an abort could not be recorded");
        }
    }

    async fn record(
        &self,
        id: &TransactionId,
        event: TransactionEvent,
    ) -> Result<(TransactionState, Head), Refusal> {
        let id = id.clone();
        let record = move |c: &mut Coordinator, now| c.record_transaction(&id, &event, now);
        self.handle.call(record).await
    }

    /// Does what is left of a transaction.
    async fn complete(
        &self,
        mut state: TransactionState,
        mut head: Head,
    ) -> Result<Transacted, TransactError> {
        loop {
            let (workspace, now) = (self.workspace.clone(), state.clone());
            match blocking(move || workspace.advance(&now)).await? {
                Ok(Some(event)) => (state, head) = self.record(&state.id, event).await?,
                Ok(None) => {
                    return Ok(Transacted {
                        state,
                        head,
                        waits: None,
                    });
                }
                Err(error) => {
                    self.note_failure(&state.id, &error);
                    return Ok(Transacted {
                        state,
                        head,
                        waits: Some(error.to_string()),
                    });
                }
            }
        }
    }

    fn note_failure(&self, id: &TransactionId, error: &FinishError) {
        if error.verb.starts_with("sync") {
            self.unsynced.store(true, Ordering::Relaxed);
        }
        tracing::warn!(transaction = %id, %error, "a transaction is not on disk everywhere yet");
    }

    fn driven(&self) -> MutexGuard<'_, BTreeSet<TransactionId>> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drive(&self, id: &TransactionId) -> Driven<'_> {
        self.driven().insert(id.clone());
        Driven {
            transactor: self,
            id: id.clone(),
        }
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let work = tokio::task::spawn_blocking(work).await;
    work.map_err(|_| stopping())
}
