//! What `diff` says about two versions of a workflow.

use phisync_workflows::diff::{Comparison, Level, compare};
use phisync_workflows::{SourceText, explain, render};

use crate::support::fixtures;

/// Old and new of a fixture: its two documents.
fn both(name: &str, text: &str) -> (SourceText, SourceText) {
    let (old, new) = text.split_once("---\n").expect("two documents");
    (
        SourceText::new(format!("old/{name}"), old),
        SourceText::new(format!("new/{name}"), new),
    )
}

fn compared(text: &str) -> Comparison {
    let (old, new) = both("x", text);
    compare(&old, &new).expect("both are workflows")
}

fn codes(comparison: &Comparison) -> Vec<&'static str> {
    let all = comparison.gone.iter().chain(&comparison.found);
    all.map(|finding| finding.code).collect()
}

#[test]
fn every_fixture_of_two_versions_says_what_its_name_says() {
    for fixture in fixtures("diff") {
        let (old, new) = both(&fixture.name, &fixture.text);
        let comparison = compare(&old, &new).expect("both are workflows");
        let code = &fixture.name[..6];
        assert!(codes(&comparison).contains(&code), "{}", fixture.name);
        let told = format!(
            "{}{}{} change, at least {:?}\n",
            render::text(&old, &comparison.gone, false),
            render::text(&new, &comparison.found, false),
            comparison.level,
            comparison.proposed
        );
        let stem = fixture.name.trim_end_matches(".yaml");
        insta::with_settings!({ snapshot_suffix => stem, omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("diff", told);
        });
    }
}

#[test]
fn the_right_example_of_a_code_about_versions_has_not_that_code() {
    for fixture in fixtures("diff") {
        let code = &fixture.name[..6];
        let explained = explain(code).expect("the code is known");
        let (wrong, right) = explained.example.expect("it has an example");
        assert!(codes(&compared(wrong)).contains(&code), "{code}");
        assert!(
            !codes(&compared(&right)).contains(&code),
            "{code}:\n{right}"
        );
    }
}

#[test]
fn a_workflow_is_the_same_version_as_itself_and_as_its_other_layout() {
    for fixture in fixtures("valid") {
        if fixture.name == "two-documents.yaml" {
            continue;
        }
        let text = SourceText::new("x", fixture.text.as_str());
        let laid_out = phisync_workflows::fmt::format(&text).expect("it has a layout");
        let comparison =
            compare(&text, &SourceText::new("y", laid_out)).expect("both are workflows");
        assert_eq!(comparison.level, Level::Same, "{}", fixture.name);
        assert_eq!(codes(&comparison), Vec::<&str>::new(), "{}", fixture.name);
        assert_eq!(comparison.proposed, None);
    }
}

#[test]
fn the_number_follows_what_changed() {
    let change = |from: &str, to: &str| {
        let old = "workflow: w\nversion: \"1.2.3\"\nsteps:\n  - { id: a, prompt: Go. }\n";
        let new = old.replace(from, to);
        assert_ne!(old, new);
        let comparison = compare(&SourceText::new("x", old), &SourceText::new("y", new))
            .expect("both are workflows");
        (comparison.level, comparison.proposed)
    };
    assert_eq!(
        change("Go.", "Go there."),
        (Level::Patch, Some("1.2.4".to_owned()))
    );
    assert_eq!(
        change("steps:\n", "steps:\n  - { id: b, prompt: Stay. }\n"),
        (Level::Minor, Some("1.3.0".to_owned()))
    );
    assert_eq!(
        change("id: a", "id: z"),
        (Level::Major, Some("2.0.0".to_owned()))
    );
}

#[test]
fn an_output_that_takes_fewer_values_breaks_nobody_who_reads_it() {
    let text = |output: &str, read: &str| {
        format!(
            "workflow: w\nversion: \"1.0.0\"\noutputs: {{ x: \"${{{{ {read} }}}}\" }}\nsteps:\n  \
             - {{ id: a, task: make.a, output: {output} }}\n"
        )
    };
    let level = |old: &str, new: &str| {
        let (old, new) = (SourceText::new("x", old), SourceText::new("y", new));
        let comparison = compare(&old, &new).expect("both are workflows");
        (comparison.level, codes(&comparison))
    };
    let (said, counted) = (
        text("string", "steps.a.output"),
        text("string", "size(steps.a.output)"),
    );
    assert_eq!(level(&said, &said), (Level::Same, vec![]));
    assert_eq!(
        level(&said, &counted),
        (Level::Major, vec!["PHI911", "PHI903"])
    );
    let (any, some) = (text("any", "steps.a.output"), text("any", "'x'"));
    assert_eq!(level(&any, &some), (Level::Patch, vec!["PHI911"]));
    assert_eq!(level(&some, &any), (Level::Major, vec!["PHI911", "PHI903"]));
}

#[test]
fn a_text_that_is_no_workflow_is_not_compared() {
    let good = SourceText::new("good", "workflow: w\nsteps:\n  - { id: a, prompt: x }\n");
    let bad = SourceText::new("bad", "steps: [\n");
    let error = compare(&good, &bad).expect_err("one is no workflow");
    assert_eq!(
        error.to_string(),
        "`bad` does not hold exactly one valid workflow"
    );
}
