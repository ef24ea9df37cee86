//! Which keys stand where.
//!
//! Every map of the language has its table here. `later` are keys that the language has and this
//! version does not run: they are refused by name, so that nothing written is ever ignored.

use super::Cx;
use crate::diagnostic::Note;
use crate::syntax::Map;

/// The keys of one kind of map.
pub(super) struct Keys {
    /// As in "unknown key in a step".
    pub(super) place: &'static str,
    pub(super) allowed: &'static [&'static str],
    pub(super) later: &'static [&'static str],
}

pub(super) const WORKFLOW: Keys = Keys {
    place: "a workflow",
    allowed: &[
        "phisync",
        "workflow",
        "version",
        "title",
        "description",
        "labels",
        "metadata",
        "inputs",
        "outputs",
        "schemas",
        "retry_policies",
        "defaults",
        "timeout",
        "steps",
    ],
    later: &[
        "vars",
        "task_types",
        "secrets",
        "config",
        "concurrency",
        "saga",
        "schedule",
        "triggers",
        "states",
        "initial",
        "limits",
        "on_failure",
        "finally",
        "compat",
    ],
};

pub(super) const STEP: Keys = Keys {
    place: "a step",
    allowed: &[
        "id",
        "task",
        "prompt",
        "approval",
        "fail",
        "needs",
        "join",
        "if",
        "title",
        "description",
        "labels",
        "input",
        "output",
        "yield",
        "assign",
        "timeout",
        "timeouts",
        "retry",
        "on_failure",
        "effects",
        "idempotent",
        "compensate",
        "key",
    ],
    later: &[
        "call", "foreach", "loop", "switch", "parallel", "try", "wait", "wait_for", "emit", "set",
        "files", "do", "finish", "accept", "saga",
    ],
};

/// Kinds of the language that this version does not run.
pub(super) const LATER_KINDS: &[&str] = &[
    "call", "foreach", "loop", "switch", "parallel", "try", "wait", "wait_for", "emit", "set",
    "files", "do", "finish",
];

pub(super) const TASK: Keys = Keys {
    place: "`task`",
    allowed: &["type", "prompt"],
    later: &["attachments", "secrets"],
};

pub(super) const APPROVAL: Keys = Keys {
    place: "`approval`",
    allowed: &[
        "from",
        "quorum",
        "prompt",
        "show",
        "timeout",
        "on_timeout",
        "not_same_as",
        "on_reject",
    ],
    later: &["veto", "options", "form", "escalate"],
};

pub(super) const APPROVERS: Keys = Keys {
    place: "`from`",
    allowed: &["roles", "users", "agents"],
    later: &[],
};

pub(super) const FAIL: Keys = Keys {
    place: "`fail`",
    allowed: &["code", "message", "data"],
    later: &[],
};

pub(super) const ASSIGN: Keys = Keys {
    place: "`assign`",
    allowed: &[
        "agent",
        "capabilities",
        "prefer",
        "exclude",
        "priority",
        "reassignments",
    ],
    later: &["pool", "sticky", "not_same_as"],
};

pub(super) const TIMEOUTS: Keys = Keys {
    place: "`timeouts`",
    allowed: &["queue", "lease", "run", "total"],
    later: &[],
};

pub(super) const RETRY: Keys = Keys {
    place: "`retry`",
    allowed: &[
        "max_attempts",
        "backoff",
        "delay",
        "factor",
        "max_delay",
        "jitter",
        "max_elapsed",
        "errors",
        "except",
        "when",
        "reassign",
    ],
    later: &[],
};

pub(super) const DEFAULTS: Keys = Keys {
    place: "`defaults`",
    allowed: &["assign", "retry", "timeouts", "on_failure"],
    later: &[],
};

pub(super) const JOIN: Keys = Keys {
    place: "`join`",
    allowed: &["at_least"],
    later: &[],
};

pub(super) const COMPENSATION: Keys = Keys {
    place: "`compensate`",
    allowed: &[
        "task",
        "prompt",
        "title",
        "description",
        "input",
        "output",
        "assign",
        "timeout",
        "timeouts",
        "retry",
    ],
    later: &["call", "files", "emit", "do"],
};

impl Cx<'_> {
    /// Reports every key of `map` that does not belong there.
    pub(super) fn keys(&mut self, map: &Map, keys: &Keys) {
        for entry in &map.entries {
            let key = entry.key.as_str();
            if keys.allowed.contains(&key) || key.starts_with("x-") {
                continue;
            }
            if keys.later.contains(&key) {
                self.later(&format!("`{key}`"), entry.key_span);
                continue;
            }
            let list = keys
                .allowed
                .iter()
                .map(|k| format!("`{k}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let mut note = Note::error(
                "PHI101",
                entry.key_span,
                format!("unknown key `{key}` in {}", keys.place),
            );
            note = match self.nearest(key, keys.allowed.iter().copied()) {
                Some(near) if map.get(near).is_none() => note
                    .label(format!("did you mean `{near}`?"))
                    .edit(entry.key_span, near),
                _ => note,
            };
            self.sink.push(note.help(format!("allowed keys: {list}")));
        }
    }

    /// Refuses something of the language that this version does not run.
    pub(super) fn later(&mut self, what: &str, span: crate::source::Span) {
        self.sink.push(
            Note::error(
                "PHI119",
                span,
                format!("{what} is not supported by this version of phisync"),
            )
            .label("part of the language, not of this version"),
        );
    }
}
