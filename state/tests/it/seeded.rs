//! The tests are tested: each seeded bug must be found, or a green run would prove nothing.

use std::path::Path;

use phisync_state::env::{Disk as _, Profile, SimDisk, Survive};
use phisync_state::{Bug, OpenError};

use crate::counter::{Counted, Ledger, cuts, errors, kills};
use crate::support::{DATA, open};
use crate::workloads::{append, group_commit};

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
