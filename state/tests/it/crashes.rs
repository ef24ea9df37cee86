//! Every workload survives every crash, as the counter loop counts them.

use phisync_state::env::Profile;

use crate::counter::{Counted, Workload, cuts, errors, kills};
use crate::workloads;

/// Runs one loop over a workload on both kinds of disk and prints what it counted.
#[expect(
    clippy::print_stdout,
    reason = "the counts tell how large the proof is"
)]
fn all_survive(
    name: &str,
    counting: fn(Workload, Profile, Option<phisync_state::Bug>) -> Result<Counted, String>,
) {
    let (_, work) = workloads::ALL
        .into_iter()
        .find(|(of, _)| *of == name)
        .expect("the workload has this name");
    for profile in [Profile::Strict, Profile::Ext4] {
        let counted = counting(work, profile, None);
        let counted = counted.unwrap_or_else(|broken| panic!("{name} on {profile:?}: {broken}"));
        println!(
            "{name} on {profile:?}: {} operations, {} crashes, {} crashes of a recovery",
            counted.operations, counted.crashes, counted.again
        );
        assert!(counted.operations > 5, "{name} does too little");
        assert!(counted.crashes + counted.again > counted.operations);
    }
}

macro_rules! survivors {
    ($($test:ident: $name:literal, $counting:ident;)*) => {$(
        #[test]
        fn $test() {
            all_survive($name, $counting);
        }
    )*};
}

survivors! {
    a_first_start_survives_a_cut_anywhere: "first start", cuts;
    a_first_start_survives_a_kill_anywhere: "first start", kills;
    a_first_start_survives_any_error: "first start", errors;
    locking_survives_a_cut_anywhere: "lock", cuts;
    appending_survives_a_cut_anywhere: "append", cuts;
    appending_survives_a_kill_anywhere: "append", kills;
    appending_survives_any_error: "append", errors;
    group_commit_survives_a_cut_anywhere: "group commit", cuts;
    group_commit_survives_a_kill_anywhere: "group commit", kills;
    group_commit_survives_any_error: "group commit", errors;
    sealing_survives_a_cut_anywhere: "seal", cuts;
    sealing_survives_a_kill_anywhere: "seal", kills;
    sealing_survives_any_error: "seal", errors;
    three_lives_survive_a_cut_anywhere: "three lives", cuts;
    three_lives_survive_a_kill_anywhere: "three lives", kills;
    three_lives_survive_any_error: "three lives", errors;
    prepared_segments_survive_a_cut_anywhere: "prepared segments", cuts;
    prepared_segments_survive_a_kill_anywhere: "prepared segments", kills;
    prepared_segments_survive_any_error: "prepared segments", errors;
    snapshots_survive_a_cut_anywhere: "snapshots", cuts;
    snapshots_survive_a_kill_anywhere: "snapshots", kills;
    snapshots_survive_any_error: "snapshots", errors;
    an_upgrade_survives_a_cut_anywhere: "upgrade", cuts;
    an_upgrade_survives_a_kill_anywhere: "upgrade", kills;
    an_upgrade_survives_any_error: "upgrade", errors;
    an_upgrade_after_a_kill_survives_a_cut_anywhere: "upgrade after a kill", cuts;
    an_upgrade_after_a_kill_survives_a_kill_anywhere: "upgrade after a kill", kills;
    an_upgrade_after_a_kill_survives_any_error: "upgrade after a kill", errors;
}
