//! JSON Schema, draft 2020-12.

use serde_json::{Map, Value, json};

use super::model::{Model, Shape, Special};
use crate::syntax::{BinaryOperator, Expr, ExprKind, Literal};

/// Where the schema says which collection holds which type; schemas may have keywords of their own.
const COLLECTIONS: &str = "x-andiron-collections";

pub(super) fn print(model: &Model<'_>) -> String {
    let mut definitions = Map::new();
    for special in model.specials() {
        definitions.insert(special.name().to_owned(), special_schema(special));
    }
    for declared in &model.types {
        let mut schema = schema(model, &declared.shape);
        describe(&mut schema, declared.docs.as_deref());
        definitions.insert(declared.name.clone(), schema);
    }
    let collections: Map<_, _> = model
        .collections
        .iter()
        .map(|(pattern, place)| (pattern.clone(), reference(&model.types[*place].name)))
        .collect();
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": definitions,
        COLLECTIONS: collections,
    });
    let text = serde_json::to_string_pretty(&whole).expect("a schema is plain data");
    format!("{text}\n")
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn special_schema(special: Special) -> Value {
    let value = match special {
        Special::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Special::Reference => json!({ "type": "string" }),
        Special::Timestamp => json!({ "type": "string", "format": "date-time" }),
        Special::GeoPoint => json!({
            "type": "array",
            "prefixItems": [
                { "type": "number", "minimum": -90, "maximum": 90 },
                { "type": "number", "minimum": -180, "maximum": 180 },
            ],
            "items": false,
            "minItems": 2,
        }),
    };
    json!({
        "description": special.docs(),
        "type": "object",
        "properties": { special.key(): value },
        "required": [special.key()],
        "additionalProperties": false,
    })
}

fn describe(schema: &mut Value, docs: Option<&str>) {
    if let (Value::Object(map), Some(docs)) = (schema, docs) {
        map.insert("description".to_owned(), json!(docs));
    }
}

fn schema(model: &Model<'_>, shape: &Shape<'_>) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Never => json!({ "not": {} }),
        Shape::Null => json!({ "type": "null" }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Int => json!({ "type": "integer" }),
        Shape::Float | Shape::Number => json!({ "type": "number" }),
        Shape::String => json!({ "type": "string" }),
        Shape::Special(special) => reference(special.name()),
        Shape::List(element) => json!({ "type": "array", "items": schema(model, element) }),
        Shape::Map(value) => json!({ "type": "object", "additionalProperties": schema(model, value) }),
        Shape::Object { fields, is_open } => {
            let properties: Map<_, _> = fields
                .iter()
                .map(|field| {
                    let mut property = schema(model, &field.shape);
                    describe(&mut property, field.docs.as_deref());
                    (field.name.to_owned(), property)
                })
                .collect();
            let required: Vec<_> = fields
                .iter()
                .filter(|field| !field.is_optional)
                .map(|field| field.name)
                .collect();
            let mut object = json!({ "type": "object", "properties": properties });
            if !required.is_empty() {
                object["required"] = json!(required);
            }
            if !is_open {
                object["additionalProperties"] = json!(false);
            }
            object
        }
        Shape::Literal(literal) => match literal {
            Literal::Null => json!({ "type": "null" }),
            Literal::Bool(value) => json!({ "const": value }),
            Literal::Int(value) => json!({ "const": value }),
            Literal::Float(value) => json!({ "const": value }),
            Literal::String(value) => json!({ "const": &**value }),
        },
        Shape::Union(shapes) => match literals(shapes) {
            Some(values) => json!({ "enum": values }),
            None => {
                let all: Vec<_> = shapes.iter().map(|shape| schema(model, shape)).collect();
                json!({ "anyOf": all })
            }
        },
        Shape::Declared(place) => reference(&model.types[*place].name),
        Shape::Where {
            base,
            condition,
            text,
        } => {
            let mut narrowed = schema(model, base);
            let mut keywords = Map::new();
            let is_whole = keywords_of(condition, base.base(), &mut keywords);
            if !is_whole {
                let said = match narrowed.get("$comment").and_then(Value::as_str) {
                    Some(before) => format!("{before}; where {text}"),
                    None => format!("where {text}"),
                };
                keywords.insert("$comment".to_owned(), json!(said));
            }
            let has_clash = keywords
                .keys()
                .any(|key| key != "$comment" && narrowed.get(key).is_some());
            match &mut narrowed {
                Value::Object(map) if !has_clash => map.extend(keywords),
                _ => narrowed = json!({ "allOf": [narrowed, keywords] }),
            }
            narrowed
        }
    }
}

/// The values of a union of nothing but literals.
fn literals(shapes: &[Shape<'_>]) -> Option<Vec<Value>> {
    shapes
        .iter()
        .map(|shape| match shape {
            Shape::Null => Some(Value::Null),
            Shape::Literal(Literal::Bool(value)) => Some(json!(value)),
            Shape::Literal(Literal::Int(value)) => Some(json!(value)),
            Shape::Literal(Literal::Float(value)) => Some(json!(value)),
            Shape::Literal(Literal::String(value)) => Some(json!(&**value)),
            _ => None,
        })
        .collect()
}

/// Adds keywords that say what a condition says, as far as there are some; whether they say all of it.
fn keywords_of(condition: &Expr, base: &Shape<'_>, keywords: &mut Map<String, Value>) -> bool {
    match &condition.without_parens().kind {
        ExprKind::Binary {
            operator: BinaryOperator::And,
            left,
            right,
            ..
        } => {
            let left = keywords_of(left, base, keywords);
            keywords_of(right, base, keywords) && left
        }
        ExprKind::Binary {
            operator,
            left,
            right,
            ..
        } => {
            let Some((keyword, bound)) = bound(*operator, left, right, base) else {
                return false;
            };
            keywords.insert(keyword.to_owned(), bound).is_none()
        }
        ExprKind::Call { function, arguments }
            if &*function.text == "matches" && matches!(base, Shape::String) =>
        {
            match arguments.first().map(|argument| &argument.without_parens().kind) {
                Some(ExprKind::String(pattern)) => {
                    let pattern = format!("^(?:{pattern})$");
                    keywords.insert("pattern".to_owned(), json!(pattern)).is_none()
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// `size() <= 120`, `this >= 0`
fn bound(
    operator: BinaryOperator,
    left: &Expr,
    right: &Expr,
    base: &Shape<'_>,
) -> Option<(&'static str, Value)> {
    let of_this = match &left.without_parens().kind {
        ExprKind::Variable(name) => &*name.text == "this",
        ExprKind::Call { function, arguments } if &*function.text == "size" && arguments.is_empty() => false,
        _ => return None,
    };
    let limit = right.without_parens();
    if of_this {
        let is_number = matches!(base, Shape::Int | Shape::Float | Shape::Number);
        let value = number(limit).filter(|_| is_number)?;
        let keyword = match operator {
            BinaryOperator::LessOrEqual => "maximum",
            BinaryOperator::Less => "exclusiveMaximum",
            BinaryOperator::GreaterOrEqual => "minimum",
            BinaryOperator::Greater => "exclusiveMinimum",
            _ => return None,
        };
        return Some((keyword, value));
    }
    let ExprKind::Int(size) = limit.kind else {
        return None;
    };
    let (max, min) = match base {
        Shape::String => ("maxLength", "minLength"),
        Shape::List(_) => ("maxItems", "minItems"),
        Shape::Map(_) | Shape::Object { .. } => ("maxProperties", "minProperties"),
        _ => return None,
    };
    let (keyword, size) = match operator {
        BinaryOperator::LessOrEqual => (max, size),
        BinaryOperator::Less => (max, size.checked_sub(1)?),
        BinaryOperator::GreaterOrEqual => (min, size),
        BinaryOperator::Greater => (min, size.checked_add(1)?),
        _ => return None,
    };
    (size >= 0).then(|| (keyword, json!(size)))
}

fn number(expr: &Expr) -> Option<Value> {
    match &expr.kind {
        ExprKind::Int(value) => Some(json!(value)),
        ExprKind::Float(value) => Some(json!(value)),
        ExprKind::Unary {
            operator: crate::syntax::UnaryOperator::Negate,
            operand,
            ..
        } => match operand.kind {
            ExprKind::Int(value) => Some(json!(value.checked_neg()?)),
            ExprKind::Float(value) => Some(json!(-value)),
            _ => None,
        },
        _ => None,
    }
}
