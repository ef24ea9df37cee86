//! Somebody who swaps a directory for a link, as fast as possible, while transactions write into it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use phisync_state::env::OsDisk;
use phisync_state::transaction::{
    Blobs, Roots, TransactionEvent, TransactionId, TransactionState, Workspace, read,
};
use serde_json::json;

/// Transactions that are tried meanwhile.
const ROUNDS: usize = 300;

/// Between two swaps.
const PAUSE: Duration = Duration::from_micros(300);

fn swap(root: &Path, outside: &Path, stop: &AtomicBool) -> usize {
    let (dir, aside) = (root.join("dir"), root.join("aside"));
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        // Whatever fails here fails because a transaction is in the way; it is tried again.
        if std::fs::rename(&dir, &aside).is_ok() {
            std::os::unix::fs::symlink(outside, &dir).ok();
            std::fs::remove_file(&dir).ok();
            std::fs::rename(&aside, &dir).ok();
            swaps += 1;
        }
        // Long enough that some transactions come through, short enough that most meet a swap.
        std::thread::park_timeout(PAUSE);
    }
    swaps
}

#[test]
fn nothing_outside_a_root_changes_whoever_swaps_directories_for_links() {
    let place = tempfile::tempdir().expect("a directory");
    let (root, outside, data) = (
        place.path().join("root"),
        place.path().join("outside"),
        place.path().join("data"),
    );
    for directory in [&root, &outside, &data, &root.join("dir")] {
        std::fs::create_dir(directory).expect("made");
    }
    std::fs::write(root.join("dir/file"), "0").expect("written");
    std::fs::write(outside.join("file"), "canary").expect("written");
    let blobs = Blobs::open(Arc::new(OsDisk), &data).expect("blobs");
    let workspace = Workspace::new(Arc::new(OsDisk), blobs);
    let mut roots = Roots::new();
    roots.declare("r", &root, &data).expect("a root");
    let stop = AtomicBool::new(false);
    let (mut committed, mut swaps) = (0, 0);
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| swap(&root, &outside, &stop));
        for round in 0..ROUNDS {
            let text = json!({ "changes": [
                { "path": "dir/file", "op": "write", "content": round.to_string() },
                { "path": format!("dir/new-{round}"), "op": "write", "content": "new" },
            ]});
            let only = phisync_state::FileId::new("r").expect("a name");
            let transaction = read(&text, Some(&only)).expect("a transaction");
            let id = TransactionId::parse(&format!("t-{round}")).expect("a name");
            let Ok(plan) = workspace.survey(&id, &transaction, &roots) else {
                continue;
            };
            let mut state = TransactionState::begin(id, plan.intent("tester", None));
            if let Ok(decision) = workspace.stage(&plan) {
                state.apply(&TransactionEvent::Decided(decision));
            }
            // A swap makes a step fail; in the living it is tried again, here a few times.
            for _ in 0..50 {
                match workspace.advance(&state) {
                    Ok(Some(event)) => state.apply(&event),
                    Ok(None) => {
                        committed += usize::from(state.decision.is_some());
                        break;
                    }
                    Err(_) => {}
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        swaps = swapping.join().expect("it only swaps");
    });
    // How often each of the two gets its turn is the system's business.
    assert!(
        committed > 0 && swaps > 0,
        "{committed} of {ROUNDS}, {swaps} swaps"
    );
    let names: Vec<_> = std::fs::read_dir(&outside).expect("read").collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let canary = std::fs::read_to_string(outside.join("file")).expect("read");
    assert_eq!(canary, "canary");
}
