//! Every fact of a run stands on the page of formats: the list is written from its source.

use crate::page;

const PAGE: &str = "docs/file-formats.md";
const SOURCE: &str = "orchestrator/src/engine/event.rs";

/// The variants of `RunEvent`: name, fields and first sentence, as their source says.
fn facts() -> Vec<[String; 3]> {
    let source = page::text(SOURCE);
    let (_, body) = source
        .split_once("pub enum RunEvent {\n")
        .expect("the facts of a run");
    let (body, _) = body.split_once("\n}\n").expect("the end of the facts");
    let (mut facts, mut words): (Vec<[String; 3]>, Vec<&str>) = (Vec::new(), Vec::new());
    for line in body.lines() {
        let depth = line.len() - line.trim_start().len();
        let text = line.trim_start();
        match (depth, text.strip_prefix("/// ")) {
            (4, Some(doc)) => words.push(doc),
            (4, None) => {
                if let Some(name) = text.strip_suffix(" {") {
                    facts.push([snake(name), String::new(), words.join(" ")]);
                }
                words.clear();
            }
            (8, None) if !text.starts_with(['#', ')', '/']) => {
                if let (Some((field, _)), Some(fact)) = (text.split_once(':'), facts.last_mut()) {
                    let space = if fact[1].is_empty() { "" } else { " " };
                    fact[1].push_str(&format!("{space}{field}"));
                }
            }
            _ => {}
        }
    }
    facts
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

#[test]
fn every_fact_of_a_run_stands_on_the_page() {
    let facts = facts();
    assert!(facts.len() > 50, "the facts cannot be read from {SOURCE}");
    let rows = facts
        .iter()
        .map(|[name, fields, words]| format!("| `{name}` | `{fields}` | {words} |\n"));
    let table: String = rows.collect();
    let table = format!("| event | fields | says |\n| --- | --- | --- |\n{table}");
    page::generated(PAGE, "events of runs", &table);
}
