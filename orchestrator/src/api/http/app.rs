//! What the handlers share, and how they ask the coordinator.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use phisync_agents::protocol::SeqResponse;
use phisync_state::env::Clock;
use phisync_workflows::Catalog;

use crate::coordinator::{Coordinator, Now, Refusal};
use crate::engine::RunId;
use crate::identity::TokenStore;
use crate::runtime::{Handle, Prover, Snapshots, Transactor};

use super::auth::Counts;
use super::body::Answer;
use super::problem::Problem;

/// What the handlers share.
pub struct App {
    /// The coordinator's thread.
    pub handle: Handle,
    /// Snapshots and archives.
    pub snapshots: Snapshots,
    /// Who may call.
    pub tokens: Mutex<TokenStore>,
    /// How many of their requests are open, and how many were not allowed.
    pub counts: Counts,
    /// For what workflows may name.
    pub catalog: Catalog,
    /// For transactions over files and documents.
    pub transactor: Arc<Transactor>,
    /// For files that prove an agent's work.
    pub prover: Prover,
    /// For stamps of tokens.
    pub clock: Arc<dyn Clock>,
    /// Which of all servers this is; not a secret.
    pub instance: String,
    /// How often somebody knew a head that this journal never had.
    pub alarms: AtomicU64,
    /// Whether it only shows what is there.
    pub read_only: bool,
    /// Whether an agent changes documents and files only under a task that it holds.
    pub agents_write_under_tasks: bool,
}

impl App {
    /// Does `operation` on the coordinator's thread; its result is the answer, once what it saw is durable.
    pub(super) async fn answer<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Coordinator, Now) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Answer<T>, Problem> {
        let (body, head) = self.handle.call(operation).await?;
        Ok(Answer::ok(body, head))
    }

    /// The same for an operation about which there is nothing to tell but that it is on record.
    pub(super) async fn change(
        &self,
        operation: impl FnOnce(&mut Coordinator, Now) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<Answer<SeqResponse>, Problem> {
        let ((), head) = self.handle.call(operation).await?;
        Ok(Answer::ok(SeqResponse { seq: head.seq.0 }, head))
    }

    /// The same for a run, by its id or a unique beginning of it.
    pub(super) async fn on_run<T: Send + 'static>(
        &self,
        id: String,
        operation: impl FnOnce(&mut Coordinator, &RunId, Now) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Answer<T>, Problem> {
        let answer = self.answer(move |c, now| {
            let run = c.resolve_run(&id)?;
            operation(c, &run, now)
        });
        answer.await
    }
}
