//! The accept loop: hyper's HTTP/1 connection, because it has the header-read timeout that
//! `axum::serve` lacks, and the checks that hold for every route.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use phisync_state::Durability;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

use super::gate::Gate;
use super::problem::Problem;

/// Headers must have come within this.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A request's first line and headers may be this long.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// A caller must have read something of its answer within this.
const STALL_MAX: Duration = Duration::from_secs(30);

/// How long open requests may go on once the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Under which names the server may be addressed.
#[derive(Clone, Debug)]
pub struct Doors {
    hosts: Vec<String>,
    origins: Vec<String>,
    durability: HeaderValue,
}

impl Doors {
    /// Loopback names with the port, and the address itself; every answer says what it survives.
    #[must_use]
    pub fn at(address: SocketAddr, durability: Durability) -> Self {
        let port = address.port();
        let mut hosts = vec![
            format!("localhost:{port}"),
            format!("127.0.0.1:{port}"),
            format!("[::1]:{port}"),
        ];
        if !address.ip().is_loopback() {
            hosts.push(address.to_string());
        }
        let origins = hosts.iter().map(|host| format!("http://{host}"));
        Self {
            origins: origins.collect(),
            hosts,
            durability: HeaderValue::from_static(durability.name()),
        }
    }

    /// A page of another site reaches a loopback server through a name that it controls (DNS
    /// rebinding) or with its own origin; both are refused on every route.
    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let refuse = |detail: String| Problem::new(StatusCode::FORBIDDEN, "wrong_door", detail);
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|h| h.to_str().ok());
        let host = host.unwrap_or_default();
        if hosts.next().is_some() {
            return Err(refuse("a request names one host, not several".to_owned()));
        }
        if !self
            .hosts
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(host))
        {
            return Err(refuse(format!("this server does not answer as `{host}`")));
        }
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        if !self.origins.iter().any(|ours| ours == origin) {
            return Err(refuse(format!(
                "pages of `{origin}` may not call this server"
            )));
        }
        Ok(())
    }
}

/// Serves `connections` at once, until `stop` changes, then lets open requests end.
///
/// # Errors
/// Never for a single connection; only if the listener itself is broken.
pub async fn serve(
    listener: TcpListener,
    gate: Gate,
    doors: Doors,
    connections: u32,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let doors = Arc::new(doors);
    let slots = Arc::new(Semaphore::new(connections as usize));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
            // Reaps what has ended, so that the set does not grow.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: without a pause this would spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            break;
        };
        // Small answers must not wait for more to come.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no-delay was refused");
        }
        let (gate, doors, stop) = (gate.clone(), Arc::clone(&doors), stop.clone());
        connections.spawn(async move {
            connection(stream, peer.ip(), &gate, &doors, stop).await;
            drop(slot);
        });
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::info!("some requests were still open and are cut off");
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    gate: &Gate,
    doors: &Doors,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(request, peer, gate, doors).await)
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALL_MAX));
    let stream = Box::pin(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: IpAddr,
    gate: &Gate,
    doors: &Doors,
) -> Response<Body> {
    let mut response = match doors.check(request.headers()) {
        Ok(()) => gate.answer(request.map(Body::new), Some(peer)).await,
        Err(problem) => problem.into_response(),
    };
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    let durability = HeaderName::from_static("phisync-durability");
    response
        .headers_mut()
        .insert(durability, doors.durability.clone());
    response
}
