//! The graph of needs: what comes before what, for certain and at all.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::StepDraft;
use crate::machine::{Join, StepIndex};

/// What the needs of all steps say about their order.
pub(crate) struct Order {
    /// An edge leads from a step to the step that needs it; nodes stand in file order.
    pub(crate) graph: DiGraph<StepIndex, ()>,
    /// All steps, each after its needs (as far as there is no cycle).
    pub(crate) sequence: Vec<usize>,
    /// For each step the steps before it on some path.
    pub(crate) before: Vec<StepSet>,
    /// For each step the steps that have an outcome whenever it starts.
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
    pub(crate) fn of(steps: &[StepDraft<'_>]) -> Self {
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
        let mut sequence = Vec::with_capacity(count);
        let mut cycles = Vec::new();
        // Iterative, and in reverse topological order.
        for knot in kosaraju_scc(&graph).into_iter().rev() {
            let mut members: Vec<usize> = knot.iter().map(|node| node.index()).collect();
            members.sort_unstable();
            let on_itself = |index: usize| steps[index].step.needs.iter().any(|n| n.get() == index);
            if members.len() > 1 || members.first().is_some_and(|index| on_itself(*index)) {
                cycles.push(shortest_cycle(&members, steps));
            }
            sequence.extend(members);
        }
        cycles.sort();
        let mut order = Self {
            graph,
            sequence,
            before: vec![StepSet::empty(count); count],
            decided_before: vec![StepSet::empty(count); count],
            cycles,
            rank: vec![0; count],
        };
        order.close(steps);
        order
    }

    /// Whether the step at `first` is before the one at `second` on some path.
    pub(crate) fn is_before(&self, first: usize, second: usize) -> bool {
        self.before[second].contains(first)
    }

    fn close(&mut self, steps: &[StepDraft<'_>]) {
        let count = steps.len();
        for &index in &self.sequence {
            let step = &steps[index].step;
            let mut before = StepSet::empty(count);
            let mut decided: Option<StepSet> = None;
            let mut rank = 0;
            let waits_for_all = match step.join {
                Join::All => true,
                Join::AtLeast(least) => least as usize == step.needs.len(),
                Join::Any | Join::First => step.needs.len() <= 1,
            };
            for need in &step.needs {
                let need = need.get();
                before.add_all(&self.before[need]);
                before.insert(need);
                rank = rank.max(self.rank[need] + 1);
                let mut by_need = self.decided_before[need].clone();
                by_need.insert(need);
                match &mut decided {
                    None => decided = Some(by_need),
                    Some(decided) if waits_for_all => decided.add_all(&by_need),
                    Some(decided) => decided.keep_only(&by_need),
                }
            }
            self.before[index] = before;
            self.decided_before[index] = decided.unwrap_or_else(|| StepSet::empty(count));
            self.rank[index] = rank;
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
