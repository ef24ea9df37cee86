//! A server that answers by a script: enough HTTP/1.1 for the client, and nothing it decides itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Longest wait for something that must happen; only a failing test ever waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `poll`, `heartbeat`, `complete`, `fail` or `release`.
    pub(crate) verb: String,
    /// The task, in all but polls.
    pub(crate) task: Option<String>,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Value,
}

/// What to do with a request.
pub(crate) enum Answer {
    Json(u16, Value),
    NoContent,
    /// Closes the connection without a word.
    Drop,
    /// Answers no more until the client goes away or the server ends.
    Hang,
}

type Script = Box<dyn FnMut(&Request) -> Answer + Send>;

pub(crate) struct Server {
    url: String,
    requests: Receiver<Request>,
}

impl Server {
    pub(crate) fn start(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (tell, requests) = mpsc::channel();
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (script, tell) = (Arc::clone(&script), tell.clone());
                thread::spawn(move || serve(&connection, &script, &tell));
            }
        });
        Self { url, requests }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next request with that verb; those before it are passed over.
    pub(crate) fn next(&self, verb: &str) -> Request {
        loop {
            let request = self.requests.recv_timeout(PATIENCE);
            let request = request.unwrap_or_else(|_| unreachable!("no `{verb}` came"));
            if request.verb == verb {
                return request;
            }
        }
    }

    /// Whether nothing arrives for that long.
    pub(crate) fn is_silent_for(&self, time: Duration) -> bool {
        self.requests.recv_timeout(time).is_err()
    }

    /// Everything that arrived and was not looked at.
    pub(crate) fn rest(&self) -> Vec<String> {
        self.requests
            .try_iter()
            .map(|request| request.verb)
            .collect()
    }
}

/// Serves one connection until it closes.
fn serve(connection: &TcpStream, script: &Mutex<Script>, tell: &Sender<Request>) {
    let mut reader = BufReader::new(connection);
    while let Some(request) = read(&mut reader) {
        let answer = script.lock().expect("a script that does not panic")(&request);
        tell.send(request).ok();
        let mut writer = connection;
        let text = match answer {
            Answer::Json(status, body) => {
                let body = body.to_string();
                let length = body.len();
                format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                )
            }
            Answer::NoContent => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            Answer::Drop => return,
            Answer::Hang => {
                reader.read_to_end(&mut Vec::new()).ok();
                return;
            }
        };
        if writer.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let length = lines.iter().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let path: Vec<String> = lines
        .first()?
        .split(' ')
        .nth(1)?
        .split('/')
        .map(str::to_owned)
        .collect();
    let (verb, task) = match &path[..] {
        [_, _, _, verb] => (verb.clone(), None),
        [_, _, _, task, verb] => (verb.clone(), Some(task.clone())),
        _ => return None,
    };
    Some(Request {
        verb,
        task,
        headers: lines
            .get(1..)?
            .iter()
            .map(|line| line.to_ascii_lowercase())
            .collect(),
        body: serde_json::from_slice(&body).ok()?,
    })
}

/// A task that a poll may hand out.
pub(crate) fn task(id: &str, token: u64, lease: Duration) -> Value {
    json!({
        "id": id, "run": "run_1", "workflow": "w", "step": "s", "attempt": 2, "token": token, "type": "s",
        "input": {"n": 1}, "lease_ms": u64::try_from(lease.as_millis()).expect("a short lease"),
        "lease_expires_at": "2026-11-22T09:30:00.000Z", "deadline": "2026-11-22T10:00:00.000Z", "key": "k"
    })
}

pub(crate) fn tasks(tasks: &[Value]) -> Answer {
    Answer::Json(200, json!({ "tasks": tasks }))
}

pub(crate) fn seq() -> Answer {
    Answer::Json(200, json!({ "seq": 9 }))
}

pub(crate) fn renewed(lease: Duration) -> Answer {
    let lease_ms = u64::try_from(lease.as_millis()).expect("a short lease");
    Answer::Json(
        200,
        json!({ "lease_ms": lease_ms, "lease_expires_at": "2026-11-22T09:31:00.000Z", "cancel_requested": false }),
    )
}

pub(crate) fn problem(status: u16, code: &str) -> Answer {
    Answer::Json(
        status,
        json!({ "type": "about:blank", "title": "t", "status": status, "code": code, "detail": "no" }),
    )
}
