//! The load generator and the comparison benchmarks of Andiron.

fn main() {}
