//! `phisync snapshot`: take, list and restore snapshots of a store, and go back within its journal.

mod rewind;

use clap::{Args, Subcommand};
use phisync::protocol::{SnapshotList, SnapshotSummary, SnapshotTaken};
use phisync_state::Seq;
use phisync_state::env::{Disk, OsDisk};
use phisync_state::snapshot::{self, RestoreError, Restored, list};
use serde::Serialize;

use super::Context;
use super::data_dir::DataDir;
use super::exit_code::ExitCode;
use super::output::Table;
use super::report::{Report, plain};

#[derive(Debug, Subcommand)]
pub(super) enum Snapshot {
    Create(Create),
    List(List),
    Restore(Restore),
    Rewind(rewind::Rewind),
}

/// Take a snapshot now. A server takes them by itself, too.
///
/// The server goes on meanwhile. Closed runs move into archives when enough of them wait, and what nothing needs
/// any more goes.
#[derive(Debug, Args)]
pub(super) struct Create {}

/// List the snapshots, every byte checked. Needs no server, and works on a damaged store.
#[derive(Debug, Args)]
pub(super) struct List {}

/// Begin a new life of a store that is damaged, or that is to go back.
///
/// Without SEQ it takes the newest good snapshot and everything whole behind it, up to the damage; with SEQ exactly
/// that snapshot. No server may run on the directory. Nothing is deleted: the old journal is kept aside. Tokens of
/// tasks from before are refused from then on, and sequences go on behind all that were told.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The snapshot's sequence, from `phisync snapshot list`
    seq: Option<u64>,
}

/// What was restored, as `-o json` prints it.
#[derive(Serialize)]
struct Answer {
    head: String,
    epoch: u64,
    snapshot: Option<u64>,
    replayed: u64,
    kept: u64,
    known: u64,
    aside: String,
}

impl Snapshot {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::Create(_) => create(context),
            Self::List(_) => print_list(context),
            Self::Restore(command) => command.run(context),
            Self::Rewind(command) => command.run(context),
        }
    }
}

fn create(context: &Context) -> Result<ExitCode, Report> {
    let empty = serde_json::json!({});
    let answer: SnapshotTaken = context
        .place
        .with_server(None, |api| Ok(api.post(&["v1", "snapshots"], &empty)?))?;
    context.output.one(&answer, |answer| match &answer.taken {
        Some(taken) => format!(
            "{}\n{} records of {} streams, {} bytes; {} closed runs archived\n",
            taken.file, taken.records, taken.streams, taken.size, taken.archived
        ),
        None => "nothing happened since the newest snapshot\n".to_owned(),
    })?;
    Ok(ExitCode::Ok)
}

fn print_list(context: &Context) -> Result<ExitCode, Report> {
    let list = match &context.place.server {
        Some(_) => context
            .place
            .with_server(None, |api| Ok(api.get(&["v1", "snapshots"], &[])?))?,
        None => {
            let data = DataDir::find(context.place.data.as_deref())?;
            let listed = list(&OsDisk, data.path()).map_err(|error| {
                let message = format!("cannot list the snapshots: {}", plain(&error));
                Report::new(ExitCode::Unusable, message)
            })?;
            SnapshotList::of(&listed)
        }
    };
    context.output.many(&list, &list.snapshots, table)?;
    Ok(ExitCode::Ok)
}

fn table(snapshots: &[SnapshotSummary]) -> Table {
    let mut table = Table::new([
        "SEQ", "EPOCH", "BYTES", "STREAMS", "RECORDS", "ARCHIVED", "REMARK",
    ]);
    for snapshot in snapshots {
        let remark = snapshot.fault.as_ref();
        table.row([
            snapshot.seq.to_string(),
            snapshot.epoch.to_string(),
            snapshot.size.to_string(),
            snapshot.streams.to_string(),
            snapshot.records.to_string(),
            snapshot.archived_streams.to_string(),
            remark.map_or_else(String::new, |fault| format!("damaged: {fault}")),
        ]);
    }
    table
}

impl Restore {
    fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let data = DataDir::find(context.place.data.as_deref())?;
        let disk: std::sync::Arc<dyn Disk> = std::sync::Arc::new(OsDisk);
        let restored = snapshot::restore(&disk, data.path(), self.seq.map(Seq))?;
        context.output.one(&Answer::of(&restored), |answer| {
            let from = match answer.snapshot {
                Some(seq) => format!("snapshot {seq}"),
                None => "the journal's beginning".to_owned(),
            };
            let lost = answer.known - answer.kept;
            format!(
                "restored from {from} and {} records behind it, up to sequence {}\nlost      {lost} records \
                 that are known of\nhead      {}, epoch {}\naside     {}\n",
                answer.replayed, answer.kept, answer.head, answer.epoch, answer.aside
            )
        })?;
        context
            .output
            .say("serve it again; tasks that were held are offered anew")?;
        Ok(ExitCode::Ok)
    }
}

impl Answer {
    fn of(restored: &Restored) -> Self {
        Self {
            head: restored.head.to_string(),
            epoch: restored.epoch,
            snapshot: restored.from.map(|seq| seq.0),
            replayed: restored.replayed,
            kept: restored.kept.0,
            known: restored.known.0,
            aside: restored.aside.clone(),
        }
    }
}

impl From<RestoreError> for Report {
    fn from(error: RestoreError) -> Self {
        let (exit, hint) = match &error {
            RestoreError::Held(_) => (ExitCode::Locked, "stop the server first"),
            RestoreError::LockLost => (
                ExitCode::Locked,
                "another process may write the directory; nothing was taken apart",
            ),
            RestoreError::NoSnapshot { .. } => (
                ExitCode::NotFound,
                "`phisync snapshot list` shows those that there are",
            ),
            RestoreError::Sound => (
                ExitCode::Conflict,
                "to go back all the same, name a snapshot: `phisync snapshot restore SEQ`",
            ),
            RestoreError::Nothing => (
                ExitCode::Corrupt,
                "nothing was changed; put the directory back from a copy",
            ),
            RestoreError::Newer { .. } => (ExitCode::TooNew, "use the newer phisync that wrote it"),
            RestoreError::Io { .. } | RestoreError::Snapshot(_) => (
                ExitCode::Unusable,
                "nothing was deleted; once the disk works, restore again",
            ),
        };
        Self::new(exit, error).hint(hint)
    }
}
