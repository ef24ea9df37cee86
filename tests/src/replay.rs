//! What a journal says, held against what its writer believes: replaying gives the same state.
//!
//! Applied to every [`World`](crate::World) when it ends, so that each journal that a test writes is
//! replayed. A fact is read back from its text, and its text must be written again the same.

use phisync::coordinator::Coordinator;
use phisync::engine::{RunEvent, fold};
use phisync_state::Store;

/// Replays the runs that `coordinator` has open, up to where it knows them.
///
/// # Panics
/// A replay differs from what is believed, or a fact does not survive its text.
pub fn check(store: &dyn Store, coordinator: &Coordinator) {
    for believed in coordinator.open_runs() {
        // A store whose power went in the middle of a story tells nothing any more.
        let Ok(records) = store.read(&believed.id.stream(), 1) else {
            return;
        };
        let records = records.iter().take_while(|r| r.version <= believed.version);
        let facts: Vec<_> = records.map(|record| fact(&record.event)).collect();
        let replayed = fold(&believed.machine, &believed.id, &facts);
        assert!(
            replayed == *believed,
            "a replay of `{}` gives\n{replayed:#?}\nbut its writer has\n{believed:#?}",
            believed.id
        );
    }
}

/// A fact from its text, which says all of it.
///
/// # Panics
/// It is none of ours, or something of it is lost on the way.
#[must_use]
pub fn fact(text: &str) -> RunEvent {
    let fact: RunEvent = serde_json::from_str(text).expect("a fact about a run");
    let again = serde_json::to_string(&fact).expect("a fact prints");
    assert_eq!(again, text, "a fact is not read as it was written");
    fact
}
