//! `docs/workflows.md`: its workflows compile, its tables list the keys there are, its expressions
//! have the values shown.

use std::collections::BTreeSet;

use phisync_workflows::expr::{Scope, Value};
use phisync_workflows::{Compiled, Severity, SourceText, compile, render};

use crate::page;

const PAGE: &str = "docs/workflows.md";

/// Every page with workflows in it.
const PAGES: [&str; 4] = ["README.md", PAGE, "docs/agents.md", "docs/diagnostics.md"];

fn compiled(text: &str) -> (SourceText, Compiled) {
    let source = SourceText::new("block", text);
    let compiled = compile(&source, None);
    (source, compiled)
}

#[test]
fn every_workflow_in_a_page_compiles_without_a_warning() {
    let mut count = 0;
    for path in PAGES {
        for block in page::blocks(&page::text(path)) {
            if block.info != "yaml" {
                continue;
            }
            count += 1;
            let (source, compiled) = compiled(&block.text);
            let worth_saying: Vec<_> = compiled
                .diagnostics
                .iter()
                .filter(|d| d.severity != Severity::Info)
                .cloned()
                .collect();
            let said = render::text(&source, &worth_saying, false);
            assert_eq!(said, "", "{path}:{}", block.line);
        }
    }
    assert!(count >= 8, "only {count} workflows were found");
}

#[test]
fn what_a_page_says_is_refused_is_refused_with_that_code_alone() {
    let mut count = 0;
    for path in PAGES {
        for block in page::blocks(&page::text(path)) {
            let Some(code) = block.info.strip_prefix("yaml refused ") else {
                continue;
            };
            count += 1;
            let (_, compiled) = compiled(&block.text);
            let codes: Vec<_> = compiled.diagnostics.iter().map(|d| d.code).collect();
            assert_eq!(codes, [code], "{path}:{}", block.line);
        }
    }
    assert_eq!(count, 1);
}

/// Every map of the language: the heading of its table, and a workflow with `KEY: 1` in it.
const MAPS: [(&str, &str); 28] = [
    (
        "## The top level",
        "workflow: w\nKEY: 1\nsteps: [{ id: a, prompt: A. }]\n",
    ),
    (
        "### defaults",
        "workflow: w\ndefaults: { KEY: 1 }\nsteps: [{ id: a, prompt: A. }]\n",
    ),
    (
        "## Steps",
        "workflow: w\nsteps: [{ id: a, prompt: A., KEY: 1 }]\n",
    ),
    (
        "### task",
        "workflow: w\nsteps: [{ id: a, task: { type: t, KEY: 1 } }]\n",
    ),
    (
        "### fail",
        "workflow: w\nsteps: [{ id: a, fail: { code: app.x, message: m, KEY: 1 } }]\n",
    ),
    (
        "### approval",
        "workflow: w\nsteps: [{ id: a, approval: { from: { users: u }, timeout: 1h, KEY: 1 } }]\n",
    ),
    (
        "### assign",
        "workflow: w\nsteps: [{ id: a, prompt: A., assign: { agent: x, KEY: 1 } }]\n",
    ),
    (
        "### timeouts",
        "workflow: w\nsteps: [{ id: a, prompt: A., timeouts: { KEY: 1 } }]\n",
    ),
    (
        "### retry",
        "workflow: w\nsteps: [{ id: a, prompt: A., retry: { KEY: 1 } }]\n",
    ),
    (
        "### task type",
        "workflow: w\ntask_types: { t: { KEY: 1 } }\nsteps: [{ id: a, task: t }]\n",
    ),
    (
        "### foreach",
        "workflow: w\nsteps: [{ id: a, foreach: { KEY: 1 } }]\n",
    ),
    (
        "### loop",
        "workflow: w\nsteps: [{ id: a, loop: { KEY: 1 } }]\n",
    ),
    (
        "### switch",
        "workflow: w\nsteps: [{ id: a, switch: { KEY: 1 } }]\n",
    ),
    (
        "### case",
        "workflow: w\nsteps: [{ id: a, switch: { cases: [{ KEY: 1 }] } }]\n",
    ),
    (
        "### parallel",
        "workflow: w\nsteps: [{ id: a, parallel: { KEY: 1 } }]\n",
    ),
    (
        "### try",
        "workflow: w\nsteps: [{ id: a, try: { KEY: 1 } }]\n",
    ),
    (
        "### catch",
        "workflow: w\nsteps: [{ id: a, try: { do: [], catch: [{ KEY: 1 }] } }]\n",
    ),
    (
        "### wait_for",
        "workflow: w\nsteps: [{ id: a, wait_for: { KEY: 1 } }]\n",
    ),
    (
        "### emit",
        "workflow: w\nsteps: [{ id: a, emit: { KEY: 1 } }]\n",
    ),
    (
        "### files",
        "workflow: w\nsteps: [{ id: a, files: { KEY: 1 } }]\n",
    ),
    (
        "### change",
        "workflow: w\nsteps: [{ id: a, files: { changes: [{ KEY: 1 }] } }]\n",
    ),
    (
        "### call",
        "workflow: w\nsteps: [{ id: a, call: { KEY: 1 } }]\n",
    ),
    (
        "### state",
        "workflow: w\ninitial: a\nstates: { a: { KEY: 1 } }\n",
    ),
    (
        "### transition",
        "workflow: w\ninitial: a\nstates: { a: { transitions: [{ KEY: 1 }] } }\n",
    ),
    (
        "### schedule",
        "workflow: w\nschedule: [{ KEY: 1 }]\nsteps: [{ id: a, prompt: A. }]\n",
    ),
    (
        "### trigger",
        "workflow: w\ntriggers: [{ KEY: 1 }]\nsteps: [{ id: a, prompt: A. }]\n",
    ),
    (
        "### concurrency",
        "workflow: w\nconcurrency: { KEY: 1 }\nsteps: [{ id: a, prompt: A. }]\n",
    ),
    (
        "### saga",
        "workflow: w\nsaga: { KEY: 1 }\nsteps: [{ id: a, prompt: A. }]\n",
    ),
];

const COMPENSATE: (&str, &str) = (
    "### compensate",
    "workflow: w\nsteps: [{ id: a, prompt: A., compensate: { task: t, KEY: 1 } }]\n",
);

#[test]
fn the_tables_list_exactly_the_keys_that_the_compiler_allows() {
    let page = page::text(PAGE);
    for (heading, text) in MAPS.into_iter().chain([COMPENSATE]) {
        let (_, compiled) = compiled(&text.replace("KEY", "qqqqqqqq"));
        let unknown = compiled.diagnostics.iter().find(|d| d.code == "PHI101");
        let help = unknown.and_then(|d| d.help.as_deref());
        let help = help.unwrap_or_else(|| panic!("{heading}: {:?}", compiled.diagnostics));
        let allowed: BTreeSet<String> = page::code_words(help).into_iter().collect();
        let rows = page::table(&page, heading);
        let listed: BTreeSet<String> = rows
            .iter()
            .flat_map(|row| page::code_words(&row[0]))
            .collect();
        assert_eq!(listed, allowed, "{heading}");
    }
}

/// A scope without anything.
struct Nothing;

impl Scope for Nothing {
    fn variable(&self, _: &str) -> Option<Value> {
        None
    }

    fn step(&self, _: &str) -> Option<Value> {
        None
    }
}

#[test]
fn expressions_have_the_values_shown() {
    let page = page::text(PAGE);
    for row in page::table(&page, "### Operators, functions, macros") {
        let strip = |cell: &str| cell.trim_matches('`').to_owned();
        let (expression, value) = (strip(&row[0]), strip(&row[1]));
        let quoted = format!("${{{{ {expression} }}}}").replace('\'', "''");
        let text =
            format!("workflow: w\nsteps: [{{ id: a, prompt: A. }}]\noutputs:\n  x: '{quoted}'\n");
        let (source, compiled) = compiled(&text);
        let said = render::text(&source, &compiled.diagnostics, false);
        let machine = compiled
            .machines
            .first()
            .unwrap_or_else(|| panic!("{expression}\n{said}"));
        let (_, output) = &machine.outputs()[0];
        let found = output.eval(&Nothing).expect("a value");
        let expected: serde_json::Value = serde_json::from_str(&value).expect("values are JSON");
        assert_eq!(found, expected, "{expression}");
    }
}
