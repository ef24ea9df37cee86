//! The power goes at every single operation of the disk, whatever a workflow is made of: the next
//! process ends the runs as they would have ended, and nothing that was told is lost.

use phisync_tests::machines::{BY_ITSELF, MACHINES};
use phisync_tests::play::{Play, Plot, Swept};

/// Sweeps every machine with one plot, and prints how much that was.
fn swept(how: &str, plot: Plot) -> Swept {
    let mut sum = Swept::default();
    let flat = MACHINES.iter().map(|(name, text)| (*name, *text, &[][..]));
    let calling = BY_ITSELF.iter();
    let calling = calling.map(|(name, text, called)| (*name, *text, *called));
    for (name, text, called) in flat.chain(calling) {
        let swept = Play::new(text, called, plot).sweep();
        let end = swept.end.split_whitespace().collect::<Vec<_>>().join(" ");
        println!(
            "{how}: {:>3} operations of `{name}`: {end}",
            swept.operations
        );
        sum.operations += swept.operations;
        sum.disks += swept.disks;
    }
    let (operations, disks) = (sum.operations, sum.disks);
    println!("{how}: {operations} operations cut off, {disks} disks gone on with");
    sum
}

#[test]
fn a_cut_at_any_operation_changes_no_end_of_what_goes_well() {
    let swept = swept("well", Plot::default());
    assert!(swept.operations > 300, "the plays have become tame");
}

#[test]
fn a_cut_at_any_operation_changes_no_end_of_what_goes_as_it_happens() {
    let plot = Plot {
        seed: 3,
        ..Plot::default()
    };
    assert!(swept("by chance", plot).operations > 300);
}

#[test]
fn a_cut_at_any_operation_changes_no_end_of_what_is_cancelled() {
    let plot = Plot {
        cancel_at: Some(6),
        ..Plot::default()
    };
    assert!(swept("cancelled", plot).operations > 300);
}

#[test]
fn a_cut_at_any_operation_changes_no_end_of_what_stood_still() {
    let plot = Plot {
        seed: 5,
        pause_at: Some(4),
        ..Plot::default()
    };
    assert!(swept("paused", plot).operations > 300);
}
