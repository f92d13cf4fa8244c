//! Test files: `*.test.rules`.
//!
//! ```text
//! file    = [version] {"tests" STRING ";"} {statement} END
//! statement = "let" NAME "=" expr ";"
//!         | "given" "{" {subject (data | "absent") [";" | ","]} "}"
//!         | "as" ("nobody" | "admin" | expr) "{" {statement} "}"
//!         | "at" expr "{" {statement} "}"
//!         | "test" STRING "{" {statement} "}"
//!         | ("allow" | "deny") action {detail} [";"]
//! subject = ["file" | "account"] path
//! action  = "get" subject
//!         | ["strict"] "list" (subject | "group" NAME) ["where" expr] ["order" "by" order {"," order}]
//!           ["limit" INT] ["offset" INT] ["gives" ("nothing" | path {"," path})]
//!         | write
//!         | "commit" "{" {write [";"]} "}"
//! write   = ("create" | "set" | "merge" | "update") subject data | "delete" subject
//! data    = a map, or a name and what may stand behind it
//! order   = NAME {"." NAME} ["asc" | "desc"]
//! detail  = "because" STRING | "because" "field" STRING | "by" "line" INT
//! ```
//!
//! Expressions are those of `andiron1`; in a map a key that is a name stands for itself.

use std::sync::Arc;

use andiron_protocol::Direction;

use super::{ConditionPlace, Parser};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lexer::{self, TokenKind, literal};
use crate::source::{FileId, Source, Span};
use crate::syntax::LanguageVersion;
use crate::testing::syntax::{
    Action, Caller, Detail, Expectation, FieldText, Given, List, ListSource, Statement, Subject, SubjectKind,
    TestFile, Text, Verb, Write,
};

const STATEMENT_STARTS: &[TokenKind] = &[TokenKind::Semicolon, TokenKind::Allow, TokenKind::Let];

/// Parses a test file. `id` goes into every span.
pub(crate) fn parse_test_file(id: FileId, source: &Source) -> (TestFile, Vec<Diagnostic>) {
    let mut diagnostics = Diagnostics::default();
    let lexed = lexer::lex(id, source.text(), &mut diagnostics);
    let mut parser = Parser {
        id,
        text: source.text(),
        tokens: lexed.tokens,
        comments: lexed.comments,
        position: 0,
        version: LanguageVersion::Andiron1,
        expressions: 0,
        nesting: 0,
        condition: ConditionPlace::default(),
        reported_at: None,
        diagnostics,
    };
    let file = parser.test_file();
    (file, parser.diagnostics.finish())
}

impl Parser<'_> {
    fn test_file(&mut self) -> TestFile {
        if self.at(TokenKind::RulesVersion) {
            // Rules files begin so, and here it changes nothing.
            while !matches!(self.kind(), TokenKind::Semicolon | TokenKind::End) {
                self.advance();
            }
            self.eat(TokenKind::Semicolon);
        }
        let mut targets = Vec::new();
        while self.at_word("tests") {
            self.advance();
            match self.string("the path of a rules file, as in `tests \"./andiron.rules\";`") {
                Some(target) => targets.push(target),
                None => self.skip_statement(),
            }
            self.eat(TokenKind::Semicolon);
        }
        let mut statements = Vec::new();
        while !self.at(TokenKind::End) {
            self.statement(&mut statements, false);
        }
        TestFile {
            id: self.id,
            targets,
            statements,
            span: Span::new(self.id, 0, self.text.len()),
        }
    }

    /// Takes one statement; always at least one token.
    fn statement(&mut self, statements: &mut Vec<Statement>, in_test: bool) {
        match self.kind() {
            TokenKind::Let => statements.extend(self.binding().map(Statement::Let)),
            TokenKind::Allow | TokenKind::Reserved if self.at_expectation() => {
                let start = self.span();
                if let Some(expectation) = self.expectation() {
                    if !in_test {
                        let hint = "put it into `test \"what it shows\" { … }`";
                        self.error(start, "an expectation stands outside of a test", Some(hint));
                    }
                    statements.push(Statement::Expectation(Box::new(expectation)));
                } else {
                    self.skip_statement();
                }
            }
            TokenKind::Name => match self.token_text() {
                "test" => {
                    if in_test {
                        self.error(self.span(), "a test stands inside of a test", None);
                    }
                    self.advance();
                    let name = self.string("the name of the test, as in `test \"owners edit\" { … }`");
                    let body = self.statements("the name of the test", true);
                    if let Some(name) = name {
                        statements.push(Statement::Test { name, body });
                    }
                }
                "given" => {
                    self.advance();
                    statements.push(Statement::Given(self.given()));
                }
                "as" => {
                    self.advance();
                    let caller = self.caller();
                    let body = self.statements("who asks", in_test);
                    statements.push(Statement::As { caller, body });
                }
                "at" => {
                    self.advance();
                    let time = self.expression();
                    let body = self.statements("the time", in_test);
                    statements.push(Statement::At { time, body });
                }
                "tests" => {
                    let hint = "move it to the top of the file";
                    self.error(self.span(), "`tests` stands before everything else", Some(hint));
                    self.advance();
                    self.skip_statement();
                }
                _ => self.no_statement(in_test),
            },
            TokenKind::Error => {
                self.advance();
            }
            _ => self.no_statement(in_test),
        }
    }

    fn no_statement(&mut self, in_test: bool) {
        let hint = match self.kind() {
            TokenKind::Service | TokenKind::Match | TokenKind::Function => {
                Some("rules stand in a file of their own; this one only tests them")
            }
            _ => None,
        };
        let expected = if in_test {
            "`allow`, `deny`, `as`, `at`, `given` or `let`"
        } else {
            "`test`, `given`, `let`, `as` or `at`"
        };
        self.unexpected_with(expected, hint);
        self.advance();
        self.skip_statement();
    }

    /// Goes to where the next statement may begin.
    fn skip_statement(&mut self) {
        loop {
            self.skip_to(STATEMENT_STARTS);
            let is_bracket = matches!(self.kind(), TokenKind::RightParen | TokenKind::RightBracket);
            if !is_bracket {
                break;
            }
            self.advance();
        }
        self.eat(TokenKind::Semicolon);
    }

    fn at_expectation(&self) -> bool {
        self.at(TokenKind::Allow) || self.token_text() == "deny"
    }

    fn string(&mut self, what: &str) -> Option<Text> {
        if !self.at(TokenKind::String) {
            self.unexpected(what);
            return None;
        }
        let text = Arc::from(literal::string(self.token_text()));
        let span = self.advance();
        Some(Text { text, span })
    }

    /// Takes `{ statements }`.
    fn statements(&mut self, before: &str, in_test: bool) -> Vec<Statement> {
        let open = self.span();
        let mut statements = Vec::new();
        if !self.expect(TokenKind::LeftBrace, &format!("after {before}")) {
            self.skip_to(&[TokenKind::LeftBrace, TokenKind::Semicolon, TokenKind::Allow]);
            if !self.eat(TokenKind::LeftBrace) {
                self.eat(TokenKind::Semicolon);
                return statements;
            }
        }
        let taken = self.nested("a block", |parser| {
            while !matches!(parser.kind(), TokenKind::RightBrace | TokenKind::End) {
                parser.statement(&mut statements, in_test);
            }
        });
        if taken.is_none() {
            self.skip_to(&[]);
        }
        self.close_block(open);
        statements
    }

    fn close_block(&mut self, open: Span) {
        if !self.eat(TokenKind::RightBrace) && self.reported_at != Some(self.position) {
            let message = format!("missing a closing `}}` before {}", self.found());
            self.push(
                Diagnostic::new(crate::diagnostic::Code::Syntax, self.span(), message)
                    .with_label(open, "it would close this `{`"),
            );
        }
    }

    fn given(&mut self) -> Vec<Given> {
        let open = self.span();
        let mut documents = Vec::new();
        if !self.expect(TokenKind::LeftBrace, "after `given`") {
            self.skip_statement();
            return documents;
        }
        while !matches!(self.kind(), TokenKind::RightBrace | TokenKind::End) {
            let Some(subject) = self.subject("a document's path, as in `/posts/p1 { title: 'x' }`") else {
                self.skip_to(&[TokenKind::Semicolon, TokenKind::PathSegment, TokenKind::Allow]);
                if !self.at(TokenKind::PathSegment) && !self.eat(TokenKind::Semicolon) {
                    break;
                }
                continue;
            };
            let data = if self.at_word("absent") {
                self.advance();
                None
            } else if self.at(TokenKind::LeftBrace) || self.at(TokenKind::Name) && !self.at_subject() {
                // No operators: what follows may be the next path.
                Some(self.postfix())
            } else {
                self.unexpected_with(
                    "`{`, the name of a map, or `absent`",
                    Some("what is in the document stands behind its path: `/posts/p1 { title: 'x' }`"),
                );
                None
            };
            documents.push(Given { subject, data });
            if !self.eat(TokenKind::Semicolon) {
                self.eat(TokenKind::Comma);
            }
        }
        self.close_block(open);
        documents
    }

    fn caller(&mut self) -> Caller {
        if self.at_word("nobody") {
            self.advance();
            return Caller::Nobody;
        }
        if self.at_word("admin") {
            self.advance();
            return Caller::Admin;
        }
        Caller::User(self.expression())
    }

    fn subject(&mut self, what: &str) -> Option<Subject> {
        let start = self.span();
        let kind = self.subject_kind();
        if kind != SubjectKind::Document {
            self.advance();
        }
        let path = self.path_literal(what)?;
        Some(Subject {
            span: self.since(start),
            kind,
            path,
        })
    }

    fn subject_kind(&self) -> SubjectKind {
        let word = self.at(TokenKind::Name).then(|| self.token_text());
        word.and_then(SubjectKind::from_word)
            .unwrap_or(SubjectKind::Document)
    }

    /// Whether a subject begins here with its word: a name that a path follows, and not the map of that name.
    fn at_subject(&self) -> bool {
        self.subject_kind() != SubjectKind::Document
            && matches!(self.ahead(1), TokenKind::PathSegment | TokenKind::Slash)
    }

    fn path_literal(&mut self, what: &str) -> Option<crate::syntax::Expr> {
        let is_path = match self.kind() {
            TokenKind::PathSegment => true,
            TokenKind::Slash => self.ahead(1) == TokenKind::Dollar,
            _ => false,
        };
        if !is_path {
            self.unexpected_with(what, Some("a path begins with a slash: `/posts/p1`"));
            return None;
        }
        Some(self.path())
    }

    fn expectation(&mut self) -> Option<Expectation> {
        let allows = self.at(TokenKind::Allow);
        let start = self.advance();
        let action = self.action()?;
        let end = self.previous_span();
        let mut details = Vec::new();
        while let Some(detail) = self.detail() {
            details.push(detail?);
        }
        let ends = matches!(
            self.kind(),
            TokenKind::Semicolon | TokenKind::RightBrace | TokenKind::Allow | TokenKind::Let | TokenKind::End
        ) || self.token_text() == "deny"
            || matches!(self.token_text(), "as" | "at" | "given" | "test");
        if !ends {
            self.unexpected("`;` after the expectation");
            self.skip_statement();
        }
        self.eat(TokenKind::Semicolon);
        Some(Expectation {
            span: start.to(end),
            allows,
            action,
            details,
        })
    }

    fn action(&mut self) -> Option<Action> {
        let what = "what is done: `get`, `list`, `create`, `set`, `merge`, `update`, `delete` or `commit`";
        let start = self.span();
        let is_strict = self.at_word("strict");
        if is_strict {
            self.advance();
            if !self.at_word("list") {
                self.unexpected("`list` after `strict`");
                return None;
            }
        }
        if !self.at(TokenKind::Name) {
            self.unexpected(what);
            return None;
        }
        match self.token_text() {
            "get" => {
                self.advance();
                self.subject("the path of a document or `file` and that of a file")
                    .map(Action::Get)
            }
            "list" => {
                self.advance();
                self.list(start, is_strict).map(Action::List)
            }
            "commit" => {
                self.advance();
                self.commit().map(Action::Commit)
            }
            "read" | "write" => {
                let hint = "name one: `read` stands for get and list, `write` for create, update and delete";
                self.unexpected_with(what, Some(hint));
                None
            }
            _ => match Verb::from_name(self.token_text()) {
                Some(verb) => self.write(verb).map(Action::Write),
                None => {
                    self.unexpected(what);
                    None
                }
            },
        }
    }

    fn write(&mut self, verb: Verb) -> Option<Write> {
        let start = self.advance();
        let subject = self.subject("the path of what is written")?;
        let data = if verb == Verb::Delete {
            None
        } else if self.at(TokenKind::LeftBrace) || self.at(TokenKind::Name) && !self.at_detail() {
            Some(self.postfix())
        } else {
            let hint = format!("write `{} /posts/p1 {{ title: 'x' }}`", verb.as_str());
            self.unexpected_with("what is written, in braces", Some(&hint));
            return None;
        };
        Some(Write {
            span: self.since(start),
            verb,
            subject,
            data,
        })
    }

    fn at_detail(&self) -> bool {
        self.at(TokenKind::Name) && matches!(self.token_text(), "because" | "by")
    }

    fn commit(&mut self) -> Option<Vec<Write>> {
        let open = self.span();
        if !self.expect(TokenKind::LeftBrace, "after `commit`") {
            return None;
        }
        let mut writes = Vec::new();
        while !matches!(self.kind(), TokenKind::RightBrace | TokenKind::End) {
            let verb = if self.at(TokenKind::Name) {
                Verb::from_name(self.token_text())
            } else {
                None
            };
            let Some(write) = verb.and_then(|verb| self.write(verb)) else {
                self.unexpected("`create`, `set`, `merge`, `update` or `delete`");
                self.skip_to(&[TokenKind::Semicolon]);
                if !self.eat(TokenKind::Semicolon) {
                    break;
                }
                continue;
            };
            writes.push(write);
            self.eat(TokenKind::Semicolon);
        }
        self.close_block(open);
        Some(writes)
    }

    fn list(&mut self, start: Span, is_strict: bool) -> Option<List> {
        let source = if self.at_word("group") {
            self.advance();
            let name = self.name("the name of the collections")?;
            ListSource::Group(Text {
                text: name.text,
                span: name.span,
            })
        } else {
            ListSource::Subject(self.subject("the path of a collection, or `group` and its name")?)
        };
        let mut list = List {
            span: start,
            source,
            is_strict,
            filter: None,
            order: Vec::new(),
            limit: None,
            offset: None,
            gives: None,
        };
        loop {
            let word = if self.at(TokenKind::Name) {
                self.token_text()
            } else {
                ""
            };
            let is_repeated = match word {
                "where" => list.filter.is_some(),
                "order" => !list.order.is_empty(),
                "limit" => list.limit.is_some(),
                "offset" => list.offset.is_some(),
                _ => false,
            };
            if is_repeated {
                self.error(self.span(), format!("`{word}` stands twice in one list"), None);
            }
            match word {
                "where" => {
                    self.advance();
                    list.filter = Some(self.expression());
                }
                "order" => {
                    self.advance();
                    if !self.at_word("by") {
                        self.unexpected("`by` after `order`");
                        return None;
                    }
                    self.advance();
                    self.orders(&mut list.order)?;
                }
                "limit" => {
                    self.advance();
                    list.limit = Some(self.count("the limit")?);
                }
                "offset" => {
                    self.advance();
                    list.offset = Some(self.count("the offset")?);
                }
                "gives" => {
                    list.span = self.since(start);
                    self.advance();
                    list.gives = Some(self.paths()?);
                    return Some(list);
                }
                _ => {
                    list.span = self.since(start);
                    return Some(list);
                }
            }
        }
    }

    fn orders(&mut self, orders: &mut Vec<(FieldText, Direction)>) -> Option<()> {
        loop {
            let start = self.span();
            let mut text = self.name("the field to order by")?.text.to_string();
            while self.eat(TokenKind::Dot) {
                text.push('.');
                text.push_str(&self.name("a field after `.`")?.text);
            }
            let span = self.since(start);
            let direction = if self.at_word("desc") {
                self.advance();
                Direction::Descending
            } else {
                if self.at_word("asc") {
                    self.advance();
                }
                Direction::Ascending
            };
            orders.push((FieldText { text, span }, direction));
            if !self.eat(TokenKind::Comma) {
                return Some(());
            }
        }
    }

    fn count(&mut self, what: &str) -> Option<u32> {
        if !self.at(TokenKind::Int) {
            self.unexpected(&format!("a number as {what}"));
            return None;
        }
        let count = self.token_text().parse();
        let span = self.advance();
        match count {
            Ok(count) => Some(count),
            Err(_) => {
                self.error(span, format!("{what} is too large"), None);
                None
            }
        }
    }

    fn paths(&mut self) -> Option<Vec<crate::syntax::Expr>> {
        let mut paths = Vec::new();
        if self.at_word("nothing") {
            self.advance();
            return Some(paths);
        }
        loop {
            paths.push(self.path_literal("the path of a document that comes back, or `nothing`")?);
            if !self.eat(TokenKind::Comma) {
                return Some(paths);
            }
        }
    }

    /// Takes a detail, if there is one; the inner `None` if it makes no sense.
    #[expect(
        clippy::option_option,
        reason = "the outer one is whether there is a detail at all"
    )]
    fn detail(&mut self) -> Option<Option<Detail>> {
        if !self.at_detail() {
            return None;
        }
        let start = self.advance();
        let is_because = &self.text[start.range()] == "because";
        Some(if is_because && self.at_word("field") {
            self.advance();
            self.string("the name of a field, in quotes").map(Detail::Field)
        } else if is_because {
            self.string("a string: what the client is told; or `field` and the name of a field")
                .map(Detail::Reason)
        } else if self.at_word("line") {
            self.advance();
            self.count("the line").map(Detail::Line)
        } else {
            self.unexpected("`line` after `by`");
            None
        })
    }
}
