//! Snapshot and suffix against a full replay; and the first format.

use std::path::Path;
use std::sync::Arc;

use phisync_state::env::SimDisk;
use phisync_state::snapshot::{Standing, list};
use phisync_state::{Record, Store as _, StreamName, dump};
use proptest::prelude::*;

use super::{append, read, snapshot};
use crate::support::{DATA, everything, open};

/// What a random history does next.
#[derive(Clone, Debug)]
enum Do {
    Append(u8, bool),
    Snapshot,
    Restart,
}

fn history() -> impl Strategy<Value = Vec<Do>> {
    let step = prop_oneof![
        6 => (0..5_u8, any::<bool>()).prop_map(|(stream, close)| Do::Append(stream, close)),
        2 => Just(Do::Snapshot),
        1 => Just(Do::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn snapshot_and_suffix_say_what_a_full_replay_says(history in history()) {
        let (plain, folded) = (SimDisk::new(), SimDisk::new());
        let (reference, _) = open(&plain).expect("an empty disk opens");
        let (mut store, _) = open(&folded).expect("an empty disk opens");
        for (second, step) in (1..).zip(&history) {
            match step {
                Do::Append(stream, close) => {
                    let event = if *close { "\"closed\"".to_owned() } else { format!("{second}") };
                    let stream = format!("run/{stream}");
                    append(&reference, second, &stream, &event);
                    append(&store, second, &stream, &event);
                }
                Do::Snapshot => drop(snapshot(&store, second)),
                Do::Restart => {
                    drop(store);
                    store = open(&folded).expect("it was closed").0;
                }
            }
        }
        prop_assert_eq!(store.head().seq, reference.head().seq);
        for stream in 0..5 {
            let stream = format!("run/{stream}");
            prop_assert_eq!(read(&store, &stream), read(&reference, &stream));
            let name = StreamName::new(&stream);
            prop_assert_eq!(store.version(&name), reference.version(&name));
        }
        // A scan has everything but what is archived, in order.
        let scanned = everything(&store);
        prop_assert!(scanned.is_sorted_by_key(|record| record.seq));
        let archived = |record: &Record| match store.archives().standing(&record.stream) {
            Standing::Archived(version) => record.version <= version,
            Standing::Unknown | Standing::Gone => false,
        };
        for record in everything(&reference) {
            prop_assert!(scanned.contains(&record) || archived(&record), "{:?}", record);
        }
        drop(store);
        let mut dumped = Vec::new();
        dump(&folded, Path::new(DATA), &mut |record| dumped.push(record)).expect("it reads");
        prop_assert!(scanned.iter().all(|record| dumped.contains(record)));
    }
}

#[test]
fn snapshots_of_the_first_format_are_read_for_ever() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/snapshot-v1");
    let disk = Arc::new(phisync_state::env::OsDisk);
    let listed = list(&*disk, &source).expect("the fixture is there");
    let told: Vec<_> = listed.iter().map(|info| format!("{info:?}")).collect();
    insta::assert_snapshot!("snapshot_v1", told.join("\n"));
    let mut records = String::new();
    let head = dump(&*disk, &source, &mut |record| {
        records.push_str(&record.to_line());
        records.push('\n');
    });
    records.push_str(&head.expect("it reads").to_string());
    insta::assert_snapshot!("snapshot_v1_dump", records);
}
