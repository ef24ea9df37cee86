//! Every code has a text that it is about, and what a person reads there is reviewed.

use std::collections::BTreeSet;

use phisync_workflows::diagnostic::CATALOGUE;
use phisync_workflows::{Severity, SourceText, compile, explain, render};

use crate::support::{fixtures, team};

#[test]
fn every_bad_fixture_says_what_its_name_says() {
    for fixture in fixtures("invalid") {
        let source = SourceText::new(&fixture.name, &fixture.text);
        let compiled = compile(&source, Some(&team()));
        let code = fixture.name[..6].to_owned();
        assert!(
            compiled.diagnostics.iter().any(|d| d.code == code),
            "{} has {:?}",
            fixture.name,
            compiled.diagnostics
        );
        let stem = fixture.name.trim_end_matches(".yaml");
        let rendered = render::text(&source, &compiled.diagnostics, false);
        insta::with_settings!({ snapshot_suffix => stem, omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("diagnostics", rendered);
        });
    }
}

#[test]
fn every_code_of_the_catalogue_has_a_bad_fixture() {
    let covered: BTreeSet<String> = fixtures("invalid")
        .iter()
        .chain(&fixtures("diff"))
        .map(|fixture| fixture.name[..6].to_owned())
        .collect();
    let missing: Vec<&str> = CATALOGUE
        .iter()
        .map(|info| info.code)
        .filter(|code| !covered.contains(*code))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_catalogue_is_sorted_and_has_each_code_once() {
    assert!(CATALOGUE.windows(2).all(|pair| pair[0].code < pair[1].code));
}

#[test]
fn every_good_fixture_compiles_without_a_word() {
    for fixture in fixtures("valid") {
        let source = SourceText::new(&fixture.name, &fixture.text);
        let compiled = compile(&source, Some(&team()));
        let worth_saying: Vec<_> = compiled
            .diagnostics
            .iter()
            .filter(|d| d.severity != Severity::Info)
            .cloned()
            .collect();
        assert_eq!(
            render::text(&source, &worth_saying, false),
            "",
            "{}",
            fixture.name
        );
        assert!(!compiled.machines.is_empty(), "{}", fixture.name);
    }
}

#[test]
fn an_applicable_edit_removes_what_it_answers() {
    for fixture in fixtures("invalid") {
        let compiled = compile(&SourceText::new("a", &fixture.text), Some(&team()));
        for found in &compiled.diagnostics {
            let Some(edit) = &found.edit else { continue };
            let mut text = fixture.text.clone();
            text.replace_range(
                edit.span.start as usize..edit.span.end as usize,
                &edit.replacement,
            );
            let again = compile(&SourceText::new("a", &text), Some(&team()));
            let count = |list: &[phisync_workflows::Diagnostic]| {
                list.iter()
                    .filter(|d| d.code == found.code && d.message == found.message)
                    .count()
            };
            assert!(
                count(&again.diagnostics) < count(&compiled.diagnostics),
                "{}: {} stays after\n{text}",
                fixture.name,
                found.message
            );
        }
    }
}

#[test]
fn the_wrong_example_of_a_code_has_it_and_the_right_one_has_not() {
    let codes_of = |text: &str| {
        let compiled = compile(&SourceText::new("example", text), Some(&team()));
        let found = compiled.diagnostics;
        (found.iter().map(|d| d.code).collect::<Vec<_>>(), found)
    };
    for info in CATALOGUE {
        let explained = explain(info.code).expect("every code is explained");
        // Those about versions are about two texts.
        let Some((wrong, right)) = explained.example.filter(|_| !info.code.starts_with("PHI9"))
        else {
            continue;
        };
        assert!(codes_of(wrong).0.contains(&info.code), "{}", info.code);
        let (codes, found) = codes_of(&right);
        let errors: Vec<_> = found
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{}:\n{right}\n{errors:?}", info.code);
        assert!(!codes.contains(&info.code), "{}:\n{right}", info.code);
    }
}

#[test]
fn json_diagnostics_have_places_for_programs() {
    let source = SourceText::new(
        "flow.yaml",
        "workflow: sample\nsteps:\n  - id: a\n    promt: \u{e9}\n",
    );
    let compiled = compile(&source, None);
    insta::assert_json_snapshot!(render::json(&source, &compiled.diagnostics));
}
