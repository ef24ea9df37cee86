//! Registered workflow versions. A run is pinned to one by its hash.

use std::collections::BTreeMap;
use std::sync::Arc;

use phisync_state::{StreamName, Version};
use phisync_workflows::machine::{StepKind, VersionRange};
use phisync_workflows::{Machine, compile_registered};
use serde::{Deserialize, Serialize};

/// A fact of the stream `workflow/NAME`. Format version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DefinitionEvent {
    /// A version was registered.
    DefinitionRegistered {
        /// SHA-256 of its canonical form.
        hash: String,
        /// Its YAML text: the truth; `definitions/` holds copies for people.
        source: String,
        /// What it calls, as [`call_key`] writes it, and the hash of the version that was the newest
        /// fitting one then. Absent: whatever is there when it is called.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        calls: BTreeMap<String, String>,
    },
}

/// A call as the registration of its caller knows it: the workflow, and which versions fit.
pub(super) fn call_key(workflow: &str, range: Option<&str>) -> String {
    match range {
        Some(range) => format!("{workflow} {range}"),
        None => workflow.to_owned(),
    }
}

/// All versions, compiled.
#[derive(Default)]
pub(super) struct Definitions {
    by_hash: BTreeMap<String, Arc<Machine>>,
    by_name: BTreeMap<String, Named>,
    /// By the hash of a caller what it calls: the hash of the version by the key of the call.
    calls: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Default)]
struct Named {
    /// In the order of registration.
    hashes: Vec<String>,
    version: Version,
}

impl Definitions {
    pub(super) fn stream(name: &str) -> StreamName {
        StreamName::new(format!("workflow/{name}"))
    }

    pub(super) fn get(&self, hash: &str) -> Option<Arc<Machine>> {
        self.by_hash.get(hash).cloned()
    }

    pub(super) fn newest(&self, name: &str) -> Option<Arc<Machine>> {
        let hash = self.by_name.get(name)?.hashes.last()?;
        self.get(hash)
    }

    /// The newest version of a workflow that is in a range of versions, as `^1.2`.
    pub(super) fn newest_within(&self, name: &str, range: Option<&str>) -> Option<Arc<Machine>> {
        let Some(range) = range else {
            return self.newest(name);
        };
        let range = VersionRange::parse(range).ok()?;
        let newest_first = self.by_name.get(name)?.hashes.iter().rev();
        let mut machines = newest_first.filter_map(|hash| self.by_hash.get(hash));
        machines
            .find(|machine| range.accepts(machine.version()))
            .cloned()
    }

    /// The version that `caller` calls: the one that was chosen when it was registered.
    pub(super) fn called_by(
        &self,
        caller: &Machine,
        workflow: &str,
        range: Option<&str>,
    ) -> Option<Arc<Machine>> {
        let calls = self.calls.get(caller.hash());
        let chosen = calls.and_then(|calls| calls.get(&call_key(workflow, range)));
        match chosen {
            Some(hash) => self.get(hash),
            None => self.newest_within(workflow, range),
        }
    }

    /// What a definition calls, as far as it was chosen.
    pub(super) fn calls_of(&self, hash: &str) -> BTreeMap<String, String> {
        self.calls.get(hash).cloned().unwrap_or_default()
    }

    /// The newest fitting version of everything that `machine` calls. What was chosen at an earlier
    /// registration of the same definition stays.
    pub(super) fn choose_calls(&self, machine: &Machine) -> BTreeMap<String, String> {
        let mut calls = self.calls_of(machine.hash());
        for step in machine.steps() {
            let StepKind::Call(call) = &step.kind else {
                continue;
            };
            let range = call.version.as_ref().map(ToString::to_string);
            let key = call_key(&call.workflow, range.as_deref());
            if calls.contains_key(&key) {
                continue;
            }
            if let Some(callee) = self.newest_within(&call.workflow, range.as_deref()) {
                calls.insert(key, callee.hash().to_owned());
            }
        }
        calls
    }

    /// All versions of all workflows, those of one name in the order of their registration.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Arc<Machine>> {
        let hashes = self.by_name.values().flat_map(|named| &named.hashes);
        hashes.filter_map(|hash| self.by_hash.get(hash))
    }

    pub(super) fn newest_of_each(&self) -> impl Iterator<Item = &Arc<Machine>> {
        let newest = self.by_name.values().filter_map(|n| n.hashes.last());
        newest.filter_map(|hash| self.by_hash.get(hash))
    }

    /// All versions of all workflows, by their hashes.
    pub(super) fn all(&self) -> BTreeMap<String, Arc<Machine>> {
        self.by_hash.clone()
    }

    /// The version of the workflow's stream.
    pub(super) fn version(&self, name: &str) -> Version {
        self.by_name.get(name).map_or(0, |named| named.version)
    }

    /// Notes a version. One that is known becomes the newest again.
    pub(super) fn add(&mut self, machine: Arc<Machine>, calls: BTreeMap<String, String>) {
        self.calls.insert(machine.hash().to_owned(), calls);
        let named = self.by_name.entry(machine.name().to_owned()).or_default();
        named.version += 1;
        named.hashes.retain(|hash| hash != machine.hash());
        named.hashes.push(machine.hash().to_owned());
        self.by_hash.insert(machine.hash().to_owned(), machine);
    }

    /// Takes in the next fact of a workflow's stream. A text that does not compile any more has
    /// its place in the stream all the same.
    pub(super) fn replay(&mut self, name: &str, event: &DefinitionEvent) {
        let DefinitionEvent::DefinitionRegistered {
            hash,
            source,
            calls,
        } = event;
        match self.get(hash).or_else(|| Self::recompile(hash, source)) {
            Some(machine) => self.add(machine, calls.clone()),
            None => self.by_name.entry(name.to_owned()).or_default().version += 1,
        }
    }

    /// Forgets the order of a workflow's versions, to replay its stream. Compiled machines stay:
    /// a hash never means another one.
    pub(super) fn forget(&mut self, name: &str) {
        let named = self.by_name.remove(name);
        for hash in named.into_iter().flat_map(|named| named.hashes) {
            self.calls.remove(&hash);
        }
    }

    /// Compiles a registered text again. `None` if this program cannot any more, which leaves the
    /// runs of that definition where they are.
    fn recompile(hash: &str, source: &str) -> Option<Arc<Machine>> {
        let machine = compile_registered(hash, source).map(Arc::new);
        if machine.is_none() {
            tracing::error!(
                hash,
                "a registered definition does not compile to its hash any more"
            );
        }
        machine
    }
}
