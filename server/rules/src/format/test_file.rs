//! Test files.

use super::declaration::{binding, block, separate, version};
use super::document::Document;
use super::expression::{expression, indented_expression};
use super::tokens::Tokens;
use crate::lexer::TokenKind;
use crate::syntax::Expr;
use crate::testing::syntax::{
    Action, Caller, Detail, Expectation, Given, List, ListSource, Statement, Subject, SubjectKind, TestFile,
    Write,
};

/// A test file, formatted; `None` if the tokens are not those of the tree.
pub(super) fn test_file(file: &TestFile, text: &str) -> Option<String> {
    let mut tokens = Tokens::new(text);
    let mut parts = Vec::new();
    if tokens.kind() == TokenKind::RulesVersion {
        parts.push(version(&mut tokens));
    }
    for _ in &file.targets {
        separate(&mut parts, &tokens);
        parts.push(Document::concat(vec![
            tokens.take(TokenKind::Name),
            Document::text(" "),
            tokens.take(TokenKind::String),
            tokens.take_or_add(TokenKind::Semicolon, ";"),
        ]));
    }
    for inner in &file.statements {
        separate(&mut parts, &tokens);
        parts.push(statement(&mut tokens, inner));
    }
    if tokens.has_pending_comment() {
        separate(&mut parts, &tokens);
        parts.extend(tokens.remaining_comments());
    }
    if tokens.has_failed || tokens.kind() != TokenKind::End {
        return None;
    }
    Some(Document::concat(parts).lay_out())
}

/// Takes a word, with a blank behind it.
fn word<'a>(tokens: &mut Tokens<'a>, parts: &mut Vec<Document<'a>>) {
    parts.push(tokens.take_any());
    parts.push(Document::text(" "));
}

fn statement<'a>(tokens: &mut Tokens<'a>, statement: &Statement) -> Document<'a> {
    let mut parts = Vec::new();
    match statement {
        Statement::Let(inner) => return binding(tokens, inner),
        Statement::Given(documents) => {
            word(tokens, &mut parts);
            parts.push(block(tokens, documents, given));
        }
        Statement::As { caller, body } => {
            word(tokens, &mut parts);
            match caller {
                Caller::Nobody | Caller::Admin => parts.push(tokens.take(TokenKind::Name)),
                Caller::User(expr) => parts.push(expression(tokens, expr)),
            }
            parts.push(Document::text(" "));
            parts.push(block(tokens, body, self::statement));
        }
        Statement::At { time, body } => {
            word(tokens, &mut parts);
            parts.push(expression(tokens, time));
            parts.push(Document::text(" "));
            parts.push(block(tokens, body, self::statement));
        }
        Statement::Test { body, .. } => {
            word(tokens, &mut parts);
            parts.push(tokens.take(TokenKind::String));
            parts.push(Document::text(" "));
            parts.push(block(tokens, body, self::statement));
        }
        Statement::Expectation(inner) => return expectation(tokens, inner),
    }
    Document::concat(parts)
}

fn given<'a>(tokens: &mut Tokens<'a>, given: &Given) -> Document<'a> {
    let mut parts = vec![subject(tokens, &given.subject), Document::text(" ")];
    parts.push(match &given.data {
        Some(data) => expression(tokens, data),
        None => tokens.take(TokenKind::Name),
    });
    // What ends a document in `given` is left to its line.
    let end = match tokens.kind() {
        TokenKind::Semicolon => tokens.skip(TokenKind::Semicolon),
        _ => tokens.skip(TokenKind::Comma),
    };
    parts.push(end);
    Document::concat(parts)
}

fn subject<'a>(tokens: &mut Tokens<'a>, subject: &Subject) -> Document<'a> {
    let mut parts = Vec::new();
    if subject.kind != SubjectKind::Document {
        word(tokens, &mut parts);
    }
    parts.push(expression(tokens, &subject.path));
    Document::concat(parts)
}

fn expectation<'a>(tokens: &mut Tokens<'a>, expectation: &Expectation) -> Document<'a> {
    let mut parts = Vec::new();
    word(tokens, &mut parts);
    match &expectation.action {
        Action::Get(inner) => {
            word(tokens, &mut parts);
            parts.push(subject(tokens, inner));
        }
        Action::List(inner) => parts.push(list(tokens, inner)),
        Action::Write(inner) => parts.push(write(tokens, inner)),
        Action::Commit(writes) => {
            word(tokens, &mut parts);
            parts.push(block(tokens, writes, |tokens, inner| {
                let inner = write(tokens, inner);
                let end = tokens.take_or_add(TokenKind::Semicolon, ";");
                Document::concat(vec![inner, end])
            }));
        }
    }
    for detail in &expectation.details {
        let words = match detail {
            Detail::Reason(_) => 1,
            Detail::Field(_) | Detail::Line(_) => 2,
        };
        let mut said = Vec::new();
        for _ in 0..words {
            word(tokens, &mut said);
        }
        said.push(tokens.take_any());
        parts.push(clause(said));
    }
    parts.push(tokens.take_or_add(TokenKind::Semicolon, ";"));
    Document::group(Document::concat(parts))
}

/// A part that goes on a line of its own, indented, if all do not fit on one.
fn clause(parts: Vec<Document<'_>>) -> Document<'_> {
    let mut clause = vec![Document::space_or_line()];
    clause.extend(parts);
    Document::indent(Document::concat(clause))
}

fn write<'a>(tokens: &mut Tokens<'a>, write: &Write) -> Document<'a> {
    let mut parts = Vec::new();
    word(tokens, &mut parts);
    parts.push(subject(tokens, &write.subject));
    if let Some(data) = &write.data {
        parts.push(Document::text(" "));
        parts.push(expression(tokens, data));
    }
    Document::concat(parts)
}

fn list<'a>(tokens: &mut Tokens<'a>, list: &List) -> Document<'a> {
    let mut parts = Vec::new();
    if list.is_strict {
        word(tokens, &mut parts);
    }
    word(tokens, &mut parts);
    match &list.source {
        ListSource::Subject(inner) => parts.push(subject(tokens, inner)),
        ListSource::Group(_) => {
            word(tokens, &mut parts);
            parts.push(tokens.take(TokenKind::Name));
        }
    }
    // The clauses may stand in any order, and more than once; the last one of a kind counts.
    while tokens.kind() == TokenKind::Name {
        let mut said = Vec::new();
        match tokens.next_text() {
            "where" => {
                let Some(filter) = &list.filter else { break };
                word(tokens, &mut said);
                said.push(indented_expression(tokens, filter));
            }
            "order" => {
                word(tokens, &mut said);
                word(tokens, &mut said);
                for place in 0..list.order.len() {
                    if place > 0 {
                        said.push(tokens.take(TokenKind::Comma));
                        said.push(Document::text(" "));
                    }
                    said.push(tokens.take(TokenKind::Name));
                    while tokens.kind() == TokenKind::Dot {
                        said.push(tokens.take_any());
                        said.push(tokens.take(TokenKind::Name));
                    }
                    if matches!(tokens.next_text(), "asc" | "desc") {
                        said.push(Document::text(" "));
                        said.push(tokens.take_any());
                    }
                }
            }
            "limit" | "offset" => {
                word(tokens, &mut said);
                said.push(tokens.take(TokenKind::Int));
            }
            "gives" => {
                word(tokens, &mut said);
                said.push(gives(tokens, list.gives.as_deref().unwrap_or_default()));
                parts.push(clause(said));
                break;
            }
            _ => break,
        }
        parts.push(clause(said));
    }
    Document::concat(parts)
}

fn gives<'a>(tokens: &mut Tokens<'a>, paths: &[Expr]) -> Document<'a> {
    if paths.is_empty() {
        return tokens.take(TokenKind::Name);
    }
    let mut parts = Vec::new();
    for (place, path) in paths.iter().enumerate() {
        if place > 0 {
            parts.push(tokens.take(TokenKind::Comma));
            parts.push(Document::space_or_line());
        }
        parts.push(expression(tokens, path));
    }
    Document::group(Document::indent(Document::concat(parts)))
}
