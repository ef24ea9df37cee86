//! Wherever the process dies, the next one goes on as if nothing had happened.

use std::sync::Arc;

use phisync::engine::RunStatus;
use phisync_state::MemoryStore;
use phisync_tests::story::{STEPS, Teller};

/// What happens, with a crash after each step that `dies` chooses.
fn told(dies: impl Fn(usize) -> bool) -> Vec<String> {
    let mut teller = Teller::new(Arc::new(MemoryStore::new()));
    teller.tell(|world, step| {
        if dies(step) {
            world.crash_and_reopen();
        }
    });
    assert_eq!(teller.world.status(), RunStatus::Cancelled);
    teller.world.changes()
}

#[test]
fn the_story_goes_like_this() {
    insta::assert_snapshot!(told(|_| false).join("\n"));
}

#[test]
fn a_crash_after_any_step_changes_nothing() {
    let undisturbed = told(|_| false);
    for cut in 0..STEPS {
        assert_eq!(
            told(|step| step == cut),
            undisturbed,
            "crash after step {cut}"
        );
    }
}

#[test]
fn a_crash_after_every_step_changes_nothing() {
    assert_eq!(told(|_| true), told(|_| false));
}
