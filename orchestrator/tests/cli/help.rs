//! Every command explains itself.

use insta::assert_snapshot;

use crate::project::Project;

/// All commands, as typed.
const COMMANDS: &[&str] = &[
    "",
    "init",
    "exec",
    "serve",
    "check",
    "graph",
    "run",
    "run start",
    "run list",
    "run show",
    "run events",
    "run result",
    "run wait",
    "run cancel",
    "why",
    "task",
    "task poll",
    "task heartbeat",
    "task complete",
    "task fail",
    "agent",
    "agent list",
    "agent work",
    "approval",
    "approval list",
    "approval approve",
    "approval reject",
    "incident",
    "incident list",
    "incident retry",
    "token create",
    "store fsck",
    "store dump",
];

#[test]
fn every_command_explains_itself() {
    let project = Project::empty();
    for command in COMMANDS {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("-h");
        let name = format!("help {command}").trim().replace(' ', "_");
        assert_snapshot!(name, project.transcript(&arguments));
    }
}
