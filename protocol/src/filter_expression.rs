//! Filters as expressions: the form that `GET /api/v1/docs/{collection}?filter=…` takes.
//!
//! An expression says nothing that the JSON form cannot say; both become the same [`Filter`]. The lexer gives tokens, the
//! parser builds the filter while it reads, the printer is its inverse. What the language is stands at
//! [`Filter::from_expression`].

use crate::limits::FILTER_EXPRESSION_BYTES_MAX;
use crate::{Filter, InputError};

mod constants;
mod lexer;
mod names;
mod parser;
mod printer;

impl Filter {
    /// Reads a filter written as an expression.
    ///
    /// An expression is written in the rules language over the document's fields:
    /// `published == true && (rating >= 4 || "rust" in tags)`.
    ///
    /// | expression | filter |
    /// | --- | --- |
    /// | `a == 1`, and `!=` `<` `<=` `>` `>=` | the operator of that name; `1 == a` too, turned around |
    /// | `a in [1, 2]` | `in` |
    /// | `1 in a` | `array-contains` |
    /// | `a.hasAny([1, 2])` | `array-contains-any` |
    /// | `a.hasAll([1, 2])` | `array-contains` of each, joined by `and` |
    /// | `a.startsWith("x")` | `starts-with` |
    /// | `a.notIn([1, 2])` | `not-in`: `a` is there, not null, and none of these |
    /// | `exists(a)`, `!exists(a)` | `exists` |
    /// | `a` where a condition stands | `a == true` |
    /// | `x && y`, <code>x &#124;&#124; y</code>, `!x`, `(x)` | `and`, `or`, `not` |
    ///
    /// `!x` matches exactly what `x` does not, documents without the field included; so `!published` and
    /// `published == false` differ.
    ///
    /// **Fields** are `a.b.c`; a name that is no identifier is written `` `a b` `` or, after another, `a["a b"]`;
    /// `__id__` is the document's id. `true`, `false`, `null` and `in` need the backticks as the first name; other words
    /// that the rules language reserves do not.
    ///
    /// **Constants** are integers, doubles (`1.5`, `1.`, `.5`, and beyond the rules language `1e6`), `"text"` or `'text'`
    /// with the rules language's escapes, `b"bytes"`, `true`, `false`, `null`, lists `[…]`, maps `{"key": …}`,
    /// `timestamp("2026-11-22T05:40:35Z")`, `timestamp.date(2026, 11, 22)`, `timestamp.value(1795326035123)` (milliseconds
    /// since 1970), `path("users/alice")` for a reference, `latlng.value(48.1, 11.5)`, `vector([0.1, 0.2])` and
    /// `float("NaN")`, `float("Infinity")`, `float("-Infinity")`.
    ///
    /// Operators bind as in the rules language, tightest first: `!` and `-`; `<` and its like; `==` and `!=`; `in`; `&&`;
    /// `||`. So `!a == b` is `(!a) == b`, which is refused with a hint. Left out, because no filter can say it: arithmetic,
    /// `? :`, type tests, methods other than those above, comparing two fields.
    ///
    /// Expressions are at most [`FILTER_EXPRESSION_BYTES_MAX`] long and
    /// [`FILTER_EXPRESSION_DEPTH_MAX`](crate::limits::FILTER_EXPRESSION_DEPTH_MAX) levels deep; the limits of every filter
    /// hold besides.
    ///
    /// # Errors
    /// Says what was expected, what was found and where (1-based line and column, in characters).
    pub fn from_expression(text: &str) -> Result<Self, InputError> {
        if text.len() > FILTER_EXPRESSION_BYTES_MAX {
            return Err(InputError::new(format!(
                "the expression is longer than {FILTER_EXPRESSION_BYTES_MAX} bytes"
            )));
        }
        let filter = parser::parse(text)?;
        filter.check_limits().map_err(|error| error.at(1, 1))?;
        Ok(filter)
    }

    /// The filter as an expression, which [`Filter::from_expression`] reads back to a filter that matches the same
    /// documents. It may be longer or deeper than what is accepted as input.
    pub fn to_expression(&self) -> String {
        printer::print(self)
    }
}

/// The line and column of a byte offset, both 1-based, the column in characters.
fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |index| index + 1);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (
        count(before.bytes().filter(|byte| *byte == b'\n').count() + 1),
        count(before[line_start..].chars().count() + 1),
    )
}
