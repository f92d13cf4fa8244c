//! The values that a test file writes down: expressions without a request.
//!
//! What operators, methods and functions mean is the evaluator's; here stands only how names are found, and that a key of
//! a map that is a name stands for itself. Recursion is bounded by the height of trees.

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_protocol::{DocumentPath, Map as StoredMap, Timestamp, Value as Stored};

use crate::evaluate::constant::{
    Context, Fault, List, Map, Methods, Octets, Part, Path, Text, Value, binary, call_builtin, index, negate,
    push_part, slice, truth,
};
use crate::language::{Namespace, builtin};
use crate::source::Span;
use crate::syntax::{BinaryOperator, Expr, ExprKind, PathPartKind, UnaryOperator};

/// The word for a field that is to be removed, or a document that is not there.
pub(super) const ABSENT: &str = "absent";

/// The name of the time of a request.
const NOW: &str = "now";

/// Why an expression has no value.
#[derive(Debug)]
pub(super) struct Unclear {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
}

impl Unclear {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn with_hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    fn fault(span: Span, fault: &Fault) -> Self {
        // The texts are those of the evaluator, which are whole sentences.
        let text = fault.to_string();
        Self::new(span, text.trim_end_matches('.'))
    }
}

type Evaluated<'a> = Result<Value<'a>, Unclear>;

/// The names in scope, the innermost last.
pub(super) type Scope<'a> = Vec<(Arc<str>, Value<'a>)>;

/// Evaluates expressions in a scope, at a time.
pub(super) struct Constants<'a, 's> {
    pub(super) context: &'s mut Context<'a>,
    pub(super) scope: &'s Scope<'a>,
    pub(super) now: Timestamp,
}

impl<'a> Constants<'a, '_> {
    /// What an expression comes to.
    pub(super) fn value(&mut self, expr: &'a Expr) -> Evaluated<'a> {
        let span = expr.span;
        let result = match &expr.kind {
            ExprKind::Null => Ok(Value::Null),
            ExprKind::Bool(value) => Ok(Value::Bool(*value)),
            ExprKind::Int(value) => Ok(Value::Int(*value)),
            ExprKind::Float(value) => Ok(Value::Float(*value)),
            ExprKind::String(text) => Ok(Value::String(Text::Borrowed(text))),
            ExprKind::Bytes(bytes) => Ok(Value::Bytes(Octets::Borrowed(bytes))),
            ExprKind::Variable(name) => return self.variable(&name.text, span),
            ExprKind::Paren(inner) => return self.value(inner),
            ExprKind::List(items) => {
                let items = self.values(items)?;
                Value::list(items)
            }
            ExprKind::Map(entries) => {
                let mut map = BTreeMap::new();
                for entry in entries {
                    let key = self.key(&entry.key)?;
                    let value = self.value(&entry.value)?;
                    if map.insert(key.clone(), value).is_some() {
                        let message = format!("the key `{}` stands twice in one map", &*key);
                        return Err(Unclear::new(entry.key.span, message));
                    }
                }
                Map::built(map).map(Value::Map)
            }
            ExprKind::Path(parts) => {
                let mut found = Vec::with_capacity(parts.len());
                for part in parts {
                    match &part.kind {
                        PathPartKind::Literal(text) => found.push(Part::Segment(Text::Borrowed(text))),
                        PathPartKind::Value(value) => {
                            let value = self.value(value)?;
                            push_part(&value, &mut found, self.context)
                                .map_err(|fault| Unclear::fault(part.span, &fault))?;
                        }
                        PathPartKind::Placeholder { .. } => {
                            return Err(Unclear::new(part.span, "a test names whole paths")
                                .with_hint("write the segment, or `$(name)` for a value"));
                        }
                    }
                }
                Ok(Value::Path(Path::Built(found.into())))
            }
            ExprKind::Member { base, name, is_safe } => {
                let base = self.value(base)?;
                match base.member(&name.text) {
                    Err(fault) if *is_safe && fault.is_absence() => Ok(Value::Null),
                    result => result,
                }
            }
            ExprKind::Index { base, index: at } => {
                let (base, at) = (self.value(base)?, self.value(at)?);
                index(&base, &at, self.context)
            }
            ExprKind::Slice { base, start, end } => {
                let base = self.value(base)?;
                let mut bound = |bound: &'a Option<Box<Expr>>| {
                    bound.as_deref().map(|bound| self.value(bound)).transpose()
                };
                let (start, end) = (bound(start)?, bound(end)?);
                slice(&base, start.as_ref(), end.as_ref(), self.context)
            }
            ExprKind::Call { function, arguments } => {
                return self.builtin(None, &function.text, arguments, span);
            }
            ExprKind::MethodCall {
                base,
                method,
                arguments,
                is_safe,
            } => {
                if let ExprKind::Variable(name) = &base.kind
                    && !self.scope.iter().any(|(known, _)| *known == name.text)
                    && let Some(namespace) = Namespace::from_name(&name.text)
                {
                    return self.builtin(Some(namespace), &method.text, arguments, span);
                }
                let base = self.value(base)?;
                if *is_safe && matches!(base, Value::Null) {
                    return Ok(Value::Null);
                }
                let arguments = self.values(arguments)?;
                Methods::named(&method.text).call(&method.text, &base, &arguments, None, self.context)
            }
            ExprKind::Unary {
                operator, operand, ..
            } => {
                let operand = self.value(operand)?;
                match operator {
                    UnaryOperator::Not => truth(&operand, "!").map(|truth| Value::Bool(!truth)),
                    UnaryOperator::Negate => negate(&operand),
                }
            }
            ExprKind::Binary {
                operator,
                left,
                right,
                ..
            } => match operator {
                BinaryOperator::And | BinaryOperator::Or => {
                    let left = self.value(left)?;
                    let decisive = *operator == BinaryOperator::Or;
                    match truth(&left, operator.as_str()) {
                        Ok(truth) if truth == decisive => Ok(left),
                        Ok(_) => return self.value(right),
                        Err(fault) => Err(fault),
                    }
                }
                BinaryOperator::Coalesce => match self.value(left)? {
                    Value::Null => return self.value(right),
                    left => Ok(left),
                },
                strict => {
                    let (left, right) = (self.value(left)?, self.value(right)?);
                    binary(*strict, &left, &right, self.context)
                }
            },
            ExprKind::Ternary {
                condition,
                then,
                otherwise,
            } => {
                let condition = self.value(condition)?;
                match truth(&condition, "") {
                    Ok(true) => return self.value(then),
                    Ok(false) => return self.value(otherwise),
                    Err(fault) => Err(fault),
                }
            }
            ExprKind::Quantified { .. } | ExprKind::Is { .. } => {
                return Err(Unclear::new(
                    span,
                    "this says something about rules, not about a value",
                ));
            }
            ExprKind::Error => return Err(Unclear::new(span, "the expression has a syntax error")),
        };
        result.map_err(|fault| Unclear::fault(span, &fault))
    }

    fn values(&mut self, exprs: &'a [Expr]) -> Result<Vec<Value<'a>>, Unclear> {
        exprs.iter().map(|expr| self.value(expr)).collect()
    }

    /// The key of a map: a name stands for itself.
    pub(super) fn key(&mut self, expr: &'a Expr) -> Result<Text<'a>, Unclear> {
        match &expr.kind {
            ExprKind::Variable(name) => Ok(Text::Borrowed(&name.text)),
            _ => match self.value(expr)? {
                Value::String(text) => Ok(text),
                other => Err(Unclear::new(
                    expr.span,
                    format!("a key is a name or a string, not {}", other.type_name()),
                )),
            },
        }
    }

    fn variable(&mut self, name: &str, span: Span) -> Evaluated<'a> {
        if let Some((_, value)) = self.scope.iter().rev().find(|(known, _)| **known == *name) {
            return Ok(value.clone());
        }
        match name {
            NOW => Ok(Value::Timestamp(i128::from(self.now.as_micros()) * 1000)),
            ABSENT => Err(Unclear::new(span, "`absent` is no value")
                .with_hint("it stands for a document in `given`, or a field in `merge` and `update`")),
            "request" | "resource" => Err(Unclear::new(span, format!("there is no `{name}` in a test"))
                .with_hint("a test says what the request is; its time is called `now`")),
            _ => Err(
                Unclear::new(span, format!("there is no variable `{name}`")).with_hint(
                    "text stands in quotes; values used often have a name: `let alice = { uid: 'alice' };`",
                ),
            ),
        }
    }

    fn builtin(
        &mut self,
        namespace: Option<Namespace>,
        name: &str,
        arguments: &'a [Expr],
        span: Span,
    ) -> Evaluated<'a> {
        let found = builtin(namespace, name).filter(|builtin| !builtin.id.is_lookup());
        let Some(found) = found else {
            return Err(Unclear::new(span, format!("a test cannot call `{name}`")));
        };
        let arguments = self.values(arguments)?;
        call_builtin(found, &arguments, self.context).map_err(|fault| Unclear::fault(span, &fault))
    }

    /// What an expression is as a value of a document.
    pub(super) fn stored(&mut self, expr: &'a Expr) -> Result<Stored, Unclear> {
        let value = self.value(expr)?;
        to_stored(&value).map_err(|message| Unclear::new(expr.span, message))
    }

    /// What an expression is as the data of a document.
    pub(super) fn data(&mut self, expr: &'a Expr) -> Result<StoredMap, Unclear> {
        match self.stored(expr)? {
            Stored::Map(map) => Ok(map),
            _ => Err(
                Unclear::new(expr.span, "this is no map, and what is in a document is one")
                    .with_hint("write `{ field: value }`"),
            ),
        }
    }
}

/// A value as documents hold it.
pub(super) fn to_stored(value: &Value<'_>) -> Result<Stored, String> {
    Ok(match value {
        Value::Null => Stored::Null,
        Value::Bool(value) => Stored::Boolean(*value),
        Value::Int(value) => Stored::Integer(*value),
        Value::Float(value) => Stored::Double(*value),
        Value::String(text) => Stored::String(text.to_string()),
        Value::Bytes(bytes) => Stored::Bytes(bytes.to_vec()),
        Value::Timestamp(_) => Stored::Timestamp(to_timestamp(value)?),
        Value::LatLng(point) => Stored::GeoPoint(*point),
        Value::List(list) => Stored::Array(stored_list(list)?),
        Value::Map(map) => Stored::Map(stored_map(map)?),
        Value::Path(path) => Stored::Reference(to_document(path)?),
        Value::Duration(_) | Value::Set(_) | Value::MapDiff(_) | Value::Object(_) => {
            return Err(format!("a document holds no {}", value.type_name()));
        }
    })
}

fn stored_list(list: &List<'_>) -> Result<Vec<Stored>, String> {
    list.iter().map(|element| to_stored(&element)).collect()
}

fn stored_map(map: &Map<'_>) -> Result<StoredMap, String> {
    map.iter()
        .map(|(key, value)| Ok((key.to_string(), to_stored(&value)?)))
        .collect()
}

/// A moment; a string is read as RFC 3339.
pub(super) fn to_timestamp(value: &Value<'_>) -> Result<Timestamp, String> {
    let outside = || "the time is not within the years 1 to 9999".to_owned();
    match value {
        Value::Timestamp(nanos) => i64::try_from(nanos.div_euclid(1000))
            .ok()
            .and_then(Timestamp::from_micros)
            .ok_or_else(outside),
        Value::String(text) => text
            .parse()
            .map_err(|_| format!("`{}` is no time like `2026-01-31T12:00:00Z`", &**text)),
        other => Err(format!("this is {}, not a time", other.type_name())),
    }
}

/// The segments of a path, without what stands before every document's.
pub(super) fn segments(path: &Path<'_>) -> Result<Vec<String>, String> {
    let Path::Built(parts) = path else {
        return Err("this is no path of a test".to_owned());
    };
    let mut segments = Vec::with_capacity(parts.len());
    for part in parts.iter() {
        match part {
            Part::Segment(text) if text.contains('/') => {
                return Err(format!("the segment `{}` contains a slash", &**text));
            }
            Part::Segment(text) => segments.push(text.to_string()),
            Part::Placeholder { .. } => return Err("a part of the path is not bound".to_owned()),
        }
    }
    if let [databases, _, documents, rest @ ..] = segments.as_slice()
        && databases == "databases"
        && documents == "documents"
    {
        return Ok(rest.to_vec());
    }
    Ok(segments)
}

/// The document that a path names.
pub(super) fn to_document(path: &Path<'_>) -> Result<DocumentPath, String> {
    let text = segments(path)?.join("/");
    text.parse()
        .map_err(|error: andiron_protocol::InputError| error.detail)
}
