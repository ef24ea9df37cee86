//! F13: whatever somebody does to a view, the next server makes it again from the journal.

use std::fs;
use std::path::{Path, PathBuf};

use phisync_tests::process::{Project, Server, eventually};
use serde_json::{Value, json};

use super::{project, register, start};

/// The views of a project, of both directories.
fn views(project: &Project) -> Vec<PathBuf> {
    let directories = ["state", "documents"].map(|name| project.data().join(name));
    let mut views: Vec<PathBuf> = directories
        .iter()
        .flat_map(|directory| fs::read_dir(directory).expect("a directory"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    views.sort();
    views
}

/// What a view shows; null if it is none.
fn shown(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_default();
    let view: Value = serde_json::from_str(&text).unwrap_or_default();
    view["body"].clone()
}

/// What is done to a view, and how.
type Damage = (&'static str, fn(&Path));

fn edit(path: &Path) {
    let text = fs::read_to_string(path).expect("a view");
    let edited = text.replacen("\"body\":{", "\"body\":{\"forged\":true,", 1);
    assert_ne!(edited, text);
    fs::write(path, edited).expect("written");
}

fn delete(path: &Path) {
    fs::remove_file(path).expect("removed");
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).expect("a view");
    fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
}

fn replace_by_directory(path: &Path) {
    fs::remove_file(path).expect("removed");
    fs::create_dir(path).expect("made");
    fs::write(path.join("mine"), "kept").expect("written");
}

#[test]
fn views_that_are_edited_deleted_truncated_or_replaced_by_a_directory_are_made_again() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    register(&owner);
    start(&owner, "open");
    let new = owner.clone().with("if-none-match", "*");
    let kind = Some("application/json");
    let put = new.send("PUT", "/v1/documents/plan", kind, br#"{"goal":"whole"}"#);
    assert_eq!(put.status, 200, "{}", put.body);
    server.stop();
    let paths = views(&project);
    let names: Vec<_> = paths.iter().filter_map(|path| path.file_stem()).collect();
    assert_eq!(
        names,
        ["plan", "agent-health", "approval-queue", "workflow-open"]
    );
    let before: Vec<Value> = paths.iter().map(|path| shown(path)).collect();
    assert!(before.iter().all(|body| !body.is_null()), "{before:?}");

    let damages: [Damage; 4] = [
        ("edited", edit),
        ("deleted", delete),
        ("truncated", truncate),
        ("a directory", replace_by_directory),
    ];
    for (damage, inflict) in damages {
        paths.iter().for_each(|path| inflict(path));
        let server = Server::start(&project);
        for (path, before) in paths.iter().zip(&before) {
            let what = format!("{} after it was {damage}", path.display());
            eventually(&what, || (shown(path) == *before).then_some(()));
        }
        server.stop();
        let fsck = project.run(&["store", "fsck", "-o", "json"]).expect_code(0);
        let fsck: Value = serde_json::from_str(&fsck).expect("JSON");
        assert_eq!(fsck["damaged_views"], json!([]), "after they were {damage}");
    }
    for path in &paths {
        let aside = path.with_extension("json.aside");
        let kept = fs::read_to_string(aside.join("mine"));
        assert_eq!(kept.expect("what was not ours is kept"), "kept");
    }
}
