//! What the handlers share, and how they ask the coordinator.

use std::sync::{Arc, Mutex};

use phisync_agents::protocol::SeqResponse;
use phisync_state::env::Clock;
use phisync_state::snapshot::Standing;
use phisync_workflows::Catalog;

use crate::coordinator::{Alarms, Coordinator, Lent, Now, Refusal};
use crate::engine::{RunId, TaskId};
use crate::identity::TokenStore;
use crate::runtime::{Handle, Prover, Snapshots, Transactor};

use super::auth::Counts;
use super::body::Answer;
use super::past::records_of;
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
    /// What was found out of order lately.
    pub alarms: Arc<Alarms>,
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

    /// The records of those of the runs that are in archives, read where nobody else waits for it.
    pub(super) async fn lent(
        &self,
        runs: impl IntoIterator<Item = RunId>,
    ) -> Result<Lent, Problem> {
        let mut lent = Lent::default();
        for run in runs {
            let standing = self.snapshots.archives().standing(&run.stream());
            if matches!(standing, Standing::Archived(_)) {
                let records = records_of(self, &run).await?;
                lent.add(run, records);
            }
        }
        Ok(lent)
    }

    /// The same for the run of a task.
    pub(super) async fn lent_for(&self, task: &str) -> Result<Lent, Problem> {
        // What is no task is refused where it is looked up.
        let run = TaskId::split(task).ok().map(|(run, _, _)| run);
        self.lent(run).await
    }

    /// The same for a run, by its id or a unique beginning of it.
    pub(super) async fn on_run<T: Send + 'static>(
        &self,
        id: String,
        operation: impl FnOnce(&mut Coordinator, &RunId, Now) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Answer<T>, Problem> {
        let lent = self.lent(RunId::parse(&id)).await?;
        let answer = self.answer(lent.to(move |c: &mut Coordinator, now| {
            let run = c.resolve_run(&id)?;
            operation(c, &run, now)
        }));
        answer.await
    }
}
