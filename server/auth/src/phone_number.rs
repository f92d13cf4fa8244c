//! Phone numbers: one form for each, so that it can have one account.

use std::fmt;

use andiron_protocol::InputError;

/// Digits of a number with its country's code (E.164).
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// A number as E.164 has it: `+`, the country's code and the rest, as in `+14155550123`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number. Blanks, hyphens, dots and brackets between its digits are people's way to write it.
    ///
    /// # Errors
    /// If it is none, or has no country's code, in the field `phone`.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let number: String = text
            .chars()
            .filter(|character| !" -.()".contains(*character))
            .collect();
        let digits = number.strip_prefix('+').unwrap_or_default();
        let is_number = DIGITS.contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            Ok(Self(number))
        } else {
            let detail = "this is not a phone number with its country's code such as `+14155550123`";
            Err(InputError::new(detail).in_field("phone"))
        }
    }

    /// The number.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as the id of a document: its digits.
    pub(crate) fn to_id(&self) -> &str {
        self.0.trim_start_matches('+')
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form() {
        for text in ["+14155550123", " +1 (415) 555-0123", "+1.415.555.0123"] {
            assert_eq!(
                PhoneNumber::parse(text).unwrap().as_str(),
                "+14155550123",
                "{text}"
            );
        }
        for text in [
            "",
            "+",
            "4155550123",
            "+0155550123",
            "+123456",
            "+1234567890123456",
            "+1415555012x",
            "++14155550123",
            "+1415+5550123",
            "+1415555\r\n0123",
            "+１４１５５５５０１２３",
        ] {
            assert!(PhoneNumber::parse(text).is_err(), "{text}");
        }
    }
}
