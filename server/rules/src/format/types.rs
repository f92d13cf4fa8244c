//! Type declarations and types.

use super::declaration::type_name;
use super::document::Document;
use super::expression::indented_expression;
use super::tokens::Tokens;
use crate::lexer::TokenKind;
use crate::syntax::{Literal, TypeDeclaration, TypeExpr, TypeField, TypeKind};

pub(super) fn declaration<'a>(tokens: &mut Tokens<'a>, declaration: &TypeDeclaration) -> Document<'a> {
    let mut parts = vec![
        tokens.take(TokenKind::Name),
        Document::text(" "),
        tokens.take(TokenKind::Name),
        Document::text(" "),
        tokens.take(TokenKind::Equal),
    ];
    let definition = &declaration.definition;
    if matches!(definition.kind, TypeKind::Union(_)) {
        parts.push(type_text(tokens, definition));
    } else {
        parts.push(Document::text(" "));
        parts.push(type_text(tokens, definition));
    }
    parts.push(tokens.take(TokenKind::Semicolon));
    Document::concat(parts)
}

fn type_text<'a>(tokens: &mut Tokens<'a>, definition: &TypeExpr) -> Document<'a> {
    match &definition.kind {
        TypeKind::Named { arguments, .. } => {
            let mut parts = vec![type_name(tokens)];
            if !arguments.is_empty() {
                parts.push(tokens.take(TokenKind::Less));
                for (index, argument) in arguments.iter().enumerate() {
                    if index > 0 {
                        parts.push(tokens.take(TokenKind::Comma));
                        parts.push(Document::text(" "));
                    }
                    parts.push(unindented_union(tokens, argument));
                }
                parts.push(tokens.take(TokenKind::Greater));
            }
            Document::concat(parts)
        }
        TypeKind::Literal(literal) => match (literal, tokens.kind()) {
            (Literal::Int(_) | Literal::Float(_), TokenKind::Minus) => {
                Document::concat(vec![tokens.take_any(), tokens.take_any()])
            }
            _ => tokens.take_any(),
        },
        TypeKind::Map { fields, is_open } => map(tokens, fields, *is_open),
        TypeKind::Union(alternatives) => union(tokens, alternatives, true),
        TypeKind::Paren(inner) => Document::concat(vec![
            tokens.take(TokenKind::LeftParen),
            unindented_union(tokens, inner),
            tokens.take(TokenKind::RightParen),
        ]),
        TypeKind::Where { base, condition } => {
            // The braces of a map show well enough where it ends.
            let separator = match base.kind {
                TypeKind::Map { .. } => Document::text(" "),
                _ => Document::space_or_line(),
            };
            let base = unindented_union(tokens, base);
            let condition = vec![
                separator,
                tokens.take(TokenKind::Name),
                Document::text(" "),
                indented_expression(tokens, condition),
            ];
            Document::group(Document::concat(vec![
                base,
                Document::indent(Document::concat(condition)),
            ]))
        }
        TypeKind::Error => {
            tokens.has_failed = true;
            Document::text("")
        }
    }
}

/// A type where something stands before it on the line that is not `=`.
fn unindented_union<'a>(tokens: &mut Tokens<'a>, definition: &TypeExpr) -> Document<'a> {
    match &definition.kind {
        TypeKind::Union(alternatives) => union(tokens, alternatives, false),
        _ => type_text(tokens, definition),
    }
}

/// `a | b`, or behind an `=` with a line and a bar for each.
fn union<'a>(tokens: &mut Tokens<'a>, alternatives: &[TypeExpr], has_own_lines: bool) -> Document<'a> {
    let mut parts = vec![tokens.skip(TokenKind::Or)];
    if has_own_lines {
        parts.push(Document::space_or_line());
        parts.push(Document::if_broken("| "));
    }
    for (index, alternative) in alternatives.iter().enumerate() {
        if index > 0 {
            parts.push(Document::space_or_line());
            parts.push(tokens.take(TokenKind::Or));
            parts.push(Document::text(" "));
        }
        parts.push(unindented_union(tokens, alternative));
    }
    Document::group(Document::indent(Document::concat(parts)))
}

fn map<'a>(tokens: &mut Tokens<'a>, fields: &[TypeField], is_open: bool) -> Document<'a> {
    let open = tokens.take(TokenKind::LeftBrace);
    let count = fields.len() + usize::from(is_open);
    let is_broken = count > 0 && tokens.is_line_broken();
    let mut inner = Vec::new();
    for index in 0..count {
        if index == 0 {
            inner.push(Document::space_or_line());
        } else if is_broken {
            inner.push(tokens.line_or_empty_line());
        } else {
            inner.push(Document::space_or_line());
        }
        match fields.get(index) {
            Some(field) => inner.push(field_text(tokens, field)),
            None => inner.push(tokens.take(TokenKind::Ellipsis)),
        }
        let is_last = index + 1 == count;
        inner.push(if !is_last {
            tokens.take(TokenKind::Comma)
        } else if is_open {
            tokens.skip(TokenKind::Comma)
        } else {
            let written = Document::if_broken(",");
            Document::concat(vec![written, tokens.skip(TokenKind::Comma)])
        });
    }
    if tokens.has_pending_comment() {
        inner.push(Document::line());
        inner.extend(tokens.remaining_comments());
    }
    let mut group = vec![open, Document::indent(Document::concat(inner))];
    if count > 0 {
        group.push(Document::space_or_line());
    }
    if is_broken {
        group.push(Document::forced());
    }
    let close = tokens.take(TokenKind::RightBrace);
    Document::concat(vec![Document::group(Document::concat(group)), close])
}

fn field_text<'a>(tokens: &mut Tokens<'a>, field: &TypeField) -> Document<'a> {
    let mut parts = vec![tokens.take_any()];
    if field.is_optional {
        parts.push(tokens.take(TokenKind::Question));
    }
    parts.push(tokens.take(TokenKind::Colon));
    parts.push(Document::text(" "));
    parts.push(unindented_union(tokens, &field.value));
    Document::concat(parts)
}
