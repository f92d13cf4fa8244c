//! The page: the document for people, in one piece of HTML that loads nothing.

use std::fmt::Write as _;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::example::{example_of, pretty, resolve, type_names};
use super::markdown::{escape, inline, to_html};
use super::ordered_json::Json;

const STYLE: &str = include_str!("page.css");
/// The methods that operations have, in the order in which they are shown.
const METHODS: [&str; 7] = ["options", "head", "get", "post", "put", "patch", "delete"];
/// Where the examples are sent to.
const EXAMPLE_SERVER: &str = "http://127.0.0.1:8750";

/// The page and what it may do: nothing but have its own style.
pub(crate) struct Page {
    pub(crate) html: Bytes,
    pub(crate) policy: HeaderValue,
}

/// Makes the page from the OpenAPI document.
pub(crate) fn render(document: &Json) -> Page {
    let mut html = String::with_capacity(64 * 1024);
    let title = escape(document["info"]["title"].text());
    let groups = groups(document);
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n"
    );
    write_navigation(&mut html, &title, &groups, document);
    let _ = write!(
        html,
        "<main>\n<h1>{title}</h1>\n{}<p>The same for programs: <a href=\"/api/v1/openapi.json\">openapi.json</a>.</p>\n",
        to_html(document["info"]["description"].text())
    );
    for Group {
        name,
        description,
        operations,
    } in &groups
    {
        let _ = write!(html, "<h2 id=\"{name}\">{name}</h2>\n{}", to_html(description));
        for operation in operations {
            operation.write(&mut html, document);
        }
    }
    html.push_str("<h2 id=\"Schemas\">Schemas</h2>\n");
    for (name, schema) in document["components"]["schemas"].members() {
        write_schema(&mut html, name, schema);
    }
    html.push_str("</main>\n</body>\n</html>\n");
    Page {
        html: Bytes::from(html),
        policy: policy(),
    }
}

fn policy() -> HeaderValue {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // Base64 and our own words are valid in a header.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
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
    spec: &'d Json,
}

fn groups(document: &Json) -> Vec<Group<'_>> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].members() {
        for method in METHODS {
            if let Some(spec) = item.get(method) {
                operations.push(Operation { method, path, spec });
            }
        }
    }
    let mut groups = Vec::new();
    for tag in document["tags"].elements() {
        let name = tag["name"].text();
        let is_own = |operation: &Operation<'_>| {
            operation.spec["tags"]
                .elements()
                .iter()
                .any(|tag| tag.text() == name)
        };
        let (own, others) = operations.into_iter().partition(is_own);
        operations = others;
        groups.push(Group {
            name,
            description: tag["description"].text(),
            operations: own,
        });
    }
    groups
}

fn write_navigation(html: &mut String, title: &str, groups: &[Group<'_>], document: &Json) {
    let _ = write!(
        html,
        "<nav aria-label=\"Contents\">\n<p class=\"name\">{title}</p>\n"
    );
    for group in groups {
        let _ = write!(html, "<p>{}</p>\n<ul>\n", group.name);
        for operation in &group.operations {
            let summary = escape(operation.spec["summary"].text());
            let _ = writeln!(html, "<li><a href=\"#{}\">{summary}</a></li>", operation.id());
        }
        html.push_str("</ul>\n");
    }
    html.push_str("<p>Schemas</p>\n<ul>\n");
    for (name, _) in document["components"]["schemas"].members() {
        let _ = writeln!(html, "<li><a href=\"#schema-{name}\">{name}</a></li>");
    }
    html.push_str("</ul>\n</nav>\n");
}

impl Operation<'_> {
    fn id(&self) -> &str {
        self.spec["operationId"].text()
    }

    /// Whether nobody need say who they are.
    fn is_open(&self) -> bool {
        self.spec["security"]
            .elements()
            .iter()
            .any(|choice| *choice == Json::Object(Vec::new()))
    }

    fn write(&self, html: &mut String, document: &Json) {
        let _ = write!(
            html,
            "<section>\n<h3 id=\"{id}\"><a href=\"#{id}\">{summary}</a></h3>\n\
             <div class=\"call\"><span class=\"method {method}\">{upper}</span><code>{path}</code>{open}</div>\n{description}",
            id = self.id(),
            summary = escape(self.spec["summary"].text()),
            method = self.method,
            upper = self.method.to_uppercase(),
            path = escape(self.path),
            open = if self.is_open() {
                "<span class=\"open\">open to everyone</span>"
            } else {
                ""
            },
            description = to_html(self.spec["description"].text()),
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
        let parameters = self.spec["parameters"].elements();
        if parameters.is_empty() {
            return;
        }
        html.push_str("<h4>Parameters</h4>\n<div class=\"scroll\"><table>\n<tr><th>Name</th><th>In</th><th></th></tr>\n");
        for parameter in parameters {
            let is_required = parameter["required"] == Json::Boolean(true);
            let _ = writeln!(
                html,
                "<tr><td><code>{}</code>{}</td><td class=\"type\">{}</td><td>{}</td></tr>",
                escape(parameter["name"].text()),
                if is_required {
                    " <span class=\"must\">required</span>"
                } else {
                    ""
                },
                parameter["in"].text(),
                inline(parameter["description"].text()),
            );
        }
        html.push_str("</table></div>\n");
    }

    fn write_answers(&self, html: &mut String, document: &Json) {
        html.push_str("<h4>Answers</h4>\n<div class=\"scroll\"><table>\n");
        let mut shown = None;
        for (status, response) in self.spec["responses"].members() {
            let response = resolve(document, response);
            let types: Vec<_> = response["content"]
                .members()
                .map(|(media, content)| match media {
                    "application/json" | "application/problem+json" => type_of(&content["schema"]),
                    media => format!("<code>{}</code>", escape(media)),
                })
                .collect();
            let _ = writeln!(
                html,
                "<tr><td><code>{}</code></td><td>{}</td><td class=\"type\">{}</td></tr>",
                if status == "default" { "other" } else { status },
                inline(response["description"].text()),
                types.join(", ")
            );
            if shown.is_none() && status.starts_with('2') {
                shown = response["content"]["application/json"].get("schema");
            }
        }
        html.push_str("</table></div>\n");
        let example = shown
            .map(|schema| example_of(document, schema))
            .filter(|example| !example.is_null());
        if let Some(example) = example {
            let _ = writeln!(html, "<pre><code>{}</code></pre>", escape(&pretty(&example)));
        }
    }

    /// How to call it from a shell.
    fn curl(&self, body: &Json) -> String {
        let mut path = self.path.to_owned();
        for parameter in self.spec["parameters"].elements() {
            if parameter["in"].text() == "path" {
                path = path.replace(
                    &format!("{{{}}}", parameter["name"].text()),
                    parameter["example"].text(),
                );
            }
        }
        let mut command = "curl".to_owned();
        // What curl does by itself: GET, and POST where there is a body.
        let is_implied = self.method == "get" || (self.method == "post" && !body.is_null());
        if self.method == "head" {
            command.push_str(" -I");
        } else if !is_implied {
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

fn write_schema(html: &mut String, name: &str, schema: &Json) {
    let _ = write!(
        html,
        "<section>\n<h3 id=\"schema-{name}\"><a href=\"#schema-{name}\">{name}</a></h3>\n{}",
        to_html(schema["description"].text())
    );
    let required = schema["required"].elements();
    if schema.get("properties").is_some() {
        html.push_str("<div class=\"scroll\"><table>\n<tr><th>Member</th><th>Type</th><th></th></tr>\n");
        for (member, property) in schema["properties"].members() {
            let is_required = required.iter().any(|name| name.text() == member);
            let _ = writeln!(
                html,
                "<tr><td><code>{}</code>{}</td><td class=\"type\">{}</td><td>{}</td></tr>",
                escape(member),
                if is_required {
                    ""
                } else {
                    " <span class=\"type\">optional</span>"
                },
                type_of(property),
                to_html(property["description"].text())
            );
        }
        html.push_str("</table></div>\n");
    } else if let Some(values) = schema.get("enum") {
        let values: Vec<_> = values
            .elements()
            .iter()
            .map(|value| format!("<code>{}</code>", escape(value.text())))
            .collect();
        let _ = writeln!(html, "<p>{}</p>", values.join(", "));
    } else if let Some(example) = schema["examples"].elements().first() {
        let _ = writeln!(html, "<pre><code>{}</code></pre>", escape(&pretty(example)));
    }
    html.push_str("</section>\n");
}

/// The type of a schema in a few words, with a link where it is one of the named.
fn type_of(schema: &Json) -> String {
    if let Some(name) = schema["$ref"]
        .text()
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
    {
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        let choices = schema[choice].elements();
        if !choices.is_empty() {
            return choices.iter().map(type_of).collect::<Vec<_>>().join(" or ");
        }
    }
    let names = type_names(schema);
    if names.is_empty() {
        return "any".to_owned();
    }
    let types: Vec<_> = names
        .into_iter()
        .map(|name| match name {
            "array" => format!("array of {}", type_of(&schema["items"])),
            "object" if schema["additionalProperties"].is_object() => {
                format!("object of {}", type_of(&schema["additionalProperties"]))
            }
            name => escape(name),
        })
        .collect();
    types.join(" or ")
}
