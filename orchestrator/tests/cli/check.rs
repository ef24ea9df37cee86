//! `phisync check` and `phisync graph`.

use insta::assert_snapshot;
use serde_json::Value;

use crate::project::{Project, examples};

const BROKEN: &str = "\
workflow: broken
steps:
  - id: a
    needs: [b]
    prompt: First.
  - id: b
    neeeds: [a]
    prompt: ${{ steps.a.output.x }}
  - id: c
    needs: [d]
    prompt: Last.
";

const SOUND: &str = "\
workflow: sound
steps:
  - id: a
    prompt: First.
";

#[test]
fn all_errors_of_all_files_are_told_at_once() {
    let project = Project::empty();
    project.write("broken.yaml", BROKEN);
    project.write("sound.yaml", SOUND);
    assert_snapshot!(project.transcript(&["check", "broken.yaml", "sound.yaml"]));
}

#[test]
fn diagnostics_are_one_json_array() {
    let project = Project::empty();
    project.write("broken.yaml", BROKEN);
    let output = project.output(&["check", "broken.yaml", "--format", "json"], "");
    assert_eq!(output.status.code(), Some(6));
    let found: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("an array");
    let place = |found: &serde_json::Value| {
        format!(
            "{}:{} {}",
            found["file"], found["span"]["line"], found["severity"]
        )
    };
    assert!(found.len() >= 2, "{found:?}");
    assert!(
        found
            .iter()
            .all(|found| place(found).starts_with("\"broken.yaml\":"))
    );
}

#[test]
fn a_workflow_comes_on_stdin_too() {
    let project = Project::empty();
    assert_snapshot!(project.transcript_with(&["check", "-"], "workflow: [\n"));
}

#[test]
fn agents_are_checked_against_the_team_beside_the_file() {
    let project = Project::empty();
    project.write(
        "w/flow.yaml",
        "workflow: flow\nsteps:\n  - { id: a, assign: WEBD, prompt: Go. }\n",
    );
    project.write("w/agents.yaml", "agents:\n  WEBC: {}\n");
    assert_snapshot!(project.transcript(&["check", "w/flow.yaml"]));
}

#[test]
fn a_team_that_cannot_be_read_is_told_with_its_place() {
    let project = Project::empty();
    project.write("flow.yaml", SOUND);
    project.write("agents.yaml", "agents:\n  DC: { concurency: 2 }\n");
    assert_snapshot!(project.transcript(&["check", "flow.yaml"]));
}

#[test]
fn every_example_is_sound() {
    let project = Project::empty();
    for example in [
        "otters",
        "shell-agents",
        "trip-saga",
        "release-approval",
        "repo-audit",
    ] {
        let file = format!("{}/{example}/workflow.yaml", examples());
        let output = project.output(&["check", &file, "--deny", "warnings"], "");
        assert_eq!(output.status.code(), Some(0), "{example}: {output:?}");
    }
}

#[test]
fn a_workflow_is_drawn_in_every_notation() {
    let project = Project::empty();
    let file = format!("{}/otters/workflow.yaml", examples());
    for format in ["text", "mermaid", "dot", "json"] {
        let name = format!("graph_{format}");
        assert_snapshot!(
            name,
            project.transcript(&["graph", &file, "--format", format])
        );
    }
}

#[test]
fn warnings_are_errors_where_they_are_denied() {
    let project = Project::empty();
    project.write(
        "flow.yaml",
        "workflow: flow\nsteps:\n  - { id: a, if: false, prompt: Go. }\n",
    );
    let code = |arguments: &[&str]| project.output(arguments, "").status.code();
    assert_eq!(code(&["check", "flow.yaml"]), Some(0));
    assert_eq!(code(&["check", "flow.yaml", "--deny", "warnings"]), Some(6));
}

#[test]
fn fixing_writes_the_file_shows_each_change_and_tells_what_is_left() {
    let project = Project::empty();
    project.write(
        "flow.yaml",
        "workflow: flow\nsteps:\n  - id: a\n    promt: Go.\n    tiemout: 5m\n  - id: a\n    prompt: Stay.\n",
    );
    assert_snapshot!(project.transcript(&["check", "--fix", "flow.yaml"]));
    assert_eq!(
        std::fs::read_to_string(project.path("flow.yaml")).expect("the file is there"),
        "workflow: flow\nsteps:\n  - id: a\n    prompt: Go.\n    timeout: 5m\n  - id: a\n    prompt: Stay.\n"
    );
}

#[test]
fn standard_input_is_not_fixed() {
    let project = Project::empty();
    let text = "workflow: flow\nsteps:\n  - id: a\n    promt: Go.\n";
    assert_snapshot!(project.transcript_with(&["check", "--fix", "-"], text));
}

#[test]
fn the_form_of_every_answer_is_a_form_of_diagnostics_too() {
    let project = Project::empty();
    project.write("broken.yaml", BROKEN);
    let told = |arguments: &[&str]| project.output(arguments, "").stdout;
    let json = told(&["check", "broken.yaml", "--format", "json"]);
    assert_eq!(told(&["check", "broken.yaml", "-o", "json"]), json);
    let lines = String::from_utf8(told(&["check", "broken.yaml", "-o", "jsonl"])).expect("UTF-8");
    let all: Vec<serde_json::Value> = serde_json::from_slice(&json).expect("an array");
    assert_eq!(lines.lines().count(), all.len());
    let text = told(&["check", "broken.yaml", "--format", "text", "-o", "json"]);
    assert!(text.starts_with(b"error["), "{text:?}");
}

#[test]
fn a_code_is_explained_with_a_wrong_and_a_right_example() {
    let project = Project::empty();
    assert_snapshot!(project.transcript(&["explain", "PHI313"]));
    assert_snapshot!(
        "a_code_that_is_none_is_not_explained",
        project.transcript(&["explain", "PHI000"])
    );
}

#[test]
fn a_layout_is_checked_then_written_and_then_it_is_fine() {
    let project = Project::empty();
    project.write(
        "flow.yaml",
        "steps:\n- prompt: 'Go.' # why\n  id: a\nworkflow: flow\n",
    );
    assert_snapshot!(project.transcript(&["fmt", "--check", "flow.yaml"]));
    let code = |arguments: &[&str]| project.output(arguments, "").status.code();
    assert_eq!(code(&["fmt", "flow.yaml"]), Some(0));
    assert_eq!(code(&["fmt", "--check", "flow.yaml"]), Some(0));
    assert_snapshot!(
        "a_layout_is_answered_on_stdout_for_standard_input",
        project.transcript_with(
            &["fmt", "-"],
            "steps:\n- prompt: 'Go.' # why\n  id: a\nworkflow: flow\n"
        )
    );
    assert_snapshot!(
        "a_text_that_is_no_yaml_has_no_layout",
        project.transcript_with(&["fmt", "-"], "steps: [\n")
    );
}

#[test]
fn what_init_writes_points_at_the_schemas_that_it_writes() {
    let project = Project::initialised();
    for (file, kind) in [
        ("workflows/hello.yaml", "workflow"),
        ("agents.yaml", "agents"),
    ] {
        let text = std::fs::read_to_string(project.path(file)).expect("the file is there");
        let first = text.lines().next().expect("a first line");
        let (_, pointer) = first.split_once("$schema=").expect("it points at a schema");
        let folder = project.path(file);
        let schema = folder.parent().expect("a folder").join(pointer);
        let written = std::fs::read(&schema).expect("the schema is there");
        assert_eq!(written, project.output(&["schema", kind], "").stdout);
    }
    let laid_out = project.output(&["fmt", "--check", "workflows/hello.yaml"], "");
    assert_eq!(laid_out.status.code(), Some(0), "{laid_out:?}");
}

#[test]
fn two_versions_are_compared_and_the_number_is_told() {
    let project = Project::empty();
    project.write("old.yaml", "workflow: flow\nversion: \"1.0.0\"\nsteps:\n  - { id: a, prompt: Go. }\n  - { id: b, needs: a, prompt: Stay. }\n");
    project.write("new.yaml", "workflow: flow\nversion: \"1.1.0\"\ninputs:\n  why: string\nsteps:\n  - { id: a, prompt: Go. }\n");
    assert_snapshot!(project.transcript(&["diff", "old.yaml", "new.yaml"]));
    let same = project.output(&["diff", "old.yaml", "old.yaml"], "");
    assert_eq!(same.status.code(), Some(0));
    let told = project.output(&["diff", "old.yaml", "new.yaml", "-o", "json"], "");
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("an object");
    assert_eq!(told["version"], "2.0.0");
}

#[test]
fn what_is_said_and_drawn_is_the_same_in_every_process() {
    let project = Project::empty();
    project.write("broken.yaml", BROKEN);
    let incident = format!("{}/incident-response/workflow.yaml", examples());
    let audit = format!("{}/repo-audit/workflow.yaml", examples());
    for arguments in [
        &["check", "broken.yaml", "-o", "json"][..],
        &["check", &incident, &audit],
        &["graph", &incident, "--format", "dot"],
        &["graph", &audit, "--format", "json"],
        &["fmt", "--check", &incident],
        &["schema", "workflow"],
    ] {
        let once = project.output(arguments, "");
        let again = project.output(arguments, "");
        assert_eq!(once, again, "{arguments:?}");
    }
}

#[test]
fn files_that_are_checked_together_know_each_others_workflows() {
    let project = Project::empty();
    project.write(
        "callee.yaml",
        "workflow: callee\ninputs: { n: int }\nsteps:\n  - { id: wait, wait: 1m }\n",
    );
    project.write(
        "caller.yaml",
        "workflow: caller\nsteps:\n  - { id: one, call: { workflow: callee } }\n  \
         - { id: two, call: { workflow: elsewhere } }\n",
    );
    let alone = project.output(&["check", "caller.yaml"], "");
    assert_eq!(alone.status.code(), Some(0), "nobody is known");
    for order in [
        ["caller.yaml", "callee.yaml"],
        ["callee.yaml", "caller.yaml"],
    ] {
        let both = project.output(&["check", order[0], order[1], "--format", "json"], "");
        assert_eq!(both.status.code(), Some(6));
        let found: Vec<serde_json::Value> =
            serde_json::from_slice(&both.stdout).expect("an array of findings");
        let errors: Vec<_> = found
            .iter()
            .filter(|one| one["severity"] == "error")
            .collect();
        assert_eq!(errors.len(), 1, "{found:#?}");
        let message = errors[0]["message"].as_str().expect("words");
        assert!(message.contains("`n`"), "{message}");
    }
}

#[test]
fn a_sarif_log_has_every_finding_at_its_place_with_its_change() {
    let project = Project::empty();
    project.write("broken.yaml", BROKEN);
    project.write("so und.yaml", SOUND);
    let output = project.output(
        &["check", "broken.yaml", "so und.yaml", "--format", "sarif"],
        "",
    );
    assert_eq!(output.status.code(), Some(6));
    let log: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let plain = project.output(&["check", "broken.yaml", "--format", "json"], "");
    let plain: Vec<Value> = serde_json::from_slice(&plain.stdout).expect("an array");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("a list");
    let results = run["results"].as_array().expect("a list");
    assert_eq!(results.len(), plain.len());
    for (result, plain) in results.iter().zip(&plain) {
        let index = result["ruleIndex"].as_u64().expect("a number");
        assert_eq!(
            rules[usize::try_from(index).expect("small")]["id"],
            result["ruleId"]
        );
        assert_eq!(result["ruleId"], plain["code"]);
        let level = match plain["severity"].as_str() {
            Some("info") => "note",
            other => other.expect("a word"),
        };
        assert_eq!(result["level"], level);
        let text = result["message"]["text"].as_str().expect("a text");
        assert!(
            text.starts_with(plain["message"].as_str().expect("a text")),
            "{text}"
        );
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "broken.yaml");
        let (region, span) = (&place["region"], &plain["span"]);
        for (one, other) in [
            ("startLine", "line"),
            ("startColumn", "column"),
            ("endLine", "end_line"),
            ("endColumn", "end_column"),
        ] {
            assert_eq!(region[one], span[other]);
        }
        let edit = &plain["edit"];
        let replaced = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
        assert_eq!(edit.is_null(), replaced.is_null());
        assert_eq!(edit["replacement"], replaced["insertedContent"]["text"]);
    }
    let uris = run["artifacts"].as_array().expect("a list").iter();
    let uris: Vec<&Value> = uris.map(|artifact| &artifact["location"]["uri"]).collect();
    assert_eq!(uris, ["broken.yaml", "so%20und.yaml"]);
    assert!(rules.len() >= 2 && results.iter().any(|result| !result["fixes"].is_null()));
}
