//! The types that values have when rules are evaluated.

use std::fmt;

macro_rules! kinds {
    ($($kind:ident = $name:literal, $describe:literal;)*) => {
        /// The type of a value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind {
            $(#[doc = $describe] $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name in the language, and in messages.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    Null = "null", "`null`";
    Bool = "bool", "`true` and `false`";
    Int = "int", "Integers of 64 bits";
    Float = "float", "Floating-point numbers of 64 bits";
    String = "string", "Text";
    Bytes = "bytes", "Bytes";
    Timestamp = "timestamp", "Points in time, in nanoseconds";
    Duration = "duration", "Lengths of time, in nanoseconds";
    LatLng = "latlng", "Points on the earth";
    List = "list", "Lists";
    Map = "map", "Maps with strings as keys, documents among them";
    Set = "set", "Sets, from `toSet()` and the methods of `map_diff`";
    MapDiff = "map_diff", "What `map.diff(map)` gives";
    Path = "path", "Paths and references";
}

impl Kind {
    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// A set of types: what is known about a value before it is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kinds(u16);

impl Kinds {
    /// No type: evaluation always fails.
    pub const NONE: Self = Self(0);
    /// Any type: nothing is known.
    pub const ANY: Self = Self((1 << Kind::ALL.len()) - 1);
    /// `int` and `float`.
    pub const NUMBER: Self = Self::of(&[Kind::Int, Kind::Float]);

    /// Exactly these.
    pub const fn of(kinds: &[Kind]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < kinds.len() {
            bits |= kinds[index].bit();
            index += 1;
        }
        Self(bits)
    }

    /// Exactly this one.
    pub const fn only(kind: Kind) -> Self {
        Self(kind.bit())
    }

    /// What `is NAME` asks for. `constraint`, which some files test for, is no type that a value has.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "number" => Some(Self::NUMBER),
            "constraint" => Some(Self::NONE),
            "null" => None,
            _ => Kind::ALL
                .iter()
                .find(|kind| kind.as_str() == name)
                .map(|kind| Self::only(*kind)),
        }
    }

    /// Whether it has this type.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether it has no type.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The types that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The types that are in one of them.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The types, in their order.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| self.has(*kind))
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("any type");
        }
        if *self == Self::NUMBER {
            return f.write_str("number");
        }
        for (index, kind) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" or ")?;
            }
            f.write_str(kind.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kinds({self})")
    }
}
