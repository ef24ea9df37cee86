//! Which keys stand where: every map of the language has its table here.

use super::Cx;
use crate::diagnostic::Note;
use crate::syntax::Map;

/// The keys of one kind of map.
pub(super) struct Keys {
    /// As in "unknown key in a step".
    pub(super) place: &'static str,
    pub(super) allowed: &'static [&'static str],
}

const fn keys(place: &'static str, allowed: &'static [&'static str]) -> Keys {
    Keys { place, allowed }
}

pub(super) const WORKFLOW: Keys = keys(
    "a workflow",
    &[
        "phisync",
        "workflow",
        "version",
        "title",
        "description",
        "labels",
        "metadata",
        "inputs",
        "outputs",
        "vars",
        "schemas",
        "retry_policies",
        "task_types",
        "secrets",
        "config",
        "defaults",
        "timeout",
        "concurrency",
        "saga",
        "schedule",
        "triggers",
        "steps",
        "states",
        "initial",
        "limits",
        "on_failure",
        "finally",
        "compat",
    ],
);

pub(super) const STEP: Keys = keys(
    "a step",
    &[
        "id",
        "task",
        "prompt",
        "approval",
        "call",
        "foreach",
        "loop",
        "switch",
        "parallel",
        "try",
        "do",
        "wait",
        "wait_for",
        "emit",
        "set",
        "files",
        "fail",
        "finish",
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
        "accept",
        "ask",
        "saga",
    ],
);

pub(super) const ACTIVITY: Keys = keys(
    "an activity",
    &[
        "task",
        "prompt",
        "approval",
        "call",
        "foreach",
        "loop",
        "switch",
        "parallel",
        "try",
        "do",
        "steps",
        "wait",
        "wait_for",
        "emit",
        "set",
        "files",
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
        "effects",
        "idempotent",
        "compensate",
        "key",
        "accept",
        "ask",
        "saga",
    ],
);

pub(super) const TASK: Keys = keys("`task`", &["type", "prompt", "attachments", "secrets"]);

pub(super) const ACCEPT: Keys = keys("`accept`", &["files", "schema"]);

pub(super) const ACCEPT_FILE: Keys = keys("a file of `accept`", &["path", "exists", "sha256"]);

pub(super) const ASK: Keys = keys("`ask`", &["from", "timeout"]);

pub(super) const APPROVAL: Keys = keys(
    "`approval`",
    &[
        "from",
        "quorum",
        "veto",
        "prompt",
        "show",
        "options",
        "form",
        "timeout",
        "on_timeout",
        "escalate",
        "not_same_as",
        "on_reject",
    ],
);

pub(super) const APPROVERS: Keys = keys("`from`", &["roles", "users", "agents"]);

pub(super) const ESCALATE: Keys = keys("`escalate`", &["after", "to"]);

pub(super) const CALL: Keys = keys(
    "`call`",
    &["workflow", "version", "wait", "on_parent_cancel"],
);

pub(super) const FOREACH: Keys = keys(
    "`foreach`",
    &[
        "in",
        "as",
        "index_as",
        "concurrency",
        "tolerate",
        "order",
        "batch",
        "max_items",
        "do",
        "steps",
    ],
);

pub(super) const TOLERATE: Keys = keys("`tolerate`", &["count", "percent"]);

pub(super) const LOOP: Keys = keys(
    "`loop`",
    &[
        "max",
        "while",
        "until",
        "carry",
        "next",
        "delay",
        "backoff",
        "max_delay",
        "on_exhausted",
        "do",
        "steps",
    ],
);

pub(super) const SWITCH: Keys = keys("`switch`", &["cases", "default"]);

pub(super) const CASE: Keys = keys("a case", &["id", "when", "do", "steps", "yield"]);

pub(super) const PARALLEL: Keys = keys(
    "`parallel`",
    &["branches", "join", "fail_fast", "concurrency"],
);

pub(super) const TRY: Keys = keys("`try`", &["do", "steps", "catch", "finally", "saga"]);

pub(super) const CATCH: Keys = keys("`catch`", &["errors", "when", "do", "then"]);

pub(super) const HANDLER: Keys = keys("`on_failure`", &["do", "then"]);

pub(super) const WAIT: Keys = keys("`wait`", &["for", "until"]);

pub(super) const WAIT_FOR: Keys = keys(
    "`wait_for`",
    &[
        "event",
        "signal",
        "match",
        "when",
        "from_start",
        "count",
        "timeout",
        "on_timeout",
    ],
);

pub(super) const EMIT: Keys = keys("`emit`", &["event", "data", "key", "to"]);

pub(super) const FILES: Keys = keys(
    "`files`",
    &[
        "participants",
        "root",
        "changes",
        "allow",
        "lock",
        "prepare_timeout",
        "on_conflict",
    ],
);

pub(super) const PARTICIPANT: Keys = keys("a participant", &["root"]);

pub(super) const CHANGE: Keys = keys(
    "a change",
    &[
        "in", "path", "op", "content", "patch", "to", "expect", "mode",
    ],
);

pub(super) const EXPECT: Keys = keys("`expect`", &["sha256", "exists"]);

pub(super) const FAIL: Keys = keys("`fail`", &["code", "message", "data"]);

pub(super) const FINISH: Keys = keys("`finish`", &["outputs"]);

pub(super) const RECOVER: Keys = keys("`recover`", &["outputs"]);

pub(super) const ASSIGN: Keys = keys(
    "`assign`",
    &[
        "agent",
        "capabilities",
        "pool",
        "prefer",
        "exclude",
        "priority",
        "reassignments",
        "sticky",
        "not_same_as",
    ],
);

pub(super) const TIMEOUTS: Keys = keys("`timeouts`", &["queue", "lease", "run", "total"]);

pub(super) const RETRY: Keys = keys(
    "`retry`",
    &[
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
);

pub(super) const DEFAULTS: Keys =
    keys("`defaults`", &["assign", "retry", "timeouts", "on_failure"]);

pub(super) const JOIN: Keys = keys("`join`", &["at_least"]);

pub(super) const COMPENSATION: Keys = keys(
    "`compensate`",
    &[
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
        "idempotent",
        "call",
        "files",
        "emit",
        "do",
    ],
);

pub(super) const SAGA: Keys = keys(
    "`saga`",
    &["mode", "order", "triggers", "on_compensation_failure"],
);

pub(super) const CONCURRENCY: Keys = keys("`concurrency`", &["key", "max", "on_conflict"]);

pub(super) const SCHEDULE: Keys = keys(
    "a schedule",
    &[
        "id",
        "cron",
        "every",
        "timezone",
        "dst",
        "input",
        "overlap",
        "catchup",
        "catchup_window",
        "jitter",
        "start_at",
        "end_at",
        "enabled",
    ],
);

pub(super) const DST: Keys = keys("`dst`", &["gap", "overlap"]);

pub(super) const TRIGGER: Keys = keys(
    "a trigger",
    &["event", "match", "when", "input", "dedupe_key", "rate"],
);

pub(super) const RATE: Keys = keys("`rate`", &["max", "per"]);

pub(super) const LIMITS: Keys = keys("`limits`", &["transitions"]);

pub(super) const STATE: Keys = keys(
    "a state",
    &[
        "activity",
        "entry",
        "exit",
        "timeout",
        "max_visits",
        "transitions",
        "final",
        "outputs",
        "error",
    ],
);

pub(super) const STATE_TIMEOUT: Keys = keys("`timeout` of a state", &["after", "to"]);

pub(super) const TRANSITION: Keys = keys(
    "a transition",
    &[
        "outcome", "event", "signal", "errors", "match", "when", "set", "to",
    ],
);

pub(super) const COMPAT: Keys = keys("`compat`", &["adopt"]);

pub(super) const TASK_TYPE: Keys = keys(
    "a task type",
    &["input", "output", "effects", "idempotent", "capabilities"],
);

impl Cx<'_> {
    /// Reports every key of `map` that does not belong there.
    pub(super) fn keys(&mut self, map: &Map, keys: &Keys) {
        self.meant.retain(|(place, _)| *place != keys.place);
        for entry in &map.entries {
            let key = entry.key.as_str();
            if key.starts_with("x-") {
                continue;
            }
            if keys.allowed.contains(&key) {
                continue;
            }
            let mut note = Note::error(
                "PHI101",
                entry.key_span,
                format!("unknown key `{key}` in {}", keys.place),
            );
            note = match self.nearest(key, keys.allowed.iter().copied()) {
                Some(near) if map.get(near).is_none() => {
                    self.meant.push((keys.place, near));
                    note.label(format!("did you mean `{near}`?"))
                        .edit(entry.key_span, near)
                }
                _ => {
                    let list: Vec<_> = keys.allowed.iter().map(|k| format!("`{k}`")).collect();
                    note.help(format!("allowed keys: {}", list.join(", ")))
                }
            };
            self.sink.push(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::grammar::tests::all_tables;

    /// The tables of this file beside those of the grammar, by the grammar's names.
    const PAIRS: &[(&str, &Keys)] = &[
        ("workflow", &WORKFLOW),
        ("step", &STEP),
        ("activity", &ACTIVITY),
        ("task", &TASK),
        ("accept", &ACCEPT),
        ("accepted_file", &ACCEPT_FILE),
        ("ask", &ASK),
        ("approval", &APPROVAL),
        ("approvers", &APPROVERS),
        ("escalate", &ESCALATE),
        ("call", &CALL),
        ("foreach", &FOREACH),
        ("tolerate", &TOLERATE),
        ("loop", &LOOP),
        ("switch", &SWITCH),
        ("case", &CASE),
        ("parallel", &PARALLEL),
        ("try", &TRY),
        ("catch", &CATCH),
        ("failure_handler", &HANDLER),
        ("wait", &WAIT),
        ("wait_for", &WAIT_FOR),
        ("emit", &EMIT),
        ("files", &FILES),
        ("participant", &PARTICIPANT),
        ("change", &CHANGE),
        ("expect", &EXPECT),
        ("failure", &FAIL),
        ("finish", &FINISH),
        ("recover", &RECOVER),
        ("assign", &ASSIGN),
        ("timeouts", &TIMEOUTS),
        ("retry", &RETRY),
        ("defaults", &DEFAULTS),
        ("join", &JOIN),
        ("compensation", &COMPENSATION),
        ("saga", &SAGA),
        ("concurrency", &CONCURRENCY),
        ("schedule", &SCHEDULE),
        ("dst", &DST),
        ("trigger", &TRIGGER),
        ("rate", &RATE),
        ("limits", &LIMITS),
        ("state", &STATE),
        ("state_timeout", &STATE_TIMEOUT),
        ("transition", &TRANSITION),
        ("compat", &COMPAT),
        ("task_type", &TASK_TYPE),
    ];

    #[test]
    fn what_the_compiler_takes_is_what_the_published_schema_offers() {
        let mut differences = Vec::new();
        for table in all_tables() {
            // `recover` stands alone in its map and is found by it: it has no table here.
            if table.name == "recovery" {
                continue;
            }
            let Some((_, keys)) = PAIRS.iter().find(|(name, _)| *name == table.name) else {
                differences.push(format!("nothing here is `{}`", table.name));
                continue;
            };
            let offered: BTreeSet<&str> = table.keys().map(|key| key.name).collect();
            let taken: BTreeSet<&str> = keys.allowed.iter().copied().collect();
            for key in offered.symmetric_difference(&taken) {
                let by = match taken.contains(key) {
                    true => "the compiler",
                    false => "the schema",
                };
                differences.push(format!("only {by} knows `{key}` in `{}`", table.name));
            }
        }
        assert!(differences.is_empty(), "{differences:#?}");
    }

    #[test]
    fn every_table_of_the_compiler_is_held_against_one_of_the_schema() {
        let here = include_str!("keys.rs").lines();
        let declared = here
            .filter(|line| line.starts_with("pub(super) const "))
            .count();
        assert_eq!(declared, PAIRS.len(), "a table is missing from `PAIRS`");
        let known: BTreeSet<&str> = all_tables().iter().map(|table| table.name).collect();
        for (name, _) in PAIRS {
            assert!(known.contains(name), "the schema has no `{name}`");
        }
    }
}
