//! The fuzz targets on their seeds and some thousand mutations of them.

use std::path::Path;

use andiron_http::fuzzing::{file_path, form, range_header, tus_headers};
use andiron_protocol::fuzzing::with_mutations;

/// Mutations of the seeds of each target.
const MUTATIONS: usize = 10_000;

fn run(target: &str, function: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // Always in one order: mutations follow from it.
    files.sort();
    let seeds: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    with_mutations(&seeds, MUTATIONS, function);
}

#[test]
fn any_path_is_a_name_that_leads_back_or_is_refused() {
    run("file_path", file_path);
}

#[test]
fn any_range_lies_within_the_file_or_is_refused() {
    run("range_header", range_header);
}

#[test]
fn any_form_comes_to_an_end() {
    run("form", form);
}

#[test]
fn any_headers_of_tus_are_read_or_refused() {
    run("tus_headers", tus_headers);
}
