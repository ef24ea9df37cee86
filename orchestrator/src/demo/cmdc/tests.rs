//! Reports written, kept and taken away, each below a base directory of its own.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::demo::tests::{ask, make_tree};

/// The order that the workflow gives for the tree in `dir`, its root renamed to one that does not
/// depend on the machine.
fn order_for(dir: &TempDir, out_dir: &str) -> Value {
    let mut plan = ask("dc", "audit.plan", dir, json!({}));
    plan["root"] = "the/tree".into();
    let security = ask("kalic", "audit.security", dir, json!({}));
    let triage = ask(
        "kalic",
        "audit.triage",
        dir,
        json!({"findings": security["findings"]}),
    );
    json!({
        "out_dir": out_dir,
        "plan": plan,
        "measures": ask("vssc", "audit.measure", dir, json!({})),
        "security": security,
        "links": ask("webc", "audit.links", dir, json!({})),
        "triage": triage["items"],
    })
}

fn order(value: Value) -> Order {
    serde_json::from_value(value).unwrap()
}

fn small_order(out_dir: &str) -> Order {
    order(order_for(&make_tree(&[("a.rs", "fn a() {}\n")]), out_dir))
}

fn withdrawal(written: &Written) -> Withdrawal {
    Withdrawal {
        path: written.path.clone(),
        sha256: written.sha256.clone(),
    }
}

#[test]
fn the_report_tells_everything_that_was_found() {
    let key = format!("{}{}", "AKIA", "Q7RK2ZPX9VTN4LWB");
    let dir = make_tree(&[
        (
            "src/main.rs",
            "// TODO: less\nfn main() {\n    unsafe { go() }\n}\n",
        ),
        ("conf.toml", &format!("id = \"{key}\"\n")),
        ("README.md", "# A\n### B\n[gone](gone|x.md)\n"),
    ]);
    let base = tempfile::tempdir().unwrap();
    let written = report_below(base.path(), "r1", &order(order_for(&dir, "out"))).unwrap();
    let page = fs::read_to_string(base.path().join(&written.path)).unwrap();
    insta::assert_snapshot!(page);
    assert_eq!(
        written.summary,
        "3 files, 4 lines of code, 2 security findings (1 critical), 1 broken link"
    );
}

#[test]
fn a_report_is_written_once_and_its_hash_is_the_files() {
    let base = tempfile::tempdir().unwrap();
    let order = small_order("a/b");
    let written = report_below(base.path(), "r1", &order).unwrap();
    assert_eq!(written.path, "a/b/report-r1.md");
    let bytes = fs::read(base.path().join(&written.path)).unwrap();
    assert_eq!(sha256(&bytes), written.sha256);
    assert_eq!(bytes.len(), written.bytes);

    let again = report_below(base.path(), "r1", &order).unwrap();
    assert_eq!(again.sha256, written.sha256);
    let left: Vec<_> = fs::read_dir(base.path().join("a/b")).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file is left");
}

#[test]
fn a_file_of_somebody_else_is_not_replaced() {
    let base = make_tree(&[("out/report-r1.md", "mine")]);
    let failure = report_below(base.path(), "r1", &small_order("out")).unwrap_err();
    assert_eq!(failure.code, "app.report_exists");
    let there = fs::read_to_string(base.path().join("out/report-r1.md")).unwrap();
    assert_eq!(there, "mine");
}

#[test]
fn a_report_stays_below_the_current_directory() {
    let base = tempfile::tempdir().unwrap();
    for out_dir in ["..", "a/../..", "/tmp", ".", ""] {
        let failure = report_below(base.path(), "r1", &small_order(out_dir)).unwrap_err();
        assert_eq!(failure.code, "app.bad_path", "{out_dir}");
    }
    for run in ["", "../x", "A", "r/1"] {
        let failure = report_below(base.path(), run, &small_order("out")).unwrap_err();
        assert_eq!(failure.code, "app.bad_path", "{run}");
    }
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_does_not_lead_the_report_elsewhere() {
    let elsewhere = tempfile::tempdir().unwrap();
    let base = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), base.path().join("out")).unwrap();
    let failure = report_below(base.path(), "r1", &small_order("out/deep")).unwrap_err();
    assert_eq!(failure.code, "app.bad_path");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn an_undone_report_is_gone_and_undoing_it_again_is_fine() {
    let base = tempfile::tempdir().unwrap();
    let written = report_below(base.path(), "r1", &small_order("out")).unwrap();
    assert!(
        unreport_below(base.path(), &withdrawal(&written))
            .unwrap()
            .removed
    );
    assert!(!base.path().join(&written.path).exists());
    assert!(
        !unreport_below(base.path(), &withdrawal(&written))
            .unwrap()
            .removed
    );
}

#[test]
fn a_report_that_somebody_changed_is_not_removed() {
    let base = tempfile::tempdir().unwrap();
    let written = report_below(base.path(), "r1", &small_order("out")).unwrap();
    let path = base.path().join(&written.path);
    fs::write(&path, "my notes").unwrap();
    let failure = unreport_below(base.path(), &withdrawal(&written)).unwrap_err();
    assert_eq!(failure.code, "app.report_changed");
    assert_eq!(fs::read_to_string(&path).unwrap(), "my notes");
}

#[test]
fn without_a_path_there_is_nothing_to_undo() {
    let base = tempfile::tempdir().unwrap();
    let nothing = Withdrawal {
        path: String::new(),
        sha256: String::new(),
    };
    assert!(!unreport_below(base.path(), &nothing).unwrap().removed);
    let outside = Withdrawal {
        path: "../x".to_owned(),
        sha256: String::new(),
    };
    let failure = unreport_below(base.path(), &outside).unwrap_err();
    assert_eq!(failure.code, "app.bad_path");
}
