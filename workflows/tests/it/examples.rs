//! The examples of the repository: they compile without a warning, and their pictures are reviewed.

use phisync_workflows::{Severity, SourceText, compile, render};

use crate::support::examples;

#[test]
fn every_example_compiles_but_for_what_this_version_does_not_run() {
    let mut said = String::new();
    for example in examples("workflow") {
        let source = SourceText::new(example.name.as_str(), example.text.as_str());
        let mut found = compile(&source, None).diagnostics;
        found.retain(|d| d.severity != Severity::Info);
        said.push_str(&render::text(&source, &found, false));
    }
    assert_eq!(said, "");
}

#[test]
fn every_example_is_drawn() {
    let all = examples("workflow");
    assert!(all.len() >= 17, "only {} examples", all.len());
    for example in all {
        let source = SourceText::new(example.name.as_str(), example.text.as_str());
        let machines = compile(&source, None).machines;
        let [machine] = &machines[..] else {
            unreachable!("an example is one workflow: {}", example.name)
        };
        let pictures = [
            render::graph::text(machine),
            render::graph::mermaid(machine),
            render::graph::dot(machine),
        ]
        .join("\n");
        insta::with_settings!({ snapshot_suffix => example.name, omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("example", pictures);
        });
    }
}
