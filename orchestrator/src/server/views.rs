//! The copies for people: views of runs and documents, and the texts of definitions.

use std::io;
use std::sync::Arc;

use phisync_state::env::{Disk, replace_file};
use phisync_state::{Store, ViewName, ViewWriter};

use crate::coordinator::{Coordinator, Now};
use crate::paths::DataPaths;
use crate::runtime::driver::ViewSink;

/// Writes views once what they show is durable, and readable copies of new definitions.
pub(super) fn view_sink(
    views: Arc<ViewWriter>,
    disk: Arc<dyn Disk>,
    paths: DataPaths,
    store: &Arc<dyn Store>,
) -> ViewSink {
    let store = Arc::downgrade(store);
    Box::new(move |coordinator: &mut Coordinator, now: Now, all: bool| {
        for machine in coordinator.take_new_definitions() {
            if let Err(error) = copy_definition(&*disk, &paths, &machine) {
                tracing::warn!(%error, "a readable copy of a definition was not written");
            }
        }
        for name in coordinator.take_dropped_views() {
            if let Ok(name) = ViewName::new(&name) {
                // One that is left out stays a file that nobody reads.
                let _queued = views.remove(&name);
            }
        }
        let stale = coordinator.take_stale_views(now, all);
        let documents = coordinator.take_stale_documents();
        let seq = coordinator.last_seq();
        let Some(store) = store
            .upgrade()
            .filter(|_| !stale.is_empty() || !documents.is_empty())
        else {
            return;
        };
        let views = Arc::clone(&views);
        let (done, written) = std::sync::mpsc::sync_channel(1);
        store.when_durable(
            seq,
            Box::new(move |durable| {
                if durable.is_ok() {
                    for view in stale {
                        if let Ok(name) = ViewName::new(&view.name) {
                            // A view that is left out is written with its next change.
                            let _queued = views.put(&name, seq, move || view.body.to_string());
                        }
                    }
                    for (name, body) in documents {
                        let name = ViewName::document(&name);
                        let _queued = match body {
                            Some(body) => views.put(&name, seq, move || body.to_string()),
                            None => views.remove(&name),
                        };
                    }
                }
                // Only the last call waits for it.
                let _unread = done.send(());
            }),
        );
        // At the end the caller flushes the views next: they must have been handed in.
        if all && written.recv().is_err() {
            tracing::debug!("the last views were not handed in");
        }
    })
}

fn copy_definition(
    disk: &dyn Disk,
    paths: &DataPaths,
    machine: &phisync_workflows::Machine,
) -> io::Result<()> {
    let directory = paths.definitions();
    match disk.make_dir(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let path = directory.join(format!("{}.yaml", machine.hash()));
    let temporary = path.with_extension("yaml.tmp");
    replace_file(disk, &path, &temporary, machine.source().as_bytes(), false)
}
