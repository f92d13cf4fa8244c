//! The regular expressions of `matches`, `split` and `replace`: those of RE2, run by the `regex` crate in linear time.
//!
//! The two syntaxes nearly agree. Here a pattern is read by RE2's rules and written anew so that every part means the same
//! to `regex`: `\d`, `\w`, `\s` and `\b` are about ASCII, `[[a]` and `[a&&b]` are plain sets of characters, `\Q…\E` and octal
//! codes exist, and what RE2 refuses is refused: look-around, back references, `a**`, repetitions beyond 1000.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

/// The bytes that a compiled pattern may take.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 1 << 20;

/// The bytes of a pattern's text.
pub const PATTERN_BYTES_MAX: usize = 16 << 10;

/// Levels of groups and repetitions in a pattern.
pub const PATTERN_NESTING_MAX: u32 = 100;

/// How often `{n}` may repeat, in RE2.
const REPETITION_MAX: u32 = 1000;

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Longer than [`PATTERN_BYTES_MAX`].
    #[error("the pattern is longer than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// It would take more than [`PATTERN_COMPILED_BYTES_MAX`].
    #[error("the pattern is too large: a repetition of a repetition, or of a large set of characters")]
    TooLarge,
    /// RE2 has no such thing.
    #[error("`{0}` is not part of RE2's regular expressions")]
    Unsupported(String),
    /// It makes no sense.
    #[error("the pattern makes no sense: {0}")]
    Syntax(String),
}

impl PatternError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unsupported(what)
                if what.starts_with("(?=") || what.starts_with("(?!") || what.starts_with("(?<") =>
            {
                Some("there is no look-around; combine several tests with `&&`")
            }
            Self::Unsupported(what)
                if what.starts_with('\\') && what[1..].starts_with(|c: char| c.is_ascii_digit()) =>
            {
                Some("there are no back references")
            }
            Self::TooLarge => Some("test the size with `.size()` instead of counting in the pattern"),
            _ => None,
        }
    }
}

/// Compiles a pattern that may match anywhere, as `split` and `replace` want it.
///
/// # Errors
/// RE2 would not take it, or it is too large.
pub fn compile(pattern: &str) -> Result<Regex, PatternError> {
    build(&translate(pattern)?)
}

/// Compiles a pattern that covers the whole text, as `matches` wants it.
///
/// # Errors
/// RE2 would not take it, or it is too large.
pub fn compile_full(pattern: &str) -> Result<Regex, PatternError> {
    build(&format!(r"\A(?:{})\z", translate(pattern)?))
}

fn build(translated: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(translated)
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .dfa_size_limit(PATTERN_COMPILED_BYTES_MAX)
        .nest_limit(PATTERN_NESTING_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
            other => {
                let text = other.to_string();
                let reason = text.lines().rev().find_map(|line| line.strip_prefix("error: "));
                PatternError::Syntax(reason.unwrap_or("it cannot be read").to_owned())
            }
        })
}

fn translate(pattern: &str) -> Result<String, PatternError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::TooLong);
    }
    let mut translator = Translator {
        rest: pattern,
        open_groups: 0,
        output: String::with_capacity(pattern.len() * 2),
    };
    translator.run()?;
    Ok(translator.output)
}

fn unsupported<T>(what: &str) -> Result<T, PatternError> {
    Err(PatternError::Unsupported(what.chars().take(12).collect()))
}

fn senseless<T>(why: &str) -> Result<T, PatternError> {
    Err(PatternError::Syntax(why.to_owned()))
}

struct Translator<'a> {
    rest: &'a str,
    open_groups: usize,
    output: String,
}

impl<'a> Translator<'a> {
    fn take(&mut self) -> Option<char> {
        let first = self.rest.chars().next()?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }

    fn literal(&mut self, character: char) {
        // A code is never mistaken for syntax, inside of a set or outside.
        let _ = write!(self.output, r"\x{{{:x}}}", u32::from(character));
    }

    fn run(&mut self) -> Result<(), PatternError> {
        // Whether a repetition may follow: there is something to repeat, and it is not repeated yet.
        let mut repeatable = false;
        while let Some(character) = self.rest.chars().next() {
            match character {
                '*' | '+' | '?' => {
                    if !repeatable {
                        return senseless(&format!(
                            "`{character}` repeats nothing, or what is repeated already"
                        ));
                    }
                    self.take();
                    self.output.push(character);
                    self.lazy();
                    repeatable = false;
                }
                '{' => match repetition(self.rest) {
                    Some((length, counts)) => {
                        if !repeatable {
                            return senseless("`{…}` repeats nothing, or what is repeated already");
                        }
                        if counts
                            .iter()
                            .any(|count| count.is_none_or(|count| count > REPETITION_MAX))
                        {
                            return senseless(&format!("a repetition counts to {REPETITION_MAX} at most"));
                        }
                        self.output.push_str(&self.rest[..length]);
                        self.rest = &self.rest[length..];
                        self.lazy();
                        repeatable = false;
                    }
                    None => {
                        self.take();
                        self.literal('{');
                        repeatable = true;
                    }
                },
                '(' => {
                    self.open_group()?;
                    repeatable = false;
                }
                '|' => {
                    self.take();
                    self.output.push('|');
                    repeatable = false;
                }
                ')' => {
                    // Otherwise a pattern could close the group that `compile_full` puts around it.
                    let Some(fewer) = self.open_groups.checked_sub(1) else {
                        return senseless("a `)` closes nothing");
                    };
                    self.open_groups = fewer;
                    self.take();
                    self.output.push(')');
                    repeatable = true;
                }
                '.' | '^' | '$' => {
                    self.take();
                    self.output.push(character);
                    repeatable = true;
                }
                '[' => {
                    self.set()?;
                    repeatable = true;
                }
                '\\' => repeatable = self.escape()?,
                _ => {
                    self.take();
                    self.literal(character);
                    repeatable = true;
                }
            }
        }
        Ok(())
    }

    /// Takes the `?` that makes a repetition lazy.
    fn lazy(&mut self) {
        if let Some(rest) = self.rest.strip_prefix('?') {
            self.rest = rest;
            self.output.push('?');
        }
    }

    fn open_group(&mut self) -> Result<(), PatternError> {
        let Some(after) = self.rest.strip_prefix("(?") else {
            self.take();
            self.open_groups += 1;
            self.output.push('(');
            return Ok(());
        };
        for foreign in [
            "=", "!", "<=", "<!", ">", "#", "P=", "P>", "&", "R", "|", "'", "(",
        ] {
            if after.starts_with(foreign) {
                return unsupported(self.rest);
            }
        }
        if let Some(named) = after.strip_prefix("P<").or_else(|| after.strip_prefix('<')) {
            let Some((name, rest)) = named.split_once('>') else {
                return senseless("the name of a group is not closed with `>`");
            };
            let is_name = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name {
                return senseless("the name of a group consists of letters, digits and `_`");
            }
            // What a group is called does not matter to any method, and names may start with a digit in RE2.
            self.open_groups += 1;
            self.output.push('(');
            self.rest = rest;
            return Ok(());
        }
        let Some(end) = after.find([':', ')']) else {
            return senseless("a group is not closed");
        };
        let flags = &after[..end];
        if !flags
            .bytes()
            .all(|byte| matches!(byte, b'i' | b'm' | b's' | b'U' | b'-'))
        {
            return unsupported(self.rest);
        }
        if after[end..].starts_with(':') {
            self.open_groups += 1;
        }
        self.output.push_str("(?");
        self.output.push_str(&after[..=end]);
        self.rest = &after[end + 1..];
        Ok(())
    }

    /// Takes an escape outside of a set; says whether it can be repeated.
    fn escape(&mut self) -> Result<bool, PatternError> {
        if let Some(quoted) = self.rest.strip_prefix(r"\Q") {
            let (text, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            for character in text.chars() {
                self.literal(character);
            }
            self.rest = rest;
            return Ok(!text.is_empty());
        }
        if let Some(assertion) = ["\\b", "\\B", "\\A", "\\z"]
            .into_iter()
            .find(|assertion| self.rest.starts_with(assertion))
        {
            self.rest = &self.rest[2..];
            match assertion {
                "\\b" | "\\B" => {
                    let _ = write!(self.output, "(?-u:{assertion})");
                }
                other => self.output.push_str(other),
            }
            return Ok(true);
        }
        match self.character_escape()? {
            Escape::Character(character) => self.literal(character),
            Escape::Set(set) => {
                let _ = write!(self.output, "[{set}]");
            }
        }
        Ok(true)
    }

    /// Takes an escape that stands for one character of some set.
    fn character_escape(&mut self) -> Result<Escape, PatternError> {
        let whole = self.rest;
        self.take();
        let Some(character) = self.take() else {
            return senseless("a backslash stands at the end");
        };
        let set = |set: &str| Ok(Escape::Set(set.to_owned()));
        let one = |character: char| Ok(Escape::Character(character));
        match character {
            'd' => set("0-9"),
            'D' => set("^0-9"),
            'w' => set("0-9A-Za-z_"),
            'W' => set("^0-9A-Za-z_"),
            's' => set(r"\t\n\x0c\r\x20"),
            'S' => set(r"^\t\n\x0c\r\x20"),
            'a' => one('\x07'),
            'f' => one('\x0c'),
            't' => one('\t'),
            'n' => one('\n'),
            'r' => one('\r'),
            'v' => one('\x0b'),
            'x' => self.hexadecimal(whole),
            'p' | 'P' => self.unicode_class(whole, character == 'P'),
            '0'..='7' => self.octal(whole, character),
            _ if character.is_ascii() && !character.is_ascii_alphanumeric() => one(character),
            _ => unsupported(&format!("\\{character}")),
        }
    }

    fn hexadecimal(&mut self, whole: &str) -> Result<Escape, PatternError> {
        let digits = if let Some(braced) = self.rest.strip_prefix('{') {
            let Some((digits, rest)) = braced.split_once('}') else {
                return unsupported(whole);
            };
            self.rest = rest;
            digits
        } else {
            let Some(digits) = self.rest.get(..2) else {
                return unsupported(whole);
            };
            self.rest = &self.rest[2..];
            digits
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u32::from_str_radix(digits, 16).ok().and_then(char::from_u32) {
            Some(character) if is_number => Ok(Escape::Character(character)),
            _ => unsupported(whole),
        }
    }

    /// Octal codes; a digit from 1 to 7 without another octal digit behind it is a back reference.
    fn octal(&mut self, whole: &str, first: char) -> Result<Escape, PatternError> {
        let is_octal = |character: char| ('0'..='7').contains(&character);
        let more = self
            .rest
            .chars()
            .take(2)
            .take_while(|character| is_octal(*character))
            .count();
        if first != '0' && more == 0 {
            return unsupported(whole);
        }
        let code = u32::from_str_radix(&whole[1..2 + more], 8).ok();
        self.rest = &self.rest[more..];
        match code.and_then(char::from_u32) {
            Some(character) => Ok(Escape::Character(character)),
            None => unsupported(whole),
        }
    }

    /// `\pL`, `\p{Greek}`, `\p{^Lu}`: general categories and scripts.
    fn unicode_class(&mut self, whole: &str, is_upper: bool) -> Result<Escape, PatternError> {
        let name = if let Some(braced) = self.rest.strip_prefix('{') {
            let Some((name, rest)) = braced.split_once('}') else {
                return unsupported(whole);
            };
            self.rest = rest;
            name
        } else {
            let length = self.rest.chars().next().map_or(0, char::len_utf8);
            let (name, rest) = self.rest.split_at(length);
            self.rest = rest;
            name
        };
        let (name, is_negated) = match name.strip_prefix('^') {
            Some(inner) => (inner, !is_upper),
            None => (name, is_upper),
        };
        let is_word = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        if !is_word {
            return unsupported(whole);
        }
        let letter = if is_negated { 'P' } else { 'p' };
        let class = match name {
            "Any" => format!(r"\{letter}{{any}}"),
            _ if name.len() <= 2 => format!(r"\{letter}{{gc={name}}}"),
            _ => format!(r"\{letter}{{sc={name}}}"),
        };
        // Whether there is such a class turns out when the whole is built.
        Ok(Escape::Set(class))
    }

    /// Takes `[…]`.
    fn set(&mut self) -> Result<(), PatternError> {
        self.take();
        self.output.push('[');
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
            self.output.push('^');
        }
        let mut is_first = true;
        loop {
            let Some(next) = self.rest.chars().next() else {
                return senseless("a set of characters is not closed with `]`");
            };
            if next == ']' && !is_first {
                self.take();
                self.output.push(']');
                return Ok(());
            }
            is_first = false;
            if let Some(inner) = self.rest.strip_prefix("[:")
                && let Some((name, rest)) = inner.split_once(":]")
            {
                let plain = name.strip_prefix('^').unwrap_or(name);
                let is_known = matches!(
                    plain,
                    "alnum"
                        | "alpha"
                        | "ascii"
                        | "blank"
                        | "cntrl"
                        | "digit"
                        | "graph"
                        | "lower"
                        | "print"
                        | "punct"
                        | "space"
                        | "upper"
                        | "word"
                        | "xdigit"
                );
                if !is_known {
                    return unsupported(&format!("[:{name}:]"));
                }
                let _ = write!(self.output, "[:{name}:]");
                self.rest = rest;
                continue;
            }
            match self.set_member()? {
                Escape::Set(set) => {
                    let _ = write!(self.output, "[{set}]");
                }
                Escape::Character(low) => {
                    self.literal(low);
                    let mut ahead = self.rest.chars();
                    let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|end| end != ']');
                    if is_range {
                        self.take();
                        let Escape::Character(high) = self.set_member()? else {
                            return senseless("a range in a set ends with a character");
                        };
                        if high < low {
                            return senseless("a range in a set goes from the lower character to the higher");
                        }
                        self.output.push('-');
                        self.literal(high);
                    }
                }
            }
        }
    }

    fn set_member(&mut self) -> Result<Escape, PatternError> {
        if self.rest.starts_with('\\') {
            return self.character_escape();
        }
        match self.take() {
            Some(character) => Ok(Escape::Character(character)),
            None => senseless("a set of characters is not closed with `]`"),
        }
    }
}

/// What an escape stands for: one character, or the inside of a set.
enum Escape {
    Character(char),
    Set(String),
}

/// The length of `{n}`, `{n,}` or `{n,m}` at the start, and its counts; a count that fits no number is `None`.
fn repetition(text: &str) -> Option<(usize, Vec<Option<u32>>)> {
    let inner = text.strip_prefix('{')?;
    let (counts, _) = inner.split_once('}')?;
    let mut parts = counts.splitn(2, ',');
    let first = parts.next()?;
    let second = parts.next();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(first) || second.is_some_and(|second| !second.is_empty() && !is_number(second)) {
        return None;
    }
    let mut numbers = vec![first.parse().ok()];
    if let Some(second) = second.filter(|second| !second.is_empty()) {
        numbers.push(second.parse().ok());
    }
    Some((counts.len() + 2, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let regex = compile_full(pattern).unwrap();
        for text in matching {
            assert!(regex.is_match(text), "`{pattern}` does not match {text:?}");
        }
        for text in others {
            assert!(!regex.is_match(text), "`{pattern}` matches {text:?}");
        }
    }

    #[test]
    fn patterns_cover_the_whole_text() {
        check("a|ab", &["a", "ab"], &["abc", "xa", "a\n"]);
        check("^a$", &["a"], &["a\n", "ba"]);
        check("", &[""], &["a"]);
        check("(?i)straße", &["STRAßE"], &["strasse"]);
        check(".+@.+[.].+", &["a@b.c"], &["a@b", "a\n@b.c"]);
        check("(?s).{1,3}", &["a\nb"], &["", "abcd"]);
    }

    #[test]
    fn perl_classes_and_word_boundaries_are_ascii() {
        check(r"\d+", &["0123"], &["٣", "a"]);
        check(r"\w+", &["az_09"], &["é", "-"]);
        check(r"\s", &[" ", "\t", "\x0c"], &["\x0b", "\u{a0}"]);
        check(r"[^\s\d]", &["a", "é"], &[" ", "1"]);
        check(r"[\W]", &["é", "-"], &["a"]);
        check(r"\ba\b", &["a"], &["é"]);
        check(r"\bé", &[], &["é"]);
        check(r"a\Bb", &["ab"], &["a b"]);
    }

    #[test]
    fn sets_are_plain() {
        check("[[a]b", &["[b", "ab"], &["a", "b"]);
        check("[a&&b]", &["a", "&", "b"], &["c"]);
        check("[+--]", &["+", ",", "-"], &["."]);
        check("[~~]", &["~"], &["a"]);
        check("[]a]", &["]", "a"], &["b"]);
        check("[^]a]", &["b"], &["]"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("[-a]", &["a", "-"], &["b"]);
        check(r"[\]\-\\]", &["]", "-", "\\"], &["a"]);
        check("[[:alpha:]_]", &["a", "_"], &["1", ":"]);
        check("[[:^digit:]]", &["a"], &["1"]);
        check(r"[\x41-\x{43}]", &["B"], &["D"]);
    }

    #[test]
    fn escapes_are_those_of_re2() {
        check(r"\Qa.b*\E+", &["a.b*", "a.b**"], &["axb"]);
        check(r"\101\07\0", &["A\x07\0"], &[]);
        check(r"\_\<\>\-\ ", &["_<>- "], &[]);
        check(r"\pL\p{Lu}\p{Greek}", &["aAα"], &["1Aα"]);
        check(r"\PL\p{^Greek}", &["1a"], &["aa"]);
        check(r"\a\v\x{1F600}", &["\x07\x0b😀"], &[]);
        check(r"\A\z", &[""], &[]);
    }

    #[test]
    fn braces_that_count_nothing_are_characters() {
        check("a{,5}", &["a{,5}"], &["aa"]);
        check("{", &["{"], &[]);
        check("a{1000}", &[], &["a"]);
        check("a{2,3}?", &["aa", "aaa"], &["a"]);
        check("(?P<1x>a)(?<y>b)", &["ab"], &[]);
        check("(?i:A)(?-i)b", &["ab"], &["aB"]);
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        for pattern in [
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?>a)",
            "(?#a)",
            r"(a)\1",
            r"\8",
            r"\C",
            r"\Z",
            r"\G",
            r"\K",
            r"\R",
            r"\X",
            r"\u0041",
            r"\h",
            r"\q",
            "a**",
            "a++",
            "a?+",
            "a{2}{3}",
            "*a",
            "+",
            "(*)",
            "a|*",
            "a{1001}",
            "a{1,2000}",
            "a{99999999999}",
            "(a",
            "a)",
            "a)(?:b",
            "(?i)a)",
            "[a",
            "[b-a]",
            "[a--z]",
            r"[a-\d]",
            "[[:wat:]]",
            r"\p{Nope}",
            r"\pé",
            r"\p{sc=Greek}",
            r"\p{Alphabetic}",
            "(?x)a",
            "(?u)a",
            "(?R)a",
            "(?P<a-b>x)",
            "(?P<>x)",
            "(?",
            "(?i",
            r"\x4",
            r"\x{}",
            r"\x{110000}",
            "\\",
            r"[\b]",
            r"\é",
        ] {
            assert!(compile(pattern).is_err(), "`{pattern}` is accepted");
        }
    }

    #[test]
    fn large_patterns_are_refused_quickly() {
        assert_eq!(
            compile("((a{1000}){1000}){1000}").unwrap_err(),
            PatternError::TooLarge
        );
        assert_eq!(
            compile(&"a".repeat(PATTERN_BYTES_MAX + 1)).unwrap_err(),
            PatternError::TooLong
        );
        assert!(compile(&"(".repeat(5000)).is_err());
        assert!(compile(&r"\pL".repeat(5000)).is_err());
    }
}
