//! The paragraphs, a file per hundred of codes: the same families as on `docs/diagnostics.md`.

mod expressions;
mod graph;
mod keys;
mod names;
mod secrecy;
mod team;
mod text;
mod time;
mod undoing;
mod versions;

/// A code, and why the compiler says it and what to do.
pub(super) type Text = (&'static str, &'static str);

/// All of them, sorted by code.
pub(super) fn all() -> impl Iterator<Item = &'static Text> {
    FAMILIES.iter().copied().flatten()
}

/// A family stands at the first digit of its codes.
const FAMILIES: [&[Text]; 10] = [
    text::TEXTS,
    keys::TEXTS,
    names::TEXTS,
    expressions::TEXTS,
    graph::TEXTS,
    time::TEXTS,
    team::TEXTS,
    undoing::TEXTS,
    secrecy::TEXTS,
    versions::TEXTS,
];
