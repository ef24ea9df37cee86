//! Closed runs: those that are still in memory, and those that have left it for archives.
//!
//! A closed run stays in memory until a snapshot has moved it into an archive; then 16 bytes stay
//! (`phisync_state::snapshot`), and its row and its records are read when somebody asks. Lists go
//! by the order in which runs began, from a place on, so that nobody ever sorts all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use phisync_state::snapshot::{Archives, Projection, Row, Standing};
use phisync_state::{Record, StreamName, Timestamp};
use phisync_workflows::Machine;
use serde::{Deserialize, Serialize};

use crate::engine::{self, RunEvent, RunId, RunState, RunStatus};
use crate::protocol::{RunDetail, RunSummary, Started};

use super::batch::print;
use super::{Coordinator, ListFilter, Now, OpenRun, report};

/// Everything that is known about a closed run without reading the store.
pub(super) struct ClosedRun {
    pub(super) began: Timestamp,
    pub(super) summary: RunSummary,
}

impl ClosedRun {
    pub(super) fn of(run: &RunState) -> Self {
        Self {
            began: run.started_at,
            summary: report::summary(run),
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct ClosedRuns {
    recent: BTreeMap<RunId, ClosedRun>,
    archives: Option<Arc<Archives>>,
}

impl ClosedRuns {
    pub(super) fn insert(&mut self, id: RunId, run: ClosedRun) {
        self.recent.insert(id, run);
    }

    /// Takes a run back that is open again.
    pub(super) fn remove(&mut self, id: &RunId) {
        self.recent.remove(id);
    }

    /// One that is still in memory.
    pub(super) fn recent(&self, id: &RunId) -> Option<&ClosedRun> {
        self.recent.get(id)
    }

    /// Those in memory whose names sort at or behind this one.
    pub(super) fn range(&self, from: RunId) -> impl Iterator<Item = &RunId> {
        self.recent.range(from..).map(|(id, _)| id)
    }

    pub(super) fn standing(&self, id: &RunId) -> Standing {
        let archives = self.archives.as_ref();
        archives.map_or(Standing::Unknown, |archives| {
            archives.standing(&id.stream())
        })
    }

    /// Whether no other run may have this name: there is or was one.
    pub(super) fn is_taken(&self, id: &RunId) -> bool {
        self.recent.contains_key(id) || self.standing(id) != Standing::Unknown
    }

    /// Whether there is such a run, in memory or in an archive.
    pub(super) fn contains(&self, id: &RunId) -> bool {
        self.recent.contains_key(id) || matches!(self.standing(id), Standing::Archived(_))
    }
}

/// A place in a list of runs: behind the run that began then and has this name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPlace {
    /// When the run began.
    pub began: Timestamp,
    /// Its name.
    pub run: RunId,
}

impl ListPlace {
    pub(super) fn of(run: &RunState) -> Self {
        Self {
            began: run.started_at,
            run: run.id.clone(),
        }
    }

    /// Reads what [`std::fmt::Display`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (began, run) = text.split_once('.')?;
        Some(Self {
            began: Timestamp::from_micros(began.parse().ok()?),
            run: RunId::parse(run)?,
        })
    }

    /// The stream that archives know the run by.
    #[must_use]
    pub fn stream(&self) -> StreamName {
        self.run.stream()
    }
}

impl std::fmt::Display for ListPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.began.as_micros(), self.run)
    }
}

/// A row of a list, with its place.
#[derive(Clone, Debug)]
pub struct ListRow {
    /// Where it stands.
    pub place: ListPlace,
    /// What it shows.
    pub summary: RunSummary,
}

/// All runs in memory in the order in which they began.
pub(super) type ByStart = BTreeSet<ListPlace>;

impl Coordinator {
    /// From now on closed runs may leave memory for these archives.
    pub fn set_archives(&mut self, archives: Arc<Archives>) {
        self.closed.archives = Some(archives);
        // A replay does not meet them.
        for run in self.schedules.runs() {
            if !self.open.contains_key(&run) && self.closed.contains(&run) {
                self.schedules.run_closed(&run);
            }
        }
    }

    /// A run is in memory from now on.
    pub(super) fn enter(&mut self, run: &RunState) {
        self.by_start.insert(ListPlace::of(run));
    }

    /// Runs that are in memory, newest first.
    #[must_use]
    pub fn list(&self, filter: &ListFilter) -> Vec<ListRow> {
        let end = filter.before.clone();
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        let places = self.by_start.range((Bound::Unbounded, end)).rev();
        let rows = places.filter_map(|place| {
            let summary = if let Some(OpenRun { state, .. }) = self.open.get(&place.run) {
                let (status, workflow) = (state.status.as_str(), state.machine.name());
                let fits = filter.fits(status, workflow, &state.labels);
                fits.then(|| report::summary(state))?
            } else {
                let summary = &self.closed.recent(&place.run)?.summary;
                filter.fits_row(summary).then(|| summary.clone())?
            };
            let place = place.clone();
            Some(ListRow { place, summary })
        });
        rows.take(filter.limit).collect()
    }

    /// Everything about a run that is open; `None` if it is not.
    #[must_use]
    pub fn detail_if_open(&self, id: &RunId) -> Option<RunDetail> {
        let run = self.open.get(id)?;
        Some(report::detail(&run.state))
    }

    /// When the last of the archived runs closed.
    pub(super) fn last_archived_end(&self) -> Option<Timestamp> {
        let files = self.closed.archives.as_ref()?.files();
        files.iter().map(|archive| archive.closed.1).max()
    }

    /// A definition by its hash.
    #[must_use]
    pub fn definition(&self, hash: &str) -> Option<Arc<Machine>> {
        self.definitions.get(hash)
    }

    /// Those of the runs that are in memory, open or closed.
    #[must_use]
    pub fn in_memory(&self, runs: &[RunId]) -> BTreeSet<RunId> {
        let known = |id: &&RunId| self.open.contains_key(id) || self.closed.recent(id).is_some();
        runs.iter().filter(known).cloned().collect()
    }

    /// Forgets closed runs that are in archives: looks at some that sort behind `from`, and gives
    /// where to go on.
    pub fn forget_archived(&mut self, from: Option<&RunId>) -> Option<RunId> {
        const AT_ONCE: usize = 512;
        let start = from.map_or(Bound::Unbounded, Bound::Excluded);
        let some = self.closed.recent.range((start, Bound::Unbounded));
        let some: Vec<_> = some.map(|(id, _)| id.clone()).take(AT_ONCE).collect();
        for id in &some {
            if let Standing::Archived(_) = self.closed.standing(id)
                && let Some(run) = self.closed.recent.remove(id)
            {
                let (began, run) = (run.began, id.clone());
                self.by_start.remove(&ListPlace { began, run });
                self.stale_views.run_archived(id);
            }
        }
        some.last().filter(|_| some.len() == AT_ONCE).cloned()
    }

    /// What decides what a snapshot keeps, by what is known now.
    #[must_use]
    pub fn projection(&self, pre_images: Duration, now: Now) -> RunProjection {
        let open = self.open.values().map(|run| run.state.started_at);
        let day_ago = Timestamp::from_micros(now.wall.as_micros().saturating_sub(DAY_MICROS));
        RunProjection {
            machines: self.definitions.all(),
            archives: self.closed.archives.clone(),
            events_from: open.min().map_or(day_ago, |oldest| oldest.min(day_ago)),
            calls_from: day_ago,
            keys_from: now.wall.saturating_sub(super::triggers::DEDUPED_FOR),
            pre_images_from: now.wall.saturating_sub(pre_images).min(day_ago),
        }
    }
}

/// So long the answers to calls and the keys of events are kept, with an hour to spare.
const DAY_MICROS: i64 = 25 * 3_600_000_000;

/// Tells a snapshot which streams are closed runs, how lists show them, and what has outlived its use.
pub struct RunProjection {
    machines: BTreeMap<String, Arc<Machine>>,
    archives: Option<Arc<Archives>>,
    /// An open run may want events from then on.
    events_from: Timestamp,
    /// Calls are answered again, and concurrency keys can go back, from then on.
    calls_from: Timestamp,
    /// Keys of triggers start no second run from then on.
    keys_from: Timestamp,
    /// Transactions can be taken back, and documents go back, from then on.
    pre_images_from: Timestamp,
}

impl RunProjection {
    /// Whether retention has dropped the run that a record names.
    fn is_gone(&self, record: &Record) -> bool {
        let Some(archives) = &self.archives else {
            return false;
        };
        // A fact that names no run names none that is gone.
        let event: Option<BTreeMap<String, KeyTaken>> = serde_json::from_str(&record.event).ok();
        let taken = event.and_then(|event| event.into_values().next());
        taken.is_some_and(|taken| archives.standing(&taken.run.stream()) == Standing::Gone)
    }
}

/// As much of a fact about a key as is needed to find its run.
#[derive(Deserialize)]
struct KeyTaken {
    run: RunId,
}

/// A row in an archive.
#[derive(Serialize, Deserialize)]
struct ArchivedRun {
    summary: RunSummary,
}

/// What a row of an archive shows; `None` if a later version wrote it in another form.
#[must_use]
pub fn archived_summary(row: &Row) -> Option<RunSummary> {
    let run: ArchivedRun = serde_json::from_str(&row.text).ok()?;
    Some(run.summary)
}

impl Projection for RunProjection {
    fn may_be_closed(&self, last: &Record) -> bool {
        let closing = ["run_completed", "run_failed", "run_cancelled"];
        let tag = last.event.strip_prefix("{\"").unwrap_or_default();
        last.stream.as_str().starts_with("run/") && closing.iter().any(|word| tag.starts_with(word))
    }

    fn row(&self, records: &[Record]) -> Option<Row> {
        let id = records.first()?.stream.as_str().strip_prefix("run/")?;
        let run = fold(&RunId::parse(id)?, records, |hash| {
            self.machines.get(hash).cloned()
        })?;
        if run.status == RunStatus::Running {
            return None;
        }
        let summary = report::summary(&run);
        let row = Row {
            began: run.started_at,
            closed: run.closed_at?,
            text: print(&ArchivedRun { summary }),
        };
        Some(row)
    }

    fn outlived(&self, records: &[Record]) -> usize {
        let Some(last) = records.last() else { return 0 };
        let before_last = records.len() - 1;
        if last.stream.as_str() == super::notices::STREAM {
            return records.len().saturating_sub(super::notices::KEPT);
        }
        match last.stream.as_str().split_once('/') {
            // Of each kind the last one counts: the verdict, the word on draining, the use of the rate;
            // and what was taken since the verdict.
            Some(("agent", _)) => {
                let last_of = |tags: &[&str]| {
                    let alike = |r: &Record| {
                        let tag = r.event.strip_prefix("{\"").unwrap_or_default();
                        tags.iter().any(|word| tag.starts_with(word))
                    };
                    records.iter().rposition(alike)
                };
                let verdict = last_of(&["verdict_changed"]).unwrap_or(0);
                let others = [last_of(&["drained", "undrained"]), last_of(&["task_taken"])];
                others.into_iter().flatten().fold(verdict, usize::min)
            }
            // How far the rate is used up stands in each.
            Some(("limit", _)) => before_last,
            Some(("call", _)) if last.at < self.calls_from => records.len(),
            // A key is remembered as long as its run.
            Some(("key", _)) if self.is_gone(last) => records.len(),
            Some(("call" | "key", _)) => before_last,
            // What was before the last grant has no bearing on who holds it, or on the next token.
            Some(("lock", _)) => {
                let granted = |r: &Record| r.event.starts_with("{\"granted\"");
                records.iter().rposition(granted).unwrap_or(0)
            }
            Some(("schedule", _)) => {
                let summed = |r: &Record| r.event.starts_with("{\"schedule_summed\"");
                records.iter().rposition(summed).unwrap_or(0)
            }
            Some(("trigger", _)) => super::triggers::outlived(records, self.keys_from),
            Some(("slots", _)) => super::slots::outlived(records, self.calls_from),
            // The content of then, and all since.
            Some(("doc", _)) => {
                let old = records.iter().take_while(|r| r.at < self.pre_images_from);
                old.count().saturating_sub(1)
            }
            Some(("tx", _)) if last.at < self.pre_images_from => {
                let ends = ["{\"swept\"", "{\"aborted\""];
                match ends.iter().any(|end| last.event.starts_with(end)) {
                    true => records.len(),
                    false => 0,
                }
            }
            // The last one keeps the count.
            Some(("event", _)) => {
                let old = records.iter().take_while(|r| r.at < self.events_from);
                old.count().min(before_last)
            }
            _ => 0,
        }
    }
}

/// Everything about a run that was folded.
#[must_use]
pub fn detail_of(run: &RunState) -> RunDetail {
    report::detail(run)
}

/// Where a run that was folded stands, in short.
#[must_use]
pub fn started_of(run: &RunState) -> Started {
    report::started(run)
}

/// A run as its records tell of it; `None` if one of them is no event, or the definition is unknown.
pub fn fold(
    id: &RunId,
    records: &[Record],
    machine: impl Fn(&str) -> Option<Arc<Machine>>,
) -> Option<RunState> {
    let facts = records
        .iter()
        .map(|record| serde_json::from_str(&record.event).ok());
    let facts: Vec<RunEvent> = facts.collect::<Option<_>>()?;
    let Some(RunEvent::RunStarted { definition, .. }) = facts.first() else {
        return None;
    };
    let mut run = engine::fold(&machine(definition)?, id, &facts);
    // After a restore, versions go on behind those that were lost.
    run.version = records.last()?.version;
    Some(run)
}

#[cfg(test)]
mod tests {
    use phisync_state::snapshot::Projection as _;
    use phisync_state::{Record, Seq, StreamName, Timestamp};

    use super::{DAY_MICROS, RunProjection};

    /// A stream with a record at each of these hours.
    fn stream(name: &str, hours: &[i64]) -> Vec<Record> {
        let records = hours.iter().zip(1..).map(|(hour, version)| Record {
            seq: Seq(version),
            stream: StreamName::new(name),
            version,
            at: Timestamp::from_micros(hour * 3_600_000_000),
            event: "{}".to_owned(),
        });
        records.collect()
    }

    fn verdicts(of: &[bool]) -> Vec<Record> {
        let hours: Vec<i64> = (1..).take(of.len()).collect();
        let mut records = stream("agent/webc", &hours);
        for (record, verdict) in records.iter_mut().zip(of) {
            let tag = if *verdict {
                "verdict_changed"
            } else {
                "task_taken"
            };
            record.event = format!("{{\"{tag}\":{{}}}}");
        }
        records
    }

    #[test]
    fn what_nobody_needs_any_more_is_left_out_of_snapshots() {
        // It is the hundredth hour, and the oldest open run began in the fiftieth.
        let day_ago = Timestamp::from_micros(100 * 3_600_000_000 - DAY_MICROS);
        let projection = RunProjection {
            machines: Default::default(),
            archives: None,
            events_from: Timestamp::from_micros(50 * 3_600_000_000),
            calls_from: day_ago,
            keys_from: day_ago,
            pre_images_from: Timestamp::from_micros(10 * 3_600_000_000),
        };
        for (name, hours, outlived) in [
            ("call/0a", &[1, 74][..], 2),
            ("call/0a", &[1, 76], 1),
            ("key/audit/0a", &[1, 2], 1),
            ("event/paid", &[1, 49, 50, 99], 2),
            ("event/paid", &[1, 2], 1),
            ("doc/plan", &[1, 9, 10, 99], 1),
            ("doc/plan", &[1], 0),
            ("run/r1", &[1, 2], 0),
            ("workflow/audit", &[1, 2], 0),
        ] {
            let records = stream(name, hours);
            assert_eq!(projection.outlived(&records), outlived, "{name} {hours:?}");
        }
        for (verdicts_at, outlived) in [
            (&[true, true, false][..], 1),
            (&[false, true, true], 0),
            (&[true], 0),
            (&[false, false], 0),
        ] {
            assert_eq!(projection.outlived(&verdicts(verdicts_at)), outlived);
        }
    }
}
