//! The claims about machines of states against walking them in every way.
//!
//! Random states with activities of which each way to end is known, transitions by outcomes, signals and
//! the clock, conditions that may go either way. A walker that knows neither the engine nor the checker
//! follows all of them; what the diagnostics say has to agree: which states are never entered, from which
//! no run comes to an end, which outcomes nobody answers, which transitions are never taken.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::definition::Dice;
use super::none_disagrees;
use crate::compile::compile;
use crate::diagnostic::Diagnostic;
use crate::source::SourceText;

/// What a state does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Nothing,
    Task,
    Wait,
    Fail,
    /// A task that may fail without failing what is around it.
    Lenient,
    /// Approved, rejected, or expired.
    Approval,
}

/// How an activity ends, as a transition names it; `approve` and `reject` are outcomes besides.
const SUCCEEDED: &str = "succeeded";
const FAILED: &str = "failed";

impl Activity {
    /// Each way to end, with the outcomes that answer it.
    fn endings(self) -> Vec<Vec<&'static str>> {
        match self {
            Self::Nothing | Self::Wait | Self::Lenient => vec![vec![SUCCEEDED]],
            Self::Task => vec![vec![SUCCEEDED], vec![FAILED]],
            Self::Fail => vec![vec![FAILED]],
            Self::Approval => vec![
                vec!["approve", SUCCEEDED],
                vec!["reject", FAILED],
                vec![FAILED],
            ],
        }
    }

    fn waits(self) -> bool {
        self != Self::Nothing
    }

    fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Task => "    activity: { task: work }\n",
            Self::Wait => "    activity: { wait: 1m }\n",
            Self::Fail => {
                "    activity: { do: [ { id: NAME_work, task: work, on_failure: continue }, { id: NAME_no, fail: { code: app.no, message: never } } ] }\n"
            }
            Self::Lenient => {
                "    activity: { do: [ { id: NAME_inner, task: work, on_failure: continue } ] }\n"
            }
            Self::Approval => {
                "    activity: { approval: { from: { users: [dana] }, prompt: Go?, timeout: 1h, on_timeout: fail } }\n"
            }
        }
    }
}

#[derive(Debug)]
struct TransitionDef {
    /// An outcome, or `None`: a signal of its own.
    outcome: Option<&'static str>,
    /// A condition that may go either way.
    guarded: bool,
    to: usize,
}

#[derive(Debug)]
struct StateDef {
    activity: Activity,
    transitions: Vec<TransitionDef>,
    late: Option<usize>,
    is_final: bool,
}

#[derive(Debug)]
struct StatesDef(Vec<StateDef>);

impl StatesDef {
    fn roll(dice: &mut Dice) -> Self {
        let count = 2 + dice.roll(5);
        let mut states = Vec::new();
        for at in 0..count {
            let is_final = at == count - 1 || (at > 0 && dice.roll(6) == 0);
            let activity = [
                Activity::Nothing,
                Activity::Task,
                Activity::Task,
                Activity::Wait,
                Activity::Fail,
                Activity::Lenient,
                Activity::Approval,
            ][dice.roll(7)];
            let mut state = StateDef {
                activity,
                transitions: Vec::new(),
                late: None,
                is_final,
            };
            if !is_final {
                for _ in 0..1 + dice.roll(4) {
                    let outcome = match (activity, dice.roll(8)) {
                        (Activity::Approval, 0 | 1) => Some("approve"),
                        (Activity::Approval, 2) => Some("reject"),
                        (_, 7) => None,
                        (_, place) => Some(if place % 2 == 0 { SUCCEEDED } else { FAILED }),
                    };
                    state.transitions.push(TransitionDef {
                        outcome,
                        guarded: dice.roll(3) == 0,
                        to: dice.roll(count),
                    });
                }
                state.late = (dice.roll(5) == 0).then(|| dice.roll(count));
            }
            states.push(state);
        }
        Self(states)
    }

    /// As YAML: each transition on a line of its own.
    fn text(&self) -> String {
        let mut text = "workflow: sample\ninputs: { free: any }\ninitial: s0\nstates:\n".to_owned();
        for (at, state) in self.0.iter().enumerate() {
            writeln!(text, "  s{at}:").expect("a String takes all text");
            if state.is_final {
                text.push_str("    final: completed\n");
                continue;
            }
            text.push_str(&state.activity.text().replace("NAME", &format!("s{at}")));
            text.push_str("    max_visits: 3\n");
            if let Some(to) = state.late {
                writeln!(text, "    timeout: {{ after: 10m, to: s{to} }}").expect("text");
            }
            text.push_str("    transitions:\n");
            for (place, transition) in state.transitions.iter().enumerate() {
                let trigger = match transition.outcome {
                    Some(outcome) => format!("outcome: {outcome}"),
                    None => format!("signal: go{place}"),
                };
                let when = match transition.guarded {
                    true => format!(", when: inputs.free.s{at}t{place} == true"),
                    false => String::new(),
                };
                let to = transition.to;
                writeln!(text, "      - {{ {trigger}{when}, to: s{to} }}").expect("text");
            }
        }
        text
    }

    /// The line of a transition, from 1.
    fn line_of(&self, state: usize, place: usize) -> usize {
        let marker = format!("  s{state}:");
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let start = lines.iter().position(|line| **line == *marker);
        let start = start.expect("the state is written");
        let first = lines[start..]
            .iter()
            .position(|line| line.contains("transitions:"));
        start + first.expect("it has transitions") + place + 2
    }
}

/// What is so, or is said to be so.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    never_entered: BTreeSet<usize>,
    never_ending: BTreeSet<usize>,
    /// State and the name of an outcome that nobody answers always.
    unanswered: BTreeSet<(usize, String)>,
    /// Lines of transitions that an earlier one always precedes.
    never_taken: BTreeSet<usize>,
}

/// Walks in every way.
fn walk(definition: &StatesDef) -> Found {
    let states = &definition.0;
    let mut found = Found::default();
    let mut edges: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); states.len()];
    let mut entered = BTreeSet::from([0]);
    let mut open = vec![0];
    while let Some(at) = open.pop() {
        let state = &states[at];
        let mut next = BTreeSet::new();
        let mut taken = BTreeSet::new();
        let mut possible = BTreeSet::new();
        if !state.is_final {
            for ending in state.activity.endings() {
                // All ways in which the conditions can turn out: the first that is true is taken.
                let mut answered = false;
                for (place, transition) in state.transitions.iter().enumerate() {
                    let fits = transition
                        .outcome
                        .is_some_and(|name| ending.contains(&name));
                    if !fits {
                        continue;
                    }
                    possible.insert(place);
                    if !answered {
                        taken.insert(place);
                        answered = !transition.guarded;
                    }
                }
                if !answered {
                    found.unanswered.insert((at, ending[0].to_owned()));
                }
            }
            for (place, transition) in state.transitions.iter().enumerate() {
                if transition.outcome.is_none() && state.activity.waits() {
                    taken.insert(place);
                }
            }
            next.extend(taken.iter().map(|place| state.transitions[*place].to));
            next.extend(state.late.filter(|_| state.activity.waits()));
            let lost = possible.difference(&taken);
            found
                .never_taken
                .extend(lost.map(|place| definition.line_of(at, *place)));
        }
        for to in &next {
            if entered.insert(*to) {
                open.push(*to);
            }
        }
        edges[at] = next;
    }
    let mut ends: BTreeSet<usize> = (0..states.len())
        .filter(|at| states[*at].is_final)
        .collect();
    loop {
        let more: Vec<usize> = (0..states.len())
            .filter(|at| !ends.contains(at) && edges[*at].iter().any(|to| ends.contains(to)))
            .collect();
        if more.is_empty() {
            break;
        }
        ends.extend(more);
    }
    found.never_entered = (0..states.len())
        .filter(|at| !entered.contains(at))
        .collect();
    found.never_ending = entered.difference(&ends).copied().collect();
    found
}

/// The numbers of the states that a text names as `` `s3` ``.
fn named(text: &str) -> impl Iterator<Item = usize> + '_ {
    let words = text.split('`').skip(1).step_by(2);
    words.filter_map(|word| word.strip_prefix('s')?.parse().ok())
}

/// What the diagnostics say; only of states that are entered as far as they say.
fn claims(text: &str) -> Result<Found, Box<Diagnostic>> {
    let source = SourceText::new("sample.yaml", text);
    let compiled = compile(&source, None);
    let mut found = Found::default();
    for diagnostic in compiled.diagnostics {
        let message = &diagnostic.message;
        let (line, _) = source.line_column(diagnostic.span.start);
        match diagnostic.code {
            "PHI402" if message.starts_with("state") => found.never_entered.extend(named(message)),
            "PHI403" => found.never_ending.extend(named(&diagnostic.label)),
            "PHI410" | "PHI407" => {
                let state = message
                    .split("state ")
                    .nth(1)
                    .and_then(|rest| named(rest).next());
                let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
                let outcome = words
                    .into_iter()
                    .find(|word| !word.starts_with('s') || *word == SUCCEEDED);
                let state = state.expect("it names the state");
                let outcome = outcome.expect("it names the outcome").to_owned();
                found.unanswered.insert((state, outcome));
            }
            "PHI408" => {
                found.never_taken.insert(line);
            }
            "PHI211" | "PHI319" | "PHI406" | "PHI416" | "PHI506" | "PHI606" | "PHI701" => {}
            _ => return Err(Box::new(diagnostic)),
        }
    }
    Ok(found)
}

fn disagreement(seed: u64) -> Option<String> {
    let mut dice = Dice::new(seed);
    let definition = StatesDef::roll(&mut dice);
    let text = definition.text();
    let found = walk(&definition);
    let claims = match claims(&text) {
        Ok(claims) => claims,
        Err(other) => return Some(format!("seed {seed}\n{text}\n{other:?}")),
    };
    // Of a state that no run enters nothing needs to be said.
    let entered = |line: &usize| {
        let above = text
            .lines()
            .take(*line)
            .filter(|line| line.starts_with("  s"));
        let state = above.last().and_then(|line| {
            line.trim()
                .strip_prefix('s')?
                .strip_suffix(':')?
                .parse()
                .ok()
        });
        state.is_some_and(|state: usize| !found.never_entered.contains(&state))
    };
    let of_entered: BTreeSet<_> = claims
        .unanswered
        .iter()
        .filter(|(state, _)| !found.never_entered.contains(state))
        .cloned()
        .collect();
    let lines: BTreeSet<usize> = claims.never_taken.iter().copied().filter(entered).collect();
    let ending: BTreeSet<usize> = claims
        .never_ending
        .difference(&found.never_entered)
        .copied()
        .collect();
    // A transition that is never taken is an error by itself; where it would lead is not followed.
    let told = !lines.is_empty();
    let agreed = of_entered == found.unanswered
        && lines == found.never_taken
        && (told || claims.never_entered == found.never_entered)
        && (told || ending == found.never_ending);
    (!agreed).then(|| format!("seed {seed}\n{text}\nclaims {claims:?}\nfound {found:?}"))
}

#[test]
fn machines_of_states_do_what_the_checker_says() {
    none_disagrees(disagreement);
}

#[test]
fn the_walker_sees_what_is_wrong() {
    let text = |states: Vec<StateDef>| walk(&StatesDef(states));
    let task = |transitions| StateDef {
        activity: Activity::Wait,
        transitions,
        late: None,
        is_final: false,
    };
    let end = || StateDef {
        activity: Activity::Nothing,
        transitions: Vec::new(),
        late: None,
        is_final: true,
    };
    let go = |outcome, guarded, to| TransitionDef {
        outcome: Some(outcome),
        guarded,
        to,
    };
    // A wait cannot fail: the end behind `failed` is never entered, and nothing ends.
    let found = text(vec![
        task(vec![go(SUCCEEDED, false, 0), go(FAILED, false, 1)]),
        end(),
    ]);
    assert_eq!(found.never_entered, BTreeSet::from([1]));
    assert_eq!(found.never_ending, BTreeSet::from([0]));
    let found = text(vec![task(vec![go(SUCCEEDED, true, 1)]), end()]);
    assert_eq!(
        found.unanswered,
        BTreeSet::from([(0, SUCCEEDED.to_owned())])
    );
}
