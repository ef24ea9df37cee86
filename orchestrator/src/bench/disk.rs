//! What the disk alone can do: the floor under every figure.
//!
//! Floor A is one small record and one sync at a time; floor B is the same bytes in batches. Both
//! go through the port that the journal uses. Times are medians: a disk has fast and slow moments.

use std::path::Path;
use std::time::Duration;

use phisync_state::env::{Clock as _, Disk as _, DiskFile, OsClock, OsDisk};
use serde::Serialize;

use super::BenchError;

/// The length that a journal record is taken to have.
pub(super) const RECORD_BYTES: usize = 300;

/// Floor B is probed inside a file of this length.
const FILE_BYTES: u64 = 8 << 20;

const PROBES_MIN: usize = 10;
const PROBES_MAX: usize = 400;

/// Median times of one write and its sync, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DiskFloor {
    /// Floor A: 300 bytes at the end of a file, which grows.
    pub append_us: f64,
    /// Floor A: 300 bytes into a file filled with zeros.
    pub preallocated_us: f64,
    /// Floor B: 64 KiB into a file filled with zeros.
    pub batch_64k_us: f64,
    /// Floor B: 256 KiB into a file filled with zeros.
    pub batch_256k_us: f64,
}

impl DiskFloor {
    /// Records of 300 bytes a second in batches of 64 KiB.
    #[must_use]
    pub fn records_per_s(&self) -> f64 {
        (65_536.0 / RECORD_BYTES as f64) / (self.batch_64k_us / 1e6)
    }
}

/// The disk before and after a measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DiskProbes {
    /// Just before.
    pub before: DiskFloor,
    /// Just after.
    pub after: DiskFloor,
}

impl DiskProbes {
    /// Floor A as the journal could reach it, in milliseconds: the mean of both preallocated probes.
    #[must_use]
    pub fn floor_a_ms(&self) -> f64 {
        f64::midpoint(self.before.preallocated_us, self.after.preallocated_us) / 1000.0
    }

    /// Floor B at 64 KiB: the mean of both probes, in records a second.
    #[must_use]
    pub fn floor_b_records_per_s(&self) -> f64 {
        f64::midpoint(self.before.records_per_s(), self.after.records_per_s())
    }
}

/// Probes the disk under `dir` for about a tenth of `length` per figure.
pub(super) fn probe(dir: &Path, length: Duration) -> Result<DiskFloor, BenchError> {
    let budget = length / 10;
    let failed = BenchError::system("probe the disk");
    let path = dir.join("probe");
    let probed = (|| {
        let growing = OsDisk.create_new(&path)?;
        let append_us = time_writes(&*growing, RECORD_BYTES, u64::MAX, budget)?;
        drop(growing);
        OsDisk.remove(&path)?;
        let filled = OsDisk.create_new(&path)?;
        let zeros = vec![0; 256 << 10];
        for offset in (0..FILE_BYTES).step_by(zeros.len()) {
            filled.write_at(offset, &zeros)?;
        }
        filled.sync_all()?;
        let floor = DiskFloor {
            append_us,
            preallocated_us: time_writes(&*filled, RECORD_BYTES, FILE_BYTES, budget)?,
            batch_64k_us: time_writes(&*filled, 64 << 10, FILE_BYTES, budget)?,
            batch_256k_us: time_writes(&*filled, 256 << 10, FILE_BYTES, budget)?,
        };
        drop(filled);
        OsDisk.remove(&path)?;
        Ok(floor)
    })();
    probed.map_err(failed)
}

/// The median time of a write of `bytes` with its sync, one after the other; begins again at the
/// start of the file before `end`.
fn time_writes(
    file: &dyn DiskFile,
    bytes: usize,
    end: u64,
    budget: Duration,
) -> std::io::Result<f64> {
    let clock = OsClock::new();
    let content = vec![b'x'; bytes];
    let mut offset = 0;
    let mut times = Vec::new();
    while times.len() < PROBES_MIN || (times.len() < PROBES_MAX && clock.monotonic() < budget) {
        if end - offset < bytes as u64 {
            offset = 0;
        }
        let before = clock.monotonic();
        file.write_at(offset, &content)?;
        file.sync_data()?;
        times.push(clock.monotonic() - before);
        offset += bytes as u64;
    }
    times.sort_unstable();
    Ok(times[times.len() / 2].as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::{DiskFloor, DiskProbes};

    #[test]
    fn floors_are_means_of_the_probes_around_a_measurement() {
        let before = DiskFloor {
            append_us: 200.0,
            preallocated_us: 100.0,
            batch_64k_us: 65.536,
            batch_256k_us: 300.0,
        };
        let after = DiskFloor {
            preallocated_us: 300.0,
            batch_64k_us: 2.0 * 65.536,
            ..before
        };
        let probes = DiskProbes { before, after };
        assert!((probes.floor_a_ms() - 0.2).abs() < 1e-9);
        let faster = 1e9 / 300.0;
        assert!((before.records_per_s() / faster - 1e-3 * 1e3).abs() < 1e-9);
        assert!((probes.floor_b_records_per_s() / (faster * 0.75) - 1.0).abs() < 1e-9);
    }
}
