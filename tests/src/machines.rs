//! Small workflows that have, between them, everything that a machine can say.
//!
//! Explored state by state, and cut off from power at every operation of the disk. Their agent is
//! `A1`, their people have the role `lead`.

/// Tasks that ask people, one of them undone.
pub const ASKING: (&str, &str) = (
    "tasks that ask people",
    "
workflow: asking
timeout: 3h
steps:
  - { id: a, task: do, assign: { agent: A1, reassignments: 1 }, ask: { from: { roles: [lead] }, timeout: 30m }, timeouts: { lease: 1m, run: 5m, total: 2h, queue: 20m }, retry: { max_attempts: 2, backoff: fixed, delay: 10s, jitter: none, errors: [transient] }, compensate: { task: undo, assign: { agent: A1, reassignments: 0 }, retry: { max_attempts: 1 } } }
  - { id: b, needs: a, task: do, assign: { agent: A1, reassignments: 0 }, ask: { from: { roles: [lead] }, timeout: 1h }, timeouts: { lease: 1m, run: 5m } }
",
);

/// Small workflows that have, between them, everything that the language has.
pub const MACHINES: [(&str, &str); 12] = [
    (
        "retries and an undo that may fail",
        "
workflow: retries
timeout: 2h
steps:
  - { id: a, task: do, assign: { agent: A1, reassignments: 1 }, timeouts: { lease: 1m, run: 5m, queue: 20m }, compensate: { task: undo, assign: { agent: A1, reassignments: 0 }, retry: { max_attempts: 2, backoff: fixed, delay: 10s, jitter: none, errors: [transient] } } }
  - { id: b, needs: a, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m, total: 12m, queue: 10m }, retry: { max_attempts: 2, backoff: fixed, delay: 1m, jitter: none, errors: [transient] } }
",
    ),
    (
        "the first of three wins",
        "
workflow: first
timeout: 30m
steps:
  - { id: a, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } }
  - { id: b, needs: a, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } }
  - { id: c, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m }, on_failure: continue }
  - { id: join, needs: [b, c], join: first, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } }
  - { id: after, needs: b, fail: { code: app.after, message: after } }
",
    ),
    (
        "an approval beside a task",
        "
workflow: approval
timeout: 3h
steps:
  - { id: work, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m }, compensate: { task: undo, assign: A1, retry: { max_attempts: 1 } } }
  - { id: ok, approval: { from: { roles: [lead] }, quorum: 2, timeout: 1h } }
  - { id: done, needs: [work, ok], task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } }
",
    ),
    (
        "an approval that expires as given, and one whose rejection undoes",
        "
workflow: expiry
timeout: 3h
steps:
  - { id: work, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m }, compensate: { task: undo, assign: { agent: A1, reassignments: 0 }, retry: { max_attempts: 1 } } }
  - { id: one, needs: work, approval: { from: { roles: [lead] }, timeout: 1h, on_timeout: approve, on_reject: continue } }
  - { id: two, needs: one, approval: { from: { roles: [lead] }, timeout: 1h, on_reject: compensate }, on_failure: continue }
",
    ),
    (
        "joins of those that may fail",
        "
workflow: joins
timeout: 40m
steps:
  - { id: a, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m }, on_failure: continue }
  - { id: b, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m }, on_failure: continue }
  - { id: both, needs: [a, b], join: { at_least: 2 }, if: 'steps.a.outcome == \"succeeded\"', task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } }
  - { id: any, needs: [a, b], join: any, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } }
",
    ),
    (
        "items that may fail, one of them",
        "
workflow: items
timeout: 2h
steps:
  - id: each
    foreach:
      in: '[1, 2]'
      tolerate: { count: 1 }
      do:
        - { id: a, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } }
    on_failure: { do: [ { id: mend, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } } ], then: continue }
",
    ),
    (
        "a try with its own saga, handled, cleaned up and tried again",
        "
workflow: try
timeout: 3h
steps:
  - id: risky
    try:
      do:
        - { id: a, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m }, compensate: { task: undo, assign: { agent: A1, reassignments: 0 }, retry: { max_attempts: 1 } } }
        - { id: b, fail: { code: app.b, message: b } }
      catch: [ { errors: [app], do: [ { id: c, wait: 1m } ], then: retry } ]
      finally: [ { id: d, wait: 1m } ]
      saga: auto
    retry: { max_attempts: 2, backoff: fixed, delay: 1m, jitter: none, errors: [timeout] }
",
    ),
    (
        "a loop with a delay and a switch inside",
        "
workflow: loop
timeout: 2h
steps:
  - id: again
    loop:
      max: 2
      delay: 1m
      until: 'false'
      on_exhausted: continue
      do:
        - id: way
          switch:
            cases: [ { id: one, when: iter.index == 1, do: [ { id: a, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } } ] } ]
            default: skip
",
    ),
    (
        "branches, the first of which wins",
        "
workflow: branches
timeout: 1h
steps:
  - id: race
    parallel:
      branches:
        a: [ { id: a1, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } } ]
        b: [ { id: b1, wait_for: { signal: go, timeout: 20m } } ]
      join: first
finally: [ { id: tidy, wait: 1m } ]
",
    ),
    (
        "states with a time limit and a handler of the run",
        "
workflow: states
timeout: 2h
initial: one
states:
  one:
    activity: { task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m }, compensate: { task: undo, assign: { agent: A1, reassignments: 0 }, retry: { max_attempts: 1 } } }
    timeout: { after: 4m, to: two }
    max_visits: 2
    transitions:
      - { outcome: succeeded, to: two }
      - { outcome: failed, to: one }
  two:
    exit: [ { id: left, wait: 1m } ]
    activity: { task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } }
    transitions:
      - { outcome: succeeded, to: good }
      - { outcome: failed, to: bad }
  good: { final: completed }
  bad: { final: failed, error: { code: app.bad, message: bad } }
on_failure: [ { id: tell, wait: 1m } ]
",
    ),
    (
        "a pivot and what stands beside it",
        "
workflow: pivot
timeout: 2h
steps:
  - { id: before, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m }, compensate: { task: undo, assign: { agent: A1, reassignments: 0 }, retry: { max_attempts: 1 } } }
  - { id: pivot, needs: before, task: do, assign: { agent: A1, reassignments: 0 }, effects: irreversible, timeouts: { lease: 1m, run: 5m } }
  - { id: beside, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m }, compensate: { task: undo, assign: { agent: A1, reassignments: 0 }, retry: { max_attempts: 1 } } }
",
    ),
    (
        "a step that is undone by steps, which may fail and are tried again",
        "
workflow: undoing
timeout: 2h
saga: { on_compensation_failure: continue }
steps:
  - id: a
    task: do
    assign: { agent: A1, reassignments: 0 }
    timeouts: { lease: 1m, run: 5m }
    compensate:
      do:
        - { id: back, task: undo, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } }
        - { id: tell, emit: { event: a.undone } }
      retry: { max_attempts: 2, backoff: fixed, delay: 1m, jitter: none, errors: [timeout] }
  - { id: b, needs: a, wait: 1m }
  - { id: c, needs: b, fail: { code: app.c, message: c } }
",
    ),
];

/// Workflows whose steps are done by the orchestrator or by other runs, with the workflows that they
/// call.
pub const BY_ITSELF: [(&str, &str, &[&str]); 4] = [
    (
        "a call, whose child is undone",
        "
workflow: parent
timeout: 2h
steps:
  - { id: before, task: do, assign: A1, compensate: { task: undo, assign: A1, retry: { max_attempts: 1 } } }
  - { id: child, needs: before, call: { workflow: child } }
  - { id: after, needs: child, task: do, assign: A1 }
",
        &["
workflow: child
timeout: 1h
steps:
  - { id: a, task: do, assign: A1, compensate: { task: undo, assign: A1, retry: { max_attempts: 1 } } }
  - { id: b, needs: a, task: do, assign: A1 }
"],
    ),
    (
        "files, tried again, in a block beside a task",
        "
workflow: files
timeout: 2h
steps:
  - id: both
    parallel:
      branches:
        files:
          - id: change
            files: { root: api, allow: [\"src/**\"], changes: [{ path: src/a, op: write, content: new }], prepare_timeout: 5m }
            retry: { max_attempts: 3, backoff: fixed, delay: 10s, jitter: none, errors: [files] }
            compensate: none
        task: [ { id: a, task: do, assign: { agent: A1, reassignments: 0 }, timeouts: { lease: 1m, run: 5m } } ]
",
        &[],
    ),
    (
        "events, signals, variables and timers",
        "
workflow: hears
timeout: 2h
vars: { heard: { type: integer, default: 0 } }
steps:
  - { id: twice, wait_for: { event: news.came, count: 2, timeout: 20m }, on_failure: continue }
  - { id: go, wait_for: { signal: go, timeout: 10m, on_timeout: continue } }
  - { id: note, needs: [twice, go], set: { heard: 2 } }
  - { id: rest, needs: note, wait: 1m }
  - { id: tell, needs: rest, emit: { event: news.told, data: { heard: '${{ vars.heard }}' } } }
  - { id: over, needs: tell, if: vars.heard == 2, finish: {} }
  - { id: never, needs: rest, task: do, assign: A1 }
",
        &[],
    ),
    (
        "an approval that others may decide later, and a saga that undoes at once what it may",
        "
workflow: relaxed
timeout: 3h
saga: { order: relaxed }
steps:
  - { id: a, task: do, assign: A1, compensate: { task: undo, assign: { agent: A1, reassignments: 0 }, retry: { max_attempts: 1 } } }
  - { id: b, task: do, assign: A1, compensate: { task: undo, assign: { agent: A1, reassignments: 0 }, retry: { max_attempts: 1 } } }
  - { id: ok, needs: [a, b], approval: { from: { users: [p1] }, timeout: 1h, on_timeout: escalate, escalate: { after: 10m, to: { roles: [lead] } } } }
  - { id: last, needs: ok, fail: { code: app.last, message: it ends badly } }
",
        &[],
    ),
];
