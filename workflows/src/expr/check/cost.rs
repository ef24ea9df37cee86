//! How many steps an evaluation may take, from the sizes that schemas promise (PHI315).
//!
//! A macro multiplies what its body costs by the most items that its list may have. The evaluator stops at
//! its fuel whatever stands here: this finds beforehand what would stop there.

use std::ops::Range;

use super::super::ExprError;
use super::super::eval::FUEL;
use crate::diagnostic::Severity;

/// What a list without `maxItems` is counted as, for a warning.
const ITEMS_USUAL: u64 = 100;

/// The steps so far, and how often the present place is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Counting only what is certain to be allowed: a list of unknown length is one item.
    certain: Count,
    /// Counting lists of unknown length as usual ones.
    usual: Count,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    steps: u64,
    times: u64,
}

impl Cost {
    pub(super) fn new() -> Self {
        let count = Count { steps: 0, times: 1 };
        Self {
            certain: count,
            usual: count,
        }
    }

    /// One node is evaluated here.
    pub(super) fn step(&mut self) {
        for count in [&mut self.certain, &mut self.usual] {
            count.steps = count.steps.saturating_add(count.times);
        }
    }

    /// What follows is evaluated for each item of a list of at most `most` items. Gives what
    /// [`Cost::leave`] takes.
    pub(super) fn enter(&mut self, most: Option<u32>) -> (u64, u64) {
        let outside = (self.certain.times, self.usual.times);
        let most = most.map(u64::from);
        self.certain.times = outside.0.saturating_mul(most.unwrap_or(1));
        self.usual.times = outside.1.saturating_mul(most.unwrap_or(ITEMS_USUAL));
        outside
    }

    pub(super) fn leave(&mut self, outside: (u64, u64)) {
        (self.certain.times, self.usual.times) = outside;
    }

    /// PHI315, if the expression at `range` may be too expensive.
    pub(super) fn finding(&self, range: Range<usize>) -> Option<ExprError> {
        let error = || {
            let message = format!("expression may cost more than {FUEL} steps");
            ExprError::new("PHI315", range.clone(), message)
        };
        if self.certain.steps > FUEL {
            let label = format!(
                "up to {} steps, by the sizes that schemas allow",
                self.certain.steps
            );
            return Some(error().label(label).help("lower `maxItems` of the lists"));
        }
        (self.usual.steps > FUEL).then(|| {
            error()
                .severity(Severity::Warning)
                .label(format!(
                    "with {ITEMS_USUAL} items in every list without `maxItems`"
                ))
                .help("bound the lists with `maxItems`")
        })
    }
}
