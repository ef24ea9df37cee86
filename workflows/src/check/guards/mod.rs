//! What follows from conditions before any run: which of them exclude each other, which leave a
//! gap, which can never be reached.
//!
//! Each value that a condition tests has a domain, known from its schema. Tests against constants
//! cut it into cells within which all tests agree, so trying one value of every cell tries all
//! values; what cannot be cut (`x.contains('a')`) counts as a bool of its own. The product of the
//! cells is walked up to [`CELLS_MAX`]. A claim that something can *never* happen is always true,
//! since opaque tests are left free; an example that something *can* happen may combine opaque
//! tests that in truth exclude each other, so overlap is claimed only where none are combined.

mod cells;
#[cfg(test)]
mod tests;

use crate::expr::formula::{Formula, Term};
use crate::schema::Domain;

use cells::{Cells, Ground};

/// So many combinations of cells are tried.
pub(super) const CELLS_MAX: usize = 4096;

/// What is possible for a term at the place of the conditions.
pub(super) type Domains<'d> = &'d dyn Fn(&Term) -> Domain;

/// Two conditions that can be true together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Overlap {
    pub(super) first: usize,
    pub(super) second: usize,
    /// When, as a condition.
    pub(super) example: String,
}

/// What is known of a list of conditions, of which the first that is true is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// For each condition at most one overlap with an earlier one.
    pub(super) overlaps: Vec<Overlap>,
    /// When none of them is true, as a condition; `None` if one always is.
    pub(super) gap: Option<String>,
    /// Those that can be true, but not unless an earlier one is.
    pub(super) shadowed: Vec<usize>,
}

/// There are too many combinations to look at: this many, or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany(pub(super) usize);

/// Decides about `guards`, in their order.
///
/// # Errors
/// [`TooMany`] if they test more than can be looked at together.
pub(super) fn analyse(guards: &[Formula], domains: Domains<'_>) -> Result<Verdict, TooMany> {
    let cells = Cells::of(guards, domains)?;
    let ground: Vec<Ground> = guards.iter().map(|guard| cells.ground(guard)).collect();
    let mut found = Found {
        overlap: vec![None; guards.len()],
        reached: vec![false; guards.len()],
        satisfied: vec![false; guards.len()],
        gap: None,
    };
    cells.for_each(|cell| found.note(guards, &ground, &cells, cell));
    let overlaps = (0..)
        .zip(&found.overlap)
        .filter_map(|(second, overlap)| {
            let (first, cell) = overlap.as_ref()?;
            let example = cells.describe(cell, &|cell| {
                ground[*first].holds(cell) && ground[second].holds(cell)
            });
            Some(Overlap {
                first: *first,
                second,
                example,
            })
        })
        .collect();
    let gap = found
        .gap
        .map(|cell| cells.describe(&cell, &|cell| !ground.iter().any(|guard| guard.holds(cell))));
    let shadowed = (0..guards.len())
        .filter(|at| found.satisfied[*at] && !found.reached[*at])
        .collect();
    Ok(Verdict {
        overlaps,
        gap,
        shadowed,
    })
}

/// Whether a condition is always the same, `None` if it can go either way.
pub(super) fn verdict(condition: &Formula, domains: Domains<'_>) -> Option<bool> {
    let guards = std::slice::from_ref(condition);
    let cells = Cells::of(guards, domains).ok()?;
    let ground = cells.ground(condition);
    let (mut holds, mut fails) = (false, false);
    cells.for_each(|cell| {
        if ground.holds(cell) {
            holds = true;
        } else {
            fails = true;
        }
    });
    (holds != fails).then_some(holds)
}

struct Found {
    overlap: Vec<Option<(usize, Vec<usize>)>>,
    reached: Vec<bool>,
    satisfied: Vec<bool>,
    gap: Option<Vec<usize>>,
}

impl Found {
    fn note(&mut self, guards: &[Formula], ground: &[Ground], cells: &Cells<'_>, cell: &[usize]) {
        let mut taken: Option<usize> = None;
        for (at, guard) in guards.iter().enumerate() {
            if !ground[at].holds(cell) {
                continue;
            }
            self.satisfied[at] = true;
            match taken {
                None => {
                    self.reached[at] = true;
                    taken = Some(at);
                }
                Some(first) => {
                    let plain = |guard: &Formula| !matches!(guard, Formula::Constant(_));
                    if self.overlap[at].is_none()
                        && plain(&guards[first])
                        && plain(guard)
                        && cells.independent(&[&guards[first], guard])
                    {
                        self.overlap[at] = Some((first, cell.to_vec()));
                    }
                }
            }
        }
        if taken.is_none() && self.gap.is_none() {
            self.gap = Some(cell.to_vec());
        }
    }
}
