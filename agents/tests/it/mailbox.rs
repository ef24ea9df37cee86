//! A carrier of the mailbox that is killed at any of its steps: the next one goes on, nothing is lost or done
//! twice, and nobody ever sees half a letter.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use phisync_agents::client::Client;
use phisync_agents::mailbox::{Carried, Mailbox, MailboxError};
use phisync_agents::worker::StopFlag;
use phisync_state::env::{Disk as _, Fault, OsClock, SimDisk};
use serde_json::Value;

use super::server::{Answer, Server, problem, renewed, seq, task, tasks};

/// A lease that no test outlives.
const LONG: Duration = Duration::from_secs(600);

/// What the server knows of its one task.
#[derive(Default)]
struct Known {
    /// The token of the newest claim.
    token: u64,
    /// The token under which it was completed, and with what.
    completed: Option<(u64, Value)>,
    /// How often a report had an effect.
    effects: u32,
}

/// Hands out one task, again under a new token if asked again, until it is completed.
fn server(known: &Arc<Mutex<Known>>) -> Server {
    let known = Arc::clone(known);
    Server::start(move |request| {
        let mut known = known.lock().expect("nobody panics here");
        let token = request.body["token"].as_u64();
        match (request.verb.as_str(), &known.completed) {
            ("poll", Some(_)) => Answer::NoContent,
            ("poll", None) => {
                known.token += 1;
                tasks(&[task("tsk_1", known.token, LONG)])
            }
            ("complete", Some((by, output))) => {
                let same = token == Some(*by) && request.body["output"] == *output;
                if same {
                    seq()
                } else {
                    problem(409, "already_ended")
                }
            }
            ("complete", None) if token == Some(known.token) => {
                known.completed = Some((known.token, request.body["output"].clone()));
                known.effects += 1;
                seq()
            }
            ("heartbeat", None) if token == Some(known.token) => renewed(LONG),
            _ => problem(409, "stale_token"),
        }
    })
}

fn carry(
    server: &Server,
    disk: &Arc<SimDisk>,
    stop: &StopFlag,
) -> thread::JoinHandle<Result<Carried, MailboxError>> {
    let mailbox = Mailbox {
        root: PathBuf::from("/box"),
        client: Client::new(server.url(), "token", Some("DC")).expect("a client"),
        room: 1,
        capabilities: None,
        touch: None,
        disk: Arc::clone(disk) as Arc<dyn phisync_state::env::Disk>,
        clock: Arc::new(OsClock::new()),
    };
    let stop = stop.clone();
    thread::spawn(move || mailbox.carry(&stop))
}

/// The names of the letters in one of the boxes; every one must be whole JSON.
fn letters(disk: &SimDisk, part: &str) -> Vec<String> {
    let files = disk.files_below(&Path::new("/box").join(part));
    let letters = files.into_iter().filter_map(|(path, content)| {
        let name = path.to_str()?.strip_suffix(".json")?.to_owned();
        let whole: Result<Value, _> = serde_json::from_slice(&content);
        assert!(whole.is_ok(), "{part}/{name} is half a letter");
        Some(name)
    });
    letters.collect()
}

/// A carrier that dies at operation `death`, a script, and the next carrier. How many operations the
/// first one did.
fn story(death: Option<u64>) -> u64 {
    let known = Arc::new(Mutex::new(Known::default()));
    let server = server(&known);
    let mut disk = Arc::new(SimDisk::new());
    disk.make_dir(Path::new("/")).ok();
    if let Some(death) = death {
        disk.plan(death, Fault::PowerOff { written: 7 });
    }
    let (mut stop, mut answered) = (StopFlag::new(), Vec::new());
    let mut carrier = carry(&server, &disk, &stop);
    let mut operations = None;
    let never = StopFlag::new();
    loop {
        if disk.is_off() {
            assert!(operations.is_none(), "it dies once");
            let died = carrier.join().expect("a carrier that does not panic");
            assert!(died.is_err(), "nothing works without the disk");
            operations = Some(disk.operations());
            disk = Arc::new(disk.next_process());
            stop = StopFlag::new();
            carrier = carry(&server, &disk, &stop);
        }
        for name in letters(&disk, "inbox") {
            if !answered.contains(&name) {
                let report = Path::new("/box/outbox").join(format!("{name}.json"));
                disk.put(&report, br#"{"output": {"place": "drawer"}}"#)
                    .expect("the outbox is there before a letter is");
                answered.push(name);
            }
        }
        let done = known
            .lock()
            .expect("nobody panics here")
            .completed
            .is_some();
        if done && letters(&disk, "inbox").is_empty() && letters(&disk, "outbox").is_empty() {
            break;
        }
        let _never = never.wait(Duration::from_millis(5));
    }
    let operations = operations.unwrap_or_else(|| disk.operations());
    stop.request();
    // Its last look may be the one at which it was to die.
    let _ended = carrier.join().expect("a carrier that does not panic");
    let known = known.lock().expect("nobody panics here");
    assert_eq!(known.effects, 1);
    let left = disk.files_below(Path::new("/box/inbox"));
    assert!(left.is_empty() || disk.is_off(), "left behind: {left:?}");
    operations
}

#[test]
fn a_carrier_killed_at_any_step_leaves_what_the_next_one_needs() {
    let operations = story(None);
    assert!(operations > 10, "only {operations} were done");
    thread::scope(|scope| {
        for death in 1..=operations {
            scope.spawn(move || story(Some(death)));
        }
    });
}
