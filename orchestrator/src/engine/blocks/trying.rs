//! `try`: a body whose failure is handled.

use phisync_workflows::machine::{Then, TrySpec};

use super::{
    Draft, Extra, Failure, PassEnd, PassOutcome, Progress, RunScope, Slot, StepKind, Verdict,
};
use crate::engine::scope::ErrorInScope;

impl Draft<'_> {
    /// Enters the body, then the first handler that fits its error.
    pub(super) fn tried(&mut self, slot: Slot, spec: &TrySpec) -> Option<Verdict> {
        let Progress::Try {
            entered,
            end,
            caught,
        } = &self.block(slot)?.progress
        else {
            return None;
        };
        if !entered {
            self.enter(Some(slot), "do", None);
            return None;
        }
        let end = end.clone()?;
        if end.outcome != PassOutcome::Failed {
            return Some(PassEnd::into_verdict(end));
        }
        let Verdict::Failed(error) = PassEnd::into_verdict(end) else {
            return None;
        };
        let Some((number, handled)) = caught.clone() else {
            return match self.handler_of(slot, spec, &error) {
                Some(number) => {
                    self.enter(Some(slot), &format!("catch:{number}"), None);
                    None
                }
                None => Some(Verdict::Failed(error)),
            };
        };
        let handled = PassEnd::into_verdict(handled?);
        let then = spec
            .catch
            .get(number)
            .map_or(Then::Fail, |catch| catch.then);
        Some(match (handled, then) {
            (Verdict::Succeeded(_), Then::Fail | Then::Retry) => Verdict::Failed(error),
            (verdict, _) => verdict,
        })
    }

    /// The first handler that takes the error.
    fn handler_of(&self, slot: Slot, spec: &TrySpec, error: &Failure) -> Option<usize> {
        let pass = self.run.step(slot).pass;
        let scope = RunScope::new(self.run, self.moment, pass).with(Extra {
            error: Some(ErrorInScope {
                failure: error,
                attempt: self.block(slot).map_or(1, |block| block.attempt),
                step: None,
            }),
            block: Some(slot),
            ..Extra::default()
        });
        spec.catch.iter().position(|catch| {
            let listed = catch.errors.iter().any(|p| p.matches(&error.code));
            // A condition that cannot be evaluated does not hold: the error goes on outwards.
            let holds = |when| scope.holds(when).unwrap_or(false);
            (catch.errors.is_empty() || listed) && catch.when.as_ref().is_none_or(holds)
        })
    }

    /// Whether a handler has said that the block is to be tried again.
    pub(super) fn caught_to_retry(&self, slot: Slot) -> bool {
        let StepKind::Try(spec) = &self.run.spec(slot).kind else {
            return false;
        };
        let Some(Progress::Try {
            caught: Some((number, Some(end))),
            ..
        }) = self.block(slot).map(|block| &block.progress)
        else {
            return false;
        };
        let then = spec.catch.get(*number).map(|catch| catch.then);
        then == Some(Then::Retry) && end.outcome == PassOutcome::Succeeded
    }
}
