//! From tokens to the tree: recursive descent that always gives a tree, and every error beside it.
//!
//! An error is reported once for its place; then the parser goes on where the next declaration can start. What our
//! extensions add is parsed in every file, and where the file's version does not have it, the error says which one does.
//! Recursion is bounded by [`NESTING_MAX`], time is linear in the number of tokens.
//!
//! Left out: what depends on what names mean, which is the checker's.
//!
//! # Grammar
//!
//! `*` marks what only `rules_version = 'andiron1'` has. Words in capitals are tokens; a path segment such as `/users` is
//! one token, and the longest token wins.
//!
//! ```text
//! file      = [version] {import} (function | service | type*)+ END
//! version   = "rules_version" "=" STRING [";"]
//! import    = "import" STRING ["as" NAME] ";"
//! service   = "service" ("cloud.firestore" | "firebase.storage" | "andiron.auth") "{" (function | match | let*)+ "}"
//! match     = "match" pattern ["is" type-name]* "{" (function | allow | match | let*)+ "}"
//! pattern   = ( SEGMENT | "/" "{" NAME ["=" ("*" | "**")] "}" )+
//! allow     = "allow" NAME {"," NAME} [":" "if" expr ["else" STRING]*] [";"]
//! function  = "function" NAME "(" [NAME {"," NAME}] ")" "{" {let} "return" expr [";"] "}"
//! let       = "let" NAME "=" expr ";"
//! type      = "type" NAME "=" type-expr ";"                                            *
//! type-expr = ["|"] primary {"|" primary} {"where" expr}
//! primary   = type-name ["<" type-expr {"," type-expr} ">"] | LITERAL | "(" type-expr ")"
//!           | "{" [field {"," field}] ["," "..."] [","] "}"
//! field     = (NAME | STRING) ["?"] ":" type-expr
//! type-name = NAME ["." NAME]*
//! ```
//!
//! Expressions, from the tightest to the loosest; operators group to the left unless something else is said:
//!
//! ```text
//! 1  literals, names, `(e)`, lists, maps, paths, calls; `.name` `.name(args)` `[i]` `[i:j]`
//!    `?.name` `?.name(args)`* `.all(x, e)` `.any(x, e)` `.map(x, e)`*
//! 2  `-e`, `!e`; `-` takes what stands in 1
//! 3  `*` `/` `%`
//! 4  `+` `-`
//! 5  `??`*, to the right
//! 6  `<` `<=` `>` `>=`
//! 7  `==` `!=`
//! 8  `is`
//! 9  `in`
//! 10 `&&`
//! 11 `||`
//! 12 `? :`, to the right
//! ```
//!
//! What the extensions mean:
//!
//! - `else "text"` behind a condition is what a client is told when nothing allows what it asks for: the first such text,
//!   in the order of the file, of an `allow` about that operation whose pattern matched. Without one it is told nothing.
//! - `a ?? b` is `a`, or `b` if `a` is null or not there. `a?.b` is null if `a` is null or has no `b`.
//! - `let` in a match or service is seen by everything in its braces, but by another `let` only if that stands behind it;
//!   like every `let` it is evaluated when it is needed, and once.
//! - `match … is Type` requires the type of the fields of every document that a create or update leaves there.
//! - In the condition after `where`, `this` is the value; a call of a function that is not declared is one of its methods.

mod allow;
mod declaration;
mod documentation;
mod expression;
mod function;
mod operand;
mod pattern;
mod test_file;
mod types;

use std::sync::Arc;

pub(crate) use test_file::parse_test_file;

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::lexer::{self, Token, TokenKind};
use crate::source::{FileId, Source, Span};
use crate::syntax::{Comment, ExprId, File, LanguageVersion, Name};

/// How deep parentheses, matches and types may be nested in each other.
pub const NESTING_MAX: u16 = 128;

/// A tree and what was wrong with the text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The tree; where the text made no sense it has error nodes or lacks something.
    pub file: File,
    /// In the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses a file. `id` goes into every span.
pub fn parse(id: FileId, source: &Source) -> Parsed {
    let mut diagnostics = Diagnostics::default();
    let lexed = lexer::lex(id, source.text(), &mut diagnostics);
    let mut parser = Parser {
        id,
        text: source.text(),
        tokens: lexed.tokens,
        comments: lexed.comments,
        position: 0,
        version: LanguageVersion::default(),
        expressions: 0,
        nesting: 0,
        condition: ConditionPlace::default(),
        reported_at: None,
        diagnostics,
    };
    let file = parser.file();
    Parsed {
        file,
        diagnostics: parser.diagnostics.finish(),
    }
}

/// What ends the condition of a type that would go on otherwise.
#[derive(Clone, Copy, Default)]
struct ConditionPlace {
    /// `|` goes on with the type.
    in_type: bool,
    /// `>` closes the arguments of a type.
    in_arguments: bool,
}

struct Parser<'a> {
    id: FileId,
    text: &'a str,
    /// Never empty: the last one is the end.
    tokens: Vec<Token>,
    comments: Vec<Comment>,
    /// The token that comes next.
    position: usize,
    version: LanguageVersion,
    /// How many expressions have been made.
    expressions: u32,
    nesting: u16,
    /// Whether the expression being parsed is the condition of a type, outside of all brackets.
    condition: ConditionPlace,
    /// The token at which an error was reported last: one error a place is enough.
    reported_at: Option<usize>,
    diagnostics: Diagnostics,
}

impl<'a> Parser<'a> {
    fn token(&self) -> Token {
        self.tokens[self.position]
    }

    fn kind(&self) -> TokenKind {
        self.token().kind
    }

    /// The kind of the token so many places ahead.
    fn ahead(&self, count: usize) -> TokenKind {
        self.tokens
            .get(self.position + count)
            .map_or(TokenKind::End, |token| token.kind)
    }

    fn at(&self, kind: TokenKind) -> bool {
        self.kind() == kind
    }

    /// Whether the next token is this word, which is a word only here and there.
    fn at_word(&self, word: &str) -> bool {
        self.at(TokenKind::Name) && self.token_text() == word
    }

    fn token_text(&self) -> &'a str {
        let token = self.token();
        &self.text[token.start as usize..token.end as usize]
    }

    fn span(&self) -> Span {
        self.span_of(self.token())
    }

    fn span_of(&self, token: Token) -> Span {
        Span {
            file: self.id,
            start: token.start,
            end: token.end,
        }
    }

    /// The token before the next one; empty at the start of the file.
    fn previous_span(&self) -> Span {
        match self.position.checked_sub(1) {
            Some(before) => self.span_of(self.tokens[before]),
            None => Span::new(self.id, 0, 0),
        }
    }

    /// From the start of `start` to the end of the last token taken; if nothing was taken, the empty stretch behind that.
    fn since(&self, start: Span) -> Span {
        let previous = self.previous_span();
        if previous.end <= start.start {
            return previous.at_end();
        }
        start.to(previous)
    }

    /// Takes a token; the end is never passed.
    fn advance(&mut self) -> Span {
        let span = self.span();
        if !self.at(TokenKind::End) {
            self.position += 1;
        }
        span
    }

    fn eat(&mut self, kind: TokenKind) -> bool {
        let there = self.at(kind);
        if there {
            self.advance();
        }
        there
    }

    /// Takes a token of this kind, or says that it is missing.
    fn expect(&mut self, kind: TokenKind, context: &str) -> bool {
        let there = self.eat(kind);
        if !there {
            self.unexpected(&format!("{} {context}", kind.describe()));
        }
        there
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.reported_at = Some(self.position);
        self.diagnostics.push(diagnostic);
    }

    /// Reports a syntax error at a span, unless this place has one.
    fn error(&mut self, span: Span, message: impl Into<String>, hint: Option<&str>) {
        if self.reported_at == Some(self.position) {
            return;
        }
        let mut diagnostic = Diagnostic::new(Code::Syntax, span, message);
        diagnostic.hint = hint.map(str::to_owned);
        self.push(diagnostic);
    }

    /// Reports that the next token is not what was expected.
    fn unexpected(&mut self, expected: &str) {
        self.unexpected_with(expected, None);
    }

    fn unexpected_with(&mut self, expected: &str, hint: Option<&str>) {
        // An error token has been reported by the lexer.
        if self.at(TokenKind::Error) {
            return;
        }
        let found = self.found();
        let hint = hint.or_else(|| self.trap());
        self.error(self.span(), format!("expected {expected}, found {found}"), hint);
    }

    /// How the next token is called in messages.
    fn found(&self) -> String {
        match self.kind() {
            TokenKind::Name
            | TokenKind::Reserved
            | TokenKind::PathSegment
            | TokenKind::Int
            | TokenKind::Float
            | TokenKind::ServiceName => {
                let shown: String = self.token_text().chars().take(40).collect();
                format!("`{shown}`")
            }
            kind => kind.describe().to_owned(),
        }
    }

    /// What to do about a token that people write out of habit.
    fn trap(&self) -> Option<&'static str> {
        let adjacent = self.previous_span().end == self.token().start;
        let after_number = self
            .position
            .checked_sub(1)
            .is_some_and(|before| matches!(self.tokens[before].kind, TokenKind::Int | TokenKind::Float));
        Some(match self.kind() {
            TokenKind::PlusPlus | TokenKind::MinusMinus => "write `a + 1`, or a space between two signs",
            TokenKind::Plus => "there is no sign `+`; leave it away",
            TokenKind::Greater if adjacent => "there is no `<>` and no `=>`; to compare use `!=` or `>=`",
            TokenKind::Reserved => "this word is reserved; choose another name",
            TokenKind::Name if adjacent && after_number => {
                "put the number in parentheses to call a method: `(5).method()`; exponents and `0x` do not exist"
            }
            TokenKind::LeftParen => "only a function's or a method's name can be called",
            TokenKind::StarStar => "there is no power operator; use `math.pow(a, b)`",
            _ => return None,
        })
    }

    /// Reports that the file's version lacks something.
    fn needs_extensions(&mut self, span: Span, what: &str) {
        if self.version.has_extensions() {
            return;
        }
        let version = self.version.as_str();
        let message = format!("{what} is not part of version {version} of the language");
        self.push(
            Diagnostic::new(Code::Version, span, message)
                .with_hint("write `rules_version = 'andiron1';` at the top of the file to use it"),
        );
    }

    /// Takes a name, or reports that it is missing.
    fn name(&mut self, what: &str) -> Option<Name> {
        if self.at(TokenKind::Name) {
            return Some(self.take_name());
        }
        let is_word = self.kind().is_property();
        let hint = is_word.then_some("this word is reserved; choose another name");
        self.unexpected_with(what, hint);
        None
    }

    /// Takes the next token as a name, whatever it is.
    fn take_name(&mut self) -> Name {
        let text = Arc::from(self.token_text());
        let span = self.advance();
        Name { text, span }
    }

    /// A name for what has none, so that the tree can go on.
    fn missing_name(&self) -> Name {
        Name {
            text: Arc::from(""),
            span: self.previous_span().at_end(),
        }
    }

    fn next_id(&mut self) -> ExprId {
        let id = ExprId(self.expressions);
        self.expressions += 1;
        id
    }

    /// Does something one level deeper, unless that is too deep.
    fn nested<T>(&mut self, what: &str, inner: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.nesting >= NESTING_MAX {
            let message = format!("{what} is nested more than {NESTING_MAX} levels deep");
            self.error(self.span(), message, Some("move parts of it into functions"));
            return None;
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        Some(result)
    }

    /// Does something inside of brackets, where all operators are what they are elsewhere.
    fn bracketed<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> T {
        let outside = std::mem::take(&mut self.condition);
        let result = inner(self);
        self.condition = outside;
        result
    }

    /// Skips to where one of `stops` stands outside of any bracket opened on the way, or to a bracket that closes one
    /// opened before; takes neither.
    fn skip_to(&mut self, stops: &[TokenKind]) {
        let mut open = 0_usize;
        loop {
            let kind = self.kind();
            if kind == TokenKind::End || open == 0 && stops.contains(&kind) {
                return;
            }
            match kind {
                TokenKind::LeftParen | TokenKind::LeftBracket | TokenKind::LeftBrace => open += 1,
                TokenKind::RightParen | TokenKind::RightBracket | TokenKind::RightBrace => {
                    match open.checked_sub(1) {
                        Some(fewer) => open = fewer,
                        None => return,
                    }
                }
                // Nobody has these inside of an expression: a bracket was not closed.
                TokenKind::Allow
                | TokenKind::Match
                | TokenKind::Function
                | TokenKind::Service
                | TokenKind::Return
                    if stops.contains(&kind) =>
                {
                    return;
                }
                _ => {}
            }
            self.advance();
        }
    }
}
