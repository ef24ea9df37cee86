//! What a crash or a failing disk left: completed before a server answers, and tried again while it
//! runs. Contents that nobody needs any more go too.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use phisync_state::Timestamp;
use phisync_state::transaction::{Act, Decision, Digest, TransactionEvent, Workspace};

use super::{TransactError, Transactor, blocking};
use crate::coordinator::{Coordinator, Now, Refusal};

/// How often what is unfinished is tried again.
const RETRY_PERIOD: Duration = Duration::from_secs(5);

/// How often blobs that nobody needs are removed, in such periods: once an hour.
const COLLECT_PERIODS: u32 = 720;

impl Transactor {
    /// Tries again what is unfinished, and removes blobs that nobody needs, until dropped.
    pub(crate) async fn upkeep(&self) {
        let mut period = tokio::time::interval(RETRY_PERIOD);
        for round in 0_u32.. {
            period.tick().await;
            if let Err(error) = self.retry().await {
                tracing::debug!(%error, "unfinished transactions wait");
            }
            if round % COLLECT_PERIODS == 0
                && let Err(error) = self.collect().await
            {
                tracing::warn!(%error, "blobs that nobody needs stay");
            }
        }
    }

    async fn retry(&self) -> Result<(), TransactError> {
        if self.unsynced.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (open, head) = self.handle.call(|c, _| Ok(c.open_transactions())).await?;
        for state in open {
            if self.driven().contains(&state.id) {
                continue;
            }
            let _driven = self.drive(&state.id);
            self.complete(state, head.clone()).await?;
        }
        Ok(())
    }

    async fn collect(&self) -> Result<(), TransactError> {
        let _alone = self.gate.write().await;
        let now = self.clock.now().as_micros();
        let kept = i64::try_from(self.pre_images.as_micros()).unwrap_or(i64::MAX);
        let since = Timestamp::from_micros(now.saturating_sub(kept));
        let (ids, _) = self
            .handle
            .call(move |c, _| Ok(c.transactions_since(since)))
            .await?;
        let (store, blobs) = (Arc::clone(&self.store), self.workspace.blobs().clone());
        let gone = blocking(move || -> io::Result<usize> {
            let mut needed = BTreeSet::new();
            for id in ids {
                let records = store.read(&id.stream(), 1).map_err(io::Error::other)?;
                for record in records {
                    let event = serde_json::from_str(&record.event)?;
                    if let TransactionEvent::Decided(decision) = event {
                        needed.extend(digests(&decision));
                    }
                }
            }
            blobs.collect(&needed)
        });
        match gone.await? {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "removed blobs that nobody needs"),
            Err(error) => tracing::warn!(%error, "blobs that nobody needs stay"),
        }
        Ok(())
    }
}

fn digests(decision: &Decision) -> Vec<Digest> {
    let mut digests = Vec::new();
    for step in &decision.files {
        match &step.act {
            Act::Put { before, after, .. } => {
                digests.extend(before.iter().map(|image| image.sha256.clone()));
                digests.push(after.sha256.clone());
            }
            Act::Remove { before, .. } => digests.push(before.sha256.clone()),
            Act::Same { .. } | Act::MakeDir { .. } | Act::RemoveDir {} => {}
        }
    }
    digests
}

/// Completes, before anybody is served, what the process before left open. A disk that fails leaves
/// its transaction to upkeep.
///
/// # Errors
/// The store's.
pub(crate) fn recover(
    coordinator: &mut Coordinator,
    workspace: &Workspace,
    now: Now,
) -> Result<(), Refusal> {
    for mut state in coordinator.open_transactions() {
        tracing::info!(transaction = %state.id, status = state.phase.as_str(), "completing");
        loop {
            match workspace.advance(&state) {
                Ok(Some(event)) => {
                    state = coordinator.record_transaction(&state.id, &event, now)?;
                    coordinator.wait_until_durable()?;
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(transaction = %state.id, %error, "it stays unfinished");
                    break;
                }
            }
        }
    }
    Ok(())
}
