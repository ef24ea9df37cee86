//! The contract as a suite that every backend must pass.
//!
//! [`all`] runs each rule on a store of its own. A rule panics with what it saw; there is nothing
//! to configure, as a contract has no options. Backends that keep data also run [`reopens`].
#![expect(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a suite tells its verdict by panicking"
)]

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::{
    AppendError, Appended, Entry, Expected, Head, Record, Seq, Store, StreamName, Timestamp,
};

/// A rule of the contract, with its name.
pub type Rule = (&'static str, fn(&dyn Store));

/// Every rule that holds for a single life of a store.
pub const RULES: &[Rule] = &[
    ("an empty store has nothing", an_empty_store_has_nothing),
    ("an append takes its place", an_append_takes_its_place),
    (
        "a wrong version has no effect",
        a_wrong_version_has_no_effect,
    ),
    (
        "a guard checks and writes nothing",
        a_guard_checks_and_writes_nothing,
    ),
    (
        "a later entry sees an earlier one",
        a_later_entry_sees_an_earlier_one,
    ),
    (
        "malformed text is refused whole",
        malformed_text_is_refused_whole,
    ),
    (
        "a version counts what is not durable",
        a_version_counts_what_is_not_durable,
    ),
    ("time never goes back", time_never_goes_back),
    ("a scan keeps the order", a_scan_keeps_the_order),
    ("callbacks come in order", callbacks_come_in_order),
    ("heads change with content", heads_change_with_content),
    ("a closed store takes nothing", a_closed_store_takes_nothing),
    ("one of many writers wins", one_of_many_writers_wins),
];

/// Runs every rule on a fresh store from `make`.
pub fn all<S: Store>(make: impl Fn() -> S) {
    for (name, rule) in RULES {
        let store = make();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rule(&store)));
        assert!(outcome.is_ok(), "the backend breaks a rule: {name}");
    }
}

/// What was appended is there again after closing and opening: `open` opens the same store anew.
pub fn reopens<S: Store>(open: impl Fn() -> S) {
    let store = open();
    put(&store, "run/a", 0, &["1", "2"]);
    put(&store, "run/b", 0, &["3"]);
    settled(&store);
    let (head, before) = (store.head(), scanned(&store, "", 0));
    store.close().expect("a healthy store closes");
    drop(store);

    let store = open();
    assert_eq!(store.head(), head);
    assert_eq!(scanned(&store, "", 0), before);
    assert_eq!(store.version(&name("run/a")), 2);
    let again = put(&store, "run/a", 2, &["4"]);
    assert_eq!(again.first, Seq(4));
    settled(&store);
    assert_eq!(events(&read(&store, "run/a", 1)), ["1", "2", "4"]);
}

fn an_empty_store_has_nothing(store: &dyn Store) {
    assert_eq!(store.head().seq, Seq(0));
    assert_eq!(store.head().hash.len(), 64);
    assert_eq!(store.version(&name("run/a")), 0);
    assert_eq!(read(store, "run/a", 1), []);
    assert_eq!(scanned(store, "", 0), []);
    let nothing = append(store, Vec::new()).expect("nothing can always be appended");
    assert_eq!((nothing.first, nothing.last), (Seq(1), Seq(0)));
}

fn an_append_takes_its_place(store: &dyn Store) {
    let appended = put(store, "run/a", 0, &["1", "2"]);
    assert_eq!((appended.first, appended.last), (Seq(1), Seq(2)));
    let appended = put(store, "run/b", 0, &["3"]);
    assert_eq!((appended.first, appended.last), (Seq(3), Seq(3)));
    settled(store);
    let records = read(store, "run/a", 2);
    assert_eq!(
        records,
        [Record {
            seq: Seq(2),
            stream: name("run/a"),
            version: 2,
            at: NOON,
            event: "2".to_owned(),
        }]
    );
    assert_eq!(read(store, "run/a", 3), []);
}

fn a_wrong_version_has_no_effect(store: &dyn Store) {
    put(store, "run/a", 0, &["1"]);
    let batch = vec![
        entry("run/new", Expected::Version(0), &["x"]),
        entry("run/b", Expected::Any, &["x"]),
        entry("run/a", Expected::Version(0), &["x"]),
        entry("run/a", Expected::Version(7), &["x"]),
    ];
    assert_eq!(append(store, batch), Err(conflict("run/a", 0, 1)));
    assert_eq!(store.version(&name("run/new")), 0);
    assert_eq!(store.version(&name("run/b")), 0);
    let next = put(store, "run/b", 0, &["2"]);
    assert_eq!(next.first, Seq(2), "the refused batch used up a sequence");
    settled(store);
    assert_eq!(events(&scanned(store, "", 0)), ["1", "2"]);
}

fn a_guard_checks_and_writes_nothing(store: &dyn Store) {
    put(store, "agent/a", 0, &["1"]);
    let guarded = |version| {
        vec![
            entry("agent/a", Expected::Version(version), &[]),
            entry("run/b", Expected::Any, &["2"]),
        ]
    };
    assert_eq!(append(store, guarded(0)), Err(conflict("agent/a", 0, 1)));
    append(store, guarded(1)).expect("the guard holds");
    let only = append(store, vec![entry("agent/a", Expected::Version(1), &[])]);
    let only = only.expect("the guard holds");
    assert_eq!((only.first, only.last), (Seq(3), Seq(2)));
    let absent = append(store, vec![entry("agent/x", Expected::Version(0), &[])]);
    assert!(absent.is_ok(), "a stream that does not exist has version 0");
    assert_eq!(store.version(&name("agent/a")), 1);
    settled(store);
    assert_eq!(read(store, "agent/x", 1), []);
}

fn a_later_entry_sees_an_earlier_one(store: &dyn Store) {
    let batch = |second| {
        vec![
            entry("run/a", Expected::Version(0), &["1", "2"]),
            entry("run/b", Expected::Version(0), &["3"]),
            entry("run/a", Expected::Version(second), &["4"]),
        ]
    };
    assert_eq!(append(store, batch(0)), Err(conflict("run/a", 0, 2)));
    assert_eq!(store.version(&name("run/a")), 0);
    append(store, batch(2)).expect("the versions are right");
    settled(store);
    let versions: Vec<_> = read(store, "run/a", 1)
        .into_iter()
        .map(|record| (record.version, record.event))
        .collect();
    let expected = [(1, "1"), (2, "2"), (3, "4")].map(|(v, e)| (v, e.to_owned()));
    assert_eq!(versions, expected);
}

fn malformed_text_is_refused_whole(store: &dyn Store) {
    let long = "a".repeat(201);
    for (stream, event) in [
        ("run/a", "{\n}"),
        ("run/a", "\0"),
        ("run/a", "\t1"),
        ("run/a", ""),
        ("", "1"),
        ("Run", "1"),
        ("run\"a", "1"),
        (long.as_str(), "1"),
    ] {
        let batch = vec![
            entry("run/z", Expected::Any, &["1"]),
            entry(stream, Expected::Any, &[event]),
        ];
        match append(store, batch) {
            Err(AppendError::Malformed { stream: named, .. }) => assert_eq!(named, name(stream)),
            other => panic!("stream {stream:?} took {event:?}: {other:?}"),
        }
    }
    assert_eq!(store.version(&name("run/z")), 0);
    assert_eq!(
        put(store, "run/z", 0, &["\"\u{e9} \u{2028}\""]).first,
        Seq(1)
    );
}

fn a_version_counts_what_is_not_durable(store: &dyn Store) {
    for version in 0..100 {
        put(store, "run/a", version, &["1"]);
        assert_eq!(store.version(&name("run/a")), version + 1);
    }
    settled(store);
    assert_eq!(read(store, "run/a", 1).len(), 100);
}

fn time_never_goes_back(store: &dyn Store) {
    let earlier = Timestamp::from_micros(NOON.as_micros() - 1);
    put(store, "run/a", 0, &["1"]);
    let batch = vec![entry("run/a", Expected::Version(1), &["2"])];
    store.append(earlier, batch).expect("the version is right");
    settled(store);
    assert!(
        read(store, "run/a", 1)
            .iter()
            .all(|record| record.at == NOON)
    );
}

fn a_scan_keeps_the_order(store: &dyn Store) {
    for round in 0..20 {
        put(store, "run/a", round * 2, &["1", "2"]);
        put(store, "run/b", round, &["3"]);
        put(store, "agent/a", round, &["4"]);
    }
    settled(store);
    let all = scanned(store, "", 0);
    let seqs: Vec<_> = all.iter().map(|record| record.seq.0).collect();
    assert_eq!(seqs, (1..=80).collect::<Vec<_>>());
    for after in 0..=81 {
        let expected: Vec<_> = all
            .iter()
            .filter(|record| record.seq.0 > after && record.stream.as_str().starts_with("run/"))
            .cloned()
            .collect();
        assert_eq!(scanned(store, "run/", after), expected, "after {after}");
    }
    let mut seen = 0;
    let mut visit = |_| {
        seen += 1;
        seen < 3
    };
    store
        .scan("", Seq(0), &mut visit)
        .expect("a healthy store scans");
    assert_eq!(seen, 3, "a scan goes on although it was told to stop");
}

fn callbacks_come_in_order(store: &dyn Store) {
    let (sender, called) = mpsc::channel();
    let wait_for = |seq: u64| {
        let sender = sender.clone();
        let then = move |outcome: Result<Head, _>| {
            let head = outcome.expect("the store is healthy");
            sender.send((seq, head.seq)).expect("the test listens");
        };
        store.when_durable(Seq(seq), Box::new(then));
    };
    // The last one's turn is only after all others': nothing that high exists before.
    wait_for(3);
    wait_for(2);
    for version in 0..3 {
        put(store, "run/a", version, &["1"]);
    }
    let first = called.recv().expect("the store calls");
    let second = called.recv().expect("the store calls");
    assert_eq!((first.0, second.0), (2, 3));
    assert!(first.1 >= Seq(2) && second.1 >= Seq(3), "called too early");
    wait_for(1);
    assert_eq!(called.recv().expect("the store calls").0, 1);
}

fn heads_change_with_content(store: &dyn Store) {
    let empty = store.head();
    put(store, "run/a", 0, &["1"]);
    let first = settled(store);
    put(store, "run/a", 1, &["1"]);
    let second = settled(store);
    assert_eq!((first.seq, second.seq), (Seq(1), Seq(2)));
    assert!(empty.hash != first.hash && first.hash != second.hash);
    assert_eq!(store.head(), second);
}

fn a_closed_store_takes_nothing(store: &dyn Store) {
    put(store, "run/a", 0, &["1"]);
    let (sender, called) = mpsc::channel();
    let later = sender.clone();
    let then = move |outcome: Result<Head, _>| later.send(outcome.is_ok()).expect("heard");
    store.when_durable(Seq(2), Box::new(then));
    store.close().expect("a healthy store closes");
    store.close().expect("closing twice is closing once");
    assert_eq!(called.recv(), Ok(false), "nobody will append sequence 2");
    let refused = append(store, vec![entry("run/a", Expected::Any, &["2"])]);
    assert!(matches!(refused, Err(AppendError::Closed(_))));
    let then = move |outcome: Result<Head, _>| sender.send(outcome.is_ok()).expect("heard");
    store.when_durable(Seq(1), Box::new(then));
    assert_eq!(called.recv(), Ok(true), "sequence 1 is durable");
    assert_eq!(events(&read(store, "run/a", 1)), ["1"]);
}

fn one_of_many_writers_wins(store: &dyn Store) {
    let wins = Arc::new(Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut version = 0;
                while version < 50 {
                    let batch = vec![entry("run/a", Expected::Version(version), &["1"])];
                    version = match append(store, batch) {
                        Ok(_) => {
                            *wins.lock().expect("no writer panics") += 1;
                            version + 1
                        }
                        Err(AppendError::Conflict { actual, .. }) => actual,
                        Err(other) => panic!("a writer saw {other}"),
                    };
                }
            });
        }
    });
    assert_eq!(*wins.lock().expect("no writer panics"), 50);
    settled(store);
    assert_eq!(read(store, "run/a", 1).len(), 50);
}

const NOON: Timestamp = Timestamp::from_micros(1_795_348_800_000_000);

fn name(stream: &str) -> StreamName {
    StreamName::new(stream)
}

fn entry(stream: &str, expected: Expected, events: &[&str]) -> Entry {
    Entry {
        stream: name(stream),
        expected,
        events: events.iter().map(|&event| event.to_owned()).collect(),
    }
}

fn append(store: &dyn Store, batch: Vec<Entry>) -> Result<Appended, AppendError> {
    store.append(NOON, batch)
}

fn put(store: &dyn Store, stream: &str, version: u64, events: &[&str]) -> Appended {
    append(
        store,
        vec![entry(stream, Expected::Version(version), events)],
    )
    .expect("the version is right and the store healthy")
}

fn conflict(stream: &str, expected: u64, actual: u64) -> AppendError {
    AppendError::Conflict {
        stream: name(stream),
        expected,
        actual,
    }
}

/// Waits until everything appended is durable.
fn settled(store: &dyn Store) -> Head {
    let nothing = append(store, Vec::new()).expect("nothing can always be appended");
    let (sender, durable) = mpsc::channel();
    let then = move |outcome| sender.send(outcome).expect("the caller waits");
    store.when_durable(nothing.last, Box::new(then));
    let outcome = durable.recv().expect("every callback is called");
    outcome.expect("the store is healthy")
}

fn read(store: &dyn Store, stream: &str, from: u64) -> Vec<Record> {
    let records = store.read(&name(stream), from);
    records.expect("a healthy store reads")
}

fn scanned(store: &dyn Store, prefix: &str, after: u64) -> Vec<Record> {
    let mut records = Vec::new();
    let mut visit = |record| {
        records.push(record);
        true
    };
    let outcome = store.scan(prefix, Seq(after), &mut visit);
    outcome.expect("a healthy store scans");
    records
}

fn events(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.event.as_str()).collect()
}
