//! J: the journal alone against the disk, in the same run and with the same bytes.
//!
//! What the store made durable is read back and written once more by hand into a file of zeros, in the
//! same batches, each with one sync: that is the floor. Both take turns, so that a disk that changes its
//! mind changes it for both. What the store does beyond the floor is encoding, hashing, indexing,
//! taking room ahead, changing segments, and waking whoever waits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use phisync_state::env::{Access, Clock as _, Disk as _, DiskFile, OsClock, OsDisk};
use phisync_state::{
    AppendError, Entry, Expected, FileOptions, FileStore, Seq, Store as _, StreamName, Unknown,
};
use serde::Serialize;

use super::disk::RECORD_BYTES;
use super::figure::table;
use super::site::Site;
use super::{BenchError, journal_dir};

/// Single records between two turns.
const SINGLES: usize = 4;

/// Batches between two turns.
const BATCHES: usize = 16;

/// The least bytes of a batch.
const BATCH_BYTES: usize = 64 << 10;

/// Batches on the way at once: one that is written, one that is made.
const AHEAD: usize = 2;

/// No more is written than this, however fast the disk is.
const BYTES_MAX: u64 = 512 << 20;

/// A single record may take so many times what the floor takes.
const SINGLE_MUST: f64 = 1.3;

/// Batches must reach this part of the floor's rate.
const BATCHED_MUST: f64 = 0.6;

/// The twin is filled with zeros so far ahead.
const AHEAD_BYTES: u64 = 16 << 20;

/// One record and one sync at a time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Single {
    /// Median from the append to the moment when its thread hears that it is durable.
    pub journal_us: f64,
    /// Floor A: the median of writing and syncing the same bytes.
    pub floor_us: f64,
    /// The one by the other.
    pub ratio: f64,
    /// It may not exceed this.
    pub must: f64,
    /// 99 of 100 appends took no longer.
    pub journal_p99_us: f64,
    /// And 99 of 100 of the floor.
    pub floor_p99_us: f64,
}

/// Records in batches of 64 KiB.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Batched {
    /// Records a second, room taken ahead included.
    pub journal_records_per_s: f64,
    /// Floor B: the same bytes, batch by batch.
    pub floor_records_per_s: f64,
    /// The one by the other.
    pub ratio: f64,
    /// It must reach this.
    pub must: f64,
    /// Bytes that each of both wrote.
    pub bytes: u64,
}

/// What J found.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct JournalFigure {
    /// `J`.
    pub bench: &'static str,
    /// Against floor A.
    pub single: Single,
    /// Against floor B.
    pub batched: Batched,
}

impl JournalFigure {
    /// For people: a few lines, ending with a newline.
    #[must_use]
    pub fn table(&self) -> String {
        let (one, many) = (&self.single, &self.batched);
        let rows = [
            (
                "one record",
                format!(
                    "{:.1} us, floor A {:.1} us: {:.2} times, at most {:.1}",
                    one.journal_us, one.floor_us, one.ratio, one.must
                ),
            ),
            (
                "p99",
                format!(
                    "{:.1} us, floor A {:.1} us",
                    one.journal_p99_us, one.floor_p99_us
                ),
            ),
            (
                "batches of 64 KiB",
                format!(
                    "{:.0} records/s, floor B {:.0}: {:.0} %, at least {:.0} %",
                    many.journal_records_per_s,
                    many.floor_records_per_s,
                    100.0 * many.ratio,
                    100.0 * many.must
                ),
            ),
        ];
        table("J", &rows)
    }
}

/// Half of `length` for single records, half for batches.
pub(super) fn measure(dir: &Path, length: Duration) -> Result<JournalFigure, BenchError> {
    let site = Site::create(dir)?;
    let mut pair = Pair::open(site.path())?;
    let single = pair.singles(length / 2)?;
    let batched = pair.batches(length / 2)?;
    pair.store.close()?;
    Ok(JournalFigure {
        bench: "J",
        single,
        batched,
    })
}

/// The store, and the file that gets the same bytes.
struct Pair {
    clock: OsClock,
    store: FileStore,
    durable: Sender<Result<(), Unknown>>,
    told: Receiver<Result<(), Unknown>>,
    journal: PathBuf,
    /// The segment that is read, and how far it has been.
    segment: String,
    read: u64,
    twin: Box<dyn DiskFile>,
    twin_filled: u64,
    /// Up to here the twin has what the journal has.
    end: u64,
}

impl Pair {
    fn open(site: &Path) -> Result<Self, BenchError> {
        let data = site.join("data");
        let options = FileOptions {
            seal_after: Duration::from_secs(3600),
            ..FileOptions::default()
        };
        let (store, _) = FileStore::open(Arc::new(OsDisk), &data, options)?;
        let twin = OsDisk.create_new(&site.join("twin"));
        let (durable, told) = channel();
        let mut pair = Self {
            clock: OsClock::new(),
            store,
            durable,
            told,
            journal: journal_dir(&data),
            segment: String::new(),
            read: 0,
            twin: twin.map_err(BenchError::system("create a file"))?,
            twin_filled: 0,
            end: 0,
        };
        // The header, and the first room ahead, are nobody's measurement.
        pair.append(1)?;
        pair.wait()?;
        pair.write_twin()?;
        Ok(pair)
    }

    fn singles(&mut self, length: Duration) -> Result<Single, BenchError> {
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        let end = self.clock.monotonic() + length;
        while self.clock.monotonic() < end {
            for _ in 0..SINGLES {
                let before = self.clock.monotonic();
                self.append(1)?;
                self.wait()?;
                ours.push(self.clock.monotonic() - before);
            }
            floor.extend(self.write_twin()?);
        }
        ours.sort_unstable();
        floor.sort_unstable();
        let micros = |times: &[Duration], percent: usize| {
            let time = times.get(times.len().saturating_sub(1) * percent / 100);
            time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
        };
        let (journal_us, floor_us) = (micros(&ours, 50), micros(&floor, 50));
        Ok(Single {
            journal_us,
            floor_us,
            ratio: journal_us / floor_us,
            must: SINGLE_MUST,
            journal_p99_us: micros(&ours, 99),
            floor_p99_us: micros(&floor, 99),
        })
    }

    fn batches(&mut self, length: Duration) -> Result<Batched, BenchError> {
        let (mut ours, mut floor, mut records) = (Duration::ZERO, Duration::ZERO, 0);
        let start = self.end;
        let end = self.clock.monotonic() + length;
        let a_batch = BATCH_BYTES.div_ceil(RECORD_BYTES);
        while records == 0 || (self.clock.monotonic() < end && self.end < BYTES_MAX) {
            let before = self.clock.monotonic();
            for batch in 0..BATCHES {
                if batch >= AHEAD {
                    self.wait()?;
                }
                self.append(a_batch)?;
            }
            for _ in 0..AHEAD {
                self.wait()?;
            }
            ours += self.clock.monotonic() - before;
            records += BATCHES * a_batch;
            floor += self.write_twin()?.into_iter().sum::<Duration>();
        }
        let rate = |time: Duration| records as f64 / time.as_secs_f64();
        Ok(Batched {
            journal_records_per_s: rate(ours),
            floor_records_per_s: rate(floor),
            ratio: rate(ours) / rate(floor),
            must: BATCHED_MUST,
            bytes: self.end - start,
        })
    }

    /// Appends one batch of records, whose lines have [`RECORD_BYTES`] bytes or a few less.
    fn append(&self, records: usize) -> Result<(), BenchError> {
        // What the line has beside it: sequence, stream, version, time.
        let padding = "x".repeat(RECORD_BYTES - 100);
        let event = format!(r#"{{"bench":"{padding}"}}"#);
        let entry = Entry {
            stream: StreamName::new("run/bench"),
            expected: Expected::Any,
            events: vec![event; records],
        };
        let appended = match self.store.append(self.clock.now(), vec![entry]) {
            Ok(appended) => appended,
            Err(AppendError::Closed(unknown)) => return Err(unknown.into()),
            Err(error) => {
                let reason = Arc::from(error.to_string());
                return Err(Unknown { reason }.into());
            }
        };
        self.tell_when_durable(appended.last);
        Ok(())
    }

    fn tell_when_durable(&self, seq: Seq) {
        let durable = self.durable.clone();
        let then = move |outcome: Result<_, _>| {
            // After an error nobody listens any more.
            durable.send(outcome.map(drop)).ok();
        };
        self.store.when_durable(seq, Box::new(then));
    }

    fn wait(&self) -> Result<(), BenchError> {
        let told = self.told.recv();
        Ok(told.expect("one end of the channel is ours")?)
    }

    /// Gives the twin what the journal has more, batch by batch; how long each took.
    fn write_twin(&mut self) -> Result<Vec<Duration>, BenchError> {
        let written = self.copy();
        written.map_err(BenchError::system("write what the journal wrote"))
    }

    fn copy(&mut self) -> std::io::Result<Vec<Duration>> {
        let news = self.news()?;
        self.fill_twin(self.end + news.len() as u64)?;
        let mut times = Vec::new();
        for batch in batches(&news) {
            let before = self.clock.monotonic();
            self.twin.write_at(self.end, batch)?;
            self.twin.sync_data()?;
            times.push(self.clock.monotonic() - before);
            self.end += batch.len() as u64;
        }
        Ok(times)
    }

    /// What the journal holds behind what was read of it. Nobody writes to it meanwhile.
    fn news(&mut self) -> std::io::Result<Vec<u8>> {
        let mut news = Vec::new();
        let mut chunk = vec![0; BATCHES * BATCH_BYTES];
        loop {
            if !self.segment.is_empty() {
                let file = OsDisk.open(&self.journal.join(&self.segment), Access::Read)?;
                loop {
                    let read = file.read_at(self.read, &mut chunk)?;
                    // Zeros are room.
                    let end = chunk[..read].iter().position(|byte| *byte == 0);
                    let content = &chunk[..end.unwrap_or(read)];
                    news.extend_from_slice(content);
                    self.read += content.len() as u64;
                    if content.len() < chunk.len() {
                        break;
                    }
                }
            }
            let names = OsDisk.read_dir(&self.journal)?.into_iter();
            let mut later = names.filter(|name| name.ends_with(".jsonl") && *name > self.segment);
            let Some(next) = later.next() else {
                return Ok(news);
            };
            self.segment = next;
            self.read = 0;
        }
    }

    /// The twin has its zeros before it is measured.
    fn fill_twin(&mut self, end: u64) -> std::io::Result<()> {
        if end < self.twin_filled {
            return Ok(());
        }
        let zeros = vec![0; 1 << 20];
        while self.twin_filled < end + AHEAD_BYTES {
            self.twin.write_at(self.twin_filled, &zeros)?;
            self.twin_filled += zeros.len() as u64;
        }
        self.twin.sync_all()
    }
}

/// Lines up to each commit line; a header goes with what follows it.
fn batches(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let mut end = 0;
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            end += line.len();
            if line.starts_with(b"\t") {
                break;
            }
        }
        let (batch, behind) = rest.split_at(end);
        rest = behind;
        (!batch.is_empty()).then_some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::batches;

    #[test]
    fn a_batch_ends_with_its_commit_line() {
        let bytes = b"{header}\n{1}\n\t{c}\n{2}\n{3}\n\t{c}\n";
        let found: Vec<_> = batches(bytes).collect();
        let expected: [&[u8]; 2] = [b"{header}\n{1}\n\t{c}\n", b"{2}\n{3}\n\t{c}\n"];
        assert_eq!(found, expected);
        assert_eq!(batches(b"").count(), 0);
    }
}
