//! What holds for every value, filter, query and write.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use andiron_protocol::{
    CollectionPath, CommitBody, DocumentPath, FieldPath, Filter, Map, Query, QueryRead, Read, Timestamp,
    TypeClass, Value, Version, Write, apply_write, arbitrary, compare_doubles, compare_integer_with_double,
    from_json,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// An integer and a double by exact arithmetic on the double's parts: mantissa · 2^exponent.
fn compare_exactly(integer: i64, double: f64) -> Ordering {
    if double.is_nan() {
        return Ordering::Greater;
    }
    if double.is_infinite() {
        return if double > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        };
    }
    let bits = double.to_bits();
    let field = i32::try_from((bits >> 52) & 0x7ff).unwrap();
    let fraction = i128::from(bits & ((1 << 52) - 1));
    let (magnitude, exponent) = if field == 0 {
        (fraction, -1074)
    } else {
        (fraction | (1 << 52), field - 1075)
    };
    let mantissa = if double.is_sign_negative() {
        -magnitude
    } else {
        magnitude
    };
    let integer = i128::from(integer);
    if exponent > 64 {
        // A mantissa of 53 bits times more than 2^64 is beyond every integer.
        0.cmp(&mantissa)
    } else if exponent >= 0 {
        integer.cmp(&(mantissa << exponent))
    } else if exponent < -60 {
        // Less than 2^-7 away from zero.
        integer.cmp(&0).then(0.cmp(&mantissa))
    } else {
        (integer << -exponent).cmp(&mantissa)
    }
}

/// The order of values as the protocol's page words it, with nothing clever.
fn compare_naively(left: &Value, right: &Value) -> Ordering {
    let lists = |left: &[Value], right: &[Value]| {
        for (left, right) in left.iter().zip(right) {
            match compare_naively(left, right) {
                Ordering::Equal => {}
                other => return other,
            }
        }
        left.len().cmp(&right.len())
    };
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
        (Value::Integer(left), Value::Double(right)) => compare_exactly(*left, *right),
        (Value::Double(left), Value::Integer(right)) => compare_exactly(*right, *left).reverse(),
        (Value::Double(left), Value::Double(right)) if !left.is_nan() && !right.is_nan() => {
            left.partial_cmp(right).unwrap()
        }
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::Timestamp(left), Value::Timestamp(right)) => left.as_micros().cmp(&right.as_micros()),
        (Value::String(left), Value::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
        (Value::Reference(left), Value::Reference(right)) => {
            let segments = |path: &DocumentPath| -> Vec<Vec<u8>> {
                path.as_str()
                    .split('/')
                    .map(|segment| segment.as_bytes().to_vec())
                    .collect()
            };
            segments(left).cmp(&segments(right))
        }
        (Value::GeoPoint(left), Value::GeoPoint(right)) => {
            let pair = |point: &andiron_protocol::GeoPoint| (point.latitude(), point.longitude());
            pair(left).partial_cmp(&pair(right)).unwrap()
        }
        (Value::Array(left), Value::Array(right)) => lists(left, right),
        (Value::Vector(left), Value::Vector(right)) => left
            .len()
            .cmp(&right.len())
            .then_with(|| left.partial_cmp(right).unwrap()),
        (Value::Map(left), Value::Map(right)) => {
            let flat = |map: &Map| -> Vec<Value> {
                map.iter()
                    .flat_map(|(key, value)| [Value::from(key.as_str()), value.clone()])
                    .collect()
            };
            lists(&flat(left), &flat(right))
        }
        (left, right) => {
            let rank = |value: &Value| match value {
                Value::Null => 0,
                Value::Boolean(_) => 1,
                Value::Double(double) if double.is_nan() => 2,
                Value::Integer(_) | Value::Double(_) => 3,
                Value::Timestamp(_) => 4,
                Value::String(_) => 5,
                Value::Bytes(_) => 6,
                Value::Reference(_) => 7,
                Value::GeoPoint(_) => 8,
                Value::Array(_) => 9,
                Value::Vector(_) => 10,
                Value::Map(_) => 11,
            };
            rank(left).cmp(&rank(right))
        }
    }
}

/// Doubles at and around an integer, where a rounding comparison would err.
fn near(integer: i64) -> impl Strategy<Value = f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the rounded neighbour is what is wanted"
    )]
    let double = integer as f64;
    prop::sample::select(vec![
        double,
        double.next_up(),
        double.next_down(),
        double + 0.5,
        double - 0.5,
    ])
}

proptest! {
    #[test]
    fn value_json_gives_back_the_identical_value(value in arbitrary::wide_value()) {
        let json = serde_json::to_vec(&value).unwrap();
        let again: Value = from_json(&json).unwrap();
        prop_assert!(again.is_identical(&value), "{again:?}");
        // Without a token `-0` there is nothing that only `from_json` knows.
        prop_assert!(serde_json::from_slice::<Value>(&json).unwrap().is_identical(&value));
    }

    #[test]
    fn text_that_looks_like_a_negative_zero_stays(text in "[-0\\\\\"a,.e]{0,12}") {
        let json = serde_json::to_vec(&[Value::from(text.as_str()), Value::Integer(0)]).unwrap();
        let with_zero = [&json[..json.len() - 2], b"-0]"].concat();
        prop_assert!(from_json::<Value>(&with_zero).unwrap().is_identical(&from_json(&json).unwrap()));
    }

    #[test]
    fn the_order_is_the_documented_one(left in arbitrary::value(), right in arbitrary::value()) {
        prop_assert_eq!(left.cmp(&right), compare_naively(&left, &right));
        prop_assert_eq!(left == right, left.cmp(&right).is_eq());
    }

    #[test]
    fn the_order_of_wide_values_is_the_documented_one(
        left in arbitrary::wide_value(),
        right in arbitrary::wide_value(),
    ) {
        prop_assert_eq!(left.cmp(&right), compare_naively(&left, &right));
    }

    #[test]
    fn the_order_is_total(values in vec(arbitrary::value(), 3)) {
        let [a, b, c] = &values[..] else { unreachable!() };
        prop_assert_eq!(a.cmp(a), Ordering::Equal);
        prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
        if a <= b && b <= c {
            prop_assert!(a <= c);
            prop_assert_eq!(a == c, a == b && b == c);
        }
    }

    #[test]
    fn equal_values_hash_alike(left in arbitrary::value(), right in arbitrary::value()) {
        prop_assert_eq!(hash(&left), hash(&left.clone()));
        if left == right {
            prop_assert_eq!(hash(&left), hash(&right));
        }
    }

    #[test]
    fn identical_values_are_equal(left in arbitrary::value(), right in arbitrary::value()) {
        prop_assert!(left.is_identical(&left));
        prop_assert_eq!(left.is_identical(&right), right.is_identical(&left));
        prop_assert!(!left.is_identical(&right) || left == right);
    }

    #[test]
    fn an_integer_that_is_a_double_is_one_value(integer in -(1i64 << 53)..=1 << 53) {
        #[expect(clippy::cast_precision_loss, reason = "within 2^53 nothing is lost")]
        let double = Value::Double(integer as f64);
        prop_assert_eq!(hash(&double), hash(&Value::Integer(integer)));
        prop_assert_eq!(&double, &Value::Integer(integer));
        prop_assert!(!double.is_identical(&Value::Integer(integer)));
    }

    #[test]
    fn integers_and_doubles_compare_exactly(
        (integer, double) in any::<i64>().prop_flat_map(|integer| (Just(integer), near(integer))),
    ) {
        prop_assert_eq!(compare_integer_with_double(integer, double), compare_exactly(integer, double));
    }

    #[test]
    fn any_integer_and_any_double_compare_exactly(integer in any::<i64>(), bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        prop_assert_eq!(compare_integer_with_double(integer, double), compare_exactly(integer, double));
    }

    #[test]
    fn small_integers_and_any_double_compare_exactly(integer in -3i64..4, bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        prop_assert_eq!(compare_integer_with_double(integer, double), compare_exactly(integer, double));
        prop_assert_eq!(compare_doubles(double, double), Ordering::Equal);
    }

    #[test]
    fn timestamps_are_read_as_they_are_written(
        left in arbitrary::wide_timestamp(),
        right in arbitrary::wide_timestamp(),
    ) {
        prop_assert_eq!(left.to_string().parse(), Ok(left));
        prop_assert_eq!(left.cmp(&right), left.to_string().cmp(&right.to_string()));
    }

    #[test]
    fn offsets_and_short_fractions_of_timestamps_mean_the_same_moment(
        seconds in -62_000_000_000i64..250_000_000_000,
        micros in 0i64..1_000_000,
        offset_minutes in -1439i64..=1439,
    ) {
        let moment = Timestamp::from_micros_clamped(seconds * 1_000_000 + micros);
        let local = Timestamp::from_micros_clamped(moment.as_micros() + offset_minutes * 60_000_000).to_string();
        let sign = if offset_minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset_minutes.abs() / 60, offset_minutes.abs() % 60);
        let text = format!("{}{sign}{hours:02}:{minutes:02}", local.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.'));
        prop_assert_eq!(text.parse(), Ok(moment), "{}", text);
    }

    #[test]
    fn versions_are_read_as_they_are_written(micros in 0i64.., now in arbitrary::wide_timestamp()) {
        let version = Version::from_micros(micros);
        prop_assert_eq!(version.to_string().parse(), Ok(version));
        prop_assert!(micros == i64::MAX || version.next(now) > version);
        prop_assert!(version.next(now).as_micros() >= now.as_micros());
    }

    #[test]
    fn field_paths_are_read_as_they_are_written(path in arbitrary::wide_field_path()) {
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn what_is_set_is_found_and_what_is_removed_is_not(
        mut data in arbitrary::map(),
        path in arbitrary::field_path(),
        other in arbitrary::field_path(),
        value in arbitrary::value(),
    ) {
        let before = other.get(&data).cloned();
        path.set(&mut data, value.clone());
        prop_assert!(path.get(&data).is_some_and(|found| found.is_identical(&value)));
        // What neither stands on the way nor below stays.
        if !path.is_prefix_of(&other) && !other.is_prefix_of(&path) {
            prop_assert_eq!(other.get(&data), before.as_ref());
        }
        prop_assert_eq!(path.remove(&mut data), Some(value));
        prop_assert_eq!(path.get(&data), None);
    }

    #[test]
    fn document_paths_are_read_as_they_are_written(
        left in arbitrary::wide_document_path(),
        right in arbitrary::wide_document_path(),
    ) {
        prop_assert_eq!(left.to_string().parse::<DocumentPath>(), Ok(left.clone()));
        prop_assert_eq!(left.collection().document(left.id()), Ok(left.clone()));
        prop_assert!(left.to_string().parse::<CollectionPath>().is_err());
        let segments: Vec<Vec<&str>> =
            [&left, &right].map(|path| path.segments().collect()).into_iter().collect();
        prop_assert_eq!(left.cmp(&right), segments[0].cmp(&segments[1]));
    }

    #[test]
    fn filters_are_read_as_they_are_written(filter in arbitrary::filter(&arbitrary::field_refs())) {
        let json = serde_json::to_vec(&filter).unwrap();
        prop_assert_eq!(from_json::<Filter>(&json), Ok(filter));
    }

    #[test]
    fn filters_printed_as_expressions_match_the_same_documents(
        filter in arbitrary::filter(&arbitrary::field_refs()),
        documents in vec((prop::sample::select(arbitrary::IDS.to_vec()), arbitrary::map()), 8),
    ) {
        let text = filter.to_expression();
        let again = Filter::from_expression(&text);
        prop_assert!(again.is_ok(), "`{}`: {:?}", text, again);
        let again = again.unwrap();
        for (id, data) in &documents {
            prop_assert_eq!(again.matches(id, data), filter.matches(id, data), "`{}`", &text);
        }
        // What was read once is printed and read without any change.
        let normal = Filter::from_expression(&again.to_expression()).unwrap();
        prop_assert_eq!(normal.to_expression(), again.to_expression());
    }

    #[test]
    fn constants_printed_in_expressions_are_identical(value in arbitrary::wide_value(), field in arbitrary::wide_field_path()) {
        let filter = Filter::Compare {
            field: andiron_protocol::FieldRef::Field(field),
            operator: andiron_protocol::Operator::Equal,
            value,
        };
        let text = filter.to_expression();
        prop_assume!(text.len() <= andiron_protocol::limits::FILTER_EXPRESSION_BYTES_MAX);
        let again = Filter::from_expression(&text);
        let identical = match (&again, &filter) {
            (
                Ok(Filter::Compare { field: left_field, value: left, .. }),
                Filter::Compare { field: right_field, value: right, .. },
            ) => left_field == right_field && left.is_identical(right),
            _ => false,
        };
        prop_assert!(identical, "`{}`: {:?}", text, again);
    }

    #[test]
    fn a_list_that_is_long_is_searched_as_a_short_one(
        elements in vec(arbitrary::value(), 0..60),
        list in vec(arbitrary::value(), 0..60),
    ) {
        let expected = elements.iter().any(|element| list.iter().any(|listed| listed == element));
        let operator = andiron_protocol::Operator::ArrayContainsAny;
        prop_assert_eq!(operator.matches(Some(&Value::Array(elements)), &Value::Array(list)), expected);
    }

    #[test]
    fn ranges_stay_in_their_class(field in arbitrary::value(), constant in arbitrary::value()) {
        use andiron_protocol::Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let holds = |operator: andiron_protocol::Operator| operator.matches(Some(&field), &constant);
        let same_class = field.type_class() == constant.type_class();
        prop_assert_eq!([Less, Equal, Greater].into_iter().filter(|operator| holds(*operator)).count(), usize::from(same_class));
        prop_assert_eq!(holds(LessOrEqual), holds(Less) || holds(Equal));
        prop_assert_eq!(holds(GreaterOrEqual), holds(Greater) || holds(Equal));
        prop_assert_eq!(holds(NotEqual), field.type_class() != TypeClass::Null && !holds(Equal));
    }

    #[test]
    fn queries_are_read_as_they_are_written(query in arbitrary::source().prop_flat_map(arbitrary::query)) {
        let json = serde_json::to_vec(&query).unwrap();
        prop_assert_eq!(from_json::<Query>(&json), Ok(query));
    }

    #[test]
    fn a_result_is_ordered_totally_and_has_every_field_of_its_order(
        query in arbitrary::source().prop_flat_map(arbitrary::query),
        documents in vec((arbitrary::document_path(), arbitrary::map()), 12),
    ) {
        let order = query.normalized_order();
        let found: Vec<_> =
            documents.iter().filter(|(path, data)| query.matches(path, data)).map(|(path, data)| (path, data)).collect();
        for left in &found {
            for field in order.iter().map(|order| &order.field) {
                prop_assert!(field.get(left.0.id(), left.1).is_some());
            }
            for right in &found {
                let ordering = query.compare(&order, *left, *right);
                prop_assert_eq!(ordering, query.compare(&order, *right, *left).reverse());
                prop_assert!(ordering.is_ne() || left.0 == right.0);
                for third in &found {
                    let [first, second] = [query.compare(&order, *left, *right), query.compare(&order, *right, *third)];
                    if first.is_le() && second.is_le() {
                        prop_assert!(query.compare(&order, *left, *third).is_le());
                    }
                }
            }
        }
    }

    #[test]
    fn writes_are_read_as_they_are_written(write in arbitrary::write()) {
        let json = serde_json::to_vec(&write).unwrap();
        let again: Result<Write, _> = from_json(&json);
        prop_assert!(again.is_ok(), "{}: {:?}", String::from_utf8_lossy(&json), again);
        let again = again.unwrap();
        prop_assert_eq!(serde_json::to_vec(&again).unwrap(), json);
        prop_assert_eq!((&again.path, again.kind.name(), again.precondition), (&write.path, write.kind.name(), write.precondition));
    }

    #[test]
    fn a_write_that_was_sent_does_the_same(
        write in arbitrary::write(),
        before in prop::option::weighted(0.8, arbitrary::map()),
        version in 1i64..4,
        now in arbitrary::timestamp(),
    ) {
        let before = before.as_ref().map(|data| (Version::from_micros(version), data));
        let sent: Write = from_json(&serde_json::to_vec(&write).unwrap()).unwrap();
        let here = apply_write(&write, before, now);
        let there = apply_write(&sent, before, now);
        match (here, there) {
            (Ok(here), Ok(there)) => {
                prop_assert_eq!(here.after.is_some(), there.after.is_some());
                if let (Some(left), Some(right)) = (here.after, there.after) {
                    prop_assert!(Value::Map(Arc::unwrap_or_clone(left)).is_identical(&Value::Map(Arc::unwrap_or_clone(right))));
                }
            }
            (here, there) => prop_assert_eq!(here.err(), there.err()),
        }
    }

    #[test]
    fn results_of_transforms_are_what_stands_in_the_document(
        write in arbitrary::write(),
        before in prop::option::weighted(0.8, arbitrary::map()),
        now in arbitrary::timestamp(),
    ) {
        let before = before.as_ref().map(|data| (Version::from_micros(1), data));
        if let Ok(applied) = apply_write(&write, before, now) {
            for (path, value) in &applied.results {
                let found = applied.after.as_ref().and_then(|data| path.get(data));
                prop_assert!(found.is_some_and(|found| found.is_identical(value)), "{}", path);
            }
        }
    }

    #[test]
    fn commits_are_read_as_they_are_written(
        reads in vec((arbitrary::document_path(), prop::option::of(0i64..5)), 0..3),
        queries in vec(arbitrary::source().prop_flat_map(arbitrary::query), 0..2),
        writes in vec(arbitrary::write(), 0..4),
    ) {
        let body = CommitBody {
            reads: reads
                .into_iter()
                .map(|(path, version)| Read { path, version: version.map(Version::from_micros) })
                .collect(),
            queries: queries
                .into_iter()
                .map(|query| QueryRead { query, version: Version::from_micros(7) })
                .collect(),
            writes,
        };
        let json = serde_json::to_vec(&body).unwrap();
        let again: CommitBody = from_json(&json).unwrap();
        prop_assert_eq!((&again.reads, &again.queries), (&body.reads, &body.queries));
        prop_assert_eq!(serde_json::to_vec(&again).unwrap(), json);
    }
}

/// Every day of the calendar, counted one by one.
#[test]
fn every_date_of_ten_thousand_years_is_right() {
    let mut day_number = Timestamp::MIN.as_micros() / 86_400_000_000;
    for year in 1..=9999i64 {
        let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (month, days) in [
            31,
            if is_leap { 29 } else { 28 },
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ]
        .into_iter()
        .enumerate()
        {
            let month = i64::try_from(month).unwrap() + 1;
            for day in [1, days] {
                let moment = Timestamp::from_micros((day_number + day - 1) * 86_400_000_000).unwrap();
                assert_eq!(Timestamp::from_date(year, month, day), Some(moment));
                let text = format!("{year:04}-{month:02}-{day:02}T00:00:00.000000Z");
                assert_eq!(moment.to_rfc3339_bytes(), text.as_bytes());
                assert_eq!(text.parse(), Ok(moment));
            }
            assert_eq!(Timestamp::from_date(year, month, days + 1), None);
            day_number += days;
        }
    }
    assert_eq!(day_number * 86_400_000_000 - 1, Timestamp::MAX.as_micros());
}

#[test]
fn field_paths_have_their_limit() {
    let names = |count: usize| FieldPath::from_segments(vec!["a".to_owned(); count]);
    assert!(names(0).is_err());
    assert!(names(21).is_ok());
    assert!(names(22).is_err());
}
