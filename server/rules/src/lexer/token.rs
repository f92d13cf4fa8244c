//! The kinds of tokens.

/// A token: its kind and its offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Token {
    pub(super) fn new(kind: TokenKind, start: usize, end: usize) -> Self {
        let offset = |bytes| u32::try_from(bytes).expect("a source is at most SOURCE_BYTES_MAX bytes");
        Self {
            kind,
            start: offset(start),
            end: offset(end),
        }
    }
}

macro_rules! kinds {
    (
        words { $($word:ident = $word_text:literal,)* }
        symbols { $($symbol:ident = $symbol_text:literal,)* }
    ) => {
        /// What a token is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum TokenKind {
            /// A name. `as` is one too: only `import` gives it a meaning.
            Name,
            /// A word that is kept for later and means nothing yet.
            Reserved,
            /// A word after `service`.
            ServiceName,
            Int,
            Float,
            String,
            Bytes,
            /// `/users`, `/(default)`
            PathSegment,
            /// Text without meaning, already reported.
            Error,
            /// The end of the text.
            End,
            $($word,)*
            $($symbol,)*
        }

        impl TokenKind {
            /// The kind of a word.
            pub(crate) fn from_word(word: &str) -> Self {
                match word {
                    $($word_text => Self::$word,)*
                    "$" => Self::Dollar,
                    "arguments" | "break" | "case" | "continue" | "default" | "deny" | "do" | "each" | "extends" | "for"
                    | "goto" | "not" | "package" | "switch" | "then" | "var" | "while" => Self::Reserved,
                    _ => Self::Name,
                }
            }

            /// How a token of this kind is called in messages.
            pub(crate) fn describe(self) -> &'static str {
                match self {
                    Self::Name => "a name",
                    Self::Reserved => "a reserved word",
                    Self::ServiceName => "a service name",
                    Self::Int | Self::Float => "a number",
                    Self::String => "a string",
                    Self::Bytes => "bytes",
                    Self::PathSegment => "a path",
                    Self::Error => "text without meaning",
                    Self::End => "the end of the file",
                    $(Self::$word => concat!("`", $word_text, "`"),)*
                    $(Self::$symbol => concat!("`", $symbol_text, "`"),)*
                }
            }

            /// Whether it may follow a dot as the name of a property.
            pub(crate) fn is_property(self) -> bool {
                match self {
                    Self::Name | Self::Reserved => true,
                    $(Self::$word => self != Self::RulesVersion,)*
                    _ => false,
                }
            }
        }
    };
}

kinds! {
    words {
        Allow = "allow",
        Else = "else",
        False = "false",
        Function = "function",
        If = "if",
        Import = "import",
        In = "in",
        Is = "is",
        Let = "let",
        Match = "match",
        Null = "null",
        Return = "return",
        RulesVersion = "rules_version",
        Service = "service",
        True = "true",
    }
    symbols {
        TripleEqual = "===",
        TripleNotEqual = "!==",
        Ellipsis = "...",
        EqualEqual = "==",
        NotEqual = "!=",
        LessOrEqual = "<=",
        GreaterOrEqual = ">=",
        AndAnd = "&&",
        OrOr = "||",
        PlusPlus = "++",
        MinusMinus = "--",
        StarStar = "**",
        QuestionQuestion = "??",
        QuestionDot = "?.",
        Equal = "=",
        Not = "!",
        Less = "<",
        Greater = ">",
        And = "&",
        Or = "|",
        LeftParen = "(",
        RightParen = ")",
        LeftBracket = "[",
        RightBracket = "]",
        LeftBrace = "{",
        RightBrace = "}",
        Comma = ",",
        Dot = ".",
        Colon = ":",
        Semicolon = ";",
        Question = "?",
        Plus = "+",
        Minus = "-",
        Star = "*",
        Slash = "/",
        Percent = "%",
        At = "@",
        Dollar = "$",
    }
}

impl TokenKind {
    /// The longest symbol at the start of the text, and its length.
    pub(super) fn symbol_at(bytes: &[u8]) -> Option<(Self, usize)> {
        let second = bytes.get(1).copied();
        let one = |kind| Some((kind, 1));
        let choose = |next: u8, long: Self, short: Self| {
            if second == Some(next) {
                Some((long, 2))
            } else {
                Some((short, 1))
            }
        };
        match *bytes.first()? {
            b'=' if bytes.starts_with(b"===") => Some((Self::TripleEqual, 3)),
            b'=' => choose(b'=', Self::EqualEqual, Self::Equal),
            b'!' if bytes.starts_with(b"!==") => Some((Self::TripleNotEqual, 3)),
            b'!' => choose(b'=', Self::NotEqual, Self::Not),
            b'<' => choose(b'=', Self::LessOrEqual, Self::Less),
            b'>' => choose(b'=', Self::GreaterOrEqual, Self::Greater),
            b'&' => choose(b'&', Self::AndAnd, Self::And),
            b'|' => choose(b'|', Self::OrOr, Self::Or),
            b'+' => choose(b'+', Self::PlusPlus, Self::Plus),
            b'-' => choose(b'-', Self::MinusMinus, Self::Minus),
            b'*' => choose(b'*', Self::StarStar, Self::Star),
            b'?' if second == Some(b'?') => Some((Self::QuestionQuestion, 2)),
            // `a ?.5 : b` is a condition and a number.
            b'?' if second == Some(b'.') && !bytes.get(2).is_some_and(u8::is_ascii_digit) => {
                Some((Self::QuestionDot, 2))
            }
            b'?' => one(Self::Question),
            b'.' if bytes.starts_with(b"...") => Some((Self::Ellipsis, 3)),
            b'.' => one(Self::Dot),
            b'(' => one(Self::LeftParen),
            b')' => one(Self::RightParen),
            b'[' => one(Self::LeftBracket),
            b']' => one(Self::RightBracket),
            b'{' => one(Self::LeftBrace),
            b'}' => one(Self::RightBrace),
            b',' => one(Self::Comma),
            b':' => one(Self::Colon),
            b';' => one(Self::Semicolon),
            b'/' => one(Self::Slash),
            b'%' => one(Self::Percent),
            b'@' => one(Self::At),
            _ => None,
        }
    }
}
