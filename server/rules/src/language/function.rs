//! The functions that are there without a declaration.

use super::{Kind, Kinds, Parameters};
use crate::syntax::ServiceKind;

/// What stands before the dot in `math.abs(x)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// `math`
    Math,
    /// `hashing`
    Hashing,
    /// `timestamp`
    Timestamp,
    /// `duration`
    Duration,
    /// `latlng`
    LatLng,
    /// `firestore`, in the rules of files
    Firestore,
}

impl Namespace {
    const ALL: [Self; 6] = [
        Self::Math,
        Self::Hashing,
        Self::Timestamp,
        Self::Duration,
        Self::LatLng,
        Self::Firestore,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Math => "math",
            Self::Hashing => "hashing",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::LatLng => "latlng",
            Self::Firestore => "firestore",
        }
    }

    /// The namespace of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|namespace| namespace.as_str() == name)
    }
}

/// A function that needs no declaration.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// Which one.
    pub id: BuiltinId,
    /// What stands before its name, if something does.
    pub namespace: Option<Namespace>,
    /// How it is called.
    pub name: &'static str,
    /// What it takes.
    pub parameters: Parameters,
    /// What it gives.
    pub result: Kinds,
    /// The service whose rules have it, if only one does.
    pub service: Option<ServiceKind>,
}

macro_rules! builtins {
    ($($id:ident = $namespace:expr, $name:literal ($($parameter:expr),*) -> $result:expr, $service:expr;)*) => {
        /// A function that needs no declaration, told apart from all others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names are those of namespace and function; the table says the rest")]
        pub enum BuiltinId {
            $($id,)*
        }

        const BUILTINS: &[Builtin] = &[
            $(Builtin {
                id: BuiltinId::$id,
                namespace: $namespace,
                name: $name,
                parameters: &[$($parameter),*],
                result: $result,
                service: $service,
            },)*
        ];
    };
}

const ANY: Kinds = Kinds::ANY;
const BOOL: Kinds = Kinds::only(Kind::Bool);
const INT: Kinds = Kinds::only(Kind::Int);
const FLOAT: Kinds = Kinds::only(Kind::Float);
const STRING: Kinds = Kinds::only(Kind::String);
const BYTES: Kinds = Kinds::only(Kind::Bytes);
const TIMESTAMP: Kinds = Kinds::only(Kind::Timestamp);
const DURATION: Kinds = Kinds::only(Kind::Duration);
const LATLNG: Kinds = Kinds::only(Kind::LatLng);
const PATH: Kinds = Kinds::only(Kind::Path);
const NUMBER: Kinds = Kinds::NUMBER;
const HASHED: Kinds = Kinds::of(&[Kind::String, Kind::Bytes]);
const NUMERIC: Kinds = Kinds::of(&[Kind::Int, Kind::Float, Kind::String]);
const TEXTUAL: Kinds = Kinds::of(&[
    Kind::Null,
    Kind::Bool,
    Kind::Int,
    Kind::Float,
    Kind::String,
    Kind::Path,
]);
/// What a look-up gives: a document as `{data, id, …}`, or null.
const DOCUMENT: Kinds = Kinds::of(&[Kind::Map, Kind::Null]);

const MATH: Option<Namespace> = Some(Namespace::Math);
const HASHING: Option<Namespace> = Some(Namespace::Hashing);
const FIRESTORE: Option<ServiceKind> = Some(ServiceKind::Firestore);
const STORAGE: Option<ServiceKind> = Some(ServiceKind::Storage);

builtins! {
    Int = None, "int"(NUMERIC) -> INT, None;
    Float = None, "float"(NUMERIC) -> FLOAT, None;
    String = None, "string"(TEXTUAL) -> STRING, None;
    Path = None, "path"(STRING) -> PATH, None;
    Debug = None, "debug"(ANY) -> ANY, None;

    Get = None, "get"(PATH) -> DOCUMENT, FIRESTORE;
    Exists = None, "exists"(PATH) -> BOOL, FIRESTORE;
    GetAfter = None, "getAfter"(PATH) -> DOCUMENT, FIRESTORE;
    ExistsAfter = None, "existsAfter"(PATH) -> BOOL, FIRESTORE;
    FirestoreGet = Some(Namespace::Firestore), "get"(PATH) -> DOCUMENT, STORAGE;
    FirestoreExists = Some(Namespace::Firestore), "exists"(PATH) -> BOOL, STORAGE;

    MathAbs = MATH, "abs"(NUMBER) -> NUMBER, None;
    MathCeil = MATH, "ceil"(NUMBER) -> INT, None;
    MathFloor = MATH, "floor"(NUMBER) -> INT, None;
    MathRound = MATH, "round"(NUMBER) -> INT, None;
    MathSqrt = MATH, "sqrt"(NUMBER) -> FLOAT, None;
    MathPow = MATH, "pow"(NUMBER, NUMBER) -> NUMBER, None;
    MathIsNan = MATH, "isNaN"(NUMBER) -> BOOL, None;
    MathIsInfinite = MATH, "isInfinite"(NUMBER) -> BOOL, None;

    HashingMd5 = HASHING, "md5"(HASHED) -> BYTES, None;
    HashingSha256 = HASHING, "sha256"(HASHED) -> BYTES, None;
    HashingCrc32 = HASHING, "crc32"(HASHED) -> BYTES, None;
    HashingCrc32c = HASHING, "crc32c"(HASHED) -> BYTES, None;

    TimestampDate = Some(Namespace::Timestamp), "date"(INT, INT, INT) -> TIMESTAMP, None;
    TimestampValue = Some(Namespace::Timestamp), "value"(INT) -> TIMESTAMP, None;

    DurationValue = Some(Namespace::Duration), "value"(INT, STRING) -> DURATION, None;
    DurationTime = Some(Namespace::Duration), "time"(INT, INT, INT, INT) -> DURATION, None;
    DurationAbs = Some(Namespace::Duration), "abs"(DURATION) -> DURATION, None;

    LatLngValue = Some(Namespace::LatLng), "value"(NUMBER, NUMBER) -> LATLNG, None;
}

/// The function of that name.
pub fn builtin(namespace: Option<Namespace>, name: &str) -> Option<&'static Builtin> {
    BUILTINS
        .iter()
        .find(|builtin| builtin.namespace == namespace && builtin.name == name)
}

/// All functions.
pub fn all_builtins() -> impl Iterator<Item = &'static Builtin> {
    BUILTINS.iter()
}

impl BuiltinId {
    /// Whether it looks a document up.
    pub fn is_lookup(self) -> bool {
        matches!(
            self,
            Self::Get
                | Self::Exists
                | Self::GetAfter
                | Self::ExistsAfter
                | Self::FirestoreGet
                | Self::FirestoreExists
        )
    }
}
