//! A secret gets to the command whose task names it, and nowhere else.

use std::fs;
use std::path::Path;

use phisync_tests::process::{Child, Finished, Project};

/// In two pieces, so that this file does not look like a leak itself.
const CANARY: [&str; 2] = ["canary-9f2c", "71d0e4"];

const WORKFLOW: &str = r#"
workflow: scanning
secrets: [scanner_token]
steps:
  - id: scan
    task: { type: scan, secrets: [scanner_token], attachments: [ "report.txt", "${{ 1 + 1 }}" ] }
    assign: DC
  - id: look
    needs: scan
    task: look
    assign: DC
outputs: { length: "${{ steps.scan.output.length }}", seen: "${{ steps.look.output.seen }}" }
"#;

/// Says the value wherever it can, and looks for it where it was not given.
const AGENT: &str = r#"#!/bin/sh
task=$(cat)
case "$task" in
*'"type":"scan"'*'"attachments":["report.txt",2]'*)
    echo "it is $PHISYNC_SECRET_SCANNER_TOKEN" >&2
    printf '{"length": %d, "leak": "%s"}\n' "${#PHISYNC_SECRET_SCANNER_TOKEN}" "$PHISYNC_SECRET_SCANNER_TOKEN"
    ;;
*'"type":"look"'*)
    printf '{"seen": %d}\n' "$(env | grep -c '^PHISYNC_SECRET')"
    ;;
*)
    printf '%s\n' "$task" >&2
    exit 1
    ;;
esac
"#;

fn project() -> Project {
    let project = Project::new([
        ("scan.yaml", WORKFLOW),
        (
            "agents.yaml",
            "agents:\n  DC: { command: [./agent.sh], concurrency: 1 }\n",
        ),
    ]);
    project.write_program("agent.sh", AGENT);
    project
}

fn exec(project: &Project, more: &[(&str, &str)]) -> Finished {
    let mut command = project.command(&["exec", "scan.yaml", "--id", "s1"]);
    command.envs(more.iter().copied());
    Child::start(command, b"").finish()
}

/// The files below `path` that hold the value.
fn leaks(path: &Path, value: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(leaks(&path, value));
        } else if let Ok(bytes) = fs::read(&path) {
            let holds = String::from_utf8_lossy(&bytes).contains(value);
            found.extend(holds.then(|| path.display().to_string()));
        }
    }
    found
}

#[test]
fn a_secret_is_in_no_file_no_log_and_no_answer() {
    let project = project();
    let value = CANARY.concat();
    let finished = exec(&project, &[("PHISYNC_SECRET_SCANNER_TOKEN", &value)]);
    assert!(!finished.stderr.contains(&value), "{}", finished.stderr);
    let said = finished.expect_code(0);
    assert!(!said.contains(&value), "{said}");
    assert!(said.contains(&format!("length: {}", value.len())), "{said}");
    assert!(said.contains("seen: 0"), "others do not get it: {said}");
    assert_eq!(leaks(project.root(), &value), Vec::<String>::new());
    let shown = project.run(&["run", "show", "s1", "-o", "json"]);
    assert!(shown.stdout.contains("***"), "{}", shown.stdout);
}

#[test]
fn a_secret_comes_from_a_file_that_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let value = CANARY.concat();
    for (mode, code) in [(0o600, 0), (0o644, 1)] {
        let project = project();
        project.write("secrets", &format!("scanner_token = {value}\n"));
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(project.path("secrets"), mode).expect("a mode");
        let file = project.path("secrets");
        let file = file.to_str().expect("a path");
        let finished = exec(&project, &[("PHISYNC_SECRETS_FILE", file)]);
        let said = finished.expect_code(code);
        assert!(!said.contains(&value), "{said}");
        assert_eq!(said.contains("chmod 600"), code == 1, "{said}");
    }
}

#[test]
fn a_secret_that_nobody_knows_fails_the_task_and_says_what_to_set() {
    let said = exec(&project(), &[]).expect_code(1);
    let wanted =
        "policy: secret `scanner_token` is not known here: set `PHISYNC_SECRET_SCANNER_TOKEN`";
    assert!(said.contains(wanted), "{said}");
}
