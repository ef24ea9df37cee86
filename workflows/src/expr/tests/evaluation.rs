//! What expressions evaluate to.

use serde_json::json;

use super::super::{Scope, Value, check, eval, parser};
use super::{Sample, env};

/// The value as JSON, `none`, or `error: ...`. Checked first if that succeeds, so that types have their effect.
fn run(text: &str) -> String {
    let outcome = match check(text, &env()) {
        Ok(checked) => checked.expr.eval(&Sample).map_err(|error| error.message),
        Err(_) => parser::parse(text)
            .map_err(|error| error.message)
            .and_then(|parsed| {
                assert!(parsed.errors.is_empty(), "{text}: {:?}", parsed.errors);
                eval::evaluate(&parsed.ast, &Sample).map_err(|failure| failure.message)
            }),
    };
    match outcome {
        Ok(Value::Optional(None)) => "none".to_owned(),
        Ok(value) => match value.into_json() {
            Ok(json) => json.to_string(),
            Err(error) => format!("error: {}", error.message),
        },
        Err(message) => format!("error: {message}"),
    }
}

fn holds(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(run(text), *expected, "{text}");
    }
}

#[test]
fn literals_are_values() {
    holds(&[
        ("null", "null"),
        ("true", "true"),
        ("42", "42"),
        ("-42", "-42"),
        ("0x1F", "31"),
        ("-0x10", "-16"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1.5", "1.5"),
        ("-1.5e3", "-1500.0"),
        ("2e0", "2.0"),
        (r#""a\n\t\"b""#, r#""a\n\t\"b""#),
        (
            r"'it''s'",
            "error: syntax error in expression: found `'s'` where an operator or the end should stand",
        ),
        (r"'\x41\u00e9\101\U0001F9A6'", "\"A\u{e9}A\u{1f9a6}\""),
        (r"r'\d+'", r#""\\d+""#),
        ("'''a'b\nc'''", r#""a'b\nc""#),
        (r#""""x"y""""#, r#""x\"y""#),
        ("[1, 'a', null,]", r#"[1,"a",null]"#),
        ("[]", "[]"),
        ("{'a': 1, 'b': [2]}", r#"{"a":1,"b":[2]}"#),
        ("{}", "{}"),
        ("1 // the rest is silence", "1"),
    ]);
}

#[test]
fn arithmetic_is_checked() {
    holds(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("7 % 3", "1"),
        ("-7 % 3", "-1"),
        ("7.0 / 2.0", "3.5"),
        ("1 + 0.5", "1.5"),
        ("2.0 * 3", "6.0"),
        ("- (3 + 4)", "-7"),
        ("--3", "3"),
        (
            "9223372036854775807 + 1",
            "error: number out of 64-bit range",
        ),
        (
            "-9223372036854775808 - 1",
            "error: number out of 64-bit range",
        ),
        (
            "9223372036854775807 * 2",
            "error: number out of 64-bit range",
        ),
        (
            "-(-9223372036854775808)",
            "error: number out of 64-bit range",
        ),
        (
            "-9223372036854775808 / -1",
            "error: number out of 64-bit range",
        ),
        (
            "-9223372036854775808 % -1",
            "error: number out of 64-bit range",
        ),
        ("1 / 0", "error: division by zero"),
        ("1 % 0", "error: division by zero"),
        ("1.0 / 0.0", "error: JSON has no number `inf`"),
        (
            "1.5 % 2.0",
            "error: `%` is not defined for number and number",
        ),
        ("'a' + 'b'", r#""ab""#),
        ("'a' + 1", "error: `+` is not defined for string and int"),
        ("[1] + [2, 3]", "[1,2,3]"),
        ("true + true", "error: `+` is not defined for bool and bool"),
    ]);
}

#[test]
fn comparison_is_by_value_across_numbers() {
    holds(&[
        ("1 == 1.0", "true"),
        ("1 < 1.5", "true"),
        ("2.5 > 2", "true"),
        ("9007199254740993 > 9007199254740992.0", "true"),
        ("9007199254740993 == 9007199254740992.0", "false"),
        ("9223372036854775807 < 9223372036854775808.0", "true"),
        ("-3 < -2.5", "true"),
        ("-2 > -2.5", "true"),
        ("1 != 2", "true"),
        ("'a' < 'b'", "true"),
        ("'B' < 'a'", "true"),
        ("false < true", "true"),
        ("null == null", "true"),
        ("1 == null", "false"),
        ("any.text == any.n", "false"),
        (
            "any.text < any.n",
            "error: `<` is not defined for string and int",
        ),
        ("[1, 2] == [1.0, 2.0]", "true"),
        ("[1] == [1, 2]", "false"),
        ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1.0}", "true"),
        ("{'a': 1} == {'b': 1}", "false"),
        ("0.0 / 0.0 == 0.0 / 0.0", "false"),
        ("0.0 / 0.0 < 1.0", "false"),
        ("2 >= 2 && 2 <= 2", "true"),
    ]);
}

#[test]
fn logic_absorbs_failures_on_either_side() {
    holds(&[
        ("true && false", "false"),
        ("true || false", "true"),
        ("!true", "false"),
        ("!!true", "true"),
        ("false && 1 / 0 == 1", "false"),
        ("1 / 0 == 1 && false", "false"),
        ("true || 1 / 0 == 1", "true"),
        ("1 / 0 == 1 || true", "true"),
        ("1 / 0 == 1 && true", "error: division by zero"),
        ("1 / 0 == 1 || false", "error: division by zero"),
        ("true && 1 / 0 == 1", "error: division by zero"),
        ("any.n && false", "false"),
        ("any.n && true", "error: `&&` wants a bool, found int"),
        ("!any.n", "error: `!` wants a bool, found int"),
        ("true || true && false", "true"),
        ("true ? 1 : 2", "1"),
        ("false ? 1 : true ? 2 : 3", "2"),
        ("true ? 1 : 1 / 0", "1"),
        ("any.n ? 1 : 2", "error: `?` wants a bool, found int"),
    ]);
}

#[test]
fn fields_and_items_are_found_or_say_so() {
    holds(&[
        ("any.n", "3"),
        ("any['n']", "3"),
        ("any.list[0]", "3"),
        ("any.list[3]", "error: index 3 is out of range of 3 items"),
        (
            "any.list[any.n - 4]",
            "error: index -1 is out of range of 3 items",
        ),
        ("any.missing", "error: there is no field `missing`"),
        ("any.null.x", "error: null has no field `x`"),
        ("any.n.x", "error: int has no field `x`"),
        ("any.text['x']", "error: string cannot be indexed by string"),
        ("any.missing.x", "error: there is no field `missing`"),
        ("'n' in any", "true"),
        ("'m' in any", "false"),
        ("2 in any.list", "true"),
        ("2.0 in any.list", "true"),
        ("'2' in any.list", "false"),
        (
            "1 in any.text",
            "error: `in` is not defined for int and string",
        ),
        ("{'a': {'b': [1, 2]}}.a.b[1]", "2"),
        ("{'a': 1}['b']", "error: there is no field `b`"),
        ("steps.plan.output.title", r#""Plan""#),
        ("steps.plan.agent", r#""DC""#),
        ("steps.maybe.outcome", r#""skipped""#),
    ]);
}

#[test]
fn optionals_travel_until_somebody_gives_a_value() {
    holds(&[
        ("any.?n", "3"),
        ("any.?missing", "none"),
        ("any.?missing.deeper.still", "none"),
        ("any.?missing.orValue('x')", r#""x""#),
        ("any.?n.orValue(0)", "3"),
        ("any.?n.hasValue()", "true"),
        ("any.?missing.hasValue()", "false"),
        ("any.?n.value()", "3"),
        ("any.?missing.value()", "error: the value is absent"),
        ("any[?'n'].orValue(0)", "3"),
        ("any.list[?7].orValue(-1)", "-1"),
        ("any.?null.orValue(1)", "1"),
        ("any.null.?x.orValue(1)", "1"),
        ("any.n.orValue(1)", "error: expected an optional, found int"),
        ("steps.maybe.?output.title.orValue('')", r#""""#),
        ("steps.plan.?output.title.orValue('')", r#""Plan""#),
        ("inputs.?note.orValue('none')", r#""none""#),
        ("has(any.n)", "true"),
        ("has(any.missing)", "false"),
        ("has(any.null)", "false"),
        (
            "has(any.missing.deeper)",
            "error: there is no field `missing`",
        ),
        ("has(any.?missing.deeper)", "false"),
        ("has(any['n'])", "true"),
        ("has(steps.maybe.output)", "false"),
        ("has(inputs.note) ? inputs.note : 'nothing'", r#""nothing""#),
        ("coalesce(any.missing.x, any.null, any.n)", "3"),
        ("coalesce(inputs.note, 'default')", r#""default""#),
        ("coalesce(null, null)", "null"),
        ("coalesce(1 / 0, 2)", "error: division by zero"),
        ("coalesce(any.?missing, 2)", "2"),
    ]);
}

#[test]
fn macros_walk_lists_and_maps() {
    holds(&[
        ("[1, 2, 3].all(x, x > 0)", "true"),
        ("[1, 2, 3].all(x, x > 1)", "false"),
        ("[].all(x, false)", "true"),
        ("[1, 2, 3].exists(x, x == 2)", "true"),
        ("[].exists(x, true)", "false"),
        ("[1, 2, 2].exists_one(x, x == 2)", "false"),
        ("[1, 2, 3].exists_one(x, x == 2)", "true"),
        ("[1, 2, 3].map(x, x * x)", "[1,4,9]"),
        ("[1, 2, 3].map(x, x > 1, x * 10)", "[20,30]"),
        ("[1, 2, 3].filter(x, x % 2 == 1)", "[1,3]"),
        ("[0, 1].exists(x, 1 / x == 1)", "true"),
        ("[0, 2].exists(x, 1 / x == 1)", "error: division by zero"),
        ("[0, 2].all(x, 1 / x == 1)", "false"),
        ("[0, 1].all(x, 1 / x == 1)", "error: division by zero"),
        (
            "[0, 1].exists_one(x, 1 / x == 1)",
            "error: division by zero",
        ),
        ("{'b': 1, 'a': 2}.map(k, k)", r#"["b","a"]"#),
        ("{'b': 1, 'a': 2}.filter(k, k == 'a')", r#"["a"]"#),
        ("{'b': 1}.all(k, size(k) == 1)", "true"),
        ("[[1, 2], [3]].map(a, a.map(b, b + size(a)))", "[[3,4],[4]]"),
        ("[1, 2].map(x, [3, 4].map(x, x))", "[[3,4],[3,4]]"),
        ("[1, 2].map(any, any)", "[1,2]"),
        ("any.n.map(x, x)", "error: expected list or map, found int"),
        (
            "[3, 1, 2].map(x, [x].map(y, 1 / 0 == y || true))",
            "[[true],[true],[true]]",
        ),
        ("steps.plan.output.items.map(i, i.path)", r#"["x","y"]"#),
        ("sortBy([3, 1, 2], x, x)", "[1,2,3]"),
        ("sortBy([3, 1, 2], x, -x)", "[3,2,1]"),
        (
            "sortBy(['bb', 'a', 'cc'], s, size(s))",
            r#"["a","bb","cc"]"#,
        ),
        ("sortBy([1, 2.5, 2], x, x)", "[1,2,2.5]"),
        (
            "sortBy([any.n, any.text], x, x)",
            "error: int and string have no order to sort by",
        ),
        (
            "sortBy([any.null], x, x)",
            "error: null and null have no order to sort by",
        ),
    ]);
}

#[test]
fn texts_have_their_functions() {
    holds(&[
        ("'otter'.contains('tt')", "true"),
        ("'otter'.startsWith('ot')", "true"),
        ("'otter'.endsWith('ot')", "false"),
        ("'otter'.matches('^o.*r$')", "true"),
        ("'otter'.matches('tt')", "true"),
        ("matches('otter', 'x')", "false"),
        ("'a'.matches(any.text)", "false"),
        (
            "'a'.matches('(' + any.text)",
            "error: bad regular expression: unclosed group",
        ),
        ("size('h\u{e9}llo')", "5"),
        ("'abc'.size()", "3"),
        ("'a,b,,c'.split(',')", r#"["a","b","","c"]"#),
        ("'a,b,c'.split(',', 2)", r#"["a","b,c"]"#),
        ("'a,b,c'.split(',', 0)", "[]"),
        ("'a,b'.split(',', -1)", r#"["a","b"]"#),
        ("'abc'.split('')", r#"["a","b","c"]"#),
        ("'abc'.split('', 2)", r#"["a","bc"]"#),
        ("['a', 'b'].join('-')", r#""a-b""#),
        ("['a', 'b'].join()", r#""ab""#),
        ("[].join('-')", r#""""#),
        ("any.list.join()", "error: expected string, found int"),
        ("'  x '.trim()", r#""x""#),
        ("'\u{c4}aB'.lowerAscii()", "\"\u{c4}ab\""),
        ("'aB'.upperAscii()", r#""AB""#),
        ("'aaa'.replace('a', 'b')", r#""bbb""#),
        ("'aaa'.replace('a', 'b', 2)", r#""bba""#),
        ("'aaa'.replace('a', 'b', -1)", r#""bbb""#),
        ("'ab'.replace('', '-')", r#""-a-b-""#),
        ("'h\u{e9}llo'.substring(1)", "\"\u{e9}llo\""),
        ("'hello'.substring(1, 3)", r#""el""#),
        (
            "'hello'.substring(3, 1)",
            "error: 3 to 1 is out of range of 5 characters",
        ),
        (
            "'hello'.substring(0, 6)",
            "error: 0 to 6 is out of range of 5 characters",
        ),
        (
            "'hello'.substring(-1)",
            "error: -1 to 5 is out of range of 5 characters",
        ),
        (
            "'%s is %d, %.2f, %x%%'.format(['a', 3, 1.239, 255])",
            r#""a is 3, 1.24, ff%""#,
        ),
        ("'%s'.format([[1, 'x']])", r#""[1,\"x\"]""#),
        ("'%b %o %X'.format([-5, 8, 255])", r#""-101 10 FF""#),
        ("'%f'.format([1])", r#""1.000000""#),
        (
            "'%d'.format([])",
            "error: the format has more places than there are values",
        ),
        ("'%d'.format(['a'])", "error: `%d` does not take string"),
        (
            "'%q'.format([1])",
            "error: unknown place `%q` in the format",
        ),
        ("'%'.format([1])", "error: the format ends after `%`"),
        (
            "'%.99f'.format([1.0])",
            "error: the format's precision is a number up to 50",
        ),
    ]);
}

#[test]
fn conversions_say_what_they_cannot_do() {
    holds(&[
        ("int('42')", "42"),
        ("int(3.9)", "3"),
        ("int(-3.9)", "-3"),
        ("int('x')", "error: `x` is no integer"),
        (
            "int(1e19)",
            "error: 10000000000000000000 is out of 64-bit range",
        ),
        ("int(timestamp('1970-01-01T00:01:00Z'))", "60"),
        ("double('1.5')", "1.5"),
        ("double(2)", "2.0"),
        ("double('x')", "error: `x` is no number"),
        ("string(1)", r#""1""#),
        ("string(1.0)", r#""1""#),
        ("string(0.1)", r#""0.1""#),
        ("string(1e300)", r#""1e300""#),
        ("string(true)", r#""true""#),
        ("string(null)", r#""null""#),
        (
            "string(any.list)",
            "error: a list is no text; `json(...)` writes it as text",
        ),
        ("bool('true')", "true"),
        ("bool('yes')", "error: `yes` is neither `true` nor `false`"),
        (
            "json({'b': [1, 2.0, null], 'a': 'x'})",
            r#""{\"b\":[1,2.0,null],\"a\":\"x\"}""#,
        ),
        ("parseJson('{\"a\": [1]}').a[0]", "1"),
        (
            "parseJson('{')",
            "error: the text is no JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            "sha256('abc')",
            r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#,
        ),
        ("sum([1, 2, 3])", "6"),
        ("sum([1, 0.5])", "1.5"),
        ("sum([])", "0"),
        ("sum(any.list)", "6"),
        ("sum([any.text])", "error: `sum` adds numbers, not string"),
        ("size([1, 2])", "2"),
        ("size({'a': 1})", "1"),
        ("size(any.n)", "error: int has no size"),
        ("glob('src/a/b.rs', 'src/**/*.rs')", "true"),
        ("glob('src/b.rs', 'src/**/*.rs')", "true"),
        ("glob('src/a/b.rs', 'src/*.rs')", "false"),
        ("glob('a+b.md', 'a+?.md')", "true"),
        ("glob('x/y', '**')", "true"),
    ]);
}

#[test]
fn time_is_a_value_with_arithmetic() {
    holds(&[
        ("duration('90s')", r#""90s""#),
        ("duration('2h30m') + duration('30s')", r#""9030s""#),
        ("-duration('1.5s')", r#""-1.5s""#),
        ("duration('PT1M') == duration('60s')", "true"),
        ("duration(any.text)", "error: `abc` is no duration"),
        (
            "timestamp('2026-01-01T00:00:00+01:00')",
            r#""2025-12-31T23:00:00Z""#,
        ),
        (
            "timestamp('2026-01-01T00:00:00Z') + duration('1d')",
            r#""2026-01-02T00:00:00Z""#,
        ),
        (
            "timestamp('9999-12-31T23:59:59Z') + duration('1s')",
            "error: timestamp out of the years 1 to 9999",
        ),
        ("run.now - steps.plan.ended_at", r#""3600s""#),
        ("run.now - steps.plan.ended_at > duration('5m')", "true"),
        ("string(duration('90s'))", r#""90s""#),
    ]);
}

#[test]
fn a_schema_gives_json_its_meaning() {
    holds(&[
        // The schema says `number`, the JSON says 2 and 7.
        ("inputs.ratio / 4", "0.5"),
        ("steps.plan.output.score / 2", "3.5"),
        // The schema says `timestamp` and `duration`, the JSON has texts.
        ("inputs.since + inputs.grace", r#""2026-01-01T00:01:30Z""#),
        ("inputs.since < run.now", "true"),
        // Without a schema the literal decides.
        ("any.n / 2", "1"),
    ]);
}

#[test]
fn a_long_flat_sum_is_evaluated_in_a_loop() {
    let sum = vec!["1"; 500].join(" + ");
    assert_eq!(run(&sum), "500");
    let chain = format!("any{}", ".x".repeat(2000));
    assert_eq!(run(&chain), "error: there is no field `x`");
    assert_eq!(run(&vec!["true"; 500].join(" && ")), "true");
}

#[test]
fn bombs_end_by_fuel() {
    struct Big;
    impl Scope for Big {
        fn variable(&self, _name: &str) -> Option<Value> {
            Some(Value::list((0..200).map(Value::Int)))
        }
        fn step(&self, _id: &str) -> Option<Value> {
            None
        }
    }
    let doubled = format!("['x']{}", ".map(a, a + a)".repeat(30));
    let shared = format!("[1]{}", ".map(a, [a, a])".repeat(70));
    let compared = format!("{shared} == {shared}");
    for text in [
        "l.map(a, l.map(b, l.map(c, a + b + c)))",
        "l.exists(a, l.exists(b, l.exists(c, a + b + c < 0))) || true",
        "l.map(a, l).map(b, b + b + b + b + b + b + b + b + b + b + b + b + b + b + b + b).map(c, c + c)",
        "l.all(a, 'x'.replace('', l.map(b, 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy').join()).size() > 0)",
        // Too large a text is final as well: neither side of a logical operator absorbs it.
        "(1 / 0 == 1 && l.map(a, 'yyyyyyyyyy').join().replace('y', l.map(a, 'yyyyyyyyyy').join()) == '') || true",
        &doubled,
        &shared,
        &compared,
    ] {
        let parsed = parser::parse(text).expect("the bombs are well formed");
        let failure = eval::evaluate(&parsed.ast, &Big).expect_err(text);
        assert!(
            failure.message.contains("steps of evaluation")
                || failure.message.contains("larger than 256 KiB")
                || failure.message.contains("nested too deep"),
            "{text}: {}",
            failure.message
        );
    }
}

#[test]
fn a_value_survives_json_in_its_order() {
    let json = json!({"b": 1, "a": [true, null, 1.5, "x"], "c": {"z": 1, "y": 2}});
    let back = Value::from_json(&json).into_json().expect("it is JSON");
    assert_eq!(back.to_string(), json.to_string());
}

#[test]
fn of_two_entries_with_one_name_the_later_value_stays_in_the_earlier_place() {
    let map = Value::map([
        ("b", Value::Int(1)),
        ("a", Value::Int(2)),
        ("b", Value::Int(3)),
        ("a", Value::Int(4)),
        ("c", Value::Int(5)),
    ]);
    let json = map.into_json().expect("it is JSON");
    assert_eq!(json.to_string(), r#"{"b":3,"a":4,"c":5}"#);
}

#[test]
fn a_condition_must_be_a_bool_when_it_is_evaluated() {
    let checked = check("any.n", &env()).expect("any is allowed");
    let error = checked.expr.eval_bool(&Sample).expect_err("3 is no bool");
    assert_eq!(
        error.to_string(),
        "a condition is a bool, this is int in `any.n`"
    );
}

#[test]
fn an_optional_that_escaped_the_checker_gives_its_value_or_an_error() {
    let eval = |text: &str| check(text, &env()).expect(text).expr.eval(&Sample);
    assert_eq!(eval("true ? any.?n : 1"), Ok(Value::Int(3)));
    let error = eval("true ? any.?missing : 1").expect_err("there is none");
    assert_eq!(
        error.to_string(),
        "the value is absent in `true ? any.?missing : 1`"
    );
}
