//! The methods of values.
//!
//! Which methods there are and what they take, the tables of [`language`](crate::language) say; arguments are checked
//! against them before anything here runs. A method that a type does not have, and a wrong number of arguments, is
//! "function not found".

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use regex::Regex;

use super::compare::{contains, contains_sorted, equal, set_of, sorted};
use super::context::Context;
use super::fault::Fault;
use super::pattern::PatternUse;
use super::time::{civil, narrow};
use super::value::{Items, List, Map, MapDiff, NANOS_PER_SECOND, Octets, Part, Path, Text, Value};
use crate::language::{Kind, Kinds, Method, MethodId, Parameters, methods_named};

/// The mean radius of the earth in metres.
const EARTH_RADIUS_METRES: f64 = 6_371_010.0;

/// From so many comparisons on, lists are sorted before they are compared with each other.
const PAIRWISE_COMPARISONS_MAX: usize = 64;

/// The methods of one name, by the type that has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Methods([Option<&'static Method>; Kind::ALL.len()]);

impl Methods {
    /// Looks the methods up once, so that a call need not.
    pub(crate) fn named(name: &str) -> Self {
        let mut methods = [None; Kind::ALL.len()];
        for method in methods_named(name) {
            methods[method.receiver as usize] = Some(method);
        }
        Self(methods)
    }

    /// What the first argument is compiled for, if it is a regular expression.
    pub(crate) fn pattern_use(&self) -> Option<PatternUse> {
        pattern_use(self.0[Kind::String as usize]?.id)
    }

    /// The method that values of a type have, if it takes so many arguments.
    pub(crate) fn of(&self, kind: Kind, arguments: usize) -> Option<&'static Method> {
        self.0[kind as usize].filter(|method| method.parameters.len() == arguments)
    }

    /// `base.name(arguments)`. `pattern` is the first argument compiled, if it is a literal.
    pub(crate) fn call<'a>(
        &self,
        name: &str,
        base: &Value<'a>,
        arguments: &[Value<'a>],
        pattern: Option<&Regex>,
        context: &mut Context<'a>,
    ) -> Result<Value<'a>, Fault> {
        if matches!(base, Value::Null) {
            return Err(Fault::Null);
        }
        let Some(method) = self.of(base.kind(), arguments.len()) else {
            return Err(Fault::FunctionNotFound(name.into()));
        };
        check_arguments(method.parameters, arguments, || {
            format!("{}.{name}", method.receiver.as_str())
        })?;
        call(method.id, base, arguments, pattern, context)
    }
}

/// Refuses arguments of types that a function does not take.
pub(crate) fn check_arguments(
    parameters: Parameters,
    arguments: &[Value<'_>],
    name: impl FnOnce() -> String,
) -> Result<(), Fault> {
    let fits = |(parameter, argument): (&Kinds, &Value<'_>)| parameter.has(argument.kind());
    let mut pairs = parameters.iter().zip(arguments);
    let Some((_, wrong)) = pairs.find(|(parameter, argument)| !fits((parameter, argument))) else {
        return Ok(());
    };
    if matches!(wrong, Value::Null) {
        return Err(Fault::Null);
    }
    let name = name();
    let received: Vec<_> = arguments.iter().map(Value::type_name).collect();
    let expected: Vec<_> = parameters.iter().map(Kinds::to_string).collect();
    Err(Fault::unsupported(
        format!("{name}({})", received.join(", ")),
        format!("{name}({})", expected.join(", ")),
    ))
}

fn pattern_use(method: MethodId) -> Option<PatternUse> {
    match method {
        MethodId::StringMatches => Some(PatternUse::Full),
        MethodId::StringSplit | MethodId::StringReplace => Some(PatternUse::Find),
        _ => None,
    }
}

/// What is left when value, method and arguments do not belong together, which the tables keep from happening.
fn not_found<'a>(method: MethodId) -> Result<Value<'a>, Fault> {
    Err(Fault::FunctionNotFound(format!("{method:?}").into()))
}

/// A method with arguments that its parameters allow.
fn call<'a>(
    method: MethodId,
    base: &Value<'a>,
    arguments: &[Value<'a>],
    pattern: Option<&Regex>,
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    match base {
        Value::String(text) => of_string(method, text, arguments, pattern, context),
        Value::Bytes(bytes) => of_bytes(method, bytes, context),
        Value::List(list) => of_list(method, list, arguments, context),
        Value::Set(items) => of_set(method, items, arguments, context),
        Value::Map(map) => of_map(method, map, arguments, context),
        Value::Object(object) => of_map(method, &object.to_map()?, arguments, context),
        Value::MapDiff(diff) => of_map_diff(method, diff, context),
        Value::Path(path) => of_path(method, path, arguments, context),
        Value::Timestamp(nanos) => of_timestamp(method, *nanos),
        Value::Duration(nanos) => match method {
            MethodId::DurationSeconds => Ok(Value::Int(narrow(nanos / NANOS_PER_SECOND))),
            MethodId::DurationNanos => Ok(Value::Int(narrow(nanos % NANOS_PER_SECOND))),
            _ => not_found(method),
        },
        Value::LatLng(point) => match (method, arguments) {
            (MethodId::LatLngLatitude, _) => Ok(Value::Float(point.latitude())),
            (MethodId::LatLngLongitude, _) => Ok(Value::Float(point.longitude())),
            (MethodId::LatLngDistance, [Value::LatLng(other)]) => Ok(Value::Float(distance(*point, *other))),
            _ => not_found(method),
        },
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => not_found(method),
    }
}

fn of_string<'a>(
    method: MethodId,
    text: &Text<'a>,
    arguments: &[Value<'a>],
    pattern: Option<&Regex>,
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    context.reserve(text.len())?;
    let compiled;
    let pattern = match (pattern_use(method), pattern, arguments) {
        (None, ..) => None,
        (Some(_), Some(pattern), _) => Some(pattern),
        (Some(usage), None, [Value::String(source), ..]) => {
            compiled = context.patterns.get(source, usage)?;
            Some(&*compiled)
        }
        (Some(_), None, _) => None,
    };
    match (method, arguments, pattern) {
        (MethodId::StringSize, [], _) => Ok(Value::Int(count(text.chars().count()))),
        (MethodId::StringLower, [], _) => Ok(Value::string(text.to_lowercase())),
        (MethodId::StringUpper, [], _) => Ok(Value::string(text.to_uppercase())),
        (MethodId::StringTrim, [], _) => Ok(match text {
            Text::Borrowed(text) => Value::string(text.trim()),
            Text::Shared(text) => Value::string(text.trim().to_owned()),
        }),
        (MethodId::StringToUtf8, [], _) => Ok(Value::Bytes(match text {
            Text::Borrowed(text) => Octets::Borrowed(text.as_bytes()),
            Text::Shared(text) => Octets::Shared(text.as_bytes().into()),
        })),
        (MethodId::StringMatches, [Value::String(_)], Some(pattern)) => {
            Ok(Value::Bool(pattern.is_match(text)))
        }
        (MethodId::StringSplit, [Value::String(_)], Some(pattern)) => split(text, pattern, context),
        (MethodId::StringReplace, [Value::String(_), Value::String(with)], Some(pattern)) => {
            replace(text, pattern, with, context)
        }
        _ => not_found(method),
    }
}

/// The parts between the matches. A match of nothing at the start or the end parts nothing.
fn split<'a>(text: &Text<'a>, pattern: &Regex, context: &mut Context<'a>) -> Result<Value<'a>, Fault> {
    let mut parts = Vec::new();
    let mut start = 0;
    let part = |from: usize, to: usize| match text {
        Text::Borrowed(text) => Value::string(&text[from..to]),
        Text::Shared(text) => Value::string(text[from..to].to_owned()),
    };
    for found in pattern.find_iter(text) {
        if found.is_empty() && (found.start() == 0 || found.end() == text.len()) {
            continue;
        }
        context.reserve(size_of::<Value<'_>>())?;
        parts.push(part(start, found.start()));
        start = found.end();
    }
    parts.push(part(start, text.len()));
    Value::list(parts)
}

fn replace<'a>(
    text: &str,
    pattern: &Regex,
    with: &str,
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    let mut result = String::new();
    let mut start = 0;
    for found in pattern.find_iter(text) {
        context.reserve(found.start() - start + with.len() + 1)?;
        result.push_str(&text[start..found.start()]);
        result.push_str(with);
        start = found.end();
    }
    result.push_str(&text[start..]);
    Ok(Value::string(result))
}

fn of_bytes<'a>(method: MethodId, bytes: &[u8], context: &mut Context<'a>) -> Result<Value<'a>, Fault> {
    context.reserve(2 * bytes.len())?;
    match method {
        MethodId::BytesSize => Ok(Value::Int(count(bytes.len()))),
        MethodId::BytesToBase64 => Ok(Value::string(URL_SAFE.encode(bytes))),
        MethodId::BytesToHexString => {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
            let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
            Ok(Value::string(digits.collect::<String>()))
        }
        _ => not_found(method),
    }
}

fn of_list<'a>(
    method: MethodId,
    list: &List<'a>,
    arguments: &[Value<'a>],
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    match (method, arguments) {
        (MethodId::ListSize, []) => Ok(Value::Int(count(list.len()))),
        (MethodId::ListConcat, [Value::List(other)]) => {
            context.reserve((list.len() + other.len()) * size_of::<Value<'_>>())?;
            Value::list(list.iter().chain(other.iter()).collect())
        }
        (MethodId::ListJoin, [Value::String(separator)]) => join(list, separator, context),
        (MethodId::ListRemoveAll, [Value::List(other)]) => {
            context.reserve(list.len() * size_of::<Value<'_>>())?;
            let other = Membership::new(other, list.len(), context);
            let kept = list
                .iter()
                .filter(|element| !other.contains(element, context))
                .collect();
            Value::list(kept)
        }
        (MethodId::ListToSet, []) => {
            context.reserve(list.len() * size_of::<Value<'_>>())?;
            set_of(list.iter(), context)
        }
        (MethodId::ListHasAll | MethodId::ListHasAny | MethodId::ListHasOnly, [argument]) => {
            match argument.elements() {
                Some(other) => has(Relation::of(method), list, &other, context).map(Value::Bool),
                None => not_found(method),
            }
        }
        _ => not_found(method),
    }
}

/// A list that is asked whether it has elements, so often that sorting it first may be worth while.
enum Membership<'a> {
    Pairwise(List<'a>),
    Sorted(Vec<Value<'a>>),
}

impl<'a> Membership<'a> {
    fn new(list: &List<'a>, questions: usize, context: &mut Context<'a>) -> Self {
        if list.len().saturating_mul(questions) <= PAIRWISE_COMPARISONS_MAX {
            Self::Pairwise(list.clone())
        } else {
            Self::Sorted(sorted(list.iter(), context))
        }
    }

    fn contains(&self, wanted: &Value<'a>, context: &mut Context<'a>) -> bool {
        match self {
            Self::Pairwise(list) => contains(list, wanted, context),
            Self::Sorted(values) => contains_sorted(values, wanted, context),
        }
    }
}

/// What a list or set is asked about its elements and those of another.
#[derive(Clone, Copy)]
enum Relation {
    /// It has all of the other's.
    All,
    /// It has at least one of the other's.
    Any,
    /// It has none but the other's.
    Only,
}

impl Relation {
    fn of(method: MethodId) -> Self {
        match method {
            MethodId::ListHasAll | MethodId::SetHasAll => Self::All,
            MethodId::ListHasAny | MethodId::SetHasAny => Self::Any,
            _ => Self::Only,
        }
    }
}

/// `hasAll`, `hasAny`, `hasOnly`
fn has<'a>(
    relation: Relation,
    own: &List<'a>,
    other: &List<'a>,
    context: &mut Context<'a>,
) -> Result<bool, Fault> {
    let result = match relation {
        Relation::All => {
            let own = Membership::new(own, other.len(), context);
            other.iter().all(|element| own.contains(&element, context))
        }
        Relation::Any => {
            let own = Membership::new(own, other.len(), context);
            other.iter().any(|element| own.contains(&element, context))
        }
        Relation::Only => {
            let other = Membership::new(other, own.len(), context);
            own.iter().all(|element| other.contains(&element, context))
        }
    };
    context.check()?;
    Ok(result)
}

fn join<'a>(list: &List<'a>, separator: &str, context: &mut Context<'a>) -> Result<Value<'a>, Fault> {
    let mut text = String::new();
    for (index, element) in list.iter().enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        let before = text.len();
        text.push_str(&super::function::to_text(&element, context)?);
        context.reserve(text.len() - before + separator.len())?;
    }
    Ok(Value::string(text))
}

fn of_set<'a>(
    method: MethodId,
    items: &Arc<Items<'a>>,
    arguments: &[Value<'a>],
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    match (method, arguments) {
        (MethodId::SetSize, []) => Ok(Value::Int(count(items.len()))),
        (MethodId::SetHasAll | MethodId::SetHasAny | MethodId::SetHasOnly, [argument]) => {
            match argument.elements() {
                Some(other) => has(
                    Relation::of(method),
                    &List::Built(Arc::clone(items)),
                    &other,
                    context,
                )
                .map(Value::Bool),
                None => not_found(method),
            }
        }
        (MethodId::SetUnion, [Value::Set(other)]) => {
            context.reserve((items.len() + other.len()) * size_of::<Value<'_>>())?;
            set_of(items.iter().chain(other.iter()).cloned(), context)
        }
        (MethodId::SetIntersection | MethodId::SetDifference, [Value::Set(other)]) => {
            context.reserve(items.len() * size_of::<Value<'_>>())?;
            let wanted = method == MethodId::SetIntersection;
            let kept: Vec<_> = items
                .iter()
                .filter(|element| contains_sorted(other, element, context) == wanted)
                .cloned()
                .collect();
            Ok(Value::Set(Arc::new(Items::new(kept)?)))
        }
        _ => not_found(method),
    }
}

fn of_map<'a>(
    method: MethodId,
    map: &Map<'a>,
    arguments: &[Value<'a>],
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    match (method, arguments) {
        (MethodId::MapSize, []) => Ok(Value::Int(count(map.len()))),
        (MethodId::MapKeys, []) => {
            context.reserve(map.len() * size_of::<Value<'_>>())?;
            Value::list(map.iter().map(|(key, _)| Value::String(key)).collect())
        }
        (MethodId::MapValues, []) => {
            context.reserve(map.len() * size_of::<Value<'_>>())?;
            Value::list(map.iter().map(|(_, value)| value).collect())
        }
        (MethodId::MapGet, [Value::String(key), default]) => {
            Ok(map.get(key).unwrap_or_else(|| default.clone()))
        }
        (MethodId::MapGet, [Value::List(keys), default]) => get_nested(map, keys, default),
        (MethodId::MapDiff, [argument]) => match argument.as_map() {
            Some(old) => Ok(Value::MapDiff(Arc::new(MapDiff {
                new: map.clone(),
                old: old?,
            }))),
            None => not_found(method),
        },
        _ => not_found(method),
    }
}

/// `map.get([k1, k2], default)`
fn get_nested<'a>(map: &Map<'a>, keys: &List<'a>, default: &Value<'a>) -> Result<Value<'a>, Fault> {
    let mut value = Value::Map(map.clone());
    for key in keys.iter() {
        let Value::String(key) = &key else {
            return Err(match key {
                Value::Null => Fault::Null,
                other => Fault::unsupported(format!("map.get([{}])", other.type_name()), "map.get([string])"),
            });
        };
        let Some(found) = (match &value {
            Value::Map(map) => map.get(key),
            Value::Object(object) => object.get(key),
            _ => None,
        }) else {
            return Ok(default.clone());
        };
        value = found;
    }
    Ok(value)
}

fn of_map_diff<'a>(
    method: MethodId,
    diff: &MapDiff<'a>,
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    let (added, removed, changed, unchanged) = match method {
        MethodId::MapDiffAddedKeys => (true, false, false, false),
        MethodId::MapDiffRemovedKeys => (false, true, false, false),
        MethodId::MapDiffChangedKeys => (false, false, true, false),
        MethodId::MapDiffAffectedKeys => (true, true, true, false),
        MethodId::MapDiffUnchangedKeys => (false, false, false, true),
        _ => return not_found(method),
    };
    context.reserve((diff.new.len() + diff.old.len()) * size_of::<Value<'_>>())?;
    let mut keys = Vec::new();
    for (key, new) in diff.new.iter() {
        let is_wanted = match diff.old.get(&key) {
            None => added,
            Some(_) if !changed && !unchanged => false,
            Some(old) if is_same(&new, &old, context) => unchanged,
            Some(_) => changed,
        };
        if is_wanted {
            keys.push(Value::String(key));
        }
    }
    if removed {
        for (key, _) in diff.old.iter() {
            if !diff.new.contains_key(&key) {
                keys.push(Value::String(key));
            }
        }
    }
    set_of(keys.into_iter(), context)
}

/// Whether a field is unchanged: equal, and a number of the same type.
fn is_same<'a>(new: &Value<'a>, old: &Value<'a>, context: &mut Context<'a>) -> bool {
    equal(new, old, context)
        && !matches!(
            (new, old),
            (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_))
        )
}

fn of_path<'a>(
    method: MethodId,
    path: &Path<'a>,
    arguments: &[Value<'a>],
    context: &mut Context<'a>,
) -> Result<Value<'a>, Fault> {
    match (method, arguments) {
        (MethodId::PathBind, [argument]) => {
            let Some(map) = argument.as_map() else {
                return not_found(method);
            };
            bind(path, &map?, context)
        }
        _ => not_found(method),
    }
}

/// Fills in the placeholders that the map has something for.
fn bind<'a>(path: &Path<'a>, map: &Map<'a>, context: &mut Context<'a>) -> Result<Value<'a>, Fault> {
    let mut parts = Vec::new();
    for part in path.parts(context.database).iter() {
        let bound = match part {
            Part::Segment(_) => None,
            Part::Placeholder { name, .. } => map.get(name),
        };
        match bound {
            None => parts.push(part.clone()),
            Some(value) => push_part(&value, &mut parts, context)?,
        }
    }
    context.reserve(parts.len() * size_of::<Part<'_>>())?;
    Ok(Value::Path(Path::Built(parts.into())))
}

/// What a value is as a part of a path: a string one segment, a path all of its own.
pub(crate) fn push_part<'a>(
    value: &Value<'a>,
    parts: &mut Vec<Part<'a>>,
    context: &mut Context<'a>,
) -> Result<(), Fault> {
    match value {
        Value::String(text) => parts.push(Part::Segment(text.clone())),
        Value::Path(path) => parts.extend_from_slice(&path.parts(context.database)),
        Value::Null => return Err(Fault::Null),
        other => {
            return Err(Fault::unsupported(
                format!("/$({})", other.type_name()),
                "/$(string)",
            ));
        }
    }
    Ok(())
}

fn of_timestamp<'a>(method: MethodId, nanos: i128) -> Result<Value<'a>, Fault> {
    let at = civil(nanos);
    Ok(Value::Int(match method {
        MethodId::TimestampYear => at.year,
        MethodId::TimestampMonth => at.month,
        MethodId::TimestampDay => at.day,
        MethodId::TimestampHours => at.second_of_day / 3600,
        MethodId::TimestampMinutes => at.second_of_day / 60 % 60,
        MethodId::TimestampSeconds => at.second_of_day % 60,
        MethodId::TimestampNanos => at.nanos,
        MethodId::TimestampDayOfWeek => at.day_of_week,
        MethodId::TimestampDayOfYear => at.day_of_year,
        MethodId::TimestampToMillis => narrow(nanos.div_euclid(1_000_000)),
        MethodId::TimestampDate => return Ok(Value::Timestamp(nanos - time_of_day(nanos))),
        MethodId::TimestampTime => return Ok(Value::Duration(time_of_day(nanos))),
        _ => return not_found(method),
    }))
}

fn time_of_day(nanos: i128) -> i128 {
    nanos.rem_euclid(86_400 * NANOS_PER_SECOND)
}

/// The great-circle distance in metres.
fn distance(left: andiron_protocol::GeoPoint, right: andiron_protocol::GeoPoint) -> f64 {
    let (left_latitude, right_latitude) = (left.latitude().to_radians(), right.latitude().to_radians());
    let latitudes = ((right_latitude - left_latitude) / 2.0).sin().powi(2);
    let longitudes = ((right.longitude() - left.longitude()).to_radians() / 2.0)
        .sin()
        .powi(2);
    let chord = latitudes + left_latitude.cos() * right_latitude.cos() * longitudes;
    2.0 * EARTH_RADIUS_METRES * chord.sqrt().min(1.0).asin()
}

fn count(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
