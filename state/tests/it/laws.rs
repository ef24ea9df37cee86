//! What holds for all journals, whatever happens to their bytes.

use phisync_state::Store as _;
use phisync_state::env::{SimDisk, Survive};
use proptest::prelude::*;

use crate::support::{everything, first_segment, open, put};

fn journal() -> impl Strategy<Value = Vec<(String, String)>> {
    let record = ("[a-z0-9._/-]{1,12}", "[^\\x00-\\x1f]{1,60}");
    prop::collection::vec(record, 1..8)
}

/// A disk with these events, closed or killed.
fn disk_with(events: &[(String, String)], closed: bool) -> SimDisk {
    let disk = SimDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    for (stream, event) in events {
        put(&store, stream, event).expect("the disk works");
    }
    if closed {
        store.close().expect("the disk works");
    }
    disk.reboot(Survive::Everything)
}

fn told(store: &phisync_state::FileStore) -> Vec<(String, String)> {
    let records = everything(store).into_iter();
    records
        .map(|record| (record.stream.to_string(), record.event))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_appended_is_read_back(events in journal(), closed: bool) {
        let disk = disk_with(&events, closed);
        let (store, opened) = open(&disk).expect("it is sound");
        prop_assert_eq!(opened.clean, closed);
        prop_assert_eq!(told(&store), events);
    }

    #[test]
    fn a_damaged_journal_is_refused_or_a_prefix(
        events in journal(),
        closed: bool,
        at in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        let disk = disk_with(&events, closed);
        disk.damage(&first_segment(), |bytes| {
            let start = at.index(bytes.len());
            let end = (start + noise.len()).min(bytes.len());
            bytes[start..end].copy_from_slice(&noise[..end - start]);
        });
        if let Ok((store, _)) = open(&disk) {
            let left = told(&store);
            prop_assert!(events.starts_with(&left), "{left:?} is left of {events:?}");
        }
    }

    #[test]
    fn arbitrary_bytes_never_open_as_records(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let disk = disk_with(&[("run/a".to_owned(), "1".to_owned())], true);
        disk.damage(&first_segment(), |content| *content = bytes);
        prop_assert!(open(&disk).is_err());
    }
}
