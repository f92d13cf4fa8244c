//! Expressions.

use super::declaration::{placeholder, type_name};
use super::document::Document;
use super::tokens::Tokens;
use crate::lexer::TokenKind;
use crate::syntax::{BinaryOperator, Expr, ExprKind, PathPartKind};

/// An expression after something else on its line: a chain of operators is indented below that.
pub(super) fn indented_expression<'a>(tokens: &mut Tokens<'a>, expr: &Expr) -> Document<'a> {
    let text = expression(tokens, expr);
    match expr.kind {
        ExprKind::Binary { .. } => Document::indent(text),
        _ => text,
    }
}

/// An expression; its own lines are indented by what is around it.
pub(super) fn expression<'a>(tokens: &mut Tokens<'a>, expr: &Expr) -> Document<'a> {
    match &expr.kind {
        ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Float(_)
        | ExprKind::String(_)
        | ExprKind::Bytes(_)
        | ExprKind::Variable(_) => tokens.take_any(),
        ExprKind::Int(_) => match tokens.kind() {
            TokenKind::Minus => Document::concat(vec![tokens.take_any(), tokens.take(TokenKind::Int)]),
            _ => tokens.take(TokenKind::Int),
        },
        ExprKind::List(items) => bracketed(tokens, TokenKind::RightBracket, items, false, expression),
        ExprKind::Map(entries) => bracketed(tokens, TokenKind::RightBrace, entries, true, |tokens, entry| {
            Document::concat(vec![
                expression(tokens, &entry.key),
                tokens.take(TokenKind::Colon),
                Document::text(" "),
                expression(tokens, &entry.value),
            ])
        }),
        ExprKind::Path(parts) => {
            let parts = parts.iter().map(|part| match &part.kind {
                PathPartKind::Literal(_) => tokens.take(TokenKind::PathSegment),
                PathPartKind::Placeholder { .. } => placeholder(tokens),
                PathPartKind::Value(value) => Document::concat(vec![
                    tokens.take(TokenKind::Slash),
                    tokens.take(TokenKind::Dollar),
                    tokens.take(TokenKind::LeftParen),
                    expression(tokens, value),
                    tokens.take(TokenKind::RightParen),
                ]),
            });
            let parts = parts.collect();
            Document::concat(parts)
        }
        ExprKind::Paren(inner) => {
            let open = tokens.take(TokenKind::LeftParen);
            let is_broken = tokens.is_line_broken();
            let inner = vec![Document::nothing_or_line(), expression(tokens, inner)];
            let mut group = vec![
                open,
                Document::indent(Document::concat(inner)),
                Document::nothing_or_line(),
            ];
            if is_broken {
                group.push(Document::forced());
            }
            let close = tokens.take(TokenKind::RightParen);
            Document::concat(vec![Document::group(Document::concat(group)), close])
        }
        ExprKind::Member { base, .. } => Document::concat(vec![
            expression(tokens, base),
            tokens.take_any(),
            tokens.take_any(),
        ]),
        ExprKind::Index { base, index } => Document::concat(vec![
            expression(tokens, base),
            tokens.take(TokenKind::LeftBracket),
            expression(tokens, index),
            tokens.take(TokenKind::RightBracket),
        ]),
        ExprKind::Slice { base, start, end } => {
            let mut parts = vec![expression(tokens, base), tokens.take(TokenKind::LeftBracket)];
            parts.extend(start.as_ref().map(|start| expression(tokens, start)));
            parts.push(tokens.take(TokenKind::Colon));
            parts.extend(end.as_ref().map(|end| expression(tokens, end)));
            parts.push(tokens.take(TokenKind::RightBracket));
            Document::concat(parts)
        }
        ExprKind::Call {
            arguments: values, ..
        } => Document::concat(vec![tokens.take(TokenKind::Name), arguments(tokens, values)]),
        ExprKind::MethodCall {
            base,
            arguments: values,
            ..
        } => Document::concat(vec![
            expression(tokens, base),
            tokens.take_any(),
            tokens.take(TokenKind::Name),
            arguments(tokens, values),
        ]),
        ExprKind::Quantified { base, body, .. } => {
            let head = vec![
                expression(tokens, base),
                tokens.take(TokenKind::Dot),
                tokens.take(TokenKind::Name),
            ];
            let open = tokens.take(TokenKind::LeftParen);
            let inner = vec![
                Document::nothing_or_line(),
                tokens.take(TokenKind::Name),
                tokens.take(TokenKind::Comma),
                Document::space_or_line(),
                expression(tokens, body),
                tokens.skip(TokenKind::Comma),
            ];
            let group = vec![
                open,
                Document::indent(Document::concat(inner)),
                Document::nothing_or_line(),
            ];
            Document::concat(vec![
                Document::concat(head),
                Document::group(Document::concat(group)),
                tokens.take(TokenKind::RightParen),
            ])
        }
        ExprKind::Unary { operand, .. } => {
            Document::concat(vec![tokens.take_any(), expression(tokens, operand)])
        }
        ExprKind::Binary { operator, .. } => binary(tokens, expr, *operator),
        ExprKind::Is { value, .. } => Document::concat(vec![
            expression(tokens, value),
            Document::text(" "),
            tokens.take(TokenKind::Is),
            Document::text(" "),
            type_name(tokens),
        ]),
        ExprKind::Ternary {
            condition,
            then,
            otherwise,
        } => {
            let mut is_broken = false;
            let mut parts = vec![expression(tokens, condition)];
            let mut branches = Vec::new();
            for (sign, branch) in [(TokenKind::Question, then), (TokenKind::Colon, otherwise)] {
                is_broken |= tokens.is_line_broken();
                branches.push(Document::space_or_line());
                branches.push(tokens.take(sign));
                branches.push(Document::text(" "));
                branches.push(indented_expression(tokens, branch));
            }
            if is_broken {
                branches.push(Document::forced());
            }
            parts.push(Document::indent(Document::concat(branches)));
            Document::group(Document::concat(parts))
        }
        ExprKind::Error => {
            tokens.has_failed = true;
            Document::text("")
        }
    }
}

/// `(a, b)`. A list or map that is the only argument brings brackets enough of its own.
fn arguments<'a>(tokens: &mut Tokens<'a>, arguments: &[Expr]) -> Document<'a> {
    if let [only] = arguments
        && matches!(only.kind, ExprKind::List(_) | ExprKind::Map(_))
    {
        return Document::concat(vec![
            tokens.take(TokenKind::LeftParen),
            expression(tokens, only),
            tokens.skip(TokenKind::Comma),
            tokens.take(TokenKind::RightParen),
        ]);
    }
    bracketed(tokens, TokenKind::RightParen, arguments, false, expression)
}

/// Things between brackets with commas between them: on one line, or each on its own.
fn bracketed<'a, T>(
    tokens: &mut Tokens<'a>,
    close: TokenKind,
    things: &[T],
    keeps_broken: bool,
    write: impl Fn(&mut Tokens<'a>, &T) -> Document<'a>,
) -> Document<'a> {
    let open = tokens.take_any();
    let is_broken = keeps_broken && tokens.is_line_broken() && !things.is_empty();
    let mut inner = Vec::new();
    for (index, thing) in things.iter().enumerate() {
        inner.push(if index == 0 {
            Document::nothing_or_line()
        } else {
            Document::space_or_line()
        });
        inner.push(write(tokens, thing));
        let is_last = index + 1 == things.len();
        inner.push(if is_last {
            tokens.skip(TokenKind::Comma)
        } else {
            tokens.take(TokenKind::Comma)
        });
    }
    if tokens.has_pending_comment() {
        inner.push(Document::line());
        inner.extend(tokens.remaining_comments());
    }
    let mut group = vec![open, Document::indent(Document::concat(inner))];
    if !things.is_empty() {
        group.push(Document::nothing_or_line());
    }
    if is_broken {
        group.push(Document::forced());
    }
    let close = tokens.take(close);
    Document::concat(vec![Document::group(Document::concat(group)), close])
}

/// A chain of one operator: on one line, or each operator at the start of a line.
fn binary<'a>(tokens: &mut Tokens<'a>, expr: &Expr, operator: BinaryOperator) -> Document<'a> {
    let mut operands = Vec::new();
    let mut next = expr;
    // `??` groups to the right, so that its chain is not on the left; it is written one pair at a time.
    while let ExprKind::Binary {
        operator: another,
        left,
        right,
        ..
    } = &next.kind
        && *another == operator
    {
        operands.push(&**right);
        next = left;
    }
    let keeps_broken = matches!(operator, BinaryOperator::And | BinaryOperator::Or);
    let mut is_broken = false;
    let mut parts = vec![expression(tokens, next)];
    for operand in operands.iter().rev() {
        is_broken |= keeps_broken && tokens.is_line_broken();
        parts.push(Document::space_or_line());
        let has_comment = tokens.has_pending_comment();
        let sign = tokens.take_any();
        is_broken |= keeps_broken && tokens.is_line_broken();
        // A comment about the operand stands above the operator, since that is where the operand's line starts; but
        // comments keep their order.
        if !has_comment && !sign.is_forced() {
            parts.push(tokens.leading_comments());
        }
        parts.push(sign);
        parts.push(Document::text(" "));
        parts.push(indented_expression(tokens, operand));
    }
    if is_broken {
        parts.push(Document::forced());
    }
    Document::group(Document::concat(parts))
}
