//! What commands print. Results go to standard output, everything else to standard error.

use std::io::Write as _;

use crate::AndironError;

/// Prints to standard output.
pub(crate) fn print(text: &str) -> Result<(), AndironError> {
    let mut output = std::io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(output_error)
}

/// What to answer when standard output takes no more.
pub(crate) fn output_error(source: std::io::Error) -> AndironError {
    AndironError::System {
        doing: "writing to standard output",
        source,
    }
}

/// Says on standard error what went wrong.
pub(crate) fn complain(text: &str) {
    // If even that is closed there is nobody left to tell.
    let _ = writeln!(std::io::stderr().lock(), "andiron: {text}");
}

/// Says something on standard error that is no failure.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 record`, `2 records`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(counted(1, "record"), "1 record");
        assert_eq!(counted(3201, "record"), "3,201 records");
    }
}
