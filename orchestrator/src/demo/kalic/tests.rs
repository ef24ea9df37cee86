//! What KALIC finds, and what it rightly leaves alone.

use serde_json::{Value, json};

use crate::demo::tests::{ask, make_tree};

/// Characters of no meaning, never written as one literal: this repository is audited by itself.
fn aws_key() -> String {
    format!("{}{}", "AKIA", "Q7RK2ZPX9VTN4LWB")
}

fn lines(security: &Value) -> Vec<String> {
    security["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            format!(
                "{} {}:{} {} {}",
                finding["severity"].as_str().unwrap(),
                finding["path"].as_str().unwrap(),
                finding["line"],
                finding["rule"].as_str().unwrap(),
                finding["message"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn findings_are_worst_first_and_secrets_are_masked() {
    let dir = make_tree(&[
        ("src/ffi.rs", "// unsafe\nunsafe fn f() {}\n"),
        ("conf/aws.toml", &format!("id = \"{}\"\n", aws_key())),
    ]);
    let security = ask("kalic", "audit.security", &dir, json!({}));
    assert_eq!(
        lines(&security),
        [
            "critical conf/aws.toml:1 secret.aws_access_key a credential: AKIA... (20 characters)",
            "medium src/ffi.rs:2 code.unsafe an unsafe function",
        ]
    );
    assert_eq!(security["critical"], 1);
    assert_eq!(security["medium"], 1);
    assert!(!security.to_string().contains(&aws_key()));
}

#[test]
fn unsafe_counts_as_code_and_not_as_text() {
    let dir = make_tree(&[(
        "a.rs",
        "#![forbid(unsafe_code)]\n/* unsafe /* unsafe */ unsafe */\nlet s = \"unsafe { }\";\nlet r = r#\"unsafe\"#;\nlet c = '\"'; unsafe { x() }\nunsafe impl Send for A {}\n",
    )]);
    let security = ask("kalic", "audit.security", &dir, json!({}));
    assert_eq!(
        lines(&security),
        [
            "medium a.rs:5 code.unsafe an unsafe block",
            "medium a.rs:6 code.unsafe an unsafe implementation",
        ]
    );
}

#[test]
fn unsafe_in_prose_is_no_finding() {
    let dir = make_tree(&[("README.md", "unsafe { x() }\n")]);
    let security = ask("kalic", "audit.security", &dir, json!({}));
    assert_eq!(security["findings"], json!([]));
}

#[test]
fn more_findings_than_are_listed_are_still_counted() {
    let dir = make_tree(&[("a.rs", &"unsafe {}\n".repeat(230))]);
    let security = ask("kalic", "audit.security", &dir, json!({}));
    assert_eq!(security["medium"], 230);
    assert_eq!(security["findings"].as_array().unwrap().len(), 200);
    assert_eq!(security["omitted"], 30);
}

#[cfg(unix)]
#[test]
fn careless_permissions_are_found_and_usual_ones_are_not() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    let key = format!(
        "-----BEGIN {} KEY-----\n{}\n",
        "PRIVATE",
        "Q7rk2ZPX".repeat(8)
    );
    let files = [
        ("ok.sh", "#!/bin/sh\n", 0o755),
        ("ok.md", "# A\n", 0o644),
        ("open.txt", "", 0o666),
        ("setuid", "\u{7f}ELF", 0o4755),
        ("data.json", "{}", 0o755),
        ("tool.txt", "#!/bin/sh\n", 0o755),
        ("private.pem", &key, 0o600),
        ("shared.pem", &key, 0o640),
    ];
    let dir = make_tree(&files.map(|(path, text, _)| (path, text)));
    for (path, _, mode) in files {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (name, mode) in [("drop", 0o777), ("tmp", 0o1777)] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let security = ask("kalic", "audit.security", &dir, json!({}));
    assert_eq!(
        lines(&security),
        [
            "critical private.pem:1 secret.private_key a private key",
            "critical shared.pem:1 secret.private_key a private key",
            "high drop:0 permissions.world_writable anybody may write into this directory (mode 0777)",
            "high open.txt:0 permissions.world_writable anybody may change this file (mode 0666)",
            "high setuid:0 permissions.set_id runs with its owner's or group's rights (mode 4755)",
            "high shared.pem:0 permissions.key_readable others may read this private key (mode 0640)",
            "low data.json:0 permissions.executable_data json is executable (mode 0755)",
        ]
    );
}

#[test]
fn triage_finds_every_copy_of_a_critical_secret() {
    let key = aws_key();
    let dir = make_tree(&[
        ("a.env", &format!("AWS_ID={key}\n")),
        ("docs/setup.md", &format!("First\nset `{key}` and go.\n")),
        ("b.txt", "nothing\n"),
    ]);
    let security = ask("kalic", "audit.security", &dir, json!({}));
    let triage = ask(
        "kalic",
        "audit.triage",
        &dir,
        json!({"findings": security["findings"]}),
    );
    assert_eq!(
        triage,
        json!({
            "secrets": 1,
            "places": 2,
            "items": [{
                "rule": "secret.aws_access_key",
                "secret": "AKIA... (20 characters)",
                "places": ["a.env:1", "docs/setup.md:2"],
                "omitted": 0,
                "remedy": "revoke it where it was issued, issue another and keep that outside the tree",
            }],
        })
    );
}

#[test]
fn triage_looks_for_critical_findings_alone() {
    let other = format!("{}{}", "AKIA", "Z9X8TN4LWBQ7RK2P");
    let dir = make_tree(&[("a.env", &format!("A={}\nB={other}\n", aws_key()))]);
    let security = ask("kalic", "audit.security", &dir, json!({}));
    let mut findings = security["findings"].clone();
    findings[0]["severity"] = "high".into();
    let triage = ask("kalic", "audit.triage", &dir, json!({"findings": findings}));
    assert_eq!(triage["secrets"], 1);
    assert_eq!(triage["items"][0]["places"], json!(["a.env:2"]));
}

#[test]
fn triage_counts_the_places_that_it_does_not_list() {
    let dir = make_tree(&[("a.txt", &format!("{}\n", aws_key()).repeat(23))]);
    let security = ask("kalic", "audit.security", &dir, json!({}));
    let triage = ask(
        "kalic",
        "audit.triage",
        &dir,
        json!({"findings": security["findings"]}),
    );
    assert_eq!(triage["places"], 23);
    assert_eq!(triage["items"][0]["places"].as_array().unwrap().len(), 10);
    assert_eq!(triage["items"][0]["omitted"], 13);
}

#[test]
fn triage_tells_two_private_keys_apart() {
    let key = |seed: &str| format!("-----BEGIN {} KEY-----\n{}\n", "PRIVATE", seed.repeat(8));
    let dir = make_tree(&[
        ("a.pem", &key("Q7rk2ZPX")),
        ("b.pem", &key("Zk81mmQe")),
        ("copy.pem", &key("Q7rk2ZPX")),
    ]);
    let security = ask("kalic", "audit.security", &dir, json!({}));
    let triage = ask(
        "kalic",
        "audit.triage",
        &dir,
        json!({"findings": security["findings"]}),
    );
    assert_eq!(triage["secrets"], 2);
    assert_eq!(
        triage["items"][0]["places"],
        json!(["a.pem:2", "copy.pem:2"])
    );
    assert_eq!(triage["items"][1]["places"], json!(["b.pem:2"]));
}
