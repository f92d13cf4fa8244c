//! E-mail addresses: one form for each mailbox, so that it can have one account.
//!
//! A domain may be written in any script and in any way that UTS #46 takes for the same; what is kept, compared and shown is
//! its ASCII form (`xn--…`), in which no letter looks like another. What stands before the `@` is ASCII: of other letters
//! nobody but the mail server of the domain knows which spellings are one mailbox, and few relays deliver them.

use std::fmt;

use andiron_protocol::InputError;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use crate::visible_text::is_unseen;

/// Characters of a whole address (RFC 5321, section 4.5.3.1.3, less the angle brackets).
const ADDRESS_CHARS_MAX: usize = 254;
/// Characters before the `@`.
const LOCAL_CHARS_MAX: usize = 64;

/// An address in its one form: lower case, ASCII. Only what every mail system takes: no comments, quotes or blanks, and so
/// nothing that could break out of a mail's header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads an address, with the domain in any script.
    ///
    /// # Errors
    /// If it is none, in the field `email`.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let refused = |detail: &str| InputError::new(detail).in_field("email");
        let text = text.trim();
        // Before anything is mapped: what is longer by far is none in any script.
        let parts = (text.len() <= 4 * ADDRESS_CHARS_MAX).then(|| text.rsplit_once('@'));
        let (local, domain) = parts.flatten().ok_or_else(|| refused(NO_ADDRESS))?;
        if !local.is_ascii() {
            return Err(refused(
                "what stands before the `@` of an e-mail address has to be ASCII here: letters without accents, digits \
                 and signs",
            ));
        }
        let domain = ascii_domain(domain).ok_or_else(|| refused(NO_ADDRESS))?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if is_local(local) && address.len() <= ADDRESS_CHARS_MAX {
            Ok(Self(address))
        } else {
            Err(refused(NO_ADDRESS))
        }
    }

    /// The address out of a record, which was read when it went there. It is not read again: what counts as an address may
    /// change with a version, and the accounts of today remain.
    pub(crate) fn of_record(text: &str) -> Self {
        Self(text.to_owned())
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

const NO_ADDRESS: &str = "this is not an e-mail address such as `ada@example.org`";

/// Whether it is what may stand before the `@`, atoms and dots.
fn is_local(text: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
    };
    text.len() <= LOCAL_CHARS_MAX && text.split('.').all(is_atom)
}

/// The one form of a domain: letters, digits and hyphens in labels of at most 63, without a dot at the end.
fn ascii_domain(domain: &str) -> Option<String> {
    // Characters that nobody sees are dropped by the mapping; whoever sends them hides something.
    if domain.chars().any(is_unseen) {
        return None;
    }
    let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    let mapped = Uts46::new().to_ascii(domain.as_bytes(), deny, hyphens, DnsLength::Verify);
    let domain = mapped.ok().map(std::borrow::Cow::into_owned)?;
    // An address of a machine is no domain.
    let last = domain.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        EmailAddress::parse(text).ok().map(|email| email.0)
    }

    #[test]
    fn one_mailbox_has_one_form() {
        for same in ["Ada@Example.org", " ada@example.org ", "ADA@EXAMPLE.ORG"] {
            assert_eq!(EmailAddress::parse(same).unwrap().as_str(), "ada@example.org");
        }
        assert_eq!(EmailAddress::parse("a/b%c@d").unwrap().to_id(), "a%2fb%25c@d");
    }

    #[test]
    fn one_domain_has_one_form_however_it_is_written() {
        for (form, written) in [
            // Composed, decomposed, capitals, as it is sent.
            (
                "ada@xn--exmple-cua.org",
                [
                    "exämple.org",
                    "exa\u{308}mple.org",
                    "EXÄMPLE.ORG",
                    "XN--EXMPLE-CUA.org",
                ],
            ),
            // Full width, with the full stops of other scripts, and letters that only stand for others.
            (
                "ada@example.org",
                [
                    "ｅｘａｍｐｌｅ．ｏｒｇ",
                    "example。org",
                    "𝐞xample.org",
                    "exampl\u{212f}.org",
                ],
            ),
            (
                "ada@xn--fsqu00a.xn--0zwm56d",
                ["例子.测试", "例子。测试", "例子｡测试", "xn--fsqu00a.xn--0zwm56d"],
            ),
        ] {
            for domain in written {
                assert_eq!(read(&format!("Ada@{domain}")).as_deref(), Some(form), "{domain}");
            }
        }
        // What only looks alike is something else, and is seen to be.
        assert_eq!(read("ada@straße.de").unwrap(), "ada@xn--strae-oqa.de");
        assert_ne!(read("ada@straße.de"), read("ada@strasse.de"));
        assert_eq!(read("ada@ex\u{430}mple.org").unwrap(), "ada@xn--exmple-4nf.org");
    }

    #[test]
    fn what_is_read_is_read_again_as_the_same() {
        for text in ["Ada@Exämple.org", "o'hara+x@EXAMPLE.org", "a@例子.测试"] {
            let once = read(text).unwrap();
            assert_eq!(read(&once), Some(once.clone()));
            assert!(once.is_ascii());
        }
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
            "ada@example.org.",
            "ada@example.org。",
            "ada@exam\u{200b}ple.org",
            "ada@exam\u{ad}ple.org",
            "ada@exam\u{2060}ple.org",
            "ada@example.org\u{feff}",
            "ada@exam\u{202e}ple.org",
            "ada@exam_ple.org",
            "ada@example.org／x",
            "ada@x＠example.org",
            "ada＠example.org",
            "ada@xn--a\u{308}",
            "ada@xn--",
            "ada@xn--ls8h\u{61}-",
            "\u{430}da@example.org",
            "ädа@example.org",
            "ad\u{212a}@example.org",
            "<ada@example.org>",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "ada@１２７.0.0.1",
            "ada@example.1",
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?}");
        }
        for (local, domain) in [(65, 1), (1, 64)] {
            let address = format!("{}@{}.org", "a".repeat(local), "a".repeat(domain));
            assert!(EmailAddress::parse(&address).is_err());
        }
        assert!(EmailAddress::parse(&format!("ada@{}", "ä".repeat(100_000))).is_err());
    }
}
