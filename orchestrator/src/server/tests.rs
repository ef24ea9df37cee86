//! A whole server, from inside.

mod standstill;

use std::net::{Ipv4Addr, SocketAddr};

use super::{ServeOptions, Server};
use crate::coordinator::Settings;
use crate::runtime::{ServerFailure, SnapshotPolicy};

fn options(data: &std::path::Path) -> ServeOptions {
    ServeOptions {
        data: data.to_owned(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        agents_file: None,
        announce: false,
        only_run: None,
        snapshots: SnapshotPolicy::default(),
        durability: phisync_state::Durability::Sync,
        read_only: false,
        agents_write_under_tasks: false,
        expect_head: None,
        roots: Vec::new(),
        settings: Settings::default(),
        answer_within: super::ANSWER_WITHIN,
        limits: crate::api::http::Limits::default(),
    }
}

fn server(data: &std::path::Path) -> Server {
    let options = options(data);
    Server::start(&options).expect("a free directory and a free port")
}

/// Bug: a panic in a job ended the thread that decides, and the server stayed up without it.
#[test]
fn a_server_whose_coordinator_panics_says_that_it_cannot_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = server(&directory.path().join("data"));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let call = server.handle().call::<()>(|_, _| panic!("on purpose"));
    assert!(runtime.block_on(call).is_err());
    let mut failure = server.failure();
    let failed = runtime.block_on(failure.wait_for(Option::is_some));
    let failed = failed.expect("the server lives").clone();
    assert_eq!(failed, Some(ServerFailure::Panicked));
    server.stop().expect("the store is in order");
}

/// Bug: a request to stop that was found among other jobs was put back into the queue, where a full
/// one lost it.
#[test]
fn a_server_stops_between_the_jobs_of_busy_clients() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = server(&directory.path().join("data"));
    let handle = server.handle().clone();
    let (begun, started) = std::sync::mpsc::channel();
    let client = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        let mut calls = 0_u32;
        // Each call leaves its job in the queue and goes away, so the queue is always full.
        loop {
            let call = handle.call(|_, _| Ok(()));
            let tried = runtime.block_on(async {
                tokio::select! {
                    biased;
                    answer = call => answer.map(drop),
                    () = std::future::ready(()) => Ok(()),
                }
            });
            match tried {
                Err(crate::coordinator::Refusal::Unknown(_)) => return,
                Ok(()) | Err(_) => calls += 1,
            }
            if calls == 20_000 {
                begun.send(()).expect("the test waits");
            }
        }
    });
    started.recv().expect("the client is busy");
    server.stop().expect("the store is in order");
    client.join().expect("the client saw the end");
}
