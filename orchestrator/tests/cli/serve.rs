//! `phisync serve`, and the commands that talk to it.

use insta::assert_snapshot;
use serde_json::Value;

use crate::project::{Project, Running};

/// A server on a free port, ready.
pub(crate) fn serve(project: &Project) -> (Running, Value) {
    let mut server = project.start(&["serve", "--listen", "127.0.0.1:0", "--log", "off"]);
    let ready = serde_json::from_str(&server.line()).expect("one line of JSON");
    (server, ready)
}

#[test]
fn the_ready_line_says_where_and_who() {
    let project = Project::initialised();
    let (_server, ready) = serve(&project);
    let keys: Vec<&String> = ready.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["event", "url", "pid", "head_seq", "durability"]);
    assert_eq!(ready["event"], "ready");
    assert_eq!(ready["durability"], "sync");
    assert!(project.path(".phisync/server.json").is_file());
}

#[test]
fn a_directory_that_is_served_is_not_opened_again() {
    let project = Project::initialised();
    let (_server, _) = serve(&project);
    assert_snapshot!(project.transcript(&["exec", "workflows/hello.yaml"]));
    let second = project.output(&["serve", "--listen", "127.0.0.1:0"], "");
    assert_eq!(second.status.code(), Some(75), "{second:?}");
}

#[test]
fn a_port_that_is_taken_is_told_with_a_way_out() {
    let project = Project::initialised();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let transcript = project.transcript(&["serve", "--listen", &address]);
    assert_snapshot!(transcript.replace(&address, "ADDRESS"));
}

#[test]
fn a_port_that_is_taken_leaves_no_data_directory_behind() {
    let project = Project::empty();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let output = project.output(&["serve", "--data", "data", "--listen", &address], "");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!project.path("data").exists());
}

#[test]
fn a_journal_that_never_saw_the_expected_head_is_not_served() {
    let project = Project::initialised();
    let head = format!("7:{}", "0".repeat(64));
    let behind = project.output(
        &["serve", "--listen", "127.0.0.1:0", "--expect-head", &head],
        "",
    );
    assert_eq!(behind.status.code(), Some(77), "{behind:?}");
    let listen = ["serve", "--listen", "127.0.0.1:0", "--expect-head"];
    let nothing = format!("0:{}", "0".repeat(64));
    let mut server = project.start(&[&listen[..], &[&nothing]].concat());
    assert!(
        server.line().contains("ready"),
        "an empty store went through it"
    );
}

#[test]
fn a_weaker_durability_is_named_wherever_somebody_could_rely_on_it() {
    let project = Project::initialised();
    for mode in ["interval", "none", "sync"] {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--durability", mode];
        let mut server = project.start(&serve);
        let ready: Value = serde_json::from_str(&server.line()).expect("one line of JSON");
        assert_eq!(ready["durability"], mode);
        let url = ready["url"].as_str().expect("an address");
        let answer = get(url, "/healthz", "");
        let header = format!("phisync-durability: {mode}\r\n");
        assert!(answer.to_lowercase().contains(&header), "{answer}");
        assert!(answer.contains(&format!("\"mode\":\"{mode}\"")), "{answer}");
        #[cfg(unix)]
        server.signal("TERM");
        #[cfg(unix)]
        assert_eq!(server.end().0, 0);
    }
    assert!(!project.path(".phisync/journal/unsynced").exists());
}

#[test]
fn a_client_that_saw_more_raises_an_alarm_and_stops_nobody() {
    let project = Project::initialised();
    let (_server, ready) = serve(&project);
    let url = ready["url"].as_str().expect("an address");
    let token = std::fs::read_to_string(project.path(".phisync/admin.token")).expect("a token");
    let ask = |witness: &str| {
        let headers = format!(
            "Authorization: Bearer {}\r\nPhisync-Witness: {witness}\r\n",
            token.trim()
        );
        get(url, "/v1/runs", &headers)
    };
    for number in 1..4 {
        let id = format!("r{number}");
        let start = ["run", "start", "workflows/hello.yaml", "--id", &id];
        assert!(project.output(&start, "").status.success());
    }
    let records = project.json(&["store", "fsck"]);
    let head = records["head"].as_str().expect("a head").to_owned();
    let genesis = format!("0:{}", "0".repeat(64));
    for seen in [&head, &genesis] {
        assert!(ask(seen).starts_with("HTTP/1.1 200"), "{}", ask(seen));
    }
    let (seq, hash) = head.split_once(':').expect("a sequence and a hash");
    let seq: u64 = seq.parse().expect("a number");
    let later = format!("{}:{hash}", seq + 1);
    let other = format!("{seq}:{}", "0".repeat(64));
    let earlier = format!("{}:{hash}", seq - 1);
    for never in [&later, &other, &earlier] {
        let answer = ask(never);
        assert!(answer.starts_with("HTTP/1.1 412"), "{answer}");
        assert!(answer.contains("not_this_journal"), "{answer}");
    }
    assert!(ask("nonsense").starts_with("HTTP/1.1 400"));
    assert!(get(url, "/healthz", "").contains("\"alarms\":3"));
}

/// One request, and all that comes back.
fn get(url: &str, path: &str, headers: &str) -> String {
    use std::io::{Read as _, Write as _};
    let address = url.strip_prefix("http://").expect("an address");
    let mut stream = std::net::TcpStream::connect(address).expect("the server listens");
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn views_that_somebody_changed_are_made_again_by_the_next_server() {
    let project = Project::initialised();
    let (server, _) = serve(&project);
    let start = ["run", "start", "workflows/hello.yaml", "--id", "r1"];
    assert!(project.output(&start, "").status.success());
    #[cfg(unix)]
    server.signal("TERM");
    drop(server.end());
    let views = project.path(".phisync/state");
    let run = views.join("workflow-r1.json");
    let written = std::fs::read_to_string(&run).expect("a view");
    let edited = written.replace("\"running\"", "\"completed\"");
    assert_ne!(edited, written);
    std::fs::write(&run, &edited).expect("written");
    std::fs::write(views.join("workflow-nobody.json"), &written[1..]).expect("written");
    std::fs::write(views.join("agent-health.json"), "").expect("written");
    let damaged = || project.json(&["store", "fsck"])["damaged_views"].clone();
    assert_eq!(damaged().as_array().map(Vec::len), Some(3));

    let (_server, _) = serve(&project);
    let mut looks = 0;
    while damaged() != Value::Array(Vec::new()) {
        looks += 1;
        assert!(looks < 1000, "{}", damaged());
    }
    let again = std::fs::read_to_string(&run).expect("a view");
    assert!(again.contains("\"running\""), "{again}");
    assert!(!views.join("workflow-nobody.json").exists());
}

#[cfg(unix)]
#[test]
fn a_server_that_stands_still_keeps_its_directory() {
    let project = Project::initialised();
    let (server, _) = serve(&project);
    server.signal("STOP");
    let second = project.output(&["serve", "--listen", "127.0.0.1:0"], "");
    assert_eq!(second.status.code(), Some(75), "{second:?}");
    server.signal("CONT");
    let runs = project.json(&["run", "list"]);
    assert_eq!(runs["runs"], Value::Array(Vec::new()));
    server.signal("TERM");
    assert_eq!(server.end().0, 0);
}

#[cfg(unix)]
#[test]
fn a_server_without_file_descriptors_waits_for_some() {
    let project = Project::initialised();
    let limited = "ulimit -n 40; exec \"$0\" serve --listen 127.0.0.1:0 --log off";
    let mut server = project.start_shell(limited);
    let ready: Value = serde_json::from_str(&server.line()).expect("one line of JSON");
    let url = ready["url"].as_str().expect("an address");
    let address = url.strip_prefix("http://").expect("an address");
    let crowd: Vec<_> = (0..100)
        .map(|_| std::net::TcpStream::connect(address).expect("the system queues it"))
        .collect();
    drop(crowd);
    assert!(get(url, "/healthz", "").starts_with("HTTP/1.1 200"));
    let start = ["run", "start", "workflows/hello.yaml"];
    assert!(
        project.output(&start, "").status.success(),
        "the journal is open"
    );
    server.signal("TERM");
    assert_eq!(server.end().0, 0);
}

/// Bug: two servers wrote one journal after somebody had deleted the lock of the first.
#[cfg(unix)]
#[test]
fn a_server_whose_lock_was_deleted_ends_and_writes_nothing_more() {
    let project = Project::initialised();
    let (first, _) = serve(&project);
    std::fs::remove_file(project.path(".phisync/lock")).expect("it is there");
    let (code, _, stderr) = first.end();
    assert_eq!(code, 75, "{stderr}");
    assert!(
        stderr.contains("another server may have started"),
        "{stderr}"
    );
    assert_eq!(project.json(&["store", "fsck"])["sound"], true);
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    assert_snapshot!(Project::initialised().transcript(&["serve", "--listen", "0.0.0.0:0"]));
}

#[cfg(unix)]
#[test]
fn a_server_that_is_asked_to_stop_seals_the_journal() {
    let project = Project::initialised();
    let (server, _) = serve(&project);
    let started = project.output(&["run", "start", "workflows/hello.yaml"], "");
    assert!(started.status.success(), "{started:?}");
    server.signal("TERM");
    let (code, _, _) = server.end();
    assert_eq!(code, 0);
    assert!(!project.path(".phisync/server.json").exists());
    assert_eq!(project.json(&["store", "fsck"])["end"], "sealed");
}

#[test]
fn what_a_dead_server_left_behind_does_not_matter() {
    let project = Project::initialised();
    let (server, _) = serve(&project);
    drop(server);
    assert!(project.path(".phisync/server.json").is_file());
    assert_eq!(
        project.json(&["run", "list"])["runs"],
        Value::Array(Vec::new())
    );
}

#[test]
fn a_run_is_started_listed_shown_and_cancelled() {
    let project = Project::initialised();
    let (_server, _) = serve(&project);
    let start = [
        "run",
        "start",
        "workflows/hello.yaml",
        "--id",
        "first-run",
        "--label",
        "a=b",
    ];
    assert_snapshot!(project.transcript(&start));
    let list = project.json(&["run", "list", "--label", "a=b", "--status", "running"]);
    assert_eq!(list["runs"][0]["id"], "first-run");
    assert_eq!(
        project.json(&["run", "show", "first"])["steps"][0]["status"],
        "ready"
    );
    assert_snapshot!(project.transcript(&["run", "result", "first"]));
    assert_snapshot!(project.transcript(&["run", "cancel", "first", "--reason", "enough"]));
    assert_snapshot!(project.transcript(&["run", "wait", "first"]));
    assert_snapshot!(project.transcript(&["run", "show", "second"]));
    assert_snapshot!(project.transcript(&["graph", "first"]));
}

#[test]
fn a_token_opens_what_its_role_allows() {
    let project = Project::initialised();
    let (_server, ready) = serve(&project);
    let created = project.json(&["token", "create", "--role", "viewer"]);
    project.write("viewer", created["token"].as_str().expect("a token"));
    let url = ready["url"].as_str().expect("an address");
    let viewer = |arguments: &[&str]| {
        let place = ["--server", url, "--token-file", "viewer"];
        project
            .output(&[arguments, &place[..]].concat(), "")
            .status
            .code()
    };
    assert_eq!(viewer(&["run", "list"]), Some(0));
    assert_eq!(viewer(&["run", "start", "workflows/hello.yaml"]), Some(4));
    assert_eq!(viewer(&["token", "list"]), Some(4));
    project.write("viewer", "phs_nobody");
    assert_eq!(viewer(&["run", "list"]), Some(4));
}

#[test]
fn a_token_for_nobody_is_refused() {
    let project = Project::initialised();
    assert_snapshot!(project.transcript(&["token", "create", "--role", "agent"]));
    assert_snapshot!(project.transcript(&["token", "create", "--role", "agent", "--name", "WEBC"]));
}

/// A server that only shows what is there, its arguments for other commands, and the ready line.
fn show(project: &Project) -> (Running, Vec<String>) {
    let arguments = [
        "serve",
        "--read-only",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "off",
    ];
    let mut server = project.start(&arguments);
    let ready: Value = serde_json::from_str(&server.line()).expect("one line of JSON");
    let token = project.path(".phisync/admin.token").display().to_string();
    let url = ready["url"].as_str().expect("an address").to_owned();
    (
        server,
        vec!["--server".into(), url, "--token-file".into(), token],
    )
}

#[test]
fn a_directory_that_is_only_shown_is_read_as_ever_and_not_changed() {
    let project = Project::initialised();
    let started = project.output(&["run", "start", "workflows/hello.yaml", "--id", "r1"], "");
    assert!(started.status.success(), "{started:?}");
    let before = contents(&project.path(".phisync"));
    let (server, place) = show(&project);
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    let show = [&["run", "show", "r1"], &place[..]].concat();
    assert_eq!(project.json(&show)["status"], "running");
    let why = [&["why", "r1"], &place[..]].concat();
    assert!(!project.json(&why)["text"].is_null());
    for refused in [
        &["run", "cancel", "r1"][..],
        &["run", "start", "hello"],
        &["token", "create", "--role", "viewer"],
        &["snapshot", "create"],
    ] {
        let output = project.output(&[refused, &place[..]].concat(), "");
        assert_eq!(output.status.code(), Some(74), "{refused:?}: {output:?}");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains("only shows what is there"), "{words}");
    }
    // Nobody who writes comes in meanwhile.
    let other = project.output(&["run", "cancel", "r1"], "");
    assert_eq!(other.status.code(), Some(75), "{other:?}");
    drop(server);
    assert_eq!(contents(&project.path(".phisync")), before);
    assert_eq!(project.json(&["run", "show", "r1"])["status"], "running");
}

/// Every file below a directory, with its bytes.
fn contents(directory: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_not_there_cannot_be_shown() {
    let project = Project::empty();
    let arguments = [
        "serve",
        "--read-only",
        "--data",
        "data",
        "--listen",
        "127.0.0.1:0",
    ];
    let output = project.output(&arguments, "");
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    assert!(!project.path("data").exists());
}

#[cfg(unix)]
#[test]
fn what_a_start_deals_with_by_itself_is_on_record() {
    let project = Project::initialised();
    let started = project.output(&["run", "start", "workflows/hello.yaml", "--id", "r1"], "");
    assert!(started.status.success(), "{started:?}");
    let segment = project.path(".phisync/journal/00000000000000000001.jsonl");
    let mut bytes = std::fs::read(&segment).expect("the segment");
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .expect("lines")
        + 1;
    bytes.truncate(end);
    // The seal goes, and half a batch comes.
    let seal = bytes[..end - 1].iter().rposition(|byte| *byte == b'\n');
    bytes.truncate(seal.expect("more lines") + 1);
    bytes.extend_from_slice(b"{\"seq\":99,\"str");
    std::fs::write(&segment, &bytes).expect("written");
    let (server, _) = serve(&project);
    let alarms = project.json(&["doctor"]);
    let alarms = alarms["findings"].as_array().expect("a list").iter();
    let alarms: Vec<_> = alarms
        .filter(|finding| finding["about"] == "alarms")
        .collect();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    let says = alarms[0]["says"].to_string();
    assert!(says.contains("tail cut: journal/"), "{says}");
    drop(server);
    // Once found, it is not found again.
    let (_server, _) = serve(&project);
    let findings = project.json(&["doctor"])["findings"].to_string();
    assert_eq!(findings.matches("tail cut").count(), 1, "{findings}");
}
