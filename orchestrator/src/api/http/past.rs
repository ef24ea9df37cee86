//! What is read from records instead of memory: closed runs, runs as they were, lists that go on
//! into archives. Files are read on threads that may block, never on the one that decides.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::DateTime;
use phisync_state::{Head, ReadError, Record, Seq, Timestamp};
use phisync_workflows::Machine;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::coordinator::{
    ListFilter, ListPlace, ListRow, Point, Refusal, archived_summary, detail_of, fold,
};
use crate::engine::{RunEvent, RunId, RunState};
use crate::identity::Caller;
use crate::protocol::{RunDetail, RunList};

use super::App;
use super::body::Answer;
use super::extract::{Path, Query};
use super::problem::Problem;

/// At most so many runs in one answer.
const LIST_MAX: usize = 1000;

/// At most so many archived runs are looked at for one answer; the rest is the next page's.
const LOOKED_AT_MAX: usize = 50_000;

/// What a list can be narrowed to.
const STATUSES: [&str; 4] = ["running", "completed", "failed", "cancelled"];

fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_request", detail)
}

/// Does `work` where it may wait for files.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| {
        let detail = "the reader of the journal stopped";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", detail)
    })?;
    done.map_err(|error| Refusal::from(error).into())
}

/// The run that `prefix` names: its id, or the beginning of only one. Archived runs are looked for
/// among their names when nothing in memory fits.
pub(super) async fn resolve(app: &App, prefix: &str) -> Result<RunId, Problem> {
    let asked = prefix.to_owned();
    let known = app.handle.call(move |c, _| c.resolve_run(&asked)).await;
    let refusal = match known {
        Ok((run, _)) => return Ok(run),
        Err(refusal @ Refusal::NotFound { .. }) => refusal,
        Err(other) => return Err(other.into()),
    };
    let archives = Arc::clone(app.snapshots.archives());
    let stream = format!("run/{prefix}");
    let found = blocking(move || archives.named(&stream, 4)).await?;
    let mut runs = found.iter().filter_map(|stream| {
        let name = stream.as_str().strip_prefix("run/")?;
        RunId::parse(name)
    });
    match (runs.next(), runs.next()) {
        (None, _) => Err(refusal.into()),
        (Some(one), None) => Ok(one),
        (Some(one), Some(other)) => Err(Refusal::Ambiguous {
            prefix: prefix.to_owned(),
            candidates: [one, other].iter().map(ToString::to_string).collect(),
        }
        .into()),
    }
}

/// Reads a moment of the store's past.
pub(super) fn moment(text: &str) -> Result<Point, Problem> {
    if let Ok(seq) = text.parse() {
        return Ok(Point::Seq(Seq(seq)));
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => Ok(Point::Time(Timestamp::from_micros(at.timestamp_micros()))),
        Err(_) => Err(bad_request(format!(
            "`{text}` is no moment: give a sequence, or a time such as 2026-11-22T09:30:00Z"
        ))),
    }
}

/// A run folded from its records, up to a moment if one is given.
async fn past(app: &App, run: &RunId, until: Option<Point>) -> Result<RunState, Problem> {
    let mut records = records_of(app, run).await?;
    let started = records.first().map(|first| (first.seq.0, first.at));
    match until {
        Some(Point::Seq(seq)) => records.retain(|record| record.seq <= seq),
        Some(Point::Time(at)) => records.retain(|record| record.at <= at),
        None => {}
    }
    let Some(first) = records.first() else {
        return Err(match started {
            Some((seq, at)) => {
                let detail = format!("run `{run}` began later: at {at}, with sequence {seq}");
                Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
            }
            None => Refusal::NotFound {
                what: "run",
                id: run.to_string(),
            }
            .into(),
        });
    };
    let machine = machine_of(app, run, first).await?;
    let id = run.clone();
    let folded = blocking(move || Ok(fold(&id, &records, |_| Some(Arc::clone(&machine))))).await?;
    folded.ok_or_else(|| unreadable(run))
}

fn unreadable(run: &RunId) -> Problem {
    let detail = format!("run `{run}` cannot be folded: its definition or a record is not known");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", detail)
}

/// The machine of a run, by the first of its records.
pub(super) async fn machine_of(
    app: &App,
    run: &RunId,
    first: &Record,
) -> Result<Arc<Machine>, Problem> {
    let Ok(RunEvent::RunStarted { definition, .. }) = serde_json::from_str(&first.event) else {
        return Err(unreadable(run));
    };
    let known = app.handle.call(move |c, _| Ok(c.definition(&definition)));
    let (machine, _) = known.await?;
    machine.ok_or_else(|| unreadable(run))
}

/// All durable records of a run.
pub(super) async fn records_of(app: &App, run: &RunId) -> Result<Vec<Record>, Problem> {
    let store = Arc::clone(app.handle.store());
    let stream = run.stream();
    blocking(move || store.read(&stream, 1)).await
}

/// A closed run folded from its records, and the head to tell it with; `None` if it is open.
pub(super) async fn closed(app: &App, run: &RunId) -> Result<Option<(RunState, Head)>, Problem> {
    let of = run.clone();
    let (progress, head) = app.handle.call(move |c, _| Ok(c.progress(&of))).await?;
    match progress {
        Some((_, true)) => Ok(Some((past(app, run, None).await?, head))),
        Some((_, false)) | None => Ok(None),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// As of this sequence or time.
    at: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Answer<RunDetail>, Problem> {
    let until = query.at.as_deref().map(moment).transpose()?;
    let run = resolve(&app, &id).await?;
    let of = run.clone();
    // Whatever is read afterwards is durable: this answer waits for it.
    let (open, head) = app
        .handle
        .call(move |c, _| Ok(c.detail_if_open(&of).filter(|_| until.is_none())))
        .await?;
    let detail = match open {
        Some(detail) => detail,
        None => detail_of(&past(&app, &run, until).await?),
    };
    Ok(Answer::ok(detail, head))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only those that stand there: `running completed failed cancelled`.
    #[schemars(extend("enum" = ["running", "completed", "failed", "cancelled"]))]
    status: Option<String>,
    /// Only those of this workflow.
    workflow: Option<String>,
    /// Only those with this label, as `KEY=VALUE`.
    #[schemars(extend("pattern" = "^[^=]+=.*$"))]
    label: Option<String>,
    /// Behind this place: `next` of the answer before.
    cursor: Option<String>,
    /// At most so many, 100 without it and never more than 1000.
    limit: Option<usize>,
}

impl ListQuery {
    fn filter(self, limit: usize) -> Result<ListFilter, Problem> {
        let label = match self.label.as_deref().map(|label| label.split_once('=')) {
            None => None,
            Some(Some((key, value))) => Some((key.to_owned(), value.to_owned())),
            Some(None) => return Err(bad_request("a label is looked for as `label=KEY=VALUE`")),
        };
        let status = self.status.as_deref();
        if let Some(word) = status.filter(|word| !STATUSES.contains(word)) {
            let words = STATUSES.join(", ");
            let detail = format!("`{word}` is not a status of a run: {words}");
            return Err(bad_request(detail));
        }
        let before = self.cursor.as_deref().map(|cursor| {
            // Behind a place that nobody gave would be the whole list again.
            ListPlace::parse(cursor).ok_or_else(|| {
                bad_request(format!(
                    "`{cursor}` is no cursor: give `next` of the answer before"
                ))
            })
        });
        Ok(ListFilter {
            before: before.transpose()?,
            status: self.status,
            workflow: self.workflow,
            label,
            // One more tells whether there are more.
            limit: limit + 1,
        })
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Answer<RunList>, Problem> {
    let limit = query.limit.unwrap_or(100).clamp(1, LIST_MAX);
    let filter = query.filter(limit)?;
    let of_memory = filter.clone();
    let (rows, head) = app.handle.call(move |c, _| Ok(c.list(&of_memory))).await?;
    let archives = Arc::clone(app.snapshots.archives());
    let merged = if archives.files().is_empty() {
        Page::of(rows, limit)
    } else {
        let mut page = blocking(move || Page::merge(rows, &archives, &filter, limit)).await?;
        // One that is open again, or came back into memory meanwhile, is shown from there.
        let archived = std::mem::take(&mut page.archived);
        let again = app.handle.call(move |c, _| Ok(c.in_memory(&archived)));
        let (again, _) = again.await?;
        page.rows
            .retain(|(row, of_archive)| !(*of_archive && again.contains(&row.place.run)));
        page
    };
    let runs = merged.rows.into_iter().map(|(row, _)| row.summary);
    let list = RunList {
        runs: runs.collect(),
        next: merged.next.map(|place| place.to_string()),
    };
    Ok(Answer::ok(list, head))
}

/// One answer's worth of a list.
struct Page {
    /// Newest first; whether it is from an archive.
    rows: Vec<(ListRow, bool)>,
    archived: Vec<RunId>,
    next: Option<ListPlace>,
}

impl Page {
    fn of(rows: Vec<ListRow>, limit: usize) -> Self {
        Self::cut(
            rows.into_iter().map(|row| (row, false)).collect(),
            limit,
            None,
        )
    }

    /// `rows` of memory and those of archives in one order.
    fn merge(
        rows: Vec<ListRow>,
        archives: &phisync_state::snapshot::Archives,
        filter: &ListFilter,
        limit: usize,
    ) -> Result<Self, ReadError> {
        let mut memory = rows.into_iter().peekable();
        let mut page: Vec<(ListRow, bool)> = Vec::new();
        let (mut looked_at, mut stopped) = (0, None);
        let stream = filter.before.as_ref().map(ListPlace::stream);
        let before = filter.before.as_ref().map(|place| place.began).zip(stream);
        let before = before.as_ref().map(|(began, stream)| (*began, stream));
        archives.rows(before, &mut |row| {
            let name = row.stream.as_str().strip_prefix("run/");
            let Some(run) = name.and_then(RunId::parse) else {
                return true;
            };
            let began = row.row.began;
            let place = ListPlace { began, run };
            while let Some(newer) = memory.next_if(|row| row.place >= place) {
                page.push((newer, false));
            }
            let twice = page.last().is_some_and(|(last, _)| last.place == place);
            if let Some(summary) = archived_summary(&row.row)
                && !twice
                && filter.fits_row(&summary)
            {
                let place = place.clone();
                page.push((ListRow { place, summary }, true));
            }
            looked_at += 1;
            if looked_at == LOOKED_AT_MAX {
                stopped = Some(place);
            }
            page.len() <= limit && stopped.is_none()
        })?;
        if stopped.is_none() {
            page.extend(memory.map(|row| (row, false)));
        }
        Ok(Self::cut(page, limit, stopped))
    }

    fn cut(mut rows: Vec<(ListRow, bool)>, limit: usize, stopped: Option<ListPlace>) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last.map(|(row, _)| row.place.clone()).or(stopped);
        let archived = rows.iter().filter(|(_, of_archive)| *of_archive);
        Self {
            archived: archived.map(|(row, _)| row.place.run.clone()).collect(),
            next,
            rows,
        }
    }
}
