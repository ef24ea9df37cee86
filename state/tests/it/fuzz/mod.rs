//! Readers fed with damaged input, for a bounded time and the same each time.
//!
//! A target is a plain function of bytes that panics when a promise is broken, so a coverage-guided
//! fuzzer can drive it as it is. Here a loop with a seed mutates a corpus of real files. A failure
//! prints the round; `PHISYNC_FUZZ_ROUNDS` asks for more of them.

mod journal;
mod transactions;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use phisync_state::env::{Entropy as _, SeededEntropy};

/// Takes any bytes; panics only for a defect.
type Target = fn(&[u8]);

/// Words that a reader looks for: their like is found by luck only once in a lifetime.
type Words = &'static [&'static [u8]];

/// So many inputs, unless more are asked for.
const ROUNDS: u64 = 2_000;

/// Feeds `target` with the corpus itself and with mutations of it.
fn drive(target: Target, corpus: &[Vec<u8>], words: Words) {
    let asked = std::env::var("PHISYNC_FUZZ_ROUNDS").ok();
    let rounds = asked.and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    for whole in corpus {
        target(whole);
    }
    for round in 0..rounds {
        let mut mutation = Mutation {
            entropy: SeededEntropy::new(round),
            words,
        };
        let input = mutation.of(corpus);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&input))) {
            let shown = String::from_utf8_lossy(&input[..input.len().min(2_000)]).into_owned();
            // The panic's own words stand above.
            let text = format!("round {round} of {} bytes:\n{shown}", input.len());
            resume_unwind(Box::new(
                panic
                    .downcast::<String>()
                    .map_or(text.clone(), |words| format!("{words}\n{text}")),
            ));
        }
    }
}

struct Mutation {
    entropy: SeededEntropy,
    words: Words,
}

impl Mutation {
    fn below(&mut self, bound: usize) -> usize {
        let number = self.entropy.next_u64() % bound.max(1) as u64;
        usize::try_from(number).expect("a remainder is below its divisor")
    }

    /// One of the corpus, changed a few times.
    fn of(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes, corpus);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let some = 1 + self.below(40);
        let end = (at + some).min(bytes.len());
        match self.below(10) {
            0 | 1 => {
                let bit = 1 << self.below(8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bit;
                }
            }
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            5 => {
                let noise: Vec<u8> = (0..some)
                    .map(|_| self.entropy.next_u64().to_le_bytes()[0])
                    .collect();
                bytes.splice(at..end, noise);
            }
            6 => bytes[at..end].fill(0),
            7 => {
                let word = self.words[self.below(self.words.len())];
                bytes.splice(at..at, word.iter().copied());
            }
            8 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                // Whole lines, as an editor moves them.
                let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
                let (one, other) = (self.below(lines.len()), self.below(lines.len()));
                if !lines.is_empty() {
                    lines.swap(one, other);
                }
                *bytes = lines.concat();
            }
        }
    }
}
