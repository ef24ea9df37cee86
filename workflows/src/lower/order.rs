//! The order of steps: what comes before what, for certain and at all.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::StepDraft;
use crate::machine::{Body, Join, Owner, StateIndex, StepIndex};

/// What the needs of all steps say about their order.
pub(crate) struct Order {
    /// An edge leads from a step to the step that needs it; nodes stand in file order.
    pub(crate) graph: DiGraph<StepIndex, ()>,
    /// All steps, each after its needs (as far as there is no cycle) and after the block that it
    /// is in.
    pub(crate) sequence: Vec<usize>,
    /// Sorts the steps of a body, each after its needs.
    place: Vec<usize>,
    /// For each step the steps before it on some path, across bodies.
    pub(crate) before: Vec<StepSet>,
    /// For each step the steps of its own and of the enclosing bodies that have an outcome
    /// whenever it starts.
    pub(crate) decided_before: Vec<StepSet>,
    /// One shortest cycle per knot, each from its first step in the file.
    pub(crate) cycles: Vec<Vec<usize>>,
    /// The length of the longest chain of needs that ends at a step.
    pub(crate) rank: Vec<u32>,
}

/// A set of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepSet(Vec<u64>);

impl StepSet {
    fn empty(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        self.0[index / 64] & (1 << (index % 64)) != 0
    }

    fn add_all(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    fn keep_only(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word &= more;
        }
    }
}

impl Order {
    pub(crate) fn of(steps: &[StepDraft<'_>], bodies: &[Body]) -> Self {
        let count = steps.len();
        let mut graph = DiGraph::with_capacity(count, count);
        let nodes: Vec<_> = (0_u32..)
            .take(count)
            .map(|index| graph.add_node(StepIndex(index)))
            .collect();
        for (index, draft) in steps.iter().enumerate() {
            for need in &draft.step.needs {
                graph.add_edge(nodes[need.get()], nodes[index], ());
            }
        }
        let mut place = vec![0; count];
        let mut cycles = Vec::new();
        let mut seen = 0;
        // Iterative, and in reverse topological order.
        for knot in kosaraju_scc(&graph).into_iter().rev() {
            let mut members: Vec<usize> = knot.iter().map(|node| node.index()).collect();
            members.sort_unstable();
            let on_itself = |index: usize| steps[index].step.needs.iter().any(|n| n.get() == index);
            if members.len() > 1 || members.first().is_some_and(|index| on_itself(*index)) {
                cycles.push(shortest_cycle(&members, steps));
            }
            for member in members {
                place[member] = seen;
                seen += 1;
            }
        }
        cycles.sort();
        let mut order = Self {
            graph,
            sequence: Vec::with_capacity(count),
            place,
            before: vec![StepSet::empty(count); count],
            decided_before: vec![StepSet::empty(count); count],
            cycles,
            rank: vec![0; count],
        };
        Closure::new(&mut order, steps, bodies).run();
        order
    }

    /// The steps of a body, each after its needs.
    pub(crate) fn in_body(&self, body: &Body) -> Vec<usize> {
        let mut steps: Vec<usize> = body.steps.iter().map(|step| step.get()).collect();
        steps.sort_by_key(|step| self.place[*step]);
        steps
    }

    /// Whether the step at `first`, or a block around it, is before the one at `second` on some
    /// path.
    pub(crate) fn is_before(&self, first: usize, second: usize) -> bool {
        self.before[second].contains(first)
    }
}

/// Closes the order over needs and over bodies: what is before a block is before all inside it,
/// and what is inside a block is before all that comes after the block.
struct Closure<'a, 'n> {
    order: &'a mut Order,
    steps: &'a [StepDraft<'n>],
    bodies: &'a [Body],
    /// Each body's steps, every one after its needs.
    sorted: Vec<Vec<usize>>,
    /// The bodies of each step, those of handlers last.
    inner: Vec<Vec<usize>>,
}

impl<'a, 'n> Closure<'a, 'n> {
    fn new(order: &'a mut Order, steps: &'a [StepDraft<'n>], bodies: &'a [Body]) -> Self {
        let sorted = bodies.iter().map(|body| order.in_body(body)).collect();
        let mut inner = vec![Vec::new(); steps.len()];
        for handlers in [false, true] {
            for (index, body) in bodies.iter().enumerate() {
                match body.owner {
                    Owner::Block(step) if !handlers => inner[step.get()].push(index),
                    Owner::Handler(step) | Owner::Undo(step) if handlers => {
                        inner[step.get()].push(index);
                    }
                    _ => {}
                }
            }
        }
        Self {
            order,
            steps,
            bodies,
            sorted,
            inner,
        }
    }

    fn run(mut self) {
        let nothing = StepSet::empty(self.steps.len());
        let mut before = nothing.clone();
        let mut state: Option<(StateIndex, StepSet)> = None;
        for (index, body) in self.bodies.iter().enumerate() {
            match body.owner {
                // The run's handlers come after its main body, however the file is written.
                Owner::Run => self.body(index, &before, &nothing),
                Owner::State(current) => {
                    let earlier = match &state {
                        Some((of, earlier)) if *of == current => earlier.clone(),
                        _ => nothing.clone(),
                    };
                    self.body(index, &earlier, &nothing);
                    let mut earlier = earlier;
                    self.add_inside(index, &mut earlier);
                    state = Some((current, earlier));
                }
                Owner::OnFailure
                | Owner::Finally
                | Owner::Block(_)
                | Owner::Handler(_)
                | Owner::Undo(_) => {}
            }
        }
        for owner in [Owner::Run, Owner::OnFailure, Owner::Finally] {
            for (index, body) in self.bodies.iter().enumerate() {
                let belongs = body.owner == owner
                    || owner == Owner::Run && matches!(body.owner, Owner::State(_));
                if !belongs {
                    continue;
                }
                if matches!(owner, Owner::OnFailure | Owner::Finally) {
                    self.body(index, &before, &nothing);
                }
                self.add_inside(index, &mut before);
            }
        }
    }

    /// `before` and `decided` are those of whatever the body stands in.
    fn body(&mut self, body: usize, before: &StepSet, decided: &StepSet) {
        for index in self.sorted[body].clone() {
            self.step(index, before, decided);
            let inner = std::mem::take(&mut self.inner[index]);
            let decided = self.order.decided_before[index].clone();
            let mut inner_before = self.order.before[index].clone();
            let is_handler = |body: usize| {
                let owner = self.bodies[body].owner;
                matches!(owner, Owner::Handler(_) | Owner::Undo(_))
            };
            let (handlers, blocks): (Vec<_>, Vec<_>) =
                inner.iter().copied().partition(|body| is_handler(*body));
            for body in &blocks {
                self.body(*body, &inner_before, &decided);
            }
            // A handler comes after the step itself and all of its bodies.
            inner_before.insert(index);
            for body in blocks {
                self.add_inside(body, &mut inner_before);
            }
            for body in handlers {
                self.body(body, &inner_before, &decided);
                self.add_inside(body, &mut inner_before);
            }
            self.inner[index] = inner;
        }
    }

    fn step(&mut self, index: usize, outer: &StepSet, outer_decided: &StepSet) {
        let step = &self.steps[index].step;
        let mut before = outer.clone();
        let mut decided: Option<StepSet> = None;
        let mut rank = 0;
        let waits_for_all = match step.join {
            Join::All => true,
            Join::AtLeast(least) => least as usize == step.needs.len(),
            Join::Any | Join::First => step.needs.len() <= 1,
        };
        for need in &step.needs {
            let need = need.get();
            before.add_all(&self.order.before[need]);
            before.insert(need);
            for inner in self.inner[need].clone() {
                self.add_inside(inner, &mut before);
            }
            rank = rank.max(self.order.rank[need] + 1);
            let mut by_need = self.order.decided_before[need].clone();
            by_need.insert(need);
            match &mut decided {
                None => decided = Some(by_need),
                Some(decided) if waits_for_all => decided.add_all(&by_need),
                Some(decided) => decided.keep_only(&by_need),
            }
        }
        let mut decided = decided.unwrap_or_else(|| StepSet::empty(self.steps.len()));
        decided.add_all(outer_decided);
        self.order.before[index] = before;
        self.order.decided_before[index] = decided;
        self.order.rank[index] = rank;
        self.order.sequence.push(index);
    }

    /// Adds all steps of a body, those of inner bodies too.
    fn add_inside(&self, body: usize, set: &mut StepSet) {
        let mut open = vec![body];
        while let Some(body) = open.pop() {
            for step in &self.sorted[body] {
                set.insert(*step);
                open.extend(&self.inner[*step]);
            }
        }
    }
}

/// Knots larger than this are searched from their first step only.
const SEARCH_MAX: usize = 200;

/// A shortest way from a step back to itself through its needs, in the order of the needs: each
/// step needs the next one.
fn shortest_cycle(members: &[usize], steps: &[StepDraft<'_>]) -> Vec<usize> {
    let starts = if members.len() > SEARCH_MAX {
        &members[..1]
    } else {
        members
    };
    starts
        .iter()
        .filter_map(|start| way_back(*start, steps))
        .min_by_key(Vec::len)
        .unwrap_or_else(|| members.to_vec())
}

fn way_back(start: usize, steps: &[StepDraft<'_>]) -> Option<Vec<usize>> {
    let mut came_from: Vec<Option<usize>> = vec![None; steps.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(index) = queue.pop_front() {
        for need in steps[index].step.needs.iter().map(|need| need.get()) {
            if need == start {
                let mut cycle = vec![index];
                let mut at = index;
                while at != start {
                    at = came_from[at]?;
                    cycle.push(at);
                }
                cycle.reverse();
                return Some(cycle);
            }
            if came_from[need].is_none() {
                came_from[need] = Some(index);
                queue.push_back(need);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sink;
    use crate::lower::{self, Cx};
    use crate::source::SourceText;
    use crate::syntax;

    const TEXT: &str = "
workflow: ordered
steps:
  - id: first
    do: [{ id: one, prompt: A. }, { id: two, prompt: B. }]
    on_failure: { do: [{ id: mend, prompt: C. }], then: continue }
  - id: beside
    prompt: D.
  - id: second
    needs: first
    parallel:
      branches:
        left: [{ id: three, prompt: E. }]
        right: [{ id: four, prompt: F. }]
finally:
  - id: clean
    prompt: G.
";

    #[test]
    fn order_reaches_into_bodies_and_never_across_those_that_run_at_once() {
        let source = SourceText::new("order.yaml", TEXT);
        let mut sink = Sink::default();
        let documents = syntax::read(&source, &mut sink).expect("the text is YAML");
        let draft = lower::read(&mut Cx::new(&source, &mut sink), &documents[0].root);
        let draft = draft.expect("the text is a workflow");
        let order = Order::of(&draft.steps, draft.bodies());
        let at = |id: &str| {
            let place = draft.steps.iter().position(|step| step.step.id == id);
            place.expect("the step exists")
        };
        let before = |a: &str, b: &str| order.is_before(at(a), at(b));
        for (a, b) in [
            ("one", "two"),
            ("first", "second"),
            ("one", "second"),
            ("two", "three"),
            ("mend", "four"),
            ("two", "mend"),
            ("first", "mend"),
            ("four", "clean"),
            ("beside", "clean"),
        ] {
            assert!(before(a, b), "{a} is before {b}");
            assert!(!before(b, a), "{b} is not before {a}");
        }
        for (a, b) in [("three", "four"), ("beside", "one"), ("first", "one")] {
            assert!(!before(a, b) && !before(b, a), "{a} and {b} are unordered");
        }
        let decided = |a: &str, b: &str| order.decided_before[at(b)].contains(at(a));
        assert!(decided("first", "three"));
        assert!(!decided("one", "three"), "nobody sees into a block");
        let place = |id: &str| order.sequence.iter().position(|step| *step == at(id));
        assert!(place("first") < place("one") && place("two") < place("second"));
    }
}
