//! `phisync agent mailbox`, with this test as the script that knows only files.

use std::fs;
use std::path::PathBuf;

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
