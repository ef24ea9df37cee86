//! `loop`: a bounded repetition with one channel from each iteration to the next.

use std::time::Duration;

use phisync_workflows::machine::{LoopSpec, LoopTest, OnExpiry, Template};
use serde_json::{Value as Json, json};

use super::{
    Draft, Extra, Failure, PassEnd, PassId, Progress, RawJson, RunScope, Slot, Verdict, Yielded,
};
use crate::engine::scope::Iteration;

impl Draft<'_> {
    /// What the first iteration gets; `None`: there is none.
    pub(super) fn first_carry(
        &self,
        slot: Slot,
        spec: &LoopSpec,
    ) -> Result<Option<RawJson>, Failure> {
        let pass = self.run.step(slot).pass;
        let carry = RunScope::new(self.run, self.moment, pass).object(&spec.carry)?;
        Ok(match &spec.test {
            LoopTest::While(test) => {
                let scope = self.iteration(pass, 1, spec, &carry);
                scope.holds(test)?.then_some(carry)
            }
            LoopTest::Until(_) => Some(carry),
        })
    }

    fn iteration<'s>(
        &'s self,
        pass: PassId,
        round: u32,
        spec: &LoopSpec,
        carry: &'s RawJson,
    ) -> RunScope<'s> {
        RunScope::new(self.run, self.moment, pass).with(Extra {
            iteration: Some(Iteration {
                round,
                max: spec.max,
                carry,
            }),
            ..Extra::default()
        })
    }

    /// What an iteration that succeeded gives, and whether another one follows.
    pub(super) fn after_round(
        &self,
        id: PassId,
        spec: &LoopSpec,
        yields: Option<&Template>,
    ) -> Result<Yielded, Failure> {
        let pass = self.run.pass(id);
        let round = pass.round.unwrap_or(1);
        let output = self.filled(id, yields)?;
        let scope = RunScope::new(self.run, self.moment, id);
        let done = |exhausted| Yielded {
            output: output.clone(),
            exhausted,
            ..Yielded::default()
        };
        if let LoopTest::Until(test) = &spec.test {
            if scope.holds(test)? {
                return Ok(done(false));
            }
            if round >= spec.max {
                return Ok(done(true));
            }
        }
        let carry = match (&pass.carry, spec.next.is_empty()) {
            (Some(carry), true) => carry.clone(),
            _ => scope.object(&spec.next)?,
        };
        if let LoopTest::While(test) = &spec.test {
            if !self.iteration(id, round + 1, spec, &carry).holds(test)? {
                return Ok(done(false));
            }
            if round >= spec.max {
                return Ok(done(true));
            }
        }
        let wait = delay(spec, round);
        Ok(Yielded {
            output,
            next: Some(carry),
            wait: (!wait.is_zero()).then_some(wait),
            exhausted: false,
        })
    }

    /// Enters the next iteration.
    pub(super) fn looped(&mut self, slot: Slot, spec: &LoopSpec) -> Option<Verdict> {
        let block = self.block(slot)?;
        let Progress::Loop {
            round,
            next,
            exhausted,
            end,
        } = &block.progress
        else {
            return None;
        };
        if !block.open.is_empty() {
            return None;
        }
        if next.is_some() {
            let round = round + 1;
            self.enter(Some(slot), "do", Some(round));
            return None;
        }
        if *exhausted && spec.on_exhausted == OnExpiry::Fail {
            let message = format!("{round} iterations were not enough");
            return Some(Verdict::Failed(Failure::new("loop.exhausted", message)));
        }
        let end = end.clone()?;
        Some(match PassEnd::into_verdict(end) {
            Verdict::Succeeded(yielded) => {
                Verdict::Succeeded(output(Some(&yielded), *round, *exhausted))
            }
            verdict => verdict,
        })
    }
}

/// The step's output: what it yields, with how it went.
pub(super) fn output(yielded: Option<&RawJson>, iterations: u32, exhausted: bool) -> RawJson {
    let mut output = match yielded.map(RawJson::parse) {
        Some(Json::Object(fields)) => Json::Object(fields),
        Some(Json::Null) | None => json!({}),
        Some(other) => json!({ "output": other }),
    };
    output["iterations"] = json!(iterations);
    output["exhausted"] = json!(exhausted);
    RawJson::from_value(&output)
}

/// The wait after iteration `round`, from 1.
fn delay(spec: &LoopSpec, round: u32) -> Duration {
    let grown = match spec.backoff {
        Some(factor) => spec.delay.as_secs_f64() * factor.powf(f64::from(round.saturating_sub(1))),
        None => spec.delay.as_secs_f64(),
    };
    let capped = match spec.max_delay {
        Some(max) => grown.min(max.as_secs_f64()),
        None => grown,
    };
    // Whole milliseconds; what no duration can hold is longer than any run.
    let wait = Duration::try_from_secs_f64(capped).unwrap_or(Duration::MAX);
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis)
}
