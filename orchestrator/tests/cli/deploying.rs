//! `phisync apply`, `phisync workflow`, `phisync exec` of several files, and `config` of `phisync.toml`.

use insta::assert_snapshot;
use serde_json::Value;

use crate::project::Project;

const CHILD: &str = "\
workflow: child
version: \"1.0.0\"
inputs: { count: int }
outputs: { twice: '${{ inputs.count * 2 }}' }
steps:
  - { id: pause, wait: 1ms }
";

const PARENT: &str = "\
workflow: parent
version: \"2.0.0\"
outputs: { got: '${{ steps.ask.output.twice }}' }
steps:
  - { id: ask, call: { workflow: child, version: ^1 }, input: { count: 21 } }
";

fn both() -> Project {
    let project = Project::empty();
    project.write("child.yaml", CHILD);
    project.write("parent.yaml", PARENT);
    project
}

fn outputs(project: &Project, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let all = [&["exec"], arguments, &["-o", "json"]].concat();
    let output = project.output(&all, "");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), record["outputs"].clone(), words)
}

#[test]
fn the_first_of_several_files_is_run_and_calls_the_others() {
    let project = both();
    let (code, got, words) = outputs(&project, &["parent.yaml", "child.yaml"]);
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(got, serde_json::json!({ "got": 42 }));
    assert!(!words.contains("warning"), "{words}");
}

#[test]
fn what_a_file_calls_is_checked_against_the_others_before_anything_runs() {
    let project = both();
    project.write("parent.yaml", &PARENT.replace("count: 21", "amount: 21"));
    let (code, _, words) = outputs(&project, &["parent.yaml", "child.yaml"]);
    assert_eq!(code, Some(6));
    assert!(words.contains("PHI209"), "{words}");
    project.write("parent.yaml", PARENT);
    project.write("child.yaml", &CHILD.replace("1ms", "soon"));
    let (code, _, words) = outputs(&project, &["parent.yaml", "child.yaml"]);
    assert_eq!(code, Some(6));
    assert!(
        words.contains("child.yaml") && words.contains("PHI111"),
        "{words}"
    );
}

#[test]
fn a_newer_file_of_what_is_called_is_told_of_if_the_caller_stays_with_the_older() {
    let project = both();
    outputs(&project, &["parent.yaml", "child.yaml"]);
    let newer = CHILD
        .replace("1.0.0", "1.1.0")
        .replace("count * 2", "count * 3");
    project.write("child.yaml", &newer);
    let (code, got, words) = outputs(&project, &["parent.yaml", "child.yaml"]);
    assert_eq!((code, &got["got"]), (Some(0), &42.into()));
    assert_snapshot!(words.lines().filter(|l| !l.starts_with(' ') || l.contains("hint")).filter(|l| l.contains("warning") || l.contains("hint")).collect::<Vec<_>>().join("\n"), @r"
    warning: `parent` calls `child` 1.0.0, as when it was first registered; the file has 1.1.0
      hint: a change of `parent` makes a definition that calls the newer one
    ");
}

#[test]
fn workflows_are_registered_callees_first_and_can_be_seen() {
    let project = both();
    let made = outputs(&project, &["child.yaml", "-i", "count=1"]);
    assert_eq!(made.0, Some(0), "{}", made.2);
    let said = [
        project.transcript(&["apply", "parent.yaml", "child.yaml"]),
        project.transcript(&["workflow", "list"]),
        project.transcript(&["workflow", "show", "parent"]),
        project.transcript(&["workflow", "show", "nobody"]),
    ];
    assert_snapshot!(said.join("\n"));
}

#[test]
fn nothing_is_registered_if_one_file_has_an_error() {
    let project = both();
    project.write("parent.yaml", &PARENT.replace("ask, call", "ask, cal"));
    let output = project.output(&["apply", "child.yaml", "parent.yaml"], "");
    assert_eq!(output.status.code(), Some(6));
    assert!(!project.path(".phisync").exists());
}

#[test]
fn settings_stand_in_the_projects_file_by_the_workflows_name() {
    let workflow = "\
workflow: greet
config: { word: string, times: { type: integer, default: 1 } }
outputs: { said: '${{ config.word }} ${{ config.times }}' }
steps:
  - { id: pause, wait: 1ms }
";
    let project = Project::empty();
    project.write("greet.yaml", workflow);
    let (code, _, words) = outputs(&project, &["greet.yaml"]);
    assert_eq!(code, Some(6), "{words}");
    assert!(
        words.contains("config.word: setting `word` is missing"),
        "{words}"
    );
    project.write(
        "phisync.toml",
        "[config.greet]\nword = \"hello\"\ntimes = 2\n",
    );
    let (code, got, words) = outputs(&project, &["greet.yaml", "--id", "demo"]);
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(got, serde_json::json!({ "said": "hello 2" }));
    let shown = project.json(&["run", "show", "demo"]);
    assert_eq!(
        shown["config"],
        serde_json::json!({ "word": "hello", "times": 2 })
    );
}
