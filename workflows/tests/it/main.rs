//! The compiler from outside: what people read about their workflows, and what holds for all texts.

mod examples;
mod fixtures;
mod fuzz;
mod graphs;
mod hostile;
mod identity;
mod layout;
mod machines;
mod nested;
mod properties;
mod schemas;
mod support;
mod versions;
