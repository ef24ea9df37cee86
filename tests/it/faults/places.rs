//! X4: the data directory that a server works in is taken away, and another one is in its place.

use std::fs;

use phisync_tests::process::Server;

use super::{project, register, runs, start};

#[test]
fn a_server_whose_directory_was_moved_away_ends_and_touches_nothing_of_the_next_one() {
    let project = project();
    let first = Server::start(&project);
    register(&first.owner(&project));
    start(&first.owner(&project), "of-the-first");
    fs::rename(project.data(), project.path("elsewhere")).expect("moved");
    let second = Server::start(&project);
    let finished = first.finish();
    assert_eq!(finished.code, Some(75), "{}", finished.stderr);
    let owner = second.owner(&project);
    register(&owner);
    start(&owner, "of-the-second");
    assert_eq!(runs(&owner), ["of-the-second"]);
    second.stop();
    let _sound = project.run(&["store", "fsck"]).expect_code(0);
    let elsewhere = ["store", "fsck", "--data", "elsewhere"];
    let _sound = project.run(&elsewhere).expect_code(0);
    let kept = project.run(&["run", "list", "--data", "elsewhere"]);
    assert!(kept.expect_code(0).contains("of-the-first"));
}
