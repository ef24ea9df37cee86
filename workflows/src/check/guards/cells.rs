//! The values that matter: each domain cut by the constants that it is compared with.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::{CELLS_MAX, Domains, TooMany};
use crate::expr::Value;
use crate::expr::formula::{Comparison, Formula, Term, Test};
use crate::schema::Domain;

/// A value that stands for all of its cell; `None` is any that no test names.
type Sample = Option<Value>;

/// Conditions with more tests than this are not looked at.
const TESTS_MAX: usize = 500;

/// All dimensions of some conditions. A cell is one index per dimension.
pub(super) struct Cells<'g> {
    axes: Vec<Axis<'g>>,
}

enum Axis<'g> {
    Term {
        term: &'g Term,
        tests: Vec<(Comparison, &'g Value)>,
        samples: Vec<Sample>,
    },
    /// A test that is not understood: it holds in cell 0.
    Opaque(&'g Test),
}

impl Axis<'_> {
    fn size(&self) -> usize {
        match self {
            Self::Term { samples, .. } => samples.len(),
            Self::Opaque(_) => 2,
        }
    }
}

/// A formula whose tests are answered, cell by cell.
pub(super) enum Ground {
    Constant(bool),
    Test { axis: usize, answers: Vec<bool> },
    Not(Box<Ground>),
    All(Vec<Ground>),
    Any(Vec<Ground>),
}

impl Ground {
    pub(super) fn holds(&self, cell: &[usize]) -> bool {
        match self {
            Self::Constant(value) => *value,
            Self::Test { axis, answers } => answers[cell[*axis]],
            Self::Not(inner) => !inner.holds(cell),
            Self::All(parts) => parts.iter().all(|part| part.holds(cell)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(cell)),
        }
    }
}

/// What is tested of one term.
#[derive(Default)]
struct Tests<'g> {
    comparisons: Vec<(Comparison, &'g Value)>,
    truth: bool,
}

impl<'g> Cells<'g> {
    pub(super) fn of(guards: &'g [Formula], domains: Domains<'_>) -> Result<Self, TooMany> {
        let mut terms: BTreeMap<&Term, Tests<'g>> = BTreeMap::new();
        let mut opaque: BTreeMap<&str, &'g Test> = BTreeMap::new();
        let mut count = 0;
        for guard in guards {
            for_each_test(guard, &mut |_| count += 1);
        }
        if count > TESTS_MAX {
            return Err(TooMany(TESTS_MAX));
        }
        for guard in guards {
            for_each_test(guard, &mut |test| match test {
                Test::Truth(term) => terms.entry(term).or_default().truth = true,
                Test::Compare(term, comparison, constant) => {
                    let tests = terms.entry(term).or_default();
                    if !tests.comparisons.contains(&(*comparison, constant)) {
                        tests.comparisons.push((*comparison, constant));
                    }
                }
                Test::Opaque { text, .. } => {
                    opaque.entry(text).or_insert(test);
                }
            });
        }
        let mut axes: Vec<Axis<'g>> = terms
            .into_iter()
            .map(|(term, tests)| axis(term, tests, &domains(term)))
            .collect();
        axes.extend(opaque.into_values().map(Axis::Opaque));
        let count = axes
            .iter()
            .fold(1_usize, |count, axis| count.saturating_mul(axis.size()));
        if count > CELLS_MAX {
            return Err(TooMany(CELLS_MAX));
        }
        Ok(Self { axes })
    }

    pub(super) fn for_each(&self, mut visit: impl FnMut(&[usize])) {
        let all: Vec<usize> = (0..self.axes.len()).collect();
        self.vary(&vec![0; self.axes.len()], &all, &mut |cell| {
            visit(cell);
            true
        });
    }

    /// Visits all cells that differ from `start` along `free` only, until `visit` says no; whether
    /// it never did.
    fn vary(
        &self,
        start: &[usize],
        free: &[usize],
        visit: &mut dyn FnMut(&[usize]) -> bool,
    ) -> bool {
        let mut cell = start.to_vec();
        for axis in free {
            cell[*axis] = 0;
        }
        if free.iter().any(|axis| self.axes[*axis].size() == 0) {
            return true;
        }
        loop {
            if !visit(&cell) {
                return false;
            }
            // Counts up, the last axis fastest.
            let Some(axis) = free
                .iter()
                .rev()
                .find(|axis| cell[**axis] + 1 < self.axes[**axis].size())
            else {
                return true;
            };
            cell[*axis] += 1;
            for later in free.iter().rev().take_while(|later| *later != axis) {
                cell[*later] = 0;
            }
        }
    }

    /// The formula over these cells.
    pub(super) fn ground(&self, formula: &Formula) -> Ground {
        match formula {
            Formula::Constant(value) => Ground::Constant(*value),
            Formula::Not(inner) => Ground::Not(Box::new(self.ground(inner))),
            Formula::All(parts) => Ground::All(parts.iter().map(|p| self.ground(p)).collect()),
            Formula::Any(parts) => Ground::Any(parts.iter().map(|p| self.ground(p)).collect()),
            Formula::Test(test) => self.answers(test),
        }
    }

    fn answers(&self, test: &Test) -> Ground {
        let place = self.axes.iter().position(|axis| match (axis, test) {
            (Axis::Term { term, .. }, Test::Truth(own) | Test::Compare(own, ..)) => *term == own,
            (Axis::Opaque(Test::Opaque { text, .. }), Test::Opaque { text: own, .. }) => {
                text == own
            }
            _ => false,
        });
        let Some(axis) = place else {
            return Ground::Constant(false);
        };
        let answers = match (&self.axes[axis], test) {
            (Axis::Term { samples, .. }, Test::Truth(_)) => samples
                .iter()
                .map(|sample| *sample == Some(Value::Bool(true)))
                .collect(),
            (Axis::Term { samples, .. }, Test::Compare(_, comparison, constant)) => samples
                .iter()
                .map(|sample| compares(sample.as_ref(), *comparison, constant))
                .collect(),
            _ => vec![true, false],
        };
        Ground::Test { axis, answers }
    }

    /// Whether the tests of these conditions say nothing about each other: no opaque one reads
    /// what another one reads.
    pub(super) fn independent(&self, guards: &[&Formula]) -> bool {
        let mut opaque: BTreeMap<&str, &BTreeSet<String>> = BTreeMap::new();
        let mut paths: BTreeSet<&str> = BTreeSet::new();
        for guard in guards {
            for_each_test(guard, &mut |test| match test {
                Test::Truth(term) | Test::Compare(term, ..) => {
                    paths.insert(term.path());
                }
                Test::Opaque { text, reads } => {
                    opaque.insert(text, reads);
                }
            });
        }
        let mut open: Vec<&BTreeSet<String>> = opaque.into_values().collect();
        while let Some(reads) = open.pop() {
            let others = || {
                open.iter()
                    .flat_map(|reads| reads.iter().map(String::as_str))
                    .chain(paths.iter().copied())
            };
            if reads
                .iter()
                .any(|path| others().any(|other| related(path, other)))
            {
                return false;
            }
        }
        true
    }

    /// The part of a cell that matters for `verdict`, as a condition.
    pub(super) fn describe(&self, cell: &[usize], verdict: &dyn Fn(&[usize]) -> bool) -> String {
        let mut free: Vec<usize> = Vec::new();
        for axis in 0..self.axes.len() {
            let mut wider = free.clone();
            wider.push(axis);
            if self.vary(cell, &wider, &mut |cell| verdict(cell)) {
                free = wider;
            }
        }
        let parts: Vec<String> = (0..self.axes.len())
            .filter(|axis| !free.contains(axis))
            .map(|axis| self.axes[axis].describe(cell[axis]))
            .collect();
        if parts.is_empty() {
            "true".to_owned()
        } else {
            parts.join(" && ")
        }
    }
}

impl Axis<'_> {
    fn describe(&self, at: usize) -> String {
        match self {
            Self::Opaque(Test::Opaque { text, .. }) if at == 0 => text.clone(),
            Self::Opaque(Test::Opaque { text, .. }) => format!("!({text})"),
            Self::Opaque(_) => String::new(),
            Self::Term {
                term,
                tests,
                samples,
            } => {
                let term = match term {
                    Term::Path(path) => path.clone(),
                    Term::Size(path) => format!("size({path})"),
                };
                match &samples[at] {
                    Some(Value::Bool(true)) => term,
                    Some(Value::Bool(false)) => format!("!{term}"),
                    Some(value) => format!("{term} == {}", written(value)),
                    None => {
                        let others: Vec<String> = tests
                            .iter()
                            .map(|(_, constant)| format!("{term} != {}", written(constant)))
                            .collect();
                        others.join(" && ")
                    }
                }
            }
        }
    }
}

fn axis<'g>(term: &'g Term, tests: Tests<'g>, domain: &Domain) -> Axis<'g> {
    let constants: Vec<&Value> = tests.comparisons.iter().map(|(_, c)| *c).collect();
    let mut samples: Vec<Sample> = match domain {
        Domain::Values(values) => values.iter().cloned().map(Some).collect(),
        Domain::Int(min, max) => integers(&constants, *min, *max),
        Domain::Number(min, max) => numbers(&constants, *min, *max),
        Domain::Text => texts(&constants),
        Domain::Anything => anything(&tests),
    };
    // Values that no test tells apart are one cell.
    let mut seen: BTreeSet<(bool, Vec<bool>)> = BTreeSet::new();
    samples.retain(|sample| {
        let answers = tests
            .comparisons
            .iter()
            .map(|(comparison, constant)| compares(sample.as_ref(), *comparison, constant));
        let answers = (
            tests.truth && *sample == Some(Value::Bool(true)),
            answers.collect(),
        );
        seen.insert(answers)
    });
    Axis::Term {
        term,
        tests: tests.comparisons,
        samples,
    }
}

fn integers(constants: &[&Value], min: Option<i64>, max: Option<i64>) -> Vec<Sample> {
    let mut samples: BTreeSet<i64> = min.into_iter().chain(max).collect();
    for constant in constants {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a double beyond the integers is as good as the outermost integer"
        )]
        let at = match constant {
            Value::Int(at) => *at,
            Value::Double(at) => at.floor() as i64,
            _ => continue,
        };
        samples.extend([at.saturating_sub(1), at, at.saturating_add(1)]);
    }
    samples.retain(|at| min.is_none_or(|min| min <= *at) && max.is_none_or(|max| *at <= max));
    if samples.is_empty() {
        samples.insert(0);
    }
    samples.into_iter().map(|at| Some(Value::Int(at))).collect()
}

fn numbers(constants: &[&Value], min: Option<f64>, max: Option<f64>) -> Vec<Sample> {
    let mut cuts: Vec<f64> = constants
        .iter()
        .filter_map(|constant| as_double(constant))
        .collect();
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    let mut samples: Vec<f64> = min.into_iter().chain(max).collect();
    if let (Some(first), Some(last)) = (cuts.first(), cuts.last()) {
        samples.extend([first - 1.0, f64::MIN, last + 1.0, f64::MAX]);
    }
    for pair in cuts.windows(2) {
        let middle = pair[0].midpoint(pair[1]);
        samples.push(if pair[0] < middle && middle < pair[1] {
            middle
        } else {
            pair[0].next_up()
        });
    }
    samples.extend(cuts);
    samples.retain(|at| min.is_none_or(|min| min <= *at) && max.is_none_or(|max| *at <= max));
    if samples.is_empty() {
        samples.push(0.0);
    }
    samples
        .into_iter()
        .map(|at| Some(Value::Double(at)))
        .collect()
}

fn texts(constants: &[&Value]) -> Vec<Sample> {
    constants
        .iter()
        .filter(|constant| matches!(constant, Value::String(_)))
        .map(|constant| Some((*constant).clone()))
        .chain([None])
        .collect()
}

/// Where nothing is known, every constant is possible, and something else too, unless an order is
/// asked for: then it is a number.
fn anything(tests: &Tests<'_>) -> Vec<Sample> {
    let constants: Vec<&Value> = tests.comparisons.iter().map(|(_, c)| *c).collect();
    let ordered = tests
        .comparisons
        .iter()
        .any(|(comparison, _)| *comparison != Comparison::Equal);
    let numeric = |value: &Value| matches!(value, Value::Int(_) | Value::Double(_));
    let mut samples: Vec<Sample> = constants
        .iter()
        .filter(|constant| !numeric(constant))
        .map(|constant| Some((*constant).clone()))
        .collect();
    if tests.truth {
        samples.extend([Some(Value::Bool(true)), Some(Value::Bool(false))]);
    }
    if ordered || constants.iter().any(|constant| numeric(constant)) {
        samples.extend(numbers(&constants, None, None));
    }
    if !ordered && !tests.truth {
        samples.push(None);
    }
    samples
}

fn compares(sample: Option<&Value>, comparison: Comparison, constant: &Value) -> bool {
    let Some(sample) = sample else { return false };
    let order = sample.order(constant).flatten();
    match comparison {
        Comparison::Equal => sample == constant || order == Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn as_double(value: &Value) -> Option<f64> {
    match value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "an integer beyond 2^53 compares with doubles as its nearest one"
        )]
        Value::Int(at) => Some(*at as f64),
        Value::Double(at) => Some(*at),
        _ => None,
    }
}

/// Whether one path is the other or leads through it.
fn related(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Double(at) if at.fract() == 0.0 && at.abs() < 1e15 => format!("{at:.0}"),
        Value::Double(at) => at.to_string(),
        Value::Int(at) => at.to_string(),
        Value::Bool(value) => value.to_string(),
        other => other.kind().to_owned(),
    }
}

fn for_each_test<'f>(formula: &'f Formula, visit: &mut dyn FnMut(&'f Test)) {
    match formula {
        Formula::Constant(_) => {}
        Formula::Test(test) => visit(test),
        Formula::Not(inner) => for_each_test(inner, visit),
        Formula::All(parts) | Formula::Any(parts) => {
            parts.iter().for_each(|part| for_each_test(part, visit));
        }
    }
}
