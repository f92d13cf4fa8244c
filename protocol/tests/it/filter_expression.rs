//! Filter expressions: what they mean and what their errors say.

use andiron_protocol::{Filter, InputError};

fn json(text: &str) -> String {
    let filter = Filter::from_expression(text).unwrap_or_else(|error| panic!("`{text}`: {error:?}"));
    serde_json::to_string(&filter).unwrap()
}

fn error(text: &str) -> InputError {
    match Filter::from_expression(text) {
        Ok(filter) => panic!("`{text}` became {filter:?}"),
        Err(error) => error,
    }
}

/// Line, column and text of the error.
fn shown(text: &str) -> String {
    let error = error(text);
    let (line, column) = error
        .position
        .unwrap_or_else(|| panic!("`{text}`: {error} has no position"));
    format!("{line}:{column}: {error}")
}

#[test]
fn the_example_of_the_documentation_reads() {
    assert_eq!(
        json(r#"published == true && (rating >= 4 || "rust" in tags)"#),
        r#"["and",["published","==",true],["or",["rating",">=",4],["tags","array-contains","rust"]]]"#
    );
}

#[test]
fn a_constant_may_stand_on_either_side() {
    assert_eq!(json("4 <= rating"), r#"["rating",">=",4]"#);
    assert_eq!(json("4 < rating"), r#"["rating",">",4]"#);
    assert_eq!(json("4 >= rating"), r#"["rating","<=",4]"#);
    assert_eq!(json("4 > rating"), r#"["rating","<",4]"#);
    assert_eq!(json("null != a"), r#"["a","!=",null]"#);
}

#[test]
fn conjunction_binds_tighter_than_disjunction_and_chains_are_flat() {
    assert_eq!(
        json("a || b && c || d"),
        r#"["or",["a","==",true],["and",["b","==",true],["c","==",true]],["d","==",true]]"#
    );
    assert_eq!(
        json("a && (b && c)"),
        r#"["and",["a","==",true],["and",["b","==",true],["c","==",true]]]"#
    );
}

#[test]
fn fields_named_like_functions_and_words_are_fields() {
    assert_eq!(
        json("timestamp > timestamp.date(2026, 1, 1) && path == 1 && match.service == 2 && exists"),
        r#"["and",["timestamp",">",{"$time":"2026-01-01T00:00:00.000000Z"}],["path","==",1],["match.service","==",2],["exists","==",true]]"#
    );
    assert_eq!(
        json("timestamp.hasAny([1])"),
        r#"["timestamp","array-contains-any",[1]]"#
    );
    assert_eq!(
        json("`true` == 1 && a.true == 2"),
        r#"["and",["true","==",1],["a.true","==",2]]"#
    );
    assert_eq!(
        json("b == 1 && B == b'x'"),
        r#"["and",["b","==",1],["B","==",{"$bytes":"eA=="}]]"#
    );
}

#[test]
fn errors_say_where_and_what_was_expected() {
    for (text, expected) in [
        (
            "",
            "1:1: the expression is empty: a condition is expected, as in `rating >= 4`",
        ),
        (
            "a ==",
            "1:5: expected a field or a constant, but the expression ends",
        ),
        (
            "a = 1",
            "1:3: expected an operator or the end of the expression, but found `=`; equality is written `==`",
        ),
        (
            "status == active",
            "1:8: `status` and `active` are both fields, and a filter compares a field with a constant: text stands in \
             quotes, as in \"active\"",
        ),
        (
            "1 == 2",
            "1:3: `1` and `2` are both constants, and a filter compares a field with a constant",
        ),
        (
            "a/b",
            "1:2: expected an operator or the end of the expression, but found `/`; a filter has no arithmetic, and a \
             reference is written `path(\"users/alice\")`",
        ),
        (
            "!a == 1",
            "1:4: `!` binds tighter than `==`: the negation of a comparison is written !(… == …)",
        ),
        (
            "a == 1 and b == 2",
            "1:8: expected an operator or the end of the expression, but found `and`; the conjunction is written `&&`",
        ),
        (
            "a == 1\n  && b == 'é' &&\n  'ü' == x.y z",
            "3:14: expected an operator or the end of the expression, but found `z`",
        ),
        ("a == \"x", "1:6: the text is not closed with \" on its line"),
        (
            "a == 1e999",
            "1:6: the number `1e999` is out of range: a double reaches 1.8e308",
        ),
        (
            "a == 9223372036854775808",
            "1:6: the integer `9223372036854775808` does not fit in 64 bits; with `.0` it is a double",
        ),
        (
            "1 < rating < 5",
            "1:12: `<` compares a field with a constant, not the result of a condition; two comparisons are joined by `&&`",
        ),
    ] {
        assert_eq!(shown(text), expected, "for `{text}`");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(json(&deep(64)), r#"["a","==",true]"#);
    assert_eq!(
        error(&deep(65)).detail,
        "the expression is nested deeper than 64 levels"
    );
    for (start, open) in [
        ("", "!"),
        ("", "!("),
        ("a == ", "["),
        ("a == ", "{\"a\":"),
        ("a == ", "-("),
        ("", "exists("),
    ] {
        let detail = error(&format!("{start}{}", open.repeat(2000))).detail;
        assert!(
            detail.contains("nested deeper than 64 levels"),
            "for {open}: {detail}"
        );
    }
    assert!(error(&"(".repeat(40_000)).detail.contains("longer than"));
    assert!(error(&vec!["a"; 201].join("||")).detail.contains("more than 200"));
    assert_eq!(
        error(&format!("{}a", "!".repeat(21))).detail,
        "the filter is nested deeper than 20 levels"
    );
}
