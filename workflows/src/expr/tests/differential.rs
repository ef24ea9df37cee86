//! Our evaluator against the interpreter of the `cel` crate, over a corpus and over generated
//! expressions of the profile. Where they differ, the reason stands in [`reason`]: either the profile
//! leaves CEL on purpose, or the oracle does.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use serde_json::{Value as Json, json};

use super::super::{Scope, Value, eval, parser};

/// The one variable of both sides.
fn variable() -> Json {
    json!({
        "n": 3, "zero": 0, "big": 9_223_372_036_854_775_807_i64, "x": 1.5, "text": "abc",
        "list": [3, 1, 2], "words": ["b", "a", "ab"], "yes": true, "nothing": null,
        "deep": { "list": [[1, 2], [3]], "one": { "two": "deep" } },
    })
}

struct One(Value);

impl Scope for One {
    fn variable(&self, name: &str) -> Option<Value> {
        (name == "v").then(|| self.0.clone())
    }
    fn step(&self, _id: &str) -> Option<Value> {
        None
    }
}

/// A value, none, or that there is none.
#[derive(Debug, PartialEq)]
enum Outcome {
    Is(Json),
    Absent,
    Fails(String),
}

fn ours(text: &str) -> Outcome {
    let parsed = match parser::parse(text) {
        Ok(parsed) if parsed.errors.is_empty() => parsed,
        Ok(parsed) => return Outcome::Fails(format!("{:?}", parsed.errors)),
        Err(error) => return Outcome::Fails(error.message),
    };
    match eval::evaluate(&parsed.ast, &One(Value::from_json(&variable()))) {
        Ok(Value::Optional(None)) => Outcome::Absent,
        Ok(value) => value
            .into_json()
            .map_or_else(|error| Outcome::Fails(error.message), Outcome::Is),
        Err(failure) => Outcome::Fails(failure.message),
    }
}

struct Oracle {
    env: std::sync::Arc<cel::Env>,
    variable: cel::Value,
}

impl Oracle {
    fn new() -> Self {
        let mut env = cel::Env::stdlib().with_optional_support(true);
        env.add_extension(cel::extensions::strings)
            .expect("the extension is not there yet");
        Self {
            env: std::sync::Arc::new(env),
            variable: oracle_value(&variable()),
        }
    }

    fn asked(&self, text: &str) -> Outcome {
        let asked = panic::catch_unwind(AssertUnwindSafe(|| {
            let program = self.env.compile(text).map_err(|error| error.to_string())?;
            let mut context = cel::Context::with_env(std::sync::Arc::clone(&self.env));
            context.add_variable_from_value("v", self.variable.clone());
            let value = program
                .execute(&context)
                .map_err(|error| error.to_string())?;
            if has_no_json(&value) {
                return Err("no JSON".to_owned());
            }
            value.json().map_err(|error| format!("{error:?}"))
        }));
        match asked {
            Ok(Ok(json)) => Outcome::Is(json),
            Ok(Err(message)) => Outcome::Fails(message),
            Err(_) => Outcome::Fails("panicked".to_owned()),
        }
    }
}

/// JSON as the oracle has it when integers stay signed.
fn oracle_value(json: &Json) -> cel::Value {
    match json {
        Json::Null => cel::Value::Null,
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => match number.as_i64() {
            Some(int) => int.into(),
            None => number.as_f64().expect("a double").into(),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(oracle_value).collect::<Vec<_>>().into(),
        Json::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (key.clone().into(), oracle_value(value)));
            cel::Value::Map(cel::objects::Map {
                map: std::sync::Arc::new(entries.collect()),
            })
        }
    }
}

/// JSON has no infinity: where one of the oracle's values has, there is no JSON.
fn has_no_json(value: &cel::Value) -> bool {
    match value {
        cel::Value::Float(float) => !float.is_finite(),
        cel::Value::List(items) => items.iter().any(has_no_json),
        cel::Value::Map(map) => map.map.values().any(has_no_json),
        _ => false,
    }
}

/// Why the two may differ over a text: where the profile leaves CEL on purpose, and where the oracle does.
fn reason(text: &str, ours: &Outcome, theirs: &Outcome) -> Option<&'static str> {
    match (ours, theirs) {
        (Outcome::Is(_), Outcome::Fails(why))
            if why.contains("Int(") && why.contains("Float(") && why.contains("operator") =>
        {
            Some(
                "the profile calculates with an int and a double, since JSON does not keep them apart",
            )
        }
        (Outcome::Is(Json::Bool(false)), Outcome::Fails(why))
            if why.contains("no matching overload") && why.contains("(int, double)") =>
        {
            Some("a comparison with what is no number is false; the oracle has no such comparison")
        }
        (Outcome::Fails(why), Outcome::Is(_))
            if text.contains("!!") && why.contains("wants a bool") =>
        {
            Some("the oracle takes `!!x` for `x`, whatever that is")
        }
        (_, _) if text.contains("v.big") && text.contains("double(") => {
            Some("the oracle rounds an int before it compares it with a double")
        }
        (Outcome::Is(_), Outcome::Fails(why))
            if why.contains("Syntax error: mismatched input '?'")
                && text.matches('?').count() > 1 =>
        {
            Some(
                "CEL wants parentheses around a conditional between `?` and `:`, the profile does not",
            )
        }
        (Outcome::Is(_), Outcome::Is(_) | Outcome::Fails(_))
            if text.contains("nothing") && text.contains('?') =>
        {
            Some("the profile counts null as absent")
        }
        _ => None,
    }
}

/// Differences without a reason, and how often each reason was needed.
fn compare(texts: impl Iterator<Item = String>) -> (Vec<String>, BTreeMap<&'static str, usize>) {
    let oracle = Oracle::new();
    let mut unexplained = Vec::new();
    let mut reasons = BTreeMap::new();
    for text in texts {
        let (ours, theirs) = (ours(&text), oracle.asked(&text));
        let same = match (&ours, &theirs) {
            (Outcome::Fails(_), Outcome::Fails(_)) => true,
            (ours, theirs) => ours == theirs,
        };
        if same {
            *reasons.entry("the same").or_default() += 1;
            continue;
        }
        match reason(&text, &ours, &theirs) {
            Some(reason) => *reasons.entry(reason).or_default() += 1,
            None => unexplained.push(format!("{text}\n  ours:   {ours:?}\n  theirs: {theirs:?}")),
        }
    }
    (unexplained, reasons)
}

/// Small numbers from a seed: the same expressions every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.roll(texts.len())]
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Int,
    Double,
    Text,
    Bool,
    Ints,
    Texts,
}

/// An expression of a kind; mostly well typed, sometimes not.
fn expression(dice: &mut Dice, kind: Kind, depth: usize) -> String {
    if depth == 0 {
        return leaf(dice, kind).to_owned();
    }
    let kind = match dice.roll(40) {
        0 => Kind::Int,
        1 => Kind::Text,
        2 => Kind::Bool,
        _ => kind,
    };
    let mut sub = |kind| expression(dice, kind, depth - 1);
    let (a, b, c) = (sub(kind), sub(kind), sub(Kind::Bool));
    let (int, text, ints, texts) = (
        sub(Kind::Int),
        sub(Kind::Text),
        sub(Kind::Ints),
        sub(Kind::Texts),
    );
    let double = sub(Kind::Double);
    let choice = dice.roll(12);
    match kind {
        _ if choice == 0 => format!("({c} ? {a} : {b})"),
        Kind::Int => match choice {
            1 => format!("({a} + {b})"),
            2 => format!("({a} - {b})"),
            3 => format!("({a} * {b})"),
            4 => format!("({a} / {b})"),
            5 => format!("({a} % {b})"),
            6 => format!("-({a})"),
            7 => format!("size({text})"),
            8 => format!("{ints}[{int}]"),
            9 => format!("int({double})"),
            10 => format!("size({texts})"),
            _ => format!("{{'k': {a}, 'l': {b}}}.k"),
        },
        Kind::Double => match choice {
            1 => format!("({a} + {b})"),
            2 => format!("({a} - {b})"),
            3 => format!("({a} * {b})"),
            4 => format!("({a} / {b})"),
            5 => format!("-({a})"),
            6..=8 => format!("double({int})"),
            _ => format!("[{a}, {b}][0]"),
        },
        Kind::Text => match choice {
            1..=3 => format!("({a} + {b})"),
            4 => format!("{texts}[{int}]"),
            5 => format!("string({int})"),
            6 => format!("{a}.lowerAscii()"),
            7 => format!("{a}.upperAscii()"),
            8 => format!("{a}.replace({b}, 'z')"),
            9 => format!("{texts}.join('-')"),
            10 => format!("{a}.trim()"),
            _ => format!("{a}.substring({int})"),
        },
        Kind::Bool => match choice {
            1 => format!("({a} && {b})"),
            2 => format!("({a} || {b})"),
            3 => format!("!{a}"),
            4 => format!(
                "({int} {} {double})",
                dice.pick(&["<", "<=", ">", ">=", "==", "!="])
            ),
            5 => format!(
                "({text} {} {})",
                dice.pick(&["<", "==", "!=", ">="]),
                expression(dice, Kind::Text, depth - 1)
            ),
            6 => format!("({int} in {ints})"),
            7 => format!(
                "{text}.{}({})",
                dice.pick(&["contains", "startsWith", "endsWith"]),
                expression(dice, Kind::Text, depth - 1)
            ),
            8 => format!(
                "{ints}.{}(e, e {} {int})",
                dice.pick(&["all", "exists", "exists_one"]),
                dice.pick(&["<", "==", ">"])
            ),
            9 => format!("({ints} == {})", expression(dice, Kind::Ints, depth - 1)),
            10 => format!(
                "has(v.{})",
                dice.pick(&["n", "none", "deep.one", "deep.no"])
            ),
            _ => format!("{text}.matches('^[a-c]*$')"),
        },
        Kind::Ints => match choice {
            1..=3 => format!("({a} + {b})"),
            4 | 5 => format!("{a}.map(e, e * {int})"),
            6 | 7 => format!("{a}.filter(e, e > {int})"),
            8 => format!("{a}.map(e, e > 1, e + {int})"),
            9 => format!("{texts}.map(e, size(e))"),
            _ => format!("[{int}, {}]", expression(dice, Kind::Int, depth - 1)),
        },
        Kind::Texts => match choice {
            1..=3 => format!("({a} + {b})"),
            4 | 5 => format!("{a}.map(e, e + {text})"),
            6 | 7 => format!("{a}.filter(e, e != {text})"),
            8 => format!("{text}.split(',')"),
            _ => format!("[{text}, {}]", expression(dice, Kind::Text, depth - 1)),
        },
    }
}

fn leaf(dice: &mut Dice, kind: Kind) -> &'static str {
    match kind {
        Kind::Int => dice.pick(&[
            "0",
            "1",
            "-2",
            "7",
            "v.n",
            "v.zero",
            "v.big",
            "v.list[1]",
            "v.deep.list[0][1]",
        ]),
        Kind::Double => dice.pick(&["0.0", "1.5", "-2.25", "1e3", "v.x"]),
        Kind::Text => dice.pick(&[
            "''",
            "'a'",
            "'B,c'",
            "' x '",
            "'\u{e9}t\u{e9}'",
            "v.text",
            "v.words[0]",
            "v.deep.one.two",
        ]),
        Kind::Bool => dice.pick(&[
            "true",
            "false",
            "v.yes",
            "v.n == 3",
            "(1 / v.zero > 0)",
            "v.nothing == null",
        ]),
        Kind::Ints => dice.pick(&["[]", "[1]", "[1, 2, 3]", "v.list", "v.deep.list[0]"]),
        Kind::Texts => dice.pick(&["['a']", "['x', 'a,b']", "v.words", "[v.text]"]),
    }
}

#[test]
fn generated_expressions_mean_what_the_oracle_says() {
    let mut dice = Dice(0x5eed_cafe_f00d_d1ce);
    let kinds = [
        Kind::Int,
        Kind::Double,
        Kind::Text,
        Kind::Bool,
        Kind::Ints,
        Kind::Texts,
    ];
    let texts = (0..3_000).map(|index| {
        let depth = 1 + dice.roll(3);
        expression(&mut dice, kinds[index % kinds.len()], depth)
    });
    let texts: Vec<String> = texts.filter(|text| text.len() < 400).collect();
    let (unexplained, reasons) = compare(texts.into_iter());
    assert_eq!(unexplained, Vec::<String>::new());
    // A generator that says nothing the oracle understands would prove nothing.
    assert!(reasons["the same"] > 2_500, "{reasons:?}");
}

#[test]
fn a_corpus_of_the_profile_means_what_the_oracle_says() {
    let corpus = include_str!("corpus.txt");
    let texts = corpus
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (unexplained, reasons) = compare(texts.map(str::to_owned));
    assert_eq!(unexplained, Vec::<String>::new());
    assert!(reasons["the same"] > 80, "{reasons:?}");
}
