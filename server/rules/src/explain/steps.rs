//! A trace as the tree that it was, and the program's expressions by their places.

use std::collections::HashMap;

use crate::evaluate::{Attempt, EvaluationError, TraceEntry};
use crate::program::Program;
use crate::source::{Position, Sources, Span};
use crate::syntax::{Expr, ExprKind};

/// The characters that are shown of an expression.
const EXPRESSION_CHARACTERS_MAX: usize = 160;

/// A program's expressions by where they stand.
pub(crate) struct Index<'p> {
    program: &'p Program,
    expressions: HashMap<Span, &'p Expr>,
}

impl<'p> Index<'p> {
    pub(crate) fn new(program: &'p Program) -> Self {
        let mut expressions = HashMap::new();
        for file in program.files() {
            file.for_each_expression(&mut |expr| {
                // Parentheses are no step of an evaluation.
                if !matches!(expr.kind, ExprKind::Paren(_)) {
                    expressions.insert(expr.span, expr);
                }
            });
        }
        Self { program, expressions }
    }

    pub(crate) fn sources(&self) -> &'p Sources {
        self.program.sources()
    }

    pub(crate) fn program(&self) -> &'p Program {
        self.program
    }

    pub(crate) fn expression(&self, span: Span) -> Option<&'p Expr> {
        self.expressions.get(&span).copied()
    }

    pub(crate) fn position(&self, span: Span) -> Position {
        self.sources().position(span)
    }

    /// The text of a stretch on one line, cut where it is long.
    pub(crate) fn text(&self, span: Span) -> String {
        let words: Vec<_> = self.sources().text(span).split_whitespace().collect();
        let mut text = words.join(" ");
        if let Some((end, _)) = text.char_indices().nth(EXPRESSION_CHARACTERS_MAX) {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

/// A sub-expression that was evaluated, with those that it took.
#[derive(Debug)]
pub(crate) struct Evaluation<'t> {
    pub(crate) span: Span,
    pub(crate) result: &'t Result<String, EvaluationError>,
    pub(crate) inner: Vec<Evaluation<'t>>,
    depth: u16,
}

impl Evaluation<'_> {
    /// Whether it came to this truth.
    pub(crate) fn is(&self, truth: bool) -> bool {
        let wanted = if truth { "true" } else { "false" };
        matches!(self.result, Ok(value) if value == wanted)
    }
}

/// The tree of an attempt's trace: `None` if nothing was evaluated.
pub(crate) fn tree(attempt: &Attempt) -> Option<Evaluation<'_>> {
    let mut open: Vec<Evaluation<'_>> = Vec::new();
    for TraceEntry { span, depth, result } in &attempt.trace {
        let inner_from = open
            .iter()
            .rposition(|evaluation| evaluation.depth <= *depth)
            .map_or(0, |last| last + 1);
        let inner = open.split_off(inner_from);
        open.push(Evaluation {
            span: *span,
            result,
            inner,
            depth: *depth,
        });
    }
    open.pop()
}
