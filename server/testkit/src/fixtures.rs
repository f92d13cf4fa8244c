//! Data to test with.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Records in the file of films.
pub const MOVIES_COUNT: usize = 3201;

/// The file of films that the README imports.
pub fn movies_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data/movies.json")
}

/// The films as they stand in the file.
pub fn movies() -> Vec<Value> {
    let text = std::fs::read_to_string(movies_file()).expect("the example data is part of the repository");
    serde_json::from_str(&text).expect("the example data is a JSON array")
}
