//! What agents and silence can say of a task, by the names that tables of tests use.

use phisync::engine::{Failure, Input, RawJson};
use serde_json::json;

/// Every such input about the task of `step`, or its undo, under `token`; the one that gives it back
/// says whether the work had `begun`.
#[must_use]
pub fn of_task(step: &str, undo: bool, token: u64, begun: bool) -> [(&'static str, Input); 7] {
    let step = || step.to_owned();
    let complete = |token| Input::Complete {
        step: step(),
        undo,
        token,
        output: RawJson::from_value(&json!({"ok": true})),
        proof: Vec::new(),
    };
    let fail = |code: &str| Input::Fail {
        step: step(),
        undo,
        token,
        error: Failure::new(code, "as it happens"),
        retryable: None,
        retry_after_ms: None,
    };
    let claim = Input::Claim {
        step: step(),
        undo,
        agent: "a1".to_owned(),
        epoch: 1,
    };
    let release = Input::Release {
        step: step(),
        undo,
        token,
        begun,
    };
    let lose = Input::LoseLease {
        step: step(),
        undo,
        token,
        why: "silence".to_owned(),
    };
    [
        ("claim", claim),
        ("complete", complete(token)),
        ("complete, stale", complete(token.wrapping_sub(1))),
        ("fail, final", fail("app.broken")),
        ("fail, transient", fail("transient.busy")),
        ("release", release),
        ("lose lease", lose),
    ]
}
