//! The page: the document for people, in one piece of HTML that loads nothing.

use std::fmt::Write as _;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::markdown::{escape, inline, to_html};

const STYLE: &str = include_str!("page.css");
/// The methods that operations have, in the order in which they are shown.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// Levels of an example; a schema may contain itself.
const EXAMPLE_DEPTH_MAX: usize = 6;
/// Where the examples are sent to.
const EXAMPLE_SERVER: &str = "http://127.0.0.1:8750";

/// The page and what it may do: nothing but have its own style.
pub(crate) struct Page {
    pub(crate) html: Bytes,
    pub(crate) policy: HeaderValue,
}

/// Makes the page from the OpenAPI document.
pub(crate) fn render(document: &Value) -> Page {
    let mut html = String::with_capacity(64 * 1024);
    let title = text(&document["info"]["title"]);
    let groups = groups(document);
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n",
        title = escape(title)
    );
    navigation(&mut html, title, &groups, document);
    let _ = write!(
        html,
        "<main>\n<h1>{}</h1>\n{}<p>The same for programs: <a href=\"/api/v1/openapi.json\">openapi.json</a>.</p>\n",
        escape(title),
        to_html(text(&document["info"]["description"]))
    );
    for group in &groups {
        let _ = write!(
            html,
            "<h2 id=\"{}\">{}</h2>\n{}",
            group.name,
            group.name,
            to_html(group.description)
        );
        for operation in &group.operations {
            operation.write(&mut html, document);
        }
    }
    html.push_str("<h2 id=\"Schemas\">Schemas</h2>\n");
    for (name, schema) in schemas(document) {
        write_schema(&mut html, name, schema);
    }
    html.push_str("</main>\n</body>\n</html>\n");
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Page {
        html: Bytes::from(html),
        // Base64 and our own words are valid in a header.
        policy: HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'")),
    }
}

/// The operations of one tag.
struct Group<'d> {
    name: &'d str,
    description: &'d str,
    operations: Vec<Operation<'d>>,
}

struct Operation<'d> {
    method: &'static str,
    path: &'d str,
    spec: &'d Value,
}

fn groups(document: &Value) -> Vec<Group<'_>> {
    let mut operations = Vec::new();
    for (path, item) in members(&document["paths"]) {
        for method in METHODS {
            if let Some(spec) = item.get(method) {
                operations.push(Operation { method, path, spec });
            }
        }
    }
    let mut groups = Vec::new();
    for tag in elements(&document["tags"]) {
        let (name, description) = (text(&tag["name"]), text(&tag["description"]));
        let (own, rest) = operations
            .into_iter()
            .partition(|operation| operation.spec["tags"][0] == name);
        operations = rest;
        groups.push(Group {
            name,
            description,
            operations: own,
        });
    }
    groups
}

fn navigation(html: &mut String, title: &str, groups: &[Group<'_>], document: &Value) {
    let _ = write!(
        html,
        "<nav aria-label=\"Contents\">\n<p class=\"name\">{}</p>\n",
        escape(title)
    );
    for group in groups {
        let _ = write!(html, "<p>{}</p>\n<ul>\n", group.name);
        for operation in &group.operations {
            let _ = writeln!(
                html,
                "<li><a href=\"#{}\">{}</a></li>",
                operation.id(),
                escape(text(&operation.spec["summary"]))
            );
        }
        html.push_str("</ul>\n");
    }
    html.push_str("<p>Schemas</p>\n<ul>\n");
    for (name, _) in schemas(document) {
        let _ = writeln!(html, "<li><a href=\"#schema-{name}\">{name}</a></li>");
    }
    html.push_str("</ul>\n</nav>\n");
}

impl Operation<'_> {
    fn id(&self) -> &str {
        text(&self.spec["operationId"])
    }

    /// Whether nobody need say who they are.
    fn is_open(&self) -> bool {
        self.spec["security"]
            .get(0)
            .and_then(Value::as_object)
            .is_some_and(Map::is_empty)
    }

    fn write(&self, html: &mut String, document: &Value) {
        let _ = write!(
            html,
            "<section>\n<h3 id=\"{id}\"><a href=\"#{id}\">{summary}</a></h3>\n\
             <div class=\"call\"><span class=\"method {method}\">{upper}</span><code>{path}</code>{open}</div>\n{description}",
            id = self.id(),
            summary = escape(text(&self.spec["summary"])),
            method = self.method,
            upper = self.method.to_uppercase(),
            path = escape(self.path),
            open = if self.is_open() {
                "<span class=\"open\">open to everyone</span>"
            } else {
                ""
            },
            description = to_html(text(&self.spec["description"])),
        );
        self.write_parameters(html);
        let body = &self.spec["requestBody"]["content"]["application/json"];
        if let Some(schema) = body.get("schema") {
            let _ = write!(html, "<h4>Body</h4>\n<p>{}</p>\n", type_of(schema));
        }
        let _ = write!(
            html,
            "<h4>Example</h4>\n<pre><code>{}</code></pre>\n",
            escape(&self.curl(&body["example"]))
        );
        self.write_answers(html, document);
        html.push_str("</section>\n");
    }

    fn write_parameters(&self, html: &mut String) {
        let parameters = elements(&self.spec["parameters"]);
        if parameters.is_empty() {
            return;
        }
        html.push_str("<h4>Parameters</h4>\n<div class=\"scroll\"><table>\n<tr><th>Name</th><th>In</th><th></th></tr>\n");
        for parameter in parameters {
            let must = if parameter["required"] == true {
                " <span class=\"must\">required</span>"
            } else {
                ""
            };
            let _ = writeln!(
                html,
                "<tr><td><code>{}</code>{must}</td><td class=\"type\">{}</td><td>{}</td></tr>",
                escape(text(&parameter["name"])),
                text(&parameter["in"]),
                inline(text(&parameter["description"])),
            );
        }
        html.push_str("</table></div>\n");
    }

    fn write_answers(&self, html: &mut String, document: &Value) {
        html.push_str("<h4>Answers</h4>\n<div class=\"scroll\"><table>\n");
        let mut example = None;
        for (status, response) in members(&self.spec["responses"]) {
            let response = resolve(document, response);
            let types: Vec<_> = members(&response["content"])
                .map(|(media, content)| match media {
                    "application/json" => type_of(&content["schema"]),
                    "application/problem+json" => type_of(&json!({"$ref": "#/components/schemas/Problem"})),
                    media => format!("<code>{}</code>", escape(media)),
                })
                .collect();
            let _ = writeln!(
                html,
                "<tr><td><code>{}</code></td><td>{}</td><td class=\"type\">{}</td></tr>",
                if status == "default" { "other" } else { status },
                inline(text(&response["description"])),
                types.join(", ")
            );
            if example.is_none() && status.starts_with('2') {
                example = response["content"]["application/json"].get("schema");
            }
        }
        html.push_str("</table></div>\n");
        if let Some(schema) = example.filter(|schema| !type_of(schema).contains("schema-Value")) {
            let example = example_of(document, schema, 0);
            let _ = write!(html, "<pre><code>{}</code></pre>\n", escape(&pretty(&example)));
        }
    }

    /// How to call it from a shell.
    fn curl(&self, body: &Value) -> String {
        let mut path = self.path.to_owned();
        for parameter in elements(&self.spec["parameters"])
            .iter()
            .filter(|parameter| parameter["in"] == "path")
        {
            path = path.replace(
                &format!("{{{}}}", text(&parameter["name"])),
                text(&parameter["example"]),
            );
        }
        let mut command = "curl".to_owned();
        if self.method != "get" && !(self.method == "post" && !body.is_null()) {
            let _ = write!(command, " -X {}", self.method.to_uppercase());
        }
        if !self.is_open() {
            command.push_str(" -H \"Authorization: Bearer $KEY\"");
        }
        let _ = write!(command, " {EXAMPLE_SERVER}{path}");
        if !body.is_null() {
            let _ = write!(
                command,
                " \\\n  -H 'Content-Type: application/json' -d '{}'",
                pretty(body)
            );
        }
        command
    }
}

fn write_schema(html: &mut String, name: &str, schema: &Value) {
    let _ = write!(
        html,
        "<section>\n<h3 id=\"schema-{name}\"><a href=\"#schema-{name}\">{name}</a></h3>\n{}",
        to_html(text(&schema["description"]))
    );
    let required = elements(&schema["required"]);
    if schema.get("properties").is_some() {
        html.push_str("<div class=\"scroll\"><table>\n<tr><th>Member</th><th>Type</th><th></th></tr>\n");
        for (member, property) in members(&schema["properties"]) {
            let must = if required.iter().any(|name| name == member) {
                ""
            } else {
                " <span class=\"type\">optional</span>"
            };
            let _ = writeln!(
                html,
                "<tr><td><code>{}</code>{must}</td><td class=\"type\">{}</td><td>{}</td></tr>",
                escape(member),
                type_of(property),
                to_html(text(&property["description"]))
            );
        }
        html.push_str("</table></div>\n");
    } else if schema.get("enum").is_some() {
        let values: Vec<_> = elements(&schema["enum"])
            .iter()
            .map(|value| format!("<code>{}</code>", escape(text(value))))
            .collect();
        let _ = write!(html, "<p>{}</p>\n", values.join(", "));
    } else if let Some(example) = schema["examples"].get(0) {
        let _ = write!(html, "<pre><code>{}</code></pre>\n", escape(&pretty(example)));
    }
    html.push_str("</section>\n");
}

/// The type of a schema in a few words, with a link where it is one of the named.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.rsplit('/').next())
    {
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[choice].as_array() {
            return choices.iter().map(type_of).collect::<Vec<_>>().join(" or ");
        }
    }
    match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .map(|name| type_name(name.as_str(), schema))
            .collect::<Vec<_>>()
            .join(" or "),
        name => type_name(name.as_str(), schema),
    }
}

fn type_name(name: Option<&str>, schema: &Value) -> String {
    match name {
        Some("array") => format!("array of {}", type_of(&schema["items"])),
        Some("object") if schema.get("additionalProperties").is_some_and(Value::is_object) => {
            format!("object of {}", type_of(&schema["additionalProperties"]))
        }
        Some(name) => escape(name),
        None => "any".to_owned(),
    }
}

/// A value that a schema describes.
fn example_of(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(document, schema);
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)) {
        return example.clone();
    }
    if depth == EXAMPLE_DEPTH_MAX {
        return Value::Null;
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        let choices = elements(&schema[choice]);
        if let Some(first) = choices.iter().find(|choice| choice["type"] != "null") {
            return example_of(document, first, depth);
        }
    }
    if let Some(value) = schema["enum"].get(0) {
        return value.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(types) => types.first().and_then(Value::as_str),
        name => name.as_str(),
    };
    match kind {
        Some("object") => {
            let required = elements(&schema["required"]);
            let shown = members(&schema["properties"]).filter(|(name, property)| {
                required.iter().any(|required| required == name) || property.get("example").is_some()
            });
            let mut object: Map<String, Value> = shown
                .map(|(name, property)| (name.to_owned(), example_of(document, property, depth + 1)))
                .collect();
            if let Some(inner) = schema
                .get("additionalProperties")
                .filter(|inner| inner.is_object())
            {
                object.insert("total".to_owned(), example_of(document, inner, depth + 1));
            }
            Value::Object(object)
        }
        Some("array") => json!([example_of(document, &schema["items"], depth + 1)]),
        Some("integer" | "number") => json!(12),
        Some("boolean") => json!(true),
        Some("string") => json!("…"),
        _ => Value::Null,
    }
}

/// JSON over several lines where one would be long.
fn pretty(value: &Value) -> String {
    const LINE_CHARS_MAX: usize = 76;
    fn write(value: &Value, indent: usize, out: &mut String) {
        let line = spaced(value);
        if indent + line.chars().count() <= LINE_CHARS_MAX {
            out.push_str(&line);
            return;
        }
        let inner = indent + 2;
        let (open, close, parts): (_, _, Vec<(String, &Value)>) = match value {
            Value::Object(object) => (
                '{',
                '}',
                object
                    .iter()
                    .map(|(name, value)| (format!("{}: ", json!(name)), value))
                    .collect(),
            ),
            Value::Array(array) => (
                '[',
                ']',
                array.iter().map(|value| (String::new(), value)).collect(),
            ),
            _ => return out.push_str(&line),
        };
        out.push(open);
        for (index, (name, value)) in parts.iter().enumerate() {
            let _ = write!(out, "{}\n{:inner$}{name}", if index > 0 { "," } else { "" }, "");
            write(value, inner + name.len(), out);
        }
        let _ = write!(out, "\n{:indent$}{close}", "");
    }
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

/// JSON on one line, with blanks where people put them.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let members: Vec<_> = object
                .iter()
                .map(|(name, value)| format!("{}: {}", json!(name), spaced(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(array) => format!("[{}]", array.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// The thing itself where there is a reference to it.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let pointer = value["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'));
    pointer
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(value)
}

fn schemas(document: &Value) -> impl Iterator<Item = (&str, &Value)> {
    members(&document["components"]["schemas"])
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

fn elements(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
