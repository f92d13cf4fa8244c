//! E-mail addresses: one form for each mailbox, so that it can have one account.

use std::fmt;

use andiron_protocol::InputError;

/// Characters of a whole address (RFC 5321, section 4.5.3.1.3, less the angle brackets).
const ADDRESS_CHARS_MAX: usize = 254;
/// Characters before the `@`.
const LOCAL_CHARS_MAX: usize = 64;

/// An address in lower case. Only what every mail system takes: no comments, quotes, blanks or characters beyond ASCII
/// (a domain beyond ASCII is written in its `xn--` form), and so nothing that could break out of a mail's header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// If it is none, in the field `email`.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let text = text.trim();
        if is_address(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InputError::new("this is not an e-mail address such as `ada@example.org`").in_field("email"))
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The address as the id of a document, which has no `/`.
    pub(crate) fn to_id(&self) -> String {
        self.0.replace('%', "%25").replace('/', "%2f")
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= ADDRESS_CHARS_MAX
        && local.len() <= LOCAL_CHARS_MAX
        && local.split('.').all(is_atom)
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_has_one_form() {
        for same in ["Ada@Example.org", " ada@example.org ", "ADA@EXAMPLE.ORG"] {
            assert_eq!(EmailAddress::parse(same).unwrap().as_str(), "ada@example.org");
        }
        assert_eq!(EmailAddress::parse("a/b%c@d").unwrap().to_id(), "a%2fb%25c@d");
    }

    #[test]
    fn what_could_break_a_mail_or_hide_another_address_is_none() {
        for text in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "a b@example.org",
            "ada@example.org\r\nBcc: eve@example.org",
            "ada@exam\0ple.org",
            "\"ada\"@example.org",
            "ada@@example.org",
            "ada@example..org",
            "ada@-example.org",
            ".ada@example.org",
            "ada@ex\u{e4}mple.org",
            "\u{0430}da@example.org",
            "<ada@example.org>",
            "ada@[127.0.0.1]",
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@example.org", "a".repeat(65))).is_err());
    }
}
