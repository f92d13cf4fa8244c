//! Patterns: where globs may stand, how long patterns may be, and whether any request can reach them.

use super::Checker;
use crate::diagnostic::{Code, Diagnostic};
use crate::syntax::{LanguageVersion, Match, Segment, SegmentKind, ServiceKind};

/// What the patterns of documents start with.
pub(super) const FIRESTORE_ROOT: usize = 3;

/// What the patterns of files start with.
pub(super) const STORAGE_ROOT: usize = 3;

/// The segments of a match, those of the matches around it first.
pub(super) fn composed<'p>(matches: &[&'p Match]) -> Vec<&'p Segment> {
    matches.iter().flat_map(|inner| &inner.pattern.segments).collect()
}

/// The name of a capture, and whether it is a glob.
pub(super) fn capture(segment: &Segment) -> Option<(&str, bool)> {
    match &segment.kind {
        SegmentKind::Capture { name, is_glob } => Some((&name.text, *is_glob)),
        SegmentKind::Literal(_) | SegmentKind::Error => None,
    }
}

pub(super) fn is_glob(segment: &Segment) -> bool {
    matches!(&segment.kind, SegmentKind::Capture { is_glob: true, .. })
}

fn is_literal(segment: &Segment, text: &str) -> bool {
    matches!(&segment.kind, SegmentKind::Literal(literal) if &**literal == text)
}

impl<'p> Checker<'p> {
    /// Checks the pattern of the last of `matches`.
    pub(super) fn check_pattern(&mut self, matches: &[&'p Match]) {
        let Some((own, around)) = matches.split_last() else {
            return;
        };
        let segments = composed(matches);
        let span = own.pattern.span;
        let limits = self.limits;
        self.exceeds(
            span,
            "matches inside of each other",
            matches.len(),
            limits.nested_matches_max,
        );
        self.exceeds(
            span,
            "segments of a pattern",
            segments.len(),
            limits.pattern_segments_max,
        );
        let captures = segments
            .iter()
            .filter(|segment| capture(segment).is_some())
            .count();
        self.exceeds(span, "captures of a pattern", captures, limits.captures_max);

        let globs: Vec<&&Segment> = segments.iter().filter(|segment| is_glob(segment)).collect();
        let mut own_globs = own.pattern.segments.iter().filter(|segment| is_glob(segment));
        if let Some(second) = own_globs.nth(1) {
            self.report(Diagnostic::new(
                Code::GlobPlacement,
                second.span,
                "a pattern has at most one `{name=**}`",
            ));
        } else if globs.len() > 1 && own.pattern.segments.iter().any(is_glob) {
            let message = "a match around this one has a `{name=**}` already";
            self.report(
                Diagnostic::new(Code::GlobPlacement, span, message)
                    .with_label(globs[0].span, "here")
                    .with_severity(crate::Severity::Warning),
            );
        }
        if self.version == LanguageVersion::V1 {
            let last = own.pattern.segments.len().saturating_sub(1);
            if let Some(early) = own
                .pattern
                .segments
                .iter()
                .take(last)
                .find(|segment| is_glob(segment))
            {
                let message = "in version 1, `{name=**}` stands only at the end of a pattern";
                self.report(
                    Diagnostic::new(Code::GlobPlacement, early.span, message)
                        .with_hint("write `rules_version = '2';` at the top of the file"),
                );
            }
        }
        self.check_root(own, around, &segments);
    }

    /// Says that no request has a path like this.
    fn check_root(&mut self, own: &Match, around: &[&Match], segments: &[&Segment]) {
        let (Some(service), true) = (self.service, around.is_empty()) else {
            return;
        };
        let fits = |index: usize, text: Option<&str>| {
            let segment = segments.get(index)?;
            Some(match text {
                Some(text) => is_literal(segment, text) || capture(segment).is_some(),
                None => capture(segment).is_none_or(|(_, is_glob)| !is_glob),
            })
        };
        if segments
            .iter()
            .take(FIRESTORE_ROOT)
            .any(|segment| is_glob(segment))
        {
            return;
        }
        let (fits_root, form) = match service {
            ServiceKind::Firestore => (
                fits(0, Some("databases")).unwrap_or(true)
                    && fits(1, None).unwrap_or(true)
                    && fits(2, Some("documents")).unwrap_or(true),
                "/databases/{database}/documents",
            ),
            ServiceKind::Storage => (
                fits(0, Some("b")).unwrap_or(true)
                    && fits(1, None).unwrap_or(true)
                    && fits(2, Some("o")).unwrap_or(true),
                "/b/{bucket}/o",
            ),
            ServiceKind::Accounts => (
                fits(0, Some("accounts")).unwrap_or(true) && fits(1, None).unwrap_or(true),
                "/accounts",
            ),
        };
        if !fits_root {
            let message = format!("no request has a path like this: all start with `{form}`");
            self.report(
                Diagnostic::new(Code::Unreachable, own.pattern.span, message)
                    .with_hint(format!("put the matches into `match {form} {{ … }}`")),
            );
        }
    }
}
