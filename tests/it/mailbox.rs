//! `phisync agent mailbox`, with this test as the script that knows only files.

use std::fs;
use std::path::{Path, PathBuf};

use phisync_tests::process::{Child, Http, Project, Server, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

const TEAM: &str = "phisync: 1\nagents:\n  FILER: {}\n";

const WORKFLOW: &str = r#"
workflow: filing
steps:
  - id: only
    prompt: File it.
    assign: FILER
    output: { type: object, required: [place], properties: { place: { type: string } } }
    timeouts: { lease: 5s }
"#;

struct Office {
    carrier: Child,
    owner: Http,
    _server: Server,
    project: Project,
}

impl Office {
    /// A run with one task, and a carrier.
    fn open() -> Self {
        let project = Project::new([("agents.yaml", TEAM)]);
        let server = Server::start(&project);
        let owner = server.owner(&project);
        let start = json!({ "definition": WORKFLOW, "id": "f1" });
        let _started = owner.post("/v1/runs", &start).expect(201);
        Self {
            carrier: carrier(&project),
            owner,
            _server: server,
            project,
        }
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.project.data().join("mailbox/filer").join(rest)
    }

    fn letter(&self) -> Value {
        eventually("a letter lies in the inbox", || {
            let text = fs::read_to_string(self.path("inbox/f1.only-1.json")).ok()?;
            Some(serde_json::from_str(&text).expect("a letter is whole when it is there"))
        })
    }

    fn report(&self, text: &str) {
        let temporary = self.path("outbox/f1.only-1.tmp");
        fs::write(&temporary, text).expect("the outbox");
        fs::rename(temporary, self.path("outbox/f1.only-1.json")).expect("the outbox");
    }

    fn ends_as(&self, status: &str) -> Value {
        eventually(status, || {
            let run = self.owner.get("/v1/runs/f1").expect(200);
            (run["status"] == status).then_some(run)
        })
    }

    fn is_empty(&self, part: &str) -> bool {
        fs::read_dir(self.path(part))
            .expect("a box")
            .next()
            .is_none()
    }
}

fn carrier(project: &Project) -> Child {
    project.start(&["agent", "mailbox", "--as", "FILER"])
}

#[test]
fn a_script_that_knows_only_files_does_a_task() {
    let office = Office::open();
    let letter = office.letter();
    assert_eq!(
        (&letter["id"], &letter["prompt"]),
        (&json!("f1.only"), &json!("File it."))
    );
    office.report(r#"{"output": {"place": "drawer"}}"#);
    let run = office.ends_as("completed");
    assert_eq!(run["steps"][0]["output"], json!({ "place": "drawer" }));
    eventually("both boxes are empty", || {
        (office.is_empty("inbox") && office.is_empty("outbox")).then_some(())
    });
}

#[test]
fn a_wrong_report_comes_back_with_its_reason_and_may_be_corrected() {
    let office = Office::open();
    let _letter = office.letter();
    office.report(r#"{"result": 1}"#);
    let reason = |part: &str| {
        eventually("the report is put aside", || {
            let reason = fs::read_to_string(office.path("refused/f1.only-1.reason.txt")).ok()?;
            reason.contains(part).then_some(())
        });
    };
    reason("unknown field `result`");
    office.report(r#"{"output": {"shelf": 3}}"#);
    reason("output.place: is required");
    office.report(r#"{"output": {"place": "shelf"}}"#);
    office.ends_as("completed");
}

#[test]
fn what_was_filed_while_the_carrier_was_dead_is_carried_by_the_next() {
    let mut office = Office::open();
    let _letter = office.letter();
    office.carrier.signal(Signal::KILL);
    let dead = std::mem::replace(&mut office.carrier, carrier(&office.project));
    assert_eq!(dead.finish().signal, Some(Signal::KILL.as_raw()));
    office.report(r#"{"output": {"place": "drawer"}}"#);
    let run = office.ends_as("completed");
    assert_eq!(run["steps"][0]["attempts"], 1);
}

#[test]
fn a_script_is_told_to_stop_and_a_late_report_is_put_aside() {
    let office = Office::open();
    let _letter = office.letter();
    let _cancelled = office
        .owner
        .post("/v1/runs/f1/cancel", &json!({}))
        .expect(200);
    eventually("the script is told", || {
        office.path("inbox/f1.only-1.stop").exists().then_some(())
    });
    office.report(r#"{"error": {"code": "cancelled", "message": "stopped"}}"#);
    office.ends_as("cancelled");
    eventually("the inbox is empty", || {
        office.is_empty("inbox").then_some(())
    });
    office.report(r#"{"output": {"place": "nowhere"}}"#);
    eventually("the late report is put aside", || {
        let reason = fs::read_to_string(office.path("refused/f1.only-1.reason.txt")).ok()?;
        reason.contains("no task of this name").then_some(())
    });
}

#[test]
fn what_a_script_says_of_its_progress_is_known_and_goes_to_whoever_takes_over() {
    let office = Office::open();
    let _letter = office.letter();
    fs::write(office.path("inbox/f1.only-1.alive"), "{\"page\": 3}").expect("the inbox");
    eventually("the server knows how far it is", || {
        let task = office.owner.get("/v1/tasks/f1.only").expect(200);
        (task["progress"]["value"] == json!({ "page": 3 })).then_some(())
    });
    office.report(r#"{"release": true}"#);
    let again = eventually("the task comes again", || {
        let text = fs::read_to_string(office.path("inbox/f1.only-2.json")).ok()?;
        Some(serde_json::from_str::<Value>(&text).expect("a letter is whole when it is there"))
    });
    let progress = &again["handoff"]["progress"];
    assert_eq!(progress["value"], json!({ "page": 3 }), "{again}");
    assert_eq!(progress["agent"], "filer", "{again}");
}

/// What `docs/mailbox.md` gives to PowerShell, which no test here can run: every file, command and field in it is one
/// that there is.
#[test]
fn the_sample_in_powershell_names_what_there_is() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mailbox.md");
    let page = fs::read_to_string(page).expect("the page");
    let (_, sample) = page.split_once("```powershell\n").expect("a sample");
    let (sample, _) = sample.split_once("```").expect("its end");
    let office = Office::open();
    let _letter = office.letter();
    let quoted: Vec<&str> = sample.split('"').skip(1).step_by(2).collect();
    for path in quoted.iter().filter(|text| text.starts_with("$box/")) {
        let mut parts = path.split('/').skip(1);
        let place = parts.next().expect("a directory");
        assert!(office.path(place).is_dir(), "{path}");
        let name = parts.next().unwrap_or("$($letter.Name)");
        let ending = name
            .strip_prefix("$($letter.BaseName)")
            .or_else(|| name.strip_prefix("$($letter.Name)"));
        let known = match place {
            "inbox" => ["", ".alive"].as_slice(),
            "outbox" => &["", ".tmp"],
            _ => &[".reason.txt"],
        };
        assert!(ending.is_some_and(|end| known.contains(&end)), "{path}");
    }
    let root = office.project.root();
    for path in quoted.iter().filter(|text| text.starts_with(".phisync/")) {
        eventually("what the sample reads is there", || {
            root.join(path).exists().then_some(())
        });
    }
    // As it says, with a byte order mark: a reason comes back, and a sign of life tells of progress.
    fs::write(
        office.path("inbox/f1.only-1.alive"),
        "\u{feff}{\"pages\":3}\r\n",
    )
    .expect("a sign");
    office.report("\u{feff}{\"output\": {}}\r\n");
    eventually("a reason comes back", || {
        office
            .path("refused/f1.only-1.reason.txt")
            .exists()
            .then_some(())
    });
    eventually("the progress is known", || {
        let task = office.owner.get("/v1/tasks/f1.only").expect(200);
        (task["progress"]["value"] == json!({ "pages": 3 })).then_some(())
    });
    office.report("\u{feff}{\"error\": {\"message\": \"no place\"}}\r\n");
    let outcome = office
        .owner
        .get("/v1/runs/f1/wait?timeout_s=60")
        .expect(200);
    assert_eq!(outcome["status"], "failed", "{outcome}");

    // Each command as it stands there, about the document `plan`.
    let commands: Vec<&str> = sample
        .match_indices("phisync ")
        .filter(|(at, _)| !sample[..*at].ends_with("throw \""))
        .map(|(at, _)| {
            sample[at + 8..]
                .split(['|', ')', '\n'])
                .next()
                .expect("a command")
        })
        .collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    let run = |command: &str, before: &str| {
        let command = command.replace("2>$null", "");
        let command = command.replace("$name", "plan").replace("$version", "0");
        let script = format!("{before} \"$0\" {command}");
        Child::start(office.project.shell(&script), b"").finish()
    };
    let agents: Value = serde_json::from_str(&run(commands[0], "").expect_code(0)).expect("JSON");
    assert!(agents["agents"][0]["verdict"].is_string(), "{agents}");
    let health = fs::read(root.join(".phisync/state/agent-health.json")).expect("the view");
    let health: Value = serde_json::from_slice(&health).expect("JSON");
    assert!(health["body"]["FILER"]["status"].is_string(), "{health}");
    assert_eq!(run(commands[1], "").code, Some(3), "no document yet");
    let put = "printf '\\357\\273\\277{\"n\": 1}' |";
    assert_eq!(run(commands[2], put).code, Some(0), "{}", commands[2]);
    assert_eq!(run(commands[2], put).code, Some(5), "a lost race");
    let read: Value = serde_json::from_str(&run(commands[1], "").expect_code(0)).expect("JSON");
    assert_eq!(
        (&read["version"], &read["content"]),
        (&json!(1), &json!({ "n": 1 }))
    );
}
