//! What makes two texts the same workflow.

use phisync_workflows::{SourceText, compile};

use crate::support::{compile_text, fixtures};

const PLAIN: &str = "workflow: otters\nsteps:\n  - id: facts\n    assign: WEBC\n    prompt: Find facts.\n    retry: { max_attempts: 2, delay: 5s }\n";

fn hash(text: &str) -> String {
    let compiled = compile_text(text);
    assert!(!compiled.has_errors(), "{:?}", compiled.diagnostics);
    compiled.machines[0].hash().to_owned()
}

#[test]
fn another_layout_is_the_same_definition() {
    let reordered = "# A comment.\nsteps: [ { prompt: 'Find facts.', id: \"facts\",\n  retry: {delay: 5s, max_attempts: 2}, assign: WEBC } ]\n\nworkflow: otters\n";
    assert_eq!(hash(PLAIN), hash(reordered));
}

#[test]
fn another_word_is_another_definition() {
    assert_ne!(hash(PLAIN), hash(&PLAIN.replace("facts.", "fakes.")));
    assert_ne!(hash(PLAIN), hash(&PLAIN.replace("5s", "6s")));
    assert_ne!(
        hash(PLAIN),
        hash(
            &PLAIN
                .replace("max_attempts: 2", "max_attempts: 2, x-y: 1")
                .replace(", x-y: 1", ", factor: 2")
        )
    );
}

#[test]
fn without_a_version_the_hash_is_the_version() {
    let compiled = compile_text(PLAIN);
    let machine = &compiled.machines[0];
    assert_eq!(machine.version(), &machine.hash()[..12]);
    assert_eq!(machine.hash().len(), 64);
}

#[test]
fn every_document_compiles_again_from_its_own_source() {
    for fixture in fixtures("valid") {
        let compiled = compile(&SourceText::new("x", &fixture.text), None);
        for machine in &compiled.machines {
            let again = compile(&SourceText::new("y", machine.source()), None);
            let hashes: Vec<&str> = again.machines.iter().map(|m| m.hash()).collect();
            assert_eq!(
                hashes,
                [machine.hash()],
                "{}:\n{}",
                fixture.name,
                machine.source()
            );
        }
    }
}
