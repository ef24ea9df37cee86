//! F12 over everything: one byte of any file of a real data directory is another one.

use std::fs;
use std::path::{Path, PathBuf};

use phisync_state::env::{Entropy as _, SeededEntropy};
use phisync_tests::process::{Project, Server};
use serde_json::json;

use super::{copy, project, register, start};

/// How many flips are tried; more with `PHISYNC_FLIPS`.
const FLIPS: u64 = 32;

/// A directory with everything in it: closed runs in archives, a snapshot, open runs, documents, a token.
fn furnished() -> Project {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    register(&owner);
    for number in 0..6 {
        start(&owner, &format!("run-{number}"));
    }
    for number in 0..3 {
        let path = format!("/v1/runs/run-{number}/cancel");
        let _cancelled = owner.post(&path, &json!({})).expect(200);
    }
    let new = owner.clone().with("if-none-match", "*");
    let body = json!({ "notes": "x".repeat(2000) }).to_string();
    let kind = Some("application/json");
    let put = new.send("PUT", "/v1/documents/notes", kind, body.as_bytes());
    assert_eq!(put.status, 200, "{}", put.body);
    let viewer = json!({ "role": "viewer" });
    let _token = owner.post("/v1/tokens", &viewer).expect(201);
    let _taken = owner.post("/v1/snapshots", &json!({})).expect(200);
    start(&owner, "run-after");
    server.stop();
    project
}

/// All files below a directory, sorted.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

/// What a data directory says: every record, and every run. An error is what it said instead.
fn says(project: &Project, data: &str) -> Result<String, String> {
    let mut all = String::new();
    for command in [&["store", "dump"][..], &["run", "list", "-o", "json"]] {
        let finished = project.run(&[command, &["--data", data]].concat());
        match finished.code {
            Some(0) => all.push_str(&finished.stdout),
            // A panic has 101, a signal none.
            Some(code @ (1..=8 | 70..=78)) => {
                let words = finished.stderr;
                assert!(
                    words.starts_with("error:"),
                    "{code} without a word: {words}"
                );
                return Err(words);
            }
            code => panic!("{command:?} ended with {code:?}: {}", finished.stderr),
        }
    }
    Ok(all)
}

#[test]
fn a_flipped_byte_of_any_file_is_refused_or_changes_nothing_that_is_said() {
    let asked = std::env::var("PHISYNC_FLIPS").ok();
    let flips = asked.and_then(|n| n.parse().ok()).unwrap_or(FLIPS);
    let project = furnished();
    let whole = says(&project, ".phisync").expect("it is sound");
    assert!(whole.contains("run-after"), "{whole}");
    let names = files(&project.data());
    let relative = |path: &PathBuf| path.strip_prefix(project.data()).expect("below").to_owned();
    let names: Vec<PathBuf> = names.iter().map(relative).collect();
    assert!(names.len() > 10, "{names:?}");
    let mut refused = 0;
    for seed in 0..flips {
        let mut dice = SeededEntropy::new(seed);
        let mut throw = |sides: usize| {
            usize::try_from(dice.next_u64() % sides.max(1) as u64).expect("a small number")
        };
        let data = format!("flipped-{seed}");
        copy(&project.data(), &project.path(&data));
        // Every file has its turn, however small.
        let name = &names[usize::try_from(seed).expect("few") % names.len()];
        let path = project.path(&data).join(name);
        let mut bytes = fs::read(&path).expect("a file");
        let place = throw(bytes.len());
        let bit = 1 << throw(8);
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= bit;
            fs::write(&path, &bytes).expect("written");
        }
        let what = format!(
            "{}: bit {bit:#x} of byte {place}, seed {seed}",
            name.display()
        );
        match says(&project, &data) {
            Ok(said) => assert_eq!(said, whole, "{what}"),
            Err(_) => refused += 1,
        }
        fs::remove_dir_all(project.path(&data)).expect("removed");
    }
    assert!(
        refused > 0,
        "not one of {flips} flips hit anything that counts"
    );
}
