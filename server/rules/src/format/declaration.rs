//! Files, services, matches, allows, functions.

use super::document::Document;
use super::expression::indented_expression;
use super::tokens::Tokens;
use crate::lexer::TokenKind;
use crate::syntax::{Allow, File, Function, Import, Item, Let, Match, Member, Pattern, SegmentKind, Service};

/// A file, formatted; `None` if the tokens are not those of the tree.
pub(super) fn file(file: &File, text: &str) -> Option<String> {
    let mut tokens = Tokens::new(text);
    let mut parts = Vec::new();
    if tokens.kind() == TokenKind::RulesVersion {
        parts.push(version(&mut tokens));
    }
    for inner in &file.imports {
        separate(&mut parts, &tokens);
        parts.push(import(&mut tokens, inner));
    }
    for inner in &file.items {
        separate(&mut parts, &tokens);
        parts.push(item(&mut tokens, inner));
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

/// Begins a new line, unless there is nothing yet.
pub(super) fn separate<'a>(parts: &mut Vec<Document<'a>>, tokens: &Tokens<'a>) {
    if !parts.is_empty() {
        parts.push(tokens.line_or_empty_line());
    }
}

pub(super) fn version<'a>(tokens: &mut Tokens<'a>) -> Document<'a> {
    Document::concat(vec![
        tokens.take(TokenKind::RulesVersion),
        Document::text(" "),
        tokens.take(TokenKind::Equal),
        Document::text(" "),
        tokens.take(TokenKind::String),
        tokens.take_or_add(TokenKind::Semicolon, ";"),
    ])
}

fn import<'a>(tokens: &mut Tokens<'a>, import: &Import) -> Document<'a> {
    let mut parts = vec![
        tokens.take(TokenKind::Import),
        Document::text(" "),
        tokens.take(TokenKind::String),
    ];
    if import.alias.is_some() {
        parts.push(Document::text(" "));
        parts.push(tokens.take(TokenKind::Name));
        parts.push(Document::text(" "));
        parts.push(tokens.take(TokenKind::Name));
    }
    parts.push(tokens.take(TokenKind::Semicolon));
    Document::concat(parts)
}

fn item<'a>(tokens: &mut Tokens<'a>, item: &Item) -> Document<'a> {
    match item {
        Item::Service(inner) => service(tokens, inner),
        Item::Function(inner) => function(tokens, inner),
        Item::Type(inner) => super::types::declaration(tokens, inner),
    }
}

fn service<'a>(tokens: &mut Tokens<'a>, service: &Service) -> Document<'a> {
    Document::concat(vec![
        tokens.take(TokenKind::Service),
        Document::text(" "),
        tokens.take(TokenKind::ServiceName),
        Document::text(" "),
        members(tokens, &service.members),
    ])
}

/// `{ … }` with a line for each of some things.
pub(super) fn block<'a, T>(
    tokens: &mut Tokens<'a>,
    things: &[T],
    mut write: impl FnMut(&mut Tokens<'a>, &T) -> Document<'a>,
) -> Document<'a> {
    let open = tokens.take(TokenKind::LeftBrace);
    let mut inner = Vec::new();
    for thing in things {
        inner.push(if inner.is_empty() {
            Document::line()
        } else {
            tokens.line_or_empty_line()
        });
        inner.push(write(tokens, thing));
    }
    if tokens.has_pending_comment() {
        inner.push(if inner.is_empty() {
            Document::line()
        } else {
            tokens.line_or_empty_line()
        });
        inner.extend(tokens.remaining_comments());
    }
    let inner = Document::indent(Document::concat(inner));
    Document::concat(vec![
        open,
        inner,
        Document::line(),
        tokens.take(TokenKind::RightBrace),
    ])
}

fn members<'a>(tokens: &mut Tokens<'a>, members: &[Member]) -> Document<'a> {
    block(tokens, members, |tokens, member| match member {
        Member::Match(inner) => match_declaration(tokens, inner),
        Member::Allow(inner) => allow(tokens, inner),
        Member::Function(inner) => function(tokens, inner),
        Member::Let(inner) => binding(tokens, inner),
    })
}

fn match_declaration<'a>(tokens: &mut Tokens<'a>, inner: &Match) -> Document<'a> {
    let mut parts = vec![
        tokens.take(TokenKind::Match),
        Document::text(" "),
        pattern(tokens, &inner.pattern),
        Document::text(" "),
    ];
    if inner.type_name.is_some() {
        parts.push(tokens.take(TokenKind::Is));
        parts.push(Document::text(" "));
        parts.push(type_name(tokens));
        parts.push(Document::text(" "));
    }
    parts.push(members(tokens, &inner.members));
    Document::concat(parts)
}

fn pattern<'a>(tokens: &mut Tokens<'a>, pattern: &Pattern) -> Document<'a> {
    let segments = pattern.segments.iter().map(|segment| match segment.kind {
        SegmentKind::Literal(_) => tokens.take(TokenKind::PathSegment),
        SegmentKind::Capture { .. } => placeholder(tokens),
        SegmentKind::Error => {
            tokens.has_failed = true;
            Document::text("")
        }
    });
    let segments = segments.collect();
    Document::concat(segments)
}

/// `/{name}`, `/{name=**}`
pub(super) fn placeholder<'a>(tokens: &mut Tokens<'a>) -> Document<'a> {
    let mut parts = vec![
        tokens.take(TokenKind::Slash),
        tokens.take(TokenKind::LeftBrace),
        tokens.take(TokenKind::Name),
    ];
    if tokens.kind() == TokenKind::Equal {
        parts.push(tokens.take_any());
        parts.push(tokens.take_any());
    }
    parts.push(tokens.take(TokenKind::RightBrace));
    Document::concat(parts)
}

/// `Name`, `import.Name`
pub(super) fn type_name<'a>(tokens: &mut Tokens<'a>) -> Document<'a> {
    let name = tokens.take(TokenKind::Name);
    if tokens.kind() != TokenKind::Dot {
        return name;
    }
    Document::concat(vec![name, tokens.take_any(), tokens.take(TokenKind::Name)])
}

fn allow<'a>(tokens: &mut Tokens<'a>, allow: &Allow) -> Document<'a> {
    let mut parts = vec![tokens.take(TokenKind::Allow)];
    for (index, _) in allow.operations.iter().enumerate() {
        if index > 0 {
            parts.push(tokens.take(TokenKind::Comma));
        }
        parts.push(Document::text(" "));
        parts.push(tokens.take(TokenKind::Name));
    }
    if let Some(condition) = &allow.condition {
        parts.push(tokens.take(TokenKind::Colon));
        parts.push(Document::text(" "));
        parts.push(tokens.take(TokenKind::If));
        parts.push(Document::text(" "));
        let mut grant = vec![indented_expression(tokens, condition)];
        if allow.reason.is_some() {
            let reason = vec![
                Document::space_or_line(),
                tokens.take(TokenKind::Else),
                Document::text(" "),
                tokens.take(TokenKind::String),
            ];
            grant.push(Document::indent(Document::concat(reason)));
        }
        parts.push(Document::group(Document::concat(grant)));
    }
    parts.push(tokens.take_or_add(TokenKind::Semicolon, ";"));
    Document::concat(parts)
}

fn function<'a>(tokens: &mut Tokens<'a>, function: &Function) -> Document<'a> {
    let mut parts = vec![
        tokens.take(TokenKind::Function),
        Document::text(" "),
        tokens.take(TokenKind::Name),
    ];
    let open = tokens.take(TokenKind::LeftParen);
    let mut inner = Vec::new();
    for (index, _) in function.parameters.iter().enumerate() {
        if index > 0 {
            inner.push(tokens.take(TokenKind::Comma));
            inner.push(Document::space_or_line());
        } else {
            inner.push(Document::nothing_or_line());
        }
        inner.push(tokens.take(TokenKind::Name));
    }
    let parameters = vec![
        open,
        Document::indent(Document::concat(inner)),
        if function.parameters.is_empty() {
            Document::text("")
        } else {
            Document::nothing_or_line()
        },
    ];
    parts.push(Document::group(Document::concat(parameters)));
    parts.push(tokens.take(TokenKind::RightParen));
    parts.push(Document::text(" "));

    enum Statement<'f> {
        Let(&'f Let),
        Return(&'f crate::syntax::Expr),
    }
    let mut statements: Vec<Statement<'_>> =
        function.lets.iter().map(|inner| Statement::Let(inner)).collect();
    statements.push(Statement::Return(&function.body));
    parts.push(block(tokens, &statements, |tokens, statement| match statement {
        Statement::Let(inner) => binding(tokens, inner),
        Statement::Return(body) => {
            let keyword = tokens.take(TokenKind::Return);
            let body = indented_expression(tokens, body);
            let end = tokens.take_or_add(TokenKind::Semicolon, ";");
            Document::concat(vec![keyword, Document::text(" "), body, end])
        }
    }));
    Document::concat(parts)
}

pub(super) fn binding<'a>(tokens: &mut Tokens<'a>, binding: &Let) -> Document<'a> {
    Document::concat(vec![
        tokens.take(TokenKind::Let),
        Document::text(" "),
        tokens.take(TokenKind::Name),
        Document::text(" "),
        tokens.take(TokenKind::Equal),
        Document::text(" "),
        indented_expression(tokens, &binding.value),
        tokens.take(TokenKind::Semicolon),
    ])
}
