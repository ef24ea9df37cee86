//! Looks at all views after a start, beside everything else: a hundred thousand of them take a while.
//!
//! What was damaged or edited is reported and written anew from the journal. Views are caches; what
//! one says is never believed.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use phisync_state::env::Disk;
use phisync_state::{FileStore, Store as _, ViewName, ViewWriter, check_views};

use crate::coordinator::{Alarm, AlarmKind};

use crate::runtime::driver::ViewRenewer;

/// What looking takes. It does not keep a server that ends from freeing its directory.
pub(super) struct ViewCheck {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) data: PathBuf,
    pub(super) store: Weak<FileStore>,
    pub(super) views: Weak<ViewWriter>,
    pub(super) renewer: ViewRenewer,
}

impl ViewCheck {
    /// Looks, in a thread of its own that nobody waits for.
    ///
    /// # Errors
    /// The system has no thread.
    pub(super) fn start(self) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name("view check".to_owned());
        thread.spawn(move || self.look()).map(drop)
    }

    fn look(self) {
        let Some(head) = self.store.upgrade().map(|store| store.head().seq) else {
            return;
        };
        let found = check_views(&*self.disk, &self.data, head);
        let faults = match found {
            Ok((_, faults)) => faults,
            Err(error) => {
                tracing::warn!(%error, "the views could not be looked at");
                return;
            }
        };
        for (file, fault) in faults {
            let Some(name) = ViewName::of_file(&file) else {
                continue;
            };
            tracing::warn!(file, %fault, "a view was not as written; it is made again");
            let alarm = Alarm {
                kind: AlarmKind::ViewRebuilt,
                about: file,
                says: fault.to_string(),
            };
            let views = Weak::clone(&self.views);
            self.renewer.renew(name, alarm, move |name| {
                if let Some(views) = views.upgrade() {
                    // Left out of a full queue it is found by the next start.
                    let _queued = views.remove(&name);
                }
            });
        }
    }
}
