//! Fuzz targets, as plain functions over bytes, and the bounded loop that drives them here.
//!
//! A target must neither panic nor run on, whatever the bytes are. The loop mutates the fixtures with a
//! seed, so that a failure is repeated by its number; `docs/testing.md` says how to drive the targets for
//! longer.

use std::panic::{self, AssertUnwindSafe};

use phisync_workflows::expr::{self, Env, Scope, Type, Value};
use phisync_workflows::fmt::format;
use phisync_workflows::{SourceText, compile, fix, render};

use crate::support::{examples, fixtures, team};

/// Text to machine, and everything that is made from either.
fn text_to_machine(bytes: &[u8]) {
    let source = SourceText::from_bytes("fuzz.yaml", bytes.to_vec());
    let compiled = compile(&source, Some(&team()));
    let shown = render::text(&source, &compiled.diagnostics, true);
    assert_eq!(shown.is_empty(), compiled.diagnostics.is_empty());
    for machine in compile(&source, None).machines {
        for picture in [
            render::graph::text(&machine),
            render::graph::mermaid(&machine),
            render::graph::dot(&machine),
            render::graph::json(&machine),
        ] {
            assert!(picture.ends_with('\n'));
        }
    }
    if let Ok(text) = format(&source) {
        assert_eq!(format(&SourceText::new("again", text.as_str())), Ok(text));
    }
    if bytes.len() < 4096 {
        drop(fix(&source, None));
    }
}

/// An expression, checked and evaluated.
fn expression(bytes: &[u8]) {
    struct Anything;
    impl Scope for Anything {
        fn variable(&self, name: &str) -> Option<Value> {
            (name != "none").then(|| Value::list([Value::Int(1), Value::string("x")]))
        }
        fn step(&self, _id: &str) -> Option<Value> {
            Some(Value::map([("outcome", Value::string("succeeded"))]))
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let env = ["inputs", "vars", "run", "result", "error"]
        .into_iter()
        .fold(Env::new(), |env, name| env.variable(name, Type::Any));
    if let Ok(checked) = expr::check(&text, &env) {
        // That it fails is fine; that it ends is the claim: an evaluation has fuel.
        drop(checked.expr.eval(&Anything));
    }
}

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides.max(1)
    }
}

/// Bytes that mean something to YAML or to the expressions, and two that mean nothing to anybody.
const SPOILERS: &[u8] = b"{}[]:-,#&*!|>'\"%@`$.?\n \t\0\xff";

/// A text of the corpus with a few pieces cut, doubled, swapped in from another, or spoilt.
fn mutated(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[dice.roll(corpus.len())].clone();
    for _ in 0..=dice.roll(4) {
        let start = dice.roll(bytes.len() + 1);
        let end = (start + dice.roll(24)).min(bytes.len());
        match dice.roll(5) {
            0 => drop(bytes.drain(start..end)),
            1 => {
                let piece = bytes[start..end].to_vec();
                bytes.splice(start..start, piece);
            }
            2 => {
                let other = &corpus[dice.roll(corpus.len())];
                let from = dice.roll(other.len() + 1);
                let to = (from + dice.roll(40)).min(other.len());
                bytes.splice(start..end, other[from..to].iter().copied());
            }
            3 => bytes.insert(start, SPOILERS[dice.roll(SPOILERS.len())]),
            _ => {
                if let Some(byte) = bytes.get_mut(start) {
                    *byte ^= 1 << dice.roll(8);
                }
            }
        }
    }
    bytes
}

/// Runs a target over the corpus and over mutations of it; a panic tells the seed.
fn drive(target: fn(&[u8]), corpus: &[Vec<u8>], rounds: u64) {
    corpus.iter().for_each(|bytes| target(bytes));
    for seed in 1..=rounds {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let bytes = mutated(&mut dice, corpus);
        let ended = panic::catch_unwind(AssertUnwindSafe(|| target(&bytes)));
        assert!(
            ended.is_ok(),
            "seed {seed}: {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn no_mutation_of_a_text_stops_the_compiler_or_its_tools() {
    let texts = fixtures("valid")
        .into_iter()
        .chain(fixtures("invalid"))
        .chain(examples("workflow"));
    let corpus: Vec<Vec<u8>> = texts.map(|fixture| fixture.text.into_bytes()).collect();
    drive(text_to_machine, &corpus, 400);
}

#[test]
fn no_mutation_of_an_expression_stops_the_checker_or_the_evaluator() {
    let table = include_str!("../../src/expr/tests/conformance.txt");
    let corpus = include_str!("../../src/expr/tests/corpus.txt");
    let cases = table.lines().filter_map(|line| line.split(" | ").nth(1));
    let all: Vec<Vec<u8>> = cases
        .chain(corpus.lines())
        .map(|text| text.as_bytes().to_vec())
        .collect();
    drive(expression, &all, 4_000);
}
