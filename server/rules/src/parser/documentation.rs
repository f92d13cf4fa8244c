//! Documentation comments: `/// …` lines or a `/** … */` directly before a declaration.

use std::sync::Arc;

use super::Parser;

/// How many comments one declaration's documentation may consist of; those further up are comments like any other.
const DOCUMENTATION_COMMENTS_MAX: usize = 200;

impl Parser<'_> {
    /// The documentation before the next token.
    pub(super) fn documentation(&self) -> Option<Arc<str>> {
        let start = self.token().start;
        let before = self
            .comments
            .partition_point(|comment| comment.span.start < start);
        let mut lines: Vec<&str> = Vec::new();
        let mut next = start as usize;
        for comment in self.comments[..before]
            .iter()
            .rev()
            .take(DOCUMENTATION_COMMENTS_MAX)
        {
            let gap = &self.text[comment.span.end as usize..next];
            if !gap.bytes().all(|byte| byte.is_ascii_whitespace()) || gap.matches('\n').count() > 1 {
                break;
            }
            let text = &self.text[comment.span.range()];
            if comment.is_block {
                // A block stands for itself: it is the documentation, or there is none above it.
                if lines.is_empty()
                    && let Some(inner) = text.strip_prefix("/**").and_then(|rest| rest.strip_suffix("*/"))
                {
                    let stripped = inner.lines().map(|line| {
                        let line = line.trim();
                        line.strip_prefix('*').unwrap_or(line).trim()
                    });
                    lines.extend(
                        stripped
                            .filter(|line| !line.is_empty())
                            .collect::<Vec<_>>()
                            .iter()
                            .rev(),
                    );
                }
                break;
            }
            let Some(line) = text.strip_prefix("///").filter(|rest| !rest.starts_with('/')) else {
                break;
            };
            lines.push(line.trim());
            next = comment.span.start as usize;
        }
        if lines.is_empty() {
            return None;
        }
        lines.reverse();
        Some(Arc::from(lines.join("\n")))
    }
}
