//! What the checker says about bad expressions, and what it lets pass.

use std::fmt::Write as _;

use super::super::{Checked, ExprError, Type, check, check_condition, check_text};
use super::{Sample, env};

/// One line per finding: code, the text it points at, message, help.
fn shown(text: &str, findings: &[ExprError]) -> String {
    let mut lines = String::new();
    for finding in findings {
        let place = &text[finding.range.clone()];
        write!(lines, "  {} `{place}`: {}", finding.code, finding.message)
            .expect("writing to a string succeeds");
        if let Some(help) = &finding.help {
            write!(lines, " ({help})").expect("writing to a string succeeds");
        }
        lines.push('\n');
    }
    lines
}

fn report(texts: &[&str], check: impl Fn(&str) -> Result<Checked, Vec<ExprError>>) -> String {
    let mut report = String::new();
    for text in texts {
        let findings = match check(text) {
            Ok(checked) => checked.warnings,
            Err(errors) => errors,
        };
        assert!(!findings.is_empty(), "`{text}` is without fault");
        writeln!(report, "{text}\n{}", shown(text, &findings))
            .expect("writing to a string succeeds");
    }
    report
}

#[test]
fn syntax_errors_point_at_the_token() {
    insta::assert_snapshot!(report(
        &[
            "",
            "  ",
            "1 +",
            "(1",
            "1)",
            "a b",
            "[1, 2",
            "{'a' 1}",
            "{'a': 1, 'a': 2}",
            "a.",
            "a..b",
            "'open",
            "'\\q'",
            "1 = 2",
            "a & b",
            "a and b",
            "not a",
            "\u{201c}x\u{201d}",
            "1u",
            "b'x'",
            "0x",
            "12ab",
            "loop",
            "steps",
            "steps['plan']",
            "steps.?plan",
            "has(1)",
            "[1].map(1, 2)",
            "[1].all(x)",
            "${{ 1 }}",
            "a ? b",
            "#",
            "9223372036854775808",
            "-9223372036854775809",
            "1e999",
            "99999999999999999999",
        ],
        |text| check(text, &env()),
    ));
}

#[test]
fn unknown_names_come_with_the_nearest_one() {
    insta::assert_snapshot!(report(
        &[
            "inptus.topic",
            "nothing",
            "steps.pln.output",
            "steps.later.output",
            "steps.later.outcome",
            "steps.me.output",
            "inputs.tpoic",
            "inputs.zzz",
            "inputs.topic.x",
            "steps.plan.outptu",
            "steps.plan.output.titel",
            "steps.plan.output.items.path",
            "steps.plan.output['titel']",
            "sizee(inputs.topic)",
            "inputs.topic.trimm()",
            "trim(inputs.topic)",
            "inputs.topic.int()",
            "now()",
            "inputs.topic.trim(1)",
            "size()",
            "coalesce()",
            "nope(inptus.x) + stpes.y",
            "[1].map(x, y)",
        ],
        |text| check(text, &env()),
    ));
}

#[test]
fn type_errors_say_what_was_found() {
    insta::assert_snapshot!(report(
        &[
            "inputs.topic + inputs.max",
            "inputs.topic + inputs.files",
            "inputs.topic > 3",
            "inputs.topic == 3",
            "inputs.files == 'a'",
            "!inputs.max",
            "-inputs.topic",
            "inputs.max && true",
            "inputs.max ? 1 : 2",
            "inputs.topic.contains(1)",
            "inputs.files.contains('a')",
            "inputs.files.join(1)",
            "size(3)",
            "sum(inputs.files)",
            "inputs.files['a']",
            "inputs.max[0]",
            "inputs.files.all(f, f)",
            "inputs.max.map(x, x)",
            "'a'.matches('(')",
            "'a'.matches('a{1000}{1000}')",
            "duration('5 minutes')",
            "timestamp('today')",
            "inputs.since > '2026-01-01'",
            "inputs.topic.orValue('x')",
            "string(inputs.files)",
            "1 in 'abc'",
            "3 in inputs.files",
            "{1: 2}",
            "sortBy(inputs.files, f, [f])",
            "1.5 % 2.0",
            "run.now + run.now",
        ],
        |text| check(text, &env()),
    ));
}

#[test]
fn values_that_may_be_absent_are_errors_until_guarded() {
    insta::assert_snapshot!(report(
        &[
            "steps.maybe.output.title",
            "steps.maybe.agent",
            "steps.plan.error.code",
            "inputs.note",
            "inputs['note']",
            "steps.plan.output.comment",
            "inputs.?note",
            "inputs.?note + 'x'",
            "[inputs.?note]",
            "steps.plan.outcome == 'succeeded' && steps.maybe.output.title == ''",
            "steps.maybe.outcome == 'succeeded' || steps.maybe.output.title == ''",
            "has(inputs.note) ? 'x' : inputs.note",
        ],
        |text| check(text, &env()),
    ));
    for text in [
        "steps.maybe.outcome == 'succeeded' && steps.maybe.output.title == ''",
        "'succeeded' == steps.maybe.outcome ? steps.maybe.output.title : ''",
        "steps.maybe.outcome != 'succeeded' || steps.maybe.output.title == ''",
        "!(steps.maybe.outcome == 'succeeded') ? '' : steps.maybe.output.title",
        "steps.maybe.outcome == 'failed' ? steps.maybe.error.code : ''",
        "steps.maybe.?output.title.orValue('')",
        "has(inputs.note) && inputs.note != ''",
        "!has(inputs.note) || inputs.note != ''",
        "coalesce(steps.maybe.output.title, inputs.note, '') + 'x'",
        "coalesce(inputs.?note.orValue(''), inputs.note) + 'x'",
        "coalesce(coalesce(inputs.note, 'a'), inputs.note) + 'x'",
        "has(steps.maybe.output)",
        "steps.plan.output.items.all(i, has(steps.plan.output.comment) && steps.plan.output.comment == i.path)",
    ] {
        assert_eq!(check(text, &env()).map(|_| ()), Ok(()), "{text}");
    }
    let certain = env().with_certain(["maybe"]);
    assert_eq!(
        check("steps.maybe.output.title", &certain).map(|_| ()),
        Ok(())
    );
}

#[test]
fn conditions_are_bools_that_can_go_either_way() {
    insta::assert_snapshot!(report(
        &[
            "inputs.topic",
            "inputs.files",
            "inputs.max",
            "run.now",
            "true",
            "1 > 2",
            "steps.plan.outcome == 'suceeded'",
            "steps.plan.output.verdict != 'reject'",
            "steps.plan.output.score > 1 / 0",
            "inputs.files[-1] == 'x'",
            "steps.free.output.a == steps.free.output.b",
        ],
        |text| check_condition(text, &env()),
    ));
    assert_eq!(
        check_condition("any.flag", &env()).map(|checked| checked.ty),
        Ok(Type::Any)
    );
}

#[test]
fn lists_and_maps_do_not_stand_inside_text() {
    insta::assert_snapshot!(report(
        &["inputs.files", "inputs", "inputs.?note"],
        |text| { check_text(text, &env()) }
    ));
    assert_eq!(
        check_text("inputs.max", &env()).map(|checked| checked.ty),
        Ok(Type::Int)
    );
}

#[test]
fn limits_are_errors_of_syntax() {
    for text in [
        vec!["1"; 5000].join("+"),
        "(".repeat(1_000_000),
        "(".repeat(2000),
        "[".repeat(2000),
        "!".repeat(2000),
        "-".repeat(2000),
        "a?".repeat(1000),
        "f(".repeat(1000),
        "a[".repeat(1000),
        "{'a':".repeat(500),
        format!("{}1{}", "(".repeat(40), ")".repeat(40)),
    ] {
        let errors = check(&text, &env())
            .map(|_| ())
            .expect_err("a limit is broken");
        assert_eq!(errors[0].code, "PHI301");
    }
    let nested = format!("{}1{}", "(".repeat(30), ")".repeat(30));
    assert_eq!(
        check(&nested, &env()).map(|checked| checked.ty),
        Ok(Type::Int)
    );
}

#[test]
fn a_small_stack_is_enough_for_the_worst_text() {
    let nested =
        |open: &str, close: &str, times| format!("{}1{}", open.repeat(times), close.repeat(times));
    let deep = |open: &str, close: &str| nested(open, close, 30);
    let texts = vec![
        deep("[1].map(x, ", ")"),
        nested("(1 + ", ")", 15),
        deep("{'a': ", "}"),
        deep("[", "]"),
        deep("coalesce(any.x, ", ")"),
        deep("true ? 1 : ", ""),
        format!("any{}", "[0]".repeat(1300)),
        vec!["any.a == 1"; 290].join(" || "),
        format!("any{}", ".map(a, [a])".repeat(330)),
        format!("json([1]{})", ".map(a, [a])".repeat(330)),
    ];
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    let handle = small.spawn(move || {
        for text in texts {
            let checked = check(&text, &env()).unwrap_or_else(|errors| panic!("{errors:?}"));
            drop(checked.expr.eval(&Sample));
        }
    });
    handle
        .expect("a thread starts")
        .join()
        .expect("no text overflows the stack");
}

#[test]
fn types_that_double_each_other_are_compared_in_no_time() {
    let doubled = format!("[1]{}", ".map(a, {'x': a, 'y': a})".repeat(70));
    assert_eq!(
        check(&format!("[{doubled}, {doubled}]"), &env()).map(|_| ()),
        Ok(())
    );
}

#[test]
fn types_are_inferred() {
    for (text, ty) in [
        ("inputs.topic", "string"),
        ("inputs.files", "string[]"),
        ("inputs.files.map(f, size(f))", "int[]"),
        ("inputs.max + inputs.ratio", "number"),
        ("steps.plan.output", "map"),
        ("steps.plan.output.verdict", "string"),
        ("run.now - inputs.since", "duration"),
        ("inputs.?note.orValue('')", "string"),
        ("true ? 1 : 2.5", "number"),
        ("true ? 1 : 'x'", "any"),
        ("[1, 2.5]", "number[]"),
        ("{'a': 1}.a", "int"),
        ("any.x + 'y'", "string"),
        ("null", "null"),
        ("inputs.files == []", "bool"),
        ("steps.plan.output.items[0].size", "int"),
    ] {
        let checked = check(text, &env()).expect(text);
        assert_eq!(checked.ty.to_string(), ty, "{text}");
    }
}

#[test]
fn reads_and_requirements_are_found_in_the_tree() {
    let reads = |text: &str| {
        let checked = check(text, &env()).expect(text);
        let ids: Vec<String> = checked
            .expr
            .step_outputs_read()
            .map(str::to_owned)
            .collect();
        ids.join(" ")
    };
    assert_eq!(reads("steps.plan.output.title + steps.plan.agent"), "plan");
    assert_eq!(reads("steps.plan.outcome == steps.maybe.outcome"), "");
    assert_eq!(reads("json(steps.maybe)"), "maybe");
    assert_eq!(
        reads("has(steps.maybe.output) || steps.free.?output.hasValue()"),
        "free maybe"
    );

    let required = |text: &str| check(text, &env()).expect(text).expr.requires_success_of();
    assert_eq!(
        required(
            "inputs.max > 1 && (steps.plan.outcome == 'succeeded' && 'succeeded' == steps.maybe.outcome)"
        ),
        ["maybe", "plan"]
    );
    assert!(required("steps.plan.outcome == 'succeeded' || inputs.max > 1").is_empty());
    assert!(required("steps.plan.outcome == 'failed'").is_empty());
}
