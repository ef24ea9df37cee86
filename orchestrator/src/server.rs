//! A whole server: store, coordinator, sockets; started and stopped in order.

mod directory;
mod sockets;
mod start_error;
mod surroundings;
mod view_check;
mod views;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use phisync_state::env::{self, replace_file};
use phisync_state::env::{
    Clock, Disk, Entropy as _, OsClock, OsDisk, OsEntropy, ReadOnlyDisk, SeededEntropy, SteadyClock,
};
use phisync_state::transaction::{Blobs, Workspace};
use phisync_state::{Durability, FileOptions, FileStore, Head, Opened, Store, Unknown, ViewWriter};
use tokio::sync::watch;

use crate::api::http::{App, Counts, Doors, Limits};
use crate::coordinator::{Coordinator, Now, Settings};
use crate::engine::RunId;
use crate::identity::TokenStore;
use crate::paths::DataPaths;
use crate::runtime::driver::{self, ViewSink};
use crate::runtime::{
    Handle, Prover, ServerFailure, SnapshotPolicy, Snapshots, Transactor, snapshots, transactions,
};
use directory::{check_head, guard, raise_what_was_found};
use sockets::{listen, start_sockets};
use surroundings::{catalog, declare, read_team};
use view_check::ViewCheck;
use views::view_sink;

pub use start_error::StartError;

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The data directory; created if its parent exists.
    pub data: PathBuf,
    /// Where to listen; port 0 picks one.
    pub listen: SocketAddr,
    /// The team; without it `agents.yaml` beside the data directory, if there is one.
    pub agents_file: Option<PathBuf>,
    /// Whether other commands may find this server by `server.json`.
    pub announce: bool,
    /// Drive only this run; others stay where they are.
    pub only_run: Option<String>,
    /// When snapshots are taken, and what is kept.
    pub snapshots: SnapshotPolicy,
    /// What durable means.
    pub durability: Durability,
    /// Whether it only shows what is there: nothing is written, and the directory must exist.
    pub read_only: bool,
    /// Whether an agent changes documents and files only under a task that it holds.
    pub agents_write_under_tasks: bool,
    /// A head that was seen before: the journal must go through it.
    pub expect_head: Option<Head>,
    /// The working trees that transactions may change, by name.
    pub roots: Vec<(String, PathBuf)>,
    /// What workflows read as `config`.
    pub settings: Settings,
    /// An answer that the disk does not confirm in this time is told as unknown.
    pub answer_within: Duration,
    /// How much may be asked for at once.
    pub limits: Limits,
}

/// [`ServeOptions::answer_within`] where nothing says otherwise.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What opening the store found.
#[derive(Clone, Debug)]
pub struct OpenReport {
    /// See [`Opened`].
    pub opened: Opened,
}

/// Why a server did not stop in order. The journal recovers from it.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Unknown),
}

/// A running server.
pub struct Server {
    url: String,
    admin: String,
    report: OpenReport,
    handle: Handle,
    store: Arc<FileStore>,
    views: Arc<ViewWriter>,
    disk: Arc<dyn Disk>,
    paths: DataPaths,
    announced: bool,
    stop: watch::Sender<bool>,
    driver: Option<JoinHandle<()>>,
    sockets: Option<JoinHandle<()>>,
    snapshots: Snapshots,
    snapshotting: Option<JoinHandle<()>>,
    failed: watch::Receiver<Option<ServerFailure>>,
    instance: String,
}

impl Server {
    /// Opens everything, in the order that leaves nothing behind when a step fails: the address
    /// first, the directory's lock next.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(options: &ServeOptions) -> Result<Self, StartError> {
        Self::start_on(options, Arc::new(OsDisk), Arc::new(OsClock::new()))
    }

    /// As [`Self::start`], with the data directory on a disk and under clocks of the caller's own. Working
    /// trees are the system's all the same, and so is the place that the directory's path names.
    ///
    /// # Errors
    /// See [`StartError`].
    fn start_on(
        options: &ServeOptions,
        real: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        if !options.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(options.listen));
        }
        let disk: Arc<dyn Disk> = match options.read_only {
            true => Arc::new(ReadOnlyDisk::over(Arc::clone(&real))),
            false => Arc::clone(&real),
        };
        let only_run = options
            .only_run
            .as_deref()
            .map(|id| RunId::parse(id).ok_or_else(|| StartError::BadRunId(id.to_owned())));
        let only_run = only_run.transpose()?;
        let registry = read_team(&*disk, options)?;
        let listener = listen(options.listen)?;
        if let Some(expected) = &options.expect_head {
            check_head(&*disk, &options.data, expected)?;
        }
        let file_options = FileOptions {
            durability: options.durability,
            ..FileOptions::default()
        };
        let (store, opened) = match options.read_only {
            true => FileStore::open_to_read(real, &options.data)?,
            false => FileStore::open(Arc::clone(&disk), &options.data, file_options)?,
        };
        if let Some(doubt) = env::doubtful_place(&options.data) {
            tracing::warn!(
                place = doubt,
                "locks and syncs may mean little here: keep the data directory on a local disk"
            );
        }
        if let Some(torn) = &opened.torn {
            tracing::warn!(
                file = torn.file,
                offset = torn.offset,
                bytes = torn.length,
                kept = torn.kept,
                "the last batch was torn by a crash; nobody had been told about it"
            );
        }
        let store = Arc::new(store);
        let paths = DataPaths::new(&options.data);
        let tokens = TokenStore::open(Arc::clone(&disk), paths.clone(), &mut OsEntropy)?;
        let admin = tokens.admin().reveal().to_owned();
        let clock: Arc<dyn Clock> = Arc::new(SteadyClock::over(clock));
        let now = Now {
            wall: clock.now(),
            mono: clock.monotonic(),
        };
        let catalog = catalog(&registry);
        let shared: Arc<dyn Store> = Arc::<FileStore>::clone(&store);
        let mut coordinator = Coordinator::open(
            Arc::clone(&shared),
            // The first life counts as none, so that tokens of a store that was never restored
            // are small numbers.
            opened.epoch.saturating_sub(1),
            registry,
            // Run names and jitter are no secrets: one call to the system is enough.
            Box::new(SeededEntropy::new(OsEntropy.next_u64())),
            only_run.as_ref(),
            now,
        )?;
        coordinator.set_archives(Arc::clone(store.archives()));
        coordinator.set_settings(options.settings.clone());
        let system = |what| move |source| StartError::System { what, source };
        let roots = declare(&options.roots, &options.data)?;
        let data =
            std::fs::canonicalize(&options.data).map_err(system("find the data directory"))?;
        let project = data.parent().unwrap_or(&data).to_owned();
        let blobs = Blobs::open(Arc::clone(&disk), &options.data);
        let blobs = blobs.map_err(system("open the blobs"))?;
        let workspace = Workspace::new(Arc::new(OsDisk), blobs);
        if options.read_only {
            coordinator.stand_still();
        } else {
            raise_what_was_found(&mut coordinator, &opened, now)
                .map_err(io::Error::other)
                .map_err(system("record what the start has found"))?;
            transactions::recover(&mut coordinator, &workspace, now)
                .map_err(io::Error::other)
                .map_err(system("complete the transactions that were left open"))?;
        }
        let views = ViewWriter::start(Arc::clone(&disk), paths.root());
        let views = Arc::new(views.map_err(system("write views"))?);
        let sink: ViewSink = match options.read_only {
            true => Box::new(|_, _, _| {}),
            false => view_sink(
                Arc::clone(&views),
                Arc::clone(&disk),
                paths.clone(),
                &shared,
            ),
        };
        let alarms = coordinator.open_alarms();
        let (failing, failed) = watch::channel(None);
        let (handle, driver) = driver::start(
            coordinator,
            Arc::clone(&shared),
            Arc::clone(&clock),
            options.answer_within,
            sink,
            (!options.read_only).then(|| guard(&store, failing.clone())),
            failing.clone(),
        )
        .map_err(system("start the coordinator's thread"))?;

        let address = listener
            .local_addr()
            .map_err(system("read the listening address"))?;
        let instance = format!("{:016x}", OsEntropy.next_u64());
        let (snapshots, snapshotting) = snapshots::start(
            Arc::clone(&store),
            Arc::clone(&disk),
            paths.root(),
            handle.clone(),
            Arc::clone(&clock),
            options.snapshots,
            opened.snapshot.unwrap_or_default(),
        )
        .map_err(system("start the thread of the snapshots"))?;
        let prover = Prover::new(&project, &data);
        let transactor = Transactor::new(
            handle.clone(),
            shared,
            workspace,
            roots,
            project,
            Arc::clone(&clock),
            options.snapshots.pre_images,
        );
        let app = App {
            handle: handle.clone(),
            snapshots: snapshots.clone(),
            transactor: Arc::new(transactor),
            prover,
            tokens: Mutex::new(tokens),
            counts: Counts::new(options.limits),
            catalog,
            clock,
            instance: instance.clone(),
            alarms,
            read_only: options.read_only,
            agents_write_under_tasks: options.agents_write_under_tasks,
        };
        let (stop, stopping) = watch::channel(false);
        let sockets = start_sockets(
            listener,
            app,
            Doors::at(address, options.durability),
            options.limits.connections,
            stopping,
        )
        .map_err(system("serve the address"))?;
        store.when_failed(Box::new(move |unknown| {
            // Nobody may wait for it yet; the value stays. What came first is the cause.
            failing.send_if_modified(|failure| {
                let first = failure.is_none();
                failure.get_or_insert(ServerFailure::Store(unknown));
                first
            });
        }));
        let check = ViewCheck {
            disk: Arc::clone(&disk),
            data: options.data.clone(),
            store: Arc::downgrade(&store),
            views: Arc::downgrade(&views),
            renewer: handle.view_renewer(),
        };
        if !options.read_only {
            check.start().map_err(system("look at the views"))?;
        }
        let mut server = Self {
            url: format!("http://{address}"),
            admin,
            report: OpenReport { opened },
            handle,
            store,
            views,
            disk,
            paths,
            announced: false,
            stop,
            driver: Some(driver),
            sockets: Some(sockets),
            snapshots,
            snapshotting: Some(snapshotting),
            failed,
            instance,
        };
        if options.announce && !options.read_only {
            server.announce().map_err(system("write server.json"))?;
        }
        Ok(server)
    }

    /// The way to the thread that decides.
    #[cfg(test)]
    fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The owner's token.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.admin
    }

    /// What opening the store found.
    #[must_use]
    pub fn opened(&self) -> &OpenReport {
        &self.report
    }

    /// The last durable record.
    #[must_use]
    pub fn head(&self) -> Head {
        self.store.head()
    }

    /// Becomes `Some` when nothing can be done any more; the program should then exit with 70.
    #[must_use]
    pub fn failure(&self) -> watch::Receiver<Option<ServerFailure>> {
        self.failed.clone()
    }

    fn announce(&mut self) -> io::Result<()> {
        let path = self.paths.server_json();
        let body = serde_json::json!({
            "phisync_server": 1,
            "url": self.url,
            "pid": std::process::id(),
            "instance": self.instance,
        });
        let temporary = path.with_extension("json.tmp");
        let bytes = format!("{body}\n");
        replace_file(&*self.disk, &path, &temporary, bytes.as_bytes(), false)?;
        self.announced = true;
        Ok(())
    }

    /// Ends open requests, writes the views, seals the journal, frees the directory.
    ///
    /// # Errors
    /// The store's, if it failed.
    pub fn stop(mut self) -> Result<(), StopError> {
        self.shut_down()?;
        Ok(())
    }

    fn shut_down(&mut self) -> Result<(), Unknown> {
        if self.announced {
            self.announced = false;
            if let Err(error) = self.disk.remove(&self.paths.server_json()) {
                tracing::debug!(%error, "server.json was gone already");
            }
        }
        self.stop.send_replace(true);
        let Some(driver) = self.driver.take() else {
            return Ok(());
        };
        // One that is being taken asks the coordinator: it comes to its end first.
        self.snapshots.stop();
        let snapshotting = self.snapshotting.take().map(JoinHandle::join);
        self.handle.stop();
        if snapshotting.is_some_and(|joined| joined.is_err()) {
            tracing::error!("the thread of the snapshots had panicked");
        }
        for thread in [Some(driver), self.sockets.take()].into_iter().flatten() {
            if thread.join().is_err() {
                tracing::error!("a thread of the server had panicked");
            }
        }
        if let Err(error) = self.views.flush() {
            tracing::warn!(%error, "a view could not be written; it is rebuilt later");
        }
        self.store.close()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(unknown) = self.shut_down() {
            tracing::error!(%unknown, "the store did not close in order");
        }
    }
}

#[cfg(test)]
mod tests;
