//! The methods of each type.

use super::{Kind, Kinds};

/// The types that a method's or function's arguments may have, in order.
pub type Parameters = &'static [Kinds];

/// A method of a type.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Which one.
    pub id: MethodId,
    /// The type that has it.
    pub receiver: Kind,
    /// How it is called.
    pub name: &'static str,
    /// What it takes.
    pub parameters: Parameters,
    /// What it gives.
    pub result: Kinds,
}

macro_rules! methods {
    ($($id:ident = $receiver:ident . $name:literal ($($parameter:expr),*) -> $result:expr;)*) => {
        /// A method, told apart from all others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names are those of type and method; the table says the rest")]
        pub enum MethodId {
            $($id,)*
        }

        const METHODS: &[Method] = &[
            $(Method {
                id: MethodId::$id,
                receiver: Kind::$receiver,
                name: $name,
                parameters: &[$($parameter),*],
                result: $result,
            },)*
        ];
    };
}

const BOOL: Kinds = Kinds::only(Kind::Bool);
const INT: Kinds = Kinds::only(Kind::Int);
const FLOAT: Kinds = Kinds::only(Kind::Float);
const STRING: Kinds = Kinds::only(Kind::String);
const BYTES: Kinds = Kinds::only(Kind::Bytes);
const LIST: Kinds = Kinds::only(Kind::List);
const SET: Kinds = Kinds::only(Kind::Set);
const MAP: Kinds = Kinds::only(Kind::Map);
const MAP_DIFF: Kinds = Kinds::only(Kind::MapDiff);
const DURATION: Kinds = Kinds::only(Kind::Duration);
const TIMESTAMP: Kinds = Kinds::only(Kind::Timestamp);
const LATLNG: Kinds = Kinds::only(Kind::LatLng);
const PATH: Kinds = Kinds::only(Kind::Path);
const LIST_OR_SET: Kinds = Kinds::of(&[Kind::List, Kind::Set]);
const KEY_OR_KEYS: Kinds = Kinds::of(&[Kind::String, Kind::List]);
const ANY: Kinds = Kinds::ANY;

methods! {
    StringSize = String."size"() -> INT;
    StringLower = String."lower"() -> STRING;
    StringUpper = String."upper"() -> STRING;
    StringTrim = String."trim"() -> STRING;
    StringMatches = String."matches"(STRING) -> BOOL;
    StringSplit = String."split"(STRING) -> LIST;
    StringReplace = String."replace"(STRING, STRING) -> STRING;
    StringToUtf8 = String."toUtf8"() -> BYTES;

    BytesSize = Bytes."size"() -> INT;
    BytesToBase64 = Bytes."toBase64"() -> STRING;
    BytesToHexString = Bytes."toHexString"() -> STRING;

    ListSize = List."size"() -> INT;
    ListConcat = List."concat"(LIST) -> LIST;
    ListJoin = List."join"(STRING) -> STRING;
    ListRemoveAll = List."removeAll"(LIST) -> LIST;
    ListToSet = List."toSet"() -> SET;
    ListHasAll = List."hasAll"(LIST_OR_SET) -> BOOL;
    ListHasAny = List."hasAny"(LIST_OR_SET) -> BOOL;
    ListHasOnly = List."hasOnly"(LIST_OR_SET) -> BOOL;

    SetSize = Set."size"() -> INT;
    SetHasAll = Set."hasAll"(LIST_OR_SET) -> BOOL;
    SetHasAny = Set."hasAny"(LIST_OR_SET) -> BOOL;
    SetHasOnly = Set."hasOnly"(LIST_OR_SET) -> BOOL;
    SetUnion = Set."union"(SET) -> SET;
    SetIntersection = Set."intersection"(SET) -> SET;
    SetDifference = Set."difference"(SET) -> SET;

    MapSize = Map."size"() -> INT;
    MapKeys = Map."keys"() -> LIST;
    MapValues = Map."values"() -> LIST;
    MapGet = Map."get"(KEY_OR_KEYS, ANY) -> ANY;
    MapDiff = Map."diff"(MAP) -> MAP_DIFF;

    MapDiffAddedKeys = MapDiff."addedKeys"() -> SET;
    MapDiffRemovedKeys = MapDiff."removedKeys"() -> SET;
    MapDiffChangedKeys = MapDiff."changedKeys"() -> SET;
    MapDiffAffectedKeys = MapDiff."affectedKeys"() -> SET;
    MapDiffUnchangedKeys = MapDiff."unchangedKeys"() -> SET;

    PathBind = Path."bind"(MAP) -> PATH;

    TimestampYear = Timestamp."year"() -> INT;
    TimestampMonth = Timestamp."month"() -> INT;
    TimestampDay = Timestamp."day"() -> INT;
    TimestampHours = Timestamp."hours"() -> INT;
    TimestampMinutes = Timestamp."minutes"() -> INT;
    TimestampSeconds = Timestamp."seconds"() -> INT;
    TimestampNanos = Timestamp."nanos"() -> INT;
    TimestampDayOfWeek = Timestamp."dayOfWeek"() -> INT;
    TimestampDayOfYear = Timestamp."dayOfYear"() -> INT;
    TimestampDate = Timestamp."date"() -> TIMESTAMP;
    TimestampTime = Timestamp."time"() -> DURATION;
    TimestampToMillis = Timestamp."toMillis"() -> INT;

    DurationSeconds = Duration."seconds"() -> INT;
    DurationNanos = Duration."nanos"() -> INT;

    LatLngLatitude = LatLng."latitude"() -> FLOAT;
    LatLngLongitude = LatLng."longitude"() -> FLOAT;
    LatLngDistance = LatLng."distance"(LATLNG) -> FLOAT;
}

/// The method of that name that values of that type have.
pub fn method(receiver: Kind, name: &str) -> Option<&'static Method> {
    METHODS
        .iter()
        .find(|method| method.receiver == receiver && method.name == name)
}

/// The methods of that name, of whatever types.
pub fn methods_named(name: &str) -> impl Iterator<Item = &'static Method> {
    METHODS.iter().filter(move |method| method.name == name)
}

/// All methods.
pub fn all_methods() -> impl Iterator<Item = &'static Method> {
    METHODS.iter()
}
