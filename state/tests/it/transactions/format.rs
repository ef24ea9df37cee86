//! What journals of the first version say about transactions and locks. The texts are never written
//! again: they lie in users' journals.

use phisync_state::transaction::{DocumentEvent, Phase, TransactionEvent, TransactionState};
use phisync_state::{LockEvent, NamedLock};

use super::world::id;

const TRANSACTION_V1: [&str; 4] = [
    r#"{"began":{"by":"owner","reason":"r","roots":{"api":"/api"},"stages":[{"in":"api","path":".phisync-t-1-0.tmp"}]}}"#,
    r#"{"decided":{"files":[{"in":"api","path":"a","act":"put","before":{"sha256":"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae","bytes":3,"mode":420},"after":{"sha256":"fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9","bytes":3},"stage":".phisync-t-1-0.tmp"},{"in":"api","path":"d","act":"make_dir","existed":false}],"documents":[{"name":"plan","before":1,"after":2}],"under":[{"lock":"build","token":7}]}}"#,
    r#"{"finished":{"kept":[{"in":"api","path":"a","kept":"a.t-1.conflict"}]}}"#,
    r#"{"swept":{}}"#,
];

#[test]
fn transactions_of_the_first_format_are_read_and_written_as_they_were() {
    let read = |text: &&str| serde_json::from_str::<TransactionEvent>(text).expect("an event");
    let events: Vec<_> = TRANSACTION_V1.iter().map(read).collect();
    for (event, text) in events.iter().zip(TRANSACTION_V1) {
        assert_eq!(serde_json::to_string(event).expect("JSON"), text);
    }
    let state = TransactionState::replay(id(), &events).expect("it began");
    assert_eq!((state.phase, state.version), (Phase::Swept, 4));
    assert_eq!(state.kept.len(), 1);
    let aborted = r#"{"aborted":{"code":"files.conflict","reason":"why"}}"#;
    serde_json::from_str::<TransactionEvent>(aborted).expect("an event");
    for document in [
        r#"{"written":{"content":{"n":1},"by":"owner","transaction":"t-1"}}"#,
        r#"{"deleted":{"by":"owner"}}"#,
    ] {
        let event: DocumentEvent = serde_json::from_str(document).expect("an event");
        assert_eq!(serde_json::to_string(&event).expect("JSON"), document);
    }
}

#[test]
fn locks_of_the_first_format_are_read_and_written_as_they_were() {
    let texts = [
        r#"{"granted":{"token":1,"by":"owner","holder":"process 7","ttl_ms":30000}}"#,
        r#"{"released":{"token":1,"why":"released"}}"#,
        r#"{"granted":{"token":3,"by":"webc","ttl_ms":1000}}"#,
    ];
    let read = |text: &&str| serde_json::from_str::<LockEvent>(text).expect("an event");
    let events: Vec<_> = texts.iter().map(read).collect();
    for (event, text) in events.iter().zip(texts) {
        assert_eq!(serde_json::to_string(event).expect("JSON"), text);
    }
    let lock = NamedLock::replay(&events);
    assert_eq!(lock.holder().map(|holder| holder.token), Some(3));
}
