//! `phisync tx`, `doc` and `lock` without a server: the words, and the exit codes.

use crate::project::Project;

const CHANGES: &str = "\
phisync: 1
reason: a first one
changes:
  - { path: notes, op: mkdir }
  - { path: notes/a, op: write, content: \"one\\n\", expect: { exists: false } }
  - { path: b, op: patch, patch: \"@@ -1 +1 @@\\n-old\\n+new\\n\" }
  - { document: plan, op: write, content: { step: 1 }, expect: { version: 0 } }
";

fn project() -> Project {
    let project = Project::initialised();
    project.write("b", "old\n");
    project.write("changes.yaml", CHANGES);
    project
}

fn read(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path(path)).unwrap_or_default()
}

#[test]
fn a_transaction_happens_whole_once_and_is_taken_back_whole() {
    let project = project();
    let applied = project.json(&["tx", "apply", "changes.yaml"]);
    assert_eq!(applied["status"], "committed");
    assert_eq!(
        (read(&project, "notes/a"), read(&project, "b")),
        ("one\n".into(), "new\n".into())
    );
    assert_eq!(project.json(&["doc", "get", "plan"])["version"], 1);

    let again = project.output(&["tx", "apply", "changes.yaml"], "");
    assert_eq!(again.status.code(), Some(5), "{again:?}");

    let id = applied["id"].as_str().expect("a name");
    let back = project.json(&["tx", "revert", id]);
    assert_eq!(back["reverts"], applied["id"]);
    assert_eq!(read(&project, "b"), "old\n");
    assert!(!project.path("notes").exists());
    let gone = project.output(&["doc", "get", "plan"], "");
    assert_eq!(gone.status.code(), Some(3), "{gone:?}");
    let list = project.json(&["tx", "list"]);
    assert_eq!(list["transactions"].as_array().map(Vec::len), Some(2));
}

#[test]
fn everything_wrong_with_a_file_is_told_with_its_line() {
    let project = project();
    project.write(
        "wrong.yaml",
        "changes:\n  - { path: ../a, op: write }\n  - path: b\n    op: truncate\n    expcet: {}\n",
    );
    let wrong = project.output(&["tx", "apply", "wrong.yaml"], "");
    assert_eq!(wrong.status.code(), Some(6), "{wrong:?}");
    let said = String::from_utf8_lossy(&wrong.stderr);
    for line in [
        "wrong.yaml:2:7: `../a` has the part `..`, which does not name a file",
        "wrong.yaml:2:5: `content` is missing",
        "wrong.yaml:4:5: `truncate` is no operation: write, patch, delete, move, mkdir",
        "wrong.yaml:5:5: unknown key `expcet`",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    project.write("twice.yaml", "changes: []\nchanges: []\n");
    let twice = project.output(&["tx", "apply", "twice.yaml"], "");
    assert_eq!(twice.status.code(), Some(6), "{twice:?}");
}

#[cfg(unix)]
#[test]
fn a_command_under_a_lock_reaches_the_store_and_its_lock_holds_its_writes() {
    let project = project();
    let inner = r#""$0" tx apply changes.yaml && "$0" lock list -o jsonl"#;
    let script = format!(r#""$0" lock build -- sh -c '{inner}' "$0""#);
    let (code, stdout, stderr) = project.start_shell(&script).end();
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("committed"), "{stdout}");
    assert!(stdout.contains(r#""name":"build","token":1"#), "{stdout}");
    let late = project.output(&["tx", "apply", "changes.yaml", "--under", "build:1"], "");
    assert_eq!(late.status.code(), Some(5), "{late:?}");
    let failed = project.output(&["lock", "build", "--", "false"], "");
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let list = project.json(&["lock", "list"]);
    assert_eq!(list["locks"].as_array().map(Vec::len), Some(0));
}
