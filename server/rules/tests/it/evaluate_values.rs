//! Methods and functions, by type: expressions with their value or their error.

use andiron_rules::language::{Kind, Kinds, all_builtins, all_methods};

use crate::evaluate_support::{check_table, world};

pub(crate) fn check(cases: &[(&str, &str)]) {
    check_table("2", "", cases);
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
