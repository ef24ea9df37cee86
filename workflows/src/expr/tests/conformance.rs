//! What the definition of CEL says, case by case; the cases and their origin stand in `conformance.txt`.

use serde_json::Value as Json;

use super::super::{Value, eval, parser};
use super::Sample;

/// Section, expression, and what it should be.
fn cases() -> impl Iterator<Item = (&'static str, String, String)> {
    include_str!("conformance.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.splitn(2, " | ");
            let section = parts.next().unwrap_or_default();
            let (text, expected) = parts
                .next()
                .and_then(|rest| rest.rsplit_once(" | "))
                .expect("a case has three parts");
            (section, text.replace("\\|", "|"), expected.to_owned())
        })
}

/// The value as JSON, or `error`. Nothing is checked before: these are the rules at run time.
fn value(text: &str) -> String {
    let parsed = match parser::parse(text) {
        Ok(parsed) if parsed.errors.is_empty() => parsed,
        Ok(_) | Err(_) => return "error".to_owned(),
    };
    let value = eval::evaluate(&parsed.ast, &Sample).map(Value::into_json);
    match value {
        Ok(Ok(json)) => json.to_string(),
        Ok(Err(_)) | Err(_) => "error".to_owned(),
    }
}

#[test]
fn the_profile_keeps_to_the_definition_of_cel() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (section, text, expected) in cases() {
        count += 1;
        let expected = match serde_json::from_str::<Json>(&expected) {
            Ok(json) => json.to_string(),
            Err(_) => expected,
        };
        let found = value(&text);
        if found != expected {
            wrong.push(format!("{section}: {text} is {found}, not {expected}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(count > 200, "only {count} cases");
}
