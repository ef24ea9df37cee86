//! The six examples of the language run end to end by `exec`, with a scripted team and with people who
//! answer in time.

use std::fs;
use std::path::{Path, PathBuf};

use phisync_tests::process::{Child, Project};
use serde_json::Value;

fn examples() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = tests.parent().expect("the package lies in the repository");
    repository.join("examples")
}

fn copy_into(project: &Project, from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_into(project, &path, &name);
        } else {
            let text = fs::read_to_string(&path).expect("a text");
            project.write(name.to_str().expect("a path"), &text);
        }
    }
}

/// One example and the team, as they lie in its folder.
fn project(example: &str) -> Project {
    let project = Project::new([]);
    copy_into(&project, &examples().join(example), Path::new(""));
    let script = fs::read_to_string(examples().join("team.sh")).expect("the script");
    let team = fs::read_to_string(examples().join("team.yaml")).expect("the team");
    project.write_program("team.sh", &script);
    project.write("team.yaml", &team);
    project
}

fn start(project: &Project, more: &[&str]) -> Child {
    let mut args = vec![
        "exec",
        "workflow.yaml",
        "--agents",
        "team.yaml",
        "--id",
        "r1",
    ];
    args.extend(["-o", "json"]);
    args.extend(more);
    let mut command = project.command(&args);
    command.env("PHISYNC_SECRET_SCANNER_TOKEN", "scanner-7f31c0");
    Child::start(command, b"")
}

fn record(child: Child, code: i32) -> Value {
    let said = child.finish().expect_code(code);
    serde_json::from_str(&said).expect("a record")
}

#[test]
fn every_example_is_right_for_its_team() {
    for example in [
        "research-article",
        "security-audit",
        "rename-api-field",
        "nightly-report",
        "document-modules",
        "incident-response",
    ] {
        let project = project(example);
        let checked = project.run(&["check", "workflow.yaml", "--agents", "team.yaml"]);
        assert_eq!(checked.code, Some(0), "{example}: {}", checked.stdout);
    }
}

#[test]
fn an_article_is_written_twice_and_published_once_an_editor_agrees() {
    let project = project("research-article");
    let running = start(&project, &["-i", "topic=otters"]);
    let _asked = running.stderr_line(|line| line.contains("waits for a decision: "));
    let dana = project.run(&["approval", "approve", "r1.release", "--as", "dana"]);
    assert_eq!(dana.code, Some(0), "{}", dana.stderr);
    let record = record(running, 0);
    assert_eq!(
        record["outputs"]["url"], "https://example.org/articles/1",
        "{record}"
    );
    let log = record["log"].to_string();
    assert!(log.contains("task review.2#1"), "the second review: {log}");
}

#[test]
fn an_audit_is_released_by_two_and_only_one_task_has_the_token() {
    let project = project("security-audit");
    let running = start(&project, &["-i", "repo=phisync", "-i", "tag=v1"]);
    let _asked = running.stderr_line(|line| line.contains("waits for a decision: "));
    for person in ["dana", "robin"] {
        let said = project.run(&["approval", "approve", "r1.gate", "--as", person]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
    }
    let record = record(running, 0);
    assert_eq!(record["outputs"]["decision"], "approve", "{record}");
    assert!(!record.to_string().contains("scanner-7f31c0"));
}

fn fields(project: &Project) -> [String; 2] {
    ["repos/api/src/model.rs", "repos/web/src/api.ts"].map(|path| {
        let text = fs::read_to_string(project.path(path)).expect("a file");
        let line = text.lines().nth(1).expect("a field");
        line.trim().to_owned()
    })
}

#[test]
fn a_field_is_renamed_in_both_trees_or_in_none() {
    let project = project("rename-api-field");
    let renamed = ["-i", "from=name", "-i", "to=full_name"];
    let _record = record(start(&project, &renamed), 0);
    assert_eq!(
        fields(&project),
        ["full_name: String,", "full_name: string;"]
    );

    let project = self::project("rename-api-field");
    let refused = ["-i", "from=name", "-i", "to=password"];
    let record = record(start(&project, &refused), 1);
    assert_eq!(record["error"]["code"], "app.review_refused", "{record}");
    assert_eq!(fields(&project), ["name: String,", "name: string;"]);
    let log = record["log"].to_string();
    assert!(log.contains("undo branch#1"), "{log}");
}

#[test]
fn the_report_of_the_night_is_sent() {
    let project = project("nightly-report");
    let record = record(start(&project, &[]), 0);
    assert!(
        record["log"].to_string().contains("task send#1"),
        "{record}"
    );
}

#[test]
fn every_module_but_the_generated_one_is_documented() {
    let project = project("document-modules");
    let record = record(start(&project, &[]), 0);
    assert_eq!(record["outputs"]["documented"], 3, "{record}");
    let begins = |name: &str| {
        let text = fs::read_to_string(project.path(name)).expect("a module");
        text.starts_with("//! ")
    };
    assert!(begins("src/first.rs") && begins("src/second.rs"));
    assert!(!begins("src/generated.rs"));
}

#[test]
fn an_incident_is_solved_by_a_fix_or_by_itself() {
    let project = project("incident-response");
    let inputs = [
        "-i",
        "incident_id=i1",
        "-i",
        "alert={\"level\":\"critical\"}",
    ];
    let running = start(&project, &inputs);
    let _asked = running.stderr_line(|line| line.contains("waits for a decision: "));
    let said = project.run(&["approval", "approve", "r1.verify.1", "--as", "dana"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let fixed = record(running, 0);
    assert_eq!(fixed["outputs"]["cause"], "the disk is full", "{fixed}");

    let project = self::project("incident-response");
    let inputs = [
        "-i",
        "incident_id=i1",
        "-i",
        "alert={\"level\":\"warning\"}",
    ];
    let running = start(&project, &inputs);
    let _waits = running.stderr_line(|line| line.starts_with("observe.1: waits for event"));
    let sent = project.run(&[
        "event",
        "send",
        "alert.cleared",
        "--payload",
        "{\"id\":\"i1\"}",
    ]);
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    let cleared = record(running, 0);
    let log = cleared["log"].to_string();
    assert!(log.contains("state observe.1"), "{log}");
}
