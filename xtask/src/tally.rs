//! Adding up what test programs print.

/// The sums of any number of test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// The names of tests that did not run because their source says so.
    pub(crate) ignored: Vec<String>,
}

impl Tally {
    /// Reads one line of a test program's output.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
        } else if let Some(name) = line.strip_prefix("test ").and_then(ignored_name) {
            self.ignored.push(name.to_owned());
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored.extend(other.ignored);
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    text.find(word)
        .and_then(|end| {
            text[..end]
                .rsplit(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

/// The name in `name ... ignored` or `name ... ignored, reason`.
fn ignored_name(line: &str) -> Option<&str> {
    let (name, outcome) = line.rsplit_once(" ... ")?;
    (outcome == "ignored" || outcome.starts_with("ignored,")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_programs_are_summed() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a::works ... ok",
            "test a::fails ... FAILED",
            "test a::sleeps ... ignored, needs a second machine",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test src/lib.rs - doc (line 3) ... ignored",
            "test result: ok. 120 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "a program may print: test result",
        ] {
            tally.read(line);
        }
        let ignored = vec!["a::sleeps".to_owned(), "src/lib.rs - doc (line 3)".to_owned()];
        assert_eq!(
            tally,
            Tally {
                passed: 121,
                failed: 1,
                ignored
            }
        );
    }
}
