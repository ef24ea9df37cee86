//! One slot's round: poll, work, report; and what the slots of a worker share.

use std::sync::mpsc::{self, RecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::value::RawValue;

use super::attempt::{Attempt, Ended};
use super::backoff::Backoff;
use super::outcome::{Failure, Question, Report};
use super::stop::StopFlag;
use super::warden::Warden;
use super::{Worker, WorkerError, WorkerSummary, lock};
use crate::client::{CallError, Client};
use crate::protocol::{
    AskRequest, CompleteRequest, PollRequest, ReleaseRequest, SeqResponse, Task,
};

/// How long one poll waits for a task, in seconds. Below the usual patience of what stands between.
const POLL_WAIT_S: f64 = 20.0;

/// A poll without a task that took less did not wait: a server in a hurry must not be asked in a
/// tight loop.
const POLL_SHORT: Duration = Duration::from_secs(1);

/// All slots of one worker, from start to end.
pub(super) struct Shift<'a> {
    worker: &'a Worker,
    /// Nothing more is taken.
    closing: StopFlag,
    /// What runs is killed.
    halt: StopFlag,
    warden: Option<Warden>,
    /// How many more tasks may be claimed.
    tickets: Mutex<Option<u32>>,
    summary: Mutex<WorkerSummary>,
    fault: Mutex<Option<WorkerError>>,
}

/// What came of a poll.
enum Polled {
    /// Tasks, and when they were asked for.
    Tasks(Vec<Task>, Duration),
    Failed(CallError),
    Stop,
}

/// A task and when it was asked for.
type Claim = (Task, Duration);

impl<'a> Shift<'a> {
    pub(super) fn new(
        worker: &'a Worker,
        closing: StopFlag,
        halt: StopFlag,
        warden: Option<Warden>,
    ) -> Self {
        let config = &worker.config;
        let tickets = if config.once {
            Some(1)
        } else {
            config.max_tasks
        };
        Self {
            worker,
            closing,
            halt,
            warden,
            tickets: Mutex::new(tickets),
            summary: Mutex::default(),
            fault: Mutex::default(),
        }
    }

    /// Ends every slot because of `fault`; the first one counts.
    pub(super) fn give_up(&self, fault: WorkerError) {
        lock(&self.fault).get_or_insert(fault);
        self.halt.request();
    }

    /// What came of it all.
    pub(super) fn end(self) -> Result<WorkerSummary, WorkerError> {
        let fault = self
            .fault
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let summary = *lock(&self.summary);
        fault.map_or(Ok(summary), Err)
    }

    /// Works until asked to take nothing more, or no ticket is left.
    pub(super) fn serve(&self) {
        while self.take_ticket() {
            let claimed = self.claim();
            let Some(claim) = claimed else {
                self.return_ticket();
                return;
            };
            let mut next = Some(claim);
            while let Some((task, asked)) = next {
                next = self.work(&task, asked);
            }
        }
    }

    fn take_ticket(&self) -> bool {
        if self.closing.is_requested() {
            return false;
        }
        match &mut *lock(&self.tickets) {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    fn return_ticket(&self) {
        if let Some(left) = &mut *lock(&self.tickets) {
            *left += 1;
        }
    }

    /// Polls until there is a task; `None` to end the slot.
    fn claim(&self) -> Option<Claim> {
        let mut backoff = Backoff::default();
        while !self.closing.is_requested() {
            match self.poll() {
                Polled::Tasks(tasks, asked) => {
                    if let Some(task) = self.one_of(tasks) {
                        return Some((task, asked));
                    }
                    if self.worker.config.once || self.worker.config.drain {
                        return None;
                    }
                    let waited = self.worker.clock.monotonic().saturating_sub(asked);
                    if waited < POLL_SHORT {
                        self.pause(&mut backoff, &self.closing);
                    } else {
                        backoff.reset();
                    }
                }
                Polled::Failed(cause) if cause.may_retry() => {
                    tracing::warn!(%cause, "no task could be asked for");
                    self.pause(&mut backoff, &self.closing);
                }
                Polled::Failed(cause) => {
                    self.give_up(WorkerError::Refused(cause));
                    return None;
                }
                Polled::Stop => return None,
            }
        }
        None
    }

    fn wish(&self, wait_s: Option<f64>) -> PollRequest {
        PollRequest {
            capabilities: self.worker.config.capabilities.clone(),
            max: Some(1),
            wait_s,
        }
    }

    /// The one task that was asked for; a server that gave more gets them back.
    fn one_of(&self, tasks: Vec<Task>) -> Option<Task> {
        let mut tasks = tasks.into_iter();
        let first = tasks.next();
        tasks.for_each(|surplus| self.release(&surplus, false));
        first
    }

    /// Asks for one task without being deaf to a request to stop: the call is made on another
    /// thread, which gives back what comes too late.
    fn poll(&self) -> Polled {
        let asked = self.worker.clock.monotonic();
        let wait = (!self.worker.config.drain).then_some(POLL_WAIT_S);
        let request = self.wish(wait);
        let (tell, told) = mpsc::channel();
        let stop = tell.clone();
        let _on_stop = self.closing.on_request(move || {
            // A poll that was answered needs no stop.
            stop.send(Polled::Stop).ok();
        });
        let abandoned = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&abandoned);
        let client = self.worker.client.clone();
        let call = move || {
            let polled = match client.poll(&request) {
                Ok(tasks) => Polled::Tasks(tasks, asked),
                Err(cause) => Polled::Failed(cause),
            };
            // Held while the answer is handed over, so that none falls between two chairs.
            let abandoned = lock(&seen);
            if *abandoned {
                give_back(&client, polled);
            } else {
                // The listener is there: it says that it leaves under the same lock.
                tell.send(polled).ok();
            }
        };
        if let Err(cause) = thread::Builder::new().name("poll".to_owned()).spawn(call) {
            self.give_up(WorkerError::Thread(cause));
            return Polled::Stop;
        }
        let first = told.recv().unwrap_or_else(|RecvError| Polled::Stop);
        if matches!(first, Polled::Stop) {
            *lock(&abandoned) = true;
            told.try_iter()
                .for_each(|late| give_back(&self.worker.client, late));
        }
        first
    }

    /// Works on one task and reports its end; the next one, if the report brought it along.
    fn work(&self, task: &Task, asked: Duration) -> Option<Claim> {
        let worker = self.worker;
        if self.halt.is_requested() {
            self.release(task, false);
            return None;
        }
        let attempt = Attempt {
            client: &worker.client,
            clock: &worker.clock,
            stop: &self.halt,
            program: &worker.program,
            name: &worker.config.name,
            stdin: worker.config.stdin,
            limits: worker.config.limits,
            nudge: &worker.config.nudge,
            warden: self.warden.as_ref(),
            screen: worker.config.screen.as_ref(),
        };
        match attempt.run(task, asked) {
            Ended::Report(Report::Complete(output)) => return self.complete(task, output),
            Ended::Report(Report::Ask(question)) => self.ask(task, question),
            Ended::Report(Report::Fail(failure)) => self.fail(task, failure),
            Ended::Stale => self.count(|summary| summary.lost += 1),
            Ended::Back { begun } => self.release(task, begun),
            Ended::Unattended(cause) => {
                self.release(task, true);
                self.give_up(WorkerError::Thread(cause));
            }
            Ended::Unstartable(source) => {
                self.release(task, false);
                let program = worker.program.path.display().to_string();
                self.give_up(WorkerError::Program { program, source });
            }
        }
        None
    }

    /// Reports a result, and claims the next task with it when there is a ticket for one.
    fn complete(&self, task: &Task, output: Box<RawValue>) -> Option<Claim> {
        let ticket = self.take_ticket();
        let request = CompleteRequest {
            token: task.token,
            output,
            poll: ticket.then(|| self.wish(None)),
        };
        let mut asked = Duration::ZERO;
        let answer = self.insist(|| {
            asked = self.worker.clock.monotonic();
            self.worker.client.complete(&task.id, &request)
        });
        let next = match answer {
            Ok(answer) => {
                self.count(|summary| summary.completed += 1);
                let next = self.one_of(answer.tasks.unwrap_or_default());
                next.map(|task| (task, asked))
            }
            Err(CallError::Rejected(problem)) => {
                // The server will not have this result, and says so without ending the attempt.
                let code = match problem.code.as_str() {
                    "acceptance" => "acceptance",
                    code if code.starts_with("schema") => "schema.output",
                    _ => "task.failed",
                };
                let message = format!("the result was refused: {}", problem.detail);
                self.fail(task, Failure::new(code, message));
                None
            }
            Err(cause) => {
                self.not_reported(task, &cause);
                None
            }
        };
        if ticket && next.is_none() {
            self.return_ticket();
        }
        next
    }

    /// Puts a question to people: the task comes back with the answer, to whoever is free then.
    fn ask(&self, task: &Task, question: Question) {
        let request = AskRequest {
            token: task.token,
            question: question.question,
            form: question.form,
        };
        match self.insist(|| self.worker.client.ask(&task.id, &request)) {
            Ok(_) => self.count(|summary| summary.asked += 1),
            Err(CallError::Rejected(problem)) => {
                let message = format!("the question was refused: {}", problem.detail);
                self.fail(task, Failure::new("agent.rejected", message));
            }
            Err(cause) => self.not_reported(task, &cause),
        }
    }

    fn fail(&self, task: &Task, failure: Failure) {
        let request = failure.request(task.token);
        match self.insist(|| self.worker.client.fail(&task.id, &request)) {
            Ok(_) => self.count(|summary| summary.failed += 1),
            Err(cause) => self.not_reported(task, &cause),
        }
    }

    /// Gives `task` back. Tried once: its lease is about to end anyway, or somebody waits for us.
    fn release(&self, task: &Task, begun: bool) {
        match release(&self.worker.client, task, begun) {
            Ok(_) => self.count(|summary| summary.released += 1),
            Err(cause) => self.not_reported(task, &cause),
        }
    }

    fn not_reported(&self, task: &Task, cause: &CallError) {
        if let CallError::Stale(_) = cause {
            tracing::info!(task = task.id, %cause, "the end of a task came too late");
            self.count(|summary| summary.lost += 1);
        } else {
            tracing::warn!(task = task.id, %cause, "the end of a task could not be reported");
            self.count(|summary| summary.unreported += 1);
        }
    }

    /// Repeats a call until its outcome is known, or somebody asks to stop: the very same report may
    /// be sent any number of times.
    fn insist<T>(&self, mut call: impl FnMut() -> Result<T, CallError>) -> Result<T, CallError> {
        let mut backoff = Backoff::default();
        loop {
            match call() {
                Err(cause) if cause.may_retry() && !self.halt.is_requested() => {
                    tracing::warn!(%cause, "a report is sent again");
                    self.pause(&mut backoff, &self.halt);
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits before the next try; a request by `until` ends the wait.
    fn pause(&self, backoff: &mut Backoff, until: &StopFlag) {
        let wait = backoff.next(&mut **lock(&self.worker.entropy));
        if until.wait(wait) {
            tracing::debug!("a wait was cut short");
        }
    }

    fn count(&self, change: impl FnOnce(&mut WorkerSummary)) {
        change(&mut lock(&self.summary));
    }
}

/// Releases tasks that came after the wish to stop. They were never started, so nothing is counted.
fn give_back(client: &Client, late: Polled) {
    if let Polled::Tasks(tasks, _) = late {
        for task in tasks {
            if let Err(cause) = release(client, &task, false) {
                tracing::warn!(task = task.id, %cause, "a task could not be given back");
            }
        }
    }
}

fn release(client: &Client, task: &Task, begun: bool) -> Result<SeqResponse, CallError> {
    let token = task.token;
    client.release(&task.id, &ReleaseRequest { token, begun })
}
