//! One figure: what was measured, what it must reach, and the disk under it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::disk::DiskProbes;
use super::{Rate, STEPS};

/// What P1 must reach on two cores, in workflows a second.
const P1_MUST: f64 = 6_500.0;

/// What P3 must reach, in transitions a second.
const P3_MUST: f64 = 200_000.0;

/// P2 may take so many times floor A.
const P2_SYNCS: f64 = 6.0;

/// And so many milliseconds more.
const P2_REST_MS: f64 = 1.0;

/// What one measurement counted.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// For how long it was measured.
    pub seconds: f64,
    /// Workflows that were completed in that time.
    pub workflows: u64,
    /// Their rate.
    pub workflows_per_s: f64,
    /// The rate of their steps.
    pub steps_per_s: f64,
    /// The rate of journal records: each is one durable transition.
    pub transitions_per_s: f64,
    /// Median time of a workflow, from the request to the answer that it is completed.
    pub p50_ms: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99_ms: Option<f64>,
    /// CPU time of the server for each workflow; in process: of everything.
    pub cpu_us_per_workflow: Option<f64>,
    /// CPU time of the load generator for each workflow.
    pub load_cpu_us_per_workflow: Option<f64>,
    /// Batches that the journal made durable, for each workflow.
    pub syncs_per_workflow: f64,
    /// The most memory that the server had.
    pub peak_mib: Option<f64>,
}

/// What is counted from outside while a measurement runs.
pub(super) struct Counted {
    pub(super) elapsed: Duration,
    pub(super) workflows: u64,
    pub(super) records: u64,
    pub(super) syncs: u64,
    pub(super) cpu_s: Option<f64>,
    pub(super) load_cpu_s: Option<f64>,
    pub(super) peak_mib: Option<f64>,
}

impl Measured {
    /// `times` are those of single workflows, in any order; none if they were not taken.
    pub(super) fn new(counted: &Counted, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let percentile = |percent: usize| {
            let last = times.len().checked_sub(1)?;
            let time = times.get(last * percent / 100)?;
            Some(time.as_secs_f64() * 1000.0)
        };
        let seconds = counted.elapsed.as_secs_f64();
        let workflows = counted.workflows as f64;
        let micros_each = |cpu_s: Option<f64>| cpu_s.map(|cpu_s| cpu_s * 1e6 / workflows);
        Self {
            seconds,
            workflows: counted.workflows,
            workflows_per_s: workflows / seconds,
            steps_per_s: STEPS * workflows / seconds,
            transitions_per_s: counted.records as f64 / seconds,
            p50_ms: percentile(50),
            p99_ms: percentile(99),
            cpu_us_per_workflow: micros_each(counted.cpu_s),
            load_cpu_us_per_workflow: micros_each(counted.load_cpu_s),
            syncs_per_workflow: counted.syncs as f64 / workflows,
            peak_mib: counted.peak_mib,
        }
    }
}

/// One line of the answer.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// `P1`, `P2`, `P3`.
    pub bench: &'static str,
    /// The figure.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// What it must reach; a time may not exceed it.
    pub must: f64,
    /// What part of floor B, in batches of 64 KiB, the journal reached in records a second.
    pub of_floor_b: f64,
    /// Everything that was counted.
    #[serde(flatten)]
    pub measured: Measured,
    /// The floor.
    pub disk: DiskProbes,
}

impl Figure {
    pub(super) fn new(rate: Rate, measured: Measured, disk: DiskProbes) -> Self {
        let (name, value, unit, must) = match rate {
            Rate::Crowd => ("P1", measured.workflows_per_s, "workflows/s", P1_MUST),
            Rate::Alone => {
                let must = P2_SYNCS * disk.floor_a_ms() + P2_REST_MS;
                ("P2", measured.p50_ms.unwrap_or(f64::NAN), "ms", must)
            }
            Rate::InProcess => ("P3", measured.transitions_per_s, "transitions/s", P3_MUST),
        };
        Self {
            bench: name,
            value,
            unit,
            must,
            of_floor_b: measured.transitions_per_s / disk.floor_b_records_per_s(),
            measured,
            disk,
        }
    }

    /// For people: a few lines, ending with a newline.
    #[must_use]
    pub fn table(&self) -> String {
        let m = &self.measured;
        let known = |value: Option<f64>, unit: &str| match value {
            Some(value) => format!("{value:.2} {unit}"),
            None => "unknown".to_owned(),
        };
        let (before, after) = (&self.disk.before, &self.disk.after);
        let rows = [
            ("must be", format!("{:.3} {}", self.must, self.unit)),
            (
                "rate",
                format!(
                    "{:.0} workflows/s, {:.0} steps/s, {:.0} transitions/s",
                    m.workflows_per_s, m.steps_per_s, m.transitions_per_s
                ),
            ),
            (
                "a workflow takes",
                format!(
                    "p50 {}, p99 {}",
                    known(m.p50_ms, "ms"),
                    known(m.p99_ms, "ms")
                ),
            ),
            (
                "a workflow costs",
                format!(
                    "{} CPU, {:.2} syncs ({} CPU for the load)",
                    known(m.cpu_us_per_workflow, "us"),
                    m.syncs_per_workflow,
                    known(m.load_cpu_us_per_workflow, "us"),
                ),
            ),
            ("peak memory", known(m.peak_mib, "MiB")),
            (
                "floor A",
                format!(
                    "{:.0} us appending, {:.0} us preallocated; after: {:.0}, {:.0}",
                    before.append_us,
                    before.preallocated_us,
                    after.append_us,
                    after.preallocated_us
                ),
            ),
            (
                "floor B",
                format!(
                    "{:.0} records/s in 64 KiB, {:.0} us a 256 KiB; after: {:.0}, {:.0}; used {:.0} %",
                    before.records_per_s(),
                    before.batch_256k_us,
                    after.records_per_s(),
                    after.batch_256k_us,
                    100.0 * self.of_floor_b
                ),
            ),
        ];
        let title = format!("{}  {:.3} {}", self.bench, self.value, self.unit);
        table(&title, &rows)
    }
}

/// A title and what stands below it, each line with its newline.
pub(super) fn table(title: &str, rows: &[(&str, String)]) -> String {
    let mut text = format!("{title}\n");
    for (name, value) in rows {
        writeln!(text, "    {name:<17} {value}").expect("writing to a string cannot fail");
    }
    text
}

/// The batches in the segments of `journal` whose first sequence lies in `sequences`.
pub(super) fn count_commits(journal: &Path, sequences: &Range<u64>) -> io::Result<u64> {
    const MARK: &[u8] = b"\t{\"commit\":{\"first\":";
    let mut count = 0;
    for entry in std::fs::read_dir(journal)? {
        let mut lines = BufReader::with_capacity(1 << 20, File::open(entry?.path())?);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            let first = line.strip_prefix(MARK).and_then(leading_number);
            count += u64::from(first.is_some_and(|first| sequences.contains(&first)));
            line.clear();
        }
    }
    Ok(count)
}

fn leading_number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    let digits = std::str::from_utf8(&text[..digits.count()]).ok()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Counted, Measured, count_commits};

    #[test]
    fn only_batches_of_the_measured_time_are_counted() {
        let journal = tempfile::tempdir().expect("a directory");
        let commit = |first| format!("\t{{\"commit\":{{\"first\":{first},\"count\":2}}}}\n");
        let first = format!("{{\"seq\":1}}\n{}{}", commit(1), commit(9));
        let second = format!("{}{}\0\0\0", commit(10), commit(19));
        std::fs::write(journal.path().join("1.jsonl"), first).expect("written");
        std::fs::write(journal.path().join("2.jsonl"), second).expect("written");
        let count = |range| count_commits(journal.path(), &range).expect("readable");
        assert_eq!(count(0..100), 4);
        assert_eq!(count(9..19), 2);
    }

    #[test]
    fn percentiles_and_costs_are_those_of_the_counts() {
        let counted = Counted {
            elapsed: Duration::from_secs(2),
            workflows: 100,
            records: 1100,
            syncs: 50,
            cpu_s: Some(0.01),
            load_cpu_s: None,
            peak_mib: None,
        };
        let times = (1..=101).rev().map(Duration::from_millis).collect();
        let measured = Measured::new(&counted, times);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(measured.workflows_per_s, 50.0));
        assert!(close(measured.steps_per_s, 150.0));
        assert!(close(measured.transitions_per_s, 550.0));
        assert!(close(measured.syncs_per_workflow, 0.5));
        assert!(measured.p50_ms.is_some_and(|p50| close(p50, 51.0)));
        assert!(measured.p99_ms.is_some_and(|p99| close(p99, 100.0)));
        assert!(
            measured
                .cpu_us_per_workflow
                .is_some_and(|cpu| close(cpu, 100.0))
        );
        assert_eq!(measured.load_cpu_us_per_workflow, None);
    }
}
