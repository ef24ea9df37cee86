//! The examples run as their pages say, and `docs/examples.md` shows what they print.

use std::fs;
use std::path::{Path, PathBuf};

use phisync_tests::process::{Project, binary};
use serde_json::Value;

fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the package lies in the repository")
        .to_owned()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let copy = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_tree(&path, &copy);
        } else {
            // Keeps the permission to execute.
            fs::copy(&path, &copy).expect("a copy");
        }
    }
}

/// A project that holds the examples as the repository does.
fn project() -> Project {
    let project = Project::new([]);
    copy_tree(&repository().join("examples"), &project.path("examples"));
    project
}

/// The names of the examples that run as they are: those with agents of their own. The others are
/// compiled and drawn by the compiler's own tests.
fn names() -> Vec<String> {
    let entries = fs::read_dir(repository().join("examples")).expect("the examples");
    let entries = entries.map(|entry| entry.expect("an entry"));
    let complete = entries.filter(|entry| entry.path().join("agents.yaml").exists());
    let mut names: Vec<String> = complete
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A transcript without what differs from one execution to the next: sequences, times, hashes.
fn lasting(transcript: &str) -> String {
    let mut text = String::new();
    for line in transcript.lines() {
        match change_in(line) {
            Some(change) => text.push_str(&format!("     #  TIME  {change}\n")),
            None => text.push_str(&format!("{}\n", without_hash(line))),
        }
    }
    text
}

/// What a line of the log says after its sequence and its time.
fn change_in(line: &str) -> Option<&str> {
    let (seq, rest) = line.trim_start().split_once(' ')?;
    let (time, change) = rest.trim_start().split_once("  ")?;
    let is_log = seq.parse::<u64>().is_ok() && time.parse::<f64>().is_ok();
    is_log.then_some(change)
}

fn without_hash(line: &str) -> String {
    let is_hash = |word: &str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = line
        .split(' ')
        .map(|word| if is_hash(word) { "HASH" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The lines in an order of their own, for a log of steps that take turns as they like.
fn in_any_order(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// The transcripts in a page: blocks that begin with a command of ours and end with its exit code.
fn transcripts(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for block in page.split("```text\n$ phisync ").skip(1) {
        let (block, _) = block.split_once("```").expect("a block ends");
        let (command, output) = block.split_once('\n').expect("a command has a line");
        found.push((command.to_owned(), output.to_owned()));
    }
    found
}

#[test]
fn the_page_shows_what_every_example_prints() {
    let page = fs::read_to_string(repository().join("docs/examples.md")).expect("the page");
    let shown = transcripts(&page);
    for name in names() {
        let of_it = format!("examples/{name}/workflow.yaml");
        assert!(
            shown.iter().any(|(command, _)| command.contains(&of_it)),
            "{name} is not shown"
        );
    }
    for (command, output) in &shown {
        let project = project();
        let args: Vec<&str> = command.split(' ').collect();
        let finished = project.run(&args);
        let code = finished.code.expect("no signal ended it");
        let printed = format!("{}$ echo $?\n{code}\n", finished.stdout);
        let (mut said, mut expected) = (lasting(&printed), lasting(output));
        if command.contains("repo-audit") {
            (said, expected) = (in_any_order(&said), in_any_order(&expected));
        }
        let id = args.iter().skip_while(|arg| **arg != "--id").nth(1);
        let id = id.expect("every command of the page names its run");
        insta::assert_snapshot!(format!("example_{id}"), said, command);
        assert!(
            said == expected,
            "`{command}` prints otherwise than the page says:\n{printed}"
        );
    }
}

#[test]
fn every_example_is_right_without_a_warning() {
    let project = project();
    for name in names() {
        let file = format!("examples/{name}/workflow.yaml");
        let checked = project.run(&["check", "--deny", "warnings", &file]);
        assert_eq!(checked.code, Some(0), "{name}: {}", checked.stdout);
    }
}

#[test]
fn the_commands_of_every_example_page_end_as_they_should() {
    let mut commands = 0;
    for name in names() {
        let page = fs::read_to_string(repository().join(format!("examples/{name}/README.md")));
        let page = page.expect("every example has a page");
        for line in page
            .lines()
            .filter_map(|line| line.strip_prefix("cargo run -- "))
        {
            let args: Vec<&str> = line.split_whitespace().collect();
            let waits = name == "release-approval" && !args.contains(&"--approve");
            // The audit of everything is a test of its own, on a tree that nobody changes meanwhile.
            let of_this_directory = name == "repo-audit";
            if waits || of_this_directory {
                continue;
            }
            let expected = if name == "trip-saga" && !args.contains(&"car=small") {
                1
            } else {
                0
            };
            let finished = project().run(&args);
            assert_eq!(finished.code, Some(expected), "{line}: {}", finished.stderr);
            commands += 1;
        }
    }
    assert!(commands >= 5, "the pages have commands: {commands}");
}

#[test]
fn a_person_answers_from_another_terminal_and_only_who_may() {
    for (verb, code, status) in [("approve", 0, "completed"), ("reject", 1, "failed")] {
        let project = project();
        let running = project.start(&[
            "exec",
            "examples/release-approval/workflow.yaml",
            "--id",
            "release",
            "-o",
            "json",
        ]);
        let question = running.stderr_line(|line| line.contains("waits for a decision: "));
        assert!(
            question.contains("phisync approval approve release.sign_off"),
            "{question}"
        );

        let why = project.run(&["why", "release"]).expect_code(0);
        assert!(why.contains("release-manager"), "{why}");
        let listed = project.run(&["approval", "list"]).expect_code(0);
        assert!(listed.contains("release.sign_off"), "{listed}");
        let kim = project.run(&["approval", verb, "release.sign_off", "--as", "kim"]);
        assert_eq!(kim.code, Some(4), "{}", kim.stderr);
        let dana = project.run(&["approval", verb, "release.sign_off", "--as", "dana"]);
        assert_eq!(dana.code, Some(0), "{}", dana.stderr);

        let finished = running.finish();
        let record: Value = serde_json::from_str(&finished.stdout).expect("a record");
        assert_eq!(record["status"], status, "{}", finished.stderr);
        assert_eq!(finished.code, Some(code), "{}", finished.stderr);
        let decided = if verb == "approve" {
            "approved by dana"
        } else {
            "rejected by dana"
        };
        assert!(finished.stderr.contains(decided), "{}", finished.stderr);
    }
}

#[test]
fn a_rejection_given_with_the_command_ends_the_run_before_anything_is_published() {
    let project = project();
    let finished = project.run(&[
        "exec",
        "examples/release-approval/workflow.yaml",
        "--id",
        "release",
        "--reject",
        "sign_off",
    ]);
    let log = finished.expect_code(1);
    assert!(log.contains("approval.rejected"), "{log}");
    assert!(!log.contains("task publish"), "{log}");
}

#[test]
fn a_saga_that_fails_leaves_no_booking_and_one_that_succeeds_all() {
    let project = project();
    let ledger = project.path("target/trip-saga/ledger.txt");
    let file = "examples/trip-saga/workflow.yaml";
    let _log = project.run(&["exec", file, "--id", "none"]).expect_code(1);
    assert_eq!(fs::read_to_string(&ledger).expect("a ledger"), "");
    let _log = project
        .run(&["exec", file, "--id", "all", "-i", "car=small"])
        .expect_code(0);
    let bookings = fs::read_to_string(&ledger).expect("a ledger");
    assert_eq!(bookings, "flight-all\nhotel-all\ncar-all\n");
}

/// A project with a tree to audit that holds sources and pages of the repository, and a secret twice.
fn audited() -> Project {
    let project = project();
    for part in ["docs", "workflows"] {
        copy_tree(&repository().join(part), &project.path("tree").join(part));
    }
    // In two pieces, so that this file does not look like a leak itself.
    let secret = format!("key = \"{}{}\"\n", "AKIA", "Q3EGBMNZ7T2XWVKD");
    project.write("tree/deploy.toml", &secret);
    project.write("tree/copy/deploy.toml", &secret);
    project
}

const AUDIT: &str = "examples/repo-audit/workflow.yaml";

#[test]
fn the_audit_of_real_sources_finds_what_is_planted_there_and_writes_its_report() {
    let project = audited();
    let args = [
        "exec",
        AUDIT,
        "--id",
        "audit",
        "-i",
        "root=tree",
        "-o",
        "json",
    ];
    let record = project.run(&args).expect_code(0);
    let record: Value = serde_json::from_str(&record).expect("a record");
    let outputs = &record["outputs"];
    assert!(outputs["critical"].as_u64() >= Some(2), "{outputs}");
    assert!(outputs["lines_of_code"].as_u64() > Some(5000), "{outputs}");
    let report = outputs["report"].as_str().expect("a path");
    let report = fs::read_to_string(project.path(report)).expect("the report");
    assert!(report.contains("deploy.toml"), "{report}");
    assert!(
        !report.contains("Q3EGBMNZ7T2XWVKD"),
        "the secret itself is masked"
    );
    let log = record["log"].to_string();
    assert!(
        log.contains("task triage#1"),
        "critical findings are looked into: {log}"
    );
}

/// The team of the audit, whose VSSC waits for the file `go` before each of its tasks.
fn patient_team(project: &Project) {
    let phisync = binary().display();
    let team =
        fs::read_to_string(project.path("examples/repo-audit/agents.yaml")).expect("the team");
    let script = format!(
        "while [ ! -e go ]; do [ -d tree ] || exit 1; sleep 0.02; done; exec '{phisync}' demo-agent vssc"
    );
    let patient = team.replace(
        "[phisync, demo-agent, vssc]",
        &format!("[sh, -c, \"{script}\"]"),
    );
    assert_ne!(patient, team);
    project.write("examples/repo-audit/agents.yaml", &patient);
}

#[test]
fn an_audit_of_a_tree_that_changed_meanwhile_takes_its_report_away() {
    let project = audited();
    patient_team(&project);
    let running = project.start(&["exec", AUDIT, "--id", "audit", "-i", "root=tree"]);
    let _planned = running.stderr_line(|line| line.starts_with("plan: completed"));
    project.write("tree/new.txt", "not planned\n");
    project.write("go", "");
    let log = running.finish().expect_code(1);
    assert_eq!(
        log.matches("transient.tree_changed").count(),
        7,
        "five attempts, the step, the run: {log}"
    );
    assert!(log.contains("undo report#1"), "{log}");
    assert!(!project.path("target/repo-audit/report-audit.md").exists());
}

#[test]
fn an_audit_waits_until_the_tree_is_again_as_it_was() {
    let project = audited();
    patient_team(&project);
    let running = project.start(&["exec", AUDIT, "--id", "audit", "-i", "root=tree"]);
    let _planned = running.stderr_line(|line| line.starts_with("plan: completed"));
    project.write("tree/new.txt", "not planned\n");
    project.write("go", "");
    let _first = running.stderr_line(|line| line.starts_with("settle: will retry"));
    fs::remove_file(project.path("tree/new.txt")).expect("it was there");
    let log = running.finish().expect_code(0);
    assert!(log.contains("transient.tree_changed"), "{log}");
    assert!(project.path("target/repo-audit/report-audit.md").exists());
}
