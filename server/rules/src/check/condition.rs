//! What a condition needs, without knowing any value: the parts that have to succeed if it is to be true, and conditions
//! that are always true or always false.
//!
//! Both follow calls of the program's own functions and their bindings, so that a test in a function counts.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Checked, FunctionId, Resolution, VariableId, VariableKind};
use crate::syntax::{BinaryOperator, Expr, ExprKind, PathPartKind, UnaryOperator};

/// How many calls deep conditions are followed.
const DEPTH_MAX: usize = 12;

/// How many expressions are looked at to find out whether a condition is always the same.
const STEPS_MAX: usize = 2000;

/// Whether a condition is always true or always false, if either. It is not called true if it might fail.
pub(super) fn constant(checked: &Checked, expr: &Expr) -> Option<bool> {
    Constant {
        checked,
        steps_left: STEPS_MAX,
    }
    .value(expr, DEPTH_MAX)
}

struct Constant<'a> {
    checked: &'a Checked,
    steps_left: usize,
}

impl Constant<'_> {
    fn value(&mut self, expr: &Expr, depth: usize) -> Option<bool> {
        self.steps_left = self.steps_left.checked_sub(1)?;
        match &expr.kind {
            ExprKind::Bool(value) => Some(*value),
            ExprKind::Paren(inner) => self.value(inner, depth),
            ExprKind::Unary {
                operator: UnaryOperator::Not,
                operand,
                ..
            } => self.value(operand, depth).map(|value| !value),
            ExprKind::Binary {
                operator,
                left,
                right,
                ..
            } => match operator {
                BinaryOperator::And | BinaryOperator::Or => {
                    let deciding = *operator == BinaryOperator::Or;
                    match (self.value(left, depth), self.value(right, depth)) {
                        (Some(one), _) | (_, Some(one)) if one == deciding => Some(deciding),
                        (Some(_), Some(other)) => Some(other),
                        _ => None,
                    }
                }
                BinaryOperator::Equal => literals_equal(left, right),
                BinaryOperator::NotEqual => literals_equal(left, right).map(|equal| !equal),
                _ => None,
            },
            ExprKind::Ternary {
                condition,
                then,
                otherwise,
            } => match self.value(condition, depth)? {
                true => self.value(then, depth),
                false => self.value(otherwise, depth),
            },
            ExprKind::Call { .. } | ExprKind::MethodCall { .. } => match self.checked.resolution(expr)? {
                Resolution::Function(id) => {
                    let function = Arc::clone(self.checked.function(id));
                    self.value(&function.body, depth.checked_sub(1)?)
                }
                _ => None,
            },
            ExprKind::Variable(_) => match self.checked.resolution(expr)? {
                Resolution::Variable(id) => {
                    let binding = binding(self.checked, id)?;
                    self.value(&binding.value, depth.checked_sub(1)?)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

fn binding(checked: &Checked, id: VariableId) -> Option<Arc<crate::syntax::Let>> {
    match &checked.variable(id).kind {
        VariableKind::Let(binding) | VariableKind::MatchLet(binding) => Some(Arc::clone(binding)),
        VariableKind::Parameter(..) | VariableKind::Capture(_) | VariableKind::Element => None,
    }
}

/// Whether two literals are equal, if both are literals.
fn literals_equal(left: &Expr, right: &Expr) -> Option<bool> {
    match (&left.without_parens().kind, &right.without_parens().kind) {
        (ExprKind::Int(one), ExprKind::Int(other)) => Some(one == other),
        (ExprKind::String(one), ExprKind::String(other)) => Some(one == other),
        (ExprKind::Bool(one), ExprKind::Bool(other)) => Some(one == other),
        (ExprKind::Null, ExprKind::Null) => Some(true),
        _ => None,
    }
}

/// Calls `visit` with every part of a condition that has to succeed if the condition is to be true, each before its own
/// parts. Alternatives (`||`, the branches of `? :`, the right side of `??`) are left out: none of them has to succeed.
pub(super) fn for_each_necessary(checked: &Checked, condition: &Expr, visit: &mut dyn FnMut(&Expr)) {
    Necessary {
        checked,
        functions: HashSet::new(),
        bindings: HashSet::new(),
        visit,
    }
    .expression(condition, DEPTH_MAX);
}

/// Whether any part of a condition, alternatives included, is such.
pub(super) fn mentions(checked: &Checked, condition: &Expr, wanted: &mut dyn FnMut(&Expr) -> bool) -> bool {
    let mut found = false;
    let mut functions = HashSet::new();
    let mut bindings = HashSet::new();
    let mut waiting = vec![MentionsIn::Expression(condition)];
    // Expressions of functions are held by the functions themselves, which live as long as the result of the check.
    while let Some(next) = waiting.pop() {
        let expr = match next {
            MentionsIn::Expression(expr) => expr,
            MentionsIn::Function(id) => {
                let function = &checked.functions[id.0 as usize];
                waiting.push(MentionsIn::Expression(&function.body));
                continue;
            }
            MentionsIn::Binding(id) => {
                if let VariableKind::Let(binding) | VariableKind::MatchLet(binding) =
                    &checked.variable(id).kind
                {
                    waiting.push(MentionsIn::Expression(&binding.value));
                }
                continue;
            }
        };
        expr.walk(&mut |part| {
            found |= wanted(part);
            match checked.resolution(part) {
                Some(Resolution::Function(id)) if functions.insert(id) => {
                    waiting.push(MentionsIn::Function(id))
                }
                Some(Resolution::Variable(id)) if bindings.insert(id) => {
                    waiting.push(MentionsIn::Binding(id))
                }
                _ => {}
            }
        });
        if found {
            return true;
        }
    }
    false
}

enum MentionsIn<'a> {
    Expression(&'a Expr),
    Function(FunctionId),
    Binding(VariableId),
}

struct Necessary<'a> {
    checked: &'a Checked,
    /// What has been followed already; following it again would say nothing new.
    functions: HashSet<FunctionId>,
    bindings: HashSet<VariableId>,
    visit: &'a mut dyn FnMut(&Expr),
}

impl Necessary<'_> {
    fn expression(&mut self, expr: &Expr, depth: usize) {
        (self.visit)(expr);
        match &expr.kind {
            ExprKind::Binary {
                operator: BinaryOperator::Or,
                ..
            } => {}
            ExprKind::Binary {
                operator: BinaryOperator::Coalesce,
                ..
            } => {}
            ExprKind::Ternary { condition, .. } => self.expression(condition, depth),
            ExprKind::Quantified { base, .. } => self.expression(base, depth),
            ExprKind::Member {
                base, is_safe: true, ..
            } => self.expression(base, depth),
            ExprKind::Path(parts) => {
                for part in parts {
                    if let PathPartKind::Value(value) = &part.kind {
                        self.expression(value, depth);
                    }
                }
            }
            ExprKind::Variable(_) => {
                if let Some(Resolution::Variable(id)) = self.checked.resolution(expr)
                    && let Some(depth) = depth.checked_sub(1)
                    && self.bindings.insert(id)
                    && let Some(binding) = binding(self.checked, id)
                {
                    self.expression(&binding.value, depth);
                }
            }
            _ => {
                let mut children = Vec::new();
                expr.for_each_child(|child| children.push(child));
                for child in children {
                    self.expression(child, depth);
                }
                if let Some(Resolution::Function(id)) = self.checked.resolution(expr)
                    && let Some(depth) = depth.checked_sub(1)
                    && self.functions.insert(id)
                {
                    let function = Arc::clone(self.checked.function(id));
                    self.expression(&function.body, depth);
                }
            }
        }
    }
}

/// Whether an expression is `request.resource`.
pub(super) fn is_request_resource(checked: &Checked, expr: &Expr) -> bool {
    is_request_member(checked, expr, "resource")
}

/// Whether an expression is `request.NAME`.
pub(super) fn is_request_member(checked: &Checked, expr: &Expr, wanted: &str) -> bool {
    match &expr.kind {
        ExprKind::Member { base, name, .. } => {
            &*name.text == wanted && checked.resolution(base.without_parens()) == Some(Resolution::Request)
        }
        _ => false,
    }
}

/// Whether an expression reads a member of `resource`, the stored document.
pub(super) fn reads_resource(checked: &Checked, expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Member {
            base, is_safe: false, ..
        } => checked.resolution(base.without_parens()) == Some(Resolution::Resource),
        _ => false,
    }
}
