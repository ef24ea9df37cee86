//! `foreach`: one body per item, some at once, with a tolerance for items that fail.

use phisync_workflows::machine::{ForeachSpec, ItemOrder, Tolerance};
use serde_json::{Value as Json, json};

use super::{Draft, Failure, PassOutcome, RawJson, RunScope, Slot, Verdict};
use crate::engine::block::Many;

impl Draft<'_> {
    /// The items of a `foreach`, batched.
    pub(super) fn items(&self, slot: Slot, spec: &ForeachSpec) -> Result<RawJson, Failure> {
        let scope = RunScope::new(self.run, self.moment, self.run.step(slot).pass);
        let items = match scope.json(&spec.items)? {
            Json::Array(items) => items,
            Json::Object(entries) => {
                let entries = entries.into_iter();
                let entries = entries.map(|(key, value)| json!({ "key": key, "value": value }));
                entries.collect()
            }
            other => {
                let message = format!("`in` is neither a list nor a map: {other}");
                return Err(Failure::new("expr", message));
            }
        };
        let items: Vec<Json> = match spec.batch {
            Some(size) => {
                let chunks = items.chunks(size.max(1) as usize);
                chunks.map(|chunk| Json::Array(chunk.to_vec())).collect()
            }
            None => items,
        };
        if items.len() > spec.max_items as usize {
            let message = format!(
                "{} items, at most {} are taken",
                items.len(),
                spec.max_items
            );
            return Err(Failure::new("foreach.too_many", message));
        }
        Ok(RawJson::from_value(&Json::Array(items)))
    }

    /// Enters as many items as may be open at once.
    pub(super) fn each(&mut self, slot: Slot, spec: &ForeachSpec) -> Option<Verdict> {
        let block = self.block(slot)?;
        let many = block.many()?;
        if let Some(error) = too_many_failed(many, spec.tolerate) {
            self.fail_block(slot, error);
            return None;
        }
        if many.is_through() {
            return Some(Verdict::Succeeded(output(many, spec.order)));
        }
        let open = u32::try_from(block.open.len()).unwrap_or(u32::MAX);
        let free = spec.concurrency.saturating_sub(open);
        let (first, end) = (many.next, many.count.min(many.next.saturating_add(free)));
        for place in first..end {
            self.enter(Some(slot), "do", Some(place));
        }
        None
    }
}

fn too_many_failed(many: &Many, tolerate: Tolerance) -> Option<Failure> {
    let (bearable, limit) = match tolerate {
        Tolerance::Count(count) => (many.failed <= count, format!("{count}")),
        Tolerance::Percent(percent) => {
            let share = f64::from(many.failed) * 100.0;
            (
                share <= percent * f64::from(many.count),
                format!("{percent}%"),
            )
        }
    };
    if bearable {
        return None;
    }
    let (place, first) = many.order.iter().find_map(|place| {
        let end = many.ends.get(*place as usize)?.as_ref()?;
        Some((place, end.error.as_ref()?))
    })?;
    if tolerate == Tolerance::Count(0) {
        return Some(Failure {
            message: format!("item {place}: {}", first.message),
            ..first.clone()
        });
    }
    let (failed, count) = (many.failed, many.count);
    Some(Failure::new(
        "foreach.tolerance",
        format!(
            "{failed} of {count} items failed, at most {limit} may; item {place}: {}: {}",
            first.code, first.message
        ),
    ))
}

fn output(many: &Many, order: ItemOrder) -> RawJson {
    let places: Vec<u32> = match order {
        ItemOrder::Input => (0..many.count).collect(),
        ItemOrder::Any => many.order.clone(),
    };
    let ended = places.iter().filter_map(|place| {
        let end = many.ends.get(*place as usize)?.as_ref()?;
        Some((place, end))
    });
    let items = ended.map(|(place, end)| {
        let outcome = match end.outcome {
            PassOutcome::Succeeded => "succeeded",
            PassOutcome::Failed => "failed",
            PassOutcome::Cancelled => "cancelled",
        };
        let mut item = json!({ "index": place, "outcome": outcome });
        if let Some(output) = &end.output {
            item["output"] = output.parse();
        }
        if let Some(error) = &end.error {
            let data = error.data.as_ref().map(RawJson::parse);
            item["error"] = json!({
                "code": error.code,
                "message": error.message,
                "data": data,
                "attempt": 1,
            });
        }
        item
    });
    let items: Vec<_> = items.collect();
    RawJson::from_value(&json!({
        "items": items,
        "succeeded": many.succeeded,
        "failed": many.failed,
    }))
}
