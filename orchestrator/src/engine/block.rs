//! A step that runs bodies: what it works on, which passes are open, how those ended that are not.

use std::collections::BTreeSet;

use phisync_state::Timestamp;

use super::event::{BlockWork, CancelReason, PassOutcome};
use super::pass::PassId;
use super::{Failure, RawJson, RunId};

/// How a pass ended, as its block remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct PassEnd {
    /// Well or badly.
    pub outcome: PassOutcome,
    /// What it gave.
    pub output: Option<RawJson>,
    /// Why it failed.
    pub error: Option<Failure>,
}

/// One attempt at a block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Which, from 1.
    pub attempt: u32,
    /// Attempts that ended with an error.
    pub failures: u32,
    /// When it began first.
    pub first_started_at: Timestamp,
    /// When the clock over all attempts ends.
    pub deadline: Option<Timestamp>,
    /// All passes that it opened, those of earlier attempts included; those of handlers are the
    /// step's.
    pub passes: Vec<PassId>,
    /// Those that have not ended.
    pub open: BTreeSet<PassId>,
    /// Why it was told to stop.
    pub cancelling: Option<CancelReason>,
    /// Why it will fail as soon as what is open has ended.
    pub failing: Option<Failure>,
    /// Whether it begins anew, once its back-off is over.
    pub retrying: bool,
    /// How its `finally` ended, once it is entered.
    pub finally: Option<Option<PassEnd>>,
    /// How far it is.
    pub progress: Progress,
}

/// How far a block is, by its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// One body.
    Once {
        /// The case that was chosen; `None`: there are none.
        case: Option<String>,
        /// Whether the body was entered.
        entered: bool,
        /// How it ended.
        end: Option<PassEnd>,
    },
    /// A body and its handlers.
    Try {
        /// Whether the body was entered.
        entered: bool,
        /// How it ended.
        end: Option<PassEnd>,
        /// The handler that was entered, and how it ended.
        caught: Option<(usize, Option<PassEnd>)>,
    },
    /// A run of another workflow.
    Call {
        /// Its name.
        run: RunId,
        /// Its inputs, as the caller gave them.
        inputs: RawJson,
        /// How it ended.
        end: Option<PassEnd>,
    },
    /// Branches or items.
    Many(Box<Many>),
    /// Iterations.
    Loop {
        /// The iteration that was entered last, from 1; 0: none.
        round: u32,
        /// What the next one gets; `None`: there is none.
        next: Option<RawJson>,
        /// Whether it may go on no more though it should.
        exhausted: bool,
        /// How the last one ended.
        end: Option<PassEnd>,
    },
}

/// Bodies that run at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Many {
    /// What they work on; empty for branches.
    pub items: Vec<RawJson>,
    /// How many there are.
    pub count: u32,
    /// The next one to enter.
    pub next: u32,
    /// How each ended, by its place.
    pub ends: Vec<Option<PassEnd>>,
    /// The places, in the order in which they ended.
    pub order: Vec<u32>,
    /// How many ended well.
    pub succeeded: u32,
    /// How many ended badly.
    pub failed: u32,
}

impl Many {
    fn new(count: usize, items: Vec<RawJson>) -> Self {
        Self {
            items,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            ends: vec![None; count],
            ..Self::default()
        }
    }

    /// Whether each has ended.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.order.len() == self.ends.len()
    }

    pub(super) fn record(&mut self, place: u32, end: PassEnd) {
        match end.outcome {
            PassOutcome::Succeeded => self.succeeded += 1,
            PassOutcome::Failed => self.failed += 1,
            PassOutcome::Cancelled => {}
        }
        if let Some(slot) = self.ends.get_mut(place as usize)
            && slot.replace(end).is_none()
        {
            self.order.push(place);
        }
    }
}

impl Progress {
    /// Before the first pass. `branches` is how many a `parallel` has.
    pub(super) fn new(work: &BlockWork, branches: usize) -> Self {
        match work {
            BlockWork::Do => Self::Once {
                case: None,
                entered: false,
                end: None,
            },
            BlockWork::Switch { case } => Self::Once {
                case: Some(case.clone()),
                entered: false,
                end: None,
            },
            BlockWork::Call { run, inputs, .. } => Self::Call {
                run: run.clone(),
                inputs: inputs.clone(),
                end: None,
            },
            BlockWork::Try => Self::Try {
                entered: false,
                end: None,
                caught: None,
            },
            BlockWork::Parallel => Self::Many(Box::new(Many::new(branches, Vec::new()))),
            BlockWork::Foreach { items } => {
                // A list, as whoever decided this saw to; a fold is total all the same.
                let items: Vec<RawJson> = serde_json::from_str(items.text()).unwrap_or_default();
                Self::Many(Box::new(Many::new(items.len(), items)))
            }
            BlockWork::Loop { carry } => Self::Loop {
                round: 0,
                next: Some(carry.clone()),
                exhausted: false,
                end: None,
            },
        }
    }
}

impl Block {
    pub(super) fn new(work: &BlockWork, branches: usize, at: Timestamp) -> Self {
        Self {
            attempt: 1,
            failures: 0,
            first_started_at: at,
            deadline: None,
            passes: Vec::new(),
            open: BTreeSet::new(),
            cancelling: None,
            failing: None,
            retrying: false,
            finally: None,
            progress: Progress::new(work, branches),
        }
    }

    /// The inputs of the run that it calls, if it calls one.
    pub(super) fn called_with(&self) -> Option<&RawJson> {
        match &self.progress {
            Progress::Call { inputs, .. } => Some(inputs),
            Progress::Once { .. }
            | Progress::Try { .. }
            | Progress::Many(_)
            | Progress::Loop { .. } => None,
        }
    }

    /// The branches or items, if it has any.
    #[must_use]
    pub fn many(&self) -> Option<&Many> {
        match &self.progress {
            Progress::Many(many) => Some(many),
            Progress::Once { .. }
            | Progress::Try { .. }
            | Progress::Call { .. }
            | Progress::Loop { .. } => None,
        }
    }
}
