//! Which matches a path belongs to, and what they capture.
//!
//! A match applies if its pattern, put together with those around it, matches the whole path. Matches are found by the
//! literal that they begin with, so that the number of collections a file knows does not matter. Globs may let a path
//! match one pattern in several ways; each is visited, and the number of steps is bounded.

use std::ops::ControlFlow;

use super::core::{Children, Core, MatchId, MatchNode, PatternSegment};
use super::fault::Fault;
use super::value::{Path, Value};

/// How many segments of patterns are compared with segments of one path at most. Only patterns of many globs inside of
/// each other come near it.
pub const MATCHING_STEPS_MAX: u32 = 20_000;

/// Called with a match and what it captures, outermost first. The captures are taken and given back.
pub(crate) trait Visit<'a> {
    fn visit(&mut self, found: &'a MatchNode, captures: &mut Vec<Value<'a>>) -> ControlFlow<()>;
}

/// Visits every match that the path belongs to, in the order of the file, until the visitor has seen enough.
pub(crate) fn visit_matches<'a>(
    core: &'a Core,
    roots: &'a Children,
    segments: &[&'a str],
    visitor: &mut impl Visit<'a>,
) -> Result<(), Fault> {
    let mut walk = Walk {
        core,
        segments,
        captures: Vec::new(),
        steps_left: MATCHING_STEPS_MAX,
        visitor,
    };
    // Breaking off is the visitor's wish, or the end of the steps.
    let _ = walk.children(roots, 0);
    if walk.steps_left == 0 {
        return Err(Fault::MatchingStepsMax(MATCHING_STEPS_MAX));
    }
    Ok(())
}

struct Walk<'a, 'w, V> {
    core: &'a Core,
    segments: &'w [&'a str],
    captures: Vec<Value<'a>>,
    steps_left: u32,
    visitor: &'w mut V,
}

impl<'a, V: Visit<'a>> Walk<'a, '_, V> {
    /// Tries the matches that begin at a segment. Recursion is bounded by the nesting of matches.
    fn children(&mut self, children: &'a Children, at: usize) -> ControlFlow<()> {
        let by_literal = self
            .segments
            .get(at)
            .and_then(|segment| children.by_literal.get(*segment))
            .map_or(&[][..], Vec::as_slice);
        // Both lists are in the order of the file, and so is what is visited.
        let (mut literals, mut others) = (by_literal, children.others.as_slice());
        loop {
            let next = match (literals.first(), others.first()) {
                (Some(literal), Some(other)) if literal.0 < other.0 => take(&mut literals),
                (_, Some(_)) => take(&mut others),
                (Some(_), None) => take(&mut literals),
                (None, None) => return ControlFlow::Continue(()),
            };
            if let Some(id) = next {
                let found = &self.core.matches[id.0 as usize];
                self.pattern(found, 0, at)?;
            }
        }
    }

    /// Goes on at a segment of a match's pattern and one of the path. Recursion is bounded by the globs of the pattern.
    fn pattern(&mut self, found: &'a MatchNode, mut index: usize, mut at: usize) -> ControlFlow<()> {
        let captured = self.captures.len();
        let result = loop {
            self.steps_left = self.steps_left.saturating_sub(1);
            if self.steps_left == 0 {
                return ControlFlow::Break(());
            }
            match (found.pattern.get(index), self.segments.get(at)) {
                (None, _) => break self.whole(found, at),
                (Some(PatternSegment::Literal(wanted)), Some(segment)) if **wanted == **segment => {}
                (Some(PatternSegment::Capture), Some(segment)) => self.captures.push(Value::string(*segment)),
                (Some(PatternSegment::Glob { segments_min }), _) => {
                    break self.glob(found, index, at, *segments_min);
                }
                _ => break ControlFlow::Continue(()),
            }
            index += 1;
            at += 1;
        };
        self.captures.truncate(captured);
        result
    }

    fn glob(
        &mut self,
        found: &'a MatchNode,
        index: usize,
        at: usize,
        segments_min: usize,
    ) -> ControlFlow<()> {
        let is_last = index + 1 == found.pattern.len()
            && found.children.by_literal.is_empty()
            && found.children.others.is_empty();
        let first = if is_last {
            // Nothing follows, so only the whole rest is worth trying.
            (at + segments_min).max(self.segments.len())
        } else {
            at + segments_min
        };
        for end in first..=self.segments.len() {
            let path = Path::from_segments(self.segments[at..end].iter().copied());
            self.captures.push(Value::Path(path));
            let result = self.pattern(found, index + 1, end);
            self.captures.pop();
            result?;
        }
        ControlFlow::Continue(())
    }

    /// The whole pattern matches, up to a segment of the path.
    fn whole(&mut self, found: &'a MatchNode, at: usize) -> ControlFlow<()> {
        if at == self.segments.len() {
            self.visitor.visit(found, &mut self.captures)?;
        }
        self.children(&found.children, at)
    }
}

fn take(list: &mut &[MatchId]) -> Option<MatchId> {
    let (first, rest) = list.split_first()?;
    *list = rest;
    Some(*first)
}

/// Whether patterns put together cover the documents of every collection of a name: a glob stands right behind what
/// matches `/databases/{database}/documents`, and at most a collection and a document behind it.
pub(crate) fn covers_groups<'p>(pattern: impl Iterator<Item = &'p PatternSegment>) -> bool {
    let segments: Vec<_> = pattern.collect();
    let glob = segments
        .iter()
        .position(|segment| matches!(segment, PatternSegment::Glob { .. }));
    match glob {
        Some(place) => {
            let behind = &segments[place + 1..];
            let is_collection_and_document = match behind {
                [] => true,
                [.., document] => behind.len() <= 2 && matches!(document, PatternSegment::Capture),
            };
            place <= 3 && is_collection_and_document
        }
        None => false,
    }
}
