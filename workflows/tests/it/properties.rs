//! What holds for every text.

use phisync_workflows::{SourceText, compile, render};
use proptest::prelude::*;

use crate::support::{fixtures, team};

/// Compiles twice, renders, and compares; the spans fit the text.
fn compiles_in_peace(text: &str) {
    let source = SourceText::new("any.yaml", text);
    let first = compile(&source, Some(&team()));
    let second = compile(&source, Some(&team()));
    assert_eq!(first.diagnostics, second.diagnostics);
    let rendered = render::text(&source, &first.diagnostics, true);
    assert_eq!(rendered, render::text(&source, &second.diagnostics, true));
    for diagnostic in &first.diagnostics {
        let spans = std::iter::once(diagnostic.span).chain(diagnostic.labels.iter().map(|l| l.0));
        for span in spans.chain(diagnostic.edit.iter().map(|edit| edit.span)) {
            assert!(
                text.get(span.start as usize..span.end as usize).is_some()
                    || text.contains('\u{fffd}'),
                "{diagnostic:?} does not fit"
            );
        }
    }
    assert_eq!(first.machines.is_empty(), second.machines.is_empty());
    for machine in &first.machines {
        for graph in [
            render::graph::text(machine),
            render::graph::mermaid(machine),
            render::graph::dot(machine),
            render::graph::json(machine),
        ] {
            assert!(graph.ends_with('\n'));
        }
    }
}

/// Words of the language, so that arbitrary texts come near to workflows.
const WORDS: &[&str] = &[
    "workflow",
    "steps",
    "id",
    "needs",
    "prompt",
    "task",
    "if",
    "input",
    "output",
    "yield",
    "retry",
    "approval",
    "fail",
    "compensate",
    "assign",
    "timeout",
    "${{",
    "}}",
    "steps.a.output",
    "inputs.x",
    "a",
    "b",
    "- ",
    ": ",
    "\n",
    "\n  ",
    "\n    ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "'",
    "\"",
    "&a ",
    "*a",
    "!t ",
    "|\n",
    "# ",
    "---\n",
    "1",
    "true",
    "null",
    "30s",
    "\u{e9}",
    "\t",
    "<<",
    "? ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_compiler_panic(text in "\\PC{0,200}") {
        compiles_in_peace(&text);
    }

    #[test]
    fn no_bytes_make_the_compiler_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let source = SourceText::from_bytes("any.yaml", bytes);
        let compiled = compile(&source, None);
        let rendered = render::text(&source, &compiled.diagnostics, false);
        prop_assert_eq!(rendered.is_empty(), compiled.diagnostics.is_empty());
    }

    #[test]
    fn no_sequence_of_words_makes_the_compiler_panic(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..60)
    ) {
        compiles_in_peace(&words.concat());
    }

    #[test]
    fn no_mutation_of_a_fixture_makes_the_compiler_panic(
        which in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..12, proptest::sample::select(WORDS)), 1..6),
    ) {
        let mut all = fixtures("valid");
        all.extend(fixtures("invalid"));
        let mut text = which.get(&all).text.clone();
        for (place, length, word) in edits {
            let mut start = place.index(text.len().max(1)).min(text.len());
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + length).min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.replace_range(start..end.max(start), word);
        }
        compiles_in_peace(&text);
    }

    #[test]
    fn layout_of_a_flow_text_does_not_change_its_identity(spaces in 1_usize..6, comment in "[a-z ]{0,20}") {
        let plain = "workflow: w\nsteps:\n  - id: a\n    prompt: Do it.\n";
        let indent = " ".repeat(spaces);
        let other = format!("# {comment}\nsteps:\n{indent}- prompt: 'Do it.' # {comment}\n{indent}  id: a\nworkflow: w\n");
        let hash = |text: &str| {
            let compiled = compile(&SourceText::new("x", text), None);
            compiled.machines.first().map(|machine| machine.hash().to_owned())
        };
        prop_assert!(hash(plain).is_some());
        prop_assert_eq!(hash(plain), hash(&other));
    }
}
