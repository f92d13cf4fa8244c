//! Walking over a whole file.

use super::{Expr, File, Function, Item, Let, Match, Member, TypeExpr, TypeKind};

impl File {
    /// Calls `visit` with every expression of the file, each before those below it.
    pub fn for_each_expression<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        for item in &self.items {
            match item {
                Item::Service(service) => in_members(&service.members, visit),
                Item::Function(function) => in_function(function, visit),
                Item::Type(declaration) => declaration.definition.for_each_expression(visit),
            }
        }
    }
}

impl Match {
    /// The matches directly inside, in order.
    pub fn matches(&self) -> impl Iterator<Item = &Self> {
        self.members.iter().filter_map(|member| match member {
            Member::Match(inner) => Some(inner),
            Member::Allow(_) | Member::Function(_) | Member::Let(_) => None,
        })
    }

    /// The allows directly inside, in order.
    pub fn allows(&self) -> impl Iterator<Item = &super::Allow> {
        self.members.iter().filter_map(|member| match member {
            Member::Allow(allow) => Some(allow),
            Member::Match(_) | Member::Function(_) | Member::Let(_) => None,
        })
    }
}

impl TypeExpr {
    /// Calls `visit` with the expressions of the conditions in this type, each before those below it.
    pub fn for_each_expression<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        match &self.kind {
            TypeKind::Named { arguments, .. } => arguments
                .iter()
                .for_each(|inner| inner.for_each_expression(visit)),
            TypeKind::Union(alternatives) => alternatives
                .iter()
                .for_each(|inner| inner.for_each_expression(visit)),
            TypeKind::Map { fields, .. } => fields
                .iter()
                .for_each(|field| field.value.for_each_expression(visit)),
            TypeKind::Paren(inner) => inner.for_each_expression(visit),
            TypeKind::Where { base, condition } => {
                base.for_each_expression(visit);
                condition.walk(visit);
            }
            TypeKind::Literal(_) | TypeKind::Error => {}
        }
    }
}

fn in_members<'a>(members: &'a [Member], visit: &mut impl FnMut(&'a Expr)) {
    for member in members {
        match member {
            Member::Match(inner) => in_members(&inner.members, visit),
            Member::Allow(allow) => {
                if let Some(condition) = &allow.condition {
                    condition.walk(visit);
                }
            }
            Member::Function(function) => in_function(function, visit),
            Member::Let(binding) => binding.value.walk(visit),
        }
    }
}

fn in_function<'a>(function: &'a Function, visit: &mut impl FnMut(&'a Expr)) {
    let values = function
        .lets
        .iter()
        .map(|binding: &std::sync::Arc<Let>| &binding.value);
    for expression in values.chain([&function.body]) {
        expression.walk(visit);
    }
}
