//! The way into the engine: one input, checked first, then followed to everything that it causes
//! at once.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use phisync_state::Timestamp;
use phisync_workflows::Machine;

use super::apply;
use super::approval::Answer;
use super::event::RunEvent;
use super::input::{Input, Moment, Rejection, Start};
use super::pass::{PassId, Slot};
use super::question::Said;
use super::run::RunState;
use super::status::Phase;

/// What one input means: facts, in order. They are already applied to the run that was decided
/// on; storing them is the caller's duty, and a caller who cannot store them must drop the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The facts.
    pub events: Vec<RunEvent>,
}

/// A run in the middle of a decision: every fact is applied as soon as it is found, so that the
/// next one builds on it.
pub(super) struct Draft<'a> {
    pub run: &'a mut RunState,
    pub moment: Moment,
    pub events: Vec<RunEvent>,
    /// What may move now.
    pub work: VecDeque<Work>,
    /// Steps that were undone elsewhere, should undoing begin.
    pub spared: BTreeSet<String>,
}

/// Something that may move because of a fact.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// A pending step may start, or may never.
    Check(Slot),
    /// A pass may be through.
    Pass(PassId),
    /// A block may go on.
    Block(Slot),
    /// The token of a workflow of states may go on.
    Walk,
}

impl<'a> Draft<'a> {
    pub(super) fn new(run: &'a mut RunState, moment: Moment) -> Self {
        Self {
            run,
            moment,
            events: Vec::new(),
            work: VecDeque::new(),
            spared: BTreeSet::new(),
        }
    }
}

impl Draft<'_> {
    /// The first fact of every run, whose own time begins at `from`.
    pub(super) fn emit_start(&mut self, machine: &Machine, start: Start, from: Timestamp) {
        self.emit(RunEvent::RunStarted {
            run: start.run,
            workflow: machine.name().to_owned(),
            definition: machine.hash().to_owned(),
            inputs: start.inputs,
            labels: start.labels,
            by: start.by,
            at: self.moment.now,
            deadline: from.saturating_add(machine.timeout()),
            trigger: start.trigger,
            config: start.config,
        });
    }

    /// Lets the steps that need nothing begin.
    pub(super) fn begin(&mut self) {
        let roots = self.run.slots_of(PassId::MAIN);
        let roots = roots.filter(|slot| self.run.spec(*slot).needs.is_empty());
        let roots: Vec<_> = roots.map(Work::Check).collect();
        self.work.extend(roots);
        let machine = self.machine();
        if let Some(states) = machine.states() {
            self.begin_walk(states);
        }
    }

    pub(super) fn emit(&mut self, event: RunEvent) {
        apply(self.run, &event);
        self.events.push(event);
    }

    pub(super) fn machine(&self) -> Arc<Machine> {
        Arc::clone(&self.run.machine)
    }
}

/// Makes a new run: its first facts, and the run they give.
#[must_use]
pub fn start(machine: Arc<Machine>, start: Start, moment: Moment) -> (RunState, Decision) {
    let mut run = RunState::new(Arc::clone(&machine), start.run.clone());
    let mut draft = Draft::new(&mut run, moment);
    let held = start.held;
    draft.emit_start(&machine, start, moment.now);
    if held {
        draft.emit(RunEvent::RunHeld { at: moment.now });
    } else {
        draft.begin();
    }
    draft.settle();
    let events = draft.events;
    (run, Decision { events })
}

/// Decides what one input means for one run; never reads a clock, a file or a random source.
///
/// The run is changed in place (see `docs/adr/0002-decide-in-place.md`): on `Ok` it holds the
/// returned facts already, on `Err` it is as it was.
///
/// # Errors
/// See [`Rejection`].
pub fn decide(run: &mut RunState, input: Input, moment: Moment) -> Result<Decision, Rejection> {
    let mut draft = Draft::new(run, moment);
    match input {
        Input::Claim {
            step,
            undo,
            agent,
            epoch,
        } => draft.claim(&step, undo, agent, epoch)?,
        Input::Complete {
            step,
            undo,
            token,
            output,
            proof,
        } => draft.complete(&step, undo, token, output, &proof)?,
        Input::Fail {
            step,
            undo,
            token,
            error,
            retryable,
            retry_after_ms,
        } => draft.fail(&step, undo, token, error, retryable, retry_after_ms)?,
        Input::Release {
            step,
            undo,
            token,
            begun,
        } => draft.release(&step, undo, token, begun)?,
        Input::Ask {
            step,
            undo,
            token,
            question,
            form,
        } => draft.ask(&step, undo, token, question, form)?,
        Input::Answer {
            step,
            undo,
            by,
            text,
            form,
            shown_hash,
        } => {
            let said = Said { by, text, form };
            draft.answer_question(&step, undo, said, shown_hash.as_deref())?;
        }
        Input::NoteProgress {
            step,
            undo,
            token,
            progress,
            said_at,
        } => draft.note_progress(&step, undo, token, progress, said_at)?,
        Input::Write {
            step,
            undo,
            token,
            transaction,
            documents,
            files,
        } => {
            draft.run.holds(&step, undo, token)?;
            let at = draft.moment.now;
            draft.emit(RunEvent::TaskWrote {
                step,
                undo,
                token,
                transaction,
                documents,
                files,
                at,
            });
        }
        Input::LoseLease {
            step,
            undo,
            token,
            why,
        } => draft.lose_lease(&step, undo, token, why)?,
        Input::Decide {
            step,
            decision,
            by,
            comment,
            form,
            shown_hash,
        } => {
            let answer = Answer {
                decision,
                by,
                comment,
                form,
            };
            draft.decide_approval(&step, answer, shown_hash.as_deref())?;
        }
        Input::Tick => draft.tick(),
        Input::Cancel { by, reason } => draft.cancel(by, reason)?,
        Input::Pause { by, reason } => draft.pause(by, reason)?,
        Input::Resume { by } => draft.resume(by)?,
        Input::Admit => draft.admit(),
        Input::Signal { name, data, by } => draft.signal(name, data, by)?,
        Input::Deliver { step, what } => draft.hear(&step, what)?,
        Input::ChildEnded { step, end } => draft.child_ended(&step, end)?,
        Input::FilesEnded { step, attempt, end } => draft.files_ended(&step, attempt, end)?,
        Input::ResolveStall { action, reason, by } => draft.resolve_stall(action, reason, by)?,
        Input::Resolve {
            step,
            action,
            reason,
            by,
        } => draft.resolve(&step, action, reason, by)?,
    }
    draft.settle();
    let events = draft.events;
    Ok(Decision { events })
}

impl Draft<'_> {
    fn cancel(&mut self, by: String, reason: Option<String>) -> Result<(), Rejection> {
        match self.run.phase {
            Phase::Closed => Err(Rejection::RunClosed {
                run: self.run.id.clone(),
            }),
            // Asked twice, or it is ending anyway: nothing to add.
            Phase::Cancelling
            | Phase::Failing
            | Phase::Finishing
            | Phase::Handling
            | Phase::Compensating
            | Phase::Cleaning => Ok(()),
            Phase::Forward => {
                // What is undone is dispatched: a run that ends does not stand still.
                self.resume(by.clone())?;
                self.emit(RunEvent::RunCancelling {
                    by,
                    reason,
                    at: self.moment.now,
                });
                self.stop_main(super::CancelReason::RunCancelled);
                Ok(())
            }
        }
    }
}
