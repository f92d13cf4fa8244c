//! As much of Markdown as our own descriptions use: paragraphs, lists, fenced code, `code` and *emphasis*.

/// Turns a description into HTML.
pub(crate) fn to_html(markdown: &str) -> String {
    let mut html = String::new();
    for block in markdown.trim_end().split("\n\n") {
        let block = block.trim_matches('\n');
        if let Some((_, code)) = block
            .strip_prefix("```")
            .and_then(|fenced| fenced.split_once('\n'))
        {
            let code = code.trim_end_matches('`').trim_end();
            html.push_str(&format!("<pre><code>{}</code></pre>\n", escape(code)));
        } else if block.starts_with("- ") {
            let items: String = block
                .trim_start_matches("- ")
                .split("\n- ")
                .map(|item| format!("<li>{}</li>", inline(item)))
                .collect();
            html.push_str(&format!("<ul>{items}</ul>\n"));
        } else {
            html.push_str(&format!("<p>{}</p>\n", inline(block)));
        }
    }
    html
}

/// Turns one line of a description into HTML without a paragraph of its own.
pub(crate) fn inline(text: &str) -> String {
    text.split('`')
        .enumerate()
        .map(|(index, part)| {
            if index % 2 == 1 {
                format!("<code>{}</code>", escape(part))
            } else {
                emphasis(part)
            }
        })
        .collect()
}

fn emphasis(text: &str) -> String {
    // A single star is a star.
    if text.matches('*').count() % 2 == 1 {
        return escape(text);
    }
    text.split('*')
        .enumerate()
        .map(|(index, part)| {
            if index % 2 == 1 {
                format!("<em>{}</em>", escape(part))
            } else {
                escape(part)
            }
        })
        .collect()
}

/// Text as it may stand in HTML, in attributes too.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_our_descriptions_use_becomes_html() {
        assert_eq!(
            to_html("A `<b>` & *so*.\n\n- one\n- `t*w*o`\n\n```sh\n$ x \"y\"\n  z\n```"),
            "<p>A <code>&lt;b&gt;</code> &amp; <em>so</em>.</p>\n<ul><li>one</li><li><code>t*w*o</code></li></ul>\n\
             <pre><code>$ x &quot;y&quot;\n  z</code></pre>\n"
        );
    }
}
