//! The analysis against every assignment of small domains, and by examples.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{TooMany, Verdict, analyse, verdict};
use crate::expr::formula::{Formula, Term};
use crate::expr::{Env, Scope, Type, Value, check_condition};
use crate::schema::Domain;

fn env() -> Env {
    let inputs = Type::object([
        ("level", Type::one_of(["low", "mid", "high"])),
        ("ok", Type::Bool),
        ("n", Type::Int),
        ("count", Type::Int),
        ("ratio", Type::Double),
        ("name", Type::String),
        ("files", Type::list(Type::String)),
        ("free", Type::Any),
    ]);
    Env::new().variable("inputs", inputs)
}

fn domain(term: &Term) -> Domain {
    match term {
        Term::Size(_) => Domain::Int(Some(0), Some(3)),
        Term::Path(path) => match path.as_str() {
            "inputs.level" => Domain::texts(["low", "mid", "high"]),
            "inputs.ok" => Domain::bool(),
            "inputs.n" => Domain::Int(Some(-2), Some(4)),
            "inputs.count" => Domain::Int(None, None),
            "inputs.ratio" => Domain::Number(None, None),
            "inputs.name" => Domain::Text,
            _ => Domain::Anything,
        },
    }
}

fn formula(text: &str) -> Formula {
    let checked =
        check_condition(text, &env()).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    checked.expr.formula()
}

fn decided(guards: &[&str]) -> Verdict {
    let guards: Vec<Formula> = guards.iter().map(|text| formula(text)).collect();
    analyse(&guards, &domain).expect("few cells")
}

fn overlap(guards: &[&str]) -> Option<String> {
    decided(guards).overlaps.first().map(|o| o.example.clone())
}

#[test]
fn tests_of_an_enum_leave_its_other_values() {
    let found = decided(&["inputs.level == 'low'", "inputs.level in ['high']"]);
    assert_eq!(found.overlaps, []);
    assert_eq!(found.gap.as_deref(), Some("inputs.level == 'mid'"));
    let found = decided(&["inputs.level == 'low'", "inputs.level != 'low'"]);
    assert_eq!(found.gap, None);
}

#[test]
fn an_open_text_is_never_used_up_by_constants() {
    let found = decided(&["inputs.name == 'a'", "'b' == inputs.name"]);
    assert_eq!(
        found.gap.as_deref(),
        Some("inputs.name != 'a' && inputs.name != 'b'")
    );
}

#[test]
fn intervals_of_integers_meet_without_a_gap_and_of_numbers_do_not() {
    assert_eq!(decided(&["inputs.n <= 1", "inputs.n >= 2"]).gap, None);
    assert_eq!(
        decided(&["inputs.ratio <= 1.0", "inputs.ratio >= 2.0"])
            .gap
            .as_deref(),
        Some("inputs.ratio == 1.5")
    );
    assert_eq!(decided(&["inputs.n < 10"]).gap, None, "n is at most 4");
    assert_eq!(
        decided(&["inputs.count < 10"]).gap.as_deref(),
        Some("inputs.count == 10")
    );
    assert_eq!(
        decided(&["inputs.count <= 10"]).gap.as_deref(),
        Some("inputs.count == 11")
    );
    assert_eq!(
        decided(&["inputs.count >= 10"]).gap.as_deref(),
        Some("inputs.count == 9")
    );
    assert_eq!(
        overlap(&["inputs.n > 1", "inputs.n < 3"]).as_deref(),
        Some("inputs.n == 2")
    );
}

#[test]
fn what_does_not_matter_is_left_out_of_examples() {
    assert_eq!(
        overlap(&[
            "inputs.ok && inputs.n > 3",
            "inputs.ok || inputs.level == 'low'"
        ])
        .as_deref(),
        Some("inputs.n == 4 && inputs.ok")
    );
}

#[test]
fn equal_opaque_tests_are_one_test() {
    let found = decided(&["inputs.name.contains('a')", "!inputs.name.contains('a')"]);
    assert_eq!(found, Verdict::default());
}

#[test]
fn opaque_tests_of_the_same_value_are_not_said_to_overlap() {
    assert_eq!(
        overlap(&["inputs.name.startsWith('a')", "inputs.name.startsWith('b')"]),
        None
    );
    assert_eq!(
        overlap(&["inputs.name.contains('a')", "inputs.name == 'b'"]),
        None
    );
    assert_eq!(
        overlap(&["inputs.name.contains('a')", "inputs.ok"]).as_deref(),
        Some("inputs.ok && inputs.name.contains('a')")
    );
}

#[test]
fn a_condition_behind_one_that_covers_it_is_shadowed() {
    let found = decided(&["inputs.n > 0", "inputs.n > 2", "inputs.n == 0"]);
    assert_eq!(found.shadowed, [1]);
    let both = ["inputs.ok", "!inputs.ok", "inputs.level == 'low'"];
    assert_eq!(decided(&both).shadowed, [2], "shadowed by the two together");
}

#[test]
fn conditions_that_cannot_go_either_way_are_told() {
    let verdict_of = |text: &str| verdict(&formula(text), &domain);
    assert_eq!(verdict_of("inputs.n > 4"), Some(false));
    assert_eq!(verdict_of("inputs.ok || !inputs.ok"), Some(true));
    assert_eq!(verdict_of("inputs.n == 1 && inputs.n == 2"), Some(false));
    assert_eq!(verdict_of("size(inputs.files) >= 0"), Some(true));
    assert_eq!(
        verdict_of("inputs.ok ? inputs.n < 9 : inputs.n > -9"),
        Some(true)
    );
    assert_eq!(verdict_of("inputs.free == null"), None);
    assert_eq!(verdict_of("inputs.free.a || inputs.free.b"), None);
}

#[test]
fn too_many_combinations_are_not_walked() {
    let text: Vec<String> = (0..13).map(|at| format!("inputs.free.f{at}")).collect();
    let guard = [formula(&text.join(" && "))];
    assert_eq!(analyse(&guard, &domain), Err(TooMany(4096)));
    let fewer = [formula(&text[..12].join(" && "))];
    assert!(analyse(&fewer, &domain).is_ok());
}

/// One value for each field.
struct Assignment(BTreeMap<&'static str, Value>);

impl Scope for Assignment {
    fn variable(&self, name: &str) -> Option<Value> {
        (name == "inputs")
            .then(|| Value::map(self.0.iter().map(|(name, value)| (*name, value.clone()))))
    }
    fn step(&self, _id: &str) -> Option<Value> {
        None
    }
}

/// Every value of the small domains; of texts and numbers, all that the generated constants can
/// tell apart.
fn assignments() -> Vec<Assignment> {
    let mut all = vec![BTreeMap::new()];
    let axes: [(&'static str, Vec<Value>); 6] = [
        ("level", ["low", "mid", "high"].map(Value::string).to_vec()),
        ("ok", vec![Value::Bool(true), Value::Bool(false)]),
        ("n", (-2..=4).map(Value::Int).collect()),
        (
            "ratio",
            [-9.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 9.0]
                .map(Value::Double)
                .to_vec(),
        ),
        ("name", ["a", "b", "c"].map(Value::string).to_vec()),
        (
            "files",
            (0..=3)
                .map(|size| Value::list((0..size).map(|_| Value::string("f"))))
                .collect(),
        ),
    ];
    for (name, values) in axes {
        all = all
            .into_iter()
            .flat_map(|chosen: BTreeMap<&'static str, Value>| {
                values.iter().map(move |value| {
                    let mut chosen = chosen.clone();
                    chosen.insert(name, value.clone());
                    chosen
                })
            })
            .collect();
    }
    all.into_iter().map(Assignment).collect()
}

fn test() -> impl Strategy<Value = String> {
    let op = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    prop_oneof![
        (
            prop::sample::select(vec!["==", "!="]),
            prop::sample::select(vec!["low", "mid", "high"])
        )
            .prop_map(|(op, value)| format!("inputs.level {op} '{value}'")),
        Just("inputs.ok".to_owned()),
        (op.clone(), -3..6_i32).prop_map(|(op, n)| format!("inputs.n {op} {n}")),
        (op.clone(), -1..3_i32).prop_map(|(op, n)| format!("{n}.0 {op} inputs.ratio")),
        (
            prop::sample::select(vec!["==", "!="]),
            prop::sample::select(vec!["a", "b"])
        )
            .prop_map(|(op, value)| format!("inputs.name {op} '{value}'")),
        Just("inputs.level in ['low', 'high']".to_owned()),
        (op, -1..5_i32).prop_map(|(op, n)| format!("size(inputs.files) {op} {n}")),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    test().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" && "))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" || "))),
            inner.clone().prop_map(|part| format!("!({part})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_is_that_of_trying_every_assignment(
        texts in prop::collection::vec(condition(), 1..4),
    ) {
        let checked: Vec<_> = texts
            .iter()
            .map(|text| check_condition(text, &env()).expect("generated conditions are sound").expr)
            .collect();
        let guards: Vec<Formula> = checked.iter().map(crate::expr::Expr::formula).collect();
        let Ok(found) = analyse(&guards, &domain) else { return Ok(()) };
        let count = texts.len();
        let (mut gap, mut overlap) = (false, vec![false; count]);
        let (mut reached, mut satisfied) = (vec![false; count], vec![false; count]);
        for assignment in assignments() {
            let truth: Vec<bool> = checked
                .iter()
                .map(|expr| expr.eval_bool(&assignment).expect("nothing is absent"))
                .collect();
            let first = truth.iter().position(|holds| *holds);
            gap |= first.is_none();
            for at in (0..count).filter(|at| truth[*at]) {
                satisfied[at] = true;
                if first == Some(at) {
                    reached[at] = true;
                } else {
                    overlap[at] = true;
                }
            }
        }
        prop_assert_eq!(found.gap.is_some(), gap, "gap {:?}", found.gap);
        let shadowed: Vec<usize> =
            (0..count).filter(|at| satisfied[*at] && !reached[*at]).collect();
        prop_assert_eq!(found.shadowed, shadowed);
        let overlapping: Vec<usize> = (0..count).filter(|at| overlap[*at]).collect();
        let claimed: Vec<usize> = found.overlaps.iter().map(|overlap| overlap.second).collect();
        prop_assert_eq!(claimed, overlapping);
        for text in found.gap.iter().chain(found.overlaps.iter().map(|o| &o.example)) {
            let example = check_condition(text, &env());
            prop_assert!(example.is_ok(), "{} is a condition", text);
        }
        for (at, guard) in guards.iter().enumerate() {
            let always = verdict(guard, &domain);
            let (can, cannot) = assignments().iter().fold((false, false), |(can, cannot), one| {
                let holds = checked[at].eval_bool(one).expect("nothing is absent");
                (can || holds, cannot || !holds)
            });
            prop_assert_eq!(always, (can != cannot).then_some(can));
        }
    }
}
