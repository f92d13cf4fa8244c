//! The domain that passkeys belong to, and the pages that may use them: what settings say, as browsers would have it.

/// Whose passkeys are taken: the domain that they belong to, and the pages that may use them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    /// The domain. A passkey belongs to one, and works on it and the domains under it.
    id: String,
    /// The origins of pages, each compared whole.
    origins: Vec<String>,
}

impl RelyingParty {
    /// A domain with its pages: `https://HOST`, where the host is the domain or one under it, `http` for `localhost` alone;
    /// or `android:apk-key-hash:…`, an app.
    ///
    /// # Errors
    /// With a sentence, if something cannot be: an IP address is no domain, and browsers refuse passkeys of other domains.
    pub fn new(id: &str, origins: Vec<String>) -> Result<Self, String> {
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let is_domain = id.split('.').all(is_label) && id.bytes().any(|byte| byte.is_ascii_lowercase());
        if !is_domain {
            return Err(format!(
                "`{id}` is no domain that passkeys can belong to: it is a name in lower case, as in `example.org`, \
                 without scheme and port, and no IP address"
            ));
        }
        if origins.is_empty() {
            return Err("passkeys need at least one origin".to_owned());
        }
        if let Some(origin) = origins.iter().find(|origin| !is_origin_of(origin, id)) {
            return Err(format!(
                "passkeys of `{id}` cannot be used by `{origin}`: an origin is `https://HOST`, the host being `{id}` or \
                 under it, `http://localhost:PORT`, or `android:apk-key-hash:…`"
            ));
        }
        Ok(Self {
            id: id.to_owned(),
            origins,
        })
    }

    /// What the URL of the server gives: its host and its origin; nothing if the host is an IP address.
    pub fn of_url(url: &str) -> Option<Self> {
        let (_, authority) = url.split_once("://")?;
        let host = authority.split(':').next()?;
        Self::new(host, vec![url.to_owned()]).ok()
    }

    /// The domain.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether a page of this origin, or an app, may use the passkeys.
    pub(super) fn has_page(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known == origin)
    }
}

/// Whether pages of an origin can use the passkeys of a domain.
fn is_origin_of(origin: &str, id: &str) -> bool {
    if let Some(hash) = origin.strip_prefix("android:apk-key-hash:") {
        return !hash.is_empty();
    }
    let (authority, is_secure) = match (origin.strip_prefix("https://"), origin.strip_prefix("http://")) {
        (Some(authority), _) => (authority, true),
        (None, Some(authority)) => (authority, false),
        (None, None) => return false,
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port));
    let is_host = host == id || host.strip_suffix(id).is_some_and(|under| under.ends_with('.'));
    let is_plain = host
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte));
    let is_loopback = host == "localhost" || host.ends_with(".localhost");
    is_port && is_host && is_plain && (is_secure || is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_only_the_pages_that_browsers_let_use_its_passkeys() {
        for (id, origin) in [
            ("example.org", "https://example.org"),
            ("example.org", "https://app.example.org:8443"),
            ("localhost", "http://localhost:8750"),
            ("localhost", "https://localhost"),
            ("example.org", "android:apk-key-hash:abc"),
        ] {
            assert!(RelyingParty::new(id, vec![origin.to_owned()]).is_ok(), "{origin}");
        }
        for (id, origin) in [
            ("example.org", "https://evilexample.org"),
            ("example.org", "https://example.org.evil.example"),
            ("example.org", "http://example.org"),
            ("example.org", "https://example.org/"),
            ("example.org", "https://example.org/path"),
            ("example.org", "https://user@example.org"),
            ("example.org", "https://example.org:08"),
            ("example.org", "https://Example.org"),
            ("example.org", "*"),
            ("example.org", "null"),
            ("app.example.org", "https://example.org"),
            ("127.0.0.1", "http://127.0.0.1:8750"),
            ("::1", "http://[::1]"),
            ("", "https://"),
            ("Example.org", "https://Example.org"),
            ("https://example.org", "https://example.org"),
        ] {
            assert!(
                RelyingParty::new(id, vec![origin.to_owned()]).is_err(),
                "{id} {origin}"
            );
        }
        assert!(RelyingParty::new("example.org", Vec::new()).is_err());
    }

    #[test]
    fn the_servers_url_gives_domain_and_origin_unless_it_is_an_address() {
        let rp = RelyingParty::of_url("https://api.example.org").unwrap();
        assert_eq!(
            (rp.id(), rp.origins.as_slice()),
            ("api.example.org", &["https://api.example.org".to_owned()][..])
        );
        let rp = RelyingParty::of_url("http://localhost:8750").unwrap();
        assert_eq!(
            (rp.id(), rp.origins.as_slice()),
            ("localhost", &["http://localhost:8750".to_owned()][..])
        );
        for url in [
            "http://127.0.0.1:8750",
            "http://[::1]:8750",
            "http://example.org",
            "",
        ] {
            assert_eq!(RelyingParty::of_url(url), None, "{url}");
        }
    }
}
