//! Commands that cannot do what they are told to.

use phisync_tests::process::{Finished, Server};
use serde_json::{Value, json};

use super::{COUNT, head, project};

/// A command as a person sees it, with what differs from run to run replaced.
fn transcript(args: &[&str], finished: &Finished, replace: &[(&str, &str)]) -> String {
    let mut text = format!("$ phisync {}\n", args.join(" "));
    for stream in [&finished.stdout, &finished.stderr] {
        text.push_str(stream);
    }
    text.push_str(&format!(
        "exit code {}\n",
        finished.code.expect("no signal ended it")
    ));
    for (from, to) in replace {
        text = text.replace(from, to);
    }
    text
}

#[test]
fn a_wrong_workflow_gives_all_its_errors_at_once_with_their_places() {
    let project = project();
    let args = ["check", "wrong.yaml"];
    let checked = transcript(&args, &project.run(&args), &[]);
    insta::assert_snapshot!("check_of_a_wrong_workflow", checked);
    assert!(checked.ends_with("exit code 6\n"));

    let found = project
        .run(&["check", "--format", "json", "wrong.yaml"])
        .expect_code(6);
    let found: Vec<Value> = serde_json::from_str(&found).expect("an array");
    assert_eq!(found.len(), checked.matches(" --> wrong.yaml:").count());
    for finding in found {
        let (line, column) = (&finding["span"]["line"], &finding["span"]["column"]);
        assert!(
            line.is_u64() && column.is_u64(),
            "it has a place: {finding}"
        );
    }

    let executed = project.run(&["exec", "wrong.yaml"]);
    let _words = executed.expect_code(6);
    assert!(!project.data().exists(), "nothing was begun");
}

#[test]
fn what_is_missing_or_misspelt_is_named_with_its_exit_code() {
    let project = project();
    let mut seen = String::new();
    for args in [
        &["check", "nothing.yaml"][..],
        &["exec", "nothing.yaml"],
        &["serve", "--lisen", "127.0.0.1:0"],
        &["serve", "--listen", "here"],
        &["run", "show", "nobody"],
        &["agent", "work", "--as", "DC", "--", "true"],
        &["exec", "count.yaml", "-i", "words=0"],
        &[
            "exec",
            "count.yaml",
            "-i",
            "words=3",
            "--agents",
            "nobody.yaml",
        ],
    ] {
        seen.push_str(&transcript(args, &project.run(args), &[]));
        seen.push('\n');
    }
    insta::assert_snapshot!("what_is_missing_or_misspelt", seen);
    assert!(!project.data().exists(), "nothing was begun");
}

#[test]
fn a_taken_port_and_a_directory_in_use_are_told_and_harm_nobody() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": COUNT, "id": "before", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let before = head(&owner);
    let address = server.address().to_string();
    let pid = server.ready["pid"].to_string();
    let mut seen = String::new();
    for args in [
        &["--data", "elsewhere", "serve", "--listen", &address][..],
        &["serve", "--listen", "127.0.0.1:0"],
        &[
            "exec",
            "count.yaml",
            "-i",
            "words=3",
            "--agents",
            "crew.yaml",
        ],
    ] {
        let replace = [(address.as_str(), "ADDRESS"), (pid.as_str(), "PID")];
        seen.push_str(&transcript(args, &project.run(args), &replace));
        seen.push('\n');
    }
    insta::assert_snapshot!("a_taken_port_and_a_directory_in_use", seen);
    assert_eq!(head(&owner), before);
    let run = owner.get("/v1/runs/before").expect(200);
    assert_eq!(run["status"], "running");
    server.stop();
}
