//! The four notations of a graph.

use phisync_workflows::{SourceText, compile, render};

use crate::support::{fixtures, team};

#[test]
fn a_graph_reads_well_in_every_notation() {
    for fixture in fixtures("valid")
        .iter()
        .filter(|f| f.name == "every-key.yaml" || f.name == "joins.yaml")
    {
        let compiled = compile(&SourceText::new("x", &fixture.text), Some(&team()));
        let machine = &compiled.machines[0];
        let all = [
            render::graph::text(machine),
            render::graph::mermaid(machine),
            render::graph::dot(machine),
            render::graph::json(machine),
        ]
        .join("\n");
        let stem = fixture.name.trim_end_matches(".yaml");
        insta::with_settings!({ snapshot_suffix => stem, omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("graph", all);
        });
    }
}
