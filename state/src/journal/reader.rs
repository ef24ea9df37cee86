//! One segment's batches, each handed out only after its hash was checked.
//!
//! It holds one batch in memory at a time and reads forward only. It says where something is not
//! as written; whether that is a torn tail or corruption is [`super::walk`]'s verdict.

use std::io;

use super::frame::{Chain, Control};
use super::record::{self, Line, Malformed};
use crate::Seq;
use crate::env::DiskFile;

const CHUNK: usize = 256 << 10;

/// A place between two batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The byte where the next batch begins.
    pub(crate) offset: u64,
    /// The last record before it.
    pub(crate) last: Seq,
    /// The chain up to it.
    pub(crate) chain: Chain,
}

/// What comes next in a segment.
#[derive(Debug)]
pub(crate) enum Piece<'r> {
    Batch(Batch<'r>),
    Seal,
    End,
}

/// A batch whose hash matched.
#[derive(Debug)]
pub(crate) struct Batch<'r> {
    /// Where its first record begins.
    pub(crate) start: Mark,
    /// Where its commit line ends.
    pub(crate) end: Mark,
    bytes: &'r [u8],
    /// The ends of its lines, newlines left out.
    ends: &'r [usize],
}

/// One record and where its line begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located<'r> {
    pub(crate) offset: u64,
    pub(crate) text: &'r [u8],
    pub(crate) line: Line<'r>,
}

impl<'r> Batch<'r> {
    /// Its records. A failure means that it was written wrongly, as its hash is right.
    pub(crate) fn records(&self) -> impl Iterator<Item = Result<Located<'r>, Malformed>> {
        let (bytes, first, offset) = (self.bytes, self.start.last.0 + 1, self.start.offset);
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end + 1));
        let spans = starts.zip(self.ends.iter().copied()).zip(first..);
        spans.map(move |((start, end), seq)| {
            let text = &bytes[start..end];
            let line = record::decode(text)?;
            if line.seq == Seq(seq) {
                Ok(Located {
                    offset: offset + start as u64,
                    text,
                    line,
                })
            } else {
                Err(Malformed("its sequence does not follow the last"))
            }
        })
    }
}

/// Why no piece could be read.
#[derive(Debug)]
pub(crate) enum Stop {
    Io(io::Error),
    /// The bytes from the reader's position on are not as written.
    Invalid(&'static str),
}

/// Reads a segment from a mark to a given end.
pub(crate) struct Reader<'f> {
    file: &'f dyn DiskFile,
    /// Past the last byte to look at.
    end: u64,
    position: Mark,
    /// Bytes of the file; those from `base` on begin at the position.
    buffer: Vec<u8>,
    base: usize,
    /// The ends of the lines at hand, counted from the position.
    ends: Vec<usize>,
}

impl<'f> Reader<'f> {
    pub(crate) fn new(file: &'f dyn DiskFile, start: Mark, end: u64) -> Self {
        Self {
            file,
            end,
            position: start,
            buffer: Vec::new(),
            base: 0,
            ends: Vec::new(),
        }
    }

    /// Where the next piece begins.
    pub(crate) fn position(&self) -> Mark {
        self.position
    }

    /// The next piece; after a failure the position stays where it was.
    pub(crate) fn next(&mut self) -> Result<Piece<'_>, Stop> {
        self.ends.clear();
        let mut start = 0;
        loop {
            let Some(end) = self.line_end(start).map_err(Stop::Io)? else {
                let left = self.buffer.len() - self.base;
                return if left == 0 {
                    Ok(Piece::End)
                } else if left > start {
                    Err(Stop::Invalid("the last line has no end"))
                } else {
                    Err(Stop::Invalid("the batch has no commit line"))
                };
            };
            let line = &self.buffer[self.base + start..self.base + end];
            if !line.starts_with(b"\t") {
                self.ends.push(end);
                start = end + 1;
                continue;
            }
            let invalid = |error: Malformed| Stop::Invalid(error.0);
            let control = Control::decode(line).map_err(invalid)?;
            let next = self.accept(control, start, end + 1).map_err(invalid)?;
            let before = std::mem::replace(&mut self.position, next);
            let records = self.base..self.base + start;
            self.base += end + 1;
            return Ok(match control {
                Control::Seal { .. } => Piece::Seal,
                Control::Commit { .. } => Piece::Batch(Batch {
                    start: before,
                    end: next,
                    bytes: &self.buffer[records],
                    ends: &self.ends,
                }),
            });
        }
    }

    /// Checks a control line that ends after `length` bytes against the `records` bytes before it,
    /// and gives the position after it.
    fn accept(&self, control: Control, records: usize, length: usize) -> Result<Mark, Malformed> {
        let Mark {
            offset,
            last,
            chain,
        } = self.position;
        let offset = offset + length as u64;
        let records = &self.buffer[self.base..self.base + records];
        let found = self.ends.len() as u64;
        match control {
            Control::Seal { seq, chain: sealed } => {
                if found > 0 {
                    Err(Malformed("a seal stands inside a batch"))
                } else if (seq, sealed) == (last, chain) {
                    Ok(Mark {
                        offset,
                        last,
                        chain,
                    })
                } else {
                    Err(Malformed("the seal does not match what it covers"))
                }
            }
            Control::Commit {
                first,
                count,
                chain: stated,
            } => {
                if first != Seq(last.0 + 1) {
                    Err(Malformed("the commit line names another first sequence"))
                } else if count != found || count == 0 {
                    Err(Malformed("the commit line counts other records"))
                } else if chain.after(records) == stated {
                    Ok(Mark {
                        offset,
                        last: Seq(last.0 + count),
                        chain: stated,
                    })
                } else {
                    Err(Malformed("the hash of the batch does not match"))
                }
            }
        }
    }

    /// The place of the newline that ends the line at `start`, both counted from the position;
    /// `None` if there is no more.
    fn line_end(&mut self, start: usize) -> io::Result<Option<usize>> {
        let mut searched = start;
        loop {
            let rest = &self.buffer[self.base + searched..];
            if let Some(length) = rest.iter().position(|&byte| byte == b'\n') {
                return Ok(Some(searched + length));
            }
            searched += rest.len();
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads on; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.base);
        self.base = 0;
        let have = self.buffer.len();
        let at = self.position.offset + have as u64;
        let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        self.buffer.resize(have + left.min(CHUNK), 0);
        let read = self.file.read_at(at, &mut self.buffer[have..])?;
        self.buffer.truncate(have + read);
        Ok(read > 0)
    }
}

/// Where a segment's content ends: past the last byte that is not NUL.
pub(crate) fn content_end(file: &dyn DiskFile) -> io::Result<u64> {
    let mut end = file.size()?;
    let mut chunk = vec![0; CHUNK];
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let length = usize::try_from(end - start).expect("a chunk fits into memory");
        let read = file.read_at(start, &mut chunk[..length])?;
        if let Some(last) = chunk[..read].iter().rposition(|&byte| byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
