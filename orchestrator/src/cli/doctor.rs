//! `phisync doctor`: what is wrong with a data directory, and what to do next.
//!
//! Looks only: it takes no lock and changes nothing, whether a server runs or not. Every finding
//! names its remedy, so nobody has to know which command belongs to which damage.

use std::io;

use clap::Args;
use phisync::coordinator::StoreEvent;
use phisync_state::env::{Disk as _, OsDisk};
use phisync_state::snapshot::SnapshotInfo;
use phisync_state::{FsckReport, JournalEnd, dump, fsck};
use serde::Serialize;

use super::Context;
use super::connection::running;
use super::data_dir::DataDir;
use super::exit_code::ExitCode;
use super::report::Report;

/// Say what is wrong with a data directory, and what to do next. Changes nothing.
///
/// Ends with 0 if nothing is in the way of a server, with 76 if the store is damaged.
#[derive(Debug, Args)]
pub(super) struct Doctor {}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Weight {
    /// As it should be.
    Good,
    /// Worth knowing; phisync deals with it by itself.
    Note,
    /// Somebody must do something.
    Problem,
}

#[derive(Debug, Serialize)]
struct Finding {
    weight: Weight,
    /// The part of the directory that it is about.
    about: &'static str,
    /// What was found.
    says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Debug, Serialize)]
struct Diagnosis {
    /// Whether nothing must be done.
    healthy: bool,
    findings: Vec<Finding>,
}

impl Finding {
    fn good(about: &'static str, says: impl Into<String>) -> Self {
        Self::new(Weight::Good, about, says, None)
    }

    fn note(about: &'static str, says: impl Into<String>, remedy: Option<&str>) -> Self {
        Self::new(Weight::Note, about, says, remedy)
    }

    fn problem(about: &'static str, says: impl Into<String>, remedy: &str) -> Self {
        Self::new(Weight::Problem, about, says, Some(remedy))
    }

    fn new(
        weight: Weight,
        about: &'static str,
        says: impl Into<String>,
        remedy: Option<&str>,
    ) -> Self {
        Self {
            weight,
            about,
            says: says.into(),
            remedy: remedy.map(str::to_owned),
        }
    }
}

impl Doctor {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let data = DataDir::find(context.place.data.as_deref())?;
        let report = fsck(&OsDisk, data.path(), None)?;
        let mut findings = vec![directory(&data), server(&data)];
        findings.push(journal(&report));
        findings.extend(snapshots(&report.snapshots));
        findings.extend(archives(&report));
        findings.extend(views(&report));
        findings.extend(alarms(&data));
        findings.extend(leftovers(&data));
        let healthy = findings.iter().all(|f| f.weight != Weight::Problem);
        let damaged = matches!(report.end, JournalEnd::Corrupt(_));
        let diagnosis = Diagnosis { healthy, findings };
        context.output.one(&diagnosis, Diagnosis::text)?;
        Ok(match (damaged, healthy) {
            (true, _) => ExitCode::Corrupt,
            (false, true) => ExitCode::Ok,
            (false, false) => ExitCode::Unusable,
        })
    }
}

fn directory(data: &DataDir) -> Finding {
    let shown = data.path().display();
    match OsDisk.check_private(data.path()) {
        Ok(()) => Finding::good("directory", format!("{shown} is its owner's alone")),
        Err(error) => Finding::problem(
            "directory",
            format!("{shown}: {error}"),
            "take the rights of others away: `chmod 700`",
        ),
    }
}

fn server(data: &DataDir) -> Finding {
    match running(data) {
        Ok(Some(url)) => Finding::good("server", format!("one answers at {url}")),
        Ok(None) => Finding::good("server", "none runs here"),
        Err(report) => Finding::problem(
            "server",
            report.words(),
            "end what answers there, or remove server.json",
        ),
    }
}

fn journal(report: &FsckReport) -> Finding {
    let head = format!("ends with sequence {}", report.head.seq.0);
    match &report.end {
        JournalEnd::Sealed => Finding::good("journal", format!("as written, {head}")),
        JournalEnd::Open => Finding::good(
            "journal",
            format!(
                "as written, {head}; its last batch is not sealed: a server runs, or was killed"
            ),
        ),
        JournalEnd::Torn { file, offset, .. } => Finding::note(
            "journal",
            format!("{head}; a crash left half a batch in {file} at byte {offset}"),
            Some("nothing: the next start keeps it aside and cuts it; nobody was told of it"),
        ),
        JournalEnd::Corrupt(corruption) => {
            let newest = good(&report.snapshots).next_back();
            let whole = newest.is_none() && report.head.seq.0 > 0;
            let remedy = match newest {
                Some(newest) => format!(
                    "`phisync snapshot restore`: it takes snapshot {} and what is whole behind it, \
                     and keeps the damaged journal aside",
                    newest.seq.0
                ),
                None if whole => format!(
                    "`phisync snapshot restore`: it takes the journal up to sequence {}, and keeps the \
                     damaged one aside",
                    report.head.seq.0
                ),
                None => "put the directory back from a copy: no snapshot is good".to_owned(),
            };
            Finding::problem("journal", corruption.to_string(), &remedy)
        }
    }
}

fn good(snapshots: &[SnapshotInfo]) -> impl DoubleEndedIterator<Item = &SnapshotInfo> {
    snapshots.iter().filter(|info| info.content.is_ok())
}

fn snapshots(snapshots: &[SnapshotInfo]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for info in snapshots {
        if let Err(fault) = &info.content {
            findings.push(Finding::note(
                "snapshots",
                format!("{} is damaged: {fault}", info.file),
                Some(
                    "nothing: the one before it is used; `phisync snapshot create` makes a new one",
                ),
            ));
        }
    }
    let summary = match good(snapshots).next_back() {
        Some(newest) => format!(
            "{} are good, the newest of sequence {}",
            good(snapshots).count(),
            newest.seq.0
        ),
        None => "there is none yet: a server takes the first after 15 minutes".to_owned(),
    };
    findings.push(Finding::good("snapshots", summary));
    findings
}

fn archives(report: &FsckReport) -> Vec<Finding> {
    let damaged = report.damaged_archives.iter().map(|(file, fault)| {
        Finding::problem(
            "archives",
            format!("archive/{file}: {fault}"),
            "put the file back from a copy; without it the runs in it cannot be read, and nothing else is lost",
        )
    });
    let mut findings: Vec<_> = damaged.collect();
    if findings.is_empty() {
        let says = format!("{} are as they were made", report.archives);
        findings.push(Finding::good("archives", says));
    }
    findings
}

fn views(report: &FsckReport) -> Vec<Finding> {
    let damaged = report.views.iter().map(|(file, fault)| {
        let remedy = "nothing: it is written again when what it shows changes";
        Finding::note("views", format!("{file}: {fault}"), Some(remedy))
    });
    damaged.collect()
}

/// At most so many alarms are told.
const ALARMS_MAX: usize = 10;

/// What servers have put on record. A journal that cannot be read has its own finding.
fn alarms(data: &DataDir) -> Vec<Finding> {
    let mut alarms = Vec::new();
    let visited = dump(&OsDisk, data.path(), &mut |record| {
        if record.stream.as_str() == "store"
            && let Ok(StoreEvent::AlarmRaised {
                kind,
                about,
                says,
                at,
            }) = serde_json::from_str(&record.event)
        {
            alarms.push(format!("{at}  {}: {about}: {says}", kind.as_str()));
        }
    });
    if visited.is_err() {
        return Vec::new();
    }
    let newest = alarms.into_iter().rev().take(ALARMS_MAX);
    newest
        .map(|alarm| Finding::note("alarms", alarm, None))
        .collect()
}

/// What lies in a directory of the store, if it is there; that it cannot be told is a finding.
fn names_in(data: &DataDir, directory: &str, findings: &mut Vec<Finding>) -> Vec<String> {
    match OsDisk.read_dir(&data.path().join(directory)) {
        Ok(names) => names,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(cause) => {
            let says = format!("{directory}/ cannot be looked at: {cause}");
            findings.push(Finding::note("leftovers", says, None));
            Vec::new()
        }
    }
}

/// What earlier accidents left.
fn leftovers(data: &DataDir) -> Vec<Finding> {
    let mut findings = Vec::new();
    let torn = names_in(data, "journal", &mut findings);
    let torn = torn.iter().filter(|name| name.starts_with("torn-")).count();
    if torn > 0 {
        findings.push(Finding::note(
            "leftovers",
            format!("journal/ keeps {torn} pieces of batches that crashes cut off"),
            Some("remove them when nobody wants to look at them any more"),
        ));
    }
    for name in names_in(data, "aside", &mut findings) {
        findings.push(Finding::note(
            "leftovers",
            format!("aside/{name} keeps the journal from before a restore"),
            Some("remove it when nobody wants to look at it any more"),
        ));
    }
    findings
}

impl Diagnosis {
    fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let mark = match finding.weight {
                Weight::Good => "ok",
                Weight::Note => "note",
                Weight::Problem => "PROBLEM",
            };
            text.push_str(&format!(
                "{mark:<8} {:<10} {}\n",
                finding.about, finding.says
            ));
            if let Some(remedy) = &finding.remedy {
                text.push_str(&format!("{:<19} {remedy}\n", ""));
            }
        }
        text
    }
}
