//! The tests are tested: each seeded bug must be found, or a green run would prove nothing.

use std::path::Path;

use phisync_state::env::{Disk as _, Profile, SimDisk, Survive};
use phisync_state::{Bug, OpenError};

use crate::counter::{Counted, Ledger, cuts, errors, kills};
use crate::restoring::{damaged, restored};
use crate::support::{DATA, open};
use crate::workloads::{append, group_commit, snapshots};

/// The loop must come upon a broken promise; which one, the bug's test says.
fn is_found(promise: &str, counted: Result<Counted, String>) {
    match counted {
        Ok(counted) => panic!("nobody noticed: {counted:?}"),
        Err(broken) => assert!(broken.contains(promise), "for another reason: {broken}"),
    }
}

#[test]
fn a_skipped_sync_is_found() {
    is_found("C1", cuts(append, Profile::Strict, Some(Bug::SkipSync)));
    is_found("C1", cuts(append, Profile::Ext4, Some(Bug::SkipSync)));
}

#[test]
fn a_skipped_sync_of_a_directory_is_found() {
    let bug = Some(Bug::SkipDirectorySync);
    is_found("C1", cuts(append, Profile::Strict, bug));
}

#[test]
fn an_answer_before_the_sync_is_found() {
    let bug = Some(Bug::AnswerBeforeSync);
    is_found("C1", errors(append, Profile::Strict, bug));
}

#[test]
fn a_read_of_what_is_not_durable_is_found() {
    let bug = Some(Bug::ReadBeforeSync);
    is_found("C1", cuts(group_commit, Profile::Strict, bug));
}

#[test]
fn a_forgotten_rewrite_of_the_tail_is_found() {
    let bug = Some(Bug::ForgetTailRewrite);
    is_found("C1", kills(append, Profile::Strict, bug));
}

#[test]
fn a_failed_sync_that_is_tried_again_is_found() {
    let bug = Some(Bug::RetryFailedSync);
    is_found("C1", errors(append, Profile::Strict, bug));
}

#[test]
fn a_cut_of_what_was_acknowledged_is_found() {
    let damaged = |bug| {
        let disk = SimDisk::new();
        let mut ledger = Ledger::default();
        append(&disk, &mut ledger);
        let disk = disk.reboot(Survive::Everything);
        if let Some(bug) = bug {
            disk.seed_bug(bug);
        }
        let journal = Path::new(DATA).join("journal");
        let names = disk.read_dir(&journal).expect("there is a journal");
        let last = journal.join(names.last().expect("there is a segment"));
        // The first record of the last segment: batches and a seal stand behind it.
        disk.damage(&last, |bytes| bytes[250] ^= 1);
        open(&disk).map(drop)
    };
    let refused = damaged(None);
    assert!(matches!(refused, Err(OpenError::Corrupt(_))), "{refused:?}");
    let bug = damaged(Some(Bug::CutAcknowledged));
    assert!(bug.is_ok(), "the bug cuts: {bug:?}");
}

#[test]
fn a_compaction_that_drops_a_needed_segment_is_found() {
    // What the second newest snapshot needs is only missed when the newest is damaged.
    let damaged = |bug| {
        let disk = SimDisk::new();
        if let Some(bug) = bug {
            disk.seed_bug(bug);
        }
        snapshots(&disk, &mut Ledger::default());
        let disk = disk.reboot(Survive::Everything);
        let snapshots = Path::new(DATA).join(phisync_state::snapshot::SNAPSHOT_DIRECTORY);
        let names = disk.read_dir(&snapshots).expect("there are snapshots");
        let newest = snapshots.join(names.last().expect("there are two"));
        disk.damage(&newest, |bytes| bytes[9] ^= 1);
        open(&disk).map(drop)
    };
    assert!(damaged(None).is_ok(), "the one before it is good");
    let refused = damaged(Some(Bug::DropNeededSegment));
    assert!(matches!(refused, Err(OpenError::Corrupt(_))), "{refused:?}");
}

#[test]
fn a_restore_that_goes_back_in_numbers_is_found() {
    let sound = |bug| {
        let disk = damaged();
        if let Some(bug) = bug {
            disk.seed_bug(bug);
        }
        let restored = restored(&disk, None).expect("a snapshot is good");
        restored.epoch > 1 && restored.head.seq > restored.known
    };
    assert!(sound(None));
    assert!(!sound(Some(Bug::RestoreLowers)));
}
