//! F11: a file system that is really mounted read-only.

use phisync_tests::process::Child;
use rustix::process::Signal;
use serde_json::Value;

use super::{may, project};

/// In a name space of its own, so that the mount goes with its last process. `$0` is phisync.
const MOUNT: &str = "mkdir mounted && mount -t tmpfs tmpfs mounted && cp agents.yaml mounted && mkdir -m 700 mounted/data";

fn allowed() -> bool {
    may(
        "a mount of one's own",
        "unshare -rm sh -c 'mount -t tmpfs tmpfs /mnt && mount -o remount,ro /mnt'",
    )
}

#[test]
fn on_a_read_only_mount_serve_ends_with_74_and_shows_what_is_there_if_asked_to() {
    if !allowed() {
        return;
    }
    let project = project();
    let script = format!(
        "exec unshare -rm sh -c '{MOUNT}
        export PHISYNC_DATA=mounted/data
        \"$0\" run start hold.yaml --id kept >/dev/null || exit 1
        mount -o remount,ro mounted || exit 2
        \"$0\" serve --listen 127.0.0.1:0; echo \"ended with $?\"
        \"$0\" run list; echo \"ended with $?\"
        exec \"$0\" serve --read-only --listen 127.0.0.1:0' \"$0\""
    );
    let mut shell = Child::start(project.shell(&script), b"");
    let served = shell.stdout_line(|line| line.starts_with("ended with"));
    let ready = shell.stdout_line(|line| line.contains("\"ready\""));
    assert_eq!(served, "ended with 74");
    let ready: Value = serde_json::from_str(&ready).expect("JSON");
    let health = phisync_tests::process::Http::new(ready["url"].as_str().expect("a URL"), "none");
    let health = health.get("/healthz").expect(200);
    assert_eq!(health["status"], "read_only", "{health}");
    shell.signal(Signal::TERM);
    let finished = shell.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let errors = finished.stderr.lines().filter(|l| l.starts_with("error:"));
    assert!(errors.count() >= 1, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("serve --read-only"),
        "it says what helps: {}",
        finished.stderr
    );
}
