//! What the tests of all agents share: small trees, and asking an agent about one as phisync does.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Failure, run};

/// A tree with these files, paths with `/`.
pub(crate) fn make_tree(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(dir.path(), path, text);
    }
    dir
}

pub(crate) fn write(dir: &Path, path: &str, text: &str) {
    let file = dir.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
}

pub(crate) fn root_of(dir: &TempDir) -> String {
    dir.path().to_str().unwrap().to_owned()
}

fn task(task_type: &str, dir: &TempDir, input: Value) -> String {
    let mut input = input;
    input["root"] = root_of(dir).into();
    task_without_root(task_type, &input)
}

fn task_without_root(task_type: &str, input: &Value) -> String {
    json!({
        "id": "tsk_1", "run": "r1", "workflow": "repo-audit", "step": "s", "attempt": 1, "token": 7,
        "type": task_type, "input": input, "key": "r1/s",
    })
    .to_string()
}

/// The result of a task about the tree in `dir`.
pub(crate) fn ask(agent: &str, task_type: &str, dir: &TempDir, input: Value) -> Value {
    let mut out = Vec::new();
    run(agent, &task(task_type, dir, input), &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// The failure of a task about the tree in `dir`.
pub(crate) fn refused(agent: &str, task_type: &str, dir: &TempDir, input: Value) -> Failure {
    let mut out = Vec::new();
    let failure = run(agent, &task(task_type, dir, input), &mut out).unwrap_err();
    assert!(out.is_empty());
    failure
}

fn failure_of(agent: &str, task: &str) -> String {
    run(agent, task, &mut Vec::new()).unwrap_err().to_string()
}

#[test]
fn a_result_is_one_line_and_the_same_bytes_again() {
    let dir = make_tree(&[("a.rs", "fn a() {}\n"), ("b.md", "# B\n[x](no)\n")]);
    for (agent, task_type) in [
        ("DC", "audit.plan"),
        ("Vssc", "audit.measure"),
        ("kalic", "audit.security"),
        ("webc", "audit.links"),
    ] {
        let ask = || {
            let mut out = Vec::new();
            run(agent, &task(task_type, &dir, json!({})), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let first = ask();
        assert_eq!(first.matches('\n').count(), 1, "{agent}");
        assert_eq!(first, ask(), "{agent}");
    }
}

#[test]
fn two_copies_of_a_tree_give_the_same_plan_but_for_its_root() {
    let files = [("a.rs", "fn a() {}\n"), ("d/b.md", "# B\n")];
    let plan = |dir: &TempDir| {
        let mut plan = ask("dc", "audit.plan", dir, json!({}));
        assert!(plan["root"].is_string());
        plan["root"] = Value::Null;
        plan
    };
    assert_eq!(plan(&make_tree(&files)), plan(&make_tree(&files)));
}

#[test]
fn what_an_agent_cannot_do_is_refused_by_name() {
    let look = |task_type| task_without_root(task_type, &json!({"root": "."}));
    assert_eq!(
        failure_of("dc", &look("audit.links")),
        "app.unknown_task: `dc` does not do tasks of type `audit.links`"
    );
    assert_eq!(
        failure_of("hal", &look("audit.plan")),
        "app.unknown_agent: there is no demonstration agent `hal`: one of dc, vssc, kalic, webc, cmdc"
    );
    assert_eq!(
        failure_of("dc", "{"),
        "app.bad_task: the task is not readable: EOF while parsing an object at line 1 column 1"
    );
}

#[test]
fn an_input_of_the_wrong_shape_is_refused_with_the_field() {
    let wrong = |input| failure_of("dc", &task_without_root("audit.plan", &input));
    assert_eq!(
        wrong(json!({})),
        "app.bad_input: the input of `audit.plan` is wrong: missing field `root`"
    );
    assert_eq!(
        wrong(json!({"root": ".", "rot": 1})),
        "app.bad_input: the input of `audit.plan` is wrong: unknown field `rot`, expected `root`"
    );
}

proptest::proptest! {
    #[test]
    fn agents_answer_about_any_text(
        text in "([a-c \\n#=`~!<>/|\u{e9}%-]|\\[a\\]|\\]\\(|\\]:|```|<!--|-->|<img |alt=\"|-----BEGIN |AKIA|token=\"|unsafe |fn a|\\{|\\}){0,60}",
        name in proptest::sample::select(vec!["a.md", "a.rs", "a.env", "a.py"]),
    ) {
        let dir = make_tree(&[(name, &text)]);
        for (agent, task_type) in [
            ("vssc", "audit.measure"),
            ("kalic", "audit.security"),
            ("webc", "audit.links"),
        ] {
            let result = ask(agent, task_type, &dir, json!({}));
            proptest::prop_assert!(result.is_object());
        }
    }
}
