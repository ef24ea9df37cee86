//! `parallel`: named sequences at once, joined as needs are.

use phisync_workflows::machine::{Join, ParallelSpec, Template};
use serde_json::{Map, Value as Json};

use super::{CancelReason, Draft, Extra, Failure, RawJson, RunScope, Slot, Verdict};
use crate::engine::block::Many;

impl Draft<'_> {
    /// Enters as many branches as may be open at once, until the join is met or cannot be.
    pub(super) fn branches(
        &mut self,
        slot: Slot,
        spec: &ParallelSpec,
        yields: Option<&Template>,
    ) -> Option<Verdict> {
        let block = self.block(slot)?;
        let many = block.many()?;
        let open = u32::try_from(block.open.len()).unwrap_or(u32::MAX);
        let wanted = match spec.join {
            Join::All => many.count,
            Join::Any | Join::First => 1,
            Join::AtLeast(n) => n,
        };
        let met = many.succeeded >= wanted;
        let hopeless = many.succeeded + (many.count - ended(many)) < wanted;
        if hopeless && (spec.fail_fast || many.is_through()) {
            let error = first_error(many, spec);
            if open == 0 {
                return Some(Verdict::Failed(error));
            }
            self.fail_block(slot, error);
            return None;
        }
        let outrun = met && spec.join == Join::First;
        if many.is_through() || (outrun && open == 0) {
            return Some(match self.branches_output(slot, spec, yields) {
                Ok(output) => Verdict::Succeeded(output),
                Err(error) => Verdict::Failed(error),
            });
        }
        if outrun {
            self.stop_passes(slot, CancelReason::Outrun);
            return None;
        }
        let at_once = spec.concurrency.unwrap_or(u32::MAX);
        let free = at_once.saturating_sub(open);
        let (first, end) = (many.next, many.count.min(many.next.saturating_add(free)));
        for place in first..end {
            let name = spec.branches.get(place as usize).map(|(name, _)| name);
            let part = format!("branch:{}", name.map_or("", String::as_str));
            self.enter(Some(slot), &part, None);
        }
        None
    }

    fn branches_output(
        &self,
        slot: Slot,
        spec: &ParallelSpec,
        yields: Option<&Template>,
    ) -> Result<RawJson, Failure> {
        if let Some(template) = yields {
            let pass = self.run.step(slot).pass;
            let scope = RunScope::new(self.run, self.moment, pass).with(Extra {
                block: Some(slot),
                ..Extra::default()
            });
            return Ok(RawJson::from_value(&scope.value(template)?));
        }
        let many = self.block(slot).and_then(|block| block.many());
        let ends = many.map_or(&[][..], |many| &many.ends);
        let outputs = spec
            .branches
            .iter()
            .zip(ends)
            .filter_map(|((name, _), end)| {
                let output = end.as_ref()?.output.as_ref()?;
                Some((name.clone(), output.parse()))
            });
        Ok(RawJson::from_value(&Json::Object(
            outputs.collect::<Map<_, _>>(),
        )))
    }
}

fn ended(many: &Many) -> u32 {
    u32::try_from(many.order.len()).unwrap_or(u32::MAX)
}

fn first_error(many: &Many, spec: &ParallelSpec) -> Failure {
    let found = many.order.iter().find_map(|place| {
        let end = many.ends.get(*place as usize)?.as_ref()?;
        let (name, _) = spec.branches.get(*place as usize)?;
        Some((name, end.error.as_ref()?))
    });
    match found {
        Some((name, error)) => Failure {
            message: format!("branch `{name}`: {}", error.message),
            ..error.clone()
        },
        None => Failure::new("task.failed", "too few branches succeeded"),
    }
}
