//! What mails say: templates with `{{names}}`, in plain text and HTML.
//!
//! A template is two files, `NAME.txt`, whose first line is `Subject: …`, and `NAME.html`. Those of a project's own
//! folder go before ours, each by itself. What stands for a name is escaped in HTML, and has no line breaks in a subject.

use std::collections::HashMap;
use std::path::Path;

use super::{Mail, MailKind};
use crate::{AuthError, EmailAddress};

/// The names that a template may have.
const NAMES: [&str; 5] = ["app", "code", "email", "link", "minutes"];
/// Bytes of a template.
const TEMPLATE_BYTES_MAX: u64 = 256 * 1024;

/// The templates in force.
#[derive(Clone, Debug)]
pub struct MailTemplates(HashMap<&'static str, Template>);

#[derive(Clone, Debug)]
struct Template {
    subject: String,
    text: String,
    html: String,
}

macro_rules! ours {
    ($($name:literal),+) => {
        [$((
            $name,
            include_str!(concat!("templates/", $name, ".txt")),
            include_str!(concat!("templates/", $name, ".html")),
        )),+]
    };
}

/// Our own: name, text, HTML.
const OURS: [(&str, &str, &str); 8] = ours![
    "verify-email",
    "reset-password",
    "change-email",
    "email-changed",
    "sign-in-link",
    "sign-in-code",
    "invitation",
    "test"
];

impl Default for MailTemplates {
    fn default() -> Self {
        let templates = OURS.iter().map(|(name, text, html)| {
            let (subject, text) = split_subject(text).unwrap_or((name, text));
            let template = Template {
                subject: subject.to_owned(),
                text: text.to_owned(),
                html: (*html).to_owned(),
            };
            (*name, template)
        });
        Self(templates.collect())
    }
}

impl MailTemplates {
    /// Our own templates, with those of a folder before them.
    ///
    /// # Errors
    /// If a template there cannot be read, has no subject, or has a name that nothing stands for.
    pub fn load(folder: &Path) -> Result<Self, AuthError> {
        let mut templates = Self::default();
        for kind in MailKind::ALL {
            let name = kind.name();
            let Some(template) = templates.0.get_mut(name) else {
                continue;
            };
            if let Some(text) = read(&folder.join(format!("{name}.txt")))? {
                let (subject, text) = split_subject(&text).ok_or_else(|| {
                    AuthError::NotPossible(format!("`{name}.txt` does not begin with a line `Subject: …`"))
                })?;
                template.subject = subject.to_owned();
                template.text = text.to_owned();
            }
            if let Some(html) = read(&folder.join(format!("{name}.html")))? {
                template.html = html;
            }
        }
        Ok(templates)
    }

    /// A mail of a kind; `values` are what stands for the names.
    pub(crate) fn write(&self, kind: MailKind, to: EmailAddress, values: &[(&str, &str)]) -> Mail {
        let empty = Template {
            subject: String::new(),
            text: String::new(),
            html: String::new(),
        };
        let template = self.0.get(kind.name()).unwrap_or(&empty);
        Mail {
            to,
            subject: fill(&template.subject, values, |value| {
                value
                    .chars()
                    .filter(|character| !character.is_control())
                    .collect()
            }),
            text: fill(&template.text, values, ToOwned::to_owned),
            html: fill(&template.html, values, escape_html),
        }
    }
}

fn read(path: &Path) -> Result<Option<String>, AuthError> {
    let failed =
        |detail: String| AuthError::NotPossible(format!("the template `{}`: {detail}", path.display()));
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > TEMPLATE_BYTES_MAX => {
            return Err(failed(format!("has more than {TEMPLATE_BYTES_MAX} bytes")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    for name in text
        .split("{{")
        .skip(1)
        .map(|rest| rest.split("}}").next().unwrap_or_default())
    {
        if !NAMES.contains(&name.trim()) {
            let known = NAMES.join("`, `");
            return Err(failed(format!(
                "nothing stands for `{name}`; there are `{known}`"
            )));
        }
    }
    Ok(Some(text))
}

fn split_subject(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let subject = first.trim_end_matches('\r').strip_prefix("Subject:")?.trim();
    (!subject.is_empty()).then(|| (subject, rest.trim_start_matches(['\r', '\n'])))
}

/// Puts values in the places of names, once: what a value says is no template.
fn fill(template: &str, values: &[(&str, &str)], escape: impl Fn(&str) -> String) -> String {
    let mut filled = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        let value = values.iter().find(|(known, _)| *known == name.trim());
        filled.push_str(&value.map(|(_, value)| escape(value)).unwrap_or_default());
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn escape_html(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_templates_have_subjects_and_known_names() {
        for (name, text, html) in OURS {
            assert!(split_subject(text).is_some(), "{name}");
            for template in [text, html] {
                for place in template.split("{{").skip(1) {
                    let place = place.split("}}").next().unwrap();
                    assert!(NAMES.contains(&place), "{name}: {place}");
                }
            }
        }
        let kinds: Vec<_> = MailKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(kinds, OURS.map(|(name, _, _)| name));
    }

    #[test]
    fn values_are_values_and_no_markup() {
        let values = [
            ("app", "<b>{{link}}</b>\r\nBcc: eve@example.org"),
            ("link", "https://x/?a&b"),
        ];
        assert_eq!(
            fill("{{app}} {{ link }}", &values, escape_html),
            "&lt;b&gt;{{link}}&lt;/b&gt;\r\nBcc: eve@example.org https://x/?a&amp;b"
        );
        let templates = MailTemplates::default();
        let mail = templates.write(
            MailKind::VerifyEmail,
            EmailAddress::parse("a@b").unwrap(),
            &values,
        );
        assert!(!mail.subject.contains(['\r', '\n']), "{}", mail.subject);
    }

    #[test]
    fn a_projects_templates_go_first_and_are_checked() {
        let folder = std::env::temp_dir().join(format!("andiron-templates-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("test.txt"), "Subject: Hi from {{app}}\n\nHello\n").unwrap();
        let templates = MailTemplates::load(&folder).unwrap();
        let mail = templates.write(
            MailKind::Test,
            EmailAddress::parse("a@b").unwrap(),
            &[("app", "App")],
        );
        assert_eq!(
            (mail.subject.as_str(), mail.text.as_str()),
            ("Hi from App", "Hello\n")
        );
        assert!(mail.html.contains("App"), "the other half stays ours");
        std::fs::write(folder.join("test.html"), "{{nonsense}}").unwrap();
        assert!(MailTemplates::load(&folder).is_err());
        std::fs::write(folder.join("test.html"), "fine").unwrap();
        std::fs::write(folder.join("test.txt"), "no subject").unwrap();
        assert!(MailTemplates::load(&folder).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
