//! What a pack looks like: the file format that snapshots and archives share.
//!
//! ```text
//! zstd frame 0..n   record lines, stream after stream, as they stand in the journal
//! zstd frame n+1    the directory: one header line, then one line per stream
//! skippable frame   200 bytes: where the directory is, and SHA-256 over everything
//! ```
//!
//! So `zstd -dc` prints a pack as JSON lines, and whoever wants one stream decodes one frame. The
//! trailer keeps its place and spelling in every format; the rest belongs to [`FORMAT`].

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::journal::frame::{Chain, to_hex};
use crate::journal::record::{Cursor, Malformed};
use crate::{Seq, Timestamp};

/// The format this program writes.
pub(crate) const FORMAT: u64 = 1;

/// A frame is closed once it holds this many bytes of lines: what reading one stream decodes.
pub(crate) const FRAME_BYTES: usize = 256 << 10;
/// The most bytes of lines that a frame may claim to hold; one append takes 64 MiB.
pub(crate) const FRAME_BYTES_MAX: u64 = 1 << 30;

/// The trailer, its skippable frame's head included.
pub(crate) const TRAILER_BYTES: usize = 200;
const TRAILER_HEAD: usize = 8;
/// Decoders of zstd pass over a frame that begins with this.
const SKIPPABLE: u32 = 0x184d_2a50;

/// What a pack is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Everything that is still wanted, as of one sequence.
    Snapshot,
    /// Whole closed streams.
    Archive,
}

/// The directory's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) phisync_snapshot: u64,
    pub(crate) kind: Kind,
    /// Which life of the store it was taken in.
    pub(crate) epoch: u64,
    /// The last record that it reflects, and the chain up to there.
    pub(crate) seq: Seq,
    pub(crate) hash: String,
    /// When that record was appended.
    pub(crate) at: Timestamp,
    pub(crate) streams: u64,
    pub(crate) records: u64,
    /// The archives that belong to it, oldest first. Of a snapshot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) archives: Vec<super::ArchiveInfo>,
    /// Names whose streams were dropped: 16 digits each, see [`fingerprint`]. Of a snapshot.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) gone: String,
    /// Names of streams that were forgotten with it, as in `gone`: the journal behind it may go on with
    /// one of them, if something was appended at that very moment. Of a snapshot.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) forgotten: String,
    /// Where each frame of records begins, and how many bytes it decodes to.
    pub(crate) frames: Vec<(u64, u64)>,
}

impl Header {
    /// The chain that the journal goes on from.
    pub(crate) fn chain(&self) -> Result<Chain, Malformed> {
        Chain::from_hex(&self.hash)
    }
}

/// One stream's line in the directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry<'a> {
    #[serde(borrow)]
    pub(crate) stream: std::borrow::Cow<'a, str>,
    /// The version that the stream has; the next record gets the one after it.
    pub(crate) version: u64,
    /// How many of its records are here.
    pub(crate) records: u64,
    /// The frame its first record is in, and where in it.
    pub(crate) frame: u32,
    pub(crate) offset: u32,
    /// How a list shows it. Of an archive.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    pub(crate) row: Option<EntryRow<'a>>,
}

/// What a list of closed streams needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EntryRow<'a> {
    /// Lists are sorted by it, newest first.
    pub(crate) began: Timestamp,
    pub(crate) closed: Timestamp,
    #[serde(borrow)]
    pub(crate) text: &'a RawValue,
}

/// The last 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// Where the directory begins, and how many bytes it decodes to.
    pub(crate) directory: u64,
    pub(crate) raw: u64,
    /// SHA-256 over all bytes before the trailer and the trailer's text before it.
    pub(crate) sha256: String,
}

/// Why bytes are no pack of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayoutError {
    #[error("{0}")]
    Damaged(&'static str),
    #[error("it has format {0}, which needs a newer program")]
    Newer(u64),
}

impl From<Malformed> for LayoutError {
    fn from(malformed: Malformed) -> Self {
        Self::Damaged(malformed.0)
    }
}

impl Trailer {
    fn opening(directory: u64, raw: u64) -> String {
        format!("{{\"phisync_pack\":{FORMAT},\"directory\":{directory},\"raw\":{raw}")
    }

    /// The trailer behind bytes that `content` has hashed.
    pub(crate) fn seal(directory: u64, raw: u64, content: Sha256) -> Self {
        let hash = content.chain_update(Self::opening(directory, raw));
        Self {
            directory,
            raw,
            sha256: to_hex(&hash.finalize()),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let opening = Self::opening(self.directory, self.raw);
        let text = format!("{opening},\"sha256\":\"{}\"}}", self.sha256);
        let width = TRAILER_BYTES - TRAILER_HEAD - 1;
        let length = u32::try_from(width + 1).expect("a trailer is short");
        let mut bytes = Vec::with_capacity(TRAILER_BYTES);
        bytes.extend_from_slice(&SKIPPABLE.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(format!("{text:<width$}\n").as_bytes());
        bytes
    }

    /// Reads the last [`TRAILER_BYTES`] bytes of a pack.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, LayoutError> {
        let no_pack = LayoutError::Damaged("it does not end as a pack does");
        let text = bytes.get(TRAILER_HEAD..).ok_or(no_pack.clone())?;
        let text = std::str::from_utf8(text).map_err(|_| no_pack.clone())?;
        let mut cursor = Cursor(text);
        let mut read = || -> Result<(u64, u64, u64, String), Malformed> {
            cursor.expect("{\"phisync_pack\":")?;
            let format = cursor.number()?;
            cursor.expect(",\"directory\":")?;
            let directory = cursor.number()?;
            cursor.expect(",\"raw\":")?;
            let raw = cursor.number()?;
            cursor.expect(",\"sha256\":\"")?;
            Ok((format, directory, raw, cursor.until('"')?.to_owned()))
        };
        let (format, directory, raw, sha256) = read().map_err(|_| no_pack.clone())?;
        if format > FORMAT {
            return Err(LayoutError::Newer(format));
        }
        let trailer = Self {
            directory,
            raw,
            sha256,
        };
        // Everything at once: there is one spelling.
        if trailer.encode() == bytes {
            Ok(trailer)
        } else {
            Err(no_pack)
        }
    }
}

/// Names as a header keeps them.
pub(crate) fn fingerprints_text(names: impl IntoIterator<Item = u64>) -> String {
    let names = names.into_iter();
    names.map(|name| format!("{name:016x}")).collect()
}

/// Reads what [`fingerprints_text`] wrote.
pub(crate) fn fingerprints(text: &str) -> Vec<u64> {
    let names = text.as_bytes().chunks_exact(16).filter_map(|digits| {
        let digits = std::str::from_utf8(digits).ok()?;
        u64::from_str_radix(digits, 16).ok()
    });
    names.collect()
}

/// 64 bits that stand for a stream's name where the names of all streams would take too much.
pub(crate) fn fingerprint(stream: &str) -> u64 {
    let hash = Sha256::digest(stream.as_bytes());
    let half = hash[..8].try_into().expect("a hash has 32 bytes");
    u64::from_be_bytes(half)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::{LayoutError, TRAILER_BYTES, Trailer};

    #[test]
    fn a_trailer_has_its_length_and_no_flipped_byte_passes() {
        let trailer = Trailer::seal(u64::MAX, u64::MAX, Sha256::new());
        let mut bytes = trailer.encode();
        assert_eq!(bytes.len(), TRAILER_BYTES);
        assert_eq!(Trailer::decode(&bytes), Ok(trailer.clone()));
        for index in 0..bytes.len() {
            bytes[index] ^= 0x01;
            assert_ne!(Trailer::decode(&bytes), Ok(trailer.clone()), "byte {index}");
            bytes[index] ^= 0x01;
        }
    }

    #[test]
    fn a_newer_pack_is_told_from_damage() {
        let mut bytes = Trailer::seal(1, 2, Sha256::new()).encode();
        let digit = bytes.iter().position(|byte| *byte == b'1');
        bytes[digit.expect("it names its format")] = b'2';
        assert_eq!(Trailer::decode(&bytes), Err(LayoutError::Newer(2)));
    }
}
