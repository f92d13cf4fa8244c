//! The coverage as one HTML page that needs nothing else: no script, no font, no request.

use std::fmt::Write as _;

use super::{CoverageReport, Figure, FileCoverage, Reach, line_hits, marks};

const STYLE: &str = include_str!("page.css");

/// A report as a page for a browser; `title` stands at its top.
pub fn html(report: &CoverageReport, title: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        title = escaped(title)
    );
    figures(&mut page, [report.lines, report.expressions, report.outcomes]);
    page.push_str(
        "<p class=\"legend\">In the sources:<mark class=\"never\">never evaluated</mark>\
         <mark class=\"half\">only true, only false or only errors</mark></p>\n",
    );
    for (place, file) in report.files.iter().enumerate() {
        write_file(&mut page, place, file, report.files.len() > 1);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn figures(page: &mut String, [lines, expressions, outcomes]: [Figure; 3]) {
    page.push_str("<dl class=\"figures\">\n");
    for (name, figure) in [
        ("Lines", lines),
        ("Sub-expressions", expressions),
        ("Outcomes", outcomes),
    ] {
        let _ = writeln!(
            page,
            "<div class=\"figure\"><dt>{name}</dt><dd>{} <small>{} of {}</small></dd>\
             <div class=\"bar\"><i style=\"width:{:.1}%\"></i></div></div>",
            figure.shown(),
            figure.covered,
            figure.total,
            figure.percent()
        );
    }
    page.push_str("</dl>\n");
}

fn write_file(page: &mut String, place: usize, file: &FileCoverage, with_figures: bool) {
    let _ = writeln!(page, "<h2>{}</h2>", escaped(&file.file));
    if with_figures {
        figures(page, [file.lines, file.expressions, file.outcomes]);
    }
    let mut missing = file.missing().peekable();
    if missing.peek().is_some() {
        page.push_str("<h3>What no test has seen</h3>\n<ul class=\"missing\">\n");
        for expression in missing {
            let _ = writeln!(
                page,
                "<li><a href=\"#f{place}l{line}\">line {line}</a><span class=\"reach\">{}</span><code>{}</code></li>",
                expression.reach.describe(),
                escaped(&expression.text),
                line = expression.line,
            );
        }
        page.push_str("</ul>\n<h3>Source</h3>\n");
    }
    source(page, place, file);
}

/// The text with its marks. Stretches are nested in each other, and are closed and opened again at the ends of lines.
fn source(page: &mut String, place: usize, file: &FileCoverage) {
    let hits = line_hits(file);
    let marks = marks(file);
    let mut next = marks.iter().peekable();
    let mut open: Vec<(u32, String)> = Vec::new();
    let mut offset = 0_u32;
    page.push_str("<div class=\"source\"><table>\n");
    for (number, line) in (1_u32..).zip(file.source.text().split_inclusive('\n')) {
        let hit = hits.get(&number);
        let (class, count) = match hit {
            Some(hit) if hit.hits > 0 => ("reached", hit.hits.to_string()),
            Some(_) => ("unreached", "0".to_owned()),
            None => ("", String::new()),
        };
        let _ = write!(
            page,
            "<tr id=\"f{place}l{number}\" class=\"{class}\"><td class=\"number\"><a href=\"#f{place}l{number}\">{number}</a></td>\
             <td class=\"hits\">{count}</td><td>"
        );
        let content = line.trim_start_matches([' ', '\t']);
        let indent = &line[..line.len() - content.len()];
        page.push_str(indent);
        offset += u32::try_from(indent.len()).unwrap_or(u32::MAX);
        for (_, tag) in &open {
            page.push_str(tag);
        }
        for character in content.chars() {
            while open.last().is_some_and(|(end, _)| *end <= offset) {
                open.pop();
                page.push_str("</mark>");
            }
            while let Some((span, expression)) = next.next_if(|(span, _)| span.start <= offset) {
                let class = match expression.reach {
                    Reach::Never => "never",
                    _ => "half",
                };
                let tag = format!(
                    "<mark class=\"{class}\" title=\"{}\">",
                    expression.reach.describe()
                );
                page.push_str(&tag);
                open.push((span.end, tag));
            }
            match character {
                '\n' | '\r' => {}
                other => push_escaped(page, other),
            }
            offset += u32::try_from(character.len_utf8()).unwrap_or(1);
        }
        while open.last().is_some_and(|(end, _)| *end <= offset) {
            open.pop();
            page.push_str("</mark>");
        }
        page.push_str(&"</mark>".repeat(open.len()));
        page.push_str("</td></tr>\n");
    }
    page.push_str("</table></div>\n");
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        push_escaped(&mut escaped, character);
    }
    escaped
}

fn push_escaped(page: &mut String, character: char) {
    match character {
        '&' => page.push_str("&amp;"),
        '<' => page.push_str("&lt;"),
        '>' => page.push_str("&gt;"),
        '"' => page.push_str("&quot;"),
        other => page.push(other),
    }
}
