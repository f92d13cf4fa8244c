//! Lists: queries, and what is expected of them.

use andiron_protocol::{FieldRef, Filter, InputError, OrderBy, Query, Source};

use super::{Compiled, Compiler, Operation, Place, Setting, Work, input, only_made};
use crate::evaluate::Method;
use crate::evaluate::constant::Value;
use crate::source::Span;
use crate::syntax::Expr;
use crate::testing::constant::{Unclear, to_document};
use crate::testing::syntax::{self, ListSource, SubjectKind};

impl<'a> Compiler<'a> {
    pub(super) fn list(
        &mut self,
        list: &'a syntax::List,
        setting: &Setting<'a>,
        allows: bool,
    ) -> Compiled<Work> {
        let source = match &list.source {
            ListSource::Group(name) => Source::Group(name.text.to_string()),
            ListSource::Subject(subject) => {
                let segments = self.segments(&subject.path, setting)?;
                match subject.kind {
                    SubjectKind::Document => {}
                    SubjectKind::File => return self.file_list(list, &segments, subject.span),
                    SubjectKind::Account => return Err(only_made(subject.span)),
                }
                let text = segments.join("/");
                Source::Collection(text.parse().map_err(|error: InputError| {
                    if segments.len() % 2 == 0 {
                        let message = format!("`/{text}` is a document, and a list is of a collection");
                        Unclear::new(subject.span, message).with_hint("write `list /posts`")
                    } else {
                        Unclear::new(subject.span, input(error))
                    }
                })?)
            }
        };
        let mut query = Query::all(source);
        query.strict = list.is_strict;
        query.limit = list.limit;
        query.offset = list.offset.unwrap_or(0);
        if let Some(filter) = &list.filter {
            query.filter = Some(self.filter(filter)?);
        }
        for (field, direction) in &list.order {
            let text = &field.text;
            let field_ref: FieldRef = text
                .parse()
                .map_err(|error| Unclear::new(field.span, input(error)))?;
            query.order_by.push(OrderBy {
                field: field_ref,
                direction: *direction,
            });
        }
        query
            .check()
            .map_err(|error| Unclear::new(list.span, input(error)))?;
        let gives = match &list.gives {
            None => None,
            Some(_) if !allows => {
                return Err(Unclear::new(list.span, "what is denied gives nothing")
                    .with_hint("write `allow list … gives …`"));
            }
            Some(paths) => {
                let mut found = Vec::with_capacity(paths.len());
                for path in paths {
                    let Value::Path(value) = self.constants(setting).value(path)? else {
                        return Err(Unclear::new(path.span, "this is no path"));
                    };
                    found.push(to_document(&value).map_err(|message| Unclear::new(path.span, message))?);
                }
                Some(found)
            }
        };
        Ok(Work::List {
            query: Box::new(query),
            gives,
        })
    }

    fn file_list(&mut self, list: &syntax::List, segments: &[String], span: Span) -> Compiled<Work> {
        let is_plain = list.filter.is_none()
            && list.order.is_empty()
            && list.limit.is_none()
            && list.offset.is_none()
            && list.gives.is_none()
            && !list.is_strict;
        if !is_plain {
            return Err(Unclear::new(
                list.span,
                "a list of files has nothing but the name that they lie below",
            ));
        }
        let [bucket, name @ ..] = segments else {
            return Err(Unclear::new(span, "files lie in a bucket"));
        };
        Ok(Work::One(Operation {
            place: Place::File {
                bucket: bucket.clone(),
                name: name.join("/"),
            },
            method: Method::List,
            before: None,
            after: None,
            left: None,
        }))
    }

    /// Filters have a language of their own, without variables: the text is read again by it.
    fn filter(&mut self, expr: &Expr) -> Compiled<Filter> {
        let text = &self.text[expr.span.range()];
        Filter::from_expression(text).map_err(|error| {
            let offset = match error.position {
                Some(position) => offset_of(text, position),
                None => 0,
            };
            let start = expr.span.start as usize + offset;
            let span = Span::new(self.file, start, (start + 1).min(expr.span.end as usize));
            let span = if offset == 0 { expr.span } else { span };
            Unclear::new(span, error.detail)
                .with_hint("a filter is about the document's fields: `published == true && rating >= 4`")
        })
    }
}

/// The byte at a line and column, both from 1, the column in characters; kept within the text.
fn offset_of(text: &str, (line, column): (u32, u32)) -> usize {
    let line_start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1) as usize)
        .map(str::len)
        .sum();
    let rest = &text[line_start.min(text.len())..];
    let within = rest.char_indices().nth(column.saturating_sub(1) as usize);
    line_start + within.map_or(0, |(offset, _)| offset)
}
