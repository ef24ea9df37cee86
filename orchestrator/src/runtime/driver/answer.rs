//! Answers that are held back: what a caller hears once everything that its job saw is durable.

use std::sync::Arc;

use phisync_agents::protocol::Task;
use phisync_state::Unknown;

use super::{Answer, Handle, Job, Reply};
use crate::coordinator::Refusal;

/// For whoever asks a server that ends.
pub(in crate::runtime) fn stopping() -> Refusal {
    Refusal::Unknown(Unknown {
        reason: Arc::from("the server is stopping"),
    })
}

/// The result, or that the disk did not confirm it.
pub(super) fn answer_with<T: Send + 'static>(
    reply: Reply<T>,
    result: Result<T, Refusal>,
) -> Answer {
    Box::new(move |durable| {
        let answer = match durable {
            Ok(head) => result.map(|value| (value, head)),
            Err(unknown) => Err(Refusal::Unknown(unknown)),
        };
        // Whoever asked may be gone; what was done stays done.
        drop(reply.send(answer));
    })
}

/// Tells tasks to a poll; if nobody is there any more, they go back into the queue at once instead
/// of waiting for their leases to end.
pub(super) fn hand_over(
    handle: Handle,
    agent: String,
    reply: Reply<Vec<Task>>,
    tasks: Vec<Task>,
) -> Answer {
    Box::new(move |durable| {
        let orphans = match durable {
            Ok(head) => match reply.send(Ok((tasks, head))) {
                Err(Ok((orphans, _))) => orphans,
                Ok(()) | Err(Err(_)) => return,
            },
            // Whoever asked hears of no task; the disk may only be slow.
            Err(unknown) => {
                drop(reply.send(Err(Refusal::Unknown(unknown))));
                tasks
            }
        };
        for task in orphans {
            let agent = agent.clone();
            let release: Job = Box::new(move |desk, now| {
                let coordinator = &mut desk.coordinator;
                let released = coordinator.release(&agent, &task.id, task.token, false, now);
                if let Err(refusal) = released {
                    tracing::debug!(task = task.id, %refusal, "not released");
                }
                None
            });
            if handle.send(release).is_err() {
                tracing::debug!("a task of a caller that left waits for its lease to end");
            }
        }
    })
}
