//! Operators, methods and functions, by type: expressions with their value or their error.

use andiron_rules::language::{Kind, Kinds, all_builtins, all_methods};

use crate::evaluate_support::{check_table, world};

fn check(cases: &[(&str, &str)]) {
    check_table("2", "", cases);
}

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

#[test]
fn string_methods() {
    check(&[
        ("'héllo'.size()", "5"),
        ("'😀'.size()", "1"),
        ("'ÄB'.lower()", "'äb'"),
        ("'äß'.upper()", "'ÄSS'"),
        (r"' \t a b \n'.trim()", "'a b'"),
        ("'abc'.matches('a.c')", "true"),
        ("'xabc'.matches('abc')", "false"),
        ("'abc'.matches('ab|abc')", "true"),
        ("'a'.matches('a|b|cd')", "true"),
        ("'é'.matches('.')", "true"),
        ("'٣'.matches('\\\\d')", "false"),
        ("'a\\n'.matches('a')", "false"),
        ("'user@x.org'.matches('.*@x[.]org')", "true"),
        ("resource.data.text.matches('h.llo w.rld')", "true"),
        ("'ab'.matches(resource.data.owner)", "false"),
        ("'alice'.matches(resource.data.owner)", "true"),
        ("'a.b.c'.split('[.]')", "['a', 'b', 'c']"),
        ("'a,,b,'.split(',')", "['a', '', 'b', '']"),
        ("''.split(',')", "['']"),
        ("'abc'.split('')", "['a', 'b', 'c']"),
        ("'a-b-c'.replace('-', '+')", "'a+b+c'"),
        ("'aab'.replace('a+', '$0')", "'$0b'"),
        ("'abc'.replace('x', 'y')", "'abc'"),
        ("'é'.toUtf8()", r"b'\xc3\xa9'"),
        (
            "'a'.matches(5)",
            "! Unsupported operation error. Received: string.matches(int). Expected: string.matches(string).",
        ),
        ("'a'.matches(null)", "! Null value error."),
        ("'a'.size(1)", "! Function not found error: Name: [size]."),
        ("'a'.length()", "! Function not found error: Name: [length]."),
        ("null.size()", "! Null value error."),
        ("5.0.size()", "! Function not found error: Name: [size]."),
    ]);
}

#[test]
fn patterns_that_re2_does_not_have_are_errors() {
    for pattern in ["a(?=b)", "(a)\\\\1", "[", "(", "a{1001}"] {
        let value = world().value_in("2", "", &format!("'a'.matches('{pattern}' + '')"));
        assert!(
            value.starts_with("! Invalid regular expression error: "),
            "{pattern}: {value}"
        );
        let value = world().value_in("2", "", &format!("'a'.matches('{pattern}')"));
        assert!(
            value.starts_with("! Invalid regular expression error: "),
            "{pattern}: {value}"
        );
    }
}

#[test]
fn bytes_methods() {
    check(&[
        ("b'abc'.size()", "3"),
        ("resource.data.bytes.size()", "4"),
        ("resource.data.bytes.toHexString()", "'00FF6162'"),
        (r"b'\xff\xfe\xfd\xfc'.toBase64()", "'__79_A=='"),
        ("b''.toBase64()", "''"),
        ("b'a'.lower()", "! Function not found error: Name: [lower]."),
    ]);
}

#[test]
fn list_methods() {
    check(&[
        ("resource.data.tags.size()", "3"),
        ("[1, 2].concat([2, 3])", "[1, 2, 2, 3]"),
        ("['a', 1, true, null, 1.5].join('-')", "'a-1-true-null-1.5'"),
        ("[].join(',')", "''"),
        ("resource.data.tags.join('')", "'aba'"),
        ("[1, 2, 1, 3].removeAll([1, 4])", "[2, 3]"),
        ("[3, 1, 3.0, 2].toSet()", "set[1, 2, 3]"),
        ("['a', 'b'].hasAll(['a'])", "true"),
        ("['a'].hasAll(['a', 'b'])", "false"),
        ("['a'].hasAll([])", "true"),
        ("['a', 'b'].hasAny(['c', 'b'])", "true"),
        ("['a'].hasAny([])", "false"),
        ("['a', 'a'].hasOnly(['a', 'b'])", "true"),
        ("['a', 'c'].hasOnly(['a', 'b'])", "false"),
        ("[].hasOnly([])", "true"),
        ("['a'].hasAll(['a'].toSet())", "true"),
        ("[1].hasAll([1.0])", "true"),
        ("resource.data.keys().hasAll(['owner', 'n'])", "true"),
        (
            "[1].concat(2)",
            "! Unsupported operation error. Received: list.concat(int). Expected: list.concat(list).",
        ),
        (
            "['a'].hasAny('a')",
            "! Unsupported operation error. Received: list.hasAny(string). Expected: list.hasAny(list or set).",
        ),
        (
            "[[1]].join(',')",
            "! Unsupported operation error. Received: string(list). Expected: string(bool, int, float, null, path or string).",
        ),
        ("[1].contains(1)", "! Function not found error: Name: [contains]."),
        ("['a'].hasAny(null)", "! Null value error."),
    ]);
}

#[test]
fn set_methods() {
    check(&[
        ("[1, 1].toSet().size()", "1"),
        ("[1, 2].toSet().hasAll([2])", "true"),
        ("[1, 2].toSet().hasAny([3].toSet())", "false"),
        ("[1].toSet().hasOnly([1, 2])", "true"),
        ("[1].toSet().union([2, 1].toSet())", "set[1, 2]"),
        ("[1, 2].toSet().intersection([2, 3].toSet())", "set[2]"),
        ("[1, 2].toSet().difference([2].toSet())", "set[1]"),
        (
            "['a'].toSet().difference(['a'])",
            "! Unsupported operation error. Received: set.difference(list). Expected: set.difference(set).",
        ),
        (
            "[1].toSet()[0]",
            "! Unsupported operation error. Received: set[int]. Expected: list[int].",
        ),
    ]);
}

#[test]
fn map_methods() {
    check(&[
        ("{'a': 1}.size()", "1"),
        ("{'b': 1, 'a': 2}.keys()", "['a', 'b']"),
        ("{'b': 1, 'a': 2}.values()", "[2, 1]"),
        ("{'a': 1}.get('a', 0)", "1"),
        ("{'a': 1}.get('b', null)", "null"),
        ("{'a': null}.get('a', 5)", "null"),
        ("resource.data.get(['nested', 'x', 'y'], 0)", "1"),
        ("resource.data.get(['nested', 'gone', 'y'], 0)", "0"),
        ("resource.data.get(['n', 'y'], 'default')", "'default'"),
        ("resource.data.get('gone', 'none') == 'none'", "true"),
        ("resource.keys()", "['__name__', 'data', 'id']"),
        ("request.auth.keys()", "['token', 'uid']"),
        (
            "{'a': 1}.hasAll(['a'])",
            "! Function not found error: Name: [hasAll].",
        ),
        ("{'a': 1}.get('a')", "! Function not found error: Name: [get]."),
        (
            "{'a': 1}.get(1, 2)",
            "! Unsupported operation error. Received: map.get(int, int). Expected: map.get(string or list, any type).",
        ),
        (
            "{'a': {}}.get(['a', 1], 2)",
            "! Unsupported operation error. Received: map.get([int]). Expected: map.get([string]).",
        ),
    ]);
}

#[test]
fn map_diff_methods() {
    check(&[
        (
            "request.resource.data.diff(resource.data).addedKeys()",
            "set['added']",
        ),
        ("{'a': 1}.diff({'b': 1}).removedKeys()", "set['b']"),
        (
            "{'a': 1, 'b': 1}.diff({'a': 2, 'b': 1}).changedKeys()",
            "set['a']",
        ),
        (
            "{'a': 1, 'b': 1, 'c': 1}.diff({'a': 2, 'b': 1, 'd': 1}).affectedKeys()",
            "set['a', 'c', 'd']",
        ),
        (
            "{'a': 1, 'b': 1}.diff({'a': 2, 'b': 1}).unchangedKeys()",
            "set['b']",
        ),
        ("{'a': {'x': 1}}.diff({'a': {'x': 2}}).changedKeys()", "set['a']"),
        ("{'a': 1}.diff({'a': 1}).affectedKeys().size()", "0"),
        (
            "request.resource.data.diff(resource.data).affectedKeys().hasOnly(['n', 'added'])",
            "false",
        ),
        (
            "request.resource.data.diff(resource.data).unchangedKeys()",
            "set['owner', 'tags']",
        ),
        (
            "{}.diff(1)",
            "! Unsupported operation error. Received: map.diff(int). Expected: map.diff(map).",
        ),
        ("{}.diff({}).keys()", "! Function not found error: Name: [keys]."),
    ]);
}

#[test]
fn paths() {
    check(&[
        ("request.path", "/databases/(default)/documents/posts/p1"),
        ("request.path == /databases/(default)/documents/posts/p1", "true"),
        ("/users/{uid}.bind({'uid': 'alice'})", "/users/alice"),
        ("(/users/{uid}).bind({'uid': 'alice'})", "/users/alice"),
        ("(/a/{x}/{y}).bind({'x': 'b'})", "/a/b/{y}"),
        ("(/a/{x=**}).bind({'x': /b/c})", "/a/b/c"),
        (
            "(/a/{x}).bind({'x': 1})",
            "! Unsupported operation error. Received: /$(int). Expected: /$(string).",
        ),
        ("path('/a/b') == /a/b", "true"),
        ("path('a/b/')", "/a/b"),
        (
            "path(/a/b)",
            "! Unsupported operation error. Received: path(path). Expected: path(string).",
        ),
        ("/a/$(null)", "! Null value error."),
        ("/a/$(/b/c)", "/a/b/c"),
        (
            "string(resource.data.ref)",
            "'/databases/(default)/documents/users/alice'",
        ),
        ("resource.__name__", "/databases/(default)/documents/posts/p1"),
    ]);
}

#[test]
fn timestamp_methods() {
    let at = |method: &str| format!("resource.data.at.{method}()");
    for (method, expected) in [
        ("year", "2024"),
        ("month", "2"),
        ("day", "29"),
        ("hours", "13"),
        ("minutes", "14"),
        ("seconds", "15"),
        ("nanos", "123456000"),
        ("dayOfWeek", "4"),
        ("dayOfYear", "60"),
        ("date", "2024-02-29T00:00:00Z"),
        ("time", "47655.123456s"),
        ("toMillis", "1709212455123"),
    ] {
        check(&[(&at(method), expected)]);
    }
    check(&[
        ("timestamp.date(2024, 1, 1).dayOfWeek()", "1"),
        ("timestamp.date(2023, 12, 31).dayOfWeek()", "7"),
        ("timestamp.date(2024, 12, 31).dayOfYear()", "366"),
        ("timestamp.value(-1).toMillis()", "-1"),
        ("timestamp.value(-1).year()", "1969"),
        ("timestamp.value(-1).time()", "86399.999s"),
        ("timestamp.date(1, 1, 1)", "0001-01-01T00:00:00Z"),
        (
            "timestamp.date(2023, 2, 29)",
            "! Invalid argument error: there is no day 2023-2-29.",
        ),
        ("request.time.year()", "2026"),
        ("request.time < timestamp.date(2027, 1, 1)", "true"),
        ("request.time.hour()", "! Function not found error: Name: [hour]."),
    ]);
}

#[test]
fn durations() {
    check(&[
        ("duration.value(1, 'w')", "604800s"),
        ("duration.value(1, 'd').seconds()", "86400"),
        ("duration.value(1500, 'ms').nanos()", "500000000"),
        ("duration.value(-1500, 'ms').seconds()", "-1"),
        ("duration.value(-1500, 'ms').nanos()", "-500000000"),
        ("duration.time(1, 2, 3, 4)", "3723.000000004s"),
        ("duration.abs(duration.value(-2, 'h'))", "7200s"),
        (
            "duration.value(1, 'y')",
            "! Invalid argument error: the unit of a duration is `w`, `d`, `h`, `m`, `s`, `ms` or `ns`.",
        ),
        (
            "duration.value(1.5, 's')",
            "! Unsupported operation error. Received: duration.value(float, string). Expected: duration.value(int, string).",
        ),
    ]);
}

#[test]
fn latlngs() {
    check(&[
        ("resource.data.place.latitude()", "52.52"),
        ("resource.data.place.longitude()", "13.405"),
        ("latlng.value(0, 0).distance(latlng.value(0, 0))", "0.0"),
        // Berlin to Paris is 878 km.
        (
            "int(resource.data.place.distance(latlng.value(48.8566, 2.3522)) / 1000)",
            "877",
        ),
        (
            "int(latlng.value(0, 0).distance(latlng.value(0, 180)) / 1000)",
            "20015",
        ),
        (
            "latlng.value(91, 0)",
            "! Invalid argument error: a latitude is within ±90 degrees, a longitude within ±180.",
        ),
    ]);
}

#[test]
fn math_functions() {
    check(&[
        ("math.abs(-5)", "5"),
        ("math.abs(-5.5)", "5.5"),
        ("math.abs(-9223372036854775808)", "! Integer overflow error."),
        ("math.ceil(1.2)", "2"),
        ("math.floor(-1.2)", "-2"),
        ("math.round(2.5)", "3"),
        ("math.round(-2.5)", "-3"),
        ("math.round(7)", "7"),
        ("math.sqrt(4)", "2.0"),
        ("math.sqrt(-1)", "NaN"),
        ("math.pow(2, 10)", "1024.0"),
        ("math.isNaN(resource.data.nan)", "true"),
        ("math.isNaN(1)", "false"),
        ("math.isInfinite(resource.data.infinite)", "true"),
        ("math.isInfinite(1.0)", "false"),
        ("math.floor(resource.data.infinite)", "! Integer overflow error."),
        (
            "math.abs('a')",
            "! Unsupported operation error. Received: math.abs(string). Expected: math.abs(number).",
        ),
        ("math.abs()", "! Function not found error: Name: [abs]."),
        ("math.max(1, 2)", "! Function not found error: Name: [max]."),
    ]);
}

#[test]
fn hashing_functions() {
    check(&[
        (
            "hashing.md5('').toHexString()",
            "'D41D8CD98F00B204E9800998ECF8427E'",
        ),
        (
            "hashing.sha256('abc').toHexString()",
            "'BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD'",
        ),
        // The check values are cbf43926 and e3069283.
        ("hashing.crc32('123456789').toHexString()", "'2639F4CB'"),
        ("hashing.crc32c('123456789').toHexString()", "'839206E3'"),
        (
            "hashing.md5(b'abc').toHexString()",
            "'900150983CD24FB0D6963F7D28E17F72'",
        ),
        (
            "hashing.md5(1)",
            "! Unsupported operation error. Received: hashing.md5(int). Expected: hashing.md5(string or bytes).",
        ),
    ]);
}

#[test]
fn casts() {
    check(&[
        ("int('42')", "42"),
        ("int(2.9)", "2"),
        ("int(-2.9)", "-2"),
        ("int('x')", "! Invalid argument error: the string is not an int."),
        ("int(resource.data.nan)", "! Integer overflow error."),
        ("float('2.5')", "2.5"),
        ("float(2)", "2.0"),
        (
            "float('')",
            "! Invalid argument error: the string is not a float.",
        ),
        ("string(5)", "'5'"),
        ("string(2.0)", "'2.0'"),
        ("string(true)", "'true'"),
        ("string(null)", "'null'"),
        ("string('a')", "'a'"),
        ("string(/a/b)", "'/a/b'"),
        (
            "string([1])",
            "! Unsupported operation error. Received: string(list). Expected: string(null or bool or int or float or string or path).",
        ),
        (
            "int(true)",
            "! Unsupported operation error. Received: int(bool). Expected: int(int or float or string).",
        ),
        ("bool('true')", "! Function not found error: Name: [bool]."),
        ("debug(5)", "5"),
        ("nobody(5)", "! Function not found error: Name: [nobody]."),
    ]);
}

#[test]
fn request_and_resource() {
    check(&[
        ("request.auth.uid", "'alice'"),
        ("request.auth.token.email", "'alice@x.org'"),
        ("request.auth.token.firebase.sign_in_provider", "'password'"),
        (
            "request.auth.token.firebase.identities['email'][0]",
            "'alice@x.org'",
        ),
        (
            "request.auth.token.phone_number",
            "! Property phone_number is undefined on object.",
        ),
        ("request.method", "'update'"),
        ("request.time", "2026-11-22T05:40:35.123456Z"),
        ("request.query", "! Property query is undefined on object."),
        ("request.resource.data.n", "6"),
        ("request.resource.id", "'p1'"),
        ("resource.id", "'p1'"),
        ("resource.data.n", "5"),
        ("database", "'(default)'"),
        ("collection + '/' + id", "'posts/p1'"),
        ("request.body", "! Property body is undefined on object."),
    ]);
}

#[test]
fn conditions_of_ternaries_are_bools() {
    check(&[
        ("true ? 1 : 1 / 0", "1"),
        ("false ? 1 / 0 : 2", "2"),
        ("false ? 1 : true ? 2 : 3", "2"),
        ("1 / 0 == 1 ? 2 : 2", "! Divide by zero error."),
        (
            "1 ? 2 : 2",
            "! Unsupported operation error. Received: int. Expected: bool.",
        ),
        ("null ? 2 : 2", "! Null value error."),
    ]);
}

#[test]
fn extensions() {
    check_table(
        "andiron1",
        "",
        &[
            ("resource.data.gone ?? 5", "5"),
            ("resource.data.nothing ?? 5", "5"),
            ("resource.data.n ?? 1 / 0", "5"),
            ("resource.data.gone.deeper ?? 'd'", "'d'"),
            ("1 / 0 ?? 5", "! Divide by zero error."),
            ("resource.data.gone ?? resource.data.lost ?? 7", "7"),
            ("resource.data?.n", "5"),
            ("resource.data?.gone", "null"),
            ("resource.data.nothing?.x", "null"),
            ("resource.data.nothing?.x?.y", "null"),
            ("resource.data.gone?.x", "! Property gone is undefined on object."),
            ("resource.data.nothing?.size()", "null"),
            ("resource.data.text?.size()", "11"),
            ("[1, 2, 3].all(x, x > 0)", "true"),
            ("[].all(x, 1 / 0 == 1)", "true"),
            ("[1, 0].all(x, 1 / x > 5)", "false"),
            ("[0, 1].all(x, 1 / x > 0)", "! Divide by zero error."),
            ("[0, 1].any(x, 1 / x > 0)", "true"),
            ("[].any(x, true)", "false"),
            ("resource.data.tags.any(t, t == 'b')", "true"),
            ("[1, 2].map(x, x * 2)", "[2, 4]"),
            ("[1, 0].map(x, 1 / x)", "! Divide by zero error."),
            ("[[1, 2], [3]].map(xs, xs.map(x, x + xs.size()))", "[[3, 4], [4]]"),
            ("[3, 1].toSet().map(x, x)", "[1, 3]"),
            ("null.all(x, true)", "! Null value error."),
            (
                "5.0.all(x, true)",
                "! Unsupported operation error. Received: float.all(…). Expected: list.all(…).",
            ),
            (
                "[1].all(x, x)",
                "! Unsupported operation error. Received: int. Expected: bool.",
            ),
        ],
    );
}

/// An expression of a type.
fn sample(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Bool => "true",
        Kind::Int => "1",
        Kind::Float => "1.5",
        Kind::String => "'1'",
        Kind::Bytes => "b'1'",
        Kind::Timestamp => "request.time",
        Kind::Duration => "duration.value(1, 's')",
        Kind::LatLng => "latlng.value(1, 2)",
        Kind::List => "['1']",
        Kind::Map => "{'a': 1}",
        Kind::Set => "['1'].toSet()",
        Kind::MapDiff => "{'a': 1}.diff({})",
        Kind::Path => "(/a/b)",
    }
}

fn samples(parameters: &[Kinds]) -> String {
    let arguments: Vec<_> = parameters
        .iter()
        .map(|kinds| sample(kinds.iter().last().unwrap()))
        .collect();
    arguments.join(", ")
}

#[test]
fn every_method_and_function_of_the_tables_is_there() {
    for method in all_methods() {
        let expression = format!(
            "{}.{}({})",
            sample(method.receiver),
            method.name,
            samples(method.parameters)
        );
        let value = world().value_in("2", "", &expression);
        assert!(!value.contains("not found"), "{expression}: {value}");
    }
    for builtin in all_builtins().filter(|builtin| !builtin.id.is_lookup()) {
        let dot = builtin
            .namespace
            .map_or(String::new(), |namespace| format!("{}.", namespace.as_str()));
        let expression = format!("{dot}{}({})", builtin.name, samples(builtin.parameters));
        let value = world().value_in("2", "", &expression);
        assert!(!value.contains("not found"), "{expression}: {value}");
    }
}

#[test]
fn every_operation_on_every_pair_of_types_has_a_value_or_an_error() {
    for left in Kind::ALL {
        for right in Kind::ALL {
            for operator in [
                "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/ ", "%", "in", "&&", "||",
            ] {
                let expression = format!("{} {operator} {}", sample(*left), sample(*right));
                let value = world().value_in("2", "", &expression);
                if matches!(operator, "==" | "!=") {
                    assert!(matches!(&*value, "true" | "false"), "{expression}: {value}");
                }
                let is_equal = left == right;
                if operator == "==" {
                    assert_eq!(value, is_equal.to_string(), "{expression}");
                }
            }
            let index = world().value_in("2", "", &format!("({})[{}]", sample(*left), sample(*right)));
            assert!(!index.is_empty());
        }
    }
}
