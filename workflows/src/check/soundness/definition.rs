//! Small workflows at random, as data and as text.

use std::fmt::Write as _;

/// Numbers that only depend on a seed (splitmix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `sides - 1`.
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        let sides = u64::try_from(sides).expect("a die has few sides");
        usize::try_from(self.next() % sides).expect("fewer than the sides")
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

/// A workflow: steps and bodies in flat lists, the main body first.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) steps: Vec<StepDef>,
    pub(super) bodies: Vec<BodyDef>,
}

#[derive(Debug)]
pub(super) struct BodyDef {
    pub(super) sequence: bool,
    pub(super) steps: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct StepDef {
    pub(super) needs: Vec<usize>,
    pub(super) join: JoinDef,
    /// It has an `if` that may go either way.
    pub(super) conditional: bool,
    /// Its `if` asks for the success of this need.
    pub(super) wants: Option<usize>,
    pub(super) on_failure: OnFailureDef,
    pub(super) kind: KindDef,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinDef {
    All,
    Any,
    First,
    AtLeast(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnFailureDef {
    Fail,
    Continue,
    /// A body, and whether dependants run after it.
    Handle(usize, bool),
}

/// Bodies by their place.
#[derive(Debug)]
pub(super) enum KindDef {
    Task,
    Fail,
    Finish,
    /// Waits, and cannot fail.
    Wait,
    Do(usize),
    /// Cases, and the body of the default, or else whether the step fails then.
    Switch(Vec<usize>, Result<usize, bool>),
    Parallel(Vec<usize>),
    /// What is tried; handlers, each with whether it takes every error and whether the step
    /// succeeds after it; what is done at the end.
    Try(usize, Vec<(usize, bool, bool)>, Option<usize>),
    Foreach(usize),
    /// Whether it is tested before, and whether it may be exhausted without failing.
    Loop(usize, bool, bool),
}

/// What is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taste {
    pub(super) steps_max: usize,
    pub(super) blocks: bool,
    /// Needs may point forward; then nothing but `join: all`, so that every circle is a deadlock.
    pub(super) circles: bool,
}

impl Definition {
    pub(super) fn roll(dice: &mut Dice, taste: Taste) -> Self {
        let mut made = Self {
            steps: Vec::new(),
            bodies: vec![BodyDef {
                sequence: false,
                steps: Vec::new(),
            }],
        };
        let count = 1 + dice.roll(taste.steps_max);
        made.fill(dice, taste, 0, count);
        made
    }

    /// Puts steps into a body, which spend at most `budget` steps with all that is inside.
    fn fill(&mut self, dice: &mut Dice, taste: Taste, body: usize, budget: usize) {
        let mut left = budget;
        while left > 0 {
            let inside = if taste.blocks && left > 1 && dice.one_in(2) {
                1 + dice.roll(left - 1)
            } else {
                0
            };
            left -= 1 + inside;
            let step = self.steps.len();
            self.bodies[body].steps.push(step);
            self.steps.push(StepDef {
                needs: Vec::new(),
                join: JoinDef::All,
                conditional: dice.one_in(4),
                wants: None,
                on_failure: OnFailureDef::Fail,
                kind: KindDef::Task,
            });
            let kind = if inside == 0 {
                let sides = if taste.circles { 9 } else { 12 };
                match dice.roll(sides) {
                    0..=7 => KindDef::Task,
                    8 => KindDef::Wait,
                    9 | 10 => KindDef::Fail,
                    _ => KindDef::Finish,
                }
            } else {
                self.block(dice, taste, inside)
            };
            let may_continue = !matches!(kind, KindDef::Finish | KindDef::Wait | KindDef::Fail);
            self.steps[step].kind = kind;
            if may_continue && dice.one_in(4) {
                self.steps[step].on_failure = OnFailureDef::Continue;
            } else if may_continue && taste.blocks && left > 0 && dice.one_in(6) {
                left -= 1;
                let handler = self.inner(dice, taste, 1);
                self.steps[step].on_failure = OnFailureDef::Handle(handler, dice.one_in(2));
            }
        }
        self.order(dice, taste, body);
    }

    fn sequence(&mut self) -> usize {
        self.bodies.push(BodyDef {
            sequence: true,
            steps: Vec::new(),
        });
        self.bodies.len() - 1
    }

    fn inner(&mut self, dice: &mut Dice, taste: Taste, budget: usize) -> usize {
        let body = self.sequence();
        self.fill(dice, taste, body, budget);
        body
    }

    /// A body that may be a graph.
    fn scope(&mut self, dice: &mut Dice, taste: Taste, budget: usize) -> usize {
        let body = self.sequence();
        self.bodies[body].sequence = dice.one_in(2);
        self.fill(dice, taste, body, budget);
        body
    }

    fn block(&mut self, dice: &mut Dice, taste: Taste, budget: usize) -> KindDef {
        let part = |dice: &mut Dice, left: &mut usize| {
            let part = dice.roll(*left + 1);
            *left -= part;
            part
        };
        let mut left = budget;
        match dice.roll(6) {
            0 => KindDef::Do(self.inner(dice, taste, budget)),
            1 => {
                let count = 1 + dice.roll(2);
                let mut cases = Vec::new();
                for _ in 0..count {
                    let steps = part(dice, &mut left);
                    cases.push(self.scope(dice, taste, steps));
                }
                let default = if left > 0 {
                    Ok(self.inner(dice, taste, left))
                } else {
                    Err(dice.one_in(2))
                };
                KindDef::Switch(cases, default)
            }
            2 => {
                if budget < 2 {
                    return KindDef::Parallel(vec![self.inner(dice, taste, budget)]);
                }
                let steps = 1 + dice.roll(budget - 1);
                let first = self.inner(dice, taste, steps);
                let second = self.inner(dice, taste, budget - steps);
                KindDef::Parallel(vec![first, second])
            }
            3 => {
                let steps = 1 + dice.roll(budget);
                left -= steps;
                let body = self.scope(dice, taste, steps);
                let mut catches = Vec::new();
                for last in [false, true] {
                    if dice.one_in(2) {
                        let steps = part(dice, &mut left);
                        let handler = self.inner(dice, taste, steps);
                        catches.push((handler, last && dice.one_in(2), dice.one_in(2)));
                    }
                }
                let finally = if left > 0 {
                    Some(self.inner(dice, taste, left))
                } else {
                    None
                };
                KindDef::Try(body, catches, finally)
            }
            4 => KindDef::Foreach(self.scope(dice, taste, budget)),
            _ => {
                let body = self.scope(dice, taste, budget);
                KindDef::Loop(body, dice.one_in(2), dice.one_in(2))
            }
        }
    }

    /// Needs and joins of the steps of a body.
    fn order(&mut self, dice: &mut Dice, taste: Taste, body: usize) {
        let steps = self.bodies[body].steps.clone();
        if self.bodies[body].sequence {
            for pair in steps.windows(2) {
                self.steps[pair[1]].needs = vec![pair[0]];
            }
            return;
        }
        for (place, step) in steps.iter().enumerate() {
            for (other, need) in steps.iter().enumerate() {
                let forward = other >= place;
                let wanted = if forward {
                    taste.circles && dice.one_in(6)
                } else {
                    dice.one_in(2)
                };
                if wanted {
                    self.steps[*step].needs.push(*need);
                }
            }
        }
        for step in &steps {
            let needs = self.steps[*step].needs.clone();
            if needs.len() > 1 && !taste.circles {
                self.steps[*step].join = match dice.roll(7) {
                    0 => JoinDef::Any,
                    1 => JoinDef::AtLeast(1 + dice.roll(needs.len())),
                    // Of needs that others have too, the checker says too much.
                    2 if needs.iter().all(|need| self.needed_once(*need)) => JoinDef::First,
                    _ => JoinDef::All,
                };
            }
            if !needs.is_empty() && !taste.circles && dice.one_in(6) {
                self.steps[*step].wants = Some(needs[dice.roll(needs.len())]);
                // Alone it would tie two steps together, and the checker takes conditions as free.
                self.steps[*step].conditional = true;
            }
        }
    }

    fn needed_once(&self, step: usize) -> bool {
        self.steps
            .iter()
            .filter(|other| other.needs.contains(&step))
            .count()
            == 1
    }

    /// As YAML.
    pub(super) fn text(&self) -> String {
        let mut text = "workflow: sample\ninputs: { free: any }\nsteps:\n".to_owned();
        self.body(&mut text, 0, 2);
        text
    }

    fn body(&self, text: &mut String, body: usize, indent: usize) {
        for step in &self.bodies[body].steps {
            self.step(text, *step, indent, self.bodies[body].sequence);
        }
    }

    fn step(&self, text: &mut String, at: usize, indent: usize, sequence: bool) {
        let step = &self.steps[at];
        let pad = " ".repeat(indent);
        writeln!(text, "{pad}- id: s{at}").expect("a String takes all text");
        let mut line = |words: String| {
            writeln!(text, "{pad}  {words}").expect("a String takes all text");
        };
        if !sequence && !step.needs.is_empty() {
            let needs: Vec<String> = step.needs.iter().map(|need| format!("s{need}")).collect();
            line(format!("needs: [{}]", needs.join(", ")));
            match step.join {
                JoinDef::All => {}
                JoinDef::Any => line("join: any".to_owned()),
                JoinDef::First => line("join: first".to_owned()),
                JoinDef::AtLeast(least) => line(format!("join: {{ at_least: {least} }}")),
            }
        }
        let free = step
            .conditional
            .then(|| format!("inputs.free.s{at} == true"));
        let wants = step
            .wants
            .map(|need| format!("steps.s{need}.outcome == 'succeeded'"));
        let asked: Vec<String> = free.into_iter().chain(wants).collect();
        if !asked.is_empty() {
            line(format!("if: \"{}\"", asked.join(" && ")));
        }
        if step.on_failure == OnFailureDef::Continue {
            line("on_failure: continue".to_owned());
        }
        self.kind(text, at, indent);
        if let OnFailureDef::Handle(body, goes_on) = step.on_failure {
            let then = if goes_on { "continue" } else { "fail" };
            writeln!(text, "{pad}  on_failure:\n{pad}    then: {then}").expect("text");
            self.list(text, "do", body, indent + 4);
        }
    }

    fn list(&self, text: &mut String, key: &str, body: usize, indent: usize) {
        let pad = " ".repeat(indent);
        let body_def = &self.bodies[body];
        let key = if body_def.sequence { key } else { "steps" };
        if body_def.steps.is_empty() {
            put(text, &pad, &format!("{key}: []"));
        } else {
            put(text, &pad, &format!("{key}:"));
            self.body(text, body, indent + 2);
        }
    }

    fn kind(&self, text: &mut String, at: usize, indent: usize) {
        let pad = " ".repeat(indent + 2);
        match &self.steps[at].kind {
            KindDef::Task => put(text, &pad, "prompt: Do it."),
            KindDef::Fail => put(text, &pad, "fail: { code: app.no, message: no }"),
            KindDef::Finish => put(text, &pad, "finish: {}"),
            KindDef::Wait => put(text, &pad, "wait: 1m"),
            KindDef::Do(body) => self.list(text, "do", *body, indent + 2),
            KindDef::Switch(cases, default) => {
                put(text, &pad, "switch:");
                put(text, &pad, "  cases:");
                for (place, case) in cases.iter().enumerate() {
                    put(text, &pad, &format!("    - id: c{place}"));
                    put(
                        text,
                        &pad,
                        &format!("      when: inputs.free.s{at}c{place} == true"),
                    );
                    self.list(text, "do", *case, indent + 8);
                }
                match default {
                    Ok(body) => self.list(text, "default", *body, indent + 4),
                    Err(true) => put(text, &pad, "  default: fail"),
                    Err(false) => put(text, &pad, "  default: skip"),
                }
            }
            KindDef::Parallel(branches) => {
                put(text, &pad, "parallel:");
                put(text, &pad, "  branches:");
                for (place, branch) in branches.iter().enumerate() {
                    self.list(text, &format!("b{place}"), *branch, indent + 6);
                }
            }
            KindDef::Try(body, catches, finally) => {
                put(text, &pad, "try:");
                self.list(text, "do", *body, indent + 4);
                if !catches.is_empty() {
                    put(text, &pad, "  catch:");
                }
                for (handler, all, goes_on) in catches {
                    let errors = if *all { "[all]" } else { "[app]" };
                    let then = if *goes_on { "continue" } else { "fail" };
                    put(
                        text,
                        &pad,
                        &format!("    - errors: {errors}\n{pad}      then: {then}"),
                    );
                    self.list(text, "do", *handler, indent + 8);
                }
                if let Some(finally) = finally {
                    self.list(text, "finally", *finally, indent + 4);
                }
            }
            KindDef::Foreach(body) => {
                put(text, &pad, "foreach:");
                put(text, &pad, "  in: inputs.free.list");
                put(text, &pad, &format!("  as: item{at}"));
                put(text, &pad, &format!("  index_as: index{at}"));
                self.list(text, "do", *body, indent + 4);
            }
            KindDef::Loop(body, before, lenient) => {
                put(text, &pad, "loop:");
                put(text, &pad, "  max: 2");
                let test = if *before { "while" } else { "until" };
                put(text, &pad, &format!("  {test}: inputs.free.s{at}t == true"));
                if *lenient {
                    put(text, &pad, "  on_exhausted: continue");
                }
                self.list(text, "do", *body, indent + 4);
            }
        }
    }
}

fn put(text: &mut String, pad: &str, words: &str) {
    writeln!(text, "{pad}{words}").expect("a String takes all text");
}
