//! Registered workflow versions. A run is pinned to one by its hash.

use std::collections::BTreeMap;
use std::sync::Arc;

use phisync_state::{StreamName, Version};
use phisync_workflows::machine::VersionRange;
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
    },
}

/// All versions, compiled.
#[derive(Default)]
pub(super) struct Definitions {
    by_hash: BTreeMap<String, Arc<Machine>>,
    by_name: BTreeMap<String, Named>,
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
    pub(super) fn add(&mut self, machine: Arc<Machine>) {
        let named = self.by_name.entry(machine.name().to_owned()).or_default();
        named.version += 1;
        named.hashes.retain(|hash| hash != machine.hash());
        named.hashes.push(machine.hash().to_owned());
        self.by_hash.insert(machine.hash().to_owned(), machine);
    }

    /// Takes in the next fact of a workflow's stream. A text that does not compile any more has
    /// its place in the stream all the same.
    pub(super) fn replay(&mut self, name: &str, event: &DefinitionEvent) {
        let DefinitionEvent::DefinitionRegistered { hash, source } = event;
        match self.get(hash).or_else(|| Self::recompile(hash, source)) {
            Some(machine) => self.add(machine),
            None => self.by_name.entry(name.to_owned()).or_default().version += 1,
        }
    }

    /// Forgets the order of a workflow's versions, to replay its stream. Compiled machines stay:
    /// a hash never means another one.
    pub(super) fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
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
