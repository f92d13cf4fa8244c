//! Random changes to good sources, reproducible from a seed.

/// What changes put in: tokens, halves of tokens, and text that looks like rules but is none.
const SNIPPETS: &[&str] = &[
    " ",
    "\n",
    ";",
    ",",
    ":",
    ".",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "/",
    "//",
    "/*",
    "*/",
    "/a",
    "/{x}",
    "/{x=**}",
    "/$(x)",
    "$",
    "*",
    "**",
    "=",
    "==",
    "===",
    "!=",
    "!",
    "<",
    "<=",
    ">",
    "&&",
    "||",
    "&",
    "|",
    "?",
    "+",
    "++",
    "-",
    "--",
    "%",
    "@",
    "#",
    "'",
    "\"",
    "'a'",
    "\"a\"",
    "b'a'",
    "\\",
    "\\n",
    "\\q",
    "0",
    "1",
    "01",
    "1.",
    ".5",
    "1.5",
    "5.a",
    "a",
    "x.y",
    "f(x)",
    "as",
    "is",
    "in",
    "is int",
    "if",
    "let",
    "let a = 1;",
    "return",
    "return 1;",
    "allow",
    "allow read",
    "match",
    "match /a { allow read; }",
    "function",
    "function f() { return 1; }",
    "service",
    "import",
    "import 'a';",
    "null",
    "true",
    "false",
    "else",
    "rules_version",
    "rules_version = '2';",
    "é",
    "“",
    "’",
    "a ? b : c",
    "[1, 2]",
    "{'a': 1}",
    "a[1:2]",
    "/a/$(b)/c",
    "/a/(b)",
    "%20",
    "not",
    "var",
    "unused",
    "- -a",
    "-a",
    "!a",
    "x.match",
    "x.match()",
];

/// A small generator of random numbers (SplitMix64), so that a failure can be repeated from its seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is more than 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// The text with one to three changes.
pub(crate) fn mutate(text: &str, random: &mut Random) -> String {
    let mut text = text.to_owned();
    for _ in 0..=random.below(3) {
        let at = boundary(&text, random);
        match random.below(6) {
            0 => text.insert_str(at, SNIPPETS[random.below(SNIPPETS.len())]),
            1 => {
                let end = word_end(&text, at);
                text.replace_range(at..end, "");
            }
            2 => {
                let end = word_end(&text, at);
                text.replace_range(at..end, SNIPPETS[random.below(SNIPPETS.len())]);
            }
            3 => {
                let end = word_end(&text, at);
                let copy = text[at..end].to_owned();
                let to = boundary(&text, random);
                text.insert_str(to, &copy);
            }
            4 => {
                // Without a whole line, of which many a mistake consists.
                let end = text[at..].find('\n').map_or(text.len(), |length| at + length + 1);
                text.replace_range(at..end, "");
            }
            _ => {
                if let Some(character) = text[at..].chars().next() {
                    text.replace_range(at..at + character.len_utf8(), "");
                }
            }
        }
    }
    text
}

fn boundary(text: &str, random: &mut Random) -> usize {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where the word or the single character ends that starts here.
fn word_end(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    let word = rest
        .find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
        .unwrap_or(rest.len());
    match rest.chars().next() {
        Some(first) if word == 0 => at + first.len_utf8(),
        _ => at + word,
    }
}
