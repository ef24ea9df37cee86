//! P4: what a transition costs in a long run, against what it costs in many short ones.
//!
//! The same number of items goes through one `foreach` of all of them and through runs of ten each, in stores of
//! their own, one after the other. The coordinator is driven by one thread that waits for no sync, so
//! the time is that of deciding and handing to the journal. Copies for people are left out. Where the one
//! costs more for each transition than the other, something grows with the length of a run.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use phisync_agents::registry::Registry;
use phisync_state::Seq;
use phisync_state::env::{Clock as _, OsClock};
use phisync_workflows::{Machine, SourceText, compile};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::figure::table;
use super::process::Usage;
use super::site::Site;
use super::{BenchError, Plan, agent_name, team, transitions};
use crate::coordinator::{Polled, Target};
use crate::engine::RawJson;

/// Items of a short run.
const FEW: u64 = 10;

/// Items that are worked on at once, whatever the run's length.
const AT_ONCE: u32 = 10;

/// A transition of a long run may cost so many times that of a short one.
const MUST: f64 = 1.5;

const WORKFLOW: &str = "\
phisync: 1
workflow: growth
version: \"1.0.0\"
inputs: { items: { type: array, items: { type: integer } } }
steps:
  - id: each
    foreach:
      in: inputs.items
      concurrency: 10
      max_items: 10000
      do:
        - { id: scan, task: bench.nothing, assign: { capabilities: [nothing] }, effects: none, input: { item: '${{ item }}' } }
    yield: '${{ steps.scan.output }}'
";

/// What runs of one length cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Length {
    /// Items of each run.
    pub items: u64,
    /// Runs that were completed.
    pub runs: u64,
    /// Records of these runs.
    pub transitions: u64,
    /// The mean length of such a record's event.
    pub bytes_per_transition: f64,
    /// The time until it was in the journal's hands.
    pub us_per_transition: f64,
    /// CPU time of the whole process, with the journal's thread, until it was durable.
    pub cpu_us_per_transition: Option<f64>,
}

/// What P4 found.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Growth {
    /// `P4`.
    pub bench: &'static str,
    /// The larger of the ratios of bytes and of time.
    pub value: f64,
    /// `times`.
    pub unit: &'static str,
    /// What it may not exceed.
    pub must: f64,
    /// Bytes for each transition, long against short.
    pub bytes_ratio: f64,
    /// Time for each transition, long against short.
    pub time_ratio: f64,
    /// CPU time for each transition, long against short.
    pub cpu_ratio: Option<f64>,
    /// Short runs.
    pub short: Length,
    /// Long ones.
    pub long: Length,
}

impl Growth {
    /// For people: a few lines, ending with a newline.
    #[must_use]
    pub fn table(&self) -> String {
        let known = |value: Option<f64>| value.map_or("unknown".to_owned(), |n| format!("{n:.2}"));
        let row = |length: &Length| {
            format!(
                "{:.0} bytes, {:.2} us, {} us CPU a transition ({} runs, {} transitions)",
                length.bytes_per_transition,
                length.us_per_transition,
                known(length.cpu_us_per_transition),
                length.runs,
                length.transitions
            )
        };
        let (short, long) = (
            format!("{} items", self.short.items),
            format!("{} items", self.long.items),
        );
        let ratios = format!(
            "bytes {:.3}, time {:.3}, CPU {}; at most {:.1}",
            self.bytes_ratio,
            self.time_ratio,
            known(self.cpu_ratio),
            self.must
        );
        let rows = [
            (short.as_str(), row(&self.short)),
            (long.as_str(), row(&self.long)),
            ("long against short", ratios),
        ];
        table(&format!("P4  {:.3} {}", self.value, self.unit), &rows)
    }
}

/// What was counted of one length so far.
#[derive(Clone, Copy, Default)]
struct Sum {
    runs: u64,
    records: u64,
    bytes: u64,
    time: Duration,
    cpu_s: Option<f64>,
}

impl Sum {
    fn length(&self, items: u64) -> Length {
        let each = |total: f64| total / self.records as f64;
        Length {
            items,
            runs: self.runs,
            transitions: self.records,
            bytes_per_transition: each(self.bytes as f64),
            us_per_transition: each(self.time.as_secs_f64() * 1e6),
            cpu_us_per_transition: self.cpu_s.map(|cpu_s| each(cpu_s * 1e6)),
        }
    }
}

/// Takes turns between short runs and a long one until the time is up; each has one turn at least.
pub(super) fn measure(plan: &Plan) -> Result<Growth, BenchError> {
    let clock = OsClock::new();
    let (mut short, mut long) = (Sum::default(), Sum::default());
    let end = clock.monotonic() + plan.length;
    loop {
        turn(plan, FEW, plan.items / FEW, &mut short)?;
        turn(plan, plan.items, 1, &mut long)?;
        if clock.monotonic() >= end {
            break;
        }
    }
    let (short, long) = (short.length(FEW), long.length(plan.items));
    let bytes_ratio = long.bytes_per_transition / short.bytes_per_transition;
    let time_ratio = long.us_per_transition / short.us_per_transition;
    let cpu_ratio = long.cpu_us_per_transition.zip(short.cpu_us_per_transition);
    Ok(Growth {
        bench: "P4",
        value: bytes_ratio.max(time_ratio),
        unit: "times",
        must: MUST,
        bytes_ratio,
        time_ratio,
        cpu_ratio: cpu_ratio
            .map(|(long, short)| long / short)
            .filter(|ratio| ratio.is_finite()),
        short,
        long,
    })
}

/// Completes so many runs in a store of their own and adds what they cost.
fn turn(plan: &Plan, items: u64, runs: u64, sum: &mut Sum) -> Result<(), BenchError> {
    let site = Site::create(&plan.dir)?;
    let before = Usage::ours();
    let (time, records, bytes) = complete(&site.path().join("growth"), items, runs)?;
    let cpu_s = Usage::ours().cpu_since(&before);
    *sum = Sum {
        runs: sum.runs + runs,
        records: sum.records + records,
        bytes: sum.bytes + bytes,
        time: sum.time + time,
        cpu_s: cpu_s.map(|cpu_s| cpu_s + sum.cpu_s.unwrap_or(0.0)),
    };
    Ok(())
}

/// The time that it took, and the records of the runs with their bytes.
fn complete(data: &Path, items: u64, runs: u64) -> Result<(Duration, u64, u64), BenchError> {
    let registry = Registry::parse("agents.yaml", &team(1, AT_ONCE))?;
    let clock = OsClock::new();
    let (mut coordinator, store) = transitions::coordinator(data, registry, &clock)?;
    let now = || transitions::now(&clock);
    coordinator.register(&each_item(), now())?;
    let target = Target::Named("growth".to_owned());
    let list: Vec<u64> = (0..items).collect();
    let inputs = Map::from_iter([("items".to_owned(), Value::from(list))]);
    let (agent, output) = (agent_name(0), RawJson::from_value(&json!({})));
    let start = clock.monotonic();
    for _ in 0..runs {
        coordinator.start(&target, None, &inputs, &Default::default(), "bench", now())?;
        loop {
            let polled = coordinator.poll(&agent, None, AT_ONCE, Duration::ZERO, now())?;
            let tasks = match polled {
                Polled::Tasks(tasks) => tasks,
                Polled::Waiting(_) => Vec::new(),
            };
            if tasks.is_empty() {
                break;
            }
            for task in tasks {
                coordinator.complete(&agent, &task.id, task.token, &output, None, now())?;
            }
            // What the server would tell waiting callers; here nobody waits.
            coordinator.take_changed();
            coordinator.take_handed();
        }
    }
    let time = clock.monotonic() - start;
    // Only what is durable can be read.
    let (durable, told) = channel();
    let tell = Box::new(move |outcome: Result<_, _>| drop(durable.send(outcome.map(drop))));
    store.when_durable(coordinator.last_seq(), tell);
    told.recv().map_err(|_| BenchError::Nothing)??;
    drop(coordinator);
    let (mut records, mut bytes) = (0, 0);
    store.scan("run/", Seq(0), &mut |record| {
        records += 1;
        bytes += record.event.len() as u64;
        true
    })?;
    store.close()?;
    Ok((time, records, bytes))
}

fn each_item() -> Arc<Machine> {
    let compiled = compile(&SourceText::new("growth.yaml", WORKFLOW), None);
    let machine = compiled.machines.into_iter().next();
    Arc::new(machine.expect("the workflow of the bench is valid"))
}

#[cfg(test)]
mod tests {
    use super::complete;

    #[test]
    fn a_transition_of_a_long_run_takes_no_more_bytes_than_one_of_a_short_run() {
        let dir = tempfile::tempdir().expect("a directory");
        let run = |items, runs| {
            let data = dir.path().join(format!("of-{items}"));
            let (_, records, bytes) = complete(&data, items, runs).expect("it is measured");
            // Five facts about each item, and a few about each run.
            assert!(records >= 5 * items * runs, "{records}");
            bytes as f64 / records as f64
        };
        let (short, long) = (run(10, 20), run(200, 1));
        assert!(long < 1.5 * short, "{long} and {short}");
    }
}
