//! Laws over arbitrary and over well-formed texts.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::{Scope, Value, check, check_condition, eval, parser};
use super::{Sample, env};

/// A scope in which every name means something odd.
struct Odd(Value);

impl Scope for Odd {
    fn variable(&self, _name: &str) -> Option<Value> {
        Some(self.0.clone())
    }
    fn step(&self, _id: &str) -> Option<Value> {
        Some(self.0.clone())
    }
}

/// Texts of the grammar, meaningful or not. Without `loose` there is nothing of which the checker
/// knows nothing: neither `any` nor a value that is one type or another.
fn well_formed(loose: bool) -> impl Strategy<Value = String> {
    let strict = [
        "1",
        "0",
        "-1",
        "9223372036854775807",
        "1.5",
        "true",
        "false",
        "''",
        "'ab'",
        "'1s'",
        "'2026-01-01T00:00:00Z'",
        "inputs.topic",
        "inputs.max",
        "inputs.ratio",
        "inputs.files",
        "inputs.since",
        "inputs.grace",
        "inputs.?note",
        "steps.plan.output",
        "steps.plan.outcome",
        "steps.maybe.?output",
        "run.now",
        "x",
        "duration('1h')",
    ];
    let more = [
        "null",
        "[]",
        "{}",
        "inputs.free.y",
        "any",
        "any.list",
        "any.missing",
        "parseJson('[1]')",
    ];
    let atoms: Vec<&str> = strict
        .into_iter()
        .chain(more.into_iter().filter(|_| loose))
        .collect();
    let atom = prop::sample::select(atoms).prop_map(str::to_owned);
    atom.prop_recursive(5, 40, 3, move |inner| {
        let binary = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||",
        ]);
        let global = prop::sample::select(vec![
            "size",
            "int",
            "double",
            "string",
            "bool",
            "duration",
            "timestamp",
            "json",
            "coalesce",
            "sha256",
            "sum",
        ]);
        let method = prop::sample::select(vec![
            "contains",
            "startsWith",
            "matches",
            "split",
            "join",
            "substring",
            "format",
            "orValue",
        ]);
        let comprehension =
            prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
        prop_oneof![
            (inner.clone(), binary, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (global, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), method, inner.clone()).prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
            (inner.clone(), comprehension, inner.clone())
                .prop_map(|(a, f, b)| format!("{a}.{f}(x, {b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(move |(a, b, c)| format!(
                "({a} ? {b} : {})",
                if loose { &c } else { &b }
            )),
            (inner.clone(), inner.clone())
                .prop_map(move |(a, b)| format!("{a}[{}]", if loose { &b } else { "0" })),
            (inner.clone(), inner.clone())
                .prop_map(move |(a, b)| format!("[{a}, {}]", if loose { &b } else { &a })),
            (inner.clone(), inner.clone()).prop_map(move |(a, b)| {
                let key = if loose {
                    format!("string({b})")
                } else {
                    "'score'".to_owned()
                };
                format!("{{'k': {a}, {key}: 1}}")
            }),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("{a}.title")),
            inner.clone().prop_map(|a| format!("{a}.?score")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("sortBy({a}, x, {b})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_checker_panic_and_every_range_is_text(text in "\\PC{0,60}") {
        if let Err(errors) = check(&text, &env()) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(text.get(error.range.clone()).is_some(), "{:?}", error);
            }
        }
    }

    #[test]
    fn no_text_of_tokens_makes_the_checker_panic(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "(", ")", "[", "]", "{", "}", ".", ".?", "?", ":", ",", "!", "-", "+", "in", "&&", "==", "1",
            "'a'", "a", "steps", "plan", "has", "map", "x", "inputs", "size", " ", "\"", "\\", "1.5e", "r'",
        ]), 0..40)
    ) {
        let text = tokens.concat();
        if let Ok(checked) = check_condition(&text, &env()) {
            drop(checked.expr.eval_bool(&Sample));
        }
    }

    #[test]
    fn the_grammar_is_parsed_and_evaluation_never_panics(text in well_formed(true), odd in 0_usize..4) {
        prop_assume!(text.len() <= 4096);
        let values = [
            Value::Null,
            Value::Int(i64::MIN),
            Value::map([("output", Value::list([Value::Double(f64::NAN)]))]),
            Value::list([Value::Int(1), Value::string("x")]),
        ];
        match parser::parse(&text) {
            Ok(parsed) => {
                prop_assert!(parsed.errors.is_empty());
                drop(eval::evaluate(&parsed.ast, &Sample));
                drop(eval::evaluate(&parsed.ast, &Odd(values[odd].clone())));
            }
            Err(error) => prop_assert!(error.message.contains("nested deeper"), "{text}: {}", error.message),
        }
    }

    #[test]
    fn an_evaluation_gives_the_same_value_twice(text in well_formed(true)) {
        if let Ok(checked) = check(&text, &env()) {
            let (first, second) = (checked.expr.eval(&Sample), checked.expr.eval(&Sample));
            prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
        }
    }
}

#[test]
fn what_the_checker_accepts_meets_no_unknown_name_and_no_undefined_operator() {
    let accepted = Cell::new(0);
    let config = ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&well_formed(false), |text| {
            let text = format!("[1, 2].map(x, {text})");
            let Ok(checked) = check(&text, &env()) else {
                return Ok(());
            };
            accepted.set(accepted.get() + 1);
            let Err(error) = checked.expr.eval(&Sample) else {
                return Ok(());
            };
            for trouble in [
                "no value here",
                "no field",
                "not defined for",
                "expected",
                "wants a",
            ] {
                prop_assert!(!error.message.contains(trouble), "{error}");
            }
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert!(
        accepted.get() > 200,
        "only {} texts were accepted",
        accepted.get()
    );
}
