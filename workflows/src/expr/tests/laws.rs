//! Laws over arbitrary and over well-formed texts.

use proptest::prelude::*;

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

/// Texts of the grammar, meaningful or not.
fn well_formed() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "1",
        "0",
        "-1",
        "9223372036854775807",
        "1.5",
        "true",
        "false",
        "null",
        "''",
        "'ab'",
        "'1s'",
        "'2026-01-01T00:00:00Z'",
        "inputs.topic",
        "inputs.max",
        "inputs.files",
        "inputs.free.y",
        "inputs.?note",
        "steps.plan.output",
        "steps.plan.outcome",
        "steps.maybe.?output",
        "any",
        "any.list",
        "any.missing",
        "run.now",
        "x",
        "[]",
        "{}",
        "duration('1h')",
    ])
    .prop_map(str::to_owned);
    atom.prop_recursive(5, 40, 3, |inner| {
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
            "parseJson",
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
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("{{'k': {a}, string({b}): 1}}")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("{a}.title")),
            inner.clone().prop_map(|a| format!("{a}.?score")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("sortBy({a}, x, {b})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

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
            let _ = checked.expr.eval_bool(&Sample);
        }
    }

    #[test]
    fn the_grammar_is_parsed_and_evaluation_never_panics(text in well_formed(), odd in 0_usize..4) {
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
                let _ = eval::evaluate(&parsed.ast, &Sample);
                let _ = eval::evaluate(&parsed.ast, &Odd(values[odd].clone()));
            }
            Err(error) => prop_assert!(error.message.contains("nested deeper"), "{text}: {}", error.message),
        }
    }

    #[test]
    fn what_the_checker_accepts_meets_no_unknown_name_and_no_undefined_operator(text in well_formed()) {
        let text = format!("[1, 2].map(x, {text})");
        let Ok(checked) = check(&text, &env()) else { return Ok(()) };
        // Nothing is known of what comes out of these, nor which keys the map has: they may fail in a run.
        if ["any", "free", "parseJson", "{'k'", "null"].iter().any(|loose| text.contains(loose)) {
            return Ok(());
        }
        if let Err(error) = checked.expr.eval(&Sample) {
            for trouble in ["has no value here", "has no field", "there is no field", "is not defined for"] {
                prop_assert!(!error.message.contains(trouble), "{error}");
            }
        }
    }

    #[test]
    fn an_evaluation_gives_the_same_value_twice(text in well_formed()) {
        if let Ok(checked) = check(&text, &env()) {
            let (first, second) = (checked.expr.eval(&Sample), checked.expr.eval(&Sample));
            prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
        }
    }
}
