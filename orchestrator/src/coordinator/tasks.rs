//! What agents say about the tasks they hold.

use std::time::Duration;

use phisync_agents::protocol::{HeartbeatResponse, Task};

use crate::engine::{Failure, FoundFile, Input, RawJson, RunId, TaskId};
use crate::protocol::{Progress, TaskDetail};

use super::{Coordinator, Now, Polled, Refusal, RefusalClass, report};

/// At most so many tasks in one poll.
const CLAIM_MAX: u32 = 64;

/// A result that an agent reports.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of which task.
    pub task: String,
    /// The holder's token.
    pub token: u64,
    /// The result.
    pub output: RawJson,
    /// What was found of the files that prove it.
    pub proof: Vec<FoundFile>,
}

/// An accepted result.
#[derive(Debug)]
pub struct Completed {
    /// The next tasks, if they were asked for in the same call.
    pub tasks: Option<Vec<Task>>,
}

impl Coordinator {
    /// An agent asks for work.
    ///
    /// # Errors
    /// An agent that is not declared.
    pub fn poll(
        &mut self,
        agent: &str,
        capabilities: Option<&[String]>,
        max: u32,
        wait: Duration,
        now: Now,
    ) -> Result<Polled, Refusal> {
        let max = max.clamp(1, CLAIM_MAX);
        let tasks = self.transact(now, |c| {
            c.greet(agent, now)?;
            c.claim_best(agent, capabilities, max, now)
        })?;
        if !tasks.is_empty() || wait.is_zero() {
            return Ok(Polled::Tasks(tasks));
        }
        let poll = self.wait_for_tasks(agent, capabilities, max, wait, now);
        Ok(Polled::Waiting(poll))
    }

    /// An agent lives, and still works on its task; it may say how far it is.
    ///
    /// # Errors
    /// A stale token, or somebody else's; more progress than is kept.
    pub fn heartbeat(
        &mut self,
        agent: &str,
        task: &str,
        token: u64,
        progress: Option<&RawJson>,
        now: Now,
    ) -> Result<HeartbeatResponse, Refusal> {
        let (run, step, undo) = TaskId::split(task)?;
        super::progress::check(task, progress)?;
        self.transact(now, |c| {
            c.refresh(&run, now)?;
            c.greet(agent, now)?;
            c.check_caller(&run, step, undo, token, agent)
        })?;
        let Some(open) = self.open.get(&run) else {
            let closed = self.load(&run)?;
            closed.heartbeat(step, undo, token)?;
            return Err(Refusal::no_run(run.as_str()));
        };
        let cancel_requested = open.state.heartbeat(step, undo, token)?;
        let key = open.state.slot_named(step).map(|step| TaskId {
            run: run.clone(),
            step,
            undo,
        });
        if let (Some(task), Some(progress)) = (&key, progress) {
            self.progress.hear(task, token, progress, now);
        }
        let lease = key.and_then(|key| self.leases.renew(&key, now.mono));
        let lease = lease.unwrap_or_default();
        Ok(HeartbeatResponse {
            lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            lease_expires_at: now.wall.saturating_add(lease).to_string(),
            cancel_requested,
        })
    }

    /// An agent alone says that it lives.
    ///
    /// # Errors
    /// An agent that is not declared.
    pub fn agent_heartbeat(&mut self, agent: &str, now: Now) -> Result<(), Refusal> {
        self.transact(now, |c| c.greet(agent, now))
    }

    /// [`Self::complete_with`] where no file proves anything.
    ///
    /// # Errors
    /// As there.
    pub fn complete(
        &mut self,
        agent: &str,
        task: &str,
        token: u64,
        output: &RawJson,
        next: Option<(Option<&[String]>, u32)>,
        now: Now,
    ) -> Result<Completed, Refusal> {
        let output = output.clone();
        let result = Outcome {
            task: task.to_owned(),
            token,
            output,
            proof: Vec::new(),
        };
        self.complete_with(agent, &result, next, now)
    }

    /// An agent reports a result, and may ask for the next tasks with it.
    ///
    /// # Errors
    /// A stale token, another result under the same token, somebody else's task; a result that breaks
    /// the schema or lacks its proof (the attempt then stays open). `ProofWanted`: look at these files and
    /// come again.
    pub fn complete_with(
        &mut self,
        agent: &str,
        result: &Outcome,
        next: Option<(Option<&[String]>, u32)>,
        now: Now,
    ) -> Result<Completed, Refusal> {
        self.transact(now, |c| {
            c.greet(agent, now)?;
            c.take_result(agent, result, now)?;
            let tasks = c.claim_next(agent, next, now)?;
            Ok(Completed { tasks })
        })
    }

    /// An agent reports many results; each has its own answer, and all that are accepted are one batch.
    ///
    /// # Errors
    /// Only what concerns all of them: an agent that is not declared, the store.
    pub fn complete_many(
        &mut self,
        agent: &str,
        results: &[Outcome],
        next: Option<(Option<&[String]>, u32)>,
        now: Now,
    ) -> Result<(Vec<Result<(), Refusal>>, Completed), Refusal> {
        self.transact(now, |c| {
            c.greet(agent, now)?;
            let mut answers = Vec::with_capacity(results.len());
            for result in results {
                let answer = c.take_result(agent, result, now);
                if let Err(refusal) = &answer
                    && matches!(
                        refusal.class(),
                        RefusalClass::Unknown | RefusalClass::Busy | RefusalClass::Full
                    )
                {
                    return Err(refusal.clone());
                }
                answers.push(answer);
            }
            let tasks = c.claim_next(agent, next, now)?;
            Ok((answers, Completed { tasks }))
        })
    }

    /// Claims what a report asks for along with it.
    fn claim_next(
        &mut self,
        agent: &str,
        next: Option<(Option<&[String]>, u32)>,
        now: Now,
    ) -> Result<Option<Vec<Task>>, Refusal> {
        let Some((capabilities, max)) = next else {
            return Ok(None);
        };
        let max = max.clamp(1, CLAIM_MAX);
        self.claim_best(agent, capabilities, max, now).map(Some)
    }

    /// Takes one result, as part of an operation.
    fn take_result(&mut self, agent: &str, result: &Outcome, now: Now) -> Result<(), Refusal> {
        let (run, step, undo) = TaskId::split(&result.task)?;
        let token = result.token;
        self.check_caller(&run, step, undo, token, agent)?;
        let input = Input::Complete {
            step: step.to_owned(),
            undo,
            token,
            output: result.output.clone(),
            proof: result.proof.clone(),
        };
        self.decide(&run, input, now)?;
        let open = self.open.get(&run);
        let refused = open.and_then(|open| {
            let state = &open.state;
            let task = state.task(state.slot_named(step)?, undo)?;
            task.refusal(result.task.clone(), token)
        });
        refused.map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// An agent reports an error.
    ///
    /// # Errors
    /// A stale token, another error under the same token, somebody else's task.
    #[expect(clippy::too_many_arguments, reason = "the fields of one report")]
    pub fn fail(
        &mut self,
        agent: &str,
        task: &str,
        token: u64,
        error: &Failure,
        retryable: Option<bool>,
        retry_after_ms: Option<u64>,
        now: Now,
    ) -> Result<(), Refusal> {
        self.holder_says(agent, task, token, now, |step, undo| Input::Fail {
            step,
            undo,
            token,
            error: error.clone(),
            retryable,
            retry_after_ms,
        })
    }

    /// An agent gives a task back. If the work had `begun`, the world may have changed, and what
    /// ends without another result is undone.
    ///
    /// # Errors
    /// A stale token, somebody else's task.
    pub fn release(
        &mut self,
        agent: &str,
        task: &str,
        token: u64,
        begun: bool,
        now: Now,
    ) -> Result<(), Refusal> {
        self.holder_says(agent, task, token, now, |step, undo| Input::Release {
            step,
            undo,
            token,
            begun,
        })
    }

    /// Takes what the holder of a task says of it: under its token, from nobody else, and after how
    /// far it had said it was.
    pub(super) fn holder_says(
        &mut self,
        agent: &str,
        task: &str,
        token: u64,
        now: Now,
        input: impl Fn(String, bool) -> Input,
    ) -> Result<(), Refusal> {
        let (run, step, undo) = TaskId::split(task)?;
        self.transact(now, |c| {
            c.greet(agent, now)?;
            c.check_caller(&run, step, undo, token, agent)?;
            c.note_progress_of(&run, step, undo, token, now)?;
            c.decide(&run, input(step.to_owned(), undo), now)
        })
    }

    /// One task, live or not.
    ///
    /// # Errors
    /// No such run, step or task.
    pub fn task(&self, id: &str, now: Now) -> Result<TaskDetail, Refusal> {
        let (run, step) = self.split_step_id(id)?;
        let (step, undo) = match step.strip_suffix(".undo") {
            Some(step) => (step, true),
            None => (step.as_str(), false),
        };
        let found = self.with_run(&run, |state| {
            let step = state.slot_named(step)?;
            let mut detail = report::task(state, step, undo)?;
            let run = run.clone();
            let task = TaskId { run, step, undo };
            let said = self.progress_of(&task, now);
            detail.progress = said.map(|(progress, at, still)| Progress {
                value: progress.parse(),
                at: at.to_string(),
                still_ms: u64::try_from(still.as_millis()).unwrap_or(u64::MAX),
            });
            Some(detail)
        })?;
        found.ok_or_else(|| Refusal::NotFound {
            what: "task",
            id: id.to_owned(),
        })
    }

    /// A token proves who holds the task, not who calls: the caller must be the holder. That is also so of a token
    /// whose word was taken already, or anybody who saw it would be told that their own word was.
    pub(super) fn check_caller(
        &self,
        run: &RunId,
        step: &str,
        undo: bool,
        token: u64,
        agent: &str,
    ) -> Result<(), Refusal> {
        let closed;
        let state = match self.open.get(run) {
            Some(open) => &open.state,
            None => {
                closed = self.load(run)?;
                &closed
            }
        };
        let index = state.slot_named(step);
        let task = index.and_then(|index| state.task(index, undo));
        match task.and_then(|task| task.given_to(token)) {
            Some(holder) if holder != agent => Err(Refusal::Forbidden(format!(
                "token {token} was given to `{holder}`, not to `{agent}`"
            ))),
            Some(_) | None => Ok(()),
        }
    }
}
