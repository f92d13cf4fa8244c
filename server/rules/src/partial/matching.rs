//! Which matches the documents of a list belong to, and what they capture.
//!
//! Of the documents of a collection all segments but the last are known; a pattern may demand a literal there, and then
//! only the document of that id belongs to it. Of the documents of a group the collection's name is known and nothing
//! before it.
//!
//! What steps [`MATCHING_STEPS_MAX`] allows for one document is allowed here too: a walk that takes more does not end in a
//! decision.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::evaluate::core::{Children, Core, MatchId, MatchNode, PatternSegment};
use crate::evaluate::{MATCHING_STEPS_MAX, value::Path};

/// What a capture binds.
#[derive(Clone, Debug)]
pub(crate) enum Captured<'a> {
    Segment(&'a str),
    Path(Path<'a>),
    /// The document's id.
    Id,
    /// A path that holds what is not known.
    UnknownPath,
}

/// A match that documents of the list belong to.
pub(crate) struct Found<'a> {
    pub(crate) node: &'a MatchNode,
    pub(crate) captures: Vec<Captured<'a>>,
    /// The id that a document must have to belong to it.
    pub(crate) id: Option<Arc<str>>,
}

/// The patterns are so many, or so ambiguous, that it cannot be told whether one document could be matched in
/// [`MATCHING_STEPS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManySteps;

/// Visits the matches of the documents of a collection, in the order of the file. `segments` is the path of one of them;
/// its last is `None` unless the id is known.
pub(crate) fn visit_collection<'a>(
    core: &'a Core,
    segments: &[Option<&'a str>],
    visit: &mut dyn FnMut(Found<'a>) -> ControlFlow<()>,
) -> Result<(), TooManySteps> {
    let mut walk = Walk {
        core,
        segments,
        captures: Vec::new(),
        id: None,
        steps_left: MATCHING_STEPS_MAX,
        visit,
    };
    let _ = walk.children(&core.firestore, 0);
    if walk.steps_left == 0 {
        Err(TooManySteps)
    } else {
        Ok(())
    }
}

struct Walk<'a, 'w> {
    core: &'a Core,
    segments: &'w [Option<&'a str>],
    captures: Vec<Captured<'a>>,
    id: Option<Arc<str>>,
    steps_left: u32,
    visit: &'w mut dyn FnMut(Found<'a>) -> ControlFlow<()>,
}

impl<'a> Walk<'a, '_> {
    fn children(&mut self, children: &'a Children, at: usize) -> ControlFlow<()> {
        let mut ids: Vec<MatchId> = children.others.clone();
        match self.segments.get(at) {
            Some(Some(segment)) => ids.extend(children.by_literal.get(*segment).into_iter().flatten()),
            // Any literal may be the id.
            Some(None) => ids.extend(children.by_literal.values().flatten()),
            None => {}
        }
        ids.sort_unstable_by_key(|id| id.0);
        for id in ids {
            let found = &self.core.matches[id.0 as usize];
            self.pattern(found, 0, at)?;
        }
        ControlFlow::Continue(())
    }

    fn pattern(&mut self, found: &'a MatchNode, mut index: usize, mut at: usize) -> ControlFlow<()> {
        let captured = self.captures.len();
        let id = self.id.clone();
        let result = loop {
            self.steps_left = self.steps_left.saturating_sub(1);
            if self.steps_left == 0 {
                return ControlFlow::Break(());
            }
            match (found.pattern.get(index), self.segments.get(at)) {
                (None, _) => break self.whole(found, at),
                (Some(PatternSegment::Literal(wanted)), Some(Some(segment))) if **wanted == **segment => {}
                (Some(PatternSegment::Literal(wanted)), Some(None)) => self.id = Some(Arc::clone(wanted)),
                (Some(PatternSegment::Capture), Some(segment)) => self.captures.push(match segment {
                    Some(segment) => Captured::Segment(segment),
                    None => Captured::Id,
                }),
                (Some(PatternSegment::Glob { segments_min }), _) => {
                    break self.glob(found, index, at, *segments_min);
                }
                _ => break ControlFlow::Continue(()),
            }
            index += 1;
            at += 1;
        };
        self.captures.truncate(captured);
        self.id = id;
        result
    }

    fn glob(
        &mut self,
        found: &'a MatchNode,
        index: usize,
        at: usize,
        segments_min: usize,
    ) -> ControlFlow<()> {
        for end in at + segments_min..=self.segments.len() {
            let known: Option<Vec<&'a str>> = self.segments[at..end].iter().copied().collect();
            self.captures.push(match known {
                Some(segments) => Captured::Path(Path::from_segments(segments.into_iter())),
                None => Captured::UnknownPath,
            });
            let result = self.pattern(found, index + 1, end);
            self.captures.pop();
            result?;
        }
        ControlFlow::Continue(())
    }

    fn whole(&mut self, found: &'a MatchNode, at: usize) -> ControlFlow<()> {
        if at == self.segments.len() && !found.allows.is_empty() {
            (self.visit)(Found {
                node: found,
                captures: self.captures.clone(),
                id: self.id.clone(),
            })?;
        }
        self.children(&found.children, at)
    }
}

/// Visits the matches that cover the group of this name, in the order of the file. Documents may lie at any depth, so
/// `id` is all of their path that may be known besides.
pub(crate) fn visit_group<'a>(
    core: &'a Core,
    database: &'a str,
    name: &'a str,
    id: Option<&'a str>,
    visit: &mut dyn FnMut(Found<'a>) -> ControlFlow<()>,
) -> Result<(), TooManySteps> {
    let mut groups = Groups {
        core,
        database,
        name,
        id,
        pattern: Vec::new(),
        steps: 0,
        visit,
    };
    let mut ids: Vec<MatchId> = core.firestore.others.clone();
    ids.extend(core.firestore.by_literal.values().flatten());
    let _ = groups.children(ids);
    if groups.steps >= u64::from(MATCHING_STEPS_MAX) {
        return Err(TooManySteps);
    }
    Ok(())
}

struct Groups<'a, 'w> {
    core: &'a Core,
    database: &'a str,
    name: &'a str,
    id: Option<&'a str>,
    /// Of the matches on the way, put together.
    pattern: Vec<&'a PatternSegment>,
    /// How many steps it may take for one document at most.
    steps: u64,
    visit: &'w mut dyn FnMut(Found<'a>) -> ControlFlow<()>,
}

impl<'a> Groups<'a, '_> {
    fn children(&mut self, mut ids: Vec<MatchId>) -> ControlFlow<()> {
        ids.sort_unstable_by_key(|id| id.0);
        for id in ids {
            let found = &self.core.matches[id.0 as usize];
            let before = self.pattern.len();
            self.pattern.extend(found.pattern.iter());
            let flow = self.one(found, before);
            self.pattern.truncate(before);
            flow?;
        }
        ControlFlow::Continue(())
    }

    fn one(&mut self, found: &'a MatchNode, before: usize) -> ControlFlow<()> {
        /// Segments of the longest path, with those before a document's path, and the end.
        const ENDS_MAX: u64 = andiron_protocol::limits::PATH_SEGMENTS_MAX as u64 + 4;
        let globs = self
            .pattern
            .iter()
            .filter(|segment| matches!(segment, PatternSegment::Glob { .. }))
            .count();
        let ways = ENDS_MAX.saturating_pow(u32::try_from(globs).unwrap_or(u32::MAX));
        let segments = (self.pattern.len() - before + 1) as u64;
        self.steps = self.steps.saturating_add(segments.saturating_mul(ways));
        if found.covers_groups
            && !found.allows.is_empty()
            && let Some(captures) = self.captures()
        {
            (self.visit)(Found {
                node: found,
                captures,
                id: None,
            })?;
        }
        let mut ids: Vec<MatchId> = found.children.others.clone();
        ids.extend(found.children.by_literal.values().flatten());
        self.children(ids)
    }

    /// What the pattern captures of a document of the group, if one can match. It covers groups: behind its first glob
    /// there are a collection and a document at most.
    fn captures(&self) -> Option<Vec<Captured<'a>>> {
        let known = ["databases", self.database, "documents"];
        let mut captures = Vec::new();
        let glob = self
            .pattern
            .iter()
            .position(|segment| matches!(segment, PatternSegment::Glob { .. }))?;
        for (segment, known) in self.pattern[..glob].iter().zip(known) {
            match segment {
                PatternSegment::Literal(wanted) if **wanted == *known => {}
                PatternSegment::Capture => captures.push(Captured::Segment(known)),
                _ => return None,
            }
        }
        captures.push(Captured::UnknownPath);
        let behind = &self.pattern[glob + 1..];
        for (index, segment) in behind.iter().enumerate() {
            let is_id = index + 1 == behind.len();
            match (segment, is_id) {
                (PatternSegment::Capture, true) => captures.push(match self.id {
                    Some(id) => Captured::Segment(id),
                    None => Captured::Id,
                }),
                (PatternSegment::Capture, false) => captures.push(Captured::Segment(self.name)),
                (PatternSegment::Literal(wanted), false) if **wanted == *self.name => {}
                (PatternSegment::Glob { .. }, false) => captures.push(Captured::UnknownPath),
                _ => return None,
            }
        }
        Some(captures)
    }
}
