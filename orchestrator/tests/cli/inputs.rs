//! Inputs as typed: text where text is meant, JSON where it is not, files where named.

use insta::assert_snapshot;

use crate::project::Project;

const TYPED: &str = "\
workflow: typed
inputs:
  name: string
  count: { type: integer, minimum: 1 }
  tags: { type: array, items: { type: string }, default: [] }
  mood: { enum: [good, bad], default: good }
outputs:
  all: ${{ inputs }}
steps:
  - id: end
    if: false
    assign: { capabilities: [greet] }
    prompt: Nothing.
";

fn project() -> Project {
    let project = Project::initialised();
    project.write("typed.yaml", TYPED);
    project
}

#[test]
fn a_string_stays_text_and_everything_else_is_json() {
    let inputs = [
        "-i",
        "name=007",
        "-i",
        "count=3",
        "-i",
        "tags=[\"a\"]",
        "-i",
        "mood=bad",
    ];
    let done = project().json(&[&["exec", "typed.yaml"], &inputs[..]].concat());
    assert_eq!(
        done["outputs"]["all"].to_string(),
        r#"{"name":"007","count":3,"tags":["a"],"mood":"bad"}"#
    );
}

#[test]
fn a_file_holds_one_value_or_all_of_them() {
    let project = project();
    project.write("name.txt", "from a file");
    project.write("all.yaml", "name: from YAML\ncount: 2\n");
    let arguments = [
        "exec",
        "typed.yaml",
        "--input-file",
        "all.yaml",
        "-i",
        "name=@name.txt",
    ];
    let done = project.json(&arguments);
    assert_eq!(done["outputs"]["all"]["name"], "from a file");
    assert_eq!(done["outputs"]["all"]["count"], 2);
}

#[test]
fn everything_that_does_not_fit_is_told_at_once() {
    assert_snapshot!(project().transcript(&[
        "exec",
        "typed.yaml",
        "-i",
        "count=0",
        "-i",
        "nmae=x"
    ]));
}

#[test]
fn a_flag_without_a_name_or_given_twice_is_a_usage_error() {
    assert_snapshot!(project().transcript(&["exec", "typed.yaml", "-i", "name"]));
    assert_snapshot!(project().transcript(&["exec", "typed.yaml", "-i", "name=a", "-i", "name=b"]));
}

#[test]
fn a_file_of_inputs_with_a_name_that_stands_twice_is_refused() {
    let project = project();
    project.write("twice.json", "{\"name\": \"a\", \"name\": \"b\"}");
    assert_snapshot!(project.transcript(&["exec", "typed.yaml", "--input-file", "twice.json"]));
}
