//! Files, imports, services, matches, allows, functions and bindings.

use std::sync::Arc;

use super::Parser;
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::{TokenKind, literal};
use crate::source::Span;
use crate::syntax::{File, Import, Item, LanguageVersion, Match, Member, Service, ServiceKind};

/// What a declaration at the top of a file starts with.
const ITEM_STARTS: &[TokenKind] = &[TokenKind::Service, TokenKind::Function, TokenKind::Import];

/// What a member of a service or match starts with or ends with.
pub(super) const MEMBER_STARTS: &[TokenKind] = &[
    TokenKind::Semicolon,
    TokenKind::Allow,
    TokenKind::Match,
    TokenKind::Function,
    TokenKind::Let,
    TokenKind::Service,
];

/// Whose braces members stand in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Service,
    Match,
}

impl Body {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Match => "match",
        }
    }
}

impl Parser<'_> {
    pub(super) fn file(&mut self) -> File {
        let span = Span::new(self.id, 0, self.text.len());
        let version_span = if self.at(TokenKind::RulesVersion) {
            self.version_statement()
        } else {
            None
        };
        let mut imports = Vec::new();
        while self.at(TokenKind::Import) {
            imports.extend(self.import());
        }
        let mut items = Vec::new();
        while !self.at(TokenKind::End) {
            self.item(&mut imports, &mut items);
        }
        if items.is_empty() {
            self.unexpected("`service` or `function`");
        }
        File {
            id: self.id,
            version: self.version,
            version_span,
            imports,
            items,
            comments: std::mem::take(&mut self.comments),
            expressions: self.expressions,
            span,
        }
    }

    fn version_statement(&mut self) -> Option<Span> {
        self.advance();
        if !self.eat(TokenKind::Equal) {
            self.unexpected_with("`=` after `rules_version`", Some("write `rules_version = '2';`"));
            self.eat(TokenKind::Colon);
        }
        if !self.at(TokenKind::String) {
            self.unexpected_with(
                "a string",
                Some("the version stands in quotes: `rules_version = '2';`"),
            );
            self.skip_to(&[TokenKind::Semicolon, TokenKind::Service, TokenKind::Function]);
            self.eat(TokenKind::Semicolon);
            return None;
        }
        let text = literal::string(self.token_text());
        let span = self.advance();
        match text.as_str() {
            "1" => self.version = LanguageVersion::V1,
            "2" => self.version = LanguageVersion::V2,
            "andiron1" => self.version = LanguageVersion::Andiron1,
            _ => {
                // With the most that there is, the rest of the file gives no errors that have this one cause.
                self.version = LanguageVersion::Andiron1;
                let shown: String = text.chars().take(40).collect();
                self.push(
                    Diagnostic::new(
                        Code::Version,
                        span,
                        format!("there is no version `{shown}` of the language"),
                    )
                    .with_hint("the versions are '1', '2' and, with Andiron's extensions, 'andiron1'"),
                );
            }
        }
        self.eat(TokenKind::Semicolon);
        Some(span)
    }

    fn import(&mut self) -> Option<Import> {
        let start = self.advance();
        if !self.at(TokenKind::String) {
            self.unexpected_with(
                "a string after `import`",
                Some("write `import \"./shared.rules\";`"),
            );
            self.skip_to(&[
                TokenKind::Semicolon,
                TokenKind::Service,
                TokenKind::Function,
                TokenKind::Import,
            ]);
            self.eat(TokenKind::Semicolon);
            return None;
        }
        let path = Arc::from(literal::string(self.token_text()));
        let path_span = self.advance();
        let mut alias = None;
        if self.at_word("as") {
            self.advance();
            alias = self.name("a name after `as`");
        }
        self.expect(TokenKind::Semicolon, "after `import`");
        Some(Import {
            span: self.since(start),
            path,
            path_span,
            alias,
        })
    }

    fn item(&mut self, imports: &mut Vec<Import>, items: &mut Vec<Item>) {
        match self.kind() {
            TokenKind::Service => items.extend(self.service().map(Item::Service)),
            TokenKind::Function => items.extend(self.function().map(Item::Function)),
            TokenKind::Name if self.at_word("type") && self.ahead(1) == TokenKind::Name => {
                items.push(Item::Type(self.type_declaration()));
            }
            TokenKind::Import => {
                let hint = "move it to the top, below `rules_version`";
                self.error(self.span(), "`import` stands before everything else", Some(hint));
                imports.extend(self.import());
            }
            TokenKind::RulesVersion => {
                let hint = "move it to the first line";
                self.error(
                    self.span(),
                    "`rules_version` stands before everything else",
                    Some(hint),
                );
                self.version_statement();
            }
            TokenKind::Match | TokenKind::Allow | TokenKind::PathSegment => {
                let hint =
                    "put it into `service cloud.firestore { match /databases/{database}/documents { … } }`";
                let message = format!("{} stands outside of a service", self.kind().describe());
                self.error(self.span(), message, Some(hint));
                let mut members = Vec::new();
                self.member(Body::Match, &mut members);
            }
            TokenKind::RightBrace => {
                self.error(
                    self.span(),
                    "extra closing `}`",
                    Some("there is no `{` that it closes"),
                );
                self.advance();
            }
            TokenKind::Error => {
                self.advance();
            }
            _ => {
                self.unexpected("`service` or `function`");
                self.advance();
                self.skip_to(ITEM_STARTS);
            }
        }
    }

    fn service(&mut self) -> Option<Service> {
        let start = self.advance();
        let name = if self.at(TokenKind::ServiceName) {
            let name = self.take_name();
            if !matches!(
                TokenKind::from_word(&name.text),
                TokenKind::Name | TokenKind::Reserved
            ) {
                self.error(name.span, "cannot use a keyword as service name", None);
            }
            name
        } else {
            let hint = "the services are `cloud.firestore`, `firebase.storage` and `andiron.auth`";
            self.unexpected_with("the name of a service", Some(hint));
            self.missing_name()
        };
        let kind = ServiceKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == &*name.text);
        if !self.at(TokenKind::LeftBrace) {
            self.unexpected("`{` after the name of a service");
            self.skip_to(&[
                TokenKind::LeftBrace,
                TokenKind::Service,
                TokenKind::Function,
                TokenKind::Match,
            ]);
            if !self.at(TokenKind::LeftBrace) {
                return None;
            }
        }
        let members = self.body(Body::Service);
        Some(Service {
            span: self.since(start),
            name,
            kind,
            members,
        })
    }

    /// Takes `{ members }`; the caller has seen the brace.
    fn body(&mut self, body: Body) -> Vec<Member> {
        let open = self.advance();
        let mut members = Vec::new();
        let mut had_error = false;
        loop {
            match self.kind() {
                TokenKind::RightBrace => {
                    if members.is_empty() && !had_error {
                        let message = format!(
                            "the `{}` body must contain at least one declaration",
                            body.as_str()
                        );
                        self.error(self.span(), message, None);
                    }
                    self.advance();
                    return members;
                }
                // Nothing of this stands in braces: one was not closed.
                TokenKind::End | TokenKind::Service | TokenKind::RulesVersion | TokenKind::Import => {
                    if self.reported_at != Some(self.position) {
                        let message = format!("missing a closing `}}` before {}", self.found());
                        self.push(
                            Diagnostic::new(Code::Syntax, self.span(), message)
                                .with_label(open, "it would close this `{`"),
                        );
                    }
                    return members;
                }
                _ => had_error |= !self.member(body, &mut members),
            }
        }
    }

    /// Takes one member; false if it was none. Always takes at least one token.
    fn member(&mut self, body: Body, members: &mut Vec<Member>) -> bool {
        match self.kind() {
            TokenKind::Match => {
                let docs = self.documentation();
                let start = self.advance();
                members.extend(self.match_after_keyword(start, docs).map(Member::Match));
            }
            TokenKind::PathSegment | TokenKind::Slash => {
                self.error(
                    self.span(),
                    "missing `match` keyword before path",
                    Some("write `match` before the path; a division has a space behind its slash"),
                );
                let start = self.span();
                if self.at(TokenKind::Slash) && self.ahead(1) != TokenKind::LeftBrace {
                    self.advance();
                    self.skip_to(MEMBER_STARTS);
                    self.eat(TokenKind::Semicolon);
                    return false;
                }
                members.extend(self.match_after_keyword(start, None).map(Member::Match));
            }
            TokenKind::Allow => {
                if body == Body::Service {
                    let hint = "put it into `match /databases/{database}/documents { … }`";
                    self.error(
                        self.span(),
                        "`allow` stands in a `match`, not in a service",
                        Some(hint),
                    );
                }
                let allow = self.allow();
                if body == Body::Match {
                    members.push(Member::Allow(allow));
                } else {
                    return false;
                }
            }
            TokenKind::Function => match self.function() {
                Some(function) => members.push(Member::Function(function)),
                None => return false,
            },
            TokenKind::Let => {
                self.needs_extensions(self.span(), "`let` outside of a function");
                members.extend(self.binding().map(Member::Let));
            }
            TokenKind::Error => {
                self.advance();
                return false;
            }
            TokenKind::Name if self.at_word("type") && self.ahead(1) == TokenKind::Name => {
                let hint = "move it out of the service";
                self.error(self.span(), "`type` stands at the top of a file", Some(hint));
                self.type_declaration();
                return false;
            }
            TokenKind::Semicolon => {
                self.error(
                    self.span(),
                    "unexpected `;`",
                    Some("leave it away: there is nothing that it ends"),
                );
                self.advance();
            }
            _ => {
                let expected = match body {
                    Body::Service => "`match`, `function` or `}`",
                    Body::Match => "`allow`, `match`, `function` or `}`",
                };
                self.unexpected(expected);
                self.advance();
                self.skip_to(MEMBER_STARTS);
                self.eat(TokenKind::Semicolon);
                return false;
            }
        }
        true
    }

    fn match_after_keyword(&mut self, start: Span, docs: Option<Arc<str>>) -> Option<Match> {
        let pattern = self.pattern();
        let mut type_name = None;
        if self.at(TokenKind::Is) {
            self.needs_extensions(self.span(), "`match … is Type`");
            self.advance();
            type_name = self.type_name();
        }
        if !self.at(TokenKind::LeftBrace) {
            self.unexpected("`{` after the path of a match");
            self.skip_to(&[
                TokenKind::LeftBrace,
                TokenKind::Semicolon,
                TokenKind::Allow,
                TokenKind::Match,
                TokenKind::Function,
                TokenKind::Service,
            ]);
            if !self.at(TokenKind::LeftBrace) {
                return None;
            }
        }
        let members = match self.nested("a match", |parser| parser.body(Body::Match)) {
            Some(members) => members,
            None => {
                self.advance();
                self.skip_to(&[]);
                self.eat(TokenKind::RightBrace);
                Vec::new()
            }
        };
        Some(Match {
            span: self.since(start),
            pattern,
            type_name,
            members,
            docs,
        })
    }
}
