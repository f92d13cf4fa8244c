//! What of the rules tests have evaluated: by line and by sub-expression.
//!
//! A sub-expression is *reached* if it was evaluated at all. One that gives true or false has two *outcomes*, and a test
//! suite that has seen only one of them has not shown that the other is possible. Literals say nothing and are not
//! counted; neither are parentheses, nor arguments that are handed on as they are.

mod page;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::check::{Checked, Resolution};
use crate::evaluate::{Coverage, Tally};
use crate::language::{Kind, Kinds};
use crate::program::Program;
use crate::source::{Source, Span};
use crate::syntax::{BinaryOperator, Expr, ExprKind, File, Item, Member, TypeExpr, TypeKind, UnaryOperator};

pub use page::html;

/// The characters of a sub-expression that reports show.
const SHOWN_CHARACTERS_MAX: usize = 80;

/// How much of something there is, and how much of it was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What was seen.
    pub covered: usize,
    /// What there is.
    pub total: usize,
}

impl Figure {
    /// Hundredths; of nothing, everything was seen.
    pub fn percent(self) -> f64 {
        if self.total == 0 {
            return 100.0;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a source has fewer expressions than 2^52"
        )]
        let share = self.covered as f64 / self.total as f64;
        share * 100.0
    }

    /// The percentage without a fraction, never rounded up to 100.
    pub fn shown(self) -> String {
        format!("{} %", self.percent().floor())
    }

    fn add(&mut self, other: Self) {
        self.covered += other.covered;
        self.total += other.total;
    }

    fn count(&mut self, is_covered: bool) {
        self.total += 1;
        self.covered += usize::from(is_covered);
    }
}

/// What came of a sub-expression in all tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// It was never evaluated.
    Never,
    /// It was true whenever it was evaluated.
    OnlyTrue,
    /// It was false whenever it was evaluated.
    OnlyFalse,
    /// It failed whenever it was evaluated.
    OnlyError,
    /// Everything that it can be was seen.
    Full,
}

impl Reach {
    /// As reports say it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Never => "never evaluated",
            Self::OnlyTrue => "only true",
            Self::OnlyFalse => "only false",
            Self::OnlyError => "only errors",
            Self::Full => "covered",
        }
    }
}

/// A sub-expression.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpressionCoverage {
    /// The first line, from 1.
    pub line: u32,
    /// The first column, from 1, in characters.
    pub column: u32,
    /// The last line.
    pub end_line: u32,
    /// The column behind the last character.
    pub end_column: u32,
    /// Its text, cut where it is long.
    pub text: String,
    /// What came of it.
    pub reach: Reach,
    /// How often it was true.
    pub trues: u64,
    /// How often it was false.
    pub falses: u64,
    /// How often it was another value.
    pub values: u64,
    /// How often it failed.
    pub errors: u64,
    #[serde(skip)]
    span: Span,
    /// Whether it stands inside of one that was never evaluated either, or always failed too.
    #[serde(skip)]
    is_inner: bool,
}

/// A line on which sub-expressions begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LineCoverage {
    /// The line, from 1.
    pub line: u32,
    /// How many sub-expressions begin there, and how many were evaluated.
    pub expressions: Figure,
    /// How often the one was evaluated that was evaluated most.
    pub hits: u64,
}

/// A file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileCoverage {
    /// Its name.
    pub file: String,
    /// Lines on which sub-expressions begin; seen are those on which one was evaluated.
    pub lines: Figure,
    /// Sub-expressions that were evaluated.
    pub expressions: Figure,
    /// Outcomes of those that are true or false.
    pub outcomes: Figure,
    /// Every line that counts.
    pub by_line: Vec<LineCoverage>,
    /// Every sub-expression that counts, in the order of the text, outer ones first.
    pub by_expression: Vec<ExpressionCoverage>,
    #[serde(skip)]
    source: Source,
}

impl FileCoverage {
    /// The sub-expressions that are not fully covered, without those inside of one of which the same is to be said.
    pub fn missing(&self) -> impl Iterator<Item = &ExpressionCoverage> {
        self.by_expression
            .iter()
            .filter(|expression| expression.reach != Reach::Full && !expression.is_inner)
    }
}

/// A whole program.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CoverageReport {
    /// Of all files.
    pub lines: Figure,
    /// Of all files.
    pub expressions: Figure,
    /// Of all files.
    pub outcomes: Figure,
    /// Each file, in the order of the program.
    pub files: Vec<FileCoverage>,
}

impl CoverageReport {
    /// Adds a program that was tested. Files without any expression are left out.
    pub fn add(&mut self, program: &Program, checked: &Checked, coverage: &Coverage) {
        let roots = program.roots().len();
        for (place, file) in program.files().iter().enumerate() {
            let report = of_file(program, checked, coverage, file, place < roots);
            if report.by_expression.is_empty() {
                continue;
            }
            self.lines.add(report.lines);
            self.expressions.add(report.expressions);
            self.outcomes.add(report.outcomes);
            self.files.push(report);
        }
    }
}

/// A report as people read it on a terminal.
pub fn text(report: &CoverageReport) -> String {
    let mut text = String::new();
    let shown = |figure: Figure| format!("{}/{} {}", figure.covered, figure.total, figure.shown());
    let width = report.files.iter().map(|file| file.file.chars().count()).max();
    let width = width.unwrap_or_default().max("all".len());
    let mut line = |name: &str, lines, expressions, outcomes| {
        let _ = writeln!(
            text,
            "{name:width$}  lines {:14} sub-expressions {:14} outcomes {}",
            shown(lines),
            shown(expressions),
            shown(outcomes)
        );
    };
    for file in &report.files {
        line(&file.file, file.lines, file.expressions, file.outcomes);
    }
    if report.files.len() > 1 {
        line("all", report.lines, report.expressions, report.outcomes);
    }
    for file in &report.files {
        for expression in file.missing() {
            let ExpressionCoverage { line, column, .. } = expression;
            let _ = writeln!(
                text,
                "  {}:{line}:{column}  {}: {}",
                file.file,
                expression.reach.describe(),
                expression.text
            );
        }
    }
    text
}

fn of_file(
    program: &Program,
    checked: &Checked,
    coverage: &Coverage,
    file: &File,
    is_root: bool,
) -> FileCoverage {
    let source = program.sources().get(file.id);
    let mut walk = Walk {
        checked,
        coverage,
        source,
        found: Vec::new(),
        figures: Figure::default(),
        outcomes: Figure::default(),
        unreached: 0,
        failing: 0,
    };
    walk.file(file, is_root);
    let mut lines: BTreeMap<u32, LineCoverage> = BTreeMap::new();
    for expression in &walk.found {
        let line = lines.entry(expression.line).or_insert(LineCoverage {
            line: expression.line,
            expressions: Figure::default(),
            hits: 0,
        });
        line.expressions.count(expression.reach != Reach::Never);
        line.hits = line
            .hits
            .max(expression.trues + expression.falses + expression.values + expression.errors);
    }
    let mut line_figure = Figure::default();
    for line in lines.values() {
        line_figure.count(line.hits > 0);
    }
    FileCoverage {
        file: source.name().to_owned(),
        lines: line_figure,
        expressions: walk.figures,
        outcomes: walk.outcomes,
        by_line: lines.into_values().collect(),
        by_expression: walk.found,
        source: source.clone(),
    }
}

/// Goes through the expressions that are evaluated.
struct Walk<'p> {
    checked: &'p Checked,
    coverage: &'p Coverage,
    source: &'p Source,
    found: Vec<ExpressionCoverage>,
    figures: Figure,
    outcomes: Figure,
    /// How many expressions around were never evaluated.
    unreached: usize,
    /// How many expressions around always failed.
    failing: usize,
}

/// What an expression is for where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Its truth decides something: it is a condition, a part of one, or what a function returns.
    Decides,
    /// It gives a value to what is around it.
    Gives,
}

impl Walk<'_> {
    fn file(&mut self, file: &File, is_root: bool) {
        for item in &file.items {
            match item {
                // The services of imported files are not in force.
                Item::Service(service) if is_root => self.members(&service.members),
                Item::Service(_) => {}
                Item::Function(function) => self.function(function),
                Item::Type(declaration) => self.type_expr(&declaration.definition),
            }
        }
    }

    fn members(&mut self, members: &[Member]) {
        for member in members {
            match member {
                Member::Match(inner) => self.members(&inner.members),
                Member::Allow(allow) => match &allow.condition {
                    Some(condition) => self.expression(condition, Position::Decides),
                    None => self.unconditional(allow.span),
                },
                Member::Function(function) => self.function(function),
                Member::Let(binding) => self.expression(&binding.value, Position::Gives),
            }
        }
    }

    fn function(&mut self, function: &crate::syntax::Function) {
        for binding in &function.lets {
            self.expression(&binding.value, Position::Gives);
        }
        self.expression(&function.body, Position::Decides);
    }

    fn type_expr(&mut self, definition: &TypeExpr) {
        match &definition.kind {
            TypeKind::Named { arguments: parts, .. } | TypeKind::Union(parts) => {
                parts.iter().for_each(|part| self.type_expr(part));
            }
            TypeKind::Map { fields, .. } => fields.iter().for_each(|field| self.type_expr(&field.value)),
            TypeKind::Paren(inner) => self.type_expr(inner),
            TypeKind::Where { base, condition } => {
                self.type_expr(base);
                self.expression(condition, Position::Decides);
            }
            TypeKind::Literal(_) | TypeKind::Error => {}
        }
    }

    /// Counts an expression and those inside of it. The tree's height bounds the recursion.
    fn expression(&mut self, expr: &Expr, position: Position) {
        let expr = expr.without_parens();
        match &expr.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::String(_)
            | ExprKind::Bytes(_)
            | ExprKind::Error => return,
            _ => {}
        }
        let tally = self.coverage.expression(expr.span.file, expr.id);
        let reach = self.count(expr, tally, position);
        let (is_unreached, is_failing) = (reach == Reach::Never, reach == Reach::OnlyError);
        self.unreached += usize::from(is_unreached);
        self.failing += usize::from(is_failing);
        self.inner(expr);
        self.failing -= usize::from(is_failing);
        self.unreached -= usize::from(is_unreached);
    }

    fn inner(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Binary {
                operator: operator @ (BinaryOperator::And | BinaryOperator::Or),
                left,
                right,
                ..
            } => {
                // Of a chain of one operator only the whole has a tally.
                let mut operands = vec![&**right];
                let mut first = &**left;
                while let ExprKind::Binary {
                    operator: inner,
                    left,
                    right,
                    ..
                } = &first.kind
                    && inner == operator
                {
                    operands.push(right);
                    first = left;
                }
                operands.push(first);
                for operand in operands.into_iter().rev() {
                    self.expression(operand, Position::Decides);
                }
            }
            ExprKind::Call { arguments, .. } => self.arguments(arguments),
            ExprKind::MethodCall { base, arguments, .. } => {
                let is_function = matches!(
                    self.checked.resolution(expr),
                    Some(Resolution::Function(_) | Resolution::Builtin(_))
                );
                if is_function {
                    self.arguments(arguments);
                } else {
                    self.expression(base, Position::Gives);
                    for argument in arguments {
                        self.expression(argument, Position::Gives);
                    }
                }
            }
            ExprKind::Unary {
                operator: UnaryOperator::Not,
                operand,
                ..
            } => self.expression(operand, Position::Decides),
            ExprKind::Ternary {
                condition,
                then,
                otherwise,
            } => {
                self.expression(condition, Position::Decides);
                self.expression(then, Position::Gives);
                self.expression(otherwise, Position::Gives);
            }
            _ => expr.for_each_child(|child| self.expression(child, Position::Gives)),
        }
    }

    /// An argument that is a variable whose value is known is handed on without being evaluated.
    fn arguments(&mut self, arguments: &[Expr]) {
        for argument in arguments {
            if !matches!(argument.without_parens().kind, ExprKind::Variable(_)) {
                self.expression(argument, Position::Gives);
            }
        }
    }

    fn count(&mut self, expr: &Expr, tally: Tally, position: Position) -> Reach {
        let is_reached = tally.total() > 0;
        self.figures.count(is_reached);
        // What is only compared need not have been both.
        let is_given = position == Position::Gives
            && matches!(
                expr.kind,
                ExprKind::Member { .. } | ExprKind::Index { .. } | ExprKind::Variable(_)
            );
        let is_bool = if is_given {
            false
        } else if tally.trues + tally.falses > 0 {
            tally.values == 0
        } else {
            self.checked.kinds(expr) == Kinds::only(Kind::Bool)
        };
        if is_bool {
            self.outcomes.count(tally.trues > 0);
            self.outcomes.count(tally.falses > 0);
        }
        let reach = match tally {
            _ if !is_reached => Reach::Never,
            _ if tally.errors == tally.total() => Reach::OnlyError,
            Tally { falses: 0, .. } if is_bool => Reach::OnlyTrue,
            Tally { trues: 0, .. } if is_bool => Reach::OnlyFalse,
            _ => Reach::Full,
        };
        self.push(expr.span, reach, tally);
        reach
    }

    /// An `allow` without a condition counts as one that can only be true.
    fn unconditional(&mut self, span: Span) {
        let tally = self.coverage.allow(span);
        self.figures.count(tally.total() > 0);
        let reach = if tally.total() > 0 {
            Reach::Full
        } else {
            Reach::Never
        };
        self.push(span, reach, tally);
    }

    fn push(&mut self, span: Span, reach: Reach, tally: Tally) {
        let start = self.source.position(span.start);
        let end = self.source.position(span.end);
        self.found.push(ExpressionCoverage {
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            text: shortened(&self.source.text()[span.range()]),
            reach,
            trues: tally.trues,
            falses: tally.falses,
            values: tally.values,
            errors: tally.errors,
            span,
            is_inner: reach == Reach::Never && self.unreached > 0
                || reach == Reach::OnlyError && self.failing > 0,
        });
    }
}

/// On one line, cut where it is long.
fn shortened(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let mut text = words.join(" ");
    if let Some((end, _)) = text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The lines of a file that count, by whether they were reached; for the page.
fn line_hits(file: &FileCoverage) -> BTreeMap<u32, &LineCoverage> {
    file.by_line.iter().map(|line| (line.line, line)).collect()
}

/// What is marked in a file, outer stretches before those inside of them.
fn marks(file: &FileCoverage) -> Vec<(Span, &ExpressionCoverage)> {
    let mut marks: Vec<_> = file
        .missing()
        .map(|expression| (expression.span, expression))
        .collect();
    marks.sort_by_key(|(span, _)| (span.start, Reverse(span.end)));
    marks
}
