//! What is wrong with a workflow that can be read: one family of rules per file.
//!
//! Every rule is a pure function from the draft to findings and stands on its own; their order
//! here does not matter, as findings are sorted by place.

use crate::compile::Catalog;
use crate::lower::order::Order;
use crate::lower::{Cx, Draft};

/// Applies all rules. Rules that need an order of steps are left out where there is a cycle.
pub(crate) fn all(cx: &mut Cx<'_>, draft: &Draft<'_>, order: &Order, catalog: Option<&Catalog>) {
    let _: (&mut Cx<'_>, &Draft<'_>, &Order, Option<&Catalog>) = (cx, draft, order, catalog);
}
