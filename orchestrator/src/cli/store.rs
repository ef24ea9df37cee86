//! `phisync store`: looks into a data directory without opening it, whether a server runs or not.

use std::io::Write as _;

use clap::{Args, Subcommand};
use phisync_state::env::OsDisk;
use phisync_state::{FsckError, FsckReport, Head, JournalEnd, Witness, dump, fsck};
use serde::Serialize;
use serde_json::value::RawValue;

use super::data_dir::DataDir;
use super::exit_code::ExitCode;
use super::report::Report;
use super::{Context, checkpoint};

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    Fsck(Fsck),
    Dump(Dump),
    Verify(checkpoint::Verify),
    Checkpoint(checkpoint::Sign),
    Key(checkpoint::Key),
}

/// Verify the journal and the views. Changes nothing, and a running server does not mind.
///
/// Ends with 76 if the journal or an archive is damaged and with 77 if it is behind `--expect-head`. A torn tail is what a
/// crash leaves, and views are made again when they are damaged: both are told and neither is an
/// error.
#[derive(Debug, Args)]
pub(super) struct Fsck {
    /// A head that was seen before, as answers carry it in Phisync-Head; the journal must go through it
    #[arg(long, value_name = "SEQ:HASH")]
    expect_head: Option<Head>,
}

/// Print every record of the journal, in order, one JSON document a line.
#[derive(Debug, Args)]
pub(super) struct Dump {}

/// A record as `dump` prints it.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    stream: &'a str,
    version: u64,
    at: String,
    event: &'a RawValue,
}

/// A report as `fsck -o json` prints it.
#[derive(Serialize)]
pub(super) struct Verdict {
    sound: bool,
    head: String,
    epoch: u64,
    segments: u64,
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_head: Option<&'static str>,
    good_views: u64,
    damaged_views: Vec<Damaged>,
    snapshots: usize,
    damaged_snapshots: Vec<Damaged>,
    archives: u64,
    damaged_archives: Vec<Damaged>,
}

/// A file that is not as written, and how it shows.
#[derive(Serialize)]
struct Damaged {
    file: String,
    fault: String,
}

impl Store {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let data = || DataDir::find(context.place.data.as_deref());
        match self {
            Self::Fsck(command) => command.run(context, &data()?),
            Self::Dump(_) => print_records(&data()?),
            Self::Verify(command) => command.run(context, &data()?),
            Self::Checkpoint(command) => command.run(context, &data()?),
            Self::Key(command) => command.run(context),
        }
    }
}

impl Fsck {
    fn run(self, context: &Context, data: &DataDir) -> Result<ExitCode, Report> {
        let report = fsck(&OsDisk, data.path(), self.expect_head.as_ref())?;
        context.output.one(&Verdict::of(&report), Verdict::table)?;
        judge(context, &report)
    }
}

/// How a command ends that looked at a data directory.
pub(super) fn judge(context: &Context, report: &FsckReport) -> Result<ExitCode, Report> {
    if let JournalEnd::Corrupt(corruption) = &report.end {
        return Err(Report::new(ExitCode::Corrupt, corruption)
            .hint("nothing was changed; keep a copy of the directory before anything else"));
    }
    if let Some((file, fault)) = report.damaged_archives.first() {
        let message = format!("the archive `{file}` is not as it was made: {fault}");
        return Err(Report::new(ExitCode::Corrupt, message)
            .hint("only closed runs are in it; put the file back from a copy"));
    }
    match report.witness {
        None | Some(Witness::Matches) => Ok(ExitCode::Ok),
        Some(Witness::Compacted) => {
            context.output.say(
                "the journal before the expected head is compacted: nothing to hold it against",
            )?;
            Ok(ExitCode::Ok)
        }
        Some(Witness::Behind) => Err(Report::new(
            ExitCode::RolledBack,
            format!(
                "the journal ends at sequence {}, before the expected head",
                report.head.seq.0
            ),
        )
        .hint("an older copy of the directory was put back")),
        Some(Witness::Differs) => Err(Report::new(
            ExitCode::RolledBack,
            "the journal has other content at the expected head",
        )
        .hint("this is not the journal that the head was taken from, or it went back and on")),
    }
}

fn print_records(data: &DataDir) -> Result<ExitCode, Report> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    dump(&OsDisk, data.path(), &mut |record| {
        if written.is_err() {
            return;
        }
        let event = RawValue::from_string(record.event);
        let event = event.expect("the journal takes JSON payloads only");
        let line = Line {
            seq: record.seq.0,
            stream: record.stream.as_str(),
            version: record.version,
            at: record.at.to_string(),
            event: &event,
        };
        written = serde_json::to_writer(&mut stdout, &line)
            .map_err(std::io::Error::from)
            .and_then(|()| stdout.write_all(b"\n"));
    })?;
    written?;
    stdout.flush()?;
    Ok(ExitCode::Ok)
}

impl Verdict {
    pub(super) fn of(report: &FsckReport) -> Self {
        let (end, detail) = match &report.end {
            JournalEnd::Sealed => ("sealed", None),
            JournalEnd::Open => ("open", None),
            JournalEnd::Torn {
                file,
                offset,
                reason,
            } => {
                let detail = format!("{file}, offset {offset}: {reason}");
                ("torn", Some(detail))
            }
            JournalEnd::Corrupt(corruption) => ("corrupt", Some(corruption.to_string())),
        };
        let views = report.views.iter().map(|(file, fault)| Damaged {
            file: file.clone(),
            fault: fault.to_string(),
        });
        let snapshots = report.snapshots.iter().filter_map(|snapshot| {
            let (file, fault) = (snapshot.file.clone(), snapshot.content.clone().err()?);
            Some(Damaged { file, fault })
        });
        let archives = report.damaged_archives.iter().map(|(file, fault)| Damaged {
            file: file.clone(),
            fault: fault.clone(),
        });
        Self {
            sound: report.is_sound(),
            head: format!("{}:{}", report.head.seq.0, report.head.hash),
            epoch: report.epoch,
            segments: report.segments,
            end,
            detail,
            expected_head: report.witness.as_ref().map(|witness| match witness {
                Witness::Matches => "matches",
                Witness::Behind => "behind",
                Witness::Differs => "differs",
                Witness::Compacted => "compacted",
            }),
            good_views: report.good_views,
            damaged_views: views.collect(),
            snapshots: report.snapshots.len(),
            damaged_snapshots: snapshots.collect(),
            archives: report.archives,
            damaged_archives: archives.collect(),
        }
    }

    pub(super) fn table(&self) -> String {
        let end = match self.end {
            "sealed" => "sealed: damage to any record would show",
            "open" => "open: a server runs, or was killed",
            "torn" => "torn: a crash cut the last batch off, which nobody was told about",
            _ => "corrupt",
        };
        let segments = match self.segments {
            1 => "1 segment".to_owned(),
            count => format!("{count} segments"),
        };
        let mut text = format!(
            "head      {}\njournal   {segments}, {end}\nviews     {} as written, {} damaged\n",
            self.head,
            self.good_views,
            self.damaged_views.len()
        );
        if let Some(detail) = &self.detail {
            text.push_str(&format!("          {detail}\n"));
        }
        let damaged = [
            &self.damaged_views,
            &self.damaged_snapshots,
            &self.damaged_archives,
        ];
        for Damaged { file, fault } in damaged.into_iter().flatten() {
            text.push_str(&format!("          {file}: {fault}\n"));
        }
        text
    }
}

impl From<FsckError> for Report {
    fn from(error: FsckError) -> Self {
        let (exit, hint) = match &error {
            FsckError::Io { file, source } if source.kind() == std::io::ErrorKind::NotFound => {
                let message = format!("there is no `{file}` in the data directory");
                return Self::new(ExitCode::Unusable, message)
                    .hint("nothing has run here yet, or somebody took it away");
            }
            FsckError::Io { .. } => (ExitCode::Unusable, None),
            FsckError::Corrupt(_) => (ExitCode::Corrupt, None),
            FsckError::Newer { .. } => {
                let hint = "use the newer phisync that wrote it";
                (ExitCode::TooNew, Some(hint))
            }
        };
        Self::new(exit, error).maybe_hint(hint)
    }
}
