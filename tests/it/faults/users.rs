//! N10: another user of the machine, who finds nothing to read, to change or to list.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use phisync_tests::process::{Child, Project, Server};

use super::{may, project, register, start};

/// Somebody who owns nothing.
const AS_NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// Tries everything on the data directory `$1`, and says what worked.
const TRIES: &str = r#"
for file in $(cat names); do cat ".phisync/$file" >/dev/null 2>&1 && echo "read $file"; done
for file in $(cat names); do (echo x >>".phisync/$file") 2>/dev/null && echo "wrote $file"; done
ls .phisync >/dev/null 2>&1 && echo listed
(echo x >.phisync/new) 2>/dev/null && echo made
rm -rf .phisync 2>/dev/null && echo removed
cat names >/dev/null && echo "could have"
"#;

/// The names of all files below the data directory, a line each.
fn names(project: &Project) -> String {
    let list = project.shell("cd .phisync && find . -type f");
    Child::start(list, b"").finish().expect_code(0)
}

#[test]
fn another_user_reads_changes_and_lists_nothing() {
    let project = project();
    let open = Permissions::from_mode(0o755);
    fs::set_permissions(project.root(), open).expect("it is ours");
    let there = format!("cd '{}' && {AS_NOBODY} ls", project.root().display());
    if !may("to become another user", &there) {
        return;
    }
    let server = Server::start(&project);
    let owner = server.owner(&project);
    register(&owner);
    start(&owner, "open");
    let _taken = owner
        .post("/v1/snapshots", &serde_json::json!({}))
        .expect(200);
    let names = names(&project);
    assert!(names.contains("admin.token") && names.contains("journal/"));
    project.write("names", &names);
    project.write("tries.sh", TRIES);
    let tries = project.shell(&format!("exec {AS_NOBODY} sh tries.sh"));
    let tried = Child::start(tries, b"").finish();
    assert_eq!(tried.stdout, "could have\n", "{}", tried.stderr);
    server.stop();
    let _sound = project.run(&["store", "fsck"]).expect_code(0);
}
