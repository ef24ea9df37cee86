//! phisync
fn main() {}
