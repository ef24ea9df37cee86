//! Two working trees, one store, and the order in which a transaction is driven.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use phisync_state::env::{Disk as _, SimDisk};
use phisync_state::transaction::{
    Blobs, Phase, PrepareError, Roots, Transaction, TransactionEvent, TransactionId,
    TransactionState, Workspace, read,
};
use phisync_state::{Entry, Expected, FileStore, Store as _, Timestamp};
use serde_json::json;

use crate::support::{DATA, durable, open};

/// Where the two trees lie.
pub(crate) const ROOTS: [(&str, &str); 2] = [("api", "/api"), ("web", "/web")];

/// What is seen of the trees.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It was refused: it never happened.
    Refused(PrepareError),
    /// The disk failed.
    Disk(#[expect(dead_code, reason = "shown when a test fails")] String),
}

/// The trees before anything happens.
pub(crate) fn disk() -> SimDisk {
    let disk = SimDisk::new();
    for directory in ["/api", "/api/src", "/web"] {
        disk.make_dir(Path::new(directory)).expect("made");
        let parent = Path::new(directory).parent().expect("it has one");
        disk.sync_dir(parent).expect("synced");
    }
    for (path, content) in [
        ("/api/a", "old a\n"),
        ("/api/src/b", "old b\nsame\n"),
        ("/web/c", "old c\n"),
    ] {
        disk.put(Path::new(path), content.as_bytes()).expect("put");
    }
    disk
}

/// Three files in two trees, and every operation once.
pub(crate) fn transaction() -> Transaction {
    let patch = "@@ -1,2 +1,2 @@\n-old b\n+new b\n same\n";
    let text = json!({ "changes": [
        { "in": "api", "path": "a", "op": "write", "content": "new a\n" },
        { "in": "api", "path": "src/b", "op": "patch", "patch": patch },
        { "in": "web", "path": "dir", "op": "mkdir" },
        { "in": "web", "path": "c", "op": "move", "to": "dir/c" },
        { "in": "web", "path": "d", "op": "write", "content": "d\n", "expect": { "exists": false } },
    ]});
    read(&text, None).expect("a transaction")
}

/// The trees after it.
pub(crate) fn after() -> Files {
    let files = [
        ("/api/a", "new a\n"),
        ("/api/src/b", "new b\nsame\n"),
        ("/web/dir/c", "old c\n"),
        ("/web/d", "d\n"),
    ];
    let owned = |(path, content): (&str, &str)| (PathBuf::from(path), content.as_bytes().to_vec());
    files.map(owned).into()
}

/// Everything in both trees, leftovers too.
pub(crate) fn files(disk: &SimDisk) -> Files {
    let trees = ROOTS.into_iter().flat_map(|(_, root)| {
        let below = disk.files_below(Path::new(root));
        below
            .into_iter()
            .map(move |(path, content)| (Path::new(root).join(path), content))
    });
    trees.collect()
}

pub(crate) fn roots() -> Roots {
    let mut roots = Roots::new();
    for (name, path) in ROOTS {
        let declared = roots.declare(name, Path::new(path), Path::new(DATA));
        declared.expect("a root");
    }
    roots
}

pub(crate) fn id() -> TransactionId {
    TransactionId::parse("t-1").expect("a name")
}

/// A store, and the hands for its transactions.
pub(crate) struct World {
    pub(crate) store: FileStore,
    pub(crate) workspace: Workspace,
}

impl World {
    pub(crate) fn open(disk: &SimDisk) -> Result<Self, Stopped> {
        let (store, _) = open(disk).map_err(failed)?;
        let shared = Arc::new(disk.clone());
        let blobs = Blobs::open(shared.clone(), Path::new(DATA)).map_err(failed)?;
        Ok(Self {
            store,
            workspace: Workspace::new(shared, blobs),
        })
    }

    /// Appends one event of a transaction and waits until it is durable.
    pub(crate) fn append(
        &self,
        id: &TransactionId,
        version: u64,
        event: &TransactionEvent,
    ) -> Result<(), Stopped> {
        let batch = vec![Entry {
            stream: id.stream(),
            expected: Expected::Version(version),
            events: vec![serde_json::to_string(event).expect("events are JSON")],
        }];
        let appended = self.store.append(Timestamp::from_micros(1), batch);
        let appended = appended.map_err(failed)?;
        durable(&self.store, appended.last).map_err(failed)?;
        Ok(())
    }

    /// Survey, begin, stage: a transaction that could be decided now. `before_vote` happens between
    /// the first look and the second.
    pub(crate) fn prepare(
        &self,
        id: &TransactionId,
        transaction: &Transaction,
        before_vote: impl FnOnce(),
    ) -> Result<(TransactionState, TransactionEvent), Stopped> {
        let plan = self.workspace.survey(id, transaction, &roots());
        let plan = plan.map_err(Stopped::Refused)?;
        let intent = plan.intent("tester", None);
        self.append(id, 0, &TransactionEvent::Began(intent.clone()))?;
        let mut state = TransactionState::begin(id.clone(), intent);
        before_vote();
        match self.workspace.stage(&plan) {
            Ok(decision) => Ok((state, TransactionEvent::Decided(decision))),
            Err(refused) => {
                let reason = refused.to_string();
                let aborted = self.workspace.abort(&state.intent, refused.code(), &reason);
                self.record(&mut state, &aborted.map_err(failed)?)?;
                Err(Stopped::Refused(refused))
            }
        }
    }

    pub(crate) fn record(
        &self,
        state: &mut TransactionState,
        event: &TransactionEvent,
    ) -> Result<(), Stopped> {
        self.append(&state.id, state.version, event)?;
        state.apply(event);
        Ok(())
    }

    /// Does whatever is left of a transaction.
    pub(crate) fn complete(&self, state: &mut TransactionState) -> Result<(), Stopped> {
        while let Some(event) = self.workspace.advance(state).map_err(failed)? {
            self.record(state, &event)?;
        }
        Ok(())
    }

    /// A transaction from its beginning to its end. `decided` is told as soon as a client could be.
    pub(crate) fn run(
        &self,
        transaction: &Transaction,
        decided: impl FnOnce(),
    ) -> Result<TransactionState, Stopped> {
        let (mut state, decision) = self.prepare(&id(), transaction, || {})?;
        self.record(&mut state, &decision)?;
        decided();
        self.complete(&mut state)?;
        Ok(state)
    }

    /// What the journal says of the transaction, if it knows it.
    pub(crate) fn replay(&self) -> Option<TransactionState> {
        let records = self.store.read(&id().stream(), 1).expect("it reads");
        let events: Vec<TransactionEvent> = records
            .iter()
            .map(|record| serde_json::from_str(&record.event).expect("an event"))
            .collect();
        TransactionState::replay(id(), &events)
    }

    /// What a start does: whatever was left open is completed.
    pub(crate) fn recover(&self) -> Result<Option<Phase>, Stopped> {
        let Some(mut state) = self.replay() else {
            return Ok(None);
        };
        self.complete(&mut state)?;
        Ok(Some(state.phase))
    }
}

pub(crate) fn failed(error: impl ToString) -> Stopped {
    Stopped::Disk(error.to_string())
}
