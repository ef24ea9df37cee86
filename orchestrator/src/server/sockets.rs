//! The listening socket, and the threads that serve it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::StartError;
use crate::api::http::{App, Doors, gate, serve};

/// Binds the address before anything is opened, so that a taken one leaves nothing behind.
pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address);
    let listener = listener.and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| StartError::Listen { address, source })
}

/// Serves so many connections at once until `stop` says so, on a thread of its own.
pub(super) fn start_sockets(
    listener: TcpListener,
    app: App,
    doors: Doors,
    connections: u32,
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
                serve(listener, gate(Arc::new(app)), doors, connections, stop).await
            });
            if let Err(error) = served {
                tracing::error!(%error, "the listening socket failed");
            }
        })
}
