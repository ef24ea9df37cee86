//! J: the journal alone against the disk, in the same run and with the same bytes.
//!
//! What the store made durable is read back and written once more by hand into a file of zeros, with one
//! sync for each record, or for each 64 KiB: that is the floor. Both take turns, so that a disk that changes
//! its mind changes it for both, and a ratio is the median of the turns' ratios. The journal joins what
//! waits, so its batches may be longer than 64 KiB: every other turn the floor is given its very batches, a
//! ratio that is told too. What the store does beyond the floor is encoding, hashing, indexing, taking room
//! ahead, changing segments, and waking whoever waits.

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
use super::process::Usage;
use super::site::Site;
use super::{BenchError, journal_dir};

/// Single records between two turns.
const SINGLES: usize = 4;

/// Batches between two turns.
const BATCHES: usize = 16;

/// The least bytes of a batch.
const BATCH_BYTES: usize = 64 << 10;

/// Batches on the way at once: one that is written, one that waits, one that is made.
const AHEAD: usize = 3;

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
    /// The one by the other, turn by turn: the median.
    pub ratio: f64,
    /// It must reach this.
    pub must: f64,
    /// The same against a floor that is given the journal's own batches instead of 64 KiB.
    pub own_batches_ratio: f64,
    /// How long those are: the mean, in bytes.
    pub own_batch_bytes: f64,
    /// CPU time of the whole process for a record that the journal took; `null` where it is unknown.
    pub cpu_us: Option<f64>,
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
            (
                "its own batches",
                format!(
                    "{:.0} KiB: {:.0} % of a floor that is given the same",
                    many.own_batch_bytes / 1024.0,
                    100.0 * many.own_batches_ratio
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
        pair.append(Self::entry(1))?;
        pair.wait()?;
        pair.write_twin(Cut::AsWritten)?;
        Ok(pair)
    }

    fn singles(&mut self, length: Duration) -> Result<Single, BenchError> {
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        let end = self.clock.monotonic() + length;
        while self.clock.monotonic() < end {
            for _ in 0..SINGLES {
                let entry = Self::entry(1);
                let before = self.clock.monotonic();
                self.append(entry)?;
                self.wait()?;
                ours.push(self.clock.monotonic() - before);
            }
            floor.extend(self.write_twin(Cut::AsWritten)?);
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
        let (mut ours, mut floor, mut own) = (Vec::new(), Vec::new(), Vec::new());
        let (mut own_batches, mut own_bytes) = (0, 0);
        let mut cpu = Some(0.0);
        let start = self.end;
        let end = self.clock.monotonic() + length;
        let a_batch = BATCH_BYTES.div_ceil(RECORD_BYTES);
        while own.is_empty() || (self.clock.monotonic() < end && self.end < BYTES_MAX) {
            // What is appended is there beforehand, as it is for the floor.
            let entries: Vec<_> = (0..BATCHES).map(|_| Self::entry(a_batch)).collect();
            let (usage, before) = (Usage::ours(), self.clock.monotonic());
            for (batch, entry) in entries.into_iter().enumerate() {
                if batch >= AHEAD {
                    self.wait()?;
                }
                self.append(entry)?;
            }
            for _ in 0..AHEAD {
                self.wait()?;
            }
            let time = self.clock.monotonic() - before;
            let spent = Usage::ours().cpu_since(&usage);
            cpu = cpu.zip(spent).map(|(cpu, spent)| cpu + spent);
            let (from, turn) = (self.end, ours.len());
            ours.push(time);
            // Both floors take turns, too.
            let cut = if turn % 2 == 0 {
                Cut::Even
            } else {
                Cut::AsWritten
            };
            let times = self.write_twin(cut)?;
            let ratio = times.iter().sum::<Duration>().as_secs_f64() / time.as_secs_f64();
            match cut {
                Cut::Even => floor.push((times.into_iter().sum::<Duration>(), ratio)),
                Cut::AsWritten => {
                    own_batches += times.len();
                    own_bytes += self.end - from;
                    own.push(ratio);
                }
            }
        }
        let per_second =
            |turns: usize, time: Duration| (turns * BATCHES * a_batch) as f64 / time.as_secs_f64();
        let records = (ours.len() * BATCHES * a_batch) as f64;
        Ok(Batched {
            journal_records_per_s: per_second(ours.len(), ours.iter().sum()),
            floor_records_per_s: per_second(floor.len(), floor.iter().map(|turn| turn.0).sum()),
            ratio: median(floor.into_iter().map(|turn| turn.1).collect()),
            must: BATCHED_MUST,
            own_batches_ratio: median(own),
            own_batch_bytes: own_bytes as f64 / own_batches as f64,
            cpu_us: cpu.map(|cpu| cpu * 1e6 / records),
            bytes: self.end - start,
        })
    }

    /// One batch of records, whose lines have [`RECORD_BYTES`] bytes or a few less.
    fn entry(records: usize) -> Entry {
        // What the line has beside it: sequence, stream, version, time.
        let padding = "x".repeat(RECORD_BYTES - 100);
        let event = format!(r#"{{"bench":"{padding}"}}"#);
        Entry {
            stream: StreamName::new("run/bench"),
            expected: Expected::Any,
            events: vec![event; records],
        }
    }

    fn append(&self, entry: Entry) -> Result<(), BenchError> {
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

    /// Gives the twin what the journal has more, piece by piece; how long each took.
    fn write_twin(&mut self, cut: Cut) -> Result<Vec<Duration>, BenchError> {
        let written = self.copy(cut);
        written.map_err(BenchError::system("write what the journal wrote"))
    }

    fn copy(&mut self, cut: Cut) -> std::io::Result<Vec<Duration>> {
        let news = self.news()?;
        self.fill_twin(self.end + news.len() as u64)?;
        let mut times = Vec::new();
        for batch in pieces(&news, cut) {
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

/// How the floor's bytes are cut: one sync for each piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// At the journal's commit lines.
    AsWritten,
    /// At the first line end behind 64 KiB.
    Even,
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Lines up to each end of a piece; a header goes with what follows it.
fn pieces(bytes: &[u8], cut: Cut) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let mut end = 0;
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            end += line.len();
            let ends = match cut {
                Cut::AsWritten => line.starts_with(b"\t"),
                Cut::Even => end >= BATCH_BYTES,
            };
            if ends {
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
    use super::{BATCH_BYTES, Cut, pieces};

    #[test]
    fn a_batch_ends_with_its_commit_line() {
        let bytes = b"{header}\n{1}\n\t{c}\n{2}\n{3}\n\t{c}\n";
        let found: Vec<_> = pieces(bytes, Cut::AsWritten).collect();
        let expected: [&[u8]; 2] = [b"{header}\n{1}\n\t{c}\n", b"{2}\n{3}\n\t{c}\n"];
        assert_eq!(found, expected);
        assert_eq!(pieces(b"", Cut::AsWritten).count(), 0);
        let even = [b"{1234567}\n\t{c}\n".as_slice(); 10_000].concat();
        let found: Vec<_> = pieces(&even, Cut::Even).collect();
        assert_eq!(found.concat(), even);
        let (last, whole) = found.split_last().expect("there are some");
        assert!(
            whole
                .iter()
                .all(|piece| (BATCH_BYTES..BATCH_BYTES + 16).contains(&piece.len()))
        );
        assert!(last.len() < BATCH_BYTES + 16);
    }
}
