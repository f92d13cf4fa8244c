//! Examples: values that schemas describe, and JSON laid out for people.

use std::fmt::Write as _;

use super::ordered_json::Json;

/// Levels of an example; a schema may contain itself.
const EXAMPLE_DEPTH_MAX: usize = 6;
/// Characters of a line of JSON.
const LINE_CHARS_MAX: usize = 76;

/// A value that a schema of a document describes: the schema's own example, or one put together from its parts.
pub(crate) fn example_of(document: &Json, schema: &Json) -> Json {
    of_schema(document, schema, 0)
}

fn of_schema(document: &Json, schema: &Json, depth: usize) -> Json {
    let schema = resolve(document, schema);
    let given = schema
        .get("example")
        .or_else(|| schema["examples"].elements().first());
    if let Some(example) = given.or_else(|| schema["enum"].elements().first()) {
        return example.clone();
    }
    if depth == EXAMPLE_DEPTH_MAX {
        return Json::Null;
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        let mut choices = schema[choice].elements().iter();
        if let Some(first) = choices.find(|choice| choice["type"].text() != "null") {
            return of_schema(document, first, depth);
        }
    }
    match type_names(schema).first().copied() {
        Some("object") => {
            let required = schema["required"].elements();
            let is_shown = |name: &str, property: &Json| {
                required.iter().any(|required| required.text() == name) || property.get("example").is_some()
            };
            let mut members: Vec<_> = schema["properties"]
                .members()
                .filter(|(name, property)| is_shown(name, property))
                .map(|(name, property)| (name.to_owned(), of_schema(document, property, depth + 1)))
                .collect();
            if schema["additionalProperties"].is_object() {
                let value = of_schema(document, &schema["additionalProperties"], depth + 1);
                members.push(("total".to_owned(), value));
            }
            Json::Object(members)
        }
        Some("array") => Json::Array(vec![of_schema(document, &schema["items"], depth + 1)]),
        Some("integer" | "number") => Json::Number(12.into()),
        Some("boolean") => Json::Boolean(true),
        Some("string") => Json::Text("…".to_owned()),
        _ => Json::Null,
    }
}

/// The thing itself where there is a reference to it.
pub(crate) fn resolve<'d>(document: &'d Json, value: &'d Json) -> &'d Json {
    document.follow(value["$ref"].text()).unwrap_or(value)
}

/// The types that a schema allows, by their names.
pub(crate) fn type_names(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::Text(name) => vec![name],
        names => names.elements().iter().map(Json::text).collect(),
    }
}

/// JSON over several lines where one would be long.
pub(crate) fn pretty(value: &Json) -> String {
    let mut out = String::new();
    lay_out(value, 0, 0, &mut out);
    out
}

/// Writes a value whose first line begins at `column` and whose others are indented by `indent`.
fn lay_out(value: &Json, column: usize, indent: usize, out: &mut String) {
    let line = value.to_string();
    let parts: Vec<(String, &Json)> = match value {
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| (format!("{}: ", Json::Text(name.clone())), value))
            .collect(),
        Json::Array(elements) => elements.iter().map(|value| (String::new(), value)).collect(),
        _ => Vec::new(),
    };
    if parts.is_empty() || column + line.chars().count() <= LINE_CHARS_MAX {
        out.push_str(&line);
        return;
    }
    let (open, close) = if value.is_object() { ('{', '}') } else { ('[', ']') };
    let inner = indent + 2;
    out.push(open);
    for (index, (name, value)) in parts.iter().enumerate() {
        let _ = write!(out, "{}\n{:inner$}{name}", if index > 0 { "," } else { "" }, "");
        lay_out(value, inner + name.chars().count(), inner, out);
    }
    let _ = write!(out, "\n{:indent$}{close}", "");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn long_json_is_laid_out_over_lines_and_short_json_is_not() {
        assert_eq!(pretty(&json(r#"{"a":[1,2]}"#)), r#"{"a": [1, 2]}"#);
        let long = "x".repeat(60);
        assert_eq!(
            pretty(&json(&format!(r#"{{"name":["{long}",{{"b":1}}],"c":null}}"#))),
            format!("{{\n  \"name\": [\n    \"{long}\",\n    {{\"b\": 1}}\n  ],\n  \"c\": null\n}}")
        );
    }

    #[test]
    fn an_example_is_put_together_from_the_parts_of_a_schema() {
        let document = json(
            r##"{"components":{"schemas":{"Node":{"type":"object","required":["name","next","count"],
                "properties":{"name":{"type":"string","example":"n"},"count":{"type":["integer","null"]},
                "other":{"type":"string"},"next":{"oneOf":[{"type":"null"},{"$ref":"#/components/schemas/Node"}]}}}}}}"##,
        );
        let example = example_of(&document, &json(r##"{"$ref":"#/components/schemas/Node"}"##));
        assert_eq!(
            (example["name"].text(), example["next"]["name"].text()),
            ("n", "n")
        );
        assert_eq!(example["count"], Json::Number(12.into()));
        assert!(example.get("other").is_none());
    }
}
