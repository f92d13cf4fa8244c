//! Automation of the Andiron workspace: `cargo xtask`.

fn main() {}
