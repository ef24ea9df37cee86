//! A whole server: store, coordinator, sockets; started and stopped in order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use phisync_agents::registry::{Registry, RegistryError};
use phisync_state::env::{self, read_all, replace_file};
use phisync_state::env::{
    Clock, Disk, Entropy as _, OsClock, OsDisk, OsEntropy, ReadOnlyDisk, SeededEntropy,
};
use phisync_state::transaction::{Blobs, Roots, RootsError, Workspace};
use phisync_state::{
    Durability, FileOptions, FileStore, FsckError, Head, JournalEnd, OpenError, Opened, ReadError,
    Store, Unknown, ViewName, ViewWriter, Witness, fsck,
};
use phisync_workflows::{Catalog, CatalogAgent, CatalogPerson};
use tokio::sync::watch;

use crate::api::http::{App, Counts, Doors, router, serve};
use crate::coordinator::{Alarm, AlarmKind, Coordinator, Now, Refusal};
use crate::engine::RunId;
use crate::identity::{TokenStore, TokenStoreError};

use super::driver::{self, Guard, Handle, ViewSink};
use super::paths::DataPaths;
use super::proof::Prover;
use super::snapshots::{self, SnapshotPolicy, Snapshots};
use super::transactions::{self, Transactor};
use super::view_check::ViewCheck;

/// Agents files are small.
const AGENTS_FILE_BYTES_MAX: u64 = 256 << 10;

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
    /// A head that was seen before: the journal must go through it.
    pub expect_head: Option<Head>,
    /// The working trees that transactions may change, by name.
    pub roots: Vec<(String, PathBuf)>,
    /// An answer that the disk does not confirm in this time is told as unknown.
    pub answer_within: Duration,
}

/// [`ServeOptions::answer_within`] where nothing says otherwise.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What opening the store found.
#[derive(Clone, Debug)]
pub struct OpenReport {
    /// See [`Opened`].
    pub opened: Opened,
}

/// Why a server did not start. Nothing was changed, but for a torn tail that was cut.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// An address that other machines reach.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The journal does not go through a head that was seen before.
    #[error("the data directory is not the one that `{expected}` was seen in: {how}")]
    RolledBack {
        /// That head.
        expected: Head,
        /// How it shows.
        how: &'static str,
    },
    /// The directory cannot be held against a head.
    #[error(transparent)]
    Fsck(#[from] FsckError),
    /// The store opened but cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The team cannot be read.
    #[error(transparent)]
    Agents(#[from] RegistryError),
    /// The file of the team cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    AgentsFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokenStoreError),
    /// A working tree that is not there.
    #[error("cannot use the root `{}`: {source}", path.display())]
    Root {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A working tree that cannot be declared.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// A run id that is none.
    #[error("`{0}` is not a run id")]
    BadRunId(String),
    /// The system refuses a thread or a file.
    #[error("cannot {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl StartError {
    /// The exit code of a program that ends with this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Listen { .. }
            | Self::NotLoopback(_)
            | Self::BadRunId(_)
            | Self::Roots(_)
            | Self::Root { .. } => 2,
            Self::Store(OpenError::NotUsable { .. }) => 74,
            Self::Store(OpenError::Held { .. }) => 75,
            Self::Store(OpenError::Corrupt(_)) | Self::Read(ReadError::Corrupt { .. }) => 76,
            Self::RolledBack { .. } => 77,
            Self::Fsck(FsckError::Corrupt(_)) => 76,
            Self::Fsck(FsckError::Io { .. }) => 74,
            Self::Fsck(FsckError::Newer { .. })
            | Self::Store(OpenError::Newer { .. })
            | Self::Read(ReadError::Newer { .. }) => 78,
            Self::Agents(_) => 6,
            Self::AgentsFile { .. } => 3,
            Self::Tokens(_) | Self::Read(ReadError::Io { .. }) | Self::System { .. } => 74,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                "another program listens there; `--listen 127.0.0.1:0` picks a free port"
            }
            Self::NotLoopback(_) => {
                "tokens would cross the network in plain text; listen on 127.0.0.1 and put a \
                 TLS proxy in front"
            }
            Self::Store(OpenError::Held { .. }) => {
                "commands talk to the running server by themselves; stop it to open the \
                 directory otherwise"
            }
            Self::Store(OpenError::NotUsable { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                ) =>
            {
                "nothing was changed; `phisync serve --read-only` shows what is in it"
            }
            Self::Store(OpenError::Corrupt(_)) | Self::Read(ReadError::Corrupt { .. }) => {
                "nothing was changed; `phisync doctor` says what can be done"
            }
            Self::RolledBack { .. } => {
                "an older copy of the directory was put back, or it is another one; nothing was \
                 changed"
            }
            Self::Store(OpenError::Newer { .. }) | Self::Read(ReadError::Newer { .. }) => {
                "use the newer phisync that wrote it"
            }
            Self::Agents(error) => return error.hint.clone(),
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Why a running server cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerFailure {
    /// The journal cannot be written any more.
    #[error(transparent)]
    Store(Unknown),
    /// Somebody put another file in the place of the lock: another server may have started.
    #[error("the lock file of the data directory is not the one that this server locked")]
    LockLost,
    /// The thread that decides is gone. What it had not appended never happened.
    #[error("a thread of the server panicked: this is a defect of phisync")]
    Panicked,
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
        if !options.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(options.listen));
        }
        let disk: Arc<dyn Disk> = match options.read_only {
            true => Arc::new(ReadOnlyDisk::over(Arc::new(OsDisk))),
            false => Arc::new(OsDisk),
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
            true => FileStore::open_to_read(Arc::new(OsDisk), &options.data)?,
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
        let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
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
            transactions::recover(&mut coordinator, &*shared, &workspace, now)
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
            counts: Counts::default(),
            catalog,
            clock,
            instance: instance.clone(),
            alarms: AtomicU64::new(0),
            read_only: options.read_only,
        };
        let (stop, stopping) = watch::channel(false);
        let sockets = start_sockets(
            listener,
            app,
            Doors::at(address, options.durability),
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
    pub(super) fn handle(&self) -> &Handle {
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

/// Puts on record what opening the store dealt with by itself. What does not fit on a full disk is found again
/// by the next start, or was logged.
fn raise_what_was_found(
    coordinator: &mut Coordinator,
    opened: &Opened,
    now: Now,
) -> Result<(), Refusal> {
    let torn = opened.torn.iter().map(|torn| Alarm {
        kind: AlarmKind::TailCut,
        about: torn.file.clone(),
        says: format!(
            "{} bytes at {} were no whole batch ({}); they are kept in {}",
            torn.length, torn.offset, torn.reason, torn.kept
        ),
    });
    let damaged = opened.damaged_snapshots.iter().map(|damaged| Alarm {
        kind: AlarmKind::SnapshotDamaged,
        about: damaged.file.clone(),
        says: format!("{}; the start passed it over", damaged.reason),
    });
    for alarm in torn.chain(damaged) {
        match coordinator.raise(alarm, now) {
            Err(Refusal::Full(_)) => return Ok(()),
            raised => raised?,
        }
    }
    coordinator.wait_until_durable()
}

/// Stops all writing when the lock of the directory is not ours any more.
fn guard(store: &Arc<FileStore>, failing: watch::Sender<Option<ServerFailure>>) -> Guard {
    let store = Arc::downgrade(store);
    Box::new(move || {
        let Some(store) = store.upgrade() else {
            return false;
        };
        match store.still_ours() {
            Ok(true) => true,
            Ok(false) => {
                let failure = ServerFailure::LockLost;
                let reason = failure.to_string();
                // First the cause, as the store's end is told too.
                failing.send_replace(Some(failure));
                store.abandon(&reason);
                false
            }
            // Only a clear answer stops a server that may well be alone.
            Err(error) => {
                tracing::warn!(%error, "the lock of the data directory could not be looked at");
                true
            }
        }
    })
}

/// Refuses a journal that does not go through a head that was seen before.
fn check_head(disk: &dyn Disk, data: &Path, expected: &Head) -> Result<(), StartError> {
    let how = match fsck(disk, data, Some(expected)) {
        Ok(report) => match (report.end, report.witness) {
            // Opening says it better; and what was compacted away cannot be told from.
            (JournalEnd::Corrupt(_), _)
            | (_, None | Some(Witness::Matches | Witness::Compacted)) => return Ok(()),
            (_, Some(Witness::Behind)) => "it ends before",
            (_, Some(Witness::Differs)) => "it has other content there",
        },
        Err(FsckError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            "there is no journal"
        }
        Err(other) => return Err(other.into()),
    };
    let expected = expected.clone();
    Err(StartError::RolledBack { expected, how })
}

/// The declared working trees, where they really lie.
fn declare(declared: &[(String, PathBuf)], data: &Path) -> Result<Roots, StartError> {
    let mut roots = Roots::new();
    let system = |what| move |source| StartError::System { what, source };
    let data = std::fs::canonicalize(data).map_err(system("find the data directory"))?;
    for (name, path) in declared {
        let real = std::fs::canonicalize(path).map_err(|source| StartError::Root {
            path: path.clone(),
            source,
        })?;
        roots.declare(name, &real, &data)?;
    }
    Ok(roots)
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address);
    let listener = listener.and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| StartError::Listen { address, source })
}

fn read_team(disk: &dyn Disk, options: &ServeOptions) -> Result<Registry, StartError> {
    let beside = options.data.parent().unwrap_or(Path::new("."));
    let path = options.agents_file.clone();
    let named = path.is_some();
    let path = path.unwrap_or_else(|| beside.join("agents.yaml"));
    let bytes = match read_all(disk, &path, AGENTS_FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {
            return Ok(Registry::default());
        }
        Err(source) => return Err(StartError::AgentsFile { path, source }),
    };
    let text = String::from_utf8(bytes).map_err(|error| StartError::AgentsFile {
        path: path.clone(),
        source: io::Error::new(io::ErrorKind::InvalidData, error),
    })?;
    Ok(Registry::parse(&path.display().to_string(), &text)?)
}

/// What workflows may name, as the compiler wants it.
fn catalog(registry: &Registry) -> Catalog {
    Catalog {
        agents: registry
            .agents
            .iter()
            .map(|agent| CatalogAgent {
                name: agent.name.declared().to_owned(),
                capabilities: agent.capabilities.clone(),
                pool: agent.pool.clone(),
                concurrency: agent.concurrency,
            })
            .collect(),
        workflows: None,
        people: registry
            .people
            .iter()
            .map(|person| CatalogPerson {
                name: person.name.declared().to_owned(),
                roles: person.roles.clone(),
            })
            .collect(),
    }
}

fn start_sockets(
    listener: TcpListener,
    app: App,
    doors: Doors,
    stop: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("http")
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("sockets".to_owned())
        .spawn(move || {
            let served = runtime.block_on(async move {
                let transactor = Arc::clone(&app.transactor);
                tokio::spawn(Arc::clone(&transactor).serve_steps());
                tokio::spawn(async move { transactor.upkeep().await });
                let listener = tokio::net::TcpListener::from_std(listener)?;
                serve(listener, router(Arc::new(app)), doors, stop).await
            });
            if let Err(error) = served {
                tracing::error!(%error, "the listening socket failed");
            }
        })
}

/// Writes views once what they show is durable, and readable copies of new definitions.
fn view_sink(
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
