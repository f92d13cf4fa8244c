//! Literals and operators, by type: expressions with their value or their error.

use crate::evaluate_values::check;

#[test]
fn literals() {
    check(&[
        ("null", "null"),
        ("true", "true"),
        ("5", "5"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("5.5", "5.5"),
        ("1.", "1.0"),
        (".5", "0.5"),
        (r"'it\'s'", r"'it\'s'"),
        (r#""é\n""#, r"'é\n'"),
        (r"b'a\xff'", r"b'a\xff'"),
        ("[1, 'a', null]", "[1, 'a', null]"),
        ("{'b': 1, 'a': [2]}", "{'a': [2], 'b': 1}"),
        ("{'a' + 'b': 1}", "{'ab': 1}"),
        (
            "{1: 2}",
            "! Unsupported operation error. Received: {int: int}. Expected: {string: int}.",
        ),
        ("/a/$('b')/c%20d", "/a/b/c d"),
        ("/a/{x}/{y=**}", "/a/{x}/{y=**}"),
    ]);
}

#[test]
fn equality_is_structural_and_never_fails_for_values() {
    check(&[
        ("1 == 1.0", "true"),
        ("1 == '1'", "false"),
        ("null == null", "true"),
        ("null == false", "false"),
        ("[1, [2]] == [1.0, [2]]", "true"),
        ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", "true"),
        ("{'a': 1} == {'a': 1, 'b': 2}", "false"),
        ("'a' != 'b'", "true"),
        ("9223372036854775807 == 9223372036854775807.0", "false"),
        ("0.0 == -0.0", "true"),
        ("resource.data.nan == resource.data.nan", "true"),
        ("[1, 2].toSet() == [2, 1, 2].toSet()", "true"),
        ("[1].toSet() == [1]", "false"),
        ("resource.data.tags == ['a', 'b', 'a']", "true"),
        ("resource.data.nested == {'x': {'y': 1}, 'list': [1, 2]}", "true"),
        (
            "resource.data.ref == /databases/$(database)/documents/users/alice",
            "true",
        ),
        ("resource.data.ref != /users/alice", "true"),
        ("b'a' == b'a'", "true"),
        ("b'a' == 'a'", "false"),
        ("latlng.value(1, 2) == latlng.value(1.0, 2.0)", "true"),
        ("resource == null", "false"),
        ("resource == resource", "true"),
        ("1 == 1 == true", "true"),
        ("1 == 1 / 0", "! Divide by zero error."),
    ]);
}

#[test]
fn relations_compare_within_a_type() {
    check(&[
        ("1 < 2", "true"),
        ("1 < 1.5", "true"),
        ("2 >= 2.0", "true"),
        ("9223372036854775807 < 9223372036854775808.0", "true"),
        ("'a' < 'b'", "true"),
        ("'Z' < 'a'", "true"),
        ("'é' > 'z'", "true"),
        ("'\\uffff' < '\\ud83d\\ude00'", "true"),
        ("timestamp.value(1) < timestamp.value(2)", "true"),
        ("duration.value(1, 'm') > duration.value(59, 's')", "true"),
        ("resource.data.nan < 1", "false"),
        ("1 >= resource.data.nan", "false"),
        ("resource.data.nan <= resource.data.nan", "false"),
        (
            "1 < 'a'",
            "! Unsupported operation error. Received: int < string. Expected: number < number.",
        ),
        (
            "true < false",
            "! Unsupported operation error. Received: bool < bool. Expected: number < number.",
        ),
        ("null < 1", "! Null value error."),
        ("1 <= resource.data.nothing", "! Null value error."),
    ]);
}

#[test]
fn arithmetic_on_integers() {
    check(&[
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("7 % -3", "1"),
        ("-7 % 3", "-1"),
        ("-9223372036854775808 % -1", "0"),
        ("1 / 0", "! Divide by zero error."),
        ("1 % 0", "! Divide by zero error."),
        ("resource.data.big + 1", "! Integer overflow error."),
        ("-9223372036854775808 - 1", "! Integer overflow error."),
        ("resource.data.big * 2", "! Integer overflow error."),
        ("-9223372036854775808 / -1", "! Integer overflow error."),
        ("-(-9223372036854775808)", "! Integer overflow error."),
        ("1 + 2 * 3 - 4", "3"),
        ("10 - 2 - 3", "5"),
    ]);
}

#[test]
fn arithmetic_on_floats_and_mixed_numbers() {
    check(&[
        ("1 + 0.5", "1.5"),
        ("7 / 2.0", "3.5"),
        ("7.5 % 2", "1.5"),
        ("1 / 0.0", "Infinity"),
        ("-1.0 / 0", "-Infinity"),
        ("0.0 / 0", "NaN"),
        ("-(1.5)", "-1.5"),
        ("2 * 1.0", "2.0"),
        (
            "-'a'",
            "! Unsupported operation error. Received: -string. Expected: -number.",
        ),
        ("-null", "! Null value error."),
    ]);
}

#[test]
fn addition_of_other_types() {
    check(&[
        ("'a' + 'b'", "'ab'"),
        (
            "'a' + 1",
            "! Unsupported operation error. Received: string + int. Expected: number + number.",
        ),
        (
            "[1] + [2]",
            "! Unsupported operation error. Received: list + list. Expected: number + number.",
        ),
        ("'a' + null", "! Null value error."),
        ("duration.value(1, 's') + duration.value(500, 'ms')", "1.5s"),
        ("duration.value(1, 's') - duration.value(2, 's')", "-1s"),
        (
            "timestamp.value(0) + duration.value(1, 'd')",
            "1970-01-02T00:00:00Z",
        ),
        (
            "duration.value(1, 'd') + timestamp.value(0)",
            "1970-01-02T00:00:00Z",
        ),
        (
            "timestamp.value(0) - duration.value(1, 'ns')",
            "1969-12-31T23:59:59.999999999Z",
        ),
        ("timestamp.value(5000) - timestamp.value(2000)", "3s"),
        (
            "timestamp.value(0) + timestamp.value(0)",
            "! Unsupported operation error. Received: timestamp + timestamp. Expected: number + number.",
        ),
        (
            "timestamp.date(9999, 12, 31) + duration.value(1, 'd')",
            "! Invalid argument error: a timestamp lies in the years 1 to 9999.",
        ),
        (
            "duration.value(9000000000000000000, 'w')",
            "! Invalid argument error: a duration is at most ten thousand years.",
        ),
    ]);
}

#[test]
fn in_looks_into_lists_sets_and_keys() {
    check(&[
        ("1 in [1, 2]", "true"),
        ("1.0 in [1, 2]", "true"),
        ("3 in [1, 2]", "false"),
        ("null in [null]", "true"),
        ("'a' in resource.data.tags", "true"),
        ("'a' in ['a'].toSet()", "true"),
        ("'x' in {'x': null}", "true"),
        ("'y' in {'x': {'y': 1}}", "false"),
        ("'x' in resource.data.nested", "true"),
        ("1 in {'1': 1}", "false"),
        ("'data' in resource", "true"),
        ("'uid' in request.auth", "true"),
        ("'query' in request", "false"),
        (
            "'a' in 'abc'",
            "! Unsupported operation error. Received: string in string. Expected: string in list.",
        ),
        ("'a' in null", "! Null value error."),
        ("!('a' in ['b'])", "true"),
        (
            "!'a' in ['b']",
            "! Unsupported operation error. Received: !string. Expected: !bool.",
        ),
    ]);
}

#[test]
fn is_asks_for_the_type() {
    check(&[
        ("true is bool", "true"),
        ("b'' is bytes", "true"),
        ("5 is int", "true"),
        ("5 is float", "false"),
        ("5.5 is float", "true"),
        ("5 is number", "true"),
        ("5.0 is number", "true"),
        ("'' is number", "false"),
        ("'' is string", "true"),
        ("[] is list", "true"),
        ("{} is map", "true"),
        ("resource is map", "true"),
        ("request.auth is map", "true"),
        ("[].toSet() is set", "true"),
        ("[].toSet() is list", "false"),
        ("{}.diff({}) is map_diff", "true"),
        ("/a is path", "true"),
        ("resource.data.ref is path", "true"),
        ("request.path is path", "true"),
        ("resource.data.place is latlng", "true"),
        ("request.time is timestamp", "true"),
        ("duration.value(1, 's') is duration", "true"),
        ("null is string", "false"),
        ("5 is constraint", "false"),
        ("resource.data.vector is list", "true"),
        (
            "resource.data.gone is string",
            "! Property gone is undefined on object.",
        ),
        ("1 == 1 is bool", "true"),
        ("5 is integer", "! Type not found error: Name: [integer]."),
    ]);
}

#[test]
fn members_and_keys() {
    check(&[
        ("resource.data.nested.x.y", "1"),
        ("resource.data['nested']['x']", "{'y': 1}"),
        ("{'match': 1}.match", "1"),
        ("resource.data.gone", "! Property gone is undefined on object."),
        ("resource.data['gone']", "! Property gone is undefined on object."),
        ("resource.data.nothing.x", "! Null value error."),
        ("resource.data.nothing['x']", "! Null value error."),
        ("resource.data.n.x", "! Property x is undefined on object."),
        (
            "resource.data.text.length",
            "! Property length is undefined on object.",
        ),
        (
            "{'a': 1}[0]",
            "! Unsupported operation error. Received: map[int]. Expected: list[int].",
        ),
        ("nobody", "! Variable not found error: Name: [nobody]."),
    ]);
}

#[test]
fn indexes_do_not_wrap_around() {
    check(&[
        ("['a', 'b'][1]", "'b'"),
        ("resource.data.tags[0]", "'a'"),
        (
            "[1, 2, 3, 4][98]",
            "! Index out of bound error. Index: [98] , size: [4].",
        ),
        ("[1][-1]", "! Index out of bound error. Index: [-1] , size: [1]."),
        ("'héllo'[1]", "'é'"),
        ("''[0]", "! Index out of bound error. Index: [0] , size: [0]."),
        ("/a/b/c[1]", "'b'"),
        ("(/a/b/c)[1]", "'b'"),
        ("request.path[3]", "'posts'"),
        (
            "request.path[5]",
            "! Index out of bound error. Index: [5] , size: [5].",
        ),
        (
            "[1]['a']",
            "! Unsupported operation error. Received: list[string]. Expected: list[int].",
        ),
        ("[1][null]", "! Null value error."),
        ("null[0]", "! Null value error."),
        (
            "b'ab'[0]",
            "! Unsupported operation error. Received: bytes[int]. Expected: list[int].",
        ),
    ]);
}

#[test]
fn slices_end_before_an_index_that_is_there() {
    check(&[
        ("[1, 2, 3][0:2]", "[1, 2]"),
        ("[1, 2, 3][1:]", "[2, 3]"),
        ("[1, 2, 3][:2]", "[1, 2]"),
        ("[1, 2, 3][:]", "[1, 2, 3]"),
        ("[][:]", "[]"),
        ("[1, 2][1:1]", "[]"),
        ("[1, 2][2:2]", "[]"),
        (
            "[1, 2][0:0]",
            "! Index out of bound error. Index: [-1] , size: [2].",
        ),
        (
            "[1, 2, 3, 4][0:99]",
            "! Index out of bound error. Index: [98] , size: [4].",
        ),
        (
            "[1, 2][-1:2]",
            "! Index out of bound error. Index: [-1] , size: [2].",
        ),
        (
            "[1, 2][2:1]",
            "! Index out of bound error. Index: [2] , size: [2].",
        ),
        ("'héllo'[1:3]", "'él'"),
        ("'abc'[3:]", "''"),
        ("'abc'[4:]", "! Index out of bound error. Index: [4] , size: [3]."),
        ("(/a/b/c)[1:3]", "/b/c"),
        ("resource.data.tags[0:2]", "['a', 'b']"),
        (
            "[1]['a':]",
            "! Unsupported operation error. Received: list[string:]. Expected: list[int:int].",
        ),
        (
            "5[0:1]",
            "! Unsupported operation error. Received: int[int:int]. Expected: list[int:int].",
        ),
    ]);
}
