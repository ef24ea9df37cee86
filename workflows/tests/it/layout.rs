//! The canonical layout: what it looks like, and what it never does.

use phisync_workflows::fmt::{FormatError, format};
use phisync_workflows::{SourceText, compile, compile_registered};
use proptest::prelude::*;

use crate::support::{examples, fixtures};

fn formatted(text: &str) -> String {
    format(&SourceText::new("x", text)).expect("the text has a layout")
}

fn hashes(text: &str) -> Vec<String> {
    let compiled = compile(&SourceText::new("x", text), None);
    let machines = compiled.machines.iter();
    machines.map(|machine| machine.hash().to_owned()).collect()
}

#[test]
fn keys_quotation_marks_and_conditions_get_their_canonical_form() {
    let text = r#"# yaml-language-server: $schema=x

# What the workflow is for.
workflow: 'sample'
steps:
- prompt: "Go."   # why
  id: a


# The second
- needs: [ a,a2 ]
  if: ${{ steps.a.outcome == 'succeeded' }}
  id: b
  "prompt": |
        Several
          lines.
  # phisync: allow PHI701 - reason
- effects: write
  id: c
  input: {
    x: 'say "hi"', # one
    y: 'it' }
  prompt: A text
    of two lines.
  # the end of c
inputs: { deep: {default: false, type: bool} }
# the end
"#;
    insta::assert_snapshot!(formatted(text));
}

#[test]
fn every_fixture_and_example_keeps_its_hash_and_a_second_pass_changes_nothing() {
    let all = fixtures("valid")
        .into_iter()
        .chain(fixtures("invalid"))
        .chain(examples("workflow"));
    let mut count = 0;
    for fixture in all {
        let text = match format(&SourceText::new("x", fixture.text.as_str())) {
            Ok(text) => text,
            Err(FormatError::Unreadable(_)) => continue,
            Err(error) => panic!("{}: {error}", fixture.name),
        };
        count += 1;
        assert_eq!(
            hashes(&text),
            hashes(&fixture.text),
            "{}\n{text}",
            fixture.name
        );
        assert_eq!(formatted(&text), text, "{}", fixture.name);
    }
    assert!(count > 70, "only {count} texts have a layout");
}

#[test]
fn json_stays_json() {
    let json = "{\"workflow\": \"w\",\n \"steps\": []}\n";
    assert_eq!(formatted(json), json);
}

#[test]
fn a_text_that_cannot_be_read_says_why() {
    let refused = format(&SourceText::new("x", "a: [\n"));
    assert!(matches!(refused, Err(FormatError::Unreadable(found)) if found[0].code == "PHI001"));
}

#[test]
fn a_condition_in_a_wrapper_is_the_same_definition() {
    let bare = "workflow: w\nsteps:\n  - { id: a, prompt: x }\n  - { id: b, needs: a, prompt: x, if: \"steps.a.attempts > 1\" }\n";
    let wrapped = bare.replace("steps.a.attempts > 1", "${{ steps.a.attempts > 1 }}");
    assert_eq!(hashes(bare), hashes(&wrapped));
}

#[test]
fn a_definition_is_found_again_under_the_hash_that_an_earlier_version_gave_it() {
    let text = "workflow: w\nsteps:\n  - { id: a, prompt: x, if: '${{ run.attempt > 1 }}' }\n";
    // As the version before bare conditions printed it.
    let old = "441e6654bffc99817a37e07ad20cabc52bab12d9fa5f8bf72ca6833fc0947eb8";
    let machine = compile_registered(old, text).expect("it is the same text");
    assert_eq!((machine.hash(), machine.version()), (old, &old[..12]));
    let today = &hashes(text)[0];
    assert_ne!(today, old);
    assert_eq!(
        compile_registered(today, text)
            .map(|machine| machine.hash().to_owned())
            .as_ref(),
        Some(today)
    );
    assert!(compile_registered(&"0".repeat(64), text).is_none());
}

const LINES: &[&str] = &[
    "# a comment",
    "  # deeper",
    "      # deepest",
    "",
    "workflow: w",
    "title: 'A # title'",
    "metadata: { b: [1, 'x'], a: ~ } # behind",
    "metadata:",
    "  - a",
    "  - b: 1",
    "    a: >-",
    "      folded",
    "       more",
    "  -",
    "    - nested",
    "    - 'single ''quoted'''",
    "labels: &l",
    "  team: \"docs\\n\"",
    "x-more: *l",
    "steps:",
    "- id: a",
    "  prompt: plain",
    "    continued # c",
    "  if: ${{ true }}",
    "  - prompt: |",
    "      literal",
    "    id: b # id",
    "    input:",
    "      k: v",
    "    # phisync: allow PHI701 - why",
    "---",
    "...",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_has_a_layout_keeps_its_hash_and_settles_in_one_pass(
        lines in proptest::collection::vec(proptest::sample::select(LINES), 1..14)
    ) {
        let text = lines.join("\n") + "\n";
        if let Ok(once) = format(&SourceText::new("x", text.as_str())) {
            prop_assert_eq!(hashes(&once), hashes(&text));
            let twice = format(&SourceText::new("x", once.as_str()));
            prop_assert_eq!(twice.as_ref(), Ok(&once), "of\n{}", text);
        }
    }
}

/// The parser gives a value that is not there the place of what follows; that text was once written
/// twice.
#[test]
fn a_key_without_a_value_in_brackets_stays_one() {
    let text = "workflow: w\nmetadata:\n  a: { b, c: 1, d }\n";
    let once = formatted(text);
    assert_eq!(once, "workflow: w\nmetadata:\n  a: { b:, c: 1, d: }\n");
    assert_eq!(formatted(&once), once);
}
