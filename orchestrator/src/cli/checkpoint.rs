//! `phisync store key|checkpoint|verify`: holding a journal against what was signed.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use phisync_state::env::{Clock as _, Disk as _, OsClock, OsDisk, OsEntropy, read_all};
use phisync_state::{Checkpoint, CheckpointError, Head, KeyError, PublicKey, SigningKey, fsck};
use serde::Serialize;

use super::Context;
use super::data_dir::DataDir;
use super::exit_code::ExitCode;
use super::report::Report;
use super::store::{Verdict, judge};

/// Keys and checkpoints are one line.
const BYTES_MAX: u64 = 16 << 10;

/// Make a key that signs checkpoints, and print its public half.
///
/// Keep the file on another machine or medium than the data directory: whoever has both can rewrite
/// the journal and sign that it was always so.
#[derive(Debug, Args)]
pub(super) struct Key {
    /// The file to write the secret key to; it must not be there
    file: PathBuf,
}

/// Sign that the journal goes through its head, as it is now on disk.
///
/// The journal is verified whole first. Keep the checkpoint away from the data directory.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The file with the secret key, made by `phisync store key`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to write it; it must not be there [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Verify the journal and the views, and that the journal went through what was signed or seen.
///
/// Ends with 76 if the journal or an archive is damaged, with 77 if it never went through the checkpoint or head, and
/// with 6 if the checkpoint itself is not what was signed.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// A checkpoint, made by `phisync store checkpoint`
    #[arg(long, value_name = "FILE", requires = "public_key")]
    checkpoint: Option<PathBuf>,
    /// The key it was signed with: the digits that `phisync store key` printed, or a file with them
    #[arg(long, value_name = "KEY", requires = "checkpoint")]
    public_key: Option<String>,
    /// A head that was seen before, as answers carry it in Phisync-Head
    #[arg(long, value_name = "SEQ:HASH", conflicts_with = "checkpoint")]
    expect_head: Option<Head>,
}

/// What `key` prints.
#[derive(Serialize)]
struct Made {
    public_key: String,
}

impl Key {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        keep_out(&context.place, &self.file)?;
        let key = SigningKey::generate(&mut OsEntropy);
        write_new(&self.file, &key.reveal())?;
        let public_key = key.public().to_string();
        context.output.one(&Made { public_key }, |made| {
            format!("{}\n", made.public_key)
        })?;
        Ok(ExitCode::Ok)
    }
}

impl Sign {
    pub(super) fn run(self, context: &Context, data: &DataDir) -> Result<ExitCode, Report> {
        let text = read(&self.key)?;
        let key = SigningKey::parse(&text).map_err(|error| bad_key(&self.key, error))?;
        let report = fsck(&OsDisk, data.path(), None)?;
        let code = judge(context, &report)?;
        let checkpoint = Checkpoint::sign(&key, report.head, report.epoch, OsClock::new().now());
        let line = format!("{checkpoint}\n");
        match &self.out {
            Some(out) => write_new(out, &line)?,
            None => context.output.text(&line)?,
        }
        Ok(code)
    }
}

impl Verify {
    pub(super) fn run(self, context: &Context, data: &DataDir) -> Result<ExitCode, Report> {
        let head = match (&self.checkpoint, &self.public_key) {
            (Some(file), Some(key)) => {
                let checkpoint = Checkpoint::verified(&read(file)?, &public_key(key)?);
                let checkpoint = checkpoint.map_err(|error| not_signed(file, &error))?;
                context.output.say(format!(
                    "the checkpoint is as signed at {}: {}",
                    checkpoint.at, checkpoint.head
                ))?;
                Some(checkpoint.head)
            }
            _ => self.expect_head,
        };
        let report = fsck(&OsDisk, data.path(), head.as_ref())?;
        context.output.one(&Verdict::of(&report), Verdict::table)?;
        judge(context, &report)
    }
}

fn public_key(given: &str) -> Result<PublicKey, Report> {
    if let Ok(key) = given.parse() {
        return Ok(key);
    }
    let path = Path::new(given);
    let text = read(path)?;
    text.parse().map_err(|error| bad_key(path, error))
}

/// A key beside what it signs protects nothing.
fn keep_out(place: &super::connection::Place, file: &Path) -> Result<(), Report> {
    let Ok(data) = DataDir::find(place.data.as_deref()) else {
        return Ok(());
    };
    let beside = file.parent().map(Path::to_owned).unwrap_or_default();
    let beside = match beside.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => beside,
    };
    let inside = match (beside.canonicalize(), data.path().canonicalize()) {
        (Ok(beside), Ok(data)) => beside.starts_with(data),
        // Whichever is not there, the write will say.
        _ => false,
    };
    match inside {
        true => Err(Report::new(
            ExitCode::Usage,
            "a key inside the data directory signs for whoever rewrites it",
        )
        .hint("keep it on another machine or medium")),
        false => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, Report> {
    let bytes = read_all(&OsDisk, path, BYTES_MAX);
    let text = bytes.and_then(|bytes| {
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    text.map_err(|error| {
        let message = format!("cannot read `{}`: {error}", path.display());
        match error.kind() {
            io::ErrorKind::NotFound => Report::new(ExitCode::NotFound, message),
            _ => Report::new(ExitCode::Invalid, message),
        }
    })
}

/// Writes a file that only its owner may read.
fn write_new(path: &Path, text: &str) -> Result<(), Report> {
    let written = OsDisk.create_new(path).and_then(|file| {
        file.write_at(0, text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        let message = format!("cannot write `{}`: {error}", path.display());
        Report::new(ExitCode::Unusable, message)
    })
}

fn bad_key(path: &Path, error: KeyError) -> Report {
    Report::new(ExitCode::Invalid, format!("`{}`: {error}", path.display()))
}

fn not_signed(path: &Path, error: &CheckpointError) -> Report {
    let exit = match error {
        CheckpointError::Newer(_) => ExitCode::TooNew,
        CheckpointError::Malformed(_) | CheckpointError::OtherKey(_) | CheckpointError::Forged => {
            ExitCode::Invalid
        }
    };
    Report::new(exit, format!("`{}`: {error}", path.display()))
}
