//! Type declarations and types, of `andiron1`.

use std::sync::Arc;

use super::Parser;
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::{TokenKind, literal};
use crate::source::Span;
use crate::syntax::{
    Literal, Name, TREE_HEIGHT_MAX, TypeDeclaration, TypeExpr, TypeField, TypeKind, height_of,
};

impl Parser<'_> {
    /// Takes `type Name = …;`; the caller has seen the word and a name.
    pub(super) fn type_declaration(&mut self) -> Arc<TypeDeclaration> {
        let docs = self.documentation();
        let start = self.advance();
        self.needs_extensions(start, "`type`");
        let name = self.take_name();
        self.expect(TokenKind::Equal, "after the name of a type");
        let definition = self.type_expression();
        if !self.eat(TokenKind::Semicolon) {
            self.unexpected("`;` at the end of a type");
            self.skip_to(&[TokenKind::Semicolon, TokenKind::Service, TokenKind::Function]);
            self.eat(TokenKind::Semicolon);
        }
        Arc::new(TypeDeclaration {
            span: self.since(start),
            name,
            definition,
            docs,
        })
    }

    /// Takes the name of a type, in `andiron1` perhaps with that of an import before it: `shared.Post`.
    pub(super) fn type_name(&mut self) -> Option<Name> {
        let name = self.name("the name of a type")?;
        if !self.version.has_extensions() || !self.at(TokenKind::Dot) || self.ahead(1) != TokenKind::Name {
            return Some(name);
        }
        self.advance();
        let inner = self.take_name();
        Some(Name {
            text: Arc::from(format!("{}.{}", name.text, inner.text)),
            span: name.span.to(inner.span),
        })
    }

    fn type_node(&mut self, span: Span, kind: TypeKind) -> TypeExpr {
        let height = match &kind {
            TypeKind::Named { arguments, .. } => height_of(arguments.iter().map(TypeExpr::height)),
            TypeKind::Map { fields, .. } => height_of(fields.iter().map(|field| field.value.height())),
            TypeKind::Union(alternatives) => height_of(alternatives.iter().map(TypeExpr::height)),
            TypeKind::Paren(inner) => height_of([inner.height()]),
            TypeKind::Where { base, condition } => height_of([base.height(), condition.height]),
            TypeKind::Literal(_) | TypeKind::Error => 1,
        };
        if height > TREE_HEIGHT_MAX {
            let message = format!("the type has more than {TREE_HEIGHT_MAX} levels");
            self.push(Diagnostic::new(Code::Limit, span, message));
            return self.error_type(span);
        }
        TypeExpr { span, kind, height }
    }

    fn error_type(&self, span: Span) -> TypeExpr {
        TypeExpr {
            span,
            kind: TypeKind::Error,
            height: 1,
        }
    }

    /// A union, perhaps with a condition.
    fn type_expression(&mut self) -> TypeExpr {
        let start = self.span();
        let parsed = self.nested("a type", |parser| {
            let mut result = parser.type_union();
            while parser.at_word("where") {
                parser.advance();
                let before = std::mem::replace(&mut parser.condition.in_type, true);
                let condition = Box::new(parser.expression());
                parser.condition.in_type = before;
                if parser.at(TokenKind::Or) {
                    let hint = "put the type with its condition in parentheses: `(string where …) | null`";
                    parser.unexpected_with("the end of the type after its condition", Some(hint));
                }
                let kind = TypeKind::Where {
                    base: Box::new(result),
                    condition,
                };
                result = parser.type_node(parser.since(start), kind);
            }
            result
        });
        parsed.unwrap_or_else(|| {
            self.skip_to(&[TokenKind::Semicolon, TokenKind::Comma]);
            self.error_type(self.since(start))
        })
    }

    fn type_union(&mut self) -> TypeExpr {
        let start = self.span();
        // A bar before the first lets every alternative have a line of its own.
        self.eat(TokenKind::Or);
        let mut alternatives = vec![self.type_primary()];
        while self.at(TokenKind::Or) {
            self.advance();
            alternatives.push(self.type_primary());
        }
        match alternatives.pop() {
            Some(only) if alternatives.is_empty() => only,
            last => {
                alternatives.extend(last);
                self.type_node(self.since(start), TypeKind::Union(alternatives))
            }
        }
    }

    fn type_primary(&mut self) -> TypeExpr {
        let start = self.span();
        let kind = match self.kind() {
            TokenKind::Name => {
                let Some(name) = self.type_name() else {
                    return self.error_type(start);
                };
                let arguments = if self.at(TokenKind::Less) {
                    self.type_arguments()
                } else {
                    Vec::new()
                };
                TypeKind::Named { name, arguments }
            }
            TokenKind::Null => {
                self.advance();
                TypeKind::Literal(Literal::Null)
            }
            TokenKind::True | TokenKind::False => {
                let value = self.at(TokenKind::True);
                self.advance();
                TypeKind::Literal(Literal::Bool(value))
            }
            TokenKind::String => {
                let value = literal::string(self.token_text());
                self.advance();
                TypeKind::Literal(Literal::String(Arc::from(value)))
            }
            TokenKind::Int | TokenKind::Float | TokenKind::Minus => match self.type_number() {
                Some(literal) => TypeKind::Literal(literal),
                None => return self.error_type(start),
            },
            TokenKind::LeftBrace => self.bracketed(Self::map_type),
            TokenKind::LeftParen => {
                self.advance();
                let inner = self.bracketed(Self::type_expression);
                self.expect(TokenKind::RightParen, "after the type");
                TypeKind::Paren(Box::new(inner))
            }
            _ => {
                let hint = "a type is a name, a literal or `{ field: type }`";
                self.unexpected_with("a type", Some(hint));
                if self.at(TokenKind::Error) || self.kind().is_property() && !self.at(TokenKind::Service) {
                    self.advance();
                }
                return self.error_type(self.since(start));
            }
        };
        self.type_node(self.since(start), kind)
    }

    fn type_number(&mut self) -> Option<Literal> {
        let start = self.span();
        let is_negative = self.eat(TokenKind::Minus);
        let digits = self.token_text();
        let value = match self.kind() {
            TokenKind::Int if is_negative => format!("-{digits}").parse().ok().map(Literal::Int),
            TokenKind::Int => digits.parse().ok().map(Literal::Int),
            TokenKind::Float => {
                let number: Option<f64> = digits.parse().ok().filter(|number: &f64| number.is_finite());
                number.map(|number| Literal::Float(if is_negative { -number } else { number }))
            }
            _ => {
                self.unexpected("a number after `-`");
                return None;
            }
        };
        self.advance();
        if value.is_none() {
            let span = self.since(start);
            self.push(Diagnostic::new(
                Code::InvalidLiteral,
                span,
                "the number is out of range",
            ));
        }
        value
    }

    fn type_arguments(&mut self) -> Vec<TypeExpr> {
        self.advance();
        let mut arguments = Vec::new();
        let before = std::mem::replace(&mut self.condition.in_arguments, true);
        loop {
            arguments.push(self.type_expression());
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        self.condition.in_arguments = before;
        let has_condition = matches!(
            arguments.last(),
            Some(TypeExpr {
                kind: TypeKind::Where { .. },
                ..
            })
        );
        if self.at(TokenKind::GreaterOrEqual) {
            let hint = "put a space between `>` and `=`";
            self.unexpected_with("`>`", Some(hint));
            self.advance();
        } else {
            self.expect(TokenKind::Greater, "after the type of the elements");
            if has_condition && self.starts_operand() {
                let hint = "a `>` closes the `<` here; put the condition in parentheses: `list<string where (size() > 3)>`";
                self.unexpected_with("`,` or `}`", Some(hint));
            }
        }
        arguments
    }

    fn map_type(&mut self) -> TypeKind {
        self.advance();
        let mut fields = Vec::new();
        let mut is_open = false;
        while !self.at(TokenKind::RightBrace) {
            if self.eat(TokenKind::Ellipsis) {
                is_open = true;
                self.eat(TokenKind::Comma);
                if !self.at(TokenKind::RightBrace) {
                    self.unexpected("`}` after `...`");
                }
                break;
            }
            match self.type_field() {
                Some(field) => fields.push(field),
                None => {
                    self.skip_to(&[TokenKind::Comma, TokenKind::Service, TokenKind::Function]);
                }
            }
            if self.at(TokenKind::Semicolon) {
                let hint = "fields are separated by commas";
                self.unexpected_with("`,` or `}` after a field", Some(hint));
                self.advance();
            } else if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        if !self.eat(TokenKind::RightBrace) {
            self.unexpected("`,` or `}` after a field");
            self.skip_to(&[TokenKind::Semicolon, TokenKind::Service, TokenKind::Function]);
            self.eat(TokenKind::RightBrace);
        }
        TypeKind::Map { fields, is_open }
    }

    fn type_field(&mut self) -> Option<TypeField> {
        let docs = self.documentation();
        let start = self.span();
        let name = if self.at(TokenKind::String) {
            let text = Arc::from(literal::string(self.token_text()));
            let span = self.advance();
            Name { text, span }
        } else if self.kind().is_property() {
            self.take_name()
        } else {
            self.unexpected("the name of a field");
            return None;
        };
        let is_optional = self.eat(TokenKind::Question);
        if !self.eat(TokenKind::Colon) {
            self.unexpected("`:` after the name of a field");
            return None;
        }
        let value = self.type_expression();
        Some(TypeField {
            span: self.since(start),
            name,
            is_optional,
            value,
            docs,
        })
    }
}
