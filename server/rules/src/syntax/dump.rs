//! The tree as text: one declaration a line, expressions with every grouping shown.
//!
//! Two files have equal dumps exactly if their trees are equal but for places, comments and superfluous parentheses.

use std::fmt::Write as _;

use super::{
    Expr, ExprKind, File, Function, Item, Let, Literal, Member, Name, PathPartKind, Segment, SegmentKind,
    TypeExpr, TypeKind,
};

/// The tree of a file, for tests and for people who write tools.
pub fn dump(file: &File) -> String {
    let mut text = format!("version {}\n", file.version.as_str());
    for import in &file.imports {
        let alias = import
            .alias
            .as_ref()
            .map_or(String::new(), |name| format!(" as {}", name.text));
        let _ = writeln!(text, "import {:?}{alias}", import.path);
    }
    for item in &file.items {
        match item {
            Item::Service(service) => {
                let known = if service.kind.is_some() { "" } else { " (unknown)" };
                let _ = writeln!(text, "service {}{known}", service.name.text);
                members(&mut text, &service.members, 1);
            }
            Item::Function(inner) => function(&mut text, inner, 0),
            Item::Type(declaration) => {
                docs(&mut text, declaration.docs.as_deref(), 0);
                let _ = writeln!(
                    text,
                    "type {} = {}",
                    declaration.name.text,
                    type_text(&declaration.definition)
                );
            }
        }
    }
    text
}

/// Whether two expressions are equal but for places and superfluous parentheses.
pub(crate) fn same_expression(one: &Expr, other: &Expr) -> bool {
    expression_text(one) == expression_text(other)
}

/// An expression with every grouping shown.
fn expression_text(expr: &Expr) -> String {
    let mut text = String::new();
    expression(&mut text, expr);
    text
}

fn line(text: &mut String, depth: usize, content: &str) {
    let _ = writeln!(text, "{:indent$}{content}", "", indent = depth * 2);
}

fn docs(text: &mut String, docs: Option<&str>, depth: usize) {
    for doc in docs.into_iter().flat_map(str::lines) {
        line(text, depth, &format!("/// {doc}"));
    }
}

fn members(text: &mut String, list: &[Member], depth: usize) {
    for member in list {
        match member {
            Member::Match(inner) => {
                docs(text, inner.docs.as_deref(), depth);
                let pattern: String = inner.pattern.segments.iter().map(segment).collect();
                let required = inner
                    .type_name
                    .as_ref()
                    .map_or(String::new(), |name| format!(" is {}", name.text));
                line(text, depth, &format!("match {pattern}{required}"));
                members(text, &inner.members, depth + 1);
            }
            Member::Allow(allow) => {
                let operations: Vec<&str> = allow
                    .operations
                    .iter()
                    .map(|operation| &*operation.name.text)
                    .collect();
                let condition = allow
                    .condition
                    .as_ref()
                    .map_or("always".to_owned(), expression_text);
                let reason = allow
                    .reason
                    .as_ref()
                    .map_or(String::new(), |reason| format!(" else {:?}", reason.text));
                line(
                    text,
                    depth,
                    &format!("allow {}: {condition}{reason}", operations.join(", ")),
                );
            }
            Member::Function(inner) => function(text, inner, depth),
            Member::Let(inner) => binding(text, inner, depth),
        }
    }
}

fn function(text: &mut String, inner: &Function, depth: usize) {
    docs(text, inner.docs.as_deref(), depth);
    let parameters: Vec<&str> = inner.parameters.iter().map(|name| &*name.text).collect();
    line(
        text,
        depth,
        &format!("function {}({})", inner.name.text, parameters.join(", ")),
    );
    for inner in &inner.lets {
        binding(text, inner, depth + 1);
    }
    line(
        text,
        depth + 1,
        &format!("return {}", expression_text(&inner.body)),
    );
}

fn binding(text: &mut String, inner: &Let, depth: usize) {
    line(
        text,
        depth,
        &format!("let {} = {}", inner.name.text, expression_text(&inner.value)),
    );
}

fn segment(segment: &Segment) -> String {
    match &segment.kind {
        SegmentKind::Literal(literal) => format!("/{literal}"),
        SegmentKind::Capture { name, is_glob } => capture(name, *is_glob),
        SegmentKind::Error => "/(error)".to_owned(),
    }
}

fn capture(name: &Name, is_glob: bool) -> String {
    format!("/{{{}{}}}", name.text, if is_glob { "=**" } else { "" })
}

fn expression(text: &mut String, expr: &Expr) {
    let mut list = |head: &str, parts: &[&Expr]| {
        let _ = write!(text, "({head}");
        for part in parts {
            text.push(' ');
            expression(text, part);
        }
        text.push(')');
    };
    match &expr.kind {
        ExprKind::Null => text.push_str("null"),
        ExprKind::Bool(value) => drop(write!(text, "{value}")),
        ExprKind::Int(value) => drop(write!(text, "{value}")),
        ExprKind::Float(value) => drop(write!(text, "{value:?}")),
        ExprKind::String(value) => drop(write!(text, "{value:?}")),
        ExprKind::Bytes(value) => drop(write!(text, "b\"{}\"", value.escape_ascii())),
        ExprKind::Variable(name) => text.push_str(&name.text),
        ExprKind::List(items) => list("list", &items.iter().collect::<Vec<_>>()),
        ExprKind::Map(entries) => {
            let parts: Vec<&Expr> = entries
                .iter()
                .flat_map(|entry| [&entry.key, &entry.value])
                .collect();
            list("map", &parts);
        }
        ExprKind::Path(parts) => {
            text.push_str("(path ");
            for part in parts {
                match &part.kind {
                    PathPartKind::Literal(literal) => drop(write!(text, "/{literal}")),
                    PathPartKind::Value(value) => {
                        text.push_str("/$");
                        expression(text, value);
                    }
                    PathPartKind::Placeholder { name, is_glob } => text.push_str(&capture(name, *is_glob)),
                }
            }
            text.push(')');
        }
        ExprKind::Paren(inner) => expression(text, inner),
        ExprKind::Member { base, name, is_safe } => {
            let dot = if *is_safe { "?." } else { "." };
            list(&format!("{dot}{}", name.text), &[base]);
        }
        ExprKind::Index { base, index } => list("index", &[base, index]),
        ExprKind::Slice { base, start, end } => {
            text.push_str("(slice ");
            expression(text, base);
            for bound in [start, end] {
                text.push(' ');
                match bound {
                    Some(bound) => expression(text, bound),
                    None => text.push('_'),
                }
            }
            text.push(')');
        }
        ExprKind::Call { function, arguments } => {
            list(
                &format!("call {}", function.text),
                &arguments.iter().collect::<Vec<_>>(),
            );
        }
        ExprKind::MethodCall {
            base,
            method,
            arguments,
            is_safe,
        } => {
            let dot = if *is_safe { "?." } else { "." };
            let parts: Vec<&Expr> = std::iter::once(&**base).chain(arguments).collect();
            list(&format!("call {dot}{}", method.text), &parts);
        }
        ExprKind::Quantified {
            base,
            quantifier,
            variable,
            body,
            ..
        } => list(
            &format!("{} {}", quantifier.as_str(), variable.text),
            &[base, body],
        ),
        ExprKind::Unary {
            operator, operand, ..
        } => list(operator.as_str(), &[operand]),
        ExprKind::Binary {
            operator,
            left,
            right,
            ..
        } => list(operator.as_str(), &[left, right]),
        ExprKind::Is { value, type_name, .. } => list(&format!("is {}", type_name.text), &[value]),
        ExprKind::Ternary {
            condition,
            then,
            otherwise,
        } => list("?", &[condition, then, otherwise]),
        ExprKind::Error => text.push_str("(error)"),
    }
}

fn type_text(definition: &TypeExpr) -> String {
    let joined =
        |types: &[TypeExpr], separator: &str| types.iter().map(type_text).collect::<Vec<_>>().join(separator);
    match &definition.kind {
        TypeKind::Named { name, arguments } if arguments.is_empty() => name.text.to_string(),
        TypeKind::Named { name, arguments } => format!("{}<{}>", name.text, joined(arguments, ", ")),
        TypeKind::Literal(literal) => match literal {
            Literal::Null => "null".to_owned(),
            Literal::Bool(value) => value.to_string(),
            Literal::Int(value) => value.to_string(),
            Literal::Float(value) => format!("{value:?}"),
            Literal::String(value) => format!("{value:?}"),
        },
        TypeKind::Map { fields, is_open } => {
            let mut parts: Vec<String> = Vec::new();
            for field in fields {
                let mark = if field.is_optional { "?" } else { "" };
                let docs = field
                    .docs
                    .as_ref()
                    .map_or(String::new(), |docs| format!("/// {docs:?} "));
                parts.push(format!(
                    "{docs}{:?}{mark}: {}",
                    field.name.text,
                    type_text(&field.value)
                ));
            }
            if *is_open {
                parts.push("...".to_owned());
            }
            format!("{{{}}}", parts.join(", "))
        }
        TypeKind::Union(alternatives) => format!("({})", joined(alternatives, " | ")),
        TypeKind::Paren(inner) => type_text(inner),
        TypeKind::Where { base, condition } => {
            format!("({} where {})", type_text(base), expression_text(condition))
        }
        TypeKind::Error => "(error)".to_owned(),
    }
}
