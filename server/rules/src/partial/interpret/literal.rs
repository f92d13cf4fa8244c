//! Values that an expression puts together: lists, maps, paths, and parts of them by a slice.

use smallvec::SmallVec;

use super::Interpreter;
use crate::evaluate::core::{NodeId, PathPiece};
use crate::evaluate::method::push_part;
use crate::evaluate::value::{Part, Path, Text, Value};
use crate::evaluate::{Fault, operator};
use crate::partial::term::Partial;
use crate::source::Span;

impl<'a> Interpreter<'a> {
    #[inline(never)]
    pub(super) fn list(&mut self, elements: &[NodeId], span: Span, base: usize) -> Partial<'a> {
        match self.every(elements.iter().copied(), base) {
            Ok(elements) => self.make_list(elements.into_vec(), span),
            Err(stopped) => stopped,
        }
    }

    /// A list of these.
    pub(super) fn make_list(&mut self, elements: Vec<Partial<'a>>, span: Span) -> Partial<'a> {
        self.context.spend(elements.len() * size_of::<Value<'_>>());
        let known: Option<Vec<Value<'a>>> = elements
            .iter()
            .map(|element| match element {
                Partial::Known(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        match known {
            Some(values) => self.done(Value::list(values), span),
            None => Partial::list(elements),
        }
    }

    #[inline(never)]
    pub(super) fn map(&mut self, entries: &[(NodeId, NodeId)], span: Span, base: usize) -> Partial<'a> {
        let nodes = entries.iter().flat_map(|(key, value)| [*key, *value]);
        let values = match self.every(nodes, base) {
            Ok(values) => values,
            Err(stopped) => return stopped,
        };
        let known: Option<Vec<Value<'a>>> = values
            .iter()
            .map(|value| match value {
                Partial::Known(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        match known {
            Some(values) => {
                self.context.spend(values.len() * size_of::<Value<'_>>());
                self.done(operator::map_of(values), span)
            }
            None => self.opaque_of(&values, span),
        }
    }

    #[inline(never)]
    pub(super) fn path(&mut self, pieces: &'a [PathPiece], span: Span, base: usize) -> Partial<'a> {
        let nodes = pieces.iter().filter_map(|piece| match piece {
            PathPiece::Value(value) => Some(*value),
            _ => None,
        });
        let values = match self.every(nodes, base) {
            Ok(values) => values,
            Err(stopped) => return stopped,
        };
        if values.iter().any(|value| matches!(value, Partial::Unknown(_))) {
            return self.opaque_of(&values, span);
        }
        let mut values = values.into_iter();
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                PathPiece::Literal(text) => parts.push(Part::Segment(Text::Borrowed(text))),
                PathPiece::Placeholder { name, is_glob } => parts.push(Part::Placeholder {
                    name: Text::Borrowed(name),
                    is_glob: *is_glob,
                }),
                PathPiece::Value(_) => {
                    let Some(Partial::Known(value)) = values.next() else {
                        continue;
                    };
                    if let Err(fault) = push_part(&value, &mut parts, &mut self.context) {
                        return self.fail(fault, span);
                    }
                }
            }
        }
        self.context.spend(parts.len() * size_of::<Value<'_>>());
        self.done(Ok(Value::Path(Path::Built(parts.into()))), span)
    }

    #[inline(never)]
    pub(super) fn slice(
        &mut self,
        object: NodeId,
        start: Option<NodeId>,
        end: Option<NodeId>,
        span: Span,
        base: usize,
    ) -> Partial<'a> {
        let nodes = [Some(object), start, end].into_iter().flatten();
        let values = match self.every(nodes, base) {
            Ok(values) => values,
            Err(stopped) => return stopped,
        };
        let mut known = SmallVec::<[&Value<'a>; 3]>::new();
        for value in &values {
            match value {
                Partial::Known(value) => known.push(value),
                _ => return self.opaque_of(&values, span),
            }
        }
        let mut known = known.into_iter();
        let Some(object) = known.next() else {
            return self.fail(Fault::Syntax, span);
        };
        let start = start.and_then(|_| known.next());
        let end = end.and_then(|_| known.next());
        let result = operator::slice(object, start, end, &mut self.context);
        self.done(result, span)
    }
}
